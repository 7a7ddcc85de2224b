"""Two classifiers on the same events: which has the larger area, and is it more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.features.columns import check_aligned
from tfaas_nb.measured import LEVEL, Measured
from tfaas_nb.metrics.ranking import Placements
from tfaas_nb.metrics.roc import Roc
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Probability below one standard deviation, and the deviations within which 95 % are.
_ONE_SIGMA = 0.8413447460685429
_TWO_SIDED = 1.959963984540054

#: What the error of a difference leaves out.
TRAINING_IS_NOT_IN_IT = (
    "the error is that of the finite sample of events; the randomness of the trainings is not in it"
)

#: What the error of a mean over trainings has in it.
TRAINING_IS_IN_IT = (
    "means over the trainings; the errors are those of the finite sample of events and of the "
    "trainings together"
)


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """The difference of two areas under the ROC curve, paired event by event.

    Both classifiers rank the same events, so that most of the sample's fluctuations cancel:
    the error of the difference is DeLong's for correlated curves (Biometrics 44 (1988) 837;
    with weights, the same structural components weighted), usually much smaller than the
    errors of the two areas.

    Attributes
    ----------
    names : tuple of str
        The first and the second classifier.
    curves : tuple of Roc
        Their ROC curves.
    difference, error : float
        AUC of the first minus that of the second, and its standard error: that of the finite
        sample of events.  A training repeated with another seed gives another classifier, and
        by how much is not in it; see `tfaas_nb.compare` with ``seeds``.
    measured : Measured or None
        Both, or the limits of the difference where no event was ranked differently.
    """

    names: tuple[str, str]
    curves: tuple[Roc, Roc] = field(repr=False)
    difference: float
    error: float
    measured: Measured | None = None

    @classmethod
    def of(
        cls,
        y: npt.ArrayLike,
        first: npt.ArrayLike,
        second: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        names: tuple[str, str] = ("first", "second"),
    ) -> Comparison:
        """Compare two classifiers' scores of the same events.

        Parameters
        ----------
        y : array of shape (events,)
            1 for signal, 0 for background.
        first, second : array of shape (events,)
            Scores of the two; larger means more signal-like.
        weight : array of shape (events,), optional
            Event weights, not negative; 1 by default.
        names : tuple of str
            What to call them.

        Raises
        ------
        DataError
            If the shapes differ, a class is missing or has no weight, or a value is not finite.
        """
        check_aligned({"y": y, names[0]: first, names[1]: second, "weight": weight}, DataError)
        return cls.of_curves((Roc.of(y, first, weight), Roc.of(y, second, weight)), names)

    @classmethod
    def of_curves(cls, curves: tuple[Roc, Roc], names: tuple[str, str]) -> Comparison:
        """Compare ROC curves that were made of the same events in the same order."""
        one, other = (Placements.of(curve.events) for curve in curves)
        paired = one.minus(other)
        found = paired.measured_difference
        return cls(names, curves, paired.mean, paired.error, found)

    @property
    def paired(self) -> Measured:
        """The difference with its error, or its limits where no event was ranked differently."""
        return self.measured or Measured(self.difference, self.error, is_signed=True)

    def __str__(self) -> str:
        return str(self.paired)

    @property
    def z(self) -> float:
        """The difference in units of its error; zero for the same ranking."""
        if self.error:
            return self.difference / self.error
        return math.copysign(math.inf, self.difference) if self.difference else 0.0

    @property
    def p(self) -> float:
        """Probability of at least such a difference, of either sign, between equals."""
        return math.erfc(abs(self.z) / math.sqrt(2))

    def table(self) -> Table:
        """AUC ± σ of both, and the difference."""
        rows = tuple(
            (name, str(c.area), "", "") for name, c in zip(self.names, self.curves, strict=True)
        )
        has_error = self.paired.has_error
        last = (
            "difference, paired",
            str(self),
            f"{self.z:+.2f}" if has_error else "",
            f"{self.p:.2g}" if has_error else "",
        )
        return Table(("classifier", "AUC", "z", "p"), (*rows, last), TRAINING_IS_NOT_IN_IT)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both ROC curves; see `plots.roc`."""
        from tfaas_nb import plots

        return plots.roc(dict(zip(self.names, self.curves, strict=True)), ax)

    def __repr__(self) -> str:
        # Where a limit stands for the error there is nothing to count a difference in.
        pull = f", z {self.z:+.1f}, p {self.p:.2g}" if self.paired.has_error else ""
        return (
            f"Comparison(AUC {self.names[0]} − {self.names[1]} {self.paired.equation}"
            f"{pull}; {TRAINING_IS_NOT_IN_IT})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "ROC curves of both classifiers")
        return self.table()._repr_html_() + picture


def over_trainings(results: Sequence[Measured]) -> Measured:
    """The mean of areas, or of their differences, over trainings judged on the same events.

    Each result has the error of the finite sample, and the trainings' randomness is added.  Where
    a result has limits instead of an error, the mean has limits: the means of the results' own
    at 95 % CL (1.96 errors of those that have one), wider by the trainings' randomness.
    """
    if len(results) == 1:
        return results[0]
    n, few = len(results), any(one.is_uncertain for one in results)
    values = np.array([one.value for one in results])
    mean, signed = float(values.mean()), any(one.is_signed for one in results)
    spread = float(np.std(values, ddof=1)) / math.sqrt(n)
    if not all(one.has_error for one in results):
        limits = _limits_of_mean(results, spread * _student(n, (1 + LEVEL) / 2))
        return Measured(mean, None, *limits, is_uncertain=few, is_signed=signed)
    squares = np.array([one.error for one in results], float) ** 2
    error = math.hypot(math.sqrt(squares.mean()), spread * _student(n, _ONE_SIGMA))
    return Measured(mean, error, is_uncertain=few, is_signed=signed)


def _limits_of_mean(
    results: Sequence[Measured], spread: float
) -> tuple[float | None, float | None]:
    """Limits of the mean of results that share their events; None on a side that has none."""
    sides = [_limits(one) for one in results]
    if (None, None) in sides:
        return None, None
    lows, highs = zip(*sides, strict=True)
    values = [one.value for one in results]
    least = -1.0 if any(one.is_signed for one in results) else 0.0
    low = _mean(lows, values) - spread if spread or any(x is not None for x in lows) else None
    high = _mean(highs, values) + spread if spread or any(x is not None for x in highs) else None
    return (
        None if low is None else max(low, least),
        None if high is None else min(high, 1.0),
    )


def _limits(one: Measured) -> tuple[float | None, float | None]:
    if not one.has_error:
        return one.low, one.high
    away = _TWO_SIDED * (one.error or 0.0)
    return one.value - away, one.value + away


def _mean(limits: Sequence[float | None], values: Sequence[float]) -> float:
    """Mean of limits; a value at the end of what can be stands for one that it has not."""
    return float(np.mean([v if x is None else x for x, v in zip(limits, values, strict=True)]))


def _student(n: int, probability: float) -> float:
    """Quantile of Student's distribution for a mean of n."""
    from scipy.stats import t as student

    return float(student.ppf(probability, n - 1))
