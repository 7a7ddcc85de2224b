from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.graphs import Build, graph_def, placeholder, serialized, weighted_sum
from tfaas_nb import backend
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import FeatureError, GraphError
from tfaas_nb.graph import FrozenGraph


def engine(build: Build) -> FrozenEngine:
    return FrozenEngine(FrozenGraph.from_bytes(serialized(build), "x", "y"))


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_there_is_a_row_of_scores_per_event(
    graph: FrozenGraph, events: Dataset, count: int
) -> None:
    scores = FrozenEngine(graph)(events.X[:count])
    assert scores.shape == (count, 1)
    assert scores.dtype == np.float32


def test_one_event_scores_as_it_does_among_many(graph: FrozenGraph, events: Dataset) -> None:
    run = FrozenEngine(graph)
    together = run(events.X[:200])
    alone = np.concatenate([run(event[np.newaxis]) for event in events.X[:200]])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)


def test_columns_taken_out_of_order_score_the_same(graph: FrozenGraph, events: Dataset) -> None:
    """Reordered keys make an array that is not contiguous."""
    order = np.argsort(np.arange(42)[::-1])
    reordered = events.X[:50, ::-1][:, order]
    np.testing.assert_array_equal(
        FrozenEngine(graph)(reordered), FrozenEngine(graph)(events.X[:50])
    )


def test_threads_get_the_same_scores(graph: FrozenGraph, events: Dataset) -> None:
    run = FrozenEngine(graph)
    parts = np.array_split(events.X, 40)
    expected = [run(part) for part in parts]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(run, parts * 5))
    for scores, right in zip(found, expected * 5, strict=True):
        np.testing.assert_array_equal(scores, right)


def test_a_plain_graph_gives_the_sum_it_says() -> None:
    np.testing.assert_array_equal(
        engine(weighted_sum)(np.array([[1, 1, 1], [1, 0, 2]], np.float32)), [[6], [7]]
    )


def test_a_score_per_event_without_axis_becomes_a_column() -> None:
    run = engine(lambda tf: tf.reduce_sum(placeholder(tf), 1, name="y"))
    np.testing.assert_array_equal(run(np.ones((4, 3), np.float32)), np.full((4, 1), 3.0))


def conditional(tf: Any) -> None:
    x = placeholder(tf)
    chosen = tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * 2.0, lambda: x - 1.0)
    tf.identity(chosen, name="y")


def conditional_of_tensorflow_1(tf: Any) -> None:
    tf.compat.v1.disable_control_flow_v2()
    try:
        conditional(tf)
    finally:
        tf.compat.v1.enable_control_flow_v2()


def looping(tf: Any) -> None:
    x = placeholder(tf)
    _, grown = tf.while_loop(
        lambda i, _: i < 3, lambda i, v: (i + 1, v * 2.0), (tf.constant(0), x), name="loop"
    )
    tf.identity(grown, name="y")


@pytest.mark.parametrize(
    ("build", "operation"), [(conditional, "If"), (conditional_of_tensorflow_1, "Switch")]
)
def test_a_graph_may_branch(build: Build, operation: str) -> None:
    assert any(operation in node.op for node in graph_def(build).node)
    run = engine(build)
    np.testing.assert_array_equal(run(np.full((1, 3), 5.0, np.float32)), [[10.0] * 3])
    np.testing.assert_array_equal(run(np.full((1, 3), -5.0, np.float32)), [[-6.0] * 3])


def test_a_graph_may_loop() -> None:
    np.testing.assert_array_equal(
        engine(looping)(np.ones((2, 3), np.float32)), np.full((2, 3), 8.0)
    )


def test_a_graph_frozen_on_a_gpu_runs_here() -> None:
    placed = graph_def(weighted_sum)
    for node in placed.node:
        node.device = "/device:GPU:0"
    run = FrozenEngine(FrozenGraph.from_bytes(placed.SerializeToString()))
    np.testing.assert_array_equal(run(np.ones((1, 3), np.float32)), [[6.0]])


def test_a_graph_placed_on_another_machine_is_refused() -> None:
    placed = graph_def(weighted_sum)
    placed.node[-1].device = "/job:elsewhere/task:3"
    with pytest.raises(GraphError, match=r"the graph cannot be run: .*elsewhere"):
        FrozenEngine(FrozenGraph.from_bytes(placed.SerializeToString()))


def fails_above_ten(tf: Any) -> None:
    x = placeholder(tf)
    index = tf.cast(tf.reduce_max(x), tf.int32)
    tf.identity(x + tf.gather(tf.zeros(10), index), name="y")


def test_a_graph_that_fails_on_events_says_so() -> None:
    run = engine(fails_above_ten)
    assert run(np.ones((1, 3), np.float32)).shape == (1, 3)
    with pytest.raises(GraphError, match=r"the graph failed: .*11"):
        run(np.full((1, 3), 11.0, np.float32))
    assert run(np.ones((1, 3), np.float32)).shape == (1, 3), "it goes on after a failure"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda tf: tf.reduce_sum(placeholder(tf), name="y"), r"one event with shape \(\)"),
        (lambda tf: tf.tile(placeholder(tf), [2, 1], name="y"), r"one event with shape"),
        (lambda tf: tf.expand_dims(placeholder(tf), 0, name="y"), r"2 events with shape \(1, 2"),
        (lambda tf: tf.reduce_mean(placeholder(tf), 0, keepdims=True, name="y"), "2 events with"),
        (lambda tf: tf.identity(placeholder(tf, width=10**12), name="y"), "too many"),
    ],
)
def test_a_graph_that_does_not_score_events_is_refused(build: Build, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        engine(build)


def drops_negatives(tf: Any) -> None:
    x = placeholder(tf)
    tf.gather_nd(x, tf.where(x[:, 0] >= 0), name="y")


def test_a_graph_that_drops_events_gives_no_scores() -> None:
    run = engine(drops_negatives)
    assert len(run(np.ones((5, 3), np.float32))) == 5
    with pytest.raises(GraphError, match="answers 5 events with 0 rows"):
        run(-np.ones((5, 3), np.float32))


def typed(tf: Any) -> None:
    i = tf.compat.v1.placeholder("int32", (None, 2), name="i")
    half = tf.compat.v1.placeholder("float16", (None,), name="half")
    double = tf.compat.v1.placeholder("float64", (None,), name="double")
    flag = tf.compat.v1.placeholder("bool", (None,), name="flag")
    total = tf.cast(tf.reduce_sum(i, 1), tf.float64) + tf.cast(half, tf.float64) + double
    tf.where(flag, total, -total, name="total")
    tf.cast(i, tf.int64, name="again")


@pytest.fixture(scope="module", name="typed")
def typed_engine() -> FrozenEngine:
    return FrozenEngine(FrozenGraph.from_bytes(serialized(typed)))


def test_columns_become_inputs_of_their_types(typed: FrozenEngine) -> None:
    assert typed.signature.names == ("i_0", "i_1", "half", "double", "flag")
    X = np.array([[1, 2, 0.5, 0.25, 1], [3, 4, 0.5, 0.25, 0]], np.float32)
    np.testing.assert_array_equal(typed(X), [[3.75], [-7.75]])
    assert typed(X).dtype == np.float32
    assert typed(X[:0]).shape == (0, 1)


def test_tensors_by_name_keep_their_types(typed: FrozenEngine) -> None:
    inputs = {"i": [[1, 2**31 - 1]], "half": [0.5], "double": [1e300], "flag": [True]}
    found = typed.run(inputs)
    assert found["total"].tolist() == [1e300]
    assert found["again"].tolist() == [[1, 2**31 - 1]]
    assert found["again"].dtype == np.int64


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 1.5, "input 'i' takes int32, 1.5 is none"),
        (1, 3e9, "input 'i' takes int32, but 3000000000 was sent as float32"),
        (2, 7e4, r"input 'half' takes float16, 70000\.0 is none"),
        (4, 2.0, r"input 'flag' takes bool, 2\.0 is none"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_refused(
    typed: FrozenEngine, column: int, value: float, message: str
) -> None:
    X = np.zeros((2, 5), np.float32)
    X[1, column] = value
    with pytest.raises(FeatureError, match=message):
        typed(X)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flag": None}, "missing inputs: 'flag'"),
        ({"more": [1.0]}, "no input 'more': inputs are 'i', 'half', 'double', 'flag'"),
        ({"half": [[0.5, 1]]}, r"input 'half' takes \(events\), \(1, 2\) was sent"),
        ({"half": [np.nan]}, "input 'half' holds a value that is not finite"),
        ({"i": [[1]]}, r"input 'i' takes \(events, 2\), \(1, 1\) was sent"),
        ({"half": [0.5, 0.5]}, "inputs differ in their number of events"),
        ({"double": ["a"]}, "input 'double' takes float64, not str"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    typed: FrozenEngine, changes: dict[str, Any], message: str
) -> None:
    inputs: dict[str, Any] = {"i": [[1, 2]], "half": [0.5], "double": [1.0], "flag": [True]}
    sent = {name: v for name, v in (inputs | changes).items() if v is not None}
    with pytest.raises(FeatureError, match=message):
        typed.run(sent)


def test_an_answer_of_more_axes_is_laid_flat() -> None:
    run = engine(lambda tf: tf.reshape(placeholder(tf), (-1, 1, 3), name="y"))
    X = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(run(X), X)
    assert run.run({"x": X})["y"].shape == (2, 1, 3)


def test_a_graph_of_any_picture_is_tried_with_larger_ones() -> None:
    def build(tf: Any) -> None:
        x = tf.compat.v1.placeholder("float32", (None, None, None, 1), name="x")
        found = tf.nn.conv2d(x, tf.ones((5, 5, 1, 1)), 1, "VALID")
        tf.reduce_max(found, (1, 2), name="y")

    run = FrozenEngine(FrozenGraph.from_bytes(serialized(build)))
    assert run.run({"x": np.ones((1, 9, 7, 1))})["y"].tolist() == [[25.0]]
    with pytest.raises(FeatureError, match="vary in their lengths: send them by name"):
        run(np.ones((1, 63), np.float32))


def test_the_wrong_number_of_inputs_is_an_error(graph: FrozenGraph) -> None:
    with pytest.raises(GraphError, match="the graph failed"):
        FrozenEngine(graph)(np.zeros((2, 41), np.float32))


def test_a_closed_engine_says_so(graph: FrozenGraph) -> None:
    run = FrozenEngine(graph)
    run.close()
    with pytest.raises(GraphError, match="closed"):
        run(np.zeros((1, 42), np.float32))
    run.close()


def test_engines_leave_tensorflow_as_it_was(graph: FrozenGraph) -> None:
    tf = backend.tensorflow()
    FrozenEngine(graph).close()
    assert tf.executing_eagerly()
    assert tf.compat.v1.get_default_session() is None
