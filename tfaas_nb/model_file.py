"""A model's file of any format as the graph that is served.

Frozen graphs and ONNX models are served as they are; ``.keras`` files, SavedModels, and ONNX models
with their weights in other files or their nodes in another order are converted once, and what
they were is kept for the model card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from tfaas_nb import foreign_file, keras_file, saved_model
from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.graph_parts.inference_constants import Constants
from tfaas_nb.onnx_graph import OnnxGraph, files_beside
from tfaas_nb.operations import ALLOWED

Graph = FrozenGraph | OnnxGraph

#: Format, in a model card, of an ONNX model that was put in order or had its weights elsewhere.
ONNX = "ONNX"
#: Format of a graph that was folded to inference.
TRAINING_GRAPH = "TensorFlow graph for training"
NOTHING: Mapping[str, bytes] = MappingProxyType({})
NO_CONSTANTS: Constants = MappingProxyType({})

_ZIP = b"PK\x03\x04"
#: An ONNX model begins with its version, a GraphDef with a node or its library.
_VERSION_FIRST = b"\x08"
_SAVED_MODEL = b"\x08\x01\x12"
_GRAPH_DEF = b"\n"


@dataclass(frozen=True)
class Read:
    """A model as it is served, and what it was.

    Attributes
    ----------
    graph : FrozenGraph or OnnxGraph
        What is served.
    converted_from : mapping
        ``format``, ``files`` (name → sha256), for a SavedModel ``signature``, and ``constants``
        where placeholders were given values; empty when the model is served as it came.
    """

    graph: Graph
    converted_from: Mapping[str, Any] = field(default_factory=dict)


class Reader(Protocol):
    """Protocol of a reader of model files."""

    def read(
        self,
        content: bytes,
        input_node: str = "",
        output_node: str = "",
        beside: Mapping[str, bytes] = NOTHING,
        constants: Constants = NO_CONSTANTS,
    ) -> Read:
        """The model in a file, whatever the file is called, with the files beside it."""
        ...

    def read_saved_model(
        self,
        files: Mapping[str, bytes],
        signature: str | None = None,
        constants: Constants = NO_CONSTANTS,
    ) -> Read:
        """The model in a SavedModel's files, by their path in its folder."""
        ...


@dataclass(frozen=True)
class Here:
    """Reader of models in this process; only models to be converted get a process of their own.

    For models of one's own, and those that were tried before.

    Attributes
    ----------
    allowed : frozenset of str
        Operations that a TensorFlow graph may use.
    """

    allowed: frozenset[str] = ALLOWED

    def read(
        self,
        content: bytes,
        input_node: str = "",
        output_node: str = "",
        beside: Mapping[str, bytes] = NOTHING,
        constants: Constants = NO_CONSTANTS,
    ) -> Read:
        """The model in a file, whatever the file is called.

        Parameters
        ----------
        content : bytes
            A frozen GraphDef, an ONNX model or a ``.keras`` file.
        input_node, output_node : str
            Ends of a GraphDef, if they are known.
        beside : mapping of str to bytes
            Files that came with it, by their path from its folder: an ONNX model's weights may be
            there.
        constants : mapping of str to bool, int or float
            Placeholder of a GraphDef that is no input → its value.

        Raises
        ------
        GraphError
            If the file is of another format, or the model may not or cannot be served.
        MissingExtra
            If what reads its format is not installed.
        """
        if refusal := foreign_file.refusal(content):
            raise GraphError(refusal)
        if constants and content.startswith((_ZIP, _VERSION_FIRST)):
            raise GraphError(
                f"inference constants {', '.join(map(repr, constants))} are given: only "
                "TensorFlow's graphs and SavedModels have placeholders to take them"
            )
        if content.startswith(_ZIP):
            graph = keras_file.frozen(content, self.allowed)
            return Read(graph, _origin(keras_file.FORMAT, {keras_file.FILE: content}))
        if content.startswith(_SAVED_MODEL):
            raise GraphError(
                f"{saved_model.FILE} alone is no model: upload its folder with variables/ as "
                ".tar.gz"
            )
        if content.startswith(_VERSION_FIRST):
            onnx = OnnxGraph.from_bytes(content, beside)
            if onnx.serialized == content:
                return Read(onnx)
            used = {name: beside[name] for name in files_beside(content) if name in beside}
            return Read(onnx, _origin(ONNX, {OnnxGraph.file_name: content, **used}))
        ends = (input_node or None, output_node or None)
        graph = FrozenGraph.from_bytes(content, *ends, self.allowed, constants)
        if graph.serialized == content:
            return Read(graph)
        origin = _origin(TRAINING_GRAPH, {FrozenGraph.file_name: content})
        return Read(graph, origin | {"constants": dict(graph.constants)})

    def read_saved_model(
        self,
        files: Mapping[str, bytes],
        signature: str | None = None,
        constants: Constants = NO_CONSTANTS,
    ) -> Read:
        """The model in a SavedModel's files, by their path in its folder.

        Raises
        ------
        GraphError
            If it may not or cannot be served.
        """
        graph, chosen = saved_model.frozen(files, signature, self.allowed, constants)
        origin = _origin(saved_model.FORMAT, files) | {"signature": chosen}
        values = {"constants": dict(graph.constants)} if graph.constants else {}
        return Read(graph, origin | values)


#: What reads models where nothing else is said.
HERE = Here()


def is_model(data: bytes) -> bool:
    """Return True if bytes are no archive of several files, but like one model's, servable or not.

    A file of another format that is known is a model's, which `Here.read` refuses.
    """
    known = data.startswith((_ZIP, _VERSION_FIRST, _GRAPH_DEF))
    return known or foreign_file.refusal(data) is not None


def _origin(form: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {"format": form, "files": hashes}
