"""Components of the OpenAPI document: schemas, examples, parameters, headers, security.

Numbers and names come from the definitions of the dialects.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tfaas_nb.data.poster import poster_event
from tfaas_nb.serving import codings, request_id
from tfaas_nb.serving.models import VERSION
from tfaas_nb.serving.openapi.media import NUMBERS, WORDS, Json, array, maybe, record
from tfaas_nb.wire import oip
from tfaas_nb.wire.params import Params

#: The model of the examples, as in TFaaS's poster.
MODEL = "ttbar"
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "query": {"type": "apiKey", "in": "query", "name": "token"},
}
ID = request_id.WRITTEN
_TEXT = {"type": "string"}
HEADERS = {
    VERSION: {
        "description": "The version that was stored, or that is sent.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    oip.JSON_LENGTH: {
        "description": "Bytes of the body that are JSON; raw tensors follow.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    "Accept-Encoding": {"description": "How a body may be packed.", "schema": _TEXT},
    "Content-Encoding": {
        "description": f"How JSON of more than {codings.LEAST_PACKED} bytes is packed, if at all.",
        "schema": {"type": "string", "enum": list(codings.NAMES)},
    },
    "Vary": {
        "description": "The header of a request on which the form of such an answer depends.",
        "schema": _TEXT,
    },
    "ETag": {"description": "Name of this content.", "schema": _TEXT},
    "Accept-Ranges": {"description": "A part may be asked for.", "schema": {"const": "bytes"}},
    "Content-Range": {"description": "Of which bytes of how many.", "schema": _TEXT},
    "Allow": {"description": "The methods that the address takes.", "schema": _TEXT},
    "Retry-After": {
        "description": "Seconds after which asking again may help.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {"description": "How to show who one is.", "schema": _TEXT},
    ID: {
        "description": "The id that the request had, or that the access log has.",
        "schema": {"type": "string"},
    },
}


def _parameter(place: str, name: str, text: str, schema: Json, **more: Any) -> dict[str, Any]:
    told = {"name": name, "in": place, "description": text, "schema": schema}
    return told | ({"required": True} if place == "path" else {}) | more


_NAME = {"type": "string", "minLength": 1}
#: Part of an address → what describes it, where they differ.
PARTS = {
    "name": "path_name",
    "version": "path_version",
    "label": "path_label",
    "file": "path_file",
}
PARTS |= {"key": "path_key"}
OPTIONS = {
    "path_name": _parameter(
        "path", "name", "Of the model.", _NAME, examples={"poster": {"value": MODEL}}
    ),
    "path_version": _parameter(
        "path", "version", "Of the model.", {"type": "string", "minLength": 1}
    ),
    "path_label": _parameter("path", "label", "A name for a version.", _NAME),
    "path_file": _parameter("path", "file", "Of Netron, or the model's.", _NAME),
    "path_key": _parameter("path", "key", "Opens Netron's files in place of the token.", _NAME),
    "model": _parameter(
        "query", "model", "The model; by default the one uploaded last.", {"type": "string"}
    ),
    "name": _parameter(
        "query", "name", "What to call the model, if the upload does not say.", {"type": "string"}
    ),
    "signature": _parameter(
        "query", "signature", "Which of a SavedModel's signatures to serve.", {"type": "string"}
    ),
    "missing": _parameter(
        "query",
        "missing",
        "What stands for a missing value in the model's events: NaN, or nothing.",
        {"type": "string", "enum": ["nan", "none"]},
    ),
    "features": _parameter(
        "query",
        "features",
        "Names of the model's features in its order, between commas, if the upload does not say.",
        {"type": "string"},
    ),
    "constants": _parameter(
        "query",
        "constants",
        "Values of placeholders that are no inputs, `keep_prob=1,phase=false` or JSON.",
        {"type": "string"},
    ),
    "ready": _parameter(
        "query", "ready", "`true`: only models that can be asked.", {"type": "string"}
    ),
    "url": _parameter("query", "url", "Of the graph to draw.", {"type": "string"}),
    "identifier": _parameter("query", "identifier", "What to call it.", {"type": "string"}),
    "json_length": _parameter(
        "header",
        oip.JSON_LENGTH,
        "Bytes of the body that are JSON; raw little-endian tensors follow.",
        {"type": "integer", "minimum": 0},
    ),
    "encoding": _parameter(
        "header",
        "Content-Encoding",
        "How the body is packed; `base64`: the content of the form's part `model` is base64.",
        {"type": "string", "enum": ["base64", *codings.NAMES]},
    ),
    "packed": _parameter(
        "header",
        "Content-Encoding",
        "How the body is packed.",
        {"type": "string", "enum": list(codings.NAMES)},
    ),
    "if_none_match": _parameter(
        "header",
        "If-None-Match",
        "ETags that the client has: then the answer is 304.",
        {"type": "string"},
    ),
    "if_range": _parameter(
        "header", "If-Range", "ETag whose part is asked for, or else all.", {"type": "string"}
    ),
    "range": _parameter(
        "header", "Range", "One range of bytes, as in `bytes=1000-`.", {"type": "string"}
    ),
    "accepted": _parameter(
        "header",
        "Accept-Encoding",
        f"How JSON of more than {codings.LEAST_PACKED} bytes may be packed: "
        f"{', '.join(codings.NAMES)}.",
        {"type": "string"},
    ),
}

_EVENT = array({"type": "number"}, minItems=1)
_MODEL_OF = {name: maybe("string") for name in ("model", "name", "key")}
_TENSOR = {
    "name": {"type": "string"},
    "shape": array({"type": "integer", "minimum": 0}, minItems=1),
    "datatype": {"type": "string", "enum": list(oip.DATATYPES)},
    "data": {"type": "array"},
    "parameters": record(binary_data_size={"type": "integer", "minimum": 0}),
}
_SCALAR = {"anyOf": [{"type": "number"}, array({"type": "number"}, minItems=1, maxItems=1)]}
TENSOR_METADATA = array(
    record(
        ("name", "datatype", "shape"),
        name={"type": "string"},
        datatype={"type": "string", "enum": list(oip.DATATYPES)},
        shape=array({"type": "integer", "minimum": -1}),
    )
)
VERSIONS = {
    "version": {"type": "integer"},
    "uploaded": {"type": "integer", "description": "Nanoseconds since 1970."},
}


def _params_schema() -> dict[str, Any]:
    """``params.json`` as `Params` has it."""
    kinds = {"str": {"type": "string"}, "int": {"type": "integer"}, "tuple[str, ...]": WORDS}
    told = {field.name: kinds.get(str(field.type), {}) for field in fields(Params)}
    return told | {"inputNode": {"type": "string"}, "outputNode": {"type": "string"}}


SCHEMAS: dict[str, Any] = {
    "Error": record(
        ("error", "kind"),
        error={"type": "string", "description": "What was wrong, where, and what to do next."},
        kind={"type": "string", "description": "Name of the error's class, as in the client."},
    ),
    "Events": {
        "description": "One event, or many, with the names of their features in any order.",
        "anyOf": [
            record(
                ("keys", "values"),
                keys=WORDS,
                values={"anyOf": [NUMBERS, array(NUMBERS, minItems=1)]},
                **_MODEL_OF,
            ),
            record(
                ("records",),
                records=array(
                    {"type": "object", "additionalProperties": {"type": "number"}}, minItems=1
                ),
                **_MODEL_OF,
            ),
        ],
    },
    "Scores": {
        "description": "A number per output; for many events a list of such lists.",
        "anyOf": [NUMBERS, array(NUMBERS)],
    },
    "Model": {
        **record(("name", "version", "uploaded"), **_params_schema(), **VERSIONS),
        "description": "`params.json` of a model, and what the repository knows of it.",
    },
    "ModelName": record(("model",), model=_NAME),
    "InferRequest": record(
        ("inputs",),
        id=maybe("string"),
        parameters=record(keys=WORDS, binary_data_output={"type": "boolean"}),
        inputs=array(record(("name", "shape", "datatype"), **_TENSOR), minItems=1),
        outputs=array(
            record(
                ("name",),
                name={"type": "string"},
                parameters=record(binary_data={"type": "boolean"}),
            )
        ),
    ),
    "InferAnswer": record(
        ("model_name", "outputs"),
        model_name={"type": "string"},
        model_version={"type": "string"},
        id={"type": "string"},
        outputs=array(record(("name", "shape", "datatype"), **_TENSOR)),
    ),
    "Predict": {
        "description": "Events in rows (`instances`) or in columns (`inputs`).",
        "oneOf": [
            record(
                ("instances",),
                instances={"type": "array", "minItems": 1},
                signature_name=maybe("string"),
            ),
            record(
                ("inputs",),
                inputs={
                    "anyOf": [
                        {"type": "array", "minItems": 1},
                        {
                            "type": "object",
                            "minProperties": 1,
                            "additionalProperties": {"type": "array", "minItems": 1},
                        },
                    ]
                },
                signature_name=maybe("string"),
            ),
        ],
    },
    "Predicted": {
        "oneOf": [record(("predictions",), predictions={}), record(("outputs",), outputs={})]
    },
    "Examples": record(
        ("examples",),
        examples=array(
            {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}, minItems=1
        ),
        context={"type": ["object", "null"], "additionalProperties": _SCALAR},
        signature_name=maybe("string"),
    ),
}

_POSTER = poster_event()
_VALUES = list(_POSTER.values())
_INPUT = {"name": "input", "shape": [1, len(_POSTER)], "datatype": "FP32", "data": _VALUES}
EXAMPLES = {
    "row": {"value": {"keys": list(_POSTER), "values": _VALUES, "model": MODEL}},
    "records": {"value": {"records": [_POSTER], "model": MODEL}},
    "tensor": {"value": {"parameters": {"keys": list(_POSTER)}, "inputs": [_INPUT]}},
    "instances": {"value": {"instances": [_POSTER]}},
    "inputs": {"value": {"inputs": [_VALUES]}},
    "examples": {"value": {"examples": [_POSTER]}},
}
