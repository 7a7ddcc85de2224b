"""SavedModel: a folder with the signature ``serving_default``, for whatever loads TensorFlow's."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tfaas_nb import backend
from tfaas_nb.errors import BundleError
from tfaas_nb.export.content import Content
from tfaas_nb.export.quiet import quiet
from tfaas_nb.graph import FrozenGraph

FILE = "saved_model.pb"

_SIGNATURE = "serving_default"


def saved_model(content: Content, path: Path) -> Path:
    """Write a SavedModel's folder.

    Raises
    ------
    GraphError
        If the model is not TensorFlow's.
    BundleError
        If another folder is in the way.
    """
    graph = content.frozen("a SavedModel")
    if path.exists() and not (path / FILE).is_file():
        raise BundleError(f"{path} exists and is no SavedModel: choose another path")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saved_model-") as folder:
        fresh = Path(folder) / "new"
        (fresh / "variables").mkdir(parents=True)
        (fresh / FILE).write_bytes(serialized(graph))
        if path.exists():
            shutil.rmtree(path)
        fresh.rename(path)
    return path


def serialized(graph: FrozenGraph) -> bytes:
    """The content of ``saved_model.pb``; a frozen graph has nothing else."""
    tf = backend.tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    with quiet():
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
    data: bytes = model.SerializeToString(deterministic=True)
    return data
