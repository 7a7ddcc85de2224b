"""The Open Inference Protocol v2 over REST, as KServe, Triton and MLServer speak it.

Source: the protocol's ``inference_rest.md`` (kserve/open-inference-protocol), the tensor data
types and the "tensor data" section of KServe's ``required_api.md``, and Triton's extensions
"binary tensor data" and "model repository".  The request parameter ``keys``, which names the
columns of a tensor, is our own addition.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, RequestError
from tfaas_nb.nearest import misspelt
from tfaas_nb.signature import Signature, Tensor
from tfaas_nb.wire.finite import all_finite, json_numbers
from tfaas_nb.wire.json_body import json_object
from tfaas_nb.wire.tfaas import Columns, Floats, check_finite, exact_columns_of

JSON = "application/json"
BINARY = "application/octet-stream"
#: The header that says how many bytes of a body are JSON; raw tensors follow them.
JSON_LENGTH = "Inference-Header-Content-Length"
EXTENSIONS = ("binary_tensor_data", "model_repository")
#: States of a model in the repository's index.
READY, UNAVAILABLE = "READY", "UNAVAILABLE"

_NUMERIC = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
}
#: Of tensors that go in as they are, and NumPy's names; events are made of numbers only.
DATATYPES = _NUMERIC | {"BOOL": "|b1"}
_NAMES = {np.dtype(code): name for name, code in DATATYPES.items()}
_MOST_AXES = 8
_NUMBERS = {int, float}
_LARGEST = float(np.finfo(np.float32).max)
#: Of one dimension: with it, even an empty tensor has a shape that NumPy can hold.
_LONGEST = 2**31 - 1
#: Members of a request or an answer, and parameters that are heeded.
_MEMBERS = frozenset(("id", "inputs", "outputs", "parameters", "model_name", "model_version"))
_PARAMETERS = frozenset(("keys", "binary_data", "binary_data_output", "binary_data_size"))
#: They would change what an output is: to leave them unheeded would be a wrong answer.
_UNKNOWN_TO_OUTPUTS = ("classification", "shared_memory_region")


@dataclass(frozen=True)
class Infer:
    """Events that an inference request asks a model about.

    Attributes
    ----------
    id : str or None
        What the answer must repeat.
    keys : tuple of str
        What the columns of `values` are; empty: the features in the model's own order.
    values : numpy.ndarray
        float32 of shape (events, columns), every value finite; read-only where it is a view
        of the request's bytes.
    inputs : tuple of str
        Names of the tensors sent.
    outputs : tuple of (str, bool)
        Names of the outputs wanted and whether as raw bytes; empty: all of them.
    binary : bool
        Whether outputs that `outputs` does not name are wanted as raw bytes.
    columns : callable or None
        The values as they were sent, an array of any type for each column.
    """

    id: str | None
    keys: tuple[str, ...]
    values: Floats
    inputs: tuple[str, ...]
    outputs: tuple[tuple[str, bool], ...] = ()
    binary: bool = False
    columns: Columns | None = None


@dataclass(frozen=True)
class Tensors:
    """Tensors that an inference request sends as they are, to a model of any inputs.

    Attributes
    ----------
    id : str or None
        What the answer must repeat.
    inputs : mapping of str to numpy.ndarray
        Tensors of the types and shapes sent.
    outputs : tuple of (str, bool)
        Names of the outputs wanted and whether as raw bytes; empty: all of them.
    binary : bool
        Whether outputs that `outputs` does not name are wanted as raw bytes.
    """

    id: str | None
    inputs: Mapping[str, npt.NDArray[Any]]
    outputs: tuple[tuple[str, bool], ...] = ()
    binary: bool = False


@dataclass(frozen=True)
class Answer:
    """Answer of a server to an inference request.

    Attributes
    ----------
    model : str
        Name of the model.
    version : str or None
        Its version, from servers that know versions.
    id : str or None
        That of the request.
    outputs : mapping of str to numpy.ndarray
        float32 of the shape that the server gives, by name of the output.
    """

    model: str
    version: str | None
    id: str | None
    outputs: Mapping[str, Floats]


@dataclass(frozen=True)
class Entry:
    """One line of a repository's index; `state` is one of Triton's, such as ``READY``."""

    name: str
    version: str = "1"
    state: str = READY
    reason: str = ""


@dataclass(frozen=True)
class _Tensor:
    """A tensor, its elements as they came: row-major, unconverted."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    elements: list[Any] | npt.NDArray[Any]

    def array(self) -> npt.NDArray[Any]:
        """The tensor in its own type and shape.

        Raises
        ------
        FeatureError
            If an element is not of that type.
        """
        wanted = self.dtype.newbyteorder("=")
        if not isinstance(self.elements, list):
            return np.require(self.elements, wanted, ["C", "A"]).reshape(self.shape)
        kinds = {bool} if wanted.kind == "b" else _NUMBERS if wanted.kind == "f" else {int}
        elements = missing.filled(self.elements) if wanted.kind == "f" else self.elements
        for element in elements:
            if type(element) not in kinds:
                raise FeatureError(
                    f"input {_shown(self.name)} is {_NAMES[wanted]}, but holds "
                    f"{reprlib.repr(element)}"
                )
        if wanted.kind in "iu":
            self._check_range(np.iinfo(wanted))
        with np.errstate(over="ignore"):
            try:
                return np.array(elements, wanted).reshape(self.shape)
            except OverflowError as error:
                raise FeatureError(f"input {_shown(self.name)}: {error}") from error

    def _check_range(self, bounds: Any) -> None:
        """Refuse what the type cannot hold: NumPy before 2 would take it modulo its range."""
        for element in self.elements:
            if not bounds.min <= element <= bounds.max:
                raise FeatureError(
                    f"input {_shown(self.name)}: {reprlib.repr(element)} is not within "
                    f"{bounds.min} and {bounds.max}"
                )

    def matrix(self, shape: tuple[int, int], keys: tuple[str, ...]) -> Floats:
        if isinstance(self.elements, list):
            return matrix(self.elements, shape, keys)
        return _finite(_from_raw(self.elements).reshape(shape), keys)

    def columns(self, width: int) -> list[npt.NDArray[Any]]:
        """So many columns of a tensor of events, each of a type that holds what was sent."""
        if isinstance(self.elements, list):
            return exact_columns_of(missing.filled(self.elements), width)
        own = np.require(self.elements, self.dtype.newbyteorder("="), ["C", "A"])
        return list(own.reshape(-1, width).T)

    def values(self) -> Floats:
        """float32 of the tensor's own shape, finite or not."""
        if isinstance(self.elements, list):
            numbers = _from_json(self.elements, lambda at: f"element {at} of {_shown(self.name)}")
            return numbers.reshape(self.shape)
        return _from_raw(self.elements).reshape(self.shape)


# --- requests ---------------------------------------------------------------------------


def decode_infer(body: bytes, json_length: int | None = None) -> Infer:
    """Events from an inference request.

    Parameters
    ----------
    body : bytes
        JSON, and after it the raw little-endian tensors that have ``binary_data_size``.
        Inputs are either one tensor of any name and of shape [events, columns], or [columns]
        for one event, with the request parameter ``keys`` if its columns are not in the
        model's order; or several tensors of shape [events] or [events, 1], each named as a
        feature.  Data in JSON may be nested or flat, and are taken as they are written.
    json_length : int or None
        Value of the header `JSON_LENGTH`; None: all of the body is JSON.

    Raises
    ------
    RequestError
        If it is no such request, or a tensor's shape, datatype and data contradict each other.
    FeatureError
        If a value is not a finite float32, naming its feature (or column) and event.
    """
    request, raw = _split(body, json_length)
    parameters = _parameters(request, "the request")
    binary = _flag(parameters, "binary_data_output", False, "the request")
    tensors = _tensors(request.get("inputs"), raw, "input")
    keys, values = _events(tensors, parameters.get("keys"))
    return Infer(
        id=_text(request, "id"),
        keys=keys,
        values=values,
        inputs=tuple(tensor.name for tensor in tensors),
        outputs=_wanted(request.get("outputs"), binary),
        binary=binary,
        columns=lambda: [c for t in tensors for c in t.columns(values.shape[1] // len(tensors))],
    )


def decode_tensors(body: bytes, json_length: int | None = None) -> Tensors:
    """Tensors from an inference request, whatever their number, types and shapes.

    Parameters
    ----------
    body, json_length
        As of `decode_infer`.

    Raises
    ------
    RequestError
        If it is no such request, or a tensor's shape, datatype and data contradict each other.
    FeatureError
        If an element is not of its tensor's datatype.
    """
    request, raw = _split(body, json_length)
    binary = _flag(_parameters(request, "the request"), "binary_data_output", False, "the request")
    tensors = _tensors(request.get("inputs"), raw, "input", _MOST_AXES, DATATYPES)
    return Tensors(
        id=_text(request, "id"),
        inputs={tensor.name: tensor.array() for tensor in tensors},
        outputs=_wanted(request.get("outputs"), binary),
        binary=binary,
    )


def tensor_names(body: bytes, json_length: int | None = None) -> tuple[str, ...]:
    """Names of the tensors that an inference request sends.

    Raises
    ------
    RequestError
        If it is no such request.
    """
    request, _ = _split(body, json_length)
    return tuple(part["name"] for part in _named(request.get("inputs"), "input"))


def _split(body: bytes, json_length: int | None) -> tuple[dict[str, Any], memoryview]:
    """The JSON object of a body, and the bytes after it."""
    length = len(body) if json_length is None else json_length
    if not 0 <= length <= len(body):
        raise RequestError(f"{JSON_LENGTH} is {length}, but the body has {len(body)} bytes")
    request = json_object(body[:length])
    _check_keys(request, _MEMBERS, "the request")
    return request, memoryview(body)[length:]


def _check_keys(holder: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Refuse a misspelt key, such as of the one that says what the columns are; others may be."""
    if not holder.keys() <= known and (wrong := misspelt(holder, sorted(known))):
        raise RequestError(f"{where} has an {wrong}")


def _parameters(holder: Mapping[str, Any], where: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(
            f'"parameters" of {where} must be an object, not {reprlib.repr(parameters)}'
        )
    _check_keys(parameters, _PARAMETERS, f'"parameters" of {where}')
    return parameters


def _flag(parameters: Mapping[str, Any], key: str, default: bool, where: str) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise RequestError(
            f"parameter {key!r} of {where} must be true or false, not {reprlib.repr(value)}"
        )
    return value


def _text(holder: Mapping[str, Any], key: str) -> str | None:
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{key!r} must be a string, not {reprlib.repr(value)}")
    return value


def _wanted(outputs: Any, binary: bool) -> tuple[tuple[str, bool], ...]:
    if outputs is None:
        return ()
    wanted = []
    for part in _named(outputs, "output"):
        where = f"output {_shown(part['name'])}"
        parameters = _parameters(part, where)
        for key in _UNKNOWN_TO_OUTPUTS:
            if key in parameters:
                raise RequestError(f"parameter {key!r} of {where} is not known here")
        wanted.append((part["name"], _flag(parameters, "binary_data", binary, where)))
    return tuple(wanted)


def _named(parts: Any, noun: str) -> list[dict[str, Any]]:
    """The objects of a list, each with a name of its own."""
    if not isinstance(parts, list):
        raise RequestError(f'"{noun}s" must be a list, not {reprlib.repr(parts)}')
    names = set()
    for i, part in enumerate(parts):
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise RequestError(f'{noun} {i} must be an object with a "name"')
        if part["name"] in names:
            raise RequestError(f"two {noun}s are called {_shown(part['name'])}")
        names.add(part["name"])
    return parts


# --- events out of tensors --------------------------------------------------------------


def _events(tensors: Sequence[_Tensor], keys: Any) -> tuple[tuple[str, ...], Floats]:
    if not tensors:
        raise RequestError('"inputs" is empty: send one tensor, or one for each feature')
    if len(tensors) == 1:
        return _rows(tensors[0], _keys(keys))
    if keys is not None:
        raise RequestError(
            f"parameter 'keys' names the columns of one tensor, but there are {len(tensors)} inputs"
        )
    return tuple(tensor.name for tensor in tensors), _columns(tensors)


def _keys(keys: Any) -> tuple[str, ...]:
    if keys is None:
        return ()
    if not isinstance(keys, list) or not set(map(type, keys)) <= {str}:
        raise RequestError(
            f"parameter 'keys' must be a list of feature names, not {reprlib.repr(keys)}"
        )
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RequestError(f"parameter 'keys' names {_shown(twice)} more than once")
    return tuple(keys)


def _rows(tensor: _Tensor, keys: tuple[str, ...]) -> tuple[tuple[str, ...], Floats]:
    columns = tensor.shape[-1]
    events = tensor.shape[0] if len(tensor.shape) == 2 else 1
    where = f"input {_shown(tensor.name)} of shape {list(tensor.shape)}"
    if not columns:
        raise RequestError(f"{where} has no columns")
    if keys and len(keys) != columns:
        raise FeatureError(f"{len(keys)} keys but {columns} columns: {where}")
    return keys, tensor.matrix((events, columns), keys)


def _columns(tensors: Sequence[_Tensor]) -> Floats:
    first = tensors[0]
    for tensor in tensors:
        where = f"input {_shown(tensor.name)} of shape {list(tensor.shape)}"
        if tensor.shape[1:] not in ((), (1,)):
            raise RequestError(f"{where} should be one feature: of shape [events] or [events, 1]")
        if tensor.shape[0] != first.shape[0]:
            raise RequestError(
                f"{where} has {tensor.shape[0]} events, but input {_shown(first.name)} has "
                f"{first.shape[0]}"
            )
    return np.hstack([tensor.matrix((tensor.shape[0], 1), (tensor.name,)) for tensor in tensors])


def matrix(numbers: list[Any], shape: tuple[int, int], keys: tuple[str, ...]) -> Floats:
    """Numbers out of JSON as events.

    Parameters
    ----------
    numbers : list
        As many as `shape` says, row-major.
    shape : tuple of int
        Events and columns.
    keys : tuple of str
        Names of the columns for what is raised; empty: they have none.

    Returns
    -------
    numpy.ndarray
        float32 of shape `shape`.

    Raises
    ------
    FeatureError
        Naming the first key (or column) and event whose value is not a finite float32.
    """
    columns = shape[1]
    values = _from_json(
        numbers, lambda at: f"{_column(keys, at % columns)} of event {at // columns}"
    )
    return _finite(values.reshape(shape), keys)


def _finite(values: Floats, keys: tuple[str, ...]) -> Floats:
    if all_finite(values):
        return values
    return check_finite(keys or [f"column {i}" for i in range(values.shape[1])], values)


def _column(keys: tuple[str, ...], i: int) -> str:
    return repr(keys[i] if keys else f"column {i}")


# --- tensors ----------------------------------------------------------------------------


def _tensors(
    parts: Any,
    raw: memoryview,
    noun: str,
    most_axes: int = 2,
    datatypes: Mapping[str, str] = _NUMERIC,
) -> list[_Tensor]:
    """The tensors of a message; the raw ones stand in `raw` one after the other."""
    tensors, at = [], 0
    for part in _named(parts, noun):
        where = f"{noun} {_shown(part['name'])}"
        size = _binary_size(part, where)
        shape = _shape(part.get("shape"), where, most_axes)
        dtype = _datatype(part.get("datatype"), where, datatypes)
        tensors.append(_tensor(part, (shape, dtype), raw[at:], size, where))
        at += size or 0
    if at != len(raw):
        raise RequestError(f"{len(raw) - at} bytes are left after the binary data of the {noun}s")
    return tensors


def _binary_size(part: Mapping[str, Any], where: str) -> int | None:
    size = _parameters(part, where).get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise RequestError(
            f"parameter 'binary_data_size' of {where} must be a number of bytes, "
            f"not {reprlib.repr(size)}"
        )
    if ("data" in part) == (size is not None):
        found = 'neither "data" nor' if size is None else 'both "data" and'
        raise RequestError(f"{where} has {found} parameter 'binary_data_size'")
    return size


def _tensor(
    part: Mapping[str, Any],
    kind: tuple[tuple[int, ...], np.dtype[Any]],
    raw: memoryview,
    size: int | None,
    where: str,
) -> _Tensor:
    shape, datatype = kind
    where = f"{where} of shape {list(shape)}"
    if size is None:
        return _Tensor(part["name"], shape, datatype, _elements(part["data"], shape, where))
    count = math.prod(shape)
    if size != count * datatype.itemsize:
        raise RequestError(
            f"{where} and datatype {part['datatype']} takes {count * datatype.itemsize} bytes, "
            f"but its binary_data_size is {size}"
        )
    if size > len(raw):
        raise RequestError(f"{where} takes {size} bytes after the JSON, but {len(raw)} are left")
    return _Tensor(part["name"], shape, datatype, np.frombuffer(raw, datatype, count))


def _shape(shape: Any, where: str, most_axes: int) -> tuple[int, ...]:
    if not isinstance(shape, list) or not 1 <= len(shape) <= most_axes:
        count = "one or two" if most_axes == 2 else f"one to {most_axes}"
        raise RequestError(f'"shape" of {where} must be {count} numbers, not {reprlib.repr(shape)}')
    for length in shape:
        if type(length) is not int or not 0 <= length <= _LONGEST:
            raise RequestError(
                f'"shape" of {where} must be whole numbers from 0 to {_LONGEST}, '
                f"not {reprlib.repr(length)}"
            )
    return tuple(shape)


def _datatype(datatype: Any, where: str, known: Mapping[str, str]) -> np.dtype[Any]:
    if not isinstance(datatype, str) or datatype not in known:
        raise RequestError(
            f'"datatype" of {where} is {reprlib.repr(datatype)}: send one of {", ".join(known)}'
        )
    return np.dtype(known[datatype])


def _elements(data: Any, shape: tuple[int, ...], where: str) -> list[Any]:
    """Row-major elements of data, which JSON may hold nested or flat."""
    if not isinstance(data, list):
        raise RequestError(f'"data" of {where} must be a list, not {reprlib.repr(data)}')
    elements = data
    if data and isinstance(data[0], list):
        # One axis after the other is taken apart, the last one's lists are the elements.
        for axis, length in enumerate(shape[1:], start=1):
            elements = _flat(elements, length, where, axis)
    if len(elements) != math.prod(shape):
        raise RequestError(f"{where} takes {math.prod(shape)} values, but has {len(elements)}")
    return elements


def _flat(rows: list[Any], length: int, where: str, axis: int) -> list[Any]:
    noun = "row" if axis == 1 else f"row of axis {axis - 1},"
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != length:
            found = len(row) if isinstance(row, list) else reprlib.repr(row)
            raise RequestError(f"{noun} {i} of {where} should have {length} values, not {found}")
    return list(chain.from_iterable(rows))


def _from_json(numbers: list[Any], where: Callable[[int], str]) -> Floats:
    if not set(map(type, numbers)) <= _NUMBERS:
        numbers = missing.filled(numbers)
    if not set(map(type, numbers)) <= _NUMBERS:
        at = next(i for i, number in enumerate(numbers) if type(number) not in _NUMBERS)
        raise FeatureError(f"value of {where(at)} is {reprlib.repr(numbers[at])}, not a number")
    with np.errstate(over="ignore"):
        try:
            return np.array(numbers, dtype=np.float32)
        except OverflowError:  # an integer beyond any float
            at = next(i for i, number in enumerate(numbers) if abs(number) > _LARGEST)
            raise FeatureError(f"value of {where(at)} is too large") from None


def _from_raw(elements: npt.NDArray[Any]) -> Floats:
    # After JSON of any length, raw numbers may stand where a processor would not have them.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.require(elements, np.float32, ["C", "A"])


def _shown(name: str) -> str:
    return reprlib.repr(name)


def encode_infer(
    values: Floats,
    keys: Sequence[str] = (),
    *,
    name: str = "input",
    request_id: str | None = None,
    binary: bool = False,
) -> tuple[bytes, int | None]:
    """An inference request for all outputs.

    Parameters
    ----------
    values : numpy.ndarray
        Events of shape (events, columns).
    keys : sequence of str
        What the columns are; empty: the features in the model's own order, which is what
        servers other than ours understand.
    name : str
        Of the tensor.
    request_id : str, optional
        What the answer will repeat.
    binary : bool
        Send raw bytes and ask for them, rather than JSON.

    Returns
    -------
    body : bytes
        What to post.
    json_length : int or None
        Value of the header `JSON_LENGTH`; None: send none.
    """
    request: dict[str, Any] = {} if request_id is None else {"id": request_id}
    parameters: dict[str, Any] = {"keys": list(keys)} if keys else {}
    if binary:
        parameters["binary_data_output"] = True
    if parameters:
        request["parameters"] = parameters
    tensor, raw = _encoded(name, np.asarray(values, np.float32), binary)
    return _joined(request | {"inputs": [tensor]}, raw)


def encode_tensors(inputs: Mapping[str, npt.NDArray[Any]]) -> tuple[bytes, int | None]:
    """An inference request of raw tensors by name, for all outputs as raw bytes.

    Returns
    -------
    body : bytes
        What to post.
    json_length : int or None
        Value of the header `JSON_LENGTH`.
    """
    encoded = [_encoded(name, values, True) for name, values in inputs.items()]
    request = {
        "parameters": {"binary_data_output": True},
        "inputs": [tensor for tensor, _ in encoded],
    }
    return _joined(request, b"".join(raw for _, raw in encoded if raw is not None))


# --- answers ----------------------------------------------------------------------------


def encode_answer(
    asked: Infer, model: str, version: str | None, output: str, scores: Floats
) -> tuple[bytes, int | None]:
    """The answer to a request.

    Parameters
    ----------
    asked : Infer
        The request: its id is repeated, and it says whether scores go as JSON or raw bytes.
    model, version : str or None
        What answers; None: the model has no versions.
    output : str
        Name of the model's output.
    scores : numpy.ndarray
        Shape (events, outputs).

    Returns
    -------
    body : bytes
        The answer.
    json_length : int or None
        Value of the header `JSON_LENGTH`; None: the body is JSON, and has no such header.

    Raises
    ------
    RequestError
        If the request wants an output that the model does not have.
    """
    return encode_outputs(asked, model, version, {output: np.asarray(scores, np.float32)})


def encode_outputs(
    asked: Infer | Tensors,
    model: str,
    version: str | None,
    outputs: Mapping[str, npt.NDArray[Any]],
) -> tuple[bytes, int | None]:
    """The answer to a request, from a model of any outputs; see `encode_answer`.

    Parameters
    ----------
    asked : Infer or Tensors
        The request: its id is repeated, and it says which outputs go and how.
    model, version : str or None
        What answers; None: the model has no versions.
    outputs : mapping of str to numpy.ndarray
        All outputs by name.

    Raises
    ------
    RequestError
        If the request wants an output that the model does not have.
    GraphError
        If a value that shall go as JSON is not finite.
    """
    for wanted, _ in asked.outputs:
        if wanted not in outputs:
            names = ", ".join(map(repr, outputs))
            raise RequestError(f"model {model!r} has no output {_shown(wanted)}: it has {names}")
    answer: dict[str, Any] = {"model_name": model}
    if version is not None:
        answer["model_version"] = version
    if asked.id is not None:
        answer["id"] = asked.id
    chosen = asked.outputs or [(name, asked.binary) for name in outputs]
    encoded = [_encoded(name, outputs[name], binary) for name, binary in chosen]
    raw = [part for _, part in encoded if part is not None]
    message = answer | {"outputs": [tensor for tensor, _ in encoded]}
    return _joined(message, b"".join(raw) if raw else None)


def _encoded(
    name: str, values: npt.NDArray[Any], binary: bool
) -> tuple[dict[str, Any], bytes | None]:
    """A tensor as JSON, and the bytes that stand after it if they do."""
    datatype = _NAMES[values.dtype.newbyteorder("=")]
    tensor: dict[str, Any] = {"name": name, "shape": list(values.shape), "datatype": datatype}
    if not binary:
        return tensor | {"data": json_numbers(values, name).reshape(-1)}, None
    little = values.dtype.newbyteorder("<")
    raw = np.ascontiguousarray(values, dtype=little).tobytes()
    return tensor | {"parameters": {"binary_data_size": len(raw)}}, raw


def _joined(message: dict[str, Any], raw: bytes | None) -> tuple[bytes, int | None]:
    text = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
    return (text, None) if raw is None else (text + raw, len(text))


def decode_answer(body: bytes, json_length: int | None = None) -> Answer:
    """Decode a server's answer; see `decode_infer` for the parameters.

    Raises
    ------
    RequestError
        If it is no such answer, or an output's shape, datatype and data contradict each other.
    FeatureError
        If an output holds something other than numbers.
    """
    answer, raw = _split(body, json_length)
    return Answer(
        model=_text(answer, "model_name") or "",
        version=_text(answer, "model_version"),
        id=_text(answer, "id"),
        outputs={
            tensor.name: tensor.values()
            for tensor in _tensors(answer.get("outputs"), raw, "output", _MOST_AXES, DATATYPES)
        },
    )


# --- what the server says of itself -----------------------------------------------------


def server_metadata(version: str, extensions: Sequence[str] = EXTENSIONS) -> dict[str, Any]:
    """The answer to ``GET /v2``."""
    return {"name": "tfaas_nb", "version": version, "extensions": list(extensions)}


def model_metadata(
    name: str,
    versions: Sequence[str],
    platform: str,
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
) -> dict[str, Any]:
    """The answer to ``GET /v2/models/NAME``.

    Parameters
    ----------
    name, versions, platform : str, sequence of str, str
        The model, its versions, and for instance ``tensorflow_graphdef``.
    inputs, outputs : iterable of Tensor
        The model's signature.
    """
    return {
        "name": name,
        "versions": list(versions),
        "platform": platform,
        "inputs": _tensor_metadata(inputs),
        "outputs": _tensor_metadata(outputs),
    }


def _tensor_metadata(tensors: Iterable[Tensor]) -> list[dict[str, Any]]:
    """Names, datatypes and shapes; -1 stands for a length that varies."""
    return [
        {
            "name": tensor.name,
            "datatype": _NAMES[np.dtype(tensor.dtype)],
            "shape": [-1, *(-1 if n is None else n for n in tensor.shape)],
        }
        for tensor in tensors
    ]


def signature_in(metadata: Mapping[str, Any]) -> Signature:
    """The tensors of a model that `model_metadata` describes.

    Raises
    ------
    RequestError
        If it describes none.
    """
    try:
        inputs, outputs = (tuple(map(_described, metadata[part])) for part in ("inputs", "outputs"))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise RequestError("the answer does not describe the tensors of a model") from error
    return Signature(inputs, outputs)


def _described(tensor: Mapping[str, Any]) -> Tensor:
    shape = tuple(None if length < 0 else length for length in tensor["shape"][1:])
    return Tensor(tensor["name"], np.dtype(DATATYPES[tensor["datatype"]]).name, shape)


def index(entries: Iterable[Entry]) -> list[dict[str, str]]:
    """The answer to ``POST /v2/repository/index``."""
    return [vars(entry).copy() for entry in entries]


def decode_repository(body: bytes) -> dict[str, Any]:
    """Decode a request to the model repository, which may have no body.

    Raises
    ------
    RequestError
        If the body is no JSON object.
    """
    return json_object(body) if body.strip() else {}


def wants_ready(request: Mapping[str, Any]) -> bool:
    """Return True if a request for the index asks for models that are ready alone.

    Raises
    ------
    RequestError
        If ``ready`` is neither true nor false.
    """
    return _flag(request, "ready", False, "the request")


def check_load(request: Mapping[str, Any]) -> None:
    """Refuse a request that would have a model made anew; models come in by an upload.

    Raises
    ------
    RequestError
        If it has parameters, such as a model's configuration or files.
    """
    for key in _parameters(request, "the request"):
        raise RequestError(
            f"parameter {key[:100]!r} of load is not known here: POST /upload brings a model"
        )
