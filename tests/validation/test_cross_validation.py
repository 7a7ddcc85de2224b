from __future__ import annotations

import gc
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import TrainingError
from tfaas_nb.measured import quoted
from tfaas_nb.metrics import Roc
from tfaas_nb.training import Epoch
from tfaas_nb.validation.cross_validation import CrossValidation, cross_validate
from tfaas_nb.yardsticks import Logistic

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"epochs": 1, "hidden": (4,), "embedding": (), "members": 1}


@pytest.fixture(scope="module")
def few(events: Dataset) -> Dataset:
    return events[::10]


@pytest.fixture(scope="module")
def result(few: Dataset) -> CrossValidation:
    return cross_validate(few, 4, Logistic(), progress=False)


@dataclass(frozen=True)
class Memory:
    """Scores an event 1 if it was trained on it: what a leak would look like."""

    seen: frozenset[bytes] = frozenset()

    def fit(self, data: Dataset, progress: bool = False) -> Memory:
        return Memory(frozenset(row.tobytes() for row in data.X))

    def predict(self, events: Dataset) -> Any:
        return np.array([float(row.tobytes() in self.seen) for row in events.X])


def test_every_event_is_left_out_once(few: Dataset, result: CrossValidation) -> None:
    left_out = np.concatenate([fold.events for fold in result.folds])
    assert sorted(left_out) == list(range(len(few)))
    assert np.isfinite(result.scores).all()


def test_no_event_is_scored_by_a_classifier_that_saw_it(few: Dataset) -> None:
    assert not cross_validate(few, 3, Memory(), progress=False).scores.any()


@pytest.mark.endurance
def test_an_event_that_is_there_twice_is_in_one_fold(few: Dataset) -> None:
    twice = few[np.r_[0 : len(few), 0 : len(few) : 2]]
    found = cross_validate(twice, 3, Memory(), progress=False)
    assert not found.scores.any()
    assert sorted(np.concatenate([fold.events for fold in found.folds])) == list(range(len(twice)))


def test_a_stream_is_refused_at_once() -> None:
    stream: Any = tn.load(*tn.sample_files(), stream=True, progress=False)
    with pytest.raises(TrainingError, match="in memory, as a Dataset, not a stream: load"):
        cross_validate(stream, 3, Memory(), progress=False)


@pytest.mark.endurance
def test_negative_weights_are_judged_as_the_classifier_learns_them(few: Dataset) -> None:
    negative = np.arange(len(few)) % 5 == 0
    signed = replace(few, weight=np.where(negative, -0.5, 1.0).astype(np.float32))
    found = cross_validate(
        signed, 2, Classifier(**QUICK, negative_weights="ignore"), progress=False
    )
    assert "80 events of negative weight left out" in repr(found)
    assert np.isfinite(found.scores).all()
    for fold in found.folds:
        kept = fold.events[~negative[fold.events]]
        assert fold.roc.auc == Roc.of(few.y[kept], found.scores[kept]).auc
    with pytest.raises(TrainingError, match="not negative"):
        cross_validate(signed, 2, Logistic(), progress=False)


def graphs() -> int:
    return sum(type(found).__name__ == "FuncGraph" for found in gc.get_objects())


@pytest.mark.endurance
def test_trainings_leave_no_graphs_behind(few: Dataset) -> None:
    """Each is tens of megabytes, and frees itself only when Python looks for cycles."""
    classifier = Classifier(**QUICK)
    cross_validate(few, 2, classifier, progress=False)
    before = graphs()
    gc.disable()
    try:
        cross_validate(few, 3, classifier, progress=False)
        assert graphs() <= before
    finally:
        gc.enable()


def test_folds_have_both_classes_in_proportion(few: Dataset, result: CrossValidation) -> None:
    assert [few.y[fold.events].mean() for fold in result.folds] == [0.5] * 4


def test_a_fold_is_judged_on_its_events(few: Dataset, result: CrossValidation) -> None:
    for fold in result.folds:
        part = few[fold.events]
        roc = Roc.of(part.y, result.scores[fold.events], part.weight)
        assert fold.roc.auc == roc.auc > 0.8
        assert fold.seconds > 0


def test_the_mean_has_the_error_of_a_mean(result: CrossValidation) -> None:
    aucs = [fold.roc.auc for fold in result.folds]
    assert result.mean == pytest.approx(np.mean(aucs))
    assert result.spread == pytest.approx(np.std(aucs, ddof=1))
    assert result.error == pytest.approx(np.std(aucs, ddof=1) / 2)


@pytest.mark.endurance
def test_the_same_seed_gives_the_same_folds(few: Dataset, result: CrossValidation) -> None:
    again = cross_validate(few, 4, Logistic(), progress=False)
    other = cross_validate(few, 4, Logistic(), seed=2, progress=False)
    assert again.scores.tolist() == result.scores.tolist()
    assert other.folds[0].events.tolist() != result.folds[0].events.tolist()


def test_a_classifier_is_left_as_it_is(few: Dataset) -> None:
    classifier = Classifier(**QUICK)
    found = cross_validate(few, 2, classifier, progress=False)
    assert repr(classifier) == "Classifier(not trained)"
    fold = found.folds[0]
    kept = np.setdiff1d(np.arange(len(few)), fold.events)
    alone = Classifier(**QUICK).fit(few[kept], progress=False)
    assert found.scores[fold.events].tolist() == alone.predict(few[fold.events]).tolist()


def test_it_shows_a_table_of_folds(result: CrossValidation) -> None:
    assert repr(result).startswith("CrossValidation(4 folds: AUC = 0.9")
    assert quoted(result.mean, result.error) in repr(result)
    assert "the standard error of the mean of folds" in repr(result)
    assert [row[:2] for row in result.table().rows] == [(i, 100) for i in (1, 2, 3, 4)]
    assert result._repr_html_().count("<tr>") == 5


def test_it_may_be_stopped_between_folds(few: Dataset) -> None:
    asked: list[bool] = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) == 2

    found = cross_validate(few, 3, Logistic(), progress=False, should_stop=should_stop)
    assert repr(found).startswith("CrossValidation(1 folds of 3, interrupted: AUC = 0.")
    assert math.isnan(found.error)
    assert np.isfinite(found.scores).sum() == len(found.folds[0].events)


@dataclass(frozen=True)
class Interrupted:
    """A training that the user interrupts."""

    def fit(self, data: Dataset, progress: bool = False) -> Any:
        raise KeyboardInterrupt

    def predict(self, events: Dataset) -> Any:
        raise AssertionError


class StoppedHalfway(Classifier):
    """A classifier interrupted in its second epoch, which keeps the weights of the first."""

    def fit(self, data: Dataset, **_: Any) -> Classifier:  # type: ignore[override]
        seen: list[Epoch] = []
        return super().fit(
            data, progress=False, on_epoch=seen.append, should_stop=lambda: bool(seen)
        )


@pytest.mark.parametrize(
    "trainable", [Interrupted(), StoppedHalfway(**QUICK | {"epochs": 3})], ids=["raised", "kept"]
)
def test_a_fold_that_was_interrupted_does_not_count(few: Dataset, trainable: Any) -> None:
    with pytest.raises(TrainingError, match="interrupted before its first fold"):
        cross_validate(few, 2, trainable, progress=False)


@pytest.mark.parametrize(
    ("folds", "message"),
    [(1, "folds must be a whole number, 2 or more, not 1"), (300, "200 events of a class")],
)
def test_impossible_folds_are_refused(few: Dataset, folds: int, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        cross_validate(few, folds, progress=False)


def test_progress_is_shown(few: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    tn.cross_validate(few, 2, Logistic())
    assert "2/2" in capfd.readouterr().err
