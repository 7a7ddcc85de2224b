from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tfaas_nb.data.dataset import Dataset, Source
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.evaluation.sections import working_points
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.measured import quoted
from tfaas_nb.metrics import Roc, SignificanceScan

FEATURES = FeatureSet("flat", (Variable("x"),), ())


def dataset(events: int = 4000) -> Dataset:
    random = np.random.default_rng(1)
    y = (np.arange(events) % 2).astype(np.int8)
    X = np.clip(random.normal(0.35 + 0.28 * y, 0.15), 0, 1).astype(np.float32)[:, None]
    return Dataset(X, y, random.uniform(0.5, 1.5, events).astype(np.float32), FEATURES)


DATA = replace(dataset(), scaled=(True, True))


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation.of(DATA, DATA.X[:, 0])


@pytest.fixture
def perfect() -> Evaluation:
    return Evaluation.of(DATA, DATA.y)


def test_numbers_are_those_of_the_weighted_curve(evaluation: Evaluation) -> None:
    roc = Roc.of(DATA.y, DATA.X[:, 0], DATA.weight)
    assert evaluation.auc == roc.auc
    assert evaluation.auc_error == roc.auc_error
    assert evaluation.accuracy == roc.accuracy
    assert evaluation.scores.tolist() == DATA.X[:, 0].tolist()
    assert evaluation.weight is DATA.weight


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros(3999), r"scores \(3999,\)"),
        (np.zeros((4000, 1)), r"scores \(4000, 1\)"),
        (np.full(4000, np.nan), "finite"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Evaluation.of(DATA, scores)


def test_rejections_are_quoted_at_the_usual_efficiencies(evaluation: Evaluation) -> None:
    rows = evaluation.rejections().rows
    assert [row[0] for row in rows] == pytest.approx([0.3, 0.5], abs=1e-3)
    for row, eps_s in zip(rows, (0.3, 0.5), strict=True):
        point = evaluation.roc.working_point(eps_s)
        assert row[3] == quoted(point.rejection, point.rejection_error)
        assert row[4] == point.background_left


def test_a_rejection_of_few_events_is_marked(evaluation: Evaluation) -> None:
    marks = [bool(row[-1]) for row in evaluation.rejections().rows]
    points = [evaluation.roc.working_point(eps_s) for eps_s in (0.3, 0.5)]
    assert marks == [point.is_uncertain for point in points] == [True, False]


def test_significance_is_of_the_whole_sample_of_which_a_part_is_evaluated() -> None:
    _, test = DATA.split(0.3)
    evaluation = Evaluation.of(test, test.X[:, 0])
    scan = evaluation.significance()
    sums = [float(DATA.weight[DATA.y == kind].sum()) for kind in (1, 0)]
    assert (scan.signal, scan.background) == pytest.approx(tuple(sums), rel=1e-5)
    assert "of which" in repr(scan.table())
    given = evaluation.significance(signal=20, background=1e4)
    assert (given.signal, given.background, given.expected_of) == (20, 1e4, "")
    half = evaluation.significance(signal=20)
    assert (half.signal, half.background) == pytest.approx((20, sums[1]), rel=1e-5)
    assert half.expected_of.startswith("B of the whole sample")


def test_the_repr_marks_it_too(evaluation: Evaluation) -> None:
    told = [point.split(" at ε_S")[0] for point in repr(evaluation).split("1/ε_B ")[1:]]
    assert [" (few events)" in point for point in told] == [True, False]


def test_working_points_for_a_bundle_are_those_of_the_curve(evaluation: Evaluation) -> None:
    points = json.loads(json.dumps(evaluation.working_points(), allow_nan=False))
    assert [round(point["eps_s"], 2) for point in points] == [i / 10 for i in range(1, 10)]
    middle = evaluation.roc.working_point(0.5)
    known = ("eps_s", "eps_b", "threshold", "eps_b_error", "chosen")
    assert {k: points[4][k] for k in known} == {k: getattr(middle, k) for k in known}
    passed = [np.count_nonzero((DATA.X[:, 0] >= middle.threshold) & (DATA.y == k)) for k in (1, 0)]
    assert [points[4][f"{kind}_passed"] for kind in ("signal", "background")] == passed
    assert points[4]["signal_events"] == points[4]["background_events"] == 2000


def test_numbers_for_a_card_are_json(evaluation: Evaluation, perfect: Evaluation) -> None:
    numbers = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert numbers == evaluation.to_dict()
    assert numbers["events"] == 4000
    assert numbers["rejection"]["0.5"] == evaluation.roc.working_point(0.5).rejection
    json.dumps(perfect.to_dict(), allow_nan=False)
    assert perfect.to_dict()["rejection"] == {"0.3": None, "0.5": None}


def test_repr_is_a_line_of_results(evaluation: Evaluation, perfect: Evaluation) -> None:
    line = repr(evaluation)
    assert line.startswith(f"Evaluation(4000 events: AUC = {evaluation.auc:.4f} ± ")
    assert "at ε_S 0.5" in line
    assert "inf" not in repr(perfect)
    assert "1/ε_B > " in repr(perfect)


@pytest.mark.slow
def test_in_a_cell_it_shows_table_and_curve(evaluation: Evaluation) -> None:
    html = evaluation._repr_html_()
    assert f"AUC = {evaluation.auc:.4f}" in html
    assert "<table>" in html
    assert 'alt="ROC curve"' in html
    assert "data:image/png;base64,iVBOR" in html


def test_working_points_are_those_of_curve_and_scan(evaluation: Evaluation) -> None:
    roc = evaluation.roc
    assert evaluation.working_point(0.5) == roc.working_point(0.5)
    assert evaluation.working_point(eps_b=0.1) == roc.working_point(eps_b=0.1)
    options = {"signal": 50, "background": 1000, "systematics": 0.1}
    best = evaluation.working_point(significance="asimov", **options)
    assert best == SignificanceScan.of(roc, "asimov", **options).best  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "either eps_s or eps_b"),
        ({"eps_s": 0.5, "significance": "asimov"}, "one of eps_s, eps_b and significance"),
        ({"eps_s": 0.5, "systematics": 0.1}, "systematics belongs to"),
    ],
)
def test_a_working_point_is_asked_for_in_one_way(
    asked: dict[str, Any], message: str, evaluation: Evaluation
) -> None:
    with pytest.raises(DataError, match=message):
        evaluation.working_point(**asked)


def test_a_cut_that_no_background_passes_has_a_limit(perfect: Evaluation) -> None:
    row = working_points(perfect.roc, perfect.band(replicas=20)).rows[1]
    # ln 20 of effectively 2 000 events, somewhat fewer with weights; ln 40 as the cut was chosen.
    assert 3.0 / 2000 < float(row[2].split()[1]) < 1.2 * 3.7 / 2000
    assert row[2].startswith("< ")
    assert row[3].startswith("> ")
    assert "at 95 % CL" in row[3]


def test_scores_alone_have_band_significance_and_calibration(evaluation: Evaluation) -> None:
    assert evaluation.band(replicas=50).replicas == 50
    assert evaluation.significance("s/sqrt(b)").kind == "s/sqrt(b)"
    assert len(evaluation.calibration(bins=4).score) == 4


@pytest.mark.parametrize("ask", ["overtraining", "importance", "learning_curve", "plot_history"])
def test_scores_alone_do_not_know_the_classifier(ask: str, evaluation: Evaluation) -> None:
    with pytest.raises(DataError, match=r"make it by classifier\.evaluate\(data\)"):
        getattr(evaluation, ask)()


def test_two_evaluations_are_compared_event_by_event(evaluation: Evaluation) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, len(DATA)).astype(np.float32)
    other = Evaluation.of(DATA, DATA.X[:, 0] + noise)
    found = evaluation.compare(other, ("sharp", "blurred"))
    assert found.difference == pytest.approx(evaluation.auc - other.auc)
    assert found.z > 5
    assert repr(found).startswith("Comparison(AUC sharp − blurred = +")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d[:-1],
        lambda d: d[::-1],
        lambda d: replace(d, weight=2 * d.weight),
        lambda d: replace(d, X=d.X[np.r_[2, 1, 0, 3 : len(d)]]),
    ],
    ids=["fewer", "order of classes", "weights", "order"],
)
def test_evaluations_of_other_events_are_not_compared(change: Any, evaluation: Evaluation) -> None:
    data = change(DATA)
    with pytest.raises(DataError, match="different events"):
        evaluation.compare(Evaluation.of(data, data.X[:, 0]))


def test_the_sample_is_told_with_its_files(evaluation: Evaluation) -> None:
    assert evaluation.sample == "2000 signal and 2000 background events"
    files = tuple(Source(f"{i}.root", "signal", "events", 1) for i in range(5))
    for kept, where in ((2, "(0.root, 1.root)"), (5, "(5 files)")):
        named = Evaluation.of(replace(DATA, sources=files[:kept]), DATA.X[:, 0])
        assert named.sample.endswith(f"events {where}")


def test_it_draws_on_given_axes(evaluation: Evaluation) -> None:
    curve, distributions = Figure().subplots(2)
    assert evaluation.plot(curve) is curve
    assert evaluation.plot(Figure().subplots(), evaluation.band(), linear=True).get_ylim()[1] < 2
    assert evaluation.plot_scores(distributions, threshold=0.5) is distributions
    assert curve.lines
    assert "Cut at 0.500" in [text.get_text() for text in distributions.get_legend().get_texts()]
