"""A bundle's graph in the formats of others, with the same scores.

Every format is a function from the graph and its labels to a file or folder; `FORMATS` names them.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tfaas_nb import backend
from tfaas_nb.errors import BundleError, GraphError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import FEATURE_NAMES, OnnxGraph, onnx_module

Graph = FrozenGraph | OnnxGraph

#: Old enough for the onnxruntime of experiments' software, new enough for tf2onnx.
_OPSET = 15
_SIGNATURE = "serving_default"
_SAVED_MODEL = "saved_model.pb"


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
    with _quiet():
        convert = onnx_module("tf2onnx.convert")
    sources = [f"{node}:0" for node in graph.input_nodes]
    results = [f"{node}:0" for node in graph.output_nodes]
    names = [t.name for t in (*graph.signature.inputs, *graph.signature.outputs)]
    try:
        with _quiet():
            model, _ = convert.from_graph_def(
                graph.graph_def(),
                input_names=sources,
                output_names=results,
                opset=_OPSET,
                tensors_to_rename=dict(zip(sources + results, names, strict=True)),
            )
    except Exception as error:  # tf2onnx raises what its parts raise
        raise GraphError(f"the graph cannot be written as ONNX: {error}") from error
    if graph.features:
        model.metadata_props.add(key=FEATURE_NAMES, value=json.dumps(list(graph.features)))
    try:
        return OnnxGraph.from_bytes(model.SerializeToString(deterministic=True))
    except GraphError as error:
        raise GraphError(f"the graph cannot be written as ONNX: {error}") from error


def onnx_file(graph: Graph, labels: Sequence[str], path: Path) -> Path:
    """Write an ``.onnx`` file."""
    path.write_bytes(onnx_model(graph).serialized)
    return path


def saved_model(graph: Graph, labels: Sequence[str], path: Path) -> Path:
    """Write a SavedModel's folder with the signature ``serving_default``.

    Raises
    ------
    GraphError
        If the model is not TensorFlow's.
    BundleError
        If another folder is in the way.
    """
    if not isinstance(graph, FrozenGraph):
        raise GraphError("an ONNX model cannot be written as a SavedModel")
    if path.exists() and not (path / _SAVED_MODEL).is_file():
        raise BundleError(f"{path} exists and is no SavedModel: choose another path")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saved_model-") as folder:
        fresh = Path(folder) / "new"
        with _quiet():
            _build(graph, fresh)
        if path.exists():
            shutil.rmtree(path)
        fresh.rename(path)
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """No notes from TensorFlow and its kin on what they would rather have been called with."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx")]
    before = {logger: logger.level for logger in loggers}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), backend.without_notes():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def _build(graph: FrozenGraph, path: Path) -> None:
    tf = backend.tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    imported = tf.Graph()
    with imported.as_default():
        tf.graph_util.import_graph_def(graph.graph_def(), name="")
        exported = tf.compat.v1.train.export_meta_graph(strip_default_attrs=True)
    exported.meta_info_def.tags.append("serve")
    definition = exported.signature_def[_SIGNATURE]
    definition.method_name = "tensorflow/serving/predict"
    for infos, nodes, tensors in (
        (definition.inputs, graph.input_nodes, graph.signature.inputs),
        (definition.outputs, graph.output_nodes, graph.signature.outputs),
    ):
        for node, tensor in zip(nodes, tensors, strict=True):
            found = imported.get_tensor_by_name(f"{node}:0")
            info = infos[tensor.name]
            info.name, info.dtype = found.name, found.dtype.as_datatype_enum
            info.tensor_shape.CopyFrom(found.shape.as_proto())
    model = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[exported])
    (path / "variables").mkdir(parents=True)
    (path / _SAVED_MODEL).write_bytes(model.SerializeToString(deterministic=True))


#: Format → what writes it, from the graph and its labels to a path.
FORMATS: Mapping[str, Callable[[Graph, Sequence[str], Path], Path]] = {
    "onnx": onnx_file,
    "saved_model": saved_model,
}


def write(graph: Graph, labels: Sequence[str], form: str, path: Path) -> Path:
    """Write a graph in another format and return the path.

    Raises
    ------
    BundleError
        If the format is unknown or the path cannot be written.
    GraphError
        If the graph cannot be written in it.
    """
    if form not in FORMATS:
        raise BundleError(f"there is no format {form!r}; there are {', '.join(FORMATS)}")
    try:
        return FORMATS[form](graph, labels, path)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}") from error
