from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.graphs import Build, graph_def, placeholder, serialized, weighted_sum
from tfaas_nb import backend
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.operations import ALLOWED
from tfaas_nb.signature import Signature, Tensor
from tfaas_nb.vetting import vet

# --- freezing -----------------------------------------------------------------------------


def test_a_frozen_classifier_has_the_stable_ends(graph: FrozenGraph) -> None:
    operations = {node.name: node.op for node in graph.graph_def().node}
    assert operations["input"] == "Placeholder"
    assert operations["output"] == "Identity"
    assert (graph.input_shape, graph.output_shape, graph.outputs) == ((42,), (1,), 1)


def test_a_frozen_classifier_only_computes(graph: FrozenGraph) -> None:
    found = graph.graph_def()
    operations = {node.op for node in found.node}
    assert operations <= ALLOWED
    assert not {"VarHandleOp", "ReadVariableOp", "PartitionedCall"} & operations
    assert not found.library.function


def test_an_older_tensorflow_finds_no_attribute_it_does_not_know(graph: FrozenGraph) -> None:
    """Attributes that came with later versions are left out where they have their default."""
    backend.tensorflow()
    from tensorflow.python.framework import op_def_registry

    for node in graph.graph_def().node:
        defaults = {
            attr.name: attr.default_value
            for attr in op_def_registry.get(node.op).attr
            if attr.HasField("default_value")
        }
        assert not [name for name in node.attr if defaults.get(name) == node.attr[name]]
        assert "_output_shapes" not in node.attr


def test_the_graph_scores_as_keras_does(
    graph: FrozenGraph, classifier: Classifier, events: Dataset
) -> None:
    scores = FrozenEngine(graph)(events.X)[:, 0]
    np.testing.assert_allclose(scores, classifier.predict(events), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_freezing_twice_gives_the_same_scores(classifier: Classifier, events: Dataset) -> None:
    first, second = (FrozenEngine(classifier.freeze())(events.X[:100]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_model_of_another_width_is_refused(classifier: Classifier) -> None:
    with pytest.raises(GraphError, match=r"takes \(None, 42\), but 2 features are named"):
        FrozenGraph.freeze(classifier.model, ["a", "b"])


@pytest.fixture(scope="module")
def keras_model() -> Any:
    """Two inputs, one of them whole numbers; two outputs."""
    keras = backend.keras()
    keras.utils.set_random_seed(3)
    jets = keras.Input((2, 3), name="jets")
    count = keras.Input((), dtype="int32", name="count")
    flat = keras.ops.reshape(jets, (-1, 6))
    joined = keras.layers.Concatenate()(
        [flat, keras.ops.expand_dims(keras.ops.cast(count, "float32"), 1)]
    )
    mass = keras.layers.Dense(1, name="mass")(joined)
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(joined)
    return keras.Model([jets, count], [mass, kind])


def test_a_model_with_several_ends_keeps_their_names(keras_model: Any) -> None:
    frozen = FrozenGraph.freeze(keras_model)
    assert frozen.signature == Signature(
        (Tensor("jets", "float32", (2, 3)), Tensor("count", "int32", ())),
        (Tensor("mass", "float32", (1,)), Tensor("kind", "float32", (3,))),
    )
    assert frozen.signature.names == (*(f"jets_{i}" for i in range(6)), "count")
    assert FrozenGraph.from_bytes(frozen.serialized) == frozen
    rng = np.random.default_rng(1)
    jets, count = rng.normal(size=(5, 2, 3)).astype(np.float32), np.arange(5, dtype=np.int32)
    expected = [np.asarray(part) for part in keras_model([jets, count])]
    found = FrozenEngine(frozen).run({"count": count, "jets": jets})
    np.testing.assert_allclose(found["mass"], expected[0], atol=1e-6)
    np.testing.assert_allclose(found["kind"], expected[1], atol=1e-6)
    X = np.hstack([jets.reshape(5, 6), count[:, None]]).astype(np.float32)
    flat = FrozenEngine(frozen)(X)
    np.testing.assert_allclose(flat, np.hstack(expected), atol=1e-6)


def test_the_columns_of_several_inputs_may_be_named(keras_model: Any) -> None:
    frozen = FrozenGraph.freeze(keras_model, [*"abcdef", "n"])
    assert frozen.features == (*"abcdef", "n")
    assert FrozenGraph.from_bytes(frozen.serialized).features == frozen.features


def test_inputs_and_outputs_given_by_name_keep_those(keras_model: Any) -> None:
    keras = backend.keras()
    first, second = keras.Input((1,), name="b"), keras.Input((1,), name="a")
    named = keras.Model({"b": first, "a": second}, {"z y": first - second, "sum": first + second})
    found = FrozenEngine(FrozenGraph.freeze(named)).run({"a": [[1.0]], "b": [[3.0]]})
    assert {name: float(values[0, 0]) for name, values in found.items()} == {"z y": 2, "sum": 4}


def test_a_model_of_images_is_frozen() -> None:
    keras = backend.keras()
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    frozen = FrozenGraph.freeze(model)
    assert (frozen.input_shape, frozen.output_shape) == ((8, 8, 1), (2,))
    assert frozen.signature.width == 64


@pytest.mark.slow
def test_a_recurrent_model_is_frozen() -> None:
    keras = backend.keras()
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.Input((None, 4)), keras.layers.LSTM(3), keras.layers.Dense(1)])
    frozen = FrozenGraph.freeze(model)
    assert frozen.input_shape == (None, 4)
    tracks = np.random.default_rng(5).normal(size=(2, 6, 4)).astype(np.float32)
    found = FrozenEngine(frozen).run({"input": tracks})["output"]
    np.testing.assert_allclose(found, model(tracks), atol=1e-6)


def test_nothing_is_copied_at_the_end(graph: FrozenGraph) -> None:
    nodes = {node.name: node for node in graph.graph_def().node}
    (source,) = nodes["output"].input
    assert nodes[source].op == "Sigmoid"


def test_a_model_that_was_never_called_is_refused() -> None:
    with pytest.raises(GraphError, match="call it on a few events first"):
        FrozenGraph.freeze(backend.keras().Sequential([]))


# --- files --------------------------------------------------------------------------------


def test_a_pb_file_alone_knows_its_features(graph: FrozenGraph, tmp_path: Path) -> None:
    again = FrozenGraph.load(graph.save(tmp_path / "graph.pb"))
    assert again == graph
    assert again.features == tn.TTBAR_ALL_HADRONIC.names
    assert again.sha256 == graph.sha256


def test_the_text_file_holds_the_same_graph(graph: FrozenGraph, tmp_path: Path) -> None:
    from google.protobuf import text_format

    text = graph.save_text(tmp_path / "graph.pb.txt").read_text()
    assert text_format.Parse(text, type(graph.graph_def())()) == graph.graph_def()


def test_a_graph_shows_its_nodes(graph: FrozenGraph) -> None:
    assert ("input", "Placeholder", "") in graph.inspect().rows
    assert repr(graph).startswith("FrozenGraph(input[42] → output[1], ")
    assert repr(graph) in repr(graph.inspect())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"none\.pb cannot be read: No such file"):
        FrozenGraph.load(tmp_path / "none.pb")


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pb").write_bytes(b"\xffnot a graph")
    with pytest.raises(GraphError, match=r"bad\.pb: the file is not a TensorFlow GraphDef"):
        FrozenGraph.load(tmp_path / "bad.pb")


def test_an_empty_file_is_no_graph() -> None:
    with pytest.raises(GraphError, match="the graph has no nodes"):
        FrozenGraph.from_bytes(b"")


def test_a_truncated_graph_is_refused(graph: FrozenGraph) -> None:
    with pytest.raises(GraphError, match="not a TensorFlow GraphDef"):
        FrozenGraph.from_bytes(graph.serialized[:-10])


# --- graphs of others ---------------------------------------------------------------------


def test_a_foreign_graph_is_understood_without_names() -> None:
    foreign = FrozenGraph.from_bytes(serialized(weighted_sum))
    assert (foreign.input_node, foreign.output_node) == ("x", "y")
    assert (foreign.input_shape, foreign.output_shape) == ((3,), (1,))
    assert foreign.features is None


def test_tensor_names_are_taken_for_node_names() -> None:
    foreign = FrozenGraph.from_bytes(serialized(weighted_sum), "x:0", "y:0")
    assert (foreign.input_node, foreign.output_node) == ("x", "y")


def test_an_inner_node_may_be_the_output() -> None:
    def build(tf: Any) -> None:
        tf.identity(tf.nn.relu(placeholder(tf), name="hidden"), name="y")

    assert FrozenGraph.from_bytes(serialized(build), output_node="hidden").output_node == "hidden"


def test_unknown_widths_stay_unknown() -> None:
    def build(tf: Any) -> None:
        tf.identity(placeholder(tf, width=None), name="y")

    foreign = FrozenGraph.from_bytes(serialized(build))
    assert (foreign.input_shape, foreign.outputs) == ((None,), None)
    assert repr(foreign).startswith("FrozenGraph(x[?] → y[?], ")


def weighted(tf: Any) -> None:
    """Two placeholders and two ends, none of them the usual matrix."""
    x = placeholder(tf, "jets")
    n = tf.compat.v1.placeholder("int32", (None,), name="count")
    total = tf.reduce_sum(x, 1)
    tf.cast(total, tf.float64, name="total")
    tf.greater(tf.cast(n, tf.float32), total, name="more")


def test_placeholders_and_ends_are_inputs_and_outputs() -> None:
    foreign = FrozenGraph.from_bytes(serialized(weighted))
    assert foreign.signature == Signature(
        (Tensor("jets", "float32", (3,)), Tensor("count", "int32", ())),
        (Tensor("total", "float64", ()), Tensor("more", "bool", ())),
    )
    assert (foreign.input_node, foreign.output_node) == ("jets,count", "total,more")
    assert (foreign.input_shape, foreign.outputs) == ((4,), 1)
    again = FrozenGraph.from_bytes(foreign.serialized, foreign.input_node, "more,total")
    assert again.output_nodes == ("more", "total")


def test_placeholders_that_the_output_does_not_need_are_no_inputs() -> None:
    def build(tf: Any) -> None:
        placeholder(tf, "labels")
        tf.nn.relu(placeholder(tf), name="y")

    assert FrozenGraph.from_bytes(serialized(build), output_node="y").input_nodes == ("x",)


def test_a_placeholder_that_is_no_event_must_be_told_apart() -> None:
    def build(tf: Any) -> None:
        rate = tf.compat.v1.placeholder("float32", (), name="keep_prob")
        tf.multiply(placeholder(tf, "events"), rate, name="y")

    with pytest.raises(GraphError, match=r"name the input node: .*\['keep_prob', 'events'\]"):
        FrozenGraph.from_bytes(serialized(build))


def test_an_end_that_is_no_answer_must_be_told_apart() -> None:
    def build(tf: Any) -> None:
        x = placeholder(tf)
        tf.nn.relu(x, name="first")
        tf.reduce_mean(x, name="second")

    with pytest.raises(GraphError, match=r"name the output node: .*\['first', 'second'\]"):
        FrozenGraph.from_bytes(serialized(build))


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (
            ("events_imput", None),
            r"no input node 'events_imput'; candidates are \['events_input'\]",
        ),
        ((None, "score/Sigmoyd"), r"no output node 'score/Sigmoyd'; candidates are \['score/Sigm"),
        (("score/Sigmoid", None), r"no input node 'score/Sigmoid'"),  # not a placeholder
        (("events_input:1", None), r"no input node 'events_input:1'"),
    ],
)
def test_a_wrong_node_name_is_answered_with_the_nearest(
    ends: tuple[str | None, str | None], message: str
) -> None:
    data = serialized(lambda tf: weighted_sum(tf, "events_input", "score/Sigmoid"))
    with pytest.raises(GraphError, match=message):
        FrozenGraph.from_bytes(data, *ends)


@pytest.mark.parametrize("dtype", ["string", "complex64"])
def test_only_numbers_are_served(dtype: str) -> None:
    def build(tf: Any) -> None:
        tf.identity(placeholder(tf, dtype=dtype), name="y")

    with pytest.raises(GraphError, match=f"tensor 'x' is {dtype}: only numbers are served"):
        FrozenGraph.from_bytes(serialized(build))


def dangling(graph: Any) -> None:
    graph.node[-1].input[0] = "nowhere"


def cyclic(graph: Any) -> None:
    graph.node[-1].input[0] = "y"


def of_a_later_tensorflow(graph: Any) -> None:
    graph.versions.producer = graph.versions.min_consumer = 1_000_000


def twice_the_same_name(graph: Any) -> None:
    graph.node.add().CopyFrom(graph.node[0])


@pytest.mark.parametrize("spoil", [dangling, cyclic, of_a_later_tensorflow, twice_the_same_name])
def test_a_graph_that_tensorflow_cannot_build_is_refused(spoil: Callable[[Any], None]) -> None:
    spoilt = graph_def(weighted_sum)
    spoil(spoilt)
    with pytest.raises(GraphError, match="TensorFlow cannot build the graph"):
        FrozenGraph.from_bytes(spoilt.SerializeToString(), "x", "y")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([b"a", b"b"], "names 2 features, but its input is"),
        ([b"a", b"b", b"a"], "names a feature twice"),
        ([b"a", b"b", b"\xff"], "not UTF-8"),
    ],
)
def test_the_feature_names_in_a_graph_must_fit(names: list[bytes], message: str) -> None:
    named = graph_def(weighted_sum)
    named.node[0].attr["_feature_names"].list.s.extend(names)
    with pytest.raises(GraphError, match=message):
        FrozenGraph.from_bytes(named.SerializeToString())


# --- vetting ------------------------------------------------------------------------------


def reads_a_file(tf: Any) -> None:
    tf.strings.to_number(tf.io.read_file("secret"), name="bad")


def writes_a_file(tf: Any) -> None:
    tf.io.write_file("target", "content", name="bad")


def calls_python(tf: Any) -> None:
    tf.py_function(lambda x: x, [placeholder(tf)], tf.float32, name="bad")


def calls_numpy(tf: Any) -> None:
    tf.numpy_function(lambda x: x, [placeholder(tf)], tf.float32, name="bad")


def saves(tf: Any) -> None:
    tf.raw_ops.SaveV2(
        prefix="p", tensor_names=["t"], shape_and_slices=[""], tensors=[tf.zeros(1)], name="bad"
    )


def prints(tf: Any) -> None:
    tf.raw_ops.PrintV2(input="hello", name="bad")


def lists_files(tf: Any) -> None:
    tf.raw_ops.MatchingFiles(pattern="*", name="bad")


@pytest.mark.parametrize(
    ("build", "operation"),
    [
        (reads_a_file, "ReadFile"),
        (writes_a_file, "WriteFile"),
        (calls_python, "EagerPyFunc"),
        (calls_numpy, "PyFunc"),
        (saves, "SaveV2"),
        (prints, "PrintV2"),
        (lists_files, "MatchingFiles"),
    ],
)
def test_a_graph_that_does_more_than_compute_is_refused(build: Build, operation: str) -> None:
    with pytest.raises(GraphError, match=f"is a '{operation}': this operation may not be served"):
        vet(graph_def(build))


def test_the_node_is_named() -> None:
    with pytest.raises(GraphError, match="node 'bad' is a 'WriteFile'"):
        FrozenGraph.from_bytes(serialized(writes_a_file))


def test_an_operation_nobody_knows_is_refused() -> None:
    unknown = graph_def(weighted_sum)
    unknown.node[-1].op = "MyCustomOp"
    with pytest.raises(GraphError, match="node 'y' is a 'MyCustomOp'"):
        FrozenGraph.from_bytes(unknown.SerializeToString())


def hidden_in_a_function(tf: Any) -> None:
    @tf.function(autograph=False)
    def innocent(x: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file("target", "content", name="hidden")]):
            return x * 2.0

    tf.identity(innocent(placeholder(tf)), name="y")


def test_functions_of_the_library_are_looked_at() -> None:
    with pytest.raises(
        GraphError, match=r"node 'hidden' of function '__inference_innocent_\d+' is a 'WriteFile'"
    ):
        FrozenGraph.from_bytes(serialized(hidden_in_a_function), "x", "y")


def test_a_function_cannot_pose_as_an_operation() -> None:
    """A library function called WriteFile would let nodes of that operation pass the list."""

    def build(tf: Any) -> None:
        @tf.function(autograph=False)
        def innocent(x: Any) -> Any:
            return x * 2.0

        tf.identity(innocent(placeholder(tf)), name="y")
        tf.io.write_file("target", "content")

    posing = graph_def(build)
    function = posing.library.function[0].signature
    for node in posing.node:
        if node.attr["f"].func.name == function.name:
            node.attr["f"].func.name = "WriteFile"
        elif "f" in node.attr:
            del node.attr["f"]
    function.name = "WriteFile"
    with pytest.raises(GraphError, match="WriteFile"):
        FrozenGraph.from_bytes(posing.SerializeToString(), "x", "y")


def resource_variable(tf: Any) -> None:
    tf.matmul(placeholder(tf), tf.Variable([[1.0], [2.0], [3.0]]), name="y")


def reference_variable(tf: Any) -> None:
    v1 = tf.compat.v1
    weights = v1.get_variable("w", (3, 1), use_resource=False)
    tf.matmul(placeholder(tf), weights, name="y")


@pytest.mark.parametrize("build", [resource_variable, reference_variable])
def test_unfrozen_variables_ask_to_be_frozen(build: Build) -> None:
    with pytest.raises(GraphError, match="the graph has variables: freeze it first"):
        FrozenGraph.from_bytes(serialized(build), "x", "y")


def test_the_list_of_operations_holds_nothing_with_effects() -> None:
    """TensorFlow's own mark: a stateful operation does more than compute on its inputs."""
    backend.tensorflow()
    from tensorflow.python.framework import op_def_registry

    stateful = {name for name in ALLOWED if (op := op_def_registry.get(name)) and op.is_stateful}
    # A call is as harmless as the function called, and those are vetted; CheckNumerics is
    # marked so that it is not optimised away.
    assert stateful == {"StatefulPartitionedCall", "If", "While", "CheckNumerics"}
