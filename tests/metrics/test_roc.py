from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.metrics import auc as area

from tests.metrics.toys import Array, Events, few_events, scored
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.metrics import Calibration, Comparison, Roc, WorkingPoint


@pytest.mark.parametrize("digits", [9, 1], ids=["smooth", "ties"])
def test_auc_is_that_of_scikit_learn(digits: int) -> None:
    y, scores, weight = scored(digits=digits)
    assert Roc.of(y, scores).auc == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
    weighted = roc_auc_score(y, scores, sample_weight=weight)
    assert Roc.of(y, scores, weight).auc == pytest.approx(weighted, abs=1e-12)


def test_series_go_together_by_position_and_must_have_one_index() -> None:
    y, scores, weight = scored()
    index = np.random.default_rng(1).permutation(len(y))
    series = [pd.Series(values, index=index) for values in (y, scores, weight)]
    assert Roc.of(*series).auc == Roc.of(y, scores, weight).auc
    assert Roc.of(y, series[1], weight).auc == Roc.of(y, scores, weight).auc
    other = pd.Series(scores, index=np.arange(len(y)))
    for call in (
        lambda: Roc.of(series[0], other),
        lambda: Roc.of(y, other, series[2]),
        lambda: Calibration.of(series[0], other),
        lambda: Comparison.of(y, series[1], other),
        lambda: Evaluation.of(pd.DataFrame({"y": series[0], "weight": series[2]}), other),
    ):
        with pytest.raises(DataError, match="have different indexes, and are taken by position"):
            call()


@pytest.mark.slow
@given(few_events())
def test_auc_is_that_of_scikit_learn_for_any_events(events: Events) -> None:
    y, scores, weight = events
    expected = roc_auc_score(y, scores, sample_weight=weight)
    assert Roc.of(y, scores, weight).auc == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
@given(few_events())
def test_a_weight_is_as_many_events(events: Events) -> None:
    y, scores, weight = events
    copies = weight.astype(int)
    weighted = Roc.of(y, scores, weight)
    repeated = Roc.of(np.repeat(y, copies), np.repeat(scores, copies))
    assert weighted.auc == pytest.approx(repeated.auc, abs=1e-12)
    assert weighted.accuracy == pytest.approx(repeated.accuracy)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_of_auc_is_that_of_a_bootstrap(weighted: bool) -> None:
    y, scores, weight = scored(events=600)
    w = weight if weighted else np.ones_like(weight)
    random = np.random.default_rng(2)
    signal, background = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    aucs = []
    for _ in range(600):
        drawn = np.r_[
            random.choice(signal, len(signal)), random.choice(background, len(background))
        ]
        aucs.append(roc_auc_score(y[drawn], scores[drawn], sample_weight=w[drawn]))
    assert Roc.of(y, scores, w).auc_error == pytest.approx(np.std(aucs), rel=0.15)


def test_the_error_of_auc_does_not_depend_on_the_unit_of_weights() -> None:
    y, scores, weight = scored()
    assert Roc.of(y, scores, 100 * weight).auc_error == pytest.approx(
        Roc.of(y, scores, weight).auc_error
    )


def test_the_error_of_auc_is_delongs() -> None:
    """Counted pair by pair."""
    y, scores, _ = scored(events=90, digits=1)
    pairs = np.sign(scores[y == 1][:, None] - scores[y == 0][None, :]) / 2 + 0.5
    m, n = pairs.shape
    variance = pairs.mean(axis=1).var(ddof=1) / m + pairs.mean(axis=0).var(ddof=1) / n
    assert Roc.of(y, scores).auc_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_perfect_and_useless_scores() -> None:
    y = np.repeat([0, 1], 50)
    assert Roc.of(y, y).auc == 1
    assert Roc.of(y, y).auc_error == 0
    assert Roc.of(y, 1 - y).auc == 0
    assert Roc.of(y, np.full(100, 0.3)).auc == 0.5


def test_accuracy_is_that_of_scikit_learn() -> None:
    y, scores, weight = scored(digits=1)
    expected = accuracy_score(y, scores >= 0.5, sample_weight=weight)
    assert Roc.of(y, scores, weight).accuracy == pytest.approx(expected)


def counted(y: Array, scores: Array, w: Array, cut: float) -> dict[str, float]:
    """Efficiencies and numbers of the events that pass a cut, by counting."""
    passed, signal = scores >= cut, y == 1
    s, b = w[passed & signal].sum(), w[passed & ~signal].sum()
    return {
        "eps_s": s / w[signal].sum(),
        "eps_b": b / w[~signal].sum(),
        "background_left": np.count_nonzero(passed & ~signal),
        "significance": s / np.sqrt(b) if b else np.inf,
        "eps_s_error": spread(passed[signal], w[signal]),
        "eps_b_error": spread(passed[~signal], w[~signal]),
        "signal_passed": np.count_nonzero(passed & signal),
        "background_passed": np.count_nonzero(passed & ~signal),
        "background_effective": b**2 / (w[passed & ~signal] ** 2).sum() if b else 0,
    }


def spread(passed: Array, w: Array) -> float:
    """Error of a weighted mean of zeros and ones."""
    mean = np.average(passed, weights=w)
    return float(np.sqrt((w**2 * (passed - mean) ** 2).sum()) / w.sum())


def values(roc: Roc, point: WorkingPoint) -> dict[str, float]:
    """Efficiencies and numbers of a working point, with the errors at its threshold."""
    assert point.signal is not None
    assert point.background is not None
    given = roc.at_threshold(point.threshold)
    found = {"signal_passed": point.signal.events, "background_passed": point.background.events}
    for name in ("eps_s", "eps_b", "background_left", "significance", "background_effective"):
        found[name] = getattr(point, name)
    # Of a cut that was chosen the errors hold more than is counted; see test_working_point.
    return found | {name: getattr(given, name) for name in ("eps_s_error", "eps_b_error")}


@pytest.mark.parametrize("digits", [9, 1], ids=["smooth", "ties"])
@pytest.mark.parametrize("eps_s", [0.01, 0.3, 0.5, 0.9, 1.0])
def test_a_working_point_is_the_tightest_cut_that_keeps_enough(eps_s: float, digits: int) -> None:
    y, scores, weight = scored(digits=digits)
    roc = Roc.of(y, scores, weight)
    point = roc.working_point(eps_s)
    cuts = np.unique(scores)
    enough = [c for c in cuts if counted(y, scores, weight, c)["eps_s"] >= eps_s - 1e-12]
    assert point.threshold == max(enough)
    assert values(roc, point) == pytest.approx(
        counted(y, scores, weight, point.threshold), abs=1e-7
    )


@pytest.mark.slow
@given(few_events(), st.floats(-0.5, 1.5))
def test_a_cut_leaves_what_counting_says(events: Events, cut: float) -> None:
    y, scores, weight = events
    roc = Roc.of(y, scores, weight)
    point = roc.at_threshold(cut)
    assert point.threshold == cut
    assert values(roc, point) == pytest.approx(counted(y, scores, weight, cut), abs=1e-7)


@pytest.mark.parametrize("cut", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_a_cut_on_a_score_keeps_that_score(cut: float) -> None:
    y, scores, weight = scored(digits=1)
    roc = Roc.of(y, scores, weight)
    point = roc.at_threshold(cut)
    assert values(roc, point) == pytest.approx(counted(y, scores, weight, cut), abs=1e-7)


def test_a_cut_above_all_scores_leaves_nothing() -> None:
    y, scores, _ = scored()
    point = Roc.of(y, scores).at_threshold(1.1)
    assert (point.eps_s, point.eps_b, point.background_left) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("digits", [9, 1], ids=["smooth", "ties"])
@pytest.mark.parametrize("eps_b", [0.02, 0.1, 0.5, 1.0])
def test_a_cut_by_background_is_the_loosest_that_keeps_so_little(eps_b: float, digits: int) -> None:
    y, scores, weight = scored(digits=digits)
    roc = Roc.of(y, scores, weight)
    point = roc.working_point(eps_b=eps_b)
    cuts = np.unique(scores)
    little = [c for c in cuts if counted(y, scores, weight, c)["eps_b"] <= eps_b + 1e-12]
    assert point.threshold == min(little)
    assert values(roc, point) == pytest.approx(
        counted(y, scores, weight, point.threshold), abs=1e-7
    )


def test_a_background_efficiency_without_signal_is_refused() -> None:
    roc = Roc.of([0, 0, 1], [0.9, 0.1, 0.5])
    with pytest.raises(DataError, match=r"0\.2 or less: the tightest one has 0\.5"):
        roc.working_point(eps_b=0.2)


@pytest.mark.parametrize("asked", [{}, {"eps_s": 0.5, "eps_b": 0.1}])
def test_one_efficiency_is_needed(asked: dict[str, float]) -> None:
    with pytest.raises(DataError, match="either eps_s or eps_b"):
        Roc.of([0, 1], [0.1, 0.2]).working_point(**asked)


@pytest.mark.parametrize("eps_b", [0.0, -0.1, 1.0001, float("nan")])
def test_an_impossible_background_efficiency_is_refused(eps_b: float) -> None:
    with pytest.raises(DataError, match=r"background efficiency lies in \(0, 1\]"):
        Roc.of([0, 1], [0.1, 0.2]).working_point(eps_b=eps_b)


@pytest.mark.parametrize("eps_s", [0.0, -0.1, 1.0001, float("nan")])
def test_an_impossible_efficiency_is_refused(eps_s: float) -> None:
    y, scores, _ = scored()
    with pytest.raises(DataError, match=r"lies in \(0, 1\]"):
        Roc.of(y, scores).working_point(eps_s)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_error_of_a_rejection_is_that_of_repeated_experiments(weighted: bool) -> None:
    points = []
    for seed in range(200):
        y, scores, weight = scored(events=4000, seed=seed)
        w = weight if weighted else None
        points.append(Roc.of(y, scores, w).at_threshold(0.75))
    spread = np.std([point.rejection for point in points])
    assert np.mean([point.rejection_error for point in points]) == pytest.approx(spread, rel=0.15)


def test_rejection_is_infinite_when_no_background_passes() -> None:
    point = Roc.of([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).working_point(1.0)
    assert (point.rejection, point.rejection_error, point.significance) == (np.inf,) * 3


def test_the_curve_rises_from_nothing_to_everything() -> None:
    y, scores, weight = scored()
    roc = Roc.of(y, scores, weight)
    assert (roc.eps_s[0], roc.eps_b[0], roc.eps_s[-1], roc.eps_b[-1]) == (0, 0, 1, 1)
    assert (np.diff(roc.eps_s) >= 0).all()
    assert (np.diff(roc.eps_b) >= 0).all()
    assert (np.diff(roc.thresholds) < 0).all()
    assert area(roc.eps_b, roc.eps_s) == pytest.approx(roc.auc)


@pytest.mark.parametrize(
    ("y", "scores", "weight", "message"),
    [
        ([0, 1, 1], [0.1, 0.2], None, r"classes \(3,\), scores \(2,\)"),
        ([0, 1], [0.1, 0.2], [1.0], r"weights \(1,\)"),
        ([[0, 1]], [[0.1, 0.2]], None, "one number per event"),
        ([1, 1], [0.1, 0.2], None, "needs signal"),
        ([0, 0], [0.1, 0.2], None, "needs signal"),
        ([], [], None, "needs signal"),
        ([-1, 1], [0.1, 0.2], None, "needs signal"),
        ([0, 1, 0.6], [0.1, 0.2, 0.3], None, "needs signal"),
        ([0, 1, 2], [0.1, 0.2, 0.3], None, "no others"),
        ([0, 1], [0.1, np.nan], None, "finite"),
        ([0, 1], [0.1, np.inf], None, "finite"),
        ([0, 1], [0.1, 0.2], [1, np.nan], "finite"),
        ([0, 1], [0.1, 0.2], [1, -1], "not negative"),
        ([0, 1, 1], [0.1, 0.2, 0.3], [1, 0, 0], "have no weight"),
        ([0, 1, 1], [0.1, 0.2, 0.3], [0, 1, 1], "have no weight"),
    ],
)
def test_what_has_no_roc_curve_is_refused(y: Any, scores: Any, weight: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Roc.of(y, scores, weight)


def test_classes_may_be_booleans() -> None:
    y, scores, _ = scored()
    assert Roc.of(y == 1, scores).auc == Roc.of(y, scores).auc


def test_repr_tells_the_area_and_its_error() -> None:
    roc = Roc.of(*scored(events=3000))
    decimals = 1 - math.floor(math.log10(roc.auc_error))
    told = f"{roc.auc:.{decimals}f} ± {roc.auc_error:.{decimals}f}"
    assert repr(roc) == f"Roc(AUC = {told})"


def test_of_separated_classes_the_area_has_a_limit() -> None:
    """Two pairs that share no event: at 95 % CL, both of them rightly ranked, 0.05 ** (1/2)."""
    found = repr(Roc.of([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8]))
    assert found == "Roc(AUC > 0.22 at 95 % CL (few events))"
