"""Plain counters: what falls into which bucket, and that threads lose nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tfaas_nb.serving.counts import EVENTS, OTHER, SECONDS, Counts, Scored, Tally


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0.0, 0),
        (SECONDS[0], 0),
        (SECONDS[0] * 1.001, 1),
        (SECONDS[-1], len(SECONDS) - 1),
        (60.0, len(SECONDS)),
    ],
)
def test_a_time_falls_into_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    tally = Tally()
    tally.add(200, seconds)
    assert [i for i, count in enumerate(tally.buckets) if count] == [bucket]
    assert tally.seconds == seconds


def test_answers_are_told_apart_by_status() -> None:
    tally = Tally()
    for status in (200, 404, 200):
        tally.add(status, 0.1)
    assert tally.statuses == {200: 2, 404: 1}
    assert sum(tally.buckets) == 3


def test_a_tally_is_kept_for_each_method_of_an_address() -> None:
    counts = Counts()
    tally = counts.tally("/json", "POST")
    assert counts.tally("/json", "POST") is tally
    assert counts.tally("/json", "GET") is not tally


def test_methods_nobody_has_are_counted_together() -> None:
    counts = Counts()
    assert counts.tally("/json", "BREW") is counts.tally("/json", "MKCOL")
    assert set(counts.tallies) == {("/json", OTHER)}


def test_buckets_ascend() -> None:
    assert list(SECONDS) == sorted(set(SECONDS))
    assert list(EVENTS) == sorted(set(EVENTS))


def test_calls_of_models_are_counted_from_many_threads() -> None:
    scored, calls = Scored(), 2000

    def call(events: int) -> None:
        for _ in range(calls):
            scored.add("a", events)
            scored.add(f"b{events}", 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(call, (1, 2, 3, 4)))
    assert scored.events == {"a": 10 * calls, "b1": calls, "b2": calls, "b3": calls, "b4": calls}
    assert sum(scored.buckets) == 8 * calls
    assert scored.buckets[:3] == [5 * calls, calls, 2 * calls]
