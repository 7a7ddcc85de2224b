"""A real XRootD server of the operating system's package, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_COMMAND = "xrootd"
_NOBODY = "daemon"


class XRootDServer:
    """Exports a folder of its own on a free port; may be killed, suspended and started again."""

    def __init__(self) -> None:
        # Not below pytest's folders, which a server that gave up root's rights cannot enter.
        self._place = Path(tempfile.mkdtemp(prefix="tfaas-nb-xrootd-"))
        self.folder = self._place / "export"
        for path in (self._place, self.folder, self._place / "admin"):
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        self.port = _free_port()
        self._config = self._place / "xrootd.cfg"
        self._config.write_text(
            f"all.export /\noss.localroot {self.folder}\nxrd.network nodnr norpipa\n"
            f"all.adminpath {self._place}/admin\nall.pidpath {self._place}/admin\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._has_run = False

    @property
    def url(self) -> str:
        return f"root://localhost:{self.port}/"

    def start(self) -> None:
        """Start it; where somebody took the port meanwhile, on another one."""
        for last in (False, False, True):
            try:
                self._start()
                self._has_run = True
                return
            except RuntimeError:
                self.kill()
                if last:
                    raise
                if not self._has_run:
                    self.port = _free_port()

    def _start(self) -> None:
        as_root = ["-R", _NOBODY] if os.geteuid() == 0 else []
        log = self._place / "admin" / "log"
        self._process = subprocess.Popen(
            [_COMMAND, "-c", str(self._config), "-p", str(self.port), "-l", str(log), *as_root],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 20
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                said = "\n".join(p.read_text() for p in log.parent.rglob("log"))
                raise RuntimeError(f"xrootd did not start:\n{said[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def suspend(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._place)


def needs_xrootd() -> None:
    """Skip a test where server or client are not installed; CI installs both: there it fails."""
    reason = ""
    if shutil.which(_COMMAND) is None:
        reason = f"there is no {_COMMAND}: apt-get install xrootd-server"
    elif importlib.util.find_spec("XRootD") is None:
        reason = "there is no XRootD client: pip install xrootd"
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True
