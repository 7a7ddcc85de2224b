"""Demands of HTTP/1.1 on a server, over real sockets, with an application that echoes."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tfaas_nb.errors import RouteNotFound, TfaasError
from tfaas_nb.serving import http
from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.http import Limits
from tfaas_nb.serving.messages import Done, Head, Request, Response

MOST = 1000


class Echo:
    """Answers with method, path, query and body; `/later/N` after N tenths of a second."""

    def __init__(self, most: int) -> None:
        self.most = most

    def admit(self, head: Head) -> Call:
        if head.path == "/nowhere":
            raise RouteNotFound("nothing here")
        if head.path == "/broken":
            raise ZeroDivisionError
        return Call(self.most, self.answer)

    def answer(self, request: Request, done: Done) -> None:
        head = request.head
        said = f"{head.method} {head.path} {head.query.decode()} {request.body.decode()}"
        response = Response(said.encode(), "text/plain", headers=(("x-more", "yes"),))
        if head.path.startswith("/later/"):
            delay = int(head.path.rpartition("/")[2]) / 10
            asyncio.get_running_loop().call_later(delay, done, response)
        elif head.path.startswith("/block/"):
            time.sleep(int(head.path.rpartition("/")[2]) / 10)
            done(response)
        elif head.path == "/large":
            done(Response(b"x" * 8_000_000, "text/plain"))
        else:
            done(response)

    def refuse(self, error: TfaasError) -> Response:
        return Response(str(error).encode(), "text/plain", error.status)

    def hold(self, more_to_come: bool) -> None:
        pass

    def answered(
        self,
        request: Request | None,
        call: Call | None,
        response: Response,
        since: float,
        client: str,
    ) -> Response:
        return response


@dataclass
class Running:
    port: int
    stop: threading.Event
    thread: threading.Thread

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, raw: bytes) -> bytes:
        """Send bytes, and return all that comes back until the server closes."""
        with self.connect() as client:
            client.sendall(raw)
            return received(client)


def received(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def get(path: str, *headers: str, method: str = "GET", body: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


@contextlib.contextmanager
def running(
    limits: Limits, grace: float = 1.0, most: int = MOST, drain: float = 0.0
) -> Iterator[Running]:
    listening = socket.create_server(("127.0.0.1", 0))
    ready, stop = threading.Event(), threading.Event()

    async def main() -> None:
        ends = asyncio.Event()
        asyncio.get_running_loop().run_in_executor(None, lambda: (stop.wait(), loop_end(ends)))
        await http.serve(Echo(most), listening, ends, ready.set, "echo", limits, grace, drain)

    loops: list[asyncio.AbstractEventLoop] = []

    def loop_end(ends: asyncio.Event) -> None:
        loops[0].call_soon_threadsafe(ends.set)

    def run() -> None:
        async def whole() -> None:
            loops.append(asyncio.get_running_loop())
            await main()

        asyncio.run(whole())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(5)
    try:
        yield Running(listening.getsockname()[1], stop, thread)
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def echo() -> Iterator[Running]:
    with running(Limits(head_bytes=2000)) as server:
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[Running]:
    limits = Limits(
        head_seconds=0.5, body_bytes_per_second=1e9, idle_seconds=0.5, pipelined=2, connections=3
    )
    with running(limits) as server:
        yield server


def test_an_answer_has_what_the_application_gave(echo: Running) -> None:
    answer = echo.ask(get("/a%20b?x=1", "Connection: close", "Content-Length: 2", body="hi"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"GET /a b x=1 hi"
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert set(lines[1:]) == {
        "server: echo",
        "x-tfaas-nb: echo",
        "x-content-type-options: nosniff",
        "content-type: text/plain",
        f"content-length: {len(body)}",
        "x-more: yes",
        "connection: close",
    }


def test_a_connection_is_kept_for_the_next_request(echo: Running) -> None:
    with echo.connect() as client:
        for path in ("/1", "/2", "/3"):
            client.sendall(get(path))
            assert client.recv(1000).endswith(f"GET {path}  ".encode())


@pytest.mark.parametrize("old", [b"GET / HTTP/1.0\r\n\r\n", get("/", "Connection: close")])
def test_a_connection_ends_when_the_client_says_so(echo: Running, old: bytes) -> None:
    answer = echo.ask(old + get("/never"))
    assert statuses(answer) == [200]
    assert b"connection: close" in answer


@pytest.mark.slow
def test_answers_keep_the_order_of_pipelined_requests(echo: Running) -> None:
    start = time.monotonic()
    answer = echo.ask(get("/later/4") + get("/later/1") + get("/now", "Connection: close"))
    assert [part.split(b" ")[-3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [
        b"/later/4",
        b"/later/1",
        b"/now",
    ]
    assert time.monotonic() - start < 5


REPEATED = [
    get("/a?x=1", "Content-Length: 2", method="POST", body="hi"),
    get("/a?x=1", "Content-Length: 2", method="POST", body="\r\n"),
    get("/b"),
    get("/a?x=1", "Content-Length: 2", method="POST", body="ho"),
    get("/nowhere"),
    get("/later/1"),
    get("/c", "Transfer-Encoding: chunked", method="POST", body="2\r\nhi\r\n0\r\n\r\n"),
    get("/b", method="HEAD"),
    get("/d", "Content-Length: 8", method="POST", body="\r\n\r\nGET "),
    get("/b"),
    b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    get("/last", "Connection: close"),
]


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 29, 61, 100, 10_000])
def test_a_repeated_request_is_answered_as_the_first_time(echo: Running, size: int) -> None:
    """A head is parsed once and then known by its bytes, however the stream is cut."""
    stream = b"".join(REPEATED)
    answers = set()
    for _ in range(3):
        with echo.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(stream), size):
                client.sendall(stream[at : at + size])
                time.sleep(0.0005)
            answers.add(received(client))
    assert len(answers) == 1
    (answer,) = answers
    assert statuses(answer) == [200, 200, 200, 200, 404] + [200] * 7
    assert b"POST /d  \r\n\r\nGET HTTP/1.1 200" in answer


def test_a_head_with_bare_line_feeds_is_never_taken_for_another(echo: Running) -> None:
    """Keep the end of a known head, whatever a parser may allow within a head."""
    odd = b"POST /odd HTTP/1.1\nHost: localhost\nContent-Length: 6\n\nab\r\n\r\n"
    for _ in range(2):
        answer = echo.ask(odd + get("/next", "Connection: close"))
        assert statuses(answer) in ([400], [200, 200])
        if len(statuses(answer)) == 2:
            assert b"POST /odd  ab\r\n\r\n" in answer


def test_who_was_not_admitted_is_asked_again_each_time(echo: Running) -> None:
    for _ in range(2):
        answer = echo.ask(get("/nowhere") + get("/nowhere", "Connection: close"))
        assert statuses(answer) == [404, 404]


LARGE = 3_000_000


@pytest.fixture(scope="module")
def wide() -> Iterator[Running]:
    with running(Limits(head_seconds=1.0), most=LARGE) as server:
        yield server


def test_a_large_body_is_received_whole(wide: Running) -> None:
    """It bypasses the parser; what follows on the connection does not."""
    body = "".join(map(str, range(400_000)))
    large = get("/large-body", f"Content-Length: {len(body)}", method="POST", body=body)
    answer = wide.ask(get("/1") + large + get("/2") + large + get("/3", "Connection: close"))
    assert statuses(answer) == [200] * 5
    assert answer.count(b"POST /large-body  " + body.encode()) == 2
    assert answer.endswith(b"GET /3  ")


def test_the_last_request_may_have_a_large_body(wide: Running) -> None:
    body = "x" * LARGE
    headers = (f"Content-Length: {len(body)}", "Connection: close", "Expect: 100-continue")
    answer = wide.ask(get("/last", *headers, method="POST", body=body))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"POST /last  " + body.encode())


@pytest.mark.slow
def test_a_large_body_that_is_not_sent_is_not_waited_for(wide: Running) -> None:
    part = "x" * 1000
    start = time.monotonic()
    assert wide.ask(get("/", f"Content-Length: {LARGE}", method="POST", body=part)) == b""
    assert time.monotonic() - start < 8
    with wide.connect() as client:
        client.sendall(get("/", f"Content-Length: {LARGE}", method="POST", body=part))
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b""


@pytest.mark.slow
def test_a_large_body_over_the_limit_is_refused(wide: Running) -> None:
    answer = wide.ask(get("/", f"Content-Length: {LARGE + 1}", "Connection: close", method="POST"))
    assert b"has 3000001 bytes, more than 3000000" in answer or answer == b""


def test_more_pipelined_requests_than_allowed_wait(strict: Running) -> None:
    paths = [f"/later/{i % 2}" for i in range(9)]
    with strict.connect() as client:
        for path in paths:
            client.sendall(get(path))
            time.sleep(0.01)
        client.sendall(get("/last", "Connection: close"))
        assert statuses(received(client)) == [200] * 10


def test_a_request_may_come_byte_by_byte(echo: Running) -> None:
    with echo.connect() as client:
        for byte in get("/slow", "Content-Length: 3", "Connection: close", body="abc"):
            client.sendall(bytes([byte]))
        assert received(client).endswith(b"GET /slow  abc")


def test_a_body_may_come_in_chunks(echo: Running) -> None:
    chunks = "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    raw = get("/", "Transfer-Encoding: chunked", "Connection: close", method="POST", body=chunks)
    assert echo.ask(raw).endswith(b"POST /  abcde")


def test_who_waits_for_100_continue_gets_it(echo: Running) -> None:
    with echo.connect() as client:
        client.sendall(get("/", "Content-Length: 2", "Expect: 100-Continue", "Connection: close"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"ok")
        assert received(client).endswith(b"ok")


@pytest.mark.parametrize(("path", "length", "status"), [("/nowhere", 1, 404), ("/", MOST + 1, 413)])
def test_who_waits_for_100_continue_may_be_refused_instead(
    echo: Running, path: str, length: int, status: int
) -> None:
    answer = echo.ask(get(path, f"Content-Length: {length}", "Expect: 100-continue"))
    assert statuses(answer) == [status]


def test_a_refused_request_leaves_the_connection_usable(echo: Running) -> None:
    raw = get("/nowhere", "Content-Length: 3", body="abc") + get("/", "Connection: close")
    assert statuses(echo.ask(raw)) == [404, 200]


def test_a_refused_upload_is_answered_though_the_client_goes_on_sending(echo: Running) -> None:
    with echo.connect() as client:
        client.sendall(get("/nowhere", "Content-Length: 10000000"))
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                client.sendall(b"x" * 50_000)
        assert statuses(received(client)) == [404]


def test_a_body_that_announces_too_much_is_refused(echo: Running) -> None:
    answer = echo.ask(
        get("/", f"Content-Length: {MOST + 1}", "Connection: close") + b"x" * (MOST + 1)
    )
    assert statuses(answer) == [413]
    assert f"more than {MOST}".encode() in answer


def test_a_body_that_grows_too_large_is_refused(echo: Running) -> None:
    chunk = f"{MOST:x}\r\n{'x' * MOST}\r\n"
    answer = echo.ask(get("/", "Transfer-Encoding: chunked", method="POST", body=chunk * 2))
    assert statuses(answer) == [413]


@pytest.mark.parametrize(
    "raw",
    [get("/" + "x" * 3000), get("/", *(f"X-{i}: {'y' * 50}" for i in range(50)))],
    ids=["address", "headers"],
)
def test_a_long_head_is_refused(echo: Running, raw: bytes) -> None:
    assert statuses(echo.ask(raw)) == [431]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["TLS", "words", "two hosts", "name", "two lengths", "smuggling", "negative", "chunk"],
)
def test_what_is_not_http_is_refused(echo: Running, raw: bytes) -> None:
    assert statuses(echo.ask(raw)) == [400]


def test_an_answer_to_head_has_no_body(echo: Running) -> None:
    answer = echo.ask(get("/", method="HEAD") + get("/", "Connection: close"))
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert first.endswith(b"\r\n\r\n")
    assert b"content-length: 8" in first
    assert second.endswith(b"GET /  ")


def test_an_upgrade_is_answered_as_a_request(echo: Running) -> None:
    raw = get("/", "Connection: Upgrade", "Upgrade: websocket") + b"\x81\x05hello"
    assert statuses(echo.ask(raw)) == [200]


H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_an_offer_of_http_2_is_ignored(echo: Running, size: int) -> None:
    """As curl and Java send it with a body, however the stream is cut."""
    stream = b"".join(
        [
            get("/1", *H2C),
            get("/2", *H2C, "Content-Length: 2", method="POST", body="hi"),
            get("/3"),
            get("/4", *H2C, "Transfer-Encoding: chunked", body="2\r\nho\r\n0\r\n\r\n"),
            get("/5", *H2C, "Content-Length: 9", method="POST", body="GET /no X"),
            get("/6", *H2C[1:], "Connection: close, Upgrade"),
        ]
    )
    with echo.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(stream), size):
            client.sendall(stream[at : at + size])
        answer = received(client)
    assert statuses(answer) == [200] * 6
    bodies = [one.rpartition(b"\r\n\r\n")[2] for one in answer.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [
        b"GET /1  ",
        b"POST /2  hi",
        b"GET /3  ",
        b"GET /4  ho",
        b"POST /5  GET /no X",
        b"GET /6  ",
    ]
    assert answer.count(b"connection: ") == 1


def test_a_large_body_may_come_with_an_offer_of_http_2(wide: Running) -> None:
    body = "x" * LARGE
    headers = (*H2C, f"Content-Length: {LARGE}", "Expect: 100-continue")
    raw = get("/large-body", *headers, method="POST", body=body)
    answer = wide.ask(raw + get("/last", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.count(b"POST /large-body  " + body.encode()) == 1
    assert statuses(answer)[1:] == [200, 200]


def test_a_head_with_an_offer_is_held_to_the_limit(echo: Running) -> None:
    raw = get("/", *H2C, *(f"X-{i}: {'y' * 90}" for i in range(30)))
    assert statuses(echo.ask(raw)) == [431]


def test_http_1_0_is_told_that_the_connection_is_kept(echo: Running) -> None:
    old = b"GET /%d HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    with echo.connect() as client:
        for i in range(3):  # from the second on its head is known
            client.sendall(old % (i // 2))
            answer = client.recv(1000)
            assert b"\r\nconnection: keep-alive\r\n" in answer
            assert answer.endswith(b"GET /%d  " % (i // 2))
        client.sendall(old.replace(b"Connection: Keep-Alive\r\n", b"") % 3)
        assert b"\r\nconnection: close\r\n" in received(client)


@pytest.mark.skipif(shutil.which("ab") is None, reason="ab is not installed (apache2-utils)")
def test_ab_keeps_its_connections(echo: Running) -> None:
    """It speaks HTTP/1.0, and waits until it is told that a connection is kept, or closed."""
    url = f"http://127.0.0.1:{echo.port}/ab"
    command = ["ab", "-q", "-k", "-n", "1000", "-c", "10", "-s", "5", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^([A-Z][^:\n]+):\s+([0-9]+)", done.stdout, re.MULTILINE))
    assert found["Complete requests"] == found["Keep-Alive requests"] == "1000"
    assert found["Failed requests"] == "0"
    assert found["HTML transferred"] == str(1000 * len("GET /ab  "))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_may_offer_http_2(echo: Running, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{echo.port}"
    (tmp_path / "body").write_text("x" * 900)
    command = ["curl", "-sSv", "--http2", "--data-binary", "@body", f"{url}/1", f"{url}/2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.stdout == f"POST /1  {'x' * 900}POST /2  {'x' * 900}"
    assert done.stderr.count("< HTTP/1.1 200 OK") == 2
    assert "Re-using existing connection" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
def test_java_s_client_is_answered(echo: Running, tmp_path: Path) -> None:
    """Its default is to offer HTTP/2 with the first request of a connection."""
    (tmp_path / "Ask.java").write_text(JAVA)
    command = ["java", "-XX:TieredStopAtLevel=1", "Ask.java", f"http://127.0.0.1:{echo.port}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:-1] == ["200 POST /1  events", "200 POST /2  events"]


JAVA = """
import java.net.URI;
import java.net.http.*;

public class Ask {
    public static void main(String[] args) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (String path : new String[] {"/1", "/2"}) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(args[0] + path))
                .POST(HttpRequest.BodyPublishers.ofString("events")).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""


def test_an_unexpected_error_is_told_without_details(echo: Running) -> None:
    answer = echo.ask(get("/broken"))
    assert statuses(answer) == [500]
    assert b"ZeroDivision" not in answer


def test_a_client_that_goes_away_does_no_harm(echo: Running) -> None:
    for raw in (get("/later/1"), get("/", "Content-Length: 9"), b"GET", get("/large")):
        with echo.connect() as client:
            client.sendall(raw)
    time.sleep(0.2)
    assert statuses(echo.ask(get("/", "Connection: close"))) == [200]


def test_a_client_that_has_said_all_is_still_answered(echo: Running) -> None:
    with echo.connect() as client:
        client.sendall(get("/later/2"))
        client.shutdown(socket.SHUT_WR)
        assert statuses(received(client)) == [200]


@pytest.mark.slow
@pytest.mark.parametrize(
    "raw",
    [b"", b"GET / HT", get("/", "Content-Length: 5", body="ab"), get("/")],
    ids=["silence", "head", "body", "idle"],
)
def test_a_client_that_dawdles_is_let_go(strict: Running, raw: bytes) -> None:
    start = time.monotonic()
    with strict.connect() as client, contextlib.suppress(ConnectionResetError):
        client.sendall(raw)
        received(client)
    assert 0.3 < time.monotonic() - start < 5


@pytest.mark.slow
def test_a_client_that_waits_for_us_is_not_let_go(strict: Running) -> None:
    assert statuses(strict.ask(get("/later/20", "Connection: close"))) == [200]


@pytest.mark.slow
def test_a_client_that_takes_no_answers_is_let_go(strict: Running) -> None:
    with strict.connect() as client:
        client.sendall(get("/large") * 20)
        time.sleep(3)
        with contextlib.suppress(ConnectionResetError):
            assert len(received(client)) < 20 * 8_000_000


def test_too_many_connections_are_told_so(strict: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(strict.connect())
            client.sendall(get("/"))
            assert statuses(client.recv(1000)) == [200]
        assert statuses(strict.ask(b"")) == [503]
    time.sleep(0.1)
    assert statuses(strict.ask(get("/", "Connection: close"))) == [200]


def half_a_request(server: Running) -> socket.socket:
    client = server.connect()
    client.sendall(b"GET / HT")
    return client


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0.3)
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.slow
def test_slow_clients_make_room_for_others() -> None:
    """Then idle ones, but nobody who waits for an answer or has just come."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(Limits(connections=4)))
        waiting, idle = (stack.enter_context(server.connect()) for _ in range(2))
        waiting.sendall(get("/later/30"))
        idle.sendall(get("/"))
        assert statuses(idle.recv(1000)) == [200]
        slow = [stack.enter_context(half_a_request(server)) for _ in range(2)]
        assert statuses(server.ask(get("/"))) == [503], "they have only just begun"
        time.sleep(1.1)
        assert statuses(server.ask(get("/", "Connection: close"))) == [200]
        assert all(map(is_closed, slow))
        idle.sendall(get("/"))
        assert statuses(idle.recv(1000)) == [200]
        time.sleep(1.1)
        new = [stack.enter_context(server.connect()) for _ in range(3)]
        for client in new:
            client.sendall(get("/"))
            assert statuses(client.recv(1000)) == [200]
        assert is_closed(idle)
        waiting.settimeout(10)
        assert statuses(waiting.recv(1000)) == [200]


@pytest.mark.slow
def test_a_body_that_pauses_has_no_credit_from_before() -> None:
    """However much came at once, what follows has to follow soon."""
    limits = Limits(head_seconds=0.4, body_bytes_per_second=1000.0)
    with running(limits, most=LARGE) as server, server.connect() as client:
        body = "x" * 100_000
        client.sendall(get("/", f"Content-Length: {LARGE}", method="POST", body=body))
        start = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert received(client) == b""
        assert time.monotonic() - start < 5


@pytest.mark.slow
def test_a_large_answer_may_be_taken_slowly_but_not_stopped() -> None:
    limits = Limits(idle_seconds=0.7, body_bytes_per_second=1_000_000.0)
    with running(limits) as server, server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(get("/large", "Connection: close"))
        size = 0
        while part := client.recv(100_000):
            size += len(part)
            time.sleep(len(part) / 3_000_000)
        assert size > 8_000_000


def test_bodies_beyond_the_room_are_told_to_come_again() -> None:
    with running(Limits(held_bytes=LARGE), most=LARGE) as server, server.connect() as first:
        first.sendall(get("/", f"Content-Length: {LARGE}", method="POST", body="x" * 1000))
        time.sleep(0.1)
        second = get("/", "Content-Length: 20000", "Expect: 100-continue", method="POST")
        assert statuses(server.ask(second)) == [503]
        small = get("/", "Content-Length: 2", "Connection: close", method="POST", body="hi")
        assert statuses(server.ask(small)) == [200]
        chunk = f"{20_000:x}\r\n{'x' * 20_000}\r\n"
        chunked = get("/", "Transfer-Encoding: chunked", method="POST", body=chunk)
        assert statuses(server.ask(chunked)) == [503]
        first.close()
        time.sleep(0.1)
        again = get(
            "/", "Content-Length: 20000", "Connection: close", method="POST", body="x" * 20_000
        )
        for _ in range(3):
            assert statuses(server.ask(again)) == [200]
            ended = chunked.replace(b"Transfer", b"Connection: close\r\nTransfer") + b"0\r\n\r\n"
            assert statuses(server.ask(ended)) == [200]


@pytest.mark.slow
def test_stopping_lets_requests_under_way_end() -> None:
    with running(Limits(), grace=3.0) as server, server.connect() as client:
        client.sendall(get("/later/5"))
        time.sleep(0.1)
        server.stop.set()
        assert statuses(received(client)) == [200]


@pytest.mark.slow
def test_stopping_does_not_wait_for_ever() -> None:
    with running(Limits(), grace=0.2) as server, server.connect() as client:
        client.sendall(get("/later/100"))
        time.sleep(0.1)
        start = time.monotonic()
        server.stop.set()
        server.thread.join(5)
        assert time.monotonic() - start < 2
        with contextlib.suppress(ConnectionResetError):
            assert received(client) == b""


@pytest.mark.slow
def test_the_last_answers_say_that_they_are_the_last() -> None:
    with running(Limits(), grace=3.0) as server, server.connect() as client:
        client.sendall(get("/later/3") + get("/more"))
        time.sleep(0.1)
        server.stop.set()
        answers = received(client).lower()
        assert statuses(answers.upper()) == [200, 200]
        assert answers.count(b"connection: close") == 0, "both had come before the end"
    with running(Limits(), grace=3.0) as server, server.connect() as client:
        client.sendall(get("/", "Content-Length: 2"))
        time.sleep(0.1)
        server.stop.set()
        time.sleep(0.1)
        client.sendall(b"hi")
        assert b"connection: close" in received(client).lower()


def test_an_idle_connection_is_ended_at_once() -> None:
    with running(Limits(), grace=5.0) as server, server.connect() as client:
        client.sendall(get("/"))
        assert statuses(client.recv(1000)) == [200]
        start = time.monotonic()
        server.stop.set()
        assert client.recv(1000) == b"", "an end, and no reset"
        assert time.monotonic() - start < 3


def test_a_connection_just_made_may_still_ask() -> None:
    with running(Limits(), grace=5.0) as server, server.connect() as client:
        time.sleep(0.05)
        server.stop.set()
        time.sleep(0.05)
        client.sendall(get("/"))
        assert statuses(received(client)) == [200]


@pytest.mark.slow
def test_a_connection_just_made_that_does_not_ask_is_ended() -> None:
    with running(Limits(), grace=5.0) as server, server.connect() as client:
        time.sleep(0.05)
        server.stop.set()
        server.thread.join(3)
        assert not server.thread.is_alive()
        assert client.recv(1000) == b""


@pytest.mark.slow
def test_whoever_waits_to_be_accepted_is_answered() -> None:
    """The server is busy; meanwhile it is told to end, and the system accepts connections."""
    with running(Limits(), grace=5.0) as server, contextlib.ExitStack() as stack:
        busy = stack.enter_context(server.connect())
        busy.sendall(get("/block/5"))
        time.sleep(0.1)
        clients = [stack.enter_context(server.connect()) for _ in range(20)]
        for client in clients:
            client.sendall(get("/"))
        server.stop.set()
        assert [statuses(received(client)) for client in (busy, *clients)] == [[200]] * 21


@pytest.mark.slow
def test_a_server_that_drains_still_accepts() -> None:
    with running(Limits(), grace=5.0, drain=0.6) as server:
        server.stop.set()
        time.sleep(0.1)
        for _ in range(3):
            with server.connect() as client:
                client.sendall(get("/"))
                answer = received(client)
            assert statuses(answer) == [200]
            assert b"connection: close" in answer.lower()
        server.thread.join(5)
        with pytest.raises(ConnectionRefusedError):
            server.connect()
