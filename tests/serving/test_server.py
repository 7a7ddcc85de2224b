"""A real server on a real socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import requests

from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import Forbidden, GraphError, ServerError, ServerUnreachable, Unauthorized
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import tfaas


@pytest.fixture(scope="module")
def event(events: Dataset) -> dict[str, float]:
    return dict(zip(events.features.names, map(float, events.X[0]), strict=True))


@pytest.fixture(scope="module")
def small() -> Bundle:
    params = json.dumps({"name": "sum", "features": ["a", "b", "c"]}).encode()
    return Bundle.from_parts(params, serialized(weighted_sum))


SUM = b'{"keys": ["a", "b", "c"], "values": [%d, 0, 0], "model": "sum"}'


@pytest.fixture
def summing(server: Server, small: Bundle) -> Server:
    """A server that has the weighted sum."""
    server.client().upload(small)
    return server


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, small: Bundle) -> Iterator[Server]:
    """Server with the weighted sum, for tests that do not change it."""
    with Server(tmp_path_factory.mktemp("steady"), port=0) as server:
        server.client().upload(small)
        yield server


def head(server: Server, *lines: str, path: str = "/json") -> bytes:
    first = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {server.token}"]
    return "\r\n".join([*first, *lines, "", ""]).encode()


def post(server: Server, body: bytes, *lines: str) -> bytes:
    return head(server, f"Content-Length: {len(body)}", *lines) + body


@contextmanager
def connected(server: Server) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with (
        closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection,
        connection.makefile("rb") as stream,
    ):
        yield connection, stream


def read(stream: BinaryIO) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    status = int(stream.readline().split()[1])
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, stream.read(length)


def own_threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("tfaas_nb")}


def wait_until(condition: Any, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


# --- life -------------------------------------------------------------------------------


def test_start_and_stop_may_be_repeated(tmp_path: Path) -> None:
    server = Server(tmp_path, port=0)
    assert not server.is_running
    assert server.stop() is server
    assert server.start() is server
    port = server.port
    assert server.start().port == port
    assert server.is_running
    server.stop()
    server.stop()
    assert not server.is_running


def test_a_stopped_server_starts_again_with_its_token_and_models(
    summing: Server, small: Bundle
) -> None:
    token = summing.token
    summing.stop()
    client = summing.start().client()
    assert summing.token == token
    assert client.predict("sum", {"a": 1, "b": 1, "c": 1}) == 6


def test_stopping_frees_the_port(tmp_path: Path) -> None:
    with Server(tmp_path, port=0) as server:
        port = server.port
        assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
    with closing(socket.socket()) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/health", timeout=5)


def test_no_thread_is_left(tmp_path: Path, small: Bundle) -> None:
    before = own_threads()  # of tests before, whose servers may be ending
    with Server(tmp_path, port=0) as server:
        server.client().upload(small)
        assert own_threads() - before
    wait_until(lambda: own_threads() <= before)


def test_a_server_that_does_not_run_says_so(tmp_path: Path) -> None:
    server = Server(tmp_path, port=0)
    for ask in (lambda: server.port, lambda: server.url, server.client):
        with pytest.raises(ServerError, match=r"the server is not running: call start\(\)"):
            ask()
    server.wait()  # returns at once
    assert repr(server) == "Server(stopped, 0 models)"


def test_it_shows_what_it_serves(summing: Server) -> None:
    assert repr(summing) == f"Server({summing.url}, 1 model: sum)"
    assert f"127.0.0.1:{summing.port}" in summing._repr_html_()
    assert str(summing.token) not in repr(summing) + summing._repr_html_()


def test_it_can_be_waited_for(server: Server) -> None:
    waiting = threading.Thread(target=server.wait)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    server.stop()
    waiting.join(5)
    assert not waiting.is_alive()


# --- ports ------------------------------------------------------------------------------


def test_a_taken_port_is_an_error(tmp_path: Path, server: Server) -> None:
    other = Server(tmp_path / "other", port=server.port)
    with pytest.raises(
        ServerError,
        match=f"cannot listen on 127.0.0.1:{server.port}: Address already in use; choose another",
    ):
        other.start()
    assert not other.is_running


def test_without_a_port_any_free_one_is_taken(tmp_path: Path) -> None:
    """The usual port may be taken, by the first of these at the latest."""
    with Server(tmp_path / "a") as first, Server(tmp_path / "b") as second:
        assert first.port != second.port
        for server in (first, second):
            assert server.client().describe_models() == []


def test_many_servers_that_start_at_once_find_ports(tmp_path: Path) -> None:
    servers = [Server(tmp_path / str(i)) for i in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(Server.start, servers))
    assert len({server.port for server in servers}) == 8
    for server in servers:
        server.stop()


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("no-such-host.invalid", None, "cannot listen on no-such-host.invalid:0: "),
        ("no-such-host.invalid", 0, "cannot listen on no-such-host.invalid:0: "),
        ("192.0.2.1", None, "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
        ("127.0.0.1", 99_999, "cannot listen on 127.0.0.1:99999: .*0-65535"),
        ("127.0.0.1", -1, "cannot listen on 127.0.0.1:-1: .*0-65535"),
    ],
)
def test_an_address_that_cannot_be_had_is_an_error(
    tmp_path: Path, host: str, port: int | None, message: str
) -> None:
    with pytest.raises(ServerError, match=message):
        Server(tmp_path, host, port, plain_http=True).start()


def test_it_listens_on_version_6_too(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with Server(tmp_path, host="::1", port=0) as server:
        assert server.url == f"http://[::1]:{server.port}"
        assert server.client().describe_models() == []


def test_every_address_of_the_machine_may_be_served(tmp_path: Path) -> None:
    with Server(tmp_path, host="0.0.0.0", port=0, plain_http=True) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.client().describe_models() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "0.0.0.0", "token": False}, "anybody who reaches 0.0.0.0 could upload models"),
        ({"host": "192.0.2.1"}, "whoever listens on the way to 192.0.2.1 could read the token"),
        ({"host": "0.0.0.0", "token": False, "plain_http": True}, "anybody who reaches 0.0.0.0"),
        ({"host": "", "token": False, "certfile": "c.pem"}, "anybody who reaches this machine"),
        ({"token": False, "reader_token": "r"}, "reader_token= needs a token"),
        ({"token": "same", "reader_token": ["r", "same"]}, "a reader's token is the admins'"),
        ({"token": "ünï"}, "must be printable ASCII"),
        ({"token": "a\nb"}, "must be printable ASCII"),
        ({"token": " a"}, "without blanks around it"),
        ({"reader_token": ["r", "ü"]}, "must be printable ASCII"),
        ({"keyfile": "k.pem"}, "need certfile="),
        ({"client_ca": "ca.pem"}, "need certfile="),
        ({"certfile": "c.pem", "admin_subject": "/CN=x"}, "admin_subject= needs client_ca="),
    ],
)
def test_options_that_would_let_others_in_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ServerError, match=message):
        Server(tmp_path, **options)


def test_other_machines_may_be_let_in(tmp_path: Path) -> None:
    for options in (
        {"plain_http": True},
        {"certfile": "c.pem"},
        {"certfile": "c.pem", "client_ca": "ca.pem", "token": False},
    ):
        assert not Server(tmp_path, "0.0.0.0", **options).is_running  # type: ignore[arg-type]


# --- the same directory -----------------------------------------------------------------


def test_a_second_server_takes_the_place_of_the_first(summing: Server, tmp_path: Path) -> None:
    """A cell was run twice: clients made before go on working."""
    client, port, token = summing.client(), summing.port, summing.token
    with Server(tmp_path / "models") as second:
        assert (second.port, second.token) == (port, token)
        assert not summing.is_running
        assert client.predict("sum", {"a": 1, "b": 1, "c": 1}) == 6


def test_a_path_written_differently_is_the_same_directory(server: Server, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "models")
    port = server.port
    with Server(tmp_path / "link" / ".." / "models") as second:
        assert second.port == port
    assert not server.is_running


def test_the_second_server_may_have_its_own_token(server: Server, tmp_path: Path) -> None:
    client = server.client()
    with Server(tmp_path / "models", token="other") as second:
        assert second.token == "other"
        assert second.client().describe_models() == []
        with pytest.raises(Unauthorized):
            client.describe_models()


def test_the_second_server_may_have_no_token(server: Server, tmp_path: Path) -> None:
    with Server(tmp_path / "models", token=False) as second:
        assert second.token is None
        assert requests.get(f"{second.url}/models", timeout=5).json() == []


def test_another_server_finds_the_models(summing: Server, tmp_path: Path) -> None:
    summing.stop()
    with Server(tmp_path / "models", port=0) as again:
        assert again.client().predict("sum", {"a": 1, "b": 1, "c": 1}) == 6
        assert again.client().describe_models()[0]["version"] == 1


# --- who may ask ------------------------------------------------------------------------


def test_the_token_is_random(tmp_path: Path) -> None:
    with Server(tmp_path / "a", port=0) as first, Server(tmp_path / "b", port=0) as second:
        assert first.token
        assert first.token != second.token


@pytest.mark.parametrize("token", ["", None, True])
def test_no_token_is_never_meant_by_an_empty_one(tmp_path: Path, token: Any) -> None:
    with Server(tmp_path, port=0, token=token) as server:
        assert len(str(server.token)) > 20
        assert requests.get(f"{server.url}/models", timeout=5).status_code == 401


def test_liveness_is_told_without_the_token(server: Server) -> None:
    answer = requests.get(f"{server.url}/health", timeout=5)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert requests.get(f"{server.url}/status", timeout=5).status_code == 401


def test_the_token_may_stand_in_the_address(server: Server) -> None:
    assert requests.get(f"{server.url}/models?token={server.token}", timeout=5).json() == []


def test_a_foreign_host_name_is_refused(server: Server) -> None:
    headers = {"Host": "evil.example", "Authorization": f"Bearer {server.token}"}
    answer = requests.get(f"{server.url}/models", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["kind"]) == (403, Forbidden.__name__)


@pytest.mark.parametrize("allowed", [["proxy.example"], ["Proxy.Example"], "proxy.example"])
def test_further_host_names_may_be_allowed(tmp_path: Path, allowed: Any) -> None:
    with Server(tmp_path, port=0, token=False, allowed_hosts=allowed) as server:
        for host in ("proxy.example", "Proxy.Example", "proxy.example:443"):
            headers = {"Host": host}
            answer = requests.get(f"{server.url}/models", headers=headers, timeout=5)
            assert answer.status_code == 200


# --- models -----------------------------------------------------------------------------


@pytest.mark.slow
def test_an_upload_under_the_same_name_is_served_at_once(
    server: Server, bundle: Bundle, other_bundle: Bundle, event: dict[str, float]
) -> None:
    client = server.client()
    scores = []
    for uploaded in (bundle, other_bundle, bundle):
        client.upload(uploaded)
        scores.append(client.predict("ttbar", event))
    assert scores[0] == scores[2] != scores[1]


@pytest.mark.slow
def test_predictions_during_uploads_are_of_one_version_or_the_other(
    server: Server, bundle: Bundle, other_bundle: Bundle, event: dict[str, float]
) -> None:
    client = server.client()
    possible = set()
    for uploaded in (other_bundle, bundle):
        client.upload(uploaded)
        possible.add(client.predict("ttbar", event))
    done = threading.Event()

    def predict(_: int) -> set[float]:
        own, found = server.client(), set()
        while not done.is_set():
            found.add(own.predict("ttbar", event))
        return found

    with ThreadPoolExecutor(4) as threads:
        predictions = [threads.submit(predict, i) for i in range(3)]
        for _ in range(4):
            client.upload(other_bundle)
            client.upload(bundle)
        done.set()
        found = set().union(*(prediction.result() for prediction in predictions))
    assert len(possible) == 2
    # Events that are computed together may differ from lone ones in the last digit.
    versions = {one for score in found for one in possible if abs(score - one) < 1e-6}
    assert versions == possible
    assert all(min(abs(score - one) for one in possible) < 1e-6 for score in found)
    assert server.client().describe_models()[0]["version"] == 10


@pytest.mark.slow
def test_uploads_at_once_all_get_a_version(server: Server, small: Bundle) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: server.client().upload(small), range(16)))
    assert server.client().params("sum")["version"] == 16


def test_a_refused_upload_leaves_the_server_as_it_was(summing: Server) -> None:
    files = {"params": b'{"name": "sum"}', "model": b"\xff"}
    headers = {"Authorization": f"Bearer {summing.token}"}
    answer = requests.post(f"{summing.url}/upload", files=files, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["kind"]) == (422, GraphError.__name__)
    assert summing.client().params("sum")["version"] == 1
    assert summing.client().predict("sum", {"a": 1, "b": 1, "c": 1}) == 6


# --- HTTP -------------------------------------------------------------------------------


def test_a_connection_is_kept(steady: Server) -> None:
    with connected(steady) as (connection, stream):
        for i in range(20):
            connection.sendall(post(steady, SUM % i))
            assert read(stream) == (200, b"[%d.0]" % i)


def test_a_connection_is_kept_after_an_error(steady: Server) -> None:
    with connected(steady) as (connection, stream):
        for body, status in ((b"{", 400), (SUM % 1, 200), (b"", 400), (SUM % 2, 200)):
            connection.sendall(post(steady, body))
            assert read(stream)[0] == status


def test_a_connection_is_closed_when_asked(steady: Server) -> None:
    with connected(steady) as (connection, stream):
        connection.sendall(post(steady, SUM % 1, "Connection: close"))
        assert read(stream) == (200, b"[1.0]")
        assert stream.read() == b""


def test_requests_sent_together_are_answered_in_order(steady: Server) -> None:
    with connected(steady) as (connection, stream):
        connection.sendall(b"".join(post(steady, SUM % i) for i in range(10)))
        assert [read(stream) for _ in range(10)] == [(200, b"[%d.0]" % i) for i in range(10)]


def test_a_client_may_wait_to_be_told_to_go_on(steady: Server) -> None:
    body = SUM % 7
    with connected(steady) as (connection, stream):
        connection.sendall(head(steady, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        connection.sendall(body)
        assert read(stream) == (200, b"[7.0]")


def test_a_client_that_would_send_too_much_is_not_told_to_go_on(steady: Server) -> None:
    with connected(steady) as (connection, stream):
        connection.sendall(head(steady, f"Content-Length: {1 << 40}", "Expect: 100-continue"))
        status, body = read(stream)
        assert (status, json.loads(body)["kind"]) == (413, "TooLarge")


def test_a_client_without_the_token_is_not_told_to_go_on(steady: Server) -> None:
    with connected(steady) as (connection, stream):
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert read(stream)[0] == 401


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_may_come_in_chunks(steady: Server, size: int) -> None:
    body = SUM % 7
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    with connected(steady) as (connection, stream):
        connection.sendall(head(steady, "Transfer-Encoding: chunked"))
        for chunk in [*chunks, b""]:
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        assert read(stream) == (200, b"[7.0]")


def test_a_slow_body_holds_nobody_up(steady: Server) -> None:
    slow = post(steady, SUM % 7)
    with connected(steady) as (connection, stream):
        for part in (slow[:20], slow[20:-30], slow[-30:-1]):
            connection.sendall(part)
            start = time.monotonic()
            assert steady.client().predict("sum", {"a": 1, "b": 1, "c": 1}) == 6
            assert time.monotonic() - start < 1
        connection.sendall(slow[-1:])
        assert read(stream) == (200, b"[7.0]")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_client_that_goes_away_does_no_harm(steady: Server, small: Bundle, share: float) -> None:
    archive = small.archive()
    sent = head(
        steady,
        f"Content-Length: {len(archive)}",
        "Content-Type: application/octet-stream",
        path="/upload",
    )
    for whole in (post(steady, SUM % 7), sent + archive):
        with connected(steady) as (connection, _):
            connection.sendall(whole[: int(len(whole) * share)])
    assert steady.client().predict("sum", {"a": 1, "b": 1, "c": 1}) == 6
    assert steady.client().params("sum")["version"] == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # the start of a TLS handshake
    ],
)
def test_what_is_not_http_does_no_harm(steady: Server, sent: bytes) -> None:
    with connected(steady) as (connection, stream):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in stream.readline()
    assert steady.client().predict("sum", {"a": 1, "b": 1, "c": 1}) == 6


@pytest.mark.parametrize("target", ["/models?x=\xff", "/\xff", "/%ff", "/models?model=%ff", "//"])
def test_any_address_is_answered(steady: Server, target: str) -> None:
    with connected(steady) as (connection, stream):
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
        status, _ = read(stream)
        assert 400 <= status < 500
    assert steady.client().predict("sum", {"a": 1, "b": 1, "c": 1}) == 6


@pytest.mark.slow
def test_many_clients_at_once_get_their_own_answers(steady: Server) -> None:
    def ask(number: int) -> list[tuple[int, bytes]]:
        with connected(steady) as (connection, stream):
            answers = []
            for _ in range(20):
                connection.sendall(post(steady, SUM % number))
                answers.append(read(stream))
            return answers

    with ThreadPoolExecutor(32) as threads:
        for number, answers in enumerate(threads.map(ask, range(100))):
            assert answers == [(200, b"[%d.0]" % number)] * 20


@pytest.mark.slow
def test_a_large_request_holds_nobody_up(
    serving: Server, events: Dataset, event: dict[str, float]
) -> None:
    client = serving.client()
    body = tfaas.encode_json(events.features.names, np.tile(events.X, (10, 1)), "ttbar")
    assert client.predict("ttbar", event) > 0
    with ThreadPoolExecutor(1) as threads:
        headers = {"Authorization": f"Bearer {serving.token}"}
        large = threads.submit(
            requests.post, f"{serving.url}/json", data=body, headers=headers, timeout=60
        )
        answered = 0
        while not large.done():
            assert client.predict("ttbar", event) > 0
            answered += 1
    assert large.result().status_code == 200
    assert answered > 1


# --- the end ----------------------------------------------------------------------------


@pytest.mark.slow
def test_stopping_under_load_is_quick(serving: Server, event: dict[str, float]) -> None:
    url, token = serving.url, serving.token
    outcomes: list[str] = []

    def ask() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        body = tfaas.encode_json(tuple(event), np.array(list(event.values()), np.float32), "ttbar")
        with requests.Session() as session:
            while True:
                try:
                    answer = session.post(f"{url}/json", data=body, headers=headers, timeout=10)
                except requests.ConnectionError:
                    return
                outcomes.append(f"{answer.status_code} {len(answer.json())}")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(outcomes) > 50)
    start = time.monotonic()
    serving.stop()
    assert time.monotonic() - start < 5
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert set(outcomes) == {"200 1"}


@pytest.mark.slow
def test_an_idle_connection_does_not_hold_up_the_end(server: Server) -> None:
    with connected(server):
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 2


@pytest.mark.slow
def test_a_request_that_never_ends_does_not_hold_up_the_end(summing: Server) -> None:
    with connected(summing) as (connection, _):
        connection.sendall(post(summing, SUM % 1)[:-5])
        time.sleep(0.1)
        start = time.monotonic()
        summing.stop()
        assert time.monotonic() - start < 5


def test_a_client_of_a_stopped_server_is_told(server: Server) -> None:
    client = server.client()
    server.stop()
    with pytest.raises(ServerUnreachable, match=r"no answer from http://127\.0\.0\.1:"):
        client.describe_models()


def test_a_server_with_little_memory_serves_all_its_models(tmp_path: Path, small: Bundle) -> None:
    with Server(tmp_path / "models", port=0, memory=1) as server:
        client = server.client()
        for name in ("first", "second"):
            client.upload(small, name)
        for name in ("first", "second", "first"):
            assert client.predict(name, {"a": 1, "b": 1, "c": 1}) == 6
        assert server.service.in_memory.evictions
        assert server.service.in_memory.bytes == server.service.model("first").size
