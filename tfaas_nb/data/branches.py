"""Branches of a tree as plain arrays: one number per event, or a list of numbers per event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Lists:
    """A list of numbers per event.

    Attributes
    ----------
    values : numpy.ndarray
        The numbers of all events, one after another.
    counts : numpy.ndarray
        How many of them each event has, shape (events,).
    """

    values: Array
    counts: npt.NDArray[np.int64]


#: Branch → its values.
Read = Mapping[str, "Array | Lists"]


class Types(Mapping[str, str]):
    """The branches of a TTree, sub-branches included, or the fields of an RNTuple: name → type.

    A type is worked out when it is asked for: NanoAOD has a thousand branches.
    """

    def __init__(self, tree: Any) -> None:
        if is_ntuple(tree):
            self._branches = {name: tree[name] for name in tree.keys(recursive=False)}
        else:
            self._branches = {name.rpartition("/")[2]: branch for name, branch in tree.items()}

    def __getitem__(self, name: str) -> str:
        return str(self._branches[name].typename)

    def __contains__(self, name: object) -> bool:
        return name in self._branches

    def __iter__(self) -> Iterator[str]:
        return iter(self._branches)

    def __len__(self) -> int:
        return len(self._branches)


def is_ntuple(tree: Any) -> bool:
    """Whether it is an RNTuple rather than a TTree."""
    return bool(tree.classname == "ROOT::RNTuple")


def read(tree: Any, wanted: Sequence[str], start: int, stop: int, where: str) -> Read:
    """Values of branches for a range of entries.

    Raises
    ------
    DataError
        If a branch holds neither numbers nor lists of numbers.
    """
    if not wanted:
        return {}
    arrays = tree.arrays(
        list(wanted), entry_start=start, entry_stop=stop, library="ak", how=dict, array_cache=None
    )
    return {name: _plain(arrays[name], name, where) for name in wanted}


def _plain(array: Any, branch: str, where: str) -> Array | Lists:
    import awkward as ak

    layout = array.layout
    if not isinstance(layout, (ak.contents.NumpyArray, ak.contents.ListOffsetArray)):
        # A number that is not there becomes NaN, which is refused where it is needed.
        array = ak.fill_none(ak.from_regular(ak.to_packed(array), axis=None), np.nan, axis=-1)
        layout = ak.to_layout(array)
    if layout.is_numpy:
        values = np.asarray(layout.data)
        if values.ndim == 2:
            rows, width = values.shape
            return Lists(_numbers(values.reshape(-1), branch, where), np.full(rows, width))
        if values.ndim == 1:
            return _numbers(values, branch, where)
    elif layout.is_list and layout.parameter("__array__") is None and layout.content.is_numpy:
        offsets = np.asarray(layout.offsets.data)
        values = np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
        if values.ndim == 1:
            return Lists(_numbers(values, branch, where), np.diff(offsets))
    raise DataError(f"branch {branch!r} of {where} holds {array.type.content}, not numbers")


def _numbers(values: Array, branch: str, where: str) -> Array:
    if values.dtype.kind not in "biuf":
        raise DataError(f"branch {branch!r} of {where} holds {values.dtype}, not numbers")
    return values


def finite(
    values: Array, branch: str, where: str, entry: Callable[[int], int]
) -> npt.NDArray[np.float32]:
    """Values as float32.

    Parameters
    ----------
    values : numpy.ndarray
        Of one dimension.
    branch, where : str
        What an error names.
    entry : callable
        Position in `values` → entry of the tree.

    Raises
    ------
    DataError
        If a value is not finite, or too large for a float32.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        values = values.astype(np.float32, copy=False)
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"branch {branch!r} of {where} holds {int(bad.sum())} values that are not finite, "
            f"the first in entry {entry(int(bad.argmax()))}"
        )
    return values
