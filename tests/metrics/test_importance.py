from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.metrics import Importance, Roc

FLAT = FeatureSet("flat", (Variable("a"), Variable("b"), Variable("c")), ())
JETS = FeatureSet("jets", (), (Variable("jetPt"), Variable("jetMass")), jets=2)


def dataset(events: int = 1500, seed: int = 1) -> Dataset:
    random = np.random.default_rng(seed)
    y = (np.arange(events) % 2).astype(np.int8)
    X = random.normal(size=(events, 3)) + y[:, None] * np.array([1.5, 0.7, 0.0])
    return Dataset(X.astype(np.float32), y, np.ones(events, np.float32), FLAT)


def jets(events: int = 1000) -> Dataset:
    """Every second event has one jet only."""
    random = np.random.default_rng(1)
    X = random.uniform(1, 2, (events, 4)).astype(np.float32)
    y = (random.random(events) < 0.5).astype(np.int8)
    X[::2, [1, 3]] = 0.0
    return Dataset(X, y, np.ones(events, np.float32), JETS)


DATA = dataset()
MODEL = LogisticRegression().fit(DATA.X, DATA.y)


def score(data: Dataset) -> np.ndarray:
    return np.asarray(MODEL.predict_proba(data.X)[:, 1])


FOUND = Importance.of(score, DATA, progress=False)


def test_losses_are_those_of_scikit_learn() -> None:
    expected = permutation_importance(
        MODEL, DATA.X, DATA.y, scoring="roc_auc", n_repeats=10, random_state=1
    )
    assert FOUND.names == ("a", "b", "c")
    assert FOUND.drop == pytest.approx(expected.importances_mean, abs=0.01)
    assert FOUND.auc == Roc.of(DATA.y, score(DATA)).auc


def test_errors_are_those_of_repeated_samples() -> None:
    drops, errors = [], []
    for seed in range(60):
        found = Importance.of(score, dataset(400, seed), repeats=3, seed=seed, progress=False)
        drops.append(found.drop[found.names.index("a")])
        errors.append(found.error[found.names.index("a")])
    assert np.mean(errors) == pytest.approx(np.std(drops), rel=0.3)


def test_a_feature_that_is_not_used_counts_for_nothing() -> None:
    found = Importance.of(lambda data: data.X[:, 0], DATA, progress=False)
    drops = dict(zip(found.names, found.drop, strict=True))
    assert (drops["b"], drops["c"]) == pytest.approx((0, 0), abs=1e-12)
    assert drops["a"] > 0.2


def test_absent_jets_stay_absent() -> None:
    data = jets()
    seen: list[Dataset] = []

    def scorer(events: Dataset) -> np.ndarray:
        seen.append(events)
        return events.X.sum(axis=1)

    Importance.of(scorer, data, "variable", repeats=2, progress=False)
    shuffled = seen[-1].X.reshape(2, 2, len(data), 4)
    for column in range(4):
        part = shuffled[0 if column < 2 else 1, :, :, column]
        assert (part[0] != data.X[:, column]).any()
        for repeat in part:
            assert ((repeat == 0) == (data.X[:, column] == 0)).all()
            assert sorted(repeat) == sorted(data.X[:, column])
    assert (shuffled[0, :, :, 2:] == data.X[:, 2:]).all()


def test_slots_with_the_same_jets_are_shuffled_alike() -> None:
    data = jets()[1::2]
    X = data.X.copy()
    X[:, 1] = X[:, 0] + 1
    seen: list[Dataset] = []

    def scorer(events: Dataset) -> np.ndarray:
        seen.append(events)
        return events.X[:, 2]

    Importance.of(scorer, replace(data, X=X), "variable", repeats=1, progress=False)
    pt = seen[-1].X[: len(data), :2]
    assert (pt[:, 1] == pt[:, 0] + 1).all()


def test_variables_are_groups_of_slots() -> None:
    found = Importance.of(lambda data: data.X.sum(axis=1), jets(), "variable", progress=False)
    assert set(found.names) == {"jetPt", "jetMass"}
    assert found.by == "variable"


def test_few_calls_score_many_events() -> None:
    calls: list[int] = []

    def scorer(events: Dataset) -> np.ndarray:
        calls.append(len(events))
        return score(events)

    Importance.of(scorer, DATA, repeats=4, progress=False)
    assert calls == [len(DATA), 3 * 4 * len(DATA)]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfaas_nb.metrics.importance._BLOCK", len(DATA) * 3 * 5)
    calls: list[int] = []

    def scorer(events: Dataset) -> np.ndarray:
        calls.append(len(events))
        return score(events)

    found = Importance.of(scorer, DATA, progress=False)
    assert calls == [len(DATA)] + 3 * [5 * len(DATA)]
    assert found.drop.tolist() == FOUND.drop.tolist()


def test_a_seed_decides_it() -> None:
    again = Importance.of(score, DATA, progress=False)
    other = Importance.of(score, DATA, seed=2, progress=False)
    assert again.drop.tolist() == FOUND.drop.tolist() != other.drop.tolist()


def test_progress_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    Importance.of(score, DATA, repeats=1)
    assert "3/3" in capfd.readouterr().err


def test_large_datasets_are_sampled_class_by_class() -> None:
    few = DATA[np.r_[0:1500:2, 1:1500:6]]
    seen: list[Dataset] = []

    def scorer(events: Dataset) -> np.ndarray:
        seen.append(events)
        return score(events)

    found = Importance.of(scorer, few, progress=False, most_events=400)
    assert (len(seen[0].background), len(seen[0].signal)) == (300, 100)
    assert found.events == 400
    rows = set(map(tuple, few.X.tolist()))
    assert set(map(tuple, seen[0].X.tolist())) < rows


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(DataError, match="not by 'jet'"):
        Importance.of(score, DATA, by="jet")
    with pytest.raises(DataError, match="not 0 times"):
        Importance.of(score, DATA, repeats=0)


def test_it_shows_itself() -> None:
    assert repr(FOUND).startswith(f"Importance(3 by feature, most: a {FOUND.drop[0]:+.3f}")
    assert [row[0] for row in FOUND.table().rows] == ["a", "b", "c"]
    assert "data:image/png" in FOUND._repr_html_()
    ax = Figure().subplots()
    assert FOUND.plot(ax, most=2) is ax
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
