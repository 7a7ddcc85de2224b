"""Events of negative weight, as generators at next-to-leading order give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError

#: What `treated` may do with them besides leaving them as they are.
WAYS = ("absolute", "ignore")


@dataclass(frozen=True, eq=False)
class Treated:
    """Weights none of which is negative, if so asked, and what it took.

    Attributes
    ----------
    kept : numpy.ndarray
        Which events remain, shape (events,).
    weight : numpy.ndarray
        Weights of those, shape (events that remain,).
    told : str
        What was done, in words; empty if there was nothing to do.
    """

    kept: npt.NDArray[np.bool_]
    weight: npt.NDArray[Any]
    told: str


def treated(weight: npt.NDArray[Any], how: str) -> Treated:
    """Weights with the negative ones as ``"absolute"`` values, or without them (``"ignore"``).

    Any other way leaves all as they are.
    """
    negative = weight < 0
    count, kept = int(np.count_nonzero(negative)), np.ones(len(weight), dtype=bool)
    if not count or how not in WAYS:
        return Treated(kept, weight, "")
    if how == "absolute":
        told = f"{count} events of negative weight count by their absolute weight"
        return Treated(kept, np.abs(weight), told)
    return Treated(~negative, weight[~negative], f"{count} events of negative weight left out")


def check_way(how: object) -> None:
    """Refuse what `treated` does not know.

    Raises
    ------
    DataError
        Naming what it knows.
    """
    if not isinstance(how, str) or how not in WAYS:
        raise DataError(f"negative weights can be treated as one of {WAYS}, not {how!r}")


def common(ways: Sequence[str]) -> str:
    """The one way that all classifiers agree on, to be judged on the same events.

    Raises
    ------
    DataError
        If they do not.
    """
    different = sorted(set(ways))
    if len(different) > 1:
        raise DataError(
            f"classifiers with negative_weights {', '.join(map(repr, different))} cannot be judged "
            "on the same events of negative weight: give all of them the same"
        )
    return different[0] if different else "refuse"
