"""The addresses of TensorFlow Serving's REST API."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, RepositoryError, RequestError
from tfaas_nb.repository import Stored
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.serving.messages import Request, Response
from tfaas_nb.serving.routes import Route, reference, served
from tfaas_nb.serving.service import Service
from tfaas_nb.wire import tfserving
from tfaas_nb.wire.tfaas import Floats, Query

_MODEL = (
    r"/v1/models/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
)


class TensorFlowServing:
    """TensorFlow Serving's REST API over a service.

    Parameters
    ----------
    service : Service
        What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> tuple[Route, ...]:
        """All addresses of the API."""
        return (
            Route("GET", _MODEL, self._status),
            Route("GET", _MODEL + "/metadata", self._metadata),
            Route("POST", _MODEL + ":predict", self._predict),
            Route("POST", _MODEL + ":classify", self._classify),
            Route("POST", _MODEL + ":regress", self._regress),
        )

    def _status(
        self, request: Request, name: str, version: str | None, label: str | None
    ) -> Response:
        repository = self._service.repository
        if version is None and label is None:
            asked = reversed(repository.versions(name))
        else:
            asked = iter([repository.find(reference(name, version, label))])
        states = [self._state(stored) for stored in asked]
        # KServe's clients of version 1 ask the same address whether a model is ready.
        ready = {"name": name, "ready": states[0].state == tfserving.AVAILABLE}
        return Response(orjson.dumps(tfserving.model_status(states) | ready))

    def _state(self, stored: Stored) -> tfserving.Version:
        """State of a version; the files of one not in memory are compared with their hashes."""
        version, service = str(stored.version), self._service
        if service.repository.is_unloaded(stored.name):
            return tfserving.Version(version, "END")
        try:
            service.check(stored)
        except RepositoryError as error:
            return tfserving.Version(version, "END", "DATA_LOSS", str(error))
        return tfserving.Version(version)

    def _metadata(
        self, request: Request, name: str, version: str | None, label: str | None
    ) -> Response:
        model = served(self._service, name, version, label)
        signature = model.bundle.graph.signature
        ends = signature.inputs, signature.outputs
        number = str(model.stored.version)
        told = tfserving.model_metadata(name, number, *ends, _signature_name(model))
        return Response(orjson.dumps(told))

    def _predict(
        self, request: Request, name: str, version: str | None, label: str | None
    ) -> Response:
        model = served(self._service, name, version, label)
        with missing.passing(model.takes_missing):
            return _predicted(model, request, name)

    def _classify(
        self, request: Request, name: str, version: str | None, label: str | None
    ) -> Response:
        model, scores = self._examples(request, name, version, label)
        return Response(tfserving.encode_classification(scores, model.labels))

    def _regress(
        self, request: Request, name: str, version: str | None, label: str | None
    ) -> Response:
        _, scores = self._examples(request, name, version, label)
        return Response(tfserving.encode_regression(scores))

    def _examples(
        self, request: Request, name: str, version: str | None, label: str | None
    ) -> tuple[Model, Floats]:
        model = served(self._service, name, version, label)
        with missing.passing(model.takes_missing):
            asked = tfserving.decode_examples(request.body)
        _signed(model, asked.signature)
        query = Query(name, asked.keys, asked.values, False, asked.columns)
        return model, model.score(query)


def _predicted(model: Model, request: Request, name: str) -> Response:
    signature = model.bundle.graph.signature
    inputs = [tensor.name for tensor in signature.inputs]
    is_whole = len(inputs) > 1 and tfserving.is_nameless(request.body)
    if not signature.is_matrix and not (is_whole and signature.is_ordered):
        sent = tfserving.decode_tensors(request.body, inputs)
        if signature.is_named_by(sent.inputs, model.bundle.features or ()):
            outputs = _signed(model, sent.signature).run(sent.inputs)
            return Response(tfserving.encode_outputs(outputs, sent.row))
    asked = tfserving.decode_predict(request.body)
    _signed(model, asked.signature)
    if not asked.keys and asked.input not in (None, *inputs):
        names = ", ".join(map(repr, inputs))
        raise FeatureError(f"model {name!r} has no input {asked.input!r}: it has {names}")
    query = Query(name, asked.keys, asked.values, False, asked.columns)
    scores = model.score(query)
    return Response(tfserving.encode_outputs(signature.separated(scores), asked.row))


def _signed(model: Model, signature: str | None) -> Model:
    own = _signature_name(model)
    if signature not in (None, own, tfserving.SIGNATURE):
        raise RequestError(
            f"model {model.stored.name!r} has no signature {signature!r}: it has {own!r}"
        )
    return model


def _signature_name(model: Model) -> str:
    """Name of the signature in the SavedModel that the model was converted from."""
    origin = model.bundle.card.get("converted_from")
    name = origin.get("signature") if isinstance(origin, Mapping) else None
    return name if isinstance(name, str) and name else tfserving.SIGNATURE
