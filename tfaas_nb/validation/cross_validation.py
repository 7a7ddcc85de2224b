"""k-fold cross-validation: the spread of a classifier's AUC with the events of its training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.negative import treated
from tfaas_nb.errors import TrainingError
from tfaas_nb.measured import Measured, OneLine
from tfaas_nb.metrics import Comparison, Roc
from tfaas_nb.options import check_flag, check_function, check_kind, check_option
from tfaas_nb.table import Table
from tfaas_nb.validation.folds import Folds, LeftOut
from tfaas_nb.yardsticks import Trainable


@dataclass(frozen=True, repr=False, eq=False)
class Fold(OneLine):
    """One of the parts that were left out in turn.

    Attributes
    ----------
    events : numpy.ndarray
        Positions of its events in the dataset.
    roc : Roc
        Of the classifier trained on all others.
    seconds : float
        Time to train it.
    """

    events: npt.NDArray[np.int64]
    roc: Roc
    seconds: float

    def __repr__(self) -> str:
        return f"Fold({len(self.events)} events: AUC {self.roc.area.equation})"


@checked_calls(TrainingError)
@dataclass(frozen=True, repr=False, eq=False)
class CrossValidation:
    """Result of a cross-validation: scores and AUC of each fold by the classifier without it.

    Attributes
    ----------
    folds : tuple of Fold
        Those that were done.
    asked : int
        Folds that were asked for; more than were done after an interrupt.
    scores : numpy.ndarray
        For each event the score of the classifier that was not trained on it, float32 of
        shape (events,); NaN where that fold was not done.
    negative : str
        What was done with events of negative weight, in words; empty if there were none.
    """

    folds: tuple[Fold, ...]
    asked: int
    scores: npt.NDArray[np.float32]
    negative: str = ""

    @property
    def aucs(self) -> npt.NDArray[np.float64]:
        """AUC of each fold."""
        return np.array([fold.roc.auc for fold in self.folds])

    @property
    def mean(self) -> float:
        """Mean AUC."""
        return float(self.aucs.mean())

    @property
    def spread(self) -> float:
        """Standard deviation of the folds' AUC; NaN for a single one."""
        return float(self.aucs.std(ddof=1)) if len(self.folds) > 1 else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean: `spread` over the root of the number of folds.

        The trainings share most of their events, so that it tells too little of what other
        training events would change (Bengio and Grandvalet, JMLR 5 (2004) 1089).
        """
        return self.spread / math.sqrt(len(self.folds))

    @property
    def measured(self) -> Measured:
        """Mean AUC with its error; with a fold's limits where the folds do not differ."""
        if len(self.folds) == 1:
            return self.folds[0].roc.area
        few = any(fold.roc.area.is_uncertain for fold in self.folds)
        lows = [fold.roc.area.low for fold in self.folds]
        low = min((limit for limit in lows if limit is not None), default=None)
        return Measured(self.mean, self.error, low, None, is_uncertain=few)

    def minus(self, other: CrossValidation) -> tuple[float, float]:
        """Mean over folds of the differences to another classifier's AUC, and its error.

        Both ranked the same events, which pairs them; the error is DeLong's for correlated curves
        (`tfaas_nb.metrics.Comparison`), folds added in quadrature.

        Raises
        ------
        TrainingError
            If the folds of both are not the same events.
        """
        wanted = "a CrossValidation of the same events"
        check_kind("other", other, CrossValidation, wanted)
        pairs = list(zip(self.folds, other.folds, strict=False))
        matched = len(self.folds) == len(other.folds)
        if not (matched and all(np.array_equal(a.events, b.events) for a, b in pairs)):
            raise TrainingError(
                "only the same folds of the same events can be compared: give both the same data, "
                "number of folds and seed"
            )
        found = [Comparison.of_curves((a.roc, b.roc), ("this", "other")) for a, b in pairs]
        error = math.sqrt(sum(one.error**2 for one in found)) / len(found)
        return float(np.mean([one.difference for one in found])), error

    def table(self) -> Table:
        """One row per fold."""
        rows = tuple(
            (i, len(f.events), str(f.roc.area), round(f.seconds, 1))
            for i, f in enumerate(self.folds, start=1)
        )
        return Table(("fold", "events", "AUC", "training [s]"), rows, repr(self))

    def __repr__(self) -> str:
        of = "" if len(self.folds) == self.asked else f" of {self.asked}, interrupted"
        means = "the standard error of the mean of folds, which share training events"
        if len(self.folds) == 1:
            means = "the error of the finite sample (DeLong)"
        told = f", {self.negative}" if self.negative else ""
        return (
            f"CrossValidation({len(self.folds)} folds{of}: AUC {self.measured.equation} "
            f"(±: {means}){told})"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@checked_calls(TrainingError)
def cross_validate(
    data: Dataset,
    folds: int = 5,
    classifier: Trainable | None = None,
    seed: int = 1,
    progress: bool = True,
    should_stop: Callable[[], bool] | None = None,
    cluster: Any = None,
) -> CrossValidation:
    """Train a classifier as often as there are folds, each time without one of them.

    A `KeyboardInterrupt`, or `should_stop` answering True before a fold, ends it with the folds
    that were done.

    Parameters
    ----------
    data : Dataset
        Events of both classes, which every fold has in the same proportion.
    folds : int
        Parts, 2 or more.
    classifier : Trainable, optional
        What to train: a `Classifier` (the default one if not given), which is left as it is, or
        one of `tfaas_nb.yardsticks`.
    seed : int
        Decides which events make a fold.
    progress : bool
        Show a progress bar.
    should_stop : callable, optional
        Asked before each fold.
    cluster : distributed.Client, optional
        Of a Dask cluster whose workers train, each a fold at a time; the events travel to each
        worker once.  The result is the same.

    Raises
    ------
    TrainingError
        If there are fewer than 2 folds or too few events for them, or it was interrupted
        before the first fold was done.
    ClusterError
        If the cluster went away, or lost worker after worker with the same fold.
    """
    check_training(classifier, progress, should_stop)
    bar = Bar("cross-validation", "fold", progress)
    parts = Folds.of(data, folds, seed)
    chosen = Classifier() if classifier is None else classifier
    found = cross_validations(parts, [chosen], bar, should_stop, cluster)
    if not found:
        raise TrainingError("cross-validation was interrupted before its first fold was done")
    return found[0]


def check_training(classifier: object, progress: object, should_stop: object) -> None:
    """Refuse what cannot be trained, and what shows or stops no training.

    Raises
    ------
    TrainingError
        Naming the argument.
    """
    right = classifier is None or (hasattr(classifier, "fit") and not isinstance(classifier, type))
    wanted = "a classifier such as tn.Classifier(epochs=10), which fit() trains"
    check_option("classifier", classifier, right, wanted)
    check_flag("progress", progress)
    check_function("should_stop", should_stop)


@dataclass(frozen=True)
class Bar:
    """A progress bar: what it says, what it counts, and whether it is shown."""

    desc: str
    unit: str
    enabled: bool


def cross_validations(
    parts: Folds,
    trainables: Sequence[Trainable],
    bar: Bar,
    should_stop: Callable[[], bool] | None = None,
    cluster: Any = None,
) -> list[CrossValidation]:
    """Cross-validate one after the other on the same folds; see `cross_validate`.

    Returns
    -------
    list of CrossValidation
        Of those of which a fold was done, the last one perhaps without all folds.
    """
    found: list[CrossValidation] = []
    ways = [_way(trainable) for trainable in trainables]
    trainings = parts.trainings(trainables, cluster)
    with closing(trainings), suppress(KeyboardInterrupt):
        for fold in _progress(list(range(len(parts))) * len(trainables), bar):
            if should_stop and should_stop():
                break
            done = next(trainings)
            if done is None:
                break
            if not fold:
                found.append(_nothing_of(parts, ways[len(found)]))
            found[-1] = _with(found[-1], parts, done, ways[len(found) - 1])
    return found


def _way(trainable: Trainable) -> str:
    """Return the treatment of negative weights by a classifier."""
    return trainable.settings.negative_weights if isinstance(trainable, Classifier) else "refuse"


def _nothing_of(parts: Folds, how: str) -> CrossValidation:
    scores = np.full(len(parts.data), np.nan, np.float32)
    return CrossValidation((), len(parts), scores, treated(parts.data.weight, how).told)


def _with(found: CrossValidation, parts: Folds, done: LeftOut, how: str) -> CrossValidation:
    """Add one fold to a cross-validation."""
    left_out = parts.left_out[len(found.folds)]
    part, scores = parts.data[left_out], found.scores.copy()
    scores[left_out] = done.scores
    used = treated(part.weight, how)
    roc = Roc.of(part.y[used.kept], done.scores[used.kept], used.weight)
    return replace(found, folds=(*found.folds, Fold(left_out, roc, done.seconds)), scores=scores)


def _progress(items: list[int], bar: Bar) -> Iterator[int]:
    from tqdm.auto import tqdm

    return iter(tqdm(items, desc=bar.desc, unit=bar.unit, disable=not bar.enabled))
