"""NaN as the mark of a missing value, for models that were trained with it.

Boosted trees send an event on where a value is missing; to other models NaN is a mistake.  So a
value that is NaN, or null in JSON and Arrow, is refused everywhere but within `passing`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt

#: What a model's ``params.json`` says of missing values: they are NaN, or there are none.
NAN, NONE = "nan", "none"

_passes: ContextVar[bool] = ContextVar("tfaas_nb_missing_passes", default=False)


@contextlib.contextmanager
def passing(is_passing: bool = True) -> Iterator[None]:
    """Take NaN and null among an event's values for missing ones, in this thread or task."""
    before = _passes.set(is_passing)
    try:
        yield
    finally:
        _passes.reset(before)


def passes() -> bool:
    """Return True if NaN and null are missing values now."""
    return _passes.get()


def may_pass(values: npt.NDArray[Any]) -> bool:
    """Return True if what is not finite among values is missing, and missing values pass now."""
    return _passes.get() and not bool(np.isinf(values).any())


def filled(values: list[Any]) -> list[Any]:
    """Values with NaN for null, if missing values pass now."""
    if not _passes.get() or None not in values:
        return values
    return [float("nan") if value is None else value for value in values]
