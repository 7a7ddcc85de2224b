"""Keys of mappings that nothing reads are errors, with the key that was probably meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import tfaas_nb as tn
from tests.graphs import placeholder, serialized
from tests.metrics.toys import scored
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import BundleError, DataError, FeatureError, RequestError, TrainingError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.metrics import Band, Roc
from tfaas_nb.nearest import misspelt, unknown_keys
from tfaas_nb.plots import efficiencies, roc
from tfaas_nb.validation.scan import scan
from tfaas_nb.wire import oip, tfaas, tfserving
from tfaas_nb.wire.params import Params
from tfaas_nb.yardsticks import Boosting

CURVE = Roc.of(*scored(200))
FEATURES = tn.FeatureSet("two", ("met",), ("jetPt",), jets=1).to_dict()
del FEATURES["derived"]  # as written by earlier versions
PARAMS: dict[str, Any] = {"name": "m", "model": "model.pb", "labels": "labels.txt"}


def test_unknown_keys_are_listed_with_those_that_are_known() -> None:
    assert unknown_keys(["a", "b"], ["b", "a"]) == ""
    assert unknown_keys({"lable": 1}, ["label", "name"]) == (
        "unknown 'lable' (did you mean 'label'?); known are label, name"
    )
    assert unknown_keys([3, "qqq"], ["label"]) == "unknown 3, 'qqq'; known are label"


@pytest.mark.parametrize(
    ("keys", "near"),
    [
        (["modle"], "model"),
        (["MODEL"], "model"),
        (["input-node"], "input_node"),
        (["models", "model"], None),
        (["author", "version", "3"], None),
        ([None, 3], None),
    ],
)
def test_a_key_of_others_is_none_of_our_business_unless_it_is_misspelt(
    keys: list[Any], near: str | None
) -> None:
    said = misspelt(keys, ["model", "input_node", "labels"])
    assert said == ("" if near is None else f"unknown key {keys[0]!r} (did you mean {near!r}?)")


# What describes a model.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"derivd": ["ht"]}, r"unknown 'derivd' \(did you mean 'derived'\?\); known are name, "),
        ({"event": [{"name": "met", "unt": "GeV"}]}, r"'unt' .*'unit'\?\); .* of event"),
        ({"jet": ["jetPt"]}, "'jetPt' is no mapping"),
        ({"jets": 2.7}, "2.7 is no whole number"),
        ({"jets": True}, "True is no whole number"),
    ],
)
def test_a_feature_set_is_described_by_keys_that_are_read(
    change: dict[str, Any], said: str
) -> None:
    with pytest.raises(FeatureError, match=f"not a description of a feature set: .*{said}"):
        tn.FeatureSet.from_dict(FEATURES | change)
    with pytest.raises(BundleError, match=said):
        Params.from_values(PARAMS | {"feature_set": FEATURES | change})
    assert tn.FeatureSet.from_dict(FEATURES).to_dict() == FEATURES | {"derived": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lables": "names.txt"}, "unknown key 'lables'"),
        ({"output_nod": "y"}, r"'output_nod' \(did you mean 'output_node'\?\)"),
        ({"inputnode": "x"}, "did you mean 'input"),
        ({"features": [{"name": "a", "medain": 3}]}, r"'medain' \(did you mean 'median'\?\) of fe"),
        ({"working_point": []}, "did you mean 'working_points'"),
        (
            {"working_points": [{"eps_s": 0.5, "eps_b": 0.1, "threshold": 0.2, "eps_d": 1}]},
            r"unknown 'eps_d'; known are eps_s, eps_b, threshold",
        ),
    ],
)
def test_params_json_is_not_read_past_a_misspelt_key(change: dict[str, Any], said: str) -> None:
    params = {k: v for k, v in PARAMS.items() if k != "labels"}
    with pytest.raises(BundleError, match=said):
        Params.from_json(json.dumps(params | change).encode())


def test_params_json_may_have_keys_for_other_programs() -> None:
    others = {"author": "me", "framework": "torch", "classes": 2, "date": "today", "version": 3}
    feature = {"name": "a", "description": "of the leading jet", "dtype": "float"}
    found = Params.from_values(PARAMS | others | {"features": [feature]})
    assert found.features == (feature,)
    assert Params.from_values(found.to_values()) == found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"features": [{"name": "a", "title": "A"}, {"name": "b", "min": 0}]}, "'b' has unknown"),
        ({"features": [{"name": "a", "hihg": 1}, "b"]}, r"'hihg' \(did you mean 'high'\?\)"),
        ({"features": [{"nam": "a"}, "b"]}, "has no name"),
        ({"working_points": [{"eps_s": 1, "eps_b": 0, "thresold": 1}]}, "must have numbers as"),
        ({"working_points": [{"eps_s": 1, "eps_b": 0, "threshold": 1, "auc": 1}]}, "unknown 'auc'"),
        ({"working_points": {"eps_s": 0.5}}, "must have numbers as"),
    ],
)
def test_a_bundle_is_made_of_keys_that_are_read(options: dict[str, Any], said: str) -> None:
    graph = FrozenGraph.from_bytes(serialized(lambda tf: tf.identity(placeholder(tf), name="y")))
    with pytest.raises(BundleError, match=said):
        Bundle.create("m", graph, ("y0", "y1"), **options)


# Options.


@pytest.mark.parametrize(
    "use",
    [
        lambda: Classifier(epoch=3),
        lambda: Classifier().changed(epoch=3),
        lambda: scan({"epoch": [1, 2]}, None, progress=False),  # type: ignore[arg-type]
        lambda: scan([{"epoch": 1}], None, progress=False),  # type: ignore[arg-type]
    ],
)
def test_options_of_a_classifier_are_known(use: Callable[[], Any]) -> None:
    with pytest.raises(TrainingError, match=r"options \['epoch'\]; .* \(did you mean 'epochs'\?\)"):
        use()


@pytest.mark.parametrize("grid", [{3: [1]}, [{3: 1}], [{None: 1}]])
@pytest.mark.parametrize("of", [Classifier(), Boosting()])
def test_options_of_a_grid_are_text(grid: Any, of: Any) -> None:
    with pytest.raises(TrainingError, match="an option has a name, as text, not (3|None)"):
        scan(grid, None, classifier=of, progress=False)  # type: ignore[arg-type]


def test_parameters_of_a_significance_are_known() -> None:
    y, scores, weight = scored(200)
    data = Dataset(scores[:, np.newaxis], y, weight, tn.FeatureSet("one", ("x",)))
    found = Evaluation.of(data, scores)
    with pytest.raises(DataError, match=r"'systematic' \(did you mean 'systematics'\?\)"):
        found.working_point(significance="asimov", systematic=0.1)


@pytest.mark.parametrize("draw", [roc, efficiencies])
def test_a_band_belongs_to_a_curve(draw: Callable[..., Any]) -> None:
    ax, band = Figure().subplots(), Band.of(CURVE.events, replicas=10)
    with pytest.raises(DataError, match=r"unknown 'Default' \(did you mean 'default'\?\)"):
        draw({"default": CURVE, "other": CURVE}, ax, band={"Default": band})
    draw({"default": CURVE, "other": CURVE}, ax, band={"default": band})


@pytest.mark.parametrize(
    ("classifiers", "said"),
    [
        ([Boosting()], "by name"),
        ({"boosting": 3}, "'boosting': 3 is no name and classifier"),
        ({"boosting": Boosting}, "'boosting'"),
        ({3: Boosting()}, "3: Boosting"),
        (Boosting(), "by name"),
    ],
)
def test_classifiers_are_compared_by_name(classifiers: Any, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        tn.compare(None, None, classifiers, progress=False)  # type: ignore[arg-type]


# Requests: what names the model or the columns must not be passed over.

_ROW: dict[str, Any] = {"keys": ["a", "b"], "values": [1.0, 2.0]}


@pytest.mark.parametrize(
    "key", ["modle", "Model", "MODEL", "model_name", "modelName", "models", "nmae", "model "]
)
@pytest.mark.parametrize("first", [True, False], ids=["before the values", "behind"])
@pytest.mark.parametrize("body", [_ROW, {"records": [{"a": 1.0}]}], ids=["row", "records"])
def test_a_misspelt_model_is_not_another_model(key: str, first: bool, body: dict[str, Any]) -> None:
    whole = {key: "ttbar"} | body if first else body | {key: "ttbar"}
    with pytest.raises(RequestError, match=r"unknown key '.*' \(did you mean '(model|name)'\?\)"):
        tfaas.read_json(json.dumps(whole).encode())


@pytest.mark.parametrize("others", [{"id": 7}, {"event": 3, "time": 2.0}, {"comment": "x"}])
@pytest.mark.parametrize("model", [{}, {"model": "ttbar"}, {"name": "ttbar"}, {"key": "ttbar"}])
def test_other_members_are_passed_over_as_before(
    others: dict[str, Any], model: dict[str, Any]
) -> None:
    expected = tfaas.read_json(json.dumps(model | _ROW).encode())
    for whole in (others | model | _ROW, model | _ROW | others, _ROW | others | model):
        found = tfaas.read_json(json.dumps(whole).encode())
        assert (found.model, found.keys) == (expected.model, expected.keys)


def _infer(**more: Any) -> bytes:
    tensor = {"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}
    return json.dumps({"inputs": [tensor], **more}).encode()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"parameters": {"key": ["b", "a"]}}, r"'key' \(did you mean 'keys'\?\)"),
        ({"parameters": {"Keys": ["b", "a"]}}, "'Keys'"),
        ({"parameters": {"binary_output_data": True}}, "did you mean 'binary_data"),
        ({"output": [{"name": "y"}]}, "did you mean 'outputs'"),
        ({"parameter": {"keys": ["b", "a"]}}, "did you mean 'parameters'"),
    ],
)
def test_misspelt_keys_of_a_tensor_request_are_refused(more: dict[str, Any], said: str) -> None:
    for decode in (oip.decode_infer, oip.decode_tensors):
        with pytest.raises(RequestError, match=said):
            decode(_infer(**more))


def test_parameters_of_other_programs_are_passed_over() -> None:
    more = {"sequence_id": 3, "priority": 1, "timeout": 9, "headers": {}, "triton_final": True}
    found = oip.decode_infer(_infer(parameters=more | {"keys": ["a", "b"]}, trace="x"))
    assert found.keys == ("a", "b")


def test_a_misspelt_signature_is_not_another_signature() -> None:
    body = json.dumps({"instances": [[1.0]], "signatur_name": "other"})
    with pytest.raises(RequestError, match=r"'signatur_name' \(did you mean 'signature_name'\?\)"):
        tfserving.decode_predict(body.encode())
