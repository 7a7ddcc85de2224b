"""Getting requests answered, whatever goes wrong: at once, or in a thread."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import TypeVar

import orjson

from tfaas_nb.errors import (
    MethodNotAllowed,
    Overloaded,
    RangeNotSatisfiable,
    ServerError,
    TfaasError,
    Unauthorized,
    UnsupportedCoding,
)
from tfaas_nb.serving import codings
from tfaas_nb.serving.counts import Counts
from tfaas_nb.serving.messages import Done, Request, Response
from tfaas_nb.serving.shares import BULK_BYTES, Share, Threads
from tfaas_nb.serving.trimming import Trimming

#: Requests of a kind that are worked on or wait for it; further ones would wait longer than
#: clients do.
MOST_REQUESTS = 512
MOST_LONG = 128

_LONG = frozenset({Share.DOWNLOADS, Share.UPLOADS})

_Result = TypeVar("_Result")

_log = logging.getLogger("tfaas_nb")
_log.addHandler(logging.NullHandler())


class Work:
    """Calls what answers requests and turns its errors into answers.

    Parameters
    ----------
    threads : mapping of Share to concurrent.futures.Executor
        Where work is done that would hold up the event loop.
    counts : Counts
        Where errors are counted.
    """

    def __init__(self, threads: Threads, counts: Counts) -> None:
        self.threads = threads
        self._counts = counts
        self._under_way = dict.fromkeys(Share, 0)
        self._trimming = Trimming(threads[Share.QUICK])

    def refuse(self, error: TfaasError) -> Response:
        """The answer that tells an error."""
        self._counts.error(type(error).__name__)
        # A message may quote what a client sent, which need not be a string that UTF-8 can hold.
        message = str(error).encode("utf-8", "backslashreplace").decode()
        answer = {"error": message, "kind": type(error).__name__}
        return Response(orjson.dumps(answer), status=error.status, headers=_headers(error))

    def failed(self, request: Request, error: Exception) -> Response:
        """The answer to a request whose handler raised `error`."""
        if isinstance(error, TfaasError):
            return self.refuse(error)
        _log.error("%s %s failed", request.head.method, request.head.path, exc_info=error)
        return self.refuse(ServerError("the server failed on this request; see its log"))

    def in_thread(
        self,
        answer: Callable[[Request], Response],
        request: Request,
        done: Done,
        share: Share = Share.QUICK,
    ) -> None:
        """Answer from a thread; `done` is called from the event loop.

        Large JSON is packed there, too, for clients that accept it.
        """

        def packed(request: Request) -> Response:
            return codings.pack(request.head, answer(request))

        self._submit(packed, request, share, done, done)

    def in_two_steps(
        self,
        prepare: Callable[[Request], Request],
        request: Request,
        answer: Callable[[Request, Done], None],
        done: Done,
    ) -> None:
        """Prepare a request in a thread, then have what comes of it answered."""

        def go_on(prepared: Request) -> None:
            answer(prepared, done)

        self._submit(prepare, request, Share.BULK, done, go_on)

    def _submit(
        self,
        function: Callable[[Request], _Result],
        request: Request,
        share: Share,
        done: Done,
        go_on: Callable[[_Result], None],
    ) -> None:
        """Call a function in a thread, and `go_on` with its result, or `done` with its error."""
        if share is Share.QUICK and len(request.body) > BULK_BYTES:
            share = Share.BULK
        if self._under_way[share] >= (MOST_LONG if share in _LONG else MOST_REQUESTS):
            done(self.refuse(Overloaded("too many requests are being worked on; try again soon")))
            return
        threads = self.threads[share]
        future = asyncio.get_running_loop().run_in_executor(threads, function, request)
        self._under_way[share] += 1
        future.add_done_callback(functools.partial(self._finish, request, done, go_on, share))

    def _finish(
        self,
        request: Request,
        done: Done,
        go_on: Callable[[_Result], None],
        share: Share,
        future: asyncio.Future[_Result],
    ) -> None:
        self._under_way[share] -= 1
        if future.cancelled():  # the server stops
            return
        self._trimming.after(len(request.body))
        error = future.exception()
        if error is None:
            go_on(future.result())
        elif isinstance(error, Exception):
            done(self.failed(request, error))
        else:
            raise error


def _headers(error: TfaasError) -> tuple[tuple[str, str], ...]:
    """Headers of an error's answer, such as Retry-After."""
    found: tuple[tuple[str, str], ...] = ()
    if error.retry_after is not None:
        found += (("retry-after", str(error.retry_after)),)
    if isinstance(error, Unauthorized):
        found += (("www-authenticate", "Bearer"),)
    if isinstance(error, MethodNotAllowed):
        found += (("allow", ", ".join(error.allowed)),)
    if isinstance(error, RangeNotSatisfiable):
        found += (("content-range", f"bytes */{error.size}"),)
    if isinstance(error, UnsupportedCoding):
        found += (("accept-encoding", ", ".join(error.codings)),)
    return found
