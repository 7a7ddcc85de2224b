"""The TFaaS dialect: rows of values in, scores out, as JSON, protobuf and ``.npy``.

Source: the Go server TFaaS (its README and clients) for JSON and protobuf.  Many events in
one request are our own addition to it: ``{"keys", "values": [[…], …]}``,
``{"records": [{name: value}, …]}``, a protobuf ``DataFrame``, and ``.npy`` with one named
float32 field per feature.
"""

from __future__ import annotations

import io
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from google.protobuf.message import DecodeError
from numpy.lib import format as npy

from tfaas_nb.errors import FeatureError, RequestError
from tfaas_nb.wire import protobuf
from tfaas_nb.wire.json_body import json_object

Floats = npt.NDArray[np.float32]

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
NPY = "application/x-npy"

_NUMBERS = {int, float}
_EXAMPLE = '{"keys": [...], "values": [...]}'
_LARGEST = float(np.finfo(np.float32).max)
#: Of a .npy array's header, which holds the feature names.
_MOST_HEADER = 256 * 1024


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
    """

    model: str | None
    keys: tuple[str, ...]
    values: Floats
    single: bool


@dataclass(frozen=True)
class Event:
    """One event that somebody asks a model about, before its values are float32.

    Attributes
    ----------
    model : str or None
        Name of the model; None for the one uploaded last.
    keys : tuple of str
        What the values are, in the order sent.
    values : list of float
        As many numbers as there are keys; they may still be too large for float32.
    """

    model: str | None
    keys: tuple[str, ...]
    values: list[float]

    def query(self) -> Query:
        """The event as float32.

        Raises
        ------
        FeatureError
            If a value is not a finite float32, naming its key.
        """
        values = check_finite(self.keys, _float32(self.keys, self.values))
        return Query(self.model, self.keys, values[np.newaxis], single=True)


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
    request = json_object(body, _EXAMPLE)
    model = _model_name(request)
    if "records" in request:
        return Query(model, *_records(request["records"]), single=False)
    keys = _keys(request.get("keys"))
    values = request.get("values")
    if not isinstance(values, list):
        raise RequestError(f'the request has no list "values": send {_EXAMPLE}')
    if values and isinstance(values[0], list):
        return Query(model, keys, _rows(keys, values), single=False)
    return Event(model, keys, _numbers(keys, values))


def _model_name(request: Mapping[str, Any]) -> str | None:
    for field_name in ("model", "name", "key"):
        value = request.get(field_name)
        if value is not None and not isinstance(value, str):
            shown = reprlib.repr(value)
            raise RequestError(f"{field_name!r} must be the name of a model, not {shown}")
        if value:
            return value
    return None


def _keys(keys: Any) -> tuple[str, ...]:
    if not isinstance(keys, list):
        raise RequestError('the request has no list "keys" with the names of its values')
    if not set(map(type, keys)) <= {str}:
        odd = next(key for key in keys if type(key) is not str)
        raise RequestError(f'every one of "keys" must be a string, not {reprlib.repr(odd)}')
    return tuple(keys)


def _numbers(keys: tuple[str, ...], values: list[Any], event: str = "") -> list[float]:
    if len(keys) != len(values):
        raise FeatureError(f"{len(keys)} keys but {len(values)} values{event}")
    if not set(map(type, values)) <= _NUMBERS:
        at = next(i for i, value in enumerate(values) if type(value) not in _NUMBERS)
        shown = reprlib.repr(values[at])
        raise FeatureError(f"value of {keys[at]!r}{event} is {shown}, not a number")
    return values


def _row(keys: tuple[str, ...], values: list[Any], event: str) -> Floats:
    return check_finite(keys, _float32(keys, _numbers(keys, values, event), event), event)


def _float32(keys: tuple[str, ...], values: list[float], event: str = "") -> Floats:
    with np.errstate(over="ignore"):
        try:
            return np.array(values, dtype=np.float32)
        except OverflowError:  # an integer beyond any float
            at = next(i for i, value in enumerate(values) if abs(value) > _LARGEST)
            raise FeatureError(f"value of {keys[at]!r}{event} is too large") from None


def check_finite(keys: Sequence[str], values: Floats, event: str = "") -> Floats:
    """The values, if all are finite in float32.

    Raises
    ------
    FeatureError
        Naming the first key (and event) whose value is not.
    """
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0]
        where = event or (f" of event {at[0]}" if values.ndim == 2 else "")
        value = values[tuple(at)]
        raise FeatureError(f"value of {keys[at[-1]]!r}{where} is {value}, not a finite number")
    return values


def _rows(keys: tuple[str, ...], rows: list[Any]) -> Floats:
    if not all(isinstance(row, list) for row in rows):
        raise RequestError('"values" mixes lists and numbers: send one list per event')
    return np.stack([_row(keys, row, f" of event {i}") for i, row in enumerate(rows)])


def _records(records: Any) -> tuple[tuple[str, ...], Floats]:
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise RequestError('"records" must be a list of objects {name: value}')
    if not records:
        raise RequestError('"records" is empty: send at least one event')
    keys = tuple(records[0])
    for i, record in enumerate(records):
        if record.keys() != records[0].keys():
            differ = ", ".join(sorted(record.keys() ^ records[0].keys()))
            raise FeatureError(f"event {i} has not the keys of event 0: {differ}")
    return keys, _rows(keys, [[record[key] for key in keys] for record in records])


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
    keys, values = tuple(row.key[:]), row.value[:]
    if len(keys) != len(values):
        raise FeatureError(f"{len(keys)} keys but {len(values)} values")
    return Event(row.model or None, keys, values)


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
    models = {row.model for row in rows} - {""}
    if len(models) > 1:
        raise RequestError(f"the rows of a DataFrame must ask one model, not {sorted(models)}")
    first: tuple[str, ...] | None = None
    values = []
    for i, row in enumerate(rows):
        keys, event = _row_values(row, f" of event {i}")
        first = keys if first is None else first
        if keys != first:
            raise FeatureError(f"event {i} has other keys than event 0, or in another order")
        values.append(event)
    return Query(next(iter(models), None), first or (), np.stack(values), single=False)


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
    array = _array(body, "body")
    names = array.dtype.names
    if not names or array.ndim != 1 or array.dtype != named_floats(names):
        raise RequestError(
            "the .npy array must have one dimension and one float32 field per feature, "
            f"not shape {array.shape} of {array.dtype}"
        )
    values = np.ascontiguousarray(array).view(np.float32).reshape(len(array), len(names))
    return Query(model, names, check_finite(names, values), single=False)


def _array(body: bytes, what: str) -> npt.NDArray[Any]:
    try:
        # Not numpy.load: that would also open zip archives.
        return npy.read_array(io.BytesIO(body), allow_pickle=False, max_header_size=_MOST_HEADER)
    except Exception as error:  # the header is a Python literal: it fails in a dozen ways
        raise RequestError(f"the {what} is not a .npy array: {error}") from error


def named_floats(names: Sequence[str]) -> np.dtype[Any]:
    """The dtype of one event with a float32 field per feature."""
    return np.dtype([(name, "<f4") for name in names])


def encode_npy(keys: Sequence[str], values: Floats) -> bytes:
    """A ``.npy`` request for events of shape (events, keys)."""
    stream = io.BytesIO()
    rows = np.ascontiguousarray(values, dtype="<f4").view(named_floats(keys))
    # The version whose header has room for many names and for any letter.
    npy.write_array(stream, rows.reshape(-1), version=(3, 0), allow_pickle=False)
    return stream.getvalue()


def encode_json(keys: Sequence[str], values: Floats, model: str | None = None) -> bytes:
    """A JSON request for one event (values of shape (keys,)) or many (events, keys)."""
    request: dict[str, Any] = {"keys": list(keys), "values": np.ascontiguousarray(values)}
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
    """``[0.6046947]`` for one event, a list of such lists for many; shortest float32 digits."""
    return orjson.dumps(
        np.ascontiguousarray(scores[0] if single else scores), option=orjson.OPT_SERIALIZE_NUMPY
    )


def encode_predictions(scores: Floats, labels: Sequence[str]) -> bytes:
    """A protobuf ``Predictions``: one ``Class`` per output and event, events in order."""
    names = [labels[i] if i < len(labels) else "" for i in range(scores.shape[1])]
    message = protobuf.Predictions()
    for event in scores.tolist():
        for label, probability in zip(names, event, strict=True):
            message.prediction.add(label=label, probability=probability)
    data: bytes = message.SerializeToString()
    return data


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
    scores = _array(body, "answer")
    if scores.dtype != np.float32 or scores.ndim != 2:
        raise RequestError(
            f"the answer has shape {scores.shape} of {scores.dtype}: it should be a float32 "
            "array of shape (events, outputs)"
        )
    return scores
