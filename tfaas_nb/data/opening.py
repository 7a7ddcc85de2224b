"""A ROOT file opened, found whole, and its tree chosen; whatever fails names the file."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tfaas_nb.data.contents import (
    chains,
    check_closed,
    check_format,
    described_by_uproot,
    described_chain,
    described_contents,
)
from tfaas_nb.data.files import is_remote, is_xrootd, placed
from tfaas_nb.data.friends import friends
from tfaas_nb.errors import DataError, TfaasError
from tfaas_nb.nearest import hint

_DEFAULT_TREES = ("events", "Events")
#: Of Python's errors those that are raised with words for users.
_IN_WORDS = (OSError, ImportError, NotImplementedError)
#: Errors of libraries that show the objects and bytes that they were at.
_OF_BYTES = ("DeserializationError", "error")  # uproot's; those of struct, zlib
_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")


@contextmanager
def decoding(path: str) -> Iterator[None]:
    """Turn whatever a damaged file makes the decoder raise into a `DataError` that names it."""
    try:
        yield
    except TfaasError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in the decoding
        raise DataError(f"{path} cannot be read as a ROOT file: {_why(error)}") from error


def _why(error: Exception) -> str:
    """Return the reason for which a file cannot be opened, in words for users.

    Most of Python's own errors are none: they speak of what the decoder met in the bytes.
    """
    if kind := described_by_uproot(error):
        return f"it is {kind}"
    text = textwrap.shorten(str(error), 200)
    kind_of_error = type(error)
    is_of_decoder = kind_of_error.__module__ == "builtins" or kind_of_error.__name__ in _OF_BYTES
    if text and (isinstance(error, _IN_WORDS) or not is_of_decoder):
        return text
    return "it is damaged, or holds what uproot cannot decode; copy it again"


def open_file(
    path: str,
    timeout: float | None = None,
    should_stop: Callable[[], bool] | None = None,
    folder: str = "",
) -> Any:
    """The file, opened with uproot; nothing of it is kept in a cache.

    Parameters
    ----------
    path : str
        Local path or address.
    timeout : float, optional
        Seconds without an answer after which an XRootD server is given up; by default 60.
    should_stop : callable, optional
        Asked often while such a server is waited for; True ends that with a `DataError`.
    folder : str
        Where a local path begins, if not in this process's working directory.

    Raises
    ------
    DataError
        If it is no ROOT file, or a part of one; it names the path as it was given.
    """
    import uproot

    with decoding(path):
        if is_xrootd(path):
            from tfaas_nb.data import xrootd

            file = xrootd.open_file(path, timeout, should_stop)
        else:
            place = placed(path, folder)
            if not is_remote(place):
                check_format(path, place)
            file = uproot.open({place: None}, object_cache=None, array_cache=None)
        try:
            _check_complete(path, file.file)
            check_closed(path, file)
        except BaseException:
            file.close()
            raise
        return file


def _check_complete(path: str, file: Any) -> None:
    """Refuse a file that is shorter than its header says; it may still show some trees."""
    if is_remote(path) and not is_xrootd(path):  # other servers need not tell the size
        return
    size, expected = file.source.num_bytes, file.fEND
    if size < expected:
        raise DataError(f"{path} is truncated: it has {size} of {expected} bytes; copy it again")


def trees(file: Any) -> list[str]:
    """The trees of a file, TTrees and RNTuples, by folder and name."""
    return sorted(name for name, kind in file.classnames(cycle=False).items() if kind in _TREES)


def choose_tree(file: Any, path: str, wanted: str | None) -> str:
    """The tree to read: the one wanted, or ``events``, ``Events``, or the only one.

    Parameters
    ----------
    file : uproot.ReadOnlyDirectory
        The file.
    path : str
        Its path, for errors.
    wanted : str or None
        ``folder/tree``, or the end of it that no other tree has, if need be with a cycle
        (``events;1``).  None asks for ``events``, ``Events``, in a folder too, or for the only
        tree; friends of another tree do not count.

    Returns
    -------
    str
        Folder and name, with the cycle that was asked for.

    Raises
    ------
    DataError
        If there is no such tree, or more than one to choose from.
    """
    there = trees(file)
    if not there:
        raise DataError(f"{path} has no tree; {described_contents(file)}")
    if wanted:
        return _wanted(file, path, wanted, there)
    usual = (ended for name in _DEFAULT_TREES for ended in [_ending(name, there)] if ended)
    several = next(usual, there)
    if len(several) > 1:
        several = _not_friends(file, several)
    if len(several) > 1:
        raise DataError(
            f"{path} has more than one tree; its trees are {there}; say which with tree=..."
        )
    return several[0]


def _wanted(file: Any, path: str, wanted: str, there: Sequence[str]) -> str:
    name, mark, cycle = wanted.partition(";")
    found = _ending(name.strip("/"), there)
    if not found:
        if name in chains(file):
            raise DataError(f"{path} has no tree {wanted!r}, but {described_chain(file, name)}")
        near = hint(wanted, there)
        raise DataError(f"{path} has no tree {wanted!r}; its trees are {list(there)}{near}")
    if len(found) > 1:
        raise DataError(f"{path} has several trees {wanted!r}: say which of {found}")
    full = f"{found[0]}{mark}{cycle}"
    cycles = [key for key in file if key.rpartition(";")[0] == found[0]]
    if mark and full not in cycles:
        raise DataError(f"{path} has no {full!r}; of this tree it has {sorted(cycles)}")
    return full


def _ending(name: str, there: Sequence[str]) -> list[str]:
    """The tree of that folder and name, or else those whose names end so."""
    return [name] if name in there else [one for one in there if one.endswith(f"/{name}")]


def _not_friends(file: Any, names: Sequence[str]) -> list[str]:
    """The trees that are no friends of others; all, if none is left."""
    ties = {name: friends(file, name, tree_named(file, name)) for name in names}
    known = {id_ for one in ties.values() for id_ in one.names}
    return [name for name in names if name not in known] or list(names)


def tree_named(file: Any, name: str) -> Any:
    """A tree by folder and name, whatever is in the name."""
    try:
        return file[name]
    except KeyError:  # its own name may hold a slash, which uproot takes for a folder's
        stem = name.partition(";")[0]
        keys = file.iteritems(recursive=False, filter_name=lambda own: own == stem)
        for key, tree in keys:
            if name in (key, stem):
                return tree
        folder, _, inner = name.partition("/")
        return tree_named(file[folder], inner)
