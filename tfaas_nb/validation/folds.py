"""Trainings that leave a fold out each: one after another here, or spread over a Dask cluster."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.classifier import Classifier
from tfaas_nb.cluster.spread import same, spread
from tfaas_nb.cluster.task import should_stop
from tfaas_nb.data.allocation import collect
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.overlap import Fingerprints
from tfaas_nb.data.stream import check_in_memory
from tfaas_nb.errors import TrainingError
from tfaas_nb.options import check_count, check_seed
from tfaas_nb.yardsticks import Trainable, Trained

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Scores of a fold by the classifier that was not trained on it.

    Attributes
    ----------
    scores : numpy.ndarray
        Of the fold's events, float32 of shape (events,).
    seconds : float
        Time to train it.
    """

    scores: npt.NDArray[np.float32]
    seconds: float


@dataclass(frozen=True, eq=False)
class Folds:
    """Events, and the parts of them that are left out in turn.

    Attributes
    ----------
    data : Dataset
        The events.
    left_out : tuple of numpy.ndarray
        Positions of each fold's events.
    """

    data: Dataset
    left_out: tuple[Positions, ...]

    @classmethod
    def of(cls, data: Dataset, folds: int, seed: int) -> Folds:
        """Folds that each have both classes in the same proportion.

        An event that is there several times is in one fold only: it would else be judged by
        a classifier that was trained on it.

        Raises
        ------
        TrainingError
            If there are fewer than 2, or too few events for them, or the data is a stream.
        FeatureError
            If a value of an event is not finite.
        """
        from sklearn.model_selection import StratifiedKFold

        check_in_memory(data, "cross-validation")
        check_count("folds", folds, 2)
        check_seed(seed)
        data.check_finite()
        first = Fingerprints.of(data).first()
        different = np.unique(first)
        y = data.y[different]
        fewest = min(np.count_nonzero(y == kind) for kind in (0, 1))
        if fewest < folds:
            raise TrainingError(f"{fewest} events of a class cannot be in {folds} folds")
        kind = StratifiedKFold(folds, shuffle=True, random_state=seed)
        fold = np.empty(len(data), dtype=np.intp)
        for number, (_, left_out) in enumerate(kind.split(y, y)):
            fold[different[left_out]] = number
        fold = fold[first]
        return cls(data, tuple(np.flatnonzero(fold == number) for number in range(folds)))

    def trainings(
        self, trainables: Sequence[Trainable], cluster: Any = None
    ) -> Generator[LeftOut | None, None, None]:
        """Train each without each of the folds, all folds of the first one first.

        Parameters
        ----------
        trainables : sequence of Trainable
            What to train; they are left as they are.
        cluster : distributed.Client, optional
            Of a Dask cluster whose workers train; the events travel to each of them once.

        Yields
        ------
        LeftOut or None
            None for a training that was interrupted.
        """
        work = _Work(self, tuple(map(_untrained, trainables)))
        tasks = [_Task(*pair) for pair in product(range(len(trainables)), range(len(self)))]
        if cluster is None:
            yield from map(work.train, tasks)
        else:
            yield from spread(cluster, _Work.train, tasks, partial(same, work))

    def __len__(self) -> int:
        return len(self.left_out)


@dataclass(frozen=True)
class _Task:
    trainable: int
    fold: int

    def __str__(self) -> str:
        return f"the training without fold {self.fold + 1}"


@dataclass(frozen=True, eq=False)
class _Work:
    folds: Folds
    trainables: tuple[Trainable, ...]

    def train(self, task: _Task) -> LeftOut | None:
        found = self._left_out(task)
        collect()  # or a process would grow with every fold
        return found

    def _left_out(self, task: _Task) -> LeftOut | None:
        data, left_out = self.folds.data, self.folds.left_out[task.fold]
        kept = np.ones(len(data), dtype=bool)
        kept[left_out] = False
        start = time.perf_counter()
        trained = _fitted(self.trainables[task.trainable], data[kept])
        seconds = time.perf_counter() - start
        if _interrupted(trained):
            return None
        return LeftOut(np.asarray(trained.predict(data[left_out]), np.float32), seconds)


def _untrained(trainable: Trainable) -> Trainable:
    """Remove the fit of a classifier, which need not be sent to a worker."""
    return trainable.changed() if isinstance(trainable, Classifier) else trainable


def _fitted(trainable: Trainable, data: Dataset) -> Trained:
    # A copy: another fold begins with what this one was given.
    own = copy.copy(trainable)
    if isinstance(own, Classifier):
        return own.fit(data, progress=False, should_stop=should_stop)
    return own.fit(data, progress=False)


def _interrupted(trained: Any) -> bool:
    """Return True if the training was interrupted, so that the classifier is not at its best."""
    return isinstance(trained, Classifier) and trained.history.stopped == "interrupted"
