"""ONNX: one file for onnxruntime, in CMSSW, in Triton, anywhere."""

from __future__ import annotations

import json
from pathlib import Path

from tfaas_nb.errors import GraphError
from tfaas_nb.export.content import Content, Graph
from tfaas_nb.export.quiet import quiet
from tfaas_nb.foreign_words import reason
from tfaas_nb.onnx_graph import FEATURE_NAMES, INPUT_ORDER, UNKNOWN, OnnxGraph, onnx_module

#: Old enough for the onnxruntime of experiments' software, new enough for tf2onnx.
_OPSET = 15


def onnx_model(graph: Graph) -> OnnxGraph:
    """The graph as an ONNX model whose first axis is of any length.

    Inputs and outputs keep their names; feature names go into the metadata.

    Raises
    ------
    GraphError
        If ONNX has no operation for one of the graph's.
    MissingExtra
        If ``tf2onnx`` is not installed.
    """
    if isinstance(graph, OnnxGraph):
        return graph
    with quiet():
        convert = onnx_module("tf2onnx.convert")
    sources = [f"{node}:0" for node in graph.input_nodes]
    results = [f"{node}:0" for node in graph.output_nodes]
    names = [t.name for t in (*graph.signature.inputs, *graph.signature.outputs)]
    try:
        with quiet():
            model, _ = convert.from_graph_def(
                graph.graph_def(),
                input_names=sources,
                output_names=results,
                opset=_OPSET,
                tensors_to_rename=dict(zip(sources + results, names, strict=True)),
            )
    except Exception as error:  # tf2onnx raises what its parts raise
        raise GraphError(f"the graph cannot be written as ONNX: {reason(error)}") from error
    if graph.features:
        model.metadata_props.add(key=FEATURE_NAMES, value=json.dumps(list(graph.features)))
    if not graph.signature.is_ordered:
        model.metadata_props.add(key=INPUT_ORDER, value=UNKNOWN)
    try:
        return OnnxGraph.from_bytes(model.SerializeToString(deterministic=True))
    except GraphError as error:
        raise GraphError(f"the graph cannot be written as ONNX: {reason(error)}") from error


def onnx_file(content: Content, path: Path) -> Path:
    """Write an ``.onnx`` file."""
    path.write_bytes(onnx_model(content.graph).serialized)
    return path
