"""The area under a ROC curve as a mean over events, which gives it an error.

AUC is the probability that a signal event is ranked above a background event.  For each event
the fraction of the other class that it is ranked rightly against is its *placement*; the
area is the mean placement, and its variance that of two independent means (E. R. DeLong,
D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988) 837).  With weights the same means are
weighted ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfaas_nb.metrics.scored import Array, Scored


@dataclass(frozen=True, repr=False, eq=False)
class Placements:
    """For each event, the weighted fraction of the other class it is ranked rightly against.

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
    def error(self) -> float:
        """Its standard error."""
        variance = _variance_of_mean(self.signal, self.signal_weight) + _variance_of_mean(
            self.background, self.background_weight
        )
        return float(np.sqrt(variance))


def _fraction_below(of: Array, among: Array, weight: Array) -> Array:
    """For each score, the weighted fraction of the others below it, ties counted half."""
    order = np.argsort(among)
    ladder = np.concatenate([[0.0], np.cumsum(weight[order])])
    below = ladder[np.searchsorted(among[order], of, side="left")]
    not_above = ladder[np.searchsorted(among[order], of, side="right")]
    fraction: Array = (below + not_above) / (2 * ladder[-1])
    return fraction


def _variance_of_mean(values: Array, weight: Array) -> float:
    n = len(values)
    if n < 2:
        return 0.0
    mean = np.average(values, weights=weight)
    squares = (weight**2 * (values - mean) ** 2).sum() / weight.sum() ** 2
    return float(squares * n / (n - 1))
