"""Events in every form that people bring them, made by the libraries themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa

Floats = npt.NDArray[Any]


def pandas_frame(columns: Mapping[str, Floats]) -> Any:
    return pd.DataFrame(dict(columns), index=np.arange(len(next(iter(columns.values()))))[::-1])


def pandas_nullable(columns: Mapping[str, Floats]) -> Any:
    return pandas_frame(columns).convert_dtypes()


def pandas_arrow(columns: Mapping[str, Floats]) -> Any:
    return pandas_frame(columns).convert_dtypes(dtype_backend="pyarrow")


def polars_frame(columns: Mapping[str, Floats]) -> Any:
    return pl.DataFrame(dict(columns))


def polars_structs(columns: Mapping[str, Floats]) -> Any:
    return polars_frame(columns).to_struct("events")


def arrow_table(columns: Mapping[str, Floats]) -> Any:
    """In two chunks."""
    whole = pa.table({name: pa.array(values) for name, values in columns.items()})
    return pa.concat_tables([whole.slice(0, 1), whole.slice(1)])


def arrow_batch(columns: Mapping[str, Floats]) -> Any:
    return pa.record_batch([pa.array(values) for values in columns.values()], names=list(columns))


def structured(columns: Mapping[str, Floats]) -> Any:
    kinds = [(name, values.dtype) for name, values in columns.items()]
    table = np.zeros(len(next(iter(columns.values()))), kinds)
    for name, values in columns.items():
        table[name] = values
    return table


def recarray(columns: Mapping[str, Floats]) -> Any:
    return structured(columns).view(np.recarray)


def records(columns: Mapping[str, Floats]) -> Any:
    return ak.zip(dict(columns))


def arrays(columns: Mapping[str, Floats]) -> Any:
    return dict(columns)


def lists(columns: Mapping[str, Floats]) -> Any:
    return {name: values.tolist() for name, values in columns.items()}


def series(columns: Mapping[str, Floats]) -> Any:
    return {name: pd.Series(values) for name, values in columns.items()}


def dicts(columns: Mapping[str, Floats]) -> Any:
    """Each in an order of its own."""
    rows = pl.DataFrame(dict(columns)).rows(named=True)
    return [dict(reversed(row.items())) if i % 2 else row for i, row in enumerate(rows)]


def rows_of_pandas(columns: Mapping[str, Floats]) -> Any:
    return [row for _, row in pandas_frame(columns).iterrows()]


def named_tuples(columns: Mapping[str, Floats]) -> Any:
    return list(pandas_frame(columns).itertuples(index=False))


Bring = Callable[[Mapping[str, Floats]], Any]

#: Several events, with names.
TABLES: tuple[Bring, ...] = (
    *(pandas_frame, pandas_nullable, pandas_arrow, polars_frame, polars_structs, arrow_table),
    *(arrow_batch, structured, recarray, records, arrays, lists, series, dicts),
    *(rows_of_pandas, named_tuples),
)

#: One event, with names.
EVENTS: Mapping[str, Callable[[Mapping[str, Floats]], Any]] = {
    "mapping": lambda columns: {name: values[0] for name, values in columns.items()},
    "pandas Series": lambda columns: pandas_frame(columns).iloc[0],
    "nullable Series": lambda columns: pandas_nullable(columns).iloc[0],
    "polars row": lambda columns: polars_frame(columns).row(0, named=True),
    "structured": lambda columns: structured(columns)[0],
    "record": lambda columns: records(columns)[0],
    "named tuple": lambda columns: next(pandas_frame(columns).itertuples(index=False)),
    "Arrow numbers": lambda columns: {
        name: column[0] for name, column in zip(columns, arrow_table(columns).columns, strict=True)
    },
}


def columns_of(names: Sequence[str], X: Floats) -> dict[str, Floats]:
    """Columns under their names, in reversed order."""
    named = dict(zip(names, X.T, strict=True))
    return {name: np.ascontiguousarray(named[name]) for name in reversed(names)}
