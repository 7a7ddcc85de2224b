"""SavedModels: vetted as data, frozen once into one graph; TensorFlow's loader never runs.

A SavedModel is a program that its loader executes: initialisers, tables, restore functions.
Nothing of that is executed here.  The nodes that a signature needs are cut out of the file and
vetted; the restore operations are read, not run, to learn which tensor of the checkpoint each
variable holds; and the checkpoint's tensors take the variables' places.  That holds for
TensorFlow 2's files and for TensorFlow 1's.

Source: TensorFlow's ``saved_model.proto``, ``meta_graph.proto`` and ``saver.proto``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfaas_nb import backend, isolation
from tfaas_nb.errors import GraphError
from tfaas_nb.foreign_words import reason
from tfaas_nb.graph import FrozenGraph, assembled, is_marked
from tfaas_nb.graph_parts.inference_constants import HOW_TO_GIVE, Constants, inferred
from tfaas_nb.graph_parts.pruning import all_nodes, edge_node, pruned
from tfaas_nb.graph_parts.tensor_arrays import with_lists
from tfaas_nb.operations import ALLOWED
from tfaas_nb.signature import Tensor
from tfaas_nb.vetting import vet

FILE = "saved_model.pb"
VARIABLES = "variables"
FORMAT = "SavedModel"

_DEFAULT = "serving_default"
_HANDLES = frozenset({"VarHandleOp"})
_REFERENCES = frozenset({"VariableV2", "Variable"})
_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"})
_COPIES = frozenset({"Identity"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: End of the name of a variable's tensor in a checkpoint.
_VALUE = ".ATTRIBUTES/VARIABLE_VALUE"
_WRAPPER = "signature_wrapper"
_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})
_MOST_SCOPES = 1000
_MOST_COPIES = 10_000
_MOST_DIGITS = 9


@dataclass(frozen=True)
class Plan:
    """Part of a SavedModel that is served.

    Attributes
    ----------
    signature : str
        Name of the signature.
    graph_def : GraphDef
        The nodes that its outputs need, vetted.
    inputs : mapping of str to Tensor
        Edge → the input that feeds it, in the model's order.
    outputs : mapping of str to str
        Name of an output → its edge.
    variables : mapping of str to str
        Node of a variable → its tensor in the checkpoint.
    is_ordered : bool
        Whether the file tells the order of the inputs; else it is that of their names.
    constants : mapping of str to bool, int or float
        Placeholder that is no input → the value folded into the graph.
    """

    signature: str
    graph_def: Any
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, str]
    variables: Mapping[str, str]
    is_ordered: bool = True
    constants: Constants = field(default_factory=dict)


def frozen(
    files: Mapping[str, bytes],
    signature: str | None = None,
    allowed: Collection[str] = ALLOWED,
    constants: Constants | None = None,
) -> tuple[FrozenGraph, str]:
    """A signature of a SavedModel as a frozen graph, and the signature's name.

    Parameters
    ----------
    files : mapping of str to bytes
        Path within the model's folder → content.
    signature : str, optional
        Name of the signature; by default ``serving_default``, or the only one.
    allowed : collection of str
        Operations that it may use.
    constants : mapping of str to bool, int or float, optional
        Placeholder, or input of the signature, that takes one number for all events → its value.

    Raises
    ------
    GraphError
        If it is no SavedModel, or may not or cannot be served.
    """
    allowed = frozenset(allowed)
    planned = plan(files[FILE], signature, allowed, constants)
    chosen, given = planned.signature, json.dumps(dict(constants or {}))
    needed = {
        name: content
        for name, content in files.items()
        if name == FILE or Path(name).parent == Path(VARIABLES)
    }
    data = isolation.run(
        _freeze, needed, chosen, given, *sorted(allowed - ALLOWED), limits=_limits(needed)
    )
    graph = FrozenGraph.from_bytes(data, allowed=allowed)
    return replace(graph, constants=planned.constants), chosen


def plan(
    serialized: bytes,
    signature: str | None = None,
    allowed: Collection[str] = ALLOWED,
    constants: Constants | None = None,
) -> Plan:
    """Plan the part of a ``saved_model.pb`` that would be served; see `frozen`.

    Raises
    ------
    GraphError
        If it is no SavedModel, lacks the signature, or does more than compute.
    """
    meta_graph = _meta_graph(serialized)
    name = _signature_name(meta_graph, signature)
    definition = meta_graph.signature_def[name]
    steering = {key: _edge(info, key) for key, info in definition.inputs.items() if _is_one(info)}
    inputs = {
        _edge(info, key): _tensor(key, info)
        for key, info in sorted(definition.inputs.items())
        if key not in steering or len(steering) == len(definition.inputs)
    }
    outputs = {key: _edge(info, key) for key, info in sorted(definition.outputs.items())}
    if not inputs or not outputs:
        raise GraphError(f"signature {name!r} has no inputs or no outputs")
    whole = _cut(meta_graph.graph_def, inputs)
    nodes = {key: edge_node(edge) for key, edge in steering.items()}
    given = {nodes.get(name, name): value for name, value in (constants or {}).items()}
    ends = [edge_node(edge) for edge in outputs.values()]
    folded, values = inferred(whole, given, [edge_node(edge) for edge in inputs], ends)
    graph_def = pruned(with_lists(folded), ends)
    _strip(graph_def)
    vet(graph_def, frozenset(allowed) | _HANDLES | _REFERENCES | _READS)
    _check_placeholders(graph_def, inputs)
    variables = _restored(meta_graph, graph_def)
    order = list(inputs) if len(inputs) == 1 else _order(meta_graph.graph_def, list(inputs))
    inputs = {edge: inputs[edge] for edge in order or inputs}
    return Plan(name, graph_def, inputs, outputs, variables, order is not None, values)


# --- what the file says -----------------------------------------------------------------


def _meta_graph(serialized: bytes) -> Any:
    from google.protobuf.message import DecodeError

    backend.tensorflow()
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        model = SavedModel.FromString(serialized)
    except DecodeError as error:
        raise GraphError(f"{FILE} is not a SavedModel's file") from error
    for meta_graph in model.meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            return meta_graph
    raise GraphError(f"{FILE} has nothing tagged 'serve': export the model for serving")


def _signature_name(meta_graph: Any, wanted: str | None) -> str:
    names = sorted(n for n in meta_graph.signature_def if not n.startswith("__saved_model_"))
    if wanted or _DEFAULT in names:
        name = wanted or _DEFAULT
        if name in names:
            return name
        raise GraphError(f"the SavedModel has no signature {name!r}: it has {names}")
    if len(names) != 1:
        raise GraphError(
            f"the SavedModel has the signatures {names} and none called {_DEFAULT!r}: name one"
        )
    return str(names[0])


def _is_one(info: Any) -> bool:
    """Return True if an input is known to be one number for all events."""
    return not info.tensor_shape.unknown_rank and not info.tensor_shape.dim


def _edge(info: Any, key: str) -> str:
    if info.WhichOneof("encoding") != "name":
        raise GraphError(f"tensor {key!r} is sparse or made of several: only dense ones are served")
    return str(info.name if ":" in info.name else f"{info.name}:0")


def _tensor(key: str, info: Any) -> Tensor:
    tf = backend.tensorflow()

    try:
        dtype = tf.dtypes.as_dtype(info.dtype).name
    except TypeError as error:
        raise GraphError(f"tensor {key!r} is of a type that there is not: {info.dtype}") from error
    if info.tensor_shape.unknown_rank:
        return Tensor(key, dtype, (None,))
    lengths = [None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim]
    tensor = Tensor(key, dtype, tuple(lengths[1:]))
    if not lengths or lengths[0] is not None:
        raise GraphError(
            f"input {key!r} has shape {lengths}: its first axis must be open, it is that of the "
            "events"
        )
    return tensor


def _cut(graph_def: Any, inputs: Mapping[str, Tensor]) -> Any:
    """The graph with nothing before its inputs: a signature may begin at any node."""
    tf = backend.tensorflow()

    cut = type(graph_def)()
    cut.CopyFrom(graph_def)
    fed = {edge_node(edge): (edge, tensor) for edge, tensor in inputs.items()}
    for node in cut.node:
        if node.name not in fed or node.op == "Placeholder":
            continue
        edge, tensor = fed[node.name]
        if edge != f"{node.name}:0":
            raise GraphError(f"input {tensor.name!r} begins at {edge!r}, amid a node")
        node.op = "Placeholder"
        del node.input[:]
        node.attr.clear()
        node.attr["dtype"].type = tf.dtypes.as_dtype(tensor.dtype).as_datatype_enum
    return cut


def _strip(graph_def: Any) -> None:
    """Take away what ties nodes to others that were left behind, or to other machines."""
    for node in all_nodes(graph_def):
        node.device = ""
        node.attr.pop("_class", None)


def _check_placeholders(graph_def: Any, inputs: Mapping[str, Tensor]) -> None:
    fed = {edge_node(edge) for edge in inputs}
    for node in graph_def.node:
        if node.op == "Placeholder" and node.name not in fed:
            raise GraphError(
                f"the outputs need {node.name!r}, which is no input of the signature with events: "
                f"{HOW_TO_GIVE}"
            )


# --- the order of the inputs ------------------------------------------------------------


def _order(graph_def: Any, edges: Sequence[str]) -> list[str] | None:
    """Edges of a signature's inputs in the order of the function that it was made of.

    A signature holds its inputs by name.  TensorFlow 2 makes it of a function by one that takes
    the inputs by name, called ``signature_wrapper``, and does no more than call the other with
    them.  None if the file has nothing of the kind.
    """
    fed = {edge_node(edge): edge for edge in edges}
    nodes = {node.name: node for node in graph_def.node}
    if all(name in nodes for name in fed) and is_marked(nodes[name] for name in fed):
        return [fed[name] for name in nodes if name in fed]
    functions = {function.signature.name: function for function in graph_def.library.function}
    for node in graph_def.node:
        wrapper = functions.get(node.attr["f"].func.name) if node.op in _CALLS else None
        if wrapper is None or _WRAPPER not in wrapper.signature.name:
            continue
        names = (argument.name for argument in wrapper.signature.input_arg)
        sent = {
            name: fed.get(edge_node(edge)) for name, edge in zip(names, node.input, strict=False)
        }
        if set(fed.values()) <= set(sent.values()):
            return _order_within(wrapper, sent, len(fed))
    return None


def _order_within(wrapper: Any, sent: Mapping[str, str | None], count: int) -> list[str] | None:
    """Edges in the order in which a wrapper hands them on, if it hands on each of them once."""
    calls = [node for node in wrapper.node_def if node.op in _CALLS]
    if len(calls) != 1:
        return None
    handed = [sent.get(edge_node(edge)) for edge in calls[0].input]
    order = [edge for edge in handed if edge is not None]
    return order if len(order) == len(set(order)) == count else None


# --- which tensor of the checkpoint a variable holds ------------------------------------


@dataclass(frozen=True, eq=False)
class _Scope:
    """The graph, or the body of a function with what it was called with."""

    nodes: Mapping[str, Any]
    arguments: Mapping[str, tuple[_Scope, str]]

    def origin(self, edge: str) -> tuple[_Scope, Any, int]:
        """The node that an edge comes from, through copies and arguments, and its output."""
        scope: _Scope = self
        for _ in range(_MOST_COPIES):
            name, index = edge_node(edge), _index_of(edge)
            if name in scope.arguments:
                scope, edge = scope.arguments[name]
                continue
            node = scope.nodes.get(name)
            if node is None:
                raise GraphError(f"the SavedModel's restore operation refers to {name!r}: no node")
            if node.op not in _COPIES or not node.input:
                return scope, node, index
            edge = node.input[0]
        raise GraphError("the SavedModel's restore operation copies without end")


def _restored(meta_graph: Any, graph_def: Any) -> dict[str, str]:
    needed = [n.name for n in graph_def.node if n.op in _HANDLES | _REFERENCES]
    inner = [
        node
        for function in graph_def.library.function
        for node in function.node_def
        if node.op in _HANDLES | _REFERENCES
    ]
    if inner:
        raise GraphError(f"variable {inner[0].name!r} lives in a function: it cannot be frozen")
    if not needed:
        return {}
    keys: dict[str, str] = {}
    for scope in _scopes(meta_graph):
        for node in scope.nodes.values():
            if node.op in _ASSIGNS:
                _learn(scope, node, keys)
    for name in needed:
        if name not in keys:
            restored = set(keys.values())
            keys = _object_keys(meta_graph, restored) | keys
        if name not in keys:
            raise GraphError(f"variable {name!r} has no value in the SavedModel's checkpoint")
    return {name: keys[name] for name in needed}


def _object_keys(meta_graph: Any, restored: Collection[str]) -> dict[str, str]:
    """Node of a variable → its tensor in the checkpoint, by the objects that functions hold.

    Keras 3's variables are restored by other nodes than those that compute with them.  A tensor is
    called after one of the ways that lead to its object, whichever was met first.
    """
    objects = meta_graph.object_graph_def
    keys_of = {_object_at(objects, key): key for key in sorted(restored, reverse=True)}
    keys = {}
    for node in meta_graph.graph_def.node:
        called = node.attr["f"].func.name if node.op in _CALLS else ""
        if called not in objects.concrete_functions:
            continue
        held = list(objects.concrete_functions[called].bound_inputs)
        for edge, number in zip(reversed(node.input), reversed(held), strict=False):
            if number in keys_of and objects.nodes[number].WhichOneof("kind") == "variable":
                keys[edge_node(edge)] = keys_of[number]
    return keys


def _object_at(objects: Any, key: str) -> int | None:
    """Number of the object whose value a checkpoint's tensor is; None if there is none.

    Source: ``trackable_utils.py`` and ``graph_view.py`` of TensorFlow.
    """
    number = 0
    for name in key.removesuffix(f"/{_VALUE}").split("/"):
        if not 0 <= number < len(objects.nodes):
            return None
        for child in objects.nodes[number].children:
            if child.local_name.replace(".", "..").replace("/", ".S") == name:
                number = child.node_id
                break
        else:
            return None
    return number if 0 <= number < len(objects.nodes) else None


def _scopes(meta_graph: Any) -> Iterator[_Scope]:
    """The restore operation's part of the graph and of the functions that it calls."""
    whole = meta_graph.graph_def
    restore = edge_node(meta_graph.saver_def.restore_op_name)
    part = pruned(whole, [restore])
    functions = {function.signature.name: function for function in part.library.function}
    pending = [_Scope({node.name: node for node in part.node}, {})]
    for _ in range(_MOST_SCOPES):
        if not pending:
            return
        scope = pending.pop()
        yield scope
        for node in scope.nodes.values():
            function = functions.get(node.attr["f"].func.name) if node.op in _CALLS else None
            if function is not None:
                names = [argument.name for argument in function.signature.input_arg]
                sent = [edge for edge in node.input if not edge.startswith("^")]
                arguments = {n: (scope, e) for n, e in zip(names, sent, strict=False)}
                pending.append(_Scope({n.name: n for n in function.node_def}, arguments))
    raise GraphError("the SavedModel's restore operation calls functions without end")


def _learn(scope: _Scope, assign: Any, keys: dict[str, str]) -> None:
    """Add what an assignment says, if it takes a variable's value from the checkpoint."""
    if len(assign.input) < 2:
        return
    _, variable, _ = scope.origin(assign.input[0])
    home, source, index = scope.origin(assign.input[1])
    if variable.op not in _HANDLES | _REFERENCES or source.op != "RestoreV2":
        return
    if len(source.input) < 3:
        raise GraphError(f"the SavedModel's {source.name!r} does not say what it restores")
    name, part = (_text(home, source.input[i], index) for i in (1, 2))
    if part:
        raise GraphError(f"variable {variable.name!r} is stored in slices: save it whole")
    key = name.decode("utf-8", "replace")
    if keys.setdefault(variable.name, key) != key:
        raise GraphError(f"variable {variable.name!r} is restored from two tensors")


def _text(scope: _Scope, edge: str, index: int) -> bytes:
    """An element of a constant list of texts, of which equal ones at its end may be left out."""
    node = scope.origin(edge)[1]
    if node.op != "Const":
        raise GraphError(f"the SavedModel computes what it restores in {node.name!r}")
    tensor = node.attr["value"].tensor
    texts = tensor.string_val
    if not texts or index >= math.prod(dim.size for dim in tensor.tensor_shape.dim):
        raise GraphError(f"the SavedModel does not say in {node.name!r} what it restores")
    return bytes(texts[min(index, len(texts) - 1)])


def _index_of(edge: str) -> int:
    """Return the number of an output: ``node:2`` in a graph, ``node:tensors:2`` in a function."""
    last = edge.rpartition(":")[2]
    if not last.isdecimal():
        return 0
    if len(last) > _MOST_DIGITS:
        raise GraphError(f"the SavedModel asks for output {last[:_MOST_DIGITS]}… of a node")
    return int(last)


# --- freezing, in a process of its own --------------------------------------------------


def _limits(files: Mapping[str, bytes]) -> isolation.Limits:
    return isolation.Limits.of(sum(map(len, files.values())))


def _freeze(folder: Path, signature: str, given: str = "{}", *more: str) -> bytes:
    tf = backend.tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    allowed = ALLOWED | frozenset(more)
    serialized = (folder / FILE).read_bytes()
    planned = plan(serialized, signature, allowed, json.loads(given))
    values = _values(folder, planned.variables)
    graph_def = planned.graph_def
    _insert(graph_def, values)
    handles = {
        node.name: tf.Variable(values[node.name], trainable=False)
        for node in graph_def.node
        if node.op in _HANDLES
    }

    def call(*tensors: Any) -> list[Any]:
        graph = tf.compat.v1.get_default_graph()
        sources = dict(zip(planned.inputs, tensors, strict=True))
        for name, variable in handles.items():
            graph.watch_variable(variable)
            sources[f"{name}:0"] = graph.capture(variable.handle)
        found: list[Any] = tf.graph_util.import_graph_def(
            graph_def, sources, list(planned.outputs.values()), name=""
        )
        return [tf.identity(tensor) for tensor in found]

    specs = [tf.TensorSpec((None, *t.shape), t.dtype) for t in planned.inputs.values()]
    wrapped = tf.compat.v1.wrap_function(call, specs)
    constants = convert_variables_to_constants_v2(wrapped, aggressive_inlining=True)
    sent = dict(zip((t.name for t in constants.inputs), planned.inputs.values(), strict=True))
    answered = dict(zip(planned.outputs, (t.name for t in constants.outputs), strict=True))
    whole = constants.graph.as_graph_def()
    ordered = planned.is_ordered
    return assembled(whole, sent, answered, allowed=allowed, is_ordered=ordered).serialized


def _values(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    tf = backend.tensorflow()

    if not variables:
        return {}
    try:
        reader = tf.train.load_checkpoint(str(folder / VARIABLES / VARIABLES))
        return {name: reader.get_tensor(key) for name, key in variables.items()}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise GraphError(f"the SavedModel's checkpoint cannot be read: {reason(error)}") from error


def _insert(graph_def: Any, values: Mapping[str, Any]) -> None:
    """Put constants in the place of TensorFlow 1's variables, which are nodes with a value."""
    tf = backend.tensorflow()

    for node in graph_def.node:
        if node.op in _REFERENCES:
            dtype = node.attr["dtype"].type
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = dtype
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name], dtype))
