from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.onnx_models import FLOAT, STRING, logistic, model, relu
from tfaas_nb.errors import GraphError
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.signature import Signature, Tensor


def graph_of(proto: Any) -> OnnxGraph:
    return OnnxGraph.from_bytes(proto.SerializeToString())


@pytest.mark.parametrize("zipmap", [True, False])
def test_a_classifier_of_scikit_learn_is_understood(zipmap: bool) -> None:
    _, _, serialized = logistic([0, 1], zipmap)
    graph = OnnxGraph.from_bytes(serialized)
    (source,), (label, probability) = graph.signature.inputs, graph.signature.outputs
    assert source == Tensor("X", "float32", (3,))
    assert (label.dtype, label.shape) == ("int64", ())
    assert (probability.dtype, probability.shape) == ("float32", (2,))
    assert graph.signature.flat_outputs == (probability,)
    assert (graph.outputs, graph.labels, graph.features) == (2, ("0", "1"), None)
    assert repr(graph).startswith("OnnxGraph(X → ")


@pytest.mark.parametrize("zipmap", [True, False])
def test_classes_that_are_text_become_labels(zipmap: bool) -> None:
    _, _, serialized = logistic(["qcd", "ttbar"], zipmap)
    graph = OnnxGraph.from_bytes(serialized)
    assert graph.labels == ("qcd", "ttbar")
    assert [tensor.dtype for tensor in graph.signature.outputs] == ["float32"]


def named(*names: Any) -> Any:
    proto = relu()
    proto.metadata_props.add(key="feature_names", value=json.dumps(list(names)))
    return proto


def test_feature_names_travel_in_the_metadata() -> None:
    assert graph_of(named("pt", "eta")).features == ("pt", "eta")


def test_weights_are_no_inputs() -> None:
    weight = numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    proto = model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        inputs=[("x", FLOAT, ("events", 2)), ("w", FLOAT, (2, 2))],
        initializer=[weight],
    )
    assert graph_of(proto).signature == Signature(
        (Tensor("x", "float32", (2,)),), (Tensor("y", "float32", (2,)),)
    )


def test_a_model_for_one_event_at_a_time_is_known() -> None:
    ends = [("x", FLOAT, (1, 2))], [("y", FLOAT, (1, 2))]
    assert graph_of(relu(inputs=ends[0], outputs=ends[1])).is_single
    assert not graph_of(relu()).is_single


def test_the_nodes_are_shown() -> None:
    assert graph_of(relu()).inspect().rows == (("y", "Relu", "x"),)


# --- refused ----------------------------------------------------------------------------


def external() -> Any:
    weight = numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = 1
    weight.external_data.add(key="location", value="../../etc/passwd")
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], initializer=[weight])


def external_within() -> Any:
    """Model with an external weight in a constant of a branch."""
    value = numpy_helper.from_array(np.ones(2, np.float32), "v")
    value.external_data.add(key="location", value="secret")
    constant = helper.make_node("Constant", [], ["b"], value=value)
    ends = [helper.make_tensor_value_info("b", FLOAT, (2,))]
    branch = helper.make_graph([constant], "branch", [], ends)
    condition = helper.make_node(
        "Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))
    )
    return model(
        [condition, helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
    )


def of_another_domain() -> Any:
    return model(
        [helper.make_node("PyOp", ["x"], ["y"], domain="ai.onnx.contrib", name="mine")],
        opsets=[helper.make_opsetid("ai.onnx.contrib", 1)],
    )


def of_another_domain_in_a_function() -> Any:
    imports = [helper.make_opsetid("", 15), helper.make_opsetid("evil", 1)]
    function = helper.make_function(
        "own", "F", ["a"], ["b"], [helper.make_node("Run", ["a"], ["b"], domain="evil")], imports
    )
    return model(
        [helper.make_node("F", ["x"], ["y"], domain="own")],
        opsets=[helper.make_opsetid("own", 1)],
        functions=[function],
    )


def with_a_default(value: Any) -> Any:
    """A function that has an attribute, and a default for it."""
    operation, imports = helper.make_node("Relu", ["a"], ["b"]), [helper.make_opsetid("", 15)]
    function = helper.make_function("own", "F", ["a"], ["b"], [operation], imports)
    function.attribute_proto.append(helper.make_attribute("default", value))
    return model(
        [helper.make_node("F", ["x"], ["y"], domain="own")],
        opsets=[helper.make_opsetid("own", 1), helper.make_opsetid("evil", 1)],
        functions=[function],
    )


def secret() -> Any:
    value = numpy_helper.from_array(np.ones(2, np.float32), "v")
    value.external_data.add(key="location", value="secret")
    return value


def evil_graph() -> Any:
    ends = [helper.make_tensor_value_info("b", FLOAT, (2,))]
    node = helper.make_node("Run", [], ["b"], domain="evil")
    return helper.make_graph([node], "branch", [], ends, initializer=[secret()])


def constant() -> Any:
    return helper.make_node("Constant", [], ["b"], value=secret())


def with_a_training(**parts: Any) -> Any:
    proto = relu(opsets=[helper.make_opsetid("evil", 1)])
    info = proto.training_info.add()
    for name, graph in parts.items():
        getattr(info, name).CopyFrom(graph)
    return proto


def external_in_a_training() -> Any:
    graph = evil_graph()
    del graph.node[:]
    return with_a_training(algorithm=graph)


def external_in_a_branch_of_a_training() -> Any:
    graph = evil_graph()
    del graph.initializer[:], graph.node[:]
    graph.node.append(constant())
    outer = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)], "o", [], []
    )
    return with_a_training(initialization=outer)


def sequence() -> Any:
    proto = model([helper.make_node("SequenceConstruct", ["x"], ["y"])])
    kind = helper.make_tensor_type_proto(FLOAT, (None, 2))
    proto.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(kind))
    return proto


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (of_another_domain, "node 'mine' is a 'PyOp' of 'ai.onnx.contrib': only ONNX's own"),
        (of_another_domain_in_a_function, "is a 'Run' of 'evil'"),
        (external, "the weights 'w' are in another file: save the model as one file"),
        (external_within, "the weights 'v' are in another file"),
        (lambda: with_a_default(evil_graph()), "is a 'Run' of 'evil'"),
        (lambda: with_a_default([evil_graph()]), "is a 'Run' of 'evil'"),
        (lambda: with_a_default(secret()), "the weights 'v' are in another file"),
        (lambda: with_a_training(algorithm=evil_graph()), "is a 'Run' of 'evil'"),
        (lambda: with_a_training(initialization=evil_graph()), "is a 'Run' of 'evil'"),
        (external_in_a_training, "the weights 'v' are in another file"),
        (external_in_a_branch_of_a_training, "the weights 'v' are in another file"),
        (lambda: relu(inputs=[("x", STRING, (None, 2))]), "'x' is text: only numbers are served"),
        (lambda: relu(inputs=[("x", FLOAT, ())]), "input 'x' has no axis of events"),
        (lambda: relu(inputs=[("x", FLOAT, (8, 2))]), "exported for 8 events at a time: export"),
        (lambda: relu(opset=5), "operations of opset 5: export it with opset 7"),
        (lambda: relu(outputs=[("z", FLOAT, (None, 2))]), "the ONNX model is not valid"),
        (lambda: model([helper.make_node("Rleu", ["x"], ["y"])]), "No Op registered for Rleu"),
        (sequence, "output 'y' is a sequence_type: only tensors .*'zipmap': False"),
        (lambda: relu(inputs=[]), "the ONNX model is not valid: .*input 'x'"),
        (lambda: named("a"), "'feature_names' has 1 names, the model takes 2 values"),
        (lambda: named("a", "a"), "has 1 names"),
        (lambda: named(1, 2), "must be a list of names"),
    ],
)
def test_what_may_not_be_served_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        graph_of(make())


@pytest.mark.parametrize("data", [b"\x08\xff", b"\x08\x08", b""])
def test_other_files_are_no_models(data: bytes) -> None:
    with pytest.raises(GraphError, match="ONNX model"):
        OnnxGraph.from_bytes(data)


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from tfaas_nb.onnx_graph import OnnxGraph\n"
        "from tfaas_nb.errors import MissingExtra\n"
        "try:\n    OnnxGraph.from_bytes(b'x')\n"
        "except MissingExtra as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "ONNX models need onnx: install it with pip install 'tfaas-nb[onnx]'"
    )


def test_feature_names_without_end_are_refused() -> None:
    proto = relu()
    proto.metadata_props.add(key="feature_names", value="[" * 100_000)
    with pytest.raises(GraphError, match="is not JSON"):
        graph_of(proto)


@pytest.mark.parametrize("name", [b"x", b"y"])
def test_a_name_that_is_no_text_is_refused(name: bytes) -> None:
    """Found by fuzzing: protobuf gives it as bytes, which went into the table of models."""
    broken = relu().SerializeToString().replace(name, b"\xff")
    with pytest.raises(GraphError, match="no UTF-8 text: b'.xff'"):
        OnnxGraph.from_bytes(broken)


def test_a_node_without_name_and_outputs_is_refused() -> None:
    proto = relu()
    proto.graph.node.add(op_type="Odd", domain="somewhere")
    with pytest.raises(GraphError, match="node '' is a 'Odd' of 'somewhere'"):
        graph_of(proto)


def test_a_loop_is_found_within_a_branch() -> None:
    assert not graph_of(relu()).has_loops
    branch = helper.make_graph([helper.make_node("Loop", [], ["z"])], "branch", [], [])
    choice = helper.make_node("If", ["x"], ["y"], then_branch=branch)
    assert OnnxGraph(model([choice]).SerializeToString(), Signature((), ())).has_loops
