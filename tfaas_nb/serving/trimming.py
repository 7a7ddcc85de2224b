"""Giving back the memory of large requests, which the C library would keep for good."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Executor

from tfaas_nb.data.allocation import trim

#: Bytes of a body that leave enough behind.
_LARGE = 8 << 20

#: After an answer, until all that belonged to the request is freed.
_SECONDS = 0.5


class Trimming:
    """Trims memory soon after large requests, once for all of them that come together.

    Parameters
    ----------
    threads : concurrent.futures.Executor
        Where that is done: it takes some tens of milliseconds, without the interpreter's lock.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._is_due = False

    def after(self, size: int) -> None:
        """A request with a body of `size` bytes was answered; called from the event loop."""
        if size >= _LARGE and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_SECONDS, self._begin)

    def _begin(self) -> None:
        self._is_due = False
        with contextlib.suppress(RuntimeError):  # the server stops
            self._threads.submit(trim)
