"""Part of a whole sample: the fraction of it that a split left, for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Of background and of signal.
Both = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """A part of a sample, for each class: what is expected is by so much more than is here.

    Attributes
    ----------
    fractions : tuple of two floats
        Of background and of signal, by sum of weights, between 0 (excluded) and 1.
    whole : tuple of two floats
        Sums of the weights of the whole sample; both parts of a split have the same.
    pieces : tuple
        By which splits it came about, to tell one part of the same sample from another.
    about : bool
        Whether the fractions are those that were asked for, up to a fluctuation.
    """

    fractions: Both
    whole: Both = (0.0, 0.0)
    pieces: tuple[str, ...] = ()
    about: bool = False

    @classmethod
    def of_split(cls, before: Part | None, sums: Both, own: Both, counts: Both, piece: str) -> Part:
        """The part that a split gave.

        Parameters
        ----------
        before : Part or None
            Which part was split.
        sums, own : tuple of two floats
            Sums of weights of what was split, and of the part.
        counts : tuple of two floats
            The part's fractions of the events, which count where weights cancel.
        piece : str
            The split and its side.
        """
        before = before or cls((1.0, 1.0), sums, ("",))
        found = [
            earlier * _fraction(part, of, count)
            for earlier, part, of, count in zip(before.fractions, own, sums, counts, strict=True)
        ]
        pieces = tuple(f"{name}/{piece}" for name in before.pieces)
        return cls((found[0], found[1]), before.whole, pieces, before.about)

    @classmethod
    def joined(cls, parts: Sequence[Part | None], sums: Sequence[Both]) -> Part | None:
        """Return the part that joined datasets with these sums of weights are; None for a whole.

        Different parts of the same sample add up; of different samples, what is expected does.
        """
        if all(part is None for part in parts):
            return None
        known = [part or cls((1.0, 1.0), own) for part, own in zip(parts, sums, strict=True)]
        fractions = [_joined(known, [own[kind] for own in sums], kind) for kind in (0, 1)]
        if min(fractions) > 1 - 1e-9:
            return None
        pieces = tuple(dict.fromkeys(name for part in known for name in part.pieces))
        about = any(part.about for part in known)
        return cls((fractions[0], fractions[1]), known[0].whole, pieces, about)

    def expected(self, kind: int, here: float) -> float:
        """Sum of weights of a class in the whole sample, of which so much is here."""
        return here / self.fractions[kind]

    def told(self, kinds: Sequence[int] = (0, 1)) -> str:
        """Describe the part to which numbers of these classes refer, in words."""
        background, signal = (f"{100 * fraction:.3g} %" for fraction in self.fractions)
        about = "about " if self.about else ""
        if len(kinds) == 1:
            name, fraction = ("S", signal) if kinds[0] else ("B", background)
            return f"{name} of the whole sample, of which {about}{fraction} were evaluated"
        if signal == background:
            return f"of the whole sample, of which {about}{signal} were evaluated"
        return (
            f"of the whole sample, of which {about}{signal} of the signal and "
            f"{background} of the background were evaluated"
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
    different = {part.pieces: part.fractions[kind] for part, _ in there}
    if len({part.whole for part, _ in there}) == 1 and len(different) > 1:
        return min(1.0, sum(different.values()))
    expected = sum(part.expected(kind, own) for part, own in there)
    return sum(own for _, own in there) / expected if expected else 1.0
