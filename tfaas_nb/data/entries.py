"""The values of a range of entries: features, weights, what a selection asks for."""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.arithmetic import choose
from tfaas_nb.data.branches import Array, Lists, Read
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.finite import BadValues, Mask, NonFinite, as_float32, not_finite
from tfaas_nb.data.jets import Jets
from tfaas_nb.data.origins import (
    Branch,
    EventOrigin,
    JetOrigin,
    LeptonCount,
    Mass,
    Slots,
    Sum,
    check_counts,
)
from tfaas_nb.data.plan import OfEvent, OfJet, Plan
from tfaas_nb.data.reading import Cut
from tfaas_nb.data.variations import valid
from tfaas_nb.errors import CutError, DataError

Floats = npt.NDArray[np.float32]


class Entries:
    """Values computed from the branches of a range of entries.

    Parameters
    ----------
    plan : Plan
        What is needed.
    read : mapping
        Branch → values, of all of the plan's branches.
    start, stop : int
        The range.
    """

    def __init__(self, plan: Plan, read: Read, start: int, stop: int) -> None:
        self._plan = plan
        self._read = read
        self._start = start
        self._n = stop - start
        self._matrices: dict[str, Floats] = {}
        self._whole: dict[str, Array] = {}
        self._bad: list[BadValues] = []
        self._bad_jets: dict[str, Mask] = {}
        self._not_finite: set[str] = set()
        self._slots_filled: Mask | None = None

    @cached_property
    def X(self) -> Floats:  # noqa: N802
        """Features, float32 of shape (events, features); `bad` tells what is not finite."""
        plan, features = self._plan, self._plan.reading.features
        X = self._padded(len(features))
        for column, (variable, origin) in enumerate(plan.event.items()):
            self._note_leptons(origin)
            values = self._of_event(origin)
            X[:, column] = self._noted(values, _named(origin, variable), column)
        for variable in (v.name for v in features.jet):
            columns = features.jet_columns(variable)
            assert self._jets is not None
            self._jets.fill(X, columns.start, self._of_jets(variable))
            self._matrices[variable] = X[:, columns]
        for column, name in enumerate(features.derived, start=features.derived_columns.start):
            quantity = features.derivation(name)
            values = quantity.values(self._matrix, self._there, features.padding)
            X[:, column] = self._noted(values, name, column)
        return X

    @cached_property
    def weight(self) -> Floats:
        """Weights, float32 of shape (events,); `bad` tells what is not finite."""
        plan = self._plan
        if plan.weight_branch:
            branch = Branch(plan.weight_branch)
            values = branch.of_events(self._read, None, plan.objects, plan.where)
            return self._noted(values, plan.weight_branch, is_weight=True)
        if plan.weight is not None:
            values = plan.weight.values(self._term, self._n)
            return self._noted(values, plan.weight.text, is_weight=True)
        weight = plan.reading.weight
        assert not isinstance(weight, str)
        return np.full(self._n, 1.0 if weight is None else weight, dtype=np.float32)

    @cached_property
    def extra(self) -> dict[str, Array]:
        """Branches to keep beside the features: branch → values, finite or not."""
        plan = self._plan
        return {
            name: Branch(name).of_events(self._read, None, plan.objects, plan.where)
            for name in plan.reading.keep
        }

    @cached_property
    def passed(self) -> Mask | None:
        """Mask of the entries that are events and pass the selection; None if all do."""
        selected, valid = self._passing_cut, self._valid
        if selected is None or valid is None:
            return valid if selected is None else selected
        return np.logical_and(selected, valid)

    @cached_property
    def _passing_cut(self) -> Mask | None:
        reading = self._plan.reading
        if reading.selection is not None:
            self.X  # noqa: B018 (jets that are features are not computed twice)
            return reading.selection.mask(self._term, self._n)
        return self._passed_by(reading.cut) if callable(reading.cut) else None

    @cached_property
    def _valid(self) -> Mask | None:
        """Mask of the entries that are events of the case that is read; None if all are."""
        required = self._plan.required
        if not required:
            return None
        masks = {bit: self._read[bit.mask] for bit in required}
        return valid({bit: one for bit, one in masks.items() if isinstance(one, np.ndarray)})

    @property
    def weight_of_events(self) -> Floats:
        """Weights of the entries that are events, selected or not."""
        return self.weight if self._valid is None else self.weight[self._valid]

    @property
    def bad(self) -> list[BadValues]:
        """Values that are not finite of all events, after `X` and `weight` were worked out.

        Derived quantities are left out where the jets that they are computed of say it.
        """
        of_jets = [
            bad for name, mask in self._bad_jets.items() for bad in self._by_branch(name, mask)
        ]
        known = np.zeros(self._n, dtype=bool)
        for bad in of_jets:
            known[bad.event] = True
        derived = self._plan.reading.features.derived_columns.start
        found = []
        for bad in self._bad:
            is_derived = bad.column is not None and bad.column >= derived
            found.append(bad.among(~known) if is_derived else bad)
        order = [
            *(b for b in found if not b.is_weight),
            *of_jets,
            *(b for b in found if b.is_weight),
        ]
        return [bad for bad in order if len(bad)]

    @property
    def has_bad(self) -> bool:
        """True if any event has a value that is not finite."""
        return bool(self._bad or self._bad_jets)

    @property
    def bad_weights(self) -> list[BadValues]:
        """Weights that are not finite, of all events."""
        found = [bad for bad in self._bad if bad.is_weight]
        if self._valid is not None:
            found = [bad.among(self._valid) for bad in found]
        return [bad for bad in found if len(bad)]

    def bad_among(self, passed: Mask | None) -> list[BadValues]:
        """Return the bad values of the selected events; of all events without a selection."""
        found = self.bad if passed is None else [bad.among(passed) for bad in self.bad]
        return [bad for bad in found if len(bad)]

    def treated(self, passed: Mask | None) -> tuple[Mask | None, NonFinite | None]:
        """Leave out events, or pad values, of what is not finite among the selected events.

        Parameters
        ----------
        passed : numpy.ndarray or None
            Which events are selected.

        Returns
        -------
        tuple of (numpy.ndarray or None, NonFinite or None)
            Which events remain, and what was done; None if nothing was.
        """
        found = self.bad_among(passed)
        if not found:
            return passed, None
        touched = np.zeros(self._n, dtype=bool)
        for bad in found:
            touched[bad.event] = True
        events = int(np.count_nonzero(touched))
        values = tuple((bad.name, len(bad)) for bad in found)
        reading = self._plan.reading
        if reading.on_nan == "skip":
            lost = self.weight[touched]
            weights = float(lost[np.isfinite(lost)].sum(dtype=np.float64))
            remaining = ~touched if passed is None else passed & ~touched
            return remaining, NonFinite("skip", events, values, weights=weights)
        for bad in found:
            if bad.column is not None:
                self.X[bad.event, bad.column] = reading.features.padding
        jets = self._removed if passed is None else self._removed[passed]
        return passed, NonFinite("pad", events, values, int(jets.sum()))

    def _passed_by(self, cut: Cut) -> Mask:
        y = np.zeros(self._n, np.int8)
        features = self._plan.reading.features
        events = Dataset(self.X, y, self.weight, features, extra=self.extra)
        if self._valid is not None:
            passed = np.array(self._valid)
            passed[self._valid] = self._mask_of(cut, events[self._valid])
            return passed
        return self._mask_of(cut, events)

    def _mask_of(self, cut: Cut, events: Dataset) -> Mask:
        try:
            passed = np.asarray(cut(events))
        except Exception as error:  # it is not ours, and may raise anything
            why = textwrap.shorten(str(error), 300)
            raise CutError(
                f"the function given as cut failed{_line(error)} on {len(events)} events of "
                f"{self._plan.where}: {type(error).__name__}: {why}"
            ) from error
        if passed.shape != (len(events),) or passed.dtype != bool:
            raise CutError(
                f"the selection returned {passed.dtype} of shape {passed.shape}; it must return "
                f"a mask, bool of shape {(len(events),)}"
            )
        return passed

    def _term(self, name: str) -> Array:
        """Return the values of a name in an expression; NaN where a jet is absent."""
        plan = self._plan
        term = plan.terms[name]
        if isinstance(term, OfEvent):
            return self._of_event(term.origin)
        if isinstance(term, OfJet):
            values = self._exact(term.variable)[:, term.slot]
            return choose(self._there[:, term.slot], values, np.nan)
        return term.values(self._matrix, self._there, np.nan)

    def _of_event(self, origin: EventOrigin) -> Array:
        plan = self._plan
        read = self._judgeable(origin) if plan.pads else self._read
        values = origin.of_events(read, self._jets, plan.objects, plan.where)
        if plan.pads and plan.is_number_of_jets(origin) and self._removed.any():
            values = np.maximum(values - self._removed, 0)
        return np.broadcast_to(values, (self._n,))

    def _matrix(self, variable: str) -> Floats:
        """A variable of the jets in their slots, shape (events, jets)."""
        if variable not in self._matrices:
            features = self._plan.reading.features
            matrix = self._padded(features.jets)
            assert self._jets is not None
            self._jets.fill(matrix, 0, self._of_jets(variable))
            self._matrices[variable] = matrix
        return self._matrices[variable]

    def _exact(self, variable: str) -> Array:
        """Return the values of `_matrix`, exact for whole numbers that float32 may not hold."""
        values = self._lists[variable].values
        if values.dtype.kind not in "iu" or values.dtype.itemsize <= 2:
            return self._matrix(variable)
        if variable not in self._whole:
            matrix = np.zeros((self._n, self._plan.reading.features.jets), dtype=values.dtype)
            assert self._jets is not None
            self._jets.fill(matrix, 0, values)
            self._whole[variable] = matrix
        return self._whole[variable]

    def _padded(self, columns: int) -> Floats:
        matrix = np.zeros((self._n, columns), dtype=np.float32)
        if padding := self._plan.reading.features.padding:
            matrix[:] = padding
        return matrix

    @cached_property
    def _there(self) -> npt.NDArray[np.bool_]:
        """Mask of the slots that hold a jet, shape (events, jets)."""
        assert self._jets is not None
        return np.asarray(np.arange(self._plan.reading.features.jets) < self._jets.counts[:, None])

    @cached_property
    def _jets(self) -> Jets | None:
        if not self._plan.jets:
            return None
        features = self._plan.reading.features
        by = self._of_jets(features.order_by)
        if features.order_by in self._not_finite:
            by = np.where(np.isnan(by), np.float32(-np.inf), by)
        return Jets.placed(self._counts, by, features.jets, self._selected)

    def _of_jets(self, variable: str) -> Floats:
        """A variable of all jets read, one after another; zero for those that do not count."""
        values = self._lists[variable].values
        if self._selected is not None:
            values = np.where(self._selected, values, 0)
        narrow, bad = as_float32(values)
        if bad is not None:
            self._not_finite.add(variable)
            self._note_jets(variable, bad)
        if variable in self._plan.layout.floor_at_zero:
            narrow = np.maximum(narrow, 0)
        return narrow

    @cached_property
    def _selected(self) -> Mask | None:
        """Mask of the jets that count, of those read; None if all do."""
        selected = self._passing
        if not self._plan.pads:
            return selected
        absent = self._absent
        if absent is None:
            return selected
        return ~absent if selected is None else selected & ~absent

    @cached_property
    def _passing(self) -> Mask | None:
        """Mask of the jets that pass the selection of jets; None without one."""
        if not self._plan.selects_jets:
            return None
        objects, lists = self._plan.objects, self._lists
        pt, eta = lists["jetPt"].values, lists["jetEta"].values
        passing = np.asarray((pt > objects.jet_pt_min) & (np.abs(eta) < objects.jet_eta_max))
        self._note_unjudged(pt, eta)
        return passing

    def _note_unjudged(self, pt: Array, eta: Array) -> None:
        """Note jets that the selection cannot judge: those that pass by what is finite of them."""
        objects, bad_pt, bad_eta = self._plan.objects, not_finite(pt), not_finite(eta)
        if not (bad_pt.any() or bad_eta.any()):
            return
        passes = bad_pt | (pt > objects.jet_pt_min)
        passes &= bad_eta | (np.abs(eta) < objects.jet_eta_max)
        self._note_jets("jetPt", bad_pt & passes)
        self._note_jets("jetEta", bad_eta & passes)

    @cached_property
    def _absent(self) -> Mask | None:
        """Jets taken as absent, as one of their variables is not finite; None if there is none."""
        passing = self._passing
        for variable in self._plan.checked_jets:
            bad = not_finite(self._lists[variable].values)
            if bad.any():
                self._note_jets(variable, bad if passing is None else bad & passing)
        return np.any(list(self._bad_jets.values()), axis=0) if self._bad_jets else None

    @cached_property
    def _removed(self) -> npt.NDArray[np.int64]:
        """Number of jets of each event that are taken as absent, shape (events,)."""
        absent = self._absent if self._plan.pads and self._plan.jets else None
        if absent is None:
            return np.zeros(self._n, dtype=np.int64)
        return np.bincount(self._events_of_jets[absent], minlength=self._n)

    def _note_jets(self, variable: str, bad: Mask) -> None:
        """Note values of jets that are not finite, if the features need the variable."""
        if variable in self._plan.checked_jets and bad.any():
            before = self._bad_jets.get(variable)
            self._bad_jets[variable] = bad if before is None else before | bad

    def _by_branch(self, variable: str, bad: Mask) -> Iterator[BadValues]:
        """Values of a variable of jets that are not finite, branch by branch."""
        origin, at = self._plan.jets[variable], np.flatnonzero(bad)
        values, events = self._lists[variable].values[at], self._events_of_jets[at]
        if not isinstance(origin, Slots):
            yield BadValues(_of_jets_named(origin), events, values)
            return
        assert self._slots_filled is not None
        slots = np.nonzero(self._slots_filled)[1][at]
        for slot in np.unique(slots):
            own = slots == slot
            yield BadValues(origin.branches[slot], events[own], values[own])

    @cached_property
    def _events_of_jets(self) -> npt.NDArray[np.int64]:
        """Position of the event of each jet read."""
        return np.repeat(np.arange(self._n), self._counts)

    @property
    def _counts(self) -> npt.NDArray[np.int64]:
        return next(iter(self._lists.values())).counts

    @cached_property
    def _lists(self) -> dict[str, Lists]:
        """The jets read, variable by variable; of flattened ones those that are there."""
        plan = self._plan
        matrices: dict[str, Array] = {}
        lists: dict[str, Lists] = {}
        for variable, origin in plan.jets.items():
            if variable in plan.absent_variables:
                continue
            if isinstance(origin, Slots):
                matrices[variable] = origin.matrix(self._read, plan.where)
                continue
            found = origin.of_jets(self._read, plan.where)
            if found.is_fixed:
                width = int(found.counts[0]) if self._n else 0
                matrices[variable] = found.values.reshape(self._n, width)
            else:
                lists[variable] = found
        if matrices:
            lists = self._unflattened(matrices) | lists
        first = next(iter(lists))
        for variable in lists:
            check_counts(
                self._name(variable),
                lists[variable].counts,
                self._name(first),
                lists[first].counts,
                plan.where,
                "jets",
                self._start,
            )
        counts = lists[first].counts
        zeros = np.zeros(len(lists[first].values), dtype=np.float32)
        return lists | {name: Lists(zeros, counts) for name in plan.absent_variables}

    def _unflattened(self, matrices: Mapping[str, Array]) -> dict[str, Lists]:
        there = self._slots_filled = self._filled(matrices)
        for variable, matrix in matrices.items():
            if matrix.shape != there.shape:
                raise DataError(
                    f"{self._plan.where} has {matrix.shape[1]} branches for {variable}, and "
                    f"{there.shape[1]} for other variables of its jets"
                )
        counts = there.sum(axis=1)
        return {name: Lists(matrix[there], counts) for name, matrix in matrices.items()}

    def _filled(self, matrices: Mapping[str, Array]) -> npt.NDArray[np.bool_]:
        """Return the mask of slots with a jet: of positive pT or, without pT, not padded."""
        if "jetPt" in matrices:
            return np.asarray(matrices["jetPt"] > 0)  # NaN is not above zero either
        features = self._plan.reading.features
        by = matrices.get(features.order_by, next(iter(matrices.values())))
        return np.asarray(np.isfinite(by) & (by != features.padding))

    def _name(self, variable: str) -> str:
        origin = self._plan.jets[variable]
        return origin.name if isinstance(origin, Branch) else variable

    def _noted(
        self, values: Array, name: str, column: int | None = None, is_weight: bool = False
    ) -> Floats:
        """Values as float32, those noted that are not finite."""
        narrow, bad = as_float32(values)
        if bad is not None:
            at = np.flatnonzero(bad)
            self._bad.append(BadValues(name, at, values[at], column, is_weight))
        return narrow

    def _judgeable(self, origin: EventOrigin) -> Read:
        """Branches, with NaN for infinities of leptons: no limit then lets them pass."""
        if not isinstance(origin, LeptonCount):
            return self._read
        own = {name: self._read.get(name) for name in (*origin.branches, *origin.optional)}
        lists = {name: lists for name, lists in own.items() if isinstance(lists, Lists)}
        infinite = {name: v for name, v in lists.items() if np.isinf(v.values).any()}
        masked = {
            name: replace(v, values=np.where(np.isinf(v.values), np.nan, v.values))
            for name, v in infinite.items()
        }
        return {**self._read, **masked} if masked else self._read

    def _note_leptons(self, origin: EventOrigin) -> None:
        """Note leptons that cannot be judged, and so are not counted."""
        if isinstance(origin, LeptonCount):
            plan = self._plan
            for name, event, value in origin.unjudged(self._read, plan.objects, plan.where):
                self._bad.append(BadValues(name, event, value))


def _named(origin: EventOrigin, variable: str) -> str:
    """Name of a per-event variable in errors: its branch, or branches."""
    if isinstance(origin, Branch):
        return origin.name
    return " + ".join(origin.branches) if isinstance(origin, Sum) else variable


def _of_jets_named(origin: JetOrigin) -> str:
    """The branch that a variable of jets is read from; of masses that of the energy."""
    if isinstance(origin, Mass):
        return origin.energy
    assert isinstance(origin, Branch)
    return origin.name


def _line(error: Exception) -> str:
    """Return the line of the user's function where an error arose; empty if unknown."""
    frames = traceback.extract_tb(error.__traceback__)[1:2]  # the first is the call of it
    return f" in line {frames[0].lineno} of {frames[0].filename}" if frames else ""
