"""Scores of training events against those of events that the classifier has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.measured import Measured, OneLine
from tfaas_nb.metrics.roc import Roc
from tfaas_nb.metrics.scored import Array
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Below this probability two distributions count as different, and a gap of AUC as one.
SUSPICIOUS = 0.01

#: Standard deviations of the one-sided limit at 95 % CL that stands for a missing error.
_ONE_SIDED = 1.645

#: A gap of AUC that one wants to know of; where the error is larger, more events are needed.
_TO_BE_SEEN = 0.01


@checked_calls(DataError)
@dataclass(frozen=True, repr=False)
class KolmogorovSmirnov(OneLine):
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

    def __repr__(self) -> str:
        return (
            f"KolmogorovSmirnov(distance {self.distance:.4f}, p {self.p:.2g}; the distance has no "
            "error, p is the probability of at least as large a one by chance)"
        )


def _distribution(values: Array, weight: Array, places: Array) -> Array:
    order = np.argsort(values)
    ladder = np.concatenate([[0.0], np.cumsum(weight[order])])
    result: Array = ladder[np.searchsorted(values[order], places, side="right")] / ladder[-1]
    return result


def _effective(weight: Array) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum())


def _error(curve: Roc) -> float:
    """Error of an AUC; where it has only a limit, that limit's distance as a normal error."""
    area = curve.area
    if area.has_error:
        return float(area.error or 0.0)
    limits = (limit for limit in (area.low, area.high) if limit is not None)
    return max((abs(limit - area.value) for limit in limits), default=0.0) / _ONE_SIDED


@checked_calls(DataError)
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
        return float(np.hypot(_error(self.train), _error(self.test)))

    @property
    def measured_gap(self) -> Measured:
        """The gap with its error, marked where one of the samples has few events."""
        few = self.train.area.is_uncertain or self.test.area.is_uncertain
        return Measured(self.gap, self.gap_error, is_uncertain=few, is_signed=True)

    @property
    def gap_p(self) -> float:
        """Probability of at least such a gap, of this sign, if there is none."""
        if not self.gap_error > 0:
            return 0.5
        return 0.5 * math.erfc(self.gap / self.gap_error / math.sqrt(2))

    @property
    def is_gap_suspicious(self) -> bool:
        """True if AUC is larger on the training events, with p below `SUSPICIOUS`."""
        return self.gap_p < SUSPICIOUS

    @property
    def is_suspicious(self) -> bool:
        """True if either class is scored differently, or AUC is larger on the training events.

        Each of the three with a probability below `SUSPICIOUS`.
        """
        return min(self.signal.p, self.background.p) < SUSPICIOUS or self.is_gap_suspicious

    @property
    def verdict(self) -> str:
        """Conclusion from both tests, and advice, in sentences."""
        differ = [n for n, t in (("signal", self.signal), ("background", self.background))
                  if t.p < SUSPICIOUS]  # fmt: skip
        sigmas = self.gap / self.gap_error if self.gap_error > 0 else 0.0
        gap = (
            "the AUC of the training events minus that of the test events is "
            f"{self.measured_gap} ({sigmas:+.1f}σ)"
        )
        if differ or self.is_gap_suspicious:
            scores = f"scores of {' and '.join(differ)} differ from those of the test events; "
            return (
                f"Overtrained: {scores if differ else ''}{gap}. The classifier knows something of "
                "the training events by heart. Quote the numbers of the test events, which are "
                "not affected; to do better, train on more events, or with a smaller network, more "
                "dropout or fewer epochs, and compare the AUC of the test events."
            )
        text = f"No sign of overtraining: the distributions of the scores agree, and {gap}."
        if self.gap_error > _TO_BE_SEEN:
            most = self.gap + _ONE_SIDED * self.gap_error
            text += (
                f" But the samples are small: a gap of up to {most:.2g} is not excluded "
                "at 95 % CL. Judge it with more test events, or by tn.cross_validate."
            )
        return text

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
            str(self.measured_gap),
            f"p = {self.gap_p:.3g}",
            "larger on training events" if self.is_gap_suspicious else "",
        )
        return Table(("training against test", "", "", ""), (*rows, areas), self.verdict)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both samples' scores; see `plots.overtraining`."""
        from tfaas_nb import plots

        return plots.overtraining(self, ax)

    def __repr__(self) -> str:
        return (
            f"Overtraining(KS p {self.signal.p:.2g} signal, {self.background.p:.2g} background, "
            f"AUC train − test {self.measured_gap}, p {self.gap_p:.2g}"
            f"{'; suspicious' if self.is_suspicious else ''})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "Scores of training and test events")
        return self.table()._repr_html_() + picture
