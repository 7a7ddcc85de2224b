"""Files that are read: opened one after another, their events range by range.

`Here` reads in this process, one file after another: uproot spends its time in Python, and 200
files took 2.1 s in turn, 2.5 s by two threads.  `OnCluster` has the workers of a Dask cluster read;
what arrives is the same, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tfaas_nb.cluster.spread import same, spread
from tfaas_nb.data.event_file import EventFile, Events, OptionalBranches, steps
from tfaas_nb.data.files import InputFile, placed, sha256
from tfaas_nb.data.generated import Generated
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import DataError


@dataclass(frozen=True)
class Opened:
    """A file that is being read.

    Attributes
    ----------
    entries : int
        Entries of its tree, before any selection.
    tree, uuid : str
        Name of the tree; the identifier that ROOT gave the file.
    parts : iterator of (int, Events)
        Range by range, how many entries it has, and its events.
    generated : callable
        See `EventFile.generated`; asked for where the lot is normalised.
    sha256 : callable
        Hash of its content; it may be waited for after the file was closed.
    optional : OptionalBranches
        What it has of the optional branches.
    """

    entries: int
    tree: str
    uuid: str
    parts: Iterator[tuple[int, Events]]
    generated: Callable[[], Generated]
    sha256: Callable[[], str]
    optional: OptionalBranches


@dataclass(frozen=True)
class Lot:
    """Files that are read alike.

    Attributes
    ----------
    files : tuple of InputFile
        The files.
    reading : Reading
        What is read of them.
    is_normalised : bool
        Whether they are scaled to a cross-section.
    is_sum_known : bool
        Whether that needs no sum of weights of theirs.
    """

    files: tuple[InputFile, ...]
    reading: Reading
    is_normalised: bool
    is_sum_known: bool = False


class FileSource(Protocol):
    """Protocol of a source of opened files."""

    def opened(self, file: InputFile, lot: int) -> AbstractContextManager[Opened]:
        """A file of the lot of that number; files are asked for in order, each once."""
        ...

    def close(self) -> None:
        """End the reading; no more files will be asked for."""
        ...


class Here:
    """Reader of files in this process; hashes are computed in a thread."""

    def __init__(self, lots: Sequence[Lot], hashed: bool) -> None:
        self._lots, self._hashed = lots, hashed
        self._hashing = ThreadPoolExecutor(1)

    @contextmanager
    def opened(self, file: InputFile, lot: int) -> Generator[Opened, None, None]:
        """See `FileSource`."""
        wanted = self._lots[lot]
        with EventFile(file, wanted.reading) as opened:
            digest = self._hashing.submit(sha256, file.path if self._hashed else "")
            ranges = steps(opened.entries)
            parts = ((stop - start, opened.events(start, stop)) for start, stop in ranges)
            generated = partial(opened.generated, wanted.is_sum_known)
            yield Opened(
                opened.entries,
                opened.tree,
                opened.uuid,
                parts,
                generated,
                digest.result,
                opened.optional,
            )

    def close(self) -> None:
        """See `FileSource`."""
        self._hashing.shutdown(cancel_futures=True)


class OnCluster:
    """Reader of files by the workers of a Dask cluster.

    All files are looked into first; then ranges of entries are read by whoever is free, and
    arrive here in order.
    """

    def __init__(self, lots: Sequence[Lot], hashed: bool, cluster: Any) -> None:
        work = _Work(tuple(lots), hashed, str(Path.cwd()))
        files = [_Range(file, number) for number, lot in enumerate(lots) for file in lot.files]
        ship = partial(same, work)
        found = spread(cluster, _Work.look, files, ship, named=lambda r: str(r.file))
        self._looks = {(r.file, r.lot): look for r, look in zip(files, found, strict=True)}
        ranges = [_Range(r.file, r.lot, *ends) for r in files for ends in self._ends(r)]
        self._results = spread(cluster, _Work.read, ranges, ship, named=lambda r: str(r.file))

    def _ends(self, file: _Range) -> Iterator[tuple[int, int]]:
        look = self._looks[file.file, file.lot]
        return iter(()) if isinstance(look, DataError) else steps(look.entries)

    @contextmanager
    def opened(self, file: InputFile, lot: int) -> Generator[Opened, None, None]:
        """See `FileSource`."""
        look = self._looks[file, lot]
        if isinstance(look, DataError):
            raise look
        left = iter(list(steps(look.entries)))
        generated = partial(_given, look.generated)
        sha = partial(same, look.sha256)
        parts = self._parts(left)
        try:
            yield Opened(look.entries, look.tree, look.uuid, parts, generated, sha, look.optional)
        finally:
            for _ in left:  # what comes next is of the next file
                next(self._results, None)

    def _parts(self, left: Iterator[tuple[int, int]]) -> Iterator[tuple[int, Events]]:
        for start, stop in left:
            yield stop - start, _given(next(self._results))

    def close(self) -> None:
        """See `FileSource`."""
        self._results.close()


@dataclass(frozen=True)
class _Range:
    file: InputFile
    lot: int
    start: int = 0
    stop: int = 0


@dataclass(frozen=True)
class _Seen:
    entries: int
    tree: str
    uuid: str
    generated: Generated | DataError | None
    sha256: str
    optional: OptionalBranches


@dataclass(frozen=True)
class _Work:
    """Reader of files on a worker."""

    lots: tuple[Lot, ...]
    hashed: bool
    folder: str

    def look(self, file: _Range) -> _Seen | DataError:
        lot = self.lots[file.lot]
        try:
            with EventFile(file.file, lot.reading, folder=self.folder) as opened:
                return _Seen(
                    opened.entries,
                    opened.tree,
                    opened.uuid,
                    self._generated(opened, lot) if lot.is_normalised else None,
                    sha256(placed(file.file.path, self.folder) if self.hashed else ""),
                    opened.optional,
                )
        except DataError as error:
            return error

    def read(self, part: _Range) -> Events | DataError:
        reading = self.lots[part.lot].reading
        try:
            with EventFile(part.file, reading, folder=self.folder) as file:
                return file.events(part.start, part.stop)
        except DataError as error:
            return error

    @staticmethod
    def _generated(file: EventFile, lot: Lot) -> Generated | DataError:
        """An error is raised when the file is opened to be read, as `Here` does."""
        try:
            return file.generated(lot.is_sum_known)
        except DataError as error:
            return error


def _given(found: Any) -> Any:
    if isinstance(found, DataError):
        raise found
    return found
