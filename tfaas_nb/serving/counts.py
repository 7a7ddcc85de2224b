"""What a server counts."""

from __future__ import annotations

import time
from collections import Counter


class Counts:
    """Requests and errors since the start.

    Attributes
    ----------
    started : float
        Seconds since 1970.
    requests : int
        Requests that came.
    errors : collections.Counter
        Error answers by the name of the error.
    """

    def __init__(self) -> None:
        self.started = time.time()
        self.requests = 0
        self.errors: Counter[str] = Counter()

    def error(self, kind: str) -> None:
        """Count an error answer."""
        self.errors[kind] += 1
