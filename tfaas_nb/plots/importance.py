"""Features by how much the classifier loses without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.options import check_count
from tfaas_nb.plots.drawable import MOST_GROUPS, Losses, check_drawn
from tfaas_nb.plots.style import BLUE, axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@checked_calls(DataError)
def importance(found: Losses, ax: Axes | None = None, most: int = MOST_GROUPS) -> Axes:
    """Loss of AUC when a group of features is shuffled, and without it; the largest on top.

    Parameters
    ----------
    found : metrics.Importance
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    most : int
        Groups to draw.
    """
    from matplotlib.ticker import NullLocator

    check_drawn(found, "drop", "what evaluation.importance() gives")
    check_count("most", most, 1, DataError)

    with style():
        ax = axes(ax)
        names = found.names[:most]
        places = np.arange(len(names))
        ax.barh(
            *(places, found.drop[:most]),
            xerr=found.error[:most],
            facecolor=BLUE,
            edgecolor="black",
            hatch="//",
            alpha=0.7,
            ecolor="black",
            label="Shuffled",
        )
        _refits(ax, found, most)
        ax.axvline(0, color="black", linewidth=1)
        ax.set_yticks(places, names, fontsize=18 if len(names) <= 12 else 13)
        ax.yaxis.set_minor_locator(NullLocator())
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlabel("Loss of AUC" if any(found.refits) else "Loss of AUC when shuffled")
        return finished(ax)


def _refits(ax: Axes, found: Losses, most: int) -> None:
    """Draw the losses by refitting that are known, with a legend."""
    known = [(at, one.measured) for at, one in enumerate(found.refits[:most]) if one is not None]
    if known:
        ax.errorbar(
            [loss.value for _, loss in known],
            [at for at, _ in known],
            xerr=[loss.error or 0.0 for _, loss in known],
            fmt="o",
            color="black",
            label="Refitted without",
        )
        ax.legend(loc="lower right")
