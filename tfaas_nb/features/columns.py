"""Columns of events by name, whatever table they come in, and arrays without names.

Recognised are pandas' and polars' DataFrames, Arrow tables and record batches, structured and
record arrays of NumPy, record arrays of Awkward Array, arrays of xarray with names along their
last axis, mappings of arrays, and lists of events.  An event alone is a mapping, a pandas Series,
a named tuple, or a record.  A Series that has a name itself, but none in its index, is a column,
not an event; one of structs is a table.  None of the libraries is imported: a table is known by
what it can do.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import FeatureError, TfaasError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

#: NumPy's kinds of numbers: truth, whole with and without sign, with a fraction.
_NUMERIC = "biuf"
#: Types of numbers that need no further look.
_PLAIN = frozenset((int, float, bool, np.float32, np.float64, np.int32, np.int64))
#: Elements of a list that have no names.
_PLAIN_ROWS = frozenset((*_PLAIN, list, tuple, str, bytes, type(None)))
_SHOWN = 40
_EXACT = 2**53  # up to here every whole number is a double
#: Index of pandas that the rows of a table of jets have, as uproot and Awkward Array write it.
_OF_JETS = "subentry"
#: What tables have that are not read yet, what they lack, and the method that reads them.
_UNREAD = (
    (("collect_schema",), "get_column", "collect"),  # polars; `columns` would already warn
    (("columns", "npartitions"), "to_numpy", "compute"),
    (("schema",), "num_columns", "to_table"),
    (("schema",), "num_columns", "read_all"),
)


@dataclass(frozen=True, repr=False, eq=False)
class Columns:
    """Events whose values have names.

    Attributes
    ----------
    names : tuple of str
        Names of the columns, in the order of the table; they may repeat.
    events : int
        Rows of the table; 1 for a lone event.
    single : bool
        Whether it is a lone event rather than a table of events.
    index : tuple of str
        Names of what pandas has beside the columns.
    """

    names: tuple[str, ...]
    events: int
    single: bool
    index: tuple[str, ...] = ()
    _value: Callable[[int], Any] = field(default=lambda _: None)

    def value(self, position: int) -> Any:
        """A column as the table has it."""
        return self._value(position)

    def column(self, position: int) -> Array:
        """A column as numbers: of shape (events,), or () for a lone event.

        Raises
        ------
        FeatureError
            If a value is missing or no number, or they are not one for each event.
        """
        name = self.names[position]
        values = numeric(self._value(position), name)
        expected = () if self.single else (self.events,)
        if values.shape != expected:
            raise FeatureError(
                f"the values of {name!r} have shape {values.shape}, expected {expected}: events "
                "must be numbers, one of each name"
            )
        return values

    def matrix(self, order: Sequence[int] | None = None) -> Floats:
        """Columns side by side: float32 of shape (events, columns), or (columns,) of an event.

        Parameters
        ----------
        order : sequence of int, optional
            Positions of the columns; by default all as they stand.

        Raises
        ------
        FeatureError
            As `column`.
        """
        positions = range(len(self.names)) if order is None else order
        if self.single and (plain := self._plain(positions)) is not None:
            return plain
        values = np.empty((self.events, len(positions)), np.float32)
        with np.errstate(over="ignore"):  # too large is infinite, which is refused by its name
            for at, position in enumerate(positions):
                values[:, at] = self.column(position)
        return values[0] if self.single else values

    def _plain(self, positions: Sequence[int]) -> Floats | None:
        """A lone event of plain numbers; None for others."""
        values = [self._value(position) for position in positions]
        if not set(map(type, values)) <= _PLAIN:
            return None
        try:
            with np.errstate(over="ignore"):
                return np.array(values, np.float32)
        except OverflowError:  # an integer beyond any float
            return None


def columns_of(events: Any) -> Columns | None:
    """Events with the names of their columns; None for an array, which has none.

    Raises
    ------
    FeatureError
        If names are no text, stand on several levels, or the table is not computed yet.
    """
    if type(events) is np.ndarray and events.dtype.names is None:
        return None
    _check_no_path(events)
    for recognise in _TABLES:
        found = recognise(events)
        if found is not None:
            return found
    return None


def _check_no_path(events: Any) -> None:
    """Refuse what names a file instead of holding events."""
    if isinstance(events, (str, bytes, os.PathLike)):
        raise FeatureError(
            "events are values or a table of them, not the name of a file, "
            f"{os.fspath(events)!r:.200}: tn.score(files, model, output) scores ROOT files, "
            "tn.read(files) reads them, and tn.Dataset.from_columns(file) reads CSV and Parquet"
        )
    if events is None:
        raise FeatureError("events are values or a table of them, not None")


def array_of(events: Any) -> Floats:
    """Events without names as a float32 array of the shape that they have.

    Raises
    ------
    FeatureError
        If a value is missing or no number.
    """
    values = numeric(events)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32).reshape(values.shape)


# --- tables -----------------------------------------------------------------------------


def _lazy(table: Any) -> Columns | None:
    """Refuse tables that are still to be computed: of polars, Dask, or Arrow's datasets."""
    for known, absent, method in _UNREAD:
        if all(hasattr(table, one) for one in (*known, method)) and not hasattr(table, absent):
            raise FeatureError(
                f"a {type(table).__name__} is not read yet: bring what .{method}() gives"
            )
    return None


def _pandas(table: Any) -> Columns | None:
    if not (hasattr(table, "iloc") and hasattr(table, "columns")):
        return None
    names = _labels(table.columns, "columns")
    levels = [str(name) for name in table.index.names if name is not None]
    if _OF_JETS in levels:
        raise FeatureError(
            f"the rows of the table are {_OF_JETS}s, several for each event: bring a row for "
            "each event, or lists of jets in an awkward array"
        )
    if names is None:
        return None
    return Columns(names, len(table), False, tuple(levels), lambda i: table.iloc[:, i])


def _series(series: Any) -> Columns | None:
    """A Series of pandas: an event if its index names features, or a column with a name."""
    if not hasattr(series, "iloc") or hasattr(series, "columns"):
        return None
    names = _labels(series.index, "index")
    if names is not None:
        return Columns(names, 1, True, (), lambda i: series.iloc[i])
    return _lone_column(series)


def _polars_series(series: Any) -> Columns | None:
    """A Series of polars: a table if it holds structs, or a column with a name."""
    if not (hasattr(series, "to_frame") and hasattr(series, "get_chunks")):
        return None
    if hasattr(series.dtype, "fields"):
        return columns_of(series.struct.unnest())
    return _lone_column(series)


def _lone_column(series: Any) -> Columns | None:
    """A table of one column; None without a name, as an event's values have none."""
    if not isinstance(series.name, str) or not series.name:
        return None
    return Columns((series.name,), len(series), False, (), lambda _: series)


def _polars(table: Any) -> Columns | None:
    if not (hasattr(table, "get_column") and hasattr(table, "columns")):
        return None
    names = tuple(table.columns)
    return Columns(names, len(table), False, (), lambda i: table.get_column(names[i]))


def _arrow(table: Any) -> Columns | None:
    if not (hasattr(table, "schema") and hasattr(table, "num_columns")):
        return None
    return Columns(tuple(table.schema.names), table.num_rows, False, (), table.column)


def _structured(table: Any) -> Columns | None:
    if not isinstance(table, (np.ndarray, np.void)) or not table.dtype.names:
        return None
    names: tuple[str, ...] = table.dtype.names
    if np.ndim(table) > 1:
        raise FeatureError(f"a structured array of events has one axis, not shape {table.shape}")
    events = table.shape[0] if table.shape else 1
    return Columns(names, events, not table.shape, (), lambda i: table[names[i]])


def _awkward(table: Any) -> Columns | None:
    """Records of Awkward Array; an array has `ndim`, a lone record has none."""
    if not (hasattr(table, "fields") and hasattr(table, "layout") and table.fields):
        return None
    names = tuple(table.fields)
    is_single = not hasattr(table, "ndim")
    events = 1 if is_single else len(table)
    return Columns(names, events, is_single, (), lambda i: table[names[i]])


def _xarray(table: Any) -> Columns | None:
    """An array of xarray with the names of features along its last axis."""
    if not (hasattr(table, "coords") and hasattr(table, "dims")) or isinstance(table, Mapping):
        return None
    last = table.dims[-1] if table.dims else None
    if last not in table.coords or table.coords[last].dtype.kind not in "UOT":
        return None
    names, values = tuple(map(str, table.coords[last].values)), np.asarray(table)
    is_single = values.ndim == 1
    return Columns(names, 1 if is_single else len(values), is_single, (), lambda i: values[..., i])


def _mapping(table: Any) -> Columns | None:
    """A column for each key, or an event with a number for each."""
    if isinstance(table, tuple) and hasattr(table, "_fields"):
        table = dict(zip(table._fields, table, strict=True))
    if not isinstance(table, Mapping):
        return None
    names = _text(list(table), "keys")
    values = list(table.values())
    if set(map(type, values)) <= _PLAIN:  # a lone event, which is asked for most often
        return Columns(names, 1, True, (), values.__getitem__)
    lengths = {name: _length(value) for name, value in zip(names, values, strict=True)}
    if set(lengths.values()) <= {None}:
        return Columns(names, 1, True, (), values.__getitem__)
    lone = next((name for name, length in lengths.items() if length is None), None)
    events = next(length for length in lengths.values() if length is not None)
    if lone is not None:
        raise FeatureError(
            f"{lone!r} is one value, while other keys have {events}: give a value for each event"
        )
    for name, length in lengths.items():
        if length != events:
            raise FeatureError(
                f"columns differ in length: {names[0]!r} has {events} values, {name!r} {length}"
            )
    check_aligned(dict(zip(names, values, strict=True)))
    return Columns(names, events, False, (), values.__getitem__)


def _records(events: Any) -> Columns | None:
    """A list of events by name, each in an order of its own."""
    if not isinstance(events, (list, tuple)) or _PLAIN_ROWS.issuperset(map(type, events)):
        return None
    found = [_mapping_of(event) for event in events]
    if found[0] is None:
        named = next((i for i, event in enumerate(found) if event), None)
        if named is None:
            return None
        raise FeatureError(f"event {named} has names, event 0 has none: bring all in one way")
    names = _text(list(found[0] or ()), "keys")
    expected = set(names)
    for i, event in enumerate(found):
        if event is None:
            raise FeatureError(f"event {i} has no names, event 0 has: bring all in one way")
        if event.keys() != expected:
            differ = ", ".join(sorted(map(str, event.keys() ^ expected)))
            raise FeatureError(f"event {i} has not the keys of event 0: {differ}")
    events = [event for event in found if event is not None]
    return Columns(names, len(events), False, (), lambda i: [event[names[i]] for event in events])


def _mapping_of(event: Any) -> Mapping[Any, Any] | None:
    """A lone event as a mapping; None for what is no event by name."""
    if isinstance(event, Mapping):
        return event
    found = columns_of(event) if _may_be_named(event) else None
    if found is None:
        return None
    if not found.single:
        raise FeatureError(
            f"a list of tables or columns ({type(event).__name__}) is no list of events: join "
            "them to one table first"
        )
    if len(set(found.names)) < len(found.names):
        raise FeatureError(f"an event names {_repeated(found.names)!r} more than once")
    return {name: found.value(i) for i, name in enumerate(found.names)}


def _may_be_named(event: Any) -> bool:
    """Return True if an element of a list may be an event by name; rows of plain lists are not."""
    return type(event) not in _PLAIN_ROWS and not isinstance(event, numbers.Number)


_TABLES: tuple[Callable[[Any], Columns | None], ...] = (
    _mapping,
    _lazy,
    _pandas,
    _series,
    _polars,
    _polars_series,
    _arrow,
    _structured,
    _awkward,
    _xarray,
    _records,
)


def check_aligned(values: Mapping[str, Any], error: type[TfaasError] = FeatureError) -> None:
    """Refuse pandas Series with unlike indexes: they are taken by position, not by index.

    Parameters
    ----------
    values : mapping
        What each is called, and the values; those that are no Series are passed over.
    error : type
        What to raise.

    Raises
    ------
    FeatureError
        Or `error`, if two indexes differ.
    """
    first, index = "", None
    for name, value in values.items():
        own = getattr(value, "index", None)
        if not hasattr(own, "equals"):  # a list's `index` is a method
            continue
        if index is None:
            first, index = name, own
        elif not index.equals(own):
            raise error(
                f"{first} and {name} have different indexes, and are taken by position: put both "
                "in one order, then .reset_index(drop=True) or .to_numpy()"
            )


def _labels(labels: Any, where: str) -> tuple[str, ...] | None:
    """Names out of an index of pandas; None if they are only counted."""
    if getattr(labels, "nlevels", 1) > 1:
        raise FeatureError(
            f"the table's {where} have {labels.nlevels} levels: join them to one name each"
        )
    found = list(labels)
    if found == list(range(len(found))) and not any(isinstance(one, bool) for one in found):
        return None if found else ()
    return _text(found, where)


def _text(names: Sequence[Hashable], where: str) -> tuple[str, ...]:
    odd = next((name for name in names if not isinstance(name, str)), None)
    if odd is not None:
        raise FeatureError(f"the table's {where} must be names of features, not {odd!r}")
    return tuple(map(str, names))


def _repeated(names: Sequence[str]) -> str:
    return next(name for i, name in enumerate(names) if name in names[:i])


def _length(value: Any) -> int | None:
    """Elements of a column; None for a value alone."""
    if isinstance(value, (str, bytes)) or getattr(value, "ndim", None) == 0:
        return None
    if hasattr(value, "as_py"):  # a number of Arrow
        return None
    try:
        return len(value)
    except TypeError:
        return None


# --- numbers ----------------------------------------------------------------------------


def numeric(values: Any, name: str = "") -> Array:
    """Values as a NumPy array of truths, whole or floating numbers; text is not read as numbers.

    Parameters
    ----------
    values : array-like
        A column, a number, or an array of any shape.
    name : str
        Name of the column, for what is raised.

    Raises
    ------
    FeatureError
        If a value is missing or no number.
    """
    _check_kind(values, name)
    _check_present(values, name)
    found = _as_array(values, name)
    if found.dtype.kind == "O":
        found = _from_objects(found, name)
    if found.dtype.kind not in _NUMERIC:
        shown = f" such as {_short(found.flat[0])}" if found.size else ""
        raise FeatureError(_no_numbers(name, f"{_word(found.dtype)}{shown}"))
    return found


def _check_kind(values: Any, name: str) -> None:
    dtype = getattr(values, "dtype", None)
    arrow = str(values.type) if hasattr(values, "null_count") and hasattr(values, "type") else ""
    # Of polars' types, only those of later versions have `categories`.
    are_categories = hasattr(dtype, "categories") or type(dtype).__name__ in ("Categorical", "Enum")
    if are_categories or arrow.startswith("dictionary"):
        raise FeatureError(
            f"{_no_numbers(name, 'categories')}: turn them into numbers by a rule of yours"
        )


def _check_present(values: Any, name: str) -> None:
    """Refuse values that are marked as missing, by the first of them."""
    missing = _missing(values)
    if missing is not None and missing.any():
        at = int(np.argmax(missing.reshape(len(missing), -1).any(axis=1))) if missing.ndim else 0
        _refuse_null(name, at, int(missing.sum()), bool(missing.ndim))


def _refuse_null(name: str, at: int, count: int, has_events: bool) -> None:
    where = f" of event {at}" if has_events else ""
    more = f" ({count} values are)" if count > 1 else ""
    one = f"value of {name!r}{where}" if name else f"a value{where}"
    raise FeatureError(
        f"{one} is null, not a finite number{more}: nulls are not numbers; leave such events out, "
        "or fill them by a rule of yours"
    )


def _missing(values: Any) -> npt.NDArray[np.bool_] | None:
    """Return the mask of the values that a library marks as missing; None if it marks none."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.getmaskarray(values))
    count = getattr(values, "null_count", None)  # polars and Arrow
    if count is not None:
        return np.asarray(values.is_null()) if (count() if callable(count) else count) else None
    is_numpys = isinstance(getattr(values, "dtype", None), np.dtype)
    if hasattr(values, "isna") and hasattr(values, "dtype") and not is_numpys:
        return np.asarray(values.isna())
    return None


def _as_array(values: Any, name: str) -> Array:
    if hasattr(values, "as_py"):  # a number of Arrow
        values = values.as_py()
    dtype = getattr(values, "dtype", None)
    # pandas' own types of numbers: without a missing value they are NumPy's.
    plain = getattr(dtype, "numpy_dtype", None) or getattr(dtype, "subtype", None)
    try:
        if isinstance(plain, np.dtype) and plain.kind in _NUMERIC and hasattr(values, "to_numpy"):
            return np.asarray(values.to_numpy(dtype=plain))
        return _exact(np.asarray(values), values)
    except (TypeError, ValueError, OverflowError) as error:
        _refuse_missing_in_lists(values, name)
        raise FeatureError(
            _no_numbers(name, "lists of different lengths or of mixed content")
        ) from error
    except Exception as error:  # of whatever library the values are
        reason = f"of {dtype or type(values).__name__}, which NumPy does not take ({error})"
        raise FeatureError(_no_numbers(name, reason)) from error


def _exact(found: Array, values: Any) -> Array:
    """An array of a list as NumPy makes it, or of its objects where whole numbers became rounded.

    NumPy has no type for numbers both below 0 and above 2⁶³, nor for 1 and 2⁶³ in one list.
    """
    if found.dtype != np.float64 or hasattr(values, "dtype") or not found.size:
        return found
    return np.asarray(values, object) if np.abs(found).max() >= _EXACT else found


def _refuse_missing_in_lists(values: Any, name: str) -> None:
    """Say of an array of Awkward Array, which cannot be one of NumPy, that a value is missing."""
    if hasattr(values, "layout") and hasattr(values, "to_list"):
        missing = [i for i, value in enumerate(values.to_list()) if value is None]
        if missing:
            _refuse_null(name, missing[0], len(missing), True)


def _from_objects(values: Array, name: str) -> Array:
    """Numbers out of Python objects, of which each must be one."""
    for at, value in _odd(values):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            _refuse_null(name, at, 1, bool(values.ndim))
        where = f" (event {at})" if values.ndim else ""
        kind = "text" if isinstance(value, str) else "objects"
        raise FeatureError(_no_numbers(name, f"{kind} such as {_short(value)}{where}"))
    try:
        return _whole(values) if _is_whole(values) else np.asarray(values.astype(np.float64))
    except OverflowError as error:
        raise FeatureError(f"a value of {name or 'an event'} is too large") from error


def _is_whole(values: Array) -> bool:
    kinds = set(map(type, values.flat))
    return bool(kinds) and all(
        issubclass(kind, numbers.Integral) and not issubclass(kind, bool) for kind in kinds
    )


def _whole(values: Array) -> Array:
    """Whole numbers in a type that holds them exactly, if 64 bits do."""
    low, high = min(values.flat), max(values.flat)
    for kind in (np.int64, np.uint64):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.asarray(values.astype(kind))
    return np.asarray(values.astype(np.float64))


def _odd(values: Array) -> Iterator[tuple[int, Any]]:
    """The first object that is no number, and its row."""
    kinds = set(map(type, values.flat))
    if all(issubclass(kind, (numbers.Real, np.bool_)) for kind in kinds):
        return
    rows = len(values) if values.ndim else 1
    for at, value in enumerate(values.flat):
        if not isinstance(value, (numbers.Real, np.bool_)):
            yield at // max(values.size // max(rows, 1), 1), value


def _no_numbers(name: str, what: str) -> str:
    called = f"the values of {name!r}" if name else "the values of events"
    return f"events must be numbers: {called} are {what}, not numbers"


def _word(dtype: np.dtype[Any]) -> str:
    words = {"U": "text", "S": "text", "T": "text", "M": "dates", "m": "times", "c": "complex"}
    return words.get(dtype.kind, str(dtype))


def _short(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
