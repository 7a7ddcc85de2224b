from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import dask
from tfaas_nb.cluster.spread import check, connected, spread
from tfaas_nb.errors import ClusterError, DataError

pytestmark = pytest.mark.slow


class Opened:
    """Object that a job needs; files tell when and where it was opened and closed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / f"opened-{os.getpid()}-{time.monotonic_ns()}").touch()

    def close(self) -> None:
        (self.folder / f"closed-{os.getpid()}").touch()


def opened(folder: Path) -> Opened:
    return Opened(folder)


def slow_first(_: Any, i: int) -> int:
    time.sleep(0.3 if i == 0 else 0.0)
    return 10 * i


def test_results_come_in_the_order_of_items(two: Any, tmp_path: Path) -> None:
    items = list(range(20))
    assert list(spread(two, slow_first, items, partial(opened, tmp_path))) == [
        10 * i for i in items
    ]


def test_another_client_made_since_is_not_waited_for(
    two: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask's own functions ask the client that was made last, whose loop is another."""

    def last() -> Any:
        raise AssertionError("another client")

    monkeypatch.setattr("distributed.client.default_client", last)
    items = list(range(20))
    found = list(spread(two, slow_first, items, partial(opened, tmp_path)))
    assert found == [10 * i for i in items]


def process(_: Any, i: int) -> int:
    time.sleep(0.02)
    return os.getpid()


def test_what_tasks_need_is_opened_once_in_each_worker_and_closed(two: Any, tmp_path: Path) -> None:
    workers = set(spread(two, process, range(40), partial(opened, tmp_path)))
    assert len(workers) == 2
    names = sorted(p.name for p in tmp_path.iterdir())
    for worker in workers:
        assert sum(name.startswith(f"opened-{worker}") for name in names) == 1
        assert f"closed-{worker}" in names


def fails_at(_: Any, i: int) -> int:
    if i in (3, 7):
        raise DataError(f"file {i} is damaged")
    if i == 9:
        raise ZeroDivisionError("a mistake")
    return i


def test_the_first_item_that_failed_is_told(two: Any, tmp_path: Path) -> None:
    found = []
    with pytest.raises(DataError, match="file 3 is damaged"):
        found.extend(spread(two, fails_at, range(9), partial(opened, tmp_path)))
    results = spread(two, fails_at, range(9), partial(opened, tmp_path))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()


def test_an_unknown_error_names_the_item(two: Any, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="the ninth: ZeroDivisionError: a mistake"):
        list(spread(two, fails_at, [9], partial(opened, tmp_path), named=lambda i: "the ninth"))


def sleeps(shared: Opened, i: int) -> int:
    (shared.folder / f"begun-{i}").touch()
    time.sleep(0.5)
    return i


def test_closing_takes_back_what_is_not_begun(two: Any, tmp_path: Path) -> None:
    results = spread(two, sleeps, range(50), partial(opened, tmp_path))
    assert next(results) == 0
    results.close()
    time.sleep(1.2)
    assert len(list(tmp_path.glob("begun-*"))) <= 8
    assert not two.futures


def dies_once(shared: Opened, i: int) -> int:
    first = shared.folder / "died"
    if i == 4 and not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return i


def dies(shared: Opened, i: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return i


def test_a_lost_worker_costs_no_item(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    job = partial(opened, tmp_path / "jobs")
    with dask.cluster(tmp_path, workers=2) as (cluster, client):
        assert list(spread(client, dies_once, range(12), job)) == list(range(12))
        assert sum(worker.poll() is not None for worker in cluster.workers) == 1
        for _ in range(3):
            cluster.add_worker()
        client.wait_for_workers(4, timeout=60)
        with pytest.raises(ClusterError, match=r"bad\.root: its workers were lost"):
            list(spread(client, dies, ["bad.root"], job))


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(ClusterError, match="a client of Dask, not str"):
        check("tcp://127.0.0.1:8786")


def test_a_client_that_was_closed_is_refused(tmp_path: Path) -> None:
    with dask.cluster(tmp_path, workers=0) as (_, client):
        client.close()
        with pytest.raises(ClusterError, match="is closed"):
            check(client)


def test_an_address_without_a_scheduler_is_told() -> None:
    from dask import config

    with (
        config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at 127\.0\.0\.1:1"),
        connected("127.0.0.1:1"),
    ):
        raise AssertionError("connected")
