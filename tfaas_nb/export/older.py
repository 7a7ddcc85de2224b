"""Graphs as an older TensorFlow takes them: that of CMSSW lags by years.

All operations that may be served are in TensorFlow 2.6, CMSSW 12's; some have got attributes
since, which an older one refuses even if they have the value that changes nothing.

Source: the lists of operations of TensorFlow 2.6.5 and 2.21.0 (``TF_GetAllOpList``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph

#: ``versions.producer`` of the graphs that TensorFlow 2.6 writes.
PRODUCER = 808

#: Operation → attributes that it has got since TensorFlow 2.6.
LATER: Mapping[str, frozenset[str]] = {
    op: frozenset(attributes.split())
    for op, attributes in {
        "BatchMatMul": "grad_x grad_y",
        "BatchMatMulV2": "grad_x grad_y",
        "BatchMatMulV3": "grad_x grad_y",
        "ConcatOffset": "shape_type",
        "GatherNd": "bad_indices_policy",
        "MatMul": "grad_a grad_b",
        "ScatterNd": "bad_indices_policy",
        "TensorListGetItem": "Tshape",
        "TensorListSetItem": "resize_if_index_out_of_bounds",
        "TensorScatterAdd": "bad_indices_policy",
        "TensorScatterUpdate": "bad_indices_policy",
        "TopKV2": "Tk index_type",
        "_FusedConv2D": "TArgs filter_format num_host_args",
    }.items()
}


def for_older(graph: FrozenGraph) -> FrozenGraph:
    """Return the graph without attributes that TensorFlow 2.6 does not know.

    Raises
    ------
    GraphError
        If it uses what came later, naming node and attribute.
    """
    graph_def = graph.graph_def()
    for node in _nodes(graph_def):
        for attribute in LATER.get(node.op, frozenset()) & set(node.attr):
            if node.attr[attribute] != _default(node.op, attribute):
                raise GraphError(
                    f"node {node.name!r}, a {node.op!r}, has the attribute {attribute!r}, which "
                    "TensorFlow 2.6 does not know"
                )
            del node.attr[attribute]
    graph_def.versions.producer = min(graph_def.versions.producer, PRODUCER)
    graph_def.versions.min_consumer = 0
    del graph_def.versions.bad_consumers[:]
    return replace(graph, serialized=graph_def.SerializeToString(deterministic=True))


def _nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _default(op: str, attribute: str) -> Any:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(op)
    for known in definition.attr if definition else ():
        if known.name == attribute:
            return known.default_value
    return None
