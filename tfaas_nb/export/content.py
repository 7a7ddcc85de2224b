"""Contents of an export: a model, with labels, features and files of its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import OnnxGraph

Graph = FrozenGraph | OnnxGraph


@dataclass(frozen=True)
class Content:
    """A model to be written in another format.

    Attributes
    ----------
    name : str
        Name under which it is served.
    graph : FrozenGraph or OnnxGraph
        The model.
    labels : tuple of str
        Names of its outputs.
    features : tuple of str
        Names of its inputs in order; empty when they are not known.
    files : mapping of str to bytes
        File name → content of the bundle's directory.
    version : int
        Its number where a server keeps several in one folder.
    """

    name: str
    graph: Graph
    labels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    version: int = 1

    def frozen(self, form: str) -> FrozenGraph:
        """The model as a graph of TensorFlow.

        Raises
        ------
        GraphError
            If it is an ONNX model; the message says that it cannot be written as `form`.
        """
        if not isinstance(self.graph, FrozenGraph):
            raise GraphError(f"an ONNX model cannot be written as {form}")
        return self.graph
