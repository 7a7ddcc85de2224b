"""A number for each event that depends on where it stands, and on nothing else.

Events of files larger than memory are split and sampled by it: the same event is on the same
side however much is read at a time, in whatever order, and whatever files are read with it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Portion:
    """Events whose number lies in a range.

    Attributes
    ----------
    seed : int
        Of the numbers.
    low, high : float
        From (included) and to (excluded); numbers lie between 0 and 1.
    """

    seed: int
    low: float
    high: float

    @property
    def fraction(self) -> float:
        """Fraction of all events that it has."""
        return self.high - self.low

    def has(self, file: str, entries: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return the mask of the entries of a file that belong to the portion."""
        number = numbers(file, entries, self.seed)
        return (number >= self.low) & (number < self.high)


def numbers(file: str, entries: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.float64]:
    """Uniform between 0 (included) and 1 (excluded), for entries of a file.

    Parameters
    ----------
    file : str
        Name of the file, without its folder: a copy elsewhere has the same numbers.
    entries : numpy.ndarray
        Entries of its tree.
    seed : int
        Another seed gives other numbers.
    """
    start = (zlib.crc32(file.encode()) << 32 ^ seed * 0x9E3779B97F4A7C15) & _MASK
    # SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), whose state counts; twice, for the seed's sake.
    state = _mixed(np.array([start], dtype=np.uint64)) + entries.astype(np.uint64)
    mixed = _mixed((state + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    found: npt.NDArray[np.float64] = (mixed >> np.uint64(11)) * 2.0**-53
    return found


def _mixed(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z
