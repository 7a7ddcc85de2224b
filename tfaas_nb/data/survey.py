"""One look at all events of a stream: how many there are, and a bounded random sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset, concatenate
from tfaas_nb.data.finite import NonFinite
from tfaas_nb.data.passes import Chunk, StreamedFile
from tfaas_nb.data.position import numbers


@dataclass(frozen=True)
class Tally:
    """Numbers of events and sums of weights of a file.

    Attributes
    ----------
    events : int
        Events that belong to the stream.
    weights : float
        Sum of their weights.
    total : float
        Sum of the weights of all its events, before the selection, as they stand in the file.
    negative, weighted : int
        Events of negative weight among those that belong to the stream, and of any but 0.
    not_finite : NonFinite or None
        What became of selected events with values that are not finite.
    """

    events: int = 0
    weights: float = 0.0
    total: float = 0.0
    negative: int = 0
    not_finite: NonFinite | None = None
    weighted: int = 0

    def and_those_of(self, chunk: Chunk) -> Tally:
        """Add the events of a chunk."""
        weight = chunk.events.weight
        return Tally(
            self.events + len(weight),
            self.weights + float(weight.sum(dtype=np.float64)),
            self.total + chunk.total,
            self.negative + int(np.count_nonzero(weight < 0)),
            NonFinite.joined((self.not_finite, chunk.not_finite)),
            self.weighted + int(np.count_nonzero(weight)),
        )


@dataclass(frozen=True, eq=False)
class Drawn:
    """Events drawn at random: those of the smallest numbers.

    Attributes
    ----------
    events : Dataset
        In the order of files and entries.
    file, entry : numpy.ndarray
        Number of each event's file and its entry, int64 of shape (events,).
    number : numpy.ndarray
        Number of each event, float64 of shape (events,); see `tfaas_nb.data.position`.
    """

    events: Dataset
    file: npt.NDArray[np.int64]
    entry: npt.NDArray[np.int64]
    number: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.number)

    def __getitem__(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Drawn:
        return Drawn(self.events[which], self.file[which], self.entry[which], self.number[which])

    @classmethod
    def of(cls, chunk: Chunk, seed: int) -> Drawn:
        """The events of a chunk with their numbers."""
        file = np.full(len(chunk.entry), chunk.file.number, dtype=np.int64)
        return cls(chunk.events, file, chunk.entry, numbers(chunk.file.name, chunk.entry, seed))

    @classmethod
    def joined(cls, parts: list[Drawn]) -> Drawn:
        """Join drawn events, in the order of files and entries."""
        file = np.concatenate([part.file for part in parts])
        entry = np.concatenate([part.entry for part in parts])
        order = np.lexsort((entry, file))
        whole = cls(
            concatenate([part.events for part in parts]),
            file,
            entry,
            np.concatenate([part.number for part in parts]),
        )
        return whole if np.array_equal(order, np.arange(len(order))) else whole[order]

    def smallest(self, count: int) -> Drawn:
        """Return the events with the smallest random numbers, at most `count` of them."""
        if count >= len(self):
            return self
        return self[np.sort(np.argpartition(self.number, count - 1)[:count])]


@dataclass(frozen=True, eq=False)
class Survey:
    """Result of one pass over all events of a stream.

    Attributes
    ----------
    tallies : mapping
        Number of a file → what was found in it.
    drawn : Drawn
        A random sample, of as many events as fit; all if they do.
    """

    tallies: Mapping[int, Tally]
    drawn: Drawn

    @property
    def events(self) -> int:
        """Events of the stream."""
        return sum(tally.events for tally in self.tallies.values())

    def by_sample(
        self, files: Sequence[StreamedFile]
    ) -> Iterator[tuple[StreamedFile, list[tuple[str, int, int]]]]:
        """Yield each sample's first file, and of all: name, events, events of a weight but 0."""
        for sample in dict.fromkeys(file.sample for file in files):
            own = [file for file in files if file.sample == sample and file.number in self.tallies]
            tallies = ((file.name, self.tallies[file.number]) for file in own)
            if own:
                yield own[0], [(name, tally.events, tally.weighted) for name, tally in tallies]

    def scaled(self, factors: Mapping[int, float]) -> Survey:
        """Multiply the weights by a factor for each file, where there is one."""
        tallies = {
            file: replace(tally, weights=tally.weights * factors.get(file, 1.0))
            for file, tally in self.tallies.items()
        }
        by = np.ones(max(self.tallies, default=0) + 1, dtype=np.float32)
        for file, factor in factors.items():
            if file in self.tallies:
                by[file] = factor
        drawn = self.drawn
        weight, scaled = drawn.events.weight * by[drawn.file], (*drawn.events.scaled,)
        events = replace(drawn.events, weight=weight, scaled=scaled)
        return Survey(tallies, replace(drawn, events=events))

    def without(self, taken: Drawn, left: Drawn) -> Survey:
        """Return the survey without some of the events drawn."""
        tallies = dict(self.tallies)
        for file in np.unique(taken.file):
            own = taken.file == file
            tally = tallies[int(file)]
            tallies[int(file)] = replace(
                tally,
                events=tally.events - int(np.count_nonzero(own)),
                weights=tally.weights - float(taken.events.weight[own].sum(dtype=np.float64)),
            )
        return Survey(tallies, left)


def survey(chunks: Iterable[Chunk], capacity: int, seed: int, empty: Dataset) -> Survey:
    """Count all events and draw some of them.

    Memory holds at most twice the events to be drawn, and a few numbers for each file.

    Parameters
    ----------
    chunks : iterable of Chunk
        All events.
    capacity : int
        Most events to draw.
    seed : int
        Decides which are drawn; how much is read at a time does not.
    empty : Dataset
        What a dataset without events looks like.
    """
    tallies: dict[int, Tally] = {}
    nothing = np.empty(0, dtype=np.int64)
    drawn = [Drawn(empty, nothing, nothing, np.empty(0))]
    held, bound = 0, 1.0
    for chunk in chunks:
        number = chunk.file.number
        tallies[number] = tallies.get(number, Tally()).and_those_of(chunk)
        candidates = Drawn.of(chunk, seed)
        drawn.append(candidates[candidates.number < bound])
        held += len(drawn[-1])
        if held > 2 * capacity:
            smallest = Drawn.joined(drawn).smallest(capacity)
            bound = float(smallest.number.max())
            drawn, held = [smallest], capacity
        del chunk, candidates
    return Survey(tallies, Drawn.joined(drawn).smallest(capacity))
