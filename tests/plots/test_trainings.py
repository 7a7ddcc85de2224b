from __future__ import annotations

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.plots.drawings import LEARNING, LOSSES, OTHER, ROC, legend
from tfaas_nb import plots


def test_losses_start_at_epoch_one(ax: Axes) -> None:
    plots.history(LOSSES, ax)
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2, 3]] * 2
    assert [list(line.get_ydata()) for line in ax.lines] == list(LOSSES.values())
    assert legend(ax) == ["Training", "Validation"]


def test_epochs_are_whole_numbers(ax: Axes) -> None:
    plots.history({"Training": [0.5, 0.4]}, ax)
    assert all(tick == round(tick) for tick in ax.get_xticks())


def test_a_first_epoch_is_seen_already(ax: Axes) -> None:
    plots.history({"Training": [0.5]}, ax)
    assert ax.lines[0].get_marker() not in ("", "None", None)


def test_the_best_epoch_is_marked(ax: Axes) -> None:
    plots.history(LOSSES, ax, best=2)
    assert list(ax.lines[-1].get_xdata()) == [2, 2]
    assert legend(ax)[-1] == "Best epoch: 2"


def test_a_learning_curve_has_errors_and_ticks_that_do_not_overlap(ax: Axes) -> None:
    plots.learning_curve(LEARNING, ax)
    test, train = (container.lines[0] for container in ax.containers)
    assert list(test.get_ydata()) == [ROC.auc] * 4
    assert list(train.get_ydata()) == [OTHER.auc] * 4
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["100", "310", "1000"]
    assert legend(ax) == ["Test events", "Training events"]


@pytest.mark.slow
def test_the_auc_has_a_scale_of_its_own() -> None:
    figure = Figure()
    ax = figure.subplots()
    plots.history(LOSSES, ax, best=2, auc=[0.8, 0.9, 0.91])
    other = next(one for one in figure.axes if one is not ax)
    assert other.get_ylabel() == "AUC"
    assert list(other.lines[0].get_ydata()) == [0.8, 0.9, 0.91]
    legend = other.get_legend()
    assert legend is not None
    named = [text.get_text() for text in legend.get_texts()]
    assert named == [*LOSSES, "Best epoch: 2", "Validation AUC (right scale)"]
    assert ax.get_legend() is None
