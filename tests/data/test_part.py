from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.data.dataset import Dataset, concatenate
from tfaas_nb.features import FeatureSet, Variable

FEATURES = FeatureSet("flat", (Variable("x"),), ())


def dataset(events: int = 1000, seed: int = 1) -> Dataset:
    """Signal is a third of the events; their weights differ."""
    random = np.random.default_rng(seed)
    y = (np.arange(events) % 3 == 0).astype(np.int8)
    X = random.normal(size=(events, 1)).astype(np.float32)
    return Dataset(X, y, random.uniform(0.1, 2.0, events).astype(np.float32), FEATURES)


def expected(data: Dataset) -> list[float]:
    """Sums of weights of background and signal in the whole sample."""
    sums = [float(data.weight[data.y == kind].sum(dtype=np.float64)) for kind in (0, 1)]
    if data.part is None:
        return sums
    return [data.part.expected(kind, here) for kind, here in enumerate(sums)]


def test_both_parts_of_a_split_know_the_whole() -> None:
    data = dataset()
    assert data.part is None
    for part in data.split(0.3):
        assert expected(part) == pytest.approx(expected(data), rel=1e-6)


def test_a_part_of_a_part_knows_it_too() -> None:
    data = dataset()
    for part in data.split(0.3)[1].split(0.5, seed=2):
        assert expected(part) == pytest.approx(expected(data), rel=1e-6)


def test_a_selection_stays_a_part() -> None:
    data = dataset(20_000)
    _, test = data.split(0.3)
    selected = expected(test[test.X[:, 0] > 0])
    assert selected == pytest.approx(expected(data[data.X[:, 0] > 0]), rel=0.05)


def test_parts_of_a_sample_add_up() -> None:
    data = dataset()
    train, test = data.split(0.5)
    first, second = test.split(0.5)
    assert concatenate([train, test]).part is None
    assert expected(concatenate([train, first])) == pytest.approx(expected(data), rel=1e-6)
    assert concatenate([train, first, second]).part is None
    classes = concatenate([test.signal, test.background])
    assert expected(classes) == pytest.approx(expected(data), rel=1e-6)


def test_of_different_samples_what_is_expected_adds_up() -> None:
    data, other = dataset(), dataset(500, seed=2)
    both = [sum(pair) for pair in zip(expected(data), expected(other), strict=True)]
    for parts in ([data.split(0.3)[1], other.split(0.5)[1]], [data.split(0.3)[1], other]):
        assert expected(concatenate(parts)) == pytest.approx(both, rel=1e-6)


def test_where_weights_cancel_events_are_counted() -> None:
    data = dataset()
    signed = replace(data, weight=np.where(np.arange(1000) % 2, 1, -1).astype(np.float32))
    _, test = signed.split(0.3)
    assert test.part is not None
    assert all(0 < fraction <= 1 for fraction in test.part.fractions)


def test_it_is_told_in_words() -> None:
    whole = replace(dataset(), weight=np.ones(1000, np.float32))
    _, test = whole.split(0.3)
    assert test.part is not None
    assert test.part.told((1,)) == "S of the whole sample, of which 29.9 % were evaluated"
    assert "29.9 % of the signal and 30 % of the background" in test.part.told()


def test_of_a_stream_it_is_what_was_asked_for() -> None:
    stream = tn.load(*tn.sample_files(), stream=True, progress=False)
    assert stream.part is None
    _, test = stream.split(0.4)
    part = test.split(0.5)[1].part
    assert part is not None
    assert part.fractions == pytest.approx((0.2, 0.2))
    assert part.told() == "of the whole sample, of which about 20 % were evaluated"
