"""What a TensorFlow graph may hold: operations that only compute, wherever they stand.

A graph is looked through as data before TensorFlow builds or runs anything of it: its nodes, the
functions of its library, and graphs, functions and nodes that are written down in constants and
attributes, where operations of other kinds (data sets, remote calls, compiled segments) would
look for them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from tfaas_nb.errors import GraphError
from tfaas_nb.operations import ALLOWED, LOOPS

#: Nodes of a graph with all its functions; the largest published networks have some 20 000.
MOST_NODES = 200_000

_OPERATION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable", "ReadVariableOp"})
_MOST_DEPTH = 8
#: A serialized node has at least a name and an operation.
_LEAST_BYTES = 6
#: Types of constants whose bytes may be a message: int8 and uint8.
_BYTES = frozenset({4, 6})


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
    _vet(graph_def, frozenset(allowed), "", 0)


def has_loops(graph_def: Any) -> bool:
    """Whether a graph may never end: it has a loop, or a function that may call itself."""
    names = {function.signature.name for function in graph_def.library.function}
    inner = (node for function in graph_def.library.function for node in function.node_def)
    return any(node.op in LOOPS for _, node in _all_nodes(graph_def, "")) or any(
        not names.isdisjoint(_called(node)) for node in inner
    )


def _called(node: Any) -> Iterator[str]:
    """What a node does, and functions that it may call."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def _vet(graph_def: Any, allowed: frozenset[str], inside: str, depth: int) -> None:
    own = _own_functions(graph_def, inside)
    functions = graph_def.library.function
    count = len(graph_def.node) + sum(len(function.node_def) for function in functions)
    if count > MOST_NODES:
        raise GraphError(f"the graph has {count} nodes{inside}: at most {MOST_NODES} are read")
    found = list(_all_nodes(graph_def, inside))
    refused = [(where, n) for where, n in found if n.op not in own and n.op not in allowed]
    # Variables before what initialises them: they are what the user has to change.
    for where, node in sorted(refused, key=lambda one: one[1].op not in _VARIABLES):
        reason = "this operation may not be served"
        if node.op in _VARIABLES:
            reason = "the graph has variables: freeze it first (FrozenGraph.freeze)"
        raise GraphError(f"node {node.name!r}{where} is a {node.op!r}: {reason}")
    for where, node in found:
        _check_calls(node, where, own, allowed)
        _check_hidden(graph_def, node, where, allowed, depth)


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


def _check_calls(node: Any, where: str, own: set[str], allowed: frozenset[str]) -> None:
    """Refuse a call of what is neither a function of the graph nor an allowed operation."""
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            if function.name and function.name not in own and function.name not in allowed:
                raise GraphError(
                    f"node {node.name!r}{where} calls {function.name!r}, "
                    "which is no function of the graph"
                )


# --- what is written down in constants and attributes -------------------------------------


def _check_hidden(
    graph_def: Any, node: Any, where: str, allowed: frozenset[str], depth: int
) -> None:
    for key, data in _texts(node):
        hidden = _graph_in(type(graph_def), data)
        if hidden is None:
            continue
        inside = f" of the graph in {key!r} of node {node.name!r}{where}"
        if depth == _MOST_DEPTH:
            raise GraphError(f"there are graphs within graphs without end{inside}")
        _vet(hidden, allowed, inside, depth + 1)


def _texts(node: Any) -> Iterator[tuple[str, bytes]]:
    """All bytes in a node's attributes, each with the attribute's name."""
    pending = list(node.attr.items())
    while pending:
        key, value = pending.pop()
        yield key, value.s
        for text in value.list.s:
            yield key, text
        for tensor in (value.tensor, *value.list.tensor):
            for text in _texts_of(tensor):
                yield key, text
        for function in (value.func, *value.list.func):
            pending += [(f"{key}.{name}", inner) for name, inner in function.attr.items()]


def _texts_of(tensor: Any) -> Iterator[bytes]:
    yield from tensor.string_val
    for variant in tensor.variant_val:
        yield variant.metadata
        for inner in variant.tensors:
            yield from _texts_of(inner)
    if tensor.dtype in _BYTES:
        yield tensor.tensor_content


def _graph_in(kind: Any, data: bytes) -> Any | None:
    """The graph that bytes hold, as one or within a function, a library or a SavedModel."""
    if len(data) < _LEAST_BYTES:
        return None
    for read in (_as_graph, _as_library, _as_function, _as_node, _as_meta_graph, _as_saved_model):
        graph = _parsed(read, kind, data)
        if graph is not None and _is_graph(graph):
            return graph
    return None


def _parsed(read: Any, kind: Any, data: bytes) -> Any | None:
    from google.protobuf.message import DecodeError

    try:
        return read(kind, data)
    except DecodeError:
        return None


def _is_graph(graph: Any) -> bool:
    """Whether what was read is a graph indeed: any bytes are messages of some kind by chance."""
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
