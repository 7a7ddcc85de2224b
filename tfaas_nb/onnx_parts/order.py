"""Order of an ONNX model's nodes: each after those whose values it takes.

The format demands that order, but onnxruntime does not, and tools write others.

Source: ONNX's specification, "Graphs": nodes are sorted topologically, and a graph within a node
may take values of those around it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from tfaas_nb.errors import GraphError
from tfaas_nb.onnx_parts.walk import all_graphs, graphs_in

_SHOWN = 3


def sort_nodes(model: Any) -> bool:
    """Sort the nodes of all graphs and functions; return True if any stood elsewhere.

    Nodes that may stand where they are keep their order.

    Raises
    ------
    GraphError
        If nodes need each other in a circle.
    """
    # The innermost first, as sorting copies nodes with the graphs within them.
    lists = [function.node for function in model.functions]
    lists += [graph.node for graph in all_graphs(model)]
    return any([_sort(nodes) for nodes in reversed(lists)])  # noqa: C419 (each is sorted)


def _sort(nodes: Any) -> bool:
    order = _order(nodes)
    if order == list(range(len(nodes))):
        return False
    ordered = [type(nodes[i]).FromString(nodes[i].SerializeToString()) for i in order]
    del nodes[:]
    nodes.extend(ordered)
    return True


def _order(nodes: Sequence[Any]) -> list[int]:
    """Positions of nodes in an order in which each comes after what it needs."""
    maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    needs = [{maker[name] for name in _taken(node) if name in maker} for node in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for i, needed in enumerate(needs):
        for one in needed:
            users[one].append(i)
    waiting = list(map(len, needs))
    ready = [i for i, count in enumerate(waiting) if not count]
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for user in users[order[-1]]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        _refuse([node for node, count in zip(nodes, waiting, strict=True) if count])
    return order


def _refuse(nodes: Sequence[Any]) -> None:
    shown = ", ".join(
        f"{node.name or next(iter(node.output), '')!r} ({node.op_type})" for node in nodes[:_SHOWN]
    )
    raise GraphError(
        f"the ONNX model's nodes {shown}{' …' if len(nodes) > _SHOWN else ''} need each other in a "
        "circle, so none can be first: export the model again"
    )


def _taken(node: Any) -> set[str]:
    """Names of the values that a node takes, also within its graphs."""
    return set(node.input).union(*(_free(graph) for graph in graphs_in(node.attribute)))


def _free(graph: Any) -> set[str]:
    """Names that a graph takes from those around it."""
    taken = _all(_taken(node) for node in graph.node) | {end.name for end in graph.output}
    own = {end.name for end in graph.input} | {tensor.name for tensor in graph.initializer}
    return taken - own - {name for node in graph.node for name in node.output}


def _all(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)
