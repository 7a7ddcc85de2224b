"""Servers that are killed at any moment of an upload: what was acknowledged is there, whole."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.reliability.keeper import Keeper
from tests.reliability.sums import KEYS, SUM, VALUES, sum_of
from tfaas_nb.repository import Repository
from tfaas_nb.serving.models import VERSION

pytestmark = [
    pytest.mark.endurance,
    pytest.mark.skipif(sys.platform != "linux", reason="forks a process with TensorFlow"),
]

KILLS = 200
#: Different models; two uploads in a row are never of the same.
FACTORS = range(1, 41)
#: Those that are uploaded to see how long it takes a server that has just begun.
FIRST = (1, 2, 3, 4, 5)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    found = Keeper()
    yield found
    found.close()


def uploaded(url: str, archive: bytes) -> int | None:
    """The version, if it was acknowledged."""
    headers = {"Content-Type": "application/octet-stream"}
    try:
        answer = requests.post(f"{url}/upload", data=archive, headers=headers, timeout=30)
    except requests.RequestException:
        return None
    assert answer.status_code == 200, answer.text
    return int(answer.headers[VERSION])


def factor_of(url: str, model: str = "sum") -> float:
    body = {"keys": KEYS, "values": VALUES, "model": model}
    answer = requests.post(f"{url}/json", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    found: float = answer.json()[0] / SUM
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


def test_whatever_is_killed_what_was_acknowledged_is_served(
    tmp_path: Path, keeper: Keeper, record_property: Callable[[str, object], None]
) -> None:
    directory, incoming = tmp_path / "models", tmp_path / "models" / ".incoming"
    archives = {}
    for factor in FACTORS:
        path = sum_of(factor=float(factor)).save_archive(tmp_path / str(factor))
        keeper.try_upload(path)
        archives[factor] = path.read_bytes()
    options = ["--models", str(directory)]
    choose = random.Random(2026)
    acknowledged, times = {}, []
    for factor in FIRST:
        pid, url = keeper.serve(*options)
        began = time.monotonic()
        acknowledged[uploaded(url, archives[factor])] = factor
        times.append(time.monotonic() - began)
        keeper.kill(pid)
    usual = statistics.median(times)
    pid, url = keeper.serve(*options)
    halves = unacknowledged = 0
    last = FIRST[-1]
    with ThreadPoolExecutor(1) as thread:
        for _ in range(KILLS):
            factor = choose.choice([other for other in FACTORS if other != last])
            upload = thread.submit(uploaded, url, archives[factor])
            time.sleep(choose.uniform(0, 1.5 * usual))
            keeper.kill(pid)
            version = upload.result()
            halves += any(incoming.iterdir())
            if version is None:
                unacknowledged += 1
            else:
                assert version not in acknowledged, "a number was given twice"
                acknowledged[version] = factor
            pid, url = keeper.serve(*options)
            served = factor_of(url)
            assert served in ({factor} if version else {factor, last}), "neither old nor new"
            last = round(served)
            wait_until(lambda: not any(incoming.iterdir()))
        repository = Repository(directory)
        stored = {found.version for found in repository.versions("sum")}
        assert stored >= set(acknowledged)
        for found in repository.versions("sum"):
            repository.check(found)
            reference = f"sum/versions/{found.version}"
            served = factor_of(url, reference)
            assert served == acknowledged.get(found.version, served)
            assert round(served) == served, "an upload that was not acknowledged is whole, too"
        keeper.kill(pid)
    record_property(
        "summary",
        f"{KILLS} kills during uploads of {1e3 * usual:.0f} ms: {len(acknowledged)} acknowledged, "
        f"{unacknowledged} not, of which {len(stored - set(acknowledged))} were stored; "
        f"{halves} left something half-written, the next start nothing",
    )
    assert KILLS / 10 < unacknowledged < KILLS * 9 / 10
    assert halves > KILLS / 50
    assert not keeper.heard or all(line.startswith("Server(") for line in keeper.heard)
