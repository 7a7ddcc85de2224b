"""Crowds, slow clients, huge bodies and bulk: whoever behaves is answered, and nothing stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import orjson
import pytest
import requests

from tests.reliability.crowd import Crowd, many_files, request, together
from tests.reliability.serving_command import TOKEN, Command, serving
from tests.reliability.sums import KEYS, sum_of
from tfaas_nb.serving.server import Server
from tfaas_nb.wire.tfaas import encode_npy

pytestmark = [
    pytest.mark.endurance,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

Record = Callable[[str, object], None]

EVENT = orjson.dumps({"keys": KEYS, "values": [1, 1, 1], "model": "sum"})
_MB = 1e6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """`tfaas-nb serve`, which has asked for TensorFlow by now."""
    with serving(tmp_path_factory.mktemp("load") / "models") as running:
        running.client().upload(sum_of("sum"))
        assert ask(running.port) == b"[6.0]"
        yield running


def ask(port: int, body: bytes = EVENT, path: str = "/json") -> bytes:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.post(f"http://127.0.0.1:{port}{path}", body, headers=headers, timeout=300)
    assert answer.status_code == 200, answer.text[:300]
    return answer.content


# --- crowds -------------------------------------------------------------------------------


@contextmanager
def most_memory(server: Command) -> Iterator[list[float]]:
    """The most that its process had of memory meanwhile, MB above what it had."""
    before, most, ends = server.look().rss, [0.0], threading.Event()

    def look() -> None:
        while not ends.wait(0.1):
            most[0] = max(most[0], server.look().rss - before)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        ends.set()
        looking.join()


def crowd_of(port: int, clients: int, others: int, rounds: int = 3) -> Crowd:
    """As many clients that behave, and others that hold a place as long as there are any."""
    many_files(2 * (clients + others))
    crowd, left = Crowd(port, TOKEN), [clients]

    async def behave() -> None:
        try:
            await asyncio.sleep(2)  # the others are there before
            await crowd.behave(EVENT, rounds, pause=0.5)
        finally:
            left[0] -= 1

    async def all_of_them() -> None:
        slow = (crowd.dawdle(kind % 4, lambda: not left[0]) for kind in range(others))
        await together(*slow, *(behave() for _ in range(clients)))

    asyncio.run(all_of_them())
    return crowd


def test_two_thousand_connections_half_of_them_slow(
    server: Command, record_property: Record
) -> None:
    with most_memory(server) as most:
        crowd = crowd_of(server.port, 1000, 1000)
    slowest = max(seconds for _, seconds in crowd.answers)
    record_property(
        "summary",
        f"2000 connections: {len(crowd.answers)} answers, the slowest after {slowest:.2f} s; "
        f"{most[0]:.0f} MB above idle",
    )
    assert [status for status, _ in crowd.answers] == [200] * 3000
    assert slowest < 30
    assert most[0] < 300
    until = time.monotonic() + 30
    while server.look().files > 100:
        assert time.monotonic() < until, "connections are left"
        time.sleep(0.1)


def test_the_same_in_a_thread_of_this_process(tmp_path: Path) -> None:
    many_files(9000)
    with Server(tmp_path, port=0, token=TOKEN) as running:
        running.client(timeout=300).upload(sum_of("sum"))
        crowd = crowd_of(running.port, 1000, 1000, rounds=1)
    assert [status for status, _ in crowd.answers] == [200] * 1000


def test_slow_clients_make_room_where_places_are_few(tmp_path: Path) -> None:
    """The process may open 500 files; half of them are places, and 600 slow clients come."""
    with serving(tmp_path / "models", files=500) as few:
        few.client().upload(sum_of("sum"))
        crowd = crowd_of(few.port, 50, 600)
        assert few.look().files < 400
    assert [status for status, _ in crowd.answers] == [200] * 150
    assert crowd.closed >= 600 - 250, "more slow clients than places"


FEW_FILES = """
import resource, sys
import tfaas_nb as tn

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
with tn.Server(sys.argv[1], port=0, token="t") as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


def test_a_kernel_of_few_files_takes_many_connections(tmp_path: Path) -> None:
    """Most kernels begin with 1024 files, of which the server raises the number."""
    many_files(4000)
    command = [sys.executable, "-c", FEW_FILES, str(tmp_path)]
    with contextlib.ExitStack() as stack:
        kernel = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert kernel.stdout is not None
        port = int(kernel.stdout.readline())
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            for _ in range(1500)
        ]
        for connection in connections:
            connection.sendall(request("t", b"{"))
        said = Counter(connection.recv(1000)[9:12] for connection in connections)
        assert kernel.stdin is not None
        kernel.stdin.close()
    assert said == {b"400": 1500}


WITHOUT_FILES = """
import resource, socket, sys, time
import tfaas_nb as tn
from tests.reliability.crowd import request

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
server = tn.Server(sys.argv[1], port=0, token="t").start()
ask = request("t", b"{", "/json")

def status(client):
    client.sendall(ask)
    try:
        return client.recv(1000)[9:12].decode()
    except ConnectionError:
        return ""

before = socket.create_connection(("127.0.0.1", server.port), 20)
said = [status(before)]
new = [socket.socket() for _ in range(20)]
resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
taken = []
try:
    while True:
        taken.append(open("/dev/null"))
except OSError:
    pass
for client in new:
    client.settimeout(20)
    client.connect(("127.0.0.1", server.port))
begun = time.process_time()
time.sleep(2)
busy = time.process_time() - begun
said.append(status(before))
for file in taken:
    file.close()
time.sleep(1.5)
with socket.create_connection(("127.0.0.1", server.port), 20) as after:
    said.append(status(after))
print(*said, busy < 0.5)
server.stop()
"""


def test_the_end_of_open_files_is_survived(tmp_path: Path) -> None:
    """A cell opened them all: who is connected is answered, nobody spins, and it goes on after."""
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_FILES, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (said.stdout, said.stderr) == ("400 400 400 True\n", "")


# --- bulk and uploads beside single events ------------------------------------------------

BULK = """
import sys, time
import numpy as np, requests
from tfaas_nb.wire.tfaas import encode_npy
port, token, keys = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
body = encode_npy(keys, np.ones((65_536, len(keys)), np.float32))
with requests.Session() as session:
    session.headers["Authorization"] = "Bearer " + token
    while True:
        begun = time.perf_counter()
        answer = session.post(f"http://127.0.0.1:{port}/npy?model=wide", body)
        assert answer.status_code == 200, answer.text
        print(time.perf_counter() - begun, flush=True)
"""

WIDE = tuple(f"x{i}" for i in range(42))


def latencies(port: int, count: int) -> tuple[float, float]:
    """Median and 99th percentile of a lone client's single events, in seconds."""
    asked, taken = request(TOKEN, EVENT), []
    with closing(socket.create_connection(("127.0.0.1", port), 60)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            begun = time.perf_counter()
            client.sendall(asked)
            assert client.recv(1000).endswith(b"[6.0]")
            taken.append(time.perf_counter() - begun)
    return float(np.median(taken)), float(np.percentile(taken, 99))


def test_bulk_does_not_starve_single_events(server: Command, record_property: Record) -> None:
    """Back to back, 65 536 events each; a single event does not even wait for one of those."""
    server.client().upload(wide_model())
    alone = latencies(server.port, 1000)
    command = [sys.executable, "-c", BULK, str(server.port), TOKEN, ",".join(WIDE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bulk:
        assert bulk.stdout is not None
        bulk.stdout.readline()
        beside = latencies(server.port, 1000)
        bulk.kill()
        taken = float(np.median([float(line) for line in bulk.stdout if line.endswith("\n")]))
    record_property(
        "summary",
        f"single events beside bulk ÷ alone: p50 {beside[0] / alone[0]:.1f}, "
        f"p99 {beside[1] / alone[1]:.1f}; p99 {beside[1] / taken:.2f} of a bulk request",
    )
    assert beside[0] < taken
    assert beside[1] < max(3 * taken, 100 * alone[1])


def wide_model() -> object:
    from tests.graphs import serialized
    from tfaas_nb.bundle import Bundle

    def build(tf: object) -> None:
        x = tf.compat.v1.placeholder("float32", (None, len(WIDE)), name="x")  # type: ignore[attr-defined]
        tf.matmul(x, np.ones((len(WIDE), 1), np.float32), name="y")  # type: ignore[attr-defined]

    params = json.dumps({"name": "wide", "features": WIDE}).encode()
    return Bundle.from_parts(params, serialized(build))


def test_broken_uploads_hold_up_nobody(server: Command, record_property: Record) -> None:
    """Archives of noise, models that are none, and sound ones, one after the other."""
    alone, ends, counts = latencies(server.port, 1000), threading.Event(), Counter[int]()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/octet-stream"}
    noise = np.random.default_rng(1).bytes(1_000_000)
    good = sum_of("other").archive()

    def upload() -> None:
        with requests.Session() as session:
            session.headers.update(headers)
            while not ends.is_set():
                for body in (noise, good[:-100], b"\x1f\x8b" + noise, good):
                    answer = session.post(f"{server.url}/upload", body, timeout=60)
                    counts[answer.status_code] += 1

    threads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    beside = latencies(server.port, 2000)
    ends.set()
    for thread in threads:
        thread.join(60)
    record_property(
        "summary",
        f"single events beside broken uploads ÷ alone: p50 {beside[0] / alone[0]:.1f}, "
        f"p99 {beside[1] / alone[1]:.1f}",
    )
    assert set(counts) == {200, 422}
    assert beside[0] < 50 * alone[0]
    assert beside[1] < 1.0


# --- huge bodies --------------------------------------------------------------------------


def bodies() -> dict[str, tuple[str, bytes]]:
    """Dialect → address and about 50 MB, of nearly as many events as a request may have."""
    rows = 4_000_000
    values = np.full((rows, len(KEYS)), 0.25, np.float32)
    few = values[: rows // 2].tolist()
    named = {"name": "x", "shape": [rows // 2, 3], "datatype": "FP32"}
    return {
        "npy": ("/npy?model=sum", encode_npy(KEYS, values)),
        "tfserving": ("/v1/models/sum:predict", orjson.dumps({"instances": few})),
        "oip": (
            "/v2/models/sum/infer",
            orjson.dumps({"inputs": [named | {"data": values[: rows // 2].ravel().tolist()}]}),
        ),
    }


@pytest.mark.parametrize("dialect", ["npy", "tfserving", "oip"])
def test_memory_returns_after_huge_bodies(server: Command, dialect: str) -> None:
    path, body = bodies()[dialect]
    assert len(body) > 30 * _MB
    ask(server.port)
    before = server.look().rss
    assert len(ask(server.port, body, path)) > 1 * _MB
    left, until = np.inf, time.monotonic() + 15
    while left > 100 and time.monotonic() < until:
        time.sleep(0.2)
        left = server.look().rss - before
    assert left < 100
