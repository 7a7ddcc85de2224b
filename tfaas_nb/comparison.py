"""Several classifiers trained and judged on the same events: one table, one plot."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.matching import matched
from tfaas_nb.data.negative import common, treated
from tfaas_nb.data.overlap import overlap
from tfaas_nb.data.stream import check_in_memory
from tfaas_nb.errors import DataError, TrainingError, TrainingInterrupted
from tfaas_nb.measured import Measured, OneLine
from tfaas_nb.metrics import EFFICIENCIES, Comparison, Roc
from tfaas_nb.metrics.comparison import (
    TRAINING_IS_IN_IT,
    TRAINING_IS_NOT_IN_IT,
    over_trainings,
)
from tfaas_nb.options import check_count, check_flag, check_option, check_seed
from tfaas_nb.table import Table
from tfaas_nb.yardsticks import Boosting, Logistic, Trainable, plain_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Nobody waits for more trainings of one classifier.
_MOST_SEEDS = 1000


@dataclass(frozen=True, repr=False, eq=False)
class Contender(OneLine):
    """A classifier that was compared.

    Attributes
    ----------
    name : str
        What it is called.
    roc : Roc
        On the test events.
    seconds : float
        Time to train it.
    trained : object
        What was fitted; it can ``predict``.
    repeats : tuple of Roc
        Those of its trainings with further seeds, on the test events.
    """

    name: str
    roc: Roc
    seconds: float
    trained: Any
    repeats: tuple[Roc, ...] = ()

    def __repr__(self) -> str:
        return f"Contender({self.name!r}: AUC {self.area.equation})"

    @property
    def trainings(self) -> tuple[Roc, ...]:
        """ROC curve of each training, the first one first."""
        return (self.roc, *self.repeats)

    @property
    def area(self) -> Measured:
        """AUC, the mean over its trainings, with its error; see `ComparedClassifiers`."""
        return over_trainings([roc.area for roc in self.trainings])


@checked_calls(TrainingError)
@dataclass(frozen=True, repr=False, eq=False)
class ComparedClassifiers:
    """Classifiers trained and tested on the same events; all are compared to the first.

    With several trainings of each, areas and differences are their means, and the error is
    √(σ² + t²s²/n): σ² is the mean of the squared errors of the finite sample (DeLong), which a
    mean over trainings on the same events has at most, s the standard deviation of n trainings,
    and t the 84 % quantile of Student's distribution with n − 1 degrees of freedom, by which the
    error covers 68 % with a few trainings, too.

    Attributes
    ----------
    contenders : tuple of Contender
        In the order in which they were given.
    notes : tuple of str
        What one must know of the events.
    """

    contenders: tuple[Contender, ...]
    notes: tuple[str, ...] = ()

    @property
    def curves(self) -> dict[str, Roc]:
        """ROC curves by name."""
        return {c.name: c.roc for c in self.contenders}

    def difference(self, name: str) -> Comparison:
        """AUC of a contender minus that of the first, paired event by event.

        Raises
        ------
        TrainingError
            If there is none of that name.
        """
        first = self.contenders[0]
        if not isinstance(name, str) or name not in self.curves:
            raise TrainingError(f"there is no {name!r:.100} among {', '.join(self.curves)}")
        return Comparison.of_curves((self.curves[name], first.roc), (name, first.name))

    def gain(self, name: str) -> Measured:
        """AUC of a contender minus that of the first, the mean over their trainings.

        The k-th training of one is paired with the k-th of the other, event by event.

        Raises
        ------
        TrainingError
            If there is none of that name.
        """
        paired = self.difference(name)
        first, one = self.contenders[0].trainings, self._contender(name).trainings
        pairs = [
            Comparison.of_curves((one[k % len(one)], first[k % len(first)]), paired.names)
            for k in range(max(len(first), len(one)))
        ]
        return over_trainings([pair.paired for pair in pairs])

    def _contender(self, name: str) -> Contender:
        return next(c for c in self.contenders if c.name == name)

    def table(self) -> Table:
        """AUC ± σ, the paired difference to the first, rejections, and seconds to train."""
        rejections = [f"1/ε_B at ε_S {efficiency}" for efficiency in EFFICIENCIES]
        columns = ("classifier", "AUC", "difference", *rejections, "training [s]")
        return Table(columns, tuple(map(self._row, self.contenders)), "; ".join(self.notes))

    def _row(self, contender: Contender) -> tuple[Any, ...]:
        points = [contender.roc.working_point(efficiency) for efficiency in EFFICIENCIES]
        is_first = contender is self.contenders[0]
        return (
            contender.name,
            str(contender.area),
            None if is_first else str(self.gain(contender.name)),
            *(p.told() for p in points),
            round(contender.seconds, 1),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw all ROC curves; see `plots.roc`."""
        from tfaas_nb import plots

        return plots.roc(self.curves, ax)

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "ROC curves of all classifiers")
        return self.table()._repr_html_() + picture


def yardsticks(seed: int = 1) -> dict[str, Trainable]:
    """The default classifier and those it is judged by."""
    return {
        "default": Classifier(seed=seed),
        "plain MLP": plain_network(seed),
        "logistic regression": Logistic(),
        "HistGradientBoosting": Boosting(seed=seed),
    }


@checked_calls(TrainingError)
def compare(
    train: Dataset,
    test: Dataset,
    classifiers: Mapping[str, Trainable] | None = None,
    seed: int = 1,
    progress: bool = True,
    allow_overlap: bool = False,
    seeds: int = 1,
) -> ComparedClassifiers:
    """Train classifiers on the same events, judge them on the same others.

    Parameters
    ----------
    train, test : Dataset
        From ``data.split()``, or others of the same features, matched by name.
    classifiers : mapping of name to Trainable, optional
        What to compare, the first being what the others are compared to; by default that of
        `yardsticks`: our default, a plain MLP, logistic regression and boosted trees.
    seed : int
        Of those default classifiers.
    progress : bool
        Show a progress bar.
    allow_overlap : bool
        Go on although test events are among the training events, which flatters some
        classifiers more than others.
    seeds : int
        Trainings of each classifier, with as many seeds one after another.  From 2 on the
        randomness of the trainings is in the errors.  A classifier without a seed is trained
        once.

    Returns
    -------
    ComparedClassifiers
        Its last line in a cell shows a table and the ROC curves.

    Raises
    ------
    TrainingError
        If there is nothing to compare, the events are a stream's, or a training fails.
    FeatureError
        If the features of the test events are others.
    DataError
        If a class is missing from the test events, some of them are in the training, too, or
        weights are negative and the classifiers do not all treat that in the same way.
    """
    from tqdm.auto import tqdm

    check_seed(seed)
    check_count("seeds", seeds)
    check_option("seeds", seeds, seeds <= _MOST_SEEDS, f"{_MOST_SEEDS} at most")
    check_flag("progress", progress)
    check_flag("allow_overlap", allow_overlap)
    chosen = yardsticks(seed) if classifiers is None else _named(classifiers)
    for events in (train, test):
        check_in_memory(events, "compare")
        events.check_finite()
    test = matched(test, train.features)
    seen = overlap(train, test)
    if not allow_overlap:
        seen.refuse("compare(train, test, allow_overlap=True)")
    how = common([c.settings.negative_weights for c in chosen.values() if _is_ours(c)])
    train, _ = _usable(train, how)
    test, told = _usable(test, how)
    leak = f"not an honest test: {seen} were in the training" if seen else ""
    variants = {name: list(_with_seeds(one, seeds)) for name, one in chosen.items()}
    total = sum(map(len, variants.values()))
    with tqdm(total=total, desc="comparing", unit="training", disable=not progress) as bar:
        contenders = tuple(
            _contender(name, ones, train, test, bar.update) for name, ones in variants.items()
        )
    errors = TRAINING_IS_NOT_IN_IT + ": compare(..., seeds=5)" if seeds == 1 else TRAINING_IS_IN_IT
    return ComparedClassifiers(contenders, tuple(note for note in (leak, told, errors) if note))


def _named(classifiers: Any) -> dict[str, Trainable]:
    """Classifiers by name."""
    if not isinstance(classifiers, Mapping) and hasattr(classifiers, "shape"):
        raise TrainingError("classifiers are compared by name: {'mine': classifier, ...}")
    if not classifiers:
        raise TrainingError("there is no classifier to compare: name one or more")
    if not isinstance(classifiers, Mapping):
        raise TrainingError("classifiers are compared by name: {'mine': classifier, ...}")
    for name, one in classifiers.items():
        if not isinstance(name, str) or isinstance(one, type) or not hasattr(one, "fit"):
            raise TrainingError(
                f"{name!r}: {one!r:.100} is no name and classifier; give a tn.Classifier or one "
                "of tfaas_nb.yardsticks"
            )
    return dict(classifiers)


def _is_ours(trainable: Trainable) -> TypeGuard[Classifier]:
    return isinstance(trainable, Classifier)


def _usable(data: Dataset, how: str) -> tuple[Dataset, str]:
    """Events as the classifiers treat negative weights, and what was done, in words."""
    found = treated(data.weight, how)
    if found.told:
        return replace(data[found.kept], weight=found.weight), found.told
    if (data.weight < 0).any():
        raise DataError(
            f"{np.count_nonzero(data.weight < 0)} of {len(data)} events have a negative weight: "
            "compare classifiers with negative_weights='absolute' (or 'ignore'), for instance "
            "tn.Classifier(negative_weights='absolute'), by which the others are treated, too"
        )
    return data, ""


def _with_seeds(trainable: Trainable, seeds: int) -> Iterator[Trainable]:
    """A classifier with its own seed and the next ones; a lone one if it has none."""
    yield trainable
    for step in range(1, seeds):
        if _is_ours(trainable):
            yield trainable.changed(seed=trainable.settings.seed + step)
        elif is_dataclass(trainable) and hasattr(trainable, "seed"):
            yield replace(trainable, seed=trainable.seed + step)


def _contender(
    name: str,
    variants: Sequence[Trainable],
    train: Dataset,
    test: Dataset,
    done: Callable[[], object],
) -> Contender:
    trainings = []
    for variant in variants:
        trainings.append(_judged(name, variant, train, test))
        done()
    return replace(trainings[0], repeats=tuple(training.roc for training in trainings[1:]))


def _judged(name: str, trainable: Trainable, train: Dataset, test: Dataset) -> Contender:
    start = time.perf_counter()
    trained = copy.copy(trainable).fit(train, progress=False)
    if isinstance(trained, Classifier) and trained.history.stopped == "interrupted":
        raise TrainingInterrupted(
            f"the comparison was interrupted in a training of {name!r}: there is nothing to keep"
        )
    seconds = time.perf_counter() - start
    return Contender(name, Roc.of(test.y, trained.predict(test), test.weight), seconds, trained)
