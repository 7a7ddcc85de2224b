"""Models that mean harm: files as an attacker would upload them."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.graphs import graph_def, placeholder, serialized, weighted_sum
from tfaas_nb import backend

# --- graphs that do more than compute ---------------------------------------------------


def reads_a_file(target: Path) -> bytes:
    def build(tf: Any) -> None:
        read = tf.raw_ops.ReadFile(filename=str(target), name="evil")
        tf.add(placeholder(tf), tf.strings.to_number(read), name="output")

    return serialized(build)


def writes_a_file(target: Path) -> bytes:
    def build(tf: Any) -> None:
        with tf.control_dependencies([tf.raw_ops.WriteFile(
            filename=str(target), contents="content", name="evil"
        )]):  # fmt: skip
            tf.identity(placeholder(tf), name="output")

    return serialized(build)


def lists_files(target: Path) -> bytes:
    return serialized(
        lambda tf: (
            tf.raw_ops.MatchingFiles(pattern=f"{target.parent}/*", name="evil"),
            tf.identity(placeholder(tf), name="output"),
        )
    )


def calls_numpy(target: Path) -> bytes:
    return serialized(
        lambda tf: tf.numpy_function(target.write_bytes, [b"x"], tf.float32, name="evil")
    )


def calls_python(target: Path) -> bytes:
    return serialized(
        lambda tf: tf.py_function(lambda x: x, [placeholder(tf)], tf.float32, name="evil")
    )


def saves(target: Path) -> bytes:
    def build(tf: Any) -> None:
        tf.raw_ops.SaveV2(
            prefix=str(target),
            tensor_names=["t"],
            shape_and_slices=[""],
            tensors=[placeholder(tf)],
            name="evil",
        )

    return serialized(build)


def _writing(target: Path) -> Callable[[Any], Any]:
    def inner(tf: Any) -> Any:
        @tf.function(input_signature=[tf.TensorSpec((None, 3))], autograph=False)  # type: ignore[untyped-decorator]
        def write(x: Any) -> Any:
            with tf.control_dependencies(
                [tf.raw_ops.WriteFile(filename=str(target), contents="content", name="evil")]
            ):
                return tf.identity(x)

        return write

    return inner


def writes_in_a_nested_function(target: Path) -> bytes:
    """The graph calls a function that calls the one that writes."""

    def build(tf: Any) -> None:
        write = _writing(target)(tf)

        @tf.function(input_signature=[tf.TensorSpec((None, 3))], autograph=False)  # type: ignore[untyped-decorator]
        def outer(x: Any) -> Any:
            return write(x) + 1.0

        tf.identity(outer(placeholder(tf)), name="output")

    return serialized(build)


def writes_in_a_serialized_graph(target: Path) -> bytes:
    """A dataset operation that runs the graph in its constant."""

    def build(tf: Any) -> None:
        hidden = tf.constant(writes_a_file(target), name="hidden")
        made = tf.raw_ops.DatasetFromGraph(graph_def=hidden, name="data")
        with tf.control_dependencies([made]):
            tf.identity(placeholder(tf), name="output")

    return serialized(build)


def writes_in_an_attribute(target: Path) -> bytes:
    graph = graph_def(weighted_sum)
    graph.node[-1].attr["_segment"].s = writes_a_file(target)
    return bytes(graph.SerializeToString())


def writes_in_bytes(target: Path) -> bytes:
    """A graph as numbers of eight bits."""
    import numpy as np

    def build(tf: Any) -> None:
        hidden = np.frombuffer(writes_a_file(target), np.uint8)
        with tf.control_dependencies([tf.constant(hidden, name="hidden")]):
            tf.identity(placeholder(tf), name="output")

    return serialized(build)


def writes_in_packed_strings(target: Path) -> bytes:
    """A graph in strings as TensorFlow packs them: a length as a varint, then the bytes."""
    hidden = writes_a_file(target)
    graph = graph_def(weighted_sum)
    value = graph.node.add(name="hidden", op="Const").attr["value"].tensor
    length = bytes([len(hidden) & 0x7F | 0x80, len(hidden) >> 7])
    value.dtype, value.tensor_content = 7, length + hidden
    return bytes(graph.SerializeToString())


def writes_in_numbers(target: Path) -> bytes:
    """A graph as numbers of eight bits, each written down as one of any size."""
    hidden = writes_a_file(target)
    graph = graph_def(weighted_sum)
    value = graph.node.add(name="hidden", op="Const").attr["value"].tensor
    value.dtype = 4
    value.int_val.extend(hidden)
    value.tensor_shape.dim.add(size=len(hidden))
    return bytes(graph.SerializeToString())


def writes_in_a_functions_attribute(target: Path) -> bytes:
    graph = graph_def(weighted_sum)
    function = graph.library.function.add()
    function.signature.name = "mine"
    function.arg_attr[0].attr["_segment"].s = writes_a_file(target)
    return bytes(graph.SerializeToString())


def calls_an_operation(target: Path) -> bytes:
    """A call whose function is no function of the graph, but an operation of TensorFlow."""
    graph = graph_def(weighted_sum)
    call = graph.node.add(name="evil", op="PartitionedCall", input=["x"])
    call.attr["f"].func.name = "WriteFile"
    return bytes(graph.SerializeToString())


def hides_behind_a_name(target: Path) -> bytes:
    """A function of the graph that is called as the operation that the graph uses."""
    graph = graph_def(weighted_sum)
    graph.library.function.add().signature.name = "WriteFile"
    graph.node.add(name="evil", op="WriteFile")
    return bytes(graph.SerializeToString())


# --- graphs that take everything, never end or crash ------------------------------------


def loops_for_ever(tf: Any) -> None:
    start = placeholder(tf)
    (found,) = tf.while_loop(lambda x: tf.reduce_sum(x) < 1.0, lambda x: (x * 1.0,), (start,))
    tf.identity(found, name="output")


def fills(tf: Any) -> None:
    tf.add(placeholder(tf), tf.reduce_sum(tf.fill([100_000, 100_000], 1.0)), name="output")


def tiles(tf: Any) -> None:
    x = placeholder(tf)
    tf.add(x, tf.reduce_sum(tf.tile(x, [1_000_000, 10_000])), name="output")


def counts(tf: Any) -> None:
    x = placeholder(tf)
    tf.add(x, tf.reduce_sum(tf.range(0.0, 1e10 + tf.reduce_sum(x), 1.0)), name="output")


def unpacks() -> bytes:
    """A constant of two kilobytes that says that it is 60 gigabytes of the same number."""
    graph = graph_def(weighted_sum)
    (node,) = (node for node in graph.node if node.op == "Const")
    value = node.attr["value"].tensor
    value.tensor_content = b""
    value.float_val.append(1.0)
    value.tensor_shape.dim[1].size = 5 * 10**9
    return bytes(graph.SerializeToString())


def calls_itself() -> bytes:
    """A function that calls itself, at which TensorFlow's stack overflows."""

    def build(tf: Any) -> None:
        @tf.function(input_signature=[tf.TensorSpec((None, 3))], autograph=False)  # type: ignore[untyped-decorator]
        def once(x: Any) -> Any:
            return x * 2.0

        @tf.function(input_signature=[tf.TensorSpec((None, 3))], autograph=False)  # type: ignore[untyped-decorator]
        def twice(x: Any) -> Any:
            return once(once(x))

        tf.identity(twice(placeholder(tf)), name="output")

    graph = graph_def(build)
    for function in graph.library.function:
        for node in function.node_def:
            if "f" in node.attr:
                node.attr["f"].func.name = function.signature.name
    return bytes(graph.SerializeToString())


def has_too_many_nodes() -> bytes:
    graph = graph_def(weighted_sum)
    for i in range(200_001):
        graph.node.add(name=f"n{i}", op="NoOp")
    return bytes(graph.SerializeToString())


# --- other formats ----------------------------------------------------------------------


def onnx_with_weights_in(path: str) -> bytes:
    """An ONNX model that asks for the content of another file as its weights."""
    from onnx import helper

    from tests.onnx_models import model

    node = helper.make_node("Add", ["x", "w"], ["y"])
    made = model([node], initializer=[_weights_in(path)])
    return bytes(made.SerializeToString())


def _weights_in(path: str) -> Any:
    from onnx import TensorProto

    weights = TensorProto(name="w", dims=[2], data_type=TensorProto.FLOAT)
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", path), ("offset", "0"), ("length", "8")):
        weights.external_data.add(key=key, value=value)
    return weights


def onnx_with_a_default_elsewhere(path: str = "/etc/passwd") -> bytes:
    """A function's constant, which is the default of the function's attribute."""
    from onnx import AttributeProto, helper

    from tests.onnx_models import model

    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.add(name="value", ref_attr_name="v", type=AttributeProto.TENSOR)
    nodes = [constant, helper.make_node("Add", ["a", "w"], ["b"])]
    function = helper.make_function("mine", "F", ["a"], ["b"], nodes, [helper.make_opsetid("", 13)])
    function.attribute_proto.add(name="v", type=AttributeProto.TENSOR, t=_weights_in(path))
    call = helper.make_node("F", ["x"], ["y"], domain="mine")
    made = model([call], opsets=[helper.make_opsetid("mine", 1)], functions=[function])
    return bytes(made.SerializeToString())


def onnx_of_a_custom_domain() -> bytes:
    from onnx import helper

    from tests.onnx_models import model

    node = helper.make_node("PyOp", ["x"], ["y"], "evil", domain="ai.onnx.contrib")
    made = model([node], opsets=[helper.make_opsetid("ai.onnx.contrib", 1)])
    return bytes(made.SerializeToString())


def keras_with_a_lambda(folder: Path) -> bytes:
    keras = backend.keras()
    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]
    path = folder / "evil.keras"
    keras.Sequential(layers).save(path)
    return path.read_bytes()


def h5() -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs["model_config"] = "{}"
    return stream.getvalue()


class _Runs:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


def pickled(target: Path) -> bytes:
    return pickle.dumps(_Runs(target))


def pytorch(target: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model/data.pkl", pickled(target))
    return stream.getvalue()


def saved_model(target: Path, folder: Path) -> bytes:
    """The archive of a SavedModel whose signature writes a file."""
    tf = backend.tensorflow()
    module = tf.Module()
    module.f = _writing(target)(tf)
    with backend.without_notes():
        tf.saved_model.save(module, str(folder), signatures=module.f)
    files = {f"evil/{p.relative_to(folder)}": p.read_bytes() for p in folder.rglob("*.*")}
    return packed(files)


# --- archives ---------------------------------------------------------------------------


def packed(files: Mapping[str, bytes], *odd: tarfile.TarInfo) -> bytes:
    """A ``.tar.gz`` of odd members, then of files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for entry in odd:
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def sum_files(folder: str = "sum/") -> dict[str, bytes]:
    """The files of a sound model."""
    params = json.dumps({"name": "sum"}).encode()
    return {f"{folder}params.json": params, f"{folder}model.pb": serialized(weighted_sum)}


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def symlink_then_a_file_through_it(target: Path) -> bytes:
    through = {f"sum/there/{target.name}": b"content"}
    return packed(sum_files() | through, link("sum/there", str(target.parent)))


def bomb(megabytes: int = 64) -> bytes:
    """A thousandth of what it unpacks to, which is as far as gzip goes."""
    entry = tarfile.TarInfo("sum/model.pb")
    entry.size = megabytes << 20
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [squeeze.compress(entry.tobuf(tarfile.GNU_FORMAT))]
    parts += [squeeze.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join([*parts, squeeze.flush()])


def bomb_of_bombs() -> bytes:
    """Packed twice: a hundred-thousandth of what it unpacks to."""
    return gzip.compress(bomb(), mtime=0)


def tar_of_zeros(megabytes: int = 64) -> bytes:
    entry = tarfile.TarInfo("sum/model.pb")
    entry.size = megabytes << 20
    return entry.tobuf(tarfile.GNU_FORMAT) + bytes(megabytes << 20)


def keras_of_zeros(megabytes: int = 80) -> bytes:
    """A configuration of blanks, packed by bzip2, which goes further than gzip can."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("config.json", b" " * (megabytes << 20))
    return stream.getvalue()


def sparse(members: int = 1) -> bytes:
    """A kilobyte that says to be 500 MB of holes, a hundred thousand times its size."""
    entries = []
    for i in range(members):
        entry = tarfile.TarInfo(f"sum/hole{i}")
        entry.type = tarfile.GNUTYPE_SPARSE
        header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
        header[386:398] = header[398:410] = b"%011o\0" % 0
        header[386:398] = b"%011o\0" % (500 << 20)
        header[483:495] = b"%011o\0" % (500 << 20)
        header[148:156] = b"        "
        header[148:156] = b"%06o\0 " % sum(header)
        entries.append(bytes(header))
    return gzip.compress(b"".join(entries) + bytes(1024), mtime=0)
