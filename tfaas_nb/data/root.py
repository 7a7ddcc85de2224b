"""ROOT files → `Dataset`: whole branches at a time, no loop over events."""

from __future__ import annotations

import difflib
import glob
import hashlib
import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import BACKGROUND, SIGNAL, Dataset, Source, concatenate
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet

#: A path, a glob, or several of them.
Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_DEFAULT_TREE = "events"
_TREES = ("TTree", "ROOT::RNTuple")
_HASH_CHUNK = 1 << 20


def load(
    signal: Files,
    background: Files,
    features: FeatureSet = TTBAR_ALL_HADRONIC,
    tree: str | None = None,
) -> Dataset:
    """Read signal and background events.

    Parameters
    ----------
    signal, background : path, glob, or list of them
        ROOT files of the two classes.
    features : FeatureSet
        Which branches become columns; jets are ordered by ``features.order_by``, the
        leading ``features.jets`` are kept and absent ones padded.
    tree : str, optional
        Tree (TTree or RNTuple) to read; by default ``events``, or the only tree of a file.

    Returns
    -------
    Dataset
        Signal events first, each with weight 1; X in the units of the files (GeV, rad).

    Raises
    ------
    DataError
        If a file, tree or branch is missing, unreadable, empty, or holds values that are
        not finite; the message names it, says what was found, and the nearest name.
    """
    return concatenate(
        [
            _class(signal, SIGNAL, "signal", features, tree),
            _class(background, BACKGROUND, "background", features, tree),
        ]
    )


def read(
    files: Files, features: FeatureSet = TTBAR_ALL_HADRONIC, tree: str | None = None
) -> Dataset:
    """Read events whose class is not known, for instance to score them.

    Parameters and errors are those of `load`; every ``y`` is 0.
    """
    return _class(files, BACKGROUND, "events", features, tree)


def _class(files: Files, y: int, role: str, features: FeatureSet, tree: str | None) -> Dataset:
    return concatenate([_file(path, y, role, features, tree) for path in expand(files)])


def expand(files: Files) -> list[str]:
    """The files that paths and globs stand for, globs in alphabetical order.

    Raises
    ------
    DataError
        If the list is empty, a file does not exist or a glob matches nothing.
    """
    given = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not given:
        raise DataError("the list of ROOT files is empty")
    return [path for item in given for path in _expand(os.path.expanduser(os.fspath(item)))]


def _expand(path: str) -> list[str]:
    if "://" in path or os.path.isfile(path):
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
    near = _nearest(Path(path).name, sorted(os.listdir(folder)))
    raise DataError(f"{path} does not exist{near}")


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; the nearest name is {near[0]!r}" if near else ""


def _file(path: str, y: int, role: str, features: FeatureSet, tree: str | None) -> Dataset:
    import uproot

    try:
        with uproot.open(path) as file:
            _check_complete(path, file.file.fEND)
            events = _tree(file, path, tree)
            X = _columns(events, path, features)
            name = events.name
    except DataError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in the decoding
        raise DataError(f"{path} cannot be read as a ROOT file: {_one_line(error)}") from error
    n = len(X)
    return Dataset(
        X=X,
        y=np.full(n, y, dtype=np.int8),
        weight=np.ones(n, dtype=np.float32),
        features=features,
        sources=(Source(os.path.basename(path), role, name, n, _sha256(path)),),
    )


def _check_complete(path: str, expected: int) -> None:
    """A copy that broke off may still show some of its trees."""
    if "://" in path:
        return
    size = Path(path).stat().st_size
    if size < expected:
        raise DataError(f"{path} is truncated: it has {size} of {expected} bytes; copy it again")


def _one_line(error: Exception) -> str:
    return textwrap.shorten(str(error), 200) or type(error).__name__


def _sha256(path: str) -> str:
    if "://" in path:
        return ""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _tree(file: Any, path: str, wanted: str | None) -> Any:
    trees = sorted(name for name, kind in file.classnames(cycle=False).items() if kind in _TREES)
    if not trees:
        found = sorted(file.classnames(cycle=False)) or "nothing"
        raise DataError(f"{path} has no tree; it holds {found}")
    name = wanted or (_DEFAULT_TREE if _DEFAULT_TREE in trees else trees[0])
    if name not in trees or (wanted is None and len(trees) > 1 and name != _DEFAULT_TREE):
        what = f"no tree {wanted!r}" if wanted else "more than one tree"
        near = _nearest(wanted, trees) if wanted else "; say which with tree=..."
        raise DataError(f"{path} has {what}; its trees are {trees}{near}")
    if not file[name].num_entries:
        raise DataError(f"the tree {name!r} of {path} is empty")
    return file[name]


def _columns(tree: Any, path: str, features: FeatureSet) -> npt.NDArray[np.float32]:
    """The feature matrix of a tree, float32 of shape (events, features)."""
    where = f"the tree {tree.name!r} of {path}"
    branches = set(tree.keys(recursive=False))
    missing = [name for name in features.branches if name not in branches]
    if missing:
        near = _nearest(missing[0], sorted(branches))
        raise DataError(
            f"{where} has no branch {', '.join(map(repr, missing))}; "
            f"its branches are {sorted(branches)}{near}"
        )
    arrays = tree.arrays(list(features.branches), library="ak", how=dict)
    X = np.full((tree.num_entries, len(features)), features.padding, dtype=np.float32)
    for column, variable in enumerate(features.event):
        X[:, column] = _flat(arrays[variable.name], variable.name, where)
    if features.jet:
        _fill_jets(X, arrays, features, where)
    return X


def _flat(array: Any, branch: str, where: str) -> npt.NDArray[Any]:
    import awkward as ak

    if array.ndim != 1:
        raise DataError(f"branch {branch!r} of {where} must hold one number per event")
    return _finite(ak.to_numpy(array), branch, where)


def _finite(values: npt.NDArray[Any], branch: str, where: str) -> npt.NDArray[np.float32]:
    if values.dtype.kind not in "biuf":
        raise DataError(f"branch {branch!r} of {where} holds {values.dtype}, not numbers")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        values = values.astype(np.float32, copy=False)
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"branch {branch!r} of {where} holds {int(bad.sum())} values that are not finite, "
            f"the first at position {int(bad.argmax())}"
        )
    return values


def _fill_jets(
    X: npt.NDArray[np.float32], arrays: dict[str, Any], features: FeatureSet, where: str
) -> None:
    """Scatter the jets of all events into their slots, leading jets first."""
    import awkward as ak

    counts, jets = None, {}
    for name in (v.name for v in features.jet):
        if arrays[name].ndim != 2:
            raise DataError(f"branch {name!r} of {where} must hold a list of jets per event")
        own = ak.to_numpy(ak.num(arrays[name]))
        if counts is None:
            counts = own
        elif not np.array_equal(own, counts):
            entry = int((own != counts).argmax())
            raise DataError(
                f"branch {name!r} of {where} has {own[entry]} jets in event {entry}, "
                f"{features.jet[0].name!r} has {counts[entry]}"
            )
        jets[name] = _finite(ak.to_numpy(ak.flatten(arrays[name])), name, where)
    assert counts is not None
    event = np.repeat(np.arange(len(counts)), counts)
    slot = np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts)
    leading = _leading_first(event, jets[features.order_by])
    kept = slot < features.jets
    for name, values in jets.items():
        columns = X[:, features.jet_columns(name)]
        columns[event[kept], slot[kept]] = (values if leading is None else values[leading])[kept]


def _leading_first(
    event: npt.NDArray[np.int64], by: npt.NDArray[Any]
) -> npt.NDArray[np.int64] | None:
    """The order that puts each event's jets leading first; None if they stand so already."""
    same_event = event[1:] == event[:-1]
    if not np.any(same_event & (by[1:] > by[:-1])):
        return None
    return np.lexsort((-by, event))
