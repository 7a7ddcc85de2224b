"""The server's life: a thread in this kernel, or the foreground of a command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tfaas_nb.client import Client
from tfaas_nb.errors import ServerError
from tfaas_nb.repository import Repository
from tfaas_nb.serving import http
from tfaas_nb.serving.access_log import AccessLog
from tfaas_nb.serving.app import SERVER, App
from tfaas_nb.serving.security import LOOPBACK, Access, new_token
from tfaas_nb.serving.service import Service
from tfaas_nb.table import Table

DEFAULT_PORT = 8083

_READY_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0
_THREADS = 4

#: Directory → the server that runs for it in this process.
_running: dict[Path, Server] = {}
_running_lock = threading.Lock()


class Server:
    """Serves the models of a directory from a thread of this process.

    Parameters
    ----------
    models : path
        Directory of the models; made at the first upload.
    host : str
        Address to listen on.
    port : int, optional
        Port; by default 8083, or any free one when that is taken.  0 means any.
    token : str or False, optional
        What clients must show; by default a random one, False for none.
    allowed_hosts : str or iterable of str
        Further host names under which it may be asked, for instance behind a proxy.
    access_log : path, optional
        File to which a line of JSON is appended for every answer; ``-`` is standard error.

    Notes
    -----
    A cell may be run twice: a second server for the same directory in this kernel takes the
    place of the first one, with its port and token unless others are given.
    """

    def __init__(
        self,
        models: str | os.PathLike[str] = "models",
        host: str = "127.0.0.1",
        port: int | None = None,
        token: str | bool | None = None,
        allowed_hosts: Iterable[str] = (),
        *,
        access_log: str | os.PathLike[str] | None = None,
    ) -> None:
        self.directory = Path(models)
        self.host = host
        self._wanted_port = port
        self._wanted_token = token
        names = [allowed_hosts] if isinstance(allowed_hosts, str) else allowed_hosts
        self._allowed_hosts = frozenset(names)
        self._access_log = access_log
        self.service = Service(Repository(self.directory))
        self.token: str | None = token if token and isinstance(token, str) else None
        self._run: _Run | None = None
        self._lock = threading.RLock()

    def start(self) -> Server:
        """Start listening; does nothing when it already does.

        Raises
        ------
        ServerError
            If the port is taken or the thread could not start.
        """
        with self._lock:
            if self.is_running:
                return self
            self._take_over()
            if self.token is None and self._wanted_token is not False:
                self.token = new_token()
            listening = _listen(self.host, self._wanted_port)
            names = LOOPBACK | self._allowed_hosts | _names_of(self.host)
            hosts = frozenset(name.lower() for name in names)
            log = AccessLog(self._access_log) if self._access_log else None
            self._run = _Run(self.service, Access(self.token, hosts), listening, log)
            self._run.start()
            with _running_lock:
                _running[self.directory.resolve()] = self
            return self

    def stop(self) -> Server:
        """Stop listening and free the port; does nothing when it does not run."""
        with self._lock:
            run, self._run = self._run, None
            if run:
                run.stop()
                self.service.close()
            with _running_lock:
                if _running.get(self.directory.resolve()) is self:
                    del _running[self.directory.resolve()]
            return self

    def wait(self) -> None:
        """Block until the server ends, as a command in the foreground does."""
        if self._run:
            self._run.wait()

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._run is not None and self._run.is_alive()

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises
        ------
        ServerError
            If it does not run.
        """
        if not self.is_running or self._run is None:
            raise ServerError("the server is not running: call start()")
        return self._run.port

    @property
    def url(self) -> str:
        """Address for code on this machine.

        Raises
        ------
        ServerError
            If it does not run.
        """
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def client(self, timeout: float = 60.0) -> Client:
        """A client that knows address and token.

        Raises
        ------
        ServerError
            If the server does not run.
        """
        return Client(self.url, token=self.token, timeout=timeout)

    def _take_over(self) -> None:
        with _running_lock:
            former = _running.get(self.directory.resolve())
        if former is None or former is self:
            return
        if former.is_running:
            self._wanted_port = former.port if self._wanted_port is None else self._wanted_port
            self.token = former.token if self._wanted_token is None else self.token
        former.stop()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = self.url if self.is_running else "stopped"
        names = [model.name for model in self.service.repository.models()]
        count = f"{len(names)} model{'' if len(names) == 1 else 's'}"
        return f"Server({where}, {count}{': ' if names else ''}{', '.join(names)})"

    def _repr_html_(self) -> str:
        models = self.service.repository.models()
        rows = tuple((m.name, m.version, str(m.path)) for m in models)
        return Table(("model", "version", "directory"), rows, repr(self))._repr_html_()


class _Run:
    """One life of the listening thread."""

    def __init__(
        self,
        service: Service,
        access: Access,
        listening: socket.socket,
        access_log: AccessLog | None,
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self._socket = listening
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tfaas_nb-work")
        self._app = App(service, access, self._threads, access_log=access_log)
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._loop = _new_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="tfaas_nb-server", daemon=True)

    def start(self) -> None:
        try:
            self._app.start()
        except ServerError:
            self._socket.close()
            raise
        self._thread.start()
        if not self._ready.wait(_READY_TIMEOUT):
            self.stop()
            raise ServerError(f"the server did not get ready within {_READY_TIMEOUT:.0f} s")
        if self._error is not None:
            raise ServerError(f"the server could not start: {self._error}") from self._error

    def _main(self) -> None:
        try:
            self._loop.run_until_complete(
                http.serve(self._app, self._socket, self._stop, self._ready.set, SERVER)
            )
        except BaseException as error:  # whatever ended the thread is told to the caller
            self._error = error
        finally:
            self._loop.close()
            self._socket.close()
            self._ready.set()
            self._ended.set()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join(_STOP_TIMEOUT)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._app.stop()
        self._socket.close()

    def wait(self) -> None:
        # Not Thread.join: until Python 3.13 it takes a thread for ended when Ctrl-C interrupts it.
        self._ended.wait()

    def is_alive(self) -> bool:
        return self._thread.is_alive()


def _new_loop() -> asyncio.AbstractEventLoop:
    """An event loop: uvloop's where there is one, it doubles the requests per second."""
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _listen(host: str, port: int | None) -> socket.socket:
    """A bound socket: the port asked for, or 8083, or else any free one."""
    wanted = (DEFAULT_PORT, 0) if port is None else (port,)
    for choice in wanted:
        try:
            return _bind(host, choice)
        except (OSError, OverflowError) as error:
            failure = error
    raise ServerError(
        f"cannot listen on {host}:{wanted[-1]}: {getattr(failure, 'strerror', failure)}; "
        "choose another port, or none to get a free one"
    ) from failure


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # Two servers may bind the same port as long as neither listens.
        bound.listen(http.BACKLOG)
    except (OSError, OverflowError):
        bound.close()
        raise
    return bound


def _names_of(host: str) -> frozenset[str]:
    """Names under which a server bound to an address may be asked."""
    if host in ("0.0.0.0", "::", ""):
        return frozenset({socket.gethostname(), socket.getfqdn()})
    return frozenset({host})
