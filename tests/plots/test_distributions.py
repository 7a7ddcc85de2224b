from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from tests.plots.drawings import DATA, OTHER, OVERTRAINING, ROC, SCORES, Y, legend
from tfaas_nb import plots
from tfaas_nb.errors import FeatureError
from tfaas_nb.metrics import Overtraining, Roc


def heights(ax: Axes) -> list[Any]:
    """Contents of the bins of each histogram drawn: every other corner of its outline."""
    return [_seen(ax, patch.get_xy()[1:-1:2, 1]) for patch in ax.patches]


def _seen(ax: Axes, contents: Any) -> Any:
    """Heights above the end of a logarithmic axis, which stands for zero."""
    is_log = ax.get_yscale() == "log"
    return np.where(is_log & (contents <= ax.get_ylim()[0]), 0.0, contents)


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


def test_scores_that_are_no_probabilities_are_drawn_in_their_range(ax: Axes) -> None:
    plots.scores(Y, 200 * SCORES, None, ax)
    assert ax.get_xlim() == pytest.approx((200 * SCORES.min(), 200 * SCORES.max()))


def test_an_outline_is_no_longer_than_what_is_seen_of_it(ax: Axes) -> None:
    """Zero is a thousand decades below one, whose dashes take hours to draw."""
    separated = Roc.of(Y, Y.astype(float))
    plots.scores(Y, Y.astype(float), None, ax)
    plots.overtraining(Overtraining.of(separated, separated), other := ax.figure.add_subplot(212))
    for drawn in (ax, other):
        drawn.get_ylim()
        for patch in drawn.patches:
            corners = patch.get_transform().transform_path(patch.get_path()).vertices
            assert np.abs(corners).max() < 5000  # pixels


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
    with pytest.raises(FeatureError, match="did you mean 'jetPt_1'"):
        plots.feature(DATA, "jetPt_12", ax)


def test_counts_have_whole_ticks(ax: Axes) -> None:
    plots.feature(DATA, "nJets", ax)
    assert all(tick == round(tick) for tick in ax.get_xticks())


def test_training_is_drawn_as_points_over_the_test(ax: Axes) -> None:
    plots.overtraining(OVERTRAINING, ax)
    assert [name for name in legend(ax) if "KS" not in name] == ["Signal, test", "Background, test"]
    edges = np.linspace(0, 1, 21)
    for kind, container in zip(("signal", "background"), ax.containers, strict=True):
        train = np.histogram(getattr(OTHER.events, kind), edges)[0]
        points = train[train > 0] / train.sum()
        assert list(container.lines[0].get_ydata()) == pytest.approx(points)
        stairs = [p for p in ax.patches if str(p.get_label()).lower() == f"{kind}, test"]
        test = np.histogram(getattr(ROC.events, kind), edges)[0]
        assert _seen(ax, stairs[0].get_data().values) == pytest.approx(test / test.sum())
    assert f"KS p = {OVERTRAINING.signal.p:.2g}" in " ".join(legend(ax))


def test_scores_beyond_probabilities_are_drawn(ax: Axes) -> None:
    wide = Roc.of(Y, 10 * SCORES - 5)
    plots.overtraining(Overtraining.of(wide, wide), ax)
    low, high = ax.get_xlim()
    assert low <= -4
    assert high >= 4


@pytest.mark.filterwarnings("error")
def test_events_without_weight_are_drawn_without_a_warning(ax: Axes) -> None:
    plots.feature(replace(DATA, weight=np.zeros(1000, np.float32)), "nJets", ax)
    assert legend(ax) == ["Signal", "Background"]
