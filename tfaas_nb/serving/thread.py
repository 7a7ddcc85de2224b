"""A server in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from tfaas_nb import isolation
from tfaas_nb.errors import ServerError
from tfaas_nb.serving import http
from tfaas_nb.serving.access_log import AccessLog
from tfaas_nb.serving.app import SERVER, App
from tfaas_nb.serving.forked import let_go
from tfaas_nb.serving.interrupts import wait_until_set
from tfaas_nb.serving.pool import Pool
from tfaas_nb.serving.rate import Rate
from tfaas_nb.serving.room import more_files, most_connections
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.settings import DEFAULT_GRACE
from tfaas_nb.serving.shared_counts import SharedCounts
from tfaas_nb.serving.shares import Share
from tfaas_nb.serving.tls import Tls

_READY_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0
#: Threads of each kind of work.
_THREADS = dict.fromkeys(Share, 2) | {Share.QUICK: 4}

_log = logging.getLogger("tfaas_nb")


class ServerThread:
    """One life of the listening thread.

    Parameters
    ----------
    service : Service
        What answers.
    access : Access
        Who may ask.
    listening : socket.socket
        A listening socket; closed at the end.
    shared : SharedCounts, optional
        Where counts are added up with those of other processes.
    access_log : AccessLog, optional
        Where answers are noted down.
    drain, grace : float
        Seconds for which connections are still accepted at the end, and that requests under way
        then have.
    rate : Rate, optional
        How often each token may ask.
    tls : Tls, optional
        How connections are encrypted.
    """

    def __init__(
        self,
        service: Service,
        access: Access,
        listening: socket.socket,
        shared: SharedCounts | None = None,
        access_log: AccessLog | None = None,
        drain: float = 0.0,
        grace: float = DEFAULT_GRACE,
        rate: Rate | None = None,
        tls: Tls | None = None,
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self._service = service
        self._socket = listening
        self._drain, self._grace = drain, grace
        self._threads = {share: _threads(share) for share in Share}
        scheme = "https" if tls else "http"
        self._app = App(service, access, self._threads, shared, access_log, rate, scheme)
        self._tls = tls
        self._held = contextlib.ExitStack()
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._loop = _new_loop()
        self._stop = asyncio.Event()
        self._connections: set[http.Connection] = set()
        self._thread = threading.Thread(target=self._main, name="tfaas_nb-server", daemon=True)

    def start(self) -> None:
        """Return when it accepts connections.

        Raises
        ------
        ServerError
            If it could not start, or the access log cannot be written.
        """
        more_files()
        self._app.start()
        self._service.look()
        self._service.repository.tidy()
        self._held.enter_context(isolation.held())
        self._thread.start()
        if not self._ready.wait(_READY_TIMEOUT):
            self.stop()
            raise ServerError(f"the server did not get ready within {_READY_TIMEOUT:.0f} s")
        if self._error is not None:
            raise ServerError(f"the server could not start: {self._error}") from self._error

    def stop(self) -> None:
        """End it; requests under way are answered before."""
        with contextlib.ExitStack() as stack:  # all of it, also when Ctrl-C ends the wait
            stack.callback(self._held.close)
            stack.callback(self._service.close)
            stack.callback(self._socket.close)
            stack.callback(self._app.stop)
            for threads in self._threads.values():
                stack.callback(threads.shutdown, wait=False, cancel_futures=True)
            self._app.retire()
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            if self._thread.ident is not None:
                self._thread.join(self._drain + self._grace + _STOP_TIMEOUT)

    def abandon(self) -> None:
        """In a copy of this process, let go of the port and of all connections."""
        connections = [one.descriptor() for one in list(self._connections)]
        let_go(self, [self._socket.fileno(), *connections])

    def wait(self) -> None:
        """Block until it ends."""
        # Not Thread.join: until Python 3.13 it takes a thread for ended when Ctrl-C interrupts it.
        wait_until_set(self._ended)

    def is_alive(self) -> bool:
        """Return True if it answers."""
        return self._thread.is_alive()

    def _main(self) -> None:
        try:
            self._loop.set_exception_handler(_failed)
            limits = http.Limits()
            limits = replace(limits, connections=most_connections(limits.connections))
            self._loop.run_until_complete(
                http.serve(
                    self._app,
                    self._socket,
                    self._stop,
                    self._ready.set,
                    SERVER,
                    limits,
                    grace=self._grace,
                    drain=self._drain,
                    tls=self._tls,
                    open_now=self._connections,
                )
            )
        except BaseException as error:  # whatever ended the thread is told to the caller
            self._error = error
        finally:
            self._loop.close()
            self._socket.close()
            self._ready.set()
            self._ended.set()


def _threads(share: Share) -> Executor:
    """Make the pool of threads for a kind of work; none starts before it is needed."""
    name, most = f"tfaas_nb-work-{share.value}", _THREADS[share]
    # What is being stored is let end with the interpreter; a model need never give a thread back.
    return ThreadPoolExecutor(most, name) if share is Share.UPLOADS else Pool(most, name)


def _failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note what went wrong in the event loop, whose own log would print it into a cell."""
    _log.error("%s", context.get("message"), exc_info=context.get("exception"))


def _new_loop() -> asyncio.AbstractEventLoop:
    """An event loop: uvloop's where there is one, it doubles the requests per second."""
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
