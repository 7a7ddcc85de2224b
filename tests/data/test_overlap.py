from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tfaas_nb.data.dataset import Dataset, concatenate
from tfaas_nb.data.overlap import Fingerprints, overlap
from tfaas_nb.errors import FeatureError
from tfaas_nb.features import FeatureSet, Variable

RANDOM = np.random.default_rng(1)


def dataset(X: npt.ArrayLike, **extra: npt.NDArray[Any]) -> Dataset:
    values = np.asarray(X, dtype=np.float32)
    features = FeatureSet("flat", tuple(Variable(f"x{i}") for i in range(values.shape[1])), ())
    y = (np.arange(len(values)) % 2).astype(np.int8)
    return Dataset(values, y, np.ones(len(values), np.float32), features, extra=extra)


def normal(events: int, features: int = 6) -> Dataset:
    return dataset(RANDOM.normal(size=(events, features)))


def counts(events: int, most: int = 8, **extra: npt.NDArray[Any]) -> Dataset:
    """A feature set that says little: two small counts."""
    return dataset(RANDOM.poisson(most / 2, (events, 2)), **extra)


def identifiers(first: int, events: int) -> dict[str, npt.NDArray[Any]]:
    number = np.arange(first, first + events, dtype=np.uint64)
    return {
        "run": np.ones(events, np.uint32),
        "luminosityBlock": (number // 100).astype(np.uint32),
        "event": number,
    }


def test_different_events_do_not_overlap(events: Dataset) -> None:
    found = overlap(events[::2], events[1::2])
    assert not found
    assert (len(found), found.events, found.chance) == (0, 2000, 0)


@pytest.mark.parametrize("size", [40, 400, 2000])
def test_every_shared_event_is_found(events: Dataset, size: int) -> None:
    some = events[:: len(events) // size]
    shared = [1, 5, 6, size - 1]
    test = concatenate([events[1::2][:100], some[shared]])
    assert overlap(some, test).positions.tolist() == [100, 101, 102, 103]


def test_weights_and_classes_do_not_matter() -> None:
    data = normal(500)
    other = replace(data, y=1 - data.y, weight=2 * data.weight)
    assert len(overlap(data, other)) == 500


def test_columns_are_compared_by_name() -> None:
    data = normal(500)
    features = replace(data.features, event=data.features.event[::-1])
    assert len(overlap(data, replace(data, X=data.X[:, ::-1].copy(), features=features))) == 500
    with pytest.raises(FeatureError, match="x6"):
        overlap(data, normal(500, features=7))


def test_a_last_bit_makes_another_event() -> None:
    data = normal(500)
    X = data.X.copy()
    X[::2, 3] = np.nextafter(X[::2, 3], np.float32(9), dtype=np.float32)
    assert overlap(data, replace(data, X=X)).positions.tolist() == list(range(1, 500, 2))


def test_zero_is_zero_with_any_sign() -> None:
    data = normal(500)
    X = data.X.copy()
    X[:, 0] = 0.0
    Y = X.copy()
    Y[:, 0] = -0.0
    assert len(overlap(replace(data, X=X), replace(data, X=Y))) == 500


def test_a_sample_that_was_read_twice_overlaps_after_its_split(events: Dataset) -> None:
    train, test = concatenate([events, events]).split(test=0.3, seed=1)
    assert len(overlap(train, test)) == pytest.approx(0.7 * len(test), rel=0.05)


@pytest.mark.parametrize("most", [2, 8, 200])
def test_counts_agree_by_chance(most: int) -> None:
    """Nearly all rows are seen again, or (with large counts) few are; none is a leak."""
    for _ in range(20):
        assert not overlap(counts(3000, most), counts(1500, most))


def test_counts_that_agree_too_often_are_a_leak() -> None:
    train = counts(3000, 3000)
    test = concatenate([counts(500, 3000), train[:1000]])
    found = overlap(train, test)
    assert len(found) >= 900
    assert 0 < found.chance < 400
    assert "where chance has" in str(found)


def test_one_continuous_feature_is_enough_for_the_whole_training() -> None:
    train = normal(2000, features=1)
    assert len(overlap(train, train)) > 1900
    assert not overlap(train, normal(2000, features=1))


def test_events_without_jets_are_alike_by_chance() -> None:
    """Padding says nothing, in however many columns, and however rare the events are."""
    for size in (60, 3000):
        X = RANDOM.normal(300, 100, (2, size, 8))
        X[:, ::20] = 0.0
        X[:, ::20, 0] = -999.0
        assert not overlap(dataset(X[0]), dataset(X[1]))


def test_identifiers_tell_counts_apart() -> None:
    train, test = counts(3000, **identifiers(0, 3000)), counts(1500, **identifiers(3000, 1500))
    assert not overlap(train, test)
    shared = concatenate([test, train[[7, 2000]]])
    found = overlap(train, shared)
    assert found.identified
    assert found.positions.tolist() == [1500, 1501]


@pytest.mark.parametrize("names", [("RunNum", "LumiBlockNum", "EvtNum"), ("run", "lumi", "evt")])
def test_identifiers_have_several_names(names: tuple[str, ...]) -> None:
    ids = dict(zip(names, identifiers(0, 3000).values(), strict=True))
    train = counts(3000, **ids)
    assert len(overlap(train, train[:3])) == 3


def test_samples_that_number_their_events_alike_do_not_overlap() -> None:
    """As those of two generators do."""
    first, second = (replace(normal(2000), extra=identifiers(0, 2000)) for _ in range(2))
    assert not overlap(first, second)


def test_events_that_were_simulated_twice_overlap_whatever_their_numbers() -> None:
    """Jobs with the same seed."""
    data = replace(normal(2000), extra=identifiers(0, 2000))
    assert len(overlap(data, replace(data, extra=identifiers(9000, 2000)))) == 2000


def test_identifiers_of_one_dataset_alone_are_not_used() -> None:
    train = counts(3000, **identifiers(0, 3000))
    found = overlap(train, replace(train, extra={}))
    assert not found.identified


def test_fingerprints_take_eight_bytes_and_can_be_joined() -> None:
    data = normal(2000)
    whole = Fingerprints.of(data)
    assert (len(whole), whole.values.nbytes, whole.named) == (2000, 16_000, None)
    parts = Fingerprints.joined([Fingerprints.of(data[:700]), Fingerprints.of(data[700:])])
    assert len(parts.found_in(whole)) == 2000
    assert len(Fingerprints.joined([])) == 0


def test_nothing_overlaps_with_no_events() -> None:
    data = normal(100)
    assert not overlap(data[:0], data)
    assert not overlap(data, data[:0])


def test_it_shows_itself() -> None:
    data = normal(500)
    found = overlap(data, data[100:])
    assert repr(found) == "Overlap(400 of the 400 events (positions 0, 1, 2, 3, 4, ...))"
    assert dict(found.table().rows)["of these in the other, too"] == 400
    assert "<table>" in found._repr_html_()
    assert str(overlap(data, normal(10))) == "none of the 10 events"
