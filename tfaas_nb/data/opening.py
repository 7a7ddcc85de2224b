"""A ROOT file opened, found whole, and its tree chosen; whatever fails names the file."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfaas_nb.data.files import is_remote, is_xrootd
from tfaas_nb.data.nearest import hint
from tfaas_nb.errors import DataError, TfaasError

_DEFAULT_TREES = ("events", "Events")
_TREES = ("TTree", "ROOT::RNTuple")


@contextmanager
def decoding(path: str) -> Iterator[None]:
    """Turn whatever a damaged file makes the decoder raise into a `DataError` that names it."""
    try:
        yield
    except TfaasError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in the decoding
        why = textwrap.shorten(str(error), 200) or type(error).__name__
        raise DataError(f"{path} cannot be read as a ROOT file: {why}") from error


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
            _check_not_empty(path, place)
            file = uproot.open(place, object_cache=None, array_cache=None)
        try:
            _check_complete(path, file.file)
        except BaseException:
            file.close()
            raise
        return file


def placed(path: str, folder: str) -> str:
    """A path as it was named by a process in a folder, for any process; addresses stay."""
    return path if is_remote(path) or not folder else str(Path(folder, path))


def _check_not_empty(path: str, place: str) -> None:
    """A copy that failed often leaves the name of a file and nothing in it."""
    if not is_remote(path) and Path(place).is_file() and not Path(place).stat().st_size:
        raise DataError(f"{path} is empty: it has 0 bytes; copy it again")


def _check_complete(path: str, file: Any) -> None:
    """A copy that broke off may still show some of its trees."""
    if is_remote(path) and not is_xrootd(path):  # other servers need not tell the size
        return
    size, expected = file.source.num_bytes, file.fEND
    if size < expected:
        raise DataError(f"{path} is truncated: it has {size} of {expected} bytes; copy it again")


def trees(file: Any) -> list[str]:
    """The trees of a file, TTrees and RNTuples, by name."""
    return sorted(name for name, kind in file.classnames(cycle=False).items() if kind in _TREES)


def choose_tree(file: Any, path: str, wanted: str | None) -> str:
    """The tree to read: the one wanted, or ``events``, ``Events``, or the only one.

    Raises
    ------
    DataError
        If there is no such tree, or more than one to choose from.
    """
    there = trees(file)
    if not there:
        raise DataError(
            f"{path} has no tree; it holds {sorted(file.keys(cycle=False)) or 'nothing'}"
        )
    usual = next((name for name in _DEFAULT_TREES if name in there), None)
    name = wanted or usual or there[0]
    if name not in there or (wanted is None and usual is None and len(there) > 1):
        what = f"no tree {wanted!r}" if wanted else "more than one tree"
        near = hint(wanted, there) if wanted else "; say which with tree=..."
        raise DataError(f"{path} has {what}; its trees are {there}{near}")
    return name
