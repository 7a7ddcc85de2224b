"""Scores to judge: random ones, and all kinds of few events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Array = npt.NDArray[np.float64]
#: Classes, scores, weights.
Events = tuple[Array, Array, Array]


def scored(events: int = 2000, seed: int = 1, digits: int = 9) -> Events:
    """Classes, scores (with ties when there are few digits) and weights."""
    random = np.random.default_rng(seed)
    y = (np.arange(events) % 3 == 0).astype(float)
    scores = np.clip(random.normal(0.4 + 0.2 * y, 0.2), 0, 1).round(digits)
    return y, scores, random.exponential(1.0, events)


@st.composite
def few_events(draw: st.DrawFn) -> Events:
    """Events on a coarse grid: ties, equal weights and events without weight all occur."""
    event = st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 3))
    grid = st.integers(0, 8)
    both = [(True, draw(grid), 1), (False, draw(grid), 2)]
    y, scores, weight = np.array(both + draw(st.lists(event, max_size=40)), dtype=float).T
    return y, scores / 8, weight
