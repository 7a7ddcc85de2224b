"""Part of a whole sample: the fraction of it that a split left, for each class."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError
from tfaas_nb.options import check_option, check_seed, is_number, is_whole

#: Of background and of signal.
Both = tuple[float, float]

#: Rows of features by which samples are told apart, besides all classes and weights.
_ROWS = 4096


@dataclass(frozen=True)
class Part:
    """A part of a sample, for each class: what is expected is by so much more than is here.

    Attributes
    ----------
    fractions : tuple of two floats
        Of background and of signal, by sum of weights, between 0 (excluded) and 1; more if
        events are there several times, and NaN if it is not known.
    samples : tuple of two sets
        Of background and of signal, the `fingerprint` of each whole sample that it is of.
    pieces : tuple
        By which splits it came about, to tell one part of the same sample from another.
    about : bool
        Whether the fractions are those that were asked for, up to a fluctuation.
    """

    fractions: Both
    samples: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    pieces: tuple[str, ...] = ()
    about: bool = False

    @classmethod
    def whole(cls, name: str, sums: Both) -> Part:
        """A whole sample of a name, with these sums of weights."""
        background, signal = (frozenset([name] if own else []) for own in sums)
        return cls((1.0, 1.0), (background, signal), ("",))

    @classmethod
    def of_split(cls, before: Part, sums: Both, own: Both, counts: Both, piece: str) -> Part:
        """The part that a split gave.

        Parameters
        ----------
        before : Part
            Which part was split.
        sums, own : tuple of two floats
            Sums of weights of what was split, and of the part.
        counts : tuple of two floats
            The part's fractions of the events, which count where weights cancel.
        piece : str
            The split and its side.
        """
        found = [
            earlier * _fraction(part, of, count)
            for earlier, part, of, count in zip(before.fractions, own, sums, counts, strict=True)
        ]
        pieces = tuple(f"{name}/{piece}" for name in before.pieces)
        return cls((found[0], found[1]), before.samples, pieces, before.about)

    @classmethod
    def joined(cls, parts: Sequence[Part], sums: Sequence[Both]) -> Part | None:
        """Return the part that joined datasets with these sums of weights are; None for a whole.

        Different parts of the same sample add up; of different samples, what is expected does.
        It is not known of parts of one sample where some were joined with another before.
        """
        fractions = [_joined(parts, [own[kind] for own in sums], kind) for kind in (0, 1)]
        if all(abs(fraction - 1) < 1e-9 for fraction in fractions):
            return None
        pieces = tuple(dict.fromkeys(name for part in parts for name in part.pieces))
        background, signal = (
            frozenset(
                name
                for part, own in zip(parts, sums, strict=True)
                if own[kind]
                for name in part.samples[kind]
            )
            for kind in (0, 1)
        )
        about = any(part.about for part in parts)
        return cls((fractions[0], fractions[1]), (background, signal), pieces, about)

    def is_known(self, kind: int) -> bool:
        """Return True if it is known which fraction of a class it is."""
        return not math.isnan(self.fractions[kind])

    def expected(self, kind: int, here: float) -> float:
        """Sum of weights of a class in the whole sample, of which so much is here."""
        return here / self.fractions[kind]

    def told(self, kinds: Sequence[int] = (0, 1)) -> str:
        """Describe the part to which numbers of these classes refer, in words."""
        background, signal = (f"{100 * fraction:.3g} %" for fraction in self.fractions)
        about = "about " if self.about else ""
        twice = ", some of them more than once" * (max(self.fractions[k] for k in kinds) > 1 + 1e-9)
        if len(kinds) == 1:
            name, fraction = ("S", signal) if kinds[0] else ("B", background)
            return f"{name} of the whole sample, of which {about}{fraction} were evaluated{twice}"
        if signal == background:
            return f"of the whole sample, of which {about}{signal} were evaluated{twice}"
        return (
            f"of the whole sample, of which {about}{signal} of the signal and "
            f"{background} of the background were evaluated{twice}"
        )


def _fraction(part: float, of: float, count: float) -> float:
    """Return a fraction by weight; by number where the weights do not give one."""
    fraction = part / of if of else 0.0
    if 0 < fraction <= 1:
        return fraction
    return count or 1.0


def _joined(parts: Sequence[Part], sums: Sequence[float], kind: int) -> float:
    there = [(part, own) for part, own in zip(parts, sums, strict=True) if own]
    if not there:
        return parts[0].fractions[kind]
    samples: dict[frozenset[str], list[tuple[Part, float]]] = {}
    for part, own in there:
        samples.setdefault(part.samples[kind], []).append((part, own))
    if sum(map(len, samples)) > len(frozenset().union(*samples)):
        return math.nan
    expected = sum(_expected(of_one, kind) for of_one in samples.values())
    return sum(own for _, own in there) / expected if expected else 1.0


def _expected(parts: Sequence[tuple[Part, float]], kind: int) -> float:
    """Sum of weights in the whole sample, of several selections of its parts.

    A part counts once: several selections of it are of the same fraction of the sample.
    """
    different = {part.pieces: part.fractions[kind] for part, _ in parts}
    return sum(own for _, own in parts) / sum(different.values())


def fingerprint(
    X: npt.NDArray[np.float32], y: npt.NDArray[np.int8], weight: npt.NDArray[Any]
) -> str:
    """Name of a sample by its values: all classes and weights, and features of some events.

    Samples of other events have other names, also where their weights sum to the same.
    """
    found = hashlib.blake2b(digest_size=16)
    some = X[:: max(1, len(X) // _ROWS)]
    for values in (np.array([*X.shape]), y, weight, some):
        found.update(values.tobytes())
    return found.hexdigest()


class Scaled(tuple[bool, bool]):
    """Statement for background and signal on the weights of one dataset: they are scaled.

    Attributes
    ----------
    y, weight : numpy.ndarray
        Classes and weights of which it is said.
    """

    y: npt.NDArray[np.int8]
    weight: npt.NDArray[Any]

    @classmethod
    def of(cls, scaled: Any, y: npt.NDArray[np.int8], weight: npt.NDArray[Any]) -> Scaled:
        """The statement for a dataset; one that was made of other weights or classes is dropped.

        Raises
        ------
        DataError
            If it is no pair of True or False.
        """
        both = isinstance(scaled, (tuple, list)) and len(scaled) == 2
        both = both and all(isinstance(one, (bool, np.bool_)) for one in scaled)
        check_option("scaled", scaled, both, "True or False of background and signal", DataError)
        if isinstance(scaled, cls) and not (_same(scaled.y, y) and _same(scaled.weight, weight)):
            scaled = (False, False)
        found = cls(scaled)
        found.y, found.weight = y, weight
        return found


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return one is other or np.array_equal(one, other)


def check_split(test: object, seed: object, events: int | None = None) -> None:
    """Refuse what is no fraction of test events, or no seed.

    Parameters
    ----------
    test, seed : object
        As given to `Dataset.split`.
    events : int, optional
        How many are split, if that is known.

    Raises
    ------
    DataError
        If one of them cannot be used; of a number of events, it says the fraction.
    """
    if not (is_number(test) and 0 < test < 1):  # type: ignore[operator]
        few = is_whole(test, 2) and events is not None and test < events  # type: ignore[operator]
        meant = f"; {test} of them are test={test / events:.4g}" if few else ""  # type: ignore[operator]
        of = "" if events is None else f"{events} "
        raise DataError(
            f"cannot split {of}events with test={test!r}: it must lie between 0 and 1{meant}"
        )
    check_seed(seed, DataError)
