"""Frozen graphs: one inference GraphDef whose variables are constants.

Inputs are `Placeholder` nodes and outputs `Identity` nodes, under the stable names ``input`` and
``output`` when a graph with one of each was frozen here.  An input node carries its feature names
in its attribute ``_feature_names`` (TensorFlow admits attributes with a leading underscore on any
node and ignores them), so a lone ``.pb`` file still knows the order of its inputs.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from tfaas_nb import backend
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import GraphError
from tfaas_nb.foreign_words import reason
from tfaas_nb.graph_parts.inference_constants import (
    HOW_TO_GIVE,
    Constants,
    inferred,
    needed_placeholders,
)
from tfaas_nb.graph_parts.input_shapes import with_input_shapes
from tfaas_nb.graph_parts.pruning import edge_node, pruned, reached
from tfaas_nb.graph_parts.tensor_arrays import with_lists
from tfaas_nb.operations import ALLOWED
from tfaas_nb.options import check_bytes, check_names, check_path, check_text
from tfaas_nb.signature import NUMERIC, Signature, Tensor
from tfaas_nb.table import Table
from tfaas_nb.vetting import has_half_precision, has_loops, operations, vet

INPUT_NODE = "input"
OUTPUT_NODE = "output"

#: Between several nodes in ``params.json``; no node's name can hold it.
SEPARATOR = ","

_FEATURE_NAMES = "_feature_names"
#: What a tensor is called where several are told apart: no node may have every name.
_TENSOR_NAME = "_tensor_name"
#: Mark of the first input of a model whose file did not tell the order of its inputs.
_NO_ORDER = "_no_order"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.\\/-]")
#: Bytes of a constant that are still written as text.
_MOST_AS_TEXT = 1 << 20
_IDLE = {"NoOp", "Identity", "Const"}


@checked_calls(GraphError)
@dataclass(frozen=True, repr=False)
class FrozenGraph:
    """An inference graph that was parsed, vetted, and whose ends are known.

    Attributes
    ----------
    serialized : bytes
        The GraphDef, as in a ``.pb`` file.
    signature : Signature
        Its inputs and outputs.
    input_nodes, output_nodes : tuple of str
        Names of the nodes to feed and of those to fetch, in the signature's order.
    features : tuple of str or None
        Names of the flat view's columns in order, if the graph carries them.
    constants : mapping of str to bool, int or float
        Placeholders of the file that was read → the values folded into the graph.
    """

    serialized: bytes
    signature: Signature
    input_nodes: tuple[str, ...]
    output_nodes: tuple[str, ...]
    features: tuple[str, ...] | None = None
    constants: Constants = field(default_factory=dict, compare=False)

    #: Name of its file in a bundle, and what other servers call the format.
    file_name: ClassVar[str] = "model.pb"
    platform: ClassVar[str] = "tensorflow_graphdef"
    #: A GraphDef has no place for labels.
    labels: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def freeze(
        cls,
        model: Any,
        features: Sequence[str] | None = None,
        allowed: Collection[str] = ALLOWED,
    ) -> FrozenGraph:
        """Freeze a Keras model.

        A single input becomes the node ``input`` and a single output the node ``output``;
        several keep the names that Keras has for them.

        Parameters
        ----------
        model : keras.Model
            A model whose inputs are known; the first axis of each is that of the events.
        features : sequence of str, optional
            Names of the flat view's columns in order; without them, a model with one input
            takes its values unnamed.
        allowed : collection of str
            Operations that it may use.

        Raises
        ------
        GraphError
            If the model's inputs are not known or have another width, or it uses an
            operation that may not be served.
        """
        if features is not None:
            check_names("features", features, GraphError)
        tf = backend.tensorflow()
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        structure = _input_structure(model)
        tree = backend.keras().tree
        sources = tree.flatten(structure)
        inputs = _input_tensors(sources)
        width = Signature(inputs, ()).width
        if features is not None and width != len(features):
            taken = sources[0].shape if len(sources) == 1 else f"{width} values"
            raise GraphError(f"the model takes {taken}, but {len(features)} features are named")
        names: list[str] = []

        def call(*tensors: Any) -> list[Any]:
            answer = model(tree.pack_sequence_as(structure, list(tensors)), training=False)
            names[:] = _output_names(model, answer)
            flat: list[Any] = tree.flatten(answer)
            return flat

        specs = [
            tf.TensorSpec((None, *t.shape), t.dtype, name=f"input_{i}")
            for i, t in enumerate(inputs)
        ]
        try:
            with backend.without_notes():
                traced = tf.function(call, input_signature=specs, autograph=False)
                constants = convert_variables_to_constants_v2(traced.get_concrete_function())
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise GraphError(f"the model cannot be frozen: {reason(error)}") from error
        sent = dict(zip((t.name for t in constants.inputs), inputs, strict=True))
        answered = dict(zip(names, (t.name for t in constants.outputs), strict=True))
        return assembled(constants.graph.as_graph_def(), sent, answered, features, allowed)

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
        check_path("path", path, GraphError)
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
        cls,
        serialized: bytes,
        input_node: str | None = None,
        output_node: str | None = None,
        allowed: Collection[str] = ALLOWED,
        constants: Constants | None = None,
    ) -> FrozenGraph:
        """Parse and vet a GraphDef and find its ends.

        Placeholders that only steer the training are folded to their values in inference, and
        what then is never computed is left away; see `graph_parts.inference_constants`.
        Of a graph that may not be served as a whole, the part that named outputs need is.

        Parameters
        ----------
        serialized : bytes
            The GraphDef.
        input_node, output_node : str, optional
            Nodes to feed and to fetch, several with commas between; by default all
            placeholders that the outputs need, and ``output`` or all nodes that nothing
            consumes.
        allowed : collection of str
            Operations that it may use.
        constants : mapping of str to bool, int or float, optional
            Placeholder that is no input → its value.

        Raises
        ------
        GraphError
            If it is no GraphDef, uses an operation that may not be served, has unfrozen
            variables, its ends are missing, ambiguous or no numbers, or a placeholder that is no
            input has no value.
        """
        check_bytes("serialized", serialized, GraphError)
        for name, node in (("input_node", input_node), ("output_node", output_node)):
            if node is not None:
                check_text(name, node, GraphError)
        original = _parse(serialized)
        graph_def, folded = inferred(
            original, constants, _split_names(input_node), _split_names(output_node)
        )
        graph_def = with_input_shapes(original, with_lists(graph_def), _split_names(input_node))
        graph_def = _vetted(graph_def, _split_names(output_node), allowed)
        if graph_def is not original:
            serialized = graph_def.SerializeToString(deterministic=True)
        nodes = {node.name: node for node in graph_def.node}
        placeholders = [node.name for node in graph_def.node if node.op == "Placeholder"]
        sources = _wanted(input_node, placeholders, "input")
        results = _wanted(output_node, list(nodes), "output")
        built = _built(graph_def)
        results = results or _ends(graph_def, built)
        sources = sources or _placeholders(nodes, results, built)
        _check_fed(graph_def, results, sources)
        signature = Signature(
            tuple(_tensor(built, nodes[name]) for name in sources),
            tuple(_tensor(built, nodes[name]) for name in results),
        )
        features = _features([nodes[name] for name in sources], signature)
        if not _is_ordered([nodes[name] for name in sources], bool(input_node)):
            signature = replace(signature, is_ordered=False)
        return cls(serialized, signature, tuple(sources), tuple(results), features, folded)

    @cached_property
    def sha256(self) -> str:
        """Hash of the serialized graph."""
        return hashlib.sha256(self.serialized).hexdigest()

    @property
    def has_loops(self) -> bool:
        """True if the graph has loops, so that an event's values may make it run without bound."""
        return has_loops(self.graph_def())

    @property
    def has_half_precision(self) -> bool:
        """True if it computes with numbers of 16 bits, which have three digits."""
        return has_half_precision(self.graph_def())

    @property
    def operations(self) -> set[str]:
        """Names of its operations."""
        return operations(self.graph_def())

    @property
    def input_node(self) -> str:
        """Name of the node to feed; of several, with commas between."""
        return SEPARATOR.join(self.input_nodes)

    @property
    def output_node(self) -> str:
        """Name of the node to fetch; of several, with commas between."""
        return SEPARATOR.join(self.output_nodes)

    @property
    def input_name(self) -> str:
        """Name of the tensor to feed; of several, with commas between."""
        return SEPARATOR.join(f"{node}:0" for node in self.input_nodes)

    @property
    def output_name(self) -> str:
        """Name of the tensor to fetch; of several, with commas between."""
        return SEPARATOR.join(f"{node}:0" for node in self.output_nodes)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of an event: of the only input, or of the flat view."""
        return _shape(self.signature.inputs, self.signature.width)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of an event's answer: of the only output, or of the flat view."""
        return _shape(self.signature.flat_outputs, self.outputs)

    @property
    def outputs(self) -> int | None:
        """Numbers per event that the graph answers, if its shapes tell."""
        return self.signature.height

    def to_values(self) -> dict[str, Any]:
        """All but the graph itself, as JSON can hold it."""
        return {
            "signature": self.signature.to_values(),
            "input_nodes": self.input_nodes,
            "output_nodes": self.output_nodes,
            "features": self.features,
        }

    @classmethod
    def from_values(cls, serialized: bytes, values: Mapping[str, Any]) -> FrozenGraph:
        """Make a graph that was read and vetted before from the values of `to_values`."""
        features = values["features"]
        return cls(
            serialized,
            Signature.from_values(values["signature"]),
            tuple(values["input_nodes"]),
            tuple(values["output_nodes"]),
            None if features is None else tuple(features),
        )

    def graph_def(self) -> Any:
        """The graph as TensorFlow's ``GraphDef`` message."""
        return _parse(self.serialized)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the ``.pb`` file.

        Raises
        ------
        GraphError
            If it cannot be written.
        """
        return _written(path, self.serialized)

    def save_text(self, path: str | os.PathLike[str]) -> Path:
        """Write the ``.pb.txt`` file, to read node names in.

        Raises
        ------
        GraphError
            If it cannot be written.
        """
        return _written(path, self.text().encode())

    def text(self) -> str:
        """The GraphDef in protobuf's text format, to read; larger constants' values left out.

        As text a value takes up to four times its bytes, and nobody reads a million of them.
        """
        from google.protobuf import text_format

        graph_def, notes = self.graph_def(), ""
        for node in graph_def.node:
            value = node.attr["value"].tensor if node.op == "Const" else None
            if value is not None and len(value.tensor_content) > _MOST_AS_TEXT:
                notes += f"# {len(value.tensor_content)} bytes of {node.name!r} are left out here\n"
                value.ClearField("tensor_content")
        return notes + str(text_format.MessageToString(graph_def))

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


def assembled(
    graph_def: Any,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, str],
    features: Sequence[str] | None = None,
    allowed: Collection[str] = ALLOWED,
    is_ordered: bool = True,
) -> FrozenGraph:
    """A frozen graph out of one whose ends have any names.

    Parameters
    ----------
    graph_def : GraphDef
        Without variables.
    inputs : mapping of str to Tensor
        Edge such as ``x:0`` → what takes its place.
    outputs : mapping of str to str
        Name of an output → its edge.
    features : sequence of str, optional
        Names of the flat view's columns in order.
    allowed : collection of str
        Operations that it may use.
    is_ordered : bool
        Whether the order of the inputs is that of whoever made the model.

    Raises
    ------
    GraphError
        If TensorFlow cannot build it or it may not be served.
    """
    tf = backend.tensorflow()
    vet(graph_def, allowed)
    nodes = {node.name: node for node in graph_def.node}
    edges = [_before_copies(nodes, edge) for edge in outputs.values()]
    graph = tf.Graph()
    with graph.as_default():
        sources = {
            edge: tf.compat.v1.placeholder(
                t.dtype, (None, *t.shape), INPUT_NODE if len(inputs) == 1 else _plain(t.name)
            )
            for edge, t in inputs.items()
        }
        found = _imported(graph_def, sources, edges)
        results = [
            tf.identity(tensor, OUTPUT_NODE if len(outputs) == 1 else _plain(name))
            for name, tensor in zip(outputs, found, strict=True)
        ]
    source_nodes = [tensor.op.name for tensor in sources.values()]
    result_nodes = [tensor.op.name for tensor in results]
    kept = _portable(graph, source_nodes + result_nodes)
    _name_tensors(kept, source_nodes, [t.name for t in inputs.values()], INPUT_NODE)
    _name_tensors(kept, result_nodes, list(outputs), OUTPUT_NODE)
    _name_features(kept, dict(zip(source_nodes, inputs.values(), strict=True)), features or ())
    if not is_ordered:
        _node(kept, source_nodes[0]).attr[_NO_ORDER].b = True
    return FrozenGraph.from_bytes(
        kept.SerializeToString(deterministic=True),
        SEPARATOR.join(source_nodes),
        SEPARATOR.join(result_nodes),
        allowed,
    )


def _imported(graph_def: Any, sources: Mapping[str, Any], edges: Sequence[str]) -> list[Any]:
    """Tensors at some edges of a graph that is copied below ``model/``."""
    tf = backend.tensorflow()

    try:
        found = tf.graph_util.import_graph_def(
            graph_def, input_map=dict(sources), return_elements=list(edges), name="model"
        )
    except (ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise GraphError(f"TensorFlow cannot build the graph: {reason(error)}") from error
    return [sources.get(edge, tensor) for edge, tensor in zip(edges, found, strict=True)]


def _input_structure(model: Any) -> Any:
    if not getattr(model, "inputs", None):
        raise GraphError("the model does not tell its inputs: call it on a few events first")
    try:
        return model.input
    except (AttributeError, ValueError):  # a Sequential that was never called
        return model.inputs[0]


def _input_tensors(sources: Sequence[Any]) -> tuple[Tensor, ...]:
    for source in sources:
        if not source.shape or source.shape[0] is not None:
            raise GraphError(
                f"input {source.name!r} has shape {source.shape}: its first axis must be open, "
                "it is that of the events"
            )
    names = [INPUT_NODE] if len(sources) == 1 else [str(source.name) for source in sources]
    return tuple(
        Tensor(name, str(source.dtype), tuple(source.shape[1:]))
        for name, source in zip(names, sources, strict=True)
    )


def _output_names(model: Any, answer: Any) -> list[str]:
    """Return the names of the outputs, in the order in which Keras flattens them."""
    count = len(backend.keras().tree.flatten(answer))
    if count == 1:
        return [OUTPUT_NODE]
    if isinstance(answer, dict) and len(answer) == count:
        return sorted(answer)
    names = list(getattr(model, "output_names", ()))
    if len(set(names)) != count:
        names = [f"{OUTPUT_NODE}_{i}" for i in range(count)]
    return names


def _plain(name: str) -> str:
    """A name that a node may have; TensorFlow numbers those that come out the same."""
    plain = _NOT_IN_NAMES.sub("_", name)
    return plain if plain[:1].isalnum() else f"tensor_{plain}"


def _name_tensors(graph_def: Any, nodes: Sequence[str], names: Sequence[str], only: str) -> None:
    if list(names) == [only]:
        return
    for node, name in zip(nodes, names, strict=True):
        _node(graph_def, node).attr[_TENSOR_NAME].s = name.encode()


def _name_features(graph_def: Any, inputs: Mapping[str, Tensor], features: Sequence[str]) -> None:
    start = 0
    for node, tensor in inputs.items():
        stop = start + (tensor.size or 0)
        for feature in features[start:stop]:
            _node(graph_def, node).attr[_FEATURE_NAMES].list.s.append(feature.encode())
        start = stop


def _before_copies(nodes: Mapping[str, Any], edge: str) -> str:
    """The edge that identities at an end copy; they would only cost time."""
    node = nodes.get(edge_node(edge))
    while node is not None and node.op == "Identity" and _waits_for_nothing(nodes, node.input[1:]):
        edge = node.input[0]
        node = nodes.get(edge_node(edge))
    return edge if ":" in edge else f"{edge}:0"


def _waits_for_nothing(nodes: Mapping[str, Any], controls: Iterable[str]) -> bool:
    """Return True if control inputs only wait for variables, which are constants now."""
    found = [nodes[edge_node(control)] for control in controls]
    return all(
        node.op in _IDLE and (node.op != "NoOp" or _waits_for_nothing(nodes, node.input))
        for node in found
    )


def _written(path: str | os.PathLike[str], content: bytes) -> Path:
    check_path("path", path, GraphError)
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise GraphError(f"{path} cannot be written: {error.strerror}") from error
    return Path(path)


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


def _portable(graph: Any, ends: Sequence[str]) -> Any:
    """Return a graph for older TensorFlows: the nodes that the ends need, no default attributes."""
    tf = backend.tensorflow()

    with graph.as_default():
        exported = tf.compat.v1.train.export_meta_graph(strip_default_attrs=True)
    kept = pruned(exported.graph_def, ends)
    for node in kept.node:
        node.attr.pop("_output_shapes", None)
    return kept


def _node(graph_def: Any, name: str) -> Any:
    return next(node for node in graph_def.node if node.name == name)


def _split_names(given: str | None) -> list[str]:
    names = (name.strip().removesuffix(":0") for name in (given or "").split(SEPARATOR))
    return [name for name in names if name]


def _vetted(graph_def: Any, results: Collection[str], allowed: Collection[str]) -> Any:
    """The graph, or if that may not be served the part of it that named outputs need."""
    try:
        vet(graph_def, allowed)
    except GraphError:
        part = pruned(graph_def, results) if results else graph_def
        if len(part.node) == len(graph_def.node) or not part.node:
            raise
        vet(part, allowed)
        return part
    return graph_def


def _check_fed(graph_def: Any, results: Collection[str], sources: Collection[str]) -> None:
    unfed = list(needed_placeholders(graph_def, results, sources))
    if unfed:
        raise GraphError(
            f"the outputs need {', '.join(map(repr, unfed))} beside the inputs: {HOW_TO_GIVE}"
        )


def _wanted(given: str | None, names: list[str], role: str) -> list[str]:
    return [_existing(name.strip(), names, role) for name in (given or "").split(SEPARATOR) if name]


def _ends(graph_def: Any, built: Any) -> list[str]:
    """The outputs: those named as such, else ``output``, else all that nothing consumes."""
    consumed = {edge_node(edge) for node in graph_def.node for edge in node.input}
    unused = [n for n in graph_def.node if n.name not in consumed and n.op != "NoOp"]
    # Lowered loops leave placeholders that nothing consumes ("unused_control_flow_input").
    ends = [n for n in unused if not n.op.startswith("Placeholder")] or unused
    named = [n.name for n in ends if _TENSOR_NAME in n.attr and n.op != "Placeholder"]
    names = [n.name for n in ends]
    if named or OUTPUT_NODE in names:
        return named or [OUTPUT_NODE]
    if not _are_clear(names, built):
        raise GraphError(f"name the output node: the graph ends in {names}")
    return names


def _placeholders(nodes: Mapping[str, Any], results: list[str], built: Any) -> list[str]:
    needed = reached(nodes, results)
    names = [n.name for n in nodes.values() if n.op == "Placeholder" and n.name in needed]
    if not _are_clear(names, built):
        raise GraphError(
            f"name the input node: the graph's placeholders are {names}; {HOW_TO_GIVE}"
        )
    return names


def _are_clear(names: list[str], built: Any) -> bool:
    """Return True if nodes are all ends of a kind: one, or several with numbers per event."""
    return len(names) == 1 or (bool(names) and all(_has_events(built, name) for name in names))


def _has_events(built: Any, node: str) -> bool:
    """Return True if a node gives numbers with a first axis of any length."""
    outputs = built.get_operation_by_name(node).outputs
    if not outputs or outputs[0].dtype.base_dtype.name not in NUMERIC:
        return False
    shape = outputs[0].shape
    return shape.rank is None or bool(shape.rank and shape[0] is None)


def _existing(wanted: str, names: list[str], role: str) -> str:
    name = wanted.removesuffix(":0")
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    raise GraphError(f"the graph has no {role} node {wanted!r}; candidates are {near}")


def _features(sources: Sequence[Any], signature: Signature) -> tuple[str, ...] | None:
    """Names of the columns, if every input carries its own."""
    found: list[str] = []
    for node, tensor in zip(sources, signature.inputs, strict=True):
        carried = node.attr[_FEATURE_NAMES].list.s if _FEATURE_NAMES in node.attr else ()
        if not carried:
            return None
        if tensor.size != len(carried):
            raise GraphError(
                f"the graph names {len(carried)} features, but its input is {tensor.shape} wide"
            )
        try:
            found += [name.decode() for name in carried]
        except UnicodeDecodeError as error:
            raise GraphError(f"the feature names in the graph are not UTF-8: {error}") from error
    if len(set(found)) != len(found):
        raise GraphError("the graph names a feature twice")
    return tuple(found)


def _is_ordered(sources: Sequence[Any], named: bool) -> bool:
    """Return True if the inputs are in the order that the model's author gave them.

    Nodes of others stand in the order in which they were made, unless their names were given.
    """
    if any(_NO_ORDER in node.attr for node in sources):
        return False
    return named or len(sources) == 1 or is_marked(sources)


def is_marked(nodes: Iterable[Any]) -> bool:
    """Return True if nodes are inputs of a graph frozen here, in the order of the model."""
    return all(_TENSOR_NAME in node.attr and _NO_ORDER not in node.attr for node in nodes)


def _built(graph_def: Any) -> Any:
    tf = backend.tensorflow()

    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.graph_util.import_graph_def(graph_def, name="")
    except (ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise GraphError(f"TensorFlow cannot build the graph: {reason(error)}") from error
    return graph


def _tensor(built: Any, node: Any) -> Tensor:
    outputs = built.get_operation_by_name(node.name).outputs
    if not outputs:
        raise GraphError(f"node {node.name!r} is a {node.op!r} and gives nothing")
    name = node.name
    if _TENSOR_NAME in node.attr:
        name = node.attr[_TENSOR_NAME].s.decode("utf-8", "replace")
    shape = outputs[0].shape
    lengths = (None,) if shape.rank is None else tuple(shape.as_list()[1:])
    return Tensor(name, outputs[0].dtype.base_dtype.name, lengths)


def _shape(tensors: tuple[Tensor, ...], width: int | None) -> tuple[int | None, ...]:
    return tensors[0].shape if len(tensors) == 1 else (width,)


def _bracketed(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"
