"""Tasks on a worker, with the object that each job ships there once and opens on first use."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import WorkerPlugin, get_worker

from tfaas_nb.cluster.task import Job, of_job


class Shipped(WorkerPlugin):  # type: ignore[misc] # Dask has no types
    """Something that every task of a job needs; workers that come later get it, too.

    Parameters
    ----------
    key : str
        Name of the job.
    opened : callable
        Makes it, in the worker's process, when a task asks first.
    """

    def __init__(self, key: str, opened: Callable[[], Any]) -> None:
        self.name = key
        self._opened = opened

    def setup(self, worker: Any) -> None:
        """Called by Dask on each worker."""
        self._lock = threading.Lock()
        self._there: list[Any] = []
        self.over, self.stop = threading.Event(), threading.Event()

    def teardown(self, worker: Any) -> None:
        """Called by Dask at the job's end."""
        self.over.set()
        for value in self._there:
            with suppress(AttributeError):
                value.close()

    @property
    def value(self) -> Any:
        """Object that was shipped, opened when it is first asked for."""
        with self._lock:
            if not self._there:
                self._there.append(self._opened())
            return self._there[0]


def perform(key: str, function: Callable[[Any, Any], Any], item: Any) -> Any:
    """One task, with what was shipped for its job."""
    shipped = get_worker().plugins[key]
    with of_job(Job(shipped.over, shipped.stop)):
        return function(shipped.value, item)


def perform_telling(key: str, function: Callable[[Any], Any]) -> Any:
    """The only task of a job, which tells how far it is; first, on which worker it begins.

    A message carries the name of the attempt: one on a worker that was given up may go on.
    """
    worker, attempt = get_worker(), uuid.uuid4().hex
    shipped = worker.plugins[key]
    worker.log_event(key, [attempt, True, str(worker.name)])
    job = Job(
        shipped.over, shipped.stop, lambda said: worker.log_event(key, [attempt, False, said])
    )
    with of_job(job):
        return function(shipped.value)


def stop(key: str, dask_worker: Any) -> None:
    """Have a job's tasks on this worker come to an end; called by Dask where it runs."""
    if key in dask_worker.plugins:
        dask_worker.plugins[key].stop.set()
