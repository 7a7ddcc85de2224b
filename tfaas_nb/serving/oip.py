"""The addresses of the Open Inference Protocol v2, as KServe's and Triton's clients ask them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tfaas_nb.errors import FeatureError, RequestError
from tfaas_nb.serving.messages import Request, Response
from tfaas_nb.serving.routes import Route, served
from tfaas_nb.serving.service import Model, Service
from tfaas_nb.signature import Array
from tfaas_nb.wire import oip
from tfaas_nb.wire.tfaas import Query

#: Liveness is the one thing that is told without a token.
LIVE = "/v2/health/live"

_MODEL = r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"


class OpenInference:
    """Open Inference Protocol over a service.

    Parameters
    ----------
    service : Service
        What answers.
    version : str
        The server's version.
    """

    def __init__(self, service: Service, version: str) -> None:
        self._service, self._version = service, version

    def routes(self) -> tuple[Route, ...]:
        """All addresses of the protocol that a server with one engine per model has."""
        return (
            Route("GET", r"/v2", self._server),
            Route("GET", LIVE, self._live),
            Route("GET", r"/v2/health/ready", self._ready),
            Route("GET", _MODEL, self._model),
            Route("GET", _MODEL + "/ready", self._model_ready),
            Route("POST", _MODEL + "/infer", self._infer),
            Route("POST", r"/v2/repository/index", self._index),
        )

    def _server(self, request: Request) -> Response:
        return _json(oip.server_metadata(self._version, extensions=("binary_tensor_data",)))

    def _live(self, request: Request) -> Response:
        return _json({"live": True})

    def _ready(self, request: Request) -> Response:
        return _json({"ready": True})

    def _model(self, request: Request, name: str, version: str | None) -> Response:
        model = served(self._service, name, version)
        graph = model.bundle.graph
        ends = graph.signature.inputs, graph.signature.outputs
        versions = [str(model.stored.version)]
        return _json(oip.model_metadata(name, versions, graph.platform, *ends))

    def _model_ready(self, request: Request, name: str, version: str | None) -> Response:
        served(self._service, name, version)
        return _json({"name": name, "ready": True})

    def _index(self, request: Request) -> Response:
        entries = [
            oip.Entry(
                model["name"],
                str(model["version"]),
                "UNAVAILABLE" if "error" in model else "READY",
                model.get("error", ""),
            )
            for model in self._service.models()
        ]
        return _json(oip.index(entries))

    def _infer(self, request: Request, name: str, version: str | None) -> Response:
        length = _json_length(request)
        model = served(self._service, name, version)
        asked: oip.Infer | oip.Tensors
        if _names_inputs(model, request.body, length):
            asked = oip.decode_tensors(request.body, length)
            outputs = model.engine.run(asked.inputs)
        else:
            asked = oip.decode_infer(request.body, length)
            outputs = _scores(model, asked)
        body, length = oip.encode_outputs(asked, name, str(model.stored.version), outputs)
        if length is None:
            return Response(body)
        return Response(body, oip.BINARY, headers=((oip.JSON_LENGTH, str(length)),))


def _names_inputs(model: Model, body: bytes, length: int | None) -> bool:
    """Whether a request sends tensors as they are: to a model that is more than a matrix.

    Such a model may still be asked by features, one tensor for each.
    """
    signature = model.bundle.graph.signature
    if signature.is_matrix:
        return False
    return signature.is_named_by(oip.tensor_names(body, length), model.bundle.features or ())


def _scores(model: Model, asked: oip.Infer) -> dict[str, Array]:
    """Outputs of the flat view, in their own shapes."""
    signature = model.bundle.graph.signature
    inputs = tuple(tensor.name for tensor in signature.inputs)
    if not asked.keys and asked.inputs != inputs:
        raise FeatureError(
            f"model {model.stored.name!r} has no input {asked.inputs[0]!r}: send "
            f"{'one tensor' if len(inputs) == 1 else 'the tensors'} "
            f"{', '.join(map(repr, inputs))}, or one tensor per feature"
        )
    scores = model.score(Query(model.stored.name, asked.keys, asked.values, single=False))
    return signature.separated(scores)


def _json(answer: Mapping[str, Any] | list[Any]) -> Response:
    return Response(orjson.dumps(answer))


def _json_length(request: Request) -> int | None:
    given = request.head.header(oip.JSON_LENGTH.lower().encode())
    if not given:
        return None
    if not given.isdecimal():
        raise RequestError(f"the header {oip.JSON_LENGTH} must be a number, not {given!r}")
    return int(given)
