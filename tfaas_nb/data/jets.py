"""Jets of all events put into their slots, leading jets first, without a loop over events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Jets:
    """Positions of the jets of a range of events in the feature matrix.

    Attributes
    ----------
    counts : numpy.ndarray
        Jets of each event that count, shape (events,).
    taken : numpy.ndarray or None
        Positions, among all jets read, of those that fill a slot; None if all do as they stand.
    event, slot : numpy.ndarray
        Of each jet taken, its event and its slot (0 is the leading jet).
    """

    counts: Positions
    taken: Positions | None
    event: Positions
    slot: Positions
    _places: dict[int, Positions] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def placed(
        cls,
        counts: Positions,
        by: npt.NDArray[np.float32],
        slots: int,
        selected: npt.NDArray[np.bool_] | None = None,
    ) -> Jets:
        """Order the jets of each event and keep the leading ones.

        Parameters
        ----------
        counts : numpy.ndarray
            Jets read of each event.
        by : numpy.ndarray
            What orders them, largest first; jets of equal values stay as they stand.
        slots : int
            Jets kept of each event.
        selected : numpy.ndarray, optional
            Which jets count at all.
        """
        event = np.repeat(np.arange(len(counts)), counts)
        taken: Positions | None = None
        if selected is not None and not selected.all():
            taken = np.flatnonzero(selected)
            event, by = event[taken], by[taken]
            counts = np.bincount(event, minlength=len(counts))
        order = _leading_first(event, by)
        if order is not None:
            taken = order if taken is None else taken[order]
        slot = np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts)
        if len(counts) and counts.max() > slots:
            kept = np.flatnonzero(slot < slots)
            taken = kept if taken is None else taken[kept]
            event, slot = event[kept], slot[kept]
        return cls(counts, taken, event, slot)

    def fill(self, matrix: npt.NDArray[Any], first: int, values: npt.NDArray[Any]) -> None:
        """Write a variable of all jets read into a matrix (events, columns), from a column on."""
        width = matrix.shape[1]
        if width not in self._places:
            self._places[width] = self.event * width + self.slot
        flat = matrix.reshape(-1)[first:]
        flat[self._places[width]] = values if self.taken is None else values[self.taken]


def _leading_first(event: Positions, by: npt.NDArray[np.float32]) -> Positions | None:
    """The order that puts each event's jets leading first; None if they stand so already."""
    same_event = event[1:] == event[:-1]
    if not np.any(same_event & (by[1:] > by[:-1])):
        return None
    return np.lexsort((-by, event))
