"""Heads that are known again, and heads that never may be; over sockets in test_http.py."""

from __future__ import annotations

import pytest

from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.heads import KnownHeads, ResponseHeads, head_of
from tfaas_nb.serving.messages import Done, Head, Request, Response

RAW = b"POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


def answer(request: Request, done: Done) -> None:
    raise AssertionError("nothing is asked")


CALL = Call(1000, answer)


def head(**headers: bytes) -> Head:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Head("POST", "/json", b"", named)


def test_a_head_is_known_with_its_body_s_length() -> None:
    known = KnownHeads()
    known.add(RAW, 2, head(host=b"localhost", content_length=b"2"), CALL)
    found = known.get(RAW)
    assert found
    assert (found.head.path, found.call, found.length) == ("/json", CALL, 2)
    assert known.get(RAW.replace(b"2\r\n", b"3\r\n")) is None


@pytest.mark.parametrize(
    ("raw", "lines", "headers"),
    [
        (RAW, 3, {"content_length": b"2"}),  # a folded line, or one that the parser dropped
        (RAW.replace(b"\r\nHost", b"\nHost"), 2, {"content_length": b"2"}),
        (RAW, 2, {"content_length": b"x"}),
        (RAW, 2, {"content_length": b"65537"}),
        (RAW, 2, {"content_length": b"2", "expect": b"100-continue"}),
        (RAW, 2, {"transfer_encoding": b"chunked"}),
        (RAW, 2, {"upgrade": b"h2c"}),
        (RAW, 2, {"content_length": b"2", "x_request_id": b"7"}),
        (b"", 2, {"content_length": b"2"}),
    ],
)
def test_a_head_that_says_more_is_not_known_again(
    raw: bytes, lines: int, headers: dict[str, bytes]
) -> None:
    known = KnownHeads()
    known.add(raw, lines, head(**headers), CALL)
    assert known.get(raw) is None


def test_heads_are_forgotten_when_there_are_too_many() -> None:
    known = KnownHeads(3)
    raws = [RAW.replace(b"localhost", b"host%d" % i) for i in range(5)]
    for raw in raws:
        known.add(raw, 2, head(content_length=b"2"), CALL)
    assert [known.get(raw) is not None for raw in raws] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (RAW + b"hi", RAW),
        (RAW, RAW),
        (RAW[:-1], b""),
        (b"\r\n\r\n" + RAW, b""),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1000 + b"\r\n", b""),
        (b"", b""),
    ],
)
def test_a_head_ends_with_the_first_empty_line(data: bytes, found: bytes) -> None:
    assert head_of(data) == found


def test_an_answer_s_head_tells_what_it_is() -> None:
    made = ResponseHeads("us/1.2")
    response = Response(b"hello", "text/plain", 404, (("x-more", "yes"),))
    assert made.of(response, keep=False) == (
        b"HTTP/1.1 404 Not Found\r\nserver: us/1.2\r\nx-tfaas-nb: 1.2\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"content-type: text/plain\r\nconnection: close\r\nx-more: yes\r\n"
        b"content-length: 5\r\n\r\n"
    )
    kept = made.of(response._replace(headers=()), keep=True)
    assert b"connection" not in kept
    assert b"x-more" not in kept
