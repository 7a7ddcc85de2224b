"""NaN as a missing value: taken from clients by models that were trained with it, by no others."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
import requests
from onnx import helper
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from tests.onnx_models import FLOAT, INT64, logistic, relu
from tests.onnx_models import model as onnx_model
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import BundleError, FeatureError
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import arrow, oip, tfaas

KEYS = ("a", "b", "c")
NAN = float("nan")


def trained() -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    X = random.normal(size=(400, 3)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    X[random.random(X.shape) < 0.2] = np.nan
    X[:, 1] = np.where(y & (random.random(400) < 0.5), np.nan, X[:, 1])
    return HistGradientBoostingClassifier(max_iter=5, max_depth=3).fit(X, y), X


def converted(model: Any) -> Any:
    """Trees of scikit-learn's HistGradientBoostingClassifier as ONNX."""
    nodes = [(i, *row) for i, (tree,) in enumerate(model._predictors) for row in rows_of(tree)]
    tree, node, feature, value, left, right, is_leaf, missing, leaf = map(
        list, zip(*nodes, strict=True)
    )
    leaves = [i for i, yes in enumerate(is_leaf) if yes]
    attributes = {
        "nodes_treeids": tree,
        "nodes_nodeids": node,
        "nodes_featureids": feature,
        "nodes_values": value,
        "nodes_modes": ["LEAF" if yes else "BRANCH_LEQ" for yes in is_leaf],
        "nodes_truenodeids": left,
        "nodes_falsenodeids": right,
        "nodes_missing_value_tracks_true": missing,
        "class_treeids": [tree[i] for i in leaves],
        "class_nodeids": [node[i] for i in leaves],
        "class_ids": [0] * len(leaves),
        "class_weights": [leaf[i] for i in leaves],
        "classlabels_int64s": [0, 1],
        "base_values": [float(model._baseline_prediction.item())],
        "post_transform": "LOGISTIC",
    }
    ensemble = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        **attributes,
    )
    return onnx_model(
        [ensemble],
        inputs=[("X", FLOAT, (None, 3))],
        outputs=[("label", INT64, (None,)), ("probabilities", FLOAT, (None, 2))],
        opsets=[helper.make_opsetid("ai.onnx.ml", 3)],
    )


def rows_of(tree: Any) -> Iterator[tuple[Any, ...]]:
    """Nodes of a tree; thresholds are rounded down, as events are float32."""
    for i, one in enumerate(tree.nodes):
        cut = np.float32(one["num_threshold"])
        cut = np.nextafter(cut, np.float32(-np.inf)) if cut > one["num_threshold"] else cut
        ends = [int(one[key]) for key in ("left", "right", "is_leaf", "missing_go_to_left")]
        yield (i, int(one["feature_idx"]), float(cut), *ends, float(one["value"]))


@pytest.fixture(scope="module")
def trees() -> tuple[Bundle, Any, Any]:
    """Trees trained with missing values, events with such, and scikit-learn's own scores."""
    model, X = trained()
    bundle = Bundle.of(converted(model).SerializeToString(), "trees", KEYS)
    return bundle, X[:40], model.predict_proba(X[:40])


@pytest.fixture(scope="module")
def url(trees: tuple[Bundle, Any, Any], tmp_path_factory: Any) -> Iterator[str]:
    """A server with these trees, and a model that takes no NaN."""
    other = Bundle.of(logistic([0, 1], zipmap=False)[2], "other", KEYS)
    assert (trees[0].takes_missing, other.takes_missing) == (True, False)
    with Server(tmp_path_factory.mktemp("models"), port=0, token=False) as server:
        for bundle in (trees[0], other):
            server.service.repository.store(bundle)
        yield server.url


def post(url: str, path: str, body: bytes, **headers: str) -> requests.Response:
    return requests.post(f"{url}{path}", data=body, headers=headers, timeout=20)


def rows(X: Any, null: str) -> str:
    return json.dumps(X.tolist()).replace("NaN", null)


def records(X: Any, null: str) -> str:
    return json.dumps([dict(zip(KEYS, event, strict=True)) for event in X.tolist()]).replace(
        "NaN", null
    )


def infer(tensors: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    body, length = oip.encode_tensors(tensors)
    return body, {"Content-Type": oip.BINARY, oip.JSON_LENGTH: str(length)}


def in_json(path: str, form: str, take: Any) -> Any:
    """A dialect in JSON, with NaN and with null."""

    def ask(url: str, model: str, X: Any, null: str) -> Any:
        text = form.replace("ROWS", rows(X, null)).replace("RECORDS", records(X, null))
        text = text.replace("FLAT", rows(X.ravel(), null)).replace("COUNT", str(len(X)))
        text = text.replace("MODEL", model).replace("KEYS", json.dumps(KEYS))
        return post(url, path.replace("MODEL", model), text.encode()), take

    return ask


def predictions(answer: Any) -> Any:
    found = answer["predictions"]
    return [event["probabilities"] for event in found] if isinstance(found[0], dict) else found


def outputs(answer: Any) -> Any:
    (found,) = (one for one in answer["outputs"] if one["datatype"] == "FP32")
    return np.array(found["data"]).reshape(found["shape"])


JSON = {
    "rows": in_json("/json", '{"keys": KEYS, "values": ROWS, "model": "MODEL"}', lambda a: a),
    "values first": in_json(
        "/json", '{"values": ROWS, "keys": KEYS, "model": "MODEL"}', lambda a: a
    ),
    "records": in_json("/json", '{"records": RECORDS, "model": "MODEL"}', lambda a: a),
    "instances": in_json("/v1/models/MODEL:predict", '{"instances": ROWS}', predictions),
    "named": in_json("/v1/models/MODEL:predict", '{"instances": RECORDS}', predictions),
    "OIP": in_json(
        "/v2/models/MODEL/infer",
        '{"inputs": [{"name": "X", "shape": [COUNT, 3], "datatype": "FP32", "data": FLAT}]}',
        outputs,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("null", ["NaN", "null"])
@pytest.mark.parametrize("ask", JSON.values(), ids=JSON)
def test_json_takes_missing_values_for_that_model_only(
    url: str, trees: tuple[Bundle, Any, Any], ask: Any, null: str
) -> None:
    _, X, scores = trees
    answer, take = ask(url, "trees", X, null)
    assert answer.status_code == 200, answer.text
    np.testing.assert_allclose(take(answer.json()), scores, atol=1e-6)
    refused, _ = ask(url, "other", X, null)
    assert refused.status_code == 422, refused.text
    assert re.search("not (a )?(finite|number)|not object|holds None", refused.text), refused.text
    infinite, _ = ask(url, "trees", np.where(np.isnan(X), np.inf, X), null)
    assert infinite.status_code == 422, infinite.text
    assert "finite" in infinite.text


@pytest.mark.slow
@pytest.mark.parametrize("null", ["NaN", "null"])
def test_single_events_take_missing_values_together_with_others(
    url: str, trees: tuple[Bundle, Any, Any], null: str
) -> None:
    _, X, scores = trees
    for event, score in zip(X[:8], scores, strict=False):
        for model in ("trees", "other"):
            body = (
                f'{{"keys": {json.dumps(KEYS)}, "values": {rows(event, null)}, "model": "{model}"}}'
            )
            answer = post(url, "/json", body.encode())
            if model == "trees":
                np.testing.assert_allclose(answer.json(), score, atol=1e-6)
            else:
                assert answer.status_code == (422 if np.isnan(event).any() else 200)
        answer = post(url, "/proto", tfaas.encode_row(KEYS, event, "trees"))
        told = [probability for _, probability in tfaas.decode_predictions(answer.content)]
        np.testing.assert_allclose(told, score, atol=1e-6)


def of_npy(answer: bytes) -> Any:
    return np.load(io.BytesIO(answer))


def of_protobuf(answer: bytes) -> Any:
    return np.array([p for _, p in tfaas.decode_predictions(answer)]).reshape(-1, 2)


def nulls(X: Any) -> bytes:
    """An Arrow stream with null where a value is missing."""
    columns = [pa.array(column, from_pandas=True) for column in X.T.astype(float)]
    batch = pa.record_batch(columns, names=list(KEYS))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


BINARY = {
    "npy": ("/npy?model=MODEL", lambda X, _: tfaas.encode_npy(KEYS, X), of_npy),
    "arrow": (
        "/arrow?model=MODEL",
        lambda X, _: arrow.encode(KEYS, X),
        lambda answer: arrow.decode_scores(answer)[1],
    ),
    "arrow nulls": (
        "/arrow?model=MODEL",
        lambda X, _: nulls(X),
        lambda answer: arrow.decode_scores(answer)[1],
    ),
    "dataframe": (
        "/dataframe",
        lambda X, model: tfaas.encode_dataframe(KEYS, X, model),
        of_protobuf,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "encode", "take"), BINARY.values(), ids=BINARY)
def test_binary_dialects_take_missing_values_for_that_model_only(
    url: str, trees: tuple[Bundle, Any, Any], path: str, encode: Any, take: Any
) -> None:
    _, X, scores = trees
    answer = post(url, path.replace("MODEL", "trees"), encode(X, "trees"))
    assert answer.status_code == 200, answer.text
    np.testing.assert_allclose(take(answer.content), scores, atol=1e-6)
    refused = post(url, path.replace("MODEL", "other"), encode(X, "other"))
    assert refused.status_code == 422
    assert "is null" in refused.text or "is nan, not a finite number" in refused.text


@pytest.mark.slow
def test_the_client_sends_missing_values_to_that_model_only(
    url: str, trees: tuple[Bundle, Any, Any]
) -> None:
    _, X, scores = trees
    client = Client(url)
    table = pd.DataFrame(X, columns=KEYS)
    for events in (X, table, table.astype("float64"), {"X": X}):
        np.testing.assert_allclose(client.predict("trees", events), scores, atol=1e-6)
        with pytest.raises(FeatureError, match="not a finite number|not finite"):
            client.predict("other", events)
    np.testing.assert_allclose(client.predict("trees", X[0]), scores[0], atol=1e-6)


def test_who_uploads_says_what_stands_for_a_missing_value() -> None:
    """The file of a forest that was trained without any does not tell where these go."""
    X = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    forest = RandomForestClassifier(3, max_depth=2).fit(X, X[:, 0] > 0)
    content = to_onnx(forest, X[:1], options={"zipmap": False}).SerializeToString()
    assert not Bundle.of(content, "m").takes_missing
    assert Bundle.of(content, "m", missing="nan").takes_missing
    assert Bundle.from_upload(content, "m", missing="nan").takes_missing
    # As XGBoost's trees are written that send no missing value to the left.
    proto = onnx.load_from_string(content)
    proto.producer_name = "OnnxMLTools"
    assert Bundle.of(proto.SerializeToString(), "m").takes_missing
    params = b'{"name": "m", "model": "model.onnx", "missing": "nan"}'
    bundle = Bundle.from_parts(params, content)
    assert json.loads(bundle.params.to_json())["missing"] == "nan"
    assert Bundle.from_archive(bundle.archive()).takes_missing
    for wrong in ("NaN", "-999", "nul"):
        with pytest.raises(BundleError, match=f"missing='{wrong}' says .* must be 'nan'"):
            Bundle.of(content, "m", missing=wrong)


def test_who_uploads_may_refuse_missing_values(trees: tuple[Bundle, Any, Any]) -> None:
    refusing = trees[0].with_missing("none")
    assert not refusing.takes_missing
    assert not Bundle.from_archive(refusing.archive()).takes_missing
    assert "missing" not in json.loads(Bundle.of(relu().SerializeToString(), "m").params.to_json())


@pytest.mark.slow
def test_a_form_and_an_address_say_it(url: str) -> None:
    content = relu().SerializeToString()
    event = b'{"instances": [[NaN, 1]]}'
    for sent in ({"data": {"name": "r", "missing": "nan"}}, {"params": {"missing": "nan"}}):
        sent = {"data": {"name": "r"}} | sent
        answer = requests.post(f"{url}/upload", files={"model": content}, timeout=60, **sent)
        assert answer.status_code == 200, answer.text
        assert requests.get(f"{url}/params/r", timeout=5).json()["missing"] == "nan"
        answer = post(url, "/v1/models/r:predict", event)
        # The model has no trees, and its answer is not finite, which JSON cannot hold.
        assert "the model answers event 0 with nan" in answer.text
