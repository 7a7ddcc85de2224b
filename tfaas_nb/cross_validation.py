"""How much a classifier's AUC depends on the events it was given: k-fold cross-validation."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import TrainingError
from tfaas_nb.metrics import Roc
from tfaas_nb.options import check_option, is_whole
from tfaas_nb.table import Table
from tfaas_nb.yardsticks import Trainable, Trained


@dataclass(frozen=True, repr=False, eq=False)
class Fold:
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


@dataclass(frozen=True, repr=False, eq=False)
class CrossValidation:
    """What a classifier is worth on parts it was not trained on.

    Attributes
    ----------
    folds : tuple of Fold
        Those that were done.
    asked : int
        Folds that were asked for; more than were done after an interrupt.
    scores : numpy.ndarray
        For each event the score of the classifier that was not trained on it, float32 of
        shape (events,); NaN where that fold was not done.
    """

    folds: tuple[Fold, ...]
    asked: int
    scores: npt.NDArray[np.float32]

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

    def table(self) -> Table:
        """One row per fold."""
        rows = tuple(
            (i, len(f.events), f"{f.roc.auc:.4f} ± {f.roc.auc_error:.4f}", round(f.seconds, 1))
            for i, f in enumerate(self.folds, start=1)
        )
        return Table(("fold", "events", "AUC", "training [s]"), rows, repr(self))

    def __repr__(self) -> str:
        of = "" if len(self.folds) == self.asked else f" of {self.asked}, interrupted"
        plus_minus = f" ± {self.error:.4f}" if len(self.folds) > 1 else ""
        return f"CrossValidation({len(self.folds)} folds{of}: AUC {self.mean:.4f}{plus_minus})"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def cross_validate(
    data: Dataset,
    folds: int = 5,
    classifier: Trainable | None = None,
    seed: int = 1,
    progress: bool = True,
    should_stop: Callable[[], bool] | None = None,
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

    Raises
    ------
    TrainingError
        If there are fewer than 2 folds or too few events for them, or it was interrupted
        before the first fold was done.
    """
    check_option("folds", folds, is_whole(folds, 2), "a whole number, 2 or more")
    trainable = classifier or Classifier()
    scores = np.full(len(data), np.nan, np.float32)
    done: list[Fold] = []
    for kept, left_out in _progress(_split(data, folds, seed), folds, progress):
        if should_stop and should_stop():
            break
        try:
            start = time.perf_counter()
            trained = _fitted(trainable, data[kept])
            seconds = time.perf_counter() - start
            if _interrupted(trained):
                break
            part = data[left_out]
            found = np.asarray(trained.predict(part), np.float32)
        except KeyboardInterrupt:
            break
        scores[left_out] = found
        done.append(Fold(left_out, Roc.of(part.y, found, part.weight), seconds))
    if not done:
        raise TrainingError("cross-validation was interrupted before its first fold was done")
    return CrossValidation(tuple(done), folds, scores)


def _split(
    data: Dataset, folds: int, seed: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedKFold

    fewest = min(len(data.signal), len(data.background))
    if fewest < folds:
        raise TrainingError(f"{fewest} events of a class cannot be in {folds} folds")
    kind = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return [(kept, left_out) for kept, left_out in kind.split(data.X, data.y)]


def _fitted(trainable: Trainable, data: Dataset) -> Trained:
    # A copy: the caller's classifier keeps the fit it has.
    return copy.copy(trainable).fit(data, progress=False)


def _interrupted(trained: Any) -> bool:
    """Whether a classifier was stopped, which then is not worth what it could be."""
    return isinstance(trained, Classifier) and trained.history.stopped == "interrupted"


def _progress(parts: list[Any], total: int, enabled: bool) -> Iterator[Any]:
    from tqdm.auto import tqdm

    bar: Iterator[Any] = iter(
        tqdm(parts, total=total, desc="cross-validation", unit="fold", disable=not enabled)
    )
    return bar
