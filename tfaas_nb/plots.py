"""Figures in HEP style: draw on given Axes, return them, never show.

The style is that of mplhep for CMS, without the "CMS" label: nothing here looks official
by accident.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (8.0, 6.5)
_BINS = 40
_LINES = ("-", "--", ":", "-.")
_SIGNAL: dict[str, Any] = {"label": "Signal", "color": "#5790fc", "hatch": "//"}
_BACKGROUND: dict[str, Any] = {"label": "Background", "color": "#e42536", "hatch": "\\\\"}


class Curve(Protocol):
    """A ROC curve: efficiencies of the cuts, ε_B rising, and the area with its error."""

    @property
    def eps_s(self) -> npt.NDArray[Any]:
        """Signal efficiencies."""

    @property
    def eps_b(self) -> npt.NDArray[Any]:
        """Background efficiencies."""

    @property
    def auc(self) -> float:
        """Area under ε_S over ε_B."""

    @property
    def auc_error(self) -> float:
        """Its standard error."""


class Point(Protocol):
    """A cut: signal efficiency and background rejection."""

    @property
    def eps_s(self) -> float:
        """Signal efficiency."""

    @property
    def rejection(self) -> float:
        """Background rejection 1/ε_B."""


def style() -> AbstractContextManager[None]:
    """Context in which new figures have the style."""
    import matplotlib.pyplot as plt
    import mplhep

    small = {"figure.figsize": _SIZE, "font.size": 18, "figure.autolayout": False}
    return plt.style.context([mplhep.style.CMS, small])


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def roc(
    curves: Curve | Mapping[str, Curve],
    ax: Axes | None = None,
    points: Mapping[str, Point] | None = None,
) -> Axes:
    """Background rejection 1/ε_B over signal efficiency ε_S, one line per classifier.

    Parameters
    ----------
    curves : metrics.Roc or mapping of name to it
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    points : mapping of name to metrics.WorkingPoint, optional
        Marked on the plot.
    """
    named = curves if isinstance(curves, Mapping) else {"": curves}
    with style():
        ax = _axes(ax)
        for line, (name, curve) in zip(_LINES * len(named), named.items(), strict=False):
            label = f"{name} (AUC = {curve.auc:.3f})" if name else f"AUC = {curve.auc:.3f}"
            keep = (curve.eps_b > 0) & (curve.eps_s > 0)
            ax.plot(curve.eps_s[keep], 1 / curve.eps_b[keep], line, label=label)
        for name, point in (points or {}).items():
            ax.plot(point.eps_s, point.rejection, "o", color="black", label=name)
        efficiency = np.linspace(0.01, 1, 100)
        ax.plot(efficiency, 1 / efficiency, color="grey", linewidth=1, label="Random")
        ax.set_xlim(0, 1)
        ax.set_ylim(bottom=1)
        ax.set_yscale("log")
        ax.set_xlabel(r"Signal efficiency $\varepsilon_S$")
        ax.set_ylabel(r"Background rejection $1/\varepsilon_B$")
        ax.legend()
    return ax


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
    weight = np.ones(len(y)) if weight is None else weight
    with style():
        ax = _axes(ax)
        _two_classes(ax, y, values, weight, np.linspace(0, 1, _BINS + 1))
        if threshold is not None:
            ax.axvline(threshold, color="black", linestyle="--", label=f"Cut at {threshold:.3f}")
        ax.set_xlim(0, 1)
        ax.set_yscale("log")
        ax.set_xlabel("Classifier score")
        ax.set_ylabel("Events (normalised)")
        ax.legend(loc="upper center")  # classifiers pile up events at both ends
    return ax


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
    variable = data.features.variable(name)
    present = data.present(name)
    values = data.X[present, data.features.column(name)]
    with style():
        ax = _axes(ax)
        _two_classes(ax, data.y[present], values, data.weight[present], _bins(values))
        slot = name.removeprefix(variable.name).removeprefix("_")
        ax.set_xlabel(f"{variable.axis}, slot {slot}" if slot else variable.axis)
        ax.set_ylabel("Events (normalised)")
        if len(values):
            ax.set_ylim(top=1.3 * ax.get_ylim()[1])  # room for the legend
            ax.legend(loc="upper right")
    return ax


def _bins(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Edges up to the 99.5 % quantile; around each number where the values are counts."""
    if not len(values):
        return np.linspace(0.0, 1.0, _BINS + 1)
    low, high = map(float, np.quantile(values, [0.0, 0.995]))
    if high - low < _BINS and not np.any(values % 1):
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    return np.linspace(low, high if high > low else low + 1.0, _BINS + 1)


def _two_classes(
    ax: Axes,
    y: npt.NDArray[Any],
    values: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    bins: npt.NDArray[np.float64],
) -> None:
    for kind, look in ((1, _SIGNAL), (0, _BACKGROUND)):
        chosen = y == kind
        if chosen.any():
            # Matplotlib adds weights up in their own precision, too little in float32.
            share = weight[chosen].astype(np.float64) / weight[chosen].sum(dtype=np.float64)
            ax.hist(values[chosen], list(bins), weights=share, histtype="step", linewidth=2, **look)


def history(epochs: Mapping[str, npt.ArrayLike], ax: Axes | None = None) -> Axes:
    """Losses over epochs.

    Parameters
    ----------
    epochs : mapping of label to values
        One line each, epoch 1 first.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    with style():
        ax = _axes(ax)
        for line, (label, values) in zip(_LINES * len(epochs), epochs.items(), strict=False):
            numbers = np.asarray(values)
            ax.plot(np.arange(1, len(numbers) + 1), numbers, line, marker=".", label=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("Epoch")
        ax.set_ylabel("Binary cross-entropy")
        ax.legend()
    return ax


def png(draw: Callable[[Axes], Any], size: tuple[float, float] = _SIZE, dpi: int = 72) -> bytes:
    """A picture of what `draw` puts on fresh Axes, made without touching pyplot's figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=dpi)
    return stream.getvalue()


def html_image(picture: bytes, alt: str) -> str:
    """An ``<img>`` with the picture inside."""
    data = base64.b64encode(picture).decode()
    return f'<img alt="{alt}" style="max-width:480px" src="data:image/png;base64,{data}"/>'
