"""Pictures over HTTP, with a convolutional network trained here."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import FeatureError, ModelNotFound, RequestError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.server import Server

SIDE, LABELS = 16, ("bars", "disc", "ring", "slope", "checks", "noise")
REQUESTS = 200


def pictures(count: int, seed: int) -> tuple[Any, Any]:
    """RGB pictures of six kinds with noise, uint8, and what they are."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, len(LABELS), count)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    found = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for i, kind in enumerate(kinds):
        cx, cy = random.uniform(5, 10, 2)
        r = np.hypot(x - cx, y - cy)
        shape = (
            (x // 3) % 2,
            r < 5,
            (r > 3) & (r < 6),
            x / SIDE,
            (x // 4 + y // 4) % 2,
            random.random((SIDE, SIDE)),
        )[kind]
        colour = random.uniform(0.5, 1, 3)
        noise = random.normal(0, 12, (SIDE, SIDE, 3))
        found[i] = np.clip(230 * np.asarray(shape)[..., None] * colour + noise, 0, 255)
    return found, kinds


@pytest.fixture(scope="module")
def network() -> Any:
    keras = backend.keras()
    keras.utils.set_random_seed(11)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(LABELS), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(*pictures(1500, seed=1), epochs=8, batch_size=64, verbose=0)
    return model


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, network: Any) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("images")
    with Server(folder / "models", port=0, token=False) as server:
        graph = FrozenGraph.freeze(network)
        server.client().upload(Bundle.create("shapes", graph, LABELS))
        server.client().upload(Bundle.create("nameless", graph, ()))
        yield server


def file_of(pixels: Any, form: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def post(served: Server, files: dict[str, Any], path: str = "/image") -> requests.Response:
    return requests.post(served.url + path, files=files, timeout=30)


@pytest.mark.slow
def test_many_pictures_are_answered_as_keras_does(served: Server, network: Any) -> None:
    found, kinds = pictures(REQUESTS, seed=2)
    forms = ["PNG", "JPEG"] * (REQUESTS // 2)
    sent = [file_of(pixels, form) for pixels, form in zip(found, forms, strict=True)]
    decoded = np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in sent])
    expected = np.asarray(network(decoded.astype(np.float32)))
    right = 0
    for i, data in enumerate(sent):
        name = f"{i}.{forms[i].lower()}"
        answer = post(served, {"image": (name, data), "model": (None, "shapes")}).json()
        assert answer["filename"] == name
        labels = [label["label"] for label in answer["labels"]]
        assert labels == [LABELS[j] for j in np.argsort(-expected[i])[:5]]
        probabilities = [label["probability"] for label in answer["labels"]]
        np.testing.assert_allclose(probabilities, np.sort(expected[i])[::-1][:5], atol=1e-6)
        right += labels[0] == LABELS[kinds[i]]
    assert right > 0.8 * REQUESTS, "the network learned what the pictures show"


@pytest.mark.slow
def test_a_picture_is_decided_by_content_and_brought_to_size(served: Server, network: Any) -> None:
    large = np.asarray(Image.fromarray(pictures(1, seed=3)[0][0]).resize((50, 40)))
    files = {"image": ("a.jpeg", file_of(large, "PNG")), "model": (None, "shapes")}
    found = post(served, files, "/predict/image").json()["labels"]
    resized = Image.fromarray(large).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    expected = np.asarray(network(np.asarray(resized, np.float32)[None]))[0]
    assert found[0]["probability"] == pytest.approx(expected.max(), abs=1e-6)


@pytest.mark.slow
def test_the_client_sends_paths_and_bytes(served: Server, tmp_path: Path) -> None:
    data = file_of(pictures(1, seed=4)[0][0], "PNG")
    (tmp_path / "a.png").write_bytes(data)
    client = served.client()
    by_path = client.predict_image("shapes", tmp_path / "a.png")
    assert by_path == client.predict_image("shapes", data)
    assert [label for label, _ in by_path] == [
        LABELS[int(label)] for label, _ in client.predict_image("nameless", data)
    ]
    with pytest.raises(FeatureError, match=r"none\.png cannot be read: No such file"):
        client.predict_image("shapes", tmp_path / "none.png")
    with pytest.raises(ModelNotFound):
        client.predict_image("nothing", data)
    with pytest.raises(RequestError, match="not a whole PNG or JPEG"):
        client.predict_image("shapes", data[:-30])


def test_a_model_of_features_takes_no_picture(serving: Server) -> None:
    data = file_of(np.zeros((4, 4, 3), np.uint8), "PNG")
    with pytest.raises(FeatureError, match="model 'ttbar': the model takes no picture"):
        serving.client().predict_image("ttbar", data)
    answer = requests.post(
        f"{serving.url}/image?token={serving.token}", data={"model": "ttbar"}, timeout=10
    )
    assert answer.status_code == 400
    assert "has no file 'image'; it has ['model']" in answer.json()["error"]
