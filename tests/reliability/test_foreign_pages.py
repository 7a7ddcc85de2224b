"""Attacks by pages of other sites in a browser here: rebound names, and forged forms."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

import pytest
import requests

from tests.serving.test_http import received, statuses
from tfaas_nb.serving.server import Server

TOKEN = "the-token"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("pages") / "m", port=0, token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without a token a page needs nothing but to be let in."""
    with Server(tmp_path_factory.mktemp("pages") / "m", port=0, token=False) as running:
        yield running


def ask(server: Server, *lines: str, target: str = "/v2") -> bytes:
    """The answer to a request with exactly these headers."""
    bearer = f"Authorization: Bearer {TOKEN}"
    head = [f"GET {target} HTTP/1.1", *lines, bearer, "Connection: close", "", ""]
    raw = "\r\n".join(head).replace("PORT", str(server.port)).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(raw)
        return received(client)


# --- DNS rebinding: a name of theirs leads here -----------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "localhost:PORT",
        "LocalHost",
        "localhost.",
        "localhost.:PORT",
        "localhost:1",
        "127.0.0.1:PORT",
        "[::1]",
        "[::1]:PORT",
        "localhost:",
    ],
)
def test_own_names_are_answered(server: Server, unguarded: Server, host: str) -> None:
    for one in (server, unguarded):
        assert statuses(ask(one, f"Host: {host}")) == [200]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "evil.example.",
        "localhost.evil.example:PORT",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:PORT",
        "evil-localhost",
        "localhost..",
        "localhost, evil.example",
        "evil.example localhost",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost/",
        "localhost#evil.example",
        "localhost?evil.example",
        "localhost\\evil.example",
        "localhost:PORT:1",
        "localhost:x",
        "[::1]evil.example",
        "[::1",
        "::1",
        "[::ffff:127.0.0.1]",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0:PORT",
        "",
    ],
)
def test_any_other_name_is_refused_with_or_without_a_token(
    server: Server, unguarded: Server, host: str
) -> None:
    for one in (server, unguarded):
        answer = ask(one, f"Host: {host}")
        assert statuses(answer) == [403]
        assert b"--allow-host" in answer


def test_a_proxys_word_for_the_host_counts_for_nothing(server: Server) -> None:
    for header in ("X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded"):
        value = "host=localhost" if header == "Forwarded" else "localhost"
        assert statuses(ask(server, "Host: evil.example", f"{header}: {value}")) == [403]
        assert statuses(ask(server, "Host: localhost", f"{header}: evil.example")) == [200]


def test_two_hosts_are_refused(server: Server) -> None:
    for hosts in (("localhost", "evil.example"), ("evil.example", "localhost"), ("localhost",) * 2):
        assert statuses(ask(server, *(f"Host: {host}" for host in hosts))) == [400]


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost:PORT/v2", "localhost:PORT", 200),
        ("HTTP://localhost/v2", "evil.example", 200),  # RFC 9112, 3.2.2: the header is ignored
        ("http://evil.example/v2", "localhost:PORT", 403),
        ("http://evil.example", "localhost:PORT", 403),
        ("http://evil.example?localhost", "localhost:PORT", 403),
        ("http://localhost@evil.example/v2", "localhost:PORT", 400),
        ("http://evil.example@localhost/v2", "localhost:PORT", 400),
        ("//localhost/v2", "evil.example", 403),
        ("//evil.example/v2", "localhost", 404),  # a path with two slashes
    ],
)
def test_an_address_with_a_host_is_asked_for_that_host(
    server: Server, target: str, host: str, status: int
) -> None:
    assert statuses(ask(server, f"Host: {host}", target=target)) == [status]


# --- requests of their pages ------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "https://evil.example:PORT",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://127.0.0.1:PORT1",
        "http://localhost:PORT",
        "http://127.0.0.1:PORT.evil.example",
        "http://127.0.0.1:PORT@evil.example",
        "http://evil.example/127.0.0.1:PORT",
        "http://evil.example#http://127.0.0.1:PORT",
        "http://127.0.0.1:PORT http://evil.example",
        "http://127.0.0.1:PORT/",
        "ftp://127.0.0.1:PORT",
        "file://127.0.0.1:PORT",
        "chrome-extension://127.0.0.1:PORT",
        "://127.0.0.1:PORT",
        "127.0.0.1:PORT",
    ],
)
def test_a_page_of_another_origin_is_refused_with_or_without_a_token(
    server: Server, unguarded: Server, origin: str
) -> None:
    for one in (server, unguarded):
        answer = ask(one, "Host: 127.0.0.1:PORT", f"Origin: {origin}")
        assert statuses(answer) == [403]
        assert b"may not ask this server" in answer


def test_own_pages_may_ask(server: Server) -> None:
    """Also through a proxy that ends TLS."""
    for origin in ("http://127.0.0.1:PORT", "https://127.0.0.1:PORT"):
        assert statuses(ask(server, "Host: 127.0.0.1:PORT", f"Origin: {origin}")) == [200]


FORMS: Mapping[str, Mapping[str, object]] = {
    "multipart": {"files": {"name": (None, "evil"), "model": ("model.pb", b"\x08\x01")}},
    "urlencoded": {"data": {"model": "ttbar"}},
    "text": {"data": b'{"model": "ttbar"}', "headers": {"Content-Type": "text/plain"}},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:8888"])
def test_a_forged_form_is_refused(
    server: Server, unguarded: Server, form: str, origin: str
) -> None:
    """A browser sends such a form anywhere without asking; it tells where the form was."""
    told = FORMS[form]
    headers = {**told.get("headers", {}), "Origin": origin}  # type: ignore[dict-item]
    addresses = ("/upload", "/bundle", "/params", "/json", "/v2/repository/models/ttbar/unload")
    for one in (server, unguarded):
        for address in addresses:
            url = f"{one.url}{address}?token={TOKEN}"
            answer = requests.post(url, **{**told, "headers": headers}, timeout=10)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["kind"]) == (403, "Forbidden")
    assert not unguarded.service.repository.models()


def test_a_form_that_tells_no_page_needs_the_token(server: Server) -> None:
    for options in FORMS.values():
        answer = requests.post(f"{server.url}/upload", **options, timeout=10)  # type: ignore[arg-type]
        assert answer.status_code == 401


def test_no_page_is_told_that_it_may(server: Server, unguarded: Server) -> None:
    """Neither by an answer nor when its browser asks before (CORS, private network access)."""
    asks = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "x"}
    for one in (server, unguarded):
        for origin in ("http://evil.example", one.url):
            for method in ("GET", "POST", "OPTIONS", "DELETE"):
                for path in ("/health", "/models", "/json", "/upload"):
                    headers = {**asks, "Origin": origin, "Authorization": f"Bearer {TOKEN}"}
                    headers["Access-Control-Request-Private-Network"] = "true"
                    answer = requests.request(method, one.url + path, headers=headers, timeout=10)
                    names = " ".join(answer.headers).lower()
                    assert "access-control" not in names
                    assert "set-cookie" not in names
                    assert answer.headers["x-content-type-options"] == "nosniff"
