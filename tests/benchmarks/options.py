"""Options of the benchmarks: durations, and a function that shows progress."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """Durations and sizes of the benchmarks.

    Attributes
    ----------
    seconds, rounds, requests : int
        Seconds of load at a time, rounds of servers in turn, requests to time one by one.
    folds, every, epochs : int
        Of trainings: folds of the cross-validation, of the sample every so many-th event,
        passes over it when the speed of training is measured.
    """

    seconds: int = 4
    rounds: int = 5
    requests: int = 3000
    folds: int = 5
    every: int = 1
    epochs: int = 20
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def quick(cls) -> Options:
        return cls(seconds=1, rounds=1, requests=1000, folds=2, every=10, epochs=2)

    def tell(self, what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"{minutes:3d}:{seconds:02d}  {what}", file=sys.stderr, flush=True)
