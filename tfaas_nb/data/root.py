"""ROOT files → `Dataset`: one class after the other, file by file, range by range."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data import units, weightless
from tfaas_nb.data.classes import ClassSample, to_read
from tfaas_nb.data.dataset import (
    BACKGROUND,
    SIGNAL,
    Dataset,
    Skipped,
    Source,
    check_left,
)
from tfaas_nb.data.event_file import OptionalBranches
from tfaas_nb.data.files import InputFile, is_remote
from tfaas_nb.data.finite import NonFinite, OnNan
from tfaas_nb.data.generated import Generated
from tfaas_nb.data.growing import Growing
from tfaas_nb.data.normalisation import Samples
from tfaas_nb.data.optional import check_optional
from tfaas_nb.data.origins import Objects
from tfaas_nb.data.ranges import FileSource, Here, Lot, OnCluster
from tfaas_nb.data.reading import Cut, Reading, branch_names
from tfaas_nb.data.stream import MEMORY, Stream
from tfaas_nb.data.streamed import Wanted, megabytes
from tfaas_nb.errors import CutError, DataError, WeightError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.options import check_flag

#: What an unreadable file does: end the reading, or be listed in `Dataset.skipped`.
OnError = Literal["stop", "skip"]

#: Told how many files are read, as a fraction in the present one, and how many there are; what
#: it raises ends the reading.
Told = Callable[[float, int], None]

#: Bytes of all files together up to which they are hashed.  Hashing reads all of a file, while of
#: NanoAOD one part in a hundred is read for its features: many files have their UUIDs only.
_HASHED_UP_TO = 1 << 30
_MANY_FILES = 20
_SECONDS = (5.0, 1.0)  # before a progress bar appears: of few files, of many


@overload
def load(
    signal: Samples,
    background: Samples,
    features: FeatureSet = ...,
    tree: str | None = ...,
    *,
    branches: Mapping[str, str] | None = ...,
    cut: str | Cut | None = ...,
    weight: str | float | None = ...,
    keep: Sequence[str] = ...,
    optional: Sequence[str] = ...,
    objects: Objects | None = ...,
    on_error: OnError = ...,
    on_nan: OnNan = ...,
    progress: bool = ...,
    stream: Literal[False] = ...,
    memory: float | str = ...,
    timeout: float | None = ...,
    cluster: Any = ...,
) -> Dataset: ...
@overload
def load(
    signal: Samples,
    background: Samples,
    features: FeatureSet = ...,
    tree: str | None = ...,
    *,
    branches: Mapping[str, str] | None = ...,
    cut: str | Cut | None = ...,
    weight: str | float | None = ...,
    keep: Sequence[str] = ...,
    optional: Sequence[str] = ...,
    objects: Objects | None = ...,
    on_error: OnError = ...,
    on_nan: OnNan = ...,
    progress: bool = ...,
    stream: Literal[True],
    memory: float | str = ...,
    timeout: float | None = ...,
) -> Stream: ...
@checked_calls(DataError)
def load(
    signal: Samples,
    background: Samples = None,  # type: ignore[assignment]
    features: FeatureSet = TTBAR_ALL_HADRONIC,
    tree: str | None = None,
    *,
    branches: Mapping[str, str] | None = None,
    cut: str | Cut | None = None,
    weight: str | float | None = None,
    keep: Sequence[str] = (),
    optional: Sequence[str] = (),
    objects: Objects | None = None,
    on_error: OnError = "stop",
    on_nan: OnNan = "error",
    progress: bool = True,
    stream: bool = False,
    memory: float | str = MEMORY,
    timeout: float | None = None,
    cluster: Any = None,
) -> Dataset | Stream:
    """Read signal and background events.

    Parameters
    ----------
    signal, background : path, glob, mapping, `Sample`, or list of them
        ROOT files of the two classes, local or ``root://``.  A tree may be named with its file,
        as uproot takes it: ``"file.root:folder/tree"`` or ``{"file.root": "folder/tree"}``; it
        goes before `tree`.  A file named twice is read once, with a warning; it must not be in
        two samples of a class.
    features : FeatureSet
        What becomes columns; jets are ordered by ``features.order_by``, the leading
        ``features.jets`` are kept and absent ones padded.
    tree : str, optional
        Tree (TTree, TNtuple or RNTuple) to read, with its folder where several end so
        (``"folder/tree"``), and with a cycle if not the newest (``"events;1"``); by default
        ``events``, ``Events``, or the only tree of a file.  Friends of a TTree that are in its
        file are read, too: their branches are called ``friend.branch``.
    branches : mapping, optional
        Variable → branch, for instance ``{"jetMassSoftDrop": "FatJet_msoftdrop"}``, where the
        file's layout (see `tfaas_nb.inspect`) does not tell or should not be followed; with
        ``{}`` for the number of the jet where each has a branch (``"ak8_pt{}"``).
    cut : str or callable, optional
        Which events to keep: an expression over features, derived quantities and per-event
        branches, such as ``"nJets >= 2 & jetPt_0 > 400"`` (see `tfaas_nb.data.expression`), or
        a function of a `Dataset` that returns a mask.
    weight : str or float, optional
        Weight of an event: a branch, an expression, or a number; a `Sample`'s own goes before.
        It may be negative.
    keep : sequence of str
        Branches with one number per event to keep in ``Dataset.extra``; what is not finite in
        them stays as it is.
    optional : sequence of str
        Branches, or variables, that some of the files may lack, such as those of triggers: they
        are 0 (false) there, in features, cut, weight and `keep`; variables of jets are 0 of each
        jet.  A warning and ``Dataset.files`` name the files.  One that no file has is an error,
        as is one that nothing reads.
    objects : Objects, optional
        Which jets and leptons count, if not those of the file's layout.
    on_error : {"stop", "skip"}
        Whether an unreadable file is an error, or is listed in ``Dataset.skipped``; a class
        must not lose all of its events by that.
    on_nan : {"error", "skip", "pad"}
        What becomes of selected events with values that are not finite (NaN, infinity, too
        large for a float32): they are an error, are left out, or the jet, or the value, is
        taken as absent; `tfaas_nb.data.finite` says it exactly.  ``Dataset.files`` tells what was
        done.  Events left out count in the sum of weights to which a `Sample` is scaled, as
        those do that are not selected, unless their weight itself is not finite.
    progress : bool
        Show a progress bar if it takes long.
    stream : bool
        Read events when they are needed, a bounded number at a time: for files larger than
        memory.
    memory : float or str
        Megabytes (10⁶ bytes) of events that a stream holds at a time, or as a server's memory
        is given: ``"500MB"``, ``"2GB"``, in powers of 1024.
    timeout : float, optional
        Seconds without an answer after which an XRootD server is given up, by default 60;
        until then reading goes on as soon as it answers again.
    cluster : distributed.Client, optional
        Of a Dask cluster whose workers read, ranges of entries at a time; they must reach the
        files.  The dataset is the same, whoever was quick.

    Returns
    -------
    Dataset or Stream
        Signal events first; X in the units of the files (GeV, rad).

    Raises
    ------
    DataError
        If a file, tree or branch is missing, unreadable, empty, or holds values that are
        not finite in selected events; the message names it, says what was found, and the
        nearest name.
    WeightError
        If a sample with a cross-section was skimmed, and its sum of weights is not known.
    ClusterError
        If the cluster went away, or lost worker after worker with the same file.
    """
    reading = _reading(
        features, tree, branches, cut, weight, keep, objects, timeout, on_nan, optional
    )
    if background is None and signal is not None:
        raise DataError(
            "load needs files of signal and of background, and there is no background: "
            "load(signal=..., background=...); tn.read(files) reads events of one kind"
        )
    classes = [("signal", SIGNAL, signal), ("background", BACKGROUND, background)]
    return _read(classes, reading, on_error, progress, _held(stream, memory), cluster)


@overload
def read(
    files: Samples,
    features: FeatureSet = ...,
    tree: str | None = ...,
    *,
    branches: Mapping[str, str] | None = ...,
    cut: str | Cut | None = ...,
    weight: str | float | None = ...,
    keep: Sequence[str] = ...,
    optional: Sequence[str] = ...,
    objects: Objects | None = ...,
    on_error: OnError = ...,
    on_nan: OnNan = ...,
    progress: bool = ...,
    stream: Literal[False] = ...,
    memory: float | str = ...,
    timeout: float | None = ...,
    cluster: Any = ...,
) -> Dataset: ...
@overload
def read(
    files: Samples,
    features: FeatureSet = ...,
    tree: str | None = ...,
    *,
    branches: Mapping[str, str] | None = ...,
    cut: str | Cut | None = ...,
    weight: str | float | None = ...,
    keep: Sequence[str] = ...,
    optional: Sequence[str] = ...,
    objects: Objects | None = ...,
    on_error: OnError = ...,
    on_nan: OnNan = ...,
    progress: bool = ...,
    stream: Literal[True],
    memory: float | str = ...,
    timeout: float | None = ...,
) -> Stream: ...
@checked_calls(DataError)
def read(
    files: Samples,
    features: FeatureSet = TTBAR_ALL_HADRONIC,
    tree: str | None = None,
    *,
    branches: Mapping[str, str] | None = None,
    cut: str | Cut | None = None,
    weight: str | float | None = None,
    keep: Sequence[str] = (),
    optional: Sequence[str] = (),
    objects: Objects | None = None,
    on_error: OnError = "stop",
    on_nan: OnNan = "error",
    progress: bool = True,
    stream: bool = False,
    memory: float | str = MEMORY,
    timeout: float | None = None,
    cluster: Any = None,
) -> Dataset | Stream:
    """Read events whose class is not known, for instance to score them.

    Parameters and errors are those of `load`; every ``y`` is 0.
    """
    reading = _reading(
        features, tree, branches, cut, weight, keep, objects, timeout, on_nan, optional
    )
    classes = [("events", BACKGROUND, files)]
    return _read(classes, reading, on_error, progress, _held(stream, memory), cluster)


def load_telling(
    signal: Samples,
    background: Samples,
    reading: Reading,
    on_error: OnError,
    told: Told,
) -> Dataset:
    """Read signal and background as `load` does, for those who show how far it is.

    Parameters
    ----------
    signal, background : path, glob, `Sample`, or list of them
        ROOT files of the two classes.
    reading : Reading
        What is read of them.
    on_error : {"stop", "skip"}
        As for `load`.
    told : callable
        Called after each range of entries.

    Raises
    ------
    DataError
        As `load`.
    """
    wanted = to_read([("signal", SIGNAL, signal), ("background", BACKGROUND, background)], reading)
    with _Reader(wanted, reading, on_error, progress=False, told=told) as reader:
        return reader.dataset()


def stream_telling(
    signal: Samples,
    background: Samples,
    reading: Reading,
    on_error: OnError,
    memory: float,
    told: Callable[[int, int], None],
) -> Stream:
    """Open files as ``load(..., stream=True)`` does, and read them once to count their events.

    Parameters
    ----------
    signal, background, reading, on_error
        As for `load_telling`.
    memory : float
        Megabytes of events that the stream holds at a time.
    told : callable
        As for `Stream.look`.

    Raises
    ------
    DataError
        As `load`.
    """
    wanted = to_read([("signal", SIGNAL, signal), ("background", BACKGROUND, background)], reading)
    stream = _stream(wanted, reading, on_error, False, memory)
    stream.look(told)
    return stream


def _reading(
    features: FeatureSet,
    tree: str | None,
    branches: Mapping[str, str] | None,
    cut: str | Cut | None,
    weight: str | float | None,
    keep: Sequence[str],
    objects: Objects | None,
    timeout: float | None,
    on_nan: OnNan,
    optional: Sequence[str],
) -> Reading:
    kept = branch_names(keep, "keep")
    mapping = {} if branches is None else branches
    absent = branch_names(optional, "optional")
    return Reading(features, tree, mapping, cut, weight, kept, objects, timeout, on_nan, absent)


def _read(
    classes: Sequence[tuple[str, int, Samples]],
    reading: Reading,
    on_error: OnError,
    progress: bool,
    memory: float | None,
    cluster: Any,
) -> Dataset | Stream:
    check_flag("progress", progress, DataError)
    if not isinstance(on_error, str) or on_error not in ("stop", "skip"):
        raise DataError(f"on_error={on_error!r} must be 'stop' or 'skip'")
    if memory is not None and cluster is not None:
        raise DataError(
            "a stream is read where it is used: leave out cluster=, or stream=True to have the "
            "cluster read all events into memory here"
        )
    wanted = to_read(classes, reading, may_share=True)
    if memory is not None:
        return _stream(wanted, reading, on_error, progress, memory)
    with _Reader(wanted, reading, on_error, progress, cluster=cluster) as reader:
        return reader.dataset()


def _held(stream: bool, memory: float | str) -> float | None:
    """Megabytes that a stream holds; None where all events are read."""
    check_flag("stream", stream, DataError)
    held = None if memory is None and not stream else megabytes(memory)
    return held if stream else None


def _stream(
    wanted: Sequence[ClassSample],
    reading: Reading,
    on_error: OnError,
    progress: bool,
    memory: float,
) -> Stream:
    return Stream.open(
        [
            Wanted(file, part.role, part.y, part.reading(reading), number)
            for number, part in enumerate(wanted)
            for file in part.files
        ],
        go_on=on_error == "skip",
        memory=memory,
        progress=progress,
        scaling=[part.sample if part.sample.is_normalised else None for part in wanted],
    )


class _Reader:
    """Reader of one file after another into arrays that grow."""

    def __init__(
        self,
        wanted: Sequence[ClassSample],
        reading: Reading,
        on_error: OnError,
        progress: bool,
        told: Told | None = None,
        cluster: Any = None,
    ) -> None:
        self._wanted = wanted
        self._reading = reading
        self._on_error = on_error
        self._files = sum(len(part.files) for part in wanted)
        self._progress = progress
        self._told = told
        self._cluster = cluster
        self._done = 0.0
        self._columns = Growing()
        self._sources: list[tuple[Source, Callable[[], str]]] = []
        self._weighted: list[tuple[str, int, int]] = []
        self._skipped: list[Skipped] = []
        self._doubts: dict[str, str] = {}
        self._optional: list[tuple[InputFile, OptionalBranches]] = []
        self._stack = ExitStack()

    def __enter__(self) -> _Reader:
        import uproot  # noqa: F401 (what takes long to import must not start the bar's clock)
        from tqdm.auto import tqdm

        with ExitStack() as stack:
            self._bar: Any = stack.enter_context(
                tqdm(
                    total=self._files,
                    desc="reading",
                    unit="file",
                    disable=not self._progress,
                    delay=_SECONDS[self._files > _MANY_FILES],
                    bar_format="{l_bar}{bar}| {n:.1f}/{total} files [{elapsed}<{remaining}]",
                )
            )
            self._source = stack.enter_context(closing(self._opened_source()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def _opened_source(self) -> FileSource:
        lots = [
            Lot(
                part.files,
                part.reading(self._reading),
                part.sample.is_normalised,
                part.sample.sum_weights is not None,
            )
            for part in self._wanted
        ]
        sizes = (_size(file.path) for part in self._wanted for file in part.files)
        hashed = sum(sizes) <= _HASHED_UP_TO
        if self._cluster is None:
            return Here(lots, hashed)
        return OnCluster(lots, hashed, self._cluster)

    def dataset(self) -> Dataset:
        """Read all events.

        Raises
        ------
        DataError
            If no file could be read, or one could not that is not to be passed over.
        """
        for number in range(len(self._wanted)):
            self._sample(number)
        self._check_classes()
        units.warn(self._doubts, stacklevel=5)
        check_optional(self._reading, self._optional, stacklevel=5)
        column = self._columns.column
        return Dataset(
            X=column("X"),
            y=column("y"),
            weight=column("weight"),
            features=self._reading.features,
            sources=tuple(replace(source, sha256=sha()) for source, sha in self._sources),
            extra={name: column(f"extra {name}") for name in self._reading.keep},
            skipped=tuple(self._skipped),
            scaled=(self._is_scaled(BACKGROUND), self._is_scaled(SIGNAL)),
        )

    def _is_scaled(self, kind: int) -> bool:
        """Return True if all samples of a class have a cross-section."""
        own = [part.sample.is_normalised for part in self._wanted if part.y == kind]
        return bool(own) and all(own)

    def _check_classes(self) -> None:
        """Refuse a class of which nothing is left because files or events were skipped."""
        if not self._sources:
            reasons = "; ".join(one.reason for one in self._skipped[:3])
            raise DataError(f"none of {self._files} files could be read: {reasons}")
        for role in dict.fromkeys(part.role for part in self._wanted):
            read = [source for source, _ in self._sources if source.role == role]
            check_left(role, read, [one for one in self._skipped if one.role == role])
            self._warn_if_empty(role, read)

    def _warn_if_empty(self, role: str, read: Sequence[Source]) -> None:
        """Warn of a class of which no event passes the cut; nothing can be trained with it."""
        cut = self._reading.cut
        entries = sum(source.entries for source in read)
        if role != "events" and entries and not any(source.events for source in read):
            lost = "is valid" if cut is None else f"passes the cut {getattr(cut, '__name__', cut)}"
            files = ", ".join(source.file for source in read[:3])
            warnings.warn(
                f"no event of {role} {lost}: {entries} entries of {files} were read", stacklevel=7
            )

    def _sample(self, number: int) -> None:
        """Append the events of a sample, scaled to its cross-section."""
        part = self._wanted[number]
        first, known = len(self._columns), len(self._sources)
        generated: list[Generated] = []
        for file in part.files:
            rows, done = len(self._columns), self._done
            try:
                generated.append(self._file(file, number, generated))
            except (CutError, WeightError):
                raise
            except DataError as error:
                if self._on_error == "stop":
                    raise
                self._columns.shorten(rows)
                self._doubts.pop(str(file), None)
                self._skipped.append(Skipped(str(file), part.role, str(error)))
            self._advance(done + 1 - self._done)
        read = [source for source, _ in self._sources[known:]]
        if read and not any(source.entries for source in read):
            names = ", ".join(file.path for file in part.files[:3])
            raise DataError(f"the tree {read[0].tree!r} of {names} is empty")
        weight = part.reading(self._reading).weight
        weightless.warn_of_files(part.role, weight, self._weighted[known:], stacklevel=6)
        if part.sample.is_normalised:
            part.sample.warn(generated)
            if len(self._columns) > first:
                total = sum(one.total or 0.0 for one in generated)
                self._columns.scale("weight", first, part.sample.factor(total))

    def _file(self, place: InputFile, number: int, before: Sequence[Generated]) -> Generated:
        """Append the events of a file; the sum of weights before the selection."""
        rows, read, weighted, part = len(self._columns), 0.0, 0, self._wanted[number]
        generated = Generated(place.path)
        with self._source.opened(place, number) as file:
            treated: list[NonFinite | None] = []
            if part.sample.is_normalised:
                generated = file.generated()
                part.sample.check([*before, generated])
            for entries, events in file.parts:
                read += events.sum_weights
                weighted += int(np.count_nonzero(events.weight))
                treated.append(events.not_finite)
                if str(place) not in self._doubts and len(events) >= units.FEW:
                    self._doubts[str(place)] = units.doubt(events.X, self._reading.features)
                y = np.full(len(events), part.y, dtype=np.int8)
                extra = {f"extra {name}": values for name, values in events.extra.items()}
                self._columns.append({"X": events.X, "weight": events.weight, "y": y, **extra})
                self._advance(entries / file.entries)
            kept, name = len(self._columns) - rows, place.name
            not_finite = NonFinite.joined(treated)
            source = Source(
                name,
                part.role,
                file.tree,
                kept,
                "",
                file.entries,
                file.uuid,
                not_finite,
                file.optional.lacking,
            )
        self._sources.append((source, file.sha256))
        self._weighted.append((name, kept, weighted))
        self._optional.append((place, file.optional))
        return replace(generated, total=read) if generated.is_over_entries else generated

    def _advance(self, files: float) -> None:
        self._done += files
        self._bar.update(files)
        if self._told:
            self._told(self._done, self._files)


def _size(path: str) -> int:
    try:
        return 0 if is_remote(path) else Path(path).stat().st_size
    except OSError:  # that it cannot be read is said when it is its turn
        return 0
