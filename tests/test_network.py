from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfaas_nb import backend, network
from tfaas_nb.errors import TrainingError
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.network import Architecture, Floats, Parts

JETS = (
    Variable("jetPt", "GeV"),
    Variable("jetMass", "GeV"),
    Variable("jetPhi", "rad"),
    Variable("jetTau1"),
    Variable("jetTau2"),
)
FEATURES = FeatureSet("tiny", (Variable("nJets"), Variable("met", "GeV")), JETS, jets=3)
SMALL = Architecture(embedding=(6, 4), hidden=(8,), dropout=0.1)


def events(count: int = 200, features: FeatureSet = FEATURES, seed: int = 1) -> Floats:
    """Events with one jet up to as many as `FEATURES` has slots, however many are asked for."""
    random = np.random.default_rng(seed)
    jets = random.integers(1, FEATURES.jets + 1, count)
    X = np.full((count, len(features)), features.padding, np.float32)
    X[:, : len(features.event)] = random.uniform(0, 5, (count, len(features.event)))
    ranges = {"jetPt": (200, 900), "jetMass": (5, 200), "jetPhi": (-3.1, 3.1)}
    for variable in features.jet:
        values = random.uniform(*ranges.get(variable.name, (0.1, 0.9)), (count, FEATURES.jets))
        values[np.arange(FEATURES.jets) >= jets[:, None]] = features.padding
        X[:, features.jet_columns(variable.name)][:, : FEATURES.jets] = values
    return X


def build(features: FeatureSet = FEATURES, X: Floats | None = None, **changes: Any) -> Any:
    X = events(features=features) if X is None else X
    return network.build(features, X, replace(SMALL, **changes), seed=1)


def prepared(model: Any, X: Floats) -> list[Any]:
    """Inputs of the layers that learn: the event, its jets, and a mask of these."""
    return [np.asarray(t) for t in Parts.of(model).prepared(X).tensors]


@pytest.fixture(scope="module")
def model() -> Any:
    return build()


def test_derived_features_are_inputs_of_the_event() -> None:
    features = replace(FEATURES, derived=("tau21_0", "ht"))
    X = np.hstack([events(), np.random.default_rng(2).uniform(0, 9, (200, 2)).astype(np.float32)])
    model = build(features, X)
    moved = X.copy()
    moved[:, -1] += 5
    assert abs(network.predict(model, moved) - network.predict(model, X)).mean() > 1e-3
    only = FeatureSet("only", derived=("tau21_0", "ht"))
    assert network.predict(build(only, X[:, -2:]), X[:, -2:]).shape == (200, 1)


def test_scores_are_probabilities_one_per_event(model: Any) -> None:
    scores = network.predict(model, events())
    assert (scores.shape, scores.dtype) == ((200, 1), np.float32)
    assert ((scores > 0) & (scores < 1)).all()
    assert len(np.unique(scores)) > 100


def test_no_events_have_no_scores(model: Any) -> None:
    assert network.predict(model, events()[:0]).shape == (0, 1)


def test_many_events_are_scored_as_few_are(model: Any) -> None:
    X = events(20_000)
    scores = network.predict(model, X)
    assert len(scores) == len(X)
    assert scores[-100:] == pytest.approx(network.predict(model, X[-100:]), abs=1e-6)


def test_quantities_of_real_jets_have_mean_zero_and_width_one(model: Any) -> None:
    event, jets, mask = prepared(model, events())
    real = jets[mask[:, :, 0] == 1].astype(float)
    assert real.mean(axis=0) == pytest.approx(0.0, abs=1e-4)
    varies = real.std(axis=0) > 1e-6
    assert real.std(axis=0)[varies] == pytest.approx(1.0, abs=1e-3)
    assert event[:, :3].astype(float).mean(axis=0) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.slow
def test_more_padding_does_not_change_the_normalisation(model: Any) -> None:
    wider = replace(FEATURES, jets=7)
    padded = prepared(build(wider, events(features=wider)), events(features=wider))
    assert padded[1][:, : FEATURES.jets] == pytest.approx(prepared(model, events())[1], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("padding", [-1.0, -999.0, 0.1])
def test_any_value_may_mean_padding(model: Any, padding: float) -> None:
    features = replace(FEATURES, padding=padding)
    X = events(features=features)
    other = build(features, X)
    assert network.predict(other, X) == pytest.approx(network.predict(model, events()), abs=1e-5)


def test_what_stands_in_the_slot_of_an_absent_jet_does_not_matter(model: Any) -> None:
    X, random = events(), np.random.default_rng(2)
    absent = X[:, FEATURES.jet_columns("jetPt")] == FEATURES.padding
    changed = X.copy()
    for name in ("jetMass", "jetPhi", "jetTau1", "jetTau2"):
        columns = changed[:, FEATURES.jet_columns(name)]
        columns[absent] = random.normal(0, 1e3, absent.sum())
    assert (changed != X).any()
    assert network.predict(model, changed) == pytest.approx(network.predict(model, X), abs=1e-6)


def test_turning_the_detector_does_not_change_a_score(model: Any) -> None:
    X = events()
    turned = X.copy()
    phi = turned[:, FEATURES.jet_columns("jetPhi")]
    phi[:] = np.mod(phi + 1.234 + np.pi, 2 * np.pi) - np.pi
    assert network.predict(model, turned) == pytest.approx(network.predict(model, X), abs=1e-5)


@pytest.mark.slow
def test_mirroring_the_detector_does_not_change_a_score() -> None:
    """Neither along the beam nor across it; a lone jet turned over does."""
    features = replace(FEATURES, jet=(*JETS, Variable("jetEta")))
    X = events(features=features)
    there = X[:, features.jet_columns("jetPt")] > 0
    random = np.random.default_rng(3)
    X[:, features.jet_columns("jetEta")] = random.uniform(-2, 2, there.shape) * there
    built, mirrored = build(features, X), [X.copy(), X.copy()]
    for turned, name in zip(mirrored, ("jetEta", "jetPhi"), strict=True):
        turned[:, features.jet_columns(name)] *= -1
        assert network.predict(built, turned) == pytest.approx(network.predict(built, X), abs=1e-5)
    X[:, features.column("jetEta_1")] *= -1
    assert np.abs(network.predict(built, X) - network.predict(built, mirrored[0])).max() > 1e-3


def test_turning_one_jet_alone_does(model: Any) -> None:
    X = events()
    turned = X.copy()
    turned[:, FEATURES.column("jetPhi_0")] += 1.0
    assert np.abs(network.predict(model, turned) - network.predict(model, X)).max() > 1e-3


@pytest.mark.parametrize("name", FEATURES.names)
def test_every_feature_counts(model: Any, name: str) -> None:
    X = events()
    changed = X.copy()
    changed[X[:, FEATURES.column("jetPt_2")] > 0, FEATURES.column(name)] *= 1.5
    assert np.abs(network.predict(model, changed) - network.predict(model, X)).max() > 1e-4


def test_a_quantity_that_never_varies_is_harmless() -> None:
    X = events()
    X[:, 1] = 91.1876
    X[:, FEATURES.jet_columns("jetTau1")] = 0.3
    built = build(X=X)
    scores = network.predict(built, X)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 100
    X[:, 1] += 0.1
    assert network.predict(built, X) == pytest.approx(scores, abs=0.1), "no division by no width"


def test_no_jet_at_all_is_harmless() -> None:
    X = events()
    X[:, len(FEATURES.event) :] = FEATURES.padding
    assert np.isfinite(network.predict(build(X=X), X)).all()


@pytest.mark.parametrize(
    "features",
    [
        FeatureSet("no jets", FEATURES.event, ()),
        FeatureSet("no event variables", (), JETS, jets=3),
        FeatureSet("momenta only", (), JETS[:1], jets=3),
        FeatureSet("one jet", FEATURES.event, JETS, jets=1),
    ],
    ids=lambda features: features.name,
)
def test_feature_sets_of_all_kinds_make_a_network(features: FeatureSet) -> None:
    jets = [i for i, name in enumerate(FEATURES.names) if name in features.names]
    X = events()[:, jets]
    scores = network.predict(build(features, X), X)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 50


def test_a_feature_set_without_variables_makes_none() -> None:
    with pytest.raises(TrainingError, match="'empty' has no variables"):
        build(FeatureSet("empty", (), ()), np.zeros((5, 0), np.float32))


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding": ()},
        {"hidden": ()},
        {"dropout": 0.0},
        {"hidden": (4, 4, 4)},
        {"members": 1},
        {"members": 3, "activation": "silu"},
    ],
)
def test_architectures_of_all_sizes_make_a_network(changes: dict[str, Any]) -> None:
    scores = network.predict(build(**changes), events())
    assert len(np.unique(scores)) > 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", (8, 0)),
        ("embedding", (1.5,)),
        ("members", 0),
        ("members", True),
        ("activation", "lambda"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", "half"),
    ],
)
def test_impossible_architectures_are_refused(name: str, value: Any) -> None:
    with pytest.raises(TrainingError, match=rf"{name} must be .*, not {re.escape(repr(value))}"):
        Architecture(**{name: value})


def test_sizes_may_be_a_list_or_one_number() -> None:
    assert Architecture(hidden=[8, 4]).hidden == (8, 4)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="hidden must be numbers of units"):
        Architecture(hidden=8)  # type: ignore[arg-type]


def test_the_mean_of_the_members_decides(model: Any) -> None:
    logits = np.asarray(Parts.of(model).logits(events()))
    assert logits.shape == (200, 2)
    mean = 1 / (1 + np.exp(-logits.mean(axis=1)))
    assert network.predict(model, events())[:, 0] == pytest.approx(mean, abs=1e-6)


def test_derived_features_count_where_their_jets_are() -> None:
    features = FeatureSet("derived", ("nJets",), derived=("tau21_0", "m_jj"))
    random = np.random.default_rng(1)
    X = random.uniform(0.1, 0.9, (200, 3)).astype(np.float32)
    X[:, 2] = np.where(random.random(200) < 0.5, 0.0, 1000 * X[:, 2])
    built = build(features, X)
    (event,) = prepared(built, X)
    there = X[:, 2] > 0
    assert event[there, 2].mean() == pytest.approx(0.0, abs=1e-5)
    assert (event[~there, 2] == 0).all()
    assert len(np.unique(network.predict(built, X))) > 100


def test_events_angles_count_from_the_leading_jet() -> None:
    features = FeatureSet("met", ("metPhi",), ("jetPt", "jetPhi"), jets=2)
    X = np.random.default_rng(1).uniform(0.1, 3.0, (50, 5)).astype(np.float32)
    turned = X.copy()
    turned[:, [0, 3, 4]] += 0.7
    built = build(features, X)
    assert network.predict(built, turned) == pytest.approx(network.predict(built, X), abs=1e-5)
    turned[:, 0] += 1.0
    assert np.abs(network.predict(built, turned) - network.predict(built, X)).max() > 1e-3


def test_dropout_is_off_when_predicting(model: Any) -> None:
    first, again = (network.predict(model, events()) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.slow
def test_initial_weights_depend_on_the_seed_and_nothing_global() -> None:
    keras = backend.keras()
    scores = []
    for seed, global_seed in ((1, 1), (1, 2), (2, 2)):
        keras.utils.set_random_seed(global_seed)
        built = network.build(FEATURES, events(), SMALL, seed)
        scores.append(network.predict(built, events()).tolist())
    assert scores[0] == scores[1]
    assert scores[1] != scores[2]


@pytest.mark.slow
def test_a_saved_network_needs_no_code_of_ours(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = backend.keras().saving.load_model(path, safe_mode=True)
    assert network.predict(loaded, events()).tolist() == network.predict(model, events()).tolist()
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    assert "tfaas_nb" not in config
    assert "Lambda" not in config
    assert json.loads(config)["class_name"] == "Functional"
