"""One event, one score, whatever the dialect; Triton's own client and plain requests ask."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from tests.graphs import serialized
from tests.onnx_models import logistic
from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import ModelNotFound
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import arrow, tfaas

EVENTS = 20
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("dialects")
    with Server(folder / "models", port=0, token=False) as server:
        server.client().upload(bundle)
        yield server


@pytest.fixture(scope="module")
def client(served: Server) -> Iterator[Any]:
    connection = triton.InferenceServerClient(served.url.removeprefix("http://"))
    yield connection
    connection.close()


@pytest.fixture(scope="module", name="X")
def some_events(events: Dataset) -> Any:
    return np.ascontiguousarray(events.X[1990 : 1990 + EVENTS])


@pytest.fixture(scope="module")
def expected(served: Server, X: Any) -> Any:
    """Scores by the first dialect, one event at a time."""
    return np.array([served.client().predict("ttbar", event) for event in X])


def post(served: Server, path: str, body: bytes | dict[str, Any]) -> requests.Response:
    sent = {"json": body} if isinstance(body, dict) else {"data": body}
    return requests.post(served.url + path, timeout=10, **sent)  # type: ignore[arg-type]


# --- Triton's client --------------------------------------------------------------------


@pytest.mark.slow
def test_triton_asks_for_health_and_metadata(client: Any, bundle: Bundle) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("ttbar")
    assert client.is_model_ready("ttbar", "1")
    assert not client.is_model_ready("ttbar", "2")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata()["name"] == "tfaas_nb"
    metadata = client.get_model_metadata("ttbar")
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 42]}]
    assert metadata["outputs"] == [{"name": "output", "datatype": "FP32", "shape": [-1, 1]}]
    index = client.get_model_repository_index()
    assert [(m["name"], m["version"], m["state"]) for m in index] == [("ttbar", "1", "READY")]


@pytest.mark.parametrize("sent_raw", [True, False])
@pytest.mark.parametrize("answered_raw", [True, False])
def test_triton_infers(
    client: Any, X: Any, expected: Any, sent_raw: bool, answered_raw: bool
) -> None:
    tensor = triton.InferInput("input", list(X.shape), "FP32")
    tensor.set_data_from_numpy(X, binary_data=sent_raw)
    wanted = triton.InferRequestedOutput("output", binary_data=answered_raw)
    result = client.infer("ttbar", [tensor], outputs=[wanted], request_id="7")
    assert result.get_response()["id"] == "7"
    assert result.get_response()["model_version"] == "1"
    np.testing.assert_allclose(result.as_numpy("output")[:, 0], expected, atol=1e-6)


def test_triton_may_send_a_tensor_per_feature_in_any_order(
    client: Any, X: Any, expected: Any, bundle: Bundle
) -> None:
    assert bundle.features
    tensors = []
    for name, column in reversed(list(zip(bundle.features, X.T, strict=True))):
        tensors.append(triton.InferInput(name, [EVENTS], "FP32"))
        tensors[-1].set_data_from_numpy(np.ascontiguousarray(column))
    result = client.infer("ttbar", tensors)
    np.testing.assert_allclose(result.as_numpy("output")[:, 0], expected, atol=1e-6)


def test_triton_is_told_what_is_wrong(client: Any, X: Any) -> None:
    wrong = triton.InferInput("inputs", list(X.shape), "FP32")
    wrong.set_data_from_numpy(X)
    with pytest.raises(InferenceServerException, match="no input 'inputs'"):
        client.infer("ttbar", [wrong])
    narrow = triton.InferInput("input", [EVENTS, 41], "FP32")
    narrow.set_data_from_numpy(np.ascontiguousarray(X[:, :41]))
    with pytest.raises(InferenceServerException, match="takes 42 values, 41 were sent"):
        client.infer("ttbar", [narrow])
    with pytest.raises(
        InferenceServerException, match=r"there is no version 9 of 'ttbar'; there are \[1\]"
    ):
        client.get_model_metadata("ttbar", "9")


def test_liveness_is_told_without_a_token(server: Server) -> None:
    assert requests.get(f"{server.url}/v2/health/live", timeout=10).json() == {"live": True}
    for path in ("/v2", "/v2/health/ready", "/v2/models/ttbar", "/v1/models/ttbar"):
        assert requests.get(server.url + path, timeout=10).status_code == 401


# --- versions, in the protocols' words ---------------------------------------------------


@pytest.fixture
def versioned(serving: Server, other_bundle: Bundle) -> Server:
    """A server that has two versions of ttbar, production being the first."""
    serving.client().upload(other_bundle)
    serving.client().label("ttbar", "production", 1)
    return serving


@pytest.fixture
def asking(versioned: Server) -> Iterator[tuple[Any, dict[str, str]]]:
    """Triton's client, and the headers that let it in."""
    connection = triton.InferenceServerClient(versioned.url.removeprefix("http://"))
    yield connection, {"Authorization": f"Bearer {versioned.token}"}
    connection.close()


@pytest.mark.slow
def test_triton_asks_for_any_version(
    versioned: Server, asking: tuple[Any, dict[str, str]], X: Any
) -> None:
    client, headers = asking
    tensor = triton.InferInput("input", list(X.shape), "FP32")
    tensor.set_data_from_numpy(X)
    for version in ("1", "2", ""):
        latest = version or "2"
        assert client.is_model_ready("ttbar", version, headers=headers)
        metadata = client.get_model_metadata("ttbar", version, headers=headers)
        assert metadata["versions"] == ["1", "2"]
        result = client.infer("ttbar", [tensor], version, headers=headers)
        assert result.get_response()["model_version"] == latest
        expected = versioned.client().predict(f"ttbar/versions/{latest}", X)
        np.testing.assert_allclose(result.as_numpy("output")[:, 0], expected, atol=1e-6)
    assert not client.is_model_ready("ttbar", "3", headers=headers)


def states(client: Any, headers: dict[str, str]) -> list[tuple[str, str, str, str]]:
    index = client.get_model_repository_index(headers=headers)
    return [(m["name"], m["version"], m["state"], m["reason"]) for m in index]


@pytest.mark.slow
def test_triton_unloads_and_loads(
    versioned: Server, asking: tuple[Any, dict[str, str]], X: Any
) -> None:
    client, headers = asking
    assert "model_repository" in client.get_server_metadata(headers=headers)["extensions"]
    ready = [("ttbar", version, "READY", "") for version in ("1", "2")]
    assert states(client, headers) == ready
    client.unload_model("ttbar", headers=headers)
    gone = [("ttbar", version, "UNAVAILABLE", "unloaded") for version in ("1", "2")]
    assert states(client, headers) == gone
    assert not client.is_model_ready("ttbar", headers=headers)
    with pytest.raises(ModelNotFound, match="model 'ttbar' is unloaded: POST /v2/repository/m"):
        versioned.client().predict("ttbar", X)
    client.load_model("ttbar", headers=headers)
    assert states(client, headers) == ready
    assert client.is_model_ready("ttbar", headers=headers)
    assert len(versioned.client().predict("ttbar", X)) == EVENTS
    for act in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="there is no model 'none'"):
            act("none", headers=headers)
    with pytest.raises(InferenceServerException, match="parameter 'config' of load is not known"):
        client.load_model("ttbar", headers=headers, config="{}")


@pytest.mark.slow
def test_the_index_may_be_of_ready_models_only(versioned: Server, bundle: Bundle) -> None:
    versioned.client().upload(bundle, "other")
    damaged = versioned.service.repository.find("ttbar")
    (damaged.path / "params.json").write_bytes(b"{")
    versioned.service.unload("other")
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {versioned.token}"
    url = f"{versioned.url}/v2/repository/index"
    for whole in (session.post(url, timeout=10), session.post(url, json={}, timeout=10)):
        assert [entry["state"] for entry in whole.json()] == ["UNAVAILABLE", "READY", "UNAVAILABLE"]
    assert "damaged on disk" in whole.json()[2]["reason"]
    for ready in (
        session.post(url, json={"ready": True}, timeout=10),
        session.post(url + "?ready=true", timeout=10),
    ):
        assert [(e["name"], e["version"]) for e in ready.json()] == [("ttbar", "1")]
    assert session.post(url, json={"ready": 1}, timeout=10).status_code == 400
    assert session.post(url, data=b"[", timeout=10).status_code == 400


@pytest.mark.slow
def test_serving_asks_for_versions_and_labels(versioned: Server, X: Any) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {versioned.token}"
    url = f"{versioned.url}/v1/models/ttbar"
    for path, version in (("", 2), ("/versions/1", 1), ("/labels/production", 1)):
        metadata = session.get(f"{url}{path}/metadata", timeout=10).json()
        assert metadata["model_spec"]["version"] == str(version)
        answer = session.post(f"{url}{path}:predict", json={"instances": X.tolist()}, timeout=10)
        expected = versioned.client().predict(f"ttbar/versions/{version}", X)
        np.testing.assert_allclose(
            np.array(answer.json()["predictions"])[:, 0], expected, atol=1e-6
        )
    for path in ("/versions/3", "/labels/none"):
        assert session.get(url + path, timeout=10).status_code == 404
        body = {"instances": X.tolist()}
        assert session.post(f"{url}{path}:predict", json=body, timeout=10).status_code == 404


@pytest.mark.slow
def test_serving_tells_the_state_of_every_version(versioned: Server) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {versioned.token}"
    url = f"{versioned.url}/v1/models/ttbar"

    def told(path: str = "") -> list[tuple[str, str, str]]:
        status = session.get(url + path, timeout=10).json()["model_version_status"]
        return [(v["version"], v["state"], v["status"]["error_code"]) for v in status]

    assert told() == [("2", "AVAILABLE", "OK"), ("1", "AVAILABLE", "OK")]
    assert told("/labels/production") == told("/versions/1") == [("1", "AVAILABLE", "OK")]
    versioned.service.close()
    (versioned.service.repository.find("ttbar").path / "model.pb").write_bytes(b"\xff")
    assert told() == [("2", "END", "DATA_LOSS"), ("1", "AVAILABLE", "OK")]
    versioned.service.unload("ttbar")
    assert told() == [("2", "END", "OK"), ("1", "END", "OK")]
    assert session.get(f"{versioned.url}/v1/models/none", timeout=10).status_code == 404


# --- TensorFlow Serving's documentation, adapted in names -------------------------------


def test_serving_tells_status_and_metadata(served: Server) -> None:
    status = requests.get(f"{served.url}/v1/models/ttbar", timeout=10).json()
    assert status == {
        "name": "ttbar",  # KServe's V1 protocol
        "ready": True,
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ],
    }
    path = "/v1/models/ttbar/versions/1/metadata"
    metadata = requests.get(served.url + path, timeout=10).json()
    assert metadata["model_spec"]["name"] == "ttbar"
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert set(signature["inputs"]) == {"input"}


@pytest.mark.parametrize("path", ["/v1/models/ttbar", "/v1/models/ttbar/versions/1"])
def test_serving_predicts_rows_and_columns(
    served: Server, X: Any, expected: Any, path: str, bundle: Bundle
) -> None:
    assert bundle.features
    rows = [
        {"instances": X.tolist()},
        {"signature_name": "serving_default", "instances": [{"input": e} for e in X.tolist()]},
        {"instances": [dict(zip(bundle.features, e, strict=True)) for e in X.tolist()]},
    ]
    columns = [
        {"inputs": X.tolist()},
        {"inputs": {"input": X.tolist()}},
        {"inputs": dict(zip(bundle.features, X.T.tolist(), strict=True))},
    ]
    for key, bodies in (("predictions", rows), ("outputs", columns)):
        for body in bodies:
            answer = post(served, f"{path}:predict", body).json()
            np.testing.assert_allclose(np.array(answer[key])[:, 0], expected, atol=1e-6)


def test_serving_classifies_and_regresses(
    served: Server, events: Dataset, X: Any, expected: Any
) -> None:
    examples = [dict(zip(events.features.names, e, strict=True)) for e in X.tolist()]
    body: dict[str, Any] = {"examples": examples}
    classes = post(served, "/v1/models/ttbar:classify", body).json()["results"]
    assert {label for event in classes for label, _ in event} == {"signal"}
    found = [event[0][1] for event in classes]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    results = post(served, "/v1/models/ttbar:regress", body).json()["results"]
    np.testing.assert_allclose(results, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("nothing:predict", {"instances": [[1.0]]}, 404, "no model 'nothing'"),
        ("ttbar:predict", {"instances": [[1.0]]}, 422, "takes 42 values, 1 were sent"),
        ("ttbar:predict", {"instances": [{"x": [1.0] * 42}]}, 422, "no input 'x'"),
        ("ttbar:predict", {}, 400, "instances"),
        ("ttbar:predict", {"signature_name": "s", "instances": [[1.0]]}, 400, "no signature 's'"),
        ("ttbar:regress", {"examples": [{"jetPt_0": 1.0}]}, 422, "missing: nJets"),
    ],
)
def test_serving_tells_what_is_wrong(
    served: Server, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = post(served, f"/v1/models/{path}", body)
    assert answer.status_code == status
    assert words in answer.json()["error"]


# --- models of several tensors ----------------------------------------------------------


def several(tf: Any) -> None:
    """Two inputs and two outputs of other types and shapes than a matrix."""
    jets = tf.compat.v1.placeholder("float32", (None, 2, 2), name="jets")
    count = tf.compat.v1.placeholder("int64", (None,), name="count")
    tf.multiply(jets, 2.0, name="twice")
    tf.greater(count, 2, name="many")


@pytest.fixture(scope="module")
def tensors(served: Server) -> dict[str, Any]:
    graph = FrozenGraph.from_bytes(serialized(several))
    served.client().upload(Bundle.create("several", graph, ()))
    return {
        "jets": np.arange(12, dtype=np.float32).reshape(3, 2, 2),
        "count": np.array([1, 3, 2**40]),
    }


@pytest.mark.parametrize("raw", [True, False])
def test_triton_sends_tensors_of_any_kind(client: Any, tensors: dict[str, Any], raw: bool) -> None:
    metadata = client.get_model_metadata("several")
    assert metadata["inputs"] == [
        {"name": "jets", "datatype": "FP32", "shape": [-1, 2, 2]},
        {"name": "count", "datatype": "INT64", "shape": [-1]},
    ]
    assert {t["name"]: t["datatype"] for t in metadata["outputs"]} == {
        "twice": "FP32",
        "many": "BOOL",
    }
    sent = [
        triton.InferInput("count", [3], "INT64"),
        triton.InferInput("jets", [3, 2, 2], "FP32"),
    ]
    for tensor in sent:
        tensor.set_data_from_numpy(tensors[tensor.name()], binary_data=raw)
    wanted = [triton.InferRequestedOutput(n, binary_data=raw) for n in ("many", "twice")]
    result = client.infer("several", sent, outputs=wanted)
    np.testing.assert_array_equal(result.as_numpy("twice"), 2 * tensors["jets"])
    np.testing.assert_array_equal(result.as_numpy("many"), [False, True, True])
    only = client.infer("several", sent, outputs=wanted[:1])
    assert only.as_numpy("twice") is None
    with pytest.raises(InferenceServerException, match="missing inputs: 'jets'"):
        client.infer("several", sent[:1])
    with pytest.raises(InferenceServerException, match="no output 'x': it has 'twice', 'many'"):
        client.infer("several", sent, outputs=[triton.InferRequestedOutput("x")])


def test_triton_may_name_the_elements_of_tensors(client: Any, tensors: dict[str, Any]) -> None:
    columns = dict(zip([f"jets_{i}" for i in range(4)], [1.0, 2.0, 3.0, 4.0], strict=True))
    sent = []
    for name, value in (columns | {"count": 1.0}).items():
        sent.append(triton.InferInput(f"{name}", [1], "FP32"))
        sent[-1].set_data_from_numpy(np.array([value], np.float32))
    result = client.infer("several", sent)
    np.testing.assert_array_equal(result.as_numpy("twice"), [[[2, 4], [6, 8]]])
    sent[0] = triton.InferInput("jets_9", [1], "FP32")
    sent[0].set_data_from_numpy(np.ones(1, np.float32))
    with pytest.raises(InferenceServerException, match="no input 'jets_9': inputs are 'jets'"):
        client.infer("several", sent)


def test_serving_takes_tensors_of_any_kind(served: Server, tensors: dict[str, Any]) -> None:
    path = f"{served.url}/v1/models/several/metadata"
    metadata = requests.get(path, timeout=10).json()["metadata"]["signature_def"]
    inputs = metadata["signature_def"]["serving_default"]["inputs"]
    assert {name: told["dtype"] for name, told in inputs.items()} == {
        "jets": "DT_FLOAT",
        "count": "DT_INT64",
    }
    columns = {name: values.tolist() for name, values in tensors.items()}
    rows = [dict(zip(columns, event, strict=True)) for event in zip(*columns.values(), strict=True)]
    answer = post(served, "/v1/models/several:predict", {"inputs": columns}).json()
    twice = (2 * tensors["jets"]).tolist()
    assert answer == {"outputs": {"twice": twice, "many": [False, True, True]}}
    answer = post(served, "/v1/models/several:predict", {"instances": rows}).json()
    assert answer["predictions"] == [
        {"twice": t, "many": m} for t, m in zip(twice, [False, True, True], strict=True)
    ]
    flat = {f"jets_{i}": 1.0 for i in range(4)} | {"count": 3.0}
    answer = post(served, "/v1/models/several:predict", {"instances": [flat]}).json()
    assert answer == {"predictions": [[[2.0, 2.0], [2.0, 2.0]]]}
    answer = post(served, "/json", {"records": [flat], "model": "several"})
    assert answer.json() == [[2.0, 2.0, 2.0, 2.0]]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"inputs": {"jets": [[[1, 2], [3]]], "count": [1]}}, 400, "lists of different lengths"),
        ({"inputs": {"jets": [[1, 2]], "count": [1]}}, 422, "'jets' takes (events, 2, 2)"),
        ({"inputs": {"jets": [[[1, 2], [3, 4]]], "count": [1.5]}}, 422, "1.5 is none"),
        ({"inputs": {"jets": [[["a", 2], [3, 4]]], "count": [1]}}, 422, "takes float32, not str"),
        ({"inputs": {"jets": [[[None, 2], [3, 4]]], "count": [1]}}, 422, "float32, not object"),
        ({"instances": [[1.0]]}, 400, "must name the inputs: the model has jets, count"),
    ],
)
def test_serving_tells_what_is_wrong_with_tensors(
    served: Server, tensors: dict[str, Any], body: dict[str, Any], status: int, words: str
) -> None:
    answer = post(served, "/v1/models/several:predict", body)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text


def two_inputs() -> Any:
    keras = backend.keras()
    keras.utils.set_random_seed(2)
    jets, count = keras.Input((2, 2), name="jets"), keras.Input((), dtype="int32", name="count")
    shifted = jets + keras.layers.Reshape((2, 1))(keras.layers.Embedding(9, 2)(count))
    return keras.Model([jets, count], keras.layers.Dense(1)(keras.layers.Flatten()(shifted)))


@pytest.mark.slow
def test_a_keras_file_is_converted_at_upload(served: Server, tmp_path: Path) -> None:
    model = two_inputs()
    model.save(tmp_path / "m.keras")
    content = (tmp_path / "m.keras").read_bytes()
    form = {"name": (None, "two"), "model": ("m.keras", content)}
    answer = requests.post(f"{served.url}/upload", files=form, timeout=300)
    assert answer.status_code == 200, answer.text
    jets = np.random.default_rng(6).normal(size=(3, 2, 2)).astype(np.float32)
    count = np.array([0, 4, 8], np.int32)
    body = {"inputs": {"jets": jets.tolist(), "count": count.tolist()}}
    found = post(served, "/v1/models/two:predict", body).json()["outputs"]
    np.testing.assert_allclose(found, model([jets, count]), atol=1e-6)
    stored = served.service.model("two").bundle
    digest = hashlib.sha256(content).hexdigest()
    assert stored.card["converted_from"] == {"format": "keras", "files": {"model.keras": digest}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89HDF\r\n\x1a\n", "save the model as .keras"),
        (pickle.dumps({}), "a pickle, which is a program: export the model as ONNX"),
        (b"PK\x03\x04", "not a whole zip archive"),
        (b"\x08\x08\x12", "not an ONNX model"),
    ],
)
def test_what_cannot_serve_is_refused_with_the_reason(
    served: Server, content: bytes, words: str
) -> None:
    form = {"name": (None, "bad"), "model": ("model", content)}
    for answer in (
        requests.post(f"{served.url}/upload", files=form, timeout=30),
        requests.post(f"{served.url}/upload?name=bad", data=content, headers=BYTES, timeout=30),
    ):
        assert (answer.status_code, words in answer.json()["error"]) == (422, True), answer.text


@pytest.mark.slow
def test_an_onnx_classifier_tells_decision_and_probabilities(served: Server, client: Any) -> None:
    classifier, X, model = logistic([0, 1], zipmap=True)
    answer = requests.post(
        f"{served.url}/upload?name=sk&features=a,b,c", data=model, timeout=30, headers=BYTES
    )
    assert answer.status_code == 200, answer.text
    assert client.get_model_metadata("sk")["platform"] == "onnxruntime_onnx"
    tensor = triton.InferInput("X", list(X.shape), "FP32")
    tensor.set_data_from_numpy(X)
    result = client.infer("sk", [tensor])
    np.testing.assert_array_equal(result.as_numpy("output_label"), classifier.predict(X))
    expected = classifier.predict_proba(X)
    np.testing.assert_allclose(result.as_numpy("output_probability"), expected, atol=1e-6)
    scores = post(served, "/json", {"keys": [*"abc"], "values": X.tolist(), "model": "sk"}).json()
    np.testing.assert_allclose(scores, expected, atol=1e-6)


# --- exports of the same classifier -----------------------------------------------------


@pytest.fixture(scope="module")
def exports(served: Server, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The classifier as ONNX, in a form and alone, and as a SavedModel's folder."""
    folder: Path = tmp_path_factory.mktemp("exports")
    params = bundle.files()["params.json"].replace(bundle.graph.sha256.encode(), b"")
    model = bundle.export("onnx", folder / "m.onnx").read_bytes()
    exported = bundle.export("saved_model", folder / "as_saved_model")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.add(exported, "as_saved_model")
    form = {"name": (None, "in_form"), "params": ("p", params), "model": ("m.onnx", model)}
    sent = [
        requests.post(f"{served.url}/upload", files=form, timeout=30),
        requests.post(f"{served.url}/upload?name=alone", data=model, headers=BYTES, timeout=30),
        requests.post(
            f"{served.url}/bundle",
            params={"features": ",".join(bundle.features or ())},  # a SavedModel has no names
            data=stream.getvalue(),
            headers=BYTES,
            timeout=300,
        ),
    ]
    assert [answer.status_code for answer in sent] == [200] * 3, [answer.text for answer in sent]
    return ["in_form", "alone", "as_saved_model"]


@pytest.mark.slow
def test_exports_give_the_same_score(
    served: Server, exports: list[str], events: Dataset, X: Any, expected: Any
) -> None:
    for name in exports:
        keys = tuple(f["name"] for f in served.client().params(name)["features"])
        assert keys == events.features.names
        body = tfaas.encode_json(keys, X, name)
        found = tfaas.decode_scores_json(post(served, "/json", body).content)
        np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-6)
        single = tfaas.encode_row(keys, X[3].tolist(), name)
        ((_, score),) = tfaas.decode_predictions(post(served, "/proto", single).content)
        assert score == pytest.approx(expected[3], abs=1e-6)


@pytest.mark.slow
def test_a_saved_model_is_served_by_the_signature_chosen(served: Server, tmp_path: Path) -> None:
    tf = backend.tensorflow()
    module = tf.Module()
    spec = [tf.TensorSpec((None, 2), tf.float32, name="x")]
    module.one = tf.function(lambda x: {"sum": tf.reduce_sum(x, 1)}, input_signature=spec)
    module.two = tf.function(lambda x: {"product": x[:, 0] * x[:, 1]}, input_signature=spec)
    signatures = {"one": module.one, "two": module.two}
    with backend.without_notes():
        tf.saved_model.save(module, str(tmp_path / "pair"), signatures=signatures)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(tmp_path / "pair", "pair")
    headers = {"Content-Type": "application/octet-stream"}

    def upload(query: str) -> requests.Response:
        url = f"{served.url}/upload{query}"
        return requests.post(url, data=archive.getvalue(), headers=headers, timeout=120)

    assert "['one', 'two']" in upload("").json()["error"]
    assert "no signature 'three'" in upload("?signature=three").json()["error"]
    assert upload("?signature=two").status_code == 200
    try:
        told = requests.get(f"{served.url}/v1/models/pair/metadata", timeout=10).json()
        assert set(told["metadata"]["signature_def"]["signature_def"]) == {"two"}
        body: dict[str, Any] = {"instances": [[3.0, 4.0]]}
        for name in ({}, {"signature_name": "two"}, {"signature_name": "serving_default"}):
            answer = post(served, "/v1/models/pair:predict", body | name).json()
            assert answer == {"predictions": [12.0]}
        refused = post(served, "/v1/models/pair:predict", body | {"signature_name": "one"})
        assert refused.json()["error"] == "model 'pair' has no signature 'one': it has 'two'"
    finally:
        served.client().delete("pair")


# --- all the others ---------------------------------------------------------------------


def test_every_bulk_dialect_gives_the_scores_of_single_events(
    served: Server, events: Dataset, X: Any, expected: Any
) -> None:
    names = events.features.names
    as_json = post(served, "/json", tfaas.encode_json(names, X, "ttbar")).content
    as_frame = post(served, "/dataframe", tfaas.encode_dataframe(names, X, "ttbar")).content
    as_npy = post(served, "/npy?model=ttbar", tfaas.encode_npy(names, X)).content
    as_arrow = post(served, "/arrow?model=ttbar", arrow.encode(names, X))
    assert as_arrow.headers["content-type"] == "application/vnd.apache.arrow.stream"
    labels, columns = arrow.decode_scores(as_arrow.content)
    assert labels == ("signal",)
    answers = [
        tfaas.decode_scores_json(as_json)[:, 0],
        [probability for _, probability in tfaas.decode_predictions(as_frame)],
        tfaas.decode_scores_npy(as_npy)[:, 0],
        columns[:, 0],
    ]
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=1e-6)
