from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.graphs import serialized, weighted_sum
from tests.onnx_models import relu
from tests.test_graph import weighted
from tfaas_nb import backend, export, saved_model
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import BundleError, GraphError
from tfaas_nb.export import Content
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import OnnxGraph


@pytest.fixture(scope="module")
def sample() -> Any:
    return tn.sample().X


@pytest.fixture(scope="module")
def scores(bundle: Bundle, sample: Any) -> Any:
    return open_engine(bundle.graph)(sample)


@pytest.mark.slow
def test_onnx_scores_the_sample_as_the_frozen_graph_does(
    bundle: Bundle, sample: Any, scores: Any, tmp_path: Path
) -> None:
    path = bundle.export("onnx", tmp_path / "ttbar.onnx")
    assert bundle.export("onnx", path) == path, "it may be done twice"
    graph = OnnxGraph.from_bytes(path.read_bytes())
    assert graph.signature == bundle.graph.signature
    assert graph.features == bundle.features
    np.testing.assert_allclose(open_engine(graph)(sample), scores, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_saved_model_scores_the_sample_as_the_frozen_graph_does(
    bundle: Bundle, sample: Any, scores: Any, tmp_path: Path
) -> None:
    tf = backend.tensorflow()
    for _ in range(2):
        path = bundle.export("saved_model", tmp_path / "ttbar")
    assert [p.name for p in tmp_path.iterdir()] == ["ttbar"]
    serving = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = serving(input=tf.constant(sample))["output"]
    np.testing.assert_allclose(found, scores, rtol=0, atol=1e-6)


def test_several_tensors_keep_their_names(tmp_path: Path) -> None:
    tf = backend.tensorflow()
    graph = FrozenGraph.from_bytes(serialized(weighted))
    inputs = {"jets": np.ones((2, 3), np.float32), "count": np.array([2, 4], np.int32)}
    expected = {"total": [3.0, 3.0], "more": [False, True]}
    content = Content("m", graph)
    as_onnx = export.onnx_model(graph)
    assert {t.name for t in as_onnx.signature.inputs} == {"jets", "count"}
    path = export.write(content, "saved_model", tmp_path / "m")
    planned = saved_model.plan((path / "saved_model.pb").read_bytes())
    assert set(planned.outputs) == set(expected)
    serving = tf.saved_model.load(str(path)).signatures["serving_default"]
    loaded = serving(**{name: tf.constant(values) for name, values in inputs.items()})
    for found in (open_engine(as_onnx).run(inputs), loaded):
        assert {name: np.asarray(values).tolist() for name, values in found.items()} == expected


def test_an_onnx_model_is_written_as_it_is(tmp_path: Path) -> None:
    graph = OnnxGraph.from_bytes(relu().SerializeToString())
    content = Content("m", graph)
    path = export.write(content, "onnx", tmp_path / "m.onnx")
    assert path.read_bytes() == graph.serialized
    for form, what in (
        ("saved_model", "a SavedModel"),
        ("tfserving", "a SavedModel"),
        ("tfaas", "a model of TFaaS"),
    ):
        with pytest.raises(GraphError, match=f"an ONNX model cannot be written as {what}"):
            export.write(content, form, tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_what_onnx_lacks_is_told(tmp_path: Path) -> None:
    def build(tf: Any) -> None:
        x = tf.compat.v1.placeholder("float32", (None, 3), name="x")
        tf.math.digamma(x, name="y")

    with pytest.raises(GraphError, match="the graph cannot be written as ONNX: .*Digamma"):
        export.onnx_model(FrozenGraph.from_bytes(serialized(build)))


@pytest.mark.slow
def test_what_is_in_the_way_stays(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    with pytest.raises(BundleError, match="precious exists and is no SavedModel: choose another"):
        bundle.export("saved_model", tmp_path / "precious")
    with pytest.raises(BundleError, match="precious cannot be written: Is a directory"):
        bundle.export("onnx", tmp_path / "precious")
    with pytest.raises(BundleError, match="no format 'pickle'; there are onnx, saved_model"):
        bundle.export("pickle", tmp_path / "x")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tfaas", "tfserving", "kserve", "triton", "cmssw"])
def test_what_is_written_as_text_is_ascii(tmp_path: Path, form: str) -> None:
    """Readers of any age and encoding take it, TFaaS's clients in Python 2 among them."""
    features = [{"name": name, "title": name} for name in ("τ21", "η", "b")]
    params = {"name": "sum", "description": "größer als 𝑚", "features": features}
    folder = Bundle.from_parts(json.dumps(params).encode(), serialized(weighted_sum)).export(
        form, tmp_path
    )
    texts = {".json", ".txt", ".pbtxt", ".yaml", ".md", ".xml", ".cc", ".c", ".py"}
    written = [path for path in folder.rglob("*") if path.suffix in texts]
    assert written
    assert [path.name for path in written if not path.read_bytes().isascii()] == []
