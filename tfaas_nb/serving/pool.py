"""Threads that no end of the interpreter waits for: a model may never give one back.

Those of `concurrent.futures` are joined at the interpreter's end, however long that takes.
"""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

#: Seconds that calls under way have at the interpreter's end, together: whatever comes back to
#: an interpreter that is gone may take the process down with a crash.
_LAST_SECONDS = 5.0

P = ParamSpec("P")
T = TypeVar("T")

_ending: set[threading.Thread] = set()


class Pool(Executor):
    """Threads that are started when they are needed, and work on calls in their order.

    Parameters
    ----------
    most : int
        Threads at most.
    name : str
        What they are called before their number.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._is_shut = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread call a function.

        Raises
        ------
        RuntimeError
            After `shutdown`.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._is_shut:
                raise RuntimeError("the threads were told to end: their server has stopped")
            self._calls.put((future, functools.partial(fn, *args, **kwargs)))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
                self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Have the threads end with what they were given, or what they have begun."""
        with self._lock:
            self._is_shut = True
            if cancel_futures:
                self._cancel()
            self._calls.put(None)
            _ending.update(thread for thread in self._threads if thread.is_alive())
        if wait:
            for thread in self._threads:
                thread.join()

    def _start(self) -> None:
        name = f"{self._name}_{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _cancel(self) -> None:
        while True:
            try:
                call = self._calls.get_nowait()
            except Empty:
                return
            if call:
                call[0].cancel()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _answer(*call)
            del call  # what it holds may be large
            self._idle.release()
        self._calls.put(None)  # for the next thread
        _ending.discard(threading.current_thread())


def _answer(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # whoever waits hears of it
        future.set_exception(error)
        del future  # the error's traceback leads here
    else:
        future.set_result(result)


@atexit.register
def _wait_a_little() -> None:
    until = time.monotonic() + _LAST_SECONDS
    for thread in tuple(_ending):
        thread.join(max(0.0, until - time.monotonic()))
