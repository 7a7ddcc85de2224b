"""Connections read at once when the loop is behind: over real sockets, on uvloop's loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

uvloop = pytest.importorskip("uvloop")

from tests.serving.test_http import REPEATED, Echo, get, received, statuses  # noqa: E402
from tfaas_nb.serving import gathering, http  # noqa: E402
from tfaas_nb.serving.calls import Call  # noqa: E402
from tfaas_nb.serving.http import Limits  # noqa: E402
from tfaas_nb.serving.messages import Done, Head, Request, Response  # noqa: E402

LARGE = 2_000_000


class Noting(Echo):
    """Notes which requests came together; `/busy` keeps the event loop busy."""

    def __init__(self) -> None:
        super().__init__(LARGE)
        self.together: list[list[str]] = []
        self._held: list[str] | None = None

    def hold(self, more_to_come: bool) -> None:
        if more_to_come:
            self._held = []
            self.together.append(self._held)
        else:
            self._held = None

    def admit(self, head: Head) -> Call:
        return Call(super().admit(head).most_bytes, self.answer)

    def answer(self, request: Request, done: Done) -> None:
        if self._held is not None:
            self._held.append(request.head.path)
        if request.head.path == "/busy":
            time.sleep(0.2)
            done(Response(b"done"))
        else:
            super().answer(request, done)


@contextlib.contextmanager
def serving(application: Noting) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        ends.append((asyncio.get_running_loop(), asyncio.Event()))
        await http.serve(application, listening, ends[0][1], ready.set, "echo", Limits())

    thread = threading.Thread(target=lambda: uvloop.run(main()))
    thread.start()
    assert ready.wait(10)
    try:
        yield listening.getsockname()[1]
    finally:
        loop, stop = ends[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.slow
def test_after_a_slow_turn_what_has_come_is_answered_together() -> None:
    application = Noting()
    with serving(application) as port, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(9)]
        for client in clients:  # so that each has been accepted
            client.sendall(get("/hello"))
            assert client.recv(1000)
        assert not application.together
        # The first makes a slow turn; the others come while the second is answered.
        for path in ("/busy", "/busy"):
            clients[0].sendall(get(path))
            time.sleep(0.05)
        for client in clients[1:]:
            client.sendall(get("/waiting", "Connection: close"))
        for client in clients[1:]:
            assert statuses(received(client)) == [200]
    assert max(map(len, application.together)) >= 6, application.together


def test_a_quick_loop_reads_one_connection_after_the_other() -> None:
    application = Noting()
    with serving(application) as port, connect(port) as client:
        for _ in range(50):
            client.sendall(get("/hello"))
            assert client.recv(1000)
    assert len(application.together) < 25, "a busy machine may have a slow turn now and then"


@pytest.mark.parametrize("size", [29, 100, 100_000])
def test_nothing_changes_when_connections_are_always_read_at_once(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(gathering, "_SLOW", -1.0)
    application = Noting()
    large = "".join(map(str, range(200_000)))
    body = get("/large-body", f"Content-Length: {len(large)}", method="POST", body=large)
    stream = b"".join([*REPEATED[:3], body, *REPEATED[3:]])
    step = max(size, len(body) // 20)
    answers: dict[int, bytes] = {}

    def ask(number: int, port: int) -> None:
        with connect(port) as client:
            at = 0
            while at < len(stream):
                cut = size if at < 400 or at > len(body) else step
                client.sendall(stream[at : at + cut])
                at += cut
                time.sleep(0.001)
            answers[number] = received(client)

    with serving(application) as port:
        threads = [threading.Thread(target=ask, args=(i, port)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(answers) == 6
    assert len(set(answers.values())) == 1
    assert large.encode() in answers[0]
    assert statuses(answers[0]) == [200, 200, 200, 200, 200, 404] + [200] * 7
    if size < 1000:  # otherwise all may have been said before it is noticed
        assert max(map(len, application.together)) > 1


@pytest.mark.slow
def test_a_client_may_leave_while_connections_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "_SLOW", -1.0)
    monkeypatch.setattr(gathering, "_SECONDS", 0.2)
    with serving(Noting()) as port:
        for _ in range(3):
            stays, leaves = connect(port), connect(port)
            for client in (stays, leaves, stays):
                client.sendall(get("/hello"))
                assert statuses(client.recv(1000)) == [200]
            leaves.close()
            stays.sendall(get("/hello"))
            assert statuses(stays.recv(1000)) == [200]
            stays.shutdown(socket.SHUT_WR)
            assert received(stays) == b""
            stays.close()
            time.sleep(0.3)  # until the loop reads again


def test_answers_too_large_for_the_socket_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_SLOW", -1.0)
    with serving(Noting()) as port, connect(port) as client:
        client.sendall(get("/hello"))
        assert client.recv(1000)
        client.sendall(get("/large"))
        client.sendall(get("/hello", "Connection: close"))
        time.sleep(0.2)
        answer = received(client)
    assert statuses(answer) == [200, 200]
    assert len(answer) > 8_000_000
    assert answer.endswith(b"GET /hello  ")
