"""Ways through files that are larger than memory: in order, or mixed for training."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.event_file import EventFile, OptionalBranches, steps
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.finite import NonFinite
from tfaas_nb.data.generated import Generated
from tfaas_nb.data.position import Portion
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import CutError, DataError, WeightError

#: Files of a class that are read from at the same time.
_OPEN = 4
#: Ranges of entries that the events of a class in a block come from.
_PIECES = 8
#: Entries below which a read costs more than what it reads.
_FEWEST = 10_000

Stop = Callable[[], bool]
Negative = Literal["keep", "absolute", "ignore"]


@dataclass(frozen=True)
class StreamedFile:
    """A file of which a part is in memory at a time.

    Attributes
    ----------
    number : int
        Its place among the files.
    file : InputFile
        The file, as it was named.
    role, tree, uuid : str
        As in `Source`.
    y : int
        Class of its events.
    entries : int
        Of its tree, before the selection.
    reading : Reading
        What is read of it.
    sample : int
        Number of the sample that it belongs to.
    generated : Generated or None
        Account of all events that were generated, if the sample is scaled to a cross-section.
    optional : OptionalBranches
        What it has of the optional branches.
    leaves_entries_out : bool
        Whether not all entries are events, selected or not.
    """

    number: int
    file: InputFile
    role: str
    y: int
    tree: str
    entries: int
    uuid: str
    reading: Reading
    sample: int = 0
    generated: Generated | None = None
    optional: OptionalBranches = field(default_factory=OptionalBranches)
    leaves_entries_out: bool = False

    @property
    def path(self) -> str:
        """Local path or address."""
        return self.file.path

    @property
    def name(self) -> str:
        """Its name, without folder and options."""
        return self.file.name


@dataclass
class Faults:
    """Policy for files that cannot be read, and a record of those skipped.

    Attributes
    ----------
    go_on : bool
        Whether to go on without them.
    skipped : dict
        File → its role, and why it was skipped.
    """

    go_on: bool = False
    skipped: dict[str, tuple[str, str]] = field(default_factory=dict)

    @contextmanager
    def of(self, file: str, role: str, should_stop: Stop = lambda: False) -> Iterator[None]:
        """Record a `DataError` of a file and go on, if the user asked for it."""
        try:
            yield
        except (CutError, WeightError):
            raise
        except DataError as error:
            if not self.go_on or should_stop():
                raise
            self.skipped[file] = role, str(error)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Events of a range of entries of one file.

    Attributes
    ----------
    file : StreamedFile
        Where they are from.
    entry : numpy.ndarray
        Entry of each event, int64 of shape (events,).
    events : Dataset
        The events.
    read : int
        Length of the range.
    total : float
        Sum of the weights in the range before any selection, as they stand in the file.
    not_finite : NonFinite or None
        What became of selected events of the range with values that are not finite.
    """

    file: StreamedFile
    entry: npt.NDArray[np.int64]
    events: Dataset
    read: int
    total: float
    not_finite: NonFinite | None = None


@dataclass(frozen=True)
class Pass:
    """Files and portions of events to be passed through, and the treatment of their weights.

    Attributes
    ----------
    files : tuple of StreamedFile
        In order.
    portions : tuple of Portion
        An event is passed by if one of them does not have it.
    faults : Faults
        What becomes of files that cannot be read.
    factors : mapping
        Number of a sample → by what the weights of its events are multiplied, if not by one.
    negative : str
        Whether events of negative weight are passed as they are (``"keep"``), with the
        ``"absolute"`` value, or not at all (``"ignore"``).
    """

    files: tuple[StreamedFile, ...]
    portions: tuple[Portion, ...]
    faults: Faults
    factors: Mapping[int, float] = field(default_factory=dict)
    negative: Negative = "keep"

    def in_order(self, step: int, should_stop: Stop) -> Iterator[Chunk]:
        """All events, in the order of files and entries; `step` entries at a time."""
        for file in self.readable:
            if should_stop():
                return
            with (
                self.faults.of(str(file.file), file.role, should_stop),
                closing(self._open(file, should_stop)) as opened,
            ):
                for ends in steps(file.entries, step):
                    yield self._chunk(file, opened, ends)

    def mixed(
        self, counts: Sequence[int], size: int, random: np.random.Generator, should_stop: Stop
    ) -> Iterator[Dataset]:
        """All events once, in blocks that have each class in proportion, of several files.

        Parameters
        ----------
        counts : sequence of int
            Events of each class.
        size : int
            Most events of a block.
        random : numpy.random.Generator
            Decides the order of files and of ranges of their entries.
        should_stop : callable
            Asked while a server is waited for.
        """
        blocks = -(-sum(counts) // size)
        supplies = []
        for y in range(len(counts)):
            files = [file for file in self.readable if file.y == y]
            step = _step(sum(file.entries for file in files), blocks, size)
            supplies.append(_Supply(self._shuffled(files, step, random, should_stop)))
        for block in range(blocks):
            quotas = [n * (block + 1) // blocks - n * block // blocks for n in counts]
            filled = self._block(supplies, quotas)
            if len(filled):
                yield filled
            del filled

    @property
    def readable(self) -> list[StreamedFile]:
        """Files that have not been skipped."""
        return [file for file in self.files if str(file.file) not in self.faults.skipped]

    def _block(self, supplies: Sequence[_Supply], quotas: Sequence[int]) -> Dataset:
        features = self.files[0].reading.features
        size, filled = sum(quotas), 0
        X = np.empty((size, len(features)), dtype=np.float32)
        y, weight = np.empty(size, dtype=np.int8), np.empty(size, dtype=np.float32)
        for supply, quota in zip(supplies, quotas, strict=True):
            for part in supply.take(quota):
                end = filled + len(part)
                X[filled:end], y[filled:end], weight[filled:end] = part.X, part.y, part.weight
                filled = end
        return Dataset(X[:filled], y[:filled], weight[:filled], features)

    def _shuffled(
        self,
        files: list[StreamedFile],
        step: int,
        random: np.random.Generator,
        should_stop: Stop,
    ) -> Iterator[Dataset]:
        """Ranges of a few files at a time, in random order; each file is opened once."""
        opened: dict[int, EventFile] = {}
        try:
            for part in _ranges(files, step, random):
                chunk, file = None, part.file
                with self.faults.of(str(file.file), file.role, should_stop):
                    if str(file.file) in self.faults.skipped:
                        continue
                    if file.number not in opened:
                        opened[file.number] = self._open(file, should_stop)
                    chunk = self._chunk(file, opened[file.number], part.ends)
                if (chunk is None or part.last) and file.number in opened:
                    opened.pop(file.number).close()
                if chunk is not None:
                    yield chunk.events
        finally:
            for left in opened.values():
                left.close()

    def _open(self, file: StreamedFile, should_stop: Stop) -> EventFile:
        opened = EventFile(file.file, file.reading, should_stop).__enter__()
        if opened.entries != file.entries:
            found = opened.entries
            opened.close()
            raise DataError(
                f"{file.path} has changed: it had {file.entries} entries and now has {found}; "
                "load the files again"
            )
        return opened

    def _chunk(self, file: StreamedFile, opened: EventFile, ends: tuple[int, int]) -> Chunk:
        events = opened.events(*ends)
        data = Dataset(
            X=events.X,
            y=np.full(len(events), file.y, dtype=np.int8),
            weight=events.weight * np.float32(self.factors.get(file.sample, 1.0)),
            features=file.reading.features,
            extra=events.extra,
            scaled=(file.generated is not None,) * 2,
        )
        entry = events.entry
        for portion in self.portions:
            inside = portion.has(file.name, entry)
            data, entry = data[inside], entry[inside]
        if self.negative == "absolute":
            data = replace(data, weight=np.abs(data.weight))
        elif self.negative == "ignore":
            inside = data.weight >= 0
            data, entry = replace(data[inside], scaled=(False, False)), entry[inside]
        read = ends[1] - ends[0]
        return Chunk(file, entry, data, read, events.sum_weights, events.not_finite)


@dataclass(frozen=True)
class _Range:
    """Entries of a file, and where in the pass they come: between 0, its beginning, and 1."""

    at: float
    file: StreamedFile
    ends: tuple[int, int]
    last: bool


def _ranges(files: list[StreamedFile], step: int, random: np.random.Generator) -> Iterator[_Range]:
    """Ranges of all files, `_OPEN` files at a time, to each a lane: all lanes end together."""
    lanes: list[list[StreamedFile]] = [[] for _ in range(min(_OPEN, len(files)))]
    lengths = [0] * len(lanes)
    for i in random.permutation(len(files)):
        shortest = lengths.index(min(lengths))
        lanes[shortest].append(files[i])
        lengths[shortest] += files[i].entries
    return heapq.merge(
        *(
            _lane(own, step, child)
            for own, child in zip(lanes, random.spawn(len(lanes)), strict=True)
        ),
        key=lambda part: part.at,
    )


def _lane(files: list[StreamedFile], step: int, random: np.random.Generator) -> Iterator[_Range]:
    """Yield the ranges of one file after another, those of each file in random order."""
    length, done = sum(file.entries for file in files), 0
    for file in files:
        ranges = list(steps(file.entries, step))
        for count, i in enumerate(random.permutation(len(ranges)), start=1):
            start, stop = ranges[i]
            at = (done + random.random() * (stop - start)) / length
            done += stop - start
            yield _Range(at, file, (start, stop), count == len(ranges))


class _Supply:
    """Events of one class, taken in any number."""

    def __init__(self, parts: Iterator[Dataset]) -> None:
        self._parts = parts
        self._left: Dataset | None = None

    def take(self, count: int) -> Iterator[Dataset]:
        """The next events; fewer when there are no more."""
        while count:
            part = self._left if self._left is not None else next(self._parts, None)
            self._left = None
            if part is None:
                return
            if len(part) > count:
                self._left, part = part[count:], part[:count]
            count -= len(part)
            yield part


def _step(entries: int, blocks: int, size: int) -> int:
    """Entries read at a time, so that a block has events of several files."""
    several = entries // max(blocks, 1) // _PIECES
    return min(max(several, _FEWEST), max(size // _PIECES, 1))
