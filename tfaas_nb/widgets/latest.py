"""Only the last of what was asked for counts: done a moment later, when no more is asked.

A person who types asks with every letter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

#: Answers whether something newer was asked for, so that the work may end.
IsOver = Callable[[], bool]
Work = Callable[[IsOver], None]


class Latest:
    """The last piece of work that was asked for, in a thread that ends with it.

    Parameters
    ----------
    name : str
        What the thread is for, as it is shown among threads.
    delay : float
        Seconds without a newer one after which work begins.
    """

    def __init__(self, name: str, delay: float = 0.3) -> None:
        self._name = f"tfaas_nb-{name}"
        self._delay = delay
        self._change = threading.Condition()
        self._wanted: tuple[Work, float] | None = None
        self._thread: threading.Thread | None = None
        self._number = 0
        self._closed = False

    def ask(self, work: Work) -> None:
        """Do this instead of what was asked for before, which is told that it is over.

        Parameters
        ----------
        work : callable
            Given a function that answers whether it is over; must not raise.
        """
        with self._change:
            if self._closed:
                return
            self._number += 1
            self._wanted = work, time.monotonic() + self._delay
            if self._thread is None:
                self._thread = threading.Thread(target=self._go, name=self._name, daemon=True)
                self._thread.start()
            self._change.notify_all()

    def cancel(self) -> None:
        """Drop what waits, and tell what is under way that it is over."""
        with self._change:
            self._number += 1
            self._wanted = None
            self._change.notify_all()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until nothing is to do; returns whether that is so."""
        with self._change:
            return self._change.wait_for(lambda: self._thread is None, seconds)

    def close(self) -> None:
        """Begin nothing more."""
        with self._change:
            self._closed = True
        self.cancel()

    def _go(self) -> None:
        while True:
            with self._change:
                found = self._next()
                if found is None:
                    self._thread = None
                    self._change.notify_all()
                    return
                work, number = found
            try:
                work(partial(self._is_over, number))
            finally:
                del work, found  # they may hold events

    def _is_over(self, number: int) -> bool:
        return number != self._number

    def _next(self) -> tuple[Work, int] | None:
        """Wait for work, until no newer one comes in the delay; return it, or None without any."""
        while self._wanted is not None:
            work, due = self._wanted
            left = due - time.monotonic()
            if left <= 0:
                self._wanted = None
                return work, self._number
            self._change.wait(left)
        return None
