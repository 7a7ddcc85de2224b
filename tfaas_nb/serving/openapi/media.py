"""Pieces of a description: schemas and media types, as OpenAPI writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfaas_nb.wire.tfaas import JSON

Json = Mapping[str, Any]


def ref(name: str) -> dict[str, str]:
    """A schema of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def media(schema: Json, *examples: Any) -> dict[str, Any]:
    """A media type object; an example that is text is one of `EXAMPLES`."""
    shown = {
        value if isinstance(value, str) else f"example{i}": (
            {"$ref": f"#/components/examples/{value}"}
            if isinstance(value, str)
            else {"value": value}
        )
        for i, value in enumerate(examples, start=1)
    }
    return {"schema": schema, **({"examples": shown} if shown else {})}


def in_json(schema: Json, *examples: Any) -> dict[str, Any]:
    """The content of a body that is JSON."""
    return {JSON: media(schema, *examples)}


def record(required: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    """The schema of an object, and which of its properties must be there."""
    told: dict[str, Any] = {"type": "object", "properties": properties}
    return told | ({"required": list(required)} if required else {})


def array(items: Json, **more: Any) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": items, **more}


def maybe(kind: str) -> dict[str, Any]:
    """The schema of a value that may be null."""
    return {"type": [kind, "null"]}


BINARY: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
NUMBERS = array({"type": "number"})
WORDS = array({"type": "string"})
