"""Models with several inputs: an array has them in the order in which the model was made."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tf2onnx

from tests.graphs import serialized
from tests.onnx_models import FLOAT, model
from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import BundleError, FeatureError
from tfaas_nb.export.onnx import onnx_model
from tfaas_nb.export.saved_model import serialized as as_saved_model
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.model_file import HERE
from tfaas_nb.serving.server import Server

#: Neither the order of names nor that of widths.
INPUTS = {"zeta": 2, "alpha": 3, "mid": 1}
EVENTS = {
    name: np.random.default_rng(i).normal(size=(5, width)).astype(np.float32)
    for i, (name, width) in enumerate(INPUTS.items())
}
ARRAY = np.hstack(list(EVENTS.values()))


def archive(folder: Path, **more: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(folder, folder.name)
        for name, content in more.items():
            entry = tarfile.TarInfo(f"{folder.name}/{name.replace('_json', '.json')}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture(scope="module")
def network() -> Any:
    """A Keras model whose layers take the inputs in yet another order."""
    keras = backend.keras()
    keras.utils.set_random_seed(7)
    inputs = {name: keras.Input((width,), name=name) for name, width in INPUTS.items()}
    joined = keras.layers.Concatenate()([inputs["mid"], inputs["zeta"], inputs["alpha"]])
    return keras.Model(list(inputs.values()), keras.layers.Dense(1, "tanh")(joined))


@pytest.fixture(scope="module")
def expected(network: Any) -> Any:
    return network.predict(list(EVENTS.values()), verbose=0)[:, 0]


def as_keras(network: Any, folder: Path) -> bytes:
    network.save(folder / "m.keras")
    return (folder / "m.keras").read_bytes()


def as_export(network: Any, folder: Path) -> bytes:
    network.export(folder / "export", verbose=False)
    return archive(folder / "export")


def as_tensorflow_saves(network: Any, folder: Path) -> bytes:
    backend.tensorflow().saved_model.save(network, str(folder / "saved"))
    return archive(folder / "saved")


def as_frozen(network: Any, folder: Path) -> bytes:
    return FrozenGraph.freeze(network).serialized


def as_onnx(network: Any, folder: Path) -> bytes:
    made, _ = tf2onnx.convert.from_keras(network)
    data: bytes = made.SerializeToString()
    return data


def as_function(network: Any, folder: Path) -> bytes:
    """A function of TensorFlow with arguments in the order of the inputs."""
    tf = backend.tensorflow()
    module = tf.Module()
    module.network = network
    specs = [tf.TensorSpec((None, width), name=name) for name, width in INPUTS.items()]
    module.f = tf.function(lambda *tensors: network(list(tensors)), input_signature=specs)
    tf.saved_model.save(module, str(folder / "function"), signatures=module.f)
    return archive(folder / "function")


def as_our_saved_model(network: Any, folder: Path) -> bytes:
    (folder / "ours" / "variables").mkdir(parents=True)
    whole = as_saved_model(FrozenGraph.freeze(network))
    (folder / "ours" / "saved_model.pb").write_bytes(whole)
    return archive(folder / "ours")


def as_our_onnx(network: Any, folder: Path) -> bytes:
    return onnx_model(FrozenGraph.freeze(network)).serialized


WRITERS: tuple[Callable[[Any, Path], bytes], ...] = (
    *(as_keras, as_export, as_tensorflow_saves, as_frozen, as_onnx),
    *(as_function, as_our_saved_model, as_our_onnx),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, network: Any) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("order")
    with Server(folder / "models", port=0, token=False) as server:
        for write in WRITERS:
            (folder / write.__name__).mkdir()
            content = write(network, folder / write.__name__)
            address = f"{server.url}/upload?name={write.__name__}"
            headers = {"Content-Type": "application/octet-stream"}
            answer = requests.post(address, content, headers=headers, timeout=300)
            assert answer.ok, f"{write.__name__}: {answer.text}"
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("name", [write.__name__ for write in WRITERS])
def test_an_array_has_the_inputs_in_the_order_of_the_model(
    served: Server, expected: Any, name: str
) -> None:
    client = served.client()
    np.testing.assert_allclose(client.predict(name, ARRAY), expected, atol=1e-6)
    np.testing.assert_allclose(client.predict(name, ARRAY[0]), expected[0], atol=1e-6)
    body = {"instances": ARRAY.tolist()}
    answer = requests.post(f"{served.url}/v1/models/{name}:predict", json=body, timeout=10).json()
    np.testing.assert_allclose(np.ravel(answer["predictions"]), expected, atol=1e-6)
    tensor = {"name": "input", "shape": [5, 6], "datatype": "FP32", "data": ARRAY.tolist()}
    request = {"inputs": [tensor]}
    answer = requests.post(f"{served.url}/v2/models/{name}/infer", json=request, timeout=10).json()
    np.testing.assert_allclose(answer["outputs"][0]["data"], expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", [write.__name__ for write in WRITERS])
def test_features_are_told_in_that_order(served: Server, name: str) -> None:
    features = [feature["name"] for feature in served.client().params(name)["features"]]
    widths = list(INPUTS.values())
    counted = [features[sum(widths[:i]) : sum(widths[: i + 1])] for i in range(len(widths))]
    assert [len({f.rsplit("_", 1)[0] for f in group}) for group in counted[:2]] == [1, 1]
    assert len(counted[2]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["as_keras", "as_export", "as_frozen", "as_onnx"])
def test_inputs_may_be_named(served: Server, expected: Any, name: str) -> None:
    client = served.client()
    events = dict(reversed(EVENTS.items()))
    np.testing.assert_allclose(client.predict(name, events), expected, atol=1e-6)
    with pytest.raises(FeatureError, match="missing inputs: 'mid'"):
        client.predict(name, {key: events[key] for key in ("alpha", "zeta")})


# --- no order ---------------------------------------------------------------------------


def difference(tf: Any) -> None:
    """Two placeholders, made in an order that says nothing."""
    second = tf.compat.v1.placeholder("float32", (None, 1), name="second")
    first = tf.compat.v1.placeholder("float32", (None, 2), name="first")
    tf.subtract(tf.reduce_sum(first, 1, keepdims=True), 10 * second, name="y")


@pytest.fixture(scope="module")
def unordered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Server(tmp_path_factory.mktemp("unordered"), port=0, token=False) as server:
        client = server.client()
        client.upload(Bundle.from_parts(b'{"name": "lost"}', serialized(difference)))
        params = b'{"name": "told", "input_node": "first,second", "output_node": "y"}'
        client.upload(Bundle.from_parts(params, serialized(difference)))
        yield client


MESSAGE = (
    r"the file of model 'lost' does not tell the order of its inputs 'second' \(events, 1\), "
    r"'first' \(events, 2\), so an array .* by its name"
)


@pytest.mark.slow
def test_an_array_is_refused_where_the_order_is_not_known(unordered: Client) -> None:
    for events in (np.ones((2, 3)), [1.0, 2.0, 3.0]):
        with pytest.raises(FeatureError, match=MESSAGE):
            unordered.predict("lost", events)
    request = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [1] * 3}]}
    answer = requests.post(f"{unordered.url}/v2/models/lost/infer", json=request, timeout=10)
    assert (answer.status_code, "does not tell the order" in answer.text) == (422, True)
    body = {"instances": [[1, 2, 3]]}
    answer = requests.post(f"{unordered.url}/v1/models/lost:predict", json=body, timeout=10)
    assert (answer.status_code, "must name the inputs" in answer.text) == (400, True)


def test_names_are_taken_there(unordered: Client) -> None:
    events = {"second": [[1.0], [2.0]], "first": [[3.0, 4.0], [5.0, 6.0]]}
    np.testing.assert_array_equal(unordered.predict("lost", events), [-3, -9])
    by_column = {"first_1": [4.0, 6.0], "second": [1.0, 2.0], "first_0": [3.0, 5.0]}
    np.testing.assert_array_equal(unordered.predict("lost", by_column), [-3, -9])
    keys = ["first_0", "first_1", "second"]
    assert unordered.predict("lost", [3.0, 4.0, 1.0], keys=keys) == -3


def test_nodes_that_are_named_in_order_have_one(unordered: Client) -> None:
    assert unordered.predict("told", [3.0, 4.0, 1.0]) == -3
    assert "input_order" not in unordered.params("told")
    assert unordered.params("lost")["input_order"] == "unknown"


def test_a_bundle_remembers_that_there_is_no_order(unordered: Client, tmp_path: Path) -> None:
    bundle = unordered.download("lost")
    assert not bundle.graph.signature.is_ordered
    again = Bundle.load(bundle.save(tmp_path))
    assert not again.graph.signature.is_ordered
    with pytest.raises(BundleError, match="does not tell the order of its inputs second,first"):
        again.with_features(["a", "b", "c"])


def test_onnx_made_of_a_saved_models_signature_has_lost_the_order() -> None:
    """tf2onnx sorts by name there, and keeps the signature's call in the names of nodes."""
    from onnx import helper

    ends = [(name, FLOAT, (None, 1)) for name in ("alpha", "beta")]

    def made(call: str, producer: str, names: Any = ends) -> Any:
        node = helper.make_node("Sub", ["alpha", "beta"], ["y"], name=f"{call}model/sub")
        found = model([node], inputs=names, outputs=[("y", FLOAT, (None, 1))])
        found.producer_name = producer
        return HERE.read(found.SerializeToString()).graph.signature.is_ordered

    assert not made("StatefulPartitionedCall/", "tf2onnx")
    assert not made("PartitionedCall/", "tf2onnx")
    assert made("StatefulPartitionedCall/", "tf2onnx", ends[::-1])
    assert made("", "tf2onnx")
    assert made("StatefulPartitionedCall/", "pytorch")


def test_what_is_exported_as_onnx_has_no_order_either() -> None:
    lost = FrozenGraph.from_bytes(serialized(difference))
    assert not lost.signature.is_ordered
    assert not onnx_model(lost).signature.is_ordered


@pytest.mark.slow
def test_a_saved_model_of_tensorflow_1_has_no_order(tmp_path: Path) -> None:
    tf = backend.tensorflow()
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        z, a = (v1.placeholder("float32", (None, 1), name=name) for name in "za")
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"z": z, "a": a}, {"y": z - a})
    bundle = Bundle.from_archive(archive(tmp_path / "m"))
    assert [t.name for t in bundle.graph.signature.inputs] == ["a", "z"]
    assert not bundle.graph.signature.is_ordered
    assert json.loads(bundle.files()["params.json"])["input_order"] == "unknown"
    again = Bundle.from_archive(bundle.archive())
    assert not again.graph.signature.is_ordered
