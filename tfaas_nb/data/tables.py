"""Events out of tables in memory, of Parquet and of CSV files: features by the names of columns."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.files import expand
from tfaas_nb.data.jets import Jets
from tfaas_nb.errors import DataError, FeatureError, MissingExtra
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet, feature_set_of, order_keys
from tfaas_nb.features.columns import Columns, check_aligned, columns_of, numeric
from tfaas_nb.features.names import names_in
from tfaas_nb.nearest import hint

Floats = npt.NDArray[np.float32]

#: Beginnings of files, and what they are.
_STARTS = {b"PAR1": "Parquet", b"root": "ROOT", b"ARROW1": "Arrow"}
_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
#: Endings of files that `read_files` reads.
ENDINGS = (".parquet", *_CSV)
_LISTED = 8
_FEATURES = "a FeatureSet or, in their order, names of columns"
_ROWS = "rows are counted from 0"


@dataclass(frozen=True, eq=False)
class TableEvents:
    """Events that were read out of a table.

    Attributes
    ----------
    X : numpy.ndarray
        float32 of shape (events, features).
    y : numpy.ndarray or None
        Classes, int8 of shape (events,); None where nobody told them.
    weight : numpy.ndarray
        float32 of shape (events,).
    features : FeatureSet
        What the columns of `X` are.
    extra : mapping
        What else was kept, by the name of its column.
    """

    X: Floats
    y: npt.NDArray[np.int8] | None
    weight: Floats
    features: FeatureSet
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


def is_path(table: Any) -> bool:
    """Return True if it is a path, or a list of them, rather than a table."""
    if isinstance(table, (list, tuple)):
        return bool(table) and all(isinstance(one, (str, os.PathLike)) for one in table)
    return isinstance(table, (str, os.PathLike))


def read_files(files: Any) -> tuple[Any, dict[str, int]]:
    """One table of Parquet or CSV files, and how many rows each of them has.

    Raises
    ------
    DataError
        If a file is not there, is of another kind or cannot be read, or columns differ.
    MissingExtra
        If pyarrow is not installed.
    """
    paths = [file.path for file in expand(files)]
    tables = [_read_file(path) for path in paths]
    names = tables[0].column_names
    for path, table in zip(paths, tables, strict=True):
        if table.column_names != names:
            differ = ", ".join(sorted(set(names) ^ set(table.column_names))[:_LISTED])
            raise DataError(
                f"{path} has other columns than {paths[0]}, or in another order: {differ}"
            )
    rows = {path: table.num_rows for path, table in zip(paths, tables, strict=True)}
    if len(tables) == 1:
        return tables[0], rows
    try:
        pa = _pyarrow("pyarrow", "")
        return pa.concat_tables(tables, promote_options="permissive"), rows
    except Exception as error:  # pyarrow has a dozen
        raise DataError(f"{', '.join(paths[:_LISTED])} cannot be joined: {error}") from error


def _read_file(path: str) -> Any:
    try:
        with open(path, "rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; a Parquet or CSV file is on this "
            "machine"
        ) from error
    kind = next((kind for known, kind in _STARTS.items() if start.startswith(known)), "")
    if kind == "ROOT":
        raise DataError(f"{path} is a ROOT file: tn.load(signal=..., background=...) reads it")
    is_csv = path.lower().endswith(_CSV)
    if kind != "Parquet" and not is_csv:
        what = f"an {kind} file" if kind else "of a kind that is not known"
        raise DataError(f"{path} is {what}: bring a Parquet file, a .csv or .tsv, or a table")
    try:
        return _parquet(path) if kind == "Parquet" else _csv(path)
    except MissingExtra:
        raise
    except Exception as error:  # pyarrow has a dozen
        raise DataError(f"{path} cannot be read as {kind or 'CSV'}: {error}") from error


def _parquet(path: str) -> Any:
    return _pyarrow("pyarrow.parquet", "Parquet files").read_table(path)


def _csv(path: str) -> Any:
    csv = _pyarrow("pyarrow.csv", "CSV files")
    delimiter = "\t" if ".tsv" in Path(path).name.lower() else ","
    return csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=delimiter))


def _pyarrow(module: str, what: str) -> Any:
    # Not an import statement: mypy then asks for stubs, which pyarrow does not have.
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"{what} need pyarrow: pip install 'tfaas-nb[arrow]'") from error


def events_of(
    table: Any,
    y: Any = None,
    features: FeatureSet | Sequence[str] | str | None = None,
    weight: Any = None,
    keep: Sequence[str] | str = (),
) -> TableEvents:
    """Events of a table; see `Dataset.from_columns`.

    Raises
    ------
    DataError, FeatureError
        If the table does not give what was asked for.
    """
    found = _Table.of(_with_names(table, features))
    check_aligned({"the table": table, "y": y, "weight": weight}, DataError)
    keep = names_in(keep, "keep", wanted="names of columns")
    roles = {"y": y, "weight": weight}
    taken = {role: name for role, name in roles.items() if isinstance(name, str)}
    for role, name in [*taken.items(), *(("keep", name) for name in keep)]:
        found.position(name, role)
    chosen = found.feature_set(features, {*taken.values(), *keep}, features is None)
    for role, name in taken.items():
        if name in chosen.names or name in chosen.branches:
            raise DataError(f"column {name!r} is both {role} and a feature: leave one of them out")
    return TableEvents(
        found.matrix(chosen),
        None if y is None else _classes(found.values(y, "y")),
        _weights(found, weight),
        chosen,
        {name: found.values(name, "keep") for name in keep},
    )


def _with_names(table: Any, features: FeatureSet | Sequence[str] | str | None) -> Any:
    """A plain array as ``{name: column}``, if the features in its order are given."""
    if features is None or not isinstance(table, np.ndarray) or table.ndim != 2:
        return table
    given = features.names if isinstance(features, FeatureSet) else features
    names = names_in(given, "features", wanted=_FEATURES)
    if table.shape[1] != len(names):
        raise FeatureError(
            f"the array has {table.shape[1]} columns, but {len(names)} features are named: "
            "name each column, in its order"
        )
    if len(set(names)) != len(names):
        raise FeatureError(f"features are named twice among {_listed(names)}")
    return {name: table[:, column] for column, name in enumerate(names)}


@dataclass(frozen=True, eq=False)
class _Table:
    """A table with a row for each event, whose columns have names of their own."""

    columns: Columns
    where: Mapping[str, int]

    @classmethod
    def of(cls, table: Any) -> _Table:
        columns = columns_of(table)
        if columns is None:
            raise DataError(
                f"a {type(table).__name__} has no names of columns: bring a DataFrame, an Arrow "
                "table, {name: array}, a structured or an awkward array, or the path of a file; "
                "or an array of shape (events, features), with features=[...] in its order"
            )
        where: dict[str, int] = {}
        for i, name in enumerate(columns.names):
            if where.setdefault(name, i) != i:
                raise FeatureError(f"the table has two columns {name!r}: rename or drop one")
        if not columns.events or not columns.names:
            raise DataError("the table has no rows: there is no event in it")
        return cls(columns, where)

    @property
    def rows(self) -> int:
        return self.columns.events

    def position(self, name: str, role: str) -> int:
        if name not in self.where:
            inside = " (it is in the index: .reset_index() makes it a column)"
            raise FeatureError(
                f"{role}={name!r} is no column of the table"
                f"{inside if name in self.columns.index else hint(name, self.where)}"
            )
        return self.where[name]

    def column(self, name: str) -> npt.NDArray[Any]:
        return np.atleast_1d(self.columns.column(self.where[name]))

    def values(self, given: Any, role: str) -> npt.NDArray[Any]:
        """A column by its name, an array with a number per event, or one number for all."""
        if isinstance(given, str):
            return np.atleast_1d(self.columns.column(self.position(given, role)))
        found = numeric(given, role)
        if found.ndim == 0:
            found = np.broadcast_to(found, (self.rows,))
        if found.shape != (self.rows,):
            raise DataError(
                f"{role} has shape {found.shape}, the table {self.rows} rows: give a number for "
                "each, or the name of a column"
            )
        return found

    def feature_set(
        self,
        features: FeatureSet | Sequence[str] | str | None,
        others: set[str],
        all_used: bool,
    ) -> FeatureSet:
        """The features: those asked for, or `TTBAR_ALL_HADRONIC` if the columns are its own."""
        if features is None:
            return self._recognised([name for name in self.columns.names if name not in others])
        if isinstance(features, FeatureSet):
            return features
        names = names_in(features, "features", wanted=_FEATURES)
        if not names:
            raise FeatureError(f"features must be {_FEATURES}, of which there are none")
        return feature_set_of("columns", list(names))

    def _recognised(self, names: list[str]) -> FeatureSet:
        known = TTBAR_ALL_HADRONIC
        for expected in (known.names, known.branches):
            missing = [name for name in expected if name not in self.where]
            if missing and len(missing) > len(expected) // 2:
                continue
            extra = [name for name in names if name not in expected]
            if extra and not missing:
                raise FeatureError(
                    f"the table has columns besides the {len(expected)} of {known.name!r}: "
                    f"{_listed(extra)}; name the features (features=tn.TTBAR_ALL_HADRONIC leaves "
                    "others out), or say y=, weight= or keep= of them"
                )
            if missing:
                order_keys(expected, names)  # names each that is missing or unknown
            return known
        raise FeatureError(
            f"which columns are features? The table has {_listed(self.columns.names)}: name them, "
            "features=['a', 'b'], or give a FeatureSet"
        )

    def matrix(self, features: FeatureSet) -> Floats:
        """The features, float32 of shape (events, features), all finite."""
        if all(name in self.where for name in features.names):
            X = np.empty((self.rows, len(features)), np.float32)
            for column, name in enumerate(features.names):
                X[:, column] = _finite(self.column(name), name)
            return X
        if features.jet and all(name in self.where for name in features.branches):
            return self._with_jets(features)
        self._refuse_missing(features)
        raise AssertionError("a column is missing")

    def _refuse_missing(self, features: FeatureSet) -> None:
        missing = [name for name in features.names if name not in self.where]
        shown = []
        for name in missing[:_LISTED]:
            inside = " (in the index: .reset_index() makes it a column)"
            near = hint(name, [one for one in self.where if one not in features.names])
            near = f" ({near.removeprefix('; ')})" if near else ""
            shown.append(f"{name!r}{inside if name in self.columns.index else near}")
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        lists = [v.name for v in features.jet if v.name in self.where]
        jets = f"; of lists of jets there are {_listed(lists)}" if lists else ""
        raise FeatureError(
            f"the table lacks the columns {', '.join(shown)}{more} of {features.name!r}{jets}"
        )

    # --- lists of jets ------------------------------------------------------------------

    def _with_jets(self, features: FeatureSet) -> Floats:
        """Features of columns that hold a list of jets for each event, padded as files are."""
        lists = {v.name: self._list(v.name) for v in features.jet}
        (first, (counts, _)) = next(iter(lists.items()))
        for name, (own, _) in lists.items():
            if (own != counts).any():
                row = int(np.argmax(own != counts))
                raise DataError(
                    f"{name!r} has {own[row]} jets in row {row}, {first!r} has {counts[row]} "
                    f"({_ROWS})"
                )
        jets = Jets.placed(counts, lists[features.order_by][1], features.jets)
        X = np.full((self.rows, len(features)), features.padding, np.float32)
        for column, variable in enumerate(features.event):
            X[:, column] = _finite(self.column(variable.name), variable.name)
        for variable in features.jet:
            jets.fill(X, features.jet_columns(variable.name).start, lists[variable.name][1])
        there = np.arange(features.jets) < counts[:, None]
        for column, name in enumerate(features.derived, start=features.derived_columns.start):
            X[:, column] = features.derivation(name).values(
                lambda variable: X[:, features.jet_columns(variable)], there, features.padding
            )
        return X

    def _list(self, name: str) -> tuple[npt.NDArray[np.int64], Floats]:
        """Numbers of jets of each event, and a variable of all jets one after another."""
        import awkward as ak

        value = self.columns.value(self.where[name])
        try:
            lists = _as_awkward(ak, value)
            if lists.ndim != 2:
                raise ValueError(f"it has {lists.ndim} axes")
            counts = np.asarray(ak.num(lists, axis=1), np.int64)
            flat = ak.flatten(lists, axis=1)
        except Exception as error:  # of whatever library the column is
            raise FeatureError(
                f"column {name!r} does not hold a list of numbers for each event: {error}"
            ) from error

        def row(at: int) -> int:
            return int(np.searchsorted(np.cumsum(counts), at, side="right"))

        return counts, _finite(numeric(flat, name), name, row)


def _as_awkward(ak: Any, value: Any) -> Any:
    """Lists of any library as an array of Awkward Array."""
    if hasattr(value, "layout"):
        return value
    if hasattr(value, "null_count") and hasattr(value, "type"):
        return ak.from_arrow(value)
    if hasattr(value, "to_list"):
        value = value.to_list()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return ak.Array(value)
    return ak.Array([list(event) for event in value])


def _finite(values: npt.NDArray[Any], name: str, row: Any = int) -> Floats:
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    wrong = ~np.isfinite(found)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise FeatureError(
            f"column {name!r} holds {int(wrong.sum())} values that are not finite, the first "
            f"({values[at]}) in row {row(at)} of {len(values)} ({_ROWS}): leave such events out, "
            "or fill them by a rule of yours"
        )
    return found


def _classes(y: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    wrong = ~np.isin(y, (0, 1))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(
            f"y is {y[at]} in row {at} ({int(wrong.sum())} of {len(y)} rows are neither 0 nor 1; "
            f"{_ROWS}): signal is 1, background 0"
        )
    return y.astype(np.int8)


def _weights(table: _Table, weight: Any) -> Floats:
    if weight is None:
        return np.ones(table.rows, np.float32)
    name = weight if isinstance(weight, str) else "weight"
    return _finite(table.values(weight, "weight"), name)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more
