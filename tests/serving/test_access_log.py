"""The access log of a real server, in a real file."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tfaas_nb.errors import ServerError
from tfaas_nb.serving import access_log
from tfaas_nb.serving.access_log import AccessLog, Entry
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.server import Server

FIELDS = [
    "time",
    "id",
    "client",
    "method",
    "path",
    "status",
    "request_bytes",
    "response_bytes",
    "milliseconds",
    "error",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def server(tmp_path: Path, log: Path) -> Iterator[Server]:
    with Server(tmp_path / "models", port=0, token="secret", access_log=log) as running:
        yield running


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def entry(path: str = "/json", status: int = 200) -> Entry:
    request = Request(Head("POST", path, b"token=secret", {}), b"12345")
    response = Response(b"ok", "text/plain", status)
    return Entry.of(request, response, path, time=1e9, id="id", client="127.0.0.1", seconds=0.5)


def own_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "tfaas_nb-access"]


def test_every_answer_is_a_line(server: Server, log: Path) -> None:
    bearer = {"Authorization": "Bearer secret", "X-Request-ID": "mine"}
    answer = requests.post(f"{server.url}/json", b"{", headers=bearer, timeout=5)
    made = requests.get(f"{server.url}/models?token=secret", timeout=5)
    requests.get(f"{server.url}/models", timeout=5)
    server.stop()
    first, second, third = lines(log)
    assert list(first) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert (first["id"], answer.headers["x-request-id"]) == ("mine", "mine")
    assert (first["client"], first["method"], first["path"]) == ("127.0.0.1", "POST", "/json")
    assert (first["status"], first["error"]) == (400, "RequestError")
    assert (first["request_bytes"], first["response_bytes"]) == (1, len(answer.content))
    assert 0 <= first["milliseconds"] < 60_000
    assert second["id"] == made.headers["x-request-id"] != ""
    assert (second["path"], second["status"], second["error"]) == ("/models", 200, "")
    assert (third["status"], third["error"]) == (401, "Unauthorized")
    assert "secret" not in log.read_text()


def test_the_key_of_the_drawn_graphs_is_not_told(server: Server, log: Path) -> None:
    asked = f"{server.url}/netron/?token=secret"
    path = requests.get(asked, timeout=5, allow_redirects=False).headers["location"]
    requests.get(f"{server.url}/netron/{path}index.js", timeout=5)
    server.stop()
    assert [line["path"] for line in lines(log)] == ["/netron/", "/netron/k/KEY/index.js"]


def test_it_is_appended_to(server: Server, log: Path) -> None:
    requests.get(f"{server.url}/health", timeout=5)
    server.stop()
    server.start()
    requests.get(f"{server.url}/health", timeout=5)
    server.stop()
    assert [line["path"] for line in lines(log)] == ["/health", "/health"]


def test_it_is_opened_anew_when_it_was_moved_away(log: Path) -> None:
    """As logrotate does."""
    writing = AccessLog(log)
    writing.start()
    writing.add(entry("/before"))
    writing.stop()
    writing.start()
    moved = log.rename(log.with_suffix(".1"))
    writing.add(entry("/after"))
    writing.stop()
    assert [line["path"] for line in lines(moved)] == ["/before"]
    assert [line["path"] for line in lines(log)] == ["/after"]


def test_what_waits_is_written_before_it_stops(log: Path) -> None:
    writing = AccessLog(log)
    writing.start()
    for i in range(5000):
        writing.add(entry(f"/{i}"))
    writing.stop()
    writing.stop()
    assert [line["path"] for line in lines(log)] == [f"/{i}" for i in range(5000)]
    assert not own_threads()


def test_nothing_is_lost_however_soon_it_stops(log: Path) -> None:
    writing = AccessLog(log)
    for i in range(300):
        writing.start()
        writing.add(entry(f"/{i}"))
        writing.stop()
    assert len(lines(log)) == 300


def test_two_may_write_one_file(log: Path) -> None:
    """As worker processes do: no line is cut."""
    both = [AccessLog(log), AccessLog(log)]
    for writing in both:
        writing.start()
    for i in range(3000):
        both[i % 2].add(entry(f"/{i}/" + "x" * 200))
    for writing in both:
        writing.stop()
    assert {line["path"].split("/")[1] for line in lines(log)} == {str(i) for i in range(3000)}


@pytest.mark.parametrize("path", ['/a"b', "/a\nb", "/é", "/\ud800", "/" + "x" * 5000])
def test_any_path_is_one_line(log: Path, path: str) -> None:
    writing = AccessLog(log)
    writing.start()
    writing.add(entry(path))
    writing.stop()
    (line,) = lines(log)
    assert len(line["path"]) <= 2048
    assert (line["request_bytes"], line["response_bytes"], line["milliseconds"]) == (5, 2, 500)


def test_what_is_no_http_is_a_line_too(log: Path) -> None:
    writing = AccessLog(log)
    writing.start()
    refused = Response(b'{"error":"x","kind":"RequestError"}', status=400)
    writing.add(Entry.of(None, refused, "", time=0.0, id="id", client="::1", seconds=0.0))
    writing.stop()
    (line,) = lines(log)
    assert (line["method"], line["path"], line["error"]) == ("", "", "RequestError")
    assert line["time"] == "1970-01-01T00:00:00.000Z"


def test_it_may_be_written_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    writing = AccessLog("-")
    writing.start()
    writing.add(entry("/shown"))
    writing.stop()
    assert json.loads(capfd.readouterr().err)["path"] == "/shown"


def test_it_may_be_written_to_an_open_file(log: Path) -> None:
    """As a worker process inherits its parent's standard error."""
    with log.open("wb") as opened:
        for path in ("/first", "/second"):
            writing = AccessLog(opened.fileno())
            writing.start()
            writing.add(entry(path))
            writing.stop()
    assert [line["path"] for line in lines(log)] == ["/first", "/second"]


def test_a_path_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    server = Server(tmp_path / "models", port=0, access_log=tmp_path / "none" / "access.log")
    with pytest.raises(ServerError, match=r"access\.log' cannot be written: No such file"):
        server.start()
    assert not server.is_running
    assert not own_threads()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_stops_only_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING, "tfaas_nb"),
        Server(tmp_path / "models", port=0, access_log="/dev/full") as server,
    ):
        for _ in range(3):
            assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
    assert [record.message for record in caplog.records] == ["the access log cannot be written"]


def test_lines_are_dropped_rather_than_kept_without_end(
    log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_log, "_MOST_WAITING", 10)
    writing = AccessLog(log)
    for i in range(15):  # nobody writes yet
        writing.add(entry(f"/{i}"))
    with caplog.at_level(logging.WARNING, "tfaas_nb"):
        writing.start()
        writing.stop()
    assert len(lines(log)) == 10
    assert "5 lines of the access log were dropped" in caplog.text


def test_without_it_nothing_is_written(tmp_path: Path) -> None:
    with Server(tmp_path / "models", port=0) as server:
        requests.get(f"{server.url}/health", timeout=5)
        assert not own_threads()
    assert not list(tmp_path.glob("*.log"))
