"""Events out of tables, matched by the names of their columns."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tfaas_nb as tn
from tests import tables
from tests.ntuples import write_tree
from tests.tables import Bring
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError, FeatureError, MissingExtra, TfaasError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet

NAMES = ("met", "ht", "lepPt")
X = np.array([[31.25, 300, 25.5], [120.5, 512, 40], [7.75, 250, 33]], np.float32)
Y = np.array([1, 0, 1])
WEIGHT = np.array([0.5, 2.0, -1.0])
#: In an order of its own, of several types, with others among them.
COLUMNS: dict[str, Any] = {
    "w": WEIGHT,
    "lepPt": X[:, 2].astype(np.float64),
    "truth": Y,
    "ht": X[:, 1].astype(np.int32),
    "event": np.array([2**53 + 1, 7, 9]),
    "met": X[:, 0],
}


def check(data: Dataset) -> None:
    assert data.features.names == NAMES
    assert (data.X.dtype, data.y.dtype, data.weight.dtype) == (np.float32, np.int8, np.float32)
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, Y)
    np.testing.assert_array_equal(data.weight, WEIGHT.astype(np.float32))


@pytest.mark.parametrize("bring", tables.TABLES, ids=lambda f: f.__name__)
def test_any_table_is_matched_by_name(bring: Bring) -> None:
    data = Dataset.from_columns(
        bring(COLUMNS), y="truth", features=NAMES, weight="w", keep=["event"]
    )
    check(data)
    assert data.sources == ()
    if bring is not tables.rows_of_pandas:  # pandas itself makes these floats
        assert data.extra["event"].tolist() == [2**53 + 1, 7, 9], "kept as it is"
    assert repr(data) == "Dataset(2 signal + 1 background events, 3 features)"


def test_classes_and_weights_may_come_apart() -> None:
    frame = tables.pandas_frame(COLUMNS)
    for y, weight in (
        (Y, WEIGHT),
        (Y.tolist(), WEIGHT.tolist()),
        (Y.astype(bool), pl.Series(WEIGHT)),
        (pd.Series(Y, index=frame.index), pd.Series(WEIGHT, index=frame.index)),
        (pa.array(Y), ak.Array(WEIGHT)),
        (Y.astype(float), "w"),
    ):
        check(Dataset.from_columns(frame, y=y, features=NAMES, weight=weight))
    signal = Dataset.from_columns(frame, y=1, features=NAMES, weight=2.5)
    assert (signal.y.tolist(), signal.weight.tolist()) == ([1, 1, 1], [2.5, 2.5, 2.5])


def test_without_classes_events_are_of_unknown_class() -> None:
    data = Dataset.from_columns(COLUMNS, features=NAMES)
    assert repr(data) == "Dataset(3 events of unknown class, 3 features)"
    assert data.weight.tolist() == [1, 1, 1]
    assert "dict in memory" in data._repr_html_()


def test_a_lone_row_is_a_dataset_of_one() -> None:
    for row in (pd.DataFrame(COLUMNS).iloc[:1], {name: c[0] for name, c in COLUMNS.items()}):
        data = Dataset.from_columns(row, y="truth", features=NAMES, weight="w")
        np.testing.assert_array_equal(data.X, X[:1])


def test_the_features_of_the_demo_are_recognised(events: Dataset) -> None:
    some = events[1990:2010]
    columns = tables.columns_of(some.features.names, some.X)
    data = Dataset.from_columns(columns | {"label": some.y}, y="label")
    assert data.features == TTBAR_ALL_HADRONIC
    np.testing.assert_array_equal(data.X, some.X)
    with pytest.raises(FeatureError, match=r"besides the 42 of 'ttbar-all-hadronic': 'label'"):
        Dataset.from_columns(columns | {"label": some.y}, y=some.y)
    same = Dataset.from_columns(columns | {"run": some.y}, some.y, features=TTBAR_ALL_HADRONIC)
    np.testing.assert_array_equal(same.X, some.X)
    del columns["jetPt_0"]
    with pytest.raises(FeatureError, match="missing: jetPt_0"):
        Dataset.from_columns(columns, some.y)
    with pytest.raises(FeatureError, match=r"lacks the columns 'jetPt_0'"):
        Dataset.from_columns(columns, some.y, features=TTBAR_ALL_HADRONIC)


@pytest.mark.slow
def test_a_table_is_no_dataset_by_itself(classifier: Classifier, unseen: Dataset) -> None:
    frame = tables.pandas_frame(tables.columns_of(unseen.features.names, unseen.X))
    for call in (
        lambda: tn.overlap(frame, unseen),
        lambda: tn.overlap(unseen, frame),
        lambda: Dataset(frame, unseen.y, unseen.weight, unseen.features),
        lambda: Dataset(unseen.X, pd.Series(unseen.y), unseen.weight, unseen.features),
    ):
        with pytest.raises(DataError, match=r"not a (DataFrame|Series): tn.Dataset.from_columns"):
            call()
    with pytest.raises(DataError, match=r"class of each event: evaluate\(X, y\).*not a DataFrame"):
        classifier.evaluate(frame)


def test_tables_and_arrays_with_classes_are_judged_as_the_dataset(
    classifier: Classifier, unseen: Dataset
) -> None:
    expected = classifier.evaluate(unseen)
    backwards = tables.columns_of(unseen.features.names, unseen.X)
    backwards = dict(reversed(backwards.items()))
    frame = tables.pandas_frame(backwards | {"truth": unseen.y})
    for events, y in ((unseen.X, unseen.y), (backwards, unseen.y), (frame, "truth")):
        judged = classifier.evaluate(events, y)
        assert np.array_equal(judged.scores, expected.scores)
        assert judged.roc.area == expected.roc.area
    with pytest.raises(FeatureError, match="41 columns, but 42 features are named"):
        classifier.evaluate(unseen.X[:, :41], unseen.y)


def test_an_array_is_named_by_features(unseen: Dataset) -> None:
    made = Dataset.from_columns(unseen.X, unseen.y, unseen.features)
    assert made.features == unseen.features
    assert np.array_equal(made.X, unseen.X)
    few = Dataset.from_columns(unseen.X[:, :2], unseen.y, ["a", "b"])
    assert few["b"].tolist() == unseen.X[:, 1].tolist()


@pytest.mark.slow
def test_a_classifier_is_fitted_to_tables_and_arrays(unseen: Dataset) -> None:
    settings: Any = {"epochs": 1, "members": 1, "seed": 3}
    X, y = unseen.X[:, :3], unseen.y
    weight = np.linspace(0.5, 1.5, len(y))
    named = Dataset.from_columns(X, y, ["x0", "x1", "x2"], weight)
    expected = Classifier(**settings).fit(named, progress=False)
    table = {"x0": X[:, 0], "x1": X[:, 1], "x2": X[:, 2], "class": y, "w": weight}
    for events, *others in ((X, y, weight), (table, "class", "w")):
        fitted = Classifier(**settings).fit(events, *others, progress=False)
        assert fitted.features.names == ("x0", "x1", "x2")
        assert np.array_equal(fitted.predict(X), expected.predict(X))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X,), r"class of each event: fit\(X, y\) with 1 for signal"),
        ((None,), "not a NoneType alone"),
        (("events.root",), r"not the path 'events.root': tn.load"),
        ((Dataset.from_columns(COLUMNS, [0, 1, 1], ["met"]), False), "options by their names"),
    ],
)
def test_a_classifier_is_not_fitted_to_anything(arguments: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Classifier().fit(*arguments)


def test_it_is_judged_as_what_was_read_from_files(classifier: Classifier, unseen: Dataset) -> None:
    frame = tables.pandas_frame(tables.columns_of(unseen.features.names, unseen.X))
    data = Dataset.from_columns(frame, y=unseen.y)
    expected = classifier.evaluate(unseen)
    found = classifier.evaluate(data)
    assert found.auc == expected.auc
    np.testing.assert_array_equal(found.scores, expected.scores)
    train = Dataset.from_columns(frame.iloc[:, ::-1], y=unseen.y)
    assert len(tn.overlap(data, train)) == len(tn.overlap(unseen, unseen))


# --- lists of jets ----------------------------------------------------------------------

JETS = FeatureSet(
    "jets", ("nJets", "met"), ("jetPt", "jetEta"), jets=3, padding=-9.0, derived=("deltaEta_01",)
)
#: Not in the order of their pT.
PT = [[300.0, 410.5, 250.0, 200.0], [], [500.0], [220.0, 230.0]]
ETA = [[0.5, -1.25, 2.0, 1.0], [], [0.75], [-0.5, 1.5]]
LISTS: dict[str, Any] = {
    "jetEta": ETA,
    "met": [1.0, 2.0, 3.0, 4.0],
    "jetPt": PT,
    "nJets": [4, 0, 1, 2],
}


def rows() -> list[list[float]]:
    """Expected feature matrix, by a loop over the events."""
    found = []
    for pts, etas, met, n in zip(PT, ETA, LISTS["met"], LISTS["nJets"], strict=True):
        jets = sorted(zip(pts, etas, strict=True), reverse=True)[:3]
        slots = [[jet[i] for jet in jets] + [-9.0] * (3 - len(jets)) for i in (0, 1)]
        delta = abs(jets[0][1] - jets[1][1]) if len(jets) > 1 else -9.0
        found.append([n, met, *slots[0], *slots[1], delta])
    return found


@pytest.mark.parametrize(
    "bring",
    [
        lambda lists: lists,
        ak.Array,
        lambda lists: ak.zip(dict(lists), depth_limit=1),
        pd.DataFrame,
        pl.DataFrame,
        pa.table,
        lambda lists: pa.concat_tables([pa.table(lists).slice(0, 1), pa.table(lists).slice(1)]),
    ],
    ids=["mapping", "awkward", "records", "pandas", "polars", "arrow", "chunks"],
)
def test_lists_of_jets_are_ordered_and_padded(bring: Any) -> None:
    data = Dataset.from_columns(bring(LISTS), y=[1, 0, 1, 0], features=JETS)
    np.testing.assert_array_equal(data.X, np.float32(rows()))


def test_lists_of_jets_are_those_that_a_file_gives(tmp_path: Path) -> None:
    names = TTBAR_ALL_HADRONIC.branches
    random = np.random.default_rng(3)
    counts = random.integers(0, 8, 200)
    whole = {
        name: ak.unflatten(random.uniform(210, 900, counts.sum()).astype(np.float32), counts)
        for name in names[2:]
    }
    whole["jetEta"] = whole["jetEta"] / 1000
    lists = {"nJets": counts.astype(np.int32), "nLeptons": counts.astype(np.int32) % 3, **whole}
    path = write_tree(tmp_path / "jets.root", lists)
    expected = tn.read(path)
    data = Dataset.from_columns(ak.Array(lists))
    assert data.features == TTBAR_ALL_HADRONIC
    np.testing.assert_array_equal(data.X, expected.X)


def test_lists_that_do_not_agree_are_told() -> None:
    fewer = LISTS | {"jetEta": [*ETA[:3], [1.0]]}
    with pytest.raises(DataError, match=r"'jetEta' has 1 jets in row 3, 'jetPt' has 2"):
        Dataset.from_columns(fewer, 1, JETS)
    nan = LISTS | {"jetPt": [[300.0, np.nan, 250.0, 200.0], *PT[1:]]}
    with pytest.raises(FeatureError, match=r"'jetPt' holds 1 values .* \(nan\) in row 0"):
        Dataset.from_columns(nan, 1, JETS)
    late = LISTS | {"jetPt": [*PT[:3], [220.0, np.inf]]}
    with pytest.raises(FeatureError, match=r"'jetPt' holds 1 values .* \(inf\) in row 3"):
        Dataset.from_columns(late, 1, JETS)
    for wrong in (["a", "b", "c", "d"], [[["x"]], [], [], []], [[None], [], [], []]):
        with pytest.raises(FeatureError, match="jetEta"):
            Dataset.from_columns(LISTS | {"jetEta": wrong}, 1, JETS)


# --- files ------------------------------------------------------------------------------


def test_parquet_and_csv_files_are_read(tmp_path: Path) -> None:
    frame = pl.DataFrame(COLUMNS)
    frame.write_parquet(tmp_path / "events.parquet")
    frame.write_csv(tmp_path / "events.csv")
    frame.write_csv(tmp_path / "events.tsv", separator="\t")
    for name in ("events.parquet", "events.csv", "events.tsv"):
        for path in (tmp_path / name, str(tmp_path / name), [tmp_path / name]):
            data = Dataset.from_columns(path, y="truth", features=NAMES, weight="w")
            check(data)
            (source,) = data.sources
            assert (source.file, source.role, source.events) == (name, "signal and background", 3)
            assert len(source.sha256) == 64
            assert repr(data) == "Dataset(2 signal + 1 background events, 3 features)"
    unknown = Dataset.from_columns(tmp_path / "events.csv", features=NAMES)
    assert "of unknown class" in repr(unknown)


def test_several_files_follow_each_other(tmp_path: Path) -> None:
    for i in range(2):
        pq.write_table(pa.table(COLUMNS), tmp_path / f"{i}.parquet")
    data = Dataset.from_columns(tmp_path / "*.parquet", y="truth", features=NAMES)
    np.testing.assert_array_equal(data.X, np.concatenate([X, X]))
    assert [source.file for source in data.sources] == ["0.parquet", "1.parquet"]
    assert [source.events for source in data.sources] == [3, 3]
    pq.write_table(pa.table(COLUMNS).drop_columns("w"), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet has other columns than .*0\.parquet.*: w"):
        Dataset.from_columns(tmp_path / "*.parquet", y="truth", features=NAMES)


def test_lists_of_jets_come_in_parquet_files(tmp_path: Path) -> None:
    pq.write_table(pa.table(LISTS), tmp_path / "jets.parquet")
    data = Dataset.from_columns(tmp_path / "jets.parquet", y=0, features=JETS)
    np.testing.assert_array_equal(data.X, np.float32(rows()))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("events.root", b"root\0\0\0\0", r"events\.root is a ROOT file: tn\.load"),
        ("events.csv", b"root\0\0\0\0", r"events\.csv is a ROOT file"),
        ("events.parquet", b"PAR1 and no more", r"events\.parquet cannot be read as Parquet"),
        ("events.parquet", b"met,ht\n1,2\n", r"events\.parquet is of a kind that is not known"),
        ("events.arrow", b"ARROW1\0\0", r"events\.arrow is an Arrow file: bring a Parquet file"),
        ("events.csv", b"", r"events\.csv cannot be read as CSV"),
        ("events.csv", b"met,ht\n", "the table has no rows"),
        ("events.csv", b"met,ht\n1\n2,3\n", r"events\.csv cannot be read as CSV: .*Expected 2"),
        ("events.csv", b"met,ht\n1,\n2,3\n", "value of 'ht' of event 0 is null"),
        ("events.csv", b"met,ht\n1,high\n2,3\n", "values of 'ht' are text such as 'high' .event 0"),
        ("events.csv", b"met,met\n1,2\n", "the table has two columns 'met'"),
    ],
)
def test_files_of_another_kind_are_told(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TfaasError, match=message):
        Dataset.from_columns(tmp_path / name, y=1, features=["met", "ht"])
    with pytest.raises(DataError, match="none.parquet"):
        Dataset.from_columns(tmp_path / "none.parquet")


def test_it_says_what_files_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events.csv").write_bytes(b"met\n1\n")
    known = importlib.import_module

    def without(name: str) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return known(name)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(MissingExtra, match=r"CSV files need pyarrow: pip install 'tfaas-nb\[arr"):
        Dataset.from_columns(tmp_path / "events.csv")
    check(Dataset.from_columns(COLUMNS, "truth", NAMES, "w"))


# --- what does not fit ------------------------------------------------------------------


def frame(**changes: Any) -> Any:
    return pd.DataFrame(COLUMNS | changes)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (frame(), {"features": ["met", "HT"]}, "lacks the columns 'HT'"),
        (frame(), {"features": ["lepPT"]}, r"lacks the columns 'lepPT' \(the nearest .*\) of "),
        (frame(), {"features": {"met", "ht"}}, "in their order, names of columns, not {"),
        (frame(), {"features": {"met": 1}}, "in their order, names of columns, not {'met': 1}"),
        (frame(), {"features": ["met", None]}, "in their order, names of columns, not None"),
        (X, {"features": set(NAMES)}, "in their order, names of columns, not {"),
        (frame(), {"features": 3}, "in their order, names of columns, not 3"),
        (frame(), {"keep": None}, "keep must be names of columns, not None"),
        (frame(), {"keep": [3]}, "keep must be names of columns, not 3"),
        (frame(), {"features": ["met", "lepPT"]}, "lacks the columns 'lepPT'.*nearest.*'lepPt'"),
        (frame(), {"features": None}, r"which columns are features\? .*'w', 'lepPt', 'truth'"),
        (frame(), {"features": []}, "of which there are none"),
        (frame(), {"features": [3]}, "names of columns, not 3"),
        (frame(), {"features": ["met", "met"]}, "names met more than once"),
        (frame(), {"y": "Truth"}, "y='Truth' is no column.*'truth'"),
        (frame(), {"weight": "weight"}, "weight='weight' is no column"),
        (frame(), {"keep": ["run"]}, "keep='run' is no column"),
        (frame(), {"y": "met"}, "column 'met' is both y and a feature"),
        (frame(), {"weight": "ht"}, "column 'ht' is both weight and a feature"),
        (frame(), {"y": "ht", "features": ["met"]}, "y is 300 in row 0 .3 of 3 rows are neither"),
        (frame(), {"y": [1, 0]}, r"y has shape \(2,\), the table 3 rows"),
        (frame(), {"y": [1, 0, 2]}, r"y is 2 in row 2 \(1 of 3 rows"),
        (frame(), {"y": [1, -1, 1]}, "y is -1 in row 1"),
        (frame(), {"y": [1, 0, np.nan]}, "y is nan in row 2"),
        (frame(), {"y": [1, 0, None]}, "value of 'y' of event 2 is null"),
        (frame(), {"y": ["s", "b", "s"]}, "values of 'y' are text such as"),
        (frame(), {"y": 0.5}, "y is 0.5 in row 0"),
        (frame(), {"y": pd.Series(Y, index=[2, 1, 0])}, "the table and y have different indexes"),
        (
            frame(),
            {"weight": pd.Series(WEIGHT, index=[1, 2, 3])},
            "the table and weight have different indexes",
        ),
        (frame(), {"weight": [1, np.inf, 1]}, r"'weight' holds 1 values .* \(inf\) in row 1"),
        (frame(w=[1, np.nan, 1]), {"weight": "w"}, r"'w' holds 1 values .* \(nan\) in row 1"),
        (frame(met=[1, np.nan, np.nan]), {}, r"'met' holds 2 values .* \(nan\) in row 1 of 3"),
        (frame(met=[1.0, 2.0, 1e39]), {}, r"'met' holds 1 values .* \(1e\+39\) in row 2"),
        (frame(met=["a", "b", "c"]), {}, "values of 'met' are"),
        (frame(met=pd.Categorical([1, 2, 1])), {}, "values of 'met' are categories"),
        (frame(met=pd.array([1.0, None, 2.0], "Float64")), {}, "'met' of event 1 is null"),
        (pl.DataFrame(COLUMNS | {"met": [1.0, 2.0, None]}), {}, "'met' of event 2 is null"),
        (
            pa.table(COLUMNS | {"met": pa.chunked_array([[1.0], [None, 2.0]])}),
            {},
            "'met' of event 1 is null",
        ),
        (frame().set_index("met"), {}, r"lacks the columns 'met' \(in the index: \.reset_index"),
        (frame().set_index("truth"), {}, r"y='truth' is no column.*\(it is in the index"),
        (pd.concat([frame(), frame()[["met"]]], axis=1), {}, "two columns 'met': rename or drop"),
        (pd.concat({"reco": frame()}, axis=1), {}, "the table's columns have 2 levels"),
        (frame().iloc[:0], {"y": "truth"}, "the table has no rows"),
        (pd.DataFrame(), {}, "the table has no rows"),
        (X, {"features": None}, "a ndarray has no names of columns: bring a DataFrame"),
        (pd.DataFrame(X), {}, "a DataFrame has no names of columns"),
        (COLUMNS | {"met": [1.0]}, {}, "columns differ in length"),
    ],
)
def test_what_does_not_fit_is_told(table: Any, options: Mapping[str, Any], message: str) -> None:
    with pytest.raises((DataError, FeatureError), match=message):
        Dataset.from_columns(table, **({"y": "truth", "features": NAMES} | dict(options)))


@pytest.mark.parametrize(
    "numbers",
    [[1, 2**63, 2**64 - 1], [2**53 + 1, 2, 3], [-(2**53) - 1, 0, 2**63 - 1]],
    ids=["unsigned", "signed", "both"],
)
def test_whole_numbers_of_64_bits_are_kept_exactly(numbers: list[int]) -> None:
    objects = np.array(numbers, object)
    for column in (numbers, tuple(numbers), objects, pd.Series(objects)):
        data = Dataset.from_columns(
            {"met": [1.0, 2.0, 3.0], "event": column}, keep=["event"], features=["met"]
        )
        assert data.extra["event"].tolist() == numbers


def test_a_multi_index_of_rows_is_no_matter() -> None:
    indexed = frame().set_index([[1, 1, 2], [5, 6, 7]])
    check(Dataset.from_columns(indexed, "truth", NAMES, "w"))
    jets = frame().set_index(
        pd.MultiIndex.from_tuples([(0, 0), (0, 1), (1, 0)], names=["entry", "subentry"])
    )
    with pytest.raises(FeatureError, match="rows of the table are subentrys"):
        Dataset.from_columns(jets, "truth", NAMES, "w")
