"""The band in which a ROC curve lies, from resampled events.

Each replica gives every event a Poisson weight of mean one and both classes their own total
(a stratified bootstrap).  Events are first gathered in narrow bins of the score: the sum of n
equal weights is then one Poisson number, and that of unequal ones a scaled Poisson number with
the same mean and variance (G. Bohm, G. Zech, NIM A 748 (2014) 1).  All replicas are drawn
together, in blocks that bound the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfaas_nb.errors import DataError
from tfaas_nb.metrics.scored import Array, Scored
from tfaas_nb.options import check_seed, is_number, is_whole

#: Numbers in an array of replicas × bins drawn at once (8 bytes each; a few such arrays live).
_BLOCK = 1 << 20

#: Most bins of each of the three kinds.
_BINS = 400


@dataclass(frozen=True, repr=False, eq=False)
class Band:
    """Where a ROC curve lies with a given probability.

    Attributes
    ----------
    eps_s : numpy.ndarray
        Signal efficiencies, rising, shape (points,).
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
        check_seed(seed, DataError)
        edges = _edges(events)
        signal = _Bins.of(events.signal, events.signal_weight, edges)
        background = _Bins.of(events.background, events.background_weight, edges)
        grid = np.unique(np.concatenate([np.linspace(0.01, 1, 100), np.geomspace(1e-3, 0.01, 10)]))
        random = np.random.default_rng(seed)
        found, areas = [], []
        for size in _blocks(replicas, len(edges)):
            eps_s, eps_b = signal.replicas(random, size), background.replicas(random, size)
            found.append(_interpolated(grid, eps_s, eps_b))
            areas.append(_area(eps_s, eps_b))
        tails = (0.5 - level / 2, 0.5 + level / 2)
        low, high = np.quantile(np.concatenate(found), tails, axis=0)
        error = float(np.concatenate(areas).std(ddof=1))
        return cls(grid, low, high, level, replicas, seed, error)

    def at(self, eps_s: float) -> tuple[float, float]:
        """Lowest and highest ε_B of the band at a signal efficiency."""
        low, high = (float(np.interp(eps_s, self.eps_s, side)) for side in (self.low, self.high))
        return low, high

    def __repr__(self) -> str:
        return f"Band({self.level:.1%} of {self.replicas} replicas, seed {self.seed})"


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

    def replicas(self, random: np.random.Generator, size: int) -> Array:
        """Efficiencies at every edge, shape (size, 1 + bins), from 0 to 1."""
        drawn = random.poisson(self.counts, (size, len(self.counts))) * self.scale
        ladder = np.zeros((size, 1 + len(self.counts)))
        np.cumsum(drawn, axis=1, out=ladder[:, 1:])
        total = ladder[:, -1:]
        # A replica without any event, conceivable with a handful of them, is the sample itself.
        sample = np.cumsum(self.counts * self.scale)
        ladder[:, 1:] = np.where(total > 0, ladder[:, 1:], sample)
        efficiencies: Array = ladder / ladder[:, -1:]
        return efficiencies


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
