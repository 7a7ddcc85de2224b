"""Checks of numbers given as options, with errors that name the allowed values."""

from __future__ import annotations

import math
import os
from dataclasses import fields
from typing import Any

import numpy as np

from tfaas_nb.errors import TfaasError, TrainingError

COUNT = "a whole number, 1 or more"

#: Largest seed: scikit-learn and NumPy's older generators take 32 bits.
LARGEST_SEED = 2**32 - 1


def check_option(
    name: str, value: object, right: bool, wanted: str, error: type[TfaasError] = TrainingError
) -> None:
    """Refuse a value that is not right.

    Raises
    ------
    TrainingError
        Or another `error`, naming the option, what was wanted, and the value.
    """
    if not right:
        raise error(f"{name} must be {wanted}, not {value!r:.200}")


def check_count(
    name: str, value: object, least: int = 1, error: type[TfaasError] = TrainingError
) -> None:
    """Refuse a value that is no whole number of at least so much.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    check_option(name, value, is_whole(value, least), f"a whole number, {least} or more", error)


def check_seed(seed: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse a seed that not every generator of random numbers takes.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    right = is_whole(seed, 0) and seed <= LARGEST_SEED  # type: ignore[operator]
    check_option("seed", seed, right, f"a whole number from 0 to {LARGEST_SEED}", error)


def check_fraction(name: str, value: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse a fraction that leaves nothing on one side.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    right = is_number(value) and 0 < value < 1  # type: ignore[operator]
    check_option(name, value, right, "a fraction between 0 and 1, such as 0.3", error)


def check_flag(name: str, value: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse what is neither True nor False.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    check_option(name, value, isinstance(value, (bool, np.bool_)), "True or False", error)


def check_text(name: str, value: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse what is no text.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    check_option(name, value, isinstance(value, str), "text", error)


def check_path(name: str, value: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse what is no path of a file.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    right = isinstance(value, (str, os.PathLike)) and bool(os.fspath(value))
    check_option(name, value, right, "a path", error)


def check_function(name: str, value: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse what is neither a function nor None.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    check_option(name, value, value is None or callable(value), "a function or None", error)


def check_kind(
    name: str,
    value: object,
    kinds: type | tuple[type, ...],
    wanted: str,
    error: type[TfaasError] = TrainingError,
) -> None:
    """Refuse what is not of these kinds, naming its type.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    if not isinstance(value, kinds):
        raise error(f"{name} must be {wanted}, not {type(value).__name__} {value!r:.60}")


def as_plain(value: Any) -> None:
    """Turn NumPy's numbers among a frozen dataclass's attributes into Python's, for JSON."""
    for field in fields(value):
        held = getattr(value, field.name)
        if isinstance(held, np.generic):
            object.__setattr__(value, field.name, held.item())


def is_number(value: Any) -> bool:
    """Return True if it is a finite number; truth values are not."""
    kinds = (int, float, np.integer, np.floating)
    try:
        return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number larger than any float
        return False


def is_whole(value: Any, least: int) -> bool:
    """Return True if it is a whole number of at least `least`."""
    return is_number(value) and isinstance(value, (int, np.integer)) and bool(value >= least)
