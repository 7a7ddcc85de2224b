"""Events that are in two datasets, for instance in the training and in the test.

Two rows are the same event when their values agree to the last bit **and** say enough to tell
events apart.  What a row says is counted from its own sample: a value that one in k events has
says log₂ k bits.  Whole numbers (counts, flags, defaults, the padding of absent jets) count for
nothing.  A row that says 20 bits more than the number of pairs of events has is the same event
wherever it appears again: four or five continuous features of a sample of any size do.

Rows that say less, as in a set of a few counts, agree by chance.  Of them only those count that
agree more often than chance has it: with values that one training event alone has, whose chance
of being met again is known from the values that two have (I. J. Good, Biometrika 40 (1953) 237).
Where both datasets kept run, luminosity block and event number, these must agree, too, for
such rows.  Never are identifiers alone enough: simulated samples number their events alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.dataset import Dataset, check_dataset
from tfaas_nb.data.identifiers import IDENTIFIERS
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, order_keys
from tfaas_nb.table import Table

Hashes = npt.NDArray[np.uint64]

#: Bits beyond those of the number of pairs: chance has one in a million such samples agree.
_MARGIN = 20

#: Standard deviations above chance, and (for values alone) events besides.
_DEVIATIONS, _FEW = 5.0, 3

_SHOWN = 5


@dataclass(frozen=True, repr=False, eq=False)
class Overlap:
    """Events of a dataset that are in another one, too.

    Attributes
    ----------
    positions : numpy.ndarray
        Of these events in the second dataset, rising.
    events : int
        Events of the second dataset.
    chance : float
        How many of them chance would have had: rows that say too little to be sure.
    identified : bool
        Whether both datasets kept run, luminosity block and event number.
    """

    positions: npt.NDArray[np.int64]
    events: int
    chance: float
    identified: bool

    def __bool__(self) -> bool:
        return len(self.positions) > 0

    def __len__(self) -> int:
        return len(self.positions)

    def __str__(self) -> str:
        if not self:
            return f"none of the {self.events} events"
        first = ", ".join(map(str, self.positions[:_SHOWN].tolist()))
        more = ", ..." if len(self) > _SHOWN else ""
        chance = f", where chance has {self.chance:.1f}" if self.chance >= 0.05 else ""
        return f"{len(self)} of the {self.events} events (positions {first}{more}{chance})"

    def refuse(self, going_on: str = "evaluate(data, allow_overlap=True)") -> None:
        """Raise if there is any event of the training among those to judge a classifier by.

        Parameters
        ----------
        going_on : str
            The call that goes on nevertheless, for the message.

        Raises
        ------
        DataError
            Naming how many there are, and the first.
        """
        if self:
            raise DataError(
                f"{self} were in the training, too, and would flatter the classifier: evaluate "
                "events that were split off before (the sample itself may hold events twice); "
                f"{going_on} goes on, and says so"
            )

    def table(self) -> Table:
        """Return the numbers of the comparison as a table."""
        rows = (
            ("events compared", self.events),
            ("of these in the other, too", len(self)),
            ("expected by chance", round(self.chance, 1)),
            ("first positions", ", ".join(map(str, self.positions[:_SHOWN].tolist())) or None),
            ("by", "values and identifiers" if self.identified else "values"),
        )
        return Table(("overlap", ""), rows)

    def __repr__(self) -> str:
        return f"Overlap({self})"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@dataclass(frozen=True, repr=False, eq=False)
class Fingerprints:
    """Eight bytes for each event (sixteen with identifiers): what is kept to know it again.

    Attributes
    ----------
    values : numpy.ndarray
        63-bit hash of the values of each row, uint64 of shape (events,); the lowest bit tells
        whether the row says enough to tell events apart.
    named : numpy.ndarray or None
        Hash of values and identifiers, if these were kept.
    """

    values: Hashes
    named: Hashes | None = None

    @classmethod
    def of(cls, data: Dataset, features: FeatureSet | None = None) -> Fingerprints:
        """Fingerprints of a dataset's events.

        Parameters
        ----------
        data : Dataset
            The events.
        features : FeatureSet, optional
            Order in which to take the columns; that of the dataset by default.

        Raises
        ------
        FeatureError
            If the dataset has other features.
        """
        X = data.X
        if features is not None and features.names != data.features.names:
            X = X[:, order_keys(features.names, data.features.names)]
        hashes = _hashed([_bits(X[:, i]) for i in range(X.shape[1])], len(X))
        known = _identifiers(data)
        named = _hashed([hashes, *map(_bits, known)], len(X)) if known else None
        return cls((hashes & ~np.uint64(1)) | _telling(X), named)

    @classmethod
    def joined(cls, parts: Iterable[Fingerprints]) -> Fingerprints:
        """Join the fingerprints of events that were read in parts, in the given order."""
        parts = list(parts)
        named = [part.named for part in parts if part.named is not None]
        return cls(
            np.concatenate([part.values for part in parts] or [np.empty(0, np.uint64)]),
            np.concatenate(named) if named and len(named) == len(parts) else None,
        )

    def __len__(self) -> int:
        return len(self.values)

    def first(self) -> npt.NDArray[np.intp]:
        """Position of the first event that is the same, for each; its own, if there is none.

        Rows that say too little to tell events apart are taken for different events.
        """
        position = np.arange(len(self))
        telling = np.flatnonzero(self.values & np.uint64(1))
        _, first, again = np.unique(self.values[telling], return_index=True, return_inverse=True)
        position[telling] = telling[first][again]
        return position

    def found_in(self, other: Fingerprints) -> Overlap:
        """Find the events of another dataset that are also in this one."""
        order = np.argsort(self.values)
        mine, theirs = self.values[order] >> np.uint64(1), other.values >> np.uint64(1)
        seen, at = _find(mine, theirs)
        telling = other.values & np.uint64(1) > 0
        if len(self):
            telling |= seen & (self.values[order][at] & np.uint64(1) > 0)
        same, chance = seen & telling, 0.0
        identified = self.named is not None and other.named is not None
        if not telling.all():
            known = self.values & np.uint64(1) == 0
            a, b, doubt = self.named, other.named, 0
            if a is None or b is None:
                a, b, doubt = self.values, other.values, 1
            again, expected = _beyond_chance(a[known], b[~telling], doubt)
            if again.any():
                same[np.flatnonzero(~telling)[again]] = True
                chance = expected
        return Overlap(np.flatnonzero(same), len(other), chance, identified)


@checked_calls(DataError)
def overlap(first: Dataset, second: Dataset) -> Overlap:
    """Find the events of the second dataset that are in the first one, too.

    The second dataset's columns are put into the order of the first's by their names. What
    counts as the same event is told in the module's text; nothing is compared pair by pair.

    Raises
    ------
    FeatureError
        If their features differ.
    DataError
        If one of them is no dataset.
    """
    for data in (first, second):
        check_dataset(data, "overlap")
    return Fingerprints.of(first).found_in(Fingerprints.of(second, first.features))


def _identifiers(data: Dataset) -> list[npt.NDArray[np.generic]]:
    """Run, luminosity block and event number, if the dataset kept all three."""
    kept = {name.lower(): values for name, values in data.extra.items()}
    found = [[kept[name] for name in names if name in kept] for names in IDENTIFIERS]
    return [values[0] for values in found] if all(found) else []


def _bits(column: npt.NDArray[np.generic]) -> Hashes:
    """A column's numbers as whole ones that are equal when the numbers are."""
    if column.dtype.kind in "iub":
        whole: Hashes = column.astype(np.int64).view(np.uint64)
        return whole
    if column.dtype == np.float32:
        plain = np.ascontiguousarray(column) + np.float32(0)  # −0 is 0
        narrow: Hashes = plain.view(np.uint32).astype(np.uint64)
        return narrow
    wide: Hashes = (column.astype(np.float64) + 0.0).view(np.uint64)
    return wide


def _hashed(columns: Sequence[Hashes], events: int) -> Hashes:
    """A 64-bit hash of each row: a sum of multiples (multilinear hashing), then mixed."""
    keys = _mixed(np.arange(1, 2 * len(columns) + 1, dtype=np.uint64) * _GOLDEN)
    total = np.zeros(events, dtype=np.uint64)
    for column, key, factor in zip(columns, keys[::2], keys[1::2] | np.uint64(1), strict=True):
        total += _mixed(column + key) * factor
    return _mixed(total)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(z: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (G. L. Steele et al., OOPSLA 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _telling(X: npt.NDArray[np.float32]) -> Hashes:
    """1 for each row that says enough to tell events apart, else 0; see the module's text."""
    n = len(X)
    if not n:
        return np.zeros(0, np.uint64)
    bits = math.ceil(math.log2(4 * n + 1))
    said = np.zeros(n)
    for i in range(X.shape[1]):
        column = X[:, i]
        # Places in a table four times as long: the odd collision makes a row say less, not more.
        places = ((_bits(column) * _GOLDEN) >> np.uint64(64 - bits)).astype(np.int64)
        alike = np.bincount(places, minlength=2**bits)
        information = -np.log2(np.maximum(alike, 1) / n)[places]
        information[column == np.trunc(column)] = 0.0
        said += information
    return (said >= 2 * math.log2(n) + _MARGIN).astype(np.uint64)


def _find(rising: Hashes, wanted: Hashes) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Return a mask of the hashes that are there, and their positions (any, if not there)."""
    if not len(rising):
        return np.zeros(len(wanted), dtype=bool), np.zeros(len(wanted), dtype=np.intp)
    at = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
    return rising[at] == wanted, at


def _beyond_chance(
    known: Hashes, wanted: Hashes, doubt: int
) -> tuple[npt.NDArray[np.bool_], float]:
    """Match hashes that occur once, if more match than by chance; return the chance number, too.

    With `doubt`, as if one more value had been there twice, and a few events less were met.
    """
    kinds, counts = np.unique(known, return_counts=True)
    seen, at = _find(kinds[counts == 1], wanted)
    met = len(np.unique(at[seen]))
    twice = int(np.count_nonzero(counts == 2))
    rate = 2 * len(wanted) / max(1, len(known))
    expected = rate * twice
    spread = math.sqrt(expected + rate**2 * (twice + doubt))
    if met > expected + _DEVIATIONS * spread + doubt * _FEW:
        return seen, expected
    return np.zeros(len(wanted), dtype=bool), expected
