"""The ROC curve of scores: AUC ± σ, and the working points on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError
from tfaas_nb.metrics.passing import Tail
from tfaas_nb.metrics.ranking import Placements
from tfaas_nb.metrics.scored import Array, Scored, checked
from tfaas_nb.metrics.working_point import WorkingPoint
from tfaas_nb.options import is_number

#: Standard deviations of ε_S over which the slope of the curve is taken: fewer see its steps.
_AROUND = 2.0


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

        Parameters
        ----------
        eps_s : float, optional
            Take the tightest cut that keeps at least this fraction of the signal.  The cut
            depends on the signal events at hand, which adds to the error of ε_B.
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
            at = int(np.searchsorted(self.eps_s, eps_s - 1e-12))
            point = self._point(at, float(self.thresholds[at]))
            error = point.eps_s_error or 0.0
            return replace(point, eps_b_moved=self._slope(point.eps_s, error) * error)
        if eps_b is None or not (is_number(eps_b) and 0 < eps_b <= 1):
            raise DataError(f"a background efficiency lies in (0, 1], not at {eps_b!r}")
        at = int(np.searchsorted(self.eps_b, eps_b + 1e-12, side="right")) - 1
        if not self.eps_s[at] > 0:
            raise DataError(
                f"no cut keeps signal at a background efficiency of {eps_b} or less: "
                f"the tightest one has {self.eps_b[self.eps_s > 0][0]:.2g}"
            )
        return self._point(at, float(self.thresholds[at]))

    def _slope(self, eps_s: float, error: float) -> float:
        """dε_B/dε_S, over a few standard deviations of ε_S to either side."""
        low, high = max(eps_s - _AROUND * error, 0.0), min(eps_s + _AROUND * error, 1.0)
        below = max(int(np.searchsorted(self.eps_s, low, side="right")) - 1, 0)
        above = min(int(np.searchsorted(self.eps_s, high)), len(self.eps_s) - 1)
        run = self.eps_s[above] - self.eps_s[below]
        return float((self.eps_b[above] - self.eps_b[below]) / run) if run > 0 else 0.0

    def at_threshold(self, threshold: float) -> WorkingPoint:
        """What a cut on the score leaves."""
        at = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        return self._point(max(at, 0), threshold)

    def _point(self, at: int, threshold: float) -> WorkingPoint:
        """The cut whose efficiencies stand at a position of the curve."""
        signal, background = self.signal.above(threshold), self.background.above(threshold)
        b = float(background.weight[0])
        return WorkingPoint(
            threshold=threshold,
            eps_s=float(self.eps_s[at]),
            eps_b=float(self.eps_b[at]),
            background_left=int(background.count[0]),
            significance=float(signal.weight[0]) / math.sqrt(b) if b > 0 else math.inf,
            eps_s_error=float(signal.error[0]),
            eps_b_error=float(background.error[0]),
            background_effective=float(background.effective[0]),
        )

    def __repr__(self) -> str:
        return f"Roc(AUC {self.auc:.4f} ± {self.auc_error:.4f})"
