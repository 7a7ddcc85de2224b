"""Vetting of TensorFlow graphs: only operations that compute are allowed, wherever they stand.

A graph is looked through as data before TensorFlow builds or runs anything of it: its nodes, the
functions of its library, and graphs, functions and nodes that are written down in constants and
attributes, where operations of other kinds (data sets, remote calls, compiled segments) would
look for them.  Bytes that can be read as several of these are vetted as each.

Source: ``graph.proto``, ``function.proto`` and ``tensor.proto`` of TensorFlow, and
``Tensor::FromProto`` and ``DecodeStringList``, which read constants.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfaas_nb.errors import GraphError
from tfaas_nb.operations import ALLOWED, LOOPS

#: Nodes of a graph with all its functions; the largest published networks have some 20 000.
MOST_NODES = 200_000

_OPERATION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable", "ReadVariableOp"})
_MOST_DEPTH = 8
#: A serialized node has at least a name and an operation.
_LEAST_BYTES = 6
#: Types of constants whose bytes may be a message: uint8, int8, qint8 and quint8.
_BYTES = frozenset({4, 6, 11, 12})
_STRING, _VARIANT = 7, 21
#: Types bfloat16 and half.
_HALF = frozenset({14, 19})
#: Operations that draw random numbers.
_RANDOM = re.compile("Random|Multinomial|TruncatedNormal")
_VARINT = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]")
#: Axes that TensorFlow's shapes have at most.
_MOST_AXES = 254
#: Bytes that constants of a graph may leave out, as their last number is repeated.
_MOST_REPEATED = 64 << 20


def check_operations(names: Iterable[str]) -> frozenset[str]:
    """Names of operations that somebody wants to allow.

    Raises
    ------
    GraphError
        If one is no name of an operation.
    """
    wanted = frozenset([names] if isinstance(names, str) else names)
    for name in wanted:
        if not _OPERATION.fullmatch(name):
            raise GraphError(f"{name!r} is no operation: write for instance MatrixInverse")
    return wanted


def vet(graph_def: Any, allowed: Collection[str] = ALLOWED) -> None:
    """Refuse a graph that does anything but compute.

    Parameters
    ----------
    graph_def : GraphDef
        The graph.
    allowed : collection of str
        Operations that it may use.

    Raises
    ------
    GraphError
        Naming the first operation that is not allowed and its node.
    """
    _Vetting(allowed).vet(graph_def, "", 0)


def has_loops(graph_def: Any) -> bool:
    """Return True if a graph may never end: it has a loop, or a function that may call itself."""
    names = {function.signature.name for function in graph_def.library.function}
    inner = (node for function in graph_def.library.function for node in function.node_def)
    return any(node.op in LOOPS for _, node in _all_nodes(graph_def, "")) or any(
        not names.isdisjoint(_called(node)) for node in inner
    )


def operations(graph_def: Any) -> set[str]:
    """Names of the operations of a graph and its functions."""
    return {node.op for _, node in _all_nodes(graph_def, "")}


def has_half_precision(graph_def: Any) -> bool:
    """Return True if a graph computes with numbers of 16 bits, which have three digits."""
    return any(
        not _HALF.isdisjoint((value.type, *value.list.type))
        for _, node in _all_nodes(graph_def, "")
        for value in node.attr.values()
    )


def _called(node: Any) -> Iterator[str]:
    """Yield a node's operation and the names of functions that it may call."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


class _Vetting:
    """A graph and all that is hidden in it, in time that grows as its size does."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)
        # What is hidden in hidden graphs may be as much as each level of them; only bytes that
        # are made to be read in several ways come to more.
        self._left = 0
        self._texts = _Texts()

    def vet(self, graph_def: Any, inside: str, depth: int) -> None:
        own = _own_functions(graph_def, inside)
        functions = graph_def.library.function
        count = len(graph_def.node) + sum(len(function.node_def) for function in functions)
        if count > MOST_NODES:
            raise GraphError(f"the graph has {count} nodes{inside}: at most {MOST_NODES} are read")
        self._check_nodes(list(_all_nodes(graph_def, inside)), own)
        for where, attributes in _all_attributes(graph_def, inside):
            self._check_calls(attributes, where, own)
            for key, data in self._texts.of(attributes):
                self._check_hidden(type(graph_def), data, f"{key!r} of {where}", depth)

    def _check_nodes(self, found: list[tuple[str, Any]], own: set[str]) -> None:
        refused = [(w, n) for w, n in found if n.op not in own and n.op not in self._allowed]
        # Variables before what initialises them: they are what the user has to change.
        for where, node in sorted(refused, key=lambda one: one[1].op not in _VARIABLES):
            reason = "this operation may not be served"
            if node.op in _VARIABLES:
                reason = "the graph has variables: freeze it first (FrozenGraph.freeze)"
            elif _RANDOM.search(node.op):
                reason = (
                    "its scores would be random; export the model in inference mode "
                    "(training=False), which leaves dropout and noise out"
                )
            raise GraphError(f"node {node.name!r}{where} is a {node.op!r}: {reason}")

    def _check_calls(self, attributes: Mapping[str, Any], where: str, own: set[str]) -> None:
        """Refuse a call of what is neither a function of the graph nor an allowed operation."""
        for _, value in _all_values(attributes):
            for function in (value.func, *value.list.func):
                name = function.name
                if name and name not in own and name not in self._allowed:
                    raise GraphError(f"{where} calls {name!r}, which is no function of the graph")

    def _check_hidden(self, kind: Any, data: bytes, place: str, depth: int) -> None:
        graphs = list(_graphs_in(kind, data))
        if not graphs:
            return
        inside = f" of the graph in {place}"
        self._left += len(data) * (-1 if depth else _MOST_DEPTH)
        if depth == _MOST_DEPTH or self._left < 0:
            raise GraphError(f"there are graphs within graphs without end{inside}")
        for graph in graphs:
            self.vet(graph, inside, depth + 1)


def _own_functions(graph_def: Any, inside: str) -> set[str]:
    """Names of the graph's functions, none of which may pass for an operation of TensorFlow."""
    from tensorflow.python.framework import op_def_registry

    names = {function.signature.name for function in graph_def.library.function}
    for name in names:
        if op_def_registry.get(name) is not None:
            raise GraphError(f"a function of the graph{inside} is called {name!r}, as an operation")
    return names


def _all_nodes(graph_def: Any, inside: str) -> Iterator[tuple[str, Any]]:
    """Every node, and where it stands."""
    for node in graph_def.node:
        yield inside, node
    for function in graph_def.library.function:
        for node in function.node_def:
            yield f" of function {function.signature.name!r}{inside}", node


def _all_attributes(graph_def: Any, inside: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Attributes of every node and function, and whose they are."""
    for where, node in _all_nodes(graph_def, inside):
        yield f"node {node.name!r}{where}", node.attr
    for function in graph_def.library.function:
        where = f"function {function.signature.name!r}{inside}"
        yield where, function.attr
        for argument in function.arg_attr.values():
            yield where, argument.attr
        for told in function.signature.attr:
            yield (
                where,
                {told.name: told.default_value, f"{told.name}.allowed": told.allowed_values},
            )


def _all_values(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Attributes by their name, and those of the functions that they name."""
    pending = list(attributes.items())
    while pending:
        key, value = pending.pop()
        yield key, value
        for function in (value.func, *value.list.func):
            pending += [(f"{key}.{name}", inner) for name, inner in function.attr.items()]


# --- what is written down in constants and attributes -------------------------------------


class _Texts:
    """All bytes in attributes, as TensorFlow would have them in memory."""

    def __init__(self) -> None:
        self._may_repeat = _MOST_REPEATED

    def of(self, attributes: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        """Yield each text with the name of its attribute."""
        for key, value in _all_values(attributes):
            yield key, value.s
            for text in value.list.s:
                yield key, text
            for tensor in (value.tensor, *value.list.tensor):
                for text in self._of_tensor(tensor, 0):
                    yield key, text

    def _of_tensor(self, tensor: Any, depth: int) -> Iterator[bytes]:
        if depth > _MOST_DEPTH:
            raise GraphError("there are constants within constants without end")
        yield from tensor.string_val
        if tensor.dtype == _STRING:
            yield from _strings(tensor)
        if tensor.dtype in _BYTES:
            yield tensor.tensor_content
        if len(tensor.int_val) >= _LEAST_BYTES:
            yield self._small(tensor)
        for variant in (*tensor.variant_val, *_variants(tensor)):
            yield variant.metadata
            for inner in variant.tensors:
                yield from self._of_tensor(inner, depth + 1)

    def _small(self, tensor: Any) -> bytes:
        """Small numbers of a type of any size as bytes, the last one as often as it is meant."""
        numbers = np.array(list(tensor.int_val), np.int64)
        if numbers.min() < -128 or numbers.max() > 255:
            return b""
        found = numbers.astype(np.uint8).tobytes()
        more = max(_elements(tensor) - len(found), 0)
        self._may_repeat -= more
        if self._may_repeat < 0:
            raise GraphError(
                f"constants repeat their last number to more than {_MOST_REPEATED >> 20} MB: "
                "compute them, for instance by tf.fill"
            )
        return found + found[-1:] * more


def _elements(tensor: Any) -> int:
    """Return a tensor's number of elements; 0 if TensorFlow would refuse its shape."""
    sizes = [dim.size for dim in tensor.tensor_shape.dim[: _MOST_AXES + 1]]
    return 0 if len(sizes) > _MOST_AXES or min(sizes, default=0) < 0 else math.prod(sizes)


def _strings(tensor: Any) -> list[bytes]:
    """Strings in a tensor's content: the lengths of all, then all bytes; none if it is damaged."""
    content, at, lengths = tensor.tensor_content, 0, []
    if _elements(tensor) > len(content):
        return []
    for _ in range(_elements(tensor)):
        found = _VARINT.match(content, at)
        if found is None:
            return []
        at = found.end()
        lengths.append(sum((byte & 0x7F) << 7 * i for i, byte in enumerate(found[0])))
    if sum(lengths) != len(content) - at:
        return []
    ends = itertools.accumulate(lengths, initial=at)
    return [content[begin:end] for begin, end in itertools.pairwise(ends)]


def _variants(tensor: Any) -> Iterator[Any]:
    """Variants that a tensor's content holds as strings."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework.tensor_pb2 import VariantTensorDataProto

    for data in _strings(tensor) if tensor.dtype == _VARIANT else ():
        with contextlib.suppress(DecodeError):
            yield VariantTensorDataProto.FromString(data)


def _graphs_in(kind: Any, data: bytes) -> Iterator[Any]:
    """The graphs that bytes can be read as: as one or within a function or SavedModel."""
    if len(data) < _LEAST_BYTES:
        return
    for read in (_as_graph, _as_library, _as_function, _as_node, _as_meta_graph, _as_saved_model):
        graph = _parsed(read, kind, data)
        if graph is not None and _is_graph(graph):
            yield graph


def _parsed(read: Any, kind: Any, data: bytes) -> Any | None:
    from google.protobuf.message import DecodeError

    try:
        return read(kind, data)
    except DecodeError:
        return None


def _is_graph(graph: Any) -> bool:
    """Return True if the message read is a graph: any bytes may parse as a message by chance."""
    from tensorflow.python.framework import op_def_registry

    return any(op_def_registry.get(node.op) for _, node in _all_nodes(graph, ""))


def _as_graph(kind: Any, data: bytes) -> Any:
    return kind.FromString(data)


def _as_library(kind: Any, data: bytes) -> Any:
    graph = kind()
    graph.library.MergeFromString(data)
    return graph


def _as_function(kind: Any, data: bytes) -> Any:
    graph = kind()
    graph.library.function.add().MergeFromString(data)
    return graph


def _as_node(kind: Any, data: bytes) -> Any:
    graph = kind()
    graph.node.add().MergeFromString(data)
    return graph


def _as_meta_graph(kind: Any, data: bytes) -> Any:
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

    return MetaGraphDef.FromString(data).graph_def


def _as_saved_model(kind: Any, data: bytes) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    whole = kind()
    for meta_graph in SavedModel.FromString(data).meta_graphs:
        whole.MergeFrom(meta_graph.graph_def)
    return whole
