from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.metrics.toys import Array, scored
from tfaas_nb.errors import DataError
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import Comparison, Roc
from tfaas_nb.metrics.comparison import over_trainings


def two(seed: int = 1, events: int = 600, better: float = 0.0) -> tuple[Array, Array, Array, Array]:
    """Classes, two correlated scores, weights."""
    y, first, weight = scored(events, seed)
    noise = np.random.default_rng(seed + 1000).normal(0, 0.1, events)
    return y, first, first + noise - better * y, weight


def test_the_difference_is_that_of_the_areas() -> None:
    y, first, second, weight = two()
    found = Comparison.of(y, first, second, weight)
    assert found.difference == pytest.approx(
        Roc.of(y, first, weight).auc - Roc.of(y, second, weight).auc, abs=1e-12
    )


def test_the_error_is_delongs_for_correlated_curves() -> None:
    """Counted pair by pair, with the covariance matrices of the paper."""
    y, first, second, _ = two(events=90)
    placed = []
    for score in (first, second):
        pairs = np.sign(score[y == 1][:, None] - score[y == 0][None, :]) / 2 + 0.5
        placed.append((pairs.mean(axis=1), pairs.mean(axis=0)))
    s10 = np.cov([p[0] for p in placed])
    s01 = np.cov([p[1] for p in placed])
    contrast = np.array([1, -1])
    variance = contrast @ (s10 / (y == 1).sum() + s01 / (y == 0).sum()) @ contrast
    assert Comparison.of(y, first, second).error == pytest.approx(np.sqrt(variance), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_is_that_of_repeated_experiments(weighted: bool) -> None:
    found = []
    for seed in range(150):
        y, first, second, weight = two(seed)
        found.append(Comparison.of(y, first, second, weight if weighted else None))
    spread = np.std([c.difference for c in found])
    assert np.mean([c.error for c in found]) == pytest.approx(spread, rel=0.15)
    assert found[0].error < found[0].curves[0].auc_error


@pytest.mark.slow
def test_equal_classifiers_differ_significantly_as_often_as_chance_has_it() -> None:
    """Both are the same score with independent noise: p is uniform."""
    random = np.random.default_rng(5)
    y = np.arange(400) % 2
    p = []
    for _ in range(200):
        truth = random.normal(y, 1.0)
        p.append(Comparison.of(y, *(truth + random.normal(0, 0.5, (2, 400)))).p)
    assert np.mean(np.array(p) < 0.3173) == pytest.approx(0.3173, abs=3 * math.sqrt(0.22 / 200))


def test_z_and_p_of_a_clear_difference() -> None:
    y, first, second, _ = two(events=4000, better=0.1)
    found = Comparison.of(y, first, second)
    assert found.z == pytest.approx(found.difference / found.error)
    assert found.z > 5
    assert found.p < 1e-6
    swapped = Comparison.of(y, second, first)
    assert (swapped.z, swapped.p) == pytest.approx((-found.z, found.p))


def test_the_same_ranking_is_no_difference() -> None:
    y, first, _, weight = two()
    found = Comparison.of(y, first, 2 * first + 1, weight)
    assert (found.difference, found.error, found.z, found.p) == (0, 0, 0, 1)


def test_always_right_against_always_wrong_has_no_error() -> None:
    found = Comparison.of([0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0])
    assert (found.difference, found.z, found.p) == (1, math.inf, 0)
    assert " z " not in repr(found)
    assert found.table().rows[-1][2:] == ("", "")


def test_scores_of_other_events_are_refused() -> None:
    with pytest.raises(DataError, match=r"scores \(3,\)"):
        Comparison.of([0, 1], [0.1, 0.2], [0.1, 0.2, 0.3])


@pytest.mark.slow
def test_it_shows_itself() -> None:
    y, first, second, _ = two()
    found = Comparison.of(y, first, second, names=("network", "trees"))
    assert repr(found).startswith(f"Comparison(AUC network − trees = {found}, z ")
    rows = found.table().rows
    assert [row[0] for row in rows] == ["network", "trees", "difference, paired"]
    html = found._repr_html_()
    assert "network" in html
    assert "data:image/png" in html
    ax = Figure().subplots()
    assert found.plot(ax) is ax
    assert "trees" in ax.get_legend().get_texts()[1].get_text()


def test_a_mean_of_an_error_and_a_limit_is_a_limit() -> None:
    """Of two trainings: Student's 97.5 % quantile with one degree of freedom is 12.706."""
    results = [Measured(0.0, None, -0.1, 0.1, is_signed=True), Measured(0.002, 0.01)]
    found = over_trainings(results)
    half = (0.1 + 1.96 * 0.01) / 2 + 12.706 * 0.001
    assert (found.value, found.error) == (0.001, None)
    assert (found.low, found.high) == pytest.approx((0.001 - half, 0.001 + half), rel=1e-3)
    assert found.is_signed
    # Areas of classes that are told apart without a mistake have no upper limit but one.
    best = over_trainings([Measured(1.0, None, 0.98), Measured(1.0, None, 0.99)])
    assert str(best) == "> 0.985 at 95 % CL"
    assert str(over_trainings([Measured(0.5), Measured(0.5, 0.1)])) == "0.5 (error not known)"
