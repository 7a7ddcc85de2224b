"""Plots of trainings: losses over epochs, areas over the number of training events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.plots.drawable import Growth
from tfaas_nb.plots.style import BLUE, LINES, MARKERS, RED, axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@checked_calls(DataError)
def history(
    epochs: Mapping[str, npt.ArrayLike],
    ax: Axes | None = None,
    best: int | None = None,
    auc: npt.ArrayLike | None = None,
) -> Axes:
    """Losses over epochs, and with a scale of its own the AUC.

    Parameters
    ----------
    epochs : mapping of label to values
        One line each, epoch 1 first.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    best : int, optional
        Number of the epoch whose weights were kept, marked by a line.
    auc : array_like, optional
        Validation AUC of each epoch.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    with style():
        ax = axes(ax)
        for i, (name, values) in enumerate(epochs.items()):
            numbers = np.asarray(values)
            ax.plot(
                *(np.arange(1, len(numbers) + 1), numbers, LINES[i % 4]),
                marker=MARKERS[i % 4],
                markersize=5,
                label=name,
            )
        if best is not None:
            ax.axvline(best, color="black", linestyle=":", label=f"Best epoch: {best}")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("Epoch")
        ax.set_ylabel("Binary cross-entropy")
        if auc is None:
            ax.legend()
        else:
            _on_the_right(ax, np.asarray(auc))
        return finished(ax)


def _on_the_right(ax: Axes, auc: npt.NDArray[np.float64]) -> None:
    """Draw the AUC with a scale at the right; one legend for all."""
    right = ax.twinx()
    right.plot(
        *(np.arange(1, len(auc) + 1), auc, ":^"),
        color="black",
        markersize=5,
        label="Validation AUC (right scale)",
    )
    right.set_ylabel("AUC")
    right.ticklabel_format(useOffset=False)
    ax.tick_params(which="both", right=False)
    ax.margins(y=0.3)
    right.margins(y=0.3)
    drawn = [(*each.get_legend_handles_labels(),) for each in (ax, right)]
    right.legend(*([*a, *b] for a, b in zip(*drawn, strict=True)), loc="upper center", ncols=2)


@checked_calls(DataError)
def learning_curve(found: Growth, ax: Axes | None = None) -> Axes:
    """AUC with its error over the number of training events.

    Parameters
    ----------
    found : metrics.LearningCurve
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure by default.
    """
    from matplotlib.ticker import NullLocator

    with style():
        ax = axes(ax)
        looks = {"Test": (found.test, BLUE, 0), "Training": (found.train, RED, 1)}
        for name, (curves, color, i) in looks.items():
            ax.errorbar(
                found.events,
                [curve.auc for curve in curves],
                yerr=[curve.auc_error for curve in curves],
                fmt=LINES[i] + MARKERS[i],
                color=color,
                markerfacecolor=color if i == 0 else "white",
                capsize=3,
                label=f"{name} events",
            )
        ax.set_xscale("log")
        ticks = _apart(found.events)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xticks(ticks, [str(n) for n in ticks])
        ax.margins(x=0.1, y=0.15)
        ax.set_xlabel("Training events")
        ax.set_ylabel("AUC")
        ax.legend(loc="best")
        return finished(ax)


def _apart(numbers: tuple[int, ...]) -> list[int]:
    """Numbers far enough from each other for their names on a logarithmic axis."""
    kept: list[int] = []
    for number in sorted(numbers, reverse=True):
        if not kept or kept[-1] / number >= (numbers[-1] / numbers[0]) ** 0.1 + 0.05:
            kept.append(number)
    return kept[::-1]
