"""Question about one event, and its answer: the score, the decision, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from tfaas_nb import plots
from tfaas_nb.client import Client
from tfaas_nb.errors import FeatureError, RouteNotFound
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import Contributions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What tells a model from others: its name, its file, and how it names its values.
Identity = tuple[str, str, str]

_MOST_SHOWN = 12
#: Values of a model without names that a person would still type.
_MOST_COLUMNS = 200
#: Room on either side of the scores, as a part of their range.
_BESIDE_SCORES = 0.03


@dataclass(frozen=True)
class Question:
    """An event that a model was asked about.

    Attributes
    ----------
    url : str
        The server.
    model : Identity
        The model.
    event : mapping of str to float
        Feature → value, in the order of the form.
    nameless : bool
        Whether the model takes values in its own order, without names.
    """

    url: str
    model: Identity
    event: Mapping[str, float]
    nameless: bool = False

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model[0]

    @property
    def sent(self) -> Any:
        """The event as it is sent."""
        return tuple(self.event.values()) if self.nameless else self.event


def identity(model: str, described: Mapping[str, Any]) -> Identity:
    """Tell a model from another one of its name by its ``params.json``."""
    file = described.get("sha256") or described.get("timestamp") or ""
    names = [described.get("features"), described.get("feature_set")]
    return model, str(file), repr(names)


def name(point: Mapping[str, float]) -> str:
    """Label of a model's own working point."""
    return f"ε_S = {point['eps_s']:.2g}"


def columns(model: str, client: Client) -> int:
    """Number of values that a model without names takes, if a person would still type them.

    Raises
    ------
    FeatureError
        If it is not known, or too large.
    """
    try:
        width = client.width(model)
    except RouteNotFound:  # a Go TFaaS
        width = None
    if width is None:
        raise FeatureError(
            f"{model!r} does not tell its features, nor how many values it takes: ask it from "
            "a cell, with the values in the order of its inputs"
        )
    if width > _MOST_COLUMNS:
        raise FeatureError(
            f"{model!r} takes {width} values without names, too many to type: ask it from a "
            "cell, with an array"
        )
    return width


def outputs(model: str, scores: Any) -> str:
    """HTML of the answer of a model that has no score but several outputs."""
    values = ", ".join(f"{value:.6f}" for value in np.atleast_1d(scores))
    return f"<b>Outputs of {escape(model)}: {values}</b>"


def decision(score: float, cut: float | None, working_point: str) -> str:
    """HTML of what a cut makes of a score; the name of the working point may be empty."""
    if cut is None or not math.isfinite(cut):
        return "No decision: the cut on the score is no number."
    at = f", the working point {escape(working_point)}" if working_point else ""
    passed, sign = ("signal", "≥") if score >= cut else ("background", "&lt;")
    return f"<b>Decision: {passed}</b>, because the score is {sign} {cut:.4g}{at}."


def place(score: float, evaluation: Evaluation, which: str) -> str:
    """HTML of the shares of signal and background that score as high or higher."""
    point = evaluation.roc.at_threshold(score)
    signal = _share(point.signal_efficiency, 1)
    background = _share(point.background_efficiency, 2)
    return (
        f"<br>{signal} of the signal and {background} of the background events {which} "
        "score as high or higher."
    )


def told_place(score: float, points: Sequence[Mapping[str, Any]]) -> str:
    """HTML of the model's own working points between which a score is, without any events."""
    if not points:
        return ""
    passed = [p for p in points if score >= p["threshold"]]
    failed = [p for p in points if score < p["threshold"]]
    low = max(failed, key=lambda p: p["eps_s"], default=None)
    high = min(passed, key=lambda p: p["eps_s"], default=None)
    return (
        f"<br>Of the events that it was judged on, {_between(low, high, 'eps_s', 0)} of the "
        f"signal and {_between(low, high, 'eps_b', 2)} of the background score as high or "
        "higher."
    )


def changes(found: Contributions) -> str:
    """HTML of the contribution of each feature."""
    rest = len(found.names) - _MOST_SHOWN
    more = f"; {rest} more change it less" if rest > 0 else ""
    return (
        '<div style="line-height:1.4"><p>What each feature contributes: the score minus that '
        "with the feature at its median in the training, the others unchanged"
        f"{more}.</p>{found.html(_MOST_SHOWN)}</div>"
    )


class Scores:
    """The distributions of the scores, with a line for an event that moves."""

    def __init__(self, evaluation: Evaluation) -> None:
        def draw(ax: Axes) -> tuple[Any, ...]:
            evaluation.plot_scores(ax)
            self._event = ax.axvline(0, 0, 0.75, color="black", linewidth=3, label="This event")
            self._cut = ax.axvline(0, 0, 0.7, color="black", linestyle="--", label="Cut")
            ax.legend(loc="upper center", fontsize=15)
            ax.set_ylim(top=ax.get_ylim()[1] * 30)  # room for the legend
            # An event's line at either end would lie under the frame.
            low, high = ax.get_xlim()
            ax.set_xlim(low - _BESIDE_SCORES * (high - low), high + _BESIDE_SCORES * (high - low))
            return self._event, self._cut

        self._picture = plots.Moving(draw, dpi=80)

    def at(self, score: float, cut: float | None) -> bytes:
        """The picture as PNG, without a line where there is no cut."""
        drawn = math.nan if cut is None else cut
        self._event.set_xdata([score, score])
        self._cut.set_xdata([drawn, drawn])
        return self._picture.png()


def _between(
    low: Mapping[str, float] | None, high: Mapping[str, float] | None, key: str, digits: int
) -> str:
    """A share of events that lies between those of two working points."""
    least, most = (None if point is None else f"{point[key]:.{digits}%}" for point in (low, high))
    if least and most:
        return f"{least} to {most}"
    return f"at most {most}" if most else f"more than {least}"


def _share(efficiency: Measured, digits: int) -> str:
    """An efficiency in per cent; that of no event, or of all, with its limit."""
    share = f"{efficiency.value:.{digits}%}"
    is_limit = efficiency.low is not None or efficiency.high is not None
    return f"{share} ({escape(efficiency.text)})" if is_limit else share
