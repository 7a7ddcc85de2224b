"""Micro-batches: events that arrive in the same turn of the event loop share one call.

A call of a small model costs much the same for one event as for fifty.  Nothing waits for a
batch to fill: what is there when the loop comes round is computed, so a lone client's event
is answered as fast as without batches.  A model that turns out to be slow is called in a
thread; what arrives meanwhile makes up its next batch.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from tfaas_nb import missing
from tfaas_nb.errors import Overloaded, ServerError, TfaasError
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.wire.finite import all_finite
from tfaas_nb.wire.tfaas import Event, Query, columns_of

Floats = npt.NDArray[np.float32]

#: The answers to events, one each, from their scores of shape (events, outputs).
Encode = Callable[[Floats, Model], Sequence[Any]]

#: Takes the answer to one event, or the error that it met.
Deliver = Callable[[Any], None]

#: A model whose calls take longer than this, several times running, is called in a thread.
_SLOW_SECONDS = 2e-3
_SLOW_CALLS = 3

#: A call that has to fight for the interpreter's lock may wait for so many switch intervals.
_WAITING_INTERVALS = 4

#: Most events in one call.
_MOST_EVENTS = 256

#: Events that wait for their answers; further ones are refused.  Quick models let none wait.
MOST_WAITING = 16_384

_log = logging.getLogger("tfaas_nb")


@dataclass(eq=False)
class _Group:
    """Events for one model under one order of keys, and who waits for them in which dialect."""

    model: Model
    encode: Encode
    events: list[Event] = field(default_factory=list)
    waiting: list[Deliver] = field(default_factory=list)


class Batcher:
    """Collects events and computes them together.

    Parameters
    ----------
    threads : concurrent.futures.Executor
        Where slow models are called.
    loop_threads : concurrent.futures.Executor, optional
        Where models are called that may never end; by default `threads`.

    Notes
    -----
    All methods belong to the event loop's thread.
    """

    def __init__(self, threads: Executor, loop_threads: Executor | None = None) -> None:
        self._threads, self._loop_threads = threads, loop_threads or threads
        self._groups: dict[tuple[Model, int, Encode], _Group] = {}
        self._slow_calls: WeakKeyDictionary[Model, int] = WeakKeyDictionary()
        self._busy: set[Model] = set()
        # Events without their answers; those of models with loops may wait for ever.
        self._waiting = {False: 0, True: 0}
        self._scheduled = False
        self._held = False
        self._crowded = False  # whether events waited for each other in the last turn

    @property
    def is_begun(self) -> bool:
        """True if events of this turn of the event loop may wait here already."""
        return self._scheduled or self._held

    def add(self, model: Model, event: Event, encode: Encode, deliver: Deliver) -> None:
        """Have an event scored; `deliver` is called once, soon, with its answer or its error."""
        if self._waiting[model.has_loops] >= MOST_WAITING:
            deliver(Overloaded("too many events wait for their scores; try again soon"))
            return
        self._waiting[model.has_loops] += 1
        # Not the keys themselves: to hash and compare dozens of strings costs as much as to
        # score them.  The events of the group keep the tuple alive, so its id is its own.
        key = (model, id(event.keys), encode)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(model, encode)
        elif len(group.events) >= _MOST_EVENTS:
            self._compute(group)
            group = self._groups[key] = _Group(model, encode)
        group.events.append(event)
        group.waiting.append(deliver)
        if self._is_alone(model):
            self._compute(self._groups.pop(key))
        self._schedule()

    def hold(self, more_to_come: bool) -> None:
        """Have events wait for each other until it is called with False."""
        if not more_to_come:
            self._compute_all()
        self._held = more_to_come

    def _is_alone(self, model: Model) -> bool:
        """Return True if an event is to be computed at once: the first after a quiet turn.

        It costs a crowd no more than one small call a turn, and spares a lone client the way
        round the loop.
        """
        waits = self._held or self._scheduled or self._crowded
        return not (waits or self._is_slow(model))

    def _schedule(self) -> None:
        if not (self._scheduled or self._held):
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        self._compute_all()

    def _compute_all(self) -> None:
        ready = [key for key in self._groups if key[0] not in self._busy]
        groups = [self._groups.pop(key) for key in ready]
        self._crowded = sum(len(group.events) for group in groups) > 1
        for group in groups:
            self._compute(group)

    def _is_slow(self, model: Model) -> bool:
        # One event may keep a loop going for ever, and nobody else would be answered.
        return model.has_loops or self._slow_calls.get(model, 0) >= _SLOW_CALLS

    def _compute(self, group: _Group) -> None:
        if self._is_slow(group.model):
            self._run_in_thread(group)
        else:
            results, seconds = _timed(group)
            self._learn(group.model, seconds)
            self._deliver(group, results)

    def _deliver(self, group: _Group, results: Sequence[Any]) -> None:
        self._waiting[group.model.has_loops] -= len(group.events)
        for deliver, result in zip(group.waiting, results, strict=True):
            deliver(result)

    def _learn(self, model: Model, seconds: float) -> None:
        """Remember slow calls in a row; a quick one brings the model back into the loop."""
        slow = self._slow_calls.get(model, 0)
        # Events are held while others fight for the interpreter, whose lock a call gives away.
        waiting = _WAITING_INTERVALS * sys.getswitchinterval() if self._held else 0.0
        if seconds > _SLOW_SECONDS + waiting:
            self._slow_calls[model] = min(slow + 1, _SLOW_CALLS)
        elif slow:
            self._slow_calls[model] = 0

    def _run_in_thread(self, group: _Group) -> None:
        self._busy.add(group.model)
        threads = self._loop_threads if group.model.has_loops else self._threads
        future = asyncio.get_running_loop().run_in_executor(threads, _timed, group)

        def finished(done: asyncio.Future[Any]) -> None:
            self._busy.discard(group.model)
            if not done.cancelled():
                results, seconds = done.result()
                self._learn(group.model, seconds)
                self._deliver(group, results)
            if self._groups:
                self._schedule()

        future.add_done_callback(finished)


def _timed(group: _Group) -> tuple[Sequence[Any], float]:
    """Answers and seconds taken; whatever goes wrong, everybody who waits gets an answer."""
    start = time.perf_counter()
    results: Sequence[Any]
    try:
        results = _answers(group)
    except Exception:
        _log.exception("model %s failed", group.model.stored.name)
        failure = ServerError("the server failed on this request; see its log")
        results = [failure] * len(group.events)
    return results, time.perf_counter() - start


def _answers(group: _Group) -> Sequence[Any]:
    """The answer to each event; when not all can be computed together, each by itself."""
    model, events = group.model, group.events
    if not model.takes_missing:
        return _answers_together(group, together(events))
    with missing.passing():
        return _answers_together(group, together(events))


def _answers_together(group: _Group, values: Floats | None) -> Sequence[Any]:
    model, events = group.model, group.events
    if values is not None:
        try:
            exact = None if model.takes_floats else columns_of(events)
            query = Query(None, events[0].keys, values, False, exact)
            scores = model.score(query)
            return group.encode(scores, model)
        except TfaasError as error:
            if len(events) == 1:
                return [error]
    return [_alone(group, event) for event in events]


def together(events: list[Event]) -> Floats | None:
    """Values of events with the same keys, float32 (events, keys); None if any is not finite.

    Missing values may be among them where these pass.
    """
    joined = b"".join([event.values for event in events])
    values: Floats = np.frombuffer(joined, "<f4").reshape(len(events), -1)
    return values if all_finite(values) or missing.may_pass(values) else None


def _alone(group: _Group, event: Event) -> Any:
    try:
        return group.encode(group.model.score(event.query()), group.model)[0]
    except TfaasError as error:
        return error
