"""Selections and weights as text: ``nJets >= 2 & jetPt_0 > 400``.

The text is parsed and allow-listed, never executed.  It means what it means in ROOT's
``TTree::Draw``: ``&&`` and ``&`` are *and*, ``||`` and ``|`` are *or*, ``!`` and ``~`` are *not*,
and all of them bind less than comparisons (``!`` and ``~`` excepted, which bind most);
``condition ? a : b`` binds least.  Python's ``and``, ``or``, ``not`` and
``200 < jetPt_0 < 400`` work, too, and ``jetPt[0]`` is ``jetPt_0``; ``where(condition, a, b)``
is the same as ``condition ? a : b``.
Fractions are computed in double precision, whole numbers exactly (`tfaas_nb.data.arithmetic`):
event numbers of 64 bits compare as integers.  A comparison with something that is not there, such
as the pT of an absent jet (NaN), is false.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data import arithmetic
from tfaas_nb.data.arithmetic import floats, truth
from tfaas_nb.errors import DataError

#: Name → its values, one per event.
Lookup = Callable[[str], Any]

#: Attempts to parse, each of which other threads seldom disturb.
_MOST_TRIES = 100
_LONGEST = 4000
_DEEPEST = 200  # operations in one another: each takes a few calls of Python's stack
_SAME_MEANING = (("&&", " and "), ("||", " or "), ("&", " and "), ("|", " or "), ("!", "~"))
_SIGNS = re.compile(r"&&|\|\||!=|!|&|\||\s|.", re.DOTALL)


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: arithmetic.less,
    ast.LtE: arithmetic.less_equal,
    ast.Gt: arithmetic.greater,
    ast.GtE: arithmetic.greater_equal,
    ast.Eq: arithmetic.equal,
    ast.NotEq: arithmetic.not_equal,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: arithmetic.add,
    ast.Sub: arithmetic.subtract,
    ast.Mult: arithmetic.multiply,
    ast.Div: arithmetic.divide,
    ast.FloorDiv: arithmetic.floor_divide,
    ast.Mod: arithmetic.modulo,
    ast.Pow: arithmetic.power,
}
#: Operators that are not for events, and what was probably meant.
_WRITTEN_OTHERWISE: dict[type[ast.operator], str] = {
    ast.BitXor: "powers are written **",
    ast.RShift: "larger is written >",
    ast.LShift: "smaller is written <",
}
_SIGN: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: arithmetic.positive,
    ast.USub: arithmetic.negative,
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


def _of_doubles(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: call(*map(floats, values))


_FUNCTIONS: dict[str, _Function] = {
    "abs": _Function(arithmetic.absolute),
    "fabs": _Function(arithmetic.absolute),
    "sign": _Function(arithmetic.sign),
    "floor": _Function(arithmetic.floor),
    "ceil": _Function(arithmetic.ceil),
    "min": _Function(_of_several(arithmetic.minimum), 2, 100),
    "max": _Function(_of_several(arithmetic.maximum), 2, 100),
    "pow": _Function(arithmetic.power, 2, 2),
    "where": _Function(arithmetic.choose, 3, 3),
    **{
        name: _Function(_of_doubles(getattr(np, name)))
        for name in (
            *("sqrt", "exp", "log", "log10"),
            *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
        )
    },
    "asin": _Function(_of_doubles(np.arcsin)),
    "acos": _Function(_of_doubles(np.arccos)),
    "atan": _Function(_of_doubles(np.arctan)),
    "arctan2": _Function(_of_doubles(np.arctan2), 2, 2),
    "atan2": _Function(_of_doubles(np.arctan2), 2, 2),
    "hypot": _Function(_of_doubles(np.hypot), 2, 2),
    "isfinite": _Function(_of_doubles(np.isfinite)),
    "isnan": _Function(_of_doubles(np.isnan)),
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
        if "#" in text:  # what follows would be a comment to Python, and be left out
            place = text.index("#")
            raise DataError(_at(text, what, place, place + 1, "not allowed in an expression"))
        try:
            translated, columns = _translated(text)
        except RecursionError:
            raise DataError(f"the {what} {text[:80]!r} cannot be read: too many ?") from None
        if not translated.isascii():
            odd = next(i for i, letter in enumerate(text) if not letter.isascii())
            raise DataError(_at(text, what, odd, odd + 1, "a letter that names cannot have"))
        try:
            tree = _parsed(translated)
            expression = cls(text, what, tree, columns)
            _check_depth(tree)
            expression._check(tree)
        except SyntaxError as error:
            # Python says 0, or one after the last, where something is missing at the end.
            place = min((error.offset or len(translated) + 1) - 1, len(translated))
            why = "it breaks off" if place == len(translated) else error.msg
            if translated[place : place + 1] == "=":
                why = "equal is ==; = gives a value, which an expression does not"
            start = columns[place]
            raise DataError(
                _at(text, what, start, start + 1, f"not an expression ({why})")
            ) from None
        except (RecursionError, MemoryError):
            raise DataError(
                f"the {what} {text[:80]!r} cannot be read: more than {_DEEPEST} operations are in "
                "one another; make it shorter"
            ) from None
        except ValueError as error:
            raise DataError(f"the {what} {text[:80]!r} cannot be read: {error}") from None
        return expression

    @property
    def names(self) -> tuple[str, ...]:
        """The names in it, each once."""
        return tuple(dict.fromkeys(name for name, _ in self._named()))

    def unknown(self, name: str, why: str) -> DataError:
        """Return the error for a name in it, with the name marked in the text."""
        node = next(node for found, node in self._named() if found == name)
        return self._error(node, why)

    def is_condition(self, name: str) -> bool:
        """Return True if a name is used as a condition (true or false) wherever it stands."""
        return all(self._uses(self._tree, name, self.what == "selection"))

    def _uses(self, node: ast.expr, name: str, condition: bool) -> Iterator[bool]:
        """Yield for each place of a name if a condition stands there."""
        if written := _written(node):
            if written == name:
                yield condition
            return
        joins = isinstance(node, ast.BoolOp)
        negates = isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.Invert))
        chooses = isinstance(node, ast.Call) and _written(node.func) == "where"
        for place, part in enumerate(self._parts(node)):
            yield from self._uses(part, name, joins or negates or (chooses and not place))

    @property
    def constant(self) -> float | None:
        """The value of an expression without any name; None if there is one."""
        return self._constant(self._tree)

    def multiple_of(self, name: str) -> float | None:
        """The constant c of an expression that is c times a name, in any spelling.

        Returns
        -------
        float or None
            −0.5 of ``-genWeight / 2``, 1 of ``(genWeight)``; None if the expression is
            anything else, such as ``genWeight * puWeight``.
        """
        return self._factor(self._tree, name)

    def _factor(self, node: ast.expr, name: str) -> float | None:
        match node:
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=part):
                factor = self._factor(part, name)
                return None if factor is None else float(_SIGN[type(sign)](factor))
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                factor = self._scaled(left, right, name)
                return self._scaled(right, left, name) if factor is None else factor
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._scaled(right, left, name, arithmetic.divide)
        return 1.0 if _written(node) == name else None

    def _scaled(
        self,
        constant: ast.expr,
        node: ast.expr,
        name: str,
        call: Callable[[Any, Any], Any] = arithmetic.multiply,
    ) -> float | None:
        value, factor = self._constant(constant), self._factor(node, name)
        if value is None or factor is None:
            return None
        with np.errstate(all="ignore"):  # infinite, which is refused where it is a weight
            return float(call(factor, value))

    def _constant(self, node: ast.expr) -> float | None:
        return None if self._named(node) else float(floats(self._value(_no_names, node)))

    def mask(self, lookup: Lookup, events: int) -> npt.NDArray[np.bool_]:
        """Mask of the events that fulfil it, bool of shape (events,); 0 and NaN do not.

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
        return np.array(np.broadcast_to(truth(self._value(lookup)), (events,)))

    def values(self, lookup: Lookup, events: int) -> npt.NDArray[np.float64]:
        """Compute the value for each event, float64 of shape (events,); see `mask`."""
        return np.array(np.broadcast_to(floats(self._value(lookup)), (events,)))

    def _value(self, lookup: Lookup, node: ast.expr | None = None) -> Any:
        try:
            with np.errstate(all="ignore"):  # 1/0 is infinite, log(-1) NaN: compared, or refused
                return self._evaluate(node or self._tree, lookup)
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
                return _CONSTANTS[name] if name in _CONSTANTS else lookup(name)
            case ast.BoolOp(op=op, values=parts):
                joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return _of_several(joined)(*(truth(of(part)) for part in parts))
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=part):
                return np.logical_not(truth(of(part)))
            case ast.UnaryOp(op=sign, operand=part):
                return _SIGN[type(sign)](of(part))
            case ast.BinOp(left=left, op=op, right=right):
                return _ARITHMETIC[type(op)](of(left), of(right))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                sides = [of(side) for side in (left, *rights)]
                pairs = zip(ops, sides[:-1], sides[1:], strict=True)
                return _of_several(np.logical_and)(
                    *(_COMPARISONS[type(o)](a, b) for o, a, b in pairs)
                )
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return _FUNCTIONS[name].call(*map(of, arguments))
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
            several = function.most > function.least
            takes = f"{function.least} or more" if several else str(function.least)
            raise self._error(node, f"{name} takes {takes} values, not {given}")

    def _named(self, node: ast.expr | None = None) -> list[tuple[str, ast.expr]]:
        """The names in it and where they stand, from left to right."""
        found, left = [], [node or self._tree]
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


#: A piece of the text in Python's words, and its place in the original.
_Piece = tuple[str, int]


def _translated(text: str) -> tuple[str, tuple[int, ...]]:
    """The text in Python's words, and for each of its characters the place in the original."""
    meaning = dict(_SAME_MEANING)
    pieces: list[_Piece] = []
    for match in _SIGNS.finditer(text):
        sign = match[0]
        python = " " if sign.isspace() else meaning.get(sign, sign)
        if not pieces and python == " ":
            continue  # leading space is an indentation to Python
        pieces.append((python, match.start()))
    if "?" in text:
        pieces = _with_choices(pieces)
    columns = (place for python, place in pieces for _ in python)
    return "".join(python for python, _ in pieces), (*columns, len(text))


def _with_choices(pieces: list[_Piece]) -> list[_Piece]:
    """Replace each ``c ? a : b``, which ends at a comma or bracket, by ``where(c, a, b)``.

    What is no such choice stays as it is, for Python to refuse.
    """
    made: list[_Piece] = []
    part: list[_Piece] = []
    left = iter(pieces)
    for piece in left:
        if piece[0] in "([":
            inside, end = _bracket(left)
            part += [piece, *_with_choices(inside), *end]
        elif piece[0] == ",":
            made += [*_choice(part), piece]
            part = []
        else:
            part.append(piece)
    return made + _choice(part)


def _bracket(left: Iterator[_Piece]) -> tuple[list[_Piece], list[_Piece]]:
    """The pieces up to the bracket that closes one just opened, and that bracket."""
    inside: list[_Piece] = []
    depth = 1
    for piece in left:
        depth += (piece[0] in "([") - (piece[0] in ")]")
        if not depth:
            return inside, [piece]
        inside.append(piece)
    return inside, []


def _choice(part: list[_Piece]) -> list[_Piece]:
    """Replace ``c ? a : b`` in pieces without a comma; brackets in them are done already."""
    signs = _outside(part, "?:")
    if not signs or part[signs[0]][0] != "?":
        return part
    first, open_choices = signs[0], 0
    for at in signs:
        open_choices += 1 if part[at][0] == "?" else -1
        if not open_choices:
            condition, one, other = part[:first], part[first + 1 : at], part[at + 1 :]
            if any(all(python == " " for python, _ in side) for side in (condition, one, other)):
                return part
            opening = ("where(", condition[0][1])
            one, other = _choice(one), _choice(other)
            comma, colon = (",", part[first][1]), (",", part[at][1])
            return [opening, *condition, comma, *one, colon, *other, (")", part[-1][1])]
    return part


def _outside(part: list[_Piece], signs: str) -> list[int]:
    """Positions of signs that stand in no bracket."""
    found, depth = [], 0
    for i, (python, _) in enumerate(part):
        depth += python.count("(") - python.count(")") + (python == "[") - (python == "]")
        if python in signs and not depth:
            found.append(i)
    return found


def _parsed(text: str) -> ast.expr:
    """Parse a Python expression, once more where another thread parsed at that moment.

    Before Python 3.13 the parsers of all threads count their depth in one place, and fail with a
    SystemError when they have disturbed each other.
    """
    for _ in range(_MOST_TRIES):
        with suppress(SystemError):
            return ast.parse(text, mode="eval").body
    return ast.parse(text, mode="eval").body


def _check_depth(tree: ast.expr) -> None:
    """Raise a `RecursionError` for a tree that is deeper than may be computed."""
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [
            part
            for node in level
            for part in ast.iter_child_nodes(node)
            if isinstance(part, ast.expr)
        ]
        if not level:
            return
    raise RecursionError


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
    """A number, as it was written, if a double can be as large."""
    float(value)
    return value


def _no_names(name: str) -> Any:
    raise AssertionError(f"{name} is no constant")
