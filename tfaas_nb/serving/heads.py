"""Heads: of requests that came before, known by their bytes, and of answers.

A client's requests all have the same few heads, and what a head means, and who may ask with it,
depends on nothing but its bytes (and the client's certificate, if it showed one: such a
connection remembers its own).  So it is parsed and checked once.
"""

from __future__ import annotations

import http
from typing import NamedTuple

import httptools

from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.messages import Head, Response

_EMPTY_LINE = b"\r\n\r\n"

#: After an answer the connection is closed, kept, or kept and this told, as HTTP/1.0 wants it.
CLOSED, KEPT, TOLD_KEPT = 0, 1, 2
_CONNECTION = {
    CLOSED: b"connection: close\r\n",
    KEPT: b"",
    TOLD_KEPT: b"connection: keep-alive\r\n",
}
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in http.HTTPStatus}

#: Heads that are remembered, their length, and that of the bodies that follow.
_MOST = 1024
_MOST_BYTES = 4096
_MOST_BODY = 64 * 1024

#: Headers that ask more of the connection than an answer, or are of one request only.
_PASSING = {b"expect", b"transfer-encoding", b"upgrade", b"x-request-id"}


class KnownHead(NamedTuple):
    """A request's head that was parsed and admitted, and the length of its body.

    `kept` is `KEPT` or `TOLD_KEPT`.
    """

    head: Head
    call: Call
    length: int
    kept: int = KEPT


class KnownHeads:
    """Heads of admitted requests, after which the connection is kept, by their bytes.

    Parameters
    ----------
    most : int
        How many; with more, all are forgotten.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._found: dict[bytes, KnownHead] = {}
        self.get = self._found.get

    def add(self, raw: bytes, header_lines: int, head: Head, call: Call, kept: int = KEPT) -> None:
        """Remember a head, if nothing else may follow from it than an answer.

        Parameters
        ----------
        raw : bytes
            What `head_of` found.
        header_lines : int
            Headers that the parser found.
        head : Head
            What they say.
        call : Call
            What answers.
        kept : int
            Whether the connection is closed after the answer, and this told.
        """
        length = head.headers.get(b"content-length", b"0")
        if not kept or head.headers.keys() & _PASSING:
            return
        if not length.isdigit() or int(length) > _MOST_BODY:
            return
        # What the parser took for the head is what stands before the first empty line.
        if not raw.count(b"\n") == raw.count(b"\r\n") == header_lines + 2:
            return
        if len(self._found) >= self._most:
            self._found.clear()
        self._found[raw] = KnownHead(head, call, int(length), kept)


def kept_after(parser: httptools.HttpRequestParser) -> int:
    """Return if the connection is closed, kept, or kept and this told, after a parsed request."""
    if not parser.should_keep_alive():
        return CLOSED
    return TOLD_KEPT if parser.get_http_version() == "1.0" else KEPT


def head_of(data: bytes) -> bytes:
    """Up to and with the first empty line; empty if there is none or it is far."""
    end = data.find(_EMPTY_LINE, 0, _MOST_BYTES)
    return data[: end + len(_EMPTY_LINE)] if end > 0 else b""


class ResponseHeads:
    """Status line and headers of answers.

    Parameters
    ----------
    server : str
        Value of the ``Server`` header; its version is told in ``X-Tfaas-Nb``, too, as a proxy puts
        a ``Server`` of its own in the place of ours.
    """

    def __init__(self, server: str) -> None:
        ours = f"server: {server}\r\nx-tfaas-nb: {server.rpartition('/')[2]}\r\n"
        self._fixed = f"{ours}x-content-type-options: nosniff\r\n".encode()
        self._made: dict[tuple[int, str, int], bytes] = {}

    def of(self, response: Response, keep: int) -> bytes:
        """The head of an answer, with the empty line that ends it."""
        key = (response.status, response.content_type, keep)
        begin = self._made.get(key)
        if begin is None:
            begin = self._made[key] = self._begin(*key)
        for name, value in response.headers:
            begin += f"{name}: {value}\r\n".encode()
        return b"%bcontent-length: %d\r\n\r\n" % (begin, len(response.body))

    def _begin(self, status: int, content_type: str, kept: int) -> bytes:
        kind = f"content-type: {content_type}\r\n".encode()
        return _STATUS_LINES[status] + self._fixed + kind + _CONNECTION[kept]
