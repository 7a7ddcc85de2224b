"""The TFaaS dialect: rows of values in, scores out, as JSON, protobuf and ``.npy``.

Source: the Go server TFaaS (its README and clients) for JSON and protobuf.  Many events in
one request are our own addition to it: ``{"keys", "values": [[…], …]}``,
``{"records": [{name: value}, …]}``, a protobuf ``DataFrame``, and ``.npy`` with one named
float32 field per feature.
"""

from __future__ import annotations

import array
import functools
import io
import operator
import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
from google.protobuf.message import DecodeError
from numpy.lib import format as npy

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, RequestError
from tfaas_nb.nearest import misspelt
from tfaas_nb.signature import exact
from tfaas_nb.wire import protobuf
from tfaas_nb.wire.finite import all_finite, json_numbers
from tfaas_nb.wire.json_body import json_object
from tfaas_nb.wire.npy import array_in

Floats = npt.NDArray[np.float32]

#: Gives values column by column, each of a type that holds them exactly.
Columns = Callable[[], Sequence[npt.NDArray[Any]]]

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
NPY = "application/x-npy"

_NUMBERS = {int, float}
#: Members of a JSON request; the model is called name or key by older clients.
_MEMBERS = frozenset(("keys", "values", "records", "model", "name", "key"))
_EXAMPLE = '{"keys": [...], "values": [...]}'
_LARGEST = float(np.finfo(np.float32).max)
#: Of the part of a JSON request that is remembered: keys and model.
_MOST_HEAD = 16 * 1024
#: Lengths of protobuf rows that are remembered.
_MOST_ROWS = 256


@dataclass(frozen=True)
class Query:
    """Events that somebody asks a model about, as they came over the wire.

    Attributes
    ----------
    model : str or None
        Name of the model; None for the one uploaded last.
    keys : tuple of str
        What the columns of `values` are, in the order sent.
    values : numpy.ndarray
        float32 of shape (events, keys), every value finite.
    single : bool
        Whether one event was sent as such; the answer then is one list of numbers.
    columns : callable or None
        The values as they were sent, an array of any type for each key: float32 rounds whole
        numbers from 2²⁴ on.  None where float32 was sent.
    """

    model: str | None
    keys: tuple[str, ...]
    values: Floats
    single: bool
    columns: Columns | None = field(default=None, compare=False)


class Event(NamedTuple):
    """One event that somebody asks a model about, before its values are checked.

    A named tuple, not a frozen dataclass, which takes three times as long to make.

    Attributes
    ----------
    model : str or None
        Name of the model; None for the one uploaded last.
    keys : tuple of str
        What the values are, in the order sent.  Events with equal keys mostly have the same
        tuple, so that it can be compared by identity.
    values : bytes
        As many little-endian float32 as there are keys; they need not be finite.
    numbers : sequence of numbers or None
        The values as they were sent; None where float32 was.
    """

    model: str | None
    keys: tuple[str, ...]
    values: bytes
    numbers: Sequence[int | float] | None = None

    def query(self) -> Query:
        """The event as float32.

        Raises
        ------
        FeatureError
            If a value is not a finite float32, naming its key.
        """
        values = check_finite(self.keys, np.frombuffer(self.values, "<f4"))
        return Query(self.model, self.keys, values[np.newaxis], True, columns_of([self]))


def columns_of(events: Sequence[Event]) -> Columns | None:
    """The values of events with the same keys as they were sent, if not as float32."""
    rows = [event.numbers for event in events if event.numbers is not None]
    return functools.partial(exact_columns, rows) if len(rows) == len(events) else None


def exact_columns(rows: Sequence[Sequence[int | float]]) -> list[npt.NDArray[Any]]:
    """Columns of rows of Python's numbers, each in an array that holds them exactly."""
    return [exact(column) for column in zip(*rows, strict=True)]


def exact_columns_of(numbers: Sequence[int | float], width: int) -> list[npt.NDArray[Any]]:
    """As `exact_columns`, of so many columns whose rows follow each other."""
    return [exact(numbers[i::width]) for i in range(width)]


# --- requests ---------------------------------------------------------------------------


def read_json(body: bytes) -> Event | Query:
    """One event as `Event`, or many, from JSON.

    Parameters
    ----------
    body : bytes
        ``{"keys": [...], "values": [...]}`` for one event, ``"values": [[...], ...]`` or
        ``{"records": [{name: value}, ...]}`` for many; ``model`` names the model (older
        clients write ``name`` or ``key``).

    Raises
    ------
    RequestError
        If it is not JSON of that form.
    FeatureError
        If a value is not a number (of many events: not a finite float32), naming its key.
    """
    known = _read_known(body)
    if known is not None:
        return known
    request = json_object(body, _EXAMPLE)
    model = _model_name(request)
    if "records" in request:
        return _records(model, request["records"])
    return _events(model, _keys(request.get("keys")), request.get("values"))


def _events(model: str | None, keys: tuple[str, ...], values: Any) -> Event | Query:
    if not isinstance(values, list):
        raise RequestError(f'the request has no list "values": send {_EXAMPLE}')
    if values and isinstance(values[0], list):
        floats = _rows(keys, values)
        return Query(model, keys, floats, False, functools.partial(exact_columns, values))
    return Event(model, keys, _float32(keys, _numbers(keys, values)), values)


def _read_known(body: bytes) -> Event | Query | None:
    """The events in a body that names the keys before the values; None if it is another one.

    A client's requests all begin with the same keys, so these are decoded once.  What stands
    before the member ``"values"`` and what follows can be decoded apart, because JSON's
    grammar knows of what stood before only that it was within the outermost object.
    """
    at = body.find(b'"values"', 0, _MOST_HEAD)
    head = _head(body[:at]) if at > 0 else None
    if head is None:
        return None
    try:
        rest = orjson.loads(b"{" + body[at:])
    except orjson.JSONDecodeError:
        return None  # json_object tells what is wrong
    if len(rest) == 1:
        return _events(head.model, head.keys, rest["values"])
    if "keys" in rest or "records" in rest:
        return None
    model = _model_name({**head.rest, **rest})
    return _events(model, head.keys, rest["values"])


class _Head(NamedTuple):
    """Part of a JSON request that stands before its values."""

    keys: tuple[str, ...]
    model: str | None
    rest: Mapping[str, Any]


@functools.lru_cache(maxsize=256)
def _head(text: bytes) -> _Head | None:
    """Parse the start of a JSON request up to its values; None if it is not so, or has no keys."""
    try:
        found = orjson.loads(text + b'"values":[]}')
        if "records" not in found:
            return _Head(_keys(found.pop("keys", None)), _model_name(found), found)
    except (orjson.JSONDecodeError, RequestError):
        pass
    return None


def _model_name(request: Mapping[str, Any]) -> str | None:
    if not request.keys() <= _MEMBERS:
        _check_members(request)
    for field_name in ("model", "name", "key"):
        value = request.get(field_name)
        if value is not None and not isinstance(value, str):
            shown = reprlib.repr(value)
            raise RequestError(f"{field_name!r} must be the name of a model, not {shown}")
        if value:
            return value
    return None


def _check_members(request: Mapping[str, Any]) -> None:
    """Refuse a misspelt member: of one that names the model, another model would answer.

    Other members are passed over, as the Go server does.
    """
    wrong = misspelt(request, sorted(_MEMBERS))
    named = any(request.get(member) for member in ("model", "name", "key"))
    models = [member for member in request.keys() - _MEMBERS if "model" in member.lower()]
    if not wrong and models and not named:
        wrong = f"unknown key {models[0]!r} (did you mean 'model'?)"
    if wrong:
        raise RequestError(f"the request has an {wrong}")


def _keys(keys: Any) -> tuple[str, ...]:
    if not isinstance(keys, list):
        raise RequestError('the request has no list "keys" with the names of its values')
    if not set(map(type, keys)) <= {str}:
        odd = next(key for key in keys if type(key) is not str)
        raise RequestError(f'every one of "keys" must be a string, not {reprlib.repr(odd)}')
    return _same(tuple(keys))


@functools.lru_cache(maxsize=256)
def _same(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The first tuple that was equal to this one."""
    return keys


def _numbers(keys: tuple[str, ...], values: list[Any], event: str = "") -> list[float]:
    if len(keys) != len(values):
        raise FeatureError(f"{len(keys)} keys but {len(values)} values{event}")
    if not set(map(type, values)) <= _NUMBERS:
        values[:] = missing.filled(values)  # also for the columns that are made of them
    if not set(map(type, values)) <= _NUMBERS:
        at = next(i for i, value in enumerate(values) if type(value) not in _NUMBERS)
        shown = reprlib.repr(values[at])
        raise FeatureError(f"value of {keys[at]!r}{event} is {shown}, not a number")
    return values


def _row(keys: tuple[str, ...], values: list[Any], event: str) -> Floats:
    numbers = _float32(keys, _numbers(keys, values, event), event)
    return check_finite(keys, np.frombuffer(numbers, "<f4"), event)


def _float32(keys: tuple[str, ...], values: list[float], event: str = "") -> bytes:
    """Little-endian float32; what is too large becomes infinite."""
    try:
        numbers = array.array("f", values)
    except OverflowError:  # an integer beyond any float
        at = next(i for i, value in enumerate(values) if abs(value) > _LARGEST)
        raise FeatureError(f"value of {keys[at]!r}{event} is too large") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def check_finite(keys: Sequence[str], values: Floats, event: str = "") -> Floats:
    """The values, if all are finite in float32, or missing where these pass.

    Raises
    ------
    FeatureError
        Naming the first key (and event) whose value is not.
    """
    if not all_finite(values) and not missing.may_pass(values):
        at = np.argwhere(~np.isfinite(values))[0]
        where = event or (f" of event {at[0]}" if values.ndim == 2 else "")
        value = values[tuple(at)]
        raise FeatureError(f"value of {keys[at[-1]]!r}{where} is {value}, not a finite number")
    return values


def _rows(keys: tuple[str, ...], rows: list[Any]) -> Floats:
    if not all(isinstance(row, list) for row in rows):
        raise RequestError('"values" mixes lists and numbers: send one list per event')
    return np.stack([_row(keys, row, f" of event {i}") for i, row in enumerate(rows)])


def _records(model: str | None, records: Any) -> Query:
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise RequestError('"records" must be a list of objects {name: value}')
    if not records:
        raise RequestError('"records" is empty: send at least one event')
    keys = tuple(records[0])
    for i, record in enumerate(records):
        if record.keys() != records[0].keys():
            differ = ", ".join(sorted(record.keys() ^ records[0].keys()))
            raise FeatureError(f"event {i} has not the keys of event 0: {differ}")
    rows = [[record[key] for key in keys] for record in records]
    floats = _rows(keys, rows)
    return Query(model, keys, floats, False, functools.partial(exact_columns, rows))


def read_row(body: bytes) -> Event:
    """One event as `Event` from a protobuf ``Row``.

    Raises
    ------
    RequestError
        If the body is empty or no ``Row``.
    FeatureError
        If keys and values differ in number.
    """
    row = _message(protobuf.Row, body)
    keys, values = _same(tuple(row.key)), np.array(row.value, dtype="<f4").tobytes()
    if 4 * len(keys) != len(values):
        raise FeatureError(f"{len(keys)} keys but {len(values) // 4} values")
    return Event(row.model or None, keys, values)


class RowReader:
    """Reads protobuf Rows; one with the keys of an earlier one at the cost of comparing bytes.

    All rows of a client differ in their values only, which protobuf writes as one run of
    float32 between the keys and the model.  What surrounds the run is remembered by the length
    of the body.
    """

    def __init__(self) -> None:
        self._known: dict[int, _KnownRow] = {}

    def __call__(self, body: bytes) -> Event:
        """The event in a body; see `read_row`."""
        known = self._known.get(len(body))
        if known and body.startswith(known.before) and body.endswith(known.after):
            return Event(known.model, known.keys, body[known.start : known.stop])
        event = read_row(body)
        self._remember(body, event)
        return event

    def _remember(self, body: bytes, event: Event) -> None:
        keys, values = event.keys, event.values
        after = protobuf.Row(model=event.model or "").SerializeToString()
        stop = len(body) - len(after)
        start = stop - len(values)
        before = protobuf.Row(key=keys, value=[0.0] * len(keys)).SerializeToString()[: -len(values)]
        if values and body == before + body[start:stop] + after:
            if len(self._known) >= _MOST_ROWS:
                self._known.clear()
            self._known[len(body)] = _KnownRow(before, after, start, stop, event.model, keys)


class _KnownRow(NamedTuple):
    """A Row but for its values, which stand from `start` to `stop`."""

    before: bytes
    after: bytes
    start: int
    stop: int
    model: str | None
    keys: tuple[str, ...]


def decode_dataframe(body: bytes) -> Query:
    """Many events from a protobuf ``DataFrame`` whose rows share model and keys.

    Raises
    ------
    RequestError
        If the body is empty, no ``DataFrame``, or its rows name different models.
    FeatureError
        If a row has other keys than the first, or a value is not finite.
    """
    rows = _message(protobuf.DataFrame, body).row
    if not rows:
        raise RequestError("the DataFrame has no rows")
    first = tuple(rows[0].key)
    if not first:  # of which a body may hold very many
        raise FeatureError("event 0 has no keys")
    model, values = "", []
    for i, row in enumerate(rows):
        keys, event = _row_values(row, f" of event {i}")
        if row.model and model not in ("", row.model):
            models = sorted((model, row.model))
            raise RequestError(f"the rows of a DataFrame must ask one model, not {models}")
        if keys != first:
            raise FeatureError(f"event {i} has other keys than event 0, or in another order")
        model = row.model or model
        values.append(event)
    return Query(model or None, first, np.stack(values), single=False)


def _message(kind: Any, body: bytes) -> Any:
    if not body:
        raise RequestError(f"the body is empty: send a protobuf {kind.DESCRIPTOR.name}")
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise RequestError(f"the body is not a protobuf {kind.DESCRIPTOR.name}") from error


def _row_values(row: Any, event: str) -> tuple[tuple[str, ...], Floats]:
    keys = tuple(row.key)
    values = np.array(row.value, dtype=np.float32)
    if len(keys) != len(values):
        raise FeatureError(f"{len(keys)} keys but {len(values)} values{event}")
    return keys, check_finite(keys, values, event)


def decode_npy(body: bytes, model: str | None) -> Query:
    """Many events from a ``.npy`` array with one float32 field per feature.

    Parameters
    ----------
    body : bytes
        A one-dimensional structured array, as ``numpy.save`` writes it.
    model : str or None
        The format has no place for it: it comes with the address.

    Raises
    ------
    RequestError
        If the body is no such array.
    FeatureError
        If a value is not finite.
    """
    array = array_in(body, "body")
    names = array.dtype.names
    if not names or array.ndim != 1 or array.dtype != named_floats(names):
        raise RequestError(
            "the .npy array must have one dimension and one float32 field per feature, "
            f"not shape {array.shape} of {array.dtype}"
        )
    values = np.ascontiguousarray(array).view(np.float32).reshape(len(array), len(names))
    return Query(model, names, check_finite(names, values), single=False)


def named_floats(names: Sequence[str]) -> np.dtype[Any]:
    """The dtype of one event with a float32 field per feature."""
    return np.dtype([(name, "<f4") for name in names])


def encode_npy(keys: Sequence[str], values: Floats) -> bytes:
    """A ``.npy`` request for events of shape (events, keys)."""
    rows = np.ascontiguousarray(values, dtype="<f4").view(named_floats(keys)).reshape(-1)
    header = io.BytesIO()
    # Versions whose header has room for many names; the last also for any letter.
    try:
        npy.write_array_header_2_0(header, npy.header_data_from_array_1_0(rows))
    except UnicodeEncodeError:
        npy.write_array(header, rows, version=(3, 0), allow_pickle=False)
        return header.getvalue()
    return b"".join((header.getvalue(), rows.view(np.uint8).data))


def encode_json(
    keys: Sequence[str], values: Floats | list[int | float], model: str | None = None
) -> bytes:
    """A JSON request for one event (values of shape (keys,)) or many (events, keys).

    The numbers of a list are written as they are, also whole ones that no float32 holds.
    """
    numbers = values if isinstance(values, list) else np.ascontiguousarray(values)
    request: dict[str, Any] = {"keys": list(keys), "values": numbers}
    if model:
        request["model"] = model
    return orjson.dumps(request, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_row(keys: Sequence[str], values: Sequence[float], model: str | None = None) -> bytes:
    """A protobuf ``Row`` for one event."""
    data: bytes = protobuf.Row(key=keys, value=values, model=model or "").SerializeToString()
    return data


def encode_dataframe(keys: Sequence[str], values: Floats, model: str | None = None) -> bytes:
    """A protobuf ``DataFrame`` for events of shape (events, keys)."""
    rows = [protobuf.Row(key=keys, value=event, model=model or "") for event in values]
    data: bytes = protobuf.DataFrame(row=rows).SerializeToString()
    return data


# --- answers ----------------------------------------------------------------------------


def encode_scores_json(scores: Floats, single: bool) -> bytes:
    """``[0.6046947]`` for one event, a list of such lists for many; shortest float32 digits.

    Raises
    ------
    GraphError
        Naming the first event whose score is not finite.
    """
    return orjson.dumps(json_numbers(scores, single=single), option=orjson.OPT_SERIALIZE_NUMPY)


def encode_each_json(scores: Floats) -> list[bytes]:
    """The JSON answer of each event, as `encode_scores_json` of one event gives it."""
    if not scores.size:
        return [b"[]"] * len(scores)
    # One call for all: the events' lists hold numbers, so nothing else looks like this.
    return [b"[%b]" % event for event in encode_scores_json(scores, False)[2:-2].split(b"],[")]


def encode_predictions(scores: Floats, labels: Sequence[str]) -> bytes:
    """A protobuf ``Predictions``: one ``Class`` per output and event, events in order."""
    return b"".join(encode_each_predictions(scores, labels))


def encode_each_predictions(scores: Floats, labels: Sequence[str]) -> list[bytes]:
    """The protobuf ``Predictions`` of each event."""
    events, outputs = scores.shape
    if not outputs:
        return [b""] * events
    before = _before_probabilities(tuple(labels), outputs)
    numbers = np.ascontiguousarray(scores, dtype="<f4").tobytes()
    each = [numbers[at : at + 4] for at in range(0, len(numbers), 4)]
    return [
        b"".join(map(operator.add, before, each[at : at + outputs]))
        for at in range(0, len(each), outputs)
    ]


@functools.lru_cache(maxsize=256)
def _before_probabilities(labels: tuple[str, ...], outputs: int) -> tuple[bytes, ...]:
    """Encode a ``Predictions`` up to the four bytes of the probability, for each output."""
    names = [labels[i] if i < len(labels) else "" for i in range(outputs)]
    classes = [protobuf.Class(label=name, probability=1.0) for name in names]
    return tuple(protobuf.Predictions(prediction=[c]).SerializeToString()[:-4] for c in classes)


def encode_scores_npy(scores: Floats) -> bytes:
    """The scores as ``.npy``, float32 of shape (events, outputs)."""
    stream = io.BytesIO()
    np.save(stream, scores, allow_pickle=False)
    return stream.getvalue()


def decode_scores_json(body: bytes) -> Floats:
    """Scores from a JSON answer, float32 of shape (outputs,) or (events, outputs).

    Raises
    ------
    RequestError
        If the answer is not a list of numbers.
    """
    try:
        with np.errstate(over="ignore"):
            scores = np.array(orjson.loads(body), dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(f"the answer is not a list of scores: {body[:200]!r}") from error
    if not scores.ndim:
        raise RequestError(f"the answer is not a list of scores: {body[:200]!r}")
    return scores


def decode_predictions(body: bytes) -> list[tuple[str, float]]:
    """Labels and probabilities from a protobuf ``Predictions`` answer.

    Raises
    ------
    RequestError
        If the answer is no ``Predictions``.
    """
    return [(c.label, c.probability) for c in _message(protobuf.Predictions, body).prediction]


def decode_scores_npy(body: bytes) -> Floats:
    """Scores from a ``.npy`` answer, float32 of shape (events, outputs).

    Raises
    ------
    RequestError
        If the answer is no such array.
    """
    scores = array_in(body, "answer")
    if scores.dtype != np.float32 or scores.ndim != 2:
        raise RequestError(
            f"the answer has shape {scores.shape} of {scores.dtype}: it should be a float32 "
            "array of shape (events, outputs)"
        )
    return scores
