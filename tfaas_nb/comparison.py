"""Several classifiers trained and judged on the same events: one table, one plot."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.matching import matched
from tfaas_nb.data.negative import common, treated
from tfaas_nb.data.overlap import overlap
from tfaas_nb.data.stream import check_in_memory
from tfaas_nb.errors import DataError, TrainingError
from tfaas_nb.metrics import EFFICIENCIES, Comparison, Roc
from tfaas_nb.options import check_seed
from tfaas_nb.table import Table
from tfaas_nb.yardsticks import Boosting, Logistic, Trainable, plain_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False, eq=False)
class Contender:
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
    """

    name: str
    roc: Roc
    seconds: float
    trained: Any


@dataclass(frozen=True, repr=False, eq=False)
class ComparedClassifiers:
    """Classifiers trained and tested on the same events; all are compared to the first.

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
        if name not in self.curves:
            raise TrainingError(f"there is no {name!r} among {', '.join(self.curves)}")
        return Comparison.of_curves((self.curves[name], first.roc), (name, first.name))

    def table(self) -> Table:
        """AUC ± σ, the paired difference to the first, rejections, and seconds to train."""
        rejections = [f"1/ε_B at ε_S {efficiency}" for efficiency in EFFICIENCIES]
        columns = ("classifier", "AUC", "difference", *rejections, "training [s]")
        return Table(columns, tuple(map(self._row, self.contenders)), "; ".join(self.notes))

    def _row(self, contender: Contender) -> tuple[Any, ...]:
        points = [contender.roc.working_point(efficiency) for efficiency in EFFICIENCIES]
        paired = self.difference(contender.name)
        is_first = contender is self.contenders[0]
        return (
            contender.name,
            str(contender.roc.area),
            None if is_first else str(paired),
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


def compare(
    train: Dataset,
    test: Dataset,
    classifiers: Mapping[str, Trainable] | None = None,
    seed: int = 1,
    progress: bool = True,
    allow_overlap: bool = False,
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
    bar = tqdm(chosen.items(), desc="comparing", unit="classifier", disable=not progress)
    found = tuple(_judged(n, c, train, test) for n, c in bar)
    return ComparedClassifiers(found, tuple(note for note in (leak, told) if note))


def _named(classifiers: Any) -> dict[str, Trainable]:
    """Classifiers by name."""
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


def _judged(name: str, trainable: Trainable, train: Dataset, test: Dataset) -> Contender:
    start = time.perf_counter()
    trained = copy.copy(trainable).fit(train, progress=False)
    seconds = time.perf_counter() - start
    return Contender(name, Roc.of(test.y, trained.predict(test), test.weight), seconds, trained)
