"""Models that others made, through HTTP: with files beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

from tests.onnx_models import relu
from tests.test_archive import zipped
from tests.test_foreign_file import FILES
from tests.test_onnx_parts import W, X, packed, split
from tfaas_nb.serving.server import Server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(tmp_path_factory.mktemp("models"), port=0, token=False) as server:
        yield server.url


def uploaded(url: str, **sent: Any) -> requests.Response:
    return requests.post(f"{url}/upload", timeout=60, **sent)


def scores(url: str, name: str, events: Any) -> Any:
    body = {"instances": events.tolist()}
    answer = requests.post(f"{url}/v1/models/{name}:predict", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "location"),
    [("data", "model.onnx.data"), ("model.onnx.data", "model.onnx.data"), ("w/0", "w/0")],
)
def test_an_onnx_model_takes_its_weights_from_the_form(url: str, field: str, location: str) -> None:
    content, data = split(location)
    files = {"model": ("m.onnx", content), field: ("C:\\me\\model.onnx.data", data)}
    answer = uploaded(url, data={"name": "m"}, files=files)
    assert answer.status_code == 200, answer.text
    np.testing.assert_allclose(scores(url, "m", X), X @ W, rtol=1e-5)


@pytest.mark.slow
def test_a_file_that_curl_calls_a_form_is_a_file(url: str) -> None:
    """As `curl --data-binary` sends it: a zip, a lone ONNX model, and files that are no model."""
    content, data = split()
    files = {"ttbar/2/model.onnx": content, "ttbar/2/model.onnx.data": data, "ttbar/._2": b""}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert uploaded(url, data=zipped(files), headers=headers).status_code == 200
    np.testing.assert_allclose(scores(url, "ttbar", X), X @ W, rtol=1e-5)
    lone, options = relu().SerializeToString(), {"name": "relu"}
    assert uploaded(url, data=lone, headers=headers, params=options).status_code == 200
    np.testing.assert_allclose(scores(url, "relu", X), np.maximum(X, 0), rtol=1e-5)
    for name in ("XGBoost JSON", "LightGBM", "pickle 0"):
        body, message = FILES[name]
        answer = uploaded(url, data=body, headers=headers, params=options)
        assert answer.status_code == 422
        assert re.search(message, answer.json()["error"])


@pytest.mark.slow
def test_an_onnx_model_takes_its_weights_from_the_archive_or_says_how(url: str) -> None:
    content, data = split()
    headers = {"Content-Type": "application/octet-stream"}
    body = packed({"tagger/model.onnx": content, "tagger/model.onnx.data": data})
    assert uploaded(url, data=body, headers=headers).status_code == 200
    np.testing.assert_allclose(scores(url, "tagger", X), X @ W, rtol=1e-5)
    answer = uploaded(url, data={"name": "m"}, files={"model": content})
    assert answer.status_code == 422
    assert "external_data=False" in answer.json()["error"]
    assert "'model.onnx.data'" in answer.json()["error"]
    files = {"model": content, "../../x": ("x", data)}
    assert uploaded(url, data={"name": "m"}, files=files).status_code == 422
