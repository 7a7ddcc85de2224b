from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import freezing
from tests.reliability.decoders import DECODERS
from tfaas_nb import backend, isolation, saved_model
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.signature import Tensor

Build = Callable[[Any, Path], object]


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def saved(build: Build, folder: Path) -> dict[str, bytes]:
    with backend.without_notes():
        build(backend.tensorflow(), folder)
    return files(folder)


def odd_names(tf: Any, folder: Path) -> None:
    """Variables of one name, an embedding, and tensor names that no node may have."""

    class Model(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.first = tf.Variable([[1.0], [2.0]])
            self.second = tf.Variable([[10.0], [20.0]])
            self.table = tf.Variable(np.arange(10, dtype=np.float32).reshape(5, 2))

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec((None, 2)), tf.TensorSpec((None,), tf.int32)],
            autograph=False,
        )
        def odd(self, x: Any = None, index: Any = None) -> Any:
            moved = x + tf.gather(self.table, index)
            return {"the sum:0": tf.matmul(moved, self.first) + tf.matmul(x, self.second)}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures={"odd": model.odd})


def of_tensorflow_1(tf: Any, folder: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = v1.placeholder("float32", (None, 3), name="xx")
        ones = v1.ones_initializer()
        reference = v1.get_variable("w", (3, 1), use_resource=False, initializer=ones)
        resource = v1.get_variable("u", (3, 1), use_resource=True, initializer=ones)
        y = tf.matmul(x, reference) + 10 * tf.matmul(x, resource)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(session, str(folder), {"x in": x}, {"y": y})


def calls(
    function: Callable[[Any, Any], Any], dtype: str = "float32", shape: tuple[Any, ...] = (None, 2)
) -> Build:
    def build(tf: Any, folder: Path) -> None:
        module = tf.Module()
        spec = tf.TensorSpec(shape, dtype, name="x")
        module.f = tf.function(lambda x: function(tf, x), input_signature=[spec], autograph=False)
        tf.saved_model.save(module, str(folder), signatures=module.f)

    return build


def with_a_stowaway(tf: Any, folder: Path) -> None:
    """A node that nobody asks for, and an object that the loader would make."""
    calls(lambda tf, x: 2 * x)(tf, folder)
    model = saved_model._meta_graph((folder / "saved_model.pb").read_bytes())
    model.graph_def.node.add(name="evil", op="ReadFile", input=["Const"])
    model.object_graph_def.nodes.add().resource.device = ""
    whole = type_of_file()(saved_model_schema_version=1, meta_graphs=[model])
    (folder / "saved_model.pb").write_bytes(whole.SerializeToString())


def of_keras() -> Any:
    keras = backend.keras()
    keras.utils.set_random_seed(1)
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b", dtype="int32")
    joined = keras.layers.Concatenate()([a, keras.ops.cast(b, "float32")])
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(4, "relu")(joined))
    return keras.Model({"a": a, "b": b}, {"m": keras.layers.Dense(1)(hidden), "h": hidden})


@pytest.fixture(scope="module")
def keras_model() -> Any:
    return of_keras()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory, keras_model: Any) -> dict[str, str]:
    """Several SavedModels frozen in one process, each as hexadecimal digits or an error."""
    home = tmp_path_factory.mktemp("models")
    builds: dict[str, Build] = {
        "odd": odd_names,
        "one": of_tensorflow_1,
        "stowaway": with_a_stowaway,
        "damaged": odd_names,
        "keras": lambda tf, folder: keras_model.export(folder, verbose=False),
    }
    sent = {}
    for name, build in builds.items():
        for path, content in saved(build, home / name).items():
            sent[f"{name}/{path}"] = content
    sent["damaged/variables/variables.index"] = b"damaged"
    names = [f"{n}:{'odd' if b is odd_names else 'serving_default'}" for n, b in builds.items()]
    found: dict[str, str] = json.loads(isolation.run(freezing.work, sent, *names))
    return found


def opened(hexadecimal: str) -> tuple[FrozenGraph, FrozenEngine]:
    graph = FrozenGraph.from_bytes(bytes.fromhex(hexadecimal))
    return graph, FrozenEngine(graph)


@pytest.mark.slow
def test_a_signature_of_any_names_is_frozen(graphs: dict[str, str]) -> None:
    graph, engine = opened(graphs["odd"])
    # In the order of the function's arguments.
    assert graph.signature.inputs == (Tensor("x", "float32", (2,)), Tensor("index", "int32", ()))
    assert graph.signature.outputs == (Tensor("the sum:0", "float32", (1,)),)
    found = engine.run({"x": [[1, 2], [0, 0]], "index": [0, 4]})
    np.testing.assert_array_equal(found["the sum:0"], [[57], [26]])
    operations = {node.op for node in graph.graph_def().node}
    assert not {"StatefulPartitionedCall", "VarHandleOp", "ReadVariableOp"} & operations


@pytest.mark.slow
def test_a_saved_model_of_tensorflow_1_is_frozen(graphs: dict[str, str]) -> None:
    graph, engine = opened(graphs["one"])
    assert [t.name for t in (*graph.signature.inputs, *graph.signature.outputs)] == ["x in", "y"]
    np.testing.assert_array_equal(engine(np.ones((2, 3), np.float32)), [[33], [33]])


@pytest.mark.slow
def test_a_keras_export_scores_as_keras_does(graphs: dict[str, str], keras_model: Any) -> None:
    rng = np.random.default_rng(2)
    events = {"a": rng.normal(size=(4, 3)).astype(np.float32), "b": rng.integers(0, 9, (4, 2))}
    found = opened(graphs["keras"])[1].run(events)
    for name, expected in keras_model(events).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-6)


@pytest.mark.slow
def test_what_the_signature_does_not_need_is_left_where_it_is(graphs: dict[str, str]) -> None:
    graph, engine = opened(graphs["stowaway"])
    assert "ReadFile" not in {node.op for node in graph.graph_def().node}
    np.testing.assert_array_equal(engine(np.ones((1, 2), np.float32)), [[2, 2]])


@pytest.mark.slow
def test_a_damaged_checkpoint_is_told(graphs: dict[str, str]) -> None:
    assert graphs["damaged"].startswith("GraphError: the SavedModel's checkpoint cannot be read")


def type_of_file() -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel


# --- refused ----------------------------------------------------------------------------


def looks_up(tf: Any, x: Any) -> Any:
    return TABLES[0].lookup(tf.cast(x, tf.int64))


TABLES: list[Any] = []


def with_a_table(tf: Any, folder: Path) -> None:
    keys = tf.constant([1, 2], tf.int64)
    initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.constant([3.0, 4.0]))
    TABLES[:] = [tf.lookup.StaticHashTable(initializer, 0.0)]
    module = tf.Module()
    module.table = TABLES[0]
    spec = tf.TensorSpec((None, 2), name="x")
    module.f = tf.function(lambda x: looks_up(tf, x), input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder), signatures=module.f)


def reads_a_file(tf: Any, x: Any) -> Any:
    return x + tf.strings.to_number(tf.io.read_file("/etc/hostname"))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (with_a_table, "is a 'HashTableV2': this operation may not be served"),
        (calls(reads_a_file), r"node 'ReadFile' of function '.*' is a 'ReadFile'"),
        (calls(lambda tf, x: tf.strings.length(x), "string"), "tensor 'x' is string: only num"),
        (calls(lambda tf, x: x, shape=(7, 2)), r"'x' has shape \[7, 2\]: its first axis must be"),
        (calls(lambda tf, x: x, shape=()), r"'x' has shape \[\]: its first axis must be open"),
    ],
)
def test_what_may_not_be_served_is_refused_before_anything_runs(
    build: Build, message: str, tmp_path: Path
) -> None:
    with pytest.raises(GraphError, match=message):
        saved_model.plan(saved(build, tmp_path)["saved_model.pb"])


def test_signatures_are_told_apart(tmp_path: Path) -> None:
    def build(tf: Any, folder: Path) -> None:
        module = tf.Module()
        spec = [tf.TensorSpec((None, 2), name="x")]
        module.f = tf.function(lambda x: x + 1.0, input_signature=spec)
        module.g = tf.function(lambda x: x + 2.0, input_signature=spec)
        tf.saved_model.save(module, str(folder), signatures={"one": module.f, "two": module.g})

    serialized = saved(build, tmp_path)["saved_model.pb"]
    with pytest.raises(GraphError, match=r"signatures \['one', 'two'\] and none called 'serving_d"):
        saved_model.plan(serialized)
    with pytest.raises(GraphError, match=r"no signature 'three': it has \['one', 'two'\]"):
        saved_model.plan(serialized, "three")
    assert saved_model.plan(serialized, "two").signature == "two"


def spoilt(serialized: bytes, change: Callable[[Any], None]) -> bytes:
    whole = type_of_file().FromString(serialized)
    change(whole.meta_graphs[0])
    data: bytes = whole.SerializeToString()
    return data


def elsewhere(meta_graph: Any) -> None:
    """The restore function reads a file of its own choice."""
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "RestoreV2":
                node.op = "ReadFile"


def without_restore(meta_graph: Any) -> None:
    meta_graph.saver_def.restore_op_name = "nothing"


def renamed(meta_graph: Any) -> None:
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "RestoreV2":
                node.input[1] = "file_prefix"


def unnamed(meta_graph: Any) -> None:
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "RestoreV2":
                del node.input[1:]


def emptied(meta_graph: Any) -> None:
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "Const":
                node.attr["value"].tensor.ClearField("string_val")


def of_a_huge_output(meta_graph: Any) -> None:
    """Longer than what Python takes for a number."""
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "AssignVariableOp":
                node.input[1] += "0" * 5000


def of_no_type(meta_graph: Any) -> None:
    for definition in meta_graph.signature_def.values():
        for info in definition.inputs.values():
            info.dtype = 99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (elsewhere, "variable 'Variable.*' has no value in the SavedModel's checkpoint"),
        (without_restore, "variable 'Variable.*' has no value in the SavedModel's checkpoint"),
        (renamed, "computes what it restores in 'saver_filename'"),
        (unnamed, "'RestoreV2' does not say what it restores"),
        (emptied, "does not say in 'RestoreV2/tensor_names' what it restores"),
        (of_a_huge_output, "asks for output .*0{7}… of a node"),
        (of_no_type, "is of a type that there is not: 99"),
        (lambda graph: graph.meta_info_def.ClearField("tags"), "nothing tagged 'serve'"),
    ],
)
def test_restore_operations_are_read_and_never_run(
    change: Callable[[Any], None], message: str, tmp_path: Path
) -> None:
    serialized = saved(odd_names, tmp_path)["saved_model.pb"]
    with pytest.raises(GraphError, match=message):
        saved_model.plan(spoilt(serialized, change))


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x08\x01"])
def test_other_files_are_no_saved_models(data: bytes) -> None:
    with pytest.raises(GraphError, match=r"saved_model\.pb"):
        saved_model.plan(data)


def test_copies_of_copies_without_end_are_refused() -> None:
    """Refuse a cycle of copies: the search for its origin never ended."""
    (serialized,) = DECODERS["saved-model"].seeds()
    model = type_of_file().FromString(serialized)
    for node in model.meta_graphs[0].graph_def.node:
        if node.op == "Identity":
            node.input[0] = node.name
    with pytest.raises(GraphError, match="copies without end"):
        saved_model.plan(model.SerializeToString())


@pytest.mark.slow
def test_of_folders_of_versions_the_highest_is_served(tmp_path: Path) -> None:
    """TensorFlow Serving's folder, and the same in an archive; TensorFlow 1's own files."""
    saved(of_tensorflow_1, tmp_path / "ttbar/10")
    (tmp_path / "ttbar/9").mkdir()
    (tmp_path / "ttbar/9/saved_model.pb").write_bytes(b"an older one")
    (tmp_path / "ttbar/._10").write_bytes(b"")
    X = np.arange(6, dtype=np.float32).reshape(2, 3)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "ttbar")
    for bundle in (
        Bundle.from_saved_model(tmp_path / "ttbar", "ttbar"),
        Bundle.of(tmp_path / "ttbar"),
        Bundle.of(Path(archive)),
    ):
        assert bundle.name == "ttbar"
        assert FrozenEngine(bundle.graph)(X).tolist() == (11 * X.sum(1, keepdims=True)).tolist()
