"""NVIDIA Triton, with which SONIC works: a model repository's folder with an ONNX model.

Triton's releases after 25.02 have no TensorFlow backend, hence ONNX.

Source: Triton's documentation of model repositories and ``model_config.proto``.  With a
``max_batch_size``, shapes leave out the first axis, which is that of the events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfaas_nb.export import folder
from tfaas_nb.export.content import Content
from tfaas_nb.export.onnx import onnx_model
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.signature import Tensor

_LABELS = "labels.txt"
#: Events of a request, or of several that Triton puts together; more cost no time, but memory.
_MOST_EVENTS = 4096
_TYPES: Mapping[str, str] = {
    "bool": "TYPE_BOOL",
    **{f"float{n}": f"TYPE_FP{n}" for n in (16, 32, 64)},
    **{f"int{n}": f"TYPE_INT{n}" for n in (8, 16, 32, 64)},
    **{f"uint{n}": f"TYPE_UINT{n}" for n in (8, 16, 32, 64)},
}


def triton(content: Content, directory: Path) -> Path:
    """Write ``directory/NAME``; the directory is a model repository.  Other versions stay.

    Raises
    ------
    GraphError
        If the model cannot be written as ONNX.
    MissingExtra
        If what writes it is not installed.
    BundleError
        If something else is in the way.
    """
    return folder.write(directory / content.name, files(content), "triton", content.version)


def files(content: Content) -> dict[str, bytes]:
    """Path within the model's folder → content."""
    graph = onnx_model(content.graph)
    labels = "".join(f"{label}\n" for label in content.labels).encode()
    named = {_LABELS: labels} if _is_labelled(content, graph) else {}
    return {
        "config.pbtxt": _configuration(content, graph, bool(named)).encode(),
        f"{content.version}/model.onnx": graph.runnable(),
    } | named


def _is_labelled(content: Content, graph: OnnxGraph) -> bool:
    outputs = graph.signature.flat_outputs
    return len(outputs) == 1 and outputs[0].size == len(content.labels)


def _configuration(content: Content, graph: OnnxGraph, is_labelled: bool) -> str:
    batches = 0 if graph.is_single else _MOST_EVENTS
    lines = [
        f"name: {json.dumps(content.name)}",
        f'platform: "{graph.platform}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {batches}",
        *(line for t in graph.signature.inputs for line in _tensor("input", t, batches)),
        *(
            line
            for t in graph.signature.outputs
            for line in _tensor(
                "output", t, batches, is_labelled and t in graph.signature.flat_outputs
            )
        ),
        *(["dynamic_batching { }"] if batches else []),
    ]
    return "\n".join(lines) + "\n"


def _tensor(role: str, tensor: Tensor, batches: int, is_labelled: bool = False) -> Iterator[str]:
    lengths = [-1 if length is None else length for length in tensor.shape]
    yield f"{role} {{"
    yield f"  name: {json.dumps(tensor.name)}"
    yield f"  data_type: {_TYPES[tensor.dtype]}"
    if not batches:
        lengths = [1, *lengths]
    yield f"  dims: [ {', '.join(map(str, lengths or [1]))} ]"
    if not lengths:  # a number per event; Triton knows no shape without axes but by this
        yield "  reshape { shape: [ ] }"
    if is_labelled:
        yield f'  label_filename: "{_LABELS}"'
    yield "}"
