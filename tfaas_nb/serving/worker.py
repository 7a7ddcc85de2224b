"""Main program of a process that only serves, and ends with its parent without a trace.

``tfaas_nb/serving/processes.py`` starts it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import select
import shutil
import signal
import socket
import threading
import time
from typing import Any, NoReturn

from tfaas_nb.data.allocation import share_places
from tfaas_nb.errors import ServerError, TfaasError
from tfaas_nb.repository import Repository
from tfaas_nb.serving.access_log import STDERR, AccessLog
from tfaas_nb.serving.admission import Admission
from tfaas_nb.serving.room import more_files
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.settings import Settings
from tfaas_nb.serving.shared_counts import SharedCounts
from tfaas_nb.serving.thread import ServerThread

#: How often a worker looks whether its parent lives, should somebody else hold the pipe open.
_LOOK_SECONDS = 1.0

_MOST_SECONDS_TO_END = 15.0


def main() -> NoReturn:
    """Serve until the parent ends or says so by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    more_files()
    share_places()
    # Copies that no process started by a library inherits, or prints to.
    pipe, answers = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    code = 0
    with contextlib.suppress(SystemExit):
        code = _serve(pipe, _Parent(answers))
    # Not through the interpreter's end, which waits for TensorFlow's import and may crash in it.
    os._exit(code)


def warm_up() -> None:
    """Import TensorFlow before the first upload asks for it.

    Its million objects then stay for good: a garbage collection that went through them
    would hold up every client for a tenth of a second.
    """
    from tfaas_nb import backend

    backend.tensorflow()
    gc.collect()
    gc.freeze()
    # Python goes through old objects when there are a quarter more; of a million it remembers
    # until it counts again, and hundreds of replaced models would wait for that.
    gc.collect()


class _Parent:
    """Parent process, to which messages are sent as lines of JSON."""

    def __init__(self, answers: int) -> None:
        self._answers, self._lock = answers, threading.Lock()

    def tell(self, **said: Any) -> None:
        with self._lock, contextlib.suppress(OSError):  # the parent has ended
            os.write(self._answers, json.dumps(said).encode() + b"\n")


class _Log(logging.Handler):
    """Hands warnings to the parent, whose log a user looks at."""

    def __init__(self, parent: _Parent) -> None:
        super().__init__(logging.WARNING)
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        self._parent.tell(level=record.levelno, log=self.format(record))


def _serve(pipe: int, parent: _Parent) -> int:
    """Exit code; ends by SIGTERM unless it fails."""
    told = json.loads(_line(pipe))
    settings = Settings.from_values(told["settings"])
    ending = (told["parent"], pipe, settings.ending + _MOST_SECONDS_TO_END)
    threading.Thread(target=_end_with, args=ending, daemon=True).start()
    logging.getLogger("tfaas_nb").addHandler(_Log(parent))
    admission = Admission.allowing(settings.allow_ops)
    service = Service(Repository(settings.directory), settings.memory, admission)
    server = ServerThread(
        service,
        settings.access,
        socket.socket(fileno=told["socket"]),
        SharedCounts(told["counts"], told["worker"]),
        _access_log(settings.access_log, told["errors"]),
        rate=settings.most,
        tls=settings.tls,
        drain=settings.drain,
        grace=settings.grace,
    )
    try:
        damaged = service.load_all() if settings.preload else {}
        server.start()
        parent.tell(damaged={name: str(error) for name, error in damaged.items()})
        threading.Thread(target=warm_up, daemon=True).start()
        server.wait()
        raise ServerError("the server's thread has ended by itself")
    except TfaasError as error:
        parent.tell(failed=str(error))
        return 1
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.stop()
        if os.getppid() != told["parent"]:  # which cannot tidy up any more
            shutil.rmtree(told["counts"], ignore_errors=True)


def _access_log(path: str | None, errors: int | None) -> AccessLog | None:
    place = errors if path == STDERR else path
    return None if place is None else AccessLog(place)


def _line(pipe: int) -> bytes:
    """The first line from the parent; what follows stays unread."""
    found = b""
    while not found.endswith(b"\n"):
        part = os.read(pipe, 1)
        if not part:
            raise SystemExit
        found += part
    return found


def _end_with(parent: int, pipe: int, seconds: float) -> None:
    """End when the parent does: gently, and if that fails, at once."""
    while os.getppid() == parent:
        if select.select([pipe], [], [], _LOOK_SECONDS)[0] and not os.read(pipe, 1):
            break
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(seconds)
    os._exit(1)


def _end(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit
