"""Expected significance over the cut on the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.plots.drawable import Scan, check_drawn
from tfaas_nb.plots.style import BLUE, GREY, axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLES = {"Z_A": r"Expected significance $Z_A$", "S/√B": r"Expected significance $S/\sqrt{B}$"}


@checked_calls(DataError)
def significance(scan: Scan, ax: Axes | None = None) -> Axes:
    """Significance over the cut, with its error; hatched where too few events remain.

    Parameters
    ----------
    scan : metrics.SignificanceScan
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    """
    check_drawn(scan, "thresholds", "what evaluation.significance() gives")
    with style():
        ax = axes(ax)
        x, z, error = scan.thresholds, scan.z, scan.error
        known = np.isfinite(z) & np.isfinite(error)
        x, z, error, trusted = x[known], z[known], error[known], scan.allowed[known]
        ax.plot(x[trusted], z[trusted], "-", color=BLUE, label="Significance")
        ax.fill_between(
            *(x[trusted], (z - error)[trusted], (z + error)[trusted]),
            facecolor=BLUE,
            alpha=0.3,
            linewidth=0,
            label="Error from the finite sample",
        )
        ax.axvline(scan.best.threshold, color="black", linestyle="--", label=f"Best: {_cut(scan)}")
        right = max(1.0, float(x[-1]))
        if not scan.allowed.all():
            ends = float(scan.thresholds[scan.allowed][-1])
            ax.axvspan(
                *(ends, right),
                facecolor="none",
                edgecolor=GREY,
                hatch="xx",
                linewidth=0,
                label="Too few background events",
            )
        ax.set_xlim(min(0.0, float(x[0])), right)
        ax.set_ylim(0, 1.6 * float(np.max((z + error)[trusted])))
        ax.set_xlabel("Cut on the classifier score")
        ax.set_ylabel(_TITLES.get(scan.symbol, scan.symbol))
        ax.legend(loc="upper left")
        return finished(ax)


def _cut(scan: Scan) -> str:
    return f"{scan.at_best:.3g} at score ≥ {scan.best.threshold:.3f}"
