"""Ids of requests: taken as sent if they are harmless, and echoed by a real server."""

from __future__ import annotations

import pytest
import requests

from tfaas_nb.serving import request_id
from tfaas_nb.serving.server import Server


@pytest.mark.parametrize("sent", [b"1", b"a-b_c.d:e/f", b"x" * 128, b"!~"])
def test_visible_ascii_is_an_id(sent: bytes) -> None:
    assert request_id.sent({b"x-request-id": sent}) == sent.decode()


@pytest.mark.parametrize(
    "sent", [b"", b"x" * 129, b"a b", b"a\r\nset-cookie: b", b"a\n", b"\xe9", b"a\x00", b"\x7f"]
)
def test_anything_else_is_none(sent: bytes) -> None:
    assert request_id.sent({b"x-request-id": sent}) is None


def test_nothing_sent_is_none() -> None:
    assert request_id.sent({}) is None


def test_those_made_differ() -> None:
    assert request_id.made() != request_id.made()
    assert request_id.sent({b"x-request-id": request_id.made().encode()})


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/status", 401), ("/nowhere", 401)]
)
def test_an_id_is_echoed_also_with_an_error(server: Server, path: str, status: int) -> None:
    answer = requests.get(server.url + path, headers={"X-Request-ID": "abc"}, timeout=5)
    assert (answer.status_code, answer.headers["x-request-id"]) == (status, "abc")


@pytest.mark.parametrize("headers", [{}, {"X-Request-ID": "a b"}, {"X-Request-ID": "x" * 200}])
def test_none_is_made_up(server: Server, headers: dict[str, str]) -> None:
    answer = requests.get(f"{server.url}/health", headers=headers, timeout=5)
    assert "x-request-id" not in answer.headers
