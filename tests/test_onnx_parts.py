"""ONNX models with their nodes in another order, and with their weights in files beside them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from tests.onnx_models import FLOAT, model
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import BundleError, GraphError, TooLarge
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.widgets import chosen

X = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
W = np.arange(4, dtype=np.float32).reshape(2, 2)


def onnxruntime_says(serialized: bytes, events: np.ndarray[Any, Any] = X) -> Any:
    session = onnxruntime.InferenceSession(serialized, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: events})[-1]


def shuffled(proto: Any) -> bytes:
    """The model with its nodes, also those within others, in the opposite order."""
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _turn(attribute.g.node)
    _turn(proto.graph.node)
    data: bytes = proto.SerializeToString()
    return data


def _turn(nodes: Any) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del nodes[:]
    nodes.extend(reversed(copies))


def branching() -> Any:
    """A model whose branches take a value of the graph around them, made by a later node."""
    nodes = [helper.make_node("Add", ["h", "h"], ["k"]), helper.make_node("Exp", ["k"], ["b"])]
    ends = [helper.make_tensor_value_info("b", FLOAT, (None, 2))]
    branch = helper.make_graph(nodes, "branch", [], ends)
    true = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
    choice = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return model([true, helper.make_node("Tanh", ["x"], ["h"]), choice])


def chain() -> Any:
    """A model of a classifier that has more steps than one."""
    steps = ["x", *"abcdefgh"]
    nodes = [
        helper.make_node("Tanh" if i % 2 else "Neg", [source], [sink])
        for i, (source, sink) in enumerate(zip(steps, [*steps[1:], "y"], strict=True))
    ]
    return model(nodes)


@pytest.mark.parametrize("make", [branching, chain])
def test_nodes_in_any_order_are_served_as_onnxruntime_does(make: Any) -> None:
    content = shuffled(make())
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(content)
    bundle = Bundle.of(content, "m")
    onnx.checker.check_model(bundle.graph.serialized)  # also for programs that demand the order
    # What onnxruntime gives the nodes in order: within branches it demands that, too.
    served, expected = open_engine(bundle.graph)(X), onnxruntime_says(make().SerializeToString())
    np.testing.assert_allclose(served, expected, atol=1e-6)
    origin = bundle.card["converted_from"]
    assert origin == {
        "format": "ONNX",
        "files": {"model.onnx": hashlib.sha256(content).hexdigest()},
    }


def test_a_model_in_order_stays_byte_for_byte() -> None:
    content = branching().SerializeToString()
    assert OnnxGraph.from_bytes(content).serialized == content


def test_nodes_in_a_circle_are_named() -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Neg", ["a"], ["b"])]
    content = model([*nodes, helper.make_node("Neg", ["b"], ["y"])]).SerializeToString()
    with pytest.raises(GraphError, match=r"'a' \(Add\), 'b' \(Neg\), .* in a circle"):
        OnnxGraph.from_bytes(content)


# --- weights beside the model -------------------------------------------------------------


def split(location: str = "model.onnx.data", offset: str = "0", **told: str) -> tuple[bytes, bytes]:
    """A model, and the file that it takes its weights from."""
    weight = numpy_helper.from_array(W, "w")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    told = {"location": location, "offset": offset, "length": str(W.nbytes)} | told
    for key, value in told.items():
        weight.external_data.add(key=key, value=value)
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])], initializer=[weight])
    return proto.SerializeToString(), bytes(int(offset) % 100) + W.tobytes()


def packed(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return stream.getvalue()


def check(bundle: Bundle) -> None:
    np.testing.assert_allclose(open_engine(bundle.graph)(X), X @ W, rtol=1e-6)
    onnx.checker.check_model(bundle.graph.serialized)
    origin = bundle.card["converted_from"]
    assert (origin["format"], len(origin["files"])) == ("ONNX", 2)


@pytest.mark.parametrize("folder", ["tagger/", "", "export/tagger/3/"])
def test_weights_are_taken_from_the_same_archive(folder: str) -> None:
    content, data = split(offset="64")
    files = {f"{folder}model.onnx": content, f"{folder}model.onnx.data": data}
    bundle = Bundle.from_upload(packed(files))
    assert bundle.name == ("tagger" if folder else "model")
    check(bundle)
    params = b'{"name": "other", "model": "model.onnx"}'
    check(Bundle.from_upload(packed({**files, f"{folder}params.json": params})))


def test_weights_are_taken_from_the_folder_of_the_model(tmp_path: Path) -> None:
    content, data = split("parts/w.bin", checksum=hashlib.sha1(W.tobytes()).hexdigest())
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/w.bin").write_bytes(data)
    (tmp_path / "tagger.onnx").write_bytes(content)
    bundle = Bundle.of(tmp_path / "tagger.onnx")
    assert bundle.name == "tagger"
    check(bundle)
    check(Bundle.of(tmp_path))
    (tmp_path / "params.json").write_text('{"name": "own", "model": "tagger.onnx"}')
    check(Bundle.of(tmp_path))
    check(Bundle.load(tmp_path))


def test_what_onnx_itself_writes_beside_a_model_is_read(tmp_path: Path) -> None:
    proto = branching()
    weight = numpy_helper.from_array(np.ones((3000, 2), np.float32), "w")
    proto.graph.initializer.append(weight)
    proto.graph.node.append(helper.make_node("ReduceMean", ["w"], ["m"], axes=[0]))
    proto.graph.node[-2].output[0] = "z"
    proto.graph.node.append(helper.make_node("Add", ["z", "m"], ["y"]))
    expected = onnxruntime_says(proto.SerializeToString())
    path = tmp_path / "model.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="w.data")
    assert path.stat().st_size < 2000
    np.testing.assert_allclose(open_engine(Bundle.of(path).graph)(X), expected, rtol=1e-6)


def test_a_lone_file_says_how_to_bring_its_weights(tmp_path: Path) -> None:
    content, _ = split()
    (tmp_path / "m.onnx").write_bytes(content)
    for source in (content, tmp_path / "m.onnx"):
        with pytest.raises(GraphError, match="external_data=False.*'model.onnx.data' with it"):
            Bundle.of(source, "m")


def test_a_name_that_is_no_text_is_refused() -> None:
    content, weights = split(location="w.data")
    damaged = content.replace(b"w.data", b"w\xe5data")
    assert damaged != content
    with pytest.raises(GraphError, match=r"bring 'w\\\\xe5data' with it"):
        Bundle.from_upload(damaged, "m", beside={"w.data": weights})


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"location": "../secret"}, "in another file: save the model as one file"),
        ({"location": "/etc/passwd"}, "in another file"),
        ({"location": "a/../model.onnx.data"}, "in another file"),
        ({"location": "other.data"}, r"bring 'other.data' .*with the model came model.onnx.data"),
        ({"length": "12"}, "12 bytes in 'model.onnx.data', their type and shape need 16"),
        ({"offset": "4"}, "end at byte 20 of 'model.onnx.data', which has 16: was it cut"),
        ({"offset": "-4"}, "have '-4' for their offset"),
        ({"offset": "9" * 400}, "for their offset"),
        ({"checksum": "0" * 40}, "its SHA-1 is .*, expected 000000000000…; was it damaged"),
    ],
)
def test_weights_that_do_not_fit_are_refused(told: dict[str, str], message: str) -> None:
    (content, _), data = split(**told), W.tobytes()
    with pytest.raises(GraphError, match=message):
        Bundle.from_upload(packed({"m/model.onnx": content, "m/model.onnx.data": data}))


def test_no_link_leads_out_of_the_models_folder(tmp_path: Path) -> None:
    content, data = split()
    with pytest.raises(BundleError, match="not a regular file"):
        Bundle.from_upload(packed({"m/model.onnx": content}, {"m/model.onnx.data": "/etc/passwd"}))
    (tmp_path / "secret").write_bytes(data)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.onnx").write_bytes(content)
    (tmp_path / "m/model.onnx.data").symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match="a link or no regular file"):
        Bundle.of(tmp_path / "m/model.onnx")


def test_a_small_file_does_not_become_large_weights() -> None:
    """Fifty tensors that are all the same megabyte of a file."""
    data = bytes(1 << 20)
    tensors = []
    for i in range(50):
        tensor = onnx.TensorProto(name=f"w{i}", data_type=FLOAT, dims=[1 << 18])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="data")
        tensors.append(tensor)
    content = model([helper.make_node("Neg", ["x"], ["y"])], initializer=tensors)
    with pytest.raises(TooLarge, match="takes more than 33 MB of weights from the files beside"):
        OnnxGraph.from_bytes(content.SerializeToString(), {"data": data})


@pytest.mark.slow
def test_files_chosen_together_and_a_path_in_a_widget_are_read(tmp_path: Path) -> None:
    content, data = split()
    (tmp_path / "tagger.onnx").write_bytes(content)
    (tmp_path / "model.onnx.data").write_bytes(data)
    check(chosen.read({"tagger.onnx": content, "model.onnx.data": data}))
    check(chosen.read_path(str(tmp_path / "tagger.onnx")))
