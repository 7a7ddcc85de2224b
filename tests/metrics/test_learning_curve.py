from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.neighbors import KNeighborsClassifier

from tests.metrics.test_importance import dataset
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.metrics import LearningCurve, Roc

TRAIN, TEST = dataset(1000, seed=1), dataset(600, seed=2)


def neighbours(data: Dataset) -> Callable[[Dataset], np.ndarray]:
    model = KNeighborsClassifier(15).fit(data.X, data.y)
    return lambda events: np.asarray(model.predict_proba(events.X)[:, 1])


def test_points_are_trainings_on_parts() -> None:
    found = LearningCurve.of(neighbours, TRAIN, TEST, (1.0, 0.1, 0.5), progress=False)
    assert found.events == (100, 500, 1000)
    whole = neighbours(TRAIN)
    assert found.test[-1].auc == Roc.of(TEST.y, whole(TEST)).auc
    assert found.train[-1].auc == Roc.of(TRAIN.y, whole(TRAIN)).auc
    assert found.test[-1].auc > found.test[0].auc


def test_parts_hold_the_ones_before_and_both_classes() -> None:
    parts: list[Dataset] = []

    def trainer(data: Dataset) -> Callable[[Dataset], np.ndarray]:
        parts.append(data)
        return lambda events: events.X[:, 0]

    LearningCurve.of(trainer, TRAIN, TEST, (0.01, 0.2, 0.4), progress=False)
    rows = [set(map(tuple, part.X.tolist())) for part in parts]
    assert rows[0] < rows[1] < rows[2]
    assert all(len(part.signal) == len(part.background) for part in parts)


def test_a_seed_decides_the_parts() -> None:
    def auc(seed: int) -> float:
        return LearningCurve.of(neighbours, TRAIN, TEST, (0.1,), seed, False).test[0].auc

    assert auc(1) == auc(1) != auc(2)


@pytest.mark.parametrize("fractions", [(), (0.0,), (0.5, 1.1)])
def test_impossible_fractions_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match=r"lie in \(0, 1\]"):
        LearningCurve.of(neighbours, TRAIN, TEST, fractions)


def test_it_shows_itself(capfd: pytest.CaptureFixture[str]) -> None:
    found = LearningCurve.of(neighbours, TRAIN, TEST, (0.1, 1.0))
    assert "2/2" in capfd.readouterr().err
    assert repr(found) == (
        f"LearningCurve(AUC {found.test[0].area} with 100, {found.test[1].area} with 1000 events)"
    )
    assert [row[0] for row in found.table().rows] == [100, 1000]
    assert "data:image/png" in found._repr_html_()
    ax = Figure().subplots()
    assert found.plot(ax) is ax
