from __future__ import annotations

from typing import Any

import pytest

from tests.graphs import graph_def, weighted_sum
from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import GraphError
from tfaas_nb.export.older import LATER, PRODUCER, for_older
from tfaas_nb.graph import FrozenGraph


def with_gradient(value: bool) -> FrozenGraph:
    """A MatMul with an attribute that TensorFlow 2.6 does not know."""
    built = graph_def(weighted_sum)
    (node,) = (node for node in built.node if node.op == "MatMul")
    node.attr["grad_a"].b = value
    return FrozenGraph.from_bytes(built.SerializeToString())


def test_the_default_of_a_later_attribute_is_left_out() -> None:
    graph = for_older(with_gradient(False))
    (node,) = (node for node in graph.graph_def().node if node.op == "MatMul")
    assert not set(node.attr) & LATER["MatMul"]
    assert FrozenGraph.from_bytes(graph.serialized).signature == graph.signature


def test_what_older_ones_lack_is_told() -> None:
    with pytest.raises(GraphError, match="a 'MatMul', has the attribute 'grad_a', which TensorFl"):
        for_older(with_gradient(True))


def test_later_attributes_are_this_tensorflows() -> None:
    backend.tensorflow()
    from tensorflow.python.framework import op_def_registry

    def known(op: str) -> Any:
        found = op_def_registry.get(op)
        return {attribute.name: attribute for attribute in found.attr} if found else {}

    for op, attributes in LATER.items():
        for name in attributes & set(known(op)):
            is_internal = op.startswith("_")  # TensorFlow's optimiser makes such nodes only
            assert is_internal or known(op)[name].HasField("default_value"), (op, name)


def test_a_bundles_graph_says_that_it_is_older(bundle: Bundle) -> None:
    versions = for_older(bundle.graph).graph_def().versions
    assert (versions.producer, versions.min_consumer) == (PRODUCER, 0)
    assert not versions.bad_consumers
