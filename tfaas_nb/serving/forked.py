"""Release of files and sockets in a copy of this process (`os.fork`), which does not serve."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

#: What belongs to the original and must not be ended here, not even by a garbage collection.
_kept: list[object] = []


def let_go(owner: object, descriptors: Iterable[int]) -> None:
    """Close the original's files and sockets in this copy of it, whose other threads are gone.

    In their place the null device is opened: whoever here still holds a number closes nothing
    else with it, and tells the original's event loop nothing.

    Parameters
    ----------
    owner : object
        Who holds them; kept for good.
    descriptors : iterable of int
        Their numbers; negative ones are none.
    """
    _kept.append(owner)
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        for number in descriptors:
            if number >= 0:
                with contextlib.suppress(OSError):
                    os.dup2(nothing, number, inheritable=False)
    finally:
        os.close(nothing)
