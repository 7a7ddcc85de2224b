"""Numbers that JSON has: finite ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import GraphError

Array = npt.NDArray[Any]


def all_finite(values: Array) -> bool:
    """Return True if every value is finite."""
    # The sum of squares tells at half the cost, unless it is too large itself.
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def json_numbers(values: Array, name: str = "", single: bool = False) -> Array:
    """A model's answer as JSON can hold it; orjson would write null for what is no number.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (events, …).
    name : str
        Of the output, if there are several.
    single : bool
        Whether the only event is to stand alone.

    Returns
    -------
    numpy.ndarray
        Contiguous, of shape (events, …) or that of the only event.

    Raises
    ------
    GraphError
        Naming the first event whose answer is not finite.
    """
    if values.dtype.kind == "f" and not all_finite(values):
        at = np.argwhere(~np.isfinite(values))[0]
        output = f" in {name!r}" if name else ""
        raise GraphError(
            f"the model answers event {at[0]} with {values[tuple(at)]}{output}, which JSON cannot "
            "hold: look at what was sent, or ask in a binary form (/npy, /arrow, /proto)"
        )
    return np.ascontiguousarray(values[0] if single else values)
