"""One ROOT file, opened once and read in ranges of entries.

    with EventFile("ttbar.root", Reading(features)) as file:
        for start, stop in steps(file.entries):
            part = file.events(start, stop)

Whole branches are read at a time, with no loop over events; memory is that of one range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.branches import Array, Types, read
from tfaas_nb.data.entries import Entries
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.finite import BadValues, NonFinite, joined, refusal
from tfaas_nb.data.friends import friends
from tfaas_nb.data.generated import GENERATOR_WEIGHT, Generated, Runs, check_sums, signs
from tfaas_nb.data.identifiers import Identifiers, find
from tfaas_nb.data.layouts import Layout
from tfaas_nb.data.opening import choose_tree, decoding, open_file, tree_named
from tfaas_nb.data.plan import Plan, events_only
from tfaas_nb.data.reading import Reading as Reading
from tfaas_nb.errors import DataError

#: Entries read at a time: enough for the fixed cost of a read (about 8 ms) not to count.
STEP = 200_000


@dataclass(frozen=True, eq=False)
class Events:
    """Events of a range of entries that pass the selection, in the file's order.

    Attributes
    ----------
    X : numpy.ndarray
        Features, float32 of shape (events, features).
    weight : numpy.ndarray
        float32 of shape (events,).
    extra : mapping
        Kept branch → values, shape (events,), of the branch's own type.
    sum_weights : float
        Sum of the weights of all events of the range, before the selection.  Weights that are
        not finite are left out of it if the reading skips such events; else it is not finite.
    entry : numpy.ndarray
        Entry of each event in the tree, int64 of shape (events,).
    not_finite : NonFinite or None
        What became of selected events with values that are not finite; None if there was none.
    """

    X: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    extra: Mapping[str, Array]
    sum_weights: float
    entry: npt.NDArray[np.int64]
    not_finite: NonFinite | None = None

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class OptionalBranches:
    """Optional branches of a file.

    Attributes
    ----------
    entries : int
        Entries of the file; without any, it may have been written without its branches.
    lacking : tuple of str
        Branches, or variables of jets, that it lacks and that are read as zero.
    missing, found : tuple of str
        Names of `Reading.optional` that something reads: those that the file lacks, and has.
    """

    entries: int = 0
    lacking: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


def steps(entries: int, step: int = STEP) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) that cover all entries, of nearly equal length."""
    count = -(-entries // step)
    edges = [entries * i // count for i in range(count + 1)] if count else []
    yield from pairwise(edges)


class EventFile:
    """A ROOT file from which events are read; open between ``with`` and its end.

    Parameters
    ----------
    file : InputFile or str
        The file, perhaps with its tree, which goes before the reading's; or its path or address.
    reading : Reading
        What to read.
    should_stop : callable, optional
        Asked often while an XRootD server is waited for; True ends that with a `DataError`.
    folder : str
        Where a local path begins, if not in this process's working directory.

    Raises
    ------
    DataError
        On opening, if the file or its tree is unreadable or incomplete, or lacks a branch; the
        message names it and the nearest name.  A tree without entries is no error.
    """

    def __init__(
        self,
        file: InputFile | str,
        reading: Reading,
        should_stop: Callable[[], bool] | None = None,
        folder: str = "",
    ) -> None:
        own = file if isinstance(file, InputFile) else InputFile(file)
        self.path, self._wanted, self.folder = own.path, own.tree or reading.tree, folder
        self.should_stop = should_stop
        self.reading = reading
        self._file: Any = None
        self._tree: Any = None
        self._name = ""
        self._types: Types | None = None
        self._plan: Plan | None = None

    def __enter__(self) -> EventFile:
        self._file = open_file(self.path, self.reading.timeout, self.should_stop, self.folder)
        try:
            with decoding(self.path):
                self._name = choose_tree(self._file, self.path, self._wanted)
                self._tree = tree_named(self._file, self._name)
                self._types = Types(self._tree, friends(self._file, self._name, self._tree))
                self._plan = Plan(self.reading, self._types, self._where)
                if self.entries:  # an empty tree may have been written without its branches
                    self._plan.check()
                    self._plan = events_only(self._plan, self._file)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read of it any more."""
        if self._file is not None:
            self._file.close()
        self._file = self._tree = self._types = self._plan = None

    @property
    def entries(self) -> int:
        """Entries of the tree, before any selection."""
        return int(self._opened.num_entries)

    @property
    def leaves_entries_out(self) -> bool:
        """True if some entries are not events at all: see `tfaas_nb.data.variations`."""
        return bool(self._planned.required)

    @property
    def tree(self) -> str:
        """Name of the tree, with its folder, and with its cycle if that was asked for."""
        self._opened  # noqa: B018 (an open file is asked for)
        return self._name

    @property
    def layout(self) -> Layout:
        """The layout that was recognised."""
        return self._planned.layout

    @property
    def event_id(self) -> tuple[str, ...]:
        """Branches that tell events apart (run, section, event), as far as they are there."""
        return tuple(name for name in self.identifiers if name is not None)

    @property
    def identifiers(self) -> Identifiers:
        """The branch of the run, of the luminosity block and of the event number."""
        plan = self._planned
        return find(plan.branches, plan.layout.event_id)

    def types_of(self, branches: Iterable[str]) -> dict[str, str]:
        """Types of the numbers of branches, as NumPy writes them; without those that lack."""
        types = self._planned.branches
        there = [name for name in branches if name in types]
        with decoding(self.path):
            values = read(self._opened, types, there, 0, min(1, self.entries), self._where)
        return {name: v.dtype.str for name, v in values.items() if isinstance(v, np.ndarray)}

    @property
    def optional(self) -> OptionalBranches:
        """Optional branches of the file."""
        plan = self._planned
        if not (self.entries and self.reading.optional):
            return OptionalBranches(self.entries)
        missing, found = plan.optional_names
        return OptionalBranches(self.entries, plan.lacking, missing, found)

    @property
    def uuid(self) -> str:
        """The identifier that was given to the file when it was written."""
        self._opened  # noqa: B018 (an open file is asked for)
        return str(self._file.file.uuid)

    def keep(self, branches: Iterable[str]) -> None:
        """Keep further branches of this file, which must be there, before those of the reading."""
        keep = tuple(dict.fromkeys((*branches, *self.reading.keep)))
        self.reading = replace(self.reading, keep=keep)
        self._plan = replace(self._planned, reading=self.reading)

    def events(self, start: int = 0, stop: int | None = None) -> Events:
        """The events of a range of entries that pass the selection.

        Parameters
        ----------
        start, stop : int
            First entry, and the one after the last; by default all of the tree.

        Raises
        ------
        DataError
            If the file turns out unreadable, branches contradict each other, or a value of a
            selected event is not finite and is neither to be skipped nor padded; the message
            says where.
        """
        stop = self.entries if stop is None else min(stop, self.entries)
        with decoding(self.path):
            entries = self._entries(self._planned, start, stop)
            X, weight, extra = entries.X, entries.weight, entries.extra
            total, passed, treatment = self._sum(entries.weight_of_events), entries.passed, None
            if entries.has_bad:
                self._refuse(entries, start)
                passed, treatment = entries.treated(passed)
            entry = np.arange(start, stop)
            if passed is None:
                return Events(X, weight, extra, total, entry, treatment)
            extra = {name: values[passed] for name, values in extra.items()}
            return Events(X[passed], weight[passed], extra, total, entry[passed], treatment)

    def _refuse(self, entries: Entries, start: int) -> None:
        """Raise for values that are not finite, if the reading does not say what to do with them.

        They are counted in the whole file, however much of it is read at a time.
        """
        here = [bad.shifted(start) for bad in self._refused(entries)]
        if not here:
            return
        everywhere: list[BadValues] = []
        try:
            for first, stop in steps(self.entries):
                entries = self._entries(self._planned, first, stop)
                everywhere += [bad.shifted(first) for bad in self._refused(entries)]
        except Exception:  # further on it cannot be read, which is said when it is its turn
            everywhere = here
        raise refusal(joined(everywhere), self._where, self._sums_entries)

    def _refused(self, entries: Entries) -> list[BadValues]:
        """Return the bad values that make reading fail."""
        entries.X, entries.weight  # noqa: B018 (what is not finite is noted by these)
        how, found = self.reading.on_nan, entries.bad_among(entries.passed)
        if how == "skip":
            return []
        if self._sums_entries:
            found = [bad for bad in found if not bad.is_weight] + entries.bad_weights
        return [bad for bad in found if bad.is_weight or how == "error"]

    @property
    def _sums_entries(self) -> bool:
        """True if the weights of all entries are summed, selected or not."""
        return self.reading.sums_weights and self._account().is_over_entries

    def _sum(self, weight: npt.NDArray[np.float32]) -> float:
        """The sum of weights; without those that are not finite, if their events are skipped."""
        with np.errstate(invalid="ignore"):
            total = float(weight.sum(dtype=np.float64))
        if self.reading.on_nan == "skip" and not math.isfinite(total):
            total = float(weight[np.isfinite(weight)].sum(dtype=np.float64))
        return total

    def sum_of_weights(self) -> float:
        """The sum of the weights of all events, before any selection.

        Returns
        -------
        float
            `generated_weights` if the file tells, else the sum over the entries of the tree,
            for which their weights are read; in double precision.

        Raises
        ------
        WeightError
            If events were skimmed, and the sum of their weights is not known.
        DataError
            As `events`.
        """
        generated = self.generated_weights()
        if generated is not None:
            return generated
        with decoding(self.path):
            return self._sum_over_entries()

    def generated_weights(self) -> float | None:
        """The sum of the weights of the events that were generated, whatever was skimmed since.

        Returns
        -------
        float or None
            Of NanoAOD's tree ``Runs``: ``genEventSumw`` if the weight is ``genWeight``, times the
            constant that it is multiplied by; if the weight is a number, that number times
            ``genEventCount``.  None if the file does not tell, or no event was skimmed.

        Raises
        ------
        WeightError
            If events were skimmed, and the sum of their weights is not known.
        DataError
            If the tree of runs is there and unreadable.
        """
        generated = self._account()
        check_sums([generated])
        return generated.total

    def generated(self, is_sum_known: bool = False) -> Generated:
        """Account of the weights of the events that were generated.

        Parameters
        ----------
        is_sum_known : bool
            Do without the sum of weights, which may then be unknown.

        Raises
        ------
        DataError
            If the tree of runs is there and unreadable.
        """
        found = Generated(self.path) if is_sum_known else self._account()
        return replace(found, signs=self._signs()) if self.reading.weight is None else found

    def _account(self) -> Generated:
        with decoding(self.path):
            return Runs.of(self._file).account(self.path, self._planned, self.entries)

    def _signs(self) -> tuple[bool, bool]:
        """Tell if there are negative and positive generator weights, as far as they are read."""
        types = self._planned.branches
        if GENERATOR_WEIGHT not in types:
            return False, False
        nothing = replace(self.reading.features, event=(), jet=(), derived=())
        reading = Reading(nothing, weight=GENERATOR_WEIGHT)
        plan = replace(self._planned, reading=reading)
        try:
            with decoding(self.path):
                parts = (self._entries(plan, *ends) for ends in steps(self.entries))
                return signs(part.weight_of_events for part in parts)
        except DataError:  # nobody asked for them
            return False, False

    def _sum_over_entries(self) -> float:
        nothing = replace(self.reading.features, event=(), jet=(), derived=())
        reading = replace(self.reading, features=nothing, cut=None, keep=())
        plan = replace(self._planned, reading=reading)
        total, found = 0.0, []
        for start, stop in steps(self.entries):
            entries = self._entries(plan, start, stop)
            total += self._sum(entries.weight_of_events)
            found += [bad.shifted(start) for bad in entries.bad_weights]
        if found and self.reading.on_nan != "skip":
            raise refusal(joined(found), self._where, summed=True)
        return total

    def _entries(self, plan: Plan, start: int, stop: int) -> Entries:
        tree, types = self._opened, self._types
        assert types is not None
        values = read(tree, types, plan.wanted, start, stop, plan.where)
        absent = {name: np.zeros(stop - start, dtype=bool) for name in plan.absent}
        return Entries(plan, {**values, **absent}, start, stop)

    @property
    def _where(self) -> str:
        return f"the tree {self.tree!r} of {self.path}"

    @property
    def _planned(self) -> Plan:
        if self._plan is None:
            self._opened  # noqa: B018 (says that it is not open)
        assert self._plan is not None
        return self._plan

    @property
    def _opened(self) -> Any:
        if self._tree is None:
            raise DataError(f"{self.path} is not open: use it as `with EventFile(...) as file:`")
        return self._tree
