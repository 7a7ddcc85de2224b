"""Arithmetic of expressions: whole numbers are exact, fractions are doubles.

Event numbers fill 64 bits, of which a double holds 53, and signed and unsigned numbers have no
common type.  Here whole numbers stay whole, of the narrowest type that holds them: int64, uint64,
or beyond both Python's own, which cost more and have no limit.  A whole number and a fraction are
compared by their values, not by the nearest doubles.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

#: int64, uint64, float64, or Python's numbers (object): what `number` makes.
Numbers = npt.NDArray[Any]

_SIGNED, _UNSIGNED = np.iinfo(np.int64), np.iinfo(np.uint64)
_INT, _UINT, _FLOAT = np.dtype(np.int64), np.dtype(np.uint64), np.dtype(np.float64)
_EXACT = 2**53  # up to here every whole number is a double
_MOST_FACTORS = 64  # of a power that is multiplied out


def number(value: Any) -> Numbers:
    """Numbers in one of four types: int64, uint64 where int64 is too narrow, float64, object."""
    if isinstance(value, int):
        return np.array(int(value), dtype=_whole_type(value, value))
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return array.astype(_FLOAT, copy=False)
    if array.dtype.kind == "O":
        return array
    if array.dtype == _UINT and array.size and array.max() > _SIGNED.max:
        return array
    return array.astype(_INT, copy=False)


def exactly(values: Numbers, kind: np.dtype[Any]) -> Numbers | None:
    """Numbers in another type; None if it does not hold each of them."""
    if values.dtype == kind:
        return values
    with np.errstate(invalid="ignore", over="ignore"):  # what it cannot hold comes back otherwise
        made = values.astype(kind)
        same = np.array_equal(made.astype(values.dtype), values)
    return made if same and not ((made < 0) != (values < 0)).any() else None


def truth(value: Any) -> npt.NDArray[np.bool_]:
    """Truth of numbers: all are true but zero and NaN."""
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return array
    return np.asarray((array != 0) & (array == array), dtype=bool)


def floats(value: Any) -> npt.NDArray[np.float64]:
    """The nearest doubles.

    Raises
    ------
    OverflowError
        If a whole number is larger than any double.
    """
    return number(value).astype(_FLOAT, copy=False)


def _whole_type(low: int, high: int) -> np.dtype[Any]:
    """The type of whole numbers between two of them."""
    if _SIGNED.min <= low and high <= _SIGNED.max:
        return _INT
    return _UINT if low >= 0 and high <= _UNSIGNED.max else np.dtype(object)


def _range(values: Numbers) -> tuple[int, int]:
    """The smallest and the largest of whole numbers."""
    return (int(values.min()), int(values.max())) if values.size else (0, 0)


def _is_whole(*values: Numbers) -> bool:
    return all(array.dtype in (_INT, _UINT) for array in values)


def _is_object(*values: Numbers) -> bool:
    return any(array.dtype.kind == "O" for array in values)


def _objects(values: Numbers) -> Numbers:
    """Python's numbers; doubles of whole values become whole numbers."""
    made = values.astype(object)
    if values.dtype == _FLOAT:
        whole = (np.floor(values) == values) & (np.abs(values) < -float(_SIGNED.min))
        made[whole] = values[whole].astype(_INT).astype(object)
    return made


def _operands(first: Any, second: Any) -> tuple[Numbers, Numbers]:
    """Return both operands as numbers; whole doubles beside large whole numbers become whole."""
    a, b = number(first), number(second)
    if a.dtype == _FLOAT and b.dtype != _FLOAT:
        return _beside(a, b), b
    if b.dtype == _FLOAT and a.dtype != _FLOAT:
        return a, _beside(b, a)
    return a, b


def _beside(value: Numbers, whole: Numbers) -> Numbers:
    """Doubles beside whole numbers: ``1e6`` is a million."""
    if not value.ndim:
        return _whole_literal(value)
    return value if _fit_doubles(whole) else _objects(value)


def _whole_literal(value: Numbers) -> Numbers:
    """A single double of a whole value, of 64 bits at most, as a whole number."""
    if value.dtype != _FLOAT or value.ndim or not abs(value) <= _UNSIGNED.max:
        return value
    return number(int(value)) if float(value).is_integer() else value


def _fit_doubles(whole: Numbers) -> bool:
    """Return True if doubles hold the whole numbers exactly."""
    if _is_object(whole):
        return False
    low, high = _range(whole)
    return max(-low, high) <= _EXACT


# Sums and products.  In uint64 they are right modulo 2⁶⁴, so right if the result fits.


def _ring(
    call: Callable[[Any, Any], Any], corners: Callable[[int, int, int, int], list[int]]
) -> Callable[[Any, Any], Any]:
    """A sum, a difference or a product, from the extremes that the operands' extremes give."""

    def computed(first: Any, second: Any) -> Any:
        a, b = _operands(first, second)
        if _is_object(a, b):
            return call(_objects(a), _objects(b))
        if not _is_whole(a, b):
            return call(floats(a), floats(b))
        extremes = corners(*_range(a), *_range(b))
        kind = _whole_type(min(extremes), max(extremes))
        if kind.kind == "O":
            return call(_objects(a), _objects(b))
        return np.asarray(call(a.view(_UINT), b.view(_UINT))).view(kind)

    return computed


add = _ring(np.add, lambda a, A, b, B: [a + b, A + B])
subtract = _ring(np.subtract, lambda a, A, b, B: [a - B, A - b])
multiply = _ring(np.multiply, lambda a, A, b, B: [a * b, a * B, A * b, A * B])


def divide(first: Any, second: Any) -> Any:
    """The quotient, a double."""
    return np.true_divide(floats(first), floats(second))


def _divided(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A quotient or a remainder of whole numbers; by zero it gives what doubles give."""

    def computed(first: Any, second: Any) -> Any:
        a, b = _operands(first, second)
        if a.dtype == _FLOAT or b.dtype == _FLOAT:
            return call(floats(a), floats(b))
        zero = np.asarray(b == 0, dtype=bool)
        if zero.any():
            whole = _whole_division(call, a, choose(zero, 1, b))
            return choose(zero, call(floats(a), 0.0), whole)
        return _whole_division(call, a, b)

    return computed


def _remainder(first: Any, second: Any) -> Any:
    """The remainder with the sign of the first number, as C++ and ROOT have it."""
    a, b = np.asarray(first), np.asarray(second)
    return _remainder_of_objects(a, b) if _is_object(a, b) else np.fmod(a, b)


_remainder_of_objects = np.frompyfunc(
    lambda first, second: (-1 if first < 0 else 1) * (abs(first) % abs(second)), 2, 1
)


def _whole_division(call: Callable[[Any, Any], Any], first: Any, second: Any) -> Any:
    a, b = number(first), number(second)
    if _is_whole(a, b):
        low = _range(a)[0]
        if a.dtype == b.dtype and low > _SIGNED.min:  # whose quotient by −1 does not fit
            return call(a, b)
        if low >= 0 and _range(b)[0] >= 0:
            return call(a.astype(_UINT), b.astype(_UINT))
    return call(_objects(a), _objects(b))


floor_divide = _divided(np.floor_divide)
modulo = _divided(_remainder)


def power(first: Any, second: Any) -> Any:
    """A power: exact for a whole number to a small whole exponent, else a double."""
    a, b = number(first), _whole_literal(number(second))
    rounded = np.float_power(floats(a), floats(b))
    exponent = int(b) if b.ndim == 0 and b.dtype == _INT else -1
    if a.dtype == _FLOAT or not 0 <= exponent <= _MOST_FACTORS or not np.isfinite(rounded).all():
        return rounded
    product: Any = np.ones_like(a)
    for _ in range(exponent):
        product = multiply(product, a)
    return product


def positive(value: Any) -> Any:
    """The number itself."""
    return number(value)


def negative(value: Any) -> Any:
    """The number with the other sign."""
    values = number(value)
    return np.negative(values) if values.dtype == _FLOAT else subtract(0, values)


def absolute(value: Any) -> Any:
    """The absolute value."""
    values = number(value)
    if values.dtype == _FLOAT or (values.dtype == _INT and _range(values)[0] > _SIGNED.min):
        return np.abs(values)
    return choose(less(values, 0), negative(values), values)


def sign(value: Any) -> Any:
    """−1, 0 or 1; NaN for NaN."""
    values = number(value)
    if values.dtype == _FLOAT:
        return np.sign(values)
    signs = choose(less(values, 0), -1, greater(values, 0))
    return signs if _is_whole(values) else choose(values == values, signs, np.nan)


def _rounded(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A whole number nearby; whole numbers stay what they are."""

    def computed(value: Any) -> Any:
        values = number(value)
        if values.dtype == _FLOAT:
            return call(values)
        if _is_whole(values):
            return values
        there = np.asarray(np.isfinite(floats(values)))
        return choose(there, call(np.where(there, values, 0)), values)

    return computed


floor = _rounded(np.floor)
ceil = _rounded(np.ceil)


# Comparisons.


def _compared(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A comparison of values, whatever their types."""

    def computed(first: Any, second: Any) -> Any:
        a, b = _operands(first, second)
        if a.dtype == b.dtype:
            return call(a, b)
        if _is_object(a, b):
            return call(_objects(a), _objects(b))
        if not _is_whole(a, b):  # a fraction and whole numbers: rounding keeps their order
            return call(floats(a), floats(b))
        return call(*_stored_together(a, b))

    return computed


less = _compared(operator.lt)
less_equal = _compared(operator.le)
greater = _compared(operator.gt)
greater_equal = _compared(operator.ge)
equal = _compared(operator.eq)


def not_equal(first: Any, second: Any) -> Any:
    """Difference of two values; unlike ``!=``, false for NaN."""
    return less(first, second) | greater(first, second)


# One of two numbers.


def choose(condition: Any, first: Any, second: Any) -> Numbers:
    """The first number where the condition is true, else the second."""
    a, b = number(first), number(second)
    return np.where(truth(condition), *_stored_together(a, b))


def _stored_together(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """Two kinds of numbers in a type that holds both."""
    if a.dtype == b.dtype:
        return a, b
    if _is_whole(a, b):
        if min(_range(a)[0], _range(b)[0]) >= 0:
            return a.astype(_UINT), b.astype(_UINT)
    elif not _is_object(a, b) and _fit_doubles(a if b.dtype == _FLOAT else b):
        return floats(a), floats(b)
    return _objects(a), _objects(b)


def _extreme(
    compared: Callable[[Any, Any], Any], call: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """The smaller or the larger of two numbers; NaN if one of them is."""

    def computed(first: Any, second: Any) -> Any:
        a, b = _stored_together(number(first), number(second))
        if not _is_object(a, b):
            return call(a, b)
        there = (a == a) & (b == b)  # neither is NaN
        return np.where(there, np.where(compared(a, b), a, b), np.nan)

    return computed


minimum = _extreme(less, np.minimum)
maximum = _extreme(greater, np.maximum)
