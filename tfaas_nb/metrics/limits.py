"""Errors and limits of efficiencies: of a cut that was given, and of one that the events chose.

A cut chosen for an efficiency of one class moves with that class's events.  Of n events,
Binomial(n, ε) score above the cut that has the efficiency ε in truth, whatever the scores'
distribution; where the curve would be at these positions says how the other class's efficiency
moves, which to first order is f_S/f_B times the error of the chosen one (the variance of a
quantile; H. A. David, H. N. Nagaraja, *Order Statistics*, 2003, sections 2.5 and 7.1).  Limits
are those of C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.  With weights, numbers of
events are effective ones, (Σw)²/Σw².
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tfaas_nb.measured import LEVEL
from tfaas_nb.metrics.passing import Tail
from tfaas_nb.metrics.scored import Array

#: Positions of the cut, equally probable, over which the spread of the curve is taken.
_POSITIONS = (np.arange(201) + 0.5) / 201

#: Expected events on either side of a chosen cut, below which its movement is not a spread.
LEAST_EVENTS = 1.0

#: With fewer events, effectively, rejections and areas are too uncertain to rank by, and marked.
FEW_EVENTS = 50

#: With fewer events in a class, effectively, their scatter says nothing of an error.
ONE_EVENT = 1.5

_ALPHA = 1 - LEVEL


def upper(passed: float, events: float, alpha: float = _ALPHA) -> float:
    """Clopper and Pearson's upper limit of an efficiency, at a confidence level of 1 − alpha."""
    from scipy.special import betaincinv

    if passed >= events:
        return 1.0
    return float(betaincinv(passed + 1, events - passed, 1 - alpha))


def lower(passed: float, events: float, alpha: float = _ALPHA) -> float:
    """Clopper and Pearson's lower limit of an efficiency, at a confidence level of 1 − alpha."""
    return 1.0 - upper(events - passed, events, alpha)


def given_cut(efficiency: float, events: float) -> tuple[float | None, float | None]:
    """Limits of the efficiency of a cut that was given, one-sided where it is 0 or 1."""
    passed = efficiency * events
    if efficiency <= 0:
        return None, upper(0.0, events)
    if efficiency >= 1:
        return lower(events, events), None
    return lower(passed, events, _ALPHA / 2), upper(passed, events, _ALPHA / 2)


def movement(chosen: float, events: float, other: Callable[[Array], Array]) -> float:
    """Spread of the other efficiency, as the cut chosen for an efficiency moves.

    Parameters
    ----------
    chosen : float
        Efficiency that was chosen.
    events : float
        Effective number of events of its class.
    other : callable
        The other efficiency of the cuts that are taken for chosen ones.
    """
    from scipy.special import betaincinv

    passing, failing = chosen * events, (1 - chosen) * events
    if not (passing > 0 and failing > 0):
        return 0.0
    positions = betaincinv(passing, failing, _POSITIONS)
    return float(np.std(other(positions)))


def is_movable(chosen: float, events: float) -> bool:
    """Return True if enough events lie on both sides of a cut to estimate how it varies."""
    return min(chosen, 1 - chosen) * events >= LEAST_EVENTS


def chosen_cut(chosen: float, by: Tail, other: Tail) -> tuple[float | None, float | None]:
    """Limits of the other class's efficiency at an efficiency that was chosen.

    The cut's limits and those of the efficiency there share the probability to be wrong (C. E.
    Bonferroni), so that the limits hold whatever the scores' distribution.

    Parameters
    ----------
    chosen : float
        Efficiency of the class that chose the cut.
    by, other : Tail
        Events of that class, and of the other one.
    """
    low, high = _lowest(chosen, by, other, _ALPHA), _highest(chosen, by, other, _ALPHA)
    if low > 0 and high < 1:
        return _lowest(chosen, by, other, _ALPHA / 2), _highest(chosen, by, other, _ALPHA / 2)
    return (low if low > 0 else None), (high if high < 1 or low <= 0 else None)


def _lowest(chosen: float, by: Tail, other: Tail, alpha: float) -> float:
    from scipy.special import bdtrik

    n = by.effective
    # The fewest events above the true cut, but for a probability of alpha / 2.
    least = max(math.ceil(float(bdtrik(alpha / 2, n, chosen)) - 1e-9), 0) if chosen < 1 else n
    if least < 1:
        return 0.0
    passed = _above(by, other, (least - 0.5) / n)
    return lower(passed, other.effective, alpha / 2)


def _highest(chosen: float, by: Tail, other: Tail, alpha: float) -> float:
    from scipy.special import bdtrik

    n = by.effective
    most = math.ceil(float(bdtrik(1 - alpha / 2, n, chosen))) if chosen < 1 else n
    if most + 1 > n:
        return 1.0
    return upper(_above(by, other, (most + 0.5) / n), other.effective, alpha / 2)


def _above(by: Tail, other: Tail, position: float) -> float:
    """Effective events of a class above the other's event at a position, from 0 to 1."""
    at = int(np.searchsorted(by.weights[1:] / by.weights[-1], min(position, 1.0)))
    threshold = -by.falling[min(at, len(by.falling) - 1)]
    return float(other.above(threshold).efficiency[0]) * other.effective
