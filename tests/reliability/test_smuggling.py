"""Requests that two servers may take for different ones, against the real server's socket.

A proxy before the server forwards the requests of many clients over one connection.  If the
server finds another end of a request than the proxy, a client's body becomes the next client's
request.  So what is ambiguous is refused with 400 and the connection closed, with no word to what
follows; and what RFC 9112 allows is taken by its letter: one answer for each request.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.serving.test_http import received, statuses
from tfaas_nb.serving.server import Server

#: Follows every attack, on the same connection; were it reached after a refusal, so would be what
#: an attacker put there.
NEXT = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#: What a body smuggles: answered by 405, which nothing else here is.
INNER = b"PUT /upload HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: A body that is whole to a server that takes chunks, and to one that does not.
CHUNKED = b"0\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    lines = [b"POST /v2/repository/index HTTP/" + version, b"Host: localhost", *headers, b"", b""]
    return b"\r\n".join(lines) + body


def fields(*lines: bytes) -> bytes:
    """A GET whose headers end as they say."""
    return b"GET /v2 HTTP/1.1\r\n" + b"".join(lines) + b"\r\n"


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def start(line: bytes) -> bytes:
    return line + b"\r\nHost: localhost\r\n\r\n"


HOST = b"Host: localhost\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ"
LENGTH = b"Content-Length: %d" % len(CHUNKED + INNER)
CODING = b"Transfer-Encoding: chunked"

REFUSED = {
    # Two ends of a body.
    "length and chunks": post(LENGTH, CODING, body=CHUNKED + INNER),
    "chunks and length": post(CODING, LENGTH, body=CHUNKED + INNER),
    "two lengths": post(b"Content-Length: 0", LENGTH, body=CHUNKED + INNER),
    "two equal lengths": post(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"),
    "list of lengths": post(b"Content-Length: 2, 2", body=b"{}"),
    "length with plus": post(b"Content-Length: +2", body=b"{}"),
    "length with minus": post(b"Content-Length: -2", body=b"{}"),
    "hexadecimal length": post(b"Content-Length: 0x2", body=b"{}"),
    "length with blank": post(b"Content-Length: 1 0", body=b"{}"),
    "length with line": post(b"Content-Length: 1_0", body=b"{}"),
    "length with point": post(b"Content-Length: 2.0", body=b"{}"),
    "length of nothing": post(b"Content-Length:", body=b"{}"),
    "length beyond numbers": post(b"Content-Length: 18446744073709551618", body=b"{}"),
    "length of other digits": post("Content-Length: ２".encode(), body=b"{}"),
    # Codings that one server takes for chunks, and another does not.
    "unknown coding": post(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "identity": post(b"Transfer-Encoding: identity", body=CHUNKED),
    "chunks, then identity": post(b"Transfer-Encoding: chunked, identity", body=CHUNKED),
    "gzip, then chunks": post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "nothing, then chunks": post(b"Transfer-Encoding: , chunked", body=CHUNKED),
    "chunks twice": post(CODING, CODING, body=CHUNKED),
    "chunks, then another": post(CODING, b"Transfer-Encoding: x", body=CHUNKED),
    "another, then chunks": post(b"Transfer-Encoding: x", CODING, body=CHUNKED),
    "quoted coding": post(b'Transfer-Encoding: "chunked"', body=CHUNKED),
    "coding with option": post(b"Transfer-Encoding: chunked;q=1", body=CHUNKED),
    "coding after a tab of lines": post(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "coding of nothing": post(b"Transfer-Encoding:", body=CHUNKED),
    "blank before the colon": post(b"Transfer-Encoding : chunked", body=CHUNKED),
    "coding on a folded line": post(b"Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "chunks over HTTP/1.0": post(CODING, b"Connection: keep-alive", body=CHUNKED, version=b"1.0"),
    # Chunks.
    "size beyond numbers": chunks(b"10000000000000002\r\n{}\r\n0\r\n\r\n"),
    "size with minus": chunks(b"-2\r\n{}\r\n0\r\n\r\n"),
    "size with plus": chunks(b"+2\r\n{}\r\n0\r\n\r\n"),
    "size with 0x": chunks(b"0x2\r\n{}\r\n0\r\n\r\n"),
    "size with blank": chunks(b"2 \r\n{}\r\n0\r\n\r\n"),
    "size with line": chunks(b"0_2\r\n{}\r\n0\r\n\r\n"),
    "size of nothing": chunks(b"\r\n{}\r\n0\r\n\r\n"),
    "size with line feed": chunks(b"2\n{}\r\n0\r\n\r\n"),
    "extension with line feed": chunks(b"2;a\n{}\r\n0\r\n\r\n"),
    "extension with carriage return": chunks(b"2;a\rb\r\n{}\r\n0\r\n\r\n"),
    "chunk longer than its size": chunks(b"1\r\n{}\r\n0\r\n\r\n"),
    "chunk without an end": chunks(b"2\r\n{}0\r\n\r\n"),
    "length in the trailer": chunks(b"0\r\nContent-Length: 40\r\n\r\n" + INNER),
    # Lines.
    "line feeds alone": b"GET /v2 HTTP/1.1\nHost: localhost\n\n",
    "line feed in the head": fields(HOST, b"X: y\n", b"Z: z\r\n"),
    "line feed at its end": b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\n",
    "carriage return alone": fields(HOST, b"X: a\rContent-Length: 5\r\n"),
    "carriage return in a value": fields(HOST, b"X: a\rb\r\n"),
    "two carriage returns": b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\r\n",
    "folded line": fields(HOST, b"X: a\r\n b\r\n"),
    "folded first line": fields(b" X: a\r\n", HOST),
    "nul in a value": fields(HOST, b"X: a\0b\r\n"),
    "nul in a name": fields(HOST, b"X\0: a\r\n"),
    "control character": fields(HOST, b"X: a\x01b\r\n"),
    "blank in a name": fields(HOST, b"X Y: a\r\n"),
    "blank after a name": fields(HOST, b"X : a\r\n"),
    "no name": fields(HOST, b": a\r\n"),
    "no colon": fields(HOST, b"X\r\n"),
    "name beyond ASCII": fields(HOST, "Ä: a\r\n".encode()),
    # The first line.
    "no version": start(b"GET /v2"),
    "version 0.9": start(b"GET /v2 HTTP/0.9"),
    "version 1.2": start(b"GET /v2 HTTP/1.2"),
    "version 2": start(b"GET /v2 HTTP/2.0"),
    "version 1.10": start(b"GET /v2 HTTP/1.10"),
    "version without point": start(b"GET /v2 HTTP/11"),
    "lower case version": start(b"GET /v2 http/1.1"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tabs": start(b"GET\t/v2\tHTTP/1.1"),
    "blank after it": start(b"GET /v2 HTTP/1.1 "),
    "blank in the address": start(b"GET /v 2 HTTP/1.1"),
    "nul in the address": start(b"GET /v2\0 HTTP/1.1"),
    "fragment": start(b"GET /v2#x HTTP/1.1"),
    "no slash": start(b"GET v2 HTTP/1.1"),
    "another scheme": start(b"GET ftp://localhost/v2 HTTP/1.1"),
    "user in the address": start(b"GET http://localhost@localhost/v2 HTTP/1.1"),
    "tunnel": start(b"CONNECT localhost:80 HTTP/1.1"),
    "lower case method": start(b"get /v2 HTTP/1.1"),
    "unknown method": start(b"SMUGGLE /v2 HTTP/1.1"),
    # Whom it asks.
    "no host": b"GET /v2 HTTP/1.1\r\n\r\n",
    "two hosts": fields(HOST, HOST),
    "two origins": fields(HOST, b"Origin: http://localhost\r\n" * 2),
    "two tokens": fields(HOST, b"Authorization: Bearer a\r\n", b"Authorization: Bearer b\r\n"),
    "length of thousands of zeros": post(b"Content-Length: %s2" % (b"0" * 5000), body=b"{}"),
    "tunnel with a body": start(b"CONNECT localhost:80 HTTP/1.1\r\nContent-Length: 2") + b"{}",
    "two ends of a body with an upgrade": post(H2C, LENGTH, CODING, body=CHUNKED + INNER),
    "two hosts with an upgrade": fields(HOST, HOST, H2C + b"\r\n"),
}

#: What the standard allows, and the answers: all requests', one for each.
TAKEN = {
    "blanks around a length": (post(b"Content-Length: \t2 ", body=b"{}"), [200, 200]),
    "length with zeros": (post(b"Content-Length: 002", body=b"{}"), [200, 200]),
    "body of a GET": (fields(HOST, b"Content-Length: 2\r\n") + b"{}", [200, 200]),
    "inner request in a body": (
        post(b"Content-Length: %d" % len(INNER), body=INNER),
        [400, 200],  # it is no JSON
    ),
    "inner request in a chunk": (
        chunks(b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)),
        [400, 200],
    ),
    "refused, with an inner request": (
        b"POST /nowhere HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (HOST, len(INNER)) + INNER,
        [404, 200],
    ),
    "refused, with an inner request in a chunk": (
        b"POST /nowhere HTTP/1.1\r\n%s%s\r\n\r\n" % (HOST, CODING)
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER),
        [404, 200],
    ),
    "coding in other letters": (post(b"tRANSFER-eNCODING: \tChunKed", body=CHUNKED), [200, 200]),
    "chunk with extensions": (chunks(b'2;a=b;c="d"\r\n{}\r\n0;e\r\n\r\n'), [200, 200]),
    "chunk with zeros": (chunks(b"0002\r\n{}\r\n000\r\n\r\n"), [200, 200]),
    "trailer": (chunks(b"2\r\n{}\r\n0\r\nX: y\r\n\r\n"), [200, 200]),
    "trailer that names a host": (
        chunks(b"2\r\n{}\r\n0\r\nHost: evil.example\r\nOrigin: null\r\n\r\n"),
        [200, 200],
    ),
    "underscores": (post(b"Transfer_Encoding: chunked", LENGTH, body=CHUNKED + INNER), [400, 200]),
    "empty lines before": (b"\r\n\r\n" + fields(HOST), [200, 200]),
    "address with a host": (start(b"GET http://localhost:80/v2 HTTP/1.1"), [200, 200]),
    "another host than the header's": (start(b"GET http://evil.example/v2 HTTP/1.1"), [403, 200]),
    "upgrade": (fields(HOST, b"Connection: Upgrade\r\n", b"Upgrade: h2c\r\n"), [200, 200]),
    "upgrade with a body": (post(H2C, b"Content-Length: 2", body=b"{}"), [200, 200]),
    "upgrade with chunks": (post(H2C, CODING, body=b"2\r\n{}\r\n0\r\n\r\n"), [200, 200]),
    "upgrade with an inner request in its body": (
        post(H2C, b"Content-Length: %d" % len(INNER), body=INNER),
        [400, 200],
    ),
    "upgrade, refused": (fields(HOST, H2C + b"\r\n").replace(b"/v2", b"/nowhere"), [404, 200]),
    "upgrade and close": (fields(HOST, H2C + b", close\r\nConnection: close\r\n"), [200]),
    "upgrade to WebSockets with a body": (
        post(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 2", body=b"{}"),
        [200],
    ),
    "kept over HTTP/1.0": (
        start(b"GET /v2 HTTP/1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
        [200, 200],
    ),
    "close among others": (fields(HOST, b"Connection: x, close\r\n"), [200]),
    "close over HTTP/1.0": (start(b"GET /v2 HTTP/1.0"), [200]),
    "HEAD with a length": (
        b"HEAD /v2 HTTP/1.1\r\n%sContent-Length: 2\r\n\r\n{}" % HOST,
        [200, 200],
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("smuggling") / "m", port=0, token=False) as running:
        yield running


def answers(server: Server, sent: bytes, size: int) -> list[int]:
    """Statuses of all answers until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):  # it has closed before all was sent
            for at in range(0, len(sent), size):
                client.sendall(sent[at : at + size])
        parts = []
        with contextlib.suppress(ConnectionResetError):  # what came before it is an answer
            while part := client.recv(65_536):
                parts.append(part)
    return statuses(b"".join(parts))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_ambiguous_is_refused_and_nothing_after_it_answered(
    server: Server, name: str
) -> None:
    assert answers(server, REFUSED[name] + NEXT, 10_000) == [400]
    # In pieces it may be refused, and the connection reset, before the client has read why.
    assert answers(server, REFUSED[name] + NEXT, 7) in ([400], [])


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_is_allowed_is_answered_once_for_each_request(
    server: Server, name: str, size: int
) -> None:
    sent, expected = TAKEN[name]
    for _ in range(2):  # the second time its head is known
        assert answers(server, sent + NEXT, size) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_a_head_that_is_known_does_not_let_it_pass(server: Server, name: str) -> None:
    """After a request that is answered, on the same connection."""
    assert answers(server, fields(HOST) * 2 + REFUSED[name] + NEXT, 10_000) == [200, 200, 400]


def test_a_chunk_that_never_comes_is_not_waited_for_with_memory(server: Server) -> None:
    """Its size alone takes nothing; more than the address takes is refused as it comes."""
    head = chunks(b"7fffffff\r\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head + b"{}")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b""


def test_a_long_trailer_is_refused(server: Server) -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(100))
    assert answers(server, chunks(b"2\r\n{}\r\n0\r\n" + lines + b"\r\n") + NEXT, 10_000) in (
        [431],
        [],
    )


def test_a_trailer_after_a_large_body_is_no_long_head(server: Server) -> None:
    body = b" " * 100_000 + b"{}"
    sent = chunks(b"%x\r\n%s\r\n0\r\nX: y\r\n\r\n" % (len(body), body))
    assert answers(server, sent + NEXT, 1_000_000) == [200, 200]
