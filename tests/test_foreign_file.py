"""Files that are no model which can be served: each refusal says what it is, and the remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from onnx import helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from tests.onnx_models import INT64, logistic, model
from tests.test_onnx_parts import packed
from tfaas_nb import foreign_file
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import BundleError, GraphError, TfaasError
from tfaas_nb.foreign_words import first_line
from tfaas_nb.widgets import chosen


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed_files:
        for name in names:
            packed_files.writestr(name, b"x")
    return stream.getvalue()


def h5(fill: Callable[[Any], object]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def arrays(save: Callable[[Any, Any], object]) -> bytes:
    stream = io.BytesIO()
    save(stream, np.ones(3))
    return stream.getvalue()


def ubj(key: str, value: bytes) -> bytes:
    """A key and a value in UBJSON, with the lengths of 64 bits that XGBoost writes."""
    return struct.pack(">Bq", ord("L"), len(key)) + key.encode() + value


def text(value: str) -> bytes:
    return struct.pack(">cBq", b"S", ord("L"), len(value)) + value.encode()


LEARNER = {
    "learner": {
        "gradient_booster": {"model": {}, "name": "gbtree"},
        "learner_model_param": {"base_score": "5E-1", "num_feature": "42"},
    },
    "version": [3, 2, 0],
}
UBJ = b"{%s}" % ubj(
    "learner",
    b"{%s%s}"
    % (
        ubj("gradient_booster", b"{" + ubj("name", text("gbtree")) + b"}"),
        ubj("learner_model_param", b"{" + ubj("num_feature", text("42")) + b"}"),
    ),
)
LIGHTGBM = b"tree\nversion=v4\nnum_class=1\nlabel_index=0\nmax_feature_idx=41\nobjective=binary\n"
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
FITTED = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
SKLEARN = r"a pickle, .*of sklearn: export the model as ONNX, skl2onnx\.to_onnx\(model, X\[:1\]"
XGBOOST = r"\[None, 42\]\)\)\]\)\.SerializeToString\(\)"

FILES = {
    "empty": (b"", "the file is empty, so the graph has no nodes: was the copy or the"),
    "zeros": (bytes(100), "the file is empty"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7\nsize 12345\n",
        "a pointer of Git LFS.*git lfs pull",
    ),
    "git-annex": (b"/annex/objects/MD5E-s12--1\n", "git annex get"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><title>Sign in</title>", "a web page, not a model"),
    "TMVA": (b'<?xml version="1.0"?>\n<MethodSetup Method="BDT::BDT">', r"weights of TMVA"),
    "XGBoost JSON": (json.dumps(LEARNER).encode(), rf"XGBoost's own JSON.*convert_xg.*{XGBOOST}"),
    "XGBoost UBJ": (UBJ, rf"XGBoost's own UBJ.*{XGBOOST}"),
    "XGBoost dump": (b"booster[0]:\n0:[f0<1.5] yes=1,no=2,missing=1\n", "dump of XGBoost's trees"),
    "LightGBM": (LIGHTGBM, r"LightGBM's own text.*convert_lightgbm.*\[None, 42\]"),
    "LightGBM JSON": (
        b'{"name": "tree", "num_tree_per_iteration": 1, "tree_info": []}',
        "a dump of LightGBM's trees.*convert_lightgbm",
    ),
    "CatBoost": (b"CBM1\x10\0\0\0", r"CatBoost.*format='onnx'"),
    **{f"pickle {n}": (pickle.dumps(FITTED, protocol=n), SKLEARN) for n in range(6)},
    "joblib zlib": (zlib.compress(pickle.dumps(FITTED)), rf"{SKLEARN}.*\(the file is compressed\)"),
    "joblib gzip": (gzip.compress(pickle.dumps(FITTED)), SKLEARN),
    "joblib bz2": (bz2.compress(pickle.dumps(FITTED)), SKLEARN),
    "joblib xz": (lzma.compress(pickle.dumps(FITTED)), SKLEARN),
    "joblib lzma": (lzma.compress(pickle.dumps(FITTED), lzma.FORMAT_ALONE), SKLEARN),
    "skops": (zipped("schema.json", "1.npy"), r"scikit-learn in skops: .*skl2onnx\.to_onnx"),
    "PyTorch": (zipped("m/data.pkl", "m/data/0", "m/version"), r"PyTorch.*external_data=False"),
    "older PyTorch": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", r"PyTorch.*torch\.onnx\.export"),
    "safetensors": (
        struct.pack("<Q", len(HEADER)) + HEADER + bytes(4),
        r"weights only \(safetensors\), without the model: .*load_state_dict",
    ),
    "npy": (arrays(np.save), r"an array of NumPy \(\.npy\), no model"),
    "npz": (arrays(np.savez), r"arrays of NumPy \(\.npz\), no model"),
    "ROOT": (
        b"root\0\0\xf6\x04\0\0\0d" + bytes(50),
        r"a ROOT file, no model: tn\.load and tn\.read",
    ),
    "TFLite": (b"\x1c\0\0\0TFL3\x14\0", r"TensorFlow Lite.*model\.save\('model\.keras'\)"),
    "pbtxt": (b'# a graph\nnode {\n  name: "x"\n', r"as text \(\.pbtxt\).*as_text=False"),
    "saved_model.pbtxt": (b"saved_model_schema_version: 1\n", "a SavedModel as text"),
    "ONNX text": (b"ir_version: 8\n", r"onnx\.load\('model\.txt', format='textproto'\)"),
    "checkpoint": (b'model_checkpoint_path: "m-1"\n', "the list of a TensorFlow checkpoint"),
    "architecture": (
        b'{"class_name": "Sequential", "config": {}, "keras_version": "3.15.0"}',
        "a Keras architecture without weights: .*load_weights",
    ),
    "params.json": (b'{"name": "m", "inputNode": "x"}', "params.json, not the model"),
    "notebook": (b'{"cells": [], "nbformat": 4}', "a notebook, not a model"),
    "h5": (
        h5(lambda file: file.attrs.update(model_config="{}")),
        r"an \.h5 file, which Keras cannot load safely: save the model as \.keras",
    ),
    "weights of Keras 3": (
        h5(lambda file: file.create_group("layers/dense/vars")),
        r"weights of Keras only, without the model: .*load_weights\('model\.weights\.h5'\)",
    ),
    "weights of Keras 2": (
        h5(lambda file: file.attrs.update(layer_names=["d"])),
        r"weights of Keras only, without the model: .*load_weights\('weights\.h5'\)",
    ),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c\0\4", r"7-Zip: pack the model's folder as \.tar\.gz or \.zip"),
    "Zstandard": (b"\x28\xb5\x2f\xfd\4", r"Zstandard: pack the model's folder as"),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_model_says_what_it_is(content: bytes, message: str) -> None:
    for bring in (
        lambda: Bundle.from_upload(content, "m"),
        lambda: Bundle.from_parts(b"", content, name="m"),
    ):
        with pytest.raises(GraphError, match=message):
            bring()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: logistic([0, 1], zipmap=True)[2], id="a model"),
        pytest.param(lambda: packed({"root/a": b"x"}), id="a folder root"),
        pytest.param(lambda: packed({"tree/version=4": b""}), id="a folder tree"),
    ],
)
def test_models_and_archives_are_not_taken_for_other_files(make: Callable[[], bytes]) -> None:
    assert foreign_file.refusal(make()) is None


def test_a_file_says_so_wherever_it_is_brought(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(FITTED))
    with pytest.raises(GraphError, match=f"m.pkl.*{SKLEARN}"):
        Bundle.of(tmp_path / "m.pkl")
    with pytest.raises(GraphError, match=f"m.pkl is no model: .*{SKLEARN}"):
        chosen.read_path(str(tmp_path / "m.pkl"))
    with pytest.raises(BundleError, match=f"no params.json.*of m.pkl, the file is {SKLEARN}"):
        Bundle.from_upload(packed({"m/m.pkl": pickle.dumps(FITTED)}))
    with pytest.raises(BundleError, match=r"a LogisticRegression is no .*: skl2onnx\.to_onnx\("):
        Bundle.of(FITTED, "m")


def test_no_message_moves_a_terminal() -> None:
    message = "\x1b[1mLayer \x1b[38;5;34m2\x1b[0m\x1b]0;title\x07 of\x08 'm'\r\n\tis odd\x9b"
    assert str(GraphError(message)) == "Layer 2 of 'm'\n\tis odd"
    assert [str(kind("\x1b[31mü\x1b[0m")) for kind in TfaasError.__subclasses__()] == [
        "ü" for _ in TfaasError.__subclasses__()
    ]


def test_no_message_shows_the_sources_of_a_library() -> None:
    """Here of onnxruntime, about an index that an event brought; and of others as they write."""
    table = numpy_helper.from_array(np.ones((2, 2), np.float32), "table")
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    graph = Bundle.of(
        model(nodes, inputs=[("x", INT64, (None,))], initializer=[table]).SerializeToString(),
        "m",
    ).graph
    with pytest.raises(GraphError) as caught:
        open_engine(graph).run({"x": np.array([7])})
    assert "out of data bounds" in str(caught.value)
    assert ".cc:" not in str(caught.value)
    trace = 'Traceback (most recent call last):\n  File "/a/b.py", line 1\nValueError: odd shape\n'
    assert first_line(trace) == "ValueError: odd shape"
    words = "\n/onnx_src/core/a.cc:12 virtual void ns::A::f(const B&) const axis is odd\n0# x"
    assert first_line(words) == "axis is odd"
    assert len(first_line("/" * 100_000)) < 500
