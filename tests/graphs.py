"""Graphs as other people make them: TensorFlow 1 style, with any names and operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfaas_nb import backend

Build = Callable[[Any], object]


def graph_def(build: Build) -> Any:
    """The GraphDef of what `build` makes; it is handed the module ``tensorflow``."""
    tf = backend.tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        build(tf)
    return graph.as_graph_def()


def serialized(build: Build) -> bytes:
    data: bytes = graph_def(build).SerializeToString()
    return data


def placeholder(tf: Any, name: str = "x", width: int | None = 3, dtype: str = "float32") -> Any:
    return tf.compat.v1.placeholder(dtype, (None, width), name=name)


def weighted_sum(tf: Any, source: str = "x", result: str = "y") -> None:
    """x[0] + 2 x[1] + 3 x[2]."""
    tf.matmul(placeholder(tf, source), tf.constant([[1.0], [2.0], [3.0]]), name=result)
