"""Events that pass cuts on a score: counts, sums of weights and of squared weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfaas_nb.metrics.scored import Array


@dataclass(frozen=True, repr=False, eq=False)
class Passing:
    """The events of one class that have a score of at least each of several thresholds.

    Attributes
    ----------
    count : numpy.ndarray
        Events that pass, unweighted, shape (thresholds,).
    weight, squares : numpy.ndarray
        Sums of their weights and of the squares of these.
    total, total_squares : float
        The same sums over all events of the class.
    """

    count: npt.NDArray[np.int64]
    weight: Array
    squares: Array
    total: float
    total_squares: float

    @property
    def efficiency(self) -> Array:
        """Fraction of the class's weight that passes."""
        return self.weight / self.total

    @property
    def error(self) -> Array:
        """Binomial error of the efficiency: that of a ratio of weighted counts."""
        eps = self.efficiency
        failing = self.total_squares - self.squares
        variance = ((1 - eps) ** 2 * self.squares + eps**2 * failing) / self.total**2
        return np.sqrt(np.maximum(variance, 0.0))

    @property
    def likely_error(self) -> Array:
        """The binomial error, and where it is zero because none or all pass that of one event."""
        one = self.total_squares / self.total**2
        return np.where(self.error > 0, self.error, one)

    @property
    def effective(self) -> Array:
        """Effective number of events that pass, (Σw)²/Σw²; zero where none does."""
        squares = np.where(self.squares > 0, self.squares, 1.0)
        return np.where(self.squares > 0, self.weight**2 / squares, 0.0)


@dataclass(frozen=True, repr=False, eq=False)
class Tail:
    """The events of one class by falling score, summed up.

    Attributes
    ----------
    falling : numpy.ndarray
        The negated scores, rising, shape (events,).
    weights, squares : numpy.ndarray
        Sums over the first 0, 1, ... events of their weights and of the squares of these.
    """

    falling: Array
    weights: Array
    squares: Array

    @classmethod
    def of(cls, scores: Array, weight: Array) -> Tail:
        """Order the events and sum them up."""
        order = np.argsort(-scores, kind="stable")
        w = weight[order]
        return cls(-scores[order], _ladder(w), _ladder(w**2))

    @property
    def effective(self) -> float:
        """Effective number of events of the class, (Σw)²/Σw²."""
        return float(self.weights[-1] ** 2 / self.squares[-1])

    @property
    def limit(self) -> float:
        """Upper limit at 95 % CL on the efficiency of a cut that no event passes, binomial."""
        return float(1 - 0.05 ** (1 / self.effective))

    def above(self, thresholds: npt.ArrayLike) -> Passing:
        """Sum the events with scores of at least each threshold; thresholds may have any order."""
        cuts = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
        count = np.searchsorted(self.falling, -cuts, side="right")
        w, squares = self.weights, self.squares
        return Passing(count, w[count], squares[count], float(w[-1]), float(squares[-1]))


def _ladder(values: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(values)])
