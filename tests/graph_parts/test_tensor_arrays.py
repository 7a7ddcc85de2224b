"""Recurrent layers as TensorFlow 1 writes them: scores are those of its session."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph_parts.test_inference_constants import switches
from tfaas_nb import backend
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph

STEPS = np.random.default_rng(3).normal(size=(16, 5, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(4).normal(size=(2, 3, 3)).astype(np.float32)


def recurrent(tf: Any, x: Any, keeps: bool) -> None:
    """h ← tanh(x W + h U) over the steps; the last one, or all of them."""
    from tensorflow.python.ops.tensor_array_ops import TensorArray

    w, u = map(tf.constant, WEIGHTS)
    by_step = tf.transpose(x, (1, 0, 2))
    count = tf.shape(by_step)[0]
    steps = TensorArray(tf.float32, size=count, name="steps").unstack(by_step)
    states = TensorArray(tf.float32, size=count, name="states")

    def step(i: Any, h: Any, states: Any) -> Any:
        h = tf.tanh(tf.matmul(steps.read(i), w) + tf.matmul(h, u))
        return i + 1, h, states.write(i, h)

    loop = (tf.constant(0), tf.zeros_like(by_step[0]), states)
    _, last, states = tf.while_loop(lambda i, *_: i < count, step, loop)
    tf.identity(tf.transpose(states.stack(), (1, 0, 2)) if keeps else last, name="y")


def built(keeps: bool) -> tuple[Any, Any]:
    tf = backend.tensorflow()
    with tf.Graph().as_default() as graph, switches(tf):
        x = tf.compat.v1.placeholder(tf.float32, (None, 5, 3), name="x")
        recurrent(tf, x, keeps)
        with tf.compat.v1.Session(graph=graph) as session:
            return graph.as_graph_def(), session.run("y:0", {"x:0": STEPS})


@pytest.mark.parametrize("keeps", [False, True], ids=["last", "all"])
def test_scores_are_those_of_a_session(keeps: bool) -> None:
    graph_def, expected = built(keeps)
    assert "TensorArrayV3" in {node.op for node in graph_def.node}
    graph = FrozenGraph.from_bytes(graph_def.SerializeToString(), "x", "y")
    assert not [name for name in graph.operations if name.startswith("TensorArray")]
    engine = FrozenEngine(graph)
    found = engine.run({"x": STEPS})["y"]
    engine.close()
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


def test_a_damaged_array_is_refused_in_our_words() -> None:
    for i, node in enumerate(built(True)[0].node):
        graph_def, _ = built(True) if node.op.startswith("TensorArray") else (None, None)
        for at in range(len(node.input) if graph_def else 0):
            damaged = type(graph_def).FromString(graph_def.SerializeToString())
            del damaged.node[i].input[at]
            with pytest.raises(GraphError):
                FrozenGraph.from_bytes(damaged.SerializeToString(), "x", "y")


def test_an_array_that_leads_elsewhere_stays_and_is_refused() -> None:
    graph_def, _ = built(False)
    array = next(node.name for node in graph_def.node if node.op == "TensorArrayV3")
    graph_def.node.add(name="evil", op="WriteFile", input=[f"{array}:0", f"{array}:1"])
    with pytest.raises(GraphError, match=r"is a '(TensorArray\w+|WriteFile)'"):
        FrozenGraph.from_bytes(graph_def.SerializeToString())
