"""What a classifier is worth on events it has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.metrics import EFFICIENCIES, FEW_EVENTS, Roc
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Labelled(Protocol):
    """Classes and weights of events: y (n,) 0 or 1, weight (n,); a `Dataset` has them."""

    @property
    def y(self) -> npt.NDArray[np.int8]: ...  # noqa: D102
    @property
    def weight(self) -> npt.NDArray[np.float32]: ...  # noqa: D102


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation:
    """Scores of events with their ROC curve.

    Attributes
    ----------
    scores : numpy.ndarray
        Score of each event, float32 of shape (events,).
    y, weight : numpy.ndarray
        Their classes and weights, shape (events,).
    roc : Roc
        Curve, AUC ± σ, accuracy and working points.
    """

    scores: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float32]
    roc: Roc

    @classmethod
    def of(cls, data: Labelled, scores: npt.ArrayLike) -> Evaluation:
        """Judge scores of events.

        Parameters
        ----------
        data : Labelled
            Their classes and weights: a `Dataset`, for instance.
        scores : array of shape (events,)
            One for each event.

        Raises
        ------
        DataError
            If there is not one finite score per event, or a class is missing.
        """
        values = np.asarray(scores, dtype=np.float32)
        return cls(values, data.y, data.weight, Roc.of(data.y, values, data.weight))

    @property
    def auc(self) -> float:
        """Area under the ROC curve."""
        return self.roc.auc

    @property
    def auc_error(self) -> float:
        """Its standard error."""
        return self.roc.auc_error

    @property
    def accuracy(self) -> float:
        """Fraction of events on their side of a score of 0.5."""
        return self.roc.accuracy

    def rejections(self) -> Table:
        """Background rejection at the usual signal efficiencies, with its statistical error."""
        points = [self.roc.working_point(efficiency) for efficiency in EFFICIENCIES]
        rows = tuple(
            (
                p.eps_s,
                p.eps_b,
                p.threshold,
                f"{p.rejection:.0f} ± {p.rejection_error:.0f}",
                p.background_left,
                f"fewer than {FEW_EVENTS} events: do not rank by it" if p.is_uncertain else "",
            )
            for p in points
        )
        return Table(("ε_S", "ε_B", "threshold", "1/ε_B", "background left", ""), rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for a model card; None for an infinite rejection, which JSON lacks."""
        points = {e: self.roc.working_point(e) for e in EFFICIENCIES}
        return {
            "events": len(self.y),
            "auc": self.auc,
            "auc_error": self.auc_error,
            "accuracy": self.accuracy,
            "rejection": {
                str(e): p.rejection if math.isfinite(p.rejection) else None
                for e, p in points.items()
            },
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ROC curve; see `plots.roc`."""
        from tfaas_nb import plots

        return plots.roc(self.roc, ax)

    def plot_scores(self, ax: Axes | None = None, threshold: float | None = None) -> Axes:
        """Draw the score distributions; see `plots.scores`."""
        from tfaas_nb import plots

        return plots.scores(self.y, self.scores, self.weight, ax, threshold)

    def __repr__(self) -> str:
        rejections = ", ".join(
            f"1/ε_B {p.rejection:.0f} ± {p.rejection_error:.0f} at ε_S {p.eps_s:.1f}"
            for p in map(self.roc.working_point, EFFICIENCIES)
        )
        return (
            f"Evaluation({len(self.y)} events: AUC {self.auc:.4f} ± {self.auc_error:.4f}, "
            f"accuracy {self.accuracy:.3f}, {rejections})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(lambda ax: plots.roc(self.roc, ax)), "ROC curve")
        head = f"AUC {self.auc:.4f} ± {self.auc_error:.4f}, accuracy {self.accuracy:.3f}"
        return f"<p>{head}</p>{self.rejections()._repr_html_()}{picture}"
