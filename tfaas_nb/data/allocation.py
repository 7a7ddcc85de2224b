"""Allocation settings: freed memory goes back to the system, so that a bound on memory holds."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_LARGE = 1 << 20
_M_ARENA_MAX = -8
_ARENAS = 2


def give_back() -> None:
    """Have glibc return arrays of a megabyte and more as soon as they are freed.

    By default it keeps more and more of them, up to 32 MB each, in places of each thread where
    the next array does not fit: a process that reads many files grows to twice what it uses.
    It holds for the whole process; other systems are left as they are.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another libc
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


def share_places() -> None:
    """Have all threads allocate from the same two places; for a process that only serves.

    By default glibc gives each thread one, and leaves it as large as it once had to be: over days
    every thread comes to what only one of them needs at a time.  To be called before threads are.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another libc
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give back what is free now; glibc alone keeps it, and has a function for that."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another libc
            ctypes.CDLL(None).malloc_trim(0)


def collect() -> None:
    """Free what only refers to itself, as TensorFlow's graphs do, and give it back."""
    gc.collect()
    trim()
