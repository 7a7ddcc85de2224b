"""Table of the operations of the HTTP interface: request and answer of each address."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tfaas_nb import errors
from tfaas_nb.errors import TfaasError
from tfaas_nb.serving import netron, prometheus
from tfaas_nb.serving.models import VERSION
from tfaas_nb.serving.openapi.media import (
    BINARY,
    NUMBERS,
    WORDS,
    Json,
    array,
    in_json,
    media,
    record,
    ref,
)
from tfaas_nb.serving.openapi.schemas import MODEL, TENSOR_METADATA, VERSIONS
from tfaas_nb.serving.predictions import ARROW
from tfaas_nb.wire import image, oip, protobuf
from tfaas_nb.wire.tfaas import JSON, NPY, PROTOBUF

#: Where the description is served.
ADDRESS = "/openapi.json"

_FORM, _HTML = "multipart/form-data", "text/html; charset=utf-8"
_GZIP, _TAR = "application/gzip", "application/x-tar"
_TFAAS, _STORE = "TFaaS: events", "TFaaS: models"
_OIP, _SERVING, _SELF, _NETRON = "Open Inference Protocol", "TensorFlow Serving", "server", "Netron"
TAGS = {
    _TFAAS: "Events in, scores out.",
    _STORE: "Models in and out, their versions and labels.",
    _OIP: "Version 2 over REST, with the extensions for binary tensors and the model repository.",
    _SERVING: "TensorFlow Serving's REST API.",
    _SELF: "What the server tells of itself.",
    _NETRON: "Graphs, drawn in the browser.",
}


@dataclass(frozen=True)
class Operation:
    """Description of a request and of its answers.

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
        Names in `HEADERS` of what the answer may have.
    options : tuple of str
        Names in `OPTIONS` of what the address may have after ``?``, or of request headers.
    errors : tuple of type
        What may be wrong besides `_ALWAYS`.
    description : str
        More of it.
    needs_body : bool
        Whether there must be a body.
    is_open : bool
        Whether it is answered without the token.
    is_download : bool
        Whether a client may ask for a part of the answer, or only if it has changed.
    redirects : bool
        Whether it may lead elsewhere.
    ending : mapping
        The schema of what it answers with 503 while the server ends, if that is no error.
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
    is_download: bool = False
    redirects: bool = False
    ending: Json = field(default_factory=dict)


_MODEL_ERRORS: tuple[type[TfaasError], ...] = (
    *(errors.FeatureError, errors.GraphError, errors.RepositoryError),
    *(errors.ModelNotFound, errors.MissingExtra),
)
_STORE_ERRORS: tuple[type[TfaasError], ...] = (
    *(errors.BundleError, errors.GraphError, errors.RepositoryError, errors.FeatureError),
    *(errors.MissingExtra, errors.TooLarge, errors.RepositoryFull),
)
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
    scores = in_json(ref("Scores"), [0.6046947])
    classes = {PROTOBUF: media(BINARY)}
    many = _messages("Predictions")
    told = {
        "json": Operation(
            _TFAAS,
            "Scores of one event, or of many",
            in_json(ref("Events"), "row", "records"),
            scores,
            description="The content type is not looked at.",
        ),
        "proto": Operation(
            _TFAAS,
            "Scores of one event, in protobuf",
            {PROTOBUF: media(BINARY)},
            classes,
            description=f"Sent: {_messages('Row')} Answered: {many}",
        ),
        "dataframe": Operation(
            _TFAAS,
            "Scores of many events, in protobuf",
            {PROTOBUF: media(BINARY)},
            classes,
            description=f"Sent: {_messages('DataFrame')} Answered: {many}",
        ),
        "npy": Operation(
            _TFAAS,
            "Scores of many events, in NumPy's format",
            {NPY: media(BINARY)},
            {NPY: media(BINARY)},
            description="One float32 field per feature; answered is float32 (events, outputs).",
        ),
        "arrow": Operation(
            _TFAAS,
            "Scores of many events, as an Arrow stream",
            {ARROW: media(BINARY)},
            {ARROW: media(BINARY)},
            description="One column per feature; answered is one per output.",
        ),
    }
    return {
        ("POST", f"{prefix}/{name}"): replace(operation, options=("model",), errors=_MODEL_ERRORS)
        for name, operation in told.items()
        for prefix in ("", "/predict")
    }


_UPLOAD = Operation(
    _STORE,
    "Store a model as a new version",
    {
        _FORM: {
            "schema": record(
                ("model",),
                name={"type": "string"},
                params={**BINARY, "description": "`params.json`."},
                model={**BINARY, "description": "A frozen graph, an ONNX or a `.keras` file."},
                labels={**BINARY, "description": "`labels.txt`."},
                card={**BINARY, "description": "`model_card.json`."},
                reference_events={**BINARY, "description": "`reference_events.json`."},
                features={
                    "type": "string",
                    "description": "Names of the model's features in its order, between commas.",
                },
                constants={
                    "type": "string",
                    "description": "Values of placeholders that are no inputs: `keep_prob=1,"
                    "phase=false`, or JSON.",
                },
                missing={"type": "string", "enum": ["nan", "none"]},
                data={**BINARY, "description": "The file of an ONNX model's weights."},
            )
        },
        "application/octet-stream": media(BINARY),
        _GZIP: media(BINARY),
    },
    _NOTHING,
    (VERSION,),
    ("name", "signature", "features", "constants", "missing", "encoding"),
    _STORE_ERRORS,
    "A form, or a model's folder as .tar, .tar.gz, .tar.bz2, .tar.xz or .zip (of folders of "
    "versions the highest is taken), or a model's file alone with its name in "
    "the address. It is stored once it was looked through, and answered events in a process of "
    "its own.",
)
_IMAGE = Operation(
    _TFAAS,
    "The likeliest labels of a picture",
    {
        _FORM: {
            "schema": record(
                ("image",),
                image={**BINARY, "description": " or ".join(image.FORMATS)},
                model={"type": "string"},
            )
        }
    },
    in_json(
        record(
            ("filename", "labels"),
            filename={"type": "string"},
            labels=array(
                record(
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
    JSON: media(ref("ModelName"), {"model": MODEL}),
    "application/x-www-form-urlencoded": media(ref("ModelName")),
}
_STATES = record(
    ("model_version_status", "name", "ready"),
    model_version_status=array(
        record(
            ("version", "state", "status"),
            version={"type": "string"},
            state={"type": "string"},
            status=record(error_code={"type": "string"}, error_message={"type": "string"}),
        )
    ),
    name={"type": "string"},
    ready={"type": "boolean", "description": "For KServe's clients: the latest can be asked."},
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
        {_GZIP: media(BINARY), _TAR: media(BINARY)},
        *_MODEL_ERRORS,
        headers=(VERSION, "ETag", "Accept-Ranges"),
        options=("if_none_match", "if_range", "range"),
        is_download=True,
    ),
    ("GET", "/models"): _get(
        _STORE, "All models", in_json(array(ref("Model"))), errors.RepositoryError
    ),
    ("GET", "/params/{name}"): _get(
        _STORE, "What is known of a model", in_json(ref("Model")), errors.RepositoryError
    ),
    ("POST", "/params"): Operation(
        _STORE,
        "What is known of a model",
        _NAMED_MODEL,
        in_json(ref("Model")),
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
        in_json(
            array(
                record(
                    ("version", "uploaded", "labels", "sha256"),
                    **VERSIONS,
                    labels=WORDS,
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
        in_json(record(("version",), version={"type": "integer", "minimum": 0}), {"version": 1}),
        in_json(record(("version",), version={"type": "integer"})),
        errors=(errors.RepositoryError, errors.BundleError),
        description="Without a body: on the latest one.",
        needs_body=False,
    ),
    ("DELETE", "/models/{name}/labels/{label}"): _get(
        _STORE, "Take a label away", _NOTHING, errors.RepositoryError, errors.BundleError
    ),
    ("GET", "/"): _get(
        _SELF,
        "A page for people, or the models for who accepts only JSON",
        {_HTML: media({"type": "string"})}
        | in_json(record(("server", "models"), server={"type": "string"}, models=WORDS)),
        errors.RepositoryError,
    ),
    ("GET", "/health"): _get(
        _SELF,
        "Whether to ask here: 503 once the server is to end",
        in_json(record(("status",), status={"const": "ok"}), {"status": "ok"}),
        is_open=True,
        ending=record(("status",), status={"const": "ending"}),
    ),
    ("GET", "/status"): _get(
        _SELF,
        "Counts, processor, memory and load",
        in_json(
            record(
                ("server", "uptime", "requests", "events", "models"),
                server={"type": "string"},
                uptime={"type": "number"},
                requests={"type": "integer"},
                events={"type": "integer"},
                models=WORDS,
            )
        ),
        errors.RepositoryError,
    ),
    ("GET", "/metrics"): _get(
        _SELF,
        "The same for Prometheus",
        {prometheus.TEXT: media({"type": "string"})},
        errors.RepositoryError,
        errors.MissingExtra,
    ),
    ("GET", ADDRESS): _get(_SELF, "This description", in_json(_ANY_JSON)),
    ("GET", "/v2"): _get(
        _OIP,
        "Name, version and extensions of the server",
        in_json(
            record(
                ("name", "version", "extensions"),
                name={"type": "string"},
                version={"type": "string"},
                extensions=WORDS,
            )
        ),
    ),
    ("GET", "/v2/health/live"): _get(
        _OIP,
        "Whether something answers",
        in_json(record(("live",), live={"type": "boolean"}), {"live": True}),
        is_open=True,
    ),
    ("GET", "/v2/health/ready"): _get(
        _OIP,
        "Whether models can be asked",
        in_json(record(("ready",), ready={"const": True}), {"ready": True}),
        ending=record(("ready",), ready={"const": False}),
    ),
    ("GET", _SERVED): _get(
        _OIP,
        "Inputs and outputs of a model",
        in_json(
            record(
                ("name", "versions", "platform", "inputs", "outputs"),
                name={"type": "string"},
                versions=WORDS,
                platform={"type": "string"},
                inputs=TENSOR_METADATA,
                outputs=TENSOR_METADATA,
            )
        ),
        *_MODEL_ERRORS,
    ),
    ("GET", f"{_SERVED}/ready"): _get(
        _OIP,
        "Whether a model can be asked",
        in_json(record(("name", "ready"), name={"type": "string"}, ready={"type": "boolean"})),
        *_MODEL_ERRORS,
    ),
    ("POST", f"{_SERVED}/infer"): Operation(
        _OIP,
        "Outputs of a model",
        in_json(ref("InferRequest"), "tensor") | {oip.BINARY: media(BINARY)},
        in_json(ref("InferAnswer")) | {oip.BINARY: media(BINARY)},
        (oip.JSON_LENGTH,),
        ("json_length",),
        _MODEL_ERRORS,
        "The parameter `keys`, which names the columns of a tensor, is our own addition.",
    ),
    ("POST", "/v2/repository/index"): Operation(
        _OIP,
        "All versions of all models",
        in_json(record(ready={"type": "boolean"}), {"ready": True}),
        in_json(
            array(
                record(
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
        in_json(record(parameters={"type": ["object", "null"]}), {}),
        in_json(_ANY_JSON),
        errors=_MODEL_ERRORS,
        needs_body=False,
    ),
    ("POST", f"{_LOADED}/unload"): Operation(
        _OIP,
        "Answer no more for a model until it is loaded",
        in_json(_ANY_JSON, {}),
        in_json(_ANY_JSON),
        errors=_MODEL_ERRORS,
        needs_body=False,
    ),
    ("GET", _TF): _get(
        _SERVING, "State of a model's versions", in_json(_STATES), errors.RepositoryError
    ),
    ("GET", f"{_TF}/metadata"): _get(
        _SERVING,
        "Signature of a model",
        in_json(record(("model_spec", "metadata"), model_spec=_ANY_JSON, metadata=_ANY_JSON)),
        *_MODEL_ERRORS,
    ),
    ("POST", f"{_TF}:predict"): Operation(
        _SERVING,
        "Outputs of a model",
        in_json(ref("Predict"), "instances", "inputs"),
        in_json(ref("Predicted")),
        errors=_MODEL_ERRORS,
    ),
    ("POST", f"{_TF}:classify"): Operation(
        _SERVING,
        "Labels and scores of events",
        in_json(ref("Examples"), "examples"),
        in_json(record(("results",), results=array({"type": "array"}))),
        errors=_MODEL_ERRORS,
    ),
    ("POST", f"{_TF}:regress"): Operation(
        _SERVING,
        "A number for each event",
        in_json(ref("Examples"), "examples"),
        in_json(record(("results",), results=NUMBERS)),
        errors=_MODEL_ERRORS,
    ),
    ("GET", "/netron/"): _get(
        _NETRON,
        "The page that draws graphs",
        {_HTML: media({"type": "string"})},
        errors.MissingExtra,
        options=("url", "identifier"),
        redirects=True,
    ),
    ("GET", "/netron/k/{key}/"): _get(
        _NETRON,
        "The page that draws graphs",
        {_HTML: media({"type": "string"})},
        errors.MissingExtra,
    ),
    ("GET", "/netron[/k/{key}]/{file}"): _get(
        _NETRON,
        "A file of that page",
        {kind: media(BINARY) for kind in netron.TYPES},
        errors.MissingExtra,
        errors.RouteNotFound,
    ),
    ("GET", "/netron[/k/{key}]/models/{name}/{version}/{file}"): _get(
        _NETRON,
        "A model's graph",
        {"application/octet-stream": media(BINARY)},
        *_MODEL_ERRORS,
    ),
}
