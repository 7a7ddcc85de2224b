"""The ROC curve of scores: AUC ± σ, and the working points on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import limits
from tfaas_nb.metrics.passing import Passing, Tail
from tfaas_nb.metrics.ranking import Placements
from tfaas_nb.metrics.scored import Array, Scored, checked
from tfaas_nb.metrics.working_point import Passed, WorkingPoint, binomial
from tfaas_nb.options import is_number


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Roc:
    """The ROC curve of scores, from the loosest cut to the tightest reversed: ε_B rising.

    Attributes
    ----------
    eps_s, eps_b, thresholds : numpy.ndarray
        Signal efficiency, background efficiency and cut, each of shape (points,).
    auc, auc_error : float
        Area under ε_S over ε_B, and its standard error (DeLong et al., Biometrics 44
        (1988) 837; with weights, the same structural components weighted).
    accuracy : float
        Weighted fraction of events on their side of a score of 0.5.
    events : Scored
        The scores it was made of.
    """

    eps_s: Array
    eps_b: Array
    thresholds: Array
    auc: float
    auc_error: float
    accuracy: float
    events: Scored = field(repr=False)

    @classmethod
    def of(
        cls,
        y: npt.ArrayLike,
        scores: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
    ) -> Roc:
        """The ROC curve of scores; classes, scores and weights go together by position.

        Parameters
        ----------
        y : array of shape (events,)
            1 for signal, 0 for background.
        scores : array of shape (events,)
            Larger means more signal-like.
        weight : array of shape (events,), optional
            Event weights, not negative; 1 by default.

        Raises
        ------
        DataError
            If the shapes differ, a class is missing or has no weight, or a value is not finite.
        """
        from sklearn.metrics import roc_curve

        truth, score, w = checked(y, scores, weight)
        eps_b, eps_s, thresholds = roc_curve(truth, score, sample_weight=w, drop_intermediate=False)
        events = Scored.of(truth, score, w)
        placed = Placements.of(events)
        return cls(
            eps_s=eps_s,
            eps_b=eps_b,
            thresholds=thresholds,
            auc=placed.mean,
            auc_error=placed.error,
            accuracy=float(w[(score >= 0.5) == (truth == 1)].sum() / w.sum()),
            events=events,
        )

    @cached_property
    def area(self) -> Measured:
        """AUC with its error, or limits where the events give none; see `Placements.measured`."""
        return Placements.of(self.events).measured

    def accuracy_with(self, signal_share: float | None = None) -> Measured:
        """Fraction of events on their side of a score of 0.5, with its binomial error.

        Parameters
        ----------
        signal_share : float, optional
            Share of signal in the mixture that is judged; by default that of the events.
        """
        cut = self.at_threshold(0.5)
        sums = self.signal.weights[-1], self.background.weights[-1]
        share = sums[0] / sum(sums) if signal_share is None else signal_share
        value = float(share * cut.eps_s + (1 - share) * (1 - cut.eps_b))
        value = self.accuracy if signal_share is None else value
        errors = (cut.eps_s_error or 0.0, cut.eps_b_error or 0.0)
        error = math.hypot(share * errors[0], (1 - share) * errors[1])
        if error > 0:
            return Measured(value, error)
        low = limits.lower(*(2 * [min(self.signal.effective, self.background.effective)]))
        return Measured(value, None, *((low, None) if value > 0.5 else (None, 1 - low)))

    @cached_property
    def signal(self) -> Tail:
        """The signal events by falling score."""
        return Tail.of(self.events.signal, self.events.signal_weight)

    @cached_property
    def background(self) -> Tail:
        """The background events by falling score."""
        return Tail.of(self.events.background, self.events.background_weight)

    def working_point(
        self, eps_s: float | None = None, *, eps_b: float | None = None
    ) -> WorkingPoint:
        """The cut with a given signal or background efficiency.

        The efficiency that is asked for has no error.  That of the other one is the error of the
        curve there: the cut depends on the events at hand, and its movement is included.

        Parameters
        ----------
        eps_s : float, optional
            Take the tightest cut that keeps at least this fraction of the signal.
        eps_b : float, optional
            Take the loosest cut that keeps at most this fraction of the background.

        Raises
        ------
        DataError
            If not just one efficiency is given, it is not between 0 (excluded) and 1, or no
            cut leaves signal with so little background.
        """
        if (eps_s is None) == (eps_b is None):
            raise DataError("a working point has one efficiency: give either eps_s or eps_b")
        if eps_s is not None:
            if not (is_number(eps_s) and 0 < eps_s <= 1):
                raise DataError(f"a signal efficiency lies in (0, 1], not at {eps_s!r}")
            at = int(self._keeping(eps_s))
            return self._chosen_by_signal(self._point(at, float(self.thresholds[at])), eps_s)
        if eps_b is None or not (is_number(eps_b) and 0 < eps_b <= 1):
            raise DataError(f"a background efficiency lies in (0, 1], not at {eps_b!r}")
        at = int(self._leaving(eps_b))
        if not self.eps_s[at] > 0:
            raise DataError(
                f"no cut keeps signal at a background efficiency of {eps_b} or less: "
                f"the tightest one has {self.eps_b[self.eps_s > 0][0]:.2g}"
            )
        return self._chosen_by_background(self._point(at, float(self.thresholds[at])), eps_b)

    def _keeping(self, eps_s: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Positions of the tightest cuts that keep so much of the signal."""
        return np.asarray(np.searchsorted(self.eps_s, np.asarray(eps_s) - 1e-12))

    def _leaving(self, eps_b: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Positions of the loosest cuts that leave so little background."""
        return np.asarray(np.searchsorted(self.eps_b, np.asarray(eps_b) + 1e-12, "right") - 1)

    def _chosen_by_signal(self, point: WorkingPoint, eps_s: float) -> WorkingPoint:
        """The cut with the errors of a threshold that was chosen for its ε_S."""
        events = self.signal.effective
        point = replace(point, chosen="eps_s", eps_s_error=0.0, eps_s_limits=None)
        if not self._has_error(point.eps_b, self.background, eps_s, self.signal):
            found = limits.chosen_cut(eps_s, self.signal, self.background)
            return replace(point, eps_b_limits=found)
        moved = limits.movement(eps_s, events, lambda eps: self.eps_b[self._keeping(eps)])
        error = math.hypot(point.eps_b_error or 0.0, moved)
        return replace(point, eps_b_error=error, eps_b_moved=moved)

    def _chosen_by_background(self, point: WorkingPoint, eps_b: float) -> WorkingPoint:
        """The cut with the errors of a threshold that was chosen for its ε_B."""
        events = self.background.effective
        of_b = None if point.eps_b else limits.given_cut(0.0, events)
        point = replace(point, chosen="eps_b", eps_b_error=0.0, eps_b_limits=of_b)
        if not self._has_error(point.eps_s, self.signal, eps_b, self.background):
            found = limits.chosen_cut(eps_b, self.background, self.signal)
            return replace(point, eps_s_limits=found)
        moved = limits.movement(eps_b, events, lambda eps: self.eps_s[self._leaving(eps)])
        error = math.hypot(point.eps_s_error or 0.0, moved)
        return replace(point, eps_s_error=error, eps_s_moved=moved)

    @staticmethod
    def _has_error(efficiency: float, tail: Tail, chosen: float, by: Tail) -> bool:
        """Return True if an efficiency has an error rather than limits, the other being chosen."""
        counted = 0 < efficiency < 1 and tail.effective >= limits.ONE_EVENT
        return counted and limits.is_movable(chosen, by.effective)

    def at_threshold(self, threshold: float) -> WorkingPoint:
        """Return the working point of a cut on the score."""
        at = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        return self._point(max(at, 0), threshold)

    def _point(self, at: int, threshold: float) -> WorkingPoint:
        """The cut whose efficiencies stand at a position of the curve."""
        signal, background = self.signal.above(threshold), self.background.above(threshold)
        eps_s, eps_b = float(self.eps_s[at]), float(self.eps_b[at])
        s = binomial(eps_s, float(signal.error[0]), self.signal.effective)
        b = binomial(eps_b, float(background.error[0]), self.background.effective)
        left = float(background.weight[0])
        return WorkingPoint(
            threshold=threshold,
            eps_s=eps_s,
            eps_b=eps_b,
            background_left=int(background.count[0]),
            significance=float(signal.weight[0]) / math.sqrt(left) if left > 0 else math.inf,
            eps_s_error=s[0],
            eps_b_error=b[0],
            background_effective=float(background.effective[0]),
            signal=_passed(self.signal, signal),
            background=_passed(self.background, background),
            eps_s_limits=s[1],
            eps_b_limits=b[1],
        )

    def __repr__(self) -> str:
        return f"Roc(AUC {self.area.equation})"

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(lambda ax: plots.roc(self, ax)), "ROC curve")
        return f"<p>AUC {escape(self.area.equation)}</p>{picture}"


def _passed(tail: Tail, passing: Passing) -> Passed:
    return Passed(int(passing.count[0]), len(tail.falling), tail.effective)
