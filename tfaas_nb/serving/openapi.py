"""``/openapi.json``: what can be asked here, in the words of OpenAPI 3.1.

Addresses and methods come from the routes that answer, numbers and names from the definitions of
the dialects, errors from the error tree; here stands only what requests and answers look like.  A
route without a description, or a description without a route, is an error.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from tfaas_nb import errors
from tfaas_nb.data.poster import poster_event
from tfaas_nb.errors import TfaasError
from tfaas_nb.serving import netron, prometheus, request_id
from tfaas_nb.serving.models import VERSION
from tfaas_nb.serving.predictions import ARROW
from tfaas_nb.serving.routes import MOST_BYTES
from tfaas_nb.wire import image, oip, protobuf
from tfaas_nb.wire.params import Params
from tfaas_nb.wire.tfaas import JSON, NPY, PROTOBUF

Json = Mapping[str, Any]

#: Where the description is served.
ADDRESS = "/openapi.json"
#: The model of the examples, as in TFaaS's poster.
MODEL = "ttbar"

_FORM, _HTML, _TEXT = "multipart/form-data", "text/html; charset=utf-8", "text/plain"
_GZIP, _TAR = "application/gzip", "application/x-tar"
_OPTIONAL = re.compile(r"\[([^\]]*)\]")
_NAMED = re.compile(r"\{(\w+)\}")


class Address(NamedTuple):
    """What answers somewhere: method, path as `Route.shown` gives it, and largest body."""

    method: str
    path: str
    most_bytes: int = MOST_BYTES


@dataclass(frozen=True)
class Operation:
    """What a request and its answers look like.

    Attributes
    ----------
    tag : str
        The dialect.
    summary : str
        What it does, in a line.
    bodies : mapping
        Content type → media type object of the request.
    answers : mapping
        Content type → media type object of the answer; empty: it has no body.
    headers : tuple of str
        Names in `_HEADERS` of what the answer may have.
    options : tuple of str
        Names in `_OPTIONS` of what the address may have after ``?``, or of request headers.
    errors : tuple of type
        What may be wrong besides `_ALWAYS`.
    description : str
        More of it.
    needs_body : bool
        Whether there must be a body.
    is_open : bool
        Whether it is answered without the token.
    redirects : bool
        Whether it may lead elsewhere.
    """

    tag: str
    summary: str
    bodies: Json
    answers: Json
    headers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    errors: tuple[type[TfaasError], ...] = ()
    description: str = ""
    needs_body: bool = True
    is_open: bool = False
    redirects: bool = False


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
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _SCHEMAS,
            "examples": _EXAMPLES,
            "headers": _HEADERS,
            "parameters": _OPTIONS,
            "securitySchemes": _SECURITY,
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
            *({"$ref": f"#/components/parameters/{_PARTS.get(n, n)}"} for n in names),
            *({"$ref": f"#/components/parameters/{name}"} for name in operation.options),
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


def _responses(operation: Operation, has_names: bool) -> dict[str, Any]:
    """What may be answered; statuses and reasons of errors as the error tree has them."""
    kinds: set[type[TfaasError]] = {*_ALWAYS, *operation.errors}
    if not operation.is_open:
        kinds |= {errors.Unauthorized, errors.Forbidden, errors.TooManyRequests}
    if operation.bodies:
        kinds |= {errors.TooLarge}
    if has_names:
        kinds |= {errors.ModelNotFound}
    reasons: dict[int, list[str]] = {}
    for kind in sorted(kinds, key=lambda one: (one.status, one.__name__)):
        doc = (kind.__doc__ or "").strip().partition("\n")[0]
        reasons.setdefault(kind.status, []).append(f"{kind.__name__}: {doc}")
    good: dict[str, Any] = {"description": operation.summary}
    if operation.answers:
        good["content"] = dict(operation.answers)
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in operation.headers}
    good["headers"] = headers | {_ID: {"$ref": f"#/components/headers/{_ID}"}}
    told = {"200": good}
    if operation.redirects:
        told["303"] = {"description": "The same under an address that needs no token."}
    for status, texts in reasons.items():
        content = {JSON: {"schema": _ref("Error")}}
        told[str(status)] = {"description": " ".join(texts), "content": content}
    return told


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _media(schema: Json, *examples: Any) -> dict[str, Any]:
    """A media type object; an example that is text is one of `_EXAMPLES`."""
    shown = {
        value if isinstance(value, str) else f"example{i}": (
            {"$ref": f"#/components/examples/{value}"}
            if isinstance(value, str)
            else {"value": value}
        )
        for i, value in enumerate(examples, start=1)
    }
    return {"schema": schema, **({"examples": shown} if shown else {})}


def _json(schema: Json, *examples: Any) -> dict[str, Any]:
    return {JSON: _media(schema, *examples)}


def _object(required: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "object", "properties": properties}
    return told | ({"required": list(required)} if required else {})


def _array(items: Json, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _maybe(kind: str) -> dict[str, Any]:
    return {"type": [kind, "null"]}


# --- what is always the same --------------------------------------------------------------

_ALWAYS = (
    *(errors.RequestError, errors.HeadTooLarge, errors.MethodNotAllowed),
    *(errors.ServerError, errors.Overloaded),
)
_MODEL_ERRORS: tuple[type[TfaasError], ...] = (
    *(errors.FeatureError, errors.GraphError, errors.RepositoryError),
    *(errors.ModelNotFound, errors.MissingExtra),
)
_STORE_ERRORS: tuple[type[TfaasError], ...] = (
    *(errors.BundleError, errors.GraphError, errors.RepositoryError, errors.FeatureError),
    *(errors.MissingExtra, errors.TooLarge),
)

_ABOUT = (
    "Models of signal and background as a service: TFaaS's HTTP dialect with additions, the Open "
    "Inference Protocol v2 and TensorFlow Serving's REST API, over the same models."
)
_TFAAS, _STORE = "TFaaS: events", "TFaaS: models"
_OIP, _SERVING, _SELF, _NETRON = "Open Inference Protocol", "TensorFlow Serving", "server", "Netron"
_TAGS = {
    _TFAAS: "Events in, scores out.",
    _STORE: "Models in and out, their versions and labels.",
    _OIP: "Version 2 over REST, with the extensions for binary tensors and the model repository.",
    _SERVING: "TensorFlow Serving's REST API.",
    _SELF: "What the server tells of itself.",
    _NETRON: "Graphs, drawn in the browser.",
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "query": {"type": "apiKey", "in": "query", "name": "token"},
}
_ID = request_id.WRITTEN
_HEADERS = {
    VERSION: {
        "description": "The version that was stored, or that is sent.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    oip.JSON_LENGTH: {
        "description": "Bytes of the body that are JSON; raw tensors follow.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    _ID: {
        "description": "The id that the request had, or that the access log has.",
        "schema": {"type": "string"},
    },
}


def _parameter(place: str, name: str, text: str, schema: Json, **more: Any) -> dict[str, Any]:
    told = {"name": name, "in": place, "description": text, "schema": schema}
    return told | ({"required": True} if place == "path" else {}) | more


_NAME = {"type": "string", "minLength": 1}
#: Part of an address → what describes it, where they differ.
_PARTS = {
    "name": "path_name",
    "version": "path_version",
    "label": "path_label",
    "file": "path_file",
}
_PARTS |= {"key": "path_key"}
_OPTIONS = {
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
        "`base64`: the content of the form's part `model` is base64.",
        {"type": "string", "enum": ["base64", "gzip"]},
    ),
}

# --- schemas ------------------------------------------------------------------------------

_NUMBERS = _array({"type": "number"})
_EVENT = _array({"type": "number"}, minItems=1)
_WORDS = _array({"type": "string"})
_MODEL_OF = {name: _maybe("string") for name in ("model", "name", "key")}
_TENSOR = {
    "name": {"type": "string"},
    "shape": _array({"type": "integer", "minimum": 0}, minItems=1),
    "datatype": {"type": "string", "enum": list(oip.DATATYPES)},
    "data": {"type": "array"},
    "parameters": _object(binary_data_size={"type": "integer", "minimum": 0}),
}
_SCALAR = {"anyOf": [{"type": "number"}, _array({"type": "number"}, minItems=1, maxItems=1)]}
_TENSOR_METADATA = _array(
    _object(
        ("name", "datatype", "shape"),
        name={"type": "string"},
        datatype={"type": "string", "enum": list(oip.DATATYPES)},
        shape=_array({"type": "integer", "minimum": -1}),
    )
)
_VERSIONS = {
    "version": {"type": "integer"},
    "uploaded": {"type": "integer", "description": "Nanoseconds since 1970."},
}


def _params_schema() -> dict[str, Any]:
    """``params.json`` as `Params` has it."""
    kinds = {"str": {"type": "string"}, "int": {"type": "integer"}, "tuple[str, ...]": _WORDS}
    told = {field.name: kinds.get(str(field.type), {}) for field in fields(Params)}
    return told | {"inputNode": {"type": "string"}, "outputNode": {"type": "string"}}


_SCHEMAS: dict[str, Any] = {
    "Error": _object(
        ("error", "kind"),
        error={"type": "string", "description": "What was wrong, where, and what to do next."},
        kind={"type": "string", "description": "Name of the error's class, as in the client."},
    ),
    "Events": {
        "description": "One event, or many, with the names of their features in any order.",
        "anyOf": [
            _object(
                ("keys", "values"),
                keys=_WORDS,
                values={"anyOf": [_NUMBERS, _array(_NUMBERS, minItems=1)]},
                **_MODEL_OF,
            ),
            _object(
                ("records",),
                records=_array(
                    {"type": "object", "additionalProperties": {"type": "number"}}, minItems=1
                ),
                **_MODEL_OF,
            ),
        ],
    },
    "Scores": {
        "description": "A number per output; for many events a list of such lists.",
        "anyOf": [_NUMBERS, _array(_NUMBERS)],
    },
    "Model": {
        **_object(("name", "version", "uploaded"), **_params_schema(), **_VERSIONS),
        "description": "`params.json` of a model, and what the repository knows of it.",
    },
    "ModelName": _object(("model",), model=_NAME),
    "InferRequest": _object(
        ("inputs",),
        id=_maybe("string"),
        parameters=_object(keys=_WORDS, binary_data_output={"type": "boolean"}),
        inputs=_array(_object(("name", "shape", "datatype"), **_TENSOR), minItems=1),
        outputs=_array(
            _object(
                ("name",),
                name={"type": "string"},
                parameters=_object(binary_data={"type": "boolean"}),
            )
        ),
    ),
    "InferAnswer": _object(
        ("model_name", "outputs"),
        model_name={"type": "string"},
        model_version={"type": "string"},
        id={"type": "string"},
        outputs=_array(_object(("name", "shape", "datatype"), **_TENSOR)),
    ),
    "Predict": {
        "description": "Events in rows (`instances`) or in columns (`inputs`).",
        "oneOf": [
            _object(
                ("instances",),
                instances={"type": "array", "minItems": 1},
                signature_name=_maybe("string"),
            ),
            _object(
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
                signature_name=_maybe("string"),
            ),
        ],
    },
    "Predicted": {
        "oneOf": [_object(("predictions",), predictions={}), _object(("outputs",), outputs={})]
    },
    "Examples": _object(
        ("examples",),
        examples=_array(
            {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}, minItems=1
        ),
        context={"type": ["object", "null"], "additionalProperties": _SCALAR},
        signature_name=_maybe("string"),
    ),
}

# --- operations ---------------------------------------------------------------------------

_BINARY: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
_POSTER = poster_event()
_VALUES = list(_POSTER.values())
_INPUT = {"name": "input", "shape": [1, len(_POSTER)], "datatype": "FP32", "data": _VALUES}
_EXAMPLES = {
    "row": {"value": {"keys": list(_POSTER), "values": _VALUES, "model": MODEL}},
    "records": {"value": {"records": [_POSTER], "model": MODEL}},
    "tensor": {"value": {"parameters": {"keys": list(_POSTER)}, "inputs": [_INPUT]}},
    "instances": {"value": {"instances": [_POSTER]}},
    "inputs": {"value": {"inputs": [_VALUES]}},
    "examples": {"value": {"examples": [_POSTER]}},
}
_NOTHING: Json = {}
_ANY_JSON = {"type": "object"}


def _messages(name: str) -> str:
    """A message of the protobuf package as its ``.proto`` has it."""
    parts = [
        f"{'repeated ' if repeated else ''}{kind} {field} = {number};"
        for number, (field, repeated, kind) in enumerate(protobuf.SCHEMA[name], start=1)
    ]
    return f"`message {name} {{ {' '.join(parts)} }}` of package `{protobuf.PACKAGE}`."


def _predictions() -> dict[tuple[str, str], Operation]:
    scores = _json(_ref("Scores"), [0.6046947])
    classes = {PROTOBUF: _media(_BINARY)}
    many = _messages("Predictions")
    told = {
        "json": Operation(
            _TFAAS,
            "Scores of one event, or of many",
            _json(_ref("Events"), "row", "records"),
            scores,
            description="The content type is not looked at.",
        ),
        "proto": Operation(
            _TFAAS,
            "Scores of one event, in protobuf",
            {PROTOBUF: _media(_BINARY)},
            classes,
            description=f"Sent: {_messages('Row')} Answered: {many}",
        ),
        "dataframe": Operation(
            _TFAAS,
            "Scores of many events, in protobuf",
            {PROTOBUF: _media(_BINARY)},
            classes,
            description=f"Sent: {_messages('DataFrame')} Answered: {many}",
        ),
        "npy": Operation(
            _TFAAS,
            "Scores of many events, in NumPy's format",
            {NPY: _media(_BINARY)},
            {NPY: _media(_BINARY)},
            description="One float32 field per feature; answered is float32 (events, outputs).",
        ),
        "arrow": Operation(
            _TFAAS,
            "Scores of many events, as an Arrow stream",
            {ARROW: _media(_BINARY)},
            {ARROW: _media(_BINARY)},
            description="One column per feature; answered is one per output.",
        ),
    }
    return {
        ("POST", f"{prefix}/{name}"): _with(operation, ("model",), _MODEL_ERRORS)
        for name, operation in told.items()
        for prefix in ("", "/predict")
    }


def _with(
    operation: Operation, options: tuple[str, ...], kinds: tuple[type[TfaasError], ...]
) -> Operation:
    return Operation(**{**vars(operation), "options": options, "errors": kinds})


_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_UPLOAD = Operation(
    _STORE,
    "Store a model as a new version",
    {
        _FORM: {
            "schema": _object(
                ("model",),
                name={"type": "string"},
                params={**_FILE, "description": "`params.json`."},
                model={**_FILE, "description": "A frozen graph, an ONNX or a `.keras` file."},
                labels={**_FILE, "description": "`labels.txt`."},
                card={**_FILE, "description": "`model_card.json`."},
                reference_events={**_FILE, "description": "`reference_events.json`."},
            )
        },
        "application/octet-stream": _media(_BINARY),
        _GZIP: _media(_BINARY),
    },
    _NOTHING,
    (VERSION,),
    ("name", "signature", "encoding"),
    _STORE_ERRORS,
    "A form, or a .tar or .tar.gz of a model's folder, or a model's file alone with its name in "
    "the address. It is stored once it was looked through, and answered events in a process of "
    "its own.",
)
_IMAGE = Operation(
    _TFAAS,
    "The likeliest labels of a picture",
    {
        _FORM: {
            "schema": _object(
                ("image",),
                image={**_FILE, "description": " or ".join(image.FORMATS)},
                model={"type": "string"},
            )
        }
    },
    _json(
        _object(
            ("filename", "labels"),
            filename={"type": "string"},
            labels=_array(
                _object(
                    ("label", "probability"),
                    label={"type": "string"},
                    probability={"type": "number"},
                )
            ),
        )
    ),
    options=("model",),
    errors=_MODEL_ERRORS,
)
_NAMED_MODEL = {
    JSON: _media(_ref("ModelName"), {"model": MODEL}),
    "application/x-www-form-urlencoded": _media(_ref("ModelName")),
}
_STATES = _object(
    ("model_version_status",),
    model_version_status=_array(
        _object(
            ("version", "state", "status"),
            version={"type": "string"},
            state={"type": "string"},
            status=_object(error_code={"type": "string"}, error_message={"type": "string"}),
        )
    ),
)
_SERVED = "/v2/models/{name}[/versions/{version}]"
_TF = "/v1/models/{name}[/versions/{version}|/labels/{label}]"
_LOADED = "/v2/repository/models/{name}"


def _get(tag: str, summary: str, answers: Json, *kinds: type[TfaasError], **more: Any) -> Operation:
    return Operation(tag, summary, _NOTHING, answers, errors=kinds, **more)


#: Method and path, as `Route.shown` gives it → what is asked and answered there.
OPERATIONS: dict[tuple[str, str], Operation] = {
    **_predictions(),
    ("POST", "/image"): _IMAGE,
    ("POST", "/predict/image"): _IMAGE,
    ("POST", "/upload"): _UPLOAD,
    ("POST", "/bundle"): _UPLOAD,
    ("GET", "/bundle/{name}"): _get(
        _STORE,
        "A model with all its files, packed",
        {_GZIP: _media(_BINARY), _TAR: _media(_BINARY)},
        *_MODEL_ERRORS,
        headers=(VERSION,),
    ),
    ("GET", "/models"): _get(
        _STORE, "All models", _json(_array(_ref("Model"))), errors.RepositoryError
    ),
    ("GET", "/params/{name}"): _get(
        _STORE, "What is known of a model", _json(_ref("Model")), errors.RepositoryError
    ),
    ("POST", "/params"): Operation(
        _STORE,
        "What is known of a model",
        _NAMED_MODEL,
        _json(_ref("Model")),
        errors=(errors.ModelNotFound, errors.RepositoryError),
    ),
    ("DELETE", "/delete"): Operation(
        _STORE,
        "Delete a model, or a version of it",
        _NAMED_MODEL,
        _NOTHING,
        errors=(errors.ModelNotFound, errors.RepositoryError),
    ),
    ("DELETE", "/delete/{name}"): _get(
        _STORE, "Delete a model, or a version of it", _NOTHING, errors.RepositoryError
    ),
    ("GET", "/models/{name}/versions"): _get(
        _STORE,
        "All versions of a model",
        _json(
            _array(
                _object(
                    ("version", "uploaded", "labels", "sha256"),
                    **_VERSIONS,
                    labels=_WORDS,
                    sha256={"type": "string"},
                    error={"type": "string"},
                )
            )
        ),
        errors.RepositoryError,
    ),
    ("PUT", "/models/{name}/labels/{label}"): Operation(
        _STORE,
        "Put a label on a version",
        _json(_object(("version",), version={"type": "integer", "minimum": 0}), {"version": 1}),
        _json(_object(("version",), version={"type": "integer"})),
        errors=(errors.RepositoryError, errors.BundleError),
        description="Without a body: on the latest one.",
        needs_body=False,
    ),
    ("DELETE", "/models/{name}/labels/{label}"): _get(
        _STORE, "Take a label away", _NOTHING, errors.RepositoryError, errors.BundleError
    ),
    ("GET", "/"): _get(
        _SELF, "A page for people", {_HTML: _media({"type": "string"})}, errors.RepositoryError
    ),
    ("GET", "/health"): _get(
        _SELF,
        "Whether to ask here: 503 once the server is to end",
        _json(_object(("status",), status={"type": "string"}), {"status": "ok"}),
        is_open=True,
    ),
    ("GET", "/status"): _get(
        _SELF,
        "Counts, processor, memory and load",
        _json(
            _object(
                ("server", "uptime", "requests", "events", "models"),
                server={"type": "string"},
                uptime={"type": "number"},
                requests={"type": "integer"},
                events={"type": "integer"},
                models=_WORDS,
            )
        ),
        errors.RepositoryError,
    ),
    ("GET", "/metrics"): _get(
        _SELF,
        "The same for Prometheus",
        {prometheus.TEXT: _media({"type": "string"})},
        errors.RepositoryError,
        errors.MissingExtra,
    ),
    ("GET", ADDRESS): _get(_SELF, "This description", _json(_ANY_JSON)),
    ("GET", "/v2"): _get(
        _OIP,
        "Name, version and extensions of the server",
        _json(
            _object(
                ("name", "version", "extensions"),
                name={"type": "string"},
                version={"type": "string"},
                extensions=_WORDS,
            )
        ),
    ),
    ("GET", "/v2/health/live"): _get(
        _OIP,
        "Whether something answers",
        _json(_object(("live",), live={"type": "boolean"}), {"live": True}),
        is_open=True,
    ),
    ("GET", "/v2/health/ready"): _get(
        _OIP,
        "Whether models can be asked",
        _json(_object(("ready",), ready={"type": "boolean"}), {"ready": True}),
    ),
    ("GET", _SERVED): _get(
        _OIP,
        "Inputs and outputs of a model",
        _json(
            _object(
                ("name", "versions", "platform", "inputs", "outputs"),
                name={"type": "string"},
                versions=_WORDS,
                platform={"type": "string"},
                inputs=_TENSOR_METADATA,
                outputs=_TENSOR_METADATA,
            )
        ),
        *_MODEL_ERRORS,
    ),
    ("GET", f"{_SERVED}/ready"): _get(
        _OIP,
        "Whether a model can be asked",
        _json(_object(("name", "ready"), name={"type": "string"}, ready={"type": "boolean"})),
        *_MODEL_ERRORS,
    ),
    ("POST", f"{_SERVED}/infer"): Operation(
        _OIP,
        "Outputs of a model",
        _json(_ref("InferRequest"), "tensor") | {oip.BINARY: _media(_BINARY)},
        _json(_ref("InferAnswer")) | {oip.BINARY: _media(_BINARY)},
        (oip.JSON_LENGTH,),
        ("json_length",),
        _MODEL_ERRORS,
        "The parameter `keys`, which names the columns of a tensor, is our own addition.",
    ),
    ("POST", "/v2/repository/index"): Operation(
        _OIP,
        "All versions of all models",
        _json(_object(ready={"type": "boolean"}), {"ready": True}),
        _json(
            _array(
                _object(
                    ("name", "version", "state", "reason"),
                    name={"type": "string"},
                    version={"type": "string"},
                    state={"type": "string", "enum": [oip.READY, oip.UNAVAILABLE]},
                    reason={"type": "string"},
                )
            )
        ),
        options=("ready",),
        errors=(errors.RepositoryError,),
        needs_body=False,
    ),
    ("POST", f"{_LOADED}/load"): Operation(
        _OIP,
        "Read a model again",
        _json(_object(parameters=_object()), {}),
        _json(_ANY_JSON),
        errors=_MODEL_ERRORS,
        needs_body=False,
    ),
    ("POST", f"{_LOADED}/unload"): Operation(
        _OIP,
        "Answer no more for a model until it is loaded",
        _json(_ANY_JSON, {}),
        _json(_ANY_JSON),
        errors=_MODEL_ERRORS,
        needs_body=False,
    ),
    ("GET", _TF): _get(
        _SERVING, "State of a model's versions", _json(_STATES), errors.RepositoryError
    ),
    ("GET", f"{_TF}/metadata"): _get(
        _SERVING,
        "Signature of a model",
        _json(_object(("model_spec", "metadata"), model_spec=_ANY_JSON, metadata=_ANY_JSON)),
        *_MODEL_ERRORS,
    ),
    ("POST", f"{_TF}:predict"): Operation(
        _SERVING,
        "Outputs of a model",
        _json(_ref("Predict"), "instances", "inputs"),
        _json(_ref("Predicted")),
        errors=_MODEL_ERRORS,
    ),
    ("POST", f"{_TF}:classify"): Operation(
        _SERVING,
        "Labels and scores of events",
        _json(_ref("Examples"), "examples"),
        _json(_object(("results",), results=_array({"type": "array"}))),
        errors=_MODEL_ERRORS,
    ),
    ("POST", f"{_TF}:regress"): Operation(
        _SERVING,
        "A number for each event",
        _json(_ref("Examples"), "examples"),
        _json(_object(("results",), results=_NUMBERS)),
        errors=_MODEL_ERRORS,
    ),
    ("GET", "/netron/"): _get(
        _NETRON,
        "The page that draws graphs",
        {_HTML: _media({"type": "string"})},
        errors.MissingExtra,
        options=("url", "identifier"),
        redirects=True,
    ),
    ("GET", "/netron/k/{key}/"): _get(
        _NETRON,
        "The page that draws graphs",
        {_HTML: _media({"type": "string"})},
        errors.MissingExtra,
    ),
    ("GET", "/netron[/k/{key}]/{file}"): _get(
        _NETRON,
        "A file of that page",
        {kind: _media(_BINARY) for kind in netron.TYPES},
        errors.MissingExtra,
        errors.RouteNotFound,
    ),
    ("GET", "/netron[/k/{key}]/models/{name}/{version}/{file}"): _get(
        _NETRON,
        "A model's graph",
        {"application/octet-stream": _media(_BINARY)},
        *_MODEL_ERRORS,
    ),
}
