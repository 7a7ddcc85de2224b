"""Micro-batches: events that arrive in the same turn of the event loop share one call.

A call of a small model costs much the same for one event as for fifty.  Nothing waits for a
batch to fill: what is there when the loop comes round is computed, so a lone client's event
is answered as fast as without batches.  A model that turns out to be slow is called in a
thread; what arrives meanwhile makes up its next batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import ServerError, TfaasError
from tfaas_nb.serving.service import Model
from tfaas_nb.wire.tfaas import Event, Query

Floats = npt.NDArray[np.float32]

#: Takes the scores of one event, shape (outputs,), or the error that it met.
Deliver = Callable[[Floats | TfaasError], None]

#: A model whose calls take longer than this, several times running, is called in a thread.
_SLOW_SECONDS = 2e-3
_SLOW_CALLS = 3

#: Most events in one call.
_MOST_EVENTS = 256

_log = logging.getLogger("tfaas_nb")


@dataclass(eq=False)
class _Group:
    """Events for one model under one order of keys, and who waits for them."""

    model: Model
    events: list[Event] = field(default_factory=list)
    waiting: list[Deliver] = field(default_factory=list)


class Batcher:
    """Collects events and computes them together.

    Parameters
    ----------
    threads : concurrent.futures.Executor
        Where slow models are called.

    Notes
    -----
    All methods belong to the event loop's thread.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._groups: dict[tuple[Model, tuple[str, ...]], _Group] = {}
        self._slow_calls: WeakKeyDictionary[Model, int] = WeakKeyDictionary()
        self._busy: set[Model] = set()
        self._scheduled = False

    def add(self, model: Model, event: Event, deliver: Deliver) -> None:
        """Have an event scored; `deliver` is called once, soon."""
        key = (model, event.keys)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(model)
        elif len(group.events) >= _MOST_EVENTS:
            self._compute(group)
            group = self._groups[key] = _Group(model)
        group.events.append(event)
        group.waiting.append(deliver)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        ready = [key for key in self._groups if key[0] not in self._busy]
        for key in ready:
            self._compute(self._groups.pop(key))

    def _compute(self, group: _Group) -> None:
        if self._slow_calls.get(group.model, 0) >= _SLOW_CALLS:
            self._run_in_thread(group)
        else:
            results, seconds = _timed(group)
            self._learn(group.model, seconds)
            _deliver(group, results)

    def _learn(self, model: Model, seconds: float) -> None:
        """Remember slow calls in a row; a quick one brings the model back into the loop."""
        slow = self._slow_calls.get(model, 0)
        if seconds > _SLOW_SECONDS:
            self._slow_calls[model] = min(slow + 1, _SLOW_CALLS)
        elif slow:
            self._slow_calls[model] = 0

    def _run_in_thread(self, group: _Group) -> None:
        self._busy.add(group.model)
        future = asyncio.get_running_loop().run_in_executor(self._threads, _timed, group)

        def finished(done: asyncio.Future[Any]) -> None:
            self._busy.discard(group.model)
            if not done.cancelled():
                results, seconds = done.result()
                self._learn(group.model, seconds)
                _deliver(group, results)
            if self._groups:
                self._schedule()

        future.add_done_callback(finished)


def _timed(group: _Group) -> tuple[list[Floats | TfaasError], float]:
    """Results and seconds taken; whatever goes wrong, everybody who waits gets an answer."""
    start = time.perf_counter()
    results: list[Floats | TfaasError]
    try:
        results = _scores(group)
    except Exception:
        _log.exception("model %s failed", group.model.stored.name)
        failure = ServerError("the server failed on this request; see its log")
        results = [failure] * len(group.events)
    return results, time.perf_counter() - start


def _scores(group: _Group) -> list[Floats | TfaasError]:
    """The result of each event; when not all can be computed together, each by itself."""
    model, events = group.model, group.events
    values = together(events)
    if values is not None:
        try:
            return list(model.score(Query(None, events[0].keys, values, single=False)))
        except TfaasError as error:
            if len(events) == 1:
                return [error]
    return [_alone(model, event) for event in events]


def together(events: list[Event]) -> Floats | None:
    """Values of events with the same keys, float32 (events, keys); None if any is not finite."""
    with np.errstate(over="ignore"):
        try:
            values = np.array([event.values for event in events], dtype=np.float32)
        except OverflowError:
            return None
    return values if np.isfinite(values).all() else None


def _alone(model: Model, event: Event) -> Floats | TfaasError:
    try:
        scores: Floats = model.score(event.query())[0]
    except TfaasError as error:
        return error
    return scores


def _deliver(group: _Group, results: list[Floats | TfaasError]) -> None:
    for deliver, result in zip(group.waiting, results, strict=True):
        deliver(result)
