from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tfaas_nb.data.dataset import Dataset, Skipped, Source, concatenate
from tfaas_nb.errors import DataError, FeatureError
from tfaas_nb.features import FeatureSet, Variable

FEATURES = FeatureSet(
    "tiny", (Variable("met", "GeV"),), (Variable("jetPt", "GeV"), Variable("jetEta")), jets=2
)
#: Every third event has one jet only, and that jet's eta is exactly the padding.
X = np.array([[i, 300 + i, 0 if i % 3 == 0 else 200 + i, 0, 0.5] for i in range(30)], np.float32)
Y = np.repeat([1, 0], [12, 18]).astype(np.int8)


@pytest.fixture
def data() -> Dataset:
    weight = np.linspace(0.5, 1.5, 30, dtype=np.float32)
    return Dataset(X, Y, weight, FEATURES, (Source("a.root", "signal", "events", 12, "ab"),))


@pytest.mark.parametrize("lost", ["X", "y", "weight"])
def test_arrays_of_different_lengths_are_refused(data: Dataset, lost: str) -> None:
    with pytest.raises(DataError, match=r"needs X of shape \(\d+, 5\)"):
        replace(data, **{lost: getattr(data, lost)[1:]})


def test_another_number_of_columns_is_refused(data: Dataset) -> None:
    with pytest.raises(DataError, match=r"\(30, 5\).*got \(30, 4\)"):
        replace(data, X=X[:, 1:])


@pytest.mark.parametrize(
    "chosen", [slice(3, 7), np.array([3, 4, 5, 6]), (X[:, 0] >= 3) & (X[:, 0] < 7)]
)
def test_part_of_the_events_keeps_classes_and_weights_together(data: Dataset, chosen: Any) -> None:
    part = data[chosen]
    assert part.X[:, 0].tolist() == [3, 4, 5, 6]
    assert part.weight.tolist() == data.weight[3:7].tolist()
    assert part.y.tolist() == [1, 1, 1, 1]
    assert part.sources == data.sources


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (3, r"not by 3; data.event\(i\) gives one event"),
        (1.5, "not by 1.5"),
        (None, "not by None"),
        ((1, 2.5), r"not by \(1, 2.5\)"),
        (np.ones((30, 2), bool), "not by array"),
        (np.arange(3.0), "not by array"),
        ([0, 30], "no event 30: the dataset has 30 events"),
        ([-31], "no event -31"),
        (np.ones(29, bool), "a mask of 29 values does not fit a dataset of 30 events"),
        ([True, False], "a mask of 2 values"),
        (slice(0, 2.5), "sliced by whole numbers"),
        (slice(None, None, 0), "sliced by whole numbers"),
    ],
)
def test_events_are_chosen_by_what_stands_for_events(
    data: Dataset, chosen: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        data[chosen]


def test_a_column_is_had_by_its_name(data: Dataset) -> None:
    for position, name in enumerate(data.features.names):
        assert data[name].tolist() == data.X[:, position].tolist()
    beside = replace(data, extra={"run": np.arange(len(data), dtype=np.uint64)})
    assert beside["run"].dtype == np.uint64
    assert beside[4:6]["run"].tolist() == [4, 5]


def test_a_column_that_is_not_there_is_told_with_the_nearest_name(data: Dataset) -> None:
    with pytest.raises(FeatureError, match=r"no column 'jetPT_1' \(did you mean 'jetPt_1'\?\)"):
        data["jetPT_1"]
    with pytest.raises(FeatureError, match="no column 'flux'; its features are"):
        data["flux"]


def test_no_event_and_the_last_ones_can_be_chosen(data: Dataset) -> None:
    assert len(data[[]]) == len(data[np.zeros(30, bool)]) == len(data[40:50]) == 0
    assert data[[-1, 0, 0]].X[:, 0].tolist() == [29, 0, 0]
    assert data[::-10].X[:, 0].tolist() == [29, 19, 9]
    assert data[np.array([2, 1], np.uint8)].X[:, 0].tolist() == [2, 1]


def test_signal_and_background_are_all_events(data: Dataset) -> None:
    assert data.signal.X.tolist() == X[:12].tolist()
    assert data.background.X.tolist() == X[12:].tolist()


def test_an_event_by_name_is_a_row(data: Dataset) -> None:
    event = {"met": 4.0, "jetPt_0": 304.0, "jetPt_1": 204.0, "jetEta_0": 0.0, "jetEta_1": 0.5}
    assert data.event(4) == event
    assert data.features.matrix(event)[0].tolist() == [X[4].tolist()]


@pytest.mark.parametrize("position", [-1, 30, 1.5, True, "a", None, float("nan")])
def test_an_event_that_is_not_there_is_said_so(data: Dataset, position: Any) -> None:
    with pytest.raises(DataError, match=f"no event {position}: the dataset has 30 events"):
        data.event(position)


def test_a_split_has_each_event_once_with_its_class_and_weight(data: Dataset) -> None:
    parts = data.split(test=0.5, seed=3)
    rows = np.concatenate([part.X[:, 0] for part in parts]).astype(int)
    assert sorted(rows) == list(range(30))
    for part in parts:
        own = part.X[:, 0].astype(int)
        assert part.y.tolist() == data.y[own].tolist()
        assert part.weight.tolist() == data.weight[own].tolist()


def test_a_split_keeps_the_mixture_of_classes(data: Dataset) -> None:
    train, test = data.split(test=0.5)
    assert (len(train.signal), len(train.background)) == (6, 9)
    assert (len(test.signal), len(test.background)) == (6, 9)


def test_a_split_depends_on_its_seed_only(data: Dataset) -> None:
    first, again, other = (data.split(seed=seed)[0].X.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "test", [0.0, 1.0, -0.5, 0.01, 0.99, 1.5, 1, 10, 30, float("nan"), True, "0.3", None, (0.3,)]
)
def test_an_impossible_split_is_refused(data: Dataset, test: Any) -> None:
    message = re.escape(f"cannot split 30 events with test={test!r}: ")
    with pytest.raises(DataError, match=f"^{message}(it must lie between|both parts need)") as no:
        data.split(test)
    assert "test_size" not in str(no.value), "the words of another library"


def test_a_number_of_test_events_is_told_as_the_fraction_that_it_is(data: Dataset) -> None:
    with pytest.raises(DataError, match=r"between 0 and 1; 10 of them are test=0\.3333"):
        data.split(10)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", None, 2**32, np.random.RandomState(1)])
def test_a_seed_is_a_whole_number(data: Dataset, seed: Any) -> None:
    with pytest.raises(DataError, match="seed must be a whole number from 0 to 4294967295, not"):
        data.split(seed=seed)


def test_numbers_of_numpy_split_as_python_s_do(data: Dataset) -> None:
    first, again = data.split(0.5, 3), data.split(np.float32(0.5), np.int64(3))  # type: ignore[arg-type]
    for part, same in zip(first, again, strict=True):
        assert part.X.tolist() == same.X.tolist()
        assert part.part == same.part


def test_a_class_of_one_event_cannot_be_split(data: Dataset) -> None:
    with pytest.raises(DataError, match="cannot split"):
        data[11:].split()


def test_presence_is_read_from_the_jets_momentum(data: Dataset) -> None:
    has_second = X[:, 0] % 3 != 0
    assert data.present("jetPt_1").tolist() == has_second.tolist()
    assert data.present("jetEta_1").tolist() == has_second.tolist()
    assert data.present("jetEta_0").all(), "an eta of zero is no absent jet"
    assert data.present("met").all()


def test_presence_of_an_unknown_feature_is_refused(data: Dataset) -> None:
    with pytest.raises(FeatureError, match="did you mean 'jetEta_"):
        data.present("jetEta_7")


def test_presence_of_a_derived_feature_is_that_of_its_jets(data: Dataset) -> None:
    features = replace(FEATURES, derived=("deltaEta_01", "log_pT_0", "ht"))
    more = np.hstack([X, np.zeros((30, 3), np.float32)])
    derived = replace(data, features=features, X=more)
    assert derived.present("deltaEta_01").tolist() == (X[:, 0] % 3 != 0).tolist()
    assert derived.present("log_pT_0").all(), "zero, the padding, is a value like any other"
    assert derived.present("ht").all()
    alone = replace(data, features=FeatureSet("alone", derived=("tau21_1",)), X=X[:, 2:3])
    assert alone.present("tau21_1").tolist() == (X[:, 2] != 0).tolist()


def test_what_was_kept_stays_with_its_event(data: Dataset) -> None:
    number = np.arange(30, dtype=np.uint64) + np.uint64(2**63)
    kept = replace(data, extra={"event": number})
    assert kept[3:5].extra["event"].tolist() == number[3:5].tolist()
    for part in kept.split(test=0.5):
        own = part.X[:, 0].astype(np.uint64) + np.uint64(2**63)
        assert part.extra["event"].dtype == np.uint64
        assert part.extra["event"].tolist() == own.tolist()
    assert concatenate([kept, kept]).extra["event"].tolist() == [*number.tolist()] * 2
    with pytest.raises(DataError, match=r"cannot be joined: \['event', 'nothing'\]"):
        concatenate([kept, data])


def test_something_else_than_a_number_per_event_is_not_kept(data: Dataset) -> None:
    with pytest.raises(DataError, match=r"'event' has shape \(29,\) in a dataset of 30 events"):
        replace(data, extra={"event": np.arange(29)})


def test_files_that_were_skipped_are_shown(data: Dataset) -> None:
    lacking = replace(data, skipped=(Skipped("b.root", "signal", "b.root is truncated"),))
    assert "files skipped: 1" in repr(lacking)
    html = lacking._repr_html_()
    assert "b.root is truncated" in html
    assert concatenate([data, lacking]).skipped == lacking.skipped


def test_a_selection_shows_the_entries_it_was_made_from(data: Dataset) -> None:
    source = Source("a.root", "signal", "events", 12, entries=20)
    cut = replace(data, sources=(source,))
    assert cut.files.columns[-2:] == ("entries", "events kept")
    assert cut.files.rows[0][-2:] == (20, 12)
    assert ">20<" in cut._repr_html_()
    assert data.files.columns[-1] == "events read"
    assert data.files.rows == (("a.root", "signal", "events", 12),)


def test_a_part_says_of_how_many_events_of_its_files_it_is(data: Dataset) -> None:
    train, test = data.split(0.5)
    own = data.files.rows
    for part in (train, test):
        kept = sum(source.events for source in data.sources)
        assert part.files.rows == own
        assert part.files.caption == f"{part!r}, of the {kept} events kept of these files"
    assert "of the" not in replace(data, sources=(Source("a", "signal", "t", 30),)).files.caption


def test_summaries_leave_absent_jets_out(data: Dataset) -> None:
    summary = dict(zip(FEATURES.names, data.summaries(), strict=True))["jetPt_1"]
    kept = X[X[:, 2] > 0, 2]
    assert (summary.name, summary.unit, summary.present) == ("jetPt_1", "GeV", 20 / 30)
    assert summary.median == np.median(kept)
    assert summary.low == pytest.approx(np.quantile(kept, 0.01))
    assert summary.high == pytest.approx(np.quantile(kept, 0.99))
    assert summary.to_dict()["median"] == summary.median


def test_a_jet_that_no_event_has_is_summarised_as_zero(data: Dataset) -> None:
    summary = data[::3].summaries()[2]
    assert (summary.low, summary.median, summary.high, summary.present) == (0, 0, 0, 0)


def test_no_events_are_summarised_without_complaint(data: Dataset) -> None:
    assert [s.present for s in data[:0].summaries()] == [0.0] * 5


def test_description_has_a_row_for_each_feature(data: Dataset) -> None:
    table = data.describe()
    assert [row[0] for row in table.rows] == list(FEATURES.names)
    assert table.rows[2][-1] == "66.7%"


def test_it_shows_its_counts_and_its_files(data: Dataset) -> None:
    assert repr(data) == "Dataset(12 signal + 18 background events, 5 features)"
    html = data._repr_html_()
    assert "12 signal + 18 background" in html
    assert "a.root" in html


def test_concatenation_keeps_order_and_sources(data: Dataset) -> None:
    joined = concatenate([data[20:], data[:20]])
    assert joined.X[:, 0].tolist() == [*range(20, 30), *range(20)]
    assert joined.weight.tolist() == np.roll(data.weight, 10).tolist()
    assert joined.sources == data.sources * 2


def test_nothing_cannot_be_concatenated() -> None:
    with pytest.raises(DataError, match="no dataset to concatenate"):
        concatenate([])


def test_different_features_cannot_be_concatenated(data: Dataset) -> None:
    other = replace(data, features=replace(FEATURES, name="other", padding=-1.0))
    with pytest.raises(DataError, match=r"\['other', 'tiny'\]"):
        concatenate([data, other])


def test_events_of_unknown_class_are_not_called_background(events: Dataset) -> None:
    read = replace(events[:3], sources=(Source("data.root", "events", "Events", 3),))
    assert repr(read) == "Dataset(3 events of unknown class, 42 features)"
    assert "background" not in read._repr_html_()


def test_in_a_cell_it_shows_classes_and_ranges(events: Dataset) -> None:
    html = events._repr_html_()
    assert "Ranges of the 42 features" in html
    assert ">2000</td>" in html
    nothing = events[:0]._repr_html_()
    assert "Ranges" not in nothing
    assert ">0</td>" in nothing


def test_negative_weights_are_treated_as_one_likes(data: Dataset) -> None:
    signed = replace(data, weight=np.where(np.arange(30) % 3, 1.0, -2.0).astype(np.float32))
    assert signed.with_negative_weights("absolute").weight.tolist() == [2.0, 1.0, 1.0] * 10
    assert signed.with_negative_weights("ignore").X.tolist() == X[np.arange(30) % 3 > 0].tolist()
    assert data.with_negative_weights("ignore") is data
    with pytest.raises(DataError, match="not 'refuse'"):
        signed.with_negative_weights("refuse")
