from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.onnx_models import FLOAT, INT64, logistic, model, relu
from tfaas_nb.engines import open_engine
from tfaas_nb.engines.onnx import OnnxEngine
from tfaas_nb.errors import FeatureError, GraphError
from tfaas_nb.onnx_graph import OnnxGraph


def engine(proto: Any) -> OnnxEngine:
    return OnnxEngine(OnnxGraph.from_bytes(proto.SerializeToString()))


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("names", [[3, 7], ["qcd", "ttbar"]])
def test_probabilities_are_those_of_scikit_learn(names: list[Any], zipmap: bool) -> None:
    classifier, X, serialized = logistic(names, zipmap)
    run = open_engine(OnnxGraph.from_bytes(serialized))
    expected = classifier.predict_proba(X)
    np.testing.assert_allclose(run(X), expected, atol=1e-6)
    assert run(X[:0]).shape == (0, 2)
    named = run.run({"X": X})
    np.testing.assert_allclose(named[run.signature.flat_outputs[0].name], expected, atol=1e-6)
    if names == [3, 7]:
        label = run.signature.outputs[0].name
        np.testing.assert_array_equal(named[label], classifier.predict(X))


def test_threads_get_the_same_scores() -> None:
    _, X, serialized = logistic([0, 1], zipmap=False)
    run = open_engine(OnnxGraph.from_bytes(serialized))
    expected = run(X)
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(run, [X] * 40):
            np.testing.assert_array_equal(found, expected)


def test_inputs_of_several_types_are_fed() -> None:
    table = numpy_helper.from_array(np.arange(10, dtype=np.float32), "t")
    run = engine(
        model(
            [
                helper.make_node("Gather", ["t", "i"], ["g"]),
                helper.make_node("Add", ["g", "x"], ["y"]),
            ],
            inputs=[("i", INT64, (None, 1)), ("x", FLOAT, (None, 1))],
            outputs=[("y", FLOAT, (None, 1))],
            initializer=[table],
        )
    )
    assert run.signature.names == ("i", "x")
    np.testing.assert_array_equal(run(np.array([[3, 0.5], [9, 0]], np.float32)), [[3.5], [9]])
    assert run.run({"x": [0.25], "i": [2]})["y"].tolist() == [[2.25]]
    with pytest.raises(FeatureError, match=r"input 'i' takes int64, 0\.5 is none"):
        run(np.array([[0.5, 0]], np.float32))
    with pytest.raises(GraphError, match="the model failed: .*out of data bounds"):
        run(np.array([[10, 0]], np.float32))


def test_a_model_for_one_event_at_a_time_answers_many() -> None:
    run = engine(relu(inputs=[("x", FLOAT, (1, 2))], outputs=[("y", FLOAT, (1, 2))]))
    X = np.array([[1, -1], [-2, 2], [3, 3]], np.float32)
    np.testing.assert_array_equal(run(X), np.maximum(X, 0))
    assert run(X[:0]).shape == (0, 2)


def test_a_picture_goes_in_with_its_axes() -> None:
    ends = [("x", FLOAT, (None, 1, "h", "w"))], [("y", FLOAT, (None, 1))]
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p"], kernel_shape=[3, 3]),
        helper.make_node("GlobalMaxPool", ["p"], ["g"]),
        helper.make_node("Flatten", ["g"], ["y"]),
    ]
    run = engine(model(nodes, *ends))
    picture = np.arange(20, dtype=np.float32).reshape(1, 1, 4, 5)
    assert run.run({"x": picture})["y"].tolist() == [[19.0]]


def test_a_model_that_mixes_events_is_refused() -> None:
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=1)
    with pytest.raises(GraphError, match="answers 2 events with shape"):
        engine(model([node]))


def test_what_onnxruntime_does_not_know_is_refused() -> None:
    proto = relu()
    proto.ir_version = 8
    proto.graph.input[0].type.tensor_type.elem_type = INT64
    with pytest.raises(GraphError, match="onnxruntime cannot run the model: "):
        engine(proto)


def test_the_wrong_number_of_columns_is_an_error() -> None:
    with pytest.raises(GraphError, match="the model failed: "):
        engine(relu())(np.zeros((2, 3), np.float32))


def test_a_closed_engine_says_so() -> None:
    run = engine(relu())
    run.close()
    run.close()
    with pytest.raises(GraphError, match="closed"):
        run(np.zeros((1, 2), np.float32))
