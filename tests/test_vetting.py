from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import hostile
from tests.graphs import graph_def, placeholder, weighted_sum
from tfaas_nb import backend, vetting
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


def in_attribute(hide: Callable[[Any, bytes], object]) -> Callable[[Any, bytes], object]:
    return lambda graph, data: hide(graph.node[-1].attr["hidden"], data)


def in_function(hide: Callable[[Any, bytes], object]) -> Callable[[Any, bytes], object]:
    def place(graph: Any, data: bytes) -> None:
        made = graph.library.function.add()
        made.signature.name = "mine"
        hide(made, data)

    return place


def packed_strings(*texts: bytes) -> bytes:
    """Strings as TensorFlow writes them into a tensor's content."""
    return b"".join([*(varint(len(text)) for text in texts), *texts])


def varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def as_content(value: Any, data: bytes, dtype: int = 7, count: int = 2) -> None:
    """Strings, of which the one before is empty, in one tensor's content."""
    value.tensor.dtype = dtype
    value.tensor.tensor_content = packed_strings(b"", data)
    value.tensor.tensor_shape.dim.add(size=count)


def as_variant(value: Any, data: bytes) -> None:
    from tensorflow.core.framework.tensor_pb2 import VariantTensorDataProto

    inner = VariantTensorDataProto()
    inner.tensors.add().string_val.append(data)
    as_content(value, inner.SerializeToString(), 21)


def as_numbers(value: Any, data: bytes, dtype: int = 4) -> None:
    value.tensor.dtype = dtype
    value.tensor.int_val.extend(data)


def as_signed_numbers(value: Any, data: bytes) -> None:
    as_numbers(value, b"", 6)
    value.tensor.int_val.extend(byte - 256 if byte > 127 else byte for byte in data)


def as_repeated_numbers(value: Any, data: bytes) -> None:
    """Ends in a field of which half is left out, as its two bytes are the same."""
    as_numbers(value, data + b"\x70")
    value.tensor.tensor_shape.dim.add(size=len(data) + 2)


PLACES: dict[str, Callable[[Any, bytes], object]] = {
    "text": in_attribute(lambda value, data: setattr(value, "s", data)),
    "texts": in_attribute(lambda value, data: value.list.s.append(data)),
    "constant": in_attribute(lambda value, data: value.tensor.string_val.append(data)),
    "content": in_attribute(as_content),
    "variant": in_attribute(
        lambda value, data: setattr(value.tensor.variant_val.add(), "metadata", data)
    ),
    "content of variants": in_attribute(as_variant),
    "uint8": in_attribute(as_numbers),
    "int8": in_attribute(as_signed_numbers),
    "int32": in_attribute(lambda value, data: as_numbers(value, data, 3)),
    "repeated": in_attribute(as_repeated_numbers),
    "argument": in_attribute(lambda value, data: setattr(value.func.attr["inner"], "s", data)),
    "function": in_function(
        lambda made, data: setattr(
            made.node_def.add(name="inner", op="NoOp").attr["hidden"], "s", data
        )
    ),
    "function's attribute": in_function(lambda made, data: setattr(made.attr["hidden"], "s", data)),
    "argument's attribute": in_function(
        lambda made, data: setattr(made.arg_attr[0].attr["hidden"], "s", data)
    ),
    "default": in_function(
        lambda made, data: setattr(made.signature.attr.add(name="hidden").default_value, "s", data)
    ),
}


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
@pytest.mark.parametrize("where", PLACES)
def test_whatever_holds_nodes_is_looked_into(
    writing: Any, write: Callable[[Any], bytes], where: str
) -> None:
    data = write(writing)
    graph = graph_def(weighted_sum)
    PLACES[where](graph, data)
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


def ambiguous(name: str, op: str, hidden: bytes) -> bytes:
    """A function with a sound node; or, as its first fields are read otherwise, a node.

    Names are ``e`` and four letters, so that they pass for a field of that function.
    """
    graph = type(graph_def(weighted_sum))()
    graph.node.add(name=name, op=op).attr["hidden"].s = hidden
    graph.library.function.add().node_def.add(op="Equal")
    function = graph.library.function[0].SerializeToString()
    return bytes(function + graph.node[0].SerializeToString())


def test_bytes_are_vetted_as_all_that_they_can_be_read_as() -> None:
    graph = graph_def(weighted_sum)
    graph.node[-1].attr["hidden"].s = ambiguous("evil1", "WriteFile", b"")
    with pytest.raises(GraphError, match=r"'evil1' of the graph in 'hidden'.*is a 'WriteFile'"):
        vet(graph)
    graph.node[-1].attr["hidden"].s = ambiguous("evil1", "Equal", b"")
    vet(graph)


def test_what_can_be_read_in_several_ways_at_each_level_is_no_bomb() -> None:
    """Eight levels, each of which is read in two ways, would be read 256 times."""
    text = bytes(1_000_000)
    for _ in range(8):
        text = ambiguous("equal", "Equal", text)
    graph = graph_def(weighted_sum)
    graph.node[-1].attr["hidden"].s = text
    began = time.process_time()
    with pytest.raises(GraphError, match="graphs within graphs without end"):
        vet(graph)
    assert time.process_time() - began < 1.0


def test_variants_within_variants_end() -> None:
    graph = graph_def(weighted_sum)
    inner = graph.node[-1].attr["hidden"].tensor
    for _ in range(10):
        inner = inner.variant_val.add().tensors.add()
    with pytest.raises(GraphError, match="constants within constants without end"):
        vet(graph)


def test_numbers_are_not_repeated_without_end() -> None:
    graph = graph_def(weighted_sum)
    value = graph.node[-1].attr["hidden"].tensor
    value.int_val.extend(range(6))
    value.tensor_shape.dim.add(size=1 << 40)
    with pytest.raises(GraphError, match="repeat their last number to more than 64 MB"):
        vet(graph)


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"\xff" * 9, b"\x05\x00abc", b"\x01\x01abc"], ids=repr
)
def test_damaged_strings_are_none(content: bytes) -> None:
    """TensorFlow refuses them."""
    graph = graph_def(weighted_sum)
    value = graph.node[-1].attr["hidden"].tensor
    value.dtype, value.tensor_content = 7, content
    value.tensor_shape.dim.add(size=2)
    vet(graph)
    value.tensor_shape.dim[0].size = 1 << 40
    vet(graph)
    value.tensor_shape.dim[0].size = -1
    vet(graph)


def test_strings_are_written_as_tensorflow_reads_them() -> None:
    tf = backend.tensorflow()
    texts = [b"a" * 300, b"", b"b"]
    value = graph_def(weighted_sum).node[-1].attr["hidden"].tensor
    value.dtype, value.tensor_content = 7, packed_strings(*texts)
    value.tensor_shape.dim.add(size=3)
    made = tf.raw_ops.Identity(input=tf.io.parse_tensor(value.SerializeToString(), tf.string))
    assert list(made.numpy()) == texts == vetting._strings(value)


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
