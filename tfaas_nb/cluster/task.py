"""Link from a task on a worker to its job: whether to stop, and messages on its progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


def _nobody(message: Any) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Job:
    """Job that a task is part of.

    Attributes
    ----------
    over : threading.Event
        Set once nobody waits for a result any more.
    stop : threading.Event
        Set once tasks should come to an end with what they have.
    tell : callable
        Sends a message, of plain values, to whoever started the job.
    """

    over: threading.Event
    stop: threading.Event
    tell: Callable[[Any], None] = _nobody


_current = threading.local()


@contextmanager
def of_job(job: Job) -> Iterator[None]:
    """In this thread a task of the job is done."""
    _current.job = job
    try:
        yield
    finally:
        del _current.job


def should_stop() -> bool:
    """Return True if the work in this thread should come to an end."""
    job: Job | None = getattr(_current, "job", None)
    return job is not None and (job.stop.is_set() or job.over.is_set())


def tell(message: Any) -> None:
    """Tell whoever started the job how far it is: numbers, text, lists and mappings of them."""
    job: Job | None = getattr(_current, "job", None)
    if job is not None:
        job.tell(message)
