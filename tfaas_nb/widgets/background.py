"""Slow work of a widget, done in a thread, so that the kernel stays free."""

from __future__ import annotations

import threading
from collections.abc import Callable

Work = Callable[[], None]


class Background:
    """Pieces of work, one after another, in a thread that ends with the last.

    Parameters
    ----------
    name : str
        What the thread is for, as it is shown among threads.

    Notes
    -----
    The work sets traits of controls that only Python sets, or has the turn for those that the
    page may set at the same time.
    """

    def __init__(self, name: str) -> None:
        self._name = f"tfaas_nb-{name}"
        self._change = threading.Condition()
        self._waiting: list[Work] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def is_busy(self) -> bool:
        """True if a piece of work is under way or waits."""
        return self._thread is not None

    def run(self, work: Work) -> None:
        """Do something soon; what was asked for before comes first.

        Parameters
        ----------
        work : callable
            Must not raise.
        """
        with self._change:
            if self._closed:
                return
            self._waiting.append(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._go, name=self._name, daemon=True)
                self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until all is done; returns whether it is."""
        with self._change:
            return self._change.wait_for(lambda: self._thread is None, seconds)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        with self._change:
            self._closed = True
            self._waiting.clear()

    def _go(self) -> None:
        while True:
            with self._change:
                if not self._waiting:
                    self._thread = None
                    self._change.notify_all()
                    return
                work = self._waiting.pop(0)
            try:
                work()
            finally:
                del work  # it may hold a model
