"""The addresses of the Open Inference Protocol v2, as KServe's and Triton's clients ask them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, RequestError
from tfaas_nb.graph import INPUT_NODE
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.serving.messages import ENDING, Request, Response
from tfaas_nb.serving.routes import Route, served
from tfaas_nb.serving.service import Service
from tfaas_nb.signature import Array
from tfaas_nb.wire import oip
from tfaas_nb.wire.tfaas import Query

#: Liveness is the one thing that is told without a token.
LIVE = "/v2/health/live"

_UNAVAILABLE = 503
#: Of a number of bytes.
_MOST_DIGITS = 18

_MODEL = r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"
_STORED = r"/v2/repository/models/(?P<name>[^/]+)"


class OpenInference:
    """Open Inference Protocol over a service.

    Parameters
    ----------
    service : Service
        What answers.
    version : str
        The server's version.
    ready : callable
        Whether requests should be sent here.
    """

    def __init__(self, service: Service, version: str, ready: Callable[[], bool]) -> None:
        self._service, self._version, self._is_ready = service, version, ready

    def routes(self) -> tuple[Route, ...]:
        """All addresses of the protocol and of its model repository extension."""
        return (
            Route("GET", r"/v2", self._server),
            Route("GET", LIVE, self._live),
            Route("GET", r"/v2/health/ready", self._ready),
            Route("GET", _MODEL, self._model),
            Route("GET", _MODEL + "/ready", self._model_ready),
            Route("POST", _MODEL + "/infer", self._infer),
            Route("POST", r"/v2/repository/index", self._index),
            Route("POST", _STORED + "/load", self._load),
            Route("POST", _STORED + "/unload", self._unload),
        )

    def _server(self, request: Request) -> Response:
        return _json(oip.server_metadata(self._version))

    def _live(self, request: Request) -> Response:
        return _json({"live": True})

    def _ready(self, request: Request) -> Response:
        ready = self._is_ready()
        told = _json({"ready": ready})
        return told if ready else told._replace(status=_UNAVAILABLE, headers=ENDING)

    def _model(self, request: Request, name: str, version: str | None) -> Response:
        model = served(self._service, name, version)
        graph = model.bundle.graph
        ends = graph.signature.inputs, graph.signature.outputs
        versions = [str(number) for number in self._service.repository.numbers(name)]
        return _json(oip.model_metadata(name, versions, graph.platform, *ends))

    def _model_ready(self, request: Request, name: str, version: str | None) -> Response:
        served(self._service, name, version)
        return _json({"name": name, "ready": True})

    def _index(self, request: Request) -> Response:
        asked = oip.decode_repository(request.body)
        entries = [entry for model in self._service.models() for entry in self._entries(model)]
        ready = oip.wants_ready(asked) or request.head.option("ready") == "true"
        return _json(oip.index(e for e in entries if e.state == oip.READY or not ready))

    def _entries(self, model: Mapping[str, Any]) -> list[oip.Entry]:
        """Every version of a model, the latest last."""
        name, reason = model["name"], "unloaded" if "unloaded" in model else ""
        found = []
        for version in self._service.versions(name):
            error = reason or version.get("error", "")
            state = oip.UNAVAILABLE if error else oip.READY
            found.append(oip.Entry(name, str(version["version"]), state, error))
        return found

    def _load(self, request: Request, name: str) -> Response:
        oip.check_load(oip.decode_repository(request.body))
        self._service.load(name)
        return _json({})

    def _unload(self, request: Request, name: str) -> Response:
        oip.decode_repository(request.body)
        self._service.unload(name)
        return _json({})

    def _infer(self, request: Request, name: str, version: str | None) -> Response:
        length = _json_length(request)
        model = served(self._service, name, version)
        with missing.passing(model.takes_missing):
            asked, outputs = _asked(model, request, length)
        body, length = oip.encode_outputs(asked, name, str(model.stored.version), outputs)
        if length is None:
            return Response(body)
        return Response(body, oip.BINARY, headers=((oip.JSON_LENGTH, str(length)),))


def _asked(
    model: Model, request: Request, length: int | None
) -> tuple[oip.Infer | oip.Tensors, Mapping[str, Array]]:
    """A request for inference, and the outputs for it."""
    if _names_inputs(model, request.body, length):
        tensors = oip.decode_tensors(request.body, length)
        return tensors, model.run(tensors.inputs)
    infer = oip.decode_infer(request.body, length)
    return infer, _scores(model, infer)


def _names_inputs(model: Model, body: bytes, length: int | None) -> bool:
    """Return True if a request names the input tensors of a model that is more than a matrix.

    Such a model may still be asked by features, one tensor for each.
    """
    signature = model.bundle.graph.signature
    if signature.is_matrix:
        return False
    return signature.is_named_by(oip.tensor_names(body, length), model.bundle.features or ())


def _scores(model: Model, asked: oip.Infer) -> dict[str, Array]:
    """Outputs of the flat view, in their own shapes.

    All inputs of a model side by side, in its order, are one tensor called ``input``.
    """
    signature = model.bundle.graph.signature
    inputs = tuple(tensor.name for tensor in signature.inputs)
    is_whole = len(inputs) > 1 and asked.inputs == (INPUT_NODE,)
    if not asked.keys and asked.inputs != inputs and not is_whole:
        raise FeatureError(
            f"model {model.stored.name!r} has no input {asked.inputs[0]!r}: send "
            f"{'one tensor' if len(inputs) == 1 else 'the tensors'} "
            f"{', '.join(map(repr, inputs))}, or one tensor per feature"
        )
    query = Query(model.stored.name, asked.keys, asked.values, False, asked.columns)
    scores = model.score(query)
    return signature.separated(scores)


def _json(answer: Mapping[str, Any] | list[Any]) -> Response:
    return Response(orjson.dumps(answer))


def _json_length(request: Request) -> int | None:
    given = request.head.header(oip.JSON_LENGTH.lower().encode())
    if not given:
        return None
    if not given.isdecimal() or len(given) > _MOST_DIGITS:
        raise RequestError(f"the header {oip.JSON_LENGTH} must be a number, not {given[:100]!r}")
    return int(given)
