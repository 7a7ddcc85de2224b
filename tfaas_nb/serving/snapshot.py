"""Snapshot of a server's counters: a value that can be written, read, and added up.

Several worker processes that share a port add theirs up, so that whichever is asked tells of
all.  Counters of a worker that died stay in the sum, for they must not go back; what it held
(models, memory) does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tfaas_nb.serving.counts import EVENTS, SECONDS, Counts, InMemory, Scored

#: Stands for models that are stored no more; no model can be called so.
DELETED = "(deleted)"


@dataclass(frozen=True)
class Spread:
    """A histogram: numbers by bucket, the last one without upper bound, and the sum."""

    buckets: tuple[int, ...]
    total: float

    def __add__(self, other: Spread) -> Spread:
        pairs = zip(self.buckets, other.buckets, strict=True)
        return Spread(tuple(a + b for a, b in pairs), self.total + other.total)


_EMPTY = InMemory()
_NO_TIMES = Spread((0,) * (len(SECONDS) + 1), 0.0)
_NO_CALLS = Spread((0,) * (len(EVENTS) + 1), 0.0)


@dataclass(frozen=True)
class Held:
    """Resources of the worker processes now: models and memory.

    Attributes
    ----------
    workers : int
        Processes.
    models, model_bytes : int
        Models in memory, and about what they take.
    rss : int
        Bytes of physical memory of the processes.
    """

    workers: int = 0
    models: int = 0
    model_bytes: int = 0
    rss: int = 0

    def __add__(self, other: Held) -> Held:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Held(*(a + b for a, b in pairs))


@dataclass(frozen=True)
class Snapshot:
    """Everything counted, by one process or several.

    Attributes
    ----------
    started : float
        Seconds since 1970, of the first process.
    answers : mapping
        ``"METHOD ADDRESS"`` → HTTP status → answers.
    seconds : mapping
        Address → times from a whole request to its answer.
    errors : mapping
        Name of an error → answers that told it.
    events : mapping
        Model → events scored.
    calls : Spread
        Events per call of a model.
    loads, evictions : int
        Models read from disk, and that had to leave memory for others.
    cpu_seconds : float
        Processor time.
    held : Held
        What is held now.
    """

    started: float
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    seconds: Mapping[str, Spread] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    calls: Spread = _NO_CALLS
    loads: int = 0
    evictions: int = 0
    cpu_seconds: float = 0.0
    held: Held = Held()

    @classmethod
    def take(
        cls,
        counts: Counts,
        scored: Scored,
        memory: InMemory = _EMPTY,
        rss: int = 0,
        cpu_seconds: float = 0.0,
    ) -> Snapshot:
        """Take down what one process has counted and holds; from any thread."""
        answers: dict[str, dict[str, int]] = {}
        seconds: dict[str, Spread] = {}
        for (path, method), tally in dict(counts.tallies).items():
            statuses = dict(tally.statuses)  # in one step: another thread may add keys
            if statuses:
                answers[f"{method} {path}"] = {str(s): n for s, n in statuses.items()}
                times = Spread(tuple(tally.buckets), tally.seconds)
                seconds[path] = seconds.get(path, _NO_TIMES) + times
        events = dict(scored.events)
        return cls(
            counts.started,
            answers,
            seconds,
            dict(counts.errors),
            events,
            Spread(tuple(scored.buckets), float(sum(events.values()))),
            memory.loads,
            memory.evictions,
            cpu_seconds,
            Held(1, memory.models, memory.bytes, rss),
        )

    def __add__(self, other: Snapshot) -> Snapshot:
        answers = {
            key: _sum(self.answers.get(key, {}), other.answers.get(key, {}))
            for key in {**self.answers, **other.answers}
        }
        seconds = {
            path: self.seconds.get(path, _NO_TIMES) + other.seconds.get(path, _NO_TIMES)
            for path in {**self.seconds, **other.seconds}
        }
        return Snapshot(
            min(self.started, other.started),
            answers,
            seconds,
            _sum(self.errors, other.errors),
            _sum(self.events, other.events),
            self.calls + other.calls,
            self.loads + other.loads,
            self.evictions + other.evictions,
            self.cpu_seconds + other.cpu_seconds,
            self.held + other.held,
        )

    def past(self) -> Snapshot:
        """Return the counters alone, for processes that hold nothing any more."""
        return dataclasses.replace(self, held=Held())

    def only_models(self, names: Iterable[str]) -> Snapshot:
        """Return a copy in which the events of all other models are counted under `DELETED`.

        What uploads and deletes leave behind must not make the answer grow for ever.
        """
        kept = set(names)
        events: dict[str, int] = {}
        for name, count in self.events.items():
            shown = name if name in kept else DELETED
            events[shown] = events.get(shown, 0) + count
        return dataclasses.replace(self, events=events)

    def requests(self, method: str = "") -> int:
        """Answers to requests, of one method or of all."""
        found = (v for k, v in self.answers.items() if k.startswith(f"{method} ") or not method)
        return sum(sum(statuses.values()) for statuses in found)

    def responses(self) -> dict[str, int]:
        """Answers by the class of their status: ``{"2xx": 5}``."""
        found: dict[str, int] = {}
        for statuses in self.answers.values():
            found = _sum(found, _sum_of_classes(statuses))
        return dict(sorted(found.items()))

    def to_json(self) -> bytes:
        """As JSON."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, data: bytes) -> Snapshot:
        """Read a snapshot that `to_json` wrote.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            found: dict[str, Any] = orjson.loads(data)
            seconds = {
                path: _spread(values, _NO_TIMES) for path, values in found["seconds"].items()
            }
            parts = {
                "seconds": seconds,
                "calls": _spread(found["calls"], _NO_CALLS),
                "held": Held(**found["held"]),
            }
            return cls(**{**found, **parts})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a snapshot: {error}") from error


def _spread(values: Mapping[str, Any], like: Spread) -> Spread:
    """A spread with as many buckets as `like`: another version of this package may differ."""
    buckets = tuple(values["buckets"])
    if len(buckets) != len(like.buckets):
        raise ValueError(f"not a snapshot of this version: {len(buckets)} buckets")
    return Spread(buckets, values["total"])


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}


def _sum_of_classes(statuses: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for status, count in statuses.items():
        found[f"{status[0]}xx"] = found.get(f"{status[0]}xx", 0) + count
    return found
