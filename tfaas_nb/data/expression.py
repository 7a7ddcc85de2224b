"""Selections and weights as text: ``nJets >= 2 & jetPt_0 > 400``.

The text is parsed and allow-listed, never executed.  It means what it means in ROOT's
``TTree::Draw``: ``&&`` and ``&`` are *and*, ``||`` and ``|`` are *or*, ``!`` and ``~`` are *not*,
and all of them bind less than comparisons (``!`` and ``~`` excepted, which bind most); Python's
``and``, ``or``, ``not`` and ``200 < jetPt_0 < 400`` work, too, and ``jetPt[0]`` is ``jetPt_0``.
Numbers are computed in double
precision.  A comparison with something that is not there, such as the pT of an absent jet (NaN),
is false.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError

#: Name → its values, one per event.
Lookup = Callable[[str], Any]

_LONGEST = 4000
_INT64 = int(np.iinfo(np.int64).max)
_SAME_MEANING = (("&&", " and "), ("||", " or "), ("&", " and "), ("|", " or "), ("!", "~"))
_SIGNS = re.compile(r"&&|\|\||!=|!|&|\||\s|.", re.DOTALL)


def _not_equal(left: Any, right: Any) -> Any:
    return (left < right) | (left > right)  # unlike !=, false for NaN


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: _not_equal,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.float_power,
}
#: Operators that are not for events, and what was probably meant.
_WRITTEN_OTHERWISE: dict[type[ast.operator], str] = {
    ast.BitXor: "powers are written **",
    ast.RShift: "larger is written >",
    ast.LShift: "smaller is written <",
}
_SIGN: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: np.positive,
    ast.USub: np.negative,
}


@dataclass(frozen=True)
class _Function:
    call: Callable[..., Any]
    least: int = 1
    most: int = 1


def _of_several(pick: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def picked(first: Any, *others: Any) -> Any:
        for other in others:
            first = pick(first, other)
        return first

    return picked


_FUNCTIONS: dict[str, _Function] = {
    **{
        name: _Function(getattr(np, name))
        for name in (
            *("abs", "sqrt", "exp", "log", "log10", "floor", "ceil"),
            *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
        )
    },
    "asin": _Function(np.arcsin),
    "acos": _Function(np.arccos),
    "atan": _Function(np.arctan),
    "fabs": _Function(np.abs),
    "arctan2": _Function(np.arctan2, 2, 2),
    "atan2": _Function(np.arctan2, 2, 2),
    "hypot": _Function(np.hypot, 2, 2),
    "pow": _Function(np.float_power, 2, 2),
    "min": _Function(_of_several(np.minimum), 2, 100),
    "max": _Function(_of_several(np.maximum), 2, 100),
}
_CONSTANTS = {"pi": math.pi}

#: What may be called.
FUNCTIONS = tuple(_FUNCTIONS)


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes
    ----------
    text : str
        As it was given.
    what : str
        What it is for, as errors call it: ``"selection"`` or ``"weight"``.
    """

    text: str
    what: str
    _tree: ast.expr = field(repr=False, compare=False)
    _columns: tuple[int, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, what: str = "selection") -> Expression:
        """Read an expression.

        Raises
        ------
        DataError
            If it is not one; the message shows the place.
        """
        if len(text) > _LONGEST:
            raise DataError(f"the {what} is longer than {_LONGEST} characters")
        translated, columns = _translated(text)
        if not translated.isascii():
            odd = next(i for i, letter in enumerate(text) if not letter.isascii())
            raise DataError(_at(text, what, odd, odd + 1, "a letter that names cannot have"))
        try:
            tree = ast.parse(translated, mode="eval").body
            expression = cls(text, what, tree, columns)
            expression._check(tree)
        except SyntaxError as error:
            # Python says 0, or one after the last, where something is missing at the end.
            place = min((error.offset or len(translated) + 1) - 1, len(translated))
            why = "it breaks off" if place == len(translated) else error.msg
            start = columns[place]
            raise DataError(
                _at(text, what, start, start + 1, f"not an expression ({why})")
            ) from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise DataError(f"the {what} {text[:80]!r} cannot be read: {error}") from None
        return expression

    @property
    def names(self) -> tuple[str, ...]:
        """The names in it, each once."""
        return tuple(dict.fromkeys(name for name, _ in self._named()))

    def unknown(self, name: str, why: str) -> DataError:
        """The error that a name in it deserves."""
        node = next(node for found, node in self._named() if found == name)
        return self._error(node, why)

    def mask(self, lookup: Lookup, events: int) -> npt.NDArray[np.bool_]:
        """Which events fulfil it, bool of shape (events,); a number does unless it is zero.

        Parameters
        ----------
        lookup : callable
            Name → values of all events.
        events : int
            How many there are.

        Raises
        ------
        DataError
            If it cannot be computed.
        """
        return np.array(np.broadcast_to(_truth(self._value(lookup)), (events,)))

    def values(self, lookup: Lookup, events: int) -> npt.NDArray[np.float64]:
        """Its value for each event, float64 of shape (events,); see `mask`."""
        return np.array(np.broadcast_to(self._value(lookup), (events,)), dtype=np.float64)

    def _value(self, lookup: Lookup) -> Any:
        try:
            with np.errstate(all="ignore"):  # 1/0 is infinite, log(-1) NaN: compared, or refused
                return self._evaluate(self._tree, lookup)
        except (TypeError, OverflowError, ValueError) as error:
            raise DataError(f"the {self.what} {self.text!r} cannot be computed: {error}") from error

    def _evaluate(self, node: ast.expr, lookup: Lookup) -> Any:
        def of(part: ast.expr) -> Any:
            return self._evaluate(part, lookup)

        match node:
            case ast.Constant(value=value):
                return _literal(value)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                name = _written(node)
                return _CONSTANTS[name] if name in _CONSTANTS else _wide(lookup(name))
            case ast.BoolOp(op=op, values=parts):
                joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return _of_several(joined)(*(_truth(of(part)) for part in parts))
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=part):
                return np.logical_not(_truth(of(part)))
            case ast.UnaryOp(op=sign, operand=part):
                return _SIGN[type(sign)](_number(of(part)))
            case ast.BinOp(left=left, op=op, right=right):
                return _ARITHMETIC[type(op)](_number(of(left)), _number(of(right)))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                sides = [_number(of(side)) for side in (left, *rights)]
                pairs = zip(ops, sides[:-1], sides[1:], strict=True)
                return _of_several(np.logical_and)(
                    *(_COMPARISONS[type(o)](a, b) for o, a, b in pairs)
                )
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return _FUNCTIONS[name].call(*(_number(of(one)) for one in arguments))
        raise AssertionError(f"{type(node).__name__} was let through")

    def _check(self, node: ast.expr) -> None:
        """Let through what `_evaluate` knows, and nothing else."""
        for part in self._parts(node):
            self._check(part)

    def _parts(self, node: ast.expr) -> list[ast.expr]:
        match node:
            case ast.Constant(value=bool() | int() | float()):
                return []
            case ast.Name() | ast.Attribute() | ast.Subscript() if _written(node):
                return []
            case ast.BoolOp(values=parts):
                return parts
            case ast.UnaryOp(operand=part):
                return [part]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return [left, right]
            case ast.Compare(ops=ops) if all(type(op) in _COMPARISONS for op in ops):
                return [node.left, *node.comparators]
            case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]):
                self._check_call(node, name, len(parts))
                return parts
        hint = _WRITTEN_OTHERWISE.get(type(node.op)) if isinstance(node, ast.BinOp) else None
        raise self._error(node, "; ".join(filter(None, ["not allowed in an expression", hint])))

    def _check_call(self, node: ast.expr, name: str, given: int) -> None:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise self._error(
                node, f"there is no function {name!r}; there are {', '.join(FUNCTIONS)}"
            )
        if not function.least <= given <= function.most:
            takes = "2 or more" if function.most > 2 else str(function.least)
            raise self._error(node, f"{name} takes {takes} values, not {given}")

    def _named(self) -> list[tuple[str, ast.expr]]:
        """The names in it and where they stand, from left to right."""
        found, left = [], [self._tree]
        while left:
            node = left.pop()
            if name := _written(node):
                found.append((name, node))
            else:
                left += reversed(self._parts(node))
        return [(name, node) for name, node in found if name not in _CONSTANTS]

    def _error(self, node: ast.expr, why: str) -> DataError:
        start = self._columns[node.col_offset]
        stop = self._columns[(node.end_col_offset or node.col_offset + 1) - 1] + 1
        return DataError(_at(self.text, self.what, start, stop, why))


def _translated(text: str) -> tuple[str, tuple[int, ...]]:
    """The text in Python's words, and for each of its characters the place in the original."""
    meaning = dict(_SAME_MEANING)
    written, columns = "", []
    for match in _SIGNS.finditer(text):
        sign = match[0]
        python = " " if sign.isspace() else meaning.get(sign, sign)
        if not written and python == " ":
            continue  # leading space is an indentation to Python
        written += python
        columns += [match.start()] * len(python)
    return written, (*columns, len(text))


def _at(text: str, what: str, start: int, stop: int, why: str) -> str:
    marked = f"{text[:start]}»{text[start:stop]}«{text[stop:]}"
    return f"in the {what} {marked}, at character {start + 1}: {why}"


def _written(node: ast.expr) -> str:
    """The name that ``a``, ``a.b`` or ``a[0]`` (which is ``a_0``) is; empty if it is none."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name) if before := _written(value):
            return f"{before}.{name}"
        case ast.Subscript(value=value, slice=ast.Constant(value=int(number))) if (
            before := _written(value)
        ):
            return f"{before}_{number}"
    return ""


def _literal(value: Any) -> Any:
    """A number as NumPy can hold it: NumPy 1 would go on with Python's integers, 2 refuses them."""
    return float(value) if isinstance(value, int) and value > _INT64 else value


def _wide(values: Any) -> Any:
    """Integers as int64, fractions as float64: no sum overflows, no difference turns around."""
    values = np.asarray(values)
    if values.dtype.kind == "f":
        return values.astype(np.float64, copy=False)
    if values.dtype == np.uint64 and values.size and values.max() > np.iinfo(np.int64).max:
        return values.astype(np.float64)
    return values if values.dtype.kind == "b" else values.astype(np.int64, copy=False)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return value.astype(np.int64)
    return int(value) if isinstance(value, np.bool_) else value


def _truth(value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return array
    return (array != 0) & ~np.isnan(array) if array.dtype.kind == "f" else array != 0
