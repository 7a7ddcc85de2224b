"""Many connections from one thread: clients that behave, and clients that hold a place."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_HEAD = "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
_LENGTH = "Content-Length: {size}\r\n\r\n"
_ESTABLISHED = 1  # of Linux' TCP states


def many_files(wanted: int) -> None:
    """Have this process open as many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= wanted, "raise the hard limit of open files"
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def request(token: str, body: bytes, path: str = "/json", size: int | None = None) -> bytes:
    """A request; `size` is announced instead of the body's own."""
    told = _HEAD.format(path=path, token=token) + _LENGTH.format(size=size or len(body))
    return told.encode() + body


@dataclass
class Crowd:
    """Result of the load by a crowd of clients, on one server.

    Attributes
    ----------
    answers : list of (int, float)
        Status and seconds of each answer to a client that behaves, connecting among it.
    closed : int
        Connections of the others that the server ended.
    """

    port: int
    token: str
    answers: list[tuple[int, float]] = field(default_factory=list)
    closed: int = 0

    async def behave(self, body: bytes, rounds: int, pause: float) -> None:
        """Ask again and again on one connection, or on a new one where it was closed meanwhile."""
        reader = writer = None
        for _ in range(rounds):
            begun = time.monotonic()
            for is_last in (False, True):
                try:
                    if writer is None:
                        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.write(request(self.token, body))
                    assert reader is not None
                    status = await _status(reader)
                    break
                except (ConnectionError, asyncio.IncompleteReadError):
                    writer = None
                    if is_last:
                        raise
            self.answers.append((status, time.monotonic() - begun))
            await asyncio.sleep(pause)
        if writer is not None:
            writer.close()

    async def dawdle(self, kind: int, until: Callable[[], bool]) -> None:
        """Hold a place: silently, by half a head, by half a body, or by taking no answers."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1024)
        slow = request(self.token, b"x" * 1000, size=100_000)
        begun, rest = {0: (b"", b""), 1: (slow[:20], b"y" * 60), 2: (slow, b"z" * 60)}.get(
            kind,
            (b"GET /?token=%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.token.encode() * 50,) * 2,
        )
        try:
            writer.write(begun)
            drip = iter(rest) if kind < 3 else iter(())
            is_over = False
            while not is_over:
                is_over = until()  # and then looks a last time
                await asyncio.sleep(1)
                if _is_ended(writer):
                    raise ConnectionError
                for byte in drip:
                    writer.write(bytes([byte]))
                    break
        except ConnectionError:
            self.closed += 1
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


def _is_ended(writer: asyncio.StreamWriter) -> bool:
    """Return True if the server ended a connection, by a reset too, even without reading it."""
    if writer.is_closing():
        return True
    end = writer.get_extra_info("socket")
    return bool(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)


async def _status(reader: asyncio.StreamReader) -> int:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await asyncio.wait_for(reader.readexactly(int(length)), 60)
    return int(head[9:12])


async def together(*parts: Awaitable[None]) -> None:
    """All of them; the first error ends it."""
    await asyncio.gather(*parts)
