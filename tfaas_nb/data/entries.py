"""The values of a range of entries: features, weights, what a selection asks for."""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.arithmetic import choose
from tfaas_nb.data.branches import Array, Lists, Read, finite
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.jets import Jets
from tfaas_nb.data.origins import Branch, EventOrigin, Slots, check_counts
from tfaas_nb.data.plan import OfEvent, OfJet, Plan
from tfaas_nb.data.reading import Cut
from tfaas_nb.errors import CutError, DataError

Floats = npt.NDArray[np.float32]


class Entries:
    """What is computed of the branches of a range of entries.

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

    @cached_property
    def X(self) -> Floats:  # noqa: N802
        """The features, float32 of shape (events, features)."""
        plan, features = self._plan, self._plan.reading.features
        X = self._padded(len(features))
        for column, (variable, origin) in enumerate(plan.event.items()):
            values = self._of_event(origin)
            name = origin.name if isinstance(origin, Branch) else variable
            X[:, column] = self._finite(values, name)
        for variable in (v.name for v in features.jet):
            columns = features.jet_columns(variable)
            assert self._jets is not None
            self._jets.fill(X, columns.start, self._of_jets(variable))
            self._matrices[variable] = X[:, columns]
        for column, name in enumerate(features.derived, start=features.derived_columns.start):
            quantity = features.derivation(name)
            values = quantity.values(self._matrix, self._there, features.padding)
            X[:, column] = self._finite(values, name)
        return X

    @cached_property
    def weight(self) -> Floats:
        """The weights, float32 of shape (events,)."""
        plan = self._plan
        if plan.weight_branch:
            branch = Branch(plan.weight_branch)
            values = branch.of_events(self._read, None, plan.objects, plan.where)
            return self._finite(values, plan.weight_branch)
        if plan.weight is not None:
            return self._finite(plan.weight.values(self._term, self._n), plan.weight.text)
        weight = plan.reading.weight
        assert not isinstance(weight, str)
        return np.full(self._n, 1.0 if weight is None else weight, dtype=np.float32)

    @cached_property
    def extra(self) -> dict[str, Array]:
        """What is kept beside the features: branch → values."""
        plan = self._plan
        return {
            name: Branch(name).of_events(self._read, None, plan.objects, plan.where)
            for name in plan.reading.keep
        }

    @cached_property
    def passed(self) -> npt.NDArray[np.bool_] | None:
        """Which events pass the selection; None without one."""
        reading = self._plan.reading
        if reading.selection is not None:
            self.X  # noqa: B018 (jets that are features are not computed twice)
            return reading.selection.mask(self._term, self._n)
        return self._passed_by(reading.cut) if callable(reading.cut) else None

    def _passed_by(self, cut: Cut) -> npt.NDArray[np.bool_]:
        y = np.zeros(self._n, np.int8)
        features = self._plan.reading.features
        events = Dataset(self.X, y, self.weight, features, extra=self.extra)
        try:
            passed = np.asarray(cut(events))
        except Exception as error:  # it is not ours, and may raise anything
            why = textwrap.shorten(str(error), 300)
            raise CutError(
                f"the function given as cut failed{_line(error)} on {self._n} events of "
                f"{self._plan.where}: {type(error).__name__}: {why}"
            ) from error
        if passed.shape != (self._n,) or passed.dtype != bool:
            raise CutError(
                f"the selection returned {passed.dtype} of shape {passed.shape}; it must return "
                f"a mask, bool of shape {(self._n,)}"
            )
        return passed

    def _term(self, name: str) -> Array:
        """What a name in an expression stands for; NaN where a jet is absent."""
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
        values = origin.of_events(self._read, self._jets, plan.objects, plan.where)
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
        """As `_matrix`; whole numbers that float32 may not hold are what they are in the file."""
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
        """Which slots hold a jet, shape (events, jets)."""
        assert self._jets is not None
        return np.asarray(np.arange(self._plan.reading.features.jets) < self._jets.counts[:, None])

    @cached_property
    def _jets(self) -> Jets | None:
        if not self._plan.jets:
            return None
        features = self._plan.reading.features
        by = self._of_jets(features.order_by)
        return Jets.placed(self._counts, by, features.jets, self._selected)

    def _of_jets(self, variable: str) -> Floats:
        """A variable of all jets read, one after another; zero for those that do not count."""
        values = self._lists[variable].values
        if self._selected is not None:
            values = np.where(self._selected, values, 0)
        if variable in self._plan.layout.floor_at_zero:
            values = np.maximum(values, 0)
        return self._finite(values, self._name(variable), self._counts)

    @cached_property
    def _selected(self) -> npt.NDArray[np.bool_] | None:
        if not self._plan.selects_jets:
            return None
        objects, lists = self._plan.objects, self._lists
        return np.asarray(
            (lists["jetPt"].values > objects.jet_pt_min)
            & (np.abs(lists["jetEta"].values) < objects.jet_eta_max)
        )

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
        return lists

    def _unflattened(self, matrices: Mapping[str, Array]) -> dict[str, Lists]:
        there = self._filled(matrices)
        for variable, matrix in matrices.items():
            if matrix.shape != there.shape:
                raise DataError(
                    f"{self._plan.where} has {matrix.shape[1]} branches for {variable}, and "
                    f"{there.shape[1]} for other variables of its jets"
                )
        counts = there.sum(axis=1)
        return {name: Lists(matrix[there], counts) for name, matrix in matrices.items()}

    def _filled(self, matrices: Mapping[str, Array]) -> npt.NDArray[np.bool_]:
        """Which slots hold a jet: those of positive pT; without pT, those not padded."""
        if "jetPt" in matrices:
            return np.asarray(matrices["jetPt"] > 0)  # NaN is not above zero either
        features = self._plan.reading.features
        by = matrices.get(features.order_by, next(iter(matrices.values())))
        return np.asarray(np.isfinite(by) & (by != features.padding))

    def _name(self, variable: str) -> str:
        origin = self._plan.jets[variable]
        return origin.name if isinstance(origin, Branch) else variable

    def _finite(
        self, values: Array, name: str, counts: npt.NDArray[np.int64] | None = None
    ) -> Floats:
        def entry(position: int) -> int:
            if counts is None:
                return self._start + position
            return self._start + int(np.searchsorted(np.cumsum(counts), position, side="right"))

        return finite(values, name, self._plan.where, entry)


def _line(error: Exception) -> str:
    """Where in the function an error arose, as far as it is known."""
    frames = traceback.extract_tb(error.__traceback__)[1:2]  # the first is the call of it
    return f" in line {frames[0].lineno} of {frames[0].filename}" if frames else ""
