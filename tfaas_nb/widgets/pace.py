"""Pace of a server: rate and latency of requests, from its counts at two moments."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Addresses that tell of the server: who looks at it is not to be counted.
_OWN = ("/status", "/metrics", "/health")
#: Readings between which the pace is taken.
_WINDOW = 6


@dataclass(frozen=True)
class Pace:
    """Requests within some seconds.

    Attributes
    ----------
    requests : int
        How many were answered.
    per_second : float
        How many a second.
    median, slow : float
        Seconds within which half of them, and 95 % of them, were answered; NaN without any.
    total : int
        Requests since the server's start.
    """

    requests: int
    per_second: float
    median: float
    slow: float
    total: int

    def __str__(self) -> str:
        since = f"{self.total} since the start"
        if not self.requests:
            return f"none now, {since}"
        return (
            f"{self.per_second:.1f} per second, half of them answered within "
            f"{_time(self.median)}, 95 % within {_time(self.slow)}; {since}"
        )


@dataclass
class Gauge:
    """The pace of a server over its last readings."""

    _readings: deque[tuple[float, float, tuple[int, ...]]] = field(
        default_factory=lambda: deque(maxlen=_WINDOW)
    )

    def read(self, status: Mapping[str, Any], now: float | None = None) -> Pace:
        """The pace since an earlier reading.

        Parameters
        ----------
        status : mapping
            What `Client.status` gave.
        now : float, optional
            Seconds; by default of the monotonic clock.
        """
        now = time.monotonic() if now is None else now
        bounds = status["bounds"]
        counts = [0] * (len(bounds) + 1)
        for path, buckets in status["seconds"].items():
            if path not in _OWN:
                counts = [a + b for a, b in zip(counts, buckets, strict=True)]
        started = now - status["uptime"]
        if self._readings and started > self._readings[-1][0] + 1.0:
            self._readings.clear()  # another server, which counts from nothing
        self._readings.append((started, now, tuple(counts)))
        _, since, before = self._readings[0]
        new = [max(b - a, 0) for a, b in zip(before, counts, strict=True)]
        requests, seconds = sum(new), now - since
        return Pace(
            requests,
            requests / seconds if seconds > 0 else 0.0,
            _quantile(bounds, new, 0.5),
            _quantile(bounds, new, 0.95),
            sum(counts),
        )


def _quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """Upper bound of the bucket that a share of the requests ends in; NaN without any."""
    wanted, seen = share * sum(counts), 0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        seen += count
        if count and seen >= wanted:
            return bound
    return float("nan")


def _time(seconds: float) -> str:
    if seconds == float("inf"):
        return "more than 10 s"
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1e3:g} ms"
