"""Learning curve: AUC on the same test events over the number of training events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.dataset import Dataset, check_dataset
from tfaas_nb.errors import DataError
from tfaas_nb.metrics.roc import Roc
from tfaas_nb.options import check_flag, check_seed, is_number
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Trains on events and gives back what scores others.
Trainer = Callable[[Dataset], Callable[[Dataset], npt.ArrayLike]]

FRACTIONS = (0.1, 0.2, 0.5, 1.0)


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class LearningCurve:
    """AUC over the number of training events.

    Attributes
    ----------
    events : tuple of int
        Training events of each point, rising.
    train, test : tuple of Roc
        ROC curves on the events of each training, and on the same test events.
    seed : int
        Which events were in the smaller samples depends on it.
    """

    events: tuple[int, ...]
    train: tuple[Roc, ...]
    test: tuple[Roc, ...]
    seed: int

    @classmethod
    def of(
        cls,
        trainer: Trainer,
        data: Dataset,
        test: Dataset,
        fractions: Sequence[float] = FRACTIONS,
        seed: int = 1,
        progress: bool = True,
    ) -> LearningCurve:
        """Train on growing parts of a dataset, each holding the one before.

        Parameters
        ----------
        trainer : callable
            Trains on a dataset and returns a scorer of datasets.
        data : Dataset
            Training events.
        test : Dataset
            Events that no training sees.
        fractions : sequence of float
            Parts of the training events, in (0, 1].
        seed : int
            Decides which events are in the smaller parts.
        progress : bool
            Show a progress bar.

        Raises
        ------
        DataError
            If a fraction or the seed is impossible, or there is no fraction.
        FeatureError
            If a value of an event is not finite.
        """
        from tqdm.auto import tqdm

        check_flag("progress", progress, DataError)
        parts = _fractions(fractions)
        check_seed(seed, DataError)
        for events in (data, test):
            check_dataset(events, "learning_curve")
            events.check_finite()
        order = _class_by_class(data, seed)
        train_curves, test_curves, sizes = [], [], []
        bar = tqdm(parts, desc="learning curve", unit="training", disable=not progress)
        for part in bar:
            taken = [kind[: max(1, round(part * len(kind)))] for kind in order]
            some = data[np.sort(np.concatenate(taken))]
            scorer = trainer(some)
            sizes.append(len(some))
            train_curves.append(Roc.of(some.y, scorer(some), some.weight))
            test_curves.append(Roc.of(test.y, scorer(test), test.weight))
            bar.set_postfix(auc=f"{test_curves[-1].auc:.4f}")
        return cls(tuple(sizes), tuple(train_curves), tuple(test_curves), seed)

    def table(self) -> Table:
        """One row for each training."""
        rows = tuple(
            (
                n,
                str(test.area),
                str(train.area),
            )
            for n, train, test in zip(self.events, self.train, self.test, strict=True)
        )
        return Table(("training events", "AUC, test", "AUC, training"), rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw AUC over events; see `plots.learning_curve`."""
        from tfaas_nb import plots

        return plots.learning_curve(self, ax)

    def __repr__(self) -> str:
        points = ", ".join(
            f"{roc.area} with {n}" for n, roc in zip(self.events, self.test, strict=True)
        )
        return f"LearningCurve(AUC {points} events)"

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "AUC over the number of training events")
        return self.table()._repr_html_() + picture


def _fractions(given: Any) -> list[float]:
    """Fractions of the training events, rising, each once."""
    listed = [given] if is_number(given) else given
    several = not isinstance(listed, (str, Mapping)) and isinstance(listed, Iterable)
    parts = list(listed) if several else []
    if not parts or not all(is_number(part) and 0 < part <= 1 for part in parts):
        raise DataError(f"fractions of the training events lie in (0, 1], not at {given!r}")
    return sorted(set(map(float, parts)))


def _class_by_class(data: Dataset, seed: int) -> list[npt.NDArray[np.int64]]:
    """Positions of each class in random order."""
    random = np.random.default_rng(seed)
    return [random.permutation(np.flatnonzero(data.y == kind)) for kind in (0, 1)]
