"""Engine for frozen graphs: one TensorFlow session, called at the least cost there is.

A single event needs microseconds of arithmetic; what a call costs is overhead.  Threads
that TensorFlow would hand the work to cost more than they save, so the session has one
and uses the executor made for that.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.engines.trial import check_rows, try_out
from tfaas_nb.errors import GraphError
from tfaas_nb.foreign_words import reason
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.signature import Array, rows

_EXECUTORS = ("SINGLE_THREADED_EXECUTOR", "")


class FrozenEngine:
    """A frozen graph ready to answer.

    Parameters
    ----------
    graph : FrozenGraph
        A vetted graph.

    Raises
    ------
    GraphError
        If the graph does not answer events of zeros with as many rows of numbers.
    """

    def __init__(self, graph: FrozenGraph) -> None:
        self._graph = graph
        self.signature = graph.signature
        self._is_matrix = graph.signature.is_matrix
        with backend.without_notes():
            self._session, self._call = _first_that_answers(graph)

    def __call__(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores by the flat view, float32 of shape (events, outputs).

        Raises
        ------
        FeatureError
            If a value cannot be of its input's type.
        GraphError
            If the graph fails on these events.
        """
        if not self._is_matrix:
            return self.signature.joined(self._outputs(self.signature.split(X)))
        scores: npt.NDArray[np.float32] = _answer(self._call, X)[0]
        if len(scores) != len(X):
            raise GraphError(f"the graph answers {len(X)} events with {len(scores)} rows")
        return rows(scores)

    def run(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """All outputs by name, from all inputs by name.

        Raises
        ------
        FeatureError
            If the inputs do not fit the signature.
        GraphError
            If the graph fails on these events.
        """
        return self._outputs(self.signature.conformed(inputs))

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def __repr__(self) -> str:
        return f"FrozenEngine({self._graph!r})"

    def _outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = _named(self._graph, self._call, inputs)
        check_rows(outputs, len(next(iter(inputs.values()))))
        return outputs


def _first_that_answers(graph: FrozenGraph) -> tuple[Any, Any]:
    """A session with the leanest executor that can run the graph (one refuses control flow)."""
    failure: GraphError | None = None
    for executor in _EXECUTORS:
        session = _session(graph, executor)
        try:
            call = _callable(session, graph)
            try_out(graph.signature, functools.partial(_named, graph, call))
        except GraphError as error:
            session.close()
            failure = error
            continue
        return session, call
    raise failure or GraphError("the graph cannot be run")


def _named(graph: FrozenGraph, call: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    found = _answer(call, *inputs.values())
    return dict(zip((t.name for t in graph.signature.outputs), found, strict=True))


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
        feed=[f"{node}:0" for node in graph.input_nodes],
        fetch=[f"{node}:0" for node in graph.output_nodes],
    )
    # What Session.make_callable builds on; called directly it skips the Python around it,
    # which is two thirds of the time of a call with one event.
    try:
        return session._make_callable_from_options(options)
    except tf.errors.OpError as error:
        raise GraphError(f"the graph cannot be run: {reason(error)}") from error


def _answer(call: Any, *inputs: Array) -> list[Array]:
    try:
        found: list[Array] = call(*inputs)
    except (backend.tensorflow().errors.OpError, ValueError, RuntimeError) as error:
        raise GraphError(f"the graph failed: {reason(error)}") from error
    return found
