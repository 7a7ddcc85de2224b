"""One event, one score, whatever the dialect; Triton's own client and plain requests ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import ModelNotFound
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import arrow, tfaas

EVENTS = 20


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
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
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
