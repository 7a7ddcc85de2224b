"""The token is told to nobody: not by what the server writes, shows or answers, nor by time."""

from __future__ import annotations

import hmac
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.serving.test_http import received
from tfaas_nb.client import Client
from tfaas_nb.errors import TfaasError, Unauthorized
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.settings import Settings
from tfaas_nb.widgets.server_panel import ServerPanel

SECRETS = ("admins-secret-token", "readers-secret-token", "own-secret-token")
ADMINS, READERS, OWN = SECRETS

#: What asks in ways that go wrong, with the token in the address.
ODD = (
    b"GET /models?token=TOKEN HTTP/1.1\r\n\r\n",
    b"GET /models?token=TOKEN#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET ftp://localhost/?token=TOKEN HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost?token=TOKEN HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /models?token=TOKEN HTTP/7\r\n\r\n",
    b"TOKEN /models HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /json?token=TOKEN HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Length: 3\r\n\r\n{]}",
)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="thread"),
        pytest.param({"workers": 2}, id="processes", marks=pytest.mark.slow),
    ],
)
def test_nothing_written_shown_or_answered_holds_it(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    options: dict[str, Any],
) -> None:
    logging.getLogger("urllib3").setLevel(logging.INFO)  # the test's own words
    caplog.set_level(logging.DEBUG)
    log = tmp_path / "access.log"
    told: list[str] = []
    files = {"token": ADMINS, "reader_token": READERS, "access_log": log}
    with Server(tmp_path / "m", port=0, rate=10_000.0, **files, **options) as server:
        client, panel = server.client(), ServerPanel(server)
        for token in (ADMINS, READERS):
            for path in ("/", "/metrics", "/status", "/models", "/v2", "/nowhere", "/netron/"):
                for url in (f"{path}?token={token}", f"{path}?token=x{token}"):
                    answer = requests.get(server.url + url, timeout=10)
                    told += [answer.text, str(answer.headers)]
            for raw in ODD:
                with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
                    plain.sendall(raw.replace(b"TOKEN", token.encode()))
                    told.append(received(plain).decode("latin-1"))
            with pytest.raises(TfaasError) as caught:
                Client(server.url, token).params("nothing")
            told.append(str(caught.value))
        told += [repr(server), server._repr_html_(), repr(client), client._repr_html_()]
        told += [repr(panel), repr(panel.get_state()), repr(panel.token.get_state())]
        told += _processes()
        client.close()
        panel.close()
    with pytest.raises(TfaasError) as unreachable:
        client.models()
    client.close()
    out, err = capfd.readouterr()
    told += [str(unreachable.value), caplog.text, out, err, log.read_text()]
    for secret in SECRETS:
        assert secret not in "".join(told)
    assert len(log.read_text().splitlines()) > 40


def _processes() -> list[str]:
    """Command lines, and environments as far as they can be seen, of all processes but this."""
    if sys.platform != "linux":
        return []
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for file in ("cmdline", "environ"):
            try:
                if process.name != str(os.getpid()):
                    found.append((process / file).read_text("latin-1"))
            except OSError:
                continue
    return found


def test_what_holds_it_does_not_show_it() -> None:
    access = Access(ADMINS, reader_tokens=(READERS,), own_token=OWN)
    settings = Settings("/m", ADMINS, ("localhost",), reader_tokens=(READERS,), own_token=OWN)
    callers = [
        access.check({b"host": b"localhost"}, f"token={token}".encode()) for token in SECRETS
    ]
    for one in (access, settings, settings.access, *callers):
        for secret in SECRETS:
            assert secret not in repr(one) + str(one)


@pytest.mark.parametrize(
    "guess",
    ["", "a", ADMINS[:-1], ADMINS[:-1] + "x", ADMINS, READERS, "x" * 1000, "\udcff", "ä"],
)
def test_a_guess_takes_the_same_steps_however_near_it_is(
    guess: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digests of one length are compared, with all that are known, in constant time.

    Times themselves are not compared: what differs by nanoseconds would not show among those of
    sockets, so such a test could not fail.
    """
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    access = Access(ADMINS, reader_tokens=(READERS,), own_token=OWN)
    monkeypatch.setattr("tfaas_nb.serving.security.compare_digest", compare)
    sent = b"Bearer " + guess.encode("utf-8", "surrogateescape")
    try:
        access.check({b"host": b"localhost", b"authorization": sent}, b"")
        assert guess in SECRETS
    except Unauthorized:
        assert guess not in SECRETS
    assert len(compared) == len(SECRETS)
    assert {len(part) for pair in compared for part in pair} == {32}
    assert not {part for pair in compared for part in pair} & {s.encode() for s in SECRETS}
