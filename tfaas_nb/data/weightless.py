"""Files and tables whose selected events all have weight 0, and so count for nothing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.units import FEW

_NAMED = 3  # files, in a warning


def warn_of_files(
    role: str, weight: str | float | None, files: Sequence[tuple[str, int, int]], stacklevel: int
) -> None:
    """Warn of a sample, or of files of it, in which no selected event has a weight but 0.

    Parameters
    ----------
    role : str
        Class of the sample.
    weight : str, float or None
        Branch, expression or number that gave the weights.
    files : sequence of (str, int, int)
        Name of each file, its selected events, and those of them with a weight that is not 0.
    stacklevel : int
        As for `warnings.warn`, from who calls this.
    """
    # A few events of one file of many may well have no weight.
    least = FEW if any(weighted for _, _, weighted in files) else 1
    zero = [(name, events) for name, events, weighted in files if events >= least and not weighted]
    if not zero:
        return
    names = ", ".join(name for name, _ in zero[:_NAMED])
    more = f" and {len(zero) - _NAMED} more" if len(zero) > _NAMED else ""
    events = sum(events for _, events in zero)
    warnings.warn(
        f"weight={weight!r} is 0 for all {events} selected events of {role} in {names}{more}: "
        "they count for nothing; is that the right branch?",
        stacklevel=stacklevel + 1,
    )


def warn_of_table(
    name: str, classes: Mapping[str, npt.NDArray[np.bool_]], weight: npt.NDArray[Any]
) -> None:
    """Warn of classes of a table in which no row has a weight but 0.

    Parameters
    ----------
    name : str
        Column of the weights.
    classes : mapping
        Class → mask of its rows.
    weight : numpy.ndarray
        Weights of the rows.
    """
    zero = [role for role, own in classes.items() if own.any() and not weight[own].any()]
    if zero:
        warnings.warn(
            f"the weight {name!r} is 0 in all rows of {' and of '.join(zero)}: they count for "
            "nothing; is that the right column?",
            stacklevel=4,
        )
