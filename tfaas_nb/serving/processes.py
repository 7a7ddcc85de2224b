"""A server in processes of its own: one or more workers on one port, each replaced when it ends.

The parent binds the port and the workers inherit it, so the port is known at once and outlives
them.  Parent and worker talk in lines of JSON: the parent sends what the worker must know, the
token among it, over the worker's standard input, since a command line and an environment can be
read by others; the worker answers over its standard output (``tfaas_nb/serving/worker.py``).
The end of the worker's standard input, which is the end of its parent at the latest, ends it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tfaas_nb
from tfaas_nb.errors import ServerError
from tfaas_nb.last_words import LastWords
from tfaas_nb.own_folder import OwnFolder
from tfaas_nb.serving.access_log import STDERR
from tfaas_nb.serving.forked import let_go
from tfaas_nb.serving.interrupts import wait_until_set
from tfaas_nb.serving.listening import beside
from tfaas_nb.serving.security import TOKEN_VARIABLES
from tfaas_nb.serving.settings import Settings

_READY_TIMEOUT = 60.0
_STOP_TIMEOUT = 10.0

#: A worker that lived as long did not fail at what it does first.
_HEALTHY_SECONDS = 10.0
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0

_LAST_WORDS = 2000

#: Not ``-m``, which would let files of the current directory pass for modules.
_START = "import sys; sys.path = [p for p in sys.path if p]; "
_START += "from tfaas_nb.serving.worker import main; main()"

_log = logging.getLogger("tfaas_nb")


class ServerProcesses:
    """One life of the workers that answer for a port.

    Parameters
    ----------
    settings : Settings
        What they serve.
    listening : socket.socket
        A listening socket; closed at the end.
    workers : int
        How many.

    Raises
    ------
    ServerError
        On Windows, whose processes do not inherit sockets.
    """

    def __init__(self, settings: Settings, listening: socket.socket, workers: int = 1) -> None:
        self.port: int = listening.getsockname()[1]
        #: Model → why it could not be loaded, when they are loaded at the start.
        self.damaged: Mapping[str, str] = {}
        self._settings = settings
        self._ended = threading.Event()
        if os.name != "posix":
            listening.close()
            raise ServerError(
                "a server in processes of its own needs Linux or macOS: leave isolated and "
                "workers out"
            )
        self._port = _Port(listening, workers)
        self._shared = _Shared(settings)
        self._workers = [
            _Worker(settings, self._port, self._shared, number) for number in range(workers)
        ]

    @property
    def pids(self) -> tuple[int, ...]:
        """The workers' process numbers."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    def start(self) -> None:
        """Return when every worker accepts connections.

        Raises
        ------
        ServerError
            If one could not start; its own words are told.
        """
        for worker in self._workers:
            worker.start()
        # Loading models takes as long as there are models; a worker that fails at it says so.
        timeout = None if self._settings.preload else _READY_TIMEOUT
        for worker in self._workers:
            failure = worker.wait_ready(timeout)
            if failure:
                self.stop()
                raise ServerError(f"the server could not start: {failure}")
        self.damaged = self._workers[0].damaged

    def stop(self) -> None:
        """End them; requests under way are answered before."""
        with contextlib.ExitStack() as stack:  # all of it, also when Ctrl-C ends the wait
            stack.callback(self._ended.set)
            stack.callback(self._shared.close)
            for worker in self._workers:
                stack.callback(worker.join)
            stack.callback(self._port.close)
            for worker in self._workers:
                stack.callback(worker.end)

    def abandon(self) -> None:
        """In a copy of this process, let go of the port and of what leads to the workers."""
        self._ended.set()
        own = [number for worker in self._workers for number in worker.descriptors]
        let_go(self, [*own, *self._port.descriptors, *self._shared.descriptors])

    def wait(self) -> None:
        """Block until they are stopped."""
        wait_until_set(self._ended)

    def is_alive(self) -> bool:
        """Return True if they answer; a worker that ended by itself is being replaced."""
        return not self._ended.is_set()


class _Port:
    """The workers' sockets, all of one port."""

    def __init__(self, listening: socket.socket, workers: int) -> None:
        self._lock = threading.Lock()
        self._sockets = {0: listening}
        for number in range(1, workers):
            self._sockets[number] = beside(listening)

    def socket(self, number: int) -> socket.socket:
        """A worker's socket; that of an only worker stays the same, so that its clients wait."""
        with self._lock:
            if number not in self._sockets:
                self._sockets[number] = beside(next(iter(self._sockets.values())))
            return self._sockets[number]

    @property
    def descriptors(self) -> list[int]:
        """Numbers of the sockets; no lock is taken, in a copy of this process nobody frees it."""
        return [one.fileno() for one in list(self._sockets.values())]

    def leave_to_others(self, number: int) -> None:
        """Let no new connection wait until a worker is replaced, if there are others."""
        with self._lock:
            if len(self._sockets) > 1 and number in self._sockets:
                self._sockets.pop(number).close()

    def close(self) -> None:
        """Free the port, as far as this process holds it."""
        with self._lock:
            for one in self._sockets.values():
                one.close()


class _Shared:
    """Resources that the workers share besides the port."""

    def __init__(self, settings: Settings) -> None:
        self._directory = OwnFolder()
        #: Where they add up their counts.
        self.counts = self._directory.name
        #: This process's error stream, for the access log: their own is kept for last words.
        self.errors: int | None = None
        if settings.access_log == STDERR:
            with contextlib.suppress(OSError):  # there is none
                self.errors = os.dup(2)

    @property
    def descriptors(self) -> list[int]:
        """Numbers of the open files that a worker inherits."""
        return [] if self.errors is None else [self.errors]

    def close(self) -> None:
        """Leave nothing; may be called twice."""
        self._directory.cleanup()
        errors, self.errors = self.errors, None
        if errors is not None:
            os.close(errors)


class _Worker:
    """One of the processes, and those that take its place; a thread looks after it."""

    def __init__(self, settings: Settings, port: _Port, shared: _Shared, number: int) -> None:
        self.damaged: Mapping[str, str] = {}
        self._settings, self._port, self._shared, self._number = settings, port, shared, number
        self._process: subprocess.Popen[str] | None = None
        self._spawning = threading.Lock()
        self._ending = threading.Event()
        self._settled = threading.Event()
        self._ready = False
        self._failure: str | None = None
        self._thread = threading.Thread(
            target=self._live, name=f"tfaas_nb-worker-{number}", daemon=True
        )

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process and process.poll() is None else None

    @property
    def descriptors(self) -> list[int]:
        """Numbers of the pipes to and from the process."""
        process = self._process
        pipes = (process.stdin, process.stdout) if process else ()
        return [pipe.fileno() for pipe in pipes if pipe and not pipe.closed]

    def start(self) -> None:
        self._thread.start()

    def wait_ready(self, timeout: float | None) -> str | None:
        """Wait until it is ready; return the reason if it could not start, else None."""
        if not self._settled.wait(timeout):
            return f"its process did not get ready within {timeout:g} s"
        return self._failure

    def end(self) -> None:
        """Tell it to end."""
        with self._spawning:
            self._ending.set()
            if self._process:
                self._process.terminate()

    def join(self) -> None:
        """Wait for its end; there is one, whatever it does."""
        if self._thread.ident is None:
            return
        self._thread.join(self._settings.ending + _STOP_TIMEOUT)
        if self._process and self._thread.is_alive():
            self._process.kill()
            self._thread.join(_STOP_TIMEOUT)

    def _live(self) -> None:
        failures, delay = 0, 0.0
        while not self._ending.wait(delay):
            began = time.monotonic()
            ended = self._one_life()
            if ended is None or self._ending.is_set():
                break
            if not self._ready:  # the caller of start() still waits, and is told
                self._failure = self._failure or ended
                break
            self._port.leave_to_others(self._number)
            failures = 0 if time.monotonic() - began > _HEALTHY_SECONDS else failures + 1
            delay = _delay(failures)
            when = f" in {delay:g} s" if delay else ""
            _log.warning("%s; another takes its place%s", self._failure or ended, when)
        self._settled.set()

    def _one_life(self) -> str | None:
        """Run a process until it ends; return how it ended, or None if none was started."""
        self._failure = None
        with LastWords() as words:
            try:
                with self._spawning:
                    if self._ending.is_set():
                        return None
                    listening = self._port.socket(self._number).fileno()
                    inherited = [listening, *self._shared.descriptors]
                    process = self._process = _spawn(inherited, words)
                    words.release()
            except OSError as error:
                return f"a worker could not be started: {error}"
            # What it was not told any more, having ended, matters to nobody.
            with contextlib.suppress(OSError), process:
                self._talk(process, listening)
            return f"worker {process.pid} {_manner(process.returncode)}{_told(words)}"

    def _talk(self, process: subprocess.Popen[str], listening: int) -> None:
        """Tell a process what it must know, and hear it until it ends."""
        assert process.stdin is not None
        assert process.stdout is not None
        told = {
            "settings": self._settings.to_values(),
            "socket": listening,
            "parent": os.getpid(),
            "worker": self._number,
            "counts": self._shared.counts,
            "errors": self._shared.errors,
        }
        with contextlib.suppress(OSError):  # it has ended already; its last words are told
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            with contextlib.suppress(ValueError):  # the last line of a killed one may be cut
                self._hear(json.loads(line))

    def _hear(self, said: dict[str, Any]) -> None:
        if "log" in said:
            _log.log(said["level"], "%s", said["log"])
        elif "failed" in said:
            self._failure = said["failed"]
        else:
            self.damaged = said["damaged"]
            self._ready = True
            self._settled.set()


def _spawn(inherited: Sequence[int], words: LastWords) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words.fileno(),
        text=True,
        encoding="utf-8",
        env=_environment(),
        pass_fds=inherited,
        # Ctrl-C and a kernel's interrupt go to whole groups of processes.
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """The environment of this process without the tokens, and with the way to this package."""
    found = {name: value for name, value in os.environ.items() if name not in TOKEN_VARIABLES}
    home = Path(tfaas_nb.__file__).parent.parent
    if home.name not in ("site-packages", "dist-packages"):  # those it finds by itself
        former = found.get("PYTHONPATH")
        found["PYTHONPATH"] = f"{former}{os.pathsep}{home}" if former else str(home)
    return found


def _delay(failures: int) -> float:
    """Seconds before the next try: none at first, since clients wait."""
    return min(_FIRST_DELAY * 2.0 ** (failures - 2), _LONGEST_DELAY) if failures > 1 else 0.0


def _manner(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _told(words: LastWords) -> str:
    """The end of what it wrote on its error stream."""
    said = words.text()[-_LAST_WORDS:]
    return f": {said}" if said else ""
