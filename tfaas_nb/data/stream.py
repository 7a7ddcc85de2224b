"""Events that are read when they are needed, a bounded number at a time.

A `Stream` stands where a `Dataset` does when files are larger than memory: it is split, shown,
trained on and scored in the same way, and holds a sample of its events instead of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data import units, weightless
from tfaas_nb.data.ahead import ahead
from tfaas_nb.data.allocation import give_back
from tfaas_nb.data.dataset import (
    BACKGROUND,
    SIGNAL,
    Dataset,
    FeatureSummary,
    Skipped,
    Source,
    check_dataset,
    check_left,
)
from tfaas_nb.data.epochs import HeldOut, Training
from tfaas_nb.data.finite import summary
from tfaas_nb.data.generated import Generated
from tfaas_nb.data.negative import check_way
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.optional import check_optional
from tfaas_nb.data.part import Part, check_split
from tfaas_nb.data.passes import Chunk, Faults, Negative, Pass, StreamedFile
from tfaas_nb.data.position import Portion
from tfaas_nb.data.streamed import BAR_AFTER as _BAR_AFTER
from tfaas_nb.data.streamed import Shared, Wanted, megabytes, opened
from tfaas_nb.data.survey import Drawn, Survey, Tally, survey
from tfaas_nb.errors import DataError, TrainingError
from tfaas_nb.features import FeatureSet
from tfaas_nb.options import (
    check_count,
    check_flag,
    check_fraction,
    check_seed,
)
from tfaas_nb.table import Table

#: Megabytes of events in memory, unless told otherwise.
MEMORY = 256.0
#: Shares of that memory: a block, of which one is trained on, as numbers and as tensors, one
#: is ready and one is being made; and the sample, of which twice as much is held while drawing.
_BLOCK = 1 / 8
_SAMPLE = 1 / 8
#: More events make neither normalisation nor validation better.
_MOST_DRAWN = 200_000
_MOST_FOR_NORMALISATION = 50_000
_FEWEST_IN_A_BLOCK = 1000


@checked_calls(DataError)
class Stream:
    """Events in files, read in bounded memory; made by ``tfaas_nb.load(..., stream=True)``.

    Attributes
    ----------
    features : FeatureSet
        What the columns are.
    files : tuple of StreamedFile
        Files that the events are in.
    """

    def __init__(
        self,
        files: tuple[StreamedFile, ...],
        shared: Shared,
        portions: tuple[Portion, ...] = (),
        known: tuple[int, Survey] | None = None,
        negative: Negative = "keep",
    ) -> None:
        right = isinstance(files, tuple) and all(isinstance(f, StreamedFile) for f in files)
        if not right or not files:
            raise DataError("a Stream is made by tn.load(signal, background, stream=True)")
        self.files = files
        self.features: FeatureSet = files[0].reading.features
        self._shared = shared
        self._portions = portions
        self._known = known
        self._negative = negative

    @classmethod
    def open(
        cls,
        wanted: Sequence[Wanted],
        go_on: bool = False,
        memory: float | str = MEMORY,
        progress: bool = True,
        scaling: Sequence[Sample | None] = (None,),
    ) -> Stream:
        """Open each file once, to see what is in it; no events are read yet.

        Parameters
        ----------
        wanted : sequence of Wanted
            The files.
        go_on : bool
            List a file that cannot be read in `skipped`, instead of ending with its error.
        memory : float or str
            Megabytes (10⁶ bytes) of events held at a time, whatever the files' sizes and number.
        progress : bool
            Show a progress bar if it takes long.
        scaling : sequence of Sample or None
            Samples that are scaled to a cross-section, each in its place.

        Raises
        ------
        DataError
            If a file cannot be read and that is not to be passed over, if none can, or the
            memory is too small for anything.
        """
        if not wanted:
            raise DataError("the list of ROOT files is empty")
        memory = megabytes(memory)
        give_back()
        shared = Shared(Faults(go_on), memory, progress, scaling)
        files = opened(wanted, shared)
        if not files:
            reasons = "; ".join(reason for _, reason in list(shared.faults.skipped.values())[:3])
            raise DataError(f"none of {len(wanted)} files could be read: {reasons}")
        for role in dict.fromkeys(one.role for one in wanted):
            if not any(file.role == role for file in files):
                check_left(role, (), _skipped(shared.faults, role))
        if not any(file.entries for file in files):
            raise DataError(f"the tree {files[0].tree!r} of {files[0].path} is empty")
        for number, sample in enumerate(scaling):
            if sample is not None:
                generated = [f.generated for f in files if f.sample == number and f.generated]
                sample.check(generated)
                sample.warn(generated, stacklevel=9)
        check_optional(
            files[0].reading, [(file.file, file.optional) for file in files], stacklevel=7
        )
        stream = cls(files, shared)
        if stream.block < _FEWEST_IN_A_BLOCK:
            needed = math.ceil(_FEWEST_IN_A_BLOCK * stream._event_bytes / _BLOCK / 1e4) / 100
            raise DataError(f"memory={memory:g} MB is too little: give it {needed:g} or more")
        return stream

    # What there is.

    def __len__(self) -> int:
        """Events; the files are read for it, once, if there is a selection or a split."""
        if self._known is None and not self._portions and self._is_whole:
            return sum(file.entries for file in self._pass.readable)
        return self._surveyed().events

    @property
    def counts(self) -> tuple[int, int]:
        """Events of background and of signal; the files are read for it, once."""
        background, signal = (int(n) for n in self._by_class(lambda tally: tally.events))
        return background, signal

    @property
    def weight_sums(self) -> tuple[float, float]:
        """Sum of the weights of background and of signal; the files are read for it, once."""
        background, signal = self._by_class(lambda tally: tally.weights)
        return background, signal

    @property
    def negative_weights(self) -> int:
        """Events of negative weight; the files are read for it, once."""
        return sum(tally.negative for tally in self._surveyed().tallies.values())

    @property
    def sources(self) -> tuple[Source, ...]:
        """Files that the events are in, and how many; the files are read for it, once.

        Their hash is left out: it would take one more reading.
        """
        tallies = self._surveyed().tallies
        return tuple(
            _source(f, tallies[f.number]) for f in self._pass.readable if f.number in tallies
        )

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that could not be read so far, if the user asked to go on without them."""
        return _skipped(self._shared.faults)

    @property
    def part(self) -> Part | None:
        """Part of a whole sample that `split` left, up to a fluctuation; None without a split."""
        split = [p.fraction for p in self._portions if p.seed % 2 == _seed(0, for_sampling=False)]
        fraction = float(np.prod(split))
        return Part((fraction, fraction), about=True) if split else None

    @property
    def scaled(self) -> tuple[bool, bool]:
        """Pair for background and signal: True if weights, as signed, are of a cross-section."""
        own = [
            [file.generated is not None for file in self.files if file.y == kind]
            for kind in (BACKGROUND, SIGNAL)
        ]
        signed = self._negative == "keep"
        background, signal = (signed and bool(files) and all(files) for files in own)
        return background, signal

    @property
    def sample(self) -> Dataset:
        """Some events drawn at random, all if there are few; the files are read for it, once."""
        return self._surveyed().drawn.events

    def summaries(self) -> tuple[FeatureSummary, ...]:
        """The range of every feature, of the sample."""
        return self.sample.summaries()

    def describe(self) -> Table:
        """Ranges of the features in the sample, as a table that shows itself."""
        drawn = self.sample
        what = "all events" if len(drawn) == len(self) else f"{len(drawn)} events drawn at random"
        return replace(drawn.describe(), caption=f"{self!r}: {what}")

    def look(self, told: Callable[[int, int], None]) -> None:
        """Read the files once, for all that is told of their events, and tell how far it is.

        Parameters
        ----------
        told : callable
            Called with the entries read so far and with all; what it raises ends the reading.

        Raises
        ------
        DataError
            If a file cannot be read, and that is not to be passed over.
        """
        self._surveyed(progress=False, told=told)

    # What one does with it.

    def split(self, test: float = 0.3, seed: int = 1) -> tuple[Stream, Stream]:
        """Training and test events, drawn at random.

        An event's side depends on the name of its file, its entry and the seed, and on
        nothing else: it is the same however, where and with what the file is read.

        Parameters
        ----------
        test : float
            Fraction of the events in the second part, up to a fluctuation; between 0 and 1.
        seed : int
            The same seed gives the same split.

        Raises
        ------
        DataError
            If the fraction or the seed is none.
        """
        check_split(test, seed)
        test, seed = float(test), int(seed)
        whole = Portion(_seed(seed, for_sampling=False), 0.0, 1.0)
        others = tuple(p for p in self._portions if p.seed != whole.seed)
        own = next((p for p in self._portions if p.seed == whole.seed), whole)
        edge = own.high - test * own.fraction
        first, second = replace(own, high=edge), replace(own, low=edge)
        return self._part((*others, first)), self._part((*others, second))

    def with_negative_weights(self, how: Negative) -> Stream:
        """The events of negative weight with the ``"absolute"`` value, or ``"ignore"``-d.

        Sums of weights to which samples are scaled stay what they are.

        Raises
        ------
        DataError
            If it is neither of these.
        """
        check_way(how)
        return Stream(self.files, self._shared, self._portions, None, how)

    def from_anywhere(self) -> Stream:
        """Return the stream with paths that do not depend on the working directory."""
        folder = str(Path.cwd())
        files = tuple(replace(one, file=one.file.placed(folder)) for one in self.files)
        return Stream(files, self._shared, self._portions, self._known, self._negative)

    def chunks(self, progress: bool | None = None) -> Generator[Dataset, None, None]:
        """All events in the order of files and entries, some at a time, read ahead.

        Parameters
        ----------
        progress : bool, optional
            Show a progress bar; by default as it was said on loading.

        Raises
        ------
        DataError
            If a file cannot be read, and that is not to be passed over.
        """
        if not self._shared.is_scaled:
            self._surveyed(progress=progress)
        with closing(self._read("reading", progress)) as chunks:
            for chunk in chunks:
                yield chunk.events
                del chunk

    def hold_out(self, fraction: float, seed: int, progress: bool | None = None) -> HeldOut:
        """Set events aside that fit into memory, and prepare the others for training.

        Parameters
        ----------
        fraction : float
            Fraction of the events to set aside, or less if so many do not fit.
        seed : int
            Decides which, and in which order the others come.
        progress : bool, optional
            Show progress bars; by default as it was said on loading.

        Raises
        ------
        DataError
            If the fraction or the seed is none.
        """
        check_fraction("fraction", fraction, DataError)
        check_seed(seed, DataError)
        shows = self._shows(progress)
        seen = self._surveyed(seed, progress)
        drawn = seen.drawn
        room = len(drawn) if len(drawn) == seen.events else len(drawn) // 2
        count = min(round(fraction * seen.events), room)
        order = np.argsort(drawn.number)
        edge = drawn.number[order[count]] if count < len(order) else 1.0
        held = drawn.number < edge
        left = drawn[~held]
        portion = Portion(_seed(seed, for_sampling=True), float(edge), 1.0)
        rest = seen.without(drawn[held], left)
        portions = (*self._portions, portion)
        kept = Stream(self.files, self._shared, portions, (seed, rest), self._negative)
        return HeldOut(
            training=Training(kept, seed, shows),
            validation=drawn[held].events,
            known=left.smallest(_MOST_FOR_NORMALISATION).events,
        )

    def blocks(self, epoch: int, seed: int = 1) -> Generator[Dataset, None, None]:
        """All events once, mixed for training, read ahead.

        Each block has both classes in the proportion of the whole, of several files.

        Parameters
        ----------
        epoch, seed : int
            Decide the order.

        Raises
        ------
        DataError
            If a file cannot be read, and that is not to be passed over, or a number is none.
        """
        check_seed(seed, DataError)
        check_count("epoch", epoch, 0, DataError)
        counts = self.counts

        def mixed(should_stop: Callable[[], bool]) -> Iterator[Dataset]:
            random = np.random.default_rng([seed, epoch])
            return self._pass.mixed(counts, self.block, random, should_stop)

        return ahead(mixed)

    def __repr__(self) -> str:
        files = self._pass.readable
        entries = sum(file.entries for file in files)
        parts = [f"{len(files)} files, {entries} entries"]
        fraction = float(np.prod([portion.fraction for portion in self._portions]))
        if self._portions:
            parts.append(f"{fraction:.0%} of them")
        if self._known is not None:
            parts.append("{1} signal + {0} background events".format(*self.counts))
        parts.append(f"{len(self.features)} features{self._treatment}")
        if self.skipped:
            parts.append(f"files skipped: {len(self.skipped)}")
        return f"Stream({', '.join(parts)})"

    @property
    def _treatment(self) -> str:
        """Treatment of values that are not finite, in words; empty before the files were read."""
        return "" if self._known is None else summary(s.not_finite for s in self.sources)

    def _repr_html_(self) -> str:
        files = self._pass.readable
        shown = files if len(files) <= 20 else files[:19]
        rows = [(f.name, f.role, f.tree, f.entries) for f in shown]
        if len(shown) < len(files):
            more = files[len(shown) :]
            rows.append((f"and {len(more)} more", "", "", sum(f.entries for f in more)))
        html = Table(("file", "role", "tree", "entries"), tuple(rows), repr(self))._repr_html_()
        if self.skipped:
            listed = tuple((one.file, one.role, one.reason) for one in self.skipped)
            html += Table(("skipped", "role", "reason"), listed, "Not read:")._repr_html_()
        return html

    # How it is read.

    @property
    def _pass(self) -> Pass:
        shared = self._shared
        return Pass(self.files, self._portions, shared.faults, shared.factors, self._negative)

    @property
    def _is_whole(self) -> bool:
        """True if the number of entries is that of the events."""
        whole = all(
            f.reading.cut is None and f.reading.on_nan != "skip" and not f.leaves_entries_out
            for f in self.files
        )
        return self._negative != "ignore" and whole

    @property
    def _event_bytes(self) -> int:
        kept = len(self.files[0].reading.keep)
        return 4 * len(self.features) + 8 + 8 * kept

    @property
    def block(self) -> int:
        """Most events of a block."""
        return int(self._shared.memory * 1e6 * _BLOCK / self._event_bytes)

    def _part(self, portions: tuple[Portion, ...]) -> Stream:
        return Stream(self.files, self._shared, portions, None, self._negative)

    def _shows(self, progress: bool | None) -> bool:
        if progress is None:
            return self._shared.progress
        check_flag("progress", progress, DataError)
        return progress

    def _by_class(self, of: Callable[[Any], float]) -> tuple[float, float]:
        tallies = self._surveyed().tallies
        sums = [0.0, 0.0]
        for file in self.files:
            if file.number in tallies:
                sums[file.y] += of(tallies[file.number])
        return sums[BACKGROUND], sums[SIGNAL]

    def _read(self, what: str, progress: bool | None) -> Generator[Chunk, None, None]:
        """All events in order, with a progress bar."""
        from tqdm.auto import tqdm

        ordered = self._pass
        step = max(self.block // 4, 1)
        total = sum(file.entries for file in ordered.readable)
        with (
            tqdm(
                total=total,
                desc=what,
                unit=" events",
                unit_scale=True,
                disable=not self._shows(progress),
                delay=_BAR_AFTER,
            ) as bar,
            closing(ahead(lambda should_stop: ordered.in_order(step, should_stop))) as chunks,
        ):
            for chunk in chunks:
                bar.update(chunk.read)
                yield chunk
                del chunk

    def _surveyed(
        self,
        seed: int | None = None,
        progress: bool | None = None,
        told: Callable[[int, int], None] | None = None,
    ) -> Survey:
        """Return the survey of all events; a second one is made only for another seed."""
        if self._known is None or seed not in (None, self._known[0]):
            seed = 1 if seed is None else seed
            capacity = int(self._shared.memory * 1e6 * _SAMPLE / self._event_bytes)
            keep = self.files[0].reading.keep
            empty = Dataset(
                X=np.empty((0, len(self.features)), np.float32),
                y=np.empty(0, np.int8),
                weight=np.empty(0, np.float32),
                features=self.features,
                extra={name: np.empty(0) for name in keep},
            )
            shared = replace(self._shared, factors={})
            unscaled = Stream(self.files, shared, self._portions, None, self._negative)
            with closing(unscaled._read("looking at all events", progress)) as chunks:
                seen = survey(
                    self._told(chunks, told),
                    min(capacity, _MOST_DRAWN),
                    _seed(seed, for_sampling=True),
                    empty,
                )
            seen = _of(seen, {file.number for file in self._pass.readable})
            self._scale(seen)
            factors = self._shared.factors
            by_file = {f.number: factors[f.sample] for f in self.files if f.sample in factors}
            self._known = (seed, seen.scaled(by_file))
            for role in dict.fromkeys(file.role for file in self.files):
                own = [source for source in self.sources if source.role == role]
                check_left(role, own, _skipped(self._shared.faults, role))
            self._warn(seen)
        return self._known[1]

    def _warn(self, seen: Survey) -> None:
        """Warn once of momenta that can hardly be in GeV, and of samples without weight."""
        if not self._shared.knows_units:
            self._shared.knows_units, drawn = True, seen.drawn
            own = {file.path: drawn.events.X[drawn.file == file.number] for file in self.files}
            units.warn({path: units.doubt(X, self.features) for path, X in own.items()}, 4)
            for first, counts in seen.by_sample(self.files):
                weightless.warn_of_files(first.role, first.reading.weight, counts, 4)

    def _told(
        self, chunks: Iterator[Chunk], told: Callable[[int, int], None] | None
    ) -> Iterator[Chunk]:
        """Yield the chunks, and report the progress after each."""
        done, entries = 0, sum(file.entries for file in self._pass.readable)
        for chunk in chunks:
            done += chunk.read
            if told:
                told(done, entries)
            yield chunk
            del chunk

    def _scale(self, seen: Survey) -> None:
        """Find the factor of each sample that is scaled to a cross-section."""
        for number, sample in enumerate(self._shared.scaling):
            if sample is None or number in self._shared.factors:
                continue
            own = [file for file in self.files if file.sample == number]
            read = [file for file in own if file.number in seen.tallies]
            if read:
                totals = (_sum_of(f.generated, seen.tallies[f.number].total) for f in read)
                self._shared.factors[number] = sample.factor(sum(totals))


def check_in_memory(events: Any, name: str) -> None:
    """Refuse a stream where many trainings would read its files again and again.

    Raises
    ------
    TrainingError
        If it is one.
    DataError
        If it is no dataset at all.
    """
    if isinstance(events, Stream):
        raise TrainingError(
            f"{name} needs its events in memory, as a Dataset, not a stream: load them without "
            f"stream=True, or give {name} some of them, stream.sample"
        )
    check_dataset(events, name)


def _sum_of(generated: Generated | None, entries: float) -> float:
    """The sum of the weights generated for a file, of whose entries it is known."""
    known = None if generated is None else generated.total
    return entries if known is None else known


def _skipped(faults: Faults, role: str | None = None) -> tuple[Skipped, ...]:
    """Files that could not be read; of a role, if one is named."""
    found = (Skipped(file, own, why) for file, (own, why) in faults.skipped.items())
    return tuple(one for one in found if role in (None, one.role))


def _source(file: StreamedFile, tally: Tally) -> Source:
    return Source(
        file.name,
        file.role,
        file.tree,
        tally.events,
        "",
        file.entries,
        file.uuid,
        tally.not_finite,
        file.optional.lacking,
    )


def _seed(seed: int, for_sampling: bool) -> int:
    """Return a seed of random numbers that differs between splitting and sampling."""
    return 2 * seed + for_sampling


def _of(seen: Survey, readable: set[int]) -> Survey:
    """Remove the events of files that turned out unreadable."""
    tallies = {number: tally for number, tally in seen.tallies.items() if number in readable}
    if len(tallies) == len(seen.tallies):
        return seen
    drawn: Drawn = seen.drawn
    return Survey(tallies, drawn[np.isin(drawn.file, list(tallies))])
