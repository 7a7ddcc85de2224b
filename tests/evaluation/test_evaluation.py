from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.metrics import Roc

FEATURES = FeatureSet("flat", (Variable("x"),), ())


def dataset(events: int = 4000) -> Dataset:
    random = np.random.default_rng(1)
    y = (np.arange(events) % 2).astype(np.int8)
    X = np.clip(random.normal(0.35 + 0.28 * y, 0.15), 0, 1).astype(np.float32)[:, None]
    return Dataset(X, y, random.uniform(0.5, 1.5, events).astype(np.float32), FEATURES)


DATA = dataset()


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
        assert row[3] == f"{point.rejection:.0f} ± {point.rejection_error:.0f}"
        assert row[4] == point.background_left


def test_a_rejection_of_few_events_is_marked(evaluation: Evaluation) -> None:
    marks = [bool(row[-1]) for row in evaluation.rejections().rows]
    points = [evaluation.roc.working_point(eps_s) for eps_s in (0.3, 0.5)]
    assert marks == [point.is_uncertain for point in points] == [True, False]


def test_numbers_for_a_card_are_json(evaluation: Evaluation, perfect: Evaluation) -> None:
    numbers = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert numbers == evaluation.to_dict()
    assert numbers["events"] == 4000
    assert numbers["rejection"]["0.5"] == evaluation.roc.working_point(0.5).rejection
    json.dumps(perfect.to_dict(), allow_nan=False)
    assert perfect.to_dict()["rejection"] == {"0.3": None, "0.5": None}


def test_repr_is_a_line_of_results(evaluation: Evaluation, perfect: Evaluation) -> None:
    line = repr(evaluation)
    assert line.startswith(f"Evaluation(4000 events: AUC {evaluation.auc:.4f} ± ")
    assert "at ε_S 0.5" in line
    assert "1/ε_B inf" in repr(perfect)


def test_in_a_cell_it_shows_table_and_curve(evaluation: Evaluation) -> None:
    html = evaluation._repr_html_()
    assert f"AUC {evaluation.auc:.4f}" in html
    assert "<table>" in html
    assert 'alt="ROC curve"' in html
    assert "data:image/png;base64,iVBOR" in html


def test_it_draws_on_given_axes(evaluation: Evaluation) -> None:
    curve, distributions = Figure().subplots(2)
    assert evaluation.plot(curve) is curve
    assert evaluation.plot_scores(distributions, threshold=0.5) is distributions
    assert curve.lines
    assert "Cut at 0.500" in [text.get_text() for text in distributions.get_legend().get_texts()]
