"""How long to measure, and where to say what is going on."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """Seconds of load at a time, rounds of servers in turn, requests to time one by one."""

    seconds: int = 4
    rounds: int = 5
    requests: int = 3000
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def quick(cls) -> Options:
        return cls(seconds=1, rounds=1, requests=1000)

    def tell(self, what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"{minutes:3d}:{seconds:02d}  {what}", file=sys.stderr, flush=True)
