"""Bundles: a frozen graph with all that a server or a colleague must know of it.

On disk a bundle is TFaaS's model directory, ``NAME/`` with ``params.json``, ``model.pb``
and ``labels.txt``, plus our ``model.pb.txt`` and ``model_card.json``; on the wire the same
files in a ``.tar.gz``.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from tfaas_nb.errors import BundleError, GraphError, TooLarge
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.table import Table
from tfaas_nb.wire.params import Params

PARAMS = "params.json"
MODEL = "model.pb"
LABELS = "labels.txt"
TEXT = "model.pb.txt"
CARD = "model_card.json"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 64
_MOST_BYTES = 512 << 20


def check_name(name: str) -> str:
    """The name, if a model may be called so.

    Raises
    ------
    BundleError
        If it is not 1 to 100 letters, digits, ``_``, ``-`` or ``.``, or starts with ``-``
        or ``.``.
    """
    if not _NAME.fullmatch(name):
        raise BundleError(
            f"{name!r} cannot name a model: use up to 100 letters, digits, '_', '-' or '.', "
            "the first a letter, digit or '_'"
        )
    return name


@dataclass(frozen=True, repr=False)
class Bundle:
    """A model that can be handed on.

    Attributes
    ----------
    graph : FrozenGraph
        The vetted inference graph.
    params : Params
        Name, node names, features with their typical ranges.
    labels : tuple of str
        Name of each output.  TFaaS never held uploads to that, so neither do we: labels that
        are not as many as the outputs are kept, but no answer is labelled with them.
    card : mapping
        Model card: features, training files with hashes, counts, AUC, versions, time.
    """

    graph: FrozenGraph
    params: Params
    labels: tuple[str, ...]
    card: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        name: str,
        graph: FrozenGraph,
        labels: Sequence[str],
        features: Sequence[Mapping[str, Any]] = (),
        card: Mapping[str, Any] | None = None,
        description: str = "",
    ) -> Bundle:
        """Put a bundle together.

        Parameters
        ----------
        name : str
            Name under which it will be served.
        graph : FrozenGraph
            The graph.
        labels : sequence of str
            Name of each output.
        features : sequence of mappings, optional
            ``name``, ``unit``, ``low``, ``median``, ``high``, ``present`` of each input; by
            default only the names that the graph carries.
        card : mapping, optional
            Model card.
        description : str, optional
            A sentence for people.

        Raises
        ------
        BundleError
            If the name is not usable or the features do not fit the graph.
        """
        params = Params(
            name=check_name(name),
            model=MODEL,
            labels=LABELS,
            input_node=graph.input_node,
            output_node=graph.output_node,
            input_name=_tensor_names(graph.input_nodes),
            output_name=_tensor_names(graph.output_nodes),
            description=description,
            timestamp=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            features=tuple(features)
            or tuple({"name": n} for n in graph.features or graph.signature.names or ()),
        )
        return _checked(graph, params, tuple(labels), card or {})

    @classmethod
    def from_parts(
        cls,
        params: bytes,
        model: bytes,
        labels: bytes = b"",
        card: bytes = b"",
        name: str | None = None,
    ) -> Bundle:
        """A bundle from the contents of its files, as an upload brings them.

        Parameters
        ----------
        params, model, labels, card : bytes
            ``params.json``, the graph, ``labels.txt`` and ``model_card.json``.
        name : str, optional
            Replaces the name in ``params.json``.

        Raises
        ------
        BundleError
            If a part is unreadable or the parts contradict each other.
        GraphError
            If the graph may not be served.
        """
        read = Params.from_json(params, name)
        graph = FrozenGraph.from_bytes(model, read.input_node or None, read.output_node or None)
        if read.sha256 and read.sha256 != graph.sha256:
            raise BundleError(
                f"the model is not the one that {PARAMS} describes: its sha256 is "
                f"{graph.sha256[:12]}…, expected {read.sha256[:12]}…; was it damaged on the way?"
            )
        found = replace(read, input_node=graph.input_node, output_node=graph.output_node)
        names = [line.strip() for line in _decoded(labels, LABELS).splitlines()]
        return _checked(graph, found, tuple(n for n in names if n), _card(card))

    @classmethod
    def from_archive(cls, data: bytes, name: str | None = None) -> Bundle:
        """A bundle from the bytes of a ``.tar`` or ``.tar.gz`` of one model directory.

        Raises
        ------
        BundleError
            If it is no such archive, or a part is missing or wrong.
        TooLarge
            If it holds too many or too large files.
        """
        files = _members(data)
        if PARAMS not in files:
            what = "a SavedModel" if "saved_model.pb" in files else f"{sorted(files)}"
            raise BundleError(
                f"the archive holds {what} and no {PARAMS}: "
                "upload a frozen graph with its params.json (Bundle.save_archive makes one)"
            )
        wanted = Params.from_json(files[PARAMS], name)
        if wanted.model not in files:
            raise BundleError(
                f"{PARAMS} names the model {wanted.model!r}, but the archive has {sorted(files)}"
            )
        return cls.from_parts(
            files[PARAMS],
            files[wanted.model],
            files.get(wanted.labels, b""),
            files.get(CARD, b""),
            wanted.name,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Bundle:
        """Read a model directory or a ``.tar.gz``.

        Raises
        ------
        BundleError
            If the path, or a part in it, is missing or wrong.
        """
        path = Path(path)
        try:
            if path.is_dir():
                return cls._from_directory(path)
            return cls.from_archive(path.read_bytes())
        except OSError as error:
            raise BundleError(f"{error.filename or path}: {error.strerror}") from error
        except (BundleError, GraphError) as error:
            raise type(error)(f"{path}: {error}") from error

    @classmethod
    def _from_directory(cls, path: Path) -> Bundle:
        params = (path / PARAMS).read_bytes()
        wanted = Params.from_json(params)
        for part in (wanted.model, wanted.labels):
            if Path(part).name != part:
                raise BundleError(f"{PARAMS} names {part!r}, which is not a plain file name")
        labels, card = path / wanted.labels, path / CARD
        return cls.from_parts(
            params,
            (path / wanted.model).read_bytes(),
            labels.read_bytes() if wanted.labels and labels.exists() else b"",
            card.read_bytes() if card.exists() else b"",
        )

    @property
    def name(self) -> str:
        """Name under which it is served."""
        return self.params.name

    @property
    def features(self) -> tuple[str, ...] | None:
        """Names of the inputs in order; None when the model does not tell."""
        if self.graph.features:
            return self.graph.features
        named = tuple(str(f["name"]) for f in self.params.features)
        return named or self.graph.signature.names

    def renamed(self, name: str) -> Bundle:
        """The same model under another name."""
        return replace(self, params=replace(self.params, name=check_name(name)))

    def files(self) -> dict[str, bytes]:
        """File name → content of the model directory."""
        from google.protobuf import text_format

        text = text_format.MessageToString(self.graph.graph_def())
        return {
            PARAMS: self.params.to_json(),
            MODEL: self.graph.serialized,
            LABELS: "".join(f"{label}\n" for label in self.labels).encode(),
            TEXT: text.encode(),
            CARD: json.dumps(self.card, indent=2, ensure_ascii=False).encode("utf-8", "replace"),
        }

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write the model directory ``directory/NAME`` and return its path.

        Raises
        ------
        BundleError
            If it cannot be written.
        """
        target = Path(directory) / self.name
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name, content in self.files().items():
                (target / name).write_bytes(content)
        except OSError as error:
            raise BundleError(f"{target} cannot be written: {error.strerror}") from error
        return target

    def archive(self) -> bytes:
        """The model directory as the bytes of a ``.tar.gz``."""
        stream = io.BytesIO()
        # A fixed time keeps the archive of a bundle the same, byte for byte.
        with (
            gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as compressed,
            tarfile.open(fileobj=compressed, mode="w") as tar,
        ):
            for name, content in self.files().items():
                entry = tarfile.TarInfo(f"{self.name}/{name}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return stream.getvalue()

    def save_archive(self, path: str | os.PathLike[str]) -> Path:
        """Write a ``.tar.gz``; a folder gets ``NAME.tar.gz``.

        Raises
        ------
        BundleError
            If it cannot be written.
        """
        target = Path(path) / f"{self.name}.tar.gz" if Path(path).is_dir() else Path(path)
        try:
            target.write_bytes(self.archive())
        except OSError as error:
            raise BundleError(f"{target} cannot be written: {error.strerror}") from error
        return target

    def __repr__(self) -> str:
        inputs = f"{len(self.features)} features" if self.features else "unnamed inputs"
        return (
            f"Bundle({self.name!r}, {inputs} → {', '.join(self.labels) or 'unlabelled'}, "
            f"{len(self.graph.serialized) / 1e3:.0f} kB)"
        )

    def _repr_html_(self) -> str:
        evaluation = self.card.get("evaluation", {})
        rows = [
            ("inputs", ", ".join(self.features or ()) or "not named"),
            ("outputs", ", ".join(self.labels) or "not labelled"),
            ("nodes", f"{self.graph.input_node} → {self.graph.output_node}"),
            ("size", f"{len(self.graph.serialized) / 1e3:.0f} kB"),
            ("sha256", self.graph.sha256),
            ("made", self.params.timestamp or "unknown"),
            ("trained on", ", ".join(s["file"] for s in self.card.get("training", []))),
            ("AUC", f"{evaluation['auc']:.4f}" if "auc" in evaluation else "not evaluated"),
        ]
        return Table(("part", "content"), tuple(rows), repr(self))._repr_html_()


def _checked(
    graph: FrozenGraph, params: Params, labels: tuple[str, ...], card: Mapping[str, Any]
) -> Bundle:
    """A bundle whose parts fit; its params carry the hash of its graph."""
    named = tuple(str(feature["name"]) for feature in params.features)
    if graph.features and named and named != graph.features:
        raise BundleError(f"the features in {PARAMS} are not those that the graph carries")
    width = graph.signature.width
    if named and width not in (None, len(named)):
        raise BundleError(f"{PARAMS} names {len(named)} features, the graph takes {width}")
    if len(set(named)) != len(named):
        raise BundleError(f"{PARAMS} names a feature twice")
    check_name(params.name)
    own = replace(params, model=MODEL, labels=LABELS, sha256=graph.sha256)
    return Bundle(graph, own, labels, dict(card))


def _tensor_names(nodes: Sequence[str]) -> str:
    return ",".join(f"{node}:0" for node in nodes)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{name} is not UTF-8 text: {error}") from error


def _card(content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    try:
        card = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{CARD} is not JSON: {error}") from error
    if not isinstance(card, dict):
        raise BundleError(f"{CARD} must be a JSON object")
    return card


def _members(data: bytes) -> dict[str, bytes]:
    """Files of a tar, by their path within its one folder; nothing is written to disk."""
    stream = _Limited(data)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            files = dict(_regular(tar))
        stream.drain()
        return files
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BundleError(f"the upload is not a whole .tar or .tar.gz: {error}") from error


class _Limited(io.RawIOBase):
    """The content of a tar or tar.gz, up to a size.

    Counted here and not by the members' sizes: `tarfile` reads what precedes a member
    (long names, PAX headers) whole, however much it unpacks to.
    """

    def __init__(self, data: bytes) -> None:
        raw = io.BytesIO(data)
        self._stream = gzip.GzipFile(fileobj=raw) if data.startswith(_GZIP) else raw
        self._left = _MOST_BYTES

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise _too_large()
        return found

    def drain(self) -> None:
        """Read to the end, where gzip's checksum is."""
        while self.read(1 << 16):
            pass


def _too_large() -> TooLarge:
    return TooLarge(
        f"the archive holds more than {_MOST_MEMBERS} members or {_MOST_BYTES >> 20} MB"
    )


def _regular(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for count, entry in enumerate(tar, start=1):
        if count > _MOST_MEMBERS or entry.size > _MOST_BYTES:
            raise _too_large()
        parts = PurePosixPath(entry.name).parts
        if ".." in parts or entry.name.startswith("/"):
            raise BundleError(f"the archive's member {entry.name!r} points outside of it")
        if entry.isdir():
            continue
        if not entry.isreg():
            raise BundleError(f"the archive's member {entry.name!r} is not a regular file")
        stream = tar.extractfile(entry)
        yield "/".join(parts[1:] or parts), stream.read() if stream else b""
