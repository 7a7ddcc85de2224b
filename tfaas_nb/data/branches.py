"""Branches of a tree as plain arrays: one number per event, or a list of numbers per event."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.addresses import Addresses
from tfaas_nb.data.arithmetic import exactly
from tfaas_nb.data.columns import Column, columns, is_ntuple
from tfaas_nb.data.friends import Friends
from tfaas_nb.errors import DataError, TfaasError

Array = npt.NDArray[Any]

#: What uproot calls lists of numbers of C++'s other containers; text it calls a string.
_NUMBERS = (None, "set", "bitset")
#: Of errors that the decoding of bytes ends in, which speak of arrays and indices.
_UNDECODED = "its bytes are damaged, or of a kind that uproot cannot decode"


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
    """The branches of a tree, those inside of others and those of friends included: name → type.

    A branch is found by its whole path or by any ending of it that no other has (see
    `tfaas_nb.data.addresses`); a name that several could be meant by is not among them.
    A part of an RNTuple's records, such as the jets' ``FatJet.pt``, is listed as NanoAOD's
    TTrees call it, ``FatJet_pt``.

    A type is worked out when it is asked for: NanoAOD has a thousand branches.

    Parameters
    ----------
    tree : uproot.TTree or uproot.RNTuple
        The tree.
    friends : Friends, optional
        Trees that have more of the same events.
    """

    def __init__(self, tree: Any, friends: Friends = Friends()) -> None:  # noqa: B008 (frozen)
        own = columns(tree)
        others = [c for name, one in friends.trees.items() for c in columns(one, f"{name}.")]
        self._addresses = Addresses([*own, *others])
        self.problems = friends.problems

    def column(self, name: str) -> Column:
        """Return the column that a name stands for.

        Raises
        ------
        DataError
            If it stands for no branch, or for one of several.
        """
        found = self._addresses.find(name)
        if len(found) == 1:
            return found[0]
        raise DataError(self.ambiguity(name) or f"there is no branch {name!r}")

    def path(self, name: str) -> str:
        """The whole path of the branch that a name stands for; the name itself if of none."""
        found = self._addresses.find(name)
        return found[0].path if len(found) == 1 else name

    def meant(self, name: str) -> list[str]:
        """The whole paths of all branches that a name could mean."""
        return [column.path for column in self._addresses.find(name)]

    def ambiguity(self, name: str) -> str:
        """The branches that a name could mean, in words; empty if they are fewer than two."""
        paths = self.meant(name)
        if len(paths) < 2:
            return ""
        if len(set(paths)) == 1:
            return f"{len(paths)} branches are called {paths[0]!r}: nothing tells them apart"
        return (
            f"{name!r} may be any of the branches {', '.join(map(repr, paths))}: name one of them"
        )

    def nearest(self, name: str, among: Iterable[str]) -> tuple[str, list[str]]:
        """Find what may be meant by a name, among the branches of some paths.

        Returns
        -------
        tuple of str and list of str
            The name most like it, and the whole paths of the branches that have it; none if no
            name is like it.
        """
        return self._addresses.nearest(name, among)

    def problem(self, name: str) -> str:
        """Return the reason for which a branch cannot be read as numbers; empty if none shows."""
        found = self._addresses.find(name)
        return self.ambiguity(name) if len(found) > 1 else found[0].problem

    def __getitem__(self, name: str) -> str:
        found = self._addresses.find(name)
        if not found or (len(found) > 1 and found[0].path != found[-1].path):
            raise KeyError(name)
        return found[0].typename

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and len(self._addresses.find(name)) == 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses.paths)

    def __len__(self) -> int:
        return len(list(self._addresses.paths))


def read(tree: Any, types: Types, wanted: Sequence[str], start: int, stop: int, where: str) -> Read:
    """Values of branches for a range of entries.

    Parameters
    ----------
    tree : uproot.TTree or uproot.RNTuple
        The tree.
    types : Types
        Its branches, and those of its friends.
    wanted : sequence of str
        Names of branches.
    start, stop : int
        The range.
    where : str
        The tree and its file, for errors.

    Raises
    ------
    DataError
        If a branch holds neither numbers nor lists of numbers, cannot be read, or is of a friend
        that has other entries than the tree.
    """
    found = {name: types.column(name) for name in wanted}
    by_tree: dict[int, list[Column]] = {}
    for column in found.values():
        by_tree.setdefault(id(column.tree), []).append(column)
    arrays: dict[int, Any] = {}
    for group in by_tree.values():
        arrays |= _arrays(group, start, stop, where)
    _check_lengths(found.values(), arrays, start, stop, where)
    return {name: _numbers_of(arrays[id(c.branch)], c, name, where) for name, c in found.items()}


def _arrays(group: Sequence[Column], start: int, stop: int, where: str) -> dict[int, Any]:
    """The arrays of columns of one tree, by the identity of their branches."""
    tree = group[0].tree
    together = _of_fields if is_ntuple(tree) else _of_branches
    branches = list({id(column.branch): column.branch for column in group}.values())
    if not is_ntuple(tree):
        _check_entries(group, where)
    try:
        return together(tree, branches, start, stop)
    except TfaasError:
        raise
    except Exception:
        for column in group:  # one of them cannot be read; which, is to be said
            try:
                together(tree, [column.branch], start, stop)
            except TfaasError:
                raise
            except Exception as error:
                raise _unreadable(column, where, error) from error
        raise


def _check_lengths(
    columns: Iterable[Column], arrays: Mapping[int, Any], start: int, stop: int, where: str
) -> None:
    """Refuse arrays without a value for each entry, and lists that differ from their counter."""
    for column in columns:
        if (length := len(arrays[id(column.branch)])) != stop - start:
            if why := column.problem:
                raise DataError(
                    f"branch {column.path!r} of {where} cannot be read as numbers: {why}"
                )
            raise DataError(
                f"branch {column.path!r} of {where} has {length} values in entries {start} to "
                f"{stop - 1}, which are {stop - start}"
            )
    counted = [column.branch for column in columns if not is_ntuple(column.tree)]
    if counted:
        from tfaas_nb.data.baskets import check_counters

        check_counters(counted, arrays, start, stop, where)


def _check_entries(group: Sequence[Column], where: str) -> None:
    from tfaas_nb.data.baskets import differing_entries

    for column in group:
        if why := differing_entries(column.branch):
            raise DataError(
                f"branch {column.path!r} {why}; it cannot be read of {where}: which entry a value "
                "is of is not known"
            )


def _unreadable(column: Column, where: str, error: Exception) -> DataError:
    from tfaas_nb.data.baskets import DamagedBasket

    told = isinstance(error, (DamagedBasket, OSError, ImportError))  # in words for users
    why = column.problem or (textwrap.shorten(str(error), 200) if told else _UNDECODED)
    return DataError(f"branch {column.path!r} of {where} cannot be read: {why}")


def _of_branches(tree: Any, branches: Sequence[Any], start: int, stop: int) -> dict[int, Any]:
    """Read branches of a TTree: in one call, but for those that uproot does not find by path."""
    from tfaas_nb.data.baskets import checked

    options = {"library": "ak", "array_cache": None}
    paths, alone = {}, []
    for branch in branches:
        path = _path(branch, tree)
        if tree.get(path) is branch:
            paths[path] = branch
        else:
            alone.append(branch)
    found = (
        tree.arrays(
            {path: checked(branch) for path, branch in paths.items()},
            entry_start=start,
            entry_stop=stop,
            how=dict,
            **options,
        )
        if paths
        else {}
    )
    arrays = {id(branch): found[path] for path, branch in paths.items()}
    for branch in alone:
        arrays[id(branch)] = branch.array(checked(branch), start, stop, **options)
    return arrays


def _path(branch: Any, tree: Any) -> str:
    path = str(branch.name)
    while (branch := branch.parent) is not tree:
        path = f"{branch.name}/{path}"
    return path


def _of_fields(ntuple: Any, fields: Sequence[Any], start: int, stop: int) -> dict[int, Any]:
    """Read fields of an RNTuple; of records only the parts that are asked for."""
    chains = {id(field): _chain(field) for field in fields}
    asked = {field.field_id for field in fields}
    read = {field.field_id for chain in chains.values() for field in chain}
    whole = ntuple.arrays(
        filter_field=lambda field: field.field_id in asked,
        entry_start=start,
        entry_stop=stop,
        library="ak",
        array_cache=None,
    )
    return {of: _inside(whole, chain, read) for of, chain in chains.items()}


def _chain(field: Any) -> list[Any]:
    """A field after those that it is part of, the outermost first."""
    chain = [field]
    while not field.top_level:
        field = field.parent
        if not field.is_anonymous:
            chain.insert(0, field)
    return chain


def _inside(array: Any, chain: Sequence[Any], read: set[int]) -> Any:
    import awkward as ak

    array = array[chain[0].name]
    for parent, child in pairwise(chain):
        name = child.name
        if ak.is_tuple(array):  # counts the elements that are read
            there = [one.field_id for one in parent.fields if one.field_id in read]
            name = str(there.index(child.field_id))
        array = array[name]
    return array


def _numbers_of(array: Any, column: Column, name: str, where: str) -> Array | Lists:
    if column.leaf in getattr(array, "fields", ()):
        array = array[column.leaf]
    if getattr(array, "fields", True) and (why := column.problem):  # named parts, not numbers
        raise DataError(f"branch {name!r} of {where} cannot be read as numbers: {why}")
    return _plain(array, name, where)


def _plain(array: Any, branch: str, where: str) -> Array | Lists:
    import awkward as ak

    layout = array.layout
    fixed = layout.is_regular or (layout.is_numpy and layout.purelist_depth == 2)
    is_plain = isinstance(layout, (ak.contents.NumpyArray, ak.contents.ListOffsetArray))
    if not is_plain or (layout.is_list and layout.content.is_option):
        array = _filled(ak.from_regular(ak.to_packed(array), axis=None), branch, where)
        layout = ak.to_layout(array)
    if layout.is_numpy:
        values = np.asarray(layout.data)
        if values.ndim == 2:
            rows, width = values.shape
            flat = _numbers(values.reshape(-1), branch, where)
            return Lists(flat, np.full(rows, width), fixed)
        if values.ndim == 1:
            return _numbers(values, branch, where)
    elif layout.is_list and layout.parameter("__array__") in _NUMBERS and layout.content.is_numpy:
        offsets = np.asarray(layout.offsets.data)
        values = np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
        if values.ndim == 1:
            return Lists(_numbers(values, branch, where), np.diff(offsets), fixed)
    held = textwrap.shorten(str(array.type.content), 200)
    raise DataError(f"branch {branch!r} of {where} holds {held}, not numbers")


def _filled(array: Any, branch: str, where: str) -> Any:
    """Numbers with NaN for those that are not there, which is refused where it is needed."""
    import awkward as ak

    missing = ak.sum(ak.is_none(array, axis=-1), axis=None)
    there = ak.drop_none(array, axis=-1)
    if not missing:
        return there  # whole numbers stay whole
    whole = ak.to_numpy(ak.flatten(there, axis=None))
    if whole.dtype.kind in "iu" and exactly(whole, np.dtype(np.float64)) is None:
        raise DataError(
            f"branch {branch!r} of {where} lacks {missing} numbers, and holds others too large to "
            "be kept exactly beside missing ones"
        )
    return ak.fill_none(array, np.nan, axis=-1)


def _numbers(values: Array, branch: str, where: str) -> Array:
    if values.dtype.kind not in "biuf":
        raise DataError(f"branch {branch!r} of {where} holds {values.dtype}, not numbers")
    return values
