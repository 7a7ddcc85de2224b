"""Bundles: a model with all that a server or a colleague must know of it.

On disk a bundle is TFaaS's model directory, ``NAME/`` with ``params.json``, ``model.pb``
and ``labels.txt``, plus our ``model.pb.txt``, ``model_card.json`` and ``reference_events.json``;
on the wire the same files in a ``.tar.gz``.  An ONNX model stands there as ``model.onnx``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import (
    archive,
    durable,
    export,
    foreign_file,
    model_file,
    model_folder,
    saved_model,
)
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.engines import Engine, open_engine
from tfaas_nb.errors import BundleError, FeatureError, GraphError, TfaasError, TooLarge
from tfaas_nb.features import FeatureSet, feature_set_of, order_keys
from tfaas_nb.features.columns import array_of, columns_of
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.graph_parts.inference_constants import Constants, constants_in
from tfaas_nb.missing import NAN
from tfaas_nb.model_file import HERE, NOTHING, Graph, Reader
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.options import (
    check_bytes,
    check_count,
    check_kind,
    check_names,
    check_option,
    check_path,
    check_text,
)
from tfaas_nb.reference_events import FILE as REFERENCE_EVENTS
from tfaas_nb.reference_events import ReferenceEvents
from tfaas_nb.table import Table, folded
from tfaas_nb.wire.ascii_json import in_ascii
from tfaas_nb.wire.params import (
    HOW_TO_NAME,
    UNKNOWN,
    FeatureNames,
    Params,
    check_missing,
    described,
    feature_names,
    working_points_in,
)

PARAMS = model_folder.PARAMS
MODEL = FrozenGraph.file_name
LABELS = "labels.txt"
TEXT = "model.pb.txt"
CARD = "model_card.json"
#: What a bundle's folder may hold; other files in it are a user's own.
FILES = frozenset({PARAMS, MODEL, OnnxGraph.file_name, LABELS, TEXT, CARD, REFERENCE_EVENTS})

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
#: Wider models have no reference events: they would be longer than the model.
_WIDEST = 4096
#: Events made up for a model that tells nothing of its inputs.
_MADE_UP = 4


def name_from(text: str) -> str:
    """A name for a model, made of a file's name or of any other text."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:100] or "model"


def check_name(name: str) -> str:
    """The name, if a model may be called so.

    Raises
    ------
    BundleError
        If it is not 1 to 100 letters, digits, ``_``, ``-`` or ``.``, or starts with ``-``
        or ``.``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BundleError(
            f"{name!r} cannot name a model: use up to 100 letters, digits, '_', '-' or '.', "
            "the first a letter, digit or '_'"
        )
    return name


@checked_calls(BundleError)
@dataclass(frozen=True, repr=False)
class Bundle:
    """A model that can be handed on.

    Attributes
    ----------
    graph : FrozenGraph or OnnxGraph
        The vetted model.
    params : Params
        Name, node names, features with their typical ranges.
    labels : tuple of str
        Name of each output.  TFaaS never held uploads to that, so neither do we: labels that
        are not as many as the outputs are kept, but no answer is labelled with them.
    card : mapping
        Model card: features, training files with hashes, counts, AUC, versions, time.
    reference_events : ReferenceEvents or None
        A few events with their scores, which every server checks when it loads the model.
    """

    graph: Graph
    params: Params
    labels: tuple[str, ...]
    card: Mapping[str, Any] = field(default_factory=dict)
    reference_events: ReferenceEvents | None = None

    @classmethod
    def of(
        cls,
        model: Any,
        name: str | None = None,
        features: FeatureNames = (),
        constants: Constants | str = "",
        missing: str = "",
    ) -> Bundle:
        """A bundle of a model, however it is at hand.

        Parameters
        ----------
        model : Bundle, Classifier, FrozenGraph, OnnxGraph, keras.Model, path or bytes
            A path is a bundle's or a SavedModel's folder, an archive of one, or a model's file of
            any format that is served; bytes are those of such a file.
        name : str, optional
            Name under which it will be served; by default its own, the classifier's features' or
            the file's.
        features : sequence of str, str or FeatureSet, optional
            Names of its features in its order; see `with_features`.
        constants : mapping or str, optional
            Placeholder of a TensorFlow graph that is no input → its value in inference, such as
            ``{"keep_prob": 1.0}`` or ``"keep_prob=1,phase=false"``; others are found by
            themselves as far as their meaning is certain.
        missing : str, optional
            ``nan`` if it was trained with NaN for missing values; see `with_missing`.

        Raises
        ------
        BundleError
            If it is nothing that can be served, there is no such file, or a name is missing.
        GraphError
            If the model may not or cannot be served.
        """
        if missing:
            return cls.of(model, name, features, constants).with_missing(missing)
        if isinstance(model, (str, os.PathLike)):
            check_path("model", model, BundleError)
            return _from_path(Path(model), name, features, constants)
        if isinstance(model, bytes):
            return cls.from_upload(model, name, features=features, constants=constants)
        if constants:
            raise BundleError(
                f"inference constants are for the file of a TensorFlow graph, not for a "
                f"{type(model).__name__}"
            )
        if isinstance(model, Bundle):
            return (model.renamed(name) if name else model).with_features(features)
        if callable(getattr(model, "bundle", None)):
            return cls.of(model.bundle(name), features=features)
        if any(kind.__module__.partition(".")[0] == "keras" for kind in type(model).__mro__):
            model = FrozenGraph.freeze(model)
        if not isinstance(model, (FrozenGraph, OnnxGraph)):
            line = foreign_file.to_onnx(type(model).__module__)
            raise BundleError(
                f"a {type(model).__name__} is no model that can be served: bring a Classifier, a "
                "Keras model, or the file of one; other libraries' models as ONNX (skl2onnx, "
                f"onnxmltools, torch.onnx){f': {line}' if line else ''}"
            )
        if name is None:
            raise BundleError(f"a {type(model).__name__} has no name to be served by: give name=")
        return cls.create(name, model, ()).with_features(features)

    @classmethod
    def create(
        cls,
        name: str,
        graph: Graph,
        labels: Sequence[str],
        features: Sequence[Mapping[str, Any] | str] = (),
        card: Mapping[str, Any] | None = None,
        description: str = "",
        feature_set: FeatureSet | None = None,
        working_points: Sequence[Mapping[str, Any]] = (),
        provenance: Sequence[Mapping[str, Any]] = (),
    ) -> Bundle:
        """Put a bundle together.

        Parameters
        ----------
        name : str
            Name under which it will be served.
        graph : FrozenGraph or OnnxGraph
            The model.
        labels : sequence of str
            Name of each output.
        features : sequence of mappings or str, optional
            ``name``, ``unit``, ``low``, ``median``, ``high``, ``present`` of each input, or only
            the names; by default those that the graph carries.
        card : mapping, optional
            Model card.
        description : str, optional
            A sentence for people.
        feature_set : FeatureSet, optional
            How its inputs are read from ROOT files.
        working_points : sequence of mappings, optional
            ``eps_s``, ``eps_b`` and ``threshold`` of cuts on the score.
        provenance : sequence of mappings, optional
            Training files whose values were left out, padded or absent, and how.

        Raises
        ------
        BundleError
            If the name is not usable or the features do not fit the graph.
        """
        check_kind(
            "graph", graph, (FrozenGraph, OnnxGraph), "a FrozenGraph or OnnxGraph", BundleError
        )
        check_names("labels", labels, BundleError)
        check_text("description", description, BundleError)
        kinds = (FeatureSet, type(None))
        check_kind("feature_set", feature_set, kinds, "a FeatureSet or None", BundleError)
        check_kind("card", card, (Mapping, type(None)), "a mapping or None", BundleError)
        for key, several in (
            ("features", features),
            ("working_points", working_points),
            ("provenance", provenance),
        ):
            check_kind(key, several, Iterable, "a list", BundleError)
        params = Params(
            name=check_name(name),
            model=graph.file_name,
            labels=LABELS,
            input_node=graph.input_node,
            output_node=graph.output_node,
            input_name=graph.input_name,
            output_name=graph.output_name,
            description=description,
            timestamp=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            features=described(list(features))
            or _named(graph.features or graph.signature.names or ()),
            feature_set=feature_set,
            working_points=working_points_in(list(working_points)),
            provenance=tuple(provenance),
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
        reference_events: bytes = b"",
        reader: Reader = HERE,
        features: FeatureNames = (),
        beside: Mapping[str, bytes] = NOTHING,
        constants: Constants | str = "",
    ) -> Bundle:
        """A bundle from the contents of its files, as an upload brings them.

        Parameters
        ----------
        params, model, labels, card, reference_events : bytes
            ``params.json`` (empty: there is none), the model's file, ``labels.txt``,
            ``model_card.json`` and ``reference_events.json``.  The model is a frozen graph, an
            ONNX model or a ``.keras`` file, which is converted.
        name : str, optional
            Replaces the name in ``params.json``.
        reader : Reader
            What reads the model.
        features : sequence of str, str or FeatureSet, optional
            Names of the features in the model's order; see `with_features`.
        beside : mapping of str to bytes
            Further files by their path from the model's folder: an ONNX model's weights may be
            there.
        constants : mapping or str, optional
            Placeholder of a TensorFlow graph that is no input → its value in inference, such as
            ``{"keep_prob": 1.0}`` or ``"keep_prob=1,phase=false"``; others are found by
            themselves as far as their meaning is certain.

        Raises
        ------
        BundleError
            If a part is unreadable or the parts contradict each other.
        GraphError
            If the model may not be served.
        MissingExtra
            If what reads the model's format is not installed.
        """
        for key, value in (
            ("params", params),
            ("model", model),
            ("labels", labels),
            ("card", card),
            ("reference_events", reference_events),
        ):
            check_bytes(key, value, BundleError)
        told = _params(params, name)
        values = {**told.constants, **constants_in(constants)}
        ends = (told.input_node, told.output_node)
        found = reader.read(model, *ends, beside=beside, constants=values)
        sha256 = hashlib.sha256(model).hexdigest()
        if told.sha256 and told.sha256 != sha256:
            raise BundleError(
                f"the model is not the one that {PARAMS} describes: its sha256 is "
                f"{sha256[:12]}…, expected {told.sha256[:12]}…; was it damaged on the way?"
            )
        return _put_together(found, told, labels, card, reference_events, features)

    @classmethod
    def from_saved_model(
        cls,
        path: str | os.PathLike[str],
        name: str,
        signature: str | None = None,
        labels: Sequence[str] = (),
        features: FeatureNames = (),
        reader: Reader = HERE,
        constants: Constants | str = "",
    ) -> Bundle:
        """A bundle from a SavedModel's folder; the model is frozen, which takes seconds.

        Parameters
        ----------
        path : path
            The folder with ``saved_model.pb``, or with folders of versions, ``1/``, ``2/``, of
            which the highest is taken.
        name : str
            Name under which it will be served.
        signature : str, optional
            What to serve of it; by default ``serving_default``, or the only signature.
        labels : sequence of str, optional
            Names of the outputs.
        features : sequence of str, str or FeatureSet, optional
            Names of the features in the model's order; see `with_features`.
        reader : Reader
            What reads the model.
        constants : mapping or str, optional
            Placeholder of a TensorFlow graph that is no input → its value in inference, such as
            ``{"keep_prob": 1.0}`` or ``"keep_prob=1,phase=false"``; others are found by
            themselves as far as their meaning is certain.

        Raises
        ------
        BundleError
            If the folder cannot be read, or the names do not fit the model.
        GraphError
            If the model may not or cannot be served.
        """
        check_path("path", path, BundleError)
        try:
            folder = model_folder.latest(Path(path))
            inner = [p for p in (folder / saved_model.VARIABLES).glob("*") if p.is_file()]
            files = {
                p.relative_to(folder).as_posix(): p.read_bytes()
                for p in (folder / saved_model.FILE, *inner)
            }
        except OSError as error:
            raise BundleError(f"{error.filename or path}: {error.strerror}") from error
        found = reader.read_saved_model(files, signature, constants_in(constants))
        card = {"converted_from": found.converted_from}
        return cls.create(name, found.graph, labels, (), card).with_features(features)

    @classmethod
    def from_archive(
        cls,
        data: bytes,
        name: str | None = None,
        signature: str | None = None,
        reader: Reader = HERE,
        features: FeatureNames = (),
        file_name: str = "",
        constants: Constants | str = "",
    ) -> Bundle:
        """A bundle from the bytes of an archive of one model directory.

        The archive is a ``.tar``, ``.tar.gz``, ``.tar.bz2``, ``.tar.xz`` or ``.zip``.

        The directory is a bundle's, or with or without ``params.json`` a SavedModel's or that of
        a lone model's file, an ONNX model's with the files of its weights; without, the model is
        called as the folder is.  Of folders of versions, ``NAME/1/``, ``NAME/2/``, the highest is
        taken.  `signature` is what to serve of a SavedModel; by
        default ``serving_default``, or the only one.  `features` names the features in the
        model's order; see `with_features`.  `file_name` is what a model is called
        whose archive holds neither ``params.json`` nor a folder.  `constants` are values of
        placeholders that are no inputs; see `of`.

        Raises
        ------
        BundleError
            If it is no such archive, or a part is missing or wrong.
        GraphError
            If the model may not be served.
        TooLarge
            If it holds too many or too large files.
        """
        check_bytes("data", data, BundleError)
        folder, files = model_folder.inner(*archive.members(data))
        lone = model_folder.lone(files)
        if PARAMS not in files and saved_model.FILE not in files and lone is None:
            raise BundleError(
                f"the archive holds {sorted(files)} and no {PARAMS}: "
                "upload a model with its params.json (Bundle.save_archive makes one)"
                f"{model_folder.foreign(files)}"
            )
        own = folder or file_name or (name_from(lone.partition(".")[0]) if lone else None)
        wanted = _params(files.get(PARAMS, b""), name or (None if PARAMS in files else own))
        labels, card = files.get(wanted.labels, b""), files.get(CARD, b"")
        events = files.get(REFERENCE_EVENTS, b"")
        if saved_model.FILE in files and wanted.model in (
            saved_model.FILE,
            *_absent(files, wanted),
        ):
            values = {**wanted.constants, **constants_in(constants)}
            found = reader.read_saved_model(files, signature, values)
            return _put_together(found, wanted, labels, card, events, features)
        model = wanted.model if wanted.model in files else lone
        if model is None or (PARAMS in files and wanted.model != model != lone):
            raise BundleError(
                f"{PARAMS} names the model {wanted.model!r}, but the archive has {sorted(files)}"
            )
        params, beside = files.get(PARAMS, b""), model_folder.beside(files, model)
        return cls.from_parts(
            *(params, files[model], labels, card, wanted.name, events, reader, features, beside),
            constants=constants,
        )

    @classmethod
    def from_upload(
        cls,
        data: bytes,
        name: str | None = None,
        signature: str | None = None,
        reader: Reader = HERE,
        features: FeatureNames = (),
        beside: Mapping[str, bytes] = NOTHING,
        constants: Constants | str = "",
        missing: str = "",
    ) -> Bundle:
        """A bundle from the bytes of an archive, or of a lone model's file with a name.

        `signature` is what to serve of a SavedModel; other models have none to choose from.
        `features` names the features in the model's order; see `with_features`.  `beside` are
        the files of a lone ONNX model's weights by their names.  `constants` are values of
        placeholders that are no inputs; see `of`.  `missing` is what stands for a missing value;
        see `with_missing`.

        Raises
        ------
        BundleError, GraphError, MissingExtra, TooLarge
            As `from_archive` and `from_parts`.
        """
        if not isinstance(data, bytes):
            raise BundleError(
                f"from_upload takes the bytes of a file, not a {type(data).__name__}: "
                "tn.Bundle.of(path) reads a file or folder"
            )
        if _is_lone(data):
            if not name and (reason := foreign_file.refusal(data)):
                raise BundleError(reason)  # a name would not make a model of it
            bundle = cls.from_parts(
                *(b"", data),
                name=name,
                reader=reader,
                features=features,
                beside=beside,
                constants=constants,
            )
        else:
            bundle = cls.from_archive(data, name, signature, reader, features, constants=constants)
        return bundle.with_missing(missing)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        reader: Reader = HERE,
        constants: Constants | str = "",
    ) -> Bundle:
        """Read a model directory or an archive of one; `reader` reads the model in it.

        `constants` are values of placeholders that are no inputs; see `of`.

        Raises
        ------
        BundleError
            If the path, or a part in it, is missing or wrong.
        """
        check_path("path", path, BundleError)
        path = Path(path)
        try:
            if path.is_dir():
                return cls._from_directory(path, reader, constants)
            return cls.from_archive(path.read_bytes(), reader=reader, constants=constants)
        except OSError as error:
            raise BundleError(f"{error.filename or path}: {error.strerror}") from error
        except (BundleError, GraphError) as error:
            raise type(error)(f"{path}: {error}") from error

    @classmethod
    def _from_directory(cls, path: Path, reader: Reader, constants: Constants | str) -> Bundle:
        params = (path / PARAMS).read_bytes()
        wanted = Params.from_json(params)
        for part in (wanted.model, wanted.labels):
            if Path(part).name != part:
                raise BundleError(f"{PARAMS} names {part!r}, which is not a plain file name")
        labels, model = path / wanted.labels, (path / wanted.model).read_bytes()
        card, events = (
            part.read_bytes() if part.exists() else b""
            for part in (path / CARD, path / REFERENCE_EVENTS)
        )
        return cls.from_parts(
            params,
            model,
            labels.read_bytes() if wanted.labels and labels.exists() else b"",
            card,
            reference_events=events,
            reader=reader,
            constants=constants,
            beside=model_folder.read_beside(path / wanted.model, model),
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

    @property
    def feature_set(self) -> FeatureSet | None:
        """Feature set to read its inputs from ROOT files; None when they have no names.

        If the model has only names, the set is made from them; see `feature_set_of`.
        """
        if self.params.feature_set or not self.features:
            return self.params.feature_set
        return feature_set_of(self.name, self.features)

    def renamed(self, name: str) -> Bundle:
        """Return the model under another name."""
        return replace(self, params=replace(self.params, name=check_name(name)))

    def with_features(self, features: FeatureNames) -> Bundle:
        """Return the model with names for its features, which it does not have itself.

        Parameters
        ----------
        features : sequence of str, str or FeatureSet
            A name for each value that the model takes of an event, in its order; as text,
            between commas.  Without any the model is as it was.  A feature set also tells how
            they are read from ROOT files.

        Raises
        ------
        BundleError
            If they are not as many as the model's values, are repeated or empty, or the model
            has other names already.
        """
        names, own = feature_names(features), self._own_names
        if not names or names == own:
            return self
        if own is not None:
            differ = next(
                (i for i, two in enumerate(zip(own, names, strict=False)) if two[0] != two[1]), 0
            )
            raise BundleError(
                f"model {self.name!r} names its {len(own)} features itself, the one at {differ} "
                f"{own[differ]!r}: leave the {len(names)} names away"
            )
        width = self.graph.signature.width
        if not self.graph.signature.is_ordered:
            raise BundleError(
                f"the file of model {self.name!r} does not tell the order of its inputs "
                f"{self.graph.input_node}, so features cannot be named in their order: give the "
                "inputs in their order as input_node of its params.json"
            )
        if width not in (None, len(names)):
            raise BundleError(
                f"{len(names)} features are named, model {self.name!r} takes {width} values of an "
                "event: give a name for each, in its order"
            )
        read_as = features if isinstance(features, FeatureSet) else None
        params = replace(self.params, features=_named(names), feature_set=read_as)
        events = self.reference_events
        if events and len(events.keys) == len(names):
            events = replace(events, keys=names)
        return _checked(self.graph, params, self.labels, self.card, events)

    def with_missing(self, missing: str) -> Bundle:
        """Return the model with what stands for a missing value in its events.

        Parameters
        ----------
        missing : str
            ``nan``: the model was trained with NaN for what is missing, and takes it from
            clients (also null in JSON and Arrow); ``none``: it does not; empty: as it was.

        Raises
        ------
        BundleError
            If it is something else.
        """
        check_missing(missing)
        return replace(self, params=replace(self.params, missing=missing)) if missing else self

    @property
    def takes_missing(self) -> bool:
        """True if NaN among the values of an event is a missing value, and no mistake."""
        return self.params.missing == NAN

    @property
    def _own_names(self) -> tuple[str, ...] | None:
        """Names of the features that somebody gave them, not those that inputs have."""
        told = tuple(str(feature["name"]) for feature in self.params.features)
        if self.graph.features or told != (self.graph.signature.names or ()):
            return self.graph.features or told
        return None

    def with_reference_events(
        self, events: npt.ArrayLike | None = None, engine: Engine | None = None
    ) -> Bundle:
        """Return the model with a few reference events, scored by an engine.

        Parameters
        ----------
        events : array of shape (events, features) or table, optional
            Raw values in the model's order, or matched by the names of columns.  By default a
            bundle that has reference events keeps them; for another, events are made up: of the
            typical ranges of its features if they are known, else of zeros, ones and random
            numbers.
        engine : Engine, optional
            The model's; by default one is opened for as long as it takes.

        Returns
        -------
        Bundle
            Without reference events if the model's width is not known or more than 4096, or it
            answers none of those made up with finite scores.

        Raises
        ------
        BundleError, FeatureError, GraphError
            If `events` do not fit the model.
        """
        width = self.graph.signature.width
        if width is None or width > _WIDEST or (events is None and self.reference_events):
            return self
        if engine is None:
            opened = open_engine(self.graph)
            try:
                return self.with_reference_events(events, opened)
            finally:
                opened.close()
        X = self._made_up(width, engine) if events is None else self._matched(events)
        keys = self.features or tuple(f"value_{i}" for i in range(width))
        return replace(
            self, reference_events=ReferenceEvents.of(keys, X, engine) if len(X) else None
        )

    def _matched(self, events: Any) -> npt.NDArray[np.float32]:
        """Events in the model's order, by the names of their columns if they have any."""
        table = columns_of(events)
        if table is None:
            return array_of(events)
        if self.features is None:
            raise FeatureError(f"model {self.name!r} has no names for its features: {HOW_TO_NAME}")
        return np.atleast_2d(table.matrix(order_keys(self.features, table.names)))

    def check(self, engine: Engine) -> None:
        """Compare what an engine gives the reference events with their scores.

        Raises
        ------
        BundleError
            If a score differs.
        GraphError
            If the model fails on them.
        """
        check_option("engine", engine, callable(engine), "a model's engine", BundleError)
        if self.reference_events:
            self.reference_events.check(engine(self.reference_events.matrix))

    def _made_up(self, width: int, engine: Engine) -> npt.NDArray[np.float32]:
        """Events that the model answers with finite scores, shape (events, width)."""
        told = [[f.get(key) for f in self.params.features] for key in ("median", "low", "high")]
        events = [row for row in told if len(row) == width and None not in row]
        if not events:
            events = [[0.0] * width, [1.0] * width]
            if all(tensor.is_floating for tensor in self.graph.signature.inputs):
                random = np.random.default_rng(1).normal(size=(_MADE_UP, width))
                events += random.round(3).tolist()
        found = [np.array([event], dtype=np.float32) for event in events]
        return np.concatenate([np.empty((0, width), np.float32), *filter(_answered(engine), found)])

    def files(self) -> dict[str, bytes]:
        """File name → content of the model directory."""
        files = {
            PARAMS: self.params.to_json(),
            self.graph.file_name: self.graph.serialized,
            LABELS: "".join(f"{label}\n" for label in self.labels).encode(),
        }
        if isinstance(self.graph, FrozenGraph):
            files[TEXT] = self.graph.text().encode()
        card = json.dumps(self.card, indent=2, ensure_ascii=False)
        files[CARD] = in_ascii(card.encode("utf-8", "replace"))
        if self.reference_events:
            files[REFERENCE_EVENTS] = self.reference_events.to_json()
        return files

    def export(self, form: str, path: str | os.PathLike[str], version: int = 1) -> Path:
        """Write the model in the format of others and return the path.

        Parameters
        ----------
        form : str
            ``onnx`` (a file) or ``saved_model`` (a folder); or ``cmssw`` (a package with graph,
            ONNX and plugins), ``triton``, ``kserve``, ``tfserving`` or ``tfaas`` (what these
            servers load), each a folder with the bundle's name.
        path : path
            The file or the SavedModel's folder; for the others the directory of the folder
            ``NAME``: CMSSW's subsystem, or the directory of a server's models.  An earlier
            export there is replaced.
        version : int
            Number of the version that ``triton`` or ``tfserving`` are given; the folders of other
            versions stay.

        Returns
        -------
        Path
            The file or folder that was written.

        Raises
        ------
        BundleError
            If there is no such format, the path cannot be written, or something is there that
            is no earlier export or was changed since.
        GraphError
            If the model cannot be written in it.
        MissingExtra
            If what writes it is not installed.
        """
        _check_place("path", path)
        check_count("version", version, 1, BundleError)
        content = export.Content(
            self.name, self.graph, self.labels, self.features or (), self.files(), version
        )
        return export.write(content, form, Path(path))

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write the model directory ``directory/NAME`` and return its path.

        A bundle that is there is replaced at once, with all its files; other files stay.

        Raises
        ------
        BundleError
            If it cannot be written.
        """
        _check_place("directory", directory)
        target = Path(directory) / self.name
        try:
            durable.write_folder(target, self.files(), FILES)
        except OSError as error:
            raise BundleError(f"{target} cannot be written: {error.strerror}") from error
        return target

    def archive(self) -> bytes:
        """The model directory as the bytes of a ``.tar.gz``."""
        # A fixed time keeps the archive of a bundle the same, byte for byte.
        return gzip.compress(self.tar(), mtime=0)

    def tar(self) -> bytes:
        """Return the bundle as a ``.tar``, which is faster to make: gzip hardly shrinks weights."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, content in self.files().items():
                entry = tarfile.TarInfo(f"{self.name}/{name}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return stream.getvalue()

    def save_archive(self, path: str | os.PathLike[str]) -> Path:
        """Write a ``.tar.gz``; a folder gets ``NAME.tar.gz``.

        An archive that is there is replaced at once.

        Raises
        ------
        BundleError
            If it cannot be written.
        """
        _check_place("path", path)
        target = Path(path) / f"{self.name}.tar.gz" if Path(path).is_dir() else Path(path)
        try:
            durable.replace(target, self.archive(), target.parent)
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
        rows = [
            ("inputs", f"{len(self.features)} features" if self.features else "not named"),
            ("outputs", ", ".join(self.labels) or "not labelled"),
            ("ends", f"{self.graph.input_node} → {self.graph.output_node}"),
            ("size", f"{len(self.graph.serialized) / 1e3:.0f} kB"),
            ("sha256", self.graph.sha256),
            ("made", self.params.timestamp or "unknown"),
            ("trained on", ", ".join(_training_files(self.card))),
            ("AUC", _auc(self.card)),
            ("reference events", len(self.reference_events) if self.reference_events else "none"),
        ]
        return Table(("part", "content"), tuple(rows), repr(self))._repr_html_() + self._inputs()

    def _inputs(self) -> str:
        """Names and typical values of the inputs, folded."""
        told = {str(feature["name"]): feature for feature in self.params.features}
        keys = ("unit", "low", "median", "high")
        rows = tuple(
            (name, *(told.get(name, {}).get(key) for key in keys)) for name in self.features or ()
        )
        if not rows:
            return ""
        table = Table(("input", "unit", "1 %", "median", "99 %"), rows)
        return folded("Inputs, in the order of the model", table)


def _check_place(name: str, path: str | os.PathLike[str]) -> None:
    """Refuse what is no path; the empty one is the working directory."""
    if not (isinstance(path, str) and not path):
        check_path(name, path, BundleError)


def _from_path(
    path: Path, name: str | None, features: FeatureNames, constants: Constants | str = ""
) -> Bundle:
    """The model in a file or folder, called as that is unless it has a name."""
    stem = name_from(path.name.partition(".")[0])
    try:
        if not path.is_dir():
            data = path.read_bytes()
            is_lone = _is_lone(data)
            beside = model_folder.read_beside(path, data) if is_lone else NOTHING
            if is_lone:
                return Bundle.from_upload(
                    *(data, name or stem),
                    features=features,
                    beside=beside,
                    constants=constants,
                )
            return Bundle.from_archive(
                data, name, features=features, file_name=stem, constants=constants
            )
        folder = model_folder.latest(path)
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise BundleError(
            f"{error.filename or path}: {error.strerror}; name a model's file or folder on this "
            "machine"
        ) from error
    except (BundleError, GraphError, TooLarge) as error:
        raise type(error)(f"{path}: {error}") from error
    if PARAMS in names:
        return Bundle.of(Bundle.load(folder, constants=constants), name, features)
    if saved_model.FILE in names:
        return Bundle.from_saved_model(folder, name or stem, features=features, constants=constants)
    if lone := model_folder.lone(names):
        return _from_path(folder / lone, name or stem, features, constants)
    raise BundleError(
        f"the folder {path} holds neither {PARAMS} nor {saved_model.FILE}: it is no model's"
    )


def _is_lone(data: bytes) -> bool:
    """Return True if bytes are a model's file, and not an archive with one."""
    return model_file.is_model(data) and not model_folder.is_archive(data)


def _training_files(card: Mapping[str, Any]) -> list[str]:
    """Files that a model was trained on, as far as its card, perhaps a stranger's, tells."""
    training = card.get("training")
    told = training if isinstance(training, list) else []
    return [str(sample["file"]) for sample in told if isinstance(sample, dict) and "file" in sample]


def _auc(card: Mapping[str, Any]) -> str:
    evaluation = card.get("evaluation")
    auc = evaluation.get("auc") if isinstance(evaluation, dict) else None
    is_area = isinstance(auc, (int, float)) and not isinstance(auc, bool) and 0 <= auc <= 1
    return f"{auc:.4f}" if is_area else "not evaluated"


def _checked(
    graph: Graph,
    params: Params,
    labels: tuple[str, ...],
    card: Mapping[str, Any],
    events: ReferenceEvents | None = None,
) -> Bundle:
    """A bundle whose parts fit; its params carry the hash of its graph."""
    named = tuple(str(feature["name"]) for feature in params.features)
    if graph.features and named and named != graph.features:
        raise BundleError(f"the features in {PARAMS} are not those that the graph carries")
    if named and graph.signature.width is None:
        graph = replace(graph, signature=graph.signature.of_width(len(named)))
    width = graph.signature.width
    if named and width not in (None, len(named)):
        raise BundleError(f"{PARAMS} names {len(named)} features, the graph takes {width}")
    if len(set(named)) != len(named):
        raise BundleError(f"{PARAMS} names a feature twice")
    if events and events.keys != (named or events.keys):
        raise BundleError(f"the keys in {REFERENCE_EVENTS} are not the features in {PARAMS}")
    if events and width not in (None, len(events.keys)):
        raise BundleError(
            f"{REFERENCE_EVENTS} has {len(events.keys)} keys, the graph takes {width}"
        )
    if named and params.feature_set and params.feature_set.names != named:
        raise BundleError(f"the feature set in {PARAMS} is not that of the features it names")
    check_name(params.name)
    order = "" if graph.signature.is_ordered else UNKNOWN
    taken = NAN if isinstance(graph, OnnxGraph) and graph.takes_missing else ""
    params = replace(params, missing=params.missing or taken)
    own = replace(
        params, model=graph.file_name, labels=LABELS, sha256=graph.sha256, input_order=order
    )
    return Bundle(graph, own, labels or graph.labels, dict(card), events)


def _answered(engine: Engine) -> Callable[[npt.NDArray[np.float32]], bool]:
    def is_answered(X: npt.NDArray[np.float32]) -> bool:
        try:
            return bool(np.isfinite(engine(X)).all())
        except TfaasError:
            return False

    return is_answered


def _params(content: bytes, name: str | None) -> Params:
    if content:
        return Params.from_json(content, name)
    if not name:
        raise BundleError(f"the model comes without {PARAMS} and without a name: send its name")
    return Params(check_name(name))


def _absent(files: Mapping[str, bytes], params: Params) -> tuple[str, ...]:
    """The model that ``params.json`` names, if there is no such file."""
    return () if params.model in files else (params.model,)


def _put_together(
    found: model_file.Read,
    params: Params,
    labels: bytes,
    card: bytes,
    events: bytes = b"",
    features: FeatureNames = (),
) -> Bundle:
    """A bundle of a model that was read, and of the other files' contents."""
    graph = found.graph
    if params.input_order == UNKNOWN:  # the names of its nodes were written down in no order
        graph = replace(graph, signature=replace(graph.signature, is_ordered=False))
    told = replace(params, input_node=graph.input_node, output_node=graph.output_node)
    told = replace(told, constants={})  # they are in the graph now
    if not told.features:
        told = replace(told, features=_named(graph.features or graph.signature.names or ()))
    lines = (line.strip() for line in _decoded(labels, LABELS).splitlines())
    whole = _card(card)
    if found.converted_from:
        whole = whole | {"converted_from": found.converted_from}
    scored = ReferenceEvents.from_json(events) if events else None
    made = _checked(graph, told, tuple(filter(None, lines)), whole, scored)
    return made.with_features(features)


def _named(features: Sequence[Mapping[str, Any] | str]) -> tuple[Mapping[str, Any], ...]:
    return tuple({"name": one} if isinstance(one, str) else one for one in features)


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
