"""Models whose score of an event depends on other events, and honest ones that only round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier

from tests import onnx_models
from tests.graphs import placeholder, serialized
from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import GraphError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.independence import check_independence
from tfaas_nb.model_file import Here
from tfaas_nb.operations import ALLOWED
from tfaas_nb.scoring.scorer import open_scorer
from tfaas_nb.serving.admission import Admission

REMEDY = r"export it in inference mode \(model\.eval\(\) in PyTorch, training=False in Keras\)"
#: Processor time that lets every comparison be made, on any machine.
PATIENT = 100.0


def bundle_of(model: bytes, **options: Any) -> Bundle:
    return Bundle.from_parts(b'{"name": "m", "output_node": "y"}', model, **options)


def check(bundle: Bundle) -> None:
    engine = open_engine(bundle.graph)
    try:
        check_independence(bundle.with_reference_events(engine=engine), engine, PATIENT)
    finally:
        engine.close()


def graph(function: Callable[[Any, Any], Any], width: int | None = 3) -> bytes:
    return serialized(lambda tf: tf.identity(function(tf, placeholder(tf, width=width)), name="y"))


def onnx(
    *nodes: Any, initializer: dict[str, Any] | None = None, shape: Any = (None, 2), **options: Any
) -> bytes:
    weights = [numpy_helper.from_array(np.array(v), k) for k, v in (initializer or {}).items()]
    ends = {
        "inputs": [("x", TensorProto.FLOAT, shape)],
        "outputs": [("y", TensorProto.FLOAT, (None,) * len(shape))],
    }
    made: bytes = onnx_models.model(
        list(nodes), initializer=weights, **(ends | options)
    ).SerializeToString()
    return made


def events_in(tf: Any, x: Any) -> Any:
    return tf.cast(tf.shape(x)[0], tf.float32)


MIXING: dict[str, Callable[[], bytes]] = {
    "mean": lambda: graph(lambda tf, x: x - tf.reduce_mean(x, 0, keepdims=True)),
    "softmax over the events": lambda: graph(lambda tf, x: tf.nn.softmax(x, 0)),
    "sum so far": lambda: graph(lambda tf, x: tf.cumsum(x, 0)),
    "sum from the end": lambda: graph(lambda tf, x: tf.cumsum(x, 0, reverse=True)),
    "number of events": lambda: graph(lambda tf, x: x / events_in(tf, x)),
    "position": lambda: graph(
        lambda tf, x: x + 1e-3 * tf.range(events_in(tf, x), dtype=tf.float32)[:, None]
    ),
    "a neighbour": lambda: graph(lambda tf, x: x + tf.roll(x, 1, 0)),
    "the last": lambda: graph(lambda tf, x: x + x[-1:]),
    "order": lambda: graph(lambda tf, x: tf.sort(x, axis=0)),
    "only beside large values": lambda: graph(
        lambda tf, x: tf.where(tf.reduce_max(x) > 1e5, 0 * x, x)
    ),
    "only beside negative values": lambda: graph(
        lambda tf, x: tf.where(tf.reduce_min(x) < -9e5, 0 * x, x)
    ),
    "only in a crowd": lambda: graph(lambda tf, x: tf.where(events_in(tf, x) > 100, 0 * x, x)),
    "a thousandth of a mean": lambda: graph(
        lambda tf, x: tf.sigmoid(x) + 1e-3 * tf.sigmoid(tf.reduce_mean(x, 0, keepdims=True))
    ),
    "rows of any length": lambda: graph(
        lambda tf, x: tf.reduce_sum(x, 1, keepdims=True) - tf.reduce_mean(x), width=None
    ),
    "onnx mean": lambda: onnx(
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0]),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ),
    "onnx image": lambda: onnx(
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0, 2, 3]),
        helper.make_node("Sub", ["x", "m"], ["y"]),
        shape=(None, 3, 8, 8),
    ),
    "onnx image of any size": lambda: onnx(
        helper.make_node("ReduceMax", ["x"], ["m"], axes=[0]),
        helper.make_node("Sub", ["x", "m"], ["y"]),
        shape=(None, 1, None, None),
    ),
    "onnx dynamic quantization": lambda: onnx(
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ),
    "onnx whole numbers": lambda: onnx(
        helper.make_node("ReduceSum", ["x", "axis"], ["s"]),
        helper.make_node("Sub", ["x", "s"], ["d"]),
        helper.make_node("Cast", ["d"], ["y"], to=TensorProto.FLOAT),
        initializer={"axis": np.array([0])},
        inputs=[("x", TensorProto.INT64, (None, 2))],
    ),
    "onnx inputs against each other": lambda: onnx(
        helper.make_node("Transpose", ["b"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["a", "t"], ["p"]),
        helper.make_node("ReduceSum", ["p", "axis"], ["y"]),
        initializer={"axis": np.array([1])},
        inputs=[(name, TensorProto.FLOAT, (None, 2)) for name in "ab"],
    ),
    "onnx decisions only": lambda: onnx(
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0]),
        helper.make_node("Sub", ["x", "m"], ["d"]),
        helper.make_node("ArgMax", ["d"], ["y"], axis=1),
        outputs=[("y", TensorProto.INT64, (None, None))],
    ),
}


@pytest.mark.parametrize("kind", MIXING)
def test_a_model_that_mixes_events_is_refused(kind: str) -> None:
    message = "the model mixes events: it gives the same event .* depend on who else asks.*"
    with pytest.raises(GraphError, match=message + REMEDY):
        check(bundle_of(MIXING[kind]()))


def batch_norm(training: bool) -> bytes:
    outputs = ["y", "mean", "var"] if training else ["y"]
    node = helper.make_node(
        "BatchNormalization", [*"xsbmv"], outputs, **({"training_mode": 1} if training else {})
    )
    weights = {"s": [1.0, 1.0], "b": [0.0, 0.0], "m": [0.0, 0.0], "v": [1.0, 1.0]}
    floats = {name: np.array(values, np.float32) for name, values in weights.items()}
    return onnx(node, initializer=floats)


def dropout(rate: float = 0.2) -> bytes:
    weights = {"r": np.array(rate, np.float32), "t": np.array(True)}
    return onnx(helper.make_node("Dropout", [*"xrt"], ["y"]), initializer=weights)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: batch_norm(training=True), "goes on learning from what it is asked"),
        (dropout, r"draws random numbers \(it has Dropout\)"),
        (
            lambda: onnx(
                helper.make_node("RandomNormalLike", ["x"], ["r"]),
                helper.make_node("Add", ["x", "r"], ["y"]),
            ),
            r"draws random numbers \(it has RandomNormalLike\)",
        ),
    ],
)
def test_a_model_that_answers_the_same_twice_differently_is_refused(
    model: Callable[[], bytes], words: str
) -> None:
    with pytest.raises(GraphError, match=f"and, asked again, .*{words}.*{REMEDY}"):
        check(bundle_of(model()))


def test_a_graph_that_draws_random_numbers_is_told_so() -> None:
    noisy = graph(lambda tf, x: x + tf.random.normal(tf.shape(x)))
    with pytest.raises(GraphError, match="'RandomStandardNormal': its scores would be random; exp"):
        bundle_of(noisy)
    allowed = Here(ALLOWED | {"RandomStandardNormal"})
    with pytest.raises(GraphError, match=r"random numbers \(it has RandomStandardNormal\)"):
        check(bundle_of(noisy, reader=allowed))


def test_the_reference_events_of_a_bundle_are_asked_about() -> None:
    """This model mixes events where the first value is about 7, which nothing made up has."""

    def build(tf: Any, x: Any) -> Any:
        near = tf.cast(tf.abs(x[:, :1] - 7) < 0.01, tf.float32)
        return tf.where(tf.reduce_sum(near) > 1.5, x, 0 * x)

    bundle = bundle_of(graph(build))
    check(bundle)
    with pytest.raises(GraphError, match="the model mixes events"):
        check(bundle.with_reference_events([[7, 1, 2], [7, 3, 4], [7, 5, 6]]))


def test_typical_ranges_of_features_are_asked_about() -> None:
    def build(tf: Any, x: Any) -> Any:
        near = tf.cast(tf.abs(x[:, :1] - 7777) < 1, tf.float32)
        return tf.where(tf.reduce_sum(near) > 1.5, x, 0 * x)

    features = [{"name": n, "low": 7776.5, "high": 7777.5, "median": 7777.0} for n in "abc"]
    frozen = FrozenGraph.from_bytes(graph(build), output_node="y")
    with pytest.raises(GraphError, match="the model mixes events"):
        check(Bundle.create("m", frozen, (), features))


# --- honest models ----------------------------------------------------------------------


def trees(large: bool) -> bytes:
    X = np.random.default_rng(4).normal(size=(300, 5)).astype(np.float32)
    if large:
        model = GradientBoostingRegressor(n_estimators=300).fit(X * 1e4, 1e8 * X[:, 0] ** 3)
    else:
        model = RandomForestClassifier(50).fit(X, X[:, 0] + X[:, 1] ** 2 > 1)
    made: bytes = to_onnx(model, X[:1]).SerializeToString()
    return made


def one_at_a_time() -> bytes:
    return onnx(helper.make_node("Relu", ["x"], ["y"]), shape=(1, 2))


def of_tiny_tables(tf: Any, x: Any) -> Any:
    """A table of five rows, asked by numbers that must be between 0 and 4."""
    return tf.gather(tf.constant([[1.0], [2.0], [3.0], [4.0], [5.0]]), tf.cast(x[:, 0], tf.int32))


HONEST: dict[str, Callable[[], bytes]] = {
    "relu": lambda: onnx(helper.make_node("Relu", ["x"], ["y"])),
    "batch norm": lambda: batch_norm(training=False),
    "one event at a time": one_at_a_time,
    "softmax": lambda: graph(lambda tf, x: tf.nn.softmax(x)),
    "cancellation": lambda: graph(lambda tf, x: tf.sin(1e4 * tf.reduce_sum(x, 1, keepdims=True))),
    "not a number": lambda: graph(lambda tf, x: tf.math.log(x)),
    "a table": lambda: graph(of_tiny_tables),
    "trees": lambda: trees(large=False),
    "large trees": lambda: trees(large=True),
    "zipmap": lambda: onnx_models.logistic(["a", "b"], True)[2],
    "an image of any size": lambda: onnx(
        helper.make_node("GlobalAveragePool", ["x"], ["y"]), shape=(None, 3, None, None)
    ),
}


@pytest.mark.parametrize("kind", HONEST)
def test_an_honest_model_passes(kind: str) -> None:
    check(Bundle.from_parts(b'{"name": "m"}', HONEST[kind]()))


def network(kind: str) -> Any:
    keras = backend.keras()
    keras.utils.set_random_seed(1)
    layers, scaled = keras.layers, keras.initializers.VarianceScaling(3.5)
    deep = [layers.Dense(128, "relu", kernel_initializer=scaled) for _ in range(30)]
    tangled = [layers.Dense(64, "tanh", kernel_initializer=scaled) for _ in range(40)]
    kinds: dict[str, list[Any]] = {
        "deep": [keras.Input((30,), dtype="float32"), *deep, layers.Dense(1)],
        "chaotic": [keras.Input((30,)), *tangled, layers.Dense(1)],
        "recurrent": [keras.Input((None, 4)), layers.Masking(), layers.LSTM(8), layers.Dense(1)],
        "image": [keras.Input((16, 16, 1)), layers.Conv2D(8, 3), layers.LayerNormalization(),
                  layers.GlobalAveragePooling2D(), layers.Dense(4, "softmax")],
        "inference": [keras.Input((30,)), layers.Dense(64), layers.BatchNormalization(),
                      layers.Dropout(0.5), layers.Dense(1, "sigmoid")],
        "words": [keras.Input((6,), dtype="int64"), layers.Embedding(4, 8), layers.Flatten(),
                  *deep, layers.Dense(1)],
    }  # fmt: skip
    return keras.Sequential(kinds[kind])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deep", "chaotic", "recurrent", "image", "inference", "words"])
def test_rounding_in_a_network_passes(kind: str) -> None:
    check(Bundle.create("m", FrozenGraph.freeze(network(kind)), ()))


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_network_of_half_precision_passes(policy: str) -> None:
    keras = backend.keras()
    keras.mixed_precision.set_global_policy(policy)
    try:
        inner = network("deep")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    events = keras.Input((30,), dtype="float32")
    frozen = FrozenGraph.freeze(keras.Model(events, keras.layers.Dense(1)(inner(events))))
    assert frozen.has_half_precision
    check(Bundle.create("m", frozen, ()))


# --- where it is asked for --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mean", "onnx mean"])
def test_it_is_not_admitted(kind: str) -> None:
    with pytest.raises(GraphError, match="the model mixes events"):
        Admission().tried(bundle_of(MIXING[kind]()))


def test_no_file_is_scored_by_it() -> None:
    params = b'{"name": "m", "output_node": "y", "features": ["a", "b", "c"]}'
    with pytest.raises(GraphError, match="the model mixes events"):
        open_scorer(Bundle.from_parts(params, MIXING["mean"]()))
