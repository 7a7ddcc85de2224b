"""Importance by refitting: AUC of classifiers that were trained without a group of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import TrainingInterrupted
from tfaas_nb.measured import Measured, OneLine
from tfaas_nb.metrics.comparison import (
    TRAINING_IS_IN_IT,
    TRAINING_IS_NOT_IN_IT,
    Comparison,
    over_trainings,
)
from tfaas_nb.metrics.roc import Roc

Scorer = Callable[[Dataset], npt.ArrayLike]

#: Trains on events with the seed so many steps after the classifier's own; returns a scorer.
Retrain = Callable[[Dataset, int], Scorer]


@dataclass(frozen=True, repr=False, eq=False)
class RefitLoss(OneLine):
    """Loss of AUC of classifiers that were trained without a group of features.

    Attributes
    ----------
    pairs : tuple of Comparison
        For each seed the classifier with all features against that without the group, on the
        same events.
    """

    pairs: tuple[Comparison, ...]

    @property
    def measured(self) -> Measured:
        """Mean loss over the trainings, with its error."""
        return over_trainings([pair.paired for pair in self.pairs])

    @property
    def area(self) -> Measured:
        """AUC with all features, the mean over the trainings."""
        return over_trainings([pair.curves[0].area for pair in self.pairs])

    @property
    def error_is_of(self) -> str:
        """Sentence about what is in the error, and what is not."""
        if len(self.pairs) > 1:
            return TRAINING_IS_IN_IT
        return f"{TRAINING_IS_NOT_IN_IT}: importance(refit=True, seeds=5)"

    def __repr__(self) -> str:
        return f"RefitLoss({self.measured}; {self.error_is_of})"


@dataclass(frozen=True, eq=False)
class Refit:
    """Trainings without groups of features.

    A group is dropped by giving each of its features one and the same value in all events that
    have it, of the training and of the test: no training learns anything from a constant.
    Which jets an event has stays known, as it does when features are shuffled.

    Attributes
    ----------
    training : Dataset
        Events to train on.
    retrain : callable
        Trains on a dataset with the seed so many steps after the classifier's own, and returns
        a scorer of datasets.
    seeds : int
        Trainings without each group, with as many seeds one after another.
    """

    training: Dataset
    retrain: Retrain
    seeds: int = 1

    def losses(
        self,
        scorer: Scorer,
        test: Dataset,
        groups: Sequence[Sequence[str]],
        progress: bool,
        should_stop: Callable[[], bool],
    ) -> tuple[RefitLoss | None, ...]:
        """Losses of AUC without each of the groups, in their order.

        Parameters
        ----------
        scorer : callable
            Classifier that was trained with all features.
        test : Dataset
            Events that no training sees.
        groups : sequence of sequence of str
            Features to drop together.
        progress : bool
            Show a progress bar.
        should_stop : callable
            Asked before each training; True ends it, as a `KeyboardInterrupt` does.

        Returns
        -------
        tuple of RefitLoss or None
            None for those after an interrupt, by which none of the former is lost.
        """
        from tqdm.auto import tqdm

        total = self.seeds - 1 + len(groups) * self.seeds
        found: list[RefitLoss] = []
        with (
            suppress(KeyboardInterrupt, TrainingInterrupted),
            tqdm(total=total, desc="refitting", unit="training", disable=not progress) as bar,
        ):
            train = partial(self._train, test, bar.update, should_stop)
            full = [_judged(scorer, test)]
            full += [train((), step) for step in range(1, self.seeds)]
            for names in groups:
                without = [train(names, step) for step in range(self.seeds)]
                found.append(_loss(full, without))
        return (*found, *[None] * (len(groups) - len(found)))

    def _train(
        self,
        test: Dataset,
        done: Callable[[], object],
        should_stop: Callable[[], bool],
        names: Sequence[str],
        step: int,
    ) -> Roc:
        if should_stop():
            raise KeyboardInterrupt
        values = _constants(self.training, names)
        scorer = self.retrain(_without(self.training, values), step)
        roc = _judged(scorer, _without(test, values))
        done()
        return roc


def _loss(full: Sequence[Roc], without: Sequence[Roc]) -> RefitLoss:
    names = ("all features", "without the group")
    pairs = zip(full, without, strict=True)
    return RefitLoss(tuple(Comparison.of_curves(pair, names) for pair in pairs))


def _judged(scorer: Scorer, test: Dataset) -> Roc:
    return Roc.of(test.y, scorer(test), test.weight)


def _constants(data: Dataset, names: Sequence[str]) -> dict[str, Any]:
    """A value of each feature from the middle of those that events have, not of the padding."""
    found: dict[str, Any] = {}
    for name in names:
        values = np.sort(data.X[data.present(name), data.features.column(name)])
        if len(values):
            found[name] = values[len(values) // 2]
    return found


def _without(data: Dataset, values: dict[str, Any]) -> Dataset:
    """Events that all have these values of features."""
    if not values:
        return data
    X = data.X.copy()
    for name, value in values.items():
        X[data.present(name), data.features.column(name)] = value
    return replace(data, X=X)
