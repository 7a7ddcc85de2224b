"""What a worker of the cluster holds for a job: brought to it once, opened when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import WorkerPlugin, get_worker

from tfaas_nb.cluster.task import of_job


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
        self.over = threading.Event()

    def teardown(self, worker: Any) -> None:
        """Called by Dask at the job's end."""
        self.over.set()
        for value in self._there:
            with suppress(AttributeError):
                value.close()

    @property
    def value(self) -> Any:
        """What was opened."""
        with self._lock:
            if not self._there:
                self._there.append(self._opened())
            return self._there[0]


def perform(key: str, function: Callable[[Any, Any], Any], item: Any) -> Any:
    """One task, with what was shipped for its job."""
    shipped = get_worker().plugins[key]
    with of_job(shipped.over):
        return function(shipped.value, item)
