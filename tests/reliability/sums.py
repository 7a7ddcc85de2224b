"""Models that tell which version of which model answered: `factor` times a weighted sum."""

from __future__ import annotations

import functools
import json

import numpy as np

from tests.graphs import graph_def, weighted_sum
from tfaas_nb.bundle import Bundle

KEYS = ["a", "b", "c"]
#: Their weighted sum is `SUM`.
VALUES = [1.0, 10.0, 100.0]
SUM = 321.0


@functools.cache
def _graph() -> bytes:
    data: bytes = graph_def(weighted_sum).SerializeToString()
    return data


def sum_of(name: str = "sum", factor: float = 1.0) -> Bundle:
    """factor · (a + 2 b + 3 c); the graph is made once, since TensorFlow keeps what it makes."""
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef.FromString(_graph())
    (weights,) = (node for node in graph.node if node.op == "Const")
    values = factor * np.array([1, 2, 3], "<f4")
    weights.attr["value"].tensor.tensor_content = values.tobytes()
    params = json.dumps({"name": name, "features": KEYS}).encode()
    return Bundle.from_parts(params, graph.SerializeToString(), b"total\n")
