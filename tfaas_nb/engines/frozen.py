"""Engine for frozen graphs: one TensorFlow session, called at the least cost there is.

A single event needs microseconds of arithmetic; what a call costs is overhead.  Threads
that TensorFlow would hand the work to cost more than they save, so the session has one
and uses the executor made for that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph

_EXECUTORS = ("SINGLE_THREADED_EXECUTOR", "")
_MOST_INPUTS = 1 << 24


class FrozenEngine:
    """A frozen graph ready to answer.

    Parameters
    ----------
    graph : FrozenGraph
        A vetted graph.

    Raises
    ------
    GraphError
        If the graph does not answer an event of zeros with one row of numbers.
    """

    def __init__(self, graph: FrozenGraph) -> None:
        self._graph = graph
        with backend.without_notes():
            self._session, self._call = _first_that_answers(graph)

    def __call__(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores, float32 of shape (events, outputs).

        Raises
        ------
        GraphError
            If the graph fails on these events.
        """
        scores = _answer(self._call, X)
        if len(scores) != len(X):
            raise GraphError(f"the graph answers {len(X)} events with {len(scores)} rows")
        return scores

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def __repr__(self) -> str:
        return f"FrozenEngine({self._graph!r})"


def _first_that_answers(graph: FrozenGraph) -> tuple[Any, Any]:
    """A session with the leanest executor that can run the graph (one refuses control flow)."""
    shape = [n or 1 for n in graph.input_shape]
    if math.prod(shape) > _MOST_INPUTS:
        raise GraphError(f"the graph takes {math.prod(shape)} numbers per event: too many")
    probe = np.zeros((1, *shape), np.float32)
    failure: GraphError | None = None
    for executor in _EXECUTORS:
        session = _session(graph, executor)
        try:
            call = _callable(session, graph)
            scores = _answer(call, probe)
        except GraphError as error:
            session.close()
            failure = error
            continue
        if scores.ndim != 2 or len(scores) != 1:
            session.close()
            raise GraphError(f"the graph answers one event with shape {scores.shape}")
        return session, call
    raise failure or GraphError("the graph cannot be run")


def _session(graph: FrozenGraph, executor: str) -> Any:
    tf = backend.tensorflow()
    from tensorflow.core.protobuf import config_pb2

    config = config_pb2.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        device_count={"GPU": 0},
        allow_soft_placement=True,  # graphs frozen on a GPU name it
        experimental=config_pb2.ConfigProto.Experimental(executor_type=executor),
    )
    imported = tf.Graph()
    with imported.as_default():
        tf.graph_util.import_graph_def(graph.graph_def(), name="")
    return tf.compat.v1.Session(graph=imported, config=config)


def _callable(session: Any, graph: FrozenGraph) -> Any:
    tf = backend.tensorflow()
    from tensorflow.core.protobuf import config_pb2

    options = config_pb2.CallableOptions(
        feed=[f"{graph.input_node}:0"], fetch=[f"{graph.output_node}:0"]
    )
    # What Session.make_callable builds on; called directly it skips the Python around it,
    # which is two thirds of the time of a call with one event.
    try:
        return session._make_callable_from_options(options)
    except tf.errors.OpError as error:
        raise GraphError(f"the graph cannot be run: {_first_line(error)}") from error


def _answer(call: Any, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    tf = backend.tensorflow()

    try:
        scores: npt.NDArray[np.float32] = call(X)[0]
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise GraphError(f"the graph failed: {_first_line(error)}") from error
    return scores[:, np.newaxis] if scores.ndim == 1 else scores


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
