"""Keep-alive clients that time every request: each asks again as soon as it is answered.

One thread, plain sockets: what it adds to a latency is microseconds.  Run it in another
process than the server's, or the two share an interpreter lock.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from tests.benchmarks.load import Ask

_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_TIMEOUT = 60.0


class _Client:
    """One connection with one request under way."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._answer = b""
        self._asked = 0.0

    def ask(self) -> None:
        self._answer = b""
        self._asked = time.perf_counter()
        self.socket.sendall(self._request)

    def hear(self) -> float | None:
        """Read what has come; the seconds it took once the answer is whole.

        Raises
        ------
        ConnectionError
            If the connection ends or the answer is not a 200.
        """
        received = self.socket.recv(1 << 16)
        if not received:
            raise ConnectionError("the server closed a connection instead of answering")
        self._answer += received
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return None
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or not length:
            raise ConnectionError(f"not the answer expected: {self._answer[:200]!r}")
        return time.perf_counter() - self._asked if len(body) >= int(length[1]) else None


def latencies(
    ask: Ask, connections: int = 10, requests: int = 3000, seconds: float = 0
) -> npt.NDArray[np.float64]:
    """Seconds from sending a request to having its answer, in the order they came.

    Parameters
    ----------
    ask : Ask
        The request.
    connections : int
        Clients that ask at the same time.
    requests : int
        Answers to wait for at least, of all clients together.
    seconds : float
        Time to go on for at least.

    Raises
    ------
    ConnectionError
        If a request is not answered with a 200.
    TimeoutError
        If no client is answered for a minute.
    """
    url = urlsplit(ask.url)
    address = (url.hostname or "127.0.0.1", url.port or 80)
    request = _request(ask, url.path, f"{address[0]}:{address[1]}")
    found: list[float] = []
    clients = [_Client(address, request) for _ in range(connections)]
    try:
        with selectors.DefaultSelector() as ready:
            for client in clients:
                ready.register(client.socket, selectors.EVENT_READ, client)
                client.ask()
            end = time.perf_counter() + seconds
            while len(found) < requests or time.perf_counter() < end:
                found += _hear_all(ready)
    finally:
        for client in clients:
            client.socket.close()
    return np.array(found)


def _hear_all(ready: selectors.BaseSelector) -> list[float]:
    events = ready.select(_TIMEOUT)
    if not events:
        raise TimeoutError(f"no answer for {_TIMEOUT:.0f} s")
    taken = []
    for key, _ in events:
        seconds = key.data.hear()
        if seconds is not None:
            taken.append(seconds)
            key.data.ask()
    return taken


def _request(ask: Ask, path: str, host: str) -> bytes:
    headers = {"Host": host, "Content-Length": str(len(ask.body)), **ask.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + ask.body
