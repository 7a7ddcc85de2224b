"""A cut on the score, and what it leaves with which statistical error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.measured import Measured, OneLine
from tfaas_nb.metrics.limits import FEW_EVENTS, ONE_EVENT, given_cut
from tfaas_nb.table import Table

#: Signal efficiencies at which background rejection is quoted.
EFFICIENCIES = (0.3, 0.5)

#: What the errors of a cut hold for, by how it was chosen; tables say it.
CONVENTIONS = {
    "eps_s": "Errors are those at the chosen ε_S: that of ε_B includes the movement of the "
    "threshold with the signal events.",
    "eps_b": "Errors are those at the chosen ε_B: that of ε_S includes the movement of the "
    "threshold with the background events.",
    "threshold": "Errors are binomial, those of a threshold that was not chosen on these events.",
    "significance": "Errors are those of the most significant cut: they include the movement of "
    "the threshold with the events (bootstrap).",
}

#: The same for a table of cuts that were chosen in one or the other way.
CONVENTION = (
    "Errors are those at the chosen efficiency: they include the movement of the threshold with "
    "the events that it was chosen on."
)

Limits = tuple[float | None, float | None]


@checked_calls(DataError)
@dataclass(frozen=True, repr=False)
class Passed(OneLine):
    """Events of a class that pass a cut.

    Attributes
    ----------
    events, of : int
        Events that pass, and all of the class, unweighted.
    effective_of : float
        Effective number of all events, (Σw)²/Σw².
    """

    events: int
    of: int
    effective_of: float

    def __str__(self) -> str:
        return f"{self.events} of {self.of}"

    __repr__ = __str__


@checked_calls(DataError)
@dataclass(frozen=True, repr=False)
class WorkingPoint:
    """A cut on the score and what passes it.

    Attributes
    ----------
    threshold : float
        Events with a score of at least this pass.
    eps_s, eps_b : float
        Signal and background efficiency, ε_S and ε_B.
    background_left : int
        Background events (unweighted) that pass.
    significance : float
        S/√B of the events that pass, by their weights; infinite without background.  Of simulated
        events that count 1 each it is no expectation (`Evaluation.expected` tells it).
    eps_s_error, eps_b_error : float, optional
        Their errors, weights included: binomial, and the movement of the threshold, if it was
        chosen on the same events.  Zero for the efficiency that was chosen.
    background_effective : float, optional
        Effective number of background events that pass, (Σw)²/Σw².
    eps_b_moved, eps_s_moved : float
        The part of the errors that comes of the threshold, which moves with the events it was
        chosen on; zero for a threshold that was given.
    chosen : str
        How the cut was chosen: for ``"eps_s"``, ``"eps_b"`` or ``"significance"``, or given as
        ``"threshold"``.  Errors are to be read so, see `convention`.
    signal, background : Passed or None
        How many events passed.
    eps_s_limits, eps_b_limits : tuple of two floats or None
        Lower and upper limit at 95 % CL, where no error can be given.
    """

    threshold: float
    eps_s: float
    eps_b: float
    background_left: int
    significance: float
    eps_s_error: float | None = None
    eps_b_error: float | None = None
    background_effective: float | None = None
    eps_b_moved: float = 0.0
    eps_s_moved: float = 0.0
    chosen: str = "threshold"
    signal: Passed | None = None
    background: Passed | None = None
    eps_s_limits: Limits | None = None
    eps_b_limits: Limits | None = None

    @property
    def rejection(self) -> float:
        """Background rejection 1/ε_B; infinite when no background event passes."""
        return 1.0 / self.eps_b if self.eps_b > 0 else float("inf")

    @property
    def rejection_error(self) -> float:
        """Statistical error of the rejection, from that of ε_B."""
        if not self.background_left or not self.eps_b:
            return float("inf")
        return self.rejection**2 * self.eps_b_whole_error

    @property
    def eps_b_whole_error(self) -> float:
        """Error of ε_B, with the fluctuation of a threshold that was chosen for ε_S."""
        if self.eps_b_error is not None:
            return self.eps_b_error
        return self.eps_b * float(np.sqrt((1 - self.eps_b) / max(self.background_left, 1)))

    @property
    def is_uncertain(self) -> bool:
        """True if fewer than `FEW_EVENTS` effective background events are left."""
        left = self.background_effective
        return (self.background_left if left is None else left) < FEW_EVENTS

    @property
    def convention(self) -> str:
        """Convention of the errors (the quantity held fixed), in a sentence."""
        return CONVENTIONS[self.chosen]

    @property
    def signal_efficiency(self) -> Measured:
        """ε_S with its error or limits."""
        is_chosen = self.chosen == "eps_s"
        return _efficiency(self.eps_s, self.eps_s_error, self.eps_s_limits, is_chosen)

    @property
    def background_efficiency(self) -> Measured:
        """ε_B with its error or limits."""
        is_chosen = self.chosen == "eps_b"
        return _efficiency(self.eps_b, self.eps_b_whole_error, self.eps_b_limits, is_chosen)

    @property
    def background_rejection(self) -> Measured:
        """1/ε_B with its error or limits, marked where few background events are left."""
        few, of = self.is_uncertain, self.background_efficiency
        if of.is_chosen:
            return Measured(self.rejection, is_chosen=True, is_uncertain=few)
        if of.has_error:
            return Measured(self.rejection, self.rejection_error, is_uncertain=few)
        low, high = (1 / limit if limit else None for limit in (of.high, of.low))
        return Measured(self.rejection, None, low, high, is_uncertain=few)

    def told(self) -> str:
        """The rejection with its error in a few words, marked where it is too uncertain."""
        return str(self.background_rejection)

    def table(self) -> Table:
        """Return the threshold, the efficiencies and the events that pass, with errors."""
        rows: list[tuple[Any, ...]] = [
            ("score ≥", f"{self.threshold:.5f}"),
            ("ε_S", str(self.signal_efficiency)),
            ("ε_B", str(self.background_efficiency)),
            ("1/ε_B", str(self.background_rejection)),
        ]
        for name, passed in (("signal", self.signal), ("background", self.background)):
            rows += [(f"{name} events that pass", str(passed))] if passed else []
        return Table(("working point", ""), tuple(rows), self.convention)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``params.json``: the cut, counts, errors or limits, and all as text.

        An efficiency that has limits has no error, and the other way round; one that was chosen
        has neither.
        """
        values: dict[str, Any] = {
            "eps_s": self.eps_s,
            "eps_b": self.eps_b,
            "threshold": float(self.threshold),
            "chosen": self.chosen,
        }
        values |= _plain("eps_s", self.signal_efficiency)
        values |= _plain("eps_b", self.background_efficiency)
        for name, passed in (("signal", self.signal), ("background", self.background)):
            if passed:
                values |= {f"{name}_passed": passed.events, f"{name}_events": passed.of}
        return values | {
            "text": {
                "eps_s": str(self.signal_efficiency),
                "eps_b": str(self.background_efficiency),
                "rejection": str(self.background_rejection),
            }
        }

    def __repr__(self) -> str:
        return (
            f"WorkingPoint(score ≥ {self.threshold:.5f}: "
            f"ε_S {self.signal_efficiency.equation}, ε_B {self.background_efficiency.equation}, "
            f"1/ε_B {self.background_rejection.equation}; {self.convention.rstrip('.')})"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _efficiency(
    value: float, error: float | None, limits: Limits | None, is_chosen: bool
) -> Measured:
    if limits is not None:
        return Measured(value, None, *limits)
    return Measured(value, error, is_chosen=is_chosen)


def _plain(name: str, measured: Measured) -> dict[str, float]:
    """The error or the limits of a number, of what there is."""
    found = {
        f"{name}_error": None if measured.is_chosen or not measured.has_error else measured.error,
        f"{name}_low": measured.low,
        f"{name}_high": measured.high,
    }
    return {key: value for key, value in found.items() if value is not None}


def binomial(efficiency: float, error: float, events: float) -> tuple[float, Limits | None]:
    """Error of an efficiency of a given cut, and its limits where that is zero."""
    if error > 0 and 0 < efficiency < 1 and events >= ONE_EVENT:
        return error, None
    return error, given_cut(efficiency, events)
