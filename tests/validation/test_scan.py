from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import TrainingError
from tfaas_nb.metrics import Comparison
from tfaas_nb.validation.cross_validation import cross_validate
from tfaas_nb.validation.scan import Scan, scan
from tfaas_nb.yardsticks import Boosting, Logistic

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"epochs": 1, "hidden": (4,), "embedding": (), "members": 1}
GRID = {"inverse_penalty": [1e-5, 1.0], "iterations": [1000, 2000]}


@pytest.fixture(scope="module")
def few(events: Dataset) -> Dataset:
    return events[::10]


@pytest.fixture(scope="module")
def found(few: Dataset) -> Scan:
    return scan(GRID, few, 3, Logistic(), progress=False)


@pytest.mark.endurance
def test_each_combination_is_tried_once_after_the_default(found: Scan) -> None:
    assert [trial.options for trial in found.trials] == [
        {},
        {"inverse_penalty": 1e-5, "iterations": 1000},
        {"inverse_penalty": 1e-5, "iterations": 2000},
        {"inverse_penalty": 1.0, "iterations": 2000},
    ]
    assert found.default.classifier == Logistic()
    assert found.trials[1].classifier == Logistic(inverse_penalty=1e-5)


def test_a_trial_is_a_cross_validation(few: Dataset, found: Scan) -> None:
    alone = cross_validate(few, 3, Logistic(inverse_penalty=1e-5), progress=False)
    assert found.trials[1].result.scores.tolist() == alone.scores.tolist()
    assert found.trials[1].result.mean == alone.mean


def test_the_best_has_the_largest_mean(found: Scan) -> None:
    means = [trial.result.mean for trial in found.trials]
    assert found.best.result.mean == max(means)
    assert means[1] < max(means)
    assert found.best_options == found.best.options


def test_differences_are_paired(found: Scan) -> None:
    trial, default = found.trials[1], found.default
    folds = [
        Comparison.of_curves((a.roc, b.roc), ("a", "b"))
        for a, b in zip(trial.result.folds, default.result.folds, strict=True)
    ]
    difference, error = found.difference(trial)
    assert difference == pytest.approx(trial.result.mean - default.result.mean)
    assert error == pytest.approx(math.sqrt(sum(f.error**2 for f in folds)) / 3)
    assert error < trial.result.folds[0].roc.auc_error


def test_only_the_same_folds_are_compared(few: Dataset, found: Scan) -> None:
    other = cross_validate(few, 3, Logistic(), seed=2, progress=False)
    with pytest.raises(TrainingError, match="only the same folds"):
        other.minus(found.default.result)


def test_it_shows_a_table(found: Scan) -> None:
    table = found.table()
    assert table.columns[:3] == ("inverse_penalty", "iterations", "AUC, mean ± error")
    assert [row[:2] for row in table.rows][:2] == [("1.0", "1000"), ("1e-05", "1000")]
    assert [row[-1] for row in table.rows].count("best") + ("best" in table.rows[0][-1]) == 1
    assert table.rows[0][-2] is None
    assert "±" in table.rows[1][-2]
    assert found._repr_html_().count("<tr>") == 5
    assert repr(found).startswith("Scan(4 settings, 3 folds; best ")
    assert repr(found.default).startswith("Trial(the default: AUC 0.9")


@pytest.mark.endurance
def test_a_classifier_has_its_settings_and_its_architecture(few: Dataset) -> None:
    classifier = Classifier(**QUICK)
    grid = [{"learning_rate": 1e-9}, {"hidden": (8,)}, {"epochs": 1}]
    found = tn.scan(grid, few, 2, classifier, progress=False)
    assert [trial.options for trial in found.trials] == [{}, *grid[:2]]
    assert repr(classifier) == "Classifier(not trained)"
    alone = cross_validate(few, 2, Classifier(**QUICK | {"hidden": (8,)}), progress=False)
    assert found.trials[2].result.scores.tolist() == alone.scores.tolist()
    assert [row[:2] for row in found.table().rows] == [
        ("0.005", "(4,)"),
        ("1e-09", "(4,)"),
        ("0.005", "(8,)"),
    ]
    assert found.best is not found.trials[1]


def test_an_interrupted_scan_has_what_is_whole(few: Dataset) -> None:
    asked: list[bool] = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) == 6  # in the second one's second fold

    found = scan(GRID, few, 3, Logistic(), progress=False, should_stop=should_stop)
    assert len(found.trials) == 1
    assert "1 settings of 4, interrupted" in repr(found)
    with pytest.raises(TrainingError, match="before the default's folds"):
        scan(GRID, few, 3, Logistic(), progress=False, should_stop=lambda: True)


@pytest.mark.parametrize(
    ("grid", "trainable", "message"),
    [
        ({"epoch": [1]}, Classifier(), r"unknown options \['epoch'\]"),
        ({"epochs": [1, 0]}, Classifier(), "epochs must be"),
        ({"activation": "relu"}, Classifier(), "activation needs a list of values"),
        ({"epochs": []}, Classifier(), "epochs needs a list of values"),
        (["epochs"], Classifier(), "a mapping of option to value"),
        ({"trees": [3]}, Boosting(), r"unknown options \['trees'\]"),
        ({"leaves": [0]}, Boosting(), "leaves must be"),
        ({"leaves": [2]}, object(), "classifier must be a classifier such as"),
    ],
)
def test_impossible_settings_are_told_before_anything_is_trained(
    few: Dataset, grid: Any, trainable: Any, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        scan(grid, few, 2, trainable, progress=False)


def same(one: Any, other: Any) -> bool:
    """Scores to 1e-6, folds and settings without a difference."""
    return bool(
        np.abs(one.scores - other.scores).max() <= 1e-6
        and all(
            np.array_equal(a.events, b.events) for a, b in zip(one.folds, other.folds, strict=True)
        )
    )


def test_a_cluster_finds_the_same(two: Any, few: Dataset) -> None:
    classifier = Classifier(**QUICK)
    grid = {"hidden": [(4,), (8,)]}
    here = tn.scan(grid, few, 2, classifier, progress=False)
    there = tn.scan(grid, few, 2, classifier, progress=False, cluster=two)
    assert [trial.options for trial in there.trials] == [trial.options for trial in here.trials]
    for one, other in zip(there.trials, here.trials, strict=True):
        assert same(one.result, other.result)
    alone = tn.cross_validate(few, 2, classifier, progress=False, cluster=two)
    assert same(alone, here.default.result)
    assert not two.futures


def test_a_cluster_tells_what_is_wrong(two: Any, few: Dataset) -> None:
    with pytest.raises(TrainingError, match="loss became"):
        tn.cross_validate(
            few, 2, Classifier(**QUICK, learning_rate=1e30), progress=False, cluster=two
        )
