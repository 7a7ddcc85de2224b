"""The description of a server, made of its routes.

Addresses and methods come from the routes that answer, errors from the error tree.  A route
without a description, or a description without a route, is an error.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tfaas_nb import errors
from tfaas_nb.errors import TfaasError
from tfaas_nb.serving.openapi.media import in_json, ref
from tfaas_nb.serving.openapi.operations import ADDRESS as ADDRESS
from tfaas_nb.serving.openapi.operations import OPERATIONS, TAGS, Operation
from tfaas_nb.serving.openapi.schemas import (
    EXAMPLES,
    HEADERS,
    ID,
    OPTIONS,
    PARTS,
    SCHEMAS,
    SECURITY,
)
from tfaas_nb.serving.routes import MOST_BYTES
from tfaas_nb.wire.tfaas import JSON

_OPTIONAL = re.compile(r"\[([^\]]*)\]")
_NAMED = re.compile(r"\{(\w+)\}")
_ABOUT = (
    "Models of signal and background as a service: TFaaS's HTTP dialect with additions, the Open "
    "Inference Protocol v2 and TensorFlow Serving's REST API, over the same models."
)
#: Status of an error → the header with which it tells more.
_TELLS = {
    401: "WWW-Authenticate",
    405: "Allow",
    415: "Accept-Encoding",
    416: "Content-Range",
    429: "Retry-After",
    503: "Retry-After",
}
_PACKED_ANSWER = ("Content-Encoding", "Vary")
_ALWAYS = (
    *(errors.RequestError, errors.HeadTooLarge, errors.MethodNotAllowed),
    *(errors.ServerError, errors.Overloaded),
)


class Address(NamedTuple):
    """Address that the server answers: method, path as in `Route.shown`, and largest body."""

    method: str
    path: str
    most_bytes: int = MOST_BYTES


def document(addresses: Iterable[Address], server: str) -> dict[str, Any]:
    """The description of a server.

    Parameters
    ----------
    addresses : iterable of Address
        All that it answers.
    server : str
        Its version.

    Raises
    ------
    KeyError
        If one of them is not described.
    """
    paths: dict[str, dict[str, Any]] = {}
    for address in addresses:
        operation = OPERATIONS[address.method, address.path]
        for path in spelled(address.path):
            told = paths.setdefault(path, {})
            told[address.method.lower()] = _operation(operation, address, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "tfaas_nb", "version": server, "description": _ABOUT},
        "servers": [{"url": "."}],
        "security": [{"bearer": []}, {"query": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": SCHEMAS,
            "examples": EXAMPLES,
            "headers": HEADERS,
            "parameters": OPTIONS,
            "securitySchemes": SECURITY,
        },
    }


def spelled(path: str) -> Iterator[str]:
    """All paths that one with optional parts stands for."""
    pieces = _OPTIONAL.split(path)
    choices = [("", *piece.split("|")) if i % 2 else (piece,) for i, piece in enumerate(pieces)]
    return map("".join, itertools.product(*choices))


def _operation(operation: Operation, address: Address, path: str) -> dict[str, Any]:
    names = _NAMED.findall(path)
    words = re.findall(r"\w+", path)
    told: dict[str, Any] = {
        "operationId": "_".join((address.method.lower(), *(words or ["home"]))),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [
            *({"$ref": f"#/components/parameters/{PARTS.get(n, n)}"} for n in names),
            *({"$ref": f"#/components/parameters/{name}"} for name in _options(operation)),
        ],
        "responses": _responses(operation, bool(names)),
    }
    if operation.description:
        told["description"] = operation.description
    if operation.bodies:
        told["requestBody"] = {
            "description": f"At most {address.most_bytes} bytes.",
            "required": operation.needs_body,
            "content": dict(operation.bodies),
        }
    if operation.is_open:
        told["security"] = []
    return told


def _options(operation: Operation) -> list[str]:
    """Options and request headers of an operation, with those of packed bodies and answers."""
    options = list(operation.options)
    if operation.bodies and "encoding" not in options:
        options.append("packed")
    return [*options, "accepted"] if JSON in operation.answers else options


def _responses(operation: Operation, has_names: bool) -> dict[str, Any]:
    """Responses of an operation; statuses and reasons of errors are those of the error classes."""
    reasons: dict[int, list[str]] = {}
    for kind in sorted(_kinds(operation, has_names), key=lambda one: (one.status, one.__name__)):
        doc = (kind.__doc__ or "").strip().partition("\n")[0]
        reasons.setdefault(kind.status, []).append(f"{kind.__name__}: {doc}")
    good: dict[str, Any] = {"description": operation.summary}
    if operation.answers:
        good["content"] = dict(operation.answers)
    names = (*operation.headers, *(_PACKED_ANSWER if JSON in operation.answers else ()))
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    good["headers"] = headers | {ID: {"$ref": f"#/components/headers/{ID}"}}
    told = {"200": good}
    if operation.redirects:
        told["303"] = {"description": "The same under an address that needs no token."}
    if operation.is_download:
        range_ = {"Content-Range": {"$ref": "#/components/headers/Content-Range"}}
        part = {"description": "The part that was asked for.", "headers": headers | range_}
        told |= {"206": good | part, "304": {"description": "The client has it already."}}
    for status, texts in reasons.items():
        told[str(status)] = {"description": " ".join(texts), "content": in_json(ref("Error"))}
        if operation.ending and status == errors.Overloaded.status:
            told[str(status)]["description"] += " Or the server is to end, so ask another."
            told[str(status)]["content"] = in_json({"anyOf": [ref("Error"), operation.ending]})
        if status in _TELLS:
            name = _TELLS[status]
            told[str(status)]["headers"] = {name: {"$ref": f"#/components/headers/{name}"}}
    return told


def _kinds(operation: Operation, has_names: bool) -> set[type[TfaasError]]:
    """Classes of errors that an operation may answer with."""
    kinds: set[type[TfaasError]] = {*_ALWAYS, *operation.errors}
    if not operation.is_open:
        kinds |= {errors.Unauthorized, errors.Forbidden, errors.TooManyRequests}
    if operation.bodies:
        kinds |= {errors.TooLarge, errors.UnsupportedCoding}
    if operation.is_download:
        kinds |= {errors.RangeNotSatisfiable}
    if has_names:
        kinds |= {errors.ModelNotFound}
    if errors.RepositoryError in kinds:
        kinds |= {errors.RepositoryUnreachable}
    return kinds
