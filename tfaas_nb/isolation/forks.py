"""The process that is kept warm: TensorFlow is imported once, every job gets a copy of its own.

A copy (`os.fork`) costs milliseconds where a new process would import TensorFlow for seconds, and
it is thrown away with whatever the job did to it.  This process never touches a stranger's file
itself, so it stays as it was, with one thread: only such a process can be copied safely.

It reads jobs from the socket that is its standard input, each with the descriptor of the error
stream that the job is to write to, and answers with JSON: ``{"ready": true}``, then for each job
``{"began": pid}`` and ``{"ended": code}`` or ``{"late": true}``.  When the parent was killed, it
removes what that would have: its own folder and the job's.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from typing import Any, NoReturn

from tfaas_nb.isolation import job

#: Without a job for so long, it ends: it takes memory.
IDLE_SECONDS = 600.0

_LOOK_SECONDS = 1.0
_MOST_BYTES = 1 << 16


def main(home: str) -> NoReturn:
    """Serve jobs until the parent ends, or has had none for long.

    Parameters
    ----------
    home : str
        The folder that was made for this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=os.dup(0))
    parent = os.getppid()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        with contextlib.suppress(OSError):  # the parent has ended
            _warm_up()
            os.dup2(nothing, 2)  # so that nobody has to listen any more
            _tell(control, ready=True)
            while (found := _next(control, parent)) is not None:
                _serve(control, *found, parent)
    finally:
        _remove(home)
    os._exit(0)


def _serve(control: socket.socket, told: bytes, errors: int, parent: int) -> None:
    """Do a job, whose folder nobody else removes if the parent has ended by then."""
    wanted = job.Job.from_json(told)
    try:
        _import(wanted.work)
        _do(control, wanted, errors, parent)
    except OSError:
        _remove(wanted.home)
        raise
    finally:
        os.close(errors)


def _remove(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _warm_up() -> None:
    """Import what every copy needs, and no more: the first graph would start a thread."""
    # Keras imports pandas where it is installed, and that pyarrow, whose allocator has a thread.
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]
    import tensorflow  # noqa: F401
    from tensorflow.core.protobuf import config_pb2  # noqa: F401

    _freeze()


def _freeze() -> None:
    gc.collect()
    gc.freeze()  # a garbage collection in a copy would else write to all of the memory it shares


def _import(work: str) -> None:
    """Have the module of a job, which is ours, in all copies from now on."""
    module = work.partition(":")[0]
    if module not in sys.modules:
        importlib.import_module(module)
        _freeze()


def _next(control: socket.socket, parent: int) -> tuple[bytes, int] | None:
    """The next job with its error stream; None when there will be none."""
    idle_until = time.monotonic() + IDLE_SECONDS
    while not _readable(control, _LOOK_SECONDS):
        if os.getppid() != parent or time.monotonic() > idle_until:
            return None
    told, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, 1)
    return (told, descriptors[0]) if told else None


def _do(control: socket.socket, wanted: job.Job, errors: int, parent: int) -> None:
    """Do a job in a copy of this process, and tell how it ended."""
    ended, held = os.pipe()  # ends when the copy does, which alone holds the other end
    pid = os.fork()
    if not pid:
        _work(control, wanted, errors, ended)
    os.close(held)
    try:
        _tell(control, began=pid)
        late = not _await(control, ended, wanted.limits.seconds, parent)
    except OSError:
        late = True
    finally:
        os.close(ended)
    if late:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _tell(control, **({"late": True} if late else {"ended": code}))


def _work(control: socket.socket, wanted: job.Job, errors: int, ended: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        control.close()
        os.close(ended)
        for stream in (1, 2):
            os.dup2(errors, stream)
        code = job.do(wanted)
    finally:
        # Not through the interpreter's end: TensorFlow's threads may crash in it.
        os._exit(code)


def _await(control: socket.socket, ended: int, seconds: float, parent: int) -> bool:
    """Wait for a copy to end; return False if it is late, or nobody waits for its result."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and os.getppid() == parent:
        ready = select.select([ended, control.fileno()], [], [], min(left, _LOOK_SECONDS))[0]
        if ended in ready:
            return True
        if ready:  # nobody sends a job before the last one has ended
            return False
    return False


def _readable(control: socket.socket, seconds: float) -> bool:
    return bool(select.select([control], [], [], seconds)[0])


def _tell(control: socket.socket, **said: Any) -> None:
    control.send(json.dumps(said).encode())
