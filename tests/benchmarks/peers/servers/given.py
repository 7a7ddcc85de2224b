"""Common ground of all servers: a model, a port, and the fastest way to call TensorFlow.

The servers run in environments of their own, without this project.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

PORT = int(os.environ.get("BENCH_PORT", "0"))


def folder() -> Path:
    """Holds one model twice: ``model.keras`` and, frozen, ``model.pb``."""
    return Path(os.environ["BENCH_MODEL"])


def keras_model() -> Any:
    import keras

    return keras.models.load_model(folder() / "model.keras")


def fastest_call() -> Callable[[Any], Any]:
    """float32 (events, 42) → float32 (events, 1): one thread, the executor made for that."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    graph_def = tf.compat.v1.GraphDef.FromString((folder() / "model.pb").read_bytes())
    config = config_pb2.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        experimental=config_pb2.ConfigProto.Experimental(executor_type="SINGLE_THREADED_EXECUTOR"),
    )
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    session = tf.compat.v1.Session(graph=graph, config=config)
    options = config_pb2.CallableOptions(feed=["input:0"], fetch=["output:0"])
    call = session._make_callable_from_options(options)
    return lambda X: call(X)[0]


if __name__ == "__main__":  # the yardstick of memory: TensorFlow, the graph, nothing else
    import numpy as np

    fastest_call()(np.zeros((1, 42), np.float32))
    print("ready", flush=True)
    sys.stdin.read()
