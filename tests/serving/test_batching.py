"""Micro-batches with a real model, and with models that are slow or fail."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import FeatureError, GraphError, Overloaded, ServerError
from tfaas_nb.repository import Stored
from tfaas_nb.serving import batching
from tfaas_nb.serving.batching import Batcher
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.wire.tfaas import Event


class Counting:
    """An engine that counts its calls and how many events each had."""

    def __init__(self, engine: FrozenEngine, seconds: float = 0.0) -> None:
        self._engine, self._seconds = engine, seconds
        self.calls: list[int] = []
        self.fails_at: float | None = None
        self.breaks_at: float | None = None

    def __call__(self, X: Any) -> Any:
        self.calls.append(len(X))
        time.sleep(self._seconds)
        if self.breaks_at is not None and (np.float32(self.breaks_at) == X).any():
            raise ZeroDivisionError
        if self.fails_at is not None and (np.float32(self.fails_at) == X).any():
            raise GraphError("the graph failed")
        return self._engine(X)

    def close(self) -> None:
        self._engine.close()


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def model_of(bundle: Bundle, engine: Counting) -> Model:
    return Model(Stored(0, "ttbar", 1, Path("nowhere")), bundle, engine)


def event(values: Any, names: tuple[str, ...]) -> Event:
    return Event("ttbar", names, np.asarray(values, "<f4").tobytes())


def changed(asked: Event, at: int, value: float) -> Event:
    """The event with another value."""
    values = np.frombuffer(asked.values, "<f4").copy()
    with np.errstate(over="ignore"):
        values[at] = value
    return asked._replace(values=values.tobytes())


def each(scores: Any, model: Model) -> list[Any]:
    """Answers that are the scores themselves."""
    return list(scores)


def ask(
    threads: ThreadPoolExecutor, model: Model, turns: list[list[Event]], pause: float = 0.0
) -> list[Any]:
    """The result of every event; the events of a turn are added at once."""

    async def whole() -> list[Any]:
        batcher = Batcher(threads)
        waiting: list[asyncio.Future[Any]] = []
        for turn in turns:
            for asked in turn:
                waiting.append(asyncio.get_running_loop().create_future())
                batcher.add(model, asked, each, waiting[-1].set_result)
            await asyncio.sleep(pause)
        return await asyncio.gather(*waiting)

    return asyncio.run(whole())


def test_events_of_a_turn_share_a_call(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset
) -> None:
    engine = Counting(FrozenEngine(bundle.graph))
    names = events.features.names
    turns = [[event(events.X[i], names) for i in range(30)], [event(events.X[30], names)]]
    found = ask(threads, model_of(bundle, engine), turns)
    assert engine.calls == [1, 29, 1]  # the first after a quiet turn does not wait for others
    expected = FrozenEngine(bundle.graph)(events.X[:31])
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-6)


@pytest.mark.slow
def test_a_crowd_shares_its_calls_turn_after_turn(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset
) -> None:
    turn = [event(events.X[i], events.features.names) for i in range(20)]
    one = turn[:1]
    found = []
    for _ in range(5):  # a busy machine may let two turns be one
        engine = Counting(FrozenEngine(bundle.graph))
        ask(threads, model_of(bundle, engine), [turn, turn, turn, one, one, turn])
        found.append(engine.calls)
    assert [1, 19, 20, 20, 1, 1, 1, 19] in found


def test_a_call_has_a_largest_size(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset
) -> None:
    engine = Counting(FrozenEngine(bundle.graph))
    turn = [event(events.X[i], events.features.names) for i in range(600)]
    assert len(ask(threads, model_of(bundle, engine), [turn])) == 600
    assert engine.calls == [1, 256, 256, 87]


def test_one_event_in_error_does_not_spoil_the_others(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset
) -> None:
    engine = Counting(FrozenEngine(bundle.graph))
    engine.fails_at = 13.0
    names = events.features.names
    turn = [event(events.X[i], names) for i in range(4)]
    turn[1] = changed(turn[1], 2, 1e39)
    turn[2] = changed(turn[2], 2, 13.0)
    good, large, failed, last = ask(threads, model_of(bundle, engine), [turn])
    assert isinstance(large, FeatureError)
    assert isinstance(failed, GraphError)
    expected = FrozenEngine(bundle.graph)(events.X[[0, 3]])
    np.testing.assert_allclose(np.stack([good, last]), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.005], ids=["in the loop", "in a thread"])
def test_whoever_waits_is_answered_whatever_goes_wrong(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset, seconds: float
) -> None:
    engine = Counting(FrozenEngine(bundle.graph), seconds)
    engine.breaks_at = 13.0
    names = events.features.names
    good, bad = ([event(events.X[i], names)] * 2 for i in range(2))
    bad = [changed(bad[0], 2, 13.0)] * 2
    found = ask(threads, model_of(bundle, engine), [good, good, good, bad, good], pause=0.1)
    assert [isinstance(result, ServerError) for result in found] == [False] * 6 + [True] * 2 + [
        False
    ] * 2


@pytest.mark.slow
def test_a_slow_model_leaves_the_loop_free(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset
) -> None:
    """After three slow calls in the loop, what arrives during a call makes up the next one."""
    engine = Counting(FrozenEngine(bundle.graph), seconds=0.05)
    one = [event(events.X[0], events.features.names)]
    found = ask(threads, model_of(bundle, engine), [one] * 3 + [one] * 20, pause=0.001)
    assert len(found) == 23
    assert engine.calls[:3] == [1, 1, 1]
    assert len(engine.calls) < 10
    assert sum(engine.calls) == 23


@pytest.mark.slow
def test_a_model_is_not_slow_because_others_hold_the_interpreter(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset
) -> None:
    """While events are held that is why calls take long; a model slower than that is slow."""
    one = event(events.X[0], events.features.names)

    async def slow_after(seconds: float) -> bool:
        model = model_of(bundle, Counting(FrozenEngine(bundle.graph), seconds))
        batcher = Batcher(threads)
        for _ in range(4):
            answered = asyncio.get_running_loop().create_future()
            batcher.hold(True)
            batcher.add(model, one, each, answered.set_result)
            assert not answered.done()
            batcher.hold(False)
            await answered
        return batcher._is_slow(model)

    assert not asyncio.run(slow_after(0.005))
    assert asyncio.run(slow_after(0.05))


@pytest.mark.slow
def test_more_events_than_may_wait_are_told_to_come_again(
    threads: ThreadPoolExecutor,
    bundle: Bundle,
    events: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Score the events before them, and those that come when these are done."""
    monkeypatch.setattr(batching, "MOST_WAITING", 10)
    engine = Counting(FrozenEngine(bundle.graph), seconds=0.01)
    one = [event(events.X[0], events.features.names)]
    found = ask(threads, model_of(bundle, engine), [one] * 3 + [one * 30] + [one] * 3, pause=0.1)
    refused = [isinstance(result, Overloaded) for result in found]
    assert refused == [False] * 13 + [True] * 20 + [False] * 3
    assert sum(engine.calls) == 16


@pytest.mark.slow
def test_a_model_no_longer_served_is_let_go(
    threads: ThreadPoolExecutor, bundle: Bundle, events: Dataset
) -> None:
    model = model_of(bundle, Counting(FrozenEngine(bundle.graph), seconds=0.005))
    one = [event(events.X[0], events.features.names)]

    async def left() -> Any:
        nonlocal model
        batcher = Batcher(threads)
        answered = asyncio.get_running_loop().create_future()
        batcher.add(model, one[0], each, answered.set_result)
        await answered
        seen = weakref.ref(model)
        del model
        await asyncio.sleep(0)
        gc.collect()
        return seen()

    assert asyncio.run(left()) is None
