"""Events that a model is asked about, as they were brought: float32, and whatever more they hold.

Models compute with float32, mostly.  Inputs of whole numbers (identifiers, times, counts) hold
more digits than it does, so what was brought is kept beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import FeatureError
from tfaas_nb.features.columns import columns_of, numeric
from tfaas_nb.features.names import check_names, names_in

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

#: From here on a float32 may stand for several whole numbers.
_NOT_WHOLE = 2.0**24


@dataclass(frozen=True, eq=False)
class AskedEvents:
    """Events, with the names of their columns if they have any.

    Attributes
    ----------
    names : tuple of str or None
        What the columns are; None for an array without names.
    brought : sequence of numpy.ndarray, or numpy.ndarray
        A column for each name, each of shape (events,), or () for a lone event; without names
        an array of shape (events, columns) or (columns,).
    """

    names: tuple[str, ...] | None
    brought: Sequence[Array] | Array

    @classmethod
    def of(cls, events: Any, keys: Sequence[str] | None = None) -> AskedEvents:
        """Events of any kind that `tfaas_nb.features.columns` knows, or a dataset.

        Raises
        ------
        FeatureError
            If a value is missing or no number, keys are given for what has names, or a name
            is no text or repeated.
        """
        if keys is not None:
            keys = names_in(keys, "keys")
        table = None if isinstance(events, Dataset) else columns_of(events)
        if isinstance(events, Dataset):
            asked = cls(events.features.names, events.X)
        elif table is not None:
            asked = cls(table.names, [table.column(i) for i in range(len(table.names))])
        else:
            asked = cls(keys, numeric(events))
        if keys is not None and asked.names is not keys:
            raise FeatureError("the events have names of their own: leave keys=[...] away")
        check_names(asked.names or ())
        return asked

    @cached_property
    def values(self) -> Floats:
        """float32 of shape (events, columns), or (columns,) of a lone event."""
        with np.errstate(over="ignore"):  # too large is infinite, which is refused by its name
            if isinstance(self.brought, np.ndarray):
                found = np.ascontiguousarray(self.brought, np.float32)
                return found.reshape(self.brought.shape)
            if not self.brought:
                return np.zeros(0, np.float32)
            return np.stack([np.asarray(c, np.float32) for c in self.brought], axis=-1)

    @property
    def is_single(self) -> bool:
        """True if it is a single event."""
        return self.values.ndim == 1

    @cached_property
    def fits_float32(self) -> bool:
        """True if float32 holds the values as they were given, without loss or ambiguity."""
        parts = [self.brought] if isinstance(self.brought, np.ndarray) else self.brought
        return all(map(_fits_float32, parts))

    def columns(self, order: Sequence[int] | None = None) -> list[Array]:
        """Columns as they were brought, each of shape (events,), in some order."""
        if isinstance(self.brought, np.ndarray):
            columns = list(np.atleast_2d(self.brought).T)
        else:
            columns = [np.atleast_1d(column) for column in self.brought]
        return columns if order is None else [columns[i] for i in order]

    def numbers(self) -> list[int | float]:
        """The values of a lone event as they were brought."""
        values = [column[0].item() for column in self.columns()]
        return [int(value) if isinstance(value, bool) else value for value in values]


def _fits_float32(values: Array) -> bool:
    if values.dtype.name in ("float16", "float32", "bool", "int8", "uint8", "int16", "uint16"):
        return True
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    fits = (found == values) & (np.abs(found) < _NOT_WHOLE)
    # NaN, which may be a missing value, is one in every type.
    return bool((fits | (values != values)).all())


def are_inputs(events: Any) -> bool:
    """Return True if events come as whole inputs: a mapping with arrays of more than one axis."""
    return isinstance(events, Mapping) and any(_axes(value) > 1 for value in events.values())


def _axes(values: Any) -> int:
    """Axes of an array or of nested lists; 1 of lists of different lengths, which are no array."""
    try:
        return np.ndim(values)
    except Exception:  # of whatever library the values are: it is said where they are read
        return 1
