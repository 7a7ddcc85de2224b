"""Graphs of TensorFlow 1 that are trained and asked in one: scores are those of its sessions."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs import serialized, weighted_sum
from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import BundleError, GraphError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.graph_parts.inference_constants import constants_in

Build = Callable[[Any, Any], Mapping[str, Any]]
"""Of TensorFlow and a matrix of inputs: what a session is fed in inference."""

EVENTS = np.random.default_rng(5).normal(size=(64, 4)).astype(np.float32)
WEIGHTS = np.random.default_rng(6).normal(size=(4, 3)).astype(np.float32)


@contextlib.contextmanager
def switches(tf: Any) -> Iterator[None]:
    """Conditions are written as `Switch` and `Merge`, as TensorFlow 1 does."""
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.compat.v1.enable_control_flow_v2()


def made(build: Build, old: bool = True, known: bool = True) -> tuple[bytes, Any]:
    """A graph as bytes, and the scores that a session of TensorFlow gives the events."""
    tf = backend.tensorflow()
    with tf.Graph().as_default() as graph, switches(tf) if old else contextlib.nullcontext():
        x = tf.compat.v1.placeholder(tf.float32, (None, 4) if known else None, name="x")
        fed = build(tf, x)
        with tf.compat.v1.Session(graph=graph) as session:
            feeds = {"x:0": EVENTS, **{f"{name}:0": value for name, value in fed.items()}}
            scores = session.run("y:0", feeds)
        return graph.as_graph_def().SerializeToString(), scores


def scores(graph: FrozenGraph) -> Any:
    engine = FrozenEngine(graph)
    found = engine(EVENTS)
    engine.close()
    return found


def flag(tf: Any, name: str, dtype: str = "bool") -> Any:
    return tf.compat.v1.placeholder(dtype, (), name=name)


def hidden(tf: Any, x: Any) -> Any:
    return tf.nn.relu(tf.matmul(x, tf.constant(WEIGHTS)))


def dropped(tf: Any, h: Any, rate: Any) -> Any:
    return tf.compat.v1.nn.dropout(h, rate=rate)


def ended(tf: Any, h: Any) -> None:
    tf.nn.softmax(h, name="y")


def keras_dropout(tf: Any, x: Any) -> Mapping[str, Any]:
    """Dropout in a branch that only Keras's learning phase takes; two layers."""
    phase = tf.compat.v1.placeholder_with_default(False, (), "dropout_1/keras_learning_phase")
    h = hidden(tf, x)
    for _ in range(2):
        h = tf.cond(phase, lambda h=h: dropped(tf, h, 0.3), lambda h=h: tf.identity(h))
    ended(tf, h)
    return {}


def keras_1(tf: Any, x: Any) -> Mapping[str, Any]:
    """Learning phase of eight bits, as Keras 1 has it."""
    phase = flag(tf, "keras_learning_phase", "uint8")
    h = hidden(tf, x)
    ended(tf, tf.cond(tf.cast(phase, tf.bool), lambda: dropped(tf, h, 0.3), lambda: h))
    return {"keras_learning_phase": 0}


def batch_norm(tf: Any, x: Any) -> Mapping[str, Any]:
    """Moments of the batch while training, stored ones else; the flag has no default."""
    training = flag(tf, "is_training")
    h = hidden(tf, x)
    mean, variance = tf.cond(
        training,
        lambda: tf.nn.moments(h, [0]),
        lambda: (tf.constant([0.1, 0.2, 0.3]), tf.constant([1.0, 2.0, 3.0])),
    )
    ended(tf, tf.nn.batch_normalization(h, mean, variance, None, 2.0, 1e-3))
    return {"is_training": False}


def keep_prob(tf: Any, x: Any) -> Mapping[str, Any]:
    """TensorFlow 1's recipe: floor(keep_prob + uniform), without any shape of the placeholder."""
    keep = tf.compat.v1.placeholder(tf.float32, name="fc/keep_prob_1")
    h = hidden(tf, x)
    mask = tf.floor(keep + tf.random.uniform(tf.shape(h)))
    ended(tf, tf.compat.v1.div(h, keep) * mask)
    return {"fc/keep_prob_1": 1.0}


def rate(tf: Any, x: Any) -> Mapping[str, Any]:
    ended(tf, dropped(tf, hidden(tf, x), flag(tf, "my_rate", "float32")))
    return {"my_rate": 0.0}


def kept_rate(tf: Any, x: Any) -> Mapping[str, Any]:
    """TensorFlow 1.13's recipe of a keep probability, which has a default for training."""
    keep = tf.compat.v1.placeholder_with_default(0.5, (), "keep")
    ended(tf, tf.compat.v1.nn.dropout(hidden(tf, x), rate=1.0 - keep))
    return {"keep": 1.0}


def several(tf: Any, x: Any) -> Mapping[str, Any]:
    """All at once, in scopes; one boolean without a name, known by its random numbers."""
    with tf.compat.v1.name_scope("net"):
        phase, keep = flag(tf, "phase_train"), flag(tf, "keep", "float32")
        unnamed = tf.compat.v1.placeholder(tf.bool)
        h = dropped(tf, hidden(tf, x), 1.0 - keep)
        h = tf.cond(phase, lambda: h * 7.0, lambda: h)
        h = tf.cond(unnamed, lambda: h + tf.random.normal(tf.shape(h)), lambda: h)
    ended(tf, h)
    return {"net/phase_train": False, "net/keep": 1.0, "net/Placeholder": False}


def other_way_round(tf: Any, x: Any) -> Mapping[str, Any]:
    inference = flag(tf, "is_inference")
    h = hidden(tf, x)
    ended(tf, tf.cond(tf.logical_not(inference), lambda: dropped(tf, h, 0.5), lambda: h))
    return {"is_inference": True}


def temperature(tf: Any, x: Any) -> Mapping[str, Any]:
    """A scalar that has a default and no meaning for the training."""
    h = hidden(tf, x) / tf.compat.v1.placeholder_with_default(np.float32(2), (), "temperature")
    ended(tf, h)
    return {}


BUILDS = (
    *(keras_dropout, keras_1, batch_norm, keep_prob, rate, kept_rate, several, other_way_round),
    temperature,
)


@pytest.mark.slow
@pytest.mark.parametrize("old", [True, False], ids=["Switch", "If"])
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_scores_are_those_of_a_session_in_inference(build: Build, old: bool) -> None:
    data, expected = made(build, old)
    graph = FrozenGraph.from_bytes(data)
    assert (graph.input_nodes, graph.output_nodes) == (("x",), ("y",))
    assert not {"RandomUniform", "RandomStandardNormal", "Switch", "Merge"} & graph.operations
    np.testing.assert_allclose(scores(graph), expected, atol=1e-6, rtol=0)
    again = FrozenGraph.from_bytes(graph.serialized)
    assert again.serialized == graph.serialized, "nothing is left to fold"


def test_the_values_that_were_taken_are_told() -> None:
    data, _ = made(several)
    bundle = Bundle.from_upload(data, "several")
    told = bundle.card["converted_from"]
    assert told["constants"] == {
        "net/phase_train": False,
        "net/keep": 1.0,
        "net/Placeholder": False,
    }
    assert Bundle.from_archive(bundle.archive()).files() == bundle.files()


def scaled(tf: Any, x: Any) -> Mapping[str, Any]:
    """A number for all events that no name and no random number gives away."""
    ended(tf, hidden(tf, x) * flag(tf, "mass/scale", "float32"))
    return {"mass/scale": 3.0}


def test_what_cannot_be_guessed_is_asked_for() -> None:
    data, expected = made(scaled)
    for ends in ((), ("x", "y")):
        with pytest.raises(GraphError, match=r"'mass/scale'.*\?constants=NAME=VALUE in the add"):
            FrozenGraph.from_bytes(data, *ends)
    params = b'{"name": "m", "input_node": "x", "constants": {"mass/scale": 3}}'
    for bundle in (
        Bundle.from_upload(data, "m", constants={"mass/scale": 3}),
        Bundle.from_upload(data, "m", constants=" mass/scale:0 = 3.0 "),
        Bundle.from_upload(data, "m", constants='{"mass/scale": 3}'),
        Bundle.from_parts(params, data),
    ):
        np.testing.assert_allclose(scores(bundle.graph), expected, atol=1e-6, rtol=0)
        assert "constants" not in json.loads(bundle.files()["params.json"]), "they are used up"


def test_a_given_constant_replaces_the_one_that_would_be_taken() -> None:
    data, _ = made(batch_norm)
    graph = FrozenGraph.from_bytes(data, constants={"is_training": True})
    h = np.maximum(EVENTS @ WEIGHTS, 0)
    z = 2.0 * (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-3)
    expected = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    np.testing.assert_allclose(scores(graph), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"mass/skale": 1}, r"no placeholder 'mass/skale' .*did you mean 'mass/scale'\?"),
        ({"y": 1}, "no placeholder 'y' to take an inference constant"),
        ({"x": 1}, "placeholder 'x' takes no single number"),
        ({"mass/scale": 1e60}, "'mass/scale' is float32, which cannot be 1e"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(constants: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        FrozenGraph.from_bytes(made(scaled)[0], constants=constants)


def test_a_model_without_placeholders_takes_no_constants(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="not for a Bundle"):
        Bundle.of(bundle, constants={"phase": False})
    with pytest.raises(GraphError, match="only TensorFlow's graphs and SavedModels have"):
        Bundle.from_upload(b"\x08\x07", "m", constants={"phase": False})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("keep_prob", "written keep_prob=1,phase=false, each once, not 'keep_prob'"),
        ("a=1,a=2", "each once"),
        ("a=red", "'a' must be true, false or a finite number, not 'red'"),
        ("a=nan", "finite number"),
        ("{", "not an object in JSON"),
        ([1], "are an object such as"),
        ({"": 1}, "a placeholder's"),
        ({"a": [1]}, r"not \[1\]"),
        ({"a": 10**400}, "finite number"),
    ],
)
def test_what_is_no_constant_is_refused(given: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        constants_in(given)


def test_text_is_read_as_json_is() -> None:
    assert constants_in("a=1,b=False\nc/d=0.5") == {"a": 1, "b": False, "c/d": 0.5}
    assert constants_in({"a": np.float32(0.5), "b": np.True_}) == {"a": 0.5, "b": True}
    assert constants_in(None) == constants_in("") == {}


# --- vetting stays what it was --------------------------------------------------------------


def noisy(tf: Any, x: Any) -> Mapping[str, Any]:
    """Random numbers that matter, whatever the keep probability is."""
    keep = flag(tf, "keep_prob", "float32")
    ended(tf, hidden(tf, x) + tf.random.uniform((), seed=1) * keep)
    return {"keep_prob": 1.0}


def rounded(tf: Any, x: Any) -> Mapping[str, Any]:
    """Random numbers that are rounded with the events."""
    h = hidden(tf, x)
    ended(tf, tf.floor(h + tf.random.uniform(tf.shape(h))))
    return {}


def writes(tf: Any, x: Any) -> Mapping[str, Any]:
    """Both branches of a learning phase do more than compute."""
    phase = flag(tf, "keras_learning_phase")

    def branch() -> Any:
        with tf.control_dependencies([tf.raw_ops.WriteFile(filename="/nowhere/at", contents="")]):
            return tf.identity(x)

    ended(tf, tf.cond(phase, lambda: x + 1.0, lambda: x) + branch())
    return {}


@pytest.mark.parametrize(
    ("build", "operation"),
    [(noisy, "RandomUniform"), (rounded, "RandomUniform"), (writes, "WriteFile")],
)
def test_what_remains_is_vetted(build: Build, operation: str) -> None:
    tf = backend.tensorflow()
    with tf.Graph().as_default() as graph, switches(tf):
        build(tf, tf.compat.v1.placeholder(tf.float32, (None, 4), name="x"))
    for ends in ((), ("x", "y")):
        with pytest.raises(GraphError, match=f"is a '{operation}'"):
            FrozenGraph.from_bytes(graph.as_graph_def().SerializeToString(), *ends)


def test_what_a_named_output_does_not_need_is_left_away() -> None:
    """Labels, loss and summaries of the training, which the scores do not need."""

    def build(tf: Any) -> None:
        weighted_sum(tf)
        labels = tf.compat.v1.placeholder(tf.float32, (None, 1), name="labels")
        tf.compat.v1.summary.scalar("loss", tf.reduce_mean(labels))

    data = serialized(build)
    with pytest.raises(GraphError, match="is a 'ScalarSummary'"):
        FrozenGraph.from_bytes(data)
    graph = FrozenGraph.from_bytes(data, "x", "y")
    assert graph.operations == {"Placeholder", "Const", "MatMul"}


# --- other ways in --------------------------------------------------------------------------


def test_an_input_of_unknown_width_takes_as_many_values_as_features_are_named() -> None:
    def build(tf: Any, x: Any) -> Mapping[str, Any]:
        ended(tf, hidden(tf, x))
        return {}

    data, expected = made(build, known=False)
    bundle = Bundle.from_parts(b'{"name": "m", "features": ["a", "b", "c", "d"]}', data)
    assert bundle.graph.signature.width == 4
    np.testing.assert_allclose(scores(bundle.graph), expected, atol=1e-6)
    again = Bundle.from_archive(bundle.with_reference_events().archive())
    assert again.graph.signature.width == 4
    assert again.reference_events
    assert Bundle.from_upload(data, "m", features="a,b,c,d").graph.signature.width == 4


def test_the_wrong_number_of_features_is_told_when_it_is_tried() -> None:
    def build(tf: Any, x: Any) -> Mapping[str, Any]:
        ended(tf, hidden(tf, x))
        return {}

    data, _ = made(build, known=False)
    bundle = Bundle.from_upload(data, "m", features="a,b,c")
    with pytest.raises(GraphError, match="the graph failed"):
        FrozenEngine(bundle.graph)
    with pytest.raises(GraphError, match="name its features"):
        FrozenEngine(Bundle.from_upload(data, "m").graph)


@pytest.mark.slow
def test_a_saved_model_of_tensorflow_1_is_asked_in_inference(tmp_path: Path) -> None:
    """Its signature names the keep probability as an input, and leaves the phase out."""
    tf = backend.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), switches(tf):
        x = v1.placeholder(tf.float32, (None, 4), name="x")
        phase, keep = flag(tf, "phase"), flag(tf, "keep_prob", "float32")
        h = hidden(tf, x) * v1.get_variable("w", (3,), initializer=v1.ones_initializer())
        h = tf.cond(phase, lambda: dropped(tf, h, 0.3), lambda: h)
        y = tf.nn.softmax(dropped(tf, h, 1.0 - keep), name="y")
        with v1.Session() as session, backend.without_notes():
            session.run(v1.global_variables_initializer())
            expected = session.run(y, {x: EVENTS, phase: False, keep: 1.0})
            ends = {"x": x, "keep": keep}, {"y": y}
            v1.saved_model.simple_save(session, str(tmp_path / "one"), *ends)
    bundle = Bundle.from_saved_model(tmp_path / "one", "one")
    np.testing.assert_allclose(scores(bundle.graph), expected, atol=1e-6)
    assert bundle.card["converted_from"]["constants"] == {"phase": False, "keep_prob": 1.0}
