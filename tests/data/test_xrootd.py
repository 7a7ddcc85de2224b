"""Reading over XRootD, from a real server that is killed, suspended and started again."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import tfaas_nb as tn
from tests.xrootd import XRootDServer, needs_xrootd
from tfaas_nb import backend
from tfaas_nb.data.event_file import EventFile, Reading
from tfaas_nb.data.files import Files, expand
from tfaas_nb.data.xrootd import _send
from tfaas_nb.errors import DataError, MissingExtra

SIGNAL, BACKGROUND = tn.sample_files()
N = 20_000


@pytest.fixture
def xrootd() -> Iterator[XRootDServer]:
    """A server that has the packaged sample in its folder ``sample``."""
    needs_xrootd()
    server = XRootDServer()
    try:
        (server.folder / "sample").mkdir()
        for path in (SIGNAL, BACKGROUND):
            shutil.copy(path, server.folder / "sample")
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def url(xrootd: XRootDServer) -> str:
    return f"{xrootd.url}/sample/ttbar.root"


def paths(files: Files) -> list[str]:
    return [str(file) for file in expand(files)]


def read(url: str, timeout: float = 60.0) -> int:
    with EventFile(url, Reading(timeout=timeout)) as file:
        return len(file.events())


@pytest.mark.slow
def test_what_is_read_is_what_the_file_holds(xrootd: XRootDServer, url: str) -> None:
    far = tn.load(signal=url, background=f"{xrootd.url}/sample/qcd.root")
    near = tn.sample()
    assert far.X.tobytes() == near.X.tobytes()
    assert far.y.tolist() == near.y.tolist()
    assert [s.file for s in far.sources] == ["ttbar.root", "qcd.root"]


def test_globs_are_looked_up_on_the_server(xrootd: XRootDServer) -> None:
    for name in ("more", "other"):
        shutil.copytree(xrootd.folder / "sample", xrootd.folder / name)
    (xrootd.folder / "sample" / "nested.root").mkdir()
    root = f"{xrootd.url}/"
    assert paths(f"{root}sample/*.root") == [f"{root}sample/qcd.root", f"{root}sample/ttbar.root"]
    assert paths(f"{root}[ms]*/tt*.root") == [
        f"{root}more/ttbar.root",
        f"{root}sample/ttbar.root",
    ]
    assert paths(f"{root}sample/q*?xrd.k=1") == [f"{root}sample/qcd.root?xrd.k=1"]
    assert paths(f"{root}*er/qcd.root") == [f"{root}other/qcd.root"]
    assert read(paths(f"{root}sample/t*.root")[0]) == N


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("sample/x*.root", r"no file matches 'root://.*/sample/x\*\.root'"),
        ("nowhere/*.root", r"nowhere/\*\.root cannot be read: .*no such file or directory"),
        ("**/*.root", r"servers are not searched for \*\*"),
    ],
)
def test_globs_that_lead_nowhere_are_said_so(xrootd: XRootDServer, path: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        expand(f"{xrootd.url}/{path}")


def test_a_missing_file_is_named_at_once_and_without_its_token(xrootd: XRootDServer) -> None:
    began = time.monotonic()
    with pytest.raises(DataError, match=r"/ttba\.root cannot be read: .* check the path") as raised:
        tn.read(f"{xrootd.url}/sample/ttba.root?authz=secret")
    assert f"localhost:{xrootd.port}" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert time.monotonic() - began < 20


def test_a_host_that_does_not_exist_is_not_waited_for() -> None:
    needs_xrootd()
    with pytest.raises(DataError, match="there is no server of that name"):
        tn.read("root://nowhere.invalid//a.root")


def test_what_is_no_root_file_is_said_so(xrootd: XRootDServer) -> None:
    (xrootd.folder / "a.root").write_bytes(b"broken" * 200)
    with pytest.raises(DataError, match=r"a\.root cannot be read as a ROOT file"):
        tn.read(f"{xrootd.url}/a.root")


def test_a_truncated_file_is_refused(xrootd: XRootDServer, url: str) -> None:
    content = Path(SIGNAL).read_bytes()
    (xrootd.folder / "sample" / "ttbar.root").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match=r"ttbar\.root (is truncated|cannot be read)"):
        tn.read(url)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "suspend"])
def test_a_server_that_stays_away_is_an_error_in_bounded_time(
    xrootd: XRootDServer, url: str, how: str
) -> None:
    with EventFile(url, Reading(timeout=2.0)) as file:
        assert len(file.events(0, 100)) == 100
        getattr(xrootd, how)()
        began = time.monotonic()
        with pytest.raises(DataError, match=r"did not answer for 2 s \(.*\); try again later"):
            file.events(100, N)
        assert time.monotonic() - began < 30  # its own patience would be half an hour


@pytest.mark.slow
@pytest.mark.parametrize(("how", "back"), [("kill", "start"), ("suspend", "go_on")])
def test_reading_goes_on_when_the_server_is_back(
    xrootd: XRootDServer,
    url: str,
    how: str,
    back: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with EventFile(url, Reading()) as file, EventFile(SIGNAL, Reading()) as local:
        file.events(0, 100)
        getattr(xrootd, how)()
        timer = threading.Timer(2.5, getattr(xrootd, back))
        timer.start()
        with caplog.at_level(logging.WARNING, "tfaas_nb"):
            got = file.events(100, N)
        timer.join()
        assert got.X.tobytes() == local.events(100, N).X.tobytes()
    if how == "kill":
        away, back_again = (record.message for record in caplog.records)
        assert re.fullmatch(
            r"root://localhost:\d+ does not answer \(.+\); asking again .* 60 s", away
        )
        assert back_again == f"root://localhost:{xrootd.port} answers again"
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_waiting_ends_when_the_reader_is_stopped(xrootd: XRootDServer, url: str) -> None:
    stop = threading.Event()
    with EventFile(url, Reading(), stop.is_set) as file:
        file.events(0, 100)
        xrootd.suspend()
        threading.Timer(0.5, stop.set).start()
        with pytest.raises(DataError, match="was stopped"):
            file.events(100, N)


@pytest.mark.slow
def test_a_server_without_vector_reads_is_read_all_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfaas_nb.data import xrootd

    monkeypatch.setattr(xrootd, "_ELEMENTS", 1 << 20)  # more than any server takes at a time
    monkeypatch.setattr(xrootd, "_ELEMENT", 512)
    with EventFile(url, Reading()) as file, EventFile(SIGNAL, Reading()) as local:
        assert file.events(0, 2000).X.tobytes() == local.events(0, 2000).X.tobytes()


@pytest.mark.slow
def test_local_files_need_no_xrootd() -> None:
    code = (
        f"import sys, tfaas_nb; tfaas_nb.read({SIGNAL!r}, progress=False); "
        "print([m for m in sys.modules if 'xrootd' in m.lower() and 'uproot' not in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfaas_nb.data import xrootd

    monkeypatch.setattr(xrootd, "_client", xrootd._Client())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'tfaas-nb\[xrootd\]'"):
        tn.read("root://localhost//a.root")


def test_a_client_that_cannot_be_imported_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfaas_nb.data import xrootd

    (tmp_path / "XRootD.py").write_text("raise ImportError('libXrdCl.so is somewhere else')")
    inherited = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{inherited}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(xrootd, "_client", xrootd._Client())
    with pytest.raises(MissingExtra, match=r"xrootd\]'.* \(libXrdCl\.so is somewhere else\)"):
        tn.read("root://localhost//a.root")


def clients() -> list[psutil.Process]:
    """Processes of ours that are XRootD's client."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            if "tfaas_nb.data.xrootd_process" in one.cmdline():
                found.append(one)
    return found


@pytest.mark.slow
def test_the_client_is_in_a_process_of_its_own_because_tensorflow_is_here(url: str) -> None:
    """Imported after TensorFlow, the client would end this process."""
    assert backend.tensorflow()
    assert read(url) == N
    assert len(clients()) == 1
    assert "XRootD" not in sys.modules


@pytest.mark.slow
def test_a_client_that_crashes_is_started_again(url: str) -> None:
    with EventFile(url, Reading()) as file:
        file.events(0, 100)
        (client,) = clients()
        client.kill()
        assert len(file.events(100, N)) == N - 100
        assert clients() != [client]


@pytest.mark.slow
def test_garbage_collection_may_close_a_file_while_a_request_is_sent(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a pass that was left in the middle, for instance; it waited for itself for ever."""
    sent: list[str] = []

    def passing() -> Iterator[None]:
        with EventFile(url, Reading()) as file:
            file.events(0, 100)
            yield

    def send(connection: Any, request: tuple[Any, ...]) -> None:
        if not sent:
            gc.collect()
        sent.append(request[2])
        _send(connection, request)

    left: list[Any] = [passing()]
    next(left[0])
    left.append(left)
    del left
    monkeypatch.setattr("tfaas_nb.data.xrootd._send", send)
    reading = threading.Thread(target=read, args=(url,), daemon=True)
    reading.start()
    reading.join(30)
    assert not reading.is_alive()
    assert sent.count("open") == 1
    assert sent.count("forget") == 2, "the file that was left, and the one that was read"


@pytest.mark.slow
def test_a_client_that_hangs_is_replaced(url: str) -> None:
    with EventFile(url, Reading(timeout=30.0)) as file:
        file.events(0, 100)
        (client,) = clients()
        client.suspend()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tfaas_nb.data.xrootd._REQUEST", 1.0)
            patch.setattr("tfaas_nb.data.xrootd._GRACE", 0.5)
            assert len(file.events(100, N)) == N - 100
        assert clients() != [client]


@pytest.mark.slow
def test_the_client_ends_with_whoever_started_it(url: str) -> None:
    code = (
        "import os, psutil, tfaas_nb\n"
        f"tfaas_nb.read({url!r}, progress=False)\n"
        "(client,) = psutil.Process().children()\n"
        "print(client.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    client = int(done.stdout)
    end = time.monotonic() + 20
    while psutil.pid_exists(client) and psutil.Process(client).status() != "zombie":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_no_bytes_are_lost_at_the_edges_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_xrootd()
    from tfaas_nb.data import xrootd

    monkeypatch.setattr(xrootd, "_ELEMENT", 10)
    monkeypatch.setattr(xrootd, "_BYTES", 25)
    monkeypatch.setattr(xrootd, "_ELEMENTS", 2)
    pieces = list(xrootd._pieces(5, 38))
    assert pieces == [(5, 10), (15, 10), (25, 10), (35, 3)]
    groups = list(xrootd._groups(pieces))
    assert [piece for group in groups for piece in group] == pieces
    assert [len(group) for group in groups] == [2, 2]
    assert np.max([sum(size for _, size in group) for group in groups]) <= 25
