"""Whether a score of 0.8 means that 80 % of such events are signal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError
from tfaas_nb.metrics.scored import Array, checked
from tfaas_nb.options import is_whole
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False, eq=False)
class Calibration:
    """Signal fraction against score, in bins of the score.

    What it says holds for the mixture of signal and background in the sample, weights included.

    Attributes
    ----------
    edges : numpy.ndarray
        Edges of the bins that have events, and of those between, shape (bins + 1,).
    score, fraction : numpy.ndarray
        Mean score and signal fraction of each bin, NaN in a bin without events.
    low, high : numpy.ndarray
        Binomial 68.3 % interval of the fraction (E. B. Wilson, JASA 22 (1927) 209), with
        effective numbers of events.
    weight : numpy.ndarray
        Share of each bin in the sample's weight.
    events : int
        Events in all.
    expected_error : float
        Expected calibration error: mean distance of fraction and score, weighted by bins.
    brier : float
        Brier score, the mean squared distance of score and class.
    chi2 : float
        Σ (fraction − score)²/variance over bins, as calibrated scores would vary.
    ndf : int
        Bins that have events.
    """

    edges: Array
    score: Array
    fraction: Array
    low: Array
    high: Array
    weight: Array
    events: int
    expected_error: float
    brier: float
    chi2: float = field(default=0.0)
    ndf: int = field(default=0)

    @classmethod
    def of(
        cls,
        y: npt.ArrayLike,
        scores: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        bins: int = 10,
    ) -> Calibration:
        """Compare scores that are probabilities with how often there was signal.

        Parameters
        ----------
        y, scores, weight : array of shape (events,)
            Classes (1 signal, 0 background), scores in [0, 1], event weights (1 by default).
        bins : int
            Bins of equal width.

        Raises
        ------
        DataError
            If a score is no probability, or the arrays do not fit together.
        """
        truth, score, w = checked(y, scores, weight)
        if score.min() < 0 or score.max() > 1:
            raise DataError(
                f"calibration needs probabilities; the scores reach from {score.min():.3g} "
                f"to {score.max():.3g}"
            )
        if not is_whole(bins, 1):
            raise DataError(f"calibration needs one bin or more, not {bins!r}")
        at = np.minimum((score * bins).astype(np.int64), bins - 1)
        total = _binned(at, w, bins)
        filled = total > 0
        mean, fraction, variance = (
            _mean(_binned(at, w * v, bins), total) for v in (score, truth, score * (1 - score))
        )
        n = _mean(total**2, _binned(at, w**2, bins))
        low, high = _wilson(fraction, n)
        share = total / total.sum()
        distance = np.abs(fraction - mean)[filled]
        variance = np.maximum(variance, 1e-12) / n
        return cls(
            edges=np.linspace(0, 1, bins + 1),
            score=mean,
            fraction=fraction,
            low=low,
            high=high,
            weight=share,
            events=len(truth),
            expected_error=float((share[filled] * distance).sum()),
            brier=float(np.average((score - truth) ** 2, weights=w)),
            chi2=float((distance**2 / variance[filled]).sum()),
            ndf=int(filled.sum()),
        )

    @property
    def p(self) -> float:
        """Probability of at least such a χ² if the scores are calibrated."""
        from scipy.stats import chi2

        return float(chi2.sf(self.chi2, self.ndf))

    def table(self) -> Table:
        """One row for each bin that has events."""
        rows = tuple(
            (f"{a:.2f}–{b:.2f}", float(s), float(f), f"{lo:.4f}–{hi:.4f}", f"{w:.1%}")
            for a, b, s, f, lo, hi, w in zip(
                self.edges[:-1],
                self.edges[1:],
                self.score,
                self.fraction,
                self.low,
                self.high,
                self.weight,
                strict=True,
            )
            if not math.isnan(s)
        )
        columns = ("score", "mean score", "signal fraction", "68.3 % interval", "weight")
        caption = (
            f"Expected calibration error {self.expected_error:.4f}, Brier score {self.brier:.4f}, "
            f"χ²/ndf = {self.chi2:.1f}/{self.ndf}, p = {self.p:.2g}"
        )
        return Table(columns, rows, caption)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw fraction over score; see `plots.calibration`."""
        from tfaas_nb import plots

        return plots.calibration(self, ax)

    def __repr__(self) -> str:
        return (
            f"Calibration(expected error {self.expected_error:.4f}, Brier {self.brier:.4f}, "
            f"χ²/ndf {self.chi2:.1f}/{self.ndf}, p {self.p:.2g})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "Signal fraction over the score")
        return self.table()._repr_html_() + picture


def _binned(at: npt.NDArray[np.int64], values: Array, bins: int) -> Array:
    sums: Array = np.bincount(at, values, bins).astype(np.float64)
    return sums


def _mean(sums: Array, total: Array) -> Array:
    """Sums over totals; NaN where there is nothing."""
    return np.where(total > 0, sums / np.where(total > 0, total, 1.0), np.nan)


def _wilson(fraction: Array, n: Array) -> tuple[Array, Array]:
    """Interval of one standard deviation for a binomial fraction of n events."""
    centre = (fraction + 1 / (2 * n)) / (1 + 1 / n)
    half = np.sqrt(fraction * (1 - fraction) / n + 1 / (4 * n**2)) / (1 + 1 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
