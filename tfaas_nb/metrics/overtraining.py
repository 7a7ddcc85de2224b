"""Whether training events are scored otherwise than events the classifier has not seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfaas_nb.metrics.roc import Roc
from tfaas_nb.metrics.scored import Array
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Below this probability two distributions count as different.
SUSPICIOUS = 0.01


@dataclass(frozen=True)
class KolmogorovSmirnov:
    """Two samples compared by the largest distance of their distribution functions.

    Attributes
    ----------
    distance : float
        Largest distance of the weighted distribution functions.
    p : float
        Probability of at least that distance for samples of one distribution, asymptotic
        (M. A. Stephens, JRSS B 32 (1970) 115), with effective numbers of events.
    """

    distance: float
    p: float

    @classmethod
    def of(
        cls, first: Array, second: Array, first_weight: Array, second_weight: Array
    ) -> KolmogorovSmirnov:
        """Compare values of two samples with weights, arrays of shape (events,) each."""
        from scipy.special import kolmogorov

        places = np.unique(np.concatenate([first, second]))
        distance = float(
            np.abs(
                _distribution(first, first_weight, places)
                - _distribution(second, second_weight, places)
            ).max()
        )
        n, m = _effective(first_weight), _effective(second_weight)
        root = float(np.sqrt(n * m / (n + m)))
        return cls(distance, float(kolmogorov((root + 0.12 + 0.11 / root) * distance)))


def _distribution(values: Array, weight: Array, places: Array) -> Array:
    order = np.argsort(values)
    ladder = np.concatenate([[0.0], np.cumsum(weight[order])])
    result: Array = ladder[np.searchsorted(values[order], places, side="right")] / ladder[-1]
    return result


def _effective(weight: Array) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum())


@dataclass(frozen=True, repr=False, eq=False)
class Overtraining:
    """Scores of training events against those of test events.

    Attributes
    ----------
    signal, background : KolmogorovSmirnov
        Comparison of the distributions, class by class.
    train, test : Roc
        ROC curves of both samples.
    """

    signal: KolmogorovSmirnov
    background: KolmogorovSmirnov
    train: Roc = field(repr=False)
    test: Roc = field(repr=False)

    @classmethod
    def of(cls, train: Roc, test: Roc) -> Overtraining:
        """Compare the scores that two ROC curves were made of."""
        a, b = train.events, test.events
        return cls(
            KolmogorovSmirnov.of(a.signal, b.signal, a.signal_weight, b.signal_weight),
            KolmogorovSmirnov.of(
                a.background, b.background, a.background_weight, b.background_weight
            ),
            train,
            test,
        )

    @property
    def gap(self) -> float:
        """AUC of the training events minus that of the test events."""
        return self.train.auc - self.test.auc

    @property
    def gap_error(self) -> float:
        """Its standard error; the samples are independent."""
        return float(np.hypot(self.train.auc_error, self.test.auc_error))

    @property
    def is_suspicious(self) -> bool:
        """Whether either class is scored differently, with p below `SUSPICIOUS`."""
        return min(self.signal.p, self.background.p) < SUSPICIOUS

    def table(self) -> Table:
        """Distances, probabilities, and the difference of the areas."""
        rows: tuple[tuple[object, ...], ...] = tuple(
            (
                f"Kolmogorov–Smirnov, {name}",
                f"D = {ks.distance:.4f}",
                f"p = {ks.p:.3g}",
                "scores differ" if ks.p < SUSPICIOUS else "",
            )
            for name, ks in (("signal", self.signal), ("background", self.background))
        )
        areas = (
            "AUC, training − test",
            f"{self.gap:+.4f} ± {self.gap_error:.4f}",
            f"{self.train.auc:.4f} − {self.test.auc:.4f}",
            "",
        )
        return Table(("training against test", "", "", ""), (*rows, areas))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both samples' scores; see `plots.overtraining`."""
        from tfaas_nb import plots

        return plots.overtraining(self, ax)

    def __repr__(self) -> str:
        return (
            f"Overtraining(KS p {self.signal.p:.2g} signal, {self.background.p:.2g} background, "
            f"AUC train − test {self.gap:+.4f} ± {self.gap_error:.4f})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "Scores of training and test events")
        return self.table()._repr_html_() + picture
