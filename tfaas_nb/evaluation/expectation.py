"""Expected numbers of events, by the weights of simulated ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfaas_nb.data.part import Part
from tfaas_nb.errors import DataError
from tfaas_nb.metrics import FEW_EVENTS, Roc, SignificanceScan


@dataclass(frozen=True)
class Expectation:
    """Events of both classes that weights stand for.

    Attributes
    ----------
    sums : tuple of two floats
        Sums of the weights of background and of signal, with their signs.
    part : Part or None
        Which part of a whole sample the events are.
    known : tuple of two bool
        Of background and of signal, True if the sums are of events expected: the weights are
        scaled to a cross-section and a luminosity.  Weights alone do not say it: those of a
        generator or of pile-up correct simulated events, and sum to any number.
    are_weighted : bool
        True if some event's weight is not 1.
    """

    sums: tuple[float, float]
    part: Part | None
    known: tuple[bool, bool]
    are_weighted: bool

    @classmethod
    def of(
        cls,
        roc: Roc,
        part: Part | None,
        signed: tuple[float, float] | None,
        scaled: tuple[bool, bool],
    ) -> Expectation:
        """Expectation from evaluated events.

        Parameters
        ----------
        roc : Roc
            Their curve, which has their weights.
        part, signed, scaled
            As of an `Evaluation`.
        """
        weights = roc.events.background_weight, roc.events.signal_weight
        background, signal = (float(own.sum()) for own in weights)
        are_weighted = any(bool((own != 1).any()) for own in weights)
        return cls(signed or (background, signal), part, scaled, are_weighted)

    def events(self, kind: int) -> float:
        """Events of a class before any cut, of the whole sample if those here are a part."""
        return self.part.expected(kind, self.sums[kind]) if self.part else self.sums[kind]

    @property
    def both(self) -> tuple[float, float] | None:
        """Events of background and of signal; None if they are not known."""
        return (self.events(0), self.events(1)) if all(self.known) else None

    def scan(
        self,
        roc: Roc,
        kind: str = "asimov",
        given: tuple[float | None, float | None] = (None, None),
        systematics: float = 0.0,
        min_background: float = FEW_EVENTS,
    ) -> SignificanceScan:
        """Scan the cuts for numbers of background and of signal, of these where none is given."""
        missing = [i for i, events in enumerate(given) if events is None]
        background, signal = (
            self.events(i) if events is None else events for i, events in enumerate(given)
        )
        told = self.part.told(missing) if self.part and missing else ""
        return SignificanceScan.of(roc, kind, signal, background, systematics, min_background, told)

    def check(self, kinds: Sequence[int]) -> None:
        """Refuse classes of which it is not known how many events are expected.

        Raises
        ------
        DataError
            Saying how to tell it.
        """
        if not all(self.known[kind] for kind in kinds):
            raise DataError(
                "it is not known how many events are expected: no cross-section and luminosity "
                f"were given for {self._unknown(kinds)}, or events were taken by position, got "
                "other weights, or are parts of one sample joined with another's; weights "
                "alone do not tell. Give the numbers before any cut, "
                "signal= and background=, or load the samples with their cross-sections, "
                f"tn.Sample(files, xsec=..., lumi=...){self._sums_of_weights}"
            )

    def _unknown(self, kinds: Sequence[int]) -> str:
        """The classes of which it is not known, in words."""
        names = ("background", "signal")
        return " and ".join(names[kind] for kind in kinds if not self.known[kind])

    @property
    def _sums_of_weights(self) -> str:
        """The numbers to give if weights are expected events already, in words.

        Of classes of which one is scaled and the other not, of parts that are not known, and of
        sums that are no numbers of events, there are none that can be meant.
        """
        if not self.are_weighted or any(self.known):
            return ""
        background, signal = (self.events(kind) for kind in (0, 1))
        if not all(math.isfinite(events) and events > 0 for events in (background, signal)):
            return ""
        return (
            ". If the weights are expected events already, they sum to "
            f"signal={signal:.6g}, background={background:.6g}"
        )
