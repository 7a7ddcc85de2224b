from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.certificates import Authority
from tests.command import COMMAND
from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.cli import main, parser
from tfaas_nb.repository import Repository
from tfaas_nb.serving.cores import usable_cores
from tfaas_nb.serving.security import READER_TOKEN_VARIABLE, TOKEN_VARIABLE
from tfaas_nb.serving.service import DEFAULT_MEMORY

pytestmark = pytest.mark.slow

Start = Callable[..., "Serving"]


class Serving:
    """A running ``tfaas-nb serve``."""

    def __init__(
        self,
        *options: str,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, "serve", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {TOKEN_VARIABLE: "", READER_TOKEN_VARIABLE: ""}
            | dict(environment or {}),
        )
        assert self.process.stdout is not None
        self.told = [self.process.stdout.readline(), self.process.stdout.readline()]
        self.address = self.told[1].split()[1]
        self.url, _, self.token = self.address.partition("/?token=")
        self.url = self.url.rstrip("/")

    def status(self, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.get(f"{self.url}/models", headers=headers, timeout=5).status_code

    def refuses(self) -> bool:
        try:
            requests.get(f"{self.url}/health", timeout=5)
        except requests.ConnectionError:
            return True
        return False

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Its code and what else it wrote."""
        self.process.send_signal(how)
        out, errors = self.process.communicate(timeout=20)
        return self.process.returncode, out, errors


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    started: list[Serving] = []

    def start(*options: str, **environment: str) -> Serving:
        models = str(tmp_path / "models")
        started.append(Serving("--models", models, *options, environment=environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


# --- serving ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_well_and_frees_the_port(serve: Start, how: signal.Signals) -> None:
    running = serve()
    assert running.told[0] == f"Server({running.url}, 0 models)\n"
    assert running.status(running.token) == 200
    assert running.status() == 401
    port = int(running.url.rpartition(":")[2])
    assert running.end(how) == (0, "stopping\n", "")
    with closing(socket.socket()) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.mark.parametrize("repeat", range(3))
def test_an_interrupt_at_once_ends_it_well(serve: Start, repeat: int) -> None:
    assert serve().end() == (0, "stopping\n", "")


def test_a_request_under_way_is_answered_before_the_end(serve: Start) -> None:
    running = serve("--no-token")
    port = int(running.url.rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.sendall(
            b"POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 "), "it waits for the body"
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        connection.sendall(b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert running.process.communicate(timeout=20)[0] == "stopping\n"
    assert running.process.returncode == 0


@pytest.mark.endurance
@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_may_go_on_for_a_while_and_say_that_it_ends(serve: Start, workers: str) -> None:
    running = serve("--no-token", "--drain", "2", "--workers", workers)
    health = f"{running.url}/health"
    assert requests.get(health, timeout=5).json() == {"status": "ok"}
    running.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + 1.5
    while (answer := requests.get(health, timeout=5)).status_code == 200:
        assert time.monotonic() < until
    assert (answer.status_code, answer.json()) == (503, {"status": "ending"})
    assert running.status() == 200
    assert running.process.communicate(timeout=20) == ("stopping\n", "")
    assert running.process.returncode == 0
    assert running.refuses()


def test_the_token_may_come_from_the_environment(serve: Start) -> None:
    running = serve(**{TOKEN_VARIABLE: "from-outside"})
    assert running.status("from-outside") == 200
    assert running.status() == 401


def test_a_token_on_the_command_line_is_not_shown(serve: Start) -> None:
    running = serve("--token", "given", **{TOKEN_VARIABLE: "from-outside"})
    assert running.status("given") == 200
    assert running.status("from-outside") == 401
    assert "given" not in "".join(running.told) + "".join(running.end()[1:])


def test_a_token_that_was_given_is_not_shown(serve: Start) -> None:
    """Output ends in logs; and files that variables are read from end in a new line."""
    given = {TOKEN_VARIABLE: "for-admins\n", READER_TOKEN_VARIABLE: "one-reader another-reader\n"}
    running = serve("--host", "0.0.0.0", "--plain-http", **given)
    for token in ("for-admins", "one-reader", "another-reader"):
        assert running.status(token) == 200
    assert running.status("one-reader another-reader") == 401
    headers = {"Authorization": "Bearer one-reader"}
    assert requests.delete(f"{running.url}/delete/x", headers=headers, timeout=5).status_code == 403
    told = "".join(running.told) + "".join(running.end()[1:])
    assert "for-admins" not in told
    assert "reader" not in told


def test_it_may_be_encrypted_and_ask_for_certificates(serve: Start, tmp_path: Path) -> None:
    authority = Authority()
    ca = str(authority.write(tmp_path / "ca.pem"))
    own = authority.server("localhost").write_apart(tmp_path / "cert.pem", tmp_path / "key.pem")
    jane = str(authority.client([("CN", "Jane")]).write(tmp_path / "jane.pem"))
    options = ["--certfile", str(own[0]), "--keyfile", str(own[1]), "--client-ca", ca]
    running = serve(*options, "--admin-subject", "/CN=Jane", "--rate", "0.01", "--burst", "2")
    address = running.url.replace("127.0.0.1", "localhost")
    assert address.startswith("https://localhost:")
    options_of = {"verify": ca, "timeout": 5}
    assert requests.get(f"{address}/v2", **options_of).status_code == 401  # type: ignore[arg-type]
    codes = [
        requests.get(f"{address}/v2", cert=jane, **options_of).status_code  # type: ignore[arg-type]
        for _ in range(3)
    ]
    assert codes == [200, 200, 429]


def test_a_certificate_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["serve", "--models", str(tmp_path), "--certfile", str(tmp_path / "none.pem")]
    assert main(options) == 1
    none = tmp_path / "none.pem"
    told = f"tfaas-nb: the certificate {none} cannot be read: No such file or directory\n"
    assert capsys.readouterr().err == told


def test_everybody_on_this_machine_may_be_let_in(serve: Start) -> None:
    running = serve("--no-token", **{TOKEN_VARIABLE: "from-outside"})
    assert "token" not in "".join(running.told)
    assert running.status() == 200


def test_a_further_name_may_be_allowed(serve: Start) -> None:
    running = serve("--no-token", "--allow-host", "one.example", "--allow-host", "Two.example")
    for host, status in (("one.example", 200), ("two.example", 200), ("three.example", 403)):
        answer = requests.get(f"{running.url}/models", headers={"Host": host}, timeout=5)
        assert answer.status_code == status


def test_answers_may_be_logged(serve: Start, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    running = serve("--access-log", str(log))
    assert running.status(running.token) == 200
    assert running.end() == (0, "stopping\n", "")
    (line,) = map(json.loads, log.read_text().splitlines())
    assert (line["path"], line["status"], line["error"]) == ("/models", 200, "")
    assert running.token not in log.read_text()


def test_answers_may_be_logged_on_standard_error(serve: Start) -> None:
    running = serve("--access-log", "-")
    assert running.status() == 401
    code, _, errors = running.end()
    assert (code, json.loads(errors)["error"]) == (0, "Unauthorized")


def test_a_log_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = str(tmp_path / "none" / "access.log")
    options = ["serve", "--port", "0", "--models", str(tmp_path), "--access-log", log]
    assert main(options) == 1
    assert f"tfaas-nb: the access log {log!r} cannot be written: " in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_model_is_told_and_the_others_served(serve: Start, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "models")
    good = Bundle.from_parts(
        b'{"name": "good", "features": ["a", "b", "c"]}', serialized(weighted_sum)
    )
    repository.store(good)
    bad = repository.store(good.renamed("bad"))
    (bad.path / "model.pb").write_bytes(b"\xff")
    running = serve("--no-token")
    body = {"keys": ["a", "b", "c"], "values": [1, 1, 1], "model": "good"}
    assert requests.post(f"{running.url}/json", json=body, timeout=20).json() == [6.0]
    code, _, errors = running.end()
    assert code == 0
    assert errors.startswith("tfaas-nb: bad is not served: model 'bad' is damaged on disk: ")
    assert errors.count("\n") == 1


# --- workers ----------------------------------------------------------------------------


def children(pid: int) -> set[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for listed in found for child in listed.read_text().split()}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_the_command(serve: Start, how: signal.Signals) -> None:
    running = serve("--workers", "2", **{TOKEN_VARIABLE: "from-outside"})
    assert running.told[0] == f"Server({running.url}, 0 models)\n"
    assert running.status("from-outside") == 200
    workers = children(running.process.pid)
    assert len(workers) == 2
    killed = workers.pop()
    os.kill(killed, signal.SIGKILL)
    until = time.monotonic() + 10
    while len(children(running.process.pid) - {killed}) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    workers = children(running.process.pid)
    for _ in range(10):
        assert running.status("from-outside") == 200
    replaced = f"tfaas-nb: worker {killed} was ended by SIGKILL; another takes its place\n"
    assert running.end(how) == (0, "stopping\n", replaced)
    for worker in workers:
        assert not Path(f"/proc/{worker}").exists()
    assert running.refuses()


def test_workers_write_their_access_log_on_the_error_stream(serve: Start) -> None:
    running = serve("--workers", "2", "--access-log", "-", "--no-token")
    for _ in range(20):
        assert running.status() == 200
    _, _, errors = running.end()
    assert [json.loads(line)["path"] for line in errors.splitlines()] == ["/models"] * 20


@pytest.mark.endurance
def test_a_damaged_model_is_told_once_by_all_workers(serve: Start, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "models")
    good = Bundle.from_parts(
        b'{"name": "good", "features": ["a", "b", "c"]}', serialized(weighted_sum)
    )
    repository.store(good)
    bad = repository.store(good.renamed("bad"))
    (bad.path / "model.pb").write_bytes(b"\xff")
    running = serve("--no-token", "--workers", "2")
    body = {"keys": ["a", "b", "c"], "values": [1, 1, 1], "model": "good"}
    for _ in range(10):
        assert requests.post(f"{running.url}/json", json=body, timeout=20).json() == [6.0]
    code, _, errors = running.end()
    assert code == 0
    assert errors.startswith("tfaas-nb: bad is not served: model 'bad' is damaged on disk: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("text", ["auto", "0"])
def test_there_may_be_a_worker_for_every_core(text: str) -> None:
    assert parser().parse_args(["serve", "--workers", text]).workers == usable_cores()


# --- refusals, in this process ----------------------------------------------------------


def test_nobody_is_let_in_from_other_machines_without_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        options = ["serve", "--host", host, "--models", str(tmp_path)]
        assert main([*options, "--no-token"]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"tfaas-nb: anybody who reaches {host} could upload models: leave ")
        assert main([*options, "--no-token", "--plain-http"]) == 1
        assert "anybody who reaches" in capsys.readouterr().err
        assert main(options) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"tfaas-nb: whoever listens on the way to {host} could read the ")


def test_a_taken_port_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--models", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        f"tfaas-nb: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another port, or none to get a free one\n"
    )


def test_an_impossible_port_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "99999", "--models", str(tmp_path)]) == 1
    assert "cannot listen on 127.0.0.1:99999: " in capsys.readouterr().err


def test_a_file_in_place_of_the_directory_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").write_text("in the way")
    assert main(["serve", "--port", "0", "--models", str(tmp_path / "models")]) == 1
    assert "models cannot be read: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("500", 500), ("1KB", 1024), ("1.5 mb", 3 << 19), ("2G", 2 << 30), ("1TiB", 1 << 40)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parser().parse_args(["serve", "--memory", text]).memory == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "1XB", "1e9", "GB"])
def test_what_is_no_size_is_told(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", f"--memory={text}"])
    assert "is no size: write for instance 500MB or 2GB" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "-1", "1e3", "soon", "nan"])
def test_what_is_no_time_is_told(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", f"--drain={text}"])
    assert "is no time: write a number of seconds" in capsys.readouterr().err


def test_a_gigabyte_is_kept_in_memory() -> None:
    assert parser().parse_args(["serve"]).memory == DEFAULT_MEMORY


def test_operations_may_be_allowed() -> None:
    options = parser().parse_args(["serve", "--allow-op", "MatrixInverse", "--allow-op=Betainc"])
    assert options.allow_op == ["MatrixInverse", "Betainc"]
    assert parser().parse_args(["serve"]).allow_op == []


def test_what_cannot_be_an_operation_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--models", str(tmp_path / "m"), "--allow-op", "no op"]) != 0
    assert "'no op' is no operation" in capsys.readouterr().err
