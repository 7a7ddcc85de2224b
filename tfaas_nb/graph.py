"""Frozen graphs: one inference GraphDef whose variables are constants.

The input node is a `Placeholder` and the output node an `Identity`, under the stable
names ``input`` and ``output`` when the graph was frozen here.  The input node carries the
feature names in its attribute ``_feature_names`` (TensorFlow admits attributes with a
leading underscore on any node and ignores them), so a lone ``.pb`` file still knows the
order of its inputs.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tfaas_nb import backend
from tfaas_nb.errors import GraphError
from tfaas_nb.operations import ALLOWED
from tfaas_nb.table import Table

INPUT_NODE = "input"
OUTPUT_NODE = "output"

_FEATURE_NAMES = "_feature_names"
_VARIABLES = {"VarHandleOp", "VariableV2", "Variable", "ReadVariableOp"}


@dataclass(frozen=True, repr=False)
class FrozenGraph:
    """An inference graph that was parsed, vetted, and whose ends are known.

    Attributes
    ----------
    serialized : bytes
        The GraphDef, as in a ``.pb`` file.
    input_node, output_node : str
        Names of the node to feed and of the node to fetch.
    input_shape, output_shape : tuple of (int or None)
        Static shapes without the leading event axis; None where unknown.
    features : tuple of str or None
        Names of the inputs in order, if the graph carries them.
    """

    serialized: bytes
    input_node: str
    output_node: str
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    features: tuple[str, ...] | None = None

    @classmethod
    def freeze(cls, model: Any, features: Sequence[str]) -> FrozenGraph:
        """Freeze a Keras model: float32 (events, features) → float32 (events, outputs).

        Parameters
        ----------
        model : keras.Model
            A model with one input of shape (events, features) and one output.
        features : sequence of str
            Names of the inputs in order.

        Raises
        ------
        GraphError
            If the model's input has another width, or it uses an operation that may not
            be served.
        """
        tf = backend.tensorflow()
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        if model.input_shape != (None, len(features)):
            raise GraphError(
                f"the model takes {model.input_shape}, but {len(features)} features are named"
            )
        spec = tf.TensorSpec((None, len(features)), tf.float32, name=INPUT_NODE)
        function = tf.function(
            lambda x: tf.identity(model(x, training=False), name=OUTPUT_NODE),
            input_signature=[spec],
            autograph=False,
        )
        with backend.without_notes():
            constants = convert_variables_to_constants_v2(function.get_concrete_function())
        graph_def = _portable(constants.graph)
        _node(graph_def, INPUT_NODE).attr[_FEATURE_NAMES].list.s.extend(
            name.encode() for name in features
        )
        return cls.from_bytes(graph_def.SerializeToString(deterministic=True))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        input_node: str | None = None,
        output_node: str | None = None,
    ) -> FrozenGraph:
        """Read a ``.pb`` file; see `from_bytes`.

        Raises
        ------
        GraphError
            If the file cannot be read or does not hold a graph that may be served.
        """
        try:
            serialized = Path(path).read_bytes()
        except OSError as error:
            raise GraphError(f"{path} cannot be read: {error.strerror}") from error
        try:
            return cls.from_bytes(serialized, input_node, output_node)
        except GraphError as error:
            raise GraphError(f"{path}: {error}") from error

    @classmethod
    def from_bytes(
        cls, serialized: bytes, input_node: str | None = None, output_node: str | None = None
    ) -> FrozenGraph:
        """Parse and vet a GraphDef and find its ends.

        Parameters
        ----------
        serialized : bytes
            The GraphDef.
        input_node, output_node : str, optional
            Nodes to feed and to fetch; by default the only placeholder, and ``output`` or
            the only node that nothing consumes.

        Raises
        ------
        GraphError
            If it is no GraphDef, uses an operation that may not be served, has unfrozen
            variables, or its ends are missing, ambiguous or not float32.
        """
        graph_def = _parse(serialized)
        vet(graph_def)
        source = _input_name(graph_def, input_node)
        result = _output_name(graph_def, output_node)
        input_shape, output_shape = _shapes(graph_def, source, result)
        names = _node(graph_def, source).attr[_FEATURE_NAMES].list.s
        features = _decoded(names)
        if features and input_shape != (len(features),):
            raise GraphError(
                f"the graph names {len(features)} features, but its input is {input_shape} wide"
            )
        return cls(serialized, source, result, input_shape, output_shape, features)

    @cached_property
    def sha256(self) -> str:
        """Hash of the serialized graph."""
        return hashlib.sha256(self.serialized).hexdigest()

    @property
    def outputs(self) -> int | None:
        """Numbers per event that the graph answers, if its shape tells."""
        return self.output_shape[-1] if self.output_shape else 1

    def graph_def(self) -> Any:
        """The graph as TensorFlow's ``GraphDef`` message."""
        return _parse(self.serialized)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the ``.pb`` file."""
        Path(path).write_bytes(self.serialized)
        return Path(path)

    def save_text(self, path: str | os.PathLike[str]) -> Path:
        """Write the ``.pb.txt`` file, to read node names in."""
        from google.protobuf import text_format

        Path(path).write_text(text_format.MessageToString(self.graph_def()))
        return Path(path)

    def inspect(self) -> Table:
        """The graph's nodes as a table: name, operation, inputs."""
        rows = tuple((n.name, n.op, ", ".join(n.input)) for n in self.graph_def().node)
        return Table(("node", "operation", "inputs"), rows, repr(self))

    def __repr__(self) -> str:
        return (
            f"FrozenGraph({self.input_node}{_bracketed(self.input_shape)} → "
            f"{self.output_node}{_bracketed(self.output_shape)}, "
            f"{len(self.serialized) / 1e3:.0f} kB)"
        )


def vet(graph_def: Any, allowed: Iterable[str] = ALLOWED) -> None:
    """Refuse a graph that does anything but compute.

    Nodes of the graph and of every function in its library are looked at before
    TensorFlow builds or runs anything.

    Raises
    ------
    GraphError
        Naming the first operation that is not allowed and its node.
    """
    allowed = frozenset(allowed)
    own_functions = {function.signature.name for function in graph_def.library.function}
    refused = [
        (where, node)
        for where, node in _all_nodes(graph_def)
        if node.op not in own_functions and node.op not in allowed
    ]
    # Variables before what initialises them: they are what the user has to change.
    for where, node in sorted(refused, key=lambda found: found[1].op not in _VARIABLES):
        reason = "this operation may not be served"
        if node.op in _VARIABLES:
            reason = "the graph has variables: freeze it first (FrozenGraph.freeze)"
        raise GraphError(f"node {node.name!r}{where} is a {node.op!r}: {reason}")


def _all_nodes(graph_def: Any) -> Iterator[tuple[str, Any]]:
    for node in graph_def.node:
        yield "", node
    for function in graph_def.library.function:
        for node in function.node_def:
            yield f" of function {function.signature.name!r}", node


def _parse(serialized: bytes) -> Any:
    from google.protobuf.message import DecodeError

    backend.tensorflow()
    from tensorflow.core.framework.graph_pb2 import GraphDef

    try:
        graph_def = GraphDef.FromString(serialized)
    except DecodeError as error:
        raise GraphError("the file is not a TensorFlow GraphDef (.pb)") from error
    if not graph_def.node:
        raise GraphError("the graph has no nodes: is this file a frozen graph (.pb)?")
    return graph_def


def _portable(graph: Any) -> Any:
    """What an older TensorFlow also loads: ancestors of the output, no default attributes."""
    tf = backend.tensorflow()

    with graph.as_default():
        exported = tf.compat.v1.train.export_meta_graph(strip_default_attrs=True)
    whole = exported.graph_def
    nodes = {node.name: node for node in whole.node}
    needed, pending = set(), [OUTPUT_NODE, INPUT_NODE]
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += [_node_of(source) for source in nodes[name].input]
    kept = type(whole)(versions=whole.versions)
    kept.node.extend(node for node in whole.node if node.name in needed)
    for node in kept.node:
        node.attr.pop("_output_shapes", None)
    return kept


def _node_of(edge: str) -> str:
    return edge.lstrip("^").split(":")[0]


def _node(graph_def: Any, name: str) -> Any:
    return next(node for node in graph_def.node if node.name == name)


def _input_name(graph_def: Any, wanted: str | None) -> str:
    placeholders: list[str] = [n.name for n in graph_def.node if n.op == "Placeholder"]
    if wanted:
        return _existing(wanted, placeholders, "input")
    if len(placeholders) != 1:
        raise GraphError(f"name the input node: the graph's placeholders are {placeholders}")
    return placeholders[0]


def _output_name(graph_def: Any, wanted: str | None) -> str:
    if wanted:
        return _existing(wanted, [n.name for n in graph_def.node], "output")
    consumed = {_node_of(edge) for node in graph_def.node for edge in node.input}
    ends: list[str] = [n.name for n in graph_def.node if n.name not in consumed and n.op != "NoOp"]
    if OUTPUT_NODE in ends:
        return OUTPUT_NODE
    if len(ends) != 1:
        raise GraphError(f"name the output node: the graph ends in {ends}")
    return ends[0]


def _existing(wanted: str, names: list[str], role: str) -> str:
    name = wanted.removesuffix(":0")
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    raise GraphError(f"the graph has no {role} node {wanted!r}; candidates are {near}")


def _decoded(names: Iterable[bytes]) -> tuple[str, ...] | None:
    try:
        features = tuple(name.decode() for name in names)
    except UnicodeDecodeError as error:
        raise GraphError(f"the feature names in the graph are not UTF-8: {error}") from error
    if len(set(features)) != len(features):
        raise GraphError("the graph names a feature twice")
    return features or None


def _shapes(
    graph_def: Any, source: str, result: str
) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    tf = backend.tensorflow()

    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.graph_util.import_graph_def(graph_def, name="")
        ends = [graph.get_tensor_by_name(f"{name}:0") for name in (source, result)]
    except (ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise GraphError(f"TensorFlow cannot build the graph: {error}") from error
    for tensor in ends:
        if tensor.dtype != tf.float32:
            raise GraphError(f"node {tensor.op.name!r} is {tensor.dtype.name}, not float32")
    first, second = (_without_events(tensor) for tensor in ends)
    return first, second


def _without_events(tensor: Any) -> tuple[int | None, ...]:
    if tensor.shape.rank is None:
        return (None,)
    return tuple(tensor.shape.as_list()[1:])


def _bracketed(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"
