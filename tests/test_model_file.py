from __future__ import annotations

import pickle

import pytest

from tests.graphs import serialized, weighted_sum
from tfaas_nb import model_file
from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph


def test_a_frozen_graph_is_served_as_it_is() -> None:
    content = serialized(weighted_sum)
    read = model_file.HERE.read(content, "x", "y")
    assert isinstance(read.graph, FrozenGraph)
    assert read.graph.serialized == content
    assert not read.converted_from
    assert model_file.is_model(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89HDF\r\n\x1a\n and so on", r"an \.h5 file, .*: save the model as \.keras"),
        (pickle.dumps([1]), "a pickle, which is a program: export the model as ONNX"),
        (pickle.dumps([1], protocol=2), "a pickle"),
        (b"\x08\x01\x12\x03abc", r"saved_model\.pb alone is no model: upload its folder"),
        (b"\x08\xff", "not an ONNX model"),
        (b"hello", "not a TensorFlow GraphDef"),
    ],
)
def test_formats_that_are_not_served_say_what_to_do(content: bytes, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        model_file.HERE.read(content)
