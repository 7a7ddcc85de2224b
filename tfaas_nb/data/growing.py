"""Arrays that grow while files are read, without a second copy of what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.arithmetic import exactly
from tfaas_nb.errors import DataError

Array = npt.NDArray[Any]


def joint_type(parts: Sequence[Array], name: str) -> np.dtype[Any]:
    """The type of a column put together of parts, which holds each of their numbers.

    Files of one data set may differ: int32 here, uint64 there.

    Raises
    ------
    DataError
        If no type does: event numbers beyond 2⁵³ here, and fractions there.
    """
    parts = [part for part in parts if len(part)] or list(parts)
    kinds = list(dict.fromkeys(part.dtype for part in parts))
    if len(kinds) == 1:
        return kinds[0]
    for kind in _candidates(kinds):
        if all(_is_safe(part.dtype, kind) or exactly(part, kind) is not None for part in parts):
            return kind
    raise DataError(
        f"{name!r} is {' and '.join(map(str, kinds))} in files that are read together, and neither "
        "type holds all of its numbers: read them one by one, or keep another branch"
    )


def _candidates(kinds: Sequence[np.dtype[Any]]) -> list[np.dtype[Any]]:
    """The types that may hold numbers of several; NumPy takes doubles for uint64 and int64."""
    joined = np.result_type(*kinds)
    if joined.kind == "f" and all(kind.kind in "biu" for kind in kinds):
        return [np.dtype(np.int64), np.dtype(np.uint64)]
    return [joined, *(kind for kind in kinds if kind.kind in "iu")]


def _is_safe(own: np.dtype[Any], kind: np.dtype[Any]) -> bool:
    """Return True if a type holds any number of another; float64 does not hold any int64."""
    rounds = kind.kind == "f" and own.kind in "iu" and own.itemsize >= kind.itemsize
    return np.can_cast(own, kind) and not rounds


class Growing:
    """Columns of equal length to which parts are appended.

    Memory is enlarged in place (the system moves pages, not bytes), so that at no time all
    events are in memory twice.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, parts: Mapping[str, Array]) -> None:
        """Add rows; each part has the same columns.

        A matrix that owns its memory is taken over when it is the first: whoever gave it must
        not use it any more.  Types may differ; one that holds all numbers is taken.

        Raises
        ------
        DataError
            As `joint_type`.
        """
        rows = len(next(iter(parts.values())))
        for name, part in parts.items():
            self._arrays[name] = self._extended(self._arrays.get(name), part, name)
        self._rows += rows

    def shorten(self, rows: int) -> None:
        """Forget all but the first rows."""
        self._rows = rows
        if rows == 0:
            self._arrays = {}
        for array in self._arrays.values():
            array.resize((rows, *array.shape[1:]), refcheck=False)

    def scale(self, name: str, start: int, factor: float) -> None:
        """Multiply a column from a row on."""
        if name in self._arrays:
            self._arrays[name][start:] *= factor

    def column(self, name: str) -> Array:
        """A column; it must not be read before all parts are there."""
        return self._arrays[name]

    def _extended(self, array: Array | None, part: Array, name: str) -> Array:
        if array is None:
            return part if part.ndim == 2 and part.flags.owndata else part.copy()
        dtype = joint_type([array[: self._rows], part], name.removeprefix("extra "))
        if dtype != array.dtype:
            array = array.astype(dtype)
        # Nobody else has seen the array: its parts are copies, and `column` comes last.
        array.resize((self._rows + len(part), *array.shape[1:]), refcheck=False)
        array[self._rows :] = part
        return array
