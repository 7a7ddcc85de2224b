"""Answering all connections at once while other threads fight for the interpreter.

The event loop takes the interpreter's lock anew for every connection that it reads, and again
to write.  When a cell of the same kernel is busy in pure Python, each time may cost a switch
interval (5 ms), so the tenth client would wait for ten of them and more.  While turns of the
loop are that slow, connections are not read by the loop but from here: when there is anything
to read, all are read by calls that keep the lock, answered together, and written likewise.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import select
import socket
import sys
import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

_BYTES_AT_ONCE = 64 * 1024

#: Part of a switch interval that a turn of the loop may take; other work takes less.
_SLOW = 0.8

#: For so long after a slow turn connections are read from here.
_SECONDS = 1.0

_LATER = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)

#: Where there is no epoll, connections are always read by the event loop.
_IS_POSSIBLE = hasattr(select, "epoll")


def _keeping_the_lock(name: str) -> Any:
    """The C function; unlike the socket module's, it keeps the interpreter's lock."""
    if not _IS_POSSIBLE:
        return None
    function = getattr(ctypes.PyDLL(None, use_errno=True), name)
    function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_ssize_t
    return function


_receive, _send = _keeping_the_lock("recv"), _keeping_the_lock("send")


class Readable(Protocol):
    """A connection."""

    def plain_socket(self) -> socket.socket | None:
        """Return the socket if any thread may read from it; None while none may."""
        ...

    def read_elsewhere(self, elsewhere: bool) -> None:
        """Leave the reading of the socket to others, or give it back to the event loop."""
        ...

    def take(self, data: bytes) -> None:
        """Take bytes that came."""
        ...


class Gathering:
    """Finds out when to answer all connections at once, and does so.

    Parameters
    ----------
    connections : collection of Readable
        Those that are open, whenever it is looked at.
    hold : callable
        Called with True before requests come that should be answered together, and with False
        after.

    Attributes
    ----------
    is_answering : bool
        Whether that happens now, so that answers should go out by `send`.
    """

    def __init__(self, connections: Collection[Readable], hold: Callable[[bool], None]) -> None:
        self._connections, self._hold = connections, hold
        self._loop = asyncio.get_running_loop()
        self._limit = _SLOW * sys.getswitchinterval()
        self._buffer = ctypes.create_string_buffer(_BYTES_AT_ONCE)
        self._begun: float | None = None  # when this turn of the loop was
        self._until = 0.0
        self._poll: Any = None
        self._own: dict[Readable, int] = {}
        self._ended: set[Readable] = set()
        self.is_answering = False

    def begin(self) -> None:
        """Find out how long a turn of the loop takes in which a connection is read."""
        if self._begun is None and _IS_POSSIBLE and len(self._connections) > 1:
            self._begun = time.monotonic()
            self._loop.call_soon(self._end)

    def give_back(self, connection: Readable) -> None:
        """Leave a connection to the event loop."""
        descriptor = self._own.pop(connection, None)
        if descriptor is not None:
            with contextlib.suppress(OSError):  # it is closed
                self._poll.unregister(descriptor)
            connection.read_elsewhere(False)

    def forget(self, connection: Readable) -> None:
        """A connection is closed."""
        self.give_back(connection)
        self._ended.discard(connection)

    def send(self, plain: socket.socket, data: bytes) -> int:
        """Bytes that could be sent at once."""
        sent: int = _send(plain.fileno(), data, len(data), socket.MSG_DONTWAIT | _NO_SIGNAL)
        return max(sent, 0)

    def close(self) -> None:
        """Leave all connections to the event loop."""
        if self._poll is not None:
            for connection in list(self._own):
                self.give_back(connection)
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None

    def _end(self) -> None:
        """A turn of the loop ends."""
        assert self._begun is not None
        self._judge(self._begun)
        self._begun = None
        if self._poll is None and time.monotonic() < self._until:
            self._poll = select.epoll()
            self._loop.add_reader(self._poll.fileno(), self._answer)
            self._adopt()

    def _judge(self, begun: float) -> None:
        now = time.monotonic()
        if now - begun > self._limit:
            self._until = now + _SECONDS

    def _adopt(self) -> None:
        """Take all connections from the event loop that it has."""
        for connection in self._connections:
            if connection in self._own or connection in self._ended:
                continue
            plain = connection.plain_socket()
            if plain is not None:
                connection.read_elsewhere(True)
                self._own[connection] = plain.fileno()
                self._poll.register(plain.fileno(), select.EPOLLIN)

    def _answer(self) -> None:
        begun = time.monotonic()
        self.is_answering = True
        self._hold(True)
        try:
            for connection in list(self._own):
                self._read(connection)
        finally:
            self._hold(False)
            self.is_answering = False
        self._judge(begun)
        if time.monotonic() < self._until:
            self._adopt()
        else:
            self.close()

    def _read(self, connection: Readable) -> None:
        plain = connection.plain_socket()
        if plain is None:
            self.give_back(connection)
            return
        size = _receive(plain.fileno(), self._buffer, _BYTES_AT_ONCE, socket.MSG_DONTWAIT)
        if size > 0:
            connection.take(ctypes.string_at(self._buffer, size))
        elif size == 0 or ctypes.get_errno() not in _LATER:
            self._ended.add(connection)
            self.give_back(connection)  # the event loop finds the end again, and acts on it
