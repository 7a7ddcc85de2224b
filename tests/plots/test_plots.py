from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfaas_nb import plots
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import FeatureError
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.metrics import Roc

RANDOM = np.random.default_rng(1)
Y = (np.arange(1000) % 2).astype(np.int8)
SCORES = np.clip(RANDOM.normal(0.35 + 0.3 * Y, 0.2), 0, 1)
ROC = Roc.of(Y, SCORES)
LOSSES = {"Training": [0.5, 0.4, 0.35], "Validation": [0.55, 0.45, 0.44]}

FEATURES = FeatureSet(
    "tiny",
    (Variable("nJets", "", "Number of jets"),),
    (Variable("jetPt", "GeV", "$p_T$"),),
    jets=12,
)


def dataset() -> Dataset:
    """One to three jets in each event, of twelve that there could be."""
    jets = 1 + np.arange(1000) % 3
    X = np.zeros((1000, 13), np.float32)
    X[:, 0] = jets
    X[:, 1:] = np.where(np.arange(12) < jets[:, None], RANDOM.uniform(200, 900, (1000, 12)), 0)
    return Dataset(X, Y, np.ones(1000, np.float32), FEATURES)


DATA = dataset()
DRAWINGS: dict[str, Any] = {
    "roc": lambda ax=None: plots.roc(ROC, ax),
    "scores": lambda ax=None: plots.scores(Y, SCORES, None, ax, threshold=0.7),
    "feature": lambda ax=None: plots.feature(DATA, "jetPt_0", ax),
    "history": lambda ax=None: plots.history(LOSSES, ax),
}
every_drawing = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)


@pytest.fixture
def ax() -> Axes:
    axes: Axes = Figure().subplots()
    return axes


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    yield
    assert not plt.get_fignums(), "the test, or what it tests, leaves a figure open"


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def heights(ax: Axes) -> list[Any]:
    """Contents of the bins of each histogram drawn: every other corner of its outline."""
    return [patch.get_xy()[1:-1:2, 1] for patch in ax.patches]


@every_drawing
def test_it_draws_on_the_axes_it_is_given_and_returns_them(draw: Any, ax: Axes) -> None:
    """Were it to show them, the backend without a screen would warn, which is an error here."""
    assert draw(ax) is ax
    assert ax.has_data()
    assert ax.get_legend() is not None


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
        ("scores", "Classifier score", "Events (normalised)"),
        ("feature", "$p_T$ [GeV], slot 0", "Events (normalised)"),
        ("history", "Epoch", "Binary cross-entropy"),
    ],
)
def test_axes_are_labelled(name: str, x: str, y: str, ax: Axes) -> None:
    DRAWINGS[name](ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (x, y)


def test_a_roc_curve_is_rejection_over_efficiency(ax: Axes) -> None:
    plots.roc(ROC, ax)
    x, y = ax.lines[0].get_data()
    cuts = [ROC.working_point(eps_s) for eps_s in (0.2, 0.5, 0.9)]
    for cut in cuts:
        at = np.flatnonzero(np.asarray(x) == cut.eps_s)
        assert cut.rejection == pytest.approx(max(np.asarray(y)[at]))
    assert legend(ax) == [f"AUC = {ROC.auc:.3f}", "Random"]
    assert ax.get_yscale() == "log"


def test_curves_and_points_are_told_apart(ax: Axes) -> None:
    point = ROC.working_point(0.5)
    many = {f"model {i}": ROC for i in range(6)}
    plots.roc(many, ax, points={"Working point": point})
    assert legend(ax)[0] == f"model 0 (AUC = {ROC.auc:.3f})"
    assert legend(ax)[-2:] == ["Working point", "Random"]
    drawn = ax.lines[6]
    assert (drawn.get_xdata()[0], drawn.get_ydata()[0]) == (point.eps_s, point.rejection)
    looks = {(line.get_linestyle(), line.get_color()) for line in ax.lines[:6]}
    assert len(looks) == 6


def test_a_perfect_curve_can_be_drawn() -> None:
    assert plots.png(lambda ax: plots.roc(Roc.of(Y, Y), ax))


def test_score_distributions_are_normalised_with_their_weights(ax: Axes) -> None:
    weight = np.where(SCORES > 0.5, 3.0, 1.0)
    plots.scores(Y, SCORES, weight, ax)
    edges = np.linspace(0, 1, 41)
    for kind, drawn in zip((1, 0), heights(ax), strict=True):
        chosen = kind == Y
        share = weight[chosen] / weight[chosen].sum()
        assert drawn == pytest.approx(np.histogram(SCORES[chosen], edges, weights=share)[0])
        assert sum(drawn) == pytest.approx(1)
    assert legend(ax) == ["Signal", "Background"]


def test_a_cut_is_a_line(ax: Axes) -> None:
    plots.scores(Y, SCORES, None, ax, threshold=0.7)
    assert list(ax.lines[0].get_xdata()) == [0.7, 0.7]
    assert legend(ax)[-1] == "Cut at 0.700"


def test_scores_of_one_class_can_be_drawn(ax: Axes) -> None:
    plots.scores(np.ones(10), np.linspace(0, 1, 10), None, ax)
    assert legend(ax) == ["Signal"]


def test_absent_jets_are_left_out(ax: Axes) -> None:
    plots.feature(DATA, "jetPt_2", ax)
    assert all(patch.get_xy()[:, 0].min() >= 200 for patch in ax.patches)


def test_counts_have_bins_around_them(ax: Axes) -> None:
    plots.feature(DATA, "nJets", ax)
    edges = [0.5, 1.5, 2.5, 3.5]
    signal = DATA.signal.X[:, 0]
    assert np.unique(ax.patches[0].get_xy()[:, 0]).tolist() == edges
    expected = np.histogram(signal, edges)[0] / len(signal)
    assert heights(ax)[0] == pytest.approx(expected)
    assert ax.get_xlabel() == "Number of jets"


@pytest.mark.parametrize("value", [0.0, 400.0, 91.1876])
def test_a_feature_that_never_varies_can_be_drawn(value: float, ax: Axes) -> None:
    X = DATA.X.copy()
    X[:, 0] = value
    plots.feature(replace(DATA, X=X), "nJets", ax)
    low, high = ax.get_xlim()
    assert low < value < high


def test_a_jet_that_no_event_has_leaves_empty_axes(ax: Axes) -> None:
    plots.feature(DATA, "jetPt_11", ax)
    assert not ax.patches
    assert ax.get_xlabel() == "$p_T$ [GeV], slot 11"


def test_an_unknown_feature_is_refused(ax: Axes) -> None:
    with pytest.raises(FeatureError, match="did you mean 'jetPt_2'"):
        plots.feature(DATA, "jetPt_12", ax)


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


@every_drawing
def test_a_picture_is_png_and_leaves_nothing_behind(draw: Any) -> None:
    picture = plots.png(draw, size=(4.0, 3.0), dpi=50)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (200, 150)
    assert not plt.get_fignums()


def test_a_picture_leaves_open_figures_alone() -> None:
    open_figure = plt.figure()
    plots.png(DRAWINGS["roc"])
    assert plt.gcf() is open_figure
    plt.close(open_figure)


def test_an_image_for_a_cell_has_the_picture_inside() -> None:
    assert plots.html_image(b"\0\1\2", "ROC curve") == (
        '<img alt="ROC curve" style="max-width:480px" src="data:image/png;base64,AAEC"/>'
    )


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
