"""The addresses that answer events in TFaaS's dialect and its additions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tfaas_nb.errors import TfaasError
from tfaas_nb.serving.batching import Batcher
from tfaas_nb.serving.http import Call
from tfaas_nb.serving.messages import Done, Request, Response
from tfaas_nb.serving.routes import MOST_BYTES
from tfaas_nb.serving.service import Model, Service
from tfaas_nb.serving.work import Work
from tfaas_nb.wire import arrow, tfaas
from tfaas_nb.wire.tfaas import NPY, PROTOBUF, Event, Query

#: Larger bodies are decoded and computed in a thread, so that single events are not held up.
INLINE_BYTES = 32 * 1024

#: Content type of an Arrow IPC stream.
ARROW = "application/vnd.apache.arrow.stream"

_Read = Callable[[bytes], Event | Query]
_Encode = Callable[[Any, bool, Model], Response]


class Predictions:
    """Events in, scores out.

    Parameters
    ----------
    service : Service
        What answers.
    work : Work
        Where large requests are worked on.
    """

    def __init__(self, service: Service, work: Work) -> None:
        self._service = service
        self._work = work
        self._batches = Batcher(work.threads)

    def calls(self) -> dict[str, Call]:
        """Path → what answers its POSTs; TFaaS's longer paths are second names."""
        dialects: dict[str, tuple[_Read, _Encode]] = {
            "json": (tfaas.read_json, _json_scores),
            "proto": (tfaas.read_row, _predictions),
            "dataframe": (tfaas.decode_dataframe, _predictions),
            "npy": (functools.partial(tfaas.decode_npy, model=None), _npy_scores),
            "arrow": (_read_arrow, _arrow_scores),
        }
        return {
            path: Call(MOST_BYTES, functools.partial(self._predict, read, encode))
            for name, (read, encode) in dialects.items()
            for path in (f"/{name}", f"/predict/{name}")
        }

    def _predict(self, read: _Read, encode: _Encode, request: Request, done: Done) -> None:
        """A lone event joins the next batch; what may take longer is worked on in a thread."""
        if len(request.body) > INLINE_BYTES:
            self._work.in_thread(
                functools.partial(self._read_and_score, read, encode), request, done
            )
            return
        try:
            found = read(request.body)
            model = self._service.loaded(found.model or _asked(request))
            if model is None or not isinstance(found, Event):
                self._work.in_thread(functools.partial(self._score, found, encode), request, done)
                return
            deliver = functools.partial(self._deliver, encode, model, request, done)
            self._batches.add(model, found, deliver)
        except Exception as error:
            done(self._work.failed(request, error))

    def _deliver(
        self,
        encode: _Encode,
        model: Model,
        request: Request,
        done: Done,
        result: Any,
    ) -> None:
        if isinstance(result, TfaasError):
            response = self._work.refuse(result)
        else:
            try:
                response = encode(result[None], True, model)
            except Exception as error:  # it must not cost the others of the batch their answers
                response = self._work.failed(request, error)
        done(response)

    def _read_and_score(self, read: _Read, encode: _Encode, request: Request) -> Response:
        return self._score(read(request.body), encode, request)

    def _score(self, found: Event | Query, encode: _Encode, request: Request) -> Response:
        query = found.query() if isinstance(found, Event) else found
        model = self._service.model(query.model or _asked(request))
        return encode(model.score(query), query.single, model)


def _asked(request: Request) -> str | None:
    """The model that the address names."""
    return request.head.option("model") if request.head.query else None


def _json_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_scores_json(scores, single))


def _predictions(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_predictions(scores, model.labels), PROTOBUF)


def _read_arrow(body: bytes) -> Query:
    return Query(None, *arrow.decode(body), single=False)


def _arrow_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(arrow.encode_scores(scores, model.labels), ARROW)


def _npy_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_scores_npy(scores), NPY)
