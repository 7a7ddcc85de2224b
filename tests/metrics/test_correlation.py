"""Groups of correlated features, on events whose correlations are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

import tfaas_nb as tn
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.metrics.correlation import Groups, grouped, rank_correlations


def dataset(X: Any, features: FeatureSet, weight: Any = None) -> Dataset:
    n = len(X)
    weight = np.ones(n) if weight is None else weight
    y = (np.arange(n) % 2).astype(np.int8)
    return Dataset(np.asarray(X, np.float32), y, np.asarray(weight, np.float32), features)


def copies(events: int = 600) -> Dataset:
    """Feature b is a copy of a with noise, c stands alone, d falls with c."""
    random = np.random.default_rng(1)
    a, c, one, other = random.normal(size=(4, events))
    X = np.stack([a, np.exp(a + 0.3 * one), c, -c + 0.3 * other], axis=1)
    return dataset(X, FeatureSet("flat", ("a", "b", "c", "d")))


def members(data: Dataset, by: str = "feature", groups: Groups = "correlated") -> list[Any]:
    return [group.members for group in grouped(data, by, groups)]


def test_copies_are_in_one_group_whatever_their_sign_and_scale() -> None:
    assert members(copies()) == [("a", "b"), ("c", "d")]


def test_correlations_are_those_of_scipy() -> None:
    data = copies()
    expected = [np.abs(spearmanr(data.X[data.y == kind]).statistic) for kind in (0, 1)]
    found = rank_correlations(data)
    assert found[0, 1] == pytest.approx(max(one[0, 1] for one in expected), abs=1e-12)
    assert found[0, 2] == 0  # not significant


def test_what_both_classes_have_in_common_is_no_correlation() -> None:
    """Two independent features, both of which tell signal from background."""
    data = copies()
    X = data.X.copy()
    X[:, 0] += 6 * data.y
    X[:, 2] += 6 * data.y
    split = dataset(X[:, [0, 2]], FeatureSet("flat", ("a", "c")))
    assert abs(spearmanr(split.X).statistic) > 0.7
    assert members(split) == [("a",), ("c",)]


def test_an_event_of_weight_two_counts_as_two() -> None:
    data = copies(400)
    weight = np.where(np.arange(400) < 200, 2.0, 1.0)
    twice = data[np.r_[0:400, 0:200]]
    weighted = rank_correlations(dataset(data.X, data.features, weight))
    assert weighted == pytest.approx(rank_correlations(twice), abs=1e-9)


def test_correlations_are_of_the_jets_that_are_there() -> None:
    """Two variables whose values are independent, and whose padding is not."""
    random = np.random.default_rng(1)
    X = random.uniform(1, 2, (800, 4))
    X[::3, [1, 3]] = 0
    jets = FeatureSet("jets", (), ("jetPt", "jetEta"), jets=2)
    assert len(members(dataset(X, jets))) == 4
    assert members(dataset(X, jets), "variable") == [("jetPt",), ("jetEta",)]


def test_back_to_back_jets_are_correlated() -> None:
    random = np.random.default_rng(1)
    phi = random.uniform(-np.pi, np.pi, 600)
    back = np.mod(phi + np.pi + random.normal(0, 0.2, 600) + np.pi, 2 * np.pi) - np.pi
    X = np.stack([*random.uniform(1, 2, (2, 600)), phi, back], axis=1)
    data = dataset(X, FeatureSet("jets", (), ("jetPt", "jetPhi"), jets=2))
    assert members(data) == [("jetPt_0",), ("jetPt_1",), ("jetPhi_0", "jetPhi_1")]


def test_groups_of_the_sample_are_those_of_the_jets() -> None:
    """Masses and subjettinesses of a jet go together, its momentum and direction do not."""
    data = tn.sample()[::20]
    shapes = ("jetMass", "jetMassSoftDrop", "jetTau1", "jetTau2", "jetTau3")
    assert shapes in members(data, "variable")
    by_feature = members(data)
    assert tuple(f"{name}_0" for name in shapes) in by_feature
    assert tuple(f"{name}_1" for name in shapes) in by_feature
    assert ("nJets",) in by_feature


def test_groups_can_be_chosen() -> None:
    jets = FeatureSet("jets", ("nJets",), (Variable("jetPt"), Variable("jetMass")), jets=2)
    data = dataset(np.random.default_rng(1).uniform(1, 2, (100, 5)), jets)
    named = grouped(data, "feature", {"leading": ["jetPt_0", "jetMass_0"], "n": "nJets"})
    assert [(g.name, g.columns) for g in named] == [("leading", (1, 3)), ("n", (0,))]
    listed = grouped(data, "feature", [["jetPt", "jetMass_1"]])
    assert [(g.name, g.columns) for g in listed] == [("jetPt + 1 more", (1, 2, 4))]
    assert members(data, groups=None) == members(data, groups="single")
    assert len(members(data, groups=None)) == 5


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("correlate", "'correlated', 'single'"),
        ([{"a", "b"}], "'correlated', 'single'"),
        (["a", "b"], r"\[\['jetMass'"),
        (3, "not 3"),
        ({}, "no group"),
        ([], "no group"),
        ([[]], "no features"),
        ({"x": ["a", "bb"]}, "'bb'"),
        ([["a", "a"]], "twice"),
        ([["a"], ["a"]], "twice"),
        ([[3]], "3, which is no feature"),
        ({3: ["a"]}, "no name"),
    ],
)
def test_impossible_groups_are_refused(groups: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        grouped(copies(100), "feature", groups)


@pytest.mark.parametrize(
    ("names", "groups", "expected"),
    [
        (("a", "b", "c"), [["a", "b"], ["a", "c"]], ["a + b", "a + c"]),
        (("a", "b", "a + 1 more"), [["a", "b"], ["a + 1 more"]], ["a + b", "a + 1 more"]),
        (("a", "b", "a + b"), [["a", "b"], ["a", "a + b"], ["a + b"]], None),
        (("a", "b", "a + 1 more", "a + b"), [["a", "b"], ["a + b"]], ["a + b (2)", "a + b"]),
    ],
)
def test_names_of_groups_are_not_those_of_others(
    names: tuple[str, ...], groups: list[list[str]], expected: list[str] | None
) -> None:
    data = dataset(np.random.default_rng(1).normal(size=(100, len(names))), FeatureSet("x", names))
    found = [group.name for group in grouped(data, "feature", groups)]
    assert len(set(found)) == len(found)
    assert expected is None or found == expected
    single = {name for name, group in zip(found, groups, strict=True) if len(group) > 1}
    assert not single & set(names)


def test_a_group_of_the_same_features_is_not_two() -> None:
    with pytest.raises(DataError, match="or one twice"):
        grouped(copies(), "feature", [["a", "b"], ["b", "a"]])
