"""Signal fraction over the score, and where the scores lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.plots.drawable import Reliability, check_drawn
from tfaas_nb.plots.style import BLUE, GREY, axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@checked_calls(DataError)
def calibration(found: Reliability, ax: Axes | None = None) -> Axes:
    """Signal fraction with binomial errors over the mean score of each bin.

    Parameters
    ----------
    found : metrics.Calibration
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    """
    check_drawn(found, "fraction", "what evaluation.calibration() gives")
    with style():
        ax = axes(ax)
        ax.stairs(
            found.weight, found.edges, fill=True, color=GREY, alpha=0.4, label="Share of the sample"
        )
        ax.plot([0, 1], [0, 1], "--", color="black", label="Calibrated")
        filled = np.isfinite(found.fraction)
        fraction = found.fraction[filled]
        ax.errorbar(
            found.score[filled],
            fraction,
            yerr=(
                np.maximum(fraction - found.low[filled], 0),
                np.maximum(found.high[filled] - fraction, 0),
            ),
            fmt="o",
            color=BLUE,
            markeredgecolor="black",
            label=f"Classifier (expected error {found.expected_error:.3f})",
        )
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.35)
        ax.set_xlabel("Mean classifier score")
        ax.set_ylabel("Signal fraction")
        ax.legend(loc="upper left")
        return finished(ax)
