"""Which files are meant: paths, globs, lists of them, addresses."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from tfaas_nb.errors import DataError
from tfaas_nb.nearest import hint, nearest

#: A path, a glob, an address such as ``root://host//file.root``, or several of them.
Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_XROOTD = ("root", "roots", "xroot", "xroots")
_SHOWN = 5

#: Name of the tree in a file of scores.
SCORES = "scores"


def expand(files: Files, timeout: float | None = None) -> list[str]:
    """The files that paths and globs stand for, globs in alphabetical order.

    A file that is matched more than once is listed once, where it came first, and a
    `UserWarning` says so: its events must not count twice.  Globs are looked up on a server
    too, if it is one of XRootD's.

    Parameters
    ----------
    files : path, glob, address, or list of them
        What was asked for.
    timeout : float, optional
        Seconds without an answer after which an XRootD server is given up.

    Raises
    ------
    DataError
        If the list is empty, a file does not exist or a glob matches nothing.
    """
    given = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not given:
        raise DataError("the list of ROOT files is empty")
    paths = [os.path.expanduser(os.fspath(item)) for item in given]
    found = [path for asked in paths for path in _expand(asked, timeout)]
    once: dict[str, str] = {}
    twice = []
    for path in found:
        if identity(path) in once:
            twice.append(path)
        once.setdefault(identity(path), path)
    if twice:
        more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        warnings.warn(
            f"files that were named more than once are read once: "
            f"{', '.join(twice[:_SHOWN])}{more}",
            stacklevel=2,
        )
    return list(once.values())


def identity(path: str) -> str:
    """What two names of the same file have in common."""
    return path if is_remote(path) else os.path.realpath(path)


def is_remote(path: str) -> bool:
    """Whether a file is read over a network protocol."""
    return "://" in path


def is_xrootd(path: str) -> bool:
    """Whether an address is one of XRootD's: ``root://`` and the like."""
    return path.partition("://")[0] in _XROOTD and is_remote(path)


def _expand(path: str, timeout: float | None) -> list[str]:
    # A "?" begins the options of an address, and brackets may be part of a host.
    if is_xrootd(path) and glob.has_magic(path.partition("?")[0].split("/", 3)[-1]):
        from tfaas_nb.data import xrootd

        return xrootd.matching(path, timeout)
    if is_remote(path) or os.path.isfile(path):
        return [path]
    if glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise DataError(f"no file matches {path!r}")
        return matches
    if os.path.isdir(path):
        raise DataError(f"{path} is a folder: name the ROOT files, for instance '{path}/*.root'")
    folder = Path(path).parent
    if not folder.is_dir():
        raise DataError(f"{path} does not exist, nor does its folder {folder}")
    raise DataError(f"{path} does not exist{hint(Path(path).name, _files_of_events(folder, path))}")


def _files_of_events(folder: Path, path: str) -> list[str]:
    """The ROOT files in a folder that are called much like a missing one, those of scores apart."""
    asked = Path(path).name
    names = sorted(one.name for one in folder.iterdir() if one.suffix == ".root" and one.is_file())
    near = [name for name in names if nearest(asked, [name])]
    return [name for name in near if _holds_events(folder / name)]


def _holds_events(path: Path) -> bool:
    """Whether it is a ROOT file, and not what `tfaas_nb.score` writes."""
    import uproot

    try:
        with uproot.open(path, object_cache=None, array_cache=None) as file:
            return set(file.keys(recursive=False, cycle=False)) != {SCORES}
    except Exception:  # a damaged file can fail anywhere
        return False
