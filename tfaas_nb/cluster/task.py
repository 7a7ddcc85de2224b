"""What a task on a worker may ask about its job; anywhere else there is no job to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_current = threading.local()


@contextmanager
def of_job(over: threading.Event) -> Iterator[None]:
    """In this thread a task is done, for a job that is over once the event is set."""
    _current.over = over
    try:
        yield
    finally:
        del _current.over


def is_over() -> bool:
    """Whether nobody waits for what is done in this thread any more."""
    over: threading.Event | None = getattr(_current, "over", None)
    return over is not None and over.is_set()
