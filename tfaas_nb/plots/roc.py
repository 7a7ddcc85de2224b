"""ROC curves: background rejection over signal efficiency, or one efficiency over the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.nearest import unknown_keys
from tfaas_nb.plots.drawable import Array, Band, Curve, Point, check_drawn
from tfaas_nb.plots.style import LINES, MARKERS, axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Longer curves are drawn with points left out that nobody could see.
_MOST_POINTS = 2000

#: Characters of a name that a legend has room for, and what is left of a longer one.
_LONGEST, _BEGIN, _END = 24, 12, 11
#: Of red, green and blue the largest less the smallest, up to which a colour looks grey.
_GREYISH = 0.15


@checked_calls(DataError)
def roc(
    curves: Curve | Mapping[str, Curve],
    ax: Axes | None = None,
    points: Mapping[str, Point] | None = None,
    band: Band | Mapping[str, Band] | None = None,
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
    band : metrics.Band or mapping of name to it, optional
        Drawn around the curve of that name.

    Raises
    ------
    DataError
        If there is a band of a name that no curve has.
    """
    named, bands = _named(curves, band)
    with style():
        ax = axes(ax)
        tops = []
        looks, told = _looks(ax, named), _levels(bands)
        for name, curve in named.items():
            keep = (curve.eps_b > 0) & (curve.eps_s > 0)
            x, y = curve.eps_s[keep], curve.eps_b[keep]
            seen = _visible(x, np.log(y))
            (line,) = ax.plot(x[seen], 1 / y[seen], **looks[name])
            tops.append(1 / y.min())
            if name in bands and len(bands[name].eps_s):
                found = bands[name]
                floor = y.min() / 3  # replicas without background reach to infinity
                low, high = np.maximum(found.low, floor), np.maximum(found.high, floor)
                look = _look(line.get_color(), told.get(name, ""))
                ax.fill_between(found.eps_s, 1 / high, 1 / low, **look)
        for i, (name, point) in enumerate((points or {}).items()):
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(point.eps_s, point.rejection, marker, color="black", label=name, zorder=5)
        efficiency = np.linspace(0.01, 1, 100)
        ax.plot(efficiency, 1 / efficiency, color="grey", linewidth=1, label="Random")
        ax.set_xlim(0, 1)
        ax.set_yscale("log")
        ax.set_ylim(1, 3 * max(tops, default=100.0))
        ax.set_xlabel(r"Signal efficiency $\varepsilon_S$")
        ax.set_ylabel(r"Background rejection $1/\varepsilon_B$")
        ax.legend(loc="upper right")
        return finished(ax)


@checked_calls(DataError)
def efficiencies(
    curves: Curve | Mapping[str, Curve],
    ax: Axes | None = None,
    points: Mapping[str, Point] | None = None,
    band: Band | Mapping[str, Band] | None = None,
) -> Axes:
    """Signal efficiency ε_S over background efficiency ε_B, both linear.

    Parameters are those of `roc`.
    """
    named, bands = _named(curves, band)
    with style():
        ax = axes(ax)
        looks, told = _looks(ax, named), _levels(bands)
        for name, curve in named.items():
            seen = _visible(curve.eps_b, curve.eps_s)
            x, y = curve.eps_b[seen], curve.eps_s[seen]
            (line,) = ax.plot(x, y, **looks[name])
            if name in bands and len(bands[name].eps_s):
                found, look = bands[name], _look(line.get_color(), told.get(name, ""))
                ax.fill_betweenx(found.eps_s, found.low, found.high, **look)
        for i, (name, point) in enumerate((points or {}).items()):
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(point.eps_b, point.eps_s, marker, color="black", label=name, zorder=5)
        ax.plot([0, 1], [0, 1], color="grey", linewidth=1, label="Random")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.02)
        ax.set_xlabel(r"Background efficiency $\varepsilon_B$")
        ax.set_ylabel(r"Signal efficiency $\varepsilon_S$")
        ax.legend(loc="lower right")
        return finished(ax)


def _named(
    curves: Curve | Mapping[str, Curve], band: Band | Mapping[str, Band] | None
) -> tuple[Mapping[str, Curve], Mapping[str, Band]]:
    named = curves if isinstance(curves, Mapping) else {"": curves}
    for curve in named.values():
        if not hasattr(curve, "eps_b"):
            raise DataError(
                f"a {type(curve).__name__} is no ROC curve: evaluation.roc is one, and "
                "tn.metrics.Roc.of(y, scores) makes one"
            )
    if band is None:
        return named, {}
    bands = band if isinstance(band, Mapping) else {next(iter(named)): band}
    for one in bands.values():
        check_drawn(one, "extent", "the band that evaluation.band() gives")
    if wrong := unknown_keys(bands, list(named)):
        raise DataError(f"a band is drawn around the curve of its name: {wrong}")
    return named, bands


def _looks(ax: Axes, named: Mapping[str, Curve]) -> dict[str, dict[str, Any]]:
    """Return the line style, colour and legend label of each curve."""
    shown = _shortened(list(named))
    colors = _colors()
    # Curves that are there already keep their looks to themselves.
    first = sum("AUC" in str(line.get_label()) for line in ax.lines)
    return {
        name: {
            "linestyle": LINES[i % 4],
            "color": colors[(first + i) % len(colors)],
            "label": f"{shown[name]} (AUC = {curve.auc:.3f})" if name else f"AUC = {curve.auc:.3f}",
        }
        for i, (name, curve) in enumerate(named.items())
    }


def _colors() -> list[str]:
    """The style's colours but for the greys, of which one is that of guessing."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    cycle = [str(one) for one in mpl.rcParams["axes.prop_cycle"].by_key()["color"]]
    vivid = [one for one in cycle if np.ptp(to_rgb(one)) > _GREYISH]
    return vivid or cycle


def _shortened(names: Sequence[str]) -> dict[str, str]:
    """Name → what a legend has room for, with an ellipsis in the middle; all are distinct."""
    found = {
        name: name if len(name) <= _LONGEST else f"{name[:_BEGIN]}…{name[-_END:]}" for name in names
    }
    shown = list(found.values())
    return {
        name: short if shown.count(short) == 1 else f"{short} [{names.index(name) + 1}]"
        for name, short in found.items()
    }


def _levels(bands: Mapping[str, Band]) -> dict[str, str]:
    """Return the legend's texts on the bands' levels, one for each level: band → text."""
    first: dict[str, str] = {}
    for name, band in bands.items():
        if len(band.eps_s):
            begins = "" if len(bands) > 1 else f" from ε_S = {band.eps_s[0]:.2g}"
            first.setdefault(f"{band.level:.1%} band{begins}", name)
    return {name: level for level, name in first.items()}


def _look(color: object, label: str) -> dict[str, Any]:
    told = {"label": label} if label else {}
    return {"facecolor": color, "alpha": 0.3, "linewidth": 0, **told}


def _visible(x: Array, y: Array) -> Array:
    """Positions of the points of a curve that can be told apart, its ends among them."""
    if len(x) <= _MOST_POINTS:
        return np.arange(len(x))
    steps = np.hypot(np.diff(x) / np.ptp(x), np.diff(y) / (np.ptp(y) or 1.0))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, along[-1], _MOST_POINTS)
    positions: Array = np.unique(np.searchsorted(along, wanted).clip(0, len(x) - 1))
    return positions
