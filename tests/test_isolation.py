from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.strangers import work
from tfaas_nb import isolation
from tfaas_nb.errors import GraphError, ServerError, TooLarge
from tfaas_nb.isolation import Limits
from tfaas_nb.isolation.warm import Warm, warm

copies = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")


def test_a_function_is_handed_files_and_options_in_an_empty_folder() -> None:
    files = {"a.txt": b"one", "below/b.txt": b"two"}
    answer = json.loads(isolation.run(work, files, "read"))
    assert answer == [{"a.txt": "one", "below/b.txt": "two"}, [], "read"]


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("refuse", GraphError, "^the file is odd$"),
        ("unpack", TooLarge, "^far too much$"),
        ("fail", GraphError, "^ValueError: something\nelse$"),
        ("crash", GraphError, r"was ended by SIGABRT: out of luck"),
        ("talk", GraphError, r"was ended by SIGABRT: the end$"),
        ("leave", GraphError, r"ended with code 3: it said nothing"),
    ],
)
def test_what_goes_wrong_there_is_told_here(what: str, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        isolation.run(work, {}, what)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "limits", "message"),
    [
        ("hang", Limits(seconds=0.5), "took more than 0.5 s to read and to try"),
        ("burn", Limits(seconds=0.5), "took more than 0.5 s to read and to try"),
        ("fill", Limits(file_size=1 << 20), "File too large"),
        pytest.param("grow", Limits(memory=1 << 30), "takes more memory", marks=copies),
    ],
)
def test_what_takes_too_much_is_ended(what: str, limits: Limits, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        isolation.run(work, {}, what, limits=limits)
    assert isolation.run(work, {}, "pid")


def test_a_limit_of_processor_time_is_told() -> None:
    told = Limits(seconds=5.0).broken(-24)
    assert told
    assert "more than 10 s of processor time" in str(told)


@pytest.mark.slow
def test_our_secrets_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFAAS_NB_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(isolation, "warm", Warm())  # one that starts now
    environment = json.loads(isolation.run(work, {}, "environment"))
    assert "secret" not in environment.values()
    assert environment["HOME"] == environment["TMPDIR"] == environment["FOLDER"]


def test_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolation.run(work, {}, "read")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    threads = threading.active_count()
    isolation.run(work, {"a": b""}, "read")
    with pytest.raises(GraphError):
        isolation.run(work, {"a": b""}, "crash")
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() <= threads


def test_in_such_a_process_no_other_one_is_started() -> None:
    assert json.loads(isolation.run(work, {}, "nested"))[0] == {"b": "two"}


@copies
def test_every_job_has_a_process_of_its_own_of_the_same_parent() -> None:
    with isolation.held():
        pids = {int(isolation.run(work, {}, "pid")) for _ in range(3)}
        parent = warm.pid
        isolation.run(work, {}, "pid")
        assert warm.pid == parent
    assert len(pids) == 3
    assert not pids & {parent, os.getpid()}


@copies
@pytest.mark.slow
def test_a_process_that_was_killed_is_replaced() -> None:
    with isolation.held():
        isolation.run(work, {}, "pid")
        assert warm.pid
        former = warm.pid
        psutil.Process(former).kill()
        psutil.wait_procs([psutil.Process(former)] if psutil.pid_exists(former) else [], timeout=5)
        isolation.run(work, {}, "pid")
        assert warm.pid not in (None, former)


def jobs_of(pid: int) -> list[psutil.Process]:
    """Copies that do a job: they lead a session, which what an import starts does not."""
    found = []
    for child in psutil.Process(pid).children():
        with suppress(ProcessLookupError):
            if os.getsid(child.pid) == child.pid:
                found.append(child)
    return found


@copies
@pytest.mark.slow
def test_it_ends_with_who_held_it_last_and_with_it_what_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Warm()
    monkeypatch.setattr(isolation, "warm", own)
    errors: list[Exception] = []

    def wait_for_long() -> None:
        try:
            isolation.run(work, {}, "hang")
        except Exception as error:
            errors.append(error)

    with isolation.held():
        waiting = threading.Thread(target=wait_for_long)
        waiting.start()
        deadline = time.monotonic() + 60
        while not (own.pid and (jobs := jobs_of(own.pid))):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (job,) = jobs
    waiting.join(10)
    assert isinstance(errors[0], ServerError)
    assert own.pid is None
    psutil.wait_procs([job], timeout=5)
    assert not job.is_running()


HANGS = """
from tests.strangers import work
from tfaas_nb import isolation
with isolation.held():
    isolation.run(work, {"model.pb": b"x"}, "read")
    print(isolation.warm.pid, flush=True)
    {rest}
"""


@copies
@pytest.mark.endurance
@pytest.mark.parametrize(
    ("rest", "folders"), [('isolation.run(work, {"model.pb": b"x"}, "hang")', 2), ("input()", 1)]
)
def test_what_a_killed_process_left_is_removed(rest: str, folders: int, tmp_path: Path) -> None:
    """Jupyter's Restart kills the kernel; models that were being tried would stay for ever."""
    with subprocess.Popen(
        [sys.executable, "-c", HANGS.replace("{rest}", rest)],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout
            own = psutil.Process(int(process.stdout.readline()))
            wait_until(lambda: folders == 1 or bool(jobs_of(own.pid)))
            assert len(list(tmp_path.iterdir())) == folders
        finally:
            process.kill()
    wait_until(lambda: not any(tmp_path.iterdir()), 10)
    psutil.wait_procs([own], timeout=5)
    assert not own.is_running()


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_without_copies_a_new_process_does_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "is_possible", lambda: False)
    assert json.loads(isolation.run(work, {"a": b"b"}, "read")) == [{"a": "b"}, [], "read"]
    with pytest.raises(GraphError, match="took more than 1 s"):
        isolation.run(work, {}, "hang", limits=Limits(seconds=1.0))
