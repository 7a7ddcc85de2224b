"""Servers in processes of their own: started, ready, measured, quiet, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from tests.benchmarks.unavailable import Unavailable

_READY = 120.0
_QUIET = 60.0
_QUOTED = 160


@dataclass(frozen=True)
class Running:
    """A server's process, which may have children."""

    process: psutil.Process

    def members(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [self.process, *self.process.children(recursive=True)]
        return []

    def memory(self) -> int:
        """Resident bytes of all its processes; what they share is counted once.

        Files count by what is resident here: by proportion, a library would weigh less where
        strangers, such as the process that measures, map it too.
        """
        own, files = 0, dict[str, int]()
        for member in self.members():
            for mapped in member.memory_maps():
                if mapped.path.startswith("/"):
                    files[mapped.path] = max(files.get(mapped.path, 0), mapped.rss)
                else:
                    own += mapped.pss
        return own + sum(files.values())

    def become_quiet(self, at_rest: float = 0.0) -> None:
        """Wait until it has worked off what clients that went away left behind."""
        end = time.monotonic() + _QUIET
        while time.monotonic() < end and self.busy(0.2) > 1.5 * at_rest + 0.1:
            pass

    def busy(self, seconds: float) -> float:
        """Cores that it keeps busy over some time; some servers poll even at rest."""
        before = self._processor_time()
        time.sleep(seconds)
        return (self._processor_time() - before) / seconds

    def _processor_time(self) -> float:
        total = 0.0
        for member in self.members():
            with suppress(psutil.NoSuchProcess):
                total += sum(member.cpu_times()[:2])
        return total


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server(
    command: Sequence[str],
    is_ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """A server while it runs, from when it is ready.

    Raises
    ------
    Unavailable
        If it ends or does not get ready, with the error it wrote.
    """
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        running = Running(psutil.Process(started.pid))
        try:
            if not _wait(started, is_ready):
                log.seek(0)
                raise Unavailable(_reason(log.read()))
            yield running
        finally:
            _end(started, running)


def _wait(started: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> bool:
    end = time.monotonic() + _READY
    while time.monotonic() < end and started.poll() is None:
        if is_ready():
            return True
        time.sleep(0.05)
    return False


def _end(started: subprocess.Popen[bytes], running: Running) -> None:
    members = running.members()
    started.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        started.wait(10)
    _, left = psutil.wait_procs(members, timeout=3)
    for member in left:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    started.wait()


def _reason(log: bytes) -> str:
    """The last line that tells of an error, or the last one, fit for a table."""
    lines = log.decode(errors="replace").strip().splitlines() or ["it wrote nothing"]
    told = [line for line in lines if "Error" in line] or lines
    return f"did not start: {told[-1].strip().replace('|', '/')[:_QUOTED]}"
