"""Checks of numbers given as options, with errors that name the allowed values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tfaas_nb.errors import TfaasError, TrainingError

#: A number of bytes with its unit, as a command line or Python code gives it.
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)I?B?")
#: Bytes of a file's or folder's name on the usual file systems.
_LONGEST_NAME = 255

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
    check_option(name, value, is_path(value), "a path", error)


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


def check_bytes(name: str, value: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse what are no bytes of a file.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    check_kind(name, value, bytes, "the bytes of a file", error)


def check_names(name: str, value: object, error: type[TfaasError] = TrainingError) -> None:
    """Refuse what are no texts, one after the other; a single text is none.

    Raises
    ------
    TrainingError
        Or another `error`.
    """
    right = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))
    right = right and all(isinstance(one, str) for one in value)  # type: ignore[attr-defined]
    check_option(name, value, right, "a list of texts, such as ['signal']", error)


def bytes_in(text: str) -> int | None:
    """Return the bytes of a text such as ``500MB``, in powers of 1024; None if it is no size."""
    match = _SIZE.fullmatch(text.strip().upper())
    if match is None or not float(match[1]):
        return None
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2] or " "))


def is_path(value: object) -> bool:
    """Return True if a file can be called so."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text or "\0" in text:
        return False
    names = (name.encode("utf-8", "surrogatepass") for name in Path(text).parts)
    return all(len(name) <= _LONGEST_NAME for name in names)


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
