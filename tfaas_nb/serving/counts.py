"""Counters of a server: plain numbers, since a single event is answered in microseconds.

Requests and errors are counted in the event loop's thread alone, events wherever models are
called.  Other threads read what `tfaas_nb.serving.snapshot` takes down.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass

#: Upper bounds of the answers' times, in seconds; one more bucket takes what is slower.
SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip

#: Upper bounds of the events per call of a model; one more bucket takes larger calls.
EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576)

#: Stands for addresses that do not exist and for methods that no address has: whatever else
#: clients make up would be counted for ever.
OTHER = "other"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Tally:
    """Answers to one method of one address.

    Attributes
    ----------
    statuses : dict
        HTTP status → answers.
    buckets : list of int
        Answers by time, one more than `SECONDS`.
    seconds : float
        Sum of the times.
    """

    __slots__ = ("buckets", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: defaultdict[int, int] = defaultdict(int)
        self.buckets = [0] * (len(SECONDS) + 1)
        self.seconds = 0.0

    def add(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.buckets[bisect_left(SECONDS, seconds)] += 1
        self.seconds += seconds


class Counts:
    """Answers and errors since the start.

    Attributes
    ----------
    started : float
        Seconds since 1970.
    tallies : dict
        (address, method) → its answers.
    errors : collections.Counter
        Error answers by the name of the error.
    """

    def __init__(self) -> None:
        self.started = time.time()
        self.tallies: dict[tuple[str, str], Tally] = {}
        self.errors: Counter[str] = Counter()

    def tally(self, path: str, method: str) -> Tally:
        """Return the tally that counts the answers to a method of an address.

        Parameters
        ----------
        path : str
            The address as `Route.shown`, or `OTHER`; never what a client made up.
        method : str
            HTTP method.
        """
        key = (path, method if method in _METHODS else OTHER)
        found = self.tallies.get(key)
        if found is None:
            found = self.tallies[key] = Tally()
        return found

    def error(self, kind: str) -> None:
        """Count an error answer."""
        self.errors[kind] += 1


@dataclass(frozen=True)
class InMemory:
    """Models in memory.

    Attributes
    ----------
    models, bytes : int
        How many there are, and about what they take.
    loads, evictions : int
        How many were read from disk so far, and had to leave for others.
    """

    models: int = 0
    bytes: int = 0
    loads: int = 0
    evictions: int = 0


class Scored:
    """Calls of models and their events; counted from several threads.

    Attributes
    ----------
    events : dict
        Events by the model's name.
    buckets : list of int
        Calls by their number of events, one more than `EVENTS`.
    """

    def __init__(self) -> None:
        self.events: defaultdict[str, int] = defaultdict(int)
        self.buckets = [0] * (len(EVENTS) + 1)
        self._change = threading.Lock()

    def add(self, name: str, events: int) -> None:
        """Count a call of a model."""
        with self._change:
            self.events[name] += events
            self.buckets[bisect_left(EVENTS, events)] += 1
