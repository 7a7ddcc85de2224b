"""Protocols of the results that can be drawn; those of `metrics` satisfy them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy.typing as npt

from tfaas_nb.errors import DataError
from tfaas_nb.measured import Measured

Array = npt.NDArray[Any]


def check_drawn(value: object, attribute: str, wanted: str) -> None:
    """Refuse to draw what lacks an attribute of what is drawn.

    Raises
    ------
    DataError
        Naming what is drawn, and how it is made.
    """
    if isinstance(value, type) or not hasattr(value, attribute):
        raise DataError(f"a {type(value).__name__} cannot be drawn so: bring {wanted}")


class Curve(Protocol):
    """A ROC curve: efficiencies of the cuts, ε_B rising, and the area with its error."""

    @property
    def eps_s(self) -> Array:
        """Signal efficiencies."""

    @property
    def eps_b(self) -> Array:
        """Background efficiencies."""

    @property
    def auc(self) -> float:
        """Area under ε_S over ε_B."""

    @property
    def auc_error(self) -> float:
        """Its standard error."""

    @property
    def area(self) -> Measured:
        """The area with its error or limits."""


class CurveOfEvents(Curve, Protocol):
    """A ROC curve that knows its events."""

    @property
    def events(self) -> Events:
        """Scores and weights of the classes."""


class Events(Protocol):
    """Scores and weights of the events of each class, shape (events of the class,)."""

    @property
    def signal(self) -> Array:
        """Scores of the signal."""

    @property
    def signal_weight(self) -> Array:
        """Weights of the signal."""

    @property
    def background(self) -> Array:
        """Scores of the background."""

    @property
    def background_weight(self) -> Array:
        """Weights of the background."""


class Point(Protocol):
    """A cut: signal efficiency and background efficiency."""

    @property
    def threshold(self) -> float:
        """The cut."""

    @property
    def eps_s(self) -> float:
        """Signal efficiency."""

    @property
    def eps_b(self) -> float:
        """Background efficiency."""

    @property
    def rejection(self) -> float:
        """Background rejection 1/ε_B."""

    @property
    def signal_efficiency(self) -> Measured:
        """Signal efficiency with its error or limits."""

    @property
    def background_efficiency(self) -> Measured:
        """Background efficiency with its error or limits."""

    @property
    def convention(self) -> str:
        """Sentence about what the errors hold for."""


class Band(Protocol):
    """Confidence band of a ROC curve."""

    @property
    def eps_s(self) -> Array:
        """Signal efficiencies."""

    @property
    def low(self) -> Array:
        """Smallest background efficiencies."""

    @property
    def high(self) -> Array:
        """Largest background efficiencies."""

    @property
    def level(self) -> float:
        """Probability content."""

    @property
    def replicas(self) -> int:
        """Resampled samples it was made of."""

    @property
    def extent(self) -> str:
        """Sentence about where it is drawn, and where not."""


class Scan(Protocol):
    """Significance over the cut."""

    @property
    def symbol(self) -> str:
        """Symbol of the significance: Z_A or S/√B."""

    @property
    def limit(self) -> str:
        """Sentence on a best cut at the end of the cuts that are looked at; else empty."""

    @property
    def thresholds(self) -> Array:
        """Cuts, rising."""

    @property
    def z(self) -> Array:
        """Significance."""

    @property
    def error(self) -> Array:
        """Its error."""

    @property
    def systematics(self) -> float:
        """Relative uncertainty of the background."""

    @property
    def expected_of(self) -> str:
        """Sample to which the expected events refer, in words, or nothing."""

    @property
    def signal(self) -> float:
        """Signal expected before the cut."""

    @property
    def background(self) -> float:
        """Background expected before the cut."""

    @property
    def min_background(self) -> float:
        """Background events of the sample that a cut must leave."""

    @property
    def measured(self) -> Measured:
        """The significance at the best cut with its error."""

    @property
    def allowed(self) -> Array:
        """Mask of the cuts that leave enough background events."""

    @property
    def best(self) -> Point:
        """The cut with the largest significance."""

    @property
    def at_best(self) -> float:
        """The significance there."""


class Reliability(Protocol):
    """Signal fraction in bins of the score."""

    @property
    def score(self) -> Array:
        """Mean scores."""

    @property
    def fraction(self) -> Array:
        """Signal fractions."""

    @property
    def low(self) -> Array:
        """Lower ends of their intervals."""

    @property
    def high(self) -> Array:
        """Upper ends of their intervals."""

    @property
    def weight(self) -> Array:
        """Shares of the bins in the sample."""

    @property
    def edges(self) -> Array:
        """Edges of the bins."""

    @property
    def expected_error(self) -> float:
        """Expected calibration error."""

    @property
    def measured_brier(self) -> Measured:
        """Brier score with its error."""

    @property
    def mixture(self) -> str:
        """Mixture of signal and background that is judged, in words."""


class Test(Protocol):
    """A comparison of two distributions."""

    @property
    def p(self) -> float:
        """Probability if they are the same."""


class TrainTest(Protocol):
    """Scores of training and of test events, compared."""

    @property
    def train(self) -> CurveOfEvents:
        """ROC curve of the training events."""

    @property
    def test(self) -> CurveOfEvents:
        """ROC curve of the test events."""

    @property
    def signal(self) -> Test:
        """Comparison of the signal."""

    @property
    def background(self) -> Test:
        """Comparison of the background."""

    @property
    def measured_gap(self) -> Measured:
        """AUC of the training events minus that of the test events, with its error."""


class Refitted(Protocol):
    """Loss of AUC of a classifier trained without a group of features."""

    @property
    def measured(self) -> Measured:
        """The loss with its error."""


#: Groups of features of which the losses are drawn, the most important ones.
MOST_GROUPS = 20


class Losses(Protocol):
    """Losses of AUC when groups of features are shuffled, or dropped; largest first."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups."""

    @property
    def members(self) -> tuple[tuple[str, ...], ...]:
        """Features or variables of each group."""

    @property
    def grouping(self) -> str:
        """Origin of the groups: correlated, single or chosen."""

    @property
    def refits(self) -> Sequence[Refitted | None]:
        """Losses by refitting; empty without refits."""

    @property
    def before(self) -> str:
        """AUC with all features in place, with its error where that is known."""

    @property
    def meaning(self) -> str:
        """Sentence about what a loss means, and what it does not mean."""

    @property
    def drop(self) -> Array:
        """Losses of AUC."""

    @property
    def error(self) -> Array:
        """Errors of the losses."""

    @property
    def events(self) -> int:
        """Events that were shuffled."""

    @property
    def by(self) -> str:
        """Unit that the groups are made of: a feature or a variable."""

    @property
    def repeats(self) -> int:
        """Shuffles of each."""

    @property
    def auc(self) -> float:
        """AUC with all features in place."""


class Growth(Protocol):
    """Areas over the number of training events."""

    @property
    def events(self) -> tuple[int, ...]:
        """Numbers of training events."""

    @property
    def train(self) -> tuple[Curve, ...]:
        """ROC curves of the training events."""

    @property
    def test(self) -> tuple[Curve, ...]:
        """ROC curves of the test events."""
