"""Pruning of TensorFlow graphs: the nodes that others need, and the functions that they call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def edge_node(edge: str) -> str:
    """Name of the node that an edge comes from."""
    return edge.lstrip("^").split(":")[0]


def reached(nodes: Mapping[str, Any], ends: Iterable[str]) -> set[str]:
    """Names of the nodes that some nodes need, themselves included."""
    found: set[str] = set()
    pending = list(ends)
    while pending:
        name = pending.pop()
        if name not in found and name in nodes:
            found.add(name)
            pending += [edge_node(edge) for edge in nodes[name].input]
    return found


def pruned(graph_def: Any, ends: Iterable[str]) -> Any:
    """The nodes that some nodes need, in the graph's order, and the functions that they call."""
    needed = reached({node.name: node for node in graph_def.node}, ends)
    kept = type(graph_def)(versions=graph_def.versions)
    kept.node.extend(node for node in graph_def.node if node.name in needed)
    library = {function.signature.name: function for function in graph_def.library.function}
    called: set[str] = set()
    pending = [name for node in kept.node for name in _called(node)]
    while pending:
        name = pending.pop()
        if name in library and name not in called:
            called.add(name)
            pending += [inner for node in library[name].node_def for inner in _called(node)]
    kept.library.function.extend(f for name, f in library.items() if name in called)
    return kept


def all_nodes(graph_def: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of its functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _called(node: Any) -> list[str]:
    """Functions that a node calls; one may be called by an operation of its name."""
    names = [node.op]
    for value in node.attr.values():
        names += [value.func.name, *(function.name for function in value.list.func)]
    return [name for name in names if name]
