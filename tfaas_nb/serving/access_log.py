"""One line of JSON for every answer, written from a thread: a slow disk holds up nobody."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from tfaas_nb.errors import ServerError
from tfaas_nb.serving.messages import Request, Response
from tfaas_nb.wire.tfaas import JSON

#: Stands for standard error instead of a path.
STDERR = "-"

#: Lines that may wait for the disk; further ones are dropped and told of.
_MOST_WAITING = 100_000
_MOST_AT_ONCE = 1000
_MOST_PATH = 2048
_STOP_TIMEOUT = 5.0

_log = logging.getLogger("tfaas_nb")

if TYPE_CHECKING:
    _Stream = logging.StreamHandler[TextIO]
else:
    _Stream = logging.StreamHandler


@dataclass(frozen=True)
class Entry:
    """An answered request: neither query nor headers, a token may stand there, nor bodies.

    Attributes
    ----------
    time : float
        Seconds since 1970.
    id : str
        The request's id.
    client : str
        Address of the peer.
    method, path : str
        What was asked, the path without secrets; empty if what came was no HTTP.
    status : int
        HTTP status.
    request_bytes, response_bytes : int
        Lengths of the bodies.
    seconds : float
        From the whole request to its answer.
    error : str
        Name of the error that was told, if any.
    subject : str
        Of the client's certificate, if it showed one.
    """

    time: float
    id: str
    client: str
    method: str
    path: str
    status: int
    request_bytes: int
    response_bytes: int
    seconds: float
    error: str = ""
    subject: str = ""

    @classmethod
    def of(cls, request: Request | None, response: Response, path: str, **known: Any) -> Entry:
        """The entry of a request and its answer; `known` are the other attributes."""
        return cls(
            method=request.head.method if request else "",
            path=path[:_MOST_PATH],
            status=response.status,
            request_bytes=len(request.body) if request else 0,
            response_bytes=len(response.body),
            error=_kind(response),
            subject=request.head.subject if request else "",
            **known,
        )

    def line(self) -> bytes:
        """One line of JSON."""
        stamp = datetime.fromtimestamp(self.time, timezone.utc)
        told = {
            "time": stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "id": self.id,
            "client": self.client,
            "method": self.method,
            "path": self.path.encode("utf-8", "backslashreplace").decode(),
            "status": self.status,
            "request_bytes": self.request_bytes,
            "response_bytes": self.response_bytes,
            "milliseconds": round(1e3 * self.seconds, 3),
            "error": self.error,
        }
        if self.subject:
            told["subject"] = self.subject.encode("utf-8", "backslashreplace").decode()
        return orjson.dumps(told)


class AccessLog:
    """Writes entries to a file, or to standard error.

    Parameters
    ----------
    path : path or int
        The file, appended to, and opened anew when it was moved away; ``-`` is standard error.
        A number is an open file descriptor, as a worker process inherits it.
    """

    def __init__(self, path: str | os.PathLike[str] | int) -> None:
        self.path = path if isinstance(path, int) else os.fspath(path)
        self._waiting: deque[Entry] = deque()
        self._dropped = 0
        self._come = threading.Event()
        self._ends = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the file; does nothing when it is open.

        Raises
        ------
        ServerError
            If it cannot be written.
        """
        if self._thread is not None:
            return
        handler, self._ends = self._opened(), False
        self._thread = threading.Thread(
            target=self._write_on, args=(handler,), name="tfaas_nb-access", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and close the file; does nothing when it is not open."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ends = True
            self._come.set()
            thread.join(_STOP_TIMEOUT)

    def add(self, entry: Entry) -> None:
        """Have an entry written soon."""
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(entry)
        if not self._come.is_set():
            self._come.set()

    def _opened(self) -> logging.Handler:
        handler: logging.Handler
        own = sys.__stderr__
        if self.path == STDERR and own is not None and sys.stderr is own:
            # A copy: while TensorFlow is imported, what goes to standard error is caught.
            handler = _Descriptor(os.dup(own.fileno()))
        elif self.path == STDERR:  # a notebook's, or a test's
            handler = _Stderr(sys.stderr)
        elif isinstance(self.path, int):
            handler = _Descriptor(os.dup(self.path))
        else:
            try:
                handler = _File(self.path, encoding="utf-8")
            except OSError as error:
                raise ServerError(
                    f"the access log {self.path!r} cannot be written: {error.strerror}; "
                    "choose another path, or none to keep no log"
                ) from error
        handler.setFormatter(logging.Formatter("%(message)s"))
        return handler

    def _write_on(self, handler: logging.Handler) -> None:
        ends = False
        while not ends:
            self._come.wait()
            self._come.clear()
            ends = self._ends  # before the last look at what waits
            while self._waiting:
                self._write(handler)
        handler.close()

    def _write(self, handler: logging.Handler) -> None:
        """Write some of what waits at once: one call of the system for many lines."""
        count = min(len(self._waiting), _MOST_AT_ONCE)
        lines = [self._waiting.popleft().line().decode() for _ in range(count)]
        record = {"name": "tfaas_nb.access", "msg": "\n".join(lines)}
        handler.handle(logging.makeLogRecord(record))
        if self._dropped:
            _log.warning("%s: %d lines of the access log were dropped", self.path, self._dropped)
            self._dropped = 0


class _Told:
    """A handler's failures told once in the package's own log; they must not end the serving."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not self._failed:
            self._failed = True
            _log.warning("the access log cannot be written", exc_info=True)


class _File(_Told, logging.handlers.WatchedFileHandler):
    """Appends with one call, so that lines of several processes do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.reopenIfNeeded()
            assert self.stream is not None
            _append(self.stream.fileno(), self.format(record))
        except (OSError, ValueError):
            self.handleError(record)


class _Descriptor(_Told, logging.Handler):
    """Appends lines to an open file descriptor, which is closed with the handler."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _append(self._descriptor, self.format(record))
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        if self._descriptor >= 0:  # logging closes what it finds once more at the end
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


class _Stderr(_Told, _Stream):
    pass


def _append(descriptor: int, lines: str) -> None:
    left = f"{lines}\n".encode()
    while left:
        left = left[os.write(descriptor, left) :]


def _kind(response: Response) -> str:
    """The error's name in an error answer, else nothing."""
    if response.status < 400 or response.content_type != JSON:
        return ""
    found = orjson.loads(response.body)
    return str(found.get("kind", "")) if isinstance(found, dict) else ""
