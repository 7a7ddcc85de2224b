"""ROOT files → `Dataset`: whole branches at a time, no loop over events."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from tfaas_nb.data.dataset import BACKGROUND, SIGNAL, Dataset, Source, concatenate
from tfaas_nb.data.event_file import EventFile, Reading, steps
from tfaas_nb.data.files import Files, expand, is_remote
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet

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
    reading = Reading(features, tree)
    return concatenate([_file(path, y, role, reading) for path in expand(files)])


def _file(path: str, y: int, role: str, reading: Reading) -> Dataset:
    with EventFile(path, reading) as file:
        parts = [file.events(start, stop) for start, stop in steps(file.entries)]
        entries, tree, uuid = file.entries, file.tree, file.uuid
    n = sum(map(len, parts))
    return Dataset(
        X=np.concatenate([part.X for part in parts]),
        y=np.full(n, y, dtype=np.int8),
        weight=np.concatenate([part.weight for part in parts]),
        features=reading.features,
        sources=(Source(os.path.basename(path), role, tree, n, _sha256(path), entries, uuid),),
        extra={name: np.concatenate([part.extra[name] for part in parts]) for name in reading.keep},
    )


def _sha256(path: str) -> str:
    if is_remote(path):
        return ""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
