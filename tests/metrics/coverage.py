"""Coverage of intervals: samples of two Gaussians, whose ROC curve is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from tfaas_nb.metrics import Roc

NORMAL = NormalDist()
Array = npt.NDArray[np.float64]


def samples(
    number: int, signal: int, background: int, shift: float, weighted: bool = False, seed: int = 1
) -> Iterator[Roc]:
    """ROC curves of samples; weights are those of cubed uniform numbers, or one."""
    random = np.random.default_rng(seed)
    y = np.repeat([1, 0], [signal, background])
    for _ in range(number):
        weight = random.uniform(0.5, 1.5, len(y)) ** 3 if weighted else None
        yield Roc.of(y, random.normal(shift * y), weight)


def true_eps_b(eps_s: float, shift: float) -> float:
    return NORMAL.cdf(NORMAL.inv_cdf(eps_s) - shift)


def true_eps_s(eps_b: float, shift: float) -> float:
    return NORMAL.cdf(NORMAL.inv_cdf(eps_b) + shift)


def shares(found: Mapping[object, list[bool]]) -> dict[object, float]:
    """Share of the times that each was right."""
    return {key: float(np.mean(right)) for key, right in found.items()}


def covered(
    curves: Iterator[Roc], asked: Mapping[object, Callable[[Roc], bool]]
) -> dict[object, float]:
    """Share of the curves for which each statement is true."""
    found: dict[object, list[bool]] = {key: [] for key in asked}
    for roc in curves:
        for key, is_right in asked.items():
            found[key].append(is_right(roc))
    return shares(found)
