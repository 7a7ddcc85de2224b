"""Three commands for one directory behind nginx: replaced and killed under load, nothing lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.reliability.balanced import Nginx, Server
from tests.reliability.sums import KEYS, SUM, VALUES, sum_of
from tfaas_nb.client import Client
from tfaas_nb.serving.models import VERSION

pytestmark = pytest.mark.endurance

CLIENTS = 8
#: Seconds between a client's requests: the servers shall start beside them.
PAUSE = 0.01
BINARY = {"Content-Type": "application/octet-stream"}
EVENT = {"keys": KEYS, "values": VALUES, "model": "sum"}


@pytest.fixture
def archives() -> dict[int, bytes]:
    return {factor: sum_of(factor=float(factor)).archive() for factor in range(1, 6)}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    found = [Server(tmp_path / "models") for _ in range(3)]
    try:
        for server in found:
            server.ready()
        yield found
    finally:
        for server in found:
            server.kill()


@pytest.fixture
def nginx(tmp_path: Path, servers: list[Server]) -> Iterator[Nginx]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    found = Nginx(folder, [server.port for server in servers])
    yield found
    found.close()


class Load:
    """Clients that ask, and one that uploads, until they are told to stop."""

    def __init__(self, url: str, archives: dict[int, bytes]) -> None:
        self._url, self._archives = url, archives
        self._done = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        #: Version → factor, of those acknowledged.
        self.uploaded: dict[int, int] = {}
        self.refused: list[str] = []

    def ask(self) -> None:
        with requests.Session() as session:
            while not self._done.is_set():
                try:
                    answer = session.post(f"{self._url}/json", json=EVENT, timeout=120)
                except requests.RequestException as error:
                    self.wrong.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.wrong.append(f"{answer.status_code} {answer.text[:200]}")
                elif answer.json()[0] / SUM not in self._archives:
                    self.wrong.append(f"no version gives {answer.text}")
                else:
                    self.outcomes["asked"] += 1
                time.sleep(PAUSE)

    def upload(self) -> None:
        number = 0
        while not self._done.is_set():
            number += 1
            factor = 1 + number % len(self._archives)
            answer = requests.post(
                f"{self._url}/upload", data=self._archives[factor], headers=BINARY, timeout=300
            )
            if answer.status_code == 200:
                version = int(answer.headers[VERSION])
                assert version not in self.uploaded, "a number was given twice"
                self.uploaded[version] = factor
            else:
                self.refused.append(f"{answer.status_code} {answer.text[:200]}")
            self._done.wait(0.1)

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(CLIENTS + 1) as threads:
            work = [threads.submit(self.ask) for _ in range(CLIENTS)]
            work.append(threads.submit(self.upload))
            try:
                yield
            finally:
                self._done.set()
        for one in work:
            one.result()


def factor_of(url: str, model: str) -> float:
    answer = requests.post(f"{url}/json", json=EVENT | {"model": model}, timeout=120)
    assert answer.status_code == 200, answer.text
    found: float = answer.json()[0] / SUM
    return found


def test_servers_are_replaced_and_killed_under_load(
    servers: list[Server],
    nginx: Nginx,
    archives: dict[int, bytes],
    record_property: Callable[[str, object], None],
) -> None:
    # What one was given all serve, from the next request on.
    for factor, server in enumerate([*servers, *servers[:2]], 1):
        answer = requests.post(
            f"{server.url}/upload", data=archives[factor], headers=BINARY, timeout=300
        )
        assert answer.headers[VERSION] == str(factor)
        for other in servers:
            assert factor_of(other.url, "sum") == factor
    load = Load(nginx.url, archives)
    asked = {}
    with load.running():
        time.sleep(2)
        assert (load.wrong, load.refused) == ([], [])
        for server in servers:
            assert Client(server.url).status()["events"] > 20, "all take part"
        for server in servers:
            assert server.terminate() == 0
            server.start()
            server.ready()
            time.sleep(2.5)  # nginx asks it again
            asked["replaced"] = sum(load.outcomes.values())
        assert (load.wrong, load.refused) == ([], []), "replacing loses nothing"
        servers[0].kill()
        time.sleep(3)
        servers[0].start()
        servers[0].ready()
        time.sleep(2.5)
        asked["killed"] = sum(load.outcomes.values()) - asked["replaced"]
    # Uploads are not sent twice: one that the killed server was working on is lost, and told.
    assert load.wrong == []
    assert len(load.refused) <= 1
    for version, factor in load.uploaded.items():
        for server in servers:
            assert factor_of(server.url, f"sum/versions/{version}") == factor
    record_property(
        "summary",
        f"three servers behind nginx: {asked['replaced']} requests while they were replaced and "
        f"{asked['killed']} while one was killed, none failed; {len(load.uploaded)} uploads "
        f"acknowledged and served by all, {len(load.refused)} cut off by a kill",
    )
    assert asked["replaced"] > 1000
    assert len(load.uploaded) > 10


def test_uploads_of_one_name_to_two_servers_all_exist(
    servers: list[Server], archives: dict[int, bytes]
) -> None:
    def upload(number: int) -> tuple[int, int]:
        url, factor = servers[number % 3].url, 1 + number // 3 % 5
        answer = requests.post(f"{url}/upload", data=archives[factor], headers=BINARY, timeout=300)
        assert answer.status_code == 200, answer.text
        return int(answer.headers[VERSION]), factor

    with ThreadPoolExecutor(9) as threads:
        stored = list(threads.map(upload, range(60)))
    assert sorted(version for version, _ in stored) == list(range(1, 61))
    for version, factor in stored:
        assert factor_of(servers[version % 3].url, f"sum/versions/{version}") == factor
