from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from tests.plots.drawings import BAND, OTHER, ROC, Y, legend
from tfaas_nb import plots
from tfaas_nb.metrics import Roc


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


def test_the_band_surrounds_the_curve(ax: Axes) -> None:
    plots.roc({"a": ROC, "b": OTHER}, ax, band={"a": BAND})
    assert legend(ax)[1] == f"68.3% band from ε_S = {BAND.eps_s[0]:.2g}"
    (area,) = ax.collections
    corners = area.get_paths()[0].vertices
    near = corners[np.isclose(corners[:, 0], 0.5)]
    low, high = BAND.at(0.5)
    assert [near[:, 1].min(), near[:, 1].max()] == pytest.approx([1 / high, 1 / low])


def test_a_band_that_reaches_no_background_can_be_drawn(ax: Axes) -> None:
    plots.roc(ROC, ax, band=replace(BAND, low=np.zeros_like(BAND.low)))
    assert np.isfinite(ax.collections[0].get_paths()[0].vertices).all()


def test_linear_efficiencies_show_curve_band_and_point(ax: Axes) -> None:
    point = ROC.working_point(0.5)
    plots.efficiencies(ROC, ax, points={"Cut": point}, band=BAND)
    x, y = ax.lines[0].get_data()
    assert np.asarray(x).tolist() == ROC.eps_b.tolist()
    assert np.asarray(y).tolist() == ROC.eps_s.tolist()
    assert (ax.lines[1].get_xdata()[0], ax.lines[1].get_ydata()[0]) == (point.eps_b, point.eps_s)
    assert legend(ax) == [
        f"AUC = {ROC.auc:.3f}",
        f"68.3% band from ε_S = {BAND.eps_s[0]:.2g}",
        "Cut",
        "Random",
    ]
    assert ax.get_yscale() == ax.get_xscale() == "linear"


def test_a_long_curve_is_thinned_where_nobody_sees_it(ax: Axes) -> None:
    random = np.random.default_rng(2)
    y = np.arange(60_000) % 2
    long = Roc.of(y, random.normal(y))
    plots.roc(long, ax)
    x, drawn = map(np.asarray, ax.lines[0].get_data())
    assert 1000 < len(x) <= 2000
    kept = (long.eps_s > 0) & (long.eps_b > 0)
    assert (x[0], x[-1]) == (long.eps_s[kept][0], 1)
    at = np.linspace(0.05, 0.95, 50)
    exact = np.interp(at, long.eps_s[kept], np.log(1 / long.eps_b[kept]))
    assert np.interp(at, x, np.log(drawn)) == pytest.approx(exact, abs=0.02)


def test_long_names_are_short_and_distinct_in_the_legend(ax: Axes) -> None:
    names = [f"a_search_for_heavy_tops_{i}_with_a_network_of_many_layers_v{k}"
             for i in "ab" for k in (1, 2)]  # fmt: skip
    plots.roc(dict.fromkeys(names, ROC), ax, band=dict.fromkeys(names, BAND))
    shown = legend(ax)
    assert len(set(shown)) == len(shown) == len(names) + 2
    assert all(len(text.split(" (AUC")[0]) <= 28 for text in shown)
    assert shown[0].startswith("a_search_for…y_layers_v1 ")
    assert [text for text in shown if "band" in text] == ["68.3% band"]


@pytest.mark.parametrize("draw", [plots.roc, plots.efficiencies])
def test_no_curve_is_as_grey_as_guessing(ax: Axes, draw: Callable[..., Axes]) -> None:
    draw({f"model {i}": ROC for i in range(10)}, ax)
    *curves, guessing = ax.lines
    assert guessing.get_label() == "Random"
    assert min(np.ptp(to_rgb(curve.get_color())) for curve in curves) > 0.15
    assert len({(line.get_linestyle(), line.get_color()) for line in curves}) == 10
