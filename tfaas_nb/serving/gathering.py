"""Reading all connections at once while other threads fight for the interpreter.

The event loop takes the interpreter's lock anew for every connection it reads.  When a cell of
the same kernel is busy in pure Python, each time may cost a switch interval (5 ms), so the
tenth client would wait for ten of them.  A loop that finds itself so far behind reads what
else has come by calls that keep the lock, and has it all answered together.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

_BYTES_AT_ONCE = 64 * 1024

#: Part of a switch interval that the loop may be behind; other work delays it less.
_BEHIND = 0.8

# PyDLL, unlike the socket module, keeps the interpreter's lock during a call.
_receive: Any = None if sys.platform == "win32" else ctypes.PyDLL(None).recv
if _receive:
    _receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    _receive.restype = ctypes.c_ssize_t


class Readable(Protocol):
    """A connection."""

    def plain_socket(self) -> socket.socket | None:
        """What can be read from by whoever asks; None while it cannot."""
        ...

    def take(self, data: bytes) -> None:
        """Take bytes that came."""
        ...


class Gathering:
    """Finds out when to read all connections at once, and does.

    Parameters
    ----------
    connections : iterable of Readable
        Those that are open, whenever it is looked at.
    hold : callable
        Called with True before requests come that should be answered together, and with False
        after.
    """

    def __init__(self, connections: Iterable[Readable], hold: Callable[[bool], None]) -> None:
        self._connections, self._hold = connections, hold
        self._time = asyncio.get_running_loop().time
        self._limit = _BEHIND * sys.getswitchinterval()
        self._gathered = 0.0
        self._buffer = ctypes.create_string_buffer(_BYTES_AT_ONCE)

    def is_behind(self) -> bool:
        """Whether connections should be read at once: at most once in a turn of the loop."""
        # uvloop's time stands still within a turn; other loops are never behind theirs.
        turn = self._time()
        if time.monotonic() - turn < self._limit or turn == self._gathered:
            return False
        self._gathered = turn
        return _receive is not None

    def take(self, first: Readable, data: bytes) -> None:
        """Hand over what came on one connection, and what has come on the others."""
        self._hold(True)
        try:
            first.take(data)
            for connection in list(self._connections):
                if connection is not first:
                    self._read(connection)
        finally:
            self._hold(False)

    def _read(self, connection: Readable) -> None:
        plain = connection.plain_socket()
        if plain is None:
            return
        size = _receive(plain.fileno(), self._buffer, _BYTES_AT_ONCE, socket.MSG_DONTWAIT)
        # Nothing, the end, or an error is found again by the event loop, which knows what to do.
        if size > 0:
            connection.take(ctypes.string_at(self._buffer, size))
