from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import hostile
from tests.graphs import graph_def, placeholder, weighted_sum
from tfaas_nb import backend
from tfaas_nb.errors import GraphError
from tfaas_nb.operations import ALLOWED
from tfaas_nb.vetting import check_operations, has_loops, vet


def parsed(serialized: bytes) -> Any:
    return type(graph_def(weighted_sum)).FromString(serialized)


@pytest.fixture(scope="module")
def writing() -> Any:
    """A graph that writes a file in a function."""
    return parsed(hostile.writes_in_a_nested_function(Path("target")))


def as_saved_model(graph: Any) -> bytes:
    backend.tensorflow()
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    whole = SavedModel(saved_model_schema_version=1)
    whole.meta_graphs.add().graph_def.CopyFrom(graph)
    return bytes(whole.SerializeToString())


def as_meta_graph(graph: Any) -> bytes:
    backend.tensorflow()
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

    return bytes(MetaGraphDef(graph_def=graph).SerializeToString())


def function(graph: Any) -> bytes:
    (found,) = (
        function
        for function in graph.library.function
        if any(node.op == "WriteFile" for node in function.node_def)
    )
    return bytes(found.SerializeToString())


def node(graph: Any) -> bytes:
    found = type(graph)()
    found.node.add(name="evil", op="WriteFile")
    return bytes(found.node[0].SerializeToString())


@pytest.mark.parametrize(
    "write",
    [
        lambda graph: graph.SerializeToString(),
        lambda graph: graph.library.SerializeToString(),
        function,
        node,
        as_meta_graph,
        as_saved_model,
    ],
    ids=["graph", "library", "function", "node", "meta graph", "SavedModel"],
)
@pytest.mark.parametrize("where", ["text", "texts", "constant", "variant", "argument", "function"])
def test_whatever_holds_nodes_is_looked_into(
    writing: Any, write: Callable[[Any], bytes], where: str
) -> None:
    data = write(writing)
    graph = graph_def(weighted_sum)
    value = graph.node[-1].attr["hidden"]
    if where == "text":
        value.s = data
    elif where == "texts":
        value.list.s.append(data)
    elif where == "constant":
        value.tensor.string_val.append(data)
    elif where == "variant":
        value.tensor.variant_val.add().metadata = data
    elif where == "argument":
        value.func.attr["inner"].s = data
    else:
        made = graph.library.function.add()
        made.signature.name = "mine"
        made.node_def.add(name="inner", op="NoOp").attr["hidden"].s = data
    with pytest.raises(GraphError, match=r"'evil'.* of the graph in 'hidden.*is a 'WriteFile'"):
        vet(graph)


def test_a_graph_in_a_graph_in_a_graph_is_found(writing: Any) -> None:
    data = writing.SerializeToString()
    for _ in range(3):
        graph = graph_def(weighted_sum)
        graph.node[-1].attr["hidden"].s = data
        data = graph.SerializeToString()
    with pytest.raises(GraphError, match=r"'WriteFile'"):
        vet(parsed(data))
    for _ in range(9):
        graph = graph_def(weighted_sum)
        graph.node[-1].attr["hidden"].s = data
        data = graph.SerializeToString()
    with pytest.raises(GraphError, match="graphs within graphs without end"):
        vet(parsed(data))


def test_words_and_weights_are_no_graphs() -> None:
    graph = graph_def(weighted_sum)
    for text in (b"jetPt_0", b"\n\x0bsome words\n", bytes(100), b"\n\x04\n\x02ab", b"WriteFile"):
        graph.node[-1].attr["names"].list.s.append(text)
    vet(graph)


def test_an_operator_may_allow_more() -> None:
    graph = graph_def(weighted_sum)
    graph.node.add(name="inverse", op="MatrixInverse")
    with pytest.raises(GraphError, match="node 'inverse' is a 'MatrixInverse'"):
        vet(graph)
    vet(graph, ALLOWED | check_operations(["MatrixInverse"]))


def test_what_is_allowed_are_names_of_operations() -> None:
    assert check_operations("MatrixInverse") == {"MatrixInverse"}
    for name in ("", "Matrix Inverse", "a/b", "*"):
        with pytest.raises(GraphError, match="is no operation"):
            check_operations([name])


# --- loops that may not end ---------------------------------------------------------------


def looping(tf: Any) -> None:
    tf.while_loop(lambda v: tf.reduce_sum(v) > 1, lambda v: (v * 0.5,), (placeholder(tf),))


def recursive(op: str) -> Any:
    """A function that calls itself, by an attribute or by an operation of its name."""
    graph = graph_def(weighted_sum)
    again = graph.library.function.add()
    again.signature.name = "again"
    node = again.node_def.add(name="call", op=op)
    if op != "again":
        node.attr["f"].func.name = "again"
    return graph


def test_loops_are_found_wherever_they_stand() -> None:
    assert has_loops(graph_def(looping))
    inner = graph_def(weighted_sum)
    inner.library.function.add().node_def.add(name="loop", op="StatelessWhile")
    assert has_loops(inner)
    assert has_loops(recursive("PartitionedCall"))
    assert has_loops(recursive("again"))
    old = graph_def(weighted_sum)
    old.node.add(name="loop", op="LoopCond")
    assert has_loops(old)


def test_what_calls_each_function_once_has_no_loop() -> None:
    graph = graph_def(weighted_sum)
    assert not has_loops(graph)
    graph.library.function.add().signature.name = "once"
    graph.node.add(name="call", op="PartitionedCall").attr["f"].func.name = "once"
    assert not has_loops(graph)
