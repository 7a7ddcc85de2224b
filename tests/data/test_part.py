from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.data.dataset import Dataset, concatenate
from tfaas_nb.errors import DataError
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


def ones(events: int, seed: int) -> Dataset:
    """A sample of weights of one; as many events have the same sums of weights."""
    return replace(dataset(events, seed), weight=np.ones(events, np.float32), scaled=(True, True))


@pytest.mark.parametrize("seeds", [(1, 2), (1, 1)])
@pytest.mark.parametrize("sides", [(1, 1), (0, 1), (0, 0)])
def test_samples_of_equal_sums_of_weights_are_told_apart(
    seeds: tuple[int, int], sides: tuple[int, int]
) -> None:
    """Each sample stands for 2000 and 1000 events, whichever parts are joined."""
    parts = [
        ones(3000, number).split(0.3, seed)[side]
        for number, (seed, side) in enumerate(zip(seeds, sides, strict=True))
    ]
    assert expected(concatenate(parts)) == pytest.approx([4000, 2000], rel=1e-6)


def test_parts_of_other_splits_of_one_sample_stand_for_it_once() -> None:
    """Also if they share events: as many weights are there twice as the fractions say."""
    data = ones(3000, 1)
    parts = [ones(3000, 1).split(0.7, seed)[1] for seed in (1, 2)]
    assert expected(concatenate(parts)) == pytest.approx([2000, 1000], rel=1e-6)
    joined = concatenate([*parts, data]).part
    assert joined is not None
    assert joined.fractions == pytest.approx((2.4, 2.4), rel=1e-3)
    assert joined.told().endswith("were evaluated, some of them more than once")


def test_selections_of_one_part_are_of_the_same_fraction() -> None:
    _, test = ones(3000, 1).split(0.3)
    halves = [test[test.X[:, 0] > 0], test[test.X[:, 0] <= 0]]
    assert expected(concatenate(halves)) == pytest.approx([2000, 1000], rel=1e-6)


def test_parts_that_cannot_be_told_apart_are_said_to_be_unknown() -> None:
    """The second sample's other part was joined before: by how much it adds nobody knows."""
    (first, second), (third, fourth) = (ones(3000, number).split(0.3) for number in (1, 2))
    mixed = concatenate([concatenate([first, third]), second])
    assert mixed.scaled == (False, False)
    evaluation = tn.Evaluation.of(mixed, mixed.X[:, 0])
    with pytest.raises(DataError, match="parts of one sample joined with another's"):
        evaluation.significance()
    known = concatenate([concatenate([first, third]), concatenate([second, fourth])])
    assert (known.part, known.scaled) == (None, (True, True))
    # Each class by itself: signal of both samples, background of the first alone.
    classes = concatenate([concatenate([first.background, third.signal]), second.background])
    assert classes.scaled == (True, True)
    assert expected(classes) == pytest.approx([2000, 1000], rel=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        lambda data: replace(data, weight=data.weight * 2),
        lambda data: replace(data, y=1 - data.y),
        lambda data: replace(data[data.X[:, 0] > 0], weight=np.ones(500, np.float32)),
        lambda data: replace(data.split()[0], weight=data.split()[0].weight + 1),
        lambda data: pickle.loads(pickle.dumps(replace(data, weight=data.weight * 2))),
    ],
)
def test_new_weights_are_not_scaled_to_a_cross_section(
    changed: Callable[[Dataset], Dataset],
) -> None:
    random = np.random.default_rng(1)
    X = np.repeat([1.0, -1.0], 500)[:, None].astype(np.float32)
    y = (random.random(1000) < 0.5).astype(np.int8)
    weight = random.uniform(0.1, 1, 1000).astype(np.float32)
    data = Dataset(X, y, weight, FEATURES, scaled=(True, True))
    assert data.scaled == (True, True)
    assert changed(data).scaled == (False, False)
    for same in (
        replace(data, X=-X),
        replace(data, weight=data.weight.copy()),
        replace(data, weight=data.weight * 2, scaled=(True, True)),
        pickle.loads(pickle.dumps(data)),
        copy.deepcopy(data),
        data[:],
    ):
        assert same.scaled == (True, True)


def test_weights_without_their_signs_are_not_those_of_a_cross_section() -> None:
    data = ones(600, 1)
    signed = replace(data, weight=np.where(np.arange(600) % 5, 1, -1), scaled=(True, True))
    for way in ("absolute", "ignore"):
        assert signed.with_negative_weights(way).scaled == (False, False)
        assert data.with_negative_weights(way).scaled == (True, True)


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
