"""Shapes of inputs that an old graph does not tell, by what it does with them first.

Graphs of TensorFlow 1 that were frozen without their version lost the shapes of placeholders.  A
batch normalisation's moments and the layer after tell the number of axes, and the constants that
an input is multiplied with the length of its last one.  Nothing is built or run.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Mapping
from typing import Any

from tfaas_nb.graph_parts.inference_constants import is_unknown
from tfaas_nb.graph_parts.pruning import edge_node

_BOTH = frozenset(
    {"Add", "AddV2", "Sub", "Mul", "RealDiv", "BiasAdd", "Maximum", "Minimum", "SquaredDifference"}
)
_ONE = frozenset(
    {"Identity", "Switch", "Merge", "StopGradient", "Cast", "Relu", "Tanh", "Sigmoid", "Neg"}
    | {"Rsqrt", "Sqrt", "Square", "Reciprocal", "Enter", "Abs", "Exp", "Log", "Log1p"}
)
_MOMENTS = frozenset({"Mean", "Sum"})
_INT32 = 3
_MOST_STEPS = 200
_MOST_DEPTH = 20


def with_input_shapes(original: Any, graph_def: Any, inputs: Collection[str] = ()) -> Any:
    """The graph with shapes for its placeholders that have none, as far as they are certain.

    It is the same message if there is nothing to add, or only one input, which may be a row.

    Parameters
    ----------
    original : GraphDef
        The graph with its training, whose moments tell the number of axes.
    graph_def : GraphDef
        The graph as it is served.
    inputs : collection of str
        Nodes that are inputs; by default all placeholders.
    """
    unknown = [
        node.name
        for node in graph_def.node
        if node.op == "Placeholder"
        and is_unknown(graph_def, node)
        and (not inputs or node.name in inputs)
    ]
    if not unknown:
        return graph_def
    clues = _Clues(original)
    shapes = {name: shape for name in unknown if (shape := clues.shape(name))}
    if len(unknown) < 2 and all(len(shape) == 2 for shape in shapes.values()):
        return graph_def
    made = type(graph_def)()
    made.CopyFrom(graph_def)
    for node in made.node:
        if node.name in shapes:
            node.attr["shape"].Clear()
            for length in shapes[node.name]:
                node.attr["shape"].shape.dim.add(size=length)
    return made


class _Clues:
    def __init__(self, graph_def: Any) -> None:
        self._nodes = {node.name: node for node in graph_def.node}
        self._consumers: Mapping[str, list[tuple[Any, int]]] = collections.defaultdict(list)
        for node in graph_def.node:
            for i, edge in enumerate(node.input):
                if not edge.startswith("^"):
                    self._consumers[edge_node(edge)].append((node, i))

    def shape(self, name: str) -> list[int]:
        """Lengths of an input's axes, -1 where open; empty if it is not certain."""
        axes: set[int] = set()
        widths: set[int] = set()
        pending, seen = collections.deque([(name, 0)]), {name}
        for _ in range(_MOST_STEPS):
            if not pending:
                break
            source, added = pending.popleft()
            for node, i in self._consumers[source]:
                self._look(node, i, added, axes, widths)
                goes_on = node.op in _BOTH | _ONE or (node.op == "ExpandDims" and i == 0)
                if goes_on and node.name not in seen:
                    seen.add(node.name)
                    pending.append((node.name, added + (node.op == "ExpandDims")))
        if len(widths) != 1 or len(axes) > 1:
            return []
        return [-1] * (max(axes, default=2) - 1) + [*widths]

    def _look(self, node: Any, i: int, added: int, axes: set[int], widths: set[int]) -> None:
        """Add what a node tells of the input that it takes, with some axes added."""
        other = self._constant(node.input[1 - i]) if len(node.input) > 1 and i < 2 else None
        if node.op in _MOMENTS and i == 0 and len(node.input) > 1:
            count = self._leading(node.input[1])
            if count:
                axes.add(count + 1 - added)
        elif node.op == "MatMul" and i == 0 and other and len(other) == 2:
            axes.add(2 - added)
            widths.add(other[1 if node.attr["transpose_b"].b else 0])
        elif node.op == "Conv2D" and i == 0:
            axes.add(4 - added)
            if other and len(other) == 4:
                widths.add(other[2])
        elif node.op in _BOTH and other and other[-1] > 1:
            widths.add(other[-1])

    def _leading(self, edge: str) -> int:
        """Number of axes that are summed, if they are the first ones."""
        import numpy as np

        node = self._nodes.get(edge_node(edge))
        tensor = node.attr["value"].tensor if node is not None and node.op == "Const" else None
        if tensor is None or tensor.dtype != _INT32:
            return 0
        found = list(tensor.int_val) or np.frombuffer(tensor.tensor_content, np.int32).tolist()
        return len(found) if found == list(range(len(found))) else 0

    def _constant(self, edge: str, depth: int = 0) -> list[int] | None:
        """Shape of what is computed of constants alone; None if it is not."""
        node = self._nodes.get(edge_node(edge))
        if node is None or depth > _MOST_DEPTH:
            return None
        sources = [source for source in node.input if not source.startswith("^")]
        if node.op == "Const":
            return [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
        if node.op in _ONE - {"Merge"} and sources:
            return self._constant(sources[0], depth + 1)
        shapes = [self._constant(source, depth + 1) for source in sources]
        if not shapes or any(shape is None for shape in shapes):
            return None
        if node.op == "ExpandDims":
            return [1, *(shapes[0] or [])]
        known = [shape for shape in shapes if shape is not None]
        return max(known, key=len) if node.op in _BOTH else None
