from __future__ import annotations

import threading
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from tests.plots.drawings import DRAWINGS, every_drawing
from tfaas_nb import plots
from tfaas_nb.errors import DataError


@every_drawing
def test_it_draws_on_the_axes_it_is_given_and_returns_them(draw: Any, ax: Axes) -> None:
    """Were it to show them, the backend without a screen would warn, which is an error here."""
    assert draw(ax) is ax
    assert ax.has_data()
    assert ax.get_xlabel()


@every_drawing
def test_it_makes_one_figure_when_given_no_axes(draw: Any) -> None:
    ax = draw()
    assert plt.get_fignums() == [ax.figure.number]
    plt.close(ax.figure)


@every_drawing
def test_the_style_ends_with_the_drawing(draw: Any, ax: Axes) -> None:
    before = dict(mpl.rcParams)
    draw(ax)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("roc", r"Signal efficiency $\varepsilon_S$", r"Background rejection $1/\varepsilon_B$"),
        (
            "efficiencies",
            r"Background efficiency $\varepsilon_B$",
            r"Signal efficiency $\varepsilon_S$",
        ),
        ("scores", "Classifier score", "Events (normalised)"),
        ("feature", "$p_T$ [GeV], slot 0", "Events (normalised)"),
        ("overtraining", "Classifier score", "Events (normalised)"),
        ("history", "Epoch", "Binary cross-entropy"),
        ("learning_curve", "Training events", "AUC"),
        ("importance", "Loss of AUC when shuffled", ""),
        ("significance", "Cut on the classifier score", "Expected significance $Z_A$"),
        ("calibration", "Mean classifier score", "Signal fraction"),
    ],
)
def test_axes_are_labelled(name: str, x: str, y: str, ax: Axes) -> None:
    DRAWINGS[name](ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (x, y)


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


@every_drawing
def test_no_label_is_on_a_plot_by_accident(draw: Any, ax: Axes) -> None:
    assert words(draw(ax)) == []


@every_drawing
def test_a_label_that_was_asked_for_is_on_every_plot(draw: Any, ax: Axes) -> None:
    with plots.label("CMS Simulation Preliminary", "13 TeV"):
        draw(ax)
    assert words(ax) == ["CMS", "Simulation Preliminary", "13 TeV"]
    assert ax.texts[0].get_weight() == "bold"
    ax.clear()
    assert words(draw(ax)) == []


def test_a_label_ends_with_its_context_also_after_an_error(ax: Axes) -> None:
    with pytest.raises(ZeroDivisionError), plots.label("CMS"):
        raise ZeroDivisionError
    assert words(DRAWINGS["history"](ax)) == []


def test_a_label_of_one_word_has_no_other_parts(ax: Axes) -> None:
    with plots.label("CMS"):
        DRAWINGS["history"](ax)
    assert words(ax) == ["CMS"]


def test_an_empty_label_is_refused() -> None:
    with pytest.raises(DataError, match="needs a text"), plots.label(" "):
        pass


@every_drawing
def test_lines_and_areas_can_be_told_apart_without_colours(draw: Any, ax: Axes) -> None:
    draw(ax)
    lines = [
        (line.get_linestyle(), line.get_marker(), line.get_linewidth(), line.get_markerfacecolor())
        for line in ax.lines
        if not line.get_label().startswith("_")
    ]
    assert len(set(lines)) == len(lines)
    hatches = [
        patch.get_hatch() for patch in ax.patches if patch.get_label() in ("Signal", "Background")
    ]
    assert len(set(hatches)) == len(hatches)


def test_the_style_of_two_threads_leaves_none_behind() -> None:
    before, inside, go_on = mpl.rcParams["font.size"], threading.Event(), threading.Event()

    def other() -> None:
        with plots.style():
            inside.set()
            go_on.wait(0.2)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    with plots.style():
        thread.join()
    assert mpl.rcParams["font.size"] == before
