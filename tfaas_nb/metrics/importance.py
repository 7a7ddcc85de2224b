"""Permutation importance: loss of AUC when a feature is shuffled among the events with it.

The padding of absent jets stays where it is: a jet with a momentum but the mass of the padding
is nothing the classifier ever saw, and what it makes of it says nothing of the feature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset, check_dataset
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet
from tfaas_nb.measured import Measured
from tfaas_nb.metrics.limits import upper
from tfaas_nb.metrics.ranking import Placements
from tfaas_nb.metrics.scored import Scored
from tfaas_nb.options import check_count, check_seed, is_whole
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scorer = Callable[[Dataset], npt.ArrayLike]

#: Numbers in the events scored at once (4 bytes each).
_BLOCK = 1 << 24

#: More events make the errors smaller than anybody needs.
MOST_EVENTS = 20_000


@dataclass(frozen=True, repr=False, eq=False)
class Importance:
    """Loss of AUC when features are shuffled, largest first.

    Attributes
    ----------
    names : tuple of str
        Features, or variables whose slots were shuffled together.
    drop, error : numpy.ndarray
        Mean loss of AUC, and its standard error: of the paired difference on the same events
        (DeLong) and of the repeated shuffles, in quadrature. Shape (names,).
    auc : float
        AUC with all features in place.
    events, repeats, seed : int
        Events that were shuffled, how often each name was, and what this depends on.
    by : str
        ``"feature"`` or ``"variable"``.
    """

    names: tuple[str, ...]
    drop: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    auc: float
    events: int
    repeats: int
    seed: int
    by: str = field(default="feature")

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
    ) -> Importance:
        """Shuffle, score, compare.

        Parameters
        ----------
        scorer : callable
            Scores of a dataset's events, shape (events,).
        data : Dataset
            Events of both classes that the classifier has not seen.
        by : str
            ``"feature"``: each alone. ``"variable"``: all slots of a variable together;
            neighbouring slots that say the same cannot stand in for each other.
        repeats : int
            Shuffles of each.
        seed : int
            The same seed gives the same shuffles.
        progress : bool
            Show a progress bar.
        most_events : int
            Of a larger dataset as many are drawn at random, each class in proportion.

        Raises
        ------
        DataError
            If `by` is neither, a number is impossible, or a class is missing.
        FeatureError
            If a value of an event is not finite.
        """
        from tqdm.auto import tqdm

        if not is_whole(repeats, 1):
            raise DataError(f"shuffle once or more often, not {repeats!r} times")
        check_count("most_events", most_events, 2, DataError)
        check_seed(seed, DataError)
        check_dataset(data, "importance")
        data.check_finite()
        groups = _groups(data.features, by)
        random = np.random.default_rng(seed)
        data = _some(data, most_events, random)
        unshuffled = _placed(data, np.asarray(scorer(data)))
        keys = random.random((repeats, len(data)))
        drops, errors = np.zeros(len(groups)), np.zeros(len(groups))
        blocks = list(_blocks(list(groups.values()), len(data), len(data.features), repeats))
        with tqdm(total=len(groups), desc="importance", disable=not progress, leave=True) as bar:
            for start, columns in blocks:
                scores = _shuffled_scores(scorer, data, columns, keys)
                for i, found in enumerate(scores, start):
                    drops[i], errors[i] = _drop(unshuffled, data, found)
                bar.update(len(columns))
        order = np.argsort(-drops, kind="stable")
        names = tuple(groups)
        return cls(
            names=tuple(names[i] for i in order),
            drop=drops[order],
            error=errors[order],
            auc=unshuffled.mean,
            events=len(data),
            repeats=repeats,
            seed=seed,
            by=by,
        )

    def measured(self, position: int) -> Measured:
        """A loss with its error, or its limits where no event's rank changed."""
        drop, error = float(self.drop[position]), float(self.error[position])
        if error > 0:
            return Measured(drop, error, is_signed=True)
        limit = upper(0.0, max(self.events / 2, 1.0))
        return Measured(drop, None, drop - limit, drop + limit, is_signed=True)

    def table(self) -> Table:
        """One row for each name, the most important first."""
        rows = tuple((name, str(self.measured(at))) for at, name in enumerate(self.names))
        caption = f"AUC {self.auc:.4f} with all in place"
        return Table((self.by, "loss of AUC when shuffled"), rows, caption)

    def plot(self, ax: Axes | None = None, most: int = 20) -> Axes:
        """Draw the most important; see `plots.importance`."""
        from tfaas_nb import plots

        return plots.importance(self, ax, most)

    def __repr__(self) -> str:
        return (
            f"Importance({len(self.names)} by {self.by}, most: {self.names[0]} {self.measured(0)})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "Loss of AUC when features are shuffled")
        return self.table()._repr_html_() + picture


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


def _groups(features: FeatureSet, by: str) -> dict[str, list[int]]:
    """Columns to shuffle together, by name."""
    if by == "feature":
        return {name: [i] for i, name in enumerate(features.names)}
    if by == "variable":
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(features.names):
            groups.setdefault(features.variable(name).name, []).append(i)
        return groups
    raise DataError(f"importance is by 'feature' or by 'variable', not by {by!r}")


def _blocks(
    groups: list[list[int]], events: int, width: int, repeats: int
) -> Iterator[tuple[int, list[list[int]]]]:
    """Yield as many groups at a time as bounded memory holds, with the position of the first."""
    size = max(1, _BLOCK // max(1, events * width * repeats))
    for start in range(0, len(groups), size):
        yield start, groups[start : start + size]


def _shuffled_scores(
    scorer: Scorer, data: Dataset, groups: list[list[int]], keys: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Scores of shape (groups, repeats, events), asked for in one call.

    Events are shuffled by the order of `keys`, shape (repeats, events): columns that the same
    events have are shuffled alike.
    """
    repeats, n = keys.shape
    whole = data[np.tile(np.arange(n), len(groups) * repeats)]
    cube = whole.X.reshape(len(groups), repeats, n, -1)
    for g, columns in enumerate(groups):
        for column in columns:
            having = np.flatnonzero(data.present(data.features.names[column]))
            for r in range(repeats):
                shuffled = having[np.argsort(keys[r, having], kind="stable")]
                cube[g, r, having, column] = data.X[shuffled, column]
    return np.asarray(scorer(whole), dtype=np.float64).reshape(len(groups), repeats, n)


def _placed(data: Dataset, scores: npt.NDArray[Any]) -> Placements:
    return Placements.of(Scored.of(data.y, scores, data.weight))


def _drop(
    unshuffled: Placements, data: Dataset, scores: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Mean loss of AUC over repeats, and its error."""
    placed = [_placed(data, one) for one in scores]
    mean = Placements(
        np.mean([p.signal for p in placed], axis=0),
        unshuffled.signal_weight,
        np.mean([p.background for p in placed], axis=0),
        unshuffled.background_weight,
    )
    paired = unshuffled.minus(mean)
    spread = float(np.std([p.mean for p in placed], ddof=1)) if len(placed) > 1 else 0.0
    return paired.mean, math.hypot(paired.error, spread / math.sqrt(len(placed)))
