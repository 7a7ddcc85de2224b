"""The area under a ROC curve as a mean over events, which gives it an error.

AUC is the probability that a signal event is ranked above a background event.  For each event
the fraction of the other class that it is ranked rightly against is its *placement*; the
area is the mean placement, and its variance that of two independent means (E. R. DeLong,
D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988) 837).  With weights the same means are
weighted ones.

Where that variance is zero or cannot be told, limits stand instead.  Pairs of a signal and a
background event that share no event are independent, and there are as many of them as events in
the smaller class.  If all of n such pairs are ranked rightly, AUC is above 0.05^(1/n) at 95 % CL
(C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404).  Of a class with one event, all that is
known is that a mean is below its observation / 0.05 at 95 % CL (A. A. Markov's inequality).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfaas_nb.measured import LEVEL, Measured
from tfaas_nb.metrics.limits import FEW_EVENTS, ONE_EVENT
from tfaas_nb.metrics.scored import Array, Scored

_ALPHA = 1 - LEVEL

Limits = tuple[float | None, float | None]


@dataclass(frozen=True, repr=False, eq=False)
class Placements:
    """Weighted fraction of the other class against which each event is ranked rightly.

    Attributes
    ----------
    signal, background : numpy.ndarray
        Shape (events of the class,), ties counted half.
    signal_weight, background_weight : numpy.ndarray
        Weights of the events.
    """

    signal: Array
    signal_weight: Array
    background: Array
    background_weight: Array

    @classmethod
    def of(cls, events: Scored) -> Placements:
        """Rank every event against all of the other class."""
        s, ws, b, wb = (
            *(events.signal, events.signal_weight),
            *(events.background, events.background_weight),
        )
        return cls(_fraction_below(s, b, wb), ws, 1.0 - _fraction_below(b, s, ws), wb)

    def minus(self, other: Placements) -> Placements:
        """Differences event by event, of the same events ranked by other scores."""
        return Placements(
            self.signal - other.signal,
            self.signal_weight,
            self.background - other.background,
            self.background_weight,
        )

    @property
    def mean(self) -> float:
        """The area under the curve, or the difference of two."""
        return float(np.average(self.signal, weights=self.signal_weight))

    @property
    def effective(self) -> float:
        """Effective number of events of the smaller class, (Σw)²/Σw²."""
        return min(_effective(self.signal_weight), _effective(self.background_weight))

    @property
    def measured(self) -> Measured:
        """The area with its error or limits, marked where a class has few effective events."""
        return self._measured(_limits_of_area, is_signed=False)

    @property
    def measured_difference(self) -> Measured:
        """The difference of two areas with its error or limits, marked likewise."""
        return self._measured(limits_of_difference, is_signed=True)

    def _measured(self, limits: Callable[[float, float], Limits], is_signed: bool) -> Measured:
        few, error = self.effective < FEW_EVENTS, self.error
        if error > 0 and self.effective >= ONE_EVENT:
            return Measured(self.mean, error, is_uncertain=few, is_signed=is_signed)
        found = limits(self.mean, self.effective)
        return Measured(self.mean, None, *found, is_uncertain=few, is_signed=is_signed)

    @property
    def error(self) -> float:
        """Its standard error."""
        variance = variance_of_mean(self.signal, self.signal_weight) + variance_of_mean(
            self.background, self.background_weight
        )
        return float(np.sqrt(variance))


def _fraction_below(of: Array, among: Array, weight: Array) -> Array:
    """Return for each score the weighted fraction of the others below it, ties counted half."""
    order = np.argsort(among)
    ladder = np.concatenate([[0.0], np.cumsum(weight[order])])
    below = ladder[np.searchsorted(among[order], of, side="left")]
    not_above = ladder[np.searchsorted(among[order], of, side="right")]
    fraction: Array = (below + not_above) / (2 * ladder[-1])
    return fraction


def variance_of_mean(values: Array, weight: Array) -> float:
    """Variance of a weighted mean of independent values; zero for a single one."""
    n = len(values)
    if n < 2:
        return 0.0
    mean = np.average(values, weights=weight)
    squares = (weight**2 * (values - mean) ** 2).sum() / weight.sum() ** 2
    return float(squares * n / (n - 1))


def _effective(weight: Array) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum())


def _limits_of_area(area: float, pairs: float) -> Limits:
    """Limits of an AUC whose placements do not scatter, or are those of a single event."""
    if pairs < ONE_EVENT:
        pairs = 1.0
    if area >= 1:
        return _ALPHA ** (1 / pairs), None
    if area <= 0:
        return None, 1 - _ALPHA ** (1 / pairs)
    share = (_ALPHA / 2) ** (1 / pairs)
    return area * share, 1 - (1 - area) * share


def limits_of_difference(difference: float, pairs: float) -> Limits:
    """Limits of a difference whose placements do not scatter, or are those of one event."""
    most = 1 - _ALPHA ** (1 / pairs) if pairs >= ONE_EVENT else 1.0
    if pairs < ONE_EVENT or not difference:
        return -most, most
    share = (_ALPHA / 2) ** (1 / pairs)
    low, high = (difference * share + side * (1 - share) for side in (-1, 1))
    return low, high
