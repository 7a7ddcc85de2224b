from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import FeatureError, TrainingError
from tfaas_nb.features import FeatureSet
from tfaas_nb.metrics import Roc
from tfaas_nb.yardsticks import (
    ENGINEERED,
    Boosting,
    Logistic,
    Trainable,
    plain_network,
    with_engineered,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def few(events: Dataset) -> Dataset:
    return events[::4]


@pytest.mark.parametrize(
    ("trainable", "least"),
    [
        (Boosting(iterations=5, learning_rate=0.3), 0.9),
        (Boosting(iterations=5, learning_rate=0.3, engineered=True), 0.91),
        (Logistic(), 0.92),
        (plain_network(), 0.92),
    ],
    ids=["boosting", "engineered", "logistic", "network"],
)
def test_each_learns(trainable: Trainable, least: float, few: Dataset) -> None:
    train, test = few.split()
    trained = trainable.fit(train, progress=False)
    scores = trained.predict(test)
    assert scores.shape == (len(test),)
    assert Roc.of(test.y, scores).auc > least


@pytest.mark.parametrize(
    "trainable",
    [Boosting(iterations=5, engineered=True), Boosting(iterations=5), Logistic(iterations=200)],
)
def test_events_are_matched_by_name(trainable: Trainable, few: Dataset) -> None:
    """A table with its columns reversed has the scores of the events that it was made of."""
    names = few.features.names
    flat = FeatureSet("flat", names)
    train = few if getattr(trainable, "engineered", False) else replace(few, features=flat)
    trained = trainable.fit(train, progress=False)
    expected = trained.predict(train)
    turned = FeatureSet("turned", names[::-1], order_by=train.features.order_by)
    found = trained.predict(replace(few, X=few.X[:, ::-1], features=turned))
    np.testing.assert_array_equal(found, expected)
    fewer = replace(few, X=few.X[:, :-1], features=FeatureSet("fewer", names[:-1]))
    with pytest.raises(FeatureError, match="missing: jetTau3_4"):
        trained.predict(fewer)


@pytest.mark.parametrize(
    "trainable",
    [Boosting(iterations=5, learning_rate=0.3, balance=False), Logistic(balance=False)],
)
def test_weights_count(trainable: Trainable, few: Dataset) -> None:
    heavy = replace(few, weight=np.where(few.y == 1, 100.0, 1.0).astype(np.float32))
    weighted, even = (trainable.fit(data).predict(few).mean() for data in (heavy, few))
    assert weighted > even + 0.1


@pytest.mark.parametrize("trainable", [Boosting(iterations=5, learning_rate=0.3), Logistic()])
def test_the_unit_of_weights_does_not_matter(trainable: Trainable, few: Dataset) -> None:
    """Cross-sections in another unit, or more of one class, are no other regularisation."""
    tiny = np.where(few.y == 1, 1e-7, 1e-6).astype(np.float32)
    first, second = (trainable.fit(data).predict(few) for data in (few, replace(few, weight=tiny)))
    assert second == pytest.approx(first, abs=0.02)


@pytest.mark.parametrize("trainable", [Boosting(iterations=5), Logistic()])
@pytest.mark.parametrize(("weight", "message"), [(-1.0, "not negative"), (0.0, "add up to 0")])
def test_unusable_weights_are_refused(
    trainable: Trainable, weight: float, message: str, few: Dataset
) -> None:
    unusable = replace(few, weight=np.full(len(few), weight, np.float32))
    with pytest.raises(TrainingError, match=message):
        trainable.fit(unusable)


def test_there_are_twenty_engineered_features(few: Dataset) -> None:
    X, f = with_engineered(few), few.features
    assert len(set(ENGINEERED)) == 20
    assert X.shape == (len(few), 62)
    assert X[:, :42].tolist() == few.X.tolist()
    tau1, tau2 = (few.X[:, f.column(name)] for name in ("jetTau1_0", "jetTau2_0"))
    assert X[:, 42 + ENGINEERED.index("tau21_0")] == pytest.approx(tau2 / tau1, rel=1e-5)


def test_what_features_do_not_allow_is_not_engineered() -> None:
    features = FeatureSet("few", ("nJets",), ("jetPt", "jetTau1", "jetTau2"), jets=1)
    X = np.ones((5, 4), np.float32)
    data = Dataset(X, np.zeros(5, np.int8), np.ones(5, np.float32), features)
    assert with_engineered(data).shape == (5, 4 + len(["tau21_0", "ht"]))
    alone = FeatureSet("event", ("nJets",))
    data = Dataset(X[:, :1], data.y, data.weight, alone)
    assert with_engineered(data).shape == (5, 1)


def test_the_plain_network_derives_nothing(few: Dataset) -> None:
    """Turning the detector changes its scores, as it does not those of the default."""
    trained = plain_network().fit(few, progress=False)
    turned = few.X.copy()
    turned[:, few.features.jet_columns("jetPhi")] += 1.0
    assert np.abs(trained.predict(replace(few, X=turned)) - trained.predict(few)).max() > 1e-3
    weights = [w.shape for w in trained.model.get_weights() if w.ndim == 2]
    assert weights == [(42, 128), (128, 64), (64, 1)]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Boosting, "iterations", 0),
        (Boosting, "learning_rate", 0.0),
        (Boosting, "leaves", 1),
        (Boosting, "l2", -1.0),
        (Boosting, "balance", 1),
        (Logistic, "balance", 0),
        (Logistic, "inverse_penalty", 0.0),
        (Logistic, "iterations", 1.5),
    ],
)
def test_impossible_settings_are_refused(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(TrainingError, match=f"{name} must be .*, not {value}"):
        kind(**{name: value})
