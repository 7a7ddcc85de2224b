"""Branches of a tree as plain arrays: one number per event, or a list of numbers per event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import DataError

Array = npt.NDArray[Any]

#: What an RNTuple's header says of a field of several values, and of one with named parts.
_COLLECTION, _RECORD = 1, 2


@dataclass(frozen=True)
class Lists:
    """A list of numbers per event.

    Attributes
    ----------
    values : numpy.ndarray
        The numbers of all events, one after another.
    counts : numpy.ndarray
        How many of them each event has, shape (events,).
    is_fixed : bool
        Whether all events have as many by the branch's type: some may be padding.
    """

    values: Array
    counts: npt.NDArray[np.int64]
    is_fixed: bool = False


#: Branch → its values.
Read = Mapping[str, "Array | Lists"]


class Types(Mapping[str, str]):
    """The branches of a TTree, sub-branches included, or the fields of an RNTuple: name → type.

    A field of records, such as the jets' ``FatJet.pt``, is listed as NanoAOD's TTrees call it,
    ``FatJet_pt``; it is found by either name.

    A type is worked out when it is asked for: NanoAOD has a thousand branches.
    """

    def __init__(self, tree: Any) -> None:
        self._paths: dict[str, str] = {}
        if is_ntuple(tree):
            inner = _in_records(tree)
            records = {path.partition(".")[0] for path in inner}
            top = {n: tree[n] for n in tree.keys(recursive=False) if n not in records}
            plain = {path.replace(".", "_"): path for path in inner}
            self._paths = {name: path for name, path in plain.items() if name not in top}
            told = {path: name for name, path in self._paths.items()}
            self._names = [*top, *(told.get(path, path) for path in inner)]
            self._branches = top | inner
        else:
            self._branches = {name.rpartition("/")[2]: branch for name, branch in tree.items()}
            self._names = list(self._branches)

    def path(self, name: str) -> str:
        """What uproot calls a branch."""
        return self._paths.get(name, name)

    def __getitem__(self, name: str) -> str:
        branch = self._branches[self.path(name)]
        kind = str(branch.typename)
        return f"std::vector<{kind}>" if _is_in_a_list(branch) else kind

    def __contains__(self, name: object) -> bool:
        return name in self._branches or name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _in_records(ntuple: Any) -> dict[str, Any]:
    """The fields of an RNTuple that are parts of records: path → field.

    From its header: uproot's own recursive list takes a second for a thousand fields.
    """
    kinds = ntuple.field_records
    found = {}
    for i, own in enumerate(kinds):
        parent = own.parent_field_id
        if parent != i and kinds[parent].struct_role == _RECORD:
            field = ntuple.all_fields[i]
            if field.path is not None:  # a base class, or one of several types, has none
                found[field.path] = field
    parents = {path.rpartition(".")[0] for path in found}
    return {path: field for path, field in found.items() if path not in parents}


def _is_in_a_list(branch: Any) -> bool:
    """Whether a field is part of records of which an event has several."""
    if not hasattr(branch, "top_level"):  # of a TTree: its own type tells
        return False
    while not branch.top_level:
        branch = branch.parent
        if branch.record.struct_role == _COLLECTION or "array" in branch.typename:
            return True
    return False


def is_ntuple(tree: Any) -> bool:
    """Whether it is an RNTuple rather than a TTree."""
    return bool(tree.classname == "ROOT::RNTuple")


def read(tree: Any, types: Types, wanted: Sequence[str], start: int, stop: int, where: str) -> Read:
    """Values of branches for a range of entries.

    Raises
    ------
    DataError
        If a branch holds neither numbers nor lists of numbers.
    """
    if not wanted:
        return {}
    paths = {name: types.path(name) for name in wanted}
    arrays = tree.arrays(
        list(dict.fromkeys(paths.values())),
        entry_start=start,
        entry_stop=stop,
        library="ak",
        how=dict,
        array_cache=None,
    )
    for path in paths.values():
        if path not in arrays and path.partition(".")[0] not in arrays:  # uproot before 5.7
            arrays[path] = tree[path].array(start, stop, library="ak", array_cache=None)
    return {name: _plain(_part(arrays, path), name, where) for name, path in paths.items()}


def _part(arrays: Mapping[str, Any], path: str) -> Any:
    """A branch; of an RNTuple's records uproot gives those parts that were asked for."""
    if path in arrays:
        return arrays[path]
    first, *inner = path.split(".")
    array = arrays[first]
    for name in inner:
        array = array[name]
    return array


def _plain(array: Any, branch: str, where: str) -> Array | Lists:
    import awkward as ak

    layout = array.layout
    fixed = layout.is_regular or (layout.is_numpy and layout.purelist_depth == 2)
    if not isinstance(layout, (ak.contents.NumpyArray, ak.contents.ListOffsetArray)):
        # A number that is not there becomes NaN, which is refused where it is needed.
        array = ak.fill_none(ak.from_regular(ak.to_packed(array), axis=None), np.nan, axis=-1)
        layout = ak.to_layout(array)
    if layout.is_numpy:
        values = np.asarray(layout.data)
        if values.ndim == 2:
            rows, width = values.shape
            flat = _numbers(values.reshape(-1), branch, where)
            return Lists(flat, np.full(rows, width), fixed)
        if values.ndim == 1:
            return _numbers(values, branch, where)
    elif layout.is_list and layout.parameter("__array__") is None and layout.content.is_numpy:
        offsets = np.asarray(layout.offsets.data)
        values = np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
        if values.ndim == 1:
            return Lists(_numbers(values, branch, where), np.diff(offsets), fixed)
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
