"""Snapshots of counters: taken, written, read, added up."""

from __future__ import annotations

import dataclasses

import pytest

from tfaas_nb.serving.counts import EVENTS, SECONDS, Counts, InMemory, Scored
from tfaas_nb.serving.snapshot import DELETED, Held, Snapshot


def snapshot(started: float = 100.0, asked: int = 1, model: str = "ttbar") -> Snapshot:
    """`asked` POSTs and a GET of a nowhere, as one worker counts them."""
    counts, scored = Counts(), Scored()
    counts.started = started
    for i in range(asked):
        counts.tally("/json", "POST").add(200, 0.001 * 4**i)
        scored.add(model, 3)
    counts.tally("/json", "GET").add(405, 0.002)
    counts.tally("other", "GET").add(404, 0.5)
    counts.error("RouteNotFound")
    counts.error("MethodNotAllowed")
    counts.tally("/models", "GET")  # nobody asked
    return Snapshot.take(counts, scored, InMemory(2, 500, 3, 1), rss=1000, cpu_seconds=1.5)


def test_it_takes_down_what_was_counted() -> None:
    found = snapshot(asked=2)
    assert found.answers == {
        "POST /json": {"200": 2},
        "GET /json": {"405": 1},
        "GET other": {"404": 1},
    }
    assert set(found.seconds) == {"/json", "other"}
    assert sum(found.seconds["/json"].buckets) == 3
    assert found.seconds["/json"].total == pytest.approx(0.001 + 0.004 + 0.002)
    assert found.errors == {"RouteNotFound": 1, "MethodNotAllowed": 1}
    assert found.events == {"ttbar": 6}
    assert (found.calls.buckets[2], found.calls.total) == (2, 6)
    assert (found.loads, found.evictions, found.cpu_seconds) == (3, 1, 1.5)
    assert found.held == Held(workers=1, models=2, model_bytes=500, rss=1000)


def test_requests_and_responses_are_summed() -> None:
    found = snapshot(asked=3)
    assert (found.requests(), found.requests("POST"), found.requests("GET")) == (5, 3, 2)
    assert found.requests("DELETE") == 0
    assert found.responses() == {"2xx": 3, "4xx": 2}


def test_two_add_up() -> None:
    first, second = snapshot(200.0, 1, "a"), snapshot(100.0, 3, "b")
    total = first + second
    assert total.started == 100.0
    assert total.answers["POST /json"] == {"200": 4}
    assert total.errors == {"RouteNotFound": 2, "MethodNotAllowed": 2}
    assert total.events == {"a": 3, "b": 9}
    assert sum(total.calls.buckets) == 4
    assert sum(total.seconds["/json"].buckets) == 6
    assert (total.loads, total.evictions, total.cpu_seconds) == (6, 2, 3.0)
    assert total.held == Held(2, 4, 1000, 2000)
    assert dataclasses.replace(second + first, seconds=total.seconds) == total


def test_the_dead_hold_nothing() -> None:
    total = snapshot().past() + snapshot()
    assert total.held == Held(1, 2, 500, 1000)
    assert total.loads == 6


def test_it_is_written_and_read() -> None:
    found = snapshot(asked=2)
    assert Snapshot.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"started": 1}', b'{"seconds": []}', b"\xff"]
)
def test_something_else_is_not_a_snapshot(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Snapshot.from_json(data)


def test_other_buckets_are_not_added_to_ours() -> None:
    """As another version of this package may have written."""
    found = snapshot()
    calls = dataclasses.replace(found.calls, buckets=found.calls.buckets[1:])
    with pytest.raises(ValueError, match=f"{len(EVENTS)} buckets"):
        Snapshot.from_json(dataclasses.replace(found, calls=calls).to_json())
    assert len(found.seconds["/json"].buckets) == len(SECONDS) + 1


def test_models_that_are_gone_are_counted_together() -> None:
    total = snapshot(model="a") + snapshot(model="b") + snapshot(model="c")
    assert total.only_models(["b", "d"]).events == {DELETED: 6, "b": 3}
