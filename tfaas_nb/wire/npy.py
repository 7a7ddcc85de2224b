"""Arrays in NumPy's ``.npy`` format, read as views of the bytes that came.

Source: the format's definition, `numpy.lib.format`.  NumPy's own readers copy an array of several
fields in pieces, warn of odd headers, and parse the header with `ast`: two threads of one process
that do so at a time can fail with "AST constructor recursion depth mismatch" (CPython before 3.13),
the reader here or the parser of a cell there.  The header is therefore read without `ast`.
"""

from __future__ import annotations

import io
import math
import re
import reprlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from tfaas_nb.errors import RequestError

_MOST_HEADER = 256 * 1024
#: Version of a .npy array → the format of its header's length, and the header's encoding.
_HEADERS = {(1, 0): ("<H", "latin-1"), (2, 0): ("<I", "latin-1"), (3, 0): ("<I", "utf-8")}
_ESCAPE = r"\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
#: A header is written of brackets, numbers, truths, and names in quotes; Python 2's numbers may
#: end in L, its names begin with u.
_TOKEN = re.compile(
    rf"""\s*(?:([\[\](){{}},:]|True\b|False\b|0[xX][0-9a-fA-F_]{{1,16}}\b|[0-9][0-9_]{{0,17}}L?\b|"""
    rf"""[uU]?'(?:[^'\\]|{_ESCAPE})*'|[uU]?"(?:[^"\\]|{_ESCAPE})*")|$)"""
)
_NO_HEADER = "its header is none"
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_ESCAPED = re.compile(_ESCAPE)
_LETTERS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
#: Types by their letter and size, and by their name: nothing that NumPy would parse as a text,
#: or would warn of, as of ``a``, its old letter of bytes.
_TYPE = re.compile(
    r"[<>|=]?[b-zA-Z?][0-9]{0,9}(\[[0-9a-zA-Z]{1,20}\])?|"
    r"(u?int(8|16|32|64)?|float(16|32|64)?|complex(64|128)?|bool|half|single|double)"
)


def array_in(body: bytes, what: str) -> npt.NDArray[Any]:
    """The array in a ``.npy`` file, a view of its bytes.

    Parameters
    ----------
    body : bytes
        The file's content.
    what : str
        Subject of the error: "body", "answer".

    Raises
    ------
    RequestError
        If it is no such array, or something is left after it.
    """
    stream = io.BytesIO(body)
    try:
        shape, fortran_order, dtype = _header(stream)
        array = np.frombuffer(body, dtype, math.prod(shape), stream.tell())
        whole = array.reshape(shape, order="F" if fortran_order else "C")
    except ValueError as error:
        raise RequestError(f"the {what} is not a .npy array: {error}") from error
    except Exception as error:  # a stranger's header fails in a dozen other ways
        raise RequestError(f"the {what} is not a .npy array: {_NO_HEADER}") from error
    left = len(body) - stream.tell() - array.nbytes
    if left:
        raise RequestError(f"{left} bytes are left after the .npy array")
    return whole


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of the array that follows."""
    version = npy.read_magic(stream)
    size, encoding = _HEADERS[version]
    (length,) = struct.unpack(size, stream.read(struct.calcsize(size)))
    if length > _MOST_HEADER:
        raise ValueError(f"its header has {length} bytes, more than {_MOST_HEADER}")
    header = _literal(stream.read(length).decode(encoding))
    shape, fortran_order = _shape(header["shape"]), header["fortran_order"]
    if type(fortran_order) is not bool:
        raise ValueError(f"its fortran_order is {reprlib.repr(fortran_order)}")
    return shape, fortran_order, _dtype(header["descr"])


def _dtype(description: Any) -> np.dtype[Any]:
    """The type of an array's elements: one of NumPy's, or a name with one for each field."""
    _check_type(description)
    try:
        return npy.descr_to_dtype(description)
    except TypeError as error:
        raise ValueError(f"its type is {reprlib.repr(description)}") from error


def _check_type(description: Any) -> None:
    """Refuse what describes no type, before NumPy looks at it."""
    if isinstance(description, list):
        for field in description:
            _check_field(field)
    elif isinstance(description, tuple):
        one, lengths = description
        _check_type(one)
        _check_lengths(lengths)
    elif not (isinstance(description, str) and _TYPE.fullmatch(description)):
        raise ValueError(f"its type is {reprlib.repr(description)}")


def _check_field(field: Any) -> None:
    """Refuse what is not a name, perhaps with a title before it, a type, and perhaps a shape."""
    name, one, *lengths = field
    names = name if isinstance(name, tuple) and len(name) == 2 else (name,)
    if len(lengths) > 1 or not all(isinstance(text, str) for text in names):
        raise ValueError(f"the field {reprlib.repr(name)} is not described")
    _check_type(one)
    for of_field in lengths:
        _check_lengths(of_field)


def _check_lengths(lengths: Any) -> None:
    _shape(lengths if isinstance(lengths, tuple) else (lengths,))


def _shape(lengths: Any) -> tuple[int, ...]:
    if type(lengths) is not tuple or not set(map(type, lengths)) <= {int}:
        raise ValueError(f"its shape is {reprlib.repr(lengths)}")
    return lengths


# --- a header's text --------------------------------------------------------------------


def _literal(text: str) -> Any:
    """The value of a Python literal of brackets, numbers, truths and names in quotes."""
    tokens, end = [], 0
    while match := _TOKEN.match(text, end):
        if match[1] is None:
            break
        tokens.append(match[1])
        end = match.end()
    if match is None or not tokens:
        raise ValueError(_NO_HEADER)
    value, used = _value([*tokens, ""], 0)
    if used != len(tokens):
        raise ValueError(_NO_HEADER)
    return value


def _value(tokens: Sequence[str], at: int) -> tuple[Any, int]:
    """The value that begins at a token, and the position after it."""
    token = tokens[at]
    if token in _CLOSING:
        return _collection(tokens, at)
    if token[-1:] in ("'", '"'):
        return _ESCAPED.sub(_letter, token.lstrip("uU")[1:-1]), at + 1
    if token in ("True", "False"):
        return token == "True", at + 1
    if not token[:1].isdecimal():
        raise ValueError(_NO_HEADER)
    return int(token.removesuffix("L"), 0), at + 1


def _collection(tokens: Sequence[str], at: int) -> tuple[Any, int]:
    """The tuple, list or mapping whose bracket stands at a token, and the position after it."""
    opening, closing, has_comma = tokens[at], _CLOSING[tokens[at]], True
    values: list[Any] = []
    at += 1
    while tokens[at] != closing:
        if not has_comma:
            raise ValueError(_NO_HEADER)
        value, at = _value(tokens, at)
        if opening == "{":
            if tokens[at] != ":":
                raise ValueError(_NO_HEADER)
            of_key, at = _value(tokens, at + 1)
            value = (value, of_key)
        values.append(value)
        has_comma = tokens[at] == ","
        at += has_comma
    if opening == "(":
        return (values[0] if len(values) == 1 and not has_comma else tuple(values)), at + 1
    return (dict(values) if opening == "{" else values), at + 1


def _letter(escape: re.Match[str]) -> str:
    """The letter that an escape of Python's stands for."""
    kind, digits = escape[0][1], escape[0][2:]
    return chr(int(digits, 16)) if digits else _LETTERS.get(kind, kind)
