"""Recurrent models of Keras 3, frozen by people's own lines: their real output is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfaas_nb import backend
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.graph import FrozenGraph

STEPS = np.random.default_rng(2).normal(size=(8, 6, 3)).astype(np.float32)


def layer(kind: str) -> Any:
    layers = backend.keras().layers
    if kind == "both ways":
        return layers.Bidirectional(layers.LSTM(3))
    return getattr(layers, kind)(3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "both ways"])
def test_a_frozen_recurrent_model_has_one_output(kind: str) -> None:
    tf, keras = backend.tensorflow(), backend.keras()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    keras.utils.set_random_seed(1)
    source = keras.Input((6, 3))
    model = keras.Model(source, keras.layers.Dense(1, "sigmoid")(layer(kind)(source)))
    with backend.without_notes():
        called = tf.function(lambda x: model(x, training=False))
        concrete = called.get_concrete_function(tf.TensorSpec((None, 6, 3), tf.float32))
        graph_def = convert_variables_to_constants_v2(concrete).graph.as_graph_def()
    assert any(node.name == "unused_control_flow_input" for node in graph_def.node)
    graph = FrozenGraph.from_bytes(graph_def.SerializeToString())
    assert graph.output_node == "Identity"
    engine = FrozenEngine(graph)
    (scores,) = engine.run({graph.input_node: STEPS}).values()
    engine.close()
    np.testing.assert_allclose(scores, model(STEPS), atol=1e-6, rtol=0)
