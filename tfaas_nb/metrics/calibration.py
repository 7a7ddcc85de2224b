"""Calibration of scores: of the events with a score of 0.8, 80 % should be signal.

In a bin, Σ w (y − p) is zero on average if the scores p are right.  An event of a score p is
signal with the probability π = (p/w_S) / (p/w_S + (1 − p)/w_B), if events of the two classes weigh
w_S and w_B: p is the share of signal in the *weights*, π that in the *events*.  Each event adds
the variance π (1 − π) (w_S (1 − p) + w_B p)², which is that of a Bernoulli variable with these two
outcomes; weights that differ within a class enter by their first and second moment.

Intervals are E. B. Wilson's (JASA 22 (1927) 209) for the share of signal in the events of a
bin, of which the share in their weights is a monotonic function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.measured import Measured
from tfaas_nb.metrics.ranking import variance_of_mean
from tfaas_nb.metrics.scored import Array, checked
from tfaas_nb.options import check_option, is_whole
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Events of a class that its mean weights in a bin are taken from; the nearest, if it has fewer.
_NEAREST = 20

#: Events of the rarer class that a term of χ² is expected to have.
_EXPECTED = 10

_OF_THE_EVENTS = "the mixture of signal and background of these events"

#: Reason why the expected calibration error has none itself.
_NO_ERROR = "without an error, since it is above zero by chance, too; χ² judges it"

#: Variances that are none but for rounding.
_TINY = 1e-12


_MOST_BINS = 10**6


@checked_calls(DataError)
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
        effective numbers of events of each class, see above.
    weight : numpy.ndarray
        Share of each bin in the sample's weight.
    events : int
        Events in all.
    expected_error : float
        Expected calibration error: mean distance of fraction and score, weighted by bins.
    brier : float
        Brier score, the mean squared distance of score and class.
    chi2 : float
        Σ (fraction − score)²/variance, as calibrated scores would vary, over bins that are
        merged with their neighbours until each is expected to hold 10 events of either class
        (after W. G. Cochran, Biometrics 10 (1954) 417).
    ndf : int
        Terms of that sum.
    mixture : str
        Mixture of signal and background that is judged, in words.
    brier_error : float
        Standard error of the Brier score, a weighted mean over the events of each class.
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
    mixture: str = field(default=_OF_THE_EVENTS)
    brier_error: float = field(default=0.0)

    @classmethod
    def of(
        cls,
        y: npt.ArrayLike,
        scores: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        bins: int = 10,
        signal_share: float | None = None,
    ) -> Calibration:
        """Compare scores that are probabilities with how often there was signal.

        Parameters
        ----------
        y, scores, weight : array of shape (events,)
            Classes (1 signal, 0 background), scores in [0, 1], event weights (1 by default).
        bins : int
            Bins of equal width.
        signal_share : float, optional
            Share of signal in the mixture that the scores are probabilities for: each class is
            weighted to it as a whole.  By default that of the events.

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
        check_option("bins", bins, bins <= _MOST_BINS, f"at most {_MOST_BINS}", DataError)
        if signal_share is not None:
            w = _mixed(truth, w, signal_share)
        at = _bins(score, bins)
        total = _binned(at, w, bins)
        filled = total > 0
        mean, fraction = (_mean(_binned(at, w * v, bins), total) for v in (score, truth))
        moments = _Moments.of(truth, score, w, bins)
        low, high = moments.interval(fraction, filled)
        share = total / total.sum()
        distance = np.abs(fraction - mean)[filled]
        chi2, ndf = _chi2(moments, at, score, total * (fraction - mean))
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
            chi2=chi2,
            ndf=ndf,
            mixture=mixture_in_words(signal_share),
            brier_error=_error_of_mean((score - truth) ** 2, w, truth),
        )

    @property
    def measured_brier(self) -> Measured:
        """Brier score with its error."""
        return Measured(self.brier, self.brier_error)

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
            f"Expected calibration error {self.expected_error:.4f}, {_NO_ERROR}; "
            f"Brier score {self.measured_brier}; χ²/ndf = {self.chi2:.1f}/{self.ndf}, "
            f"p = {self.p:.2g}; judged in {self.mixture}"
        )
        return Table(columns, rows, caption)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw fraction over score; see `plots.calibration`."""
        from tfaas_nb import plots

        return plots.calibration(self, ax)

    def __repr__(self) -> str:
        return (
            f"Calibration(expected error {self.expected_error:.4f}, Brier {self.measured_brier}, "
            f"χ²/ndf {self.chi2:.1f}/{self.ndf}, p {self.p:.2g}; the expected error is {_NO_ERROR})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "Signal fraction over the score")
        return self.table()._repr_html_() + picture


def _error_of_mean(values: Array, weight: Array, truth: npt.NDArray[np.int64]) -> float:
    """Standard error of a weighted mean over both classes, whose shares are as they are."""
    total = weight.sum()
    parts = [
        (weight[truth == kind].sum() / total) ** 2
        * variance_of_mean(values[truth == kind], weight[truth == kind])
        for kind in (0, 1)
    ]
    return math.sqrt(sum(parts))


def _binned(at: npt.NDArray[np.int64], values: Array, bins: int) -> Array:
    sums: Array = np.bincount(at, values, bins).astype(np.float64)
    return sums


def _mean(sums: Array, total: Array) -> Array:
    """Sums over totals; NaN where there is nothing."""
    return np.where(total > 0, sums / np.where(total > 0, total, 1.0), np.nan)


def _mixed(truth: npt.NDArray[np.int64], weight: Array, signal_share: float) -> Array:
    """Weights with which signal has a given share; their sum stays."""
    if not 0 < signal_share < 1:
        raise DataError(f"a share of signal lies between 0 and 1, not at {signal_share}")
    sums = [weight[truth == kind].sum() for kind in (0, 1)]
    shares = (1 - signal_share, signal_share)
    scale = [share * sum(sums) / total for share, total in zip(shares, sums, strict=True)]
    mixed: Array = weight * np.where(truth == 1, scale[1], scale[0])
    return mixed


@checked_calls(DataError)
def mixture_in_words(signal_share: float | None) -> str:
    """Name of the mixture in which signal has a given share; None for that of the events."""
    if signal_share is None:
        return _OF_THE_EVENTS
    if signal_share == 0.5:
        return "equal parts of signal and background, the mixture it was trained for"
    return f"a mixture of {signal_share:.3g} signal and {1 - signal_share:.3g} background"


@dataclass(frozen=True, eq=False)
class _Moments:
    """Weights of each class in each bin, arrays of shape (classes, bins).

    `first` and `second` are means of w and w²; where a bin has few events of the class, those
    of the nearest scores stand in.
    """

    sums: Array
    squares: Array
    first: Array
    second: Array

    @classmethod
    def of(cls, truth: npt.NDArray[np.int64], score: Array, w: Array, bins: int) -> _Moments:
        """Sums and means over the events of each class; index 0 is background, 1 signal."""
        events = [(score[k], w[k]) for k in ((truth == kind) & (w > 0) for kind in (0, 1))]
        sums, squares = (
            np.array([_binned(_bins(s, bins), weight**power, bins) for s, weight in events])
            for power in (1, 2)
        )
        means = np.array([_mean_weights(s, weight, bins) for s, weight in events])
        return cls(sums, squares, means[:, 0], means[:, 1])

    def interval(self, fraction: Array, filled: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
        """Wilson's interval for the share in the events, as shares in their weights."""
        counts = _mean(self.sums**2, self.squares)
        n = np.where(np.isnan(counts), 0.0, counts)
        events = np.where(filled, n.sum(axis=0), np.nan)
        # Weight of an effective event of each class.
        unit = np.where(n > 0, self.sums / np.where(n > 0, n, 1.0), self.second / self.first)
        low, high = (_share(end, unit[1], unit[0]) for end in _wilson(n[1] / events, events))
        return np.fmin(low, fraction), np.fmax(high, fraction)

    def variance(self, at: npt.NDArray[np.int64], score: Array) -> tuple[Array, Array]:
        """Return each event's variance of w (y − p), and its probability π to be signal."""
        (b1, s1), (b2, s2) = self.first[:, at], self.second[:, at]
        # Multiplied by both mean weights, so that a score of 0 or 1 divides by nothing.
        signal, background = score * b1, (1 - score) * s1
        pi = signal / (signal + background)
        return pi * s2 * (1 - score) ** 2 + (1 - pi) * b2 * score**2, pi


def _mean_weights(score: Array, w: Array, bins: int) -> Array:
    """Means of w and w² of a class in each bin, shape (2, bins)."""
    order = np.argsort(score, kind="stable")
    score, w = score[order], w[order]
    edges = np.linspace(0, 1, bins + 1)
    first, end = np.searchsorted(score, edges[:-1]), np.searchsorted(score, edges[1:])
    end[-1] = len(score)
    found = np.empty((2, bins))
    for i, (a, b) in enumerate(zip(first, end, strict=True)):
        if b - a < _NEAREST:
            distance = np.abs(score - (edges[i] + edges[i + 1]) / 2)
            near = w[np.argsort(distance, kind="stable")[:_NEAREST]]
        else:
            near = w[a:b]
        found[:, i] = near.mean(), (near**2).mean()
    return found


def _bins(score: Array, bins: int) -> npt.NDArray[np.int64]:
    """Bin of each score; 1 belongs to the last one."""
    return np.minimum((score * bins).astype(np.int64), bins - 1)


def _chi2(
    moments: _Moments, at: npt.NDArray[np.int64], score: Array, pulls: Array
) -> tuple[float, int]:
    """χ² of calibrated scores over merged bins, and how many there are."""
    bins = len(pulls)
    each, pi = moments.variance(at, score)
    variance = _binned(at, each, bins)
    rare = np.minimum(_binned(at, pi, bins), _binned(at, 1 - pi, bins))
    terms = _merged(np.bincount(at, minlength=bins) > 0, rare, variance)
    sums = np.array([(np.nansum(pulls[t]), max(variance[t].sum(), _TINY)) for t in terms])
    return float((sums[:, 0] ** 2 / sums[:, 1]).sum()), len(terms)


def _merged(filled: npt.NDArray[np.bool_], rare: Array, variance: Array) -> list[list[int]]:
    """Neighbouring bins put together until the rarer class is expected often enough.

    Bins that leave nothing to chance, with scores of 0 or 1 alone, stand by themselves.
    """
    sure = [[int(i)] for i in np.flatnonzero(filled & (variance <= _TINY))]
    groups: list[list[int]] = []
    for i in np.flatnonzero(filled & (variance > _TINY)):
        if groups and rare[groups[-1]].sum() < _EXPECTED:
            groups[-1].append(int(i))
        else:
            groups.append([int(i)])
    if len(groups) > 1 and rare[groups[-1]].sum() < _EXPECTED:
        last = groups.pop()
        groups[-1] += last
    return sure + groups


def _share(fraction: Array, signal: Array, background: Array) -> Array:
    """Share of signal in the weights, from that in the events and the weights of an event."""
    weighted = fraction * signal
    result: Array = weighted / (weighted + (1 - fraction) * background)
    return result


def _wilson(fraction: Array, n: Array) -> tuple[Array, Array]:
    """Interval of one standard deviation for a binomial fraction of n events."""
    centre = (fraction + 1 / (2 * n)) / (1 + 1 / n)
    half = np.sqrt(fraction * (1 - fraction) / n + 1 / (4 * n**2)) / (1 + 1 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
