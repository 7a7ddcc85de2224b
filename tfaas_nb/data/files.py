"""Selection of files: paths, globs, lists, addresses, each with an optional tree."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfaas_nb.errors import DataError
from tfaas_nb.nearest import hint, nearest
from tfaas_nb.options import check_option, is_path

#: A path, a glob, an address such as ``root://host//file.root``, or several of them; the tree
#: may follow a colon (``"file.root:folder/tree"``) or be a mapping's value.
Named = str | os.PathLike[str] | Mapping[Any, str | None]
Files = Named | Sequence[Named]

#: A colon that a tree follows, as uproot takes it.
_WITH_TREE = re.compile(r"(.+\.root(?:\.\d+)?):(.*)", re.IGNORECASE | re.DOTALL)
_XROOTD = ("root", "roots", "xroot", "xroots")
_SHOWN = 5
_HASH_CHUNK = 1 << 20

#: Name of the tree in a file of scores.
SCORES = "scores"


@dataclass(frozen=True)
class InputFile:
    """A file to read.

    Attributes
    ----------
    path : str
        Local path or address.
    tree : str or None
        The tree that was named with it; it goes before a tree that is asked for of all files.
    """

    path: str
    tree: str | None = None

    def __str__(self) -> str:
        return self.path if self.tree is None else f"{self.path}:{self.tree}"

    @property
    def name(self) -> str:
        """Its name, without folder and options."""
        path = self.path.partition("?")[0] if is_remote(self.path) else self.path
        return os.path.basename(path)

    def placed(self, folder: str) -> InputFile:
        """The file as it was named by a process in a folder, for any process."""
        return InputFile(placed(self.path, folder), self.tree)

    def identity(self, tree: str | None = None) -> tuple[str, str | None]:
        """Return a key that is equal for all names of the same events, of a tree by default."""
        own = self.tree or tree
        return identity(self.path), own and own.partition(";")[0].strip("/")


def expand(files: Files, timeout: float | None = None, tree: str | None = None) -> list[InputFile]:
    """The files that paths and globs stand for, globs in alphabetical order.

    A file that is matched more than once is listed once, where it came first, and a
    `UserWarning` says so: its events must not count twice.  Globs are looked up on a server
    too, if it is one of XRootD's.

    Parameters
    ----------
    files : path, glob, address, mapping, or list of them
        What was asked for.  A tree of a file is named as uproot does it:
        ``"file.root:folder/tree"`` or ``{"file.root": "folder/tree"}``; a `Path`, and a key of a
        mapping, is never split at a colon.
    timeout : float, optional
        Seconds without an answer after which an XRootD server is given up.
    tree : str, optional
        The tree that is read of files that are named without one.

    Raises
    ------
    DataError
        If the list is empty, a file does not exist or a glob matches nothing, a file is named
        both with its tree and without, or something is no name.
    """
    right = tree is None or isinstance(tree, str)
    check_option("tree", tree, right, "the name of a tree, as text", DataError)
    asked = [pair for item in _items(files) for pair in _named(item)]
    if not asked:
        raise DataError("the list of ROOT files is empty")
    found = [
        InputFile(path, own)
        for place, own in asked
        for path in _expand(os.path.expanduser(place), timeout)
    ]
    check_trees(found, tree)
    once: dict[tuple[str, str | None], InputFile] = {}
    twice = [str(file) for file in found if once.setdefault(file.identity(tree), file) is not file]
    if twice:
        more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        warnings.warn(
            f"files that were named more than once are read once: "
            f"{', '.join(twice[:_SHOWN])}{more}",
            stacklevel=2,
        )
    return list(once.values())


def check_trees(files: Iterable[InputFile], tree: str | None = None) -> None:
    """Refuse a file that is named once with a tree and once without: it may be the same tree.

    Raises
    ------
    DataError
        If there is one.
    """
    trees: dict[str, set[str | None]] = {}
    for file in files:
        path, own = file.identity(tree)
        own_trees = trees.setdefault(path, set())
        own_trees.add(own)
        if len(own_trees) > 1 and None in own_trees:
            raise DataError(
                f"{file.path} is named with the tree {next(filter(None, own_trees))!r} and without "
                "a tree, which may be the same one: name the tree each time"
            )


def _items(files: Files) -> list[Any]:
    if isinstance(files, (str, bytes, os.PathLike, Mapping)) or not isinstance(files, Iterable):
        return [files]
    return list(files)


def _named(item: Any) -> Iterator[tuple[str, str | None]]:
    """Paths and the trees that were named with them."""
    if isinstance(item, Mapping):
        for path, tree in item.items():
            yield _path(path), _tree(tree, path)
    elif isinstance(item, str):
        yield _split(item)
    else:
        yield _path(item), None


def _path(path: Any) -> str:
    if isinstance(path, (str, os.PathLike)):
        return str(os.fspath(path))
    raise DataError(f"a file is named by its path, not by {type(path).__name__}: {path!r}")


def _tree(tree: Any, path: Any) -> str | None:
    if isinstance(tree, Mapping) and set(tree) == {"object_path"}:  # as uproot.dask takes it
        tree = tree["object_path"]
    if tree is None or isinstance(tree, str):
        return re.sub("/+", "/", tree or "").strip().strip("/") or None
    raise DataError(f"in {{{str(path)!r}: ...}} stands the name of the file's tree, not {tree!r}")


def _split(text: str) -> tuple[str, str | None]:
    """A path, and the tree behind its colon; a colon may also be the path's own."""
    if is_remote(text):
        address, mark, options = text.partition("?")
        scheme, _, rest = address.partition("://")
        host, slash, path = rest.partition("/")
        match = _WITH_TREE.fullmatch(path)
        if match is None:
            return text, None
        return f"{scheme}://{host}{slash}{match[1]}{mark}{options}", _tree(match[2], text)
    if not is_path(text):
        raise DataError(f"{text!r:.100} can be no file's path: its name is empty or too long")
    if Path(text).expanduser().exists():
        return text, None
    if match := _WITH_TREE.fullmatch(text):
        return match[1], _tree(match[2], text)
    path, colon, tree = text.rpartition(":")
    is_there = os.path.isfile(path) or (glob.has_magic(path) and bool(glob.glob(path)))
    return (path, _tree(tree, text)) if colon and is_there else (text, None)


def identity(path: str) -> str:
    """Return a key that is equal for all names of the same file."""
    return path if is_remote(path) else os.path.realpath(path)


def placed(path: str, folder: str) -> str:
    """A path as it was named by a process in a folder, for any process; addresses stay."""
    return path if is_remote(path) or not folder else str(Path(folder, path))


def is_remote(path: str) -> bool:
    """Return True if a file is read over a network protocol."""
    return "://" in path


def is_xrootd(path: str) -> bool:
    """Return True if an address is one of XRootD's: ``root://`` and the like."""
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
    """Return True if it is a ROOT file, and not one that `tfaas_nb.score` wrote."""
    import uproot

    try:
        with uproot.open(path, object_cache=None, array_cache=None) as file:
            return set(file.keys(recursive=False, cycle=False)) != {SCORES}
    except Exception:  # a damaged file can fail anywhere
        return False


def sha256(path: str) -> str:
    """Hash of a file's content; empty for no file, or a remote or unreadable one."""
    if not path or is_remote(path):
        return ""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while chunk := stream.read(_HASH_CHUNK):
                digest.update(chunk)
    except OSError:  # it was there a moment ago, and was read
        return ""
    return digest.hexdigest()
