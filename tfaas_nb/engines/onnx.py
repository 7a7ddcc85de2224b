"""Engine for ONNX models: one onnxruntime session that works in the caller's thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.engines.trial import check_rows, try_out
from tfaas_nb.errors import GraphError
from tfaas_nb.foreign_words import reason
from tfaas_nb.onnx_graph import OnnxGraph, onnx_module
from tfaas_nb.signature import Array, rows

_ERRORS_ONLY = 4


class OnnxEngine:
    """An ONNX model ready to answer.

    Parameters
    ----------
    graph : OnnxGraph
        A vetted model.

    Raises
    ------
    GraphError
        If onnxruntime does not know an operation of it, or it does not answer events of zeros
        with as many rows of numbers.
    MissingExtra
        If ``onnxruntime`` is not installed.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self.signature = graph.signature
        self._session: Any = _session(graph)
        self._names = [tensor.name for tensor in self.signature.outputs]
        self._flat_names = [tensor.name for tensor in self.signature.flat_outputs]
        self._is_matrix = _is_matrix(graph)
        self._input = self.signature.inputs[0].name
        try_out(self.signature, lambda inputs: self._outputs(inputs, self._names))

    def __call__(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores by the flat view, float32 of shape (events, outputs).

        Raises
        ------
        FeatureError
            If a value cannot be of its input's type.
        GraphError
            If the model fails on these events.
        """
        if not self._is_matrix:
            return self.signature.joined(self._checked(self.signature.split(X), self._flat_names))
        (scores,) = self._run(self._flat_names, {self._input: X})
        if len(scores) != len(X):
            raise GraphError(f"the model answers {len(X)} events with {len(scores)} rows")
        matrix: npt.NDArray[np.float32] = rows(scores)
        return matrix

    def run(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """All outputs by name, from all inputs by name.

        Raises
        ------
        FeatureError
            If the inputs do not fit the signature.
        GraphError
            If the model fails on these events.
        """
        return self._checked(self.signature.conformed(inputs), self._names)

    def close(self) -> None:
        """Let go of the session; calls under way still end."""
        self._session = None

    def __repr__(self) -> str:
        return f"OnnxEngine({self._graph!r})"

    def _checked(self, inputs: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        outputs = self._outputs(inputs, names)
        check_rows(outputs, len(next(iter(inputs.values()))))
        return outputs

    def _outputs(self, inputs: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        events = len(next(iter(inputs.values())))
        if not self._graph.is_single or events == 1:
            return dict(zip(names, self._run(names, inputs), strict=True))
        # The model was exported for one event at a time; even no events need a run for shapes.
        each = [
            self._run(names, {name: values[i : i + 1] for name, values in inputs.items()})
            for i in range(events)
        ] or [self._run(names, self.signature.probe(1, 1))]
        joined = (np.concatenate(parts)[:events] for parts in zip(*each, strict=True))
        return dict(zip(names, joined, strict=True))

    def _run(self, names: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        session = self._session
        if session is None:
            raise GraphError("the model was closed")
        try:
            found: list[Array] = session.run(names, inputs)
        except Exception as error:  # onnxruntime has a dozen
            raise GraphError(f"the model failed: {reason(error)}") from error
        return found


def _is_matrix(graph: OnnxGraph) -> bool:
    """Return True if the model takes rows of float32 as they are and has one output of float32."""
    (first, *more), flat = graph.signature.inputs, graph.signature.flat_outputs
    return (
        not (more or graph.is_single)
        and len(first.shape) == len(flat) == 1
        and first.dtype == flat[0].dtype == "float32"
    )


def _session(graph: OnnxGraph) -> Any:
    runtime = onnx_module("onnxruntime")
    options = runtime.SessionOptions()
    # As for TensorFlow: threads for a few microseconds of arithmetic cost more than they save,
    # and those that spin while they wait take the time of the server's others.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for kind in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{kind}.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    try:
        return runtime.InferenceSession(
            graph.runnable(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a dozen
        raise GraphError(f"onnxruntime cannot run the model: {reason(error)}") from error
