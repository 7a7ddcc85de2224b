"""Graphs of TensorFlow 1 that lost the shapes of their inputs with their version."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.graph_parts.test_inference_constants import switches
from tfaas_nb import backend
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.graph import FrozenGraph

RANDOM = np.random.default_rng(8)
JETS = RANDOM.normal(size=(12, 1, 4)).astype(np.float32)
TRACKS = RANDOM.normal(size=(12, 6, 3)).astype(np.float32)
WEIGHTS = {
    name: RANDOM.normal(size=shape).astype(np.float32)
    for name, shape in {"jets": (4,), "tracks": (3,), "conv": (1, 1, 3, 2), "end": (6, 2)}.items()
}


def normalised(tf: Any, x: Any, name: str, phase: Any) -> Any:
    """Keras's batch normalisation: moments over all axes but the last, in training."""
    gamma = tf.constant(WEIGHTS[name])
    mean, variance = tf.nn.moments(x, [0, 1])
    trained = tf.nn.batch_normalization(x, mean, variance, None, gamma, 1e-3)
    return tf.cond(phase, lambda: trained, lambda: x * (gamma * 0.5) + 1.0)


def tagger(tf: Any) -> None:
    """A jet's quantities and its tracks, whose number is open; the phase is a bare placeholder."""
    v1 = tf.compat.v1
    jets = v1.placeholder(tf.float32, (None, 1, 4), name="jets")
    tracks = v1.placeholder(tf.float32, (None, None, 3), name="tracks")
    phase = v1.placeholder(tf.bool, (), name="norm/keras_learning_phase")
    flat = tf.reshape(normalised(tf, jets, "jets", phase), (-1, 4))
    wide = tf.expand_dims(normalised(tf, tracks, "tracks", phase), 1)
    conv = tf.nn.conv2d(wide, tf.constant(WEIGHTS["conv"]), 1, "VALID")
    summed = tf.reduce_sum(tf.squeeze(conv, 1), 1)
    joined = tf.concat([flat, summed], 1)
    tf.nn.softmax(tf.matmul(joined, tf.constant(WEIGHTS["end"])), name="y")


def test_they_are_found_by_what_is_done_with_the_inputs() -> None:
    tf = backend.tensorflow()
    with tf.Graph().as_default() as graph, switches(tf):
        tagger(tf)
        fed = {"jets:0": JETS, "tracks:0": TRACKS, "norm/keras_learning_phase:0": False}
        with tf.compat.v1.Session(graph=graph) as session:
            expected = session.run("y:0", fed)
    graph_def = graph.as_graph_def()
    graph_def.versions.Clear()
    for node in graph_def.node:
        if node.op == "Placeholder":
            node.attr["shape"].shape.Clear()
    found = FrozenGraph.from_bytes(graph_def.SerializeToString(), output_node="y")
    assert found.constants == {"norm/keras_learning_phase": False}
    shapes = {tensor.name: tensor.shape for tensor in found.signature.inputs}
    assert shapes == {"jets": (None, 4), "tracks": (None, 3)}
    engine = FrozenEngine(found)
    scores = engine.run({"jets": JETS, "tracks": TRACKS})["y"]
    engine.close()
    np.testing.assert_allclose(scores, expected, atol=1e-6, rtol=0)
