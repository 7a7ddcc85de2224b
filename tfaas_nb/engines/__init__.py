"""Engines run models: float32 (events, columns) → float32 (events, outputs), or named tensors.

One module per model format; all have the interface `Engine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.signature import Array, Signature


class Engine(Protocol):
    """A loaded model.  Calls may come from several threads at once."""

    @property
    def signature(self) -> Signature:
        """Signature of the model: its inputs and outputs."""
        ...

    def __call__(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores of events by the flat view, shape (events, outputs)."""
        ...

    def run(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """All outputs by name, from all inputs by name."""
        ...

    def close(self) -> None:
        """Free what the model holds."""
        ...


def open_engine(graph: FrozenGraph | OnnxGraph) -> Engine:
    """An engine for a model of any format; it has answered events of zeros.

    Raises
    ------
    GraphError
        If the model cannot answer.
    MissingExtra
        If what runs its format is not installed.
    """
    if isinstance(graph, OnnxGraph):
        from tfaas_nb.engines.onnx import OnnxEngine

        return OnnxEngine(graph)
    from tfaas_nb.engines.frozen import FrozenEngine

    return FrozenEngine(graph)
