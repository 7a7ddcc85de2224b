"""Values that are not finite: where they stand, and what becomes of their events.

NaN, infinities and numbers too large for a float32 are one kind.  A selection sees them as NumPy
does, so that comparisons with NaN are false; jets are ordered with NaN last.  What is left among
the selected events is treated as ``on_nan`` says:

``"error"``
    A `DataError` names file, branch, how many there are and the first entry.
``"skip"``
    An event is left out if a per-event feature, its weight, or a variable of any jet that counts
    (also of one beyond those kept) is not finite.
``"pad"``
    A jet with such a variable is absent: for the selection, the order of the jets, sums over jets
    and ``nJets``, as if the file did not have it.  A lepton is not counted that cannot be judged.
    Another per-event feature gets the padding; in a selection it stays NaN.  Weights cannot be
    padded.

Variables of jets are those that the features need, with what orders and selects the jets.  A jet
whose pT or η is not finite cannot be judged by these: it counts for nothing and is one of them,
unless the other number rules it out.  A slot of a flattened file, or of an array of fixed size,
whose pT is NaN holds no jet: that is how such files pad.  Branches that are only looked at by the
selection, or kept beside the features, may hold anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError, FeatureError

OnNan = Literal["error", "skip", "pad"]
ON_NAN = ("error", "skip", "pad")

_WAYS = "on_nan='skip' leaves such events out, on_nan='pad' takes the jet, or the value, as absent"
_WEIGHT_WAYS = "on_nan='skip' leaves such events out; a weight cannot be padded"
_SUM_WAYS = (
    "the sum of weights takes all entries, selected or not: on_nan='skip' leaves such events out "
    "of it, and Sample(..., sum_weights=...), or --signal-sum-weights and "
    "--background-sum-weights in a shell, say what it is"
)
_LISTED = 5

Mask = npt.NDArray[np.bool_]


def check_on_nan(on_nan: str) -> None:
    """Refuse a treatment that does not exist.

    Raises
    ------
    DataError
        If it is none of `ON_NAN`.
    """
    if on_nan not in ON_NAN:
        raise DataError(f"on_nan={on_nan!r} must be one of {', '.join(map(repr, ON_NAN))}")


def as_float32(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], Mask | None]:
    """Convert values; also return which are not finite then, None if all are."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is noted
        narrow = values.astype(np.float32, copy=False)
    finite = np.isfinite(narrow)
    return narrow, None if finite.all() else ~finite


def not_finite(values: npt.NDArray[Any]) -> Mask:
    """Return the mask of the values that are not finite as float32."""
    with np.errstate(over="ignore"):
        return np.asarray(~np.isfinite(values.astype(np.float32, copy=False)))


@dataclass(frozen=True, eq=False)
class BadValues:
    """Values of one branch, in a range of entries, that are not finite.

    Attributes
    ----------
    name : str
        Branch, or name of a computed value.
    event : numpy.ndarray
        Position in the range of each value's event, rising, int64 of shape (values,).
    value : numpy.ndarray
        Value as read, shape (values,).
    column : int or None
        Column of a per-event feature that holds them.
    is_weight : bool
        Whether they are weights.
    """

    name: str
    event: npt.NDArray[np.int64]
    value: npt.NDArray[Any]
    column: int | None = None
    is_weight: bool = False

    def among(self, events: Mask) -> BadValues:
        """Return the bad values of some of the events, given as a mask."""
        inside = events[self.event]
        event, value = self.event[inside], self.value[inside]
        return BadValues(self.name, event, value, self.column, self.is_weight)

    def shifted(self, entries: int) -> BadValues:
        """Return the bad values with `entries` added to the positions of their events."""
        return BadValues(self.name, self.event + entries, self.value, self.column, self.is_weight)

    def __len__(self) -> int:
        return len(self.event)


@dataclass(frozen=True)
class NonFinite:
    """Treatment that values of selected events got because they were not finite.

    Attributes
    ----------
    on_nan : str
        ``"skip"`` or ``"pad"``.
    events : int
        Events left out, or events with something padded.
    values : tuple of (str, int)
        Branch and number of its values, in the order of the features.
    jets : int
        Jets taken as absent.
    weights : float
        Sum of the weights of the events left out, as they stand in the file; those that are not
        finite themselves count for nothing.
    """

    on_nan: str
    events: int
    values: tuple[tuple[str, int], ...] = ()
    jets: int = 0
    weights: float = 0.0

    @classmethod
    def joined(cls, parts: Iterable[NonFinite | None]) -> NonFinite | None:
        """Join the counts of several files; None for nothing."""
        found = [part for part in parts if part is not None]
        if not found:
            return None
        values: dict[str, int] = {}
        for part in found:
            for name, count in part.values:
                values[name] = values.get(name, 0) + count
        return cls(
            found[0].on_nan,
            sum(part.events for part in found),
            tuple(values.items()),
            sum(part.jets for part in found),
            sum(part.weights for part in found),
        )

    def __str__(self) -> str:
        done = "left out" if self.on_nan == "skip" else "padded"
        jets = f", {counted(self.jets, 'jet')} taken as absent" if self.jets else ""
        listed = ", ".join(f"{name}: {counted(n, 'value')}" for name, n in self.values)
        return f"{counted(self.events, 'event')} {done}{jets} ({listed})"


def summary(parts: Iterable[NonFinite | None]) -> str:
    """Summarise the treatment of values that are not finite, for a repr; empty if none occurred."""
    found = NonFinite.joined(parts)
    if found is None:
        return ""
    done = "left out" if found.on_nan == "skip" else "padded"
    return f", {counted(found.events, 'event')} {done} for values that are not finite"


def counted(number: int, noun: str) -> str:
    """A number with its noun, ``1 event`` or ``2 events``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def refusal(found: Sequence[BadValues], where: str, summed: bool = False) -> DataError:
    """The error for values of selected events that are not finite.

    Parameters
    ----------
    found : sequence of BadValues
        With the entries of the tree as events.
    where : str
        The tree and its file.
    summed : bool
        Whether the weights of all entries are summed.
    """
    first = found[0]
    others = ", ".join(
        f"{bad.name!r} {counted(len(bad), 'value')}" for bad in found[1 : 1 + _LISTED]
    )
    if len(found) > 1 + _LISTED:
        others += f" and {len(found) - 1 - _LISTED} more"
    besides = f"; so do {others}" if others else ""
    value = first.value[int(first.event.argmin())]
    large = f" ({value:g} is too large for a float32)" if np.isfinite(value) else ""
    ways = _WAYS
    if any(bad.is_weight for bad in found):
        ways = _SUM_WAYS if summed else _WEIGHT_WAYS
    are = "is" if len(first) == 1 else "are"
    what = "weight" if first.is_weight else "branch"
    return DataError(
        f"{what} {first.name!r} of {where} holds {counted(len(first), 'value')} that {are} not "
        f"finite, the first in entry {int(first.event.min())}{large}{besides}: {ways}"
    )


def joined(parts: Iterable[BadValues]) -> list[BadValues]:
    """Join the bad values of each branch, in the order of their first entries."""
    by_name: dict[str, list[BadValues]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    found = [
        BadValues(
            name,
            np.concatenate([part.event for part in own]),
            np.concatenate([part.value for part in own]),
            own[0].column,
            own[0].is_weight,
        )
        for name, own in by_name.items()
    ]
    return sorted(found, key=lambda bad: int(bad.event.min()))


def check_events(X: npt.NDArray[Any], names: Sequence[str], single: bool = False) -> None:
    """Refuse events with values that are not finite.

    Parameters
    ----------
    X : numpy.ndarray
        Shape (events, features).
    names : sequence of str
        Of the features.
    single : bool
        Whether there is only one event, which then has no number.

    Raises
    ------
    FeatureError
        Naming the first one's feature and row, and how many there are.
    """
    finite = np.isfinite(X)
    if finite.all():
        return
    rows, columns = np.nonzero(~finite)
    row, column = int(rows[0]), int(columns[0])
    event = "" if single else f" of event {row}"
    more = f"; {len(rows)} values of {len(np.unique(rows))} events are not" if len(rows) > 1 else ""
    raise FeatureError(
        f"value of {names[column]!r}{event} is {X[row, column]}, not a finite number{more}: leave "
        "such events out, or give absent jets the padding of the feature set"
    )
