"""What a number given as an option may be, and the error that says so."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from tfaas_nb.errors import TrainingError

COUNT = "a whole number, 1 or more"


def check_option(name: str, value: object, right: bool, wanted: str) -> None:
    """Refuse a value that is not right.

    Raises
    ------
    TrainingError
        Naming the option, what was wanted, and the value.
    """
    if not right:
        raise TrainingError(f"{name} must be {wanted}, not {value!r}")


def as_plain(value: Any) -> None:
    """Turn NumPy's numbers among a frozen dataclass's attributes into Python's, for JSON."""
    for field in fields(value):
        held = getattr(value, field.name)
        if isinstance(held, np.generic):
            object.__setattr__(value, field.name, held.item())


def is_number(value: Any) -> bool:
    """Whether it is a finite number; truth values are not."""
    kinds = (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any, least: int) -> bool:
    """Whether it is a whole number of at least so much."""
    return is_number(value) and isinstance(value, (int, np.integer)) and bool(value >= least)
