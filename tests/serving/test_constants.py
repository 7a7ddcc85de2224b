"""Values of placeholders that are no inputs come with every kind of upload."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import requests

from tests.graphs import placeholder, serialized
from tfaas_nb.bundle import Bundle
from tfaas_nb.serving.server import Server

BYTES = {"Content-Type": "application/octet-stream"}


def scaled(tf: Any) -> None:
    """3 x[0] + 3 x[1] + 3 x[2] with a scale of 3, which no name gives away."""
    scale = tf.compat.v1.placeholder("float32", (), name="mass/scale")
    tf.multiply(tf.reduce_sum(placeholder(tf), 1, keepdims=True), scale, name="y")


@pytest.mark.slow
def test_constants_come_with_every_kind_of_upload(server: Server) -> None:
    model, headers = serialized(scaled), {**BYTES, "Authorization": f"Bearer {server.token}"}

    def upload(path: str, **more: Any) -> requests.Response:
        return requests.post(server.url + path, timeout=60, **more)

    def form(path: str, **fields: str) -> requests.Response:
        parts = {"name": (None, "m"), "model": ("m.pb", model)}
        parts |= {key: (None, value) for key, value in fields.items()}
        return upload(path, files=parts, headers={"Authorization": headers["Authorization"]})

    refused = upload("/upload?name=m", data=model, headers=headers)
    assert refused.status_code == 422
    assert "mass/scale" in refused.json()["error"]
    assert "?constants=NAME=VALUE" in refused.json()["error"]
    params = {"name": "m", "constants": {"mass/scale": 3}}
    for answer in (
        upload("/upload?name=m&constants=mass/scale%3D3", data=model, headers=headers),
        form("/upload", constants="mass/scale=3"),
        form("/upload", constants='{"mass/scale": 3.0}'),
        form("/upload", params=json.dumps(params)),
        form("/upload?constants=mass/scale%3D3"),
    ):
        assert answer.status_code == 200, answer.text
    client = server.client()
    client.upload(model, "m", constants={"mass/scale": 3})
    assert np.ravel(client.predict("m", np.float32([[1, 10, 100]]))) == pytest.approx([333])
    stored = client.download("m")
    assert isinstance(stored, Bundle)
    assert stored.card["converted_from"]["constants"] == {"mass/scale": 3}
    wrong = form("/upload", constants="mass/scale")
    assert wrong.status_code == 422
    assert "written keep_prob=1,phase=false" in wrong.json()["error"]
