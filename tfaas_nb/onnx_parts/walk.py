"""All graphs, nodes and tensors of an ONNX model, those within others included.

Source: ``onnx.proto3``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def all_nodes(model: Any) -> Iterator[Any]:
    """Nodes of all graphs, and of functions."""
    for function in model.functions:
        yield from function.node
    for graph in all_graphs(model):
        yield from graph.node


def all_graphs(model: Any) -> Iterator[Any]:
    """The graph, those of a training, and those within nodes and as defaults of functions."""
    pending = [model.graph]
    for info in model.training_info:
        pending += [info.initialization, info.algorithm]
    for function in model.functions:
        pending += graphs_in(function.attribute_proto)
        pending += (graph for node in function.node for graph in graphs_in(node.attribute))
    while pending:
        graph = pending.pop()
        yield graph
        pending += (inner for node in graph.node for inner in graphs_in(node.attribute))


def graphs_in(attributes: Iterable[Any]) -> Iterator[Any]:
    """Graphs that attributes hold, without those within these."""
    for attribute in attributes:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def all_attributes(model: Any) -> Iterator[Any]:
    """Attributes of all nodes, and defaults of functions."""
    for function in model.functions:
        yield from function.attribute_proto
    for node in all_nodes(model):
        yield from node.attribute


def all_tensors(model: Any) -> Iterator[Any]:
    """Tensors of all graphs and attributes, the parts of sparse ones included."""
    for graph in all_graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for attribute in all_attributes(model):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
