"""Triton's folder, held to its documentation: model repository and model_config.proto."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from tests.graphs import placeholder, serialized
from tests.onnx_models import relu
from tests.test_graph import weighted
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import open_engine
from tfaas_nb.export import Content, write
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import OnnxGraph


def triton_messages() -> Any:
    """Triton's own messages, without its client, which wants grpc."""
    package = importlib.util.find_spec("tritonclient")
    assert package
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def messages() -> Any:
    return triton_messages()


def checked(path: Path, messages: Any) -> Any:
    """The configuration of a model's folder that follows the rules."""
    config = text_format.Parse((path / "config.pbtxt").read_text(), messages.ModelConfig())
    assert config.name == path.name, "the name is that of the folder"
    assert config.platform == "onnxruntime_onnx"
    assert config.backend == "onnxruntime"
    folders = [p.name for p in path.iterdir() if p.is_dir()]
    assert folders == ["1"], "there are versions, named by numbers that do not start with zero"
    graph = OnnxGraph.from_bytes((path / "1" / "model.onnx").read_bytes())
    for tensors, told in (
        (graph.signature.inputs, config.input),
        (graph.signature.outputs, config.output),
    ):
        for tensor, one in zip(tensors, told, strict=True):
            assert one.name == tensor.name
            assert one.dims, "dims may not be empty"
            kind = messages.DataType.Name(one.data_type).removeprefix("TYPE_")
            assert np.dtype(tensor.dtype).name.replace("float", "FP").upper() == kind
            shape = list(one.reshape.shape) if one.HasField("reshape") else list(one.dims)
            own = [-1 if n is None else n for n in tensor.shape]
            assert shape == ([] if config.max_batch_size else [1]) + own
    for one in config.output:
        assert not one.label_filename or (path / one.label_filename).is_file()
    return config


@pytest.mark.slow
def test_a_bundle_is_a_model_of_a_repository(
    bundle: Bundle, tmp_path: Path, messages: Any, events: Any
) -> None:
    for _ in range(2):
        path = bundle.export("triton", tmp_path)
    assert path == tmp_path / "ttbar"
    config = checked(path, messages)
    assert config.max_batch_size > 1
    assert config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == [42]
    assert config.output[0].label_filename == "labels.txt"
    assert (path / "labels.txt").read_text() == "signal\n"
    model = OnnxGraph.from_bytes((path / "1" / "model.onnx").read_bytes())
    expected = open_engine(bundle.graph)(events.X)
    np.testing.assert_allclose(open_engine(model)(events.X), expected, rtol=0, atol=1e-6)


def test_several_tensors_are_told_apart(tmp_path: Path, messages: Any) -> None:
    content = Content("m", FrozenGraph.from_bytes(serialized(weighted)), ("a", "b"))
    config = checked(write(content, "triton", tmp_path), messages)
    kinds = {t.name: messages.DataType.Name(t.data_type) for t in (*config.input, *config.output)}
    assert kinds == {
        "jets": "TYPE_FP32",
        "count": "TYPE_INT32",
        "total": "TYPE_FP64",
        "more": "TYPE_BOOL",
    }
    assert not any(output.label_filename for output in config.output)


def test_a_length_that_is_not_known_is_minus_one(tmp_path: Path, messages: Any) -> None:
    def build(tf: Any) -> None:
        tf.nn.relu(placeholder(tf, width=None), name="y")

    content = Content("m", FrozenGraph.from_bytes(serialized(build)))
    config = checked(write(content, "triton", tmp_path), messages)
    assert list(config.input[0].dims) == [-1]


def test_a_number_per_event_has_its_axis_taken_away(tmp_path: Path, messages: Any) -> None:
    def build(tf: Any) -> None:
        tf.nn.relu(tf.compat.v1.placeholder("float32", (None,), name="x"), name="y")

    content = Content("m", FrozenGraph.from_bytes(serialized(build)))
    config = checked(write(content, "triton", tmp_path), messages)
    assert list(config.input[0].dims) == [1]
    assert config.input[0].HasField("reshape")


def test_an_onnx_model_stays_what_it_is(tmp_path: Path, messages: Any) -> None:
    graph = OnnxGraph.from_bytes(relu().SerializeToString())
    path = write(Content("m", graph), "triton", tmp_path)
    checked(path, messages)
    assert (path / "1" / "model.onnx").read_bytes() == graph.serialized
