"""The band in which a ROC curve lies, from resampled events.

Each replica gives every event an exponential weight of mean one and both classes their own total
(a stratified Bayesian bootstrap; D. B. Rubin, Ann. Stat. 9 (1981) 130).  The efficiency above
the k-th of n signal events is then Beta(k, n + 1 − k), as it is for events of any distribution.
What the best background event leaves out counts as half an event at either end, so that k
background events of n are Beta(k + ½, n − k + ½), H. Jeffreys' interval, which also holds
for few or none (L. D. Brown, T. T. Cai, A. DasGupta, Stat. Sci. 16 (2001) 101).

Events are first gathered in narrow bins of the score: the sum of n equal weights is then one
Gamma number, and that of unequal ones a scaled Gamma number with the same mean and variance
(after G. Bohm, G. Zech, NIM A 748 (2014) 1).  All replicas are drawn together, in blocks that
bound the memory.

The band is given where it can be trusted, and nowhere else.  Whether it can is decided by
background events that score *lower* than the cut in question: they do not depend on those that
pass it, so that the decision favours neither upward nor downward fluctuations of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.measured import OneLine
from tfaas_nb.metrics.passing import Tail
from tfaas_nb.metrics.scored import Array, Scored
from tfaas_nb.options import check_option, check_seed, is_number, is_whole

#: Replicas; more would take hours.
_MOST = 10**6
#: Numbers in an array of replicas × bins drawn at once (8 bytes each; a few such arrays live).
_BLOCK = 1 << 20

#: Most bins of each of the three kinds.
_BINS = 400

#: A band begins where so many background events, effectively, score lower than the cut, but not
#: as low as a looser one.
_BELOW = 8

#: The looser cut keeps so much more of the signal, but at most twice as much, and loses at least
#: half as much as the cut in question.
_MORE_SIGNAL = 0.2

#: Signal events, effectively, that a band needs on both sides of the cut.
_LEAST_SIGNAL = 10

#: Background events, effectively, that a useless classifier would leave below the cut: the band
#: ends where they could be too few for the rule above.
_LEAST_BACKGROUND = 4 * _BELOW


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Band(OneLine):
    """Confidence band of a ROC curve, for each signal efficiency by itself.

    Attributes
    ----------
    eps_s : numpy.ndarray
        Signal efficiencies at which the band is known, rising, shape (points,); none at which
        too few events are left.
    low, high : numpy.ndarray
        Background efficiencies between which the middle `level` of the replicas lie.
    level : float
        Probability content, 0.683 by default.
    replicas, seed : int
        How many there were, and what they depend on.
    auc_error : float
        Standard deviation of the replicas' areas: a check of DeLong's.
    """

    eps_s: Array
    low: Array
    high: Array
    level: float
    replicas: int
    seed: int
    auc_error: float

    @classmethod
    def of(cls, events: Scored, level: float = 0.683, replicas: int = 400, seed: int = 1) -> Band:
        """Resample scored events, for instance ``roc.events``.

        Parameters
        ----------
        events : Scored
            Scores and weights of both classes.
        level : float
            Probability content, between 0 and 1.
        replicas : int
            How many samples to draw.
        seed : int
            The same seed gives the same band.

        Raises
        ------
        DataError
            If the level, the number of replicas or the seed is impossible.
        """
        if not (is_number(level) and 0 < level < 1):
            raise DataError(f"the level of a band lies between 0 and 1, not at {level!r}")
        if not is_whole(replicas, 2):
            raise DataError(f"a band needs two replicas or more, not {replicas!r}")
        check_option("replicas", replicas, replicas <= _MOST, f"at most {_MOST}", DataError)
        check_seed(seed, DataError)
        edges = _edges(events)
        signal = _Bins.of(events.signal, events.signal_weight, edges)
        background = _Bins.of(events.background, events.background_weight, edges)
        grid = np.unique(np.concatenate([np.linspace(0.01, 1, 100), np.geomspace(1e-3, 0.01, 10)]))
        grid = grid[_trusted(grid, events)]
        random = np.random.default_rng(seed)
        found, areas = [], []
        for size in _blocks(replicas, len(edges)):
            eps_s = signal.replicas(random, size, (0.0, 1.0))
            eps_b = background.replicas(random, size, (0.5, 0.5))
            found.append(_interpolated(grid, eps_s, eps_b))
            areas.append(_area(eps_s, eps_b))
        tails = (0.5 - level / 2, 0.5 + level / 2)
        low, high = np.quantile(np.concatenate(found), tails, axis=0)
        error = float(np.concatenate(areas).std(ddof=1))
        return cls(grid, low, high, level, replicas, seed, error)

    def at(self, eps_s: float) -> tuple[float, float]:
        """Lowest and highest ε_B of the band at a signal efficiency; NaN where it is not known."""
        if not len(self.eps_s) or not self.eps_s[0] <= eps_s <= self.eps_s[-1]:
            return math.nan, math.nan
        low, high = (float(np.interp(eps_s, self.eps_s, side)) for side in (self.low, self.high))
        return low, high

    @property
    def extent(self) -> str:
        """Range in which the band is drawn, and the reason for its ends, in a sentence."""
        if not len(self.eps_s):
            return "No band is drawn: there are too few events."
        return (
            f"The band is drawn from ε_S = {self.eps_s[0]:.2g} to {self.eps_s[-1]:.3g}; "
            "elsewhere too few events are left for it."
        )

    def __repr__(self) -> str:
        where = f"ε_S {self.eps_s[0]:.2g} to {self.eps_s[-1]:.3g}" if len(self.eps_s) else "nowhere"
        of = f"{self.level:.1%} of {self.replicas} replicas, seed {self.seed}"
        return f"Band({of}; drawn {where}, too few events elsewhere)"


@dataclass(frozen=True, repr=False, eq=False)
class _Bins:
    """One class in bins of falling score: effective counts, and the weight of a count."""

    counts: Array
    scale: Array

    @classmethod
    def of(cls, scores: Array, weight: Array, edges: Array) -> _Bins:
        """Bins between falling edges; a score on an edge belongs to the bin it ends."""
        at = np.searchsorted(-edges, -scores, side="left")
        sums = np.bincount(at, weight, len(edges))
        squares = np.bincount(at, weight**2, len(edges))
        scale = np.where(sums > 0, squares / np.where(sums > 0, sums, 1.0), 0.0)
        counts = np.where(scale > 0, sums / np.where(scale > 0, scale, 1.0), 0.0)
        return cls(counts, scale)

    def replicas(
        self, random: np.random.Generator, size: int, beyond: tuple[float, float]
    ) -> Array:
        """Efficiencies at every edge, shape (size, 1 + bins), from 0 to 1.

        So many events more, of the mean weight, lie beyond the highest and the lowest score.
        """
        drawn = random.standard_gamma(self.counts, (size, len(self.counts))) * self.scale
        mean = (self.counts * self.scale**2).sum() / (self.counts * self.scale).sum()
        above, below = (random.standard_gamma(n, (size, 1)) * mean for n in beyond)
        ladder = np.zeros((size, 1 + len(self.counts)))
        np.cumsum(drawn, axis=1, out=ladder[:, 1:])
        ladder[:, 1:] += above
        efficiencies: Array = ladder / (ladder[:, -1:] + below)
        # What no cut between the scores can keep is kept by none at all.
        efficiencies[:, -1] = 1.0
        return efficiencies


def replicas(
    events: Scored, falling: Array, random: np.random.Generator, size: int
) -> tuple[Array, Array]:
    """Efficiencies of cuts, for each of some replicas of the events.

    Parameters
    ----------
    events : Scored
        Scores and weights of both classes.
    falling : array of shape (cuts,)
        Cuts on the score, falling.
    random : numpy.random.Generator
        Draws the replicas.
    size : int
        How many there are.

    Returns
    -------
    tuple of two arrays of shape (size, cuts)
        Signal and background efficiencies.
    """
    edges = np.r_[falling, -np.inf]
    found = (
        _Bins.of(scores, weight, edges).replicas(random, size, (0.0, 0.0))[:, 1:-1]
        for scores, weight in (
            (events.signal, events.signal_weight),
            (events.background, events.background_weight),
        )
    )
    eps_s, eps_b = found
    return eps_s, eps_b


def _trusted(grid: Array, events: Scored) -> npt.NDArray[np.bool_]:
    """Signal efficiencies with enough events around, shape of the grid."""
    signal = Tail.of(events.signal, events.signal_weight)
    background = Tail.of(events.background, events.background_weight)
    share = signal.weights[1:] / signal.weights[-1]
    last = len(share) - 1
    below = (1 - grid) * min(
        signal.effective / _LEAST_SIGNAL, background.effective / _LEAST_BACKGROUND
    )
    enough = (grid * signal.effective >= _LEAST_SIGNAL) & (below >= 1)
    step = np.minimum(np.minimum(grid, (1 - grid) / 2), _MORE_SIGNAL)
    tight, loose = (
        background.above(-signal.falling[np.searchsorted(share, e - 1e-12).clip(max=last)])
        for e in (grid, grid + step)
    )
    squares = loose.squares - tight.squares
    between = (loose.weight - tight.weight) ** 2 / np.where(squares > 0, squares, np.inf)
    # From the first efficiency on at which that and all larger ones are trusted.
    passes = (between >= _BELOW) | (below < 1)
    from_here = np.logical_and.accumulate(passes[::-1])[::-1]
    trusted: npt.NDArray[np.bool_] = enough & from_here
    return trusted


def _edges(events: Scored) -> Array:
    """Falling scores that end bins: of every event if they are few, else fine where it counts.

    Fine are steps of signal, of background, and of the background's logarithm: the tail where
    few background events are left has a bin for each.
    """
    together = np.concatenate([events.signal, events.background])
    falling = np.unique(together)[::-1]
    if len(falling) <= 3 * _BINS:
        return falling
    signal, background = -np.sort(-events.signal), -np.sort(-events.background)
    chosen = np.concatenate(
        [
            signal[_steps(len(signal), linear=True)],
            background[_steps(len(background), linear=True)],
            background[_steps(len(background), linear=False)],
            falling[-1:],
        ]
    )
    return np.unique(chosen)[::-1]


def _steps(events: int, linear: bool) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if linear:
        at = np.linspace(0, events - 1, min(_BINS, events))
    else:
        at = np.geomspace(1, events, min(_BINS, events)) - 1
    return np.unique(at.round().astype(np.int64))


def _blocks(replicas: int, bins: int) -> list[int]:
    most = max(1, _BLOCK // (bins + 1))
    full, rest = divmod(replicas, most)
    return [most] * full + ([rest] if rest else [])


def _interpolated(grid: Array, eps_s: Array, eps_b: Array) -> Array:
    """ε_B of each replica at the efficiencies of the grid, shape (replicas, points)."""
    size, width = eps_s.shape
    # One search for all: replica r's efficiencies, in [0, 1], are moved to [2r, 2r + 1].
    offset = 2.0 * np.arange(size)[:, np.newaxis]
    places = np.searchsorted((eps_s + offset).ravel(), (grid + offset).ravel())
    right = np.clip(places.reshape(size, -1) - width * np.arange(size)[:, np.newaxis], 1, width - 1)
    rows = np.arange(size)[:, np.newaxis]
    x0, x1 = eps_s[rows, right - 1], eps_s[rows, right]
    y0, y1 = eps_b[rows, right - 1], eps_b[rows, right]
    step = np.where(x1 > x0, x1 - x0, 1.0)
    part = np.where(x1 > x0, (grid - x0) / step, 1.0)
    result: Array = y0 + np.clip(part, 0.0, 1.0) * (y1 - y0)
    return result


def _area(eps_s: Array, eps_b: Array) -> Array:
    """Area under each replica's ε_S over ε_B, ties (one bin) counted half."""
    heights = (eps_s[:, 1:] + eps_s[:, :-1]) / 2
    area: Array = (heights * np.diff(eps_b, axis=1)).sum(axis=1)
    return area
