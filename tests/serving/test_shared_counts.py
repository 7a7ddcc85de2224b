"""Counts of several workers through real files."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tfaas_nb.serving.counts import Counts, InMemory, Scored
from tfaas_nb.serving.shared_counts import DEAD_AFTER, SharedCounts
from tfaas_nb.serving.snapshot import Snapshot


class Worker:
    """A worker process's counts."""

    def __init__(self, directory: Path, number: int) -> None:
        self.counts, self.scored = Counts(), Scored()
        self.shared = SharedCounts(directory, number)

    def answer(self, times: int) -> None:
        for _ in range(times):
            self.counts.tally("/json", "POST").add(200, 0.001)
            self.scored.add("ttbar", 1)

    def take(self) -> Snapshot:
        return Snapshot.take(self.counts, self.scored, InMemory(1, 10, 1), rss=7)

    def sum(self) -> Snapshot:
        return self.shared.sum(self.take)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def test_whoever_is_asked_tells_of_all(tmp_path: Path) -> None:
    first, second = Worker(tmp_path, 0), Worker(tmp_path, 1)
    first.answer(3)
    second.answer(4)
    assert first.sum().requests() == 3  # the second has written nothing yet
    for worker in (second, first):
        found = worker.sum()
        assert found.requests() == 7
        assert found.events == {"ttbar": 7}
        assert found.held.workers == found.held.models == 2


def test_a_worker_writes_by_itself(tmp_path: Path) -> None:
    first, second = Worker(tmp_path, 0), Worker(tmp_path, 1)
    first.answer(3)
    first.shared.start(first.take)
    first.shared.start(first.take)
    wait_until(lambda: second.sum().requests() == 3)
    first.answer(2)
    first.shared.stop()
    first.shared.stop()
    assert second.sum().requests() == 5
    assert "tfaas_nb-counts" not in [thread.name for thread in threading.enumerate()]


def test_a_replaced_worker_counts_on(tmp_path: Path) -> None:
    """Again and again; what it held is gone with it."""
    other = Worker(tmp_path, 0)
    for life in range(1, 4):
        worker = Worker(tmp_path, 1)
        worker.answer(5)
        found = worker.sum()
        assert found.requests() == other.sum().requests() == 5 * life
        assert found.loads >= life
        assert found.held.rss == (14 if life > 1 else 7)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_was_told_outlives_the_teller(tmp_path: Path) -> None:
    """A worker that is killed right after it was asked: counters do not go back."""
    first, second = Worker(tmp_path, 0), Worker(tmp_path, 1)
    first.answer(9)
    told = first.sum().requests()
    del first
    assert second.sum().requests() == told == 9


def test_a_worker_that_writes_no_more_holds_nothing(tmp_path: Path) -> None:
    dead, other = Worker(tmp_path, 0), Worker(tmp_path, 1)
    dead.answer(2)
    dead.sum()
    assert other.sum().held.workers == 2
    long_ago = time.time() - DEAD_AFTER - 1
    os.utime(tmp_path / "0.json", (long_ago, long_ago))
    found = other.sum()
    assert (found.held.workers, found.requests()) == (1, 2)


def test_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "5.json").write_bytes(b"{")
    worker = Worker(tmp_path, 0)
    worker.answer(1)
    assert worker.sum().requests() == 1
    assert Worker(tmp_path, 5).sum().requests() == 1


def test_a_directory_that_is_gone_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(tmp_path / "gone", 0)
    worker.answer(1)
    with caplog.at_level(logging.WARNING, "tfaas_nb"):
        assert worker.sum().requests() == worker.sum().requests() == 1
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'gone' / '0.json'}: counts cannot be shared: No such file or directory"
    ]


def test_many_askers_never_see_counters_go_back(tmp_path: Path) -> None:
    first, second = Worker(tmp_path, 0), Worker(tmp_path, 1)
    first.shared.start(first.take)
    seen: list[int] = []

    def ask() -> None:
        for _ in range(50):
            seen.append(second.sum().requests())
            first.sum()

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        first.answer(1)
        first.sum()
    asking.join()
    first.shared.stop()
    assert seen == sorted(seen)
