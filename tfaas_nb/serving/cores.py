"""Many events in one request, shared out to the processor's cores.

A model's engine computes in the thread that calls it: one core, which is best for single
events.  Pieces that fit a core's cache are besides quicker than one large call.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfaas_nb.engines import Engine
from tfaas_nb.serving.pool import Pool

Floats = npt.NDArray[np.float32]

#: Events that a core takes at a time; fewer are not worth sharing out.
EVENTS_AT_ONCE = 4096


class Cores:
    """The cores that scores are computed on.

    Parameters
    ----------
    count : int, optional
        How many; by default all that this process may use.

    Notes
    -----
    Whoever asks computes as well, so requests never wait for each other's pieces to begin.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or usable_cores()
        self._threads: Pool | None = None
        self._lock = threading.Lock()

    def score(self, engine: Engine, events: Floats) -> Floats:
        """Compute ``engine(events)`` on all cores: float32 of shape (events, outputs).

        Raises
        ------
        GraphError
            If the graph fails.
        """
        if self.count == 1 or len(events) < 2 * EVENTS_AT_ONCE:
            return engine(events)
        starts = iter(range(0, len(events), EVENTS_AT_ONCE))
        found: dict[int, Floats] = {}
        taking = threading.Lock()

        def work() -> None:
            while True:
                with taking:
                    start = next(starts, None)
                if start is None:
                    return
                found[start] = engine(events[start : start + EVENTS_AT_ONCE])

        others = self._begin(work)
        work()
        for other in others:
            if not other.cancel():  # it has begun
                other.result()
        return np.concatenate([found[start] for start in sorted(found)])

    def close(self) -> None:
        """End the threads; they come back when needed."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads:
            threads.shutdown(wait=False)

    def _begin(self, work: Callable[[], None]) -> list[Future[None]]:
        with self._lock:
            if self._threads is None:
                self._threads = Pool(self.count - 1, "tfaas_nb-cores")
            return [self._threads.submit(work) for _ in range(self.count - 1)]


def usable_cores() -> int:
    """Cores that this process may use; a container's share counts."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no such share
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        cores = min(cores, max(quota // period, 1))
    return cores
