"""Importance of features: loss of AUC when they are shuffled, or dropped before the training.

Features that are correlated are shuffled together, see `correlation`: a jet with the mass of one
jet and the soft-drop mass of another is nothing the classifier ever saw, and what it makes of it
says little of either.  For the same reason each event gets the values of an event with the same
jets, and the padding of absent jets stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.dataset import Dataset, check_dataset
from tfaas_nb.errors import DataError, ImportanceInterrupted
from tfaas_nb.measured import Measured
from tfaas_nb.metrics.correlation import CORRELATED, SINGLE, Group, Groups, doubt, grouped
from tfaas_nb.metrics.limits import FEW_EVENTS, ONE_EVENT
from tfaas_nb.metrics.ranking import Placements, limits_of_difference
from tfaas_nb.metrics.refit import Refit, RefitLoss
from tfaas_nb.metrics.scored import Scored
from tfaas_nb.options import (
    check_count,
    check_flag,
    check_function,
    check_option,
    check_seed,
    is_whole,
)
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scorer = Callable[[Dataset], npt.ArrayLike]

#: Numbers in the events scored at once (4 bytes each).
_BLOCK = 1 << 24

#: More events make the errors smaller than anybody needs.
MOST_EVENTS = 20_000

#: Members of a group that a table lists.
MOST_LISTED = 30

#: Meaning of a loss by shuffling, and what it does not mean.
SHUFFLED_MEANS = (
    "It is what this classifier loses when it gets wrong values of a group; one that was trained "
    "without the group loses less as far as the other features tell the same"
)
#: Meaning of a loss by refitting.
REFIT_MEANS = "it is what a classifier loses that was trained without the group"


#: Shuffles of each group; the order of all events is kept for each.
_MOST = 10_000


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Importance:
    """Loss of AUC when groups of features are shuffled, or dropped before a new training.

    The largest comes first: by the refits if all were done, else by the shuffles.

    Attributes
    ----------
    names : tuple of str
        Groups: a feature or variable alone, or the first of several.
    drop, error : numpy.ndarray
        Mean loss of AUC when shuffled, and its standard error: of the paired difference on the
        same events (DeLong) and of the repeated shuffles, in quadrature. Shape (names,).
    auc : float
        AUC with all features in place.
    events, repeats, seed : int
        Events that were shuffled, how often each group was, and what this depends on.
    by : str
        ``"feature"`` or ``"variable"``: what the groups are made of.
    members : tuple of tuple of str
        Features or variables of each group; those of `names` by default.
    grouping : str
        ``"correlated"``, ``"single"`` or ``"chosen"``: where the groups are from.
    refits : tuple of RefitLoss or None
        For each group the loss of AUC of classifiers that were trained without it; None where an
        interrupt came before it.  Empty if nothing was refitted.
    effective : float
        Effective number of events, (Σw)²/Σw², of the class that has fewer.
    fixed : tuple of str
        Groups that have the same values in all events with the same jets, so that a shuffle
        changes nothing: the number of jets, or a constant.
    area : Measured or None
        AUC with all features in place, with its error.
    doubt : str
        Sentence about correlations that too few events hide; empty if there are enough.
    """

    names: tuple[str, ...]
    drop: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    auc: float
    events: int
    repeats: int
    seed: int
    by: str = field(default="feature")
    members: tuple[tuple[str, ...], ...] = ()
    grouping: str = SINGLE
    refits: tuple[RefitLoss | None, ...] = ()
    effective: float = math.inf
    fixed: tuple[str, ...] = ()
    area: Measured | None = None
    doubt: str = ""

    def __post_init__(self) -> None:
        if not self.members:
            object.__setattr__(self, "members", tuple((name,) for name in self.names))

    @classmethod
    def of(
        cls,
        scorer: Scorer,
        data: Dataset,
        by: str = "feature",
        repeats: int = 5,
        seed: int = 1,
        progress: bool = True,
        most_events: int = MOST_EVENTS,
        *,
        groups: Groups = CORRELATED,
        refit: Refit | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Importance:
        """Shuffle, score, compare.

        Parameters
        ----------
        scorer : callable
            Scores of a dataset's events, shape (events,).
        data : Dataset
            Events of both classes that the classifier has not seen.
        by : str
            ``"feature"``: groups of features. ``"variable"``: groups of variables, each with
            the columns of all jets.
        repeats : int
            Shuffles of each.
        seed : int
            The same seed gives the same shuffles.
        progress : bool
            Show a progress bar.
        most_events : int
            Of a larger dataset as many are drawn at random and shuffled, each class in proportion.
        groups : str, mapping, sequence or None
            ``"correlated"``: clusters of rank correlations, see `correlation`. ``"single"`` or
            None: each feature or variable alone.  Or groups to choose, ``{name: names}`` or
            ``[names, names]``, of features or variables; others are then left alone.
        refit : Refit, optional
            Trainings to do without each group; they are judged on all of `data`.  An interrupt
            ends them; the shuffles and the refits that were done are kept.
        should_stop : callable, optional
            Asked often; True ends it, as a `KeyboardInterrupt` does.

        Raises
        ------
        DataError
            If `by`, `groups` or a number is impossible, a class is missing, or it was
            interrupted before all was shuffled.
        FeatureError
            If a value of an event is not finite.
        """
        check_flag("progress", progress, DataError)
        check_function("should_stop", should_stop, DataError)
        if not is_whole(repeats, 1):
            raise DataError(f"shuffle once or more often, not {repeats!r} times")
        check_option("repeats", repeats, repeats <= _MOST, f"at most {_MOST}", DataError)
        check_count("most_events", most_events, 2, DataError)
        check_seed(seed, DataError)
        check_dataset(data, "importance")
        data.check_finite()
        random = np.random.default_rng(seed)
        some = _some(data, most_events, random)
        chosen = grouped(some, by, groups)
        shuffles = _Shuffles.of(scorer, some, repeats, random)
        drops, errors = _losses(shuffles, chosen, progress, should_stop or _never)
        order = np.argsort(-drops, kind="stable")
        refits: tuple[RefitLoss | None, ...] = ()
        if refit is not None:
            names = [[data.features.names[c] for c in chosen[i].columns] for i in order]
            refits = refit.losses(scorer, data, names, progress, should_stop or _never)
            again = np.argsort([-loss.measured.value if loss else 0 for loss in refits])
            if None not in refits:
                order, refits = order[again], tuple(refits[i] for i in again)
        return cls(
            names=tuple(chosen[i].name for i in order),
            drop=drops[order],
            error=errors[order],
            auc=shuffles.unshuffled.mean,
            events=len(some),
            repeats=repeats,
            seed=seed,
            by=by,
            members=tuple(chosen[i].members for i in order),
            grouping=_grouping(groups),
            refits=refits,
            effective=shuffles.unshuffled.effective,
            area=shuffles.unshuffled.measured,
            fixed=tuple(group.name for group in chosen if shuffles.is_fixed(group)),
            doubt=doubt(some) if groups == CORRELATED and len(some.features) > 1 else "",
        )

    @property
    def is_grouped(self) -> bool:
        """True if a group has several members."""
        return any(len(members) > 1 for members in self.members)

    @property
    def ranked(self) -> tuple[str, ...]:
        """All features or variables, those of the most important group first."""
        return tuple(dict.fromkeys(name for members in self.members for name in members))

    def measured(self, position: int) -> Measured:
        """A loss by shuffling with its error, or its limits where no event's rank changed."""
        drop, error = float(self.drop[position]), float(self.error[position])
        few = self.effective < FEW_EVENTS
        if error > 0 and self.effective >= ONE_EVENT:
            return Measured(drop, error, is_signed=True, is_uncertain=few)
        low, high = limits_of_difference(drop, self.effective)
        return Measured(drop, None, low, high, is_uncertain=few, is_signed=True)

    def _told(self, position: int) -> str:
        """A loss by shuffling as a table tells it."""
        if self.names[position] in self.fixed:
            return "not shuffled: the same in all events with the same jets"
        return str(self.measured(position))

    def table(self, most: int | None = None) -> Table:
        """One row for each group, the most important first.

        Parameters
        ----------
        most : int, optional
            Rows; a last one then says how many groups are left out.  By default all have one.
        """
        columns: tuple[str, ...] = (self.by, "loss of AUC when shuffled")
        rows = [(name, self._told(at)) for at, name in enumerate(self.names)]
        if self.refits:
            columns = (*columns, "loss of AUC when refitted without")
            told = [loss and str(loss.measured) for loss in self.refits]
            rows = [(*row, one) for row, one in zip(rows, told, strict=True)]  # type: ignore[misc]
        if self.is_grouped:
            columns = (*columns, "shuffled together")
            rows = [
                (*row, _listed(members) if len(members) > 1 else "")  # type: ignore[misc]
                for row, members in zip(rows, self.members, strict=True)
            ]
        if most is not None and len(rows) > most:
            left = f"and {len(rows) - most} more, which lose less"
            rows = [*rows[:most], (left, *[""] * (len(columns) - 1))]  # type: ignore[list-item]
        return Table(columns, tuple(rows), f"AUC {self.before} with all in place. {self.meaning}.")

    @property
    def before(self) -> str:
        """AUC with all features in place, with its error where that is known."""
        done = [loss for loss in self.refits if loss]
        return str(done[0].area if done else self.area or Measured(self.auc))

    @property
    def meaning(self) -> str:
        """Sentence about what a loss means, and what it does not mean."""
        return f"{self._meaning}. {self.doubt}" if self.doubt else self._meaning

    @property
    def _meaning(self) -> str:
        done = [loss for loss in self.refits if loss]
        if not done:
            stopped = ", and was interrupted before its first refit was done"
            end = stopped if self.refits else ""
            return f"{SHUFFLED_MEANS}: importance(refit=True) measures that{end}"
        some = "" if None not in self.refits else f"; {len(done)} of {len(self.refits)} were done"
        return f"{SHUFFLED_MEANS}. By refitting {REFIT_MEANS}{some}; {done[0].error_is_of}"

    def plot(self, ax: Axes | None = None, most: int | None = None) -> Axes:
        """Draw the most important, by default 20; see `plots.importance`."""
        from tfaas_nb import plots

        return plots.importance(self, ax) if most is None else plots.importance(self, ax, most)

    def __repr__(self) -> str:
        first = self.refits[0] if self.refits else None
        loss = f"{first.measured} by refitting" if first else self.measured(0)
        return f"Importance({len(self.names)} by {self.by}, most: {self.names[0]} {loss})"

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "Loss of AUC when features are shuffled")
        return self.table()._repr_html_() + picture


def _listed(members: Sequence[str]) -> str:
    """Members of a group, the first of very many."""
    more = f" and {len(members) - MOST_LISTED} more" if len(members) > MOST_LISTED else ""
    return ", ".join(members[:MOST_LISTED]) + more


def _never() -> bool:
    return False


def _grouping(groups: Groups) -> str:
    if groups is None:
        return SINGLE
    return groups if isinstance(groups, str) else "chosen"


def _some(data: Dataset, most: int, random: np.random.Generator) -> Dataset:
    """Draw at most so many events, each class in proportion."""
    if len(data) <= most:
        return data
    taken = []
    for kind in (0, 1):
        positions = np.flatnonzero(data.y == kind)
        count = max(1, round(len(positions) * most / len(data)))
        taken.append(random.permutation(positions)[:count])
    return data[np.sort(np.concatenate(taken))]


@dataclass(frozen=True, eq=False)
class _Shuffles:
    """Events, the scorer, and which event's values each event gets in each shuffle."""

    scorer: Scorer
    data: Dataset
    donors: npt.NDArray[np.int64]
    present: npt.NDArray[np.bool_]
    scored: npt.NDArray[np.float64]
    unshuffled: Placements

    @classmethod
    def of(
        cls, scorer: Scorer, data: Dataset, repeats: int, random: np.random.Generator
    ) -> _Shuffles:
        present = np.array([data.present(name) for name in data.features.names])
        scored = np.asarray(scorer(data), dtype=np.float64)
        donors = _donors(present, random.random((repeats, len(data))))
        return cls(scorer, data, donors, present, scored, _placed(data, scored))

    def is_fixed(self, group: Group) -> bool:
        """Return True if no shuffle changes a value of a group."""
        columns = list(group.columns)
        X, having = self.data.X[:, columns], self.present[columns].T
        return not any(((X[donors] != X) & having).any() for donors in self.donors)

    def blocks(self, groups: Sequence[Group]) -> Iterator[tuple[int, Sequence[Group]]]:
        """Yield as many groups at a time as bounded memory holds, with the first's position."""
        size = max(1, _BLOCK // max(1, self.donors.size * len(self.data.features)))
        for start in range(0, len(groups), size):
            yield start, groups[start : start + size]

    def scores(self, groups: Sequence[Group]) -> npt.NDArray[np.float64]:
        """Scores of shape (groups, repeats, events), asked for in one call."""
        repeats, n = self.donors.shape
        X = self.data.X
        whole = self.data[np.tile(np.arange(n), len(groups) * repeats)]
        cube = whole.X.reshape(len(groups), repeats, n, -1)
        for g, group in enumerate(groups):
            for column in group.columns:
                having = self.present[column]
                for r in range(repeats):
                    cube[g, r, having, column] = X[self.donors[r, having], column]
        return np.asarray(self.scorer(whole), dtype=np.float64).reshape(len(groups), repeats, n)

    def loss(self, scores: npt.NDArray[np.float64]) -> tuple[float, float]:
        """Mean loss of AUC over repeats, and its error."""
        full = self.unshuffled
        if all(np.array_equal(one, self.scored) for one in scores):
            return 0.0, 0.0  # and no rounding of a mean
        placed = [_placed(self.data, one) for one in scores]
        mean = Placements(
            np.mean([p.signal for p in placed], axis=0),
            full.signal_weight,
            np.mean([p.background for p in placed], axis=0),
            full.background_weight,
        )
        paired = full.minus(mean)
        spread = float(np.std([p.mean for p in placed], ddof=1)) if len(placed) > 1 else 0.0
        return paired.mean, math.hypot(paired.error, spread / math.sqrt(len(placed)))


def _donors(present: npt.NDArray[np.bool_], keys: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Positions of the events whose values each event gets, among those with the same jets.

    Events with the same jets are put into the order of `keys`, shape (repeats, events).
    """
    _, pattern = np.unique(np.packbits(present, axis=0), axis=1, return_inverse=True)
    donors = np.empty(keys.shape, np.int64)
    for kind in range(pattern.max() + 1):
        alike = np.flatnonzero(pattern.ravel() == kind)
        donors[:, alike] = alike[np.argsort(keys[:, alike], axis=1, kind="stable")]
    return donors


def _losses(
    shuffles: _Shuffles,
    groups: Sequence[Group],
    progress: bool,
    should_stop: Callable[[], bool],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Losses of AUC of all groups when shuffled, and their errors."""
    from tqdm.auto import tqdm

    found = []
    try:
        with tqdm(total=len(groups), desc="importance", disable=not progress, leave=True) as bar:
            for _, some in shuffles.blocks(groups):
                for scores in shuffles.scores(some):
                    if should_stop():
                        raise KeyboardInterrupt
                    found.append(shuffles.loss(scores))
                bar.update(len(some))
    except KeyboardInterrupt:
        raise ImportanceInterrupted(
            f"importance was interrupted when {len(found)} of {len(groups)} groups were shuffled: "
            "there is nothing to keep"
        ) from None
    drops, errors = np.array(found).T
    return drops, errors


def _placed(data: Dataset, scores: npt.NDArray[Any]) -> Placements:
    return Placements.of(Scored.of(data.y, scores, data.weight))
