"""Baskets of a TTree's branches, checked while they are read.

uproot takes a branch's baskets as they are: one that has fewer entries than its tree gives a
shorter array, one basket that is damaged may give zeros, and lists without offsets are divided by
the counter's basket of the same number, which may be of other entries.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from uproot.interpretation.jagged import AsJagged

from tfaas_nb.data.packed import interpretation
from tfaas_nb.errors import DataError

#: Entries of which lists are compared with their counter, if that is not read anyway.
_COMPARED = 1000
#: Compressed bytes of a counter's basket from which on it is not read for a comparison alone.
_LARGE = 1 << 16


def checked(branch: Any) -> Any:
    """The interpretation of a branch that looks at every basket; None if uproot has none."""
    plain = interpretation(branch)
    if isinstance(plain, AsJagged):
        return _CheckedLists(plain)
    if isinstance(plain, Exception):
        return None
    watched = copy.copy(plain)
    watched.hook_after_basket_array = _check_entries
    return watched


def problem(branch: Any) -> str:
    """Return the reason for which a branch cannot be read or trusted; empty if there is none."""
    if why := differing_entries(branch):
        return f"it {why}"
    try:
        interpretation(branch)
    except ValueError as error:
        return str(error)
    except Exception:  # uproot's own for types that it does not know
        return ""
    return ""


def differing_entries(branch: Any) -> str:
    """Describe how a branch's or its counter's entries differ from its tree's; empty if not.

    ROOT would give the last value again for entries that a branch does not have.
    """
    expected, counter = int(branch.tree.num_entries), branch.count_branch
    if (entries := int(branch.num_entries)) != expected:
        return f"has {_counted_entries(entries)}, the tree {expected}"
    if counter is not None and (entries := int(counter.num_entries)) != expected:
        return f"has a counter {counter.name!r} of {_counted_entries(entries)}, the tree {expected}"
    return ""


def _counted_entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


class _CheckedLists(AsJagged):  # type: ignore[misc]
    """Lists whose offsets are checked, or made from the counter if the file has none."""

    def __init__(self, plain: AsJagged) -> None:
        super().__init__(plain.content, plain.header_bytes, plain.typename, plain.original)

    def basket_array(
        self, data: Any, byte_offsets: Any, basket: Any, branch: Any, *args: Any, **options: Any
    ) -> Any:
        """The lists of a basket."""
        if byte_offsets is None and not self.header_bytes and branch.count_branch is not None:
            byte_offsets = _counted(basket, branch, self.content.itemsize)
        lists = super().basket_array(data, byte_offsets, basket, branch, *args, **options)
        _check_entries(basket=basket, branch=branch, output=lists)
        offsets = lists.offsets
        if offsets[0] != 0 or offsets[-1] != len(lists.content) or _falls(offsets):
            raise _damaged(basket, branch, "its lists are longer or shorter than its numbers")
        return lists


def _counted(basket: Any, branch: Any, itemsize: int) -> npt.NDArray[np.int64]:
    """Return the byte offsets at which the lists of a basket begin, and the end of the last one."""
    start, stop = branch.basket_entry_start_stop(basket.basket_num)
    counts = branch.count_branch.array(
        entry_start=start, entry_stop=stop, library="np", array_cache=None
    )
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets * itemsize


def _check_entries(*, basket: Any, branch: Any, output: Any, **_: Any) -> None:
    start, stop = branch.basket_entry_start_stop(basket.basket_num)
    if not len(output) == basket.num_entries == stop - start:
        has = f"it has {len(output)} entries, and {stop - start} are listed"
        raise _damaged(basket, branch, has)


def _falls(offsets: npt.NDArray[Any]) -> bool:
    return bool((offsets[1:] < offsets[:-1]).any())


class DamagedBasket(Exception):
    """A basket whose bytes contradict what the tree says of it."""


def _damaged(basket: Any, branch: Any, why: str) -> DamagedBasket:
    start, stop = branch.basket_entry_start_stop(basket.basket_num)
    return DamagedBasket(f"its basket of entries {start} to {stop - 1} is damaged: {why}")


def check_counters(
    branches: Iterable[Any], arrays: Mapping[int, Any], start: int, stop: int, where: str
) -> None:
    """Compare lists with the branch that counts them, which ROOT goes by.

    A counter that was not read itself is read for the first entries, unless its basket there is
    so large that decompressing it would cost a noticeable share of the reading.

    Parameters
    ----------
    branches : iterable of uproot.TBranch
        The branches that were read.
    arrays : mapping
        Identity of a branch → its values, an awkward array.
    start, stop : int
        The range of entries.
    where : str
        The tree and its file, for errors.

    Raises
    ------
    DataError
        Naming the first entry in which they differ.
    """
    import awkward as ak

    counts: dict[int, npt.NDArray[Any]] = {}
    for branch in branches:
        counter = branch.count_branch
        if counter is None or counter.classname != "TBranch" or arrays[id(branch)].ndim < 2:
            continue
        if id(counter) not in counts:
            counts[id(counter)] = _values(counter, arrays.get(id(counter)), start, stop)
        expected = counts[id(counter)]
        lengths = np.asarray(ak.num(arrays[id(branch)][: len(expected)]))
        if (wrong := lengths != expected).any():
            first = int(wrong.argmax())
            raise DataError(
                f"branch {branch.name!r} of {where} has {lengths[first]} values in entry "
                f"{start + first}, and its counter {counter.name!r} says {expected[first]}"
            )


def _values(counter: Any, array: Any, start: int, stop: int) -> npt.NDArray[Any]:
    if array is not None:
        return np.asarray(array)
    ends = np.asarray(counter.entry_offsets[1:])
    sizes = counter.member("fBasketBytes")
    basket = int(np.searchsorted(ends, start, side="right"))
    if basket < len(sizes) and sizes[basket] > _LARGE:
        return np.zeros(0, np.int64)
    few = min(stop, start + _COMPARED)
    return np.asarray(counter.array(entry_start=start, entry_stop=few, library="np"))
