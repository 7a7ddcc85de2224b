"""A server's life: names, token and port; what answers is a thread or are processes."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import socket
import threading
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.errors import RepositoryError, ServerError
from tfaas_nb.options import check_text
from tfaas_nb.repository import Repository
from tfaas_nb.serving import option_values
from tfaas_nb.serving.access_log import STDERR, AccessLog
from tfaas_nb.serving.activity import Activity
from tfaas_nb.serving.admission import Admission
from tfaas_nb.serving.listening import listen
from tfaas_nb.serving.processes import ServerProcesses
from tfaas_nb.serving.rate import Rate
from tfaas_nb.serving.security import (
    LOOPBACK,
    canonical,
    check_listening,
    check_token,
    new_token,
)
from tfaas_nb.serving.service import DEFAULT_MEMORY, Service
from tfaas_nb.serving.settings import DEFAULT_GRACE, Settings
from tfaas_nb.serving.thread import ServerThread
from tfaas_nb.serving.tls import Tls
from tfaas_nb.table import Table
from tfaas_nb.vetting import check_operations

#: Seconds after which a look at the counts is given up.
_PATIENCE = 10.0

#: Directory → the server that runs for it in this process; kept when the module is reloaded.
_running: dict[Path, Server] = globals().get("_running", {})
_running_lock = threading.Lock()
_all: weakref.WeakSet[Server] = globals().get("_all", weakref.WeakSet())


def running() -> tuple[Server, ...]:
    """The servers that run in this process, the one last started last."""
    with _running_lock:
        servers = tuple(_running.values())
    return tuple(server for server in servers if server.is_running)


class Run(Protocol):
    """A server that runs, from `start` to `stop`, in a thread or in processes."""

    port: int

    def start(self) -> None:
        """Return when it accepts connections."""

    def stop(self) -> None:
        """End it; requests under way are answered before."""

    def abandon(self) -> None:
        """Let go of it in a copy of this process, without ending it."""

    def wait(self) -> None:
        """Block until it ends."""

    def is_alive(self) -> bool:
        """Return True if it answers."""


@checked_calls(ServerError)
class Server:
    """Serves the models of a directory from a thread of this process, or from processes.

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
    reader_token : str or iterable of str
        What clients may show instead that predict and look, and change nothing; several, so
        that one can be taken back without the others.
    allowed_hosts : str or iterable of str
        Further host names under which it may be asked, for instance behind a proxy; those in
        its certificate are anyway.  ``*.example.org`` stands for all names with one part more.
    memory : int or str
        Bytes of models kept in memory, also as ``"500MB"``; the least recently used leave when
        there are more.
    access_log : path, optional
        File to which a line of JSON is appended for every answer; ``-`` is standard error.
    isolated : bool
        Whether a process of its own answers, which no busy cell of this kernel slows down.
        It ends with this process, whatever ends that, and is replaced when it ends before.
    workers : int or str
        How many processes answer, ``"auto"`` for one a core; more than one are isolated
        always.
    preload : bool
        Whether models are loaded by `start` rather than when they are first asked for.
    keep_kernel : bool
        Whether scored events count as activity of this kernel, so that a hub that ends idle
        kernels (Binder does after 10 minutes) keeps it while it is asked for scores.  Without
        requests it ends as any other does.
    allow_ops : iterable of str
        Operations that TensorFlow graphs may use besides those that only compute, such as
        ``MatrixInverse``.  Whoever may upload may then have them run here.
    drain : float
        Seconds for which a server that is being stopped still accepts connections, while
        ``/health`` says that it ends: as long as a load balancer takes to notice that.
    grace : float
        Seconds that requests under way then have to be answered.
    certfile, keyfile : path, optional
        The server's certificate, with those that lead to its authority, and its private key, if
        that stands elsewhere; both PEM.  Connections are then encrypted, by TLS 1.2 at least.
        Files that are replaced are read again within a second or two.
    client_ca : path, optional
        Authorities of clients' certificates: a PEM file or a folder of hashed names.  Clients
        must then show one, or a grid proxy (RFC 3820), besides the token; with ``token=False``
        it makes them readers.
    admin_subject : str or iterable of str
        Subjects of certificates, such as ``/DC=ch/DC=cern/CN=Some One``, that make admins
        without a token.
    plain_http : bool
        Whether connections from other machines may be unencrypted: because a proxy ends TLS, or
        because everybody on the way may read the token.
    rate : float, optional
        Requests per second that each token may ask for, counted by each process.
    burst : int, optional
        Requests that it may ask for at once; by default those of one second.

    Attributes
    ----------
    damaged : mapping
        Model → why it is not served, for those that `preload` could not load.

    Notes
    -----
    A cell may be run twice: a second server for the same directory in this kernel takes the
    place of the first one, with its port and token unless others are given.

    The models of an isolated server are in its processes: ``server.service`` then only knows
    what is on disk.

    Raises
    ------
    ServerError
        If a value is not of its option's type or range, options contradict each other, a token
        cannot be sent in a header, or other machines would be let in without one, or read it.
    GraphError
        If what is allowed is no operation's name.
    """

    def __init__(
        self,
        models: str | os.PathLike[str] = "models",
        host: str = "127.0.0.1",
        port: int | None = None,
        token: str | bool | None = None,
        allowed_hosts: Iterable[str] = (),
        *,
        memory: int | str = DEFAULT_MEMORY,
        access_log: str | os.PathLike[str] | None = None,
        isolated: bool = False,
        workers: int | str = 1,
        preload: bool = False,
        keep_kernel: bool = False,
        allow_ops: Iterable[str] = (),
        drain: float = 0.0,
        grace: float = DEFAULT_GRACE,
        reader_token: str | Iterable[str] = (),
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        client_ca: str | os.PathLike[str] | None = None,
        admin_subject: str | Iterable[str] = (),
        plain_http: bool = False,
        rate: float | None = None,
        burst: int | None = None,
    ) -> None:
        workers = option_values.workers(workers)
        token = option_values.token(token)
        host = _host(host)
        self._tls = _tls(certfile, keyfile, client_ca)
        self._is_certified = self._tls is not None and self._tls.client_ca is not None
        self._reader_tokens = option_values.texts(reader_token, "reader_token")
        self._admin_subjects = option_values.texts(admin_subject, "admin_subject")
        self._check_asked(token)
        is_closed = token is not False or self._is_certified
        is_open = option_values.flag(plain_http, "plain_http") or self._tls is not None
        check_listening(host, is_closed, is_open)
        self._rate = option_values.rate(rate, "rate")
        self._burst = None if burst is None else option_values.count(burst, "burst")
        Rate.of(self._rate, self._burst)
        self._own_token = new_token() if self._is_certified else None
        self.directory = Path(option_values.path(models, "models") or "models")
        self.host = host
        self.isolated = option_values.flag(isolated, "isolated") or workers > 1
        self.damaged: Mapping[str, str] = {}
        self._workers = workers
        self._preload = option_values.flag(preload, "preload")
        self._drain = option_values.seconds(drain, "drain")
        self._grace = option_values.seconds(grace, "grace")
        self._keep_kernel = option_values.flag(keep_kernel, "keep_kernel")
        self._activity: Activity | None = None
        self._wanted_port = option_values.port(port, host)
        self._wanted_token = token
        self._allowed_hosts = frozenset(option_values.texts(allowed_hosts, "allowed_hosts"))
        self._hosts: frozenset[str] = frozenset()
        self._names: frozenset[str] = frozenset()
        self._access_log = option_values.path(access_log, "access_log")
        self._memory = option_values.size(memory, "memory")
        self._allow_ops = check_operations(option_values.texts(allow_ops, "allow_ops"))
        self.service = self._new_service()
        self.token: str | None = token if token and isinstance(token, str) else None
        self._run: Run | None = None
        self._lock = threading.RLock()
        _all.add(self)

    def start(self) -> Server:
        """Start listening; does nothing when it already does.

        Raises
        ------
        ServerError
            If the port is taken, a file of the certificate cannot be used, or the thread or a
            process could not start.
        RepositoryError
            If the directory is a file, or the models are to be loaded and it cannot be read.
        """
        with self._lock:
            if self.is_running:
                return self
            if self.directory.is_file():
                raise RepositoryError(
                    f"{self.directory} cannot be read: Not a directory; models are kept in one: "
                    "name a folder, which is made if it is not there, and upload models"
                )
            self._take_over()
            if self.token is None and self._wanted_token is not False:
                self.token = new_token()
            if self._preload:
                self._load()
            self._names = self._tls.names() if self._tls else frozenset()
            self._run = self._new_run(listen(self.host, self._wanted_port))
            try:
                self._run.start()
            except BaseException:  # Ctrl-C, too, leaves nothing behind
                self.stop()
                raise
            if isinstance(self._run, ServerProcesses):
                self.damaged = self._run.damaged
            if self._keep_kernel:
                self._activity = Activity(self.scored)
                self._activity.start()
            with _running_lock:
                _running.pop(self.directory.resolve(), None)  # so that it is the last one
                _running[self.directory.resolve()] = self
            return self

    def stop(self) -> Server:
        """Stop listening and free the port; does nothing when it does not run."""
        with self._lock:
            run, self._run = self._run, None
            activity, self._activity = self._activity, None
            with contextlib.ExitStack() as stack:  # all of it, also when Ctrl-C ends the wait
                stack.callback(self._forget)
                if run:
                    stack.callback(run.stop)
                if activity:
                    activity.stop()
            return self

    def allow_host(self, name: str) -> bool:
        """Answer under a further host name, as a proxy passes on; returns whether it does now.

        A server that runs already does not: stop it and start it again.
        """
        check_text("name", name, ServerError)
        self._allowed_hosts |= {name}
        return not self.is_running or canonical(name) in self._hosts

    def wait(self) -> None:
        """Block until the server ends, as a command in the foreground does."""
        if self._run:
            self._run.wait()

    @property
    def is_running(self) -> bool:
        """True if the server answers."""
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
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_encrypted(self) -> bool:
        """True if connections are encrypted (HTTPS)."""
        return self._tls is not None

    def client(self, timeout: float = 60.0) -> Client:
        """A client that knows address, token, and the certificate that the server has.

        It needs no certificate of its own: it shows a token that nobody else has.

        Raises
        ------
        ServerError
            If the server does not run, or its certificate cannot be read.
        """
        token = self._own_token or self.token
        fingerprint = self._tls.fingerprint() if self._tls else None
        return Client(self.url, token=token, timeout=timeout, fingerprint=fingerprint)

    def scored(self) -> int:
        """Events scored since the start, by all processes.

        Raises
        ------
        ServerError
            If the server does not run.
        ServerUnreachable
            If it does not answer within 10 s.
        """
        with contextlib.closing(self.client(timeout=_PATIENCE)) as client:
            return int(client.status()["events"])

    def _forget(self) -> None:
        """Be no longer among those that run."""
        with _running_lock:
            if _running.get(self.directory.resolve()) is self:
                del _running[self.directory.resolve()]

    def _abandon(self) -> None:
        """Be a server that has not been started, in a copy of the process that it runs in."""
        run, self._run, self._activity = self._run, None, None
        # Another thread, of which there is no copy, may have held the locks.
        self._lock = threading.RLock()
        self.service = self._new_service()
        if run:
            run.abandon()

    def _new_service(self) -> Service:
        admission = Admission.allowing(self._allow_ops)
        return Service(Repository(self.directory), self._memory, admission)

    def _load(self) -> None:
        """Load the models here, or see that the directory can be read by those who will."""
        if self.isolated:
            self.service.repository.models()
            return
        failed = self.service.load_all()
        self.damaged = {name: str(error) for name, error in failed.items()}

    def _new_run(self, listening: socket.socket) -> Run:
        names = LOOPBACK | self._allowed_hosts | _names_of(self.host) | self._names
        self._hosts = frozenset(map(canonical, names))
        hosts = tuple(sorted(self._hosts))
        log = self._access_log
        if log and log != STDERR:
            log = str(Path(log).absolute())
        settings = Settings(
            str(self.directory.resolve()),
            self.token,
            hosts,
            self._memory,
            self._preload,
            log,
            tuple(sorted(self._allow_ops)),
            drain=self._drain,
            grace=self._grace,
            reader_tokens=self._reader_tokens,
            own_token=self._own_token,
            admin_subjects=self._admin_subjects,
            rate=self._rate,
            burst=self._burst,
            **(dataclasses.asdict(self._tls) if self._tls else {}),
        )
        if self.isolated:
            return ServerProcesses(settings, listening, self._workers)
        access_log = AccessLog(log) if log else None
        return ServerThread(
            self.service,
            settings.access,
            listening,
            access_log=access_log,
            drain=self._drain,
            grace=self._grace,
            rate=settings.most,
            tls=settings.tls,
        )

    def _check_asked(self, token: str | bool | None) -> None:
        """Refuse what would let others in than is meant."""
        for given in (token, *self._reader_tokens):
            if isinstance(given, str):
                check_token(given)
        if token is False and self._reader_tokens:
            raise ServerError(
                "reader_token= needs a token: without one everybody may do everything; leave "
                "token=False out"
            )
        if isinstance(token, str) and token in self._reader_tokens:
            raise ServerError("a reader's token is the admins': give another")
        if self._admin_subjects and not self._is_certified:
            raise ServerError("admin_subject= needs client_ca=: who shows no certificate has none")

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
        try:
            names = [model.name for model in self.service.repository.models()]
        except RepositoryError as error:  # a cell shows that, too
            return f"Server({where}, {error})"
        count = f"{len(names)} model{'' if len(names) == 1 else 's'}"
        return f"Server({where}, {count}{': ' if names else ''}{', '.join(names)})"

    def _repr_html_(self) -> str:
        try:
            models = self.service.repository.models()
        except RepositoryError:
            models = ()
        rows = tuple((m.name, m.version, str(m.path)) for m in models)
        return Table(("model", "version", "directory"), rows, repr(self))._repr_html_()


def _host(host: str) -> str:
    if not isinstance(host, str) or "/" in host or any(map(str.isspace, host)):
        raise ServerError(f"host={host!r} is no name or address of this machine")
    return host


def _tls(
    certfile: str | os.PathLike[str] | None,
    keyfile: str | os.PathLike[str] | None,
    client_ca: str | os.PathLike[str] | None,
) -> Tls | None:
    """TLS files with absolute paths, as the current directory may change; None without any."""
    names = {"certfile": certfile, "keyfile": keyfile, "client_ca": client_ca}
    files = [option_values.path(file, name) for name, file in names.items()]
    cert, *others = [str(Path(file).absolute()) if file else None for file in files]
    if cert is not None:
        return Tls(cert, *others)
    if any(others):
        raise ServerError("keyfile= and client_ca= need certfile=, the server's certificate")
    return None


def _names_of(host: str) -> frozenset[str]:
    """Names under which a server bound to an address may be asked."""
    if host in ("0.0.0.0", "::", ""):
        return frozenset({socket.gethostname(), socket.getfqdn()})
    return frozenset({host})


def _stop_all() -> None:
    """Stop what runs while the interpreter is still whole: its end would cut threads short."""
    for server in running():
        with contextlib.suppress(Exception):  # the others all the same
            server.stop()


def _abandon_all() -> None:
    """In a copy of this process (`os.fork`), leave everything to the original."""
    global _running_lock
    _running_lock = threading.Lock()
    _running.clear()
    for server in tuple(_all):
        server._abandon()


# Before the threads are waited for that work on requests, one of which may take minutes.
getattr(threading, "_register_atexit", atexit.register)(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
