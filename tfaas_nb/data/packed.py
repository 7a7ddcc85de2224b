"""ROOT's packed numbers, ``Double32_t`` and ``Float16_t``, read as ROOT reads them.

They are stored as full floats, as integers that divide a range, or as floats of fewer bits of
mantissa; the last bracket of a title says which: ``jetPt[nJets]/d[0,3000,16]``.  uproot takes the
length of an array for that bracket.  Definition: ROOT's ``TStreamerElement.cxx`` (``GetRange``),
``TBufferFile.cxx`` (``WriteDouble32``, ``ReadWithFactor``, ``ReadWithNbits``), ``TLeafD32.cxx``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype

_NAMES = {"TLeafD32": "Double32_t", "TLeafF16": "Float16_t", 9: "Double32_t", 19: "Float16_t"}
#: ROOT's codes of types: one number, an array of fixed length (+20), one of variable length (+40).
_CODES = 20
_VARIABLE = 2
#: Bytes before the numbers of an event: of a C array of variable length, and of a container.
_ARRAY_HEADER, _CONTAINER_HEADER = 1, 10
_CONTAINER = re.compile(
    r"(?:vector|list|deque|forward_list|(?:unordered_)?(?:multi)?set|ROOT::(?:VecOps::)?RVec)"
    r"<(Double32_t|Float16_t)>"
)
_BRACKET = re.compile(r"\[([^\]]*)\]")
_LEAF_RANGE = re.compile(r"(?:^|/)[df](\[.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:0x[\da-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)")
_WHOLE = re.compile(r"\s*([+-]?\d+)")
#: ROOT's words for π, those that hold others first.
_PI = {"2pi": 2.0, "2*pi": 2.0, "twopi": 2.0, "pi/2": 0.5, "pi/4": 0.25, "pi": 1.0}
_FEWEST_BITS, _MOST_BITS = 2, 32
_MANTISSA = 23
#: Bits of a mantissa that ROOT stores in 16 bits, with the carry and the sign; and its default.
_MOST_STORED, _HALF = 14, 12
_BYTES_OF_FLOAT = np.dtype([("exponent", ">u1"), ("mantissa", ">u2")])


@dataclass(frozen=True)
class Packing:
    """Encoding of packed numbers: integers of a range, or floats of a shorter mantissa.

    Attributes
    ----------
    factor : float
        Integers per unit of a range; 0 without a range.
    low : float
        Beginning of the range; without one the bits of the mantissa, 0 for full floats.
    """

    factor: float = 0.0
    low: float = 0.0

    @property
    def bits(self) -> int:
        """Bits of the mantissa; 0 for full floats."""
        return int(self.low) if math.isfinite(self.low) else -1


def packing(title: str) -> Packing:
    """The packing that a title asks for, read as ROOT's ``GetRange`` does.

    Parameters
    ----------
    title : str
        Title of a class member: ``[-pi,pi,12]``, ``[n][0,3000,16]``, ``energy [GeV] [0,0,10]``.
        The first bracket counts if it holds a comma, else the second.
    """
    brackets = _BRACKET.findall(title[title.find("[") :])[:2] if "[" in title else []
    spec = next((text for text in brackets if "," in text), "")
    if not spec or (brackets and "," not in brackets[0] and spec is not brackets[-1]):
        return Packing()
    low, high, *rest = spec.split(",")
    bits = _bits(rest[0]) if rest else _MOST_BITS
    xmin, xmax = _bound(low), _bound(high)
    if xmin < xmax:
        steps = float((1 << bits) if bits < _MOST_BITS else (1 << bits) - 1)
        return Packing(steps / (xmax - xmin), xmin)
    return Packing(0.0, bits + 0.1 if bits <= _MOST_STORED else xmin)


def _bits(text: str) -> int:
    match = _WHOLE.match(text)
    bits = int(match[1]) if match else _MOST_BITS
    return bits if _FEWEST_BITS <= bits <= _MOST_BITS else _MOST_BITS


def _bound(text: str) -> float:
    text = text.lower().replace(" ", "")
    for word, share in _PI.items():
        if word in text:
            return -share * math.pi if "-" in text else share * math.pi
    match = _NUMBER.match(text)
    if match is None:
        return float(text) if text.lstrip("+-") in ("inf", "infinity", "nan") else 0.0
    return float(int(match[0], 16)) if "0x" in match[0] else float(match[0])


def interpretation(branch: Any) -> Any:
    """Return uproot's interpretation of a branch; our own for packed numbers.

    Parameters
    ----------
    branch : uproot.TBranch
        A branch of a TTree.

    Raises
    ------
    ValueError
        If it holds packed numbers, and the title asks for what ROOT cannot read either, or is not
        known.
    """
    packed = _packed(branch)
    return branch.interpretation if packed is None else packed


def _packed(branch: Any) -> Any:
    """Packed numbers as uproot is to take them; None if the branch holds others."""
    leaves = branch.member("fLeaves")
    if len(leaves) != 1:
        return None
    leaf = leaves[0]
    if leaf.classname in _NAMES:
        return _of_leaf(leaf)
    if leaf.classname != "TLeafElement":
        return None
    kind, code = divmod(int(leaf.member("fType")), _CODES)
    if code in (9, 19) and 0 <= kind <= _VARIABLE:
        return _of_member(branch, leaf, _NAMES[code], kind == _VARIABLE)
    return _of_container(branch)


def _of_leaf(leaf: Any) -> Any:
    match = _LEAF_RANGE.search(leaf.member("fTitle"))
    content = _Packed(_NAMES[leaf.classname], packing(match[1] if match else ""), _shape(leaf))
    return content if leaf.member("fLeafCount") is None else AsJagged(content)


def _of_member(branch: Any, leaf: Any, name: str, is_variable: bool) -> Any:
    streamer = branch.streamer
    if streamer is None:
        raise ValueError(f"it holds packed numbers ({name}), and the file does not say how")
    content = _Packed(name, packing(streamer.title or ""), _shape(leaf))
    if is_variable:
        return AsJagged(content, header_bytes=_ARRAY_HEADER)
    return content if leaf.member("fLeafCount") is None else AsJagged(content)


def _of_container(branch: Any) -> Any:
    """Return the interpretation of ``std::vector<Double32_t>`` and the like, without a range."""
    if len(branch.branches) or branch.member("fLeaves")[0].member("fLeafCount") is not None:
        return None
    if branch.top_level:
        name = branch.member("fClassName", none_if_missing=True)
    else:
        name = branch.streamer.typename if branch.streamer is not None else None
    match = _CONTAINER.fullmatch((name or "").replace(" ", "").replace("std::", ""))
    if match is None:
        return None
    content = _Packed(match[1], Packing(), ())
    return AsJagged(content, _CONTAINER_HEADER, typename=f"std::{match[0]}")


def _shape(leaf: Any) -> tuple[int, ...]:
    """The lengths of a fixed array in each event, or in each element of a list."""
    length = int(leaf.member("fLen"))
    name = leaf.member("fTitle").partition("/")[0]
    shape = tuple(int(text) for text in _BRACKET.findall(name) if text.isdigit())
    if math.prod(shape) == length:
        return shape
    return (length,) if length > 1 else ()


class _Packed(AsDtype):  # type: ignore[misc]
    """uproot's view of packed numbers."""

    def __init__(self, name: str, how: Packing, shape: tuple[int, ...]) -> None:
        self._name, self._shape = name, shape
        self._factor, self._low = how.factor, how.low
        self._bits = 0 if how.factor else how.bits or (_HALF if name == "Float16_t" else 0)
        if not 0 <= self._bits <= _MOST_STORED:
            raise ValueError(
                f"it holds packed numbers ({name}) of a mantissa of {self._bits} bits; "
                f"ROOT stores from {_FEWEST_BITS} to {_MOST_STORED}"
            )
        super().__init__((self._stored, shape), (self._unpacked, shape))

    @property
    def _stored(self) -> npt.DTypeLike:
        if self._factor:
            return ">u4"
        return _BYTES_OF_FLOAT if self._bits else ">f4"

    @property
    def _unpacked(self) -> str:
        return "f4" if self._name == "Float16_t" else "f8"

    @property
    def typename(self) -> str:
        """The C++ type."""
        return self._name + "".join(f"[{length}]" for length in self._shape)

    @property
    def cache_key(self) -> str:
        """Key that distinguishes it from other interpretations."""
        return f"{self.typename}({self._factor!r},{self._low!r},{self._bits})"

    def basket_array(self, data: Any, *args: Any, **options: Any) -> Any:
        """The numbers of a basket."""
        return self._numbers(super().basket_array(data, *args, **options))

    def _numbers(self, raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._factor:
            return (raw / self._factor + self._low).astype(self._unpacked)
        if not self._bits:
            return raw
        mantissa = raw["mantissa"].astype(np.uint32)
        word = raw["exponent"].astype(np.uint32) << _MANTISSA
        word |= (mantissa & ((2 << self._bits) - 1)) << (_MANTISSA - self._bits)
        word |= (mantissa >> (self._bits + 1) & 1) << 31
        return word.view(np.float32).astype(self._unpacked)
