"""TensorFlow Serving's REST dialect: predict, classify, regress, status and metadata.

Source: TensorFlow Serving's ``api_rest.md`` and, for the exact JSON, its ``json_tensor_test.cc``
(where that page has ``result``, server and examples have ``results``), ``get_model_status.proto``
and the metadata that running servers were seen to answer.  Objects with one number for each
feature, ``{feature: value}``, are what TensorFlow Serving makes of a model with one input per
feature.
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, RequestError
from tfaas_nb.nearest import misspelt
from tfaas_nb.signature import NUMERIC, Tensor, exact
from tfaas_nb.wire.finite import json_numbers
from tfaas_nb.wire.json_body import json_object
from tfaas_nb.wire.oip import matrix
from tfaas_nb.wire.tfaas import Columns, Floats, exact_columns_of

#: From here on float64 does not tell whole numbers apart.
_NOT_WHOLE = 2.0**53

SIGNATURE = "serving_default"
#: State of a version that can be asked.
AVAILABLE = "AVAILABLE"
PREDICT = "tensorflow/serving/predict"

_MEMBERS = frozenset(("signature_name", "instances", "inputs", "examples", "context"))
#: NumPy's names of types → TensorFlow's.
_TYPES = {name: f"DT_{name.upper()}" for name in NUMERIC} | {
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
}


@dataclass(frozen=True)
class Predict:
    """Events that a predict request asks a model about.

    Attributes
    ----------
    signature : str or None
        Name of the signature; None for the default one.
    input : str or None
        Name of the only tensor, if the request names it: the model's input or, of a model
        with one feature, that feature.
    keys : tuple of str
        What the columns of `values` are; empty: the features in the model's own order.
    values : numpy.ndarray
        float32 of shape (events, columns), every value finite.
    row : bool
        Whether the request was in row format (``instances``); the answer then is as well.
    columns : callable or None
        The values as they were sent, an array of any type for each column.
    """

    signature: str | None
    input: str | None
    keys: tuple[str, ...]
    values: Floats
    row: bool
    columns: Columns | None = None


@dataclass(frozen=True)
class Tensors:
    """Tensors that a predict request sends as they are, to a model of any inputs.

    Attributes
    ----------
    signature : str or None
        Name of the signature; None for the default one.
    inputs : mapping of str to numpy.ndarray
        By name, of the shapes sent: the first axis is that of the events.
    row : bool
        Whether the request was in row format (``instances``); the answer then is as well.
    """

    signature: str | None
    inputs: Mapping[str, npt.NDArray[Any]]
    row: bool


@dataclass(frozen=True)
class Examples:
    """Events that a classify or regress request asks a model about.

    Attributes
    ----------
    signature : str or None
        Name of the signature; None for the default one.
    keys : tuple of str
        What the columns of `values` are.
    values : numpy.ndarray
        float32 of shape (examples, keys), every value finite.
    columns : callable or None
        The values as they were sent, an array of any type for each key.
    """

    signature: str | None
    keys: tuple[str, ...]
    values: Floats
    columns: Columns | None = None


@dataclass(frozen=True)
class Version:
    """The state of one version of a model, in TensorFlow Serving's words."""

    version: str
    state: str = AVAILABLE
    error_code: str = "OK"
    error_message: str = ""


# --- predict ----------------------------------------------------------------------------


def decode_predict(body: bytes) -> Predict:
    """Events from a predict request.

    Parameters
    ----------
    body : bytes
        JSON with either ``instances`` (row format) or ``inputs`` (columnar format), and
        perhaps ``signature_name``.  ``instances`` is a list with, for each event, a list of
        numbers, ``{input: [numbers]}`` or ``{feature: number, ...}``; ``inputs`` is such a list
        of lists, ``{input: [[numbers], ...]}`` or ``{feature: [a number per event], ...}``.
        In place of a number may stand a list of one; in place of a list of one, a number.

    Raises
    ------
    RequestError
        If it is not JSON of that form.
    FeatureError
        If events differ in their features, or a value is not a finite float32, naming its
        feature (or column) and event.
    """
    request = json_object(body)
    signature = _signature(request)
    if ("instances" in request) == ("inputs" in request):
        raise RequestError('send either "instances" (row format) or "inputs" (columnar format)')
    if "instances" in request:
        name, keys, events = _instances(request["instances"])
    else:
        name, keys, events = _inputs(request["inputs"])
    row = "instances" in request
    return Predict(signature, name, keys, events.values, row, events.columns)


def decode_tensors(body: bytes, names: Sequence[str]) -> Tensors:
    """Tensors from a predict request, whatever their number and shapes.

    Parameters
    ----------
    body : bytes
        JSON with either ``instances``, a list with ``{input: value, ...}`` for each event, or
        ``inputs``, ``{input: [a value per event], ...}``.  A value is a number or nested lists
        of the input's shape.  For a model with one input its value may stand alone.
    names : sequence of str
        The model's inputs.

    Raises
    ------
    RequestError
        If it is not JSON of that form, or lists of one input differ in their lengths.
    """
    request = json_object(body)
    signature = _signature(request)
    if ("instances" in request) == ("inputs" in request):
        raise RequestError('send either "instances" (row format) or "inputs" (columnar format)')
    row = "instances" in request
    found = request["instances"] if row else request["inputs"]
    columns = _instance_columns(found, names) if row else _input_columns(found, names)
    arrays = {name: _array(name, values) for name, values in columns.items()}
    if b"true" in body or b"false" in body:
        for name, values in columns.items():
            _refuse_mixed(name, values, arrays[name])
    return Tensors(signature, arrays, row)


def is_nameless(body: bytes) -> bool:
    """Return True if a predict request sends events without the name of an input.

    Raises
    ------
    RequestError
        If it is no JSON object.
    """
    request = json_object(body)
    instances = request.get("instances")
    if isinstance(instances, list) and instances:
        return not isinstance(instances[0], dict)
    return isinstance(request.get("inputs"), list)


def _instance_columns(instances: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    instances = _filled(instances, '"instances"')
    if isinstance(instances[0], dict):
        keys = _common_keys(instances, "instance")
        return {key: [instance[key] for instance in instances] for key in keys}
    return _alone(instances, names, "instances")


def _input_columns(inputs: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    if not isinstance(inputs, dict):
        return _alone(_filled(inputs, '"inputs"'), names, "inputs")
    return {name: _filled(values, f"input {reprlib.repr(name)}") for name, values in inputs.items()}


def _alone(values: list[Any], names: Sequence[str], where: str) -> dict[str, list[Any]]:
    if len(names) != 1:
        raise RequestError(f'"{where}" must name the inputs: the model has {", ".join(names)}')
    return {names[0]: values}


def _array(name: str, values: list[Any]) -> npt.NDArray[Any]:
    try:
        found = np.array(values)
        if found.dtype == object and missing.passes():
            whole = [np.nan if value is None else value for value in found.ravel().tolist()]
            found = np.array(whole).reshape(found.shape)
        if found.dtype == np.float64 and (np.abs(found) >= _NOT_WHOLE).any():
            return np.array(values, object)  # as whole numbers, if they were sent as such
        return found
    except (ValueError, OverflowError) as error:
        raise RequestError(
            f"the events of input {reprlib.repr(name)} are lists of different lengths"
        ) from error


def _refuse_mixed(name: str, values: list[Any], found: npt.NDArray[Any]) -> None:
    """Refuse truths among numbers, which NumPy would take for 1 and 0."""
    if found.dtype.kind in "iuf":
        odd = [v for v in np.array(values, object).ravel().tolist() if type(v) is bool]
        if odd:
            raise FeatureError(f"input {reprlib.repr(name)} mixes {odd[0]} with numbers")


def _signature(request: Mapping[str, Any]) -> str | None:
    if not request.keys() <= _MEMBERS and (wrong := misspelt(request, sorted(_MEMBERS))):
        raise RequestError(f"the request has an {wrong}")
    name = request.get("signature_name")
    if name is not None and not isinstance(name, str):
        raise RequestError(f"'signature_name' must be a string, not {reprlib.repr(name)}")
    return name or None


class _Events(NamedTuple):
    """Events as float32, and column by column as they were sent."""

    values: Floats
    columns: Columns


def _events(numbers: list[Any], width: int, keys: tuple[str, ...]) -> _Events:
    numbers = missing.filled(numbers)
    values = matrix(numbers, (len(numbers) // width, width), keys)
    return _Events(values, functools.partial(exact_columns_of, numbers, width))


def _instances(instances: Any) -> tuple[str | None, tuple[str, ...], _Events]:
    instances = _filled(instances, '"instances"')
    if not isinstance(instances[0], dict):
        return None, (), _rows(instances, '"instances"')
    keys = _common_keys(instances, "instance")
    if len(keys) == 1 and isinstance(instances[0][keys[0]], list):
        rows = [instance[keys[0]] for instance in instances]
        return keys[0], (), _rows(rows, f"input {reprlib.repr(keys[0])}")
    return None, keys, _records(instances, keys)


def _inputs(inputs: Any) -> tuple[str | None, tuple[str, ...], _Events]:
    if not isinstance(inputs, dict):
        return None, (), _rows(_filled(inputs, '"inputs"'), '"inputs"')
    if not inputs:
        raise RequestError('"inputs" is empty: send one tensor, or one for each feature')
    for name, column in inputs.items():
        _filled(column, f"input {reprlib.repr(name)}")
    if len(inputs) == 1:
        name, rows = next(iter(inputs.items()))
        return name, (), _rows(rows, f"input {reprlib.repr(name)}")
    return None, tuple(inputs), _columns(inputs)


def _filled(values: Any, where: str) -> list[Any]:
    if not isinstance(values, list):
        raise RequestError(f"{where} must be a list, not {reprlib.repr(values)}")
    if not values:
        raise RequestError(f"{where} is empty: send at least one event")
    return values


def _rows(rows: list[Any], where: str) -> _Events:
    """Events that are lists of numbers, or numbers where a model has one feature."""
    if not isinstance(rows[0], list):
        return _events(rows, 1, ())
    columns = len(rows[0])
    if not columns:
        raise RequestError(f"event 0 of {where} has no values")
    for i, row in enumerate(rows):
        if not isinstance(row, list):
            raise RequestError(f"event {i} of {where} must be a list, not {reprlib.repr(row)}")
        if len(row) != columns:
            raise RequestError(
                f"event {i} of {where} has {len(row)} values, but event 0 has {columns}"
            )
    return _events(list(chain.from_iterable(rows)), columns, ())


def _columns(inputs: Mapping[str, list[Any]]) -> _Events:
    first, events = next((name, len(column)) for name, column in inputs.items())
    for name, column in inputs.items():
        if len(column) != events:
            raise RequestError(
                f"input {reprlib.repr(name)} has {len(column)} events, but input "
                f"{reprlib.repr(first)} has {events}"
            )
    numbers = {name: missing.filled(list(map(_number, column))) for name, column in inputs.items()}
    values = [matrix(column, (events, 1), (name,)) for name, column in numbers.items()]
    return _Events(np.hstack(values), lambda: list(map(exact, numbers.values())))


def _common_keys(events: list[Any], noun: str) -> tuple[str, ...]:
    """The keys that all events have."""
    for i, event in enumerate(events):
        if not isinstance(event, dict):
            raise RequestError(f"{noun} {i} must be an object, not {reprlib.repr(event)}")
        if event.keys() != events[0].keys():
            differ = ", ".join(sorted(event.keys() ^ events[0].keys())[:8])
            raise FeatureError(f"{noun} {i} has not the keys of {noun} 0: {differ}")
    if not events[0]:
        raise RequestError(f"{noun} 0 has no values")
    return tuple(events[0])


def _records(events: list[Any], keys: tuple[str, ...]) -> _Events:
    return _events([_number(event[key]) for event in events for key in keys], len(keys), keys)


def _number(value: Any) -> Any:
    """A scalar, which TensorFlow Serving also takes as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def encode_outputs(outputs: Mapping[str, npt.NDArray[Any]], row: bool) -> bytes:
    """The answer to a predict request, from a model of any outputs.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        All outputs by name.  A single one stands alone, of several each has its name: in row
        format in an object per event, in columnar format in one object.
    row : bool
        Whether the request was in row format.

    Raises
    ------
    GraphError
        If a value is not finite.
    """
    arrays = {name: json_numbers(values, name) for name, values in outputs.items()}
    answer: Any = arrays
    if len(arrays) == 1:
        (answer,) = arrays.values()
    elif row:
        events = len(next(iter(arrays.values())))
        each = {name: _by_event(values) for name, values in arrays.items()}
        answer = [{name: values[i] for name, values in each.items()} for i in range(events)]
    key = "predictions" if row else "outputs"
    return orjson.dumps({key: answer}, option=orjson.OPT_SERIALIZE_NUMPY)


def _by_event(values: npt.NDArray[Any]) -> npt.NDArray[Any] | list[Any]:
    """Values of which orjson can write each event's: of NumPy's whole numbers not all kinds."""
    return values.tolist() if values.ndim == 1 and values.dtype.kind != "f" else values


# --- classify and regress ---------------------------------------------------------------


def decode_examples(body: bytes) -> Examples:
    """Events from a classify or regress request.

    Parameters
    ----------
    body : bytes
        JSON with a list ``examples`` of ``{feature: value}``, perhaps ``context``, an object of
        features that all examples share, and ``signature_name``.  A value is a number or a list
        of one.

    Raises
    ------
    RequestError
        If it is not JSON of that form, or an example has a feature of the context.
    FeatureError
        If examples differ in their features, or a value is not a finite float32, naming its
        feature and event.
    """
    request = json_object(body)
    signature = _signature(request)
    examples = _filled(request.get("examples"), '"examples"')
    whole = _with_context(examples, request.get("context"))
    keys = _common_keys(whole, "example")
    events = _records(whole, keys)
    return Examples(signature, keys, events.values, events.columns)


def _with_context(examples: list[Any], context: Any) -> list[Any]:
    if context is None:
        return examples
    if not isinstance(context, dict):
        raise RequestError(f"'context' must be an object, not {reprlib.repr(context)}")
    for i, example in enumerate(examples):
        if not isinstance(example, dict):
            raise RequestError(f"example {i} must be an object, not {reprlib.repr(example)}")
        if shared := sorted(example.keys() & context.keys()):
            raise RequestError(
                f"example {i} repeats features of the context: {', '.join(shared[:8])}"
            )
    return [context | example for example in examples]


def encode_classification(scores: Floats, labels: Sequence[str]) -> bytes:
    """``{"results": [[["ttbar", 0.6], ...], ...]}`` for scores of shape (events, outputs).

    An output without a label has the empty one, as in TensorFlow Serving.

    Raises
    ------
    GraphError
        If a score is not finite.
    """
    scores = json_numbers(scores)
    names = [labels[i] if i < len(labels) else "" for i in range(scores.shape[1])]
    results = [[list(pair) for pair in zip(names, event, strict=True)] for event in scores]
    return orjson.dumps({"results": results}, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_regression(scores: Floats) -> bytes:
    """``{"results": [0.6, 0.7]}`` for scores of shape (events, 1).

    Raises
    ------
    RequestError
        If the model has more outputs than the one that a regression has.
    GraphError
        If a score is not finite.
    """
    if scores.shape[1] != 1:
        raise RequestError(
            f"a regression has one number per example, but the model has {scores.shape[1]} "
            "outputs: ask for :predict or :classify"
        )
    flat = json_numbers(scores[:, 0])
    return orjson.dumps({"results": flat}, option=orjson.OPT_SERIALIZE_NUMPY)


# --- what the server says of a model ----------------------------------------------------


def model_status(versions: Iterable[Version]) -> dict[str, Any]:
    """The answer to ``GET /v1/models/NAME``."""
    return {
        "model_version_status": [
            {
                "version": version.version,
                "state": version.state,
                "status": {
                    "error_code": version.error_code,
                    "error_message": version.error_message,
                },
            }
            for version in versions
        ]
    }


def model_metadata(
    name: str,
    version: str,
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    signature_name: str = SIGNATURE,
) -> dict[str, Any]:
    """The answer to ``GET /v1/models/NAME/metadata``.

    Parameters
    ----------
    name, version : str
        The model; versions are numbers, which protobuf's JSON writes as strings.
    inputs, outputs : iterable of Tensor
        The model's signature.
    signature_name : str
        What it is called.
    """
    signature = {
        "inputs": _tensors(inputs),
        "outputs": _tensors(outputs),
        "method_name": PREDICT,
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        # Twice, because the metadata named signature_def is a map with a field of that name.
        "metadata": {"signature_def": {"signature_def": {signature_name: signature}}},
    }


def _tensors(tensors: Iterable[Tensor]) -> dict[str, Any]:
    """Types and shapes by name; -1 stands for a length that varies."""
    return {
        tensor.name: {
            "dtype": _TYPES[tensor.dtype],
            "tensor_shape": {
                "dim": [
                    {"size": "-1" if length is None else str(length), "name": ""}
                    for length in (None, *tensor.shape)
                ],
                "unknown_rank": False,
            },
            "name": f"{tensor.name}:0",
        }
        for tensor in tensors
    }
