"""Signature of a model: its inputs and outputs, named tensors with a leading axis of events.

Every model also has a *flat view*, float32 (events, columns) → float32 (events, outputs), in
which events are asked about by feature names: its columns are the elements of the inputs, one
input after the other, each in C order; its outputs are those of the floating outputs, or of all
outputs where none is floating.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import missing
from tfaas_nb.errors import FeatureError, GraphError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

#: Types that are served, in NumPy's words.
NUMERIC = frozenset(
    ["bool", *(f"float{n}" for n in (16, 32, 64)), *(f"int{n}" for n in (8, 16, 32, 64))]
    + [f"uint{n}" for n in (8, 16, 32, 64)]
)

#: Beyond that many columns names would be a longer message than the values.
_MOST_NAMES = 4096


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a model.

    Attributes
    ----------
    name : str
        Its name.
    dtype : str
        NumPy's name of its type.
    shape : tuple of (int or None)
        Lengths of its axes after that of the events; None where unknown.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __post_init__(self) -> None:
        if self.dtype not in NUMERIC:
            raise GraphError(f"tensor {self.name!r} is {self.dtype}: only numbers are served")

    @cached_property
    def size(self) -> int | None:
        """Elements per event, None where unknown."""
        lengths = [length for length in self.shape if length is not None]
        return math.prod(lengths) if len(lengths) == len(self.shape) else None

    @property
    def is_floating(self) -> bool:
        """True if it holds floating-point numbers."""
        return self.dtype.startswith("float")

    def conformed(self, values: npt.ArrayLike) -> Array:
        """Values of this tensor's type and shape (events, …).

        Raises
        ------
        FeatureError
            If the shape is another one, or a value cannot be of that type.
        """
        found = np.asarray(values)
        if self.size == 1 and found.ndim and found.size == len(found):
            found = found.reshape(len(found), *_lengths(self.shape))  # [3, 4] for [[3], [4]]
        fits = found.ndim == len(self.shape) + 1 and all(
            own in (None, sent) for own, sent in zip(self.shape, found.shape[1:], strict=True)
        )
        if not fits:
            raise FeatureError(
                f"input {self.name!r} takes (events{_told(self.shape)}), {found.shape} was sent"
            )
        cast = self.cast(found)
        if self.is_floating and not np.isfinite(cast).all() and not missing.may_pass(cast):
            raise FeatureError(f"input {self.name!r} holds a value that is not finite")
        return cast

    def cast(self, values: Array) -> Array:
        """Values in this tensor's type.

        Raises
        ------
        FeatureError
            If they are no numbers, or a number is not one of that type (a fraction for a whole
            number, one that is too large).
        """
        wanted = np.dtype(self.dtype)
        if values.dtype == wanted:
            return values
        if values.dtype == object:
            values = self._of_numbers(values)
        if values.dtype.name not in NUMERIC:
            raise FeatureError(f"input {self.name!r} takes {self.dtype}, not {values.dtype.name}")
        if values.dtype.kind == "f" and not self.is_floating:
            self._check_whole(values)
        with np.errstate(over="ignore", invalid="ignore"):
            cast = values.astype(wanted)
            same = np.isfinite(cast) if self.is_floating else cast == values
        if self.is_floating and values.dtype.kind == "f":
            same |= ~np.isfinite(values)
        if not same.all():
            wrong = values[~same].flat[0]
            raise FeatureError(f"input {self.name!r} takes {self.dtype}, {wrong} is none")
        return cast

    def _check_whole(self, values: Array) -> None:
        """Refuse floats that may have been other whole numbers before they became floats."""
        limit = float(2 ** (np.finfo(values.dtype).nmant + 1))
        beyond = (np.abs(values) >= limit) & np.isfinite(values)
        if beyond.any() and self.dtype != "bool" and _bounds(self.dtype)[1] > limit:
            raise FeatureError(
                f"input {self.name!r} takes {self.dtype}, but {values[beyond].flat[0]:.17g} was "
                f"sent as {values.dtype}, which does not tell whole numbers apart from "
                f"{limit:.0f} on: send whole numbers, as JSON without a fraction or as int64"
            )

    def _of_numbers(self, values: Array) -> Array:
        """Python's own numbers, of any size, in an array of NumPy's that holds them exactly."""
        numbers = values.ravel().tolist()
        if not set(map(type, numbers)) <= {int, float}:
            return values
        if self.is_floating:
            return _floats(numbers).reshape(values.shape)
        for number in (number for number in numbers if type(number) is float):
            self._check_whole(np.array([number]))
            if not number.is_integer():
                raise FeatureError(f"input {self.name!r} takes {self.dtype}, {number} is none")
        bounds = (0, 1) if self.dtype == "bool" else _bounds(self.dtype)
        for number in (min(numbers), max(numbers)):
            if not bounds[0] <= number <= bounds[1]:
                raise FeatureError(f"input {self.name!r} takes {self.dtype}, {number} is none")
        return np.array(list(map(int, numbers)), self.dtype).reshape(values.shape)


@dataclass(frozen=True)
class Signature:
    """The tensors of a model.

    Attributes
    ----------
    inputs, outputs : tuple of Tensor
        In the order of the flat view.
    is_ordered : bool
        Whether that is the order in which whoever made the model gives its inputs: some files
        hold several inputs in none, and a bare array of events then means nothing.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    is_ordered: bool = field(default=True, compare=False)

    def to_values(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        ends = {"inputs": _values(self.inputs), "outputs": _values(self.outputs)}
        return ends | ({} if self.is_ordered else {"is_ordered": False})

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Signature:
        """Make a signature from the values of `to_values`."""
        inputs, outputs = _tensors(values["inputs"]), _tensors(values["outputs"])
        return cls(inputs, outputs, bool(values.get("is_ordered", True)))

    def check_ordered(self, model: str) -> None:
        """Refuse a bare array of events where nobody knows which input its columns begin with.

        Raises
        ------
        FeatureError
            Naming the inputs with their shapes.
        """
        if not self.is_ordered:
            inputs = ", ".join(f"{t.name!r} (events{_told(t.shape)})" for t in self.inputs)
            raise FeatureError(
                f"the file of model {model!r} does not tell the order of its inputs {inputs}, so "
                "an array of events may mean several things: send each input, or each column, by "
                "its name"
            )

    @cached_property
    def is_matrix(self) -> bool:
        """True if the flat view is the model itself: one float32 matrix in, one out."""
        (first, *more) = (*self.inputs, *self.outputs)
        return (
            len(more) == 1
            and first.dtype == more[0].dtype == "float32"
            and len(first.shape) == 1
            and len(more[0].shape) <= 1
        )

    @cached_property
    def is_exact_in_float32(self) -> bool:
        """True if float32 holds all values of the inputs without loss."""
        return all(tensor.dtype in ("float16", "float32") for tensor in self.inputs)

    @cached_property
    def width(self) -> int | None:
        """Columns of the flat view, None where unknown."""
        return _total(self.inputs)

    @cached_property
    def flat_outputs(self) -> tuple[Tensor, ...]:
        """The outputs in the flat view: a classifier's probabilities without its decision."""
        return tuple(t for t in self.outputs if t.is_floating) or self.outputs

    @cached_property
    def height(self) -> int | None:
        """Numbers per event that the flat view answers, None where unknown."""
        return _total(self.flat_outputs)

    @cached_property
    def names(self) -> tuple[str, ...] | None:
        """Names of the columns, if the inputs tell them apart.

        An input with one element per event gives its name, a longer one ``name_0``,
        ``name_1`` …; a single input says nothing of its columns.
        """
        if len(self.inputs) == 1 or self.width is None or self.width > _MOST_NAMES:
            return None
        names = [
            name
            for tensor in self.inputs
            for name in (
                [tensor.name]
                if tensor.size == 1
                else [f"{tensor.name}_{i}" for i in range(tensor.size or 0)]
            )
        ]
        return tuple(names) if len(set(names)) == len(names) else None

    def input(self, name: str) -> Tensor:
        """An input by its name.

        Raises
        ------
        FeatureError
            If there is none, naming those that there are.
        """
        for tensor in self.inputs:
            if tensor.name == name:
                return tensor
        raise FeatureError(f"there is no input {name!r}: inputs are {_names(self.inputs)}")

    def of_width(self, width: int) -> Signature:
        """The signature with a known number of values, if it has one row of an unknown number."""
        if len(self.inputs) != 1 or self.inputs[0].shape != (None,):
            return self
        return replace(self, inputs=(replace(self.inputs[0], shape=(width,)),))

    def is_named_by(self, names: Collection[str], features: Collection[str]) -> bool:
        """Return True if names are meant for inputs and not for the columns of the flat view.

        Parameters
        ----------
        names : collection of str
            What a request sends.
        features : collection of str
            What the columns are called; an input of one element is called as its column.
        """
        inputs = {tensor.name for tensor in self.inputs}
        return inputs.issuperset(names) or not (
            inputs.isdisjoint(names) or set(features).issuperset(names)
        )

    def conformed(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """All inputs by name, each of its type and shape, with as many events.

        Raises
        ------
        FeatureError
            If one is missing, unknown, or does not fit.
        """
        for name in inputs:
            self.input(name)
        missing = [tensor for tensor in self.inputs if tensor.name not in inputs]
        if missing:
            raise FeatureError(f"missing inputs: {_names(missing)}")
        found = {tensor.name: tensor.conformed(inputs[tensor.name]) for tensor in self.inputs}
        events = {name: len(values) for name, values in found.items()}
        if len(set(events.values())) > 1:
            raise FeatureError(f"inputs differ in their number of events: {events}")
        return found

    def split(self, X: Floats) -> dict[str, Array]:
        """The inputs out of the columns of the flat view.

        Parameters
        ----------
        X : numpy.ndarray
            float32 of shape (events, columns).

        Raises
        ------
        FeatureError
            If the columns are not as many, or a value cannot be of its input's type.
        """
        if X.ndim != 2 or self.width not in (None, X.shape[1]):
            raise FeatureError(f"the model takes {self.width} values, {X.shape[1:]} were sent")
        if self.width is None:
            return self._unknown(X)
        found, start = {}, 0
        for tensor in self.inputs:
            stop = start + (tensor.size or 0)
            part = X[:, start:stop].reshape(len(X), *_lengths(tensor.shape))
            found[tensor.name] = tensor.cast(part)
            start = stop
        return found

    def split_columns(self, columns: Sequence[Array]) -> dict[str, Array]:
        """The inputs out of columns that have types of their own, each of shape (events,).

        Raises
        ------
        FeatureError
            If they are not as many, or a value cannot be of its input's type.
        """
        if self.width is None:
            return self._unknown(_side_by_side(columns))
        if len(columns) != self.width:
            raise FeatureError(f"the model takes {self.width} values, {len(columns)} were sent")
        found, start = {}, 0
        for tensor in self.inputs:
            stop = start + (tensor.size or 0)
            part = np.stack([tensor.cast(column) for column in columns[start:stop]], axis=1)
            found[tensor.name] = part.reshape(len(part), *_lengths(tensor.shape))
            start = stop
        return found

    def _unknown(self, X: Array) -> dict[str, Array]:
        (tensor, *more) = self.inputs
        if more or len(tensor.shape) != 1:
            raise FeatureError(
                f"inputs {_names(self.inputs)} vary in their lengths: send them by name "
                "(/v2/models or /v1/models)"
            )
        return {tensor.name: tensor.cast(X)}

    def joined(self, outputs: Mapping[str, Array]) -> Floats:
        """The flat view's answer out of the outputs: float32 of shape (events, outputs)."""
        parts = [rows(outputs[tensor.name]) for tensor in self.flat_outputs]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return np.asarray(whole, dtype=np.float32)

    def separated(self, scores: Floats) -> dict[str, Array]:
        """Each output of the flat view by name, in its own shape, float32."""
        if len(self.flat_outputs) == 1 and len(self.flat_outputs[0].shape) == 1:
            return {self.flat_outputs[0].name: scores}
        found, start = {}, 0
        for tensor in self.flat_outputs:
            rest = scores.shape[1] - start
            stop = start + (rest if tensor.size is None else tensor.size)
            part = scores[:, start:stop]
            if tensor.size is not None:
                part = part.reshape(len(scores), *_lengths(tensor.shape))
            found[tensor.name] = part
            start = stop
        return found

    def probe(self, events: int, unknown: int) -> dict[str, Array]:
        """Inputs of zeros, to try a model with.

        Parameters
        ----------
        events : int
            How many.
        unknown : int
            Length for the axes of which none is known.
        """
        return {
            tensor.name: np.zeros(
                (events, *(unknown if n is None else n for n in tensor.shape)), tensor.dtype
            )
            for tensor in self.inputs
        }


def exact(numbers: Sequence[int | float]) -> Array:
    """Python's numbers in an array that holds each exactly: of objects if no other does."""
    kinds = set(map(type, numbers))
    if kinds <= {float}:
        return np.array(numbers, np.float64)
    if kinds == {int}:
        for dtype in (np.int64, np.uint64):
            low, high = _bounds(dtype)
            if low <= min(numbers) and max(numbers) <= high:
                return np.array(numbers, dtype)
    found = np.empty(len(numbers), object)
    found[:] = numbers
    return found


def rows(values: Array) -> Array:
    """Values of shape (events, …) as a matrix, a row per event."""
    if values.ndim == 2:
        return values
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _bounds(dtype: npt.DTypeLike) -> tuple[int, int]:
    bounds = np.iinfo(dtype)
    return int(bounds.min), int(bounds.max)


def _floats(numbers: Sequence[int | float]) -> Array:
    try:
        return np.array(numbers, np.float64)
    except OverflowError as error:
        raise FeatureError(f"a number is too large: {error}") from error


def _side_by_side(columns: Sequence[Array]) -> Array:
    """Columns of one type as they are, of several as Python's numbers."""
    if len({column.dtype for column in columns}) == 1:
        return np.stack(columns, axis=1)
    return np.stack([column.astype(object) for column in columns], axis=1)


def _values(tensors: tuple[Tensor, ...]) -> list[tuple[Any, ...]]:
    return [(tensor.name, tensor.dtype, tensor.shape) for tensor in tensors]


def _tensors(values: Iterable[Any]) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, dtype, tuple(shape)) for name, dtype, shape in values)


def _total(tensors: tuple[Tensor, ...]) -> int | None:
    sizes = [tensor.size for tensor in tensors if tensor.size is not None]
    return sum(sizes) if len(sizes) == len(tensors) else None


def _lengths(shape: tuple[int | None, ...]) -> list[int]:
    return [length for length in shape if length is not None]


def _names(tensors: Any) -> str:
    return ", ".join(repr(tensor.name) for tensor in tensors)


def _told(shape: tuple[int | None, ...]) -> str:
    return "".join(f", {'?' if length is None else length}" for length in shape)
