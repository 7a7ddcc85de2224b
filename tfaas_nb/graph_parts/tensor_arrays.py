"""TensorFlow 1's tensor arrays as lists of tensors, in which recurrent layers keep their steps.

A tensor array is a resource that operations change, so it may not be served; a list is a value.
Its *flow*, a number that only orders the operations, becomes the list; its handle goes.

Source: TensorFlow's ``tensor_array_ops`` and ``list_ops``, as functional loops write the latter.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfaas_nb.graph_parts.folding import edge_index, set_value
from tfaas_nb.graph_parts.pruning import edge_node, pruned

_ARRAY = "TensorArrayV3"
_INT32, _VARIANT = 3, 21
_CARRIERS = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})
_HANDED_ON = frozenset({"Enter", "Identity"})
_SHAPE = "/_element_shape"
#: Position of an operation's flow among its inputs.
_FLOW = {
    "TensorArrayWriteV3": 3,
    "TensorArrayReadV3": 2,
    "TensorArrayScatterV3": 3,
    "TensorArrayGatherV3": 2,
    "TensorArraySizeV3": 1,
}


def with_lists(graph_def: Any) -> Any:
    """The graph with lists in the place of its tensor arrays.

    It is the same message if there are none, or if one is used in another way than recurrent
    layers and loops do.
    """
    if not any(node.op == _ARRAY for node in graph_def.node):
        return graph_def
    rewriting = _Rewriting(graph_def)
    return rewriting.rewritten() if rewriting.is_possible() else graph_def


class _Rewriting:
    def __init__(self, graph_def: Any) -> None:
        self._graph_def = graph_def
        self._nodes = {node.name: node for node in graph_def.node}
        self._consumers: Mapping[str, list[tuple[Any, int]]] = collections.defaultdict(list)
        self._consumed = {edge_node(edge) for node in graph_def.node for edge in node.input}
        for node in graph_def.node:
            for i, edge in enumerate(node.input):
                if not edge.startswith("^"):
                    self._consumers[edge_node(edge)].append((node, i))
        #: Nodes that hand on a handle, those that use one with its array, and carriers of flows.
        self._handles: set[str] = set()
        self._arrays: dict[str, Any] = {}
        self._carriers: set[str] = set()

    def is_possible(self) -> bool:
        """Follow all handles and flows; False if one leads elsewhere."""
        arrays = [node for node in self._graph_def.node if node.op == _ARRAY]
        return (
            all(map(_is_whole, self._graph_def.node))
            and all(map(self._follow_handle, arrays))
            and all(self._follow_flow(name) for name in [*(n.name for n in arrays), *self._arrays])
        )

    def _follow_handle(self, array: Any) -> bool:
        pending = [array.name]
        while pending:
            name = pending.pop()
            for node, i in self._consumers[name]:
                if name == array.name and edge_index(node.input[i]):
                    continue
                if node.op in _FLOW and i == 0:
                    self._arrays[node.name] = array
                elif node.op in _HANDED_ON and node.name not in self._handles:
                    self._handles.add(node.name)
                    pending.append(node.name)
                else:
                    return False
        return True

    def _follow_flow(self, start: str) -> bool:
        if self._nodes[start].op not in (_ARRAY, "TensorArrayWriteV3", "TensorArrayScatterV3"):
            return True
        pending = [start]
        while pending:
            name = pending.pop()
            for node, i in self._consumers[name]:
                if self._nodes[name].op == _ARRAY and edge_index(node.input[i]) != 1:
                    continue
                if node.op in _CARRIERS:
                    if node.name not in self._carriers:
                        self._carriers.add(node.name)
                        pending.append(node.name)
                elif node.name not in self._arrays or i != _FLOW[node.op]:
                    return False
        scattered = (n for n, _ in self._consumers[start] if n.op == "TensorArrayScatterV3")
        return all(self._nodes[edge_node(n.input[3])].op == _ARRAY for n in scattered)

    def rewritten(self) -> Any:
        graph_def = self._graph_def
        made = type(graph_def)(versions=graph_def.versions, library=graph_def.library)
        for node in graph_def.node:
            if node.name in self._handles:
                continue
            copy = made.node.add()
            copy.CopyFrom(node)
            copy.attr.pop("_class", None)
            if node.op == _ARRAY:
                self._reserve(copy, made)
            elif node.name in self._arrays:
                self._use(copy, self._arrays[node.name], made)
            elif node.name in self._carriers:
                copy.attr["T"].type = _VARIANT
        self._redirect(made)
        # A list that was filled at once takes the place of the one that was reserved.
        return pruned(made, [n.name for n in graph_def.node if n.name not in self._consumed])

    def _redirect(self, made: Any) -> None:
        """Let edges of flows end at lists, and drop waits for handles."""
        for node in made.node:
            kept = [e for e in node.input if edge_node(e) not in self._handles]
            edges = [
                edge_node(e) if not e.startswith("^") and self._is_array(e) else e for e in kept
            ]
            del node.input[:]
            node.input.extend(edges)

    def _is_array(self, edge: str) -> bool:
        node = self._nodes.get(edge_node(edge))
        return node is not None and node.op == _ARRAY

    def _reserve(self, node: Any, made: Any) -> None:
        dtype, size, controls = node.attr["dtype"].type, node.input[0], list(_controls(node))
        shape = _element_shape(node, node.attr["element_shape"].shape, (), made)
        _be(node, "TensorListReserve", [shape, size, *controls])
        node.attr["element_dtype"].type, node.attr["shape_type"].type = dtype, _INT32

    def _use(self, node: Any, array: Any, made: Any) -> None:
        dtype = array.attr["dtype"].type
        shape = array.attr["element_shape"].shape
        _, *sources = [edge for edge in node.input if not edge.startswith("^")]
        frame = [f"^{edge_node(sources[0])}"]
        controls = list(_controls(node))

        def known() -> str:
            return _element_shape(node, shape, frame, made)

        if node.op == "TensorArrayWriteV3":
            index, value, flow = sources
            resizes = array.attr["dynamic_size"].b
            _be(node, "TensorListSetItem", [flow, index, value, *controls])
            if resizes:
                node.attr["resize_if_index_out_of_bounds"].b = True
        elif node.op == "TensorArrayReadV3":
            index, flow = sources
            _be(node, "TensorListGetItem", [flow, index, known(), *controls])
        elif node.op == "TensorArrayGatherV3":
            indices, flow = sources
            _be(node, "TensorListGather", [flow, indices, known(), *controls])
        elif node.op == "TensorArrayScatterV3":
            indices, value, _ = sources
            ends = [value, indices, known(), array.input[0], *controls]
            _be(node, "TensorListScatterV2", ends)
            node.attr["shape_type"].type = _INT32
        else:
            _be(node, "TensorListLength", [sources[0], *controls])
            return
        node.attr["element_dtype"].type = dtype


def _is_whole(node: Any) -> bool:
    """Return True if an operation has as many inputs as it takes, those of others aside."""
    count = 1 if node.op == _ARRAY else _FLOW.get(node.op, -1) + 1
    sources = [i for i, edge in enumerate(node.input) if not edge.startswith("^")]
    return not count or sources == list(range(count))


def _controls(node: Any) -> Iterator[str]:
    return (edge for edge in node.input if edge.startswith("^"))


def _be(node: Any, operation: str, sources: list[str]) -> None:
    node.op = operation
    del node.input[:]
    node.input.extend(sources)
    node.attr.clear()


def _element_shape(node: Any, shape: Any, controls: Any, made: Any) -> str:
    """Name of a new constant: the shape of an element, in the loop that some nodes are in."""
    constant = made.node.add(name=f"{node.name}{_SHAPE}", op="Const", input=list(controls))
    set_value(constant, _lengths(shape))
    return str(constant.name)


def _lengths(shape: Any) -> Any:
    if shape.unknown_rank:
        return np.int32(-1)
    return np.array([max(dim.size, -1) for dim in shape.dim], np.int32)
