"""A cut on the score, and what it leaves with which statistical error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Signal efficiencies at which background rejection is quoted.
EFFICIENCIES = (0.3, 0.5)

#: With fewer background events left, a rejection is too uncertain to rank classifiers by.
FEW_EVENTS = 50


@dataclass(frozen=True)
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
        S/√B of the sample that passes, weights included; infinite without background.
    eps_s_error, eps_b_error : float, optional
        Binomial errors of the efficiencies at this threshold, weights included.
    background_effective : float, optional
        Effective number of background events that pass, (Σw)²/Σw².
    eps_b_moved : float
        By how much ε_B fluctuates besides, because the threshold was chosen for a signal
        efficiency and moves with the signal events at hand; zero for a threshold that was given.
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
        binomial = self.eps_b_error
        if binomial is None:
            binomial = self.eps_b * float(np.sqrt((1 - self.eps_b) / max(self.background_left, 1)))
        return float(np.hypot(binomial, self.eps_b_moved))

    @property
    def is_uncertain(self) -> bool:
        """Whether fewer than `FEW_EVENTS` background events are left, effectively."""
        left = self.background_effective
        return (self.background_left if left is None else left) < FEW_EVENTS

    def told(self) -> str:
        """The rejection with its error in a few words, marked where it is too uncertain."""
        mark = " (few events)" if self.is_uncertain else ""
        return f"{self.rejection:.0f} ± {self.rejection_error:.0f}{mark}"
