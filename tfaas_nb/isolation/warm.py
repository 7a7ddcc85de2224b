"""Our end of the process that is kept warm (``tfaas_nb/isolation/forks.py``)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from typing import Any

from tfaas_nb.errors import ServerError
from tfaas_nb.isolation.environment import clean
from tfaas_nb.isolation.job import Job
from tfaas_nb.last_words import LastWords
from tfaas_nb.own_folder import OwnFolder

#: Importing TensorFlow from a slow disk on a busy machine.
_READY_SECONDS = 180.0
_GRACE_SECONDS = 15.0
_MOST_BYTES = 1 << 16

#: Not ``-m``, which would let files of the current directory pass for modules.
_START = "import sys; sys.path = [p for p in sys.path if p]; "
_START += "from tfaas_nb.isolation.forks import main; main(sys.argv[1])"


def is_possible() -> bool:
    """Return True if processes can be forked here; macOS's libraries do not survive it."""
    return sys.platform == "linux"


class Warm:
    """The process that is kept warm, while somebody holds it; jobs come one at a time."""

    def __init__(self) -> None:
        self._reset()

    @property
    def pid(self) -> int | None:
        """Its process number; None when there is none."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def hold(self) -> None:
        """Keep it from now on, once it was needed."""
        with self._counting:
            self._holders += 1

    def release(self) -> None:
        """Keep it no longer on behalf of this caller.

        When nobody holds it, it ends at once, and a job under way with it.
        """
        with self._counting:
            self._holders -= 1
        self._end_unless_held()

    def run(self, job: Job, words: LastWords) -> int | None:
        """The exit code of a job's process; None when it was too slow.

        Raises
        ------
        ServerError
            If there can be no process for it.
        """
        try:
            with self.turn:
                try:
                    return self._ended(self._begun(job, words), job)
                except BaseException:  # Ctrl-C, too: what it does now is not known any more
                    self._end()
                    raise
        finally:
            self._end_unless_held()

    def abandon(self) -> None:
        """In a copy of this process, which has no part in it."""
        control = self._control
        self._reset()
        if control:
            control.close()

    def _reset(self) -> None:
        #: Jobs take turns.
        self.turn = threading.Lock()
        self._counting = threading.Lock()
        self._holders = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._home: OwnFolder | None = None

    def _end_unless_held(self) -> None:
        process = self._process
        if self._holders or process is None:
            return
        if self.turn.acquire(blocking=False):
            try:
                self._end()
            finally:
                self.turn.release()
        else:  # whoever waits for the job hears of it, and tidies up
            process.kill()

    def _end(self) -> None:
        process, control, home = self._process, self._control, self._home
        self._process = self._control = self._home = None
        if control:
            control.close()
        if process:
            process.kill()
            process.wait()
        if home:
            home.cleanup()

    def _begun(self, job: Job, words: LastWords) -> socket.socket:
        """Its socket, after it has begun the job; it may just have ended for want of one."""
        for is_last in (False, True):
            control = self._started()
            with contextlib.suppress(OSError):
                socket.send_fds(control, [job.to_json()], [words.fileno()])
                words.release()
                if "began" in _heard(control, _GRACE_SECONDS):
                    return control
            self._end()
            if is_last or words.fileno() < 0:
                break
        raise ServerError("the process that tries models ends again and again; see its log")

    def _ended(self, control: socket.socket, job: Job) -> int | None:
        said = _heard(control, job.limits.seconds + _GRACE_SECONDS)
        if "late" in said:
            return None
        if "ended" not in said:
            raise ServerError("the process that tries models has ended; send the model again")
        return int(said["ended"])

    def _started(self) -> socket.socket:
        if self.pid is None or self._control is None:
            self._end()
            self._start()
        assert self._control is not None
        return self._control

    def _start(self) -> None:
        self._home = OwnFolder()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, LastWords() as words:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _START, self._home.name],
                    cwd=self._home.name,
                    env=clean(self._home.name),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=words.fileno(),
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerError(f"no process could be started: {error}") from error
            theirs.close()
            words.release()
            if "ready" not in _heard(self._control, _READY_SECONDS):
                raise ServerError(f"the process that tries models cannot start: {words.text()}")


def _heard(control: socket.socket, seconds: float) -> dict[str, Any]:
    """Receive the process's next message; empty if it has ended, or sends nothing in time."""
    control.settimeout(seconds)
    try:
        said = control.recv(_MOST_BYTES)
    except OSError:
        return {}
    found: dict[str, Any] = json.loads(said) if said else {}
    return found


#: One for this process: jobs of several servers take turns.
warm = Warm()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=warm.abandon)
