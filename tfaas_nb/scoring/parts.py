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
from tfaas_nb.data import units
from tfaas_nb.data.event_file import EventFile
from tfaas_nb.data.event_file import steps as ranges_of
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.finite import NonFinite
from tfaas_nb.data.identifiers import Identifiers
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
    not_finite : NonFinite or None
        What became of events with values that are not finite.
    doubt : str
        Reason to doubt that momenta and masses are in GeV; empty if there is none.
    """

    entries: int
    entry: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    extra: Mapping[str, npt.NDArray[Any]]
    not_finite: NonFinite | None = None
    doubt: str = ""

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


@dataclass(frozen=True)
class _Keys:
    """The branches of a file that tell its events apart, and the names they are written under."""

    branches: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, path: str, own: Identifiers, first: Identifiers) -> _Keys:
        """Those of a file, under the names that the first file has.

        Raises
        ------
        DataError
            If the file lacks one that the first has.
        """
        pairs = [(mine, name) for mine, name in zip(own, first, strict=True) if name is not None]
        lacking = [name for mine, name in pairs if mine is None]
        if lacking:
            raise DataError(
                f"{path} has no branch {', '.join(map(repr, lacking))}, nor one of another name "
                "known for it, by which the events of the files before are told apart: score it "
                "by itself"
            )
        return cls(tuple(mine for mine, _ in pairs if mine), tuple(name for _, name in pairs))

    def named(
        self, extra: Mapping[str, npt.NDArray[Any]], keep: tuple[str, ...]
    ) -> dict[str, npt.NDArray[Any]]:
        """What was kept, with the keys under their common names."""
        keys = zip(self.names, self.branches, strict=True)
        return {name: extra[own] for name, own in keys} | {name: extra[name] for name in keep}


_NO_KEYS = _Keys((), ())


class Source(Protocol):
    """Where scored events come from."""

    def scored(self, file: InputFile) -> AbstractContextManager[tuple[int, Iterator[Part]]]:
        """Entries of a file, and its events in order; files are asked for in order, too."""
        ...

    def close(self) -> None:
        """Nothing more will be asked for."""
        ...


class Here:
    """Reads and scores in this process."""

    def __init__(self, reading: Reading, scorer: Scorer) -> None:
        self._reading, self._scorer = reading, scorer
        self._first: Identifiers | None = None

    @contextmanager
    def scored(self, file: InputFile) -> Generator[tuple[int, Iterator[Part]], None, None]:
        """See `Source`."""
        with EventFile(file, self._reading) as opened:
            keys, ranges = self._keys(opened), steps(opened.entries)
            keep = self._reading.keep
            opened.keep(keys.branches)
            parts = (_part(self._scorer, opened, keys, keep, *ends) for ends in ranges)
            yield opened.entries, parts

    def _keys(self, file: EventFile) -> _Keys:
        if not file.entries:  # it may have been written without its branches
            return _Keys.of(file.path, file.identifiers, file.identifiers)
        if self._first is None:
            self._first = file.identifiers
        return _Keys.of(file.path, file.identifiers, self._first)

    def close(self) -> None:
        """See `Source`."""


class OnCluster:
    """Has the workers of a Dask cluster read and score.

    All files are opened once to know their entries; then ranges of entries are read and scored,
    whoever is free, and arrive here in order.
    """

    def __init__(
        self, reading: Reading, opened: Callable[[], Scorer], cluster: Any, files: list[InputFile]
    ) -> None:
        self._cluster = cluster
        looks = dict(zip(files, self._looked(reading, files), strict=True))
        self._looks = dict(_keyed(looks))
        items = [
            _Range(file, look.keys, *ends)
            for file, look in self._looks.items()
            if not isinstance(look, DataError)
            for ends in steps(look.entries)
        ]
        job = partial(_Work, reading, opened, str(Path.cwd()))
        self._results = spread(cluster, _Work.part, items, job, named=lambda r: str(r.file))

    def _looked(self, reading: Reading, files: list[InputFile]) -> Iterator[_Seen | DataError]:
        looks = [_Look(file, str(Path.cwd())) for file in files]
        return spread(self._cluster, _Look.seen, looks, partial(same, reading))

    @contextmanager
    def scored(self, file: InputFile) -> Generator[tuple[int, Iterator[Part]], None, None]:
        """See `Source`."""
        look = self._looks[file]
        if isinstance(look, DataError):
            raise look
        left = iter(steps(look.entries))
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
    identifiers: Identifiers
    keys: _Keys = _NO_KEYS


@dataclass(frozen=True)
class _Look:
    """A file that is looked into before it is read."""

    file: InputFile
    folder: str = ""

    @staticmethod
    def seen(reading: Reading, look: _Look) -> _Seen | DataError:
        """On a worker: what a file has, or why it cannot be read."""
        try:
            with EventFile(look.file, reading, folder=look.folder) as opened:
                return _Seen(opened.entries, opened.identifiers)
        except DataError as error:
            return error

    def __str__(self) -> str:
        return str(self.file)


@dataclass(frozen=True)
class _Range:
    file: InputFile
    keys: _Keys
    start: int
    stop: int


class _Work:
    """On a worker: how events are read, and the model, opened once for all ranges."""

    def __init__(self, reading: Reading, opened: Callable[[], Scorer], folder: str) -> None:
        self.reading, self.scorer, self.folder = reading, opened(), folder

    def part(self, item: _Range) -> Part | DataError:
        try:
            with EventFile(item.file, self.reading, folder=self.folder) as file:
                file.keep(item.keys.branches)
                keep = self.reading.keep
                return _part(self.scorer, file, item.keys, keep, item.start, item.stop)
        except DataError as error:
            return error

    def close(self) -> None:
        self.scorer.close()


def _part(
    scorer: Scorer, file: EventFile, keys: _Keys, keep: tuple[str, ...], start: int, stop: int
) -> Part:
    events = file.events(start, stop)
    extra = keys.named(events.extra, keep)
    scores = scorer.scores(events.X)
    doubt = units.doubt(events.X, scorer.features)
    return Part(stop - start, events.entry, scores, extra, events.not_finite, doubt)


def steps(entries: int) -> list[tuple[int, int]]:
    """Ranges of entries; one of none for an empty tree, which has columns all the same."""
    return list(ranges_of(entries)) or [(0, 0)]


def _keyed(
    looks: Mapping[InputFile, _Seen | DataError],
) -> Iterator[tuple[InputFile, _Seen | DataError]]:
    """Files with their keys, under the names of the first that has events."""
    first: Identifiers | None = None
    for file, look in looks.items():
        if isinstance(look, DataError):
            yield file, look
            continue
        if not look.entries:
            own = look.identifiers
            yield file, replace(look, keys=_Keys.of(file.path, own, own))
            continue
        first = look.identifiers if first is None else first
        try:
            yield file, replace(look, keys=_Keys.of(file.path, look.identifiers, first))
        except DataError as error:
            yield file, error
