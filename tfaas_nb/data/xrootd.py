"""ROOT files on a server, over XRootD (``root://``): in bounded time, and again after an outage.

XRootD's own client waits for half an hour and more.  Here each request has a time limit, and a
server that does not answer is asked again, over a new connection, until `TIMEOUT` has passed
without a byte from it: then the file cannot be read.  A read that was broken off continues where
it was, whatever was reading.  What happens is told by the logger of this module.  The client
lives in a process of its own; `tfaas_nb.data.xrootd_process` says why.
"""

from __future__ import annotations

import fnmatch
import glob
import importlib.util
import itertools
import logging
import math
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import uproot
from uproot.source.chunk import Chunk, Source
from uproot.source.futures import TrivialFuture

from tfaas_nb.errors import DataError, MissingExtra

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds without an answer after which a server is given up.
TIMEOUT = 60.0
_REQUEST = 30.0
_PAUSE = 0.5
_TICK = 0.1
_GRACE = 5.0
_START = 60.0
#: What a request may ask for: the protocol's usual limits of an element and of their number, and
#: so many bytes that a slow line carries them within `_REQUEST`.
_ELEMENT = 2_097_136
_ELEMENTS = 1024
_BYTES = 8 << 20
#: Status codes of the client, and error numbers of a server, after which to ask again: lost or
#: refused connections, expired requests; a server that restarted, is overloaded or out of memory.
_ENDED = 1
_AWAY = {_ENDED, 102, 103, 104, 105, 107, 108, 109, 202, 206, 207, 208}
_SERVER_AWAY = {3004, 3008, 3012, 3014, 3017, 3024, 3034, 3035}
_ANSWERED = 400
_NO_HOST = 101
_NOT_FOUND = {3011}
_NOT_ALLOWED = {3010, 3030}
_LOGIN_FAILED = {203, 204}
_MISSING = (
    "root:// files need XRootD's client: pip install 'tfaas-nb[xrootd]', "
    "or conda install -c conda-forge xrootd"
)


class _Away(Exception):
    """The server did not answer; it may do so later."""


class _Refused(Exception):
    """The answer is an error that waiting does not mend."""


class XRootDSource(Source):  # type: ignore[misc]
    """Reader of the bytes of a ``root://`` file for uproot: its ``handler``.

    Parameters
    ----------
    file_path : str
        Address of the file.
    timeout : float, optional
        Seconds without an answer after which the server is given up.
    should_stop : callable, optional
        Asked often while waiting; when it answers True, reading ends with a `DataError`.
    **options
        Others of ``uproot.open``, which do not matter here.

    Raises
    ------
    DataError
        Here and whenever it reads: naming the address, what happened, and what to do.
    MissingExtra
        If XRootD's client is not installed.
    """

    def __init__(
        self,
        file_path: str,
        timeout: float | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._file_path = file_path
        self._line = _Line(file_path, timeout, should_stop)
        self._file: int | None = None
        self._vectors = True
        self._shut = False
        self._num_bytes = self._line.persist(self._size)

    def chunk(self, start: int, stop: int) -> Chunk:
        """A range of bytes."""
        self._count([(start, stop)])
        return self._chunk(start, stop, self._read([(start, stop)], vectors=False)[0])

    def chunks(self, ranges: list[tuple[int, int]], notifications: queue.Queue[Any]) -> list[Chunk]:
        """Ranges of bytes, asked for together; each is announced when it is there."""
        self._count(ranges)
        data = self._read(ranges, vectors=self._vectors)
        found = [self._chunk(*part, got) for part, got in zip(ranges, data, strict=True)]
        for chunk in found:
            notifications.put(chunk)
        return found

    @property
    def closed(self) -> bool:
        """True if the source was closed."""
        return self._shut

    def __enter__(self) -> XRootDSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self._shut = True
        self._drop()

    def _count(self, ranges: Sequence[tuple[int, int]]) -> None:
        if self._shut:
            raise DataError(f"{_shown(self._file_path)} is read after it was closed")
        self._num_requests += 1
        self._num_requested_chunks += len(ranges)
        self._num_requested_bytes += sum(stop - start for start, stop in ranges)

    def _chunk(self, start: int, stop: int, data: bytes) -> Chunk:
        return Chunk(self, start, stop, TrivialFuture(data))

    def _read(self, ranges: Sequence[tuple[int, int]], vectors: bool) -> list[bytes]:
        pieces = [list(_pieces(start, stop)) for start, stop in ranges]
        got: dict[tuple[int, int], bytes] = {}
        for group in _groups([piece for of_range in pieces for piece in of_range]):
            got |= self._line.persist(partial(self._request, group, vectors))
        return [b"".join(got[piece] for piece in of_range) for of_range in pieces]

    def _request(
        self, pieces: list[tuple[int, int]], vectors: bool
    ) -> dict[tuple[int, int], bytes]:
        """One attempt to read pieces, each an offset and a size."""
        if vectors and self._vectors:
            with suppress(_Refused):  # not every server answers them, nor as many as we send
                answer: dict[tuple[int, int], bytes] = self._ask("vector_read", pieces)
                return answer
            self._vectors = False
        return {(offset, size): self._ask("read", offset, size) for offset, size in pieces}

    def _size(self) -> int:
        return int(self._ask("stat"))

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            if self._file is None:
                self._file = next(_files)
                self._line.ask("open", self._file_path, file=self._file)
            return self._line.ask(method, *arguments, file=self._file)
        except BaseException:
            self._drop()  # the next attempt takes a new connection
            raise

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            _client.forget(file)


class _Line:
    """Requests to one server, with patience."""

    def __init__(
        self, url: str, timeout: float | None = None, should_stop: Callable[[], bool] | None = None
    ) -> None:
        self.url, self.shown = url, _shown(url)
        self.timeout = TIMEOUT if timeout is None else timeout
        self.should_stop = should_stop or (lambda: False)
        self._end = math.inf

    def persist(self, attempt: Callable[[], T]) -> T:
        """Repeat an attempt until it succeeds or the time is over, and return its result."""
        began, told = time.monotonic(), False
        self._end = began + self.timeout
        while True:
            try:
                done = attempt()
            except _Refused as error:
                raise DataError(f"{self.shown} cannot be read: {error}") from None
            except _Away as error:
                self._wait(str(error), told)
                told = True
            else:
                if told:
                    log.warning("%s answers again", _host(self.url))
                return done

    def _wait(self, why: str, told: bool) -> None:
        if time.monotonic() + _PAUSE >= self._end:
            raise DataError(
                f"{self.shown} cannot be read: the server did not answer for {self.timeout:g} s "
                f"({why}); try again later, another server, or a longer timeout="
            )
        if not told:
            log.warning(
                "%s does not answer (%s); asking again for %g s",
                *(_host(self.url), why, self.timeout),
            )
        end = time.monotonic() + _PAUSE
        while time.monotonic() < end:
            self._go_on()
            time.sleep(_TICK)

    def ask(self, method: str, *arguments: Any, file: int = 0) -> Any:
        """The value that one request gives.

        Here is waited, not in the client: an interrupt is heard, and time is kept.
        """
        seconds = max(1, math.ceil(min(_REQUEST, self._end - time.monotonic())))
        with _client.request(method, file, arguments, seconds) as answers:
            end = time.monotonic() + seconds + _GRACE
            while time.monotonic() < end:
                self._go_on()
                with suppress(queue.Empty):
                    return _value(*answers.get(timeout=_TICK))
        _client.kill()  # it keeps time itself, unless it hangs
        raise _Away(f"no answer within {seconds} s")

    def _go_on(self) -> None:
        if self.should_stop():
            raise DataError(f"reading {self.shown} was stopped")


def _value(ok: bool, code: int, number: int, message: str, value: Any) -> Any:
    """The value of an answer, unless that is an error."""
    if ok:
        return value
    said = " ".join(message.split()).partition("] ")[2] or f"status {code}"
    if code in _AWAY or (code == _ANSWERED and number in _SERVER_AWAY):
        raise _Away(said)
    if code == _ANSWERED and number in _NOT_FOUND:
        raise _Refused(f"{said}; check the path: two slashes follow the server's name")
    if code in _LOGIN_FAILED or (code == _ANSWERED and number in _NOT_ALLOWED):
        raise _Refused(f"{said}; renew your proxy (voms-proxy-init --voms cms) or ticket (kinit)")
    if code == _NO_HOST:
        raise _Refused("there is no server of that name; check the address")
    raise _Refused(said)


class _Client:
    """XRootD's client in another process, started when it is first needed.

    Garbage collection closes files too: in any thread, even in one that holds the lock.  Files are
    therefore noted as forgotten without it, and whoever lets go of the lock tells the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forgotten: deque[int] = deque()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Any]] = {}
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    @contextmanager
    def request(
        self, method: str, file: int, arguments: tuple[Any, ...], seconds: int
    ) -> Iterator[queue.SimpleQueue[Any]]:
        """Send a request; its answer comes by the queue."""
        number, answers = next(self._numbers), queue.SimpleQueue[Any]()
        with self._held():
            connection = self._started()
            self._waiting[number] = answers
            _send(connection, (number, file, method, arguments, seconds))
        try:
            yield answers
        finally:
            with self._held():
                self._waiting.pop(number, None)

    def forget(self, file: int) -> None:
        """Have the process close a file, if there is one; never waits."""
        self._forgotten.append(file)
        self._tell()

    def kill(self) -> None:
        """End the process; the next request starts another one."""
        with self._held():
            if self._process is not None and self._owner == os.getpid():
                self._process.kill()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock, and then send what could not be sent meanwhile."""
        try:
            with self._lock:
                yield
        finally:
            self._tell()

    def _tell(self) -> None:
        """Tell the process of forgotten files, unless somebody holds the lock, who does it then."""
        while self._forgotten and self._lock.acquire(blocking=False):
            try:
                while self._forgotten:
                    file = self._forgotten.popleft()
                    if self._connection is not None and self._owner == os.getpid():
                        _send(self._connection, (0, file, "forget", (), 1))
            finally:
                self._lock.release()

    def _started(self) -> Connection:
        if self._connection is not None and self._owner == os.getpid():
            return self._connection
        connection, process = _start()
        self._connection, self._owner, self._waiting = connection, os.getpid(), {}
        self._process = process
        threading.Thread(
            target=self._listen, args=(connection, process), name="tfaas-nb XRootD", daemon=True
        ).start()
        return connection

    def _listen(self, connection: Connection, process: subprocess.Popen[bytes]) -> None:
        """Hand out answers until the process ends."""
        with suppress(EOFError, OSError):
            while True:
                number, *answer = connection.recv()
                with self._held():
                    answers = self._waiting.pop(number, None)
                if answers is not None:
                    answers.put(answer)
                del answer
        ended = process.wait()
        with self._held():
            if self._connection is connection:
                self._connection = None
            for answers in self._waiting.values():
                answers.put((False, _ENDED, 0, f"[ERROR] XRootD's client ended with {ended}", None))
            self._waiting.clear()
        connection.close()


def _start() -> tuple[Connection, subprocess.Popen[bytes]]:
    """Start the client's process.

    Raises
    ------
    MissingExtra
        If the client is not installed, or does not start.
    """
    if importlib.util.find_spec("XRootD") is None:
        raise MissingExtra(_MISSING)
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tfaas_nb.data.xrootd_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupted cell is not its business
        )
    connection = Connection(ours.detach())
    try:
        failed = connection.recv() if connection.poll(_START) else "it did not start in time"
    except (EOFError, OSError):
        failed = f"its process ended with {process.wait()}"
    except BaseException:
        process.kill()
        raise
    if failed:
        connection.close()
        process.kill()
        process.wait()
        raise MissingExtra(f"{_MISSING} ({failed})")
    return connection, process


def _send(connection: Connection, request: tuple[Any, ...]) -> None:
    with suppress(OSError):  # the process has ended: the thread that listens says so
        connection.send(request)


_client = _Client()
_files = itertools.count(1)


def _pieces(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Offset and size of the elements that a range of bytes consists of."""
    for offset in range(start, stop, _ELEMENT):
        yield offset, min(_ELEMENT, stop - offset)


def _groups(pieces: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Elements in as many requests as they need."""
    group: list[tuple[int, int]] = []
    size = 0
    for piece in pieces:
        if group and (size + piece[1] > _BYTES or len(group) == _ELEMENTS):
            yield group
            group, size = [], 0
        group.append(piece)
        size += piece[1]
    if group:
        yield group


def open_file(
    path: str, timeout: float | None = None, should_stop: Callable[[], bool] | None = None
) -> Any:
    """Open a ``root://`` file with uproot; `XRootDSource` says how, and what it raises."""
    return uproot.open(
        {path: None},
        handler=XRootDSource,
        timeout=timeout,
        should_stop=should_stop,
        object_cache=None,
        array_cache=None,
    )


def matching(url: str, timeout: float | None = None) -> list[str]:
    """Addresses that a glob stands for, in alphabetical order; no ``**``.

    Raises
    ------
    DataError
        If nothing matches, or the server or a folder cannot be read.
    """
    if "**" in url:
        raise DataError(
            f"{_shown(url)}: servers are not searched for **; name the folders, as in */*.root"
        )
    address, mark, options = url.partition("?")
    scheme, _, rest = address.partition("://")
    host, *parts = rest.split("/")
    server = f"{scheme}://{host}"
    line = _Line(url, timeout)
    known = list(itertools.takewhile(lambda part: not glob.has_magic(part), parts))

    def listed(folder: str) -> dict[str, bool]:
        """The names in a folder, and which of them are folders."""
        entries: dict[str, bool] = line.persist(lambda: line.ask("dirlist", server, folder or "/"))
        return entries

    found = list(_walk(listed, "/".join(known), parts[len(known) :]))
    if not found:
        raise DataError(f"no file matches {_shown(url)!r}")
    return [f"{server}/{path}{mark}{options}" for path in found]


def _walk(listed: Callable[[str], dict[str, bool]], folder: str, below: list[str]) -> Iterator[str]:
    """Files below a folder that fit the patterns, one for each step."""
    entries = listed(folder)
    for name in sorted(fnmatch.filter(entries, below[0])):
        if below[1:] and entries[name]:
            yield from _walk(listed, f"{folder}/{name}", below[1:])
        elif not below[1:] and not entries[name]:
            yield f"{folder}/{name}"


def _shown(url: str) -> str:
    """An address without its options: a token may be among them."""
    return url.partition("?")[0]


def _host(url: str) -> str:
    """``root://host:port`` of an address, without what may be secret in it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"
