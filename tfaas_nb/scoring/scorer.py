"""Scorers of events: a bundle in this process or a model on a server, with one interface."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import numpy.typing as npt

from tfaas_nb import foreign_file
from tfaas_nb.bundle import PARAMS, Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.client import Client
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import BundleError, FeatureError, ServerError, TfaasError
from tfaas_nb.features import FeatureSet, feature_set_of, order_keys
from tfaas_nb.independence import check_independence
from tfaas_nb.model_file import is_model
from tfaas_nb.wire.params import HOW_TO_NAME, Params

Floats = npt.NDArray[np.float32]

#: A bundle, a trained classifier, the path of a model, or its address on a server.
Model = Bundle | Classifier | str | os.PathLike[str]

#: Bytes by which a file is told.
_HEAD, _SHOWN = 1 << 20, 16
_GIVE = (
    "give a bundle's folder or its .tar.gz, as tfaas-nb train, Bundle.save and Bundle.save_archive "
    "write them, a model's file, or the address http://HOST:PORT/models/NAME"
)
_ZIP = b"PK"
#: Beginnings of archives that are compressed: gzip, bzip2, xz.
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
#: An address from which http:// is missing.
_NO_SCHEME = re.compile(r"[\w.-]+(:\d+)?/models/")
_ADDRESS = re.compile(r"(?P<server>.*?)/models/(?P<model>[^?#]+?)/?")


class Scorer(Protocol):
    """Protocol of a scorer of events."""

    @property
    def features(self) -> FeatureSet:
        """Feature set with which its events are read."""
        ...

    @property
    def on_nan(self) -> str:
        """Treatment of values that are not finite in its training, as `load` takes it."""
        ...

    def scores(self, X: Floats) -> Floats:
        """Scores, float32 of shape (events, outputs), of events (events, features)."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def open_scorer(model: Model, token: str | None = None) -> Scorer:
    """The scorer of a model.

    Parameters
    ----------
    model : Bundle, Classifier, path, or str
        A path is a bundle's folder, a folder that holds one bundle's folder, or a
        ``.tar.gz``; an address is ``http://HOST:PORT/models/NAME``, where ``NAME`` may be
        followed by ``/versions/3`` or ``/labels/production``.
    token : str, optional
        What the server asks for; ``?token=`` of an address does as well.

    Raises
    ------
    BundleError
        If it is no model, there is none at the path, or it cannot be read.
    FeatureError
        If the model does not tell what it reads of an event.
    GraphError
        If a bundle's score of an event depends on other events.
    ModelNotFound, ServerUnreachable
        If the server has no such model, or does not answer.
    """
    if isinstance(model, Classifier):
        model = model.bundle("classifier")
    if isinstance(model, Bundle):
        return LocalScorer(model)
    if not isinstance(model, (str, os.PathLike)):
        raise BundleError(
            "a model is a Bundle, a Classifier, the path of a bundle or the address of a model on "
            f"a server, not {type(model).__name__}: {model!r}"
        )
    if not os.fspath(model):
        raise BundleError(
            "a model is named by its path or its address on a server, not by an empty text"
        )
    if _is_address(model):
        return _remote(os.fspath(model), token)
    return LocalScorer(_bundle(Path(model)))


def given(model: Model, token: str | None = None) -> Callable[[], Scorer]:
    """Return a function that opens the scorer, also in a process on another machine.

    What stands in a file here is read here.
    """
    if isinstance(model, Classifier):
        model = model.bundle("classifier")
    if not isinstance(model, Bundle) and not _is_address(model):
        model = _bundle(Path(model))
    return partial(open_scorer, model, token)


def _is_address(model: str | os.PathLike[str]) -> bool:
    return re.match(r"https?://", os.fspath(model)) is not None


class LocalScorer:
    """A bundle's graph, run in this process."""

    def __init__(self, bundle: Bundle) -> None:
        self.features = _known(bundle.feature_set, bundle.name)
        self.on_nan = bundle.params.on_nan
        self._engine = open_engine(bundle.graph)
        try:
            check_independence(bundle, self._engine)
        except TfaasError:
            self._engine.close()
            raise
        names = bundle.features or self.features.names
        in_order = names == self.features.names
        self._order = None if in_order else np.array(order_keys(names, self.features.names))

    def scores(self, X: Floats) -> Floats:
        """See `Scorer`."""
        return self._engine(X if self._order is None else np.ascontiguousarray(X[:, self._order]))

    def close(self) -> None:
        """See `Scorer`."""
        self._engine.close()


@dataclass(frozen=True)
class ServedScorer:
    """A model on a server."""

    client: Client
    model: str
    features: FeatureSet
    on_nan: str = "error"

    def scores(self, X: Floats) -> Floats:
        """See `Scorer`."""
        found = np.asarray(self.client.predict(self.model, X, self.features.names, progress=False))
        return found if found.ndim == 2 else found[:, np.newaxis]

    def close(self) -> None:
        """See `Scorer`."""


def _remote(address: str, token: str | None) -> ServedScorer:
    parts = urlsplit(address)
    found = _ADDRESS.fullmatch(parts._replace(query="", fragment="").geturl())
    if not found:
        raise ServerError(
            f"{parts._replace(query='').geturl()} names no model: write "
            "http://HOST:PORT/models/NAME"
        )
    asked = parse_qs(parts.query, keep_blank_values=True)
    if further := sorted(asked.keys() - {"token"}):
        raise ServerError(
            f"the address asks for {', '.join(further)}, which is not understood: a version or a "
            "label is named as /models/NAME/versions/3 or /models/NAME/labels/production"
        )
    client = Client(found["server"], token or asked.get("token", [None])[0])
    model = unquote(found["model"])
    told = Params.from_values(client.params(model))
    names = tuple(str(feature["name"]) for feature in told.features)
    features = _known(told.feature_set or feature_set_of(model, names), model)
    return ServedScorer(client, model, features, told.on_nan)


def _known(features: FeatureSet | None, model: str) -> FeatureSet:
    if features is None or not len(features):
        raise FeatureError(
            f"model {model!r} does not tell the names of its features, so no file can be read for "
            f"it: {HOW_TO_NAME}; or Bundle.with_features([...]) of a bundle"
        )
    return features


def _folder(path: Path) -> Path:
    """The model's folder or archive at a path; of a folder with one model's folder, that."""
    if not path.is_dir() or (path / PARAMS).exists():
        return path
    inside = sorted(found.parent for found in path.glob(f"*/{PARAMS}"))
    if len(inside) != 1:
        held = f"{len(inside)} models ({', '.join(p.name for p in inside)})" if inside else "none"
        raise BundleError(
            f"{path} is no model's folder: it has no {PARAMS}, and holds {held}; {_GIVE}"
        )
    return inside[0]


def _bundle(path: Path) -> Bundle:
    """The model in a folder, an archive or a file."""
    if not path.exists():
        meant = f" (write 'http://{path}')" if _NO_SCHEME.match(str(path)) else ""
        raise BundleError(f"No such file or folder: {path}{meant}; {_GIVE}")
    if path.is_dir():
        return Bundle.load(_folder(path))
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    if not head.startswith(_ZIP):  # of which the end tells
        _check_head(path, head)
    return Bundle.of(path)


def _check_head(path: Path, head: bytes) -> None:
    """Refuse a file that is no model, by its beginning: it may be a large file of events."""
    if refusal := foreign_file.refusal(head):
        raise BundleError(f"{path} is no model to score with: {refusal}; {_GIVE}")
    if not (is_model(head) or head.startswith(_PACKED) or head[257:262] == b"ustar"):
        raise BundleError(
            f"{path} is no model: it begins with {head[:_SHOWN]!r}, as no archive and no model "
            f"does; {_GIVE}"
        )
