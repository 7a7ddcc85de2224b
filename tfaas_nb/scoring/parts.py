"""Scored events, range by range: read and scored in this process, or by those of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.cluster.spread import same, spread
from tfaas_nb.data import units
from tfaas_nb.data.event_file import EventFile, OptionalBranches
from tfaas_nb.data.event_file import steps as ranges_of
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.finite import NonFinite
from tfaas_nb.data.identifiers import IDENTIFIERS, Identifiers
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import DataError, MixedFilesError
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
        """Return the columns to be written, with `file` as the position of the events' file.

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
class ScoredFile:
    """A file whose events are scored.

    Attributes
    ----------
    entries : int
        Entries of its tree, before the selection.
    parts : iterator of Part
        Its events in order.
    optional : OptionalBranches
        What it has of the optional branches.
    """

    entries: int
    parts: Iterator[Part]
    optional: OptionalBranches


@dataclass(frozen=True)
class _First:
    """The first file with events, and how it tells them apart."""

    path: str
    identifiers: Identifiers


@dataclass(frozen=True)
class _Keys:
    """The branches of a file that tell its events apart, and the names they are written under.

    Branches that the file lacks have the types that they are written in as zeros.
    """

    branches: tuple[str, ...]
    names: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, own: Identifiers, first: _First, optional: Sequence[str]) -> _Keys:
        """Find the identifiers of a file, and name them as in the first file.

        Raises
        ------
        MixedFilesError
            If one of both files lacks what the other has, whichever comes first.
        """
        pairs: list[tuple[str, str]] = []
        types = {}
        for position, (mine, name) in enumerate(zip(own, first.identifiers, strict=True)):
            known = IDENTIFIERS[position]
            absent = next((one for one in optional if one.lower() in known), None)
            if absent is None and (mine is None) != (name is None):
                raise _mixed(path, mine, first.path, name)
            if mine is None and absent is not None:
                types[absent] = _ABSENT
            if found := mine or absent:
                pairs.append((found, name or absent or found))
        branches, names = zip(*pairs, strict=True) if pairs else ((), ())
        return cls(branches, names, types)

    def named(
        self, extra: Mapping[str, npt.NDArray[Any]], keep: tuple[str, ...]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the extra branches, with the identifiers under their common names."""
        typed = {name: extra[name].astype(kind) for name, kind in self.types.items()}
        values, keys = {**extra, **typed}, zip(self.names, self.branches, strict=True)
        return {name: values[own] for name, own in keys} | {name: values[name] for name in keep}


#: Type of an identifier that a file lacks: that of the other files fits.
_ABSENT = "<i8"


def _mixed(path: str, own: str | None, other: str, others: str | None) -> MixedFilesError:
    lacking, having, name = (path, other, others) if own is None else (other, path, own)
    return MixedFilesError(
        f"{lacking} has no branch {name!r}, nor one of another name known for it, by which the "
        f"events of {having} are told apart: score it by itself, or say optional=[{name!r}] to "
        "write 0 for it"
    )


_NO_KEYS = _Keys((), ())


class Source(Protocol):
    """Protocol of a source of scored events."""

    def scored(self, file: InputFile) -> AbstractContextManager[ScoredFile]:
        """A file whose events are scored; files are asked for in order."""
        ...

    def close(self) -> None:
        """End the scoring; no more files will be asked for."""
        ...


class Here:
    """Scorer of files in this process."""

    def __init__(self, reading: Reading, scorer: Scorer, files: Sequence[InputFile]) -> None:
        self._reading, self._scorer, self._files = reading, scorer, files
        self._first: _First | None = None

    @contextmanager
    def scored(self, file: InputFile) -> Generator[ScoredFile, None, None]:
        """See `Source`."""
        with EventFile(file, self._reading) as opened:
            keys, ranges = self._keys(opened), steps(opened.entries)
            keep = self._reading.keep
            opened.keep(keys.branches)
            optional = opened.optional
            if absent := [name for name in optional.lacking if name in keep]:
                types = {name: self._types[name] for name in absent if name in self._types}
                keys = replace(keys, types={**keys.types, **types})
            parts = (_part(self._scorer, opened, keys, keep, *ends) for ends in ranges)
            yield ScoredFile(opened.entries, parts, optional)

    def _keys(self, file: EventFile) -> _Keys:
        own, optional = _First(file.path, file.identifiers), self._reading.optional
        if not file.entries:  # it may have been written without its branches
            return _Keys.of(own.path, own.identifiers, own, ())
        self._first = self._first or own
        return _Keys.of(own.path, own.identifiers, self._first, optional)

    @cached_property
    def _types(self) -> dict[str, str]:
        """Types of the kept branches that a file lacks, of the files that have them."""
        types: dict[str, str] = {}
        kept = set(self._reading.keep) & set(self._reading.optional)
        for file in self._files:
            if kept <= types.keys():
                break
            look = _Look.seen(self._reading, _Look(file))
            types |= {} if isinstance(look, DataError) else look.types
        return types

    def close(self) -> None:
        """See `Source`."""


class OnCluster:
    """Scorer of files by the workers of a Dask cluster.

    All files are opened once to know their entries; then ranges of entries are read and scored,
    whoever is free, and arrive here in order.
    """

    def __init__(
        self, reading: Reading, opened: Callable[[], Scorer], cluster: Any, files: list[InputFile]
    ) -> None:
        self._cluster = cluster
        looks = dict(zip(files, self._looked(reading, files), strict=True))
        self._looks = dict(_keyed(looks, reading.optional))
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
    def scored(self, file: InputFile) -> Generator[ScoredFile, None, None]:
        """See `Source`."""
        look = self._looks[file]
        if isinstance(look, DataError):
            raise look
        left = iter(steps(look.entries))
        try:
            yield ScoredFile(look.entries, self._parts(left), look.optional)
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
    optional: OptionalBranches
    types: Mapping[str, str]
    keys: _Keys = _NO_KEYS


@dataclass(frozen=True)
class _Look:
    """A file that is looked into before it is read."""

    file: InputFile
    folder: str = ""

    @staticmethod
    def seen(reading: Reading, look: _Look) -> _Seen | DataError:
        """Look into a file, on a worker; return its branches, or the reason it cannot be read."""
        try:
            with EventFile(look.file, reading, folder=look.folder) as opened:
                kept = [name for name in reading.keep if name in reading.optional]
                types = opened.types_of(kept) if opened.entries else {}
                own = _First(opened.path, opened.identifiers)
                keys = _Keys.of(own.path, own.identifiers, own, reading.optional)
                opened.keep(keys.branches)
                return _Seen(opened.entries, own.identifiers, opened.optional, types)
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
    """Scorer of ranges on a worker; the model is opened once for all ranges."""

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
    looks: Mapping[InputFile, _Seen | DataError], optional: Sequence[str]
) -> Iterator[tuple[InputFile, _Seen | DataError]]:
    """Files with their keys, under the names of the first that has events."""
    first: _First | None = None
    seen = [look for look in looks.values() if not isinstance(look, DataError)]
    types = {name: kind for look in reversed(seen) for name, kind in look.types.items()}
    for file, look in looks.items():
        if isinstance(look, DataError):
            yield file, look
            continue
        own = _First(file.path, look.identifiers)
        if not look.entries:
            yield file, replace(look, keys=_Keys.of(own.path, own.identifiers, own, ()))
            continue
        first = first or own
        try:
            keys = _Keys.of(own.path, own.identifiers, first, optional)
        except DataError as error:
            yield file, error
            continue
        lacking = {name: types[name] for name in look.optional.lacking if name in types}
        yield file, replace(look, keys=replace(keys, types={**keys.types, **lacking}))
