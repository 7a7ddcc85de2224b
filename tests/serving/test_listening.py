from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tfaas_nb.errors import ServerError
from tfaas_nb.serving.listening import beside, listen


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def group(stack: ExitStack, host: str, number: int) -> list[socket.socket]:
    first = stack.enter_context(listen(host, 0))
    return [first, *(stack.enter_context(beside(first)) for _ in range(number - 1))]


def accepted(listening: socket.socket) -> int:
    listening.setblocking(False)
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes share one socket")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_are_dealt_out(stack: ExitStack, host: str) -> None:
    sockets = group(stack, host, 3)
    for one in sockets[1:]:
        one.listen()
    address = sockets[0].getsockname()
    assert {one.getsockname() for one in sockets} == {address}
    for _ in range(90):
        stack.enter_context(socket.create_connection(address[:2]))
    counts = [accepted(one) for one in sockets]
    assert sum(counts) == 90
    assert min(counts) > 5


def test_nobody_waits_for_a_process_that_starts(stack: ExitStack) -> None:
    first, _ = group(stack, "127.0.0.1", 2)
    for _ in range(20):
        stack.enter_context(socket.create_connection(first.getsockname()))
    assert accepted(first) == 20


def test_nobody_else_gets_a_port_that_is_shared(stack: ExitStack) -> None:
    first, second = group(stack, "127.0.0.1", 2)
    second.listen()
    port = first.getsockname()[1]
    for closed in (None, first):
        if closed:
            closed.close()
        with pytest.raises(ServerError, match="Address already in use"):
            listen("127.0.0.1", port)
    second.close()
    listen("127.0.0.1", port).close()


def test_what_is_free_is_not_shared_by_accident(stack: ExitStack) -> None:
    """A server of this user that shares its port must not get that of another one."""
    other = stack.enter_context(closing(listen("127.0.0.1", 0)))
    shared = stack.enter_context(closing(socket.socket()))
    if hasattr(socket, "SO_REUSEPORT"):
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    with pytest.raises(OSError, match="in use"):
        shared.bind(other.getsockname())
