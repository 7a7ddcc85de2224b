"""Many events on several cores, with a real engine and with ones that fail."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import GraphError
from tfaas_nb.serving import cores
from tfaas_nb.serving.cores import Cores, usable_cores


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "EVENTS_AT_ONCE", 100)


@pytest.fixture
def three() -> Iterator[Cores]:
    made = Cores(3)
    yield made
    made.close()


class Noting:
    """An engine that notes who called it with how many events; waits for the others once."""

    def __init__(self, parties: int) -> None:
        self.calls: list[tuple[str, int]] = []
        self._meeting = threading.Barrier(parties)
        self._met = threading.local()

    def __call__(self, X: Any) -> Any:
        self.calls.append((threading.current_thread().name, len(X)))
        if not hasattr(self._met, "yes"):
            self._met.yes = True
            self._meeting.wait(10)
        return X[:, :1] * 2

    def close(self) -> None:
        pass


def test_scores_are_those_of_one_call(three: Cores, bundle: Bundle, events: Dataset) -> None:
    engine = FrozenEngine(bundle.graph)
    for count in (0, 1, 199, 200, 201, 3999, 4000):
        found = three.score(engine, events.X[:count])
        np.testing.assert_allclose(found, engine(events.X[:count]), rtol=0, atol=1e-6)


def test_every_core_takes_part(three: Cores) -> None:
    engine = Noting(3)
    events = np.arange(1000, dtype=np.float32).reshape(-1, 1)
    np.testing.assert_array_equal(three.score(engine, events), events * 2)  # type: ignore[arg-type]
    assert len({name for name, _ in engine.calls}) == 3
    assert sorted(count for _, count in engine.calls) == [100] * 10


def test_few_events_are_one_call(three: Cores) -> None:
    engine = Noting(1)
    three.score(engine, np.ones((199, 1), np.float32))  # type: ignore[arg-type]
    assert engine.calls == [(threading.current_thread().name, 199)]


@pytest.mark.parametrize("bad", [0, 500, 999])
def test_an_error_in_any_piece_is_raised(three: Cores, bad: int) -> None:
    def engine(X: Any) -> Any:
        if (np.float32(bad) == X).any():
            raise GraphError("the graph failed")
        return X

    events = np.arange(1000, dtype=np.float32).reshape(-1, 1)
    with pytest.raises(GraphError):
        three.score(engine, events)  # type: ignore[arg-type]


def test_closing_leaves_no_thread_and_may_be_followed_by_more(three: Cores) -> None:
    events = np.ones((1000, 1), np.float32)
    for _ in range(2):
        three.score(Noting(3), events)  # type: ignore[arg-type]
        assert [t for t in threading.enumerate() if t.name.startswith("tfaas_nb-cores")]
        three.close()
        for thread in threading.enumerate():
            if thread.name.startswith("tfaas_nb-cores"):
                thread.join(10)
        assert not [t for t in threading.enumerate() if t.name.startswith("tfaas_nb-cores")]


def test_at_least_one_core_may_be_used() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
