"""The addresses that answer events in TFaaS's dialect and its additions."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, TfaasError
from tfaas_nb.repository import LOOK_SECONDS
from tfaas_nb.serving.batching import Batcher, Encode
from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.serving.messages import Done, Request, Response
from tfaas_nb.serving.routes import MOST_BYTES
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import BULK_BYTES, Share
from tfaas_nb.serving.work import Work
from tfaas_nb.wire import arrow, tfaas
from tfaas_nb.wire.tfaas import NPY, PROTOBUF, Event, Query

#: Content type of an Arrow IPC stream.
ARROW = "application/vnd.apache.arrow.stream"


#: While events are held for each other, what other processes did is noticed so late at most.
_HELD_LOOK_SECONDS = 0.1


class Dialect(NamedTuple):
    """Dialect of predictions: functions that read requests and write answers.

    Attributes
    ----------
    read : callable
        The event or events in a body.
    write : callable
        One answer from scores of shape (events, outputs), whether they are those of an event
        that was sent as such, and the model.
    write_each : callable
        The answers to single events from their scores of shape (events, outputs) and the model;
        None where events are never sent alone.
    """

    read: Callable[[bytes], Event | Query]
    write: Callable[[Any, bool, Model], Response]
    write_each: Encode | None = None


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
        self._batches = Batcher(work.threads[Share.QUICK], work.threads[Share.LOOPS])
        self._looked = 0.0

    def calls(self) -> dict[str, Call]:
        """Path → what answers its POSTs; TFaaS's longer paths are second names."""
        return {
            path: Call(MOST_BYTES, functools.partial(self._predict, dialect))
            for name, dialect in _dialects().items()
            for path in (f"/{name}", f"/predict/{name}")
        }

    def hold(self, more_to_come: bool) -> None:
        """Score events together that come until it is called with False."""
        if more_to_come:
            # To look at the disk is to let others have the interpreter, who keep it for long.
            self._look(_HELD_LOOK_SECONDS)
        self._batches.hold(more_to_come)

    def _look(self, seconds: float) -> None:
        """Notice what other processes changed, unless that was looked for just now."""
        now = time.monotonic()
        if now - self._looked >= seconds:
            self._looked = now
            self._service.look()

    def _predict(self, dialect: Dialect, request: Request, done: Done) -> None:
        """A lone event joins the next batch; what may take longer is worked on in a thread."""
        if len(request.body) > BULK_BYTES:
            answer = functools.partial(self._read_and_score, dialect)
            self._work.in_thread(answer, request, done)
            return
        try:
            if not self._batches.is_begun:
                self._look(LOOK_SECONDS)
            found = self._read(dialect, request)
            if found is None:
                self._work.in_thread(
                    functools.partial(self._read_and_score, dialect), request, done
                )
                return
            model = self._service.loaded(found.model or _asked(request))
            if model is None or dialect.write_each is None or not isinstance(found, Event):
                share = Share.LOOPS if model and model.has_loops else Share.QUICK
                answer = functools.partial(self._score, dialect, found)
                self._work.in_thread(answer, request, done, share)
            else:
                finish = functools.partial(self._finish, done)
                self._batches.add(model, found, dialect.write_each, finish)
        except Exception as error:
            done(self._work.failed(request, error))

    def _finish(self, done: Done, result: Response | TfaasError) -> None:
        done(self._work.refuse(result) if isinstance(result, TfaasError) else result)

    def _read_and_score(self, dialect: Dialect, request: Request) -> Response:
        try:
            found = dialect.read(request.body)
        except FeatureError:
            found = self._read_missing(dialect, request)
            if not self._service.model(found.model or _asked(request)).takes_missing:
                raise
        return self._score(dialect, found, request)

    def _read(self, dialect: Dialect, request: Request) -> Event | Query | None:
        """The events of a request; None if they lack values, which some models take."""
        try:
            return dialect.read(request.body)
        except FeatureError as error:
            try:
                self._read_missing(dialect, request)
            except TfaasError:
                raise error from None
            return None

    def _read_missing(self, dialect: Dialect, request: Request) -> Event | Query:
        with missing.passing():
            return dialect.read(request.body)

    def _score(self, dialect: Dialect, found: Event | Query, request: Request) -> Response:
        try:
            query = found.query() if isinstance(found, Event) else found
            model = self._service.model(query.model or _asked(request))
        except FeatureError:
            model = self._service.model(found.model or _asked(request))
            if not (model.takes_missing and isinstance(found, Event)):
                raise
            with missing.passing():
                query = found.query()
        return dialect.write(model.score(query), query.single, model)


def _asked(request: Request) -> str | None:
    """The model that the address names."""
    if not request.head.query:
        return None
    request.head.check_options("model")
    return request.head.option("model")


def _dialects() -> dict[str, Dialect]:
    read_npy = functools.partial(tfaas.decode_npy, model=None)
    return {
        "json": Dialect(tfaas.read_json, _json_scores, _each_json),
        "proto": Dialect(tfaas.RowReader(), _predictions, _each_predictions),
        "dataframe": Dialect(tfaas.decode_dataframe, _predictions),
        "npy": Dialect(read_npy, _npy_scores),
        "arrow": Dialect(arrow.read, _arrow_scores),
    }


def _json_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_scores_json(scores, single))


def _each_json(scores: Any, model: Model) -> list[Response]:
    return [Response(answer) for answer in tfaas.encode_each_json(scores)]


def _predictions(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_predictions(scores, model.labels), PROTOBUF)


def _each_predictions(scores: Any, model: Model) -> list[Response]:
    answers = tfaas.encode_each_predictions(scores, model.labels)
    return [Response(answer, PROTOBUF) for answer in answers]


def _arrow_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(arrow.encode_scores(scores, model.labels), ARROW)


def _npy_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_scores_npy(scores), NPY)
