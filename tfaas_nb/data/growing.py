"""Arrays that grow while files are read, without a second copy of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


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
        not use it any more.  Types may differ; the wider one is taken.
        """
        rows = len(next(iter(parts.values())))
        for name, part in parts.items():
            self._arrays[name] = self._extended(self._arrays.get(name), part)
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

    def _extended(self, array: Array | None, part: Array) -> Array:
        if array is None:
            return part if part.ndim == 2 and part.flags.owndata else part.copy()
        dtype = np.promote_types(array.dtype, part.dtype)
        if dtype.kind == "f" and "f" not in (array.dtype.kind, part.dtype.kind):
            dtype = np.dtype(np.int64)  # of uint64 and a signed type; no float, which rounds
        if dtype != array.dtype:  # files of one data set may differ: int32 here, int64 there
            array = array.astype(dtype)
        # Nobody else has seen the array: its parts are copies, and `column` comes last.
        array.resize((self._rows + len(part), *array.shape[1:]), refcheck=False)
        array[self._rows :] = part
        return array
