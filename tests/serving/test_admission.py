"""Models of strangers are read elsewhere, and come out as if they had been read here."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import hostile, onnx_models
from tests.graphs import graph_def, placeholder, serialized, weighted_sum
from tfaas_nb import isolation
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import BundleError, GraphError
from tfaas_nb.isolation.warm import warm
from tfaas_nb.model_file import HERE
from tfaas_nb.repository import Repository
from tfaas_nb.serving import admission
from tfaas_nb.serving.admission import Admission
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.settings import Settings


def named() -> bytes:
    graph = graph_def(weighted_sum)
    graph.node[0].attr["_feature_names"].list.s.extend([b"a", b"b", b"c"])
    return bytes(graph.SerializeToString())


@pytest.mark.parametrize(
    "model",
    [serialized(weighted_sum), named(), onnx_models.relu().SerializeToString()],
    ids=["graph", "graph with names", "onnx"],
)
def test_a_model_is_what_it_would_be_here(model: bytes) -> None:
    assert Admission().read(model) == HERE.read(model)


def test_the_same_model_is_not_tried_again_whatever_it_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = serialized(lambda tf: weighted_sum(tf, "again"))
    first = tried(model)
    monkeypatch.setattr(admission.isolation, "run", lambda *a, **k: pytest.fail("asked again"))
    other = replace(first, reference_events=None).renamed("other")
    assert tried(model).reference_events == first.reference_events
    assert Admission().tried(other).reference_events == first.reference_events
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        Admission.allowing(["MatrixInverse"]).read(model)


def test_a_refused_model_is_tried_again() -> None:
    for _ in range(2):
        with pytest.raises(GraphError, match="'evil' calls 'WriteFile'"):
            Admission().read(hostile.calls_an_operation(Path("target")))


def test_what_was_asked_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_MOST_ANSWERS", 2)
    answers, asked = admission._Answers(), []

    def find(name: str) -> bytes:
        asked.append(name)
        return b"long" * (1 << 20) if name == "long" else b"short"

    for name in ("a", "a", "long", "long", "b", "c", "a"):
        answers.get((name,), lambda name=name: find(name))  # type: ignore[misc]
    assert asked == ["a", "long", "long", "b", "c", "a"]


def test_ends_are_passed_on() -> None:
    model = serialized(lambda tf: tf.identity(tf.nn.relu(placeholder(tf), name="y"), name="z"))
    assert Admission().read(model, "x", "y").graph.output_node == "y"
    with pytest.raises(GraphError, match="candidates are"):
        Admission().read(model, "x", "q")


def test_a_model_that_cannot_answer_is_not_admitted() -> None:
    with pytest.raises(GraphError, match="answers one event with shape"):
        tried(serialized(lambda tf: tf.reduce_mean(placeholder(tf), name="y")))


def tried(model: bytes, **parts: bytes) -> Bundle:
    made = Bundle.from_parts(b'{"name": "m"}', model, reader=Admission(), **parts)  # type: ignore[arg-type]
    return Admission().tried(made)


def test_a_model_that_answers_has_reference_events() -> None:
    events = tried(serialized(weighted_sum)).reference_events
    assert events
    again = tried(serialized(weighted_sum), reference_events=events.to_json())
    assert again.reference_events == events


def test_a_model_that_answers_its_reference_events_otherwise_is_not_admitted() -> None:
    told = {"keys": ["a", "b", "c"], "values": [[1, 1, 1]], "scores": [[7]]}
    with pytest.raises(BundleError, match="has 6 here and should have 7"):
        tried(serialized(weighted_sum), reference_events=json.dumps(told).encode())


def test_what_a_model_does_at_its_reference_events_it_does_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Zeros are answered; at one the graph asks for 40 GB."""

    def build(tf: Any) -> None:
        x = placeholder(tf)
        size = tf.cast(tf.reduce_sum(x) * 1e10, tf.int64)
        tf.add(x, tf.reduce_sum(tf.fill(tf.stack([size]), 1.0)), name="y")

    monkeypatch.setattr(isolation.Limits, "of", lambda size: isolation.Limits(memory=1 << 30))
    told = {"keys": ["a", "b", "c"], "values": [[1, 0, 0]], "scores": [[7, 7, 7]]}
    with pytest.raises(GraphError, match="OOM when allocating"):
        tried(serialized(build), reference_events=json.dumps(told).encode())


@pytest.mark.slow
def test_a_saved_model_is_converted_there(tmp_path: Path) -> None:
    from tests.test_saved_model import files, of_tensorflow_1
    from tfaas_nb import backend

    of_tensorflow_1(backend.tensorflow(), tmp_path / "m")
    read = Admission().read_saved_model(files(tmp_path / "m"))
    assert read.converted_from["format"] == "SavedModel"
    assert read.converted_from["signature"] == "serving_default"
    assert read.graph.signature.width == 3


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"format": "x"}\n', b"\xff"])
def test_a_process_that_was_taken_over_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(admission.isolation, "run", lambda *a, **k: answer)
    with pytest.raises(GraphError, match="answered nonsense"):
        Admission().read(b"model")


def inverse(tf: Any) -> None:
    """Half of x[0], x[1] and x[2]."""
    tf.matmul(placeholder(tf), tf.raw_ops.MatrixInverse(input=2 * tf.eye(3)), name="y")


@pytest.mark.slow
@pytest.mark.parametrize("isolated", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_operator_may_allow_an_operation(tmp_path: Path, isolated: bool) -> None:
    bundle = Bundle.from_parts(
        b'{"name": "half"}', serialized(inverse), reader=Admission.allowing(["MatrixInverse"])
    )
    with (
        Server(tmp_path / "a", port=0) as server,
        pytest.raises(GraphError, match="'MatrixInverse': this operation may not be served"),
    ):
        server.client().upload(bundle)
    more = {"allow_ops": ["MatrixInverse"], "isolated": isolated}
    for _ in range(2):  # when it is read from disk, too
        with Server(tmp_path / "b", port=0, **more) as server:  # type: ignore[arg-type]
            if not server.client().describe_models():
                server.client().upload(bundle)
            score = server.client().predict("half", [1.0, 2.0, 3.0])
            assert score.tolist() == [0.5, 1.0, 1.5]


def test_a_server_refuses_a_model_whose_scores_depend_on_who_else_asks(tmp_path: Path) -> None:
    def build(tf: Any) -> None:
        x = placeholder(tf)
        tf.subtract(x, tf.math.divide(tf.cumsum(x), 2), name="y")

    bundle = Bundle.from_parts(b'{"name": "mixed"}', serialized(build))
    with Server(tmp_path, port=0) as server:
        with pytest.raises(GraphError, match="the model mixes events: .* beside other events"):
            server.client().upload(bundle)
        assert server.client().describe_models() == []


def test_what_is_allowed_reaches_other_processes() -> None:
    settings = Settings("/models", None, ("localhost",), allow_ops=("MatrixInverse",))
    assert Settings.from_values(json.loads(json.dumps(settings.to_values()))) == settings


def test_a_directory_that_was_copied_is_tried_like_an_upload(tmp_path: Path) -> None:
    for name, model in (("good", serialized(weighted_sum)), ("bad", hostile.calls_itself())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.json").write_text(json.dumps({"name": name}))
        (tmp_path / name / "model.pb").write_bytes(model)
    service = Service(Repository(tmp_path))
    failed = service.load_all()
    assert list(failed) == ["bad"]
    assert "was ended by SIGSEGV" in str(failed["bad"])
    service.close()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
def test_the_process_that_is_copied_has_one_thread_whatever_its_copies_did() -> None:
    """A copy of a process with threads may find their locks taken for ever."""
    tried(serialized(weighted_sum))
    Admission().read(onnx_models.relu().SerializeToString())
    with pytest.raises(GraphError):
        Admission().read(hostile.calls_an_operation(Path("target")))
    assert warm.pid
    assert psutil.Process(warm.pid).num_threads() == 1


def test_limits_grow_with_the_model() -> None:
    small, large = isolation.Limits.of(1000), isolation.Limits.of(500 << 20)
    assert small.memory < large.memory
    assert small.seconds < large.seconds
