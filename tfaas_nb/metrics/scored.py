"""Scores of events of both classes, checked to fit together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.features.columns import check_aligned
from tfaas_nb.measured import OneLine

Array = npt.NDArray[np.float64]


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Scored(OneLine):
    """Scores and weights of the events of each class.

    Attributes
    ----------
    signal, background : numpy.ndarray
        Scores, shape (events of the class,), in the order given.
    signal_weight, background_weight : numpy.ndarray
        Their weights, not negative and not all zero.
    """

    signal: Array
    signal_weight: Array
    background: Array
    background_weight: Array

    @classmethod
    def of(
        cls, y: npt.ArrayLike, scores: npt.ArrayLike, weight: npt.ArrayLike | None = None
    ) -> Scored:
        """Events of both classes; see `checked` for what is refused."""
        truth, score, w = checked(y, scores, weight)
        signal = truth == 1
        return cls(score[signal], w[signal], score[~signal], w[~signal])

    def __repr__(self) -> str:
        return f"Scored({len(self.signal)} signal and {len(self.background)} background events)"


def checked(
    y: npt.ArrayLike, scores: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> tuple[npt.NDArray[np.int64], Array, Array]:
    """Classes, scores and weights (1 by default) as arrays of shape (events,).

    They go together by position; a pandas Series' index is not looked up.

    Raises
    ------
    DataError
        If the shapes differ, the indexes of two Series differ, a class is missing or has no
        weight, a value is not finite, or a weight is negative.
    """
    check_aligned({"y": y, "scores": scores, "weight": weight}, DataError)
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
    for name, values in (("score", score), ("weight", w)):
        bad = ~np.isfinite(values) if name == "score" else ~(np.isfinite(values) & (values >= 0))
        if bad.any():
            first = int(bad.argmax())
            raise DataError(
                "scores and weights must be finite, weights not negative: leave events of negative "
                f"weight out, or count them with their absolute weight; the {name} of event "
                f"{first} is {values[first]:g}"
            )
    if not all(w[truth == kind].sum() > 0 for kind in (0, 1)):
        raise DataError("the signal or the background events have no weight")
    return truth.astype(np.int64), score, w
