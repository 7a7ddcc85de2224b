from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

import tfaas_nb as tn
from tfaas_nb.classifier import Classifier
from tfaas_nb.comparison import ComparedClassifiers, compare, yardsticks
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError, TrainingError
from tfaas_nb.measured import quoted
from tfaas_nb.metrics import Comparison, Importance, LearningCurve, Roc
from tfaas_nb.validation.cross_validation import cross_validate
from tfaas_nb.yardsticks import Boosting, Logistic, Trainable

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"epochs": 4, "hidden": (8,), "embedding": (8,), "members": 1}


@dataclass(frozen=True)
class Mixed:
    """Score by the first feature, with junk mixed in: as much as the seed has it, or fixed."""

    column: int
    seed: int = 0
    fixed: float | None = None

    def fit(self, data: Dataset, progress: bool = True) -> Mixed:
        return self

    def predict(self, data: Dataset) -> Any:
        share = self.fixed
        if share is None:
            share = SPREAD * np.random.default_rng(self.seed).standard_normal()
        return (data.X[:, 0] + share * data.X[:, self.column]).astype(np.float64)


SPREAD, DISTANCE = 0.6, 1.5


def toy(rng: np.random.Generator, events: int) -> Dataset:
    y = np.arange(events) % 2
    X = rng.standard_normal((events, 3))
    X[:, 0] += DISTANCE * y
    return Dataset.from_columns(X, y, ["x", "junk", "other"])


class Unwanted:
    """Classifier that must not be trained."""

    def fit(self, data: Dataset, progress: bool = True) -> Any:
        raise AssertionError("it was trained")


@pytest.fixture(scope="module")
def split(events: Dataset) -> tuple[Dataset, Dataset]:
    return events[::4].split(seed=1)


@pytest.fixture(scope="module")
def compared(split: tuple[Dataset, Dataset]) -> ComparedClassifiers:
    chosen: dict[str, Trainable] = {
        "default": Classifier(**QUICK),
        "logistic": Logistic(),
        "boosting": Boosting(iterations=5, learning_rate=0.3),
    }
    return compare(*split, chosen, progress=False)


def test_all_are_tested_on_the_same_events(
    compared: ComparedClassifiers, split: tuple[Dataset, Dataset]
) -> None:
    test = split[1]
    assert list(compared.curves) == ["default", "logistic", "boosting"]
    for contender in compared.contenders:
        scores = contender.trained.predict(test)
        assert contender.roc.auc == Roc.of(test.y, scores, test.weight).auc > 0.85
        assert contender.seconds > 0


def test_differences_are_paired_and_to_the_first(
    compared: ComparedClassifiers, split: tuple[Dataset, Dataset]
) -> None:
    test = split[1]
    one, first = (compared.contenders[i].trained.predict(test) for i in (1, 0))
    expected = Comparison.of(test.y, one, first, test.weight)
    found = compared.difference("logistic")
    assert (found.difference, found.error) == (expected.difference, expected.error)
    assert found.error < found.curves[0].auc_error


def test_the_table_tells_areas_differences_rejections_and_time(
    compared: ComparedClassifiers,
) -> None:
    table = compared.table()
    assert table.columns[:3] == ("classifier", "AUC", "difference")
    assert table.columns[3:] == ("1/ε_B at ε_S 0.3", "1/ε_B at ε_S 0.5", "training [s]")
    difference = compared.difference("boosting")
    assert table.rows[0][2] is None
    assert table.rows[2][2] == quoted(difference.difference, difference.error, "+")
    assert "boosting" in repr(compared)
    html = compared._repr_html_()
    assert html.count("<tr>") == 4
    assert "ROC curves of all classifiers" in html


def test_the_plot_has_a_line_for_each(compared: ComparedClassifiers) -> None:
    labels = compared.plot().get_legend_handles_labels()[1]
    assert {label.split(" (")[0] for label in labels} >= {"default", "logistic", "boosting"}


def test_an_unknown_name_is_refused(compared: ComparedClassifiers) -> None:
    with pytest.raises(TrainingError, match="no 'forest' among default, logistic, boosting"):
        compared.difference("forest")


class LeadingMass:
    """A trainable of somebody else: its score is a column, wherever the training had it."""

    def fit(self, data: Dataset, progress: bool = True) -> Any:
        self.column = data.features.column("jetMassSoftDrop_0")
        return self

    def predict(self, data: Dataset) -> Any:
        return data.X[:, self.column]


def test_test_events_are_matched_by_name(split: tuple[Dataset, Dataset]) -> None:
    train, test = split
    names = test.features.names[::-1]
    turned = replace(test, X=test.X[:, ::-1], features=tn.FeatureSet("turned", names))
    found = compare(train, turned, {"mass": LeadingMass()}, progress=False)
    mass = test.X[:, test.features.column("jetMassSoftDrop_0")]
    assert found.curves["mass"].auc == pytest.approx(roc_auc_score(test.y, mass), abs=1e-9)


def test_a_given_classifier_is_left_as_it_is(split: tuple[Dataset, Dataset]) -> None:
    given = Classifier(**QUICK | {"epochs": 1})
    compare(*split, {"mine": given}, progress=False)
    assert repr(given) == "Classifier(not trained)"


def test_nothing_to_compare_is_refused(split: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(TrainingError, match="no classifier to compare"):
        compare(*split, {})


def test_events_of_the_training_are_refused(split: tuple[Dataset, Dataset]) -> None:
    train = split[0]
    chosen = {"logistic": Logistic()}
    with pytest.raises(DataError, match=r"700 of the 700 .* compare\(train, test, allow_overlap"):
        compare(train, train, chosen, progress=False)
    allowed = compare(train, train, chosen, progress=False, allow_overlap=True)
    assert "not an honest test: 700 of the 700" in repr(allowed)


def test_negative_weights_are_treated_as_the_classifier_does(
    split: tuple[Dataset, Dataset],
) -> None:
    train, test = (
        replace(one, weight=np.where(np.arange(len(one)) % 5, 1.0, -0.5).astype(np.float32))
        for one in split
    )
    with pytest.raises(DataError, match="140 of 700 events have a negative weight: compare"):
        compare(train, test, {"none": Unwanted()}, progress=False)
    quick = QUICK | {"epochs": 1}
    ours = Classifier(**quick, negative_weights="ignore")
    found = compare(train, test, {"ours": ours, "logistic": Logistic()}, progress=False)
    assert "60 events of negative weight left out" in found.notes
    assert "60 events of negative weight left out" in repr(found)
    other = Classifier(**quick, negative_weights="absolute")
    with pytest.raises(DataError, match="'absolute', 'ignore' cannot be judged"):
        compare(train, test, {"ours": ours, "other": other}, progress=False)


def test_a_stream_is_refused_before_anything_is_trained(split: tuple[Dataset, Dataset]) -> None:
    stream = tn.load(*tn.sample_files(), stream=True, progress=False)
    for pair in ((stream, split[1]), (split[0], stream)):
        with pytest.raises(TrainingError, match="in memory, as a Dataset, not a stream: load"):
            compare(*pair, {"none": Unwanted()}, progress=False)


def test_few_background_events_are_marked(split: tuple[Dataset, Dataset]) -> None:
    test = split[1]
    assert 0 < len(test.background) < 500
    found = compare(*split, {"logistic": Logistic()}, progress=False)
    points = [found.contenders[0].roc.working_point(e) for e in (0.3, 0.5)]
    assert [p.is_uncertain for p in points] == [True, True]
    assert all(cell.endswith(" (few events)") for cell in found.table().rows[0][3:5])


@pytest.mark.endurance
def test_by_default_the_usual_four_are_compared() -> None:
    """On a tenth of the sample the default is at least as good as each of the others."""
    compared = tn.compare(*tn.sample()[::5].split(), progress=False)
    assert list(compared.curves) == list(yardsticks())
    for name in list(compared.curves)[1:]:
        assert compared.difference(name).difference < 0


def test_a_table_is_told_how_to_become_a_dataset(split: tuple[Dataset, Dataset]) -> None:
    """By everything that trains or judges."""
    train, test = split
    table: Any = pd.DataFrame(train.X, columns=train.features.names)
    calls: dict[str, Callable[[], object]] = {
        "compare": lambda: compare(table, test, progress=False),
        "cross-validation": lambda: cross_validate(table, progress=False),
        "importance": lambda: Importance.of(lambda data: data.X[:, 0], table, progress=False),
        "learning_curve": lambda: LearningCurve.of(
            lambda data: lambda events: events.X[:, 0], train, table, progress=False
        ),
    }
    for name, call in calls.items():
        with pytest.raises(DataError, match=rf"{name} takes a Dataset, not a DataFrame: .*from_co"):
            call()
    for trainable in (Logistic(), Boosting()):
        with pytest.raises(DataError, match="fit takes a Dataset, not a DataFrame"):
            trainable.fit(table)


def test_seeds_are_trained_one_after_another_and_are_in_the_errors() -> None:
    rng = np.random.default_rng(3)
    train, test = toy(rng, 40), toy(rng, 300)
    chosen: dict[str, Any] = {"random": Mixed(1, seed=10), "fixed": Mixed(2, fixed=0.3)}
    compared = compare(train, test, chosen, progress=False, seeds=4)
    random, fixed = compared.contenders
    assert (len(random.trainings), len(fixed.trainings)) == (4, 4)
    areas = [roc_auc_score(test.y, Mixed(1, seed).predict(test)) for seed in range(10, 14)]
    assert random.area.value == pytest.approx(np.mean(areas))
    curves = [Roc.of(test.y, Mixed(1, seed).predict(test)) for seed in range(10, 14)]
    sample = np.mean([curve.auc_error**2 for curve in curves])
    expected = np.sqrt(sample + 1.1969**2 * np.var(areas, ddof=1) / 4)  # Student's, of 3 degrees
    assert random.area.error == pytest.approx(expected, rel=1e-3)
    assert str(random.area) in str(compared.table())
    assert "the trainings together" in compared.table().caption
    assert compared.gain("fixed").value == pytest.approx(fixed.roc.auc - np.mean(areas))


def test_with_one_seed_it_is_said_that_the_trainings_are_not_in_the_errors() -> None:
    rng = np.random.default_rng(4)
    compared = compare(toy(rng, 40), toy(rng, 60), {"a": Mixed(1), "b": Mixed(2)}, progress=False)
    assert "randomness of the trainings is not in it: compare(..., seeds=5)" in (
        compared.table().caption
    )
    assert str(compared.gain("b")) == str(compared.difference("b"))


@pytest.mark.parametrize("seeds", [0, 1.5, True, "5"])
def test_a_number_of_seeds_is_a_whole_number(split: tuple[Dataset, Dataset], seeds: Any) -> None:
    with pytest.raises(TrainingError, match=f"seeds must be .* not {seeds!r}"):
        compare(*split, {"a": Unwanted()}, seeds=seeds)


def test_the_error_of_a_gain_covers_samples_and_trainings() -> None:
    """Toys whose true mean area is known: of Gaussians it is Φ(d / √(2 (1 + share²)))."""
    shares = np.linspace(-5, 5, 4001) * SPREAD
    density = norm.pdf(shares, scale=SPREAD)
    mean = np.average(norm.cdf(DISTANCE / np.sqrt(2 * (1 + shares**2))), weights=density)
    truth = mean - norm.cdf(DISTANCE / np.sqrt(2 * (1 + 0.3**2)))
    rng = np.random.default_rng(5)
    pulls, naive = [], []
    for number in range(300):
        chosen: dict[str, Any] = {
            "fixed": Mixed(2, fixed=0.3),
            "random": Mixed(1, seed=1000 * number),
        }
        compared = compare(toy(rng, 20), toy(rng, 1000), chosen, progress=False, seeds=5)
        gain, one = compared.gain("random"), compared.difference("random")
        pulls.append((gain.value - truth) / gain.error)
        naive.append((one.difference - truth) / one.error)
    assert 0.62 < np.mean(np.abs(pulls) < 1) < 0.76
    assert np.mean(np.abs(naive) < 1) < 0.45  # of one training, with the sample's error alone
