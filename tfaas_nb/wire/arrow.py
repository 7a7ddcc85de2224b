"""Arrow IPC streams: a table with one column per feature in, one column per output out.

Source: the Arrow columnar format's "IPC streaming format", its ``Message.fbs`` and
``Schema.fbs``.  The format has no field for a model: its name comes with the address.
"""

from __future__ import annotations

import importlib
import reprlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, MissingExtra, RequestError, TfaasError
from tfaas_nb.wire.tfaas import Floats, Query, check_finite

ARROW = "application/vnd.apache.arrow.stream"

#: Positions of fields in the tables of Message.fbs and Schema.fbs.
_HEADER_OF_MESSAGE = 2
_ENDIANNESS_OF_SCHEMA = 0
_COMPRESSION_OF_BATCH = 3


def decode(body: bytes) -> tuple[tuple[str, ...], Floats]:
    """Events from a stream.

    Parameters
    ----------
    body : bytes
        Schema, then any number of record batches, little-endian and not compressed; columns
        of any width of float or integer, without nulls.  They are viewed in place and copied
        once, into the rows that a model takes.

    Returns
    -------
    keys : tuple of str
        Names of the columns.
    values : numpy.ndarray
        float32 of shape (events, keys), every value finite.

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    RequestError
        If it is no such stream.
    FeatureError
        If a value is null or not a finite float32, naming its column and event.
    """
    query = read(body)
    return query.keys, query.values


def read(body: bytes) -> Query:
    """Events from a stream with their columns as they were sent; see `decode`."""
    table = _filled(_table(body))
    keys, values = _matrix(table)
    return Query(None, keys, check_finite(keys, values), False, lambda: _columns(table))


def _columns(table: Any) -> list[npt.NDArray[Any]]:
    """Columns in their own types."""
    parts = ([chunk.to_numpy(zero_copy_only=True) for chunk in c.chunks] for c in table.columns)
    return [np.concatenate(part) if part else np.empty(0) for part in parts]


def _pyarrow() -> Any:
    # Not an import statement: mypy then asks for stubs, which pyarrow does not have.
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise MissingExtra(
            "Arrow streams need pyarrow: install it with pip install 'tfaas-nb[arrow]'"
        ) from error


def _table(body: bytes) -> Any:
    """The table of a stream, every buffer of it checked to lie in the body."""
    pa = _pyarrow()
    try:
        return _read(pa, body)
    except TfaasError:
        raise
    except Exception as error:  # pyarrow has a dozen, and names may be no UTF-8
        raise RequestError(f"the body is not an Arrow stream: {error}") from error


def _read(pa: Any, body: bytes) -> Any:
    source = pa.BufferReader(body)
    reader = pa.ipc.open_stream(source)
    _check_fields(pa, reader.schema)
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        _check_in_place(message.type, message.metadata.to_pybytes())
    table = reader.read_all()
    table.validate(full=True)
    if source.tell() != len(body):
        raise RequestError(f"{len(body) - source.tell()} bytes are left after the Arrow stream")
    if table.nbytes > len(body):
        raise RequestError("columns of the Arrow stream share their bytes: write each on its own")
    _check_nulls(pa, table)
    return table


def _check_fields(pa: Any, schema: Any) -> None:
    if not schema.names:
        raise RequestError("the Arrow stream has no columns: send one for each feature")
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise RequestError(f"two columns are called {reprlib.repr(twice)}")
    for field in schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            raise RequestError(
                f"column {reprlib.repr(field.name)} has type {reprlib.repr(str(field.type))}: "
                "send floats or integers"
            )


def _check_nulls(pa: Any, table: Any) -> None:
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count and not missing.passes():
            event = column.is_null().index(pa.scalar(True)).as_py()
            raise FeatureError(f"value of {name!r} of event {event} is null")


def _filled(table: Any) -> Any:
    """The table with NaN for null, where missing values pass."""
    pa = _pyarrow()
    for i, column in enumerate(table.columns):
        if column.null_count:
            filled = column.cast(pa.float64()).fill_null(float("nan"))
            table = table.set_column(i, table.column_names[i], filled)
    return table


def _check_in_place(kind: str, message: bytes) -> None:
    """Refuse what could not be viewed in place, before pyarrow unpacks or swaps it.

    Nothing bounds what a compressed buffer of a few bytes grows to, or how many columns share
    a buffer of which each would get a swapped copy.
    """
    at = _field(message, _offset(message, 0), _HEADER_OF_MESSAGE)
    header = at + _offset(message, at)
    if kind == "record batch" and _field(message, header, _COMPRESSION_OF_BATCH):
        raise RequestError("the Arrow stream is compressed: write it without compression")
    endianness = _field(message, header, _ENDIANNESS_OF_SCHEMA)
    if kind == "schema" and endianness and message[endianness]:
        raise RequestError("the Arrow stream is big-endian: write it little-endian")


def _field(message: bytes, table: int, field: int) -> int:
    """Position of a field in a flatbuffer's table; 0 if the table lacks it."""
    vtable = table - int(struct.unpack_from("<i", message, table)[0])
    size = struct.unpack_from("<H", message, vtable)[0]
    slot = 4 + 2 * field
    if slot >= size:
        return 0
    offset = int(struct.unpack_from("<H", message, vtable + slot)[0])
    return table + offset if offset else 0


def _offset(message: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", message, at)[0])


def _matrix(table: Any) -> tuple[tuple[str, ...], Floats]:
    values = np.empty((table.num_rows, table.num_columns), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, column in enumerate(table.columns):
            event = 0
            for chunk in column.chunks:
                values[event : event + len(chunk), i] = chunk.to_numpy(zero_copy_only=True)
                event += len(chunk)
    return tuple(table.column_names), values


def encode(keys: Sequence[str], values: Floats) -> bytes:
    """A stream with one float32 column per key, for events of shape (events, keys).

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    """
    pa = _pyarrow()
    columns = np.ascontiguousarray(np.asarray(values, np.float32).T)
    batch = pa.record_batch([pa.array(column) for column in columns], names=list(keys))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def encode_scores(scores: Floats, labels: Sequence[str]) -> bytes:
    """A stream with one float32 column per output, for scores of shape (events, outputs).

    Outputs are called ``output_0``, ``output_1`` … unless each has a label of its own.

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    """
    outputs = scores.shape[1]
    names = list(labels[:outputs])
    if len(set(filter(None, names))) < outputs:
        names = [f"output_{i}" for i in range(outputs)]
    return encode(names, scores)


def decode_scores(body: bytes) -> tuple[tuple[str, ...], Floats]:
    """Labels and scores from an answer, float32 of shape (events, outputs).

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    RequestError
        If the answer is no such stream.
    FeatureError
        If a score is null.
    """
    return _matrix(_table(body))
