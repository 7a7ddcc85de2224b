"""Versions and labels through HTTP, from one process and from two."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.command import COMMAND
from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.serving.server import Server

PARAMS = b'{"name": "sum", "features": ["a", "b", "c"]}'
EVENT = {"keys": ["a", "b", "c"], "values": [1, 10, 100]}


@pytest.fixture(scope="module")
def small() -> Bundle:
    """The weighted sum of three inputs."""
    return Bundle.from_parts(PARAMS, serialized(weighted_sum))


def twice(tf: Any) -> None:
    inputs = tf.compat.v1.placeholder("float32", (None, 3), name="x")
    tf.matmul(inputs, tf.constant([[2.0], [4.0], [6.0]]), name="y")


@pytest.fixture(scope="module")
def double(small: Bundle) -> Bundle:
    """Twice the weighted sum of three inputs."""
    return Bundle.from_parts(PARAMS, serialized(twice))


@pytest.fixture
def url(tmp_path: Path, small: Bundle, double: Bundle) -> Iterator[str]:
    """A server that has two versions of the model sum."""
    with Server(tmp_path / "models", port=0, token=False) as server:
        for bundle in (small, double):
            server.client().upload(bundle)
        yield server.url


def ask(method: str, url: str, **body: Any) -> requests.Response:
    return requests.request(method, url, timeout=10, **body)


def test_an_upload_tells_its_version_in_a_header(url: str, small: Bundle) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    answer = ask("POST", f"{url}/upload", data=small.archive(), headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["X-Model-Version"] == "3"


def test_versions_are_listed(url: str, small: Bundle, double: Bundle) -> None:
    ask("PUT", f"{url}/models/sum/labels/production", json={"version": 1})
    first, second = ask("GET", f"{url}/models/sum/versions").json()
    assert first | {"uploaded": 0} == {
        "version": 1,
        "uploaded": 0,
        "labels": ["production"],
        "sha256": small.graph.sha256,
    }
    assert (second["version"], second["labels"]) == (2, [])
    assert second["sha256"] == double.graph.sha256
    assert second["uploaded"] > first["uploaded"] > 0
    (model,) = ask("GET", f"{url}/models").json()
    assert (model["version"], model["versions"]) == (2, [1, 2])
    assert model["version_labels"] == {"production": 1}
    assert ask("GET", f"{url}/models/none/versions").status_code == 404


def test_a_label_is_put_moved_and_removed(url: str) -> None:
    label = f"{url}/models/sum/labels/production"
    assert ask("PUT", label).json() == {"version": 2}
    assert ask("PUT", label, json={"version": 1}).json() == {"version": 1}
    assert ask("GET", f"{url}/params/sum/labels/production").json()["version"] == 1
    assert ask("DELETE", label).status_code == 200
    assert ask("DELETE", label).status_code == 404
    assert ask("GET", f"{url}/params/sum/labels/production").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("sum/labels/x", b"{", 400, "the body is not JSON"),
        ("sum/labels/x", b"[1]", 400, 'send {"version": 3}, or no body'),
        ("sum/labels/x", b"{}", 400, 'send {"version": 3}, or no body'),
        ("sum/labels/x", b'{"version": "1"}', 400, 'send {"version": 3}, or no body'),
        ("sum/labels/x", b'{"version": true}', 400, 'send {"version": 3}, or no body'),
        ("sum/labels/x", b'{"version": -1}', 400, 'send {"version": 3}, or no body'),
        ("sum/labels/x", b'{"version": 7}', 404, "there is no version 7 of 'sum'"),
        ("none/labels/x", b"", 404, "there is no model 'none'"),
        ("sum/labels/7", b"", 422, "'7' cannot name a label"),
        ("sum/labels/..%2fx", b"", 404, "there is no address"),
    ],
)
def test_a_label_that_cannot_be_put_is_told(
    url: str, path: str, body: bytes, status: int, message: str
) -> None:
    answer = ask("PUT", f"{url}/models/{path}", data=body)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert ask("GET", f"{url}/models").json()[0]["version_labels"] == {}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("sum", 642), ("sum/versions/1", 321), ("sum/versions/2", 642), ("sum/labels/old", 321)],
)
def test_a_version_is_named_wherever_a_model_is(url: str, reference: str, expected: int) -> None:
    ask("PUT", f"{url}/models/sum/labels/old", json={"version": 1})
    for _ in range(2):
        assert ask("POST", f"{url}/json", json=EVENT | {"model": reference}).json() == [expected]
    assert ask("POST", f"{url}/json?model={reference}", json=EVENT).json() == [expected]
    params = ask("GET", f"{url}/params/{reference}").json()
    assert params["version"] == expected // 321
    assert ask("POST", f"{url}/params", json={"model": reference}).json() == params


def test_versions_are_deleted(url: str) -> None:
    ask("PUT", f"{url}/models/sum/labels/production", json={"version": 1})
    refused = ask("DELETE", f"{url}/delete/sum/versions/1")
    assert refused.status_code == 422
    assert "move or remove the label first" in refused.json()["error"]
    assert ask("DELETE", f"{url}/delete/sum/versions/2").status_code == 200
    assert ask("DELETE", f"{url}/delete/sum/versions/2").status_code == 404
    assert ask("POST", f"{url}/json", json=EVENT | {"model": "sum"}).json() == [321]
    ask("DELETE", f"{url}/models/sum/labels/production")
    form = {"model": (None, "sum/versions/1")}
    assert ask("DELETE", f"{url}/delete", files=form).status_code == 200
    assert ask("GET", f"{url}/models").json() == []


def test_an_unloaded_model_is_listed_with_its_reason(url: str) -> None:
    assert ask("POST", f"{url}/v2/repository/models/sum/unload").json() == {}
    (model,) = ask("GET", f"{url}/models").json()
    assert model["unloaded"]
    assert "is unloaded" in model["error"]
    assert "is unloaded" in ask("GET", f"{url}/").text
    assert ask("POST", f"{url}/json", json=EVENT | {"model": "sum"}).status_code == 404


@pytest.mark.endurance
def test_what_one_server_is_told_the_other_serves(
    tmp_path: Path, small: Bundle, double: Bundle
) -> None:
    """Two commands on one directory."""
    command = [*COMMAND, "serve", "--no-token", "--port", "0", "--models", str(tmp_path / "m")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        addresses = []
        for process in processes:
            assert process.stdout
            process.stdout.readline()
            addresses.append(process.stdout.readline().split()[1].rstrip("/"))
        here, there = map(Client, addresses)

        def score(address: str, reference: str) -> Any:
            event = {"keys": ["a", "b", "c"], "values": [1, 10, 100], "model": reference}
            alone = ask("POST", f"{address}/json", json=event).json()
            path = f"{address}/v1/models/{reference}:predict"
            answer = ask("POST", path, json={"instances": [[1.0, 10.0, 100.0]]}).json()
            assert alone == answer if "error" in answer else [alone] == answer["predictions"]
            return answer

        for version, (bundle, expected) in enumerate([(small, 321), (double, 642)] * 3, 1):
            assert here.upload(bundle) == version
            assert score(addresses[1], "sum") == {"predictions": [[expected]]}
            here, there = there, here
            addresses.reverse()
        here.label("sum", "production", 1)
        assert score(addresses[1], "sum/labels/production") == {"predictions": [[321]]}
        there.label("sum", "production", 2)
        assert score(addresses[0], "sum/labels/production") == {"predictions": [[642]]}
        here.delete("sum/versions/6")
        assert score(addresses[1], "sum") == {"predictions": [[321]]}
        here.delete("sum")
        assert "no model 'sum'" in score(addresses[1], "sum")["error"]
    finally:
        for process in processes:
            process.terminate()
            process.communicate(timeout=20)


@pytest.mark.parametrize("option", ["modle=other", "Model=other", "models=other"])
@pytest.mark.parametrize("path", ["/json", "/predict/json"])
def test_a_misspelt_model_in_the_address_is_not_another_model(
    url: str, path: str, option: str
) -> None:
    answer = ask("POST", f"{url}{path}?{option}", json=EVENT)
    assert answer.status_code == 400
    assert "did you mean 'model'?" in answer.json()["error"]
    for others in ("", "?tracking=3", "?model=sum&models=x"):
        assert ask("POST", f"{url}{path}{others}", json=EVENT).json() == [642.0]


def test_a_misspelt_field_of_an_upload_is_refused(url: str, small: Bundle) -> None:
    model = {"model": ("model.pb", small.graph.serialized)}
    form = {"name": "new", "feature": "a,b,c"}
    answer = ask("POST", f"{url}/upload", data=form, files=model)
    assert answer.status_code == 400
    assert "the form has an unknown key 'feature' (did you mean 'features'?)" in answer.text
    archive = {"data": small.archive(), "headers": {"Content-Type": "application/octet-stream"}}
    answer = ask("POST", f"{url}/upload?nmae=new", **archive)
    assert answer.status_code == 400
    assert "the address has an unknown key 'nmae' (did you mean 'name'?)" in answer.text
    assert [model["name"] for model in ask("GET", f"{url}/models").json()] == ["sum"]
    form = {"name": "new", "features": "a,b,c", "op": "upload", "comment": "mine"}
    assert ask("POST", f"{url}/upload", data=form, files=model).status_code == 200
