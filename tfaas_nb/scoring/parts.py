"""Scored events, range by range: read and scored in this process, or by those of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.cluster.spread import same, spread
from tfaas_nb.data.event_file import EventFile
from tfaas_nb.data.event_file import steps as ranges_of
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import DataError
from tfaas_nb.scoring.scorer import Scorer

_SCORE = "score"
_FILE, _ENTRY = "file", "entry"

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Part:
    """Scored events of a range of entries.

    Attributes
    ----------
    entries : int
        Entries of the range, before the selection.
    entry : numpy.ndarray
        Entry of each event in its tree, int64 of shape (events,).
    scores : numpy.ndarray
        float32 of shape (events, outputs).
    extra : mapping
        Kept branch → values, shape (events,).
    """

    entries: int
    entry: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    extra: Mapping[str, npt.NDArray[Any]]

    def columns(self, file: int) -> Columns:
        """What is written of them, the file being the one at that position.

        Raises
        ------
        DataError
            If a kept branch has the name of another column.
        """
        outputs = self.scores.shape[1]
        names = [_SCORE] if outputs == 1 else [f"{_SCORE}_{i}" for i in range(outputs)]
        made: Columns = {
            _FILE: np.full(len(self.entry), file, dtype=np.int32),
            _ENTRY: self.entry,
            **{name: self.scores[:, i] for i, name in enumerate(names)},
        }
        if both := made.keys() & self.extra.keys():
            raise DataError(f"the branch {min(both)!r} to keep is called as a column of the scores")
        return {**self.extra, **made}


class Source(Protocol):
    """Where scored events come from."""

    def scored(self, path: str) -> AbstractContextManager[tuple[int, Iterator[Part]]]:
        """Entries of a file, and its events in order; files are asked for in order, too."""
        ...

    def close(self) -> None:
        """Nothing more will be asked for."""
        ...


class Here:
    """Reads and scores in this process."""

    def __init__(self, reading: Reading, scorer: Scorer) -> None:
        self._reading, self._scorer = reading, scorer
        self._keys: tuple[str, ...] | None = None

    @contextmanager
    def scored(self, path: str) -> Generator[tuple[int, Iterator[Part]], None, None]:
        """See `Source`."""
        if self._keys is None:
            self._keys = _Look(path).event_id(self._reading)
        with EventFile(path, _keyed(self._reading, self._keys)) as file:
            ranges = steps(file.entries)
            yield file.entries, (_part(self._scorer, file, *ends) for ends in ranges)

    def close(self) -> None:
        """See `Source`."""


class OnCluster:
    """Has the workers of a Dask cluster read and score.

    All files are opened once to know their entries; then ranges of entries are read and scored,
    whoever is free, and arrive here in order.
    """

    def __init__(
        self, reading: Reading, opened: Callable[[], Scorer], cluster: Any, paths: list[str]
    ) -> None:
        self._cluster = cluster
        looks = dict(zip(paths, self._looked(reading, paths), strict=True))
        found = [look for look in looks.values() if not isinstance(look, DataError)]
        self._looks = looks
        self._reading = _keyed(reading, found[0].keys if found else ())
        items = [
            _Range(path, *ends)
            for path, look in looks.items()
            if not isinstance(look, DataError)
            for ends in steps(look.entries)
        ]
        job = partial(_Work, self._reading, opened, str(Path.cwd()))
        self._results = spread(cluster, _Work.part, items, job, named=lambda r: r.path)

    def _looked(self, reading: Reading, paths: list[str]) -> Iterator[_Seen | DataError]:
        looks = [_Look(path, str(Path.cwd())) for path in paths]
        return spread(self._cluster, _Look.seen, looks, partial(same, reading))

    @contextmanager
    def scored(self, path: str) -> Generator[tuple[int, Iterator[Part]], None, None]:
        """See `Source`."""
        look = self._looks[path]
        if isinstance(look, DataError):
            raise look
        left = iter(list(steps(look.entries)))
        try:
            yield look.entries, self._parts(left)
        finally:
            for _ in left:  # what comes next is of the next file
                next(self._results, None)

    def _parts(self, left: Iterator[Any]) -> Iterator[Part]:
        for _ in left:
            found = next(self._results)
            if isinstance(found, DataError):
                raise found
            yield found

    def close(self) -> None:
        """See `Source`."""
        self._results.close()


@dataclass(frozen=True)
class _Seen:
    entries: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class _Look:
    """A file that is looked into before it is read."""

    path: str
    folder: str = ""

    def event_id(self, reading: Reading) -> tuple[str, ...]:
        with EventFile(self.path, reading) as file:
            return file.event_id

    @staticmethod
    def seen(reading: Reading, look: _Look) -> _Seen | DataError:
        """On a worker: what a file has, or why it cannot be read."""
        try:
            with EventFile(look.path, reading, folder=look.folder) as file:
                return _Seen(file.entries, file.event_id)
        except DataError as error:
            return error

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class _Range:
    path: str
    start: int
    stop: int


class _Work:
    """On a worker: how events are read, and the model, opened once for all ranges."""

    def __init__(self, reading: Reading, opened: Callable[[], Scorer], folder: str) -> None:
        self.reading, self.scorer, self.folder = reading, opened(), folder

    def part(self, item: _Range) -> Part | DataError:
        try:
            with EventFile(item.path, self.reading, folder=self.folder) as file:
                return _part(self.scorer, file, item.start, item.stop)
        except DataError as error:
            return error

    def close(self) -> None:
        self.scorer.close()


def _part(scorer: Scorer, file: EventFile, start: int, stop: int) -> Part:
    events = file.events(start, stop)
    return Part(stop - start, events.entry, scorer.scores(events.X), events.extra)


def steps(entries: int) -> list[tuple[int, int]]:
    """Ranges of entries; one of none for an empty tree, which has columns all the same."""
    return list(ranges_of(entries)) or [(0, 0)]


def _keyed(reading: Reading, keys: tuple[str, ...]) -> Reading:
    """With the branches that tell events apart: those of the first file, for all files."""
    return replace(reading, keep=tuple(dict.fromkeys((*keys, *reading.keep))))
