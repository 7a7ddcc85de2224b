"""Snapshots of RDataFrame with systematic variations: which rows are events of what is read.

A snapshot with ``fIncludeVariations`` has a row for each event that passes in the nominal case or
in any variation; a bit of its columns ``R_rdf_mask_*`` tells in which.  A row whose bit is not
set is no event of that case: ROOT left its varied values at zero.  Definition: ROOT's
``RDFSnapshotHelpers.cxx`` (``SnapshotOutputWriter``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError

_MASK = re.compile(r"R_rdf_mask_(.+)_(\d+)")
_MAPPING = "R_rdf_column_to_bitmask_mapping_"
_MASK_BYTES = re.compile(rb"R_rdf_mask_[\x20-\x7e]+_\d+")
#: Bytes of a number, and a short string's longest length, after which four bytes tell it.
_WORD, _SHORT_STRING = 4, 254
#: Bits of ROOT's count of bytes that are the count.
_SIZE = 0x3FFFFFFF
NOMINAL = "nominal"
#: A varied column is called as its own, two underscores, and the variation.
_BETWEEN = "__"


@dataclass(frozen=True)
class Bit:
    """A bit of a column of masks.

    Attributes
    ----------
    mask : str
        The column.
    number : int
        The bit, from 0 for the least.
    """

    mask: str
    number: int


@dataclass(frozen=True)
class Variations:
    """The variations of a snapshot.

    Attributes
    ----------
    nominal : Bit
        The bit of rows that are events of the nominal case.
    bits : mapping
        Varied column → the bit of rows that are events of its variation.
    varied : frozenset of str
        Columns of the nominal case that variations change.
    unknown : frozenset of str
        Columns that look varied, if the file does not say whose bit is which.
    """

    nominal: Bit
    bits: Mapping[str, Bit] = field(default_factory=dict)
    varied: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def required(self, columns: Iterable[str]) -> dict[Bit, str]:
        """The bits that rows must have to be events of what is read: bit → the case.

        Columns that no variation changes are of every case; if only these are read, it is the
        nominal one.

        Raises
        ------
        DataError
            If the file does not say which bit is a column's.
        """
        read = set(columns)
        if unknown := sorted(self.unknown & read):
            raise DataError(
                f"branch {unknown[0]!r} is of a systematic variation, and the file does not say "
                f"which of its rows are events: it has no {_MAPPING}*, which RDataFrame writes"
            )
        cases = {self.bits[name]: _variation(name, self.varied) for name in read & set(self.bits)}
        if not cases or not self.varied.isdisjoint(read):
            cases = {self.nominal: NOMINAL, **cases}
        return cases


def variations(file: Any, branches: Collection[str]) -> Variations | None:
    """The variations of a tree; None if it is no snapshot with variations.

    Parameters
    ----------
    file : uproot.ReadOnlyDirectory
        The file; beside the tree it says which bit is whose.
    branches : collection of str
        All branches of the tree.
    """
    masks = sorted(filter(None, map(_MASK.fullmatch, branches)), key=lambda match: int(match[2]))
    if not masks:
        return None
    nominal = Bit(masks[0][0], 0)
    bits = _bits(file, masks[0][1])
    if bits is None:
        return Variations(nominal, unknown=frozenset(_looking_varied(branches)))
    plain = frozenset(name for name, bit in bits.items() if bit == nominal)
    others = {name: bit for name, bit in bits.items() if bit != nominal}
    varied = frozenset(filter(None, (_base(name, plain) for name in others)))
    return Variations(nominal, others, varied)


def _looking_varied(branches: Collection[str]) -> Iterator[str]:
    return (name for name in branches if _base(name, branches))


def _base(name: str, plain: Collection[str]) -> str:
    """The column that another is a variation of; empty if of none."""
    base = name
    while _BETWEEN in base:
        base = base.rpartition(_BETWEEN)[0]
        if base in plain:
            return base
    return ""


def _variation(name: str, varied: Collection[str]) -> str:
    return name[len(_base(name, varied)) :].removeprefix(_BETWEEN)


def _bits(file: Any, tree: str) -> dict[str, Bit] | None:
    """Column → bit, from the map beside the tree; None if it is not there or damaged."""
    try:
        content, _ = file.key(_MAPPING + tree).get_uncompressed_chunk_cursor()
        return dict(_pairs(bytes(content.raw_data)))
    except (KeyError, ValueError, IndexError):
        return None


def _pairs(content: bytes) -> Iterator[tuple[str, Bit]]:
    """Decode a ``std::unordered_map<std::string, std::pair<std::string, unsigned>>``."""
    at = _WORD
    for _ in range(int.from_bytes(content[:_WORD], "big")):
        length, at = content[at], at + 1
        if length > _SHORT_STRING:
            length, at = int.from_bytes(content[at : at + _WORD], "big"), at + _WORD
        name, at = content[at : at + length].decode(), at + length
        size = int.from_bytes(content[at : at + _WORD], "big") & _SIZE
        pair, at = content[at + _WORD : at + _WORD + size], at + _WORD + size
        mask = _MASK_BYTES.search(pair[:-_WORD])
        if mask is None:
            raise ValueError(f"no mask for {name}")
        yield name, Bit(mask[0].decode(), int.from_bytes(pair[-_WORD:], "big"))


def valid(masks: Mapping[Bit, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Rows in which all bits are set.

    Parameters
    ----------
    masks : mapping
        Bit → the values of its column, of shape (rows,).
    """
    each = [(values.astype(np.uint64) >> np.uint64(b.number)) & 1 for b, values in masks.items()]
    return np.asarray(np.logical_and.reduce(each), dtype=bool)


def described(required: Mapping[Bit, str], masks: Mapping[Bit, Any]) -> str:
    """Describe the entries to be read, with their number."""
    rows = valid(masks)
    bits = " and ".join(f"bit {bit.number} of {bit.mask}" for bit in required)
    return (
        "it is a snapshot of RDataFrame with systematic variations: "
        f"{np.count_nonzero(rows)} of {len(rows)} entries are read, which are events of the case "
        f"{' and '.join(required.values())} ({bits})"
    )
