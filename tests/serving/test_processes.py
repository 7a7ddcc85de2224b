"""Servers in processes of their own: real ones, killed in earnest."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import ModelNotFound, RepositoryError, ServerError, Unauthorized
from tfaas_nb.serving import processes
from tfaas_nb.serving.processes import ServerProcesses
from tfaas_nb.serving.security import TOKEN_VARIABLE
from tfaas_nb.serving.server import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

EVENT = {"a": 1, "b": 1, "c": 1}


@pytest.fixture(scope="module")
def small() -> Bundle:
    params = json.dumps({"name": "sum", "features": ["a", "b", "c"]}).encode()
    return Bundle.from_parts(params, serialized(weighted_sum))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, small: Bundle) -> Iterator[Server]:
    """Two workers that have the weighted sum; tests may kill them."""
    with Server(tmp_path_factory.mktemp("pair"), port=0, workers=2) as server:
        server.client().upload(small)
        yield server


@pytest.fixture
def isolated(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "models", port=0, isolated=True) as server:
        yield server


def pids(server: Server) -> tuple[int, ...]:
    assert isinstance(server._run, ServerProcesses)
    return server._run.pids


def exists(pid: int) -> bool:
    """Return True if there is such a process; a zombie is one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def healthy(url: str) -> bool:
    return requests.get(f"{url}/health", timeout=10).status_code == 200


def descriptors() -> int:
    """Number of files, pipes and sockets that this process has open."""
    return len(os.listdir("/proc/self/fd"))


def sockets(pid: int) -> int:
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found += str(descriptor.readlink()).startswith("socket:")
    return found


# --- the same as a server in a thread -----------------------------------------------------


def test_start_and_stop_may_be_repeated(tmp_path: Path) -> None:
    server = Server(tmp_path, port=0, isolated=True)
    assert server.stop() is server
    assert server.start() is server
    first, port, token = pids(server), server.port, server.token
    assert server.start().port == port
    assert pids(server) == first
    assert repr(server) == f"Server(http://127.0.0.1:{port}, 0 models)"
    server.stop()
    server.stop()
    assert not server.is_running
    with pytest.raises(ServerError, match="not running"):
        _ = server.url
    assert server.start().token == token
    assert server.client().describe_models() == []
    server.stop()


def test_models_live_in_the_processes(pair: Server) -> None:
    assert pair.client().predict("sum", EVENT) == 6
    assert pair.service.loaded("sum") is None
    assert repr(pair) == f"Server({pair.url}, 1 model: sum)"
    assert "sum" in pair._repr_html_()


def test_the_same_may_ask_as_in_a_thread(isolated: Server) -> None:
    assert requests.get(f"{isolated.url}/models", timeout=5).status_code == 401
    wrong = requests.get(f"{isolated.url}/health", headers={"Host": "evil.example"}, timeout=5)
    assert wrong.status_code == 200, "liveness is told to all"
    headers = {"Host": "evil.example", "Authorization": f"Bearer {isolated.token}"}
    assert requests.get(f"{isolated.url}/models", headers=headers, timeout=5).status_code == 403


@pytest.mark.parametrize("modes", [(True, False), (False, True), (True, True)])
def test_a_second_server_takes_the_place_of_the_first(
    tmp_path: Path, modes: tuple[bool, bool]
) -> None:
    with (
        Server(tmp_path, port=0, isolated=modes[0]) as first,
        Server(tmp_path / ".", isolated=modes[1]) as second,
    ):
        assert not first.is_running
        assert second.token == first.token
        assert second.client().describe_models() == []


def test_the_second_server_may_have_its_own_token(isolated: Server) -> None:
    client, port = isolated.client(), isolated.port
    with Server(isolated.directory, token="other", isolated=True) as second:
        assert second.port == port
        with pytest.raises(Unauthorized):
            client.describe_models()


def test_it_can_be_waited_for(isolated: Server) -> None:
    waiting = threading.Thread(target=isolated.wait)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    isolated.stop()
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_request_under_way_is_answered_before_the_end(isolated: Server) -> None:
    with closing(socket.create_connection(("127.0.0.1", isolated.port), 10)) as connection:
        connection.sendall(
            b"POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
            b"Authorization: Bearer %b\r\nExpect: 100-continue\r\n\r\n"
            % str(isolated.token).encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        stopping = threading.Thread(target=isolated.stop)
        stopping.start()
        time.sleep(0.3)
        connection.sendall(b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    stopping.join(10)


# --- several workers ------------------------------------------------------------------------


def test_every_worker_answers_for_what_one_was_given(pair: Server) -> None:
    assert {float(pair.client().predict("sum", EVENT)) for _ in range(20)} == {6}


def test_every_worker_notices_what_another_was_given(pair: Server) -> None:
    uploaded = Bundle.from_parts(b'{"name": "replaced"}', serialized(weighted_sum))
    for order, score in (("abc", 1), ("cba", 3), ("bac", 2)):
        params = json.dumps({"name": "replaced", "features": list(order)}).encode()
        pair.client().upload(Bundle.from_parts(params, uploaded.graph.serialized))
        scores = {
            float(pair.client().predict("replaced", {"a": 1, "b": 0, "c": 0})) for _ in range(20)
        }
        assert scores == {score}
    pair.client().delete("replaced")
    for _ in range(20):
        with pytest.raises(ModelNotFound):
            pair.client().predict("replaced", {"a": 1, "b": 0, "c": 0})


def test_connections_are_shared(pair: Server) -> None:
    before = [sockets(pid) for pid in pids(pair)]
    with contextlib.ExitStack() as stack:
        for _ in range(24):
            session = stack.enter_context(requests.Session())
            session.get(f"{pair.url}/health", timeout=10)
        after = [sockets(pid) for pid in pids(pair)]
    taken = np.subtract(after, before)
    assert taken.min() > 0
    assert taken.sum() >= 20  # a connection from before may end meanwhile


def test_a_killed_worker_is_replaced_while_the_other_answers(
    pair: Server, caplog: pytest.LogCaptureFixture
) -> None:
    port, (first, second) = pair.port, pids(pair)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: bool(caplog.messages))
    for _ in range(20):
        assert healthy(pair.url)
    wait_until(lambda: len(pids(pair)) == 2)
    assert first not in pids(pair)
    assert second in pids(pair)
    assert pair.port == port
    assert caplog.messages == [f"worker {first} was ended by SIGKILL; another takes its place"]


@pytest.mark.endurance
def test_a_worker_that_keeps_ending_is_given_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it meanwhile."""
    monkeypatch.setattr(processes, "_HEALTHY_SECONDS", 1e6)
    with Server(tmp_path, port=0, workers=2) as server:
        _, second = pids(server)
        for count, pause in enumerate(("", " in 0.5 s", " in 1 s")):
            wait_until(lambda: len(pids(server)) == 2)
            os.kill(pids(server)[0], signal.SIGKILL)
            wait_until(lambda before=count: len(caplog.messages) > before)
            assert caplog.messages[-1].endswith(f"another takes its place{pause}")
            for _ in range(20):
                assert healthy(server.url)
        wait_until(lambda: len(pids(server)) == 2)
        assert second in pids(server)
        for _ in range(20):
            assert healthy(server.url)


def test_the_only_worker_is_replaced_on_the_same_port(isolated: Server) -> None:
    port, (first,) = isolated.port, pids(isolated)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not exists(first))
    assert isolated.is_running
    assert isolated.client().describe_models() == [], "connections wait for the new one"
    assert isolated.port == port
    assert pids(isolated) != (first,)


@pytest.mark.parametrize("failures", range(12))
def test_the_pause_before_the_next_try_grows_to_a_limit(failures: int) -> None:
    expected = [0, 0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert processes._delay(failures) == expected[failures]


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(tmp_path: Path, workers: int) -> None:
    with pytest.raises(ServerError, match=f"at least one worker, not {workers}"):
        Server(tmp_path, workers=workers)


# --- what workers share ---------------------------------------------------------------


def test_counts_are_those_of_all_workers(tmp_path: Path) -> None:
    with Server(tmp_path, port=0, token=False, workers=2) as server:
        for _ in range(40):
            assert healthy(server.url)
        counted = 'tfaas_requests_total{method="GET",path="/health",status="200"} 40.0'
        for _ in range(20):  # whoever is asked; the other tells what it counted once a second
            wait_until(lambda: counted in requests.get(f"{server.url}/metrics", timeout=10).text)
        assert requests.get(f"{server.url}/status", timeout=10).json()["workers"] == 2


def test_every_worker_writes_the_access_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with Server(tmp_path / "models", port=0, workers=2, access_log=log) as server:
        for _ in range(40):
            assert healthy(server.url)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["path"] for line in lines] == ["/health"] * 40


def test_an_access_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    server = Server(tmp_path / "models", port=0, isolated=True, access_log=tmp_path / "no" / "log")
    with pytest.raises(ServerError, match="the access log .* cannot be written: No such file"):
        server.start()


# --- nothing is left, nothing is seen ---------------------------------------------------------


def test_stopping_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    opened = descriptors()
    threads = set(threading.enumerate())
    with Server(tmp_path / "models", port=0, workers=2) as server:
        port, ran = server.port, pids(server)
        assert len(ran) == 2
        assert all(map(exists, ran))
    assert not any(map(exists, ran))
    assert refuses(port)
    with closing(socket.socket()) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
        again.listen()
    assert descriptors() <= opened
    assert set(threading.enumerate()) <= threads
    assert os.listdir(tmp_path / "tmp") == []


def test_a_dead_worker_leaves_nothing(isolated: Server) -> None:
    assert healthy(isolated.url)
    opened = descriptors()
    (first,) = pids(isolated)
    os.kill(first, signal.SIGKILL)
    assert healthy(isolated.url)
    wait_until(lambda: not exists(first))
    assert descriptors() <= opened


def test_the_token_is_seen_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "from-outside")
    with Server(tmp_path, port=0, token="very-secret", isolated=True) as server:
        (pid,) = pids(server)
        for place in ("cmdline", "environ"):
            seen = Path(f"/proc/{pid}/{place}").read_bytes()
            assert b"PATH" in seen or b"worker" in seen
            assert b"very-secret" not in seen
            assert b"from-outside" not in seen


def test_files_of_the_current_directory_are_no_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "httptools.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    with Server("models", port=0, isolated=True) as server:
        assert healthy(server.url)


# --- the parent ---------------------------------------------------------------------------------

PARENT = """
import os, sys, time
import tfaas_nb as tn

server = tn.Server("models", port=0, isolated=True).start()
{extra}
try:
    print(server.port, server._run.pids[0], "tensorflow" in sys.modules, flush=True)
    for _ in range(600):  # a signal that another thread gets does not end a long sleep
        time.sleep(0.1)
except KeyboardInterrupt:
    server.client().describe_models()
    print("still there", flush=True)
    time.sleep(60)
"""

#: Somebody else then holds what the worker listens to, too.
FORK = "os.fork() or (time.sleep(8), os._exit(0))"


class Parent:
    """A kernel with an isolated server."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT.format(extra=extra)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            start_new_session=True,
            env=os.environ | {"TMPDIR": str(directory / "tmp")},
        )
        assert self.process.stdout is not None
        port, pid, heavy = self.process.stdout.readline().split()
        self.port, self.worker, self.heavy = int(port), int(pid), heavy == "True"


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[[str], Parent]]:
    started: list[Parent] = []

    def start(extra: str = "") -> Parent:
        (tmp_path / "tmp").mkdir()
        started.append(Parent(tmp_path, extra))
        return started[-1]

    yield start
    for one in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate()


@pytest.mark.endurance
@pytest.mark.parametrize(
    ("how", "extra"),
    [(signal.SIGKILL, ""), (signal.SIGTERM, ""), (signal.SIGKILL, FORK)],
)
def test_no_orphan_outlives_its_parent(
    parent: Callable[[str], Parent], how: signal.Signals, extra: str, tmp_path: Path
) -> None:
    kernel = parent(extra)
    assert not refuses(kernel.port)
    os.kill(kernel.process.pid, how)
    kernel.process.wait(10)
    wait_until(lambda: not exists(kernel.worker))
    assert os.listdir(tmp_path / "tmp") == []


def test_an_interrupt_of_the_kernel_leaves_the_server(parent: Callable[[str], Parent]) -> None:
    kernel = parent("")
    assert not kernel.heavy, "the kernel needs no TensorFlow for it"
    os.killpg(kernel.process.pid, signal.SIGINT)
    assert kernel.process.stdout is not None
    assert kernel.process.stdout.readline() == "still there\n"
    os.kill(kernel.worker, signal.SIGINT)
    time.sleep(0.2)
    assert healthy(f"http://127.0.0.1:{kernel.port}")
    assert exists(kernel.worker)


# --- what goes wrong is told ----------------------------------------------------------------------


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have a shell script run in place of Python."""

    def run(lines: str) -> None:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\n{lines}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(script))

    return run


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("exit 3", r"could not start: worker \d+ ended with code 3$"),
        ("echo what went wrong >&2; exit 1", r"ended with code 1: what went wrong$"),
        ("kill -9 $$", r"worker \d+ was ended by SIGKILL$"),
        ("""echo '{"failed": "in words"}'; exit 1""", r"could not start: in words$"),
        ("echo '{'; exit 1", r"ended with code 1$"),
    ],
)
def test_a_process_that_cannot_start_is_told(
    tmp_path: Path, instead: Callable[[str], None], lines: str, message: str
) -> None:
    opened = descriptors()
    instead(lines)
    server = Server(tmp_path / "models", port=0, workers=2)
    with pytest.raises(ServerError, match=message):
        server.start()
    assert not server.is_running
    assert descriptors() <= opened


def test_a_python_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(ServerError, match="a worker could not be started: .*No such file"):
        Server(tmp_path / "models", port=0, isolated=True).start()


def test_a_process_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instead: Callable[[str], None]
) -> None:
    instead(f"trap '' TERM; echo $$ > {tmp_path / 'pid'}; while :; do sleep 0.1; done")
    monkeypatch.setattr(processes, "_READY_TIMEOUT", 0.5)
    monkeypatch.setattr(processes, "_STOP_TIMEOUT", 0.3)
    with pytest.raises(ServerError, match=r"its process did not get ready within 0\.5 s"):
        Server(tmp_path / "models", port=0, isolated=True).start()
    assert not exists(int((tmp_path / "pid").read_text()))


def test_a_directory_that_cannot_be_read_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    server = Server(tmp_path / "models", port=0, isolated=True, preload=True)
    with pytest.raises(RepositoryError, match="cannot be read: Not a directory"):
        server.start()
    assert not server.is_running
