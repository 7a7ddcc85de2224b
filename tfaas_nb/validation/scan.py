"""Scan over hyper-parameters, with a cross-validation of each setting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import TrainingError
from tfaas_nb.measured import Measured, OneLine
from tfaas_nb.nearest import did_you_mean
from tfaas_nb.options import check_kind
from tfaas_nb.table import Table
from tfaas_nb.validation.cross_validation import (
    Bar,
    CrossValidation,
    check_training,
    cross_validations,
)
from tfaas_nb.validation.folds import Folds
from tfaas_nb.yardsticks import Trainable

#: Option → its values, of which all combinations are meant; or the combinations themselves.
Grid = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]

Options = Mapping[str, Any]


@dataclass(frozen=True, repr=False, eq=False)
class Trial(OneLine):
    """Settings that were tried.

    Attributes
    ----------
    options : mapping
        Option → its value; empty for the default, of which nothing is changed.
    classifier : Trainable
        With these settings, not trained.
    result : CrossValidation
        What it is worth.
    """

    options: Options
    classifier: Trainable
    result: CrossValidation

    def __repr__(self) -> str:
        return f"Trial({_told(self.options)}: AUC {_measured(self.result)})"


@checked_calls(TrainingError)
@dataclass(frozen=True, repr=False, eq=False)
class Scan:
    """Settings compared on the same folds.

    Attributes
    ----------
    trials : tuple of Trial
        The default first, then in the order of the grid.
    asked : int
        Settings that were asked for, the default among them; more than were tried after an
        interrupt.
    """

    trials: tuple[Trial, ...]
    asked: int

    @property
    def default(self) -> Trial:
        """The classifier as it was given."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """Trial with the largest mean AUC.

        The best of many looks better than it is: judge it on events that no fold had.
        """
        return max(self.trials, key=lambda trial: trial.result.mean)

    @property
    def best_options(self) -> Options:
        """Best options, to be given to a classifier: ``Classifier(**scan.best_options)``."""
        return self.best.options

    def difference(self, trial: Trial) -> tuple[float, float]:
        """AUC of a trial minus the default's, and its error; see `CrossValidation.minus`.

        Raises
        ------
        TrainingError
            If it is no trial.
        """
        check_kind("trial", trial, Trial, "a trial of a scan, such as scan.best")
        return trial.result.minus(self.default.result)

    def table(self) -> Table:
        """Return each trial's settings, mean AUC, and paired difference to the default."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.options))
        columns = (*names, "AUC, mean ± error", "AUC − default, paired", "")
        rows = tuple((*(_value(t, name) for name in names), *self._row(t)) for t in self.trials)
        return Table(columns, rows, repr(self))

    def _row(self, trial: Trial) -> tuple[Any, ...]:
        marks = {"default": self.default, "best": self.best}
        own = ", ".join(mark for mark, marked in marks.items() if marked is trial)
        difference = None if trial is self.default else _signed(*self.difference(trial))
        return (_measured(trial.result), difference, own)

    def __repr__(self) -> str:
        best = self.best
        of = "" if len(self.trials) == self.asked else f" of {self.asked}, interrupted"
        told = f"best {_told(best.options)}: AUC {_measured(best.result)}"
        if best is not self.default:
            told += f", {_signed(*self.difference(best))} to the default"
        return f"Scan({len(self.trials)} settings{of}, {best.result.asked} folds; {told})"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@checked_calls(TrainingError)
def scan(
    grid: Grid,
    data: Dataset,
    folds: int = 5,
    classifier: Trainable | None = None,
    seed: int = 1,
    progress: bool = True,
    should_stop: Callable[[], bool] | None = None,
    cluster: Any = None,
) -> Scan:
    """Cross-validate a classifier with other settings, all on the same folds.

    A `KeyboardInterrupt`, or `should_stop` answering True before a training, ends it with the
    settings whose folds were all done.

    Parameters
    ----------
    grid : mapping or sequence of mappings
        Attributes of `Settings` or `Architecture` to change: ``{"learning_rate": [2e-3, 1e-2],
        "members": [1, 2]}`` for all four combinations, or a list of combinations, such as
        ``[{"epochs": 30}, {"hidden": (128, 64)}]``.  Combinations that are the same are tried
        once, and so is the default.
    data : Dataset
        Events of both classes.  Keep others for the final judgement: the best of many looks
        better than it is.
    folds : int
        Parts, 2 or more.
    classifier : Trainable, optional
        What is changed and, as it is, compared to: by default ``Classifier()``.  One of
        `tfaas_nb.yardsticks` has options of its own.
    seed : int
        Decides which events make a fold.  What is random in a training depends on the
        classifier's own seed, the same for all.
    progress : bool
        Show a progress bar.
    should_stop : callable, optional
        Asked before each training.
    cluster : distributed.Client, optional
        Of a Dask cluster whose workers train; the events travel to each of them once.  The
        result is the same.

    Raises
    ------
    TrainingError
        If an option does not exist or has an impossible value, which is said before anything is
        trained; if there are too few events; or if it was interrupted before the default was done.
    ClusterError
        If the cluster went away, or lost worker after worker with the same training.
    """
    check_training(classifier, progress, should_stop)
    chosen = Classifier() if classifier is None else classifier
    wanted = _contenders(chosen, _combinations(grid))
    bar = Bar("scan", "training", progress)
    parts = Folds.of(data, folds, seed)
    found = cross_validations(parts, [c for _, c in wanted], bar, should_stop, cluster)
    trials = tuple(
        Trial(options, contender, result)
        for (options, contender), result in zip(wanted, found, strict=False)
        if len(result.folds) == folds
    )
    if not trials:
        raise TrainingError("the scan was interrupted before the default's folds were done")
    return Scan(trials, len(wanted))


def _combinations(grid: Grid) -> list[Options]:
    if not isinstance(grid, Mapping):
        given = list(grid) if isinstance(grid, Iterable) else [grid]
        if not all(isinstance(options, Mapping) for options in given):
            raise TrainingError("a list of settings has a mapping of option to value for each")
        _check_names({name for options in given for name in options})
        return given
    _check_names(grid)
    for name, values in grid.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or not values:
            raise TrainingError(f"{name} needs a list of values to try, not {values!r}")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _check_names(options: Iterable[Any]) -> None:
    odd = [name for name in options if not isinstance(name, str)]
    if odd:
        raise TrainingError(f"an option has a name, as text, not {odd[0]!r}")


def _contenders(default: Trainable, grid: list[Options]) -> list[tuple[Options, Trainable]]:
    """The default and what is different from it and from one another."""
    found: dict[str, tuple[Options, Trainable]] = {}
    for options in ({}, *grid):
        made = _changed(default, options)
        found.setdefault(_identity(made), (options, made))
    return list(found.values())


def _changed(trainable: Trainable, options: Options) -> Trainable:
    if isinstance(trainable, Classifier):
        return trainable.changed(**options)
    if not options:
        return trainable
    if not is_dataclass(trainable) or isinstance(trainable, type):
        raise TrainingError(f"{type(trainable).__name__} has no options that could be scanned")
    known = sorted(f.name for f in fields(trainable))
    if unknown := sorted(set(options) - set(known)):
        meant = did_you_mean(unknown[0], known)
        raise TrainingError(f"unknown options {unknown}; there are {known}{meant}")
    changed: Trainable = replace(trainable, **options)
    return changed


def _identity(trainable: Trainable) -> str:
    if isinstance(trainable, Classifier):
        return repr((trainable.settings, trainable.architecture))
    return repr(trainable)


def _value(trial: Trial, name: str) -> str:
    """An option's value, of those that do not change it the default's."""
    if name in trial.options:
        return str(trial.options[name])
    made = trial.classifier
    homes = (made.settings, made.architecture) if isinstance(made, Classifier) else (made,)
    return next(str(getattr(home, name)) for home in homes if hasattr(home, name))


def _told(options: Options) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "the default"


def _measured(result: CrossValidation) -> str:
    return str(result.measured)


def _signed(difference: float, error: float) -> str:
    return str(Measured(difference, error, is_signed=True))
