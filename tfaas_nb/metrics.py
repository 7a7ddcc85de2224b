"""How well scores separate signal from background: ROC, AUC ± σ, rejection, working points.

NumPy and scikit-learn only: nothing here knows what made the scores.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError

Array = npt.NDArray[np.float64]

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
    """

    threshold: float
    eps_s: float
    eps_b: float
    background_left: int
    significance: float

    @property
    def rejection(self) -> float:
        """Background rejection 1/ε_B; infinite when no background event passes."""
        return 1.0 / self.eps_b if self.eps_b > 0 else float("inf")

    @property
    def rejection_error(self) -> float:
        """Statistical error of the rejection, from the binomial error of ε_B."""
        if not self.background_left:
            return float("inf")
        return self.rejection * float(np.sqrt((1 - self.eps_b) / self.background_left))

    @property
    def is_uncertain(self) -> bool:
        """Whether fewer than `FEW_EVENTS` background events are left."""
        return self.background_left < FEW_EVENTS


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
    """

    eps_s: Array
    eps_b: Array
    thresholds: Array
    auc: float
    auc_error: float
    accuracy: float
    _background_scores: Array = field(repr=False)
    _signal_weight: float = field(repr=False)
    _background_weight: float = field(repr=False)

    @classmethod
    def of(
        cls,
        y: npt.ArrayLike,
        scores: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
    ) -> Roc:
        """The ROC curve of scores.

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

        truth, score, w = _checked(y, scores, weight)
        eps_b, eps_s, thresholds = roc_curve(truth, score, sample_weight=w, drop_intermediate=False)
        signal = truth == 1
        auc, error = _auc(score[signal], w[signal], score[~signal], w[~signal])
        return cls(
            eps_s=eps_s,
            eps_b=eps_b,
            thresholds=thresholds,
            auc=auc,
            auc_error=error,
            accuracy=float(w[(score >= 0.5) == signal].sum() / w.sum()),
            _background_scores=np.sort(score[~signal]),
            _signal_weight=float(w[signal].sum()),
            _background_weight=float(w[~signal].sum()),
        )

    def working_point(self, eps_s: float) -> WorkingPoint:
        """The tightest cut that keeps at least a fraction ``eps_s`` of the signal.

        Raises
        ------
        DataError
            If ``eps_s`` is not between 0 (excluded) and 1.
        """
        if not 0 < eps_s <= 1:
            raise DataError(f"a signal efficiency lies in (0, 1], not at {eps_s}")
        at = int(np.searchsorted(self.eps_s, eps_s - 1e-12))
        return self._point(float(self.thresholds[at]), at)

    def at_threshold(self, threshold: float) -> WorkingPoint:
        """What a cut on the score leaves."""
        at = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        return self._point(threshold, max(at, 0))

    def _point(self, threshold: float, at: int) -> WorkingPoint:
        scores = self._background_scores
        s = float(self.eps_s[at]) * self._signal_weight
        b = float(self.eps_b[at]) * self._background_weight
        return WorkingPoint(
            threshold=threshold,
            eps_s=float(self.eps_s[at]),
            eps_b=float(self.eps_b[at]),
            background_left=len(scores) - int(np.searchsorted(scores, threshold)),
            significance=s / float(np.sqrt(b)) if b > 0 else float("inf"),
        )

    def __repr__(self) -> str:
        return f"Roc(AUC {self.auc:.4f} ± {self.auc_error:.4f})"


def _checked(
    y: npt.ArrayLike, scores: npt.ArrayLike, weight: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.int64], Array, Array]:
    truth = np.asarray(y)
    score = np.asarray(scores, dtype=np.float64)
    w = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not truth.shape == score.shape == w.shape or truth.ndim != 1:
        raise DataError(
            f"classes {truth.shape}, scores {score.shape} and weights {w.shape} "
            "must be one number per event each"
        )
    if set(np.unique(truth)) != {0, 1}:
        raise DataError("a ROC curve needs signal (1) and background (0) events, and no others")
    if not (np.isfinite(score).all() and np.isfinite(w).all() and (w >= 0).all()):
        raise DataError("scores and weights must be finite, weights not negative")
    if not all(w[truth == kind].sum() > 0 for kind in (0, 1)):
        raise DataError("the signal or the background events have no weight")
    return truth.astype(np.int64), score, w


def _auc(signal: Array, ws: Array, background: Array, wb: Array) -> tuple[float, float]:
    """AUC and its error from the probabilities that each event is ranked rightly."""
    ranked_s = _fraction_below(signal, background, wb)
    ranked_b = 1.0 - _fraction_below(background, signal, ws)
    auc = float(np.average(ranked_s, weights=ws))
    variance = _variance_of_mean(ranked_s, ws) + _variance_of_mean(ranked_b, wb)
    return auc, float(np.sqrt(variance))


def _fraction_below(of: Array, among: Array, weight: Array) -> Array:
    """For each score, the weighted fraction of the others below it, ties counted half."""
    order = np.argsort(among)
    ladder = np.concatenate([[0.0], np.cumsum(weight[order])])
    below = ladder[np.searchsorted(among[order], of, side="left")]
    not_above = ladder[np.searchsorted(among[order], of, side="right")]
    fraction: Array = (below + not_above) / (2 * ladder[-1])
    return fraction


def _variance_of_mean(values: Array, weight: Array) -> float:
    n = len(values)
    if n < 2:
        return 0.0
    mean = np.average(values, weights=weight)
    squares = (weight**2 * (values - mean) ** 2).sum() / weight.sum() ** 2
    return float(squares * n / (n - 1))
