"""Use of processor and memory by this process, and load and versions of its machine."""

from __future__ import annotations

import functools
import sys
import threading
import time
from typing import Any

from tfaas_nb.serving.cores import usable_cores

#: Processor use is an average over at least this many seconds.
_LEAST_SECONDS = 1.0


class Machine:
    """Processor, memory and load, now.

    Notes
    -----
    Nothing here waits: processor use is the average since it was last asked for, or since the
    process began.
    """

    def __init__(self) -> None:
        self._change = threading.Lock()
        self._since: tuple[float, float] | None = None
        self._percent = 0.0

    def cpu(self) -> dict[str, float | int]:
        """``percent`` of this process (100 is one core), and ``cores``."""
        with self._change:
            since, spent = self._since or (_process().create_time(), 0.0)
            now = time.time()
            if self._since is None or now - since >= _LEAST_SECONDS:
                used = self.cpu_seconds()
                self._percent = 100 * (used - spent) / max(now - since, 1e-3)
                self._since = now, used
            return {"percent": round(self._percent, 1), "cores": usable_cores()}

    def cpu_seconds(self) -> float:
        """Processor time of this process."""
        times = _process().cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        """Bytes of physical memory of this process."""
        return int(_process().memory_info().rss)

    def memory(self) -> dict[str, int]:
        """Bytes: ``rss`` of this process, ``total`` and ``available`` of the machine."""
        import psutil

        whole = psutil.virtual_memory()
        return {"rss": self.rss(), "total": whole.total, "available": whole.available}

    def load(self) -> list[float]:
        """Processes that run or would, averaged over 1, 5 and 15 minutes."""
        import psutil

        return [round(value, 2) for value in psutil.getloadavg()]


def versions(server: str) -> dict[str, str | None]:
    """Of the server, Python, and TensorFlow (None unless it is loaded)."""
    tensorflow = sys.modules.get("tensorflow")
    return {
        "server": server,
        "python": sys.version.split()[0],
        "tensorflow": getattr(tensorflow, "__version__", None),
    }


@functools.cache
def _process() -> Any:
    import psutil

    return psutil.Process()
