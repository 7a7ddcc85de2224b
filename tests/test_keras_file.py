from __future__ import annotations

import contextlib
import io
import json
import stat
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tfaas_nb import backend, keras_file
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import BundleError, GraphError, TfaasError, TooLarge
from tfaas_nb.graph import FrozenGraph


def content(model: Any, folder: Path) -> bytes:
    path = folder / keras_file.FILE
    model.save(path)
    return path.read_bytes()


def dense(*layers: Any) -> Any:
    keras = backend.keras()
    return keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)])


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            # Without the time: tests are named after these bytes, and workers must agree on names.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


@pytest.mark.slow
def test_a_model_with_two_inputs_scores_as_keras_does(tmp_path: Path) -> None:
    keras = backend.keras()
    keras.utils.set_random_seed(5)
    a, b = keras.Input((3,), name="a"), keras.Input((), name="b", dtype="int32")
    embedded = keras.layers.Embedding(4, 2)(b)
    joined = keras.layers.Concatenate()([a, keras.ops.sin(embedded[:, :1]), embedded])
    hidden = keras.layers.Dense(4, "swish", kernel_regularizer="l2")(joined)
    model = keras.Model([a, b], keras.layers.Dropout(0.5)(keras.layers.Dense(2)(hidden)))
    model.compile("adam", "mse")
    keras_file.check(content(model, tmp_path))
    graph = FrozenGraph.from_bytes(keras_file._freeze(tmp_path))
    assert graph.signature.names == ("a_0", "a_1", "a_2", "b")
    events = [np.eye(3, dtype=np.float32), np.array([0, 1, 3], np.int32)]
    found = FrozenEngine(graph).run(dict(zip("ab", events, strict=True)))["output"]
    np.testing.assert_allclose(found, model(events), atol=1e-6)


def test_layers_of_keras_pass(tmp_path: Path) -> None:
    layers = backend.keras().layers
    model = dense(
        layers.Normalization(mean=[0.0, 0.0], variance=[1.0, 1.0]), layers.Dense(3, "gelu")
    )
    keras_file.check(content(model, tmp_path))


def with_lambda() -> Any:
    return dense(backend.keras().layers.Lambda(lambda x: x * 2))


def with_own_layer() -> Any:
    keras = backend.keras()

    class Mine(keras.layers.Dense):  # type: ignore[misc]
        pass

    return dense(Mine(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_lambda, "a Lambda layer, which is Python code: replace it with layers"),
        (with_own_layer, "an object of its own, 'Mine': only Keras's own layers can be served"),
    ],
)
def test_code_is_refused(make: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=message):
        keras_file.check(content(make(), tmp_path))


def test_keras_has_the_last_word(tmp_path: Path) -> None:
    """A configuration that looks harmless and that Keras refuses; in this process, for speed."""
    model = dense(backend.keras().layers.Dense(2))
    with zipfile.ZipFile(io.BytesIO(content(model, tmp_path))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = members["config.json"].replace(b'"linear"', b'"no_such"')
    spoilt = zipped(members)
    keras_file.check(spoilt)
    (tmp_path / keras_file.FILE).write_bytes(spoilt)
    with pytest.raises(GraphError, match="Keras cannot load the model: .*no_such"):
        keras_file._freeze(tmp_path)


def linked(weights: Any) -> None:
    weights["secret"] = h5py.ExternalLink("/etc/passwd", "/")


def external(weights: Any) -> None:
    weights.create_dataset("secret", (4,), "u1", external=[("/etc/passwd", 0, 4)])


@pytest.mark.parametrize(
    ("add", "message"),
    [(linked, "'secret' are a link"), (external, "'secret' are in another file")],
)
def test_weights_elsewhere_are_refused(add: Any, message: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content(dense(), tmp_path))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as opened:
        add(opened.require_group("layers/deeper"))
    members["model.weights.h5"] = weights.getvalue()
    (tmp_path / keras_file.FILE).write_bytes(zipped(members))
    with pytest.raises(GraphError, match=message):
        keras_file._freeze(tmp_path)


def of(module: str | None, name: str) -> bytes:
    layer = {"module": module, "class_name": name, "config": {}, "registered_name": None}
    model = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    return zipped({"config.json": json.dumps(model).encode()})


@pytest.mark.parametrize(
    "data",
    [
        of("os", "system"),
        of("keras.src.utils.file_utils", "get_file"),
        of("keras.utils", "get_file"),
        of("kerasx.layers", "Dense"),
        of("builtins", "function"),
        of(None, "Dense"),
    ],
)
def test_only_modules_that_compute_are_named(data: bytes) -> None:
    with pytest.raises(GraphError, match="an object of its own"):
        keras_file.check(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04", "not a whole zip archive"),
        (zipped({"config.json": b"{"}), "config.json cannot be read"),
        (zipped({"other.txt": b""}), r"is no .keras file: it has no config.json, but \['other"),
        (zipped({"m/data.pkl": b""}), "PyTorch file holds pickled code: export the model with"),
    ],
)
def test_other_zip_archives_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        keras_file.check(data)


def test_a_zip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_file, "_MOST_BYTES", 1 << 20)
    with pytest.raises(TooLarge, match="more than 1000 members"):
        keras_file.check(zipped({"config.json": b"{}", "model.weights.h5": bytes(2 << 20)}))


@pytest.mark.slow
def test_far_more_than_the_file_is_refused() -> None:
    """Allow files that unpack to 32 MB, or to a hundred times their size."""
    config = {"config.json": b"{}"}
    keras_file.check(zipped(config | {"model.weights.h5": bytes(31 << 20)}))
    noise = np.random.default_rng(3).bytes(400_000)
    keras_file.check(zipped(config | {"model.weights.h5": noise + bytes(33 << 20)}))
    with pytest.raises(TooLarge, match="unpacks to more than 100 times its size: save it with"):
        keras_file.check(zipped(config | {"assets/a": bytes(16 << 20), "b": bytes(17 << 20)}))


@pytest.mark.slow
def test_what_a_file_does_not_tell_of_its_size_is_not_in_memory() -> None:
    """It says that it is two bytes; `zipfile` would unpack 200 MB before it cuts them off."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b"{}" + b" " * (200 << 20))
        archive.infolist()[0].file_size = 2
    data = stream.getvalue()
    tracemalloc.start()
    with contextlib.suppress(TfaasError):
        keras_file.check(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../etc/passwd", "points outside of it"),
        ("assets/../../x", "points outside of it"),
        ("/etc/passwd", "points outside of it"),
        ("assets\\..\\x", "has no plain name: use letters"),
        ("x" * 300, "has no plain name"),
        ("a\n", "has no plain name"),
        ("./config.json", "has two members"),
    ],
)
def test_members_are_called_plainly(name: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        keras_file.check(zipped({"config.json": b"{}", name: b"x"}))


def test_a_name_does_not_end_before_its_end() -> None:
    data = zipped({"config.json": b"{}", "assets/a!b": b"x"}).replace(b"a!b", b"a\0b")
    with pytest.raises(BundleError, match="has no plain name"):
        keras_file.check(data)


@pytest.mark.parametrize(
    ("mode", "name", "is_refused"),
    [
        (stat.S_IFLNK | 0o777, "assets/link", True),
        (stat.S_IFIFO | 0o600, "assets/pipe", True),
        (stat.S_IFDIR | 0o700, "assets/file", True),
        (stat.S_IFREG | 0o600, "assets/file", False),
        (stat.S_IFDIR | 0o700, "assets/", False),
    ],
)
def test_members_are_regular_files(mode: int, name: str, is_refused: bool) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", b"{}")
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, b"" if name.endswith("/") else b"/etc/passwd")
    with (
        pytest.raises(BundleError, match="is not a regular file")
        if is_refused
        else contextlib.nullcontext()
    ):
        keras_file.check(stream.getvalue())


@pytest.mark.parametrize("name", [["Dense"], {"a": 1}, None, 5])
def test_a_class_without_a_name_is_refused(name: object) -> None:
    config = json.dumps({"class_name": name, "module": "mine"})
    with pytest.raises(GraphError, match="an object of its own"):
        keras_file.check(_zip({"config.json": config.encode()}))


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_file_is_told_however_it_is_packed(packing: int) -> None:
    whole = bytearray(_zip({"config.json": b'{"a": 1}' * 99}, packing))
    at = whole.index(b"config.json") + 11
    whole[at : at + 12] = b"\xff" * 12
    with pytest.raises(GraphError, match="not a whole zip archive"):
        keras_file.check(bytes(whole))


def _zip(files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return stream.getvalue()
