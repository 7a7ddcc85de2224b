"""Tables of other libraries: their columns are found by name, or refused with what is wrong."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest

from tests import tables
from tests.tables import Bring
from tfaas_nb.errors import FeatureError
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.features.columns import columns_of

SET = FeatureSet("four", (Variable("met"), Variable("n"), Variable("flag"), Variable("eta")))
X = np.array([[31.25, 2, 1, -1.5], [120.5, 3, 0, 0.25], [7.75, 5, 1, 2.0]], np.float32)
#: In reversed order, of several types.
COLUMNS: dict[str, Any] = {
    "eta": np.array([-1.5, 0.25, 2.0], np.float64),
    "flag": np.array([True, False, True]),
    "n": np.array([2, 3, 5], np.int64),
    "met": np.array([31.25, 120.5, 7.75], np.float32),
}

every_table = pytest.mark.parametrize("bring", tables.TABLES, ids=lambda f: f.__name__)


@every_table
def test_columns_are_found_by_their_names(bring: Bring) -> None:
    found, is_single = SET.matrix(bring(COLUMNS))
    assert (found.dtype, found.flags.c_contiguous, is_single) == (np.float32, True, False)
    np.testing.assert_array_equal(found, X)


@pytest.mark.parametrize("bring", tables.EVENTS.values(), ids=tables.EVENTS)
def test_one_event_is_found_by_its_names(bring: Bring) -> None:
    found, is_single = SET.matrix(bring(COLUMNS))
    assert is_single
    np.testing.assert_array_equal(found, X[:1])


@every_table
def test_a_missing_column_is_named(bring: Bring) -> None:
    fewer = {name: values for name, values in COLUMNS.items() if name != "met"}
    with pytest.raises(FeatureError, match=r"missing: met$"):
        SET.matrix(bring(fewer))


@every_table
def test_a_column_too_many_is_named(bring: Bring) -> None:
    more = COLUMNS | {"mett": COLUMNS["met"]}
    with pytest.raises(FeatureError, match=r"unknown key 'mett' \(did you mean 'met'\?\)"):
        SET.matrix(bring(more))


@every_table
def test_a_misspelt_column_is_told_with_the_nearest(bring: Bring) -> None:
    wrong = {("MET" if name == "met" else name): values for name, values in COLUMNS.items()}
    with pytest.raises(FeatureError, match="unknown key 'MET'.*missing: met"):
        SET.matrix(bring(wrong))


@every_table
def test_text_is_not_read_as_numbers(bring: Bring) -> None:
    text = COLUMNS | {"met": np.array(["1.5", "2.5", "3.5"])}
    if bring is tables.pandas_nullable or bring is tables.pandas_arrow:
        pytest.skip("made of the same frame")
    with pytest.raises(FeatureError, match=r"values of 'met' are .*'?1\.5.*, not numbers"):
        SET.matrix(bring(text))


def frame(**changes: Any) -> Any:
    return pd.DataFrame(COLUMNS | changes)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (frame(met=pd.array([1.0, None, 3.0], "Float64")), "value of 'met' of event 1 is null"),
        (frame(n=pd.array([1, 2, None], "Int64")), "value of 'n' of event 2 is null"),
        (frame(flag=pd.array([None, True, None], "boolean")), r"'flag' of event 0 is .*2 values"),
        (frame(met=pd.Series([1, None, 2], dtype="double[pyarrow]")), "'met' of event 1 is null"),
        (frame(met=pd.Series([1, None, 2], dtype=object)), "value of 'met' of event 1 is null"),
        (frame(met=pd.Categorical([1, 2, 1])), "values of 'met' are categories, not numbers"),
        (frame(met=pd.to_datetime(["2026-01-01"] * 3)), "values of 'met' are dates"),
        (frame(met=pd.to_timedelta([1, 2, 3], "s")), "values of 'met' are times"),
        (frame(met=[decimal.Decimal(1)] * 3), "values of 'met' are objects such as Decimal"),
        (frame(met=[1 + 2j] * 3), "values of 'met' are complex"),
        (
            frame(met=[[1.0], [1.0, 2.0], []]),
            r"values of 'met' are objects such as \[1\.0\] \(event 0\)",
        ),
        (pl.DataFrame(COLUMNS | {"met": [1.0, None, 2.0]}), "'met' of event 1 is null"),
        (
            pl.DataFrame(COLUMNS | {"met": pl.Series(["a", "b", "a"], dtype=pl.Categorical)}),
            "'met' are categories",
        ),
        (pl.DataFrame(COLUMNS | {"met": [[1.0], [2.0], []]}), "values of 'met' are"),
        (pa.table(COLUMNS | {"met": pa.array([1.0, 2.0, None])}), "'met' of event 2 is null"),
        (
            pa.table(COLUMNS | {"met": pa.chunked_array([[1.0, 2.0], [None]])}),
            "'met' of event 2 is null",
        ),
        (
            pa.table(COLUMNS | {"met": pa.array(["a", "b", "a"]).dictionary_encode()}),
            "'met' are categories",
        ),
        (
            COLUMNS | {"met": np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])},
            "'met' of event 1 is null",
        ),
        (COLUMNS | {"met": [1.0, None, 3.0]}, "'met' of event 1 is null"),
        (COLUMNS | {"met": [1.0, 2.0]}, "differ in length: 'eta' has 3 values, 'met' 2"),
        (COLUMNS | {"met": 1.0}, "'met' is one value, while other keys have 3"),
        (COLUMNS | {"met": np.zeros((3, 2))}, r"values of 'met' have shape \(3, 2\)"),
        ({1: [1.0], "met": [2.0]}, "keys must be names of features, not 1"),
        (ak.Array([{"met": None, "n": 1, "flag": 1, "eta": 1}]), "'met' of event 0 is null"),
        (
            ak.Array([{"met": [1.0], "n": 1, "flag": 1, "eta": 1}] * 2),
            r"values of 'met' have shape \(2, 1\)",
        ),
        (
            ak.Array([{"met": [1.0] * i, "n": 1, "flag": 1, "eta": 1} for i in range(3)]),
            "values of 'met' are lists of different lengths",
        ),
        (pl.DataFrame(COLUMNS).lazy(), r"a LazyFrame is not read yet: bring what \.collect\(\)"),
        (pyarrow.dataset.dataset(pa.table(COLUMNS)), r"bring what \.to_table\(\) gives"),
        (pa.table(COLUMNS).to_reader(), r"bring what \.read_all\(\) gives"),
        ([dict.fromkeys(COLUMNS, 1.0), [1.0] * 4], "event 1 has no names, event 0 has"),
        ([[1.0] * 4, frame().iloc[0]], "event 1 has names, event 0 has none"),
        ([pd.Series([1.0] * 4), frame().iloc[0]], "event 1 has names, event 0 has none"),
        ([(1.0,) * 4, next(frame().itertuples(index=False))], "event 1 has names, event 0 has"),
        ([frame(), frame()], r"list of tables or columns \(DataFrame\) is no list of events"),
        (pa.table(COLUMNS).to_batches(), r"list of tables or columns \(RecordBatch\)"),
        *(
            (
                pl.DataFrame(COLUMNS).with_columns(met=pl.lit(7, wide)),
                "values of 'met' are of Int128, which NumPy does not take",
            )
            for wide in [getattr(pl, "Int128", None)]  # polars 1.0 has none
            if wide
        ),
        ([pd.Series({"met": 1.0}), pd.Series({"n": 1.0})], "event 1 has not the keys of event 0"),
        (frame().rename(columns={"met": 7}), "columns must be names of features, not 7"),
        (
            pd.concat({"reco": frame(), "gen": frame()}, axis=1),
            "the table's columns have 2 levels",
        ),
        (
            frame().set_index(
                pd.MultiIndex.from_tuples([(0, 0), (0, 1), (1, 0)], names=["entry", "subentry"])
            ),
            "rows of the table are subentrys, several for each event",
        ),
        (
            pd.concat([frame(), frame()[["met"]]], axis=1),
            "sent more than once: met",
        ),
        (pd.Series([1.0, 2, 3, 4], index=[3, 1, 2, 0]), "index must be names of features, not 3"),
        (np.zeros((2, 2), [(name, "f4") for name in COLUMNS]), r"one axis, not shape \(2, 2\)"),
    ],
)
def test_what_does_not_fit_is_told(events: Any, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        SET.matrix(events)


@pytest.mark.parametrize("kind", [pd.Series, pl.Series])
def test_a_column_alone_is_no_event(kind: Any) -> None:
    """With as many values as there are features, it once was; several were a transposed table."""
    four = pd.Series([1.0, 2.0, 3.0, 4.0])
    column = pd.Series(four, name="met") if kind is pd.Series else pl.Series("met", four.to_list())
    with pytest.raises(FeatureError, match="missing: n, flag, eta"):
        SET.matrix(column)
    with pytest.raises(FeatureError, match=r"list of tables or columns \(Series\)"):
        SET.matrix([column] * 4)
    of_one = FeatureSet("one", (Variable("met"),))
    np.testing.assert_array_equal(of_one.matrix(column)[0][:, 0], [1, 2, 3, 4])


def test_series_that_would_be_aligned_otherwise_are_refused() -> None:
    n = pd.Series(COLUMNS["n"])
    shuffled = COLUMNS | {"n": n, "met": pd.Series(COLUMNS["met"], index=[2, 0, 1])}
    with pytest.raises(FeatureError, match="n and met have different indexes.*by position"):
        SET.matrix(shuffled)
    np.testing.assert_array_equal(SET.matrix(COLUMNS | {"n": n})[0], X)


@pytest.mark.parametrize(
    "plain",
    [X, X.tolist(), pd.DataFrame(X), tuple(map(tuple, X)), ak.Array(X), list(X)],
)
def test_what_has_no_names_is_taken_by_position(plain: Any) -> None:
    np.testing.assert_array_equal(SET.matrix(plain)[0], X)
    assert columns_of(plain) is None


@pytest.mark.parametrize(
    "plain", [X[0], X[0].tolist(), pd.Series(X[0]), pl.Series(X[0]), pa.array(X[0]), ak.Array(X[0])]
)
def test_one_event_without_names_is_taken_by_position(plain: Any) -> None:
    found, is_single = SET.matrix(plain)
    assert is_single
    np.testing.assert_array_equal(found, X[:1])


class Labelled:
    """As much of xarray's DataArray as is looked at."""

    def __init__(self, values: Any, dims: tuple[str, ...], names: list[str]) -> None:
        self._values, self.dims = values, dims
        self.coords = {dims[-1]: np.array(names)}

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._values, dtype)


def test_names_along_an_axis_of_xarray_are_heeded() -> None:
    order = [3, 0, 2, 1]
    names = [SET.names[i] for i in order]
    try:
        import xarray

        many = xarray.DataArray(X[:, order], dims=("event", "f"), coords={"f": names})
        one = many[0]
    except ImportError:
        coordinates = type("Coordinates", (dict,), {})
        many, one = (Labelled(x, ("f",), names) for x in (X[:, order], X[0, order]))
        for each in (many, one):
            each.coords = coordinates(
                f=type("Names", (), {"dtype": np.array(names).dtype, "values": np.array(names)})
            )
    np.testing.assert_array_equal(SET.matrix(many)[0], X)
    np.testing.assert_array_equal(SET.matrix(one)[0], X[:1])


def test_an_event_of_no_names_lacks_all() -> None:
    for nothing in ({}, pd.DataFrame(), pa.table({})):
        with pytest.raises(FeatureError, match="missing: met, n, flag, eta"):
            SET.matrix(nothing)


def test_a_table_without_rows_has_no_events() -> None:
    none: Mapping[str, Any] = {name: values[:0] for name, values in COLUMNS.items()}
    makers: list[Callable[[Any], Any]] = [
        tables.pandas_frame, tables.polars_frame, tables.arrow_batch, tables.structured, dict
    ]  # fmt: skip
    for bring in makers:
        found, is_single = SET.matrix(bring(none))
        assert (found.shape, is_single) == ((0, 4), False)


def test_a_long_list_of_columns_too_many_is_cut() -> None:
    many = COLUMNS | {f"extra_{i}": COLUMNS["met"] for i in range(30)}
    with pytest.raises(FeatureError, match=r"'extra_2'.* and 27 more"):
        SET.matrix(many)


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ("t.csv", "'t.csv'"),
        (Path("t.root"), "'t.root'"),
        (b"t.parquet", "t.parquet"),
        (None, "None"),
    ],
)
def test_a_name_of_a_file_is_no_event(events: Any, shown: str) -> None:
    with pytest.raises(
        FeatureError, match="values or a table of them, not (the name of a file|None)"
    ) as e:
        FeatureSet("x", ("x",)).matrix(events)
    assert shown in str(e.value)
