"""Distributions of the two classes: scores, also of training against test events; features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.options import check_option, is_number
from tfaas_nb.plots.drawable import Events, TrainTest
from tfaas_nb.plots.style import BACKGROUND, SIGNAL, axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Space on a logarithmic axis below the smallest content and above the largest.
_BELOW = 3.0
_BINS = 40


@checked_calls(DataError)
def scores(
    y: npt.NDArray[Any],
    values: npt.NDArray[Any],
    weight: npt.NDArray[Any] | None = None,
    ax: Axes | None = None,
    threshold: float | None = None,
) -> Axes:
    """Score distributions of signal and background, each normalised to one.

    Parameters
    ----------
    y, values, weight : numpy.ndarray
        Classes (1 signal, 0 background), scores and event weights, shape (events,).
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    threshold : float, optional
        Drawn as a vertical line.
    """
    right = threshold is None or is_number(threshold)
    check_option("threshold", threshold, right, "a number", DataError)
    weight = np.ones(len(y)) if weight is None else weight
    with style():
        ax = axes(ax)
        low, high = _range(values)
        _two_classes(ax, y, values, weight, np.linspace(low, high, _BINS + 1))
        if threshold is not None:
            ax.axvline(threshold, color="black", linestyle="--", label=f"Cut at {threshold:.3f}")
        ax.set_xlim(low, high)
        _log_scale(ax)
        ax.set_xlabel("Classifier score")
        ax.set_ylabel("Events (normalised)")
        ax.legend(loc="upper center")  # classifiers pile up events at both ends
        return finished(ax)


@checked_calls(DataError)
def overtraining(found: TrainTest, ax: Axes | None = None) -> Axes:
    """Scores of test events (filled) and training events (points), class by class.

    Each distribution is normalised to one; errors are those of the sums of weights. The legend
    has the probabilities of the Kolmogorov-Smirnov tests.

    Parameters
    ----------
    found : metrics.Overtraining
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    """
    train, test = found.train.events, found.test.events
    together = [train.signal, train.background, test.signal, test.background]
    low, high = _range(np.concatenate(together))
    bins = np.linspace(low, high, _BINS // 2 + 1)
    with style():
        ax = axes(ax)
        lowest, highest = _extremes(
            _contents(events, name, bins)[0]
            for events in (train, test)
            for name in ("signal", "background")
        )
        floor = lowest / _BELOW
        for name, look, marker, p in (
            ("signal", SIGNAL, "o", found.signal.p),
            ("background", BACKGROUND, "s", found.background.p),
        ):
            content = np.maximum(_contents(test, name, bins)[0], floor)
            ax.stairs(
                *(content, bins),
                fill=True,
                baseline=floor,
                facecolor=look["color"],
                alpha=0.2,
                linewidth=0,
            )
            ax.stairs(
                *(content, bins),
                fill=True,
                baseline=floor,
                facecolor="none",
                edgecolor=look["color"],
                hatch=look["hatch"],
                linewidth=2,
                linestyle=look.get("linestyle", "-"),
                label=f"{look['label']}, test",
            )
            points, error = _contents(train, name, bins)
            some = points > 0
            ax.errorbar(
                ((bins[1:] + bins[:-1]) / 2)[some],
                points[some],
                # On a logarithmic axis an error of the whole has no lower end.
                yerr=(np.minimum(error, 0.999 * points)[some], error[some]),
                fmt=marker,
                markersize=7,
                color=look["color"],
                markeredgecolor="black",
                markerfacecolor=look["color"] if name == "signal" else "white",
                label=f"{look['label']}, training (KS p = {p:.2g})",
            )
        ax.set_xlim(low, high)
        ax.set_yscale("log")
        ax.set_ylim(floor, highest * (highest / lowest) ** 0.5 * _BELOW)
        ax.set_xlabel("Classifier score")
        ax.set_ylabel("Events (normalised)")
        ax.legend(loc="upper center", fontsize=14)
        return finished(ax)


def _extremes(contents: Iterable[npt.NDArray[np.float64]]) -> tuple[float, float]:
    """Smallest and largest of the contents that are not zero."""
    joined = np.concatenate([content[content > 0] for content in contents])
    return float(joined.min(initial=1.0)), float(joined.max(initial=1.0))


def _log_scale(ax: Axes) -> None:
    """Turn histograms to a logarithmic axis that ends below the smallest of their contents.

    An outline that goes down to zero is, to Matplotlib, a thousand decades long there: where the
    axis has only one decade, it spends hours on the dashes and the hatch of what nobody sees.
    """
    outlines = [np.array(patch.get_xy()) for patch in ax.patches]  # type: ignore[attr-defined]
    lowest, highest = _extremes(outline[:, 1] for outline in outlines)
    floor = lowest / _BELOW
    for patch, outline in zip(ax.patches, outlines, strict=True):
        outline[:, 1] = np.maximum(outline[:, 1], floor)
        patch.set_xy(outline)  # type: ignore[attr-defined]
    ax.set_yscale("log")
    ax.set_ylim(floor, highest * _BELOW)


def _range(scores: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the range of the axis: from 0 to 1, unless scores are no probabilities."""
    low, high = float(scores.min()), float(scores.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _contents(
    events: Events, kind: str, bins: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Share of the class's weight in each bin, and its error."""
    values, weight = getattr(events, kind), getattr(events, f"{kind}_weight")
    total = weight.sum()
    content = np.histogram(values, bins, weights=weight)[0] / total
    squares = np.histogram(values, bins, weights=weight**2)[0]
    return content, np.sqrt(squares) / total


@checked_calls(DataError)
def feature(data: Dataset, name: str, ax: Axes | None = None) -> Axes:
    """Distribution of a feature, signal against background, absent jets left out.

    Parameters
    ----------
    data : Dataset
        Events of both classes.
    name : str
        A feature, for instance ``jetMassSoftDrop_0`` (GeV).
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.

    Raises
    ------
    FeatureError
        If there is no such feature.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    variable = data.features.variable(name)
    present = data.present(name)
    values = data.X[present, data.features.column(name)]
    with style():
        ax = axes(ax)
        _two_classes(ax, data.y[present], values, data.weight[present], _bins(values))
        if _are_counts(values):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.xaxis.set_minor_locator(NullLocator())
        slot = name.removeprefix(variable.name).removeprefix("_")
        ax.set_xlabel(f"{variable.axis}, slot {slot}" if slot else variable.axis)
        ax.set_ylabel("Events (normalised)")
        if len(values):
            ax.set_ylim(top=1.3 * ax.get_ylim()[1])  # room for the legend
            ax.legend(loc="upper right")
        return finished(ax)


def _bins(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Edges up to the 99.5 % quantile; around each number where the values are counts."""
    if not len(values):
        return np.linspace(0.0, 1.0, _BINS + 1)
    low, high = map(float, np.quantile(values, [0.0, 0.995]))
    if _are_counts(values):
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    return np.linspace(low, high if high > low else low + 1.0, _BINS + 1)


def _are_counts(values: npt.NDArray[np.float32]) -> bool:
    """Return True if the values are whole numbers of a small range."""
    if not len(values) or np.any(values % 1):
        return False
    low, high = np.quantile(values, [0.0, 0.995])
    return bool(high - low < _BINS)


def _two_classes(
    ax: Axes,
    y: npt.NDArray[Any],
    values: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    bins: npt.NDArray[np.float64],
) -> None:
    for kind, look in ((1, SIGNAL), (0, BACKGROUND)):
        chosen = y == kind
        if chosen.any():
            # Matplotlib adds weights up in their own precision, too little in float32.
            share = weight[chosen].astype(np.float64)
            total = share.sum()
            share = share / total if total else share  # of weights that cancel there is no share
            ax.hist(values[chosen], list(bins), weights=share, histtype="step", linewidth=2, **look)
