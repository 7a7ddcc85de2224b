from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfaas_nb.errors import BundleError, TfaasError
from tfaas_nb.features import TTBAR_ALL_HADRONIC
from tfaas_nb.wire.params import Params

#: As the Go server's documentation shows it, in the old spelling.
OLD = b"""{"name": "luca", "model": "luca.pb", "labels": "labels.csv", "options": [],
"inputNode": "dense_4_input", "outputNode": "output_node0", "timestamp": "2019-01-01"}"""

GOLDEN = b"""{
  "name": "ttbar",
  "model": "model.pb",
  "labels": "labels.txt",
  "options": [],
  "input_node": "input",
  "output_node": "output",
  "input_name": "input:0",
  "output_name": "output:0",
  "img_channels": 0,
  "description": "tt\\u0304 against QCD",
  "timestamp": "2026-11-02T12:00:00+00:00",
  "op": "",
  "features": [
    {
      "name": "jetPt_0",
      "unit": "GeV",
      "median": 205.5
    }
  ],
  "sha256": "00ff",
  "inputNode": "input",
  "outputNode": "output"
}"""

PARAMS = Params(
    name="ttbar",
    input_node="input",
    output_node="output",
    input_name="input:0",
    output_name="output:0",
    description="tt\u0304 against QCD",
    timestamp="2026-11-02T12:00:00+00:00",
    features=({"name": "jetPt_0", "unit": "GeV", "median": 205.5},),
    sha256="00ff",
)

texts = st.text(st.characters(codec="utf-8"))
numbers = st.floats(allow_nan=False, allow_infinity=False)
features = st.builds(
    lambda name, unit, numbers: {"name": name, "unit": unit} | numbers,
    texts,
    texts,
    st.fixed_dictionaries({"low": numbers, "high": numbers, "median": numbers}),
)
params = st.builds(
    Params,
    name=texts.filter(bool),
    model=texts,
    labels=texts,
    options=st.lists(texts).map(tuple),
    input_node=texts,
    output_node=texts,
    input_name=texts,
    output_name=texts,
    img_channels=st.integers(0, 2**31),
    description=texts,
    timestamp=texts,
    op=texts,
    features=st.lists(features).map(tuple),
    working_points=st.lists(
        st.fixed_dictionaries(dict.fromkeys(("eps_s", "eps_b", "threshold"), st.floats(0, 1)))
    ).map(tuple),
    sha256=texts,
)


POINT = {"eps_s": 0.5, "eps_b": 0.0, "threshold": 0.9}


def test_a_working_point_keeps_counts_errors_limits_and_text() -> None:
    known = {"background_passed": 0, "background_events": 2000, "eps_b_high": 0.0018}
    told = {"chosen": "eps_s", "text": {"eps_b": "< 0.0018 at 95 % CL"}}
    values = {"name": "a", "working_points": [{**POINT, **known, **told}]}
    (point,) = Params.from_values(values).working_points
    assert point == {**POINT, **known, **told}


def test_the_file_is_written_with_both_spellings() -> None:
    assert PARAMS.to_json() == GOLDEN
    assert Params.from_json(GOLDEN) == PARAMS


def test_the_old_spelling_is_read() -> None:
    found = Params.from_json(OLD)
    assert (found.input_node, found.output_node) == ("dense_4_input", "output_node0")
    assert (found.name, found.model, found.labels) == ("luca", "luca.pb", "labels.csv")


def test_the_new_spelling_wins() -> None:
    both = b'{"name": "a", "inputNode": "old", "input_node": "new"}'
    assert Params.from_json(both).input_node == "new"


def test_how_events_are_read_comes_back_as_it_was() -> None:
    known = replace(PARAMS, feature_set=TTBAR_ALL_HADRONIC)
    assert Params.from_json(known.to_json()) == known


def test_nulls_and_foreign_keys_are_left_out() -> None:
    found = Params.from_json(b'{"name": "a", "labels": null, "options": null, "else": [1]}')
    assert found == Params(name="a")


def test_a_name_given_beside_the_file_replaces_the_files_own() -> None:
    assert Params.from_json(OLD, "other").name == "other"
    assert Params.from_json(b"{}", "other").name == "other"


def test_features_may_be_mere_names() -> None:
    found = Params.from_json(b'{"name": "a", "features": ["x", {"name": "y"}]}')
    assert found.features == ({"name": "x"}, {"name": "y"})


@pytest.mark.slow
@given(params)
def test_every_file_is_read_back(value: Params) -> None:
    assert Params.from_json(value.to_json()) == value
    assert Params.from_values(value.to_values()) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "has no name"),
        ({"name": ""}, "has no name"),
        ({"name": 5}, "'name' must be a string, not 5"),
        ({"model": ["m"]}, r"'model' must be a string, not \['m'\]"),
        ({"input_node": 1}, "'input_node' must be a string, not 1"),
        ({"inputNode": 1}, "'input_node' must be a string, not 1"),
        ({"img_channels": "3"}, "'img_channels' must be a whole number, not '3'"),
        ({"img_channels": True}, "'img_channels' must be a whole number, not True"),
        ({"img_channels": 2.5}, "'img_channels' must be a whole number, not 2.5"),
        ({"options": 5}, "'options' must be a list, not 5"),
        ({"options": "fast"}, "'options' must be a list, not 'fast'"),
        ({"features": 5}, "'features' must be a list"),
        ({"feature_set": 5}, "'feature_set' must be an object, not 5"),
        ({"feature_set": {}}, "'feature_set' is not a description of a feature set: 'name'"),
        ({"features": {"a": 1}}, "'features' must be a list"),
        ({"working_points": 5}, "'working_points' must be a list"),
        ({"working_points": ["0.5"]}, "the working point '0.5' must have numbers as eps_s, eps_b"),
        (
            {"working_points": [{"eps_s": 0.5, "eps_b": 0.1}]},
            "must have numbers as eps_s, eps_b, th",
        ),
        (
            {"working_points": [{"eps_s": 0.5, "eps_b": 0.1, "threshold": 1e301}]},
            "must have numbers",
        ),
        ({"working_points": [POINT | {"eps_b_high": "x"}]}, "'eps_b_high' of a working point"),
        ({"working_points": [POINT | {"text": 5}]}, "'text' of a working point"),
        ({"features": [5]}, "feature 5 has no name"),
        ({"features": [{"unit": "GeV"}]}, "feature {'unit': 'GeV'} has no name"),
        ({"features": [{"name": "pt", "low": None, "high": 1}]}, "'low' of feature 'pt' must be"),
        ({"features": [{"name": "pt", "low": 1}]}, "feature 'pt' has half a typical range"),
        ({"features": [{"name": "pt", "median": "x"}]}, "'median' of feature 'pt' must be a num"),
        ({"features": [{"name": "pt", "present": True}]}, "'present' of feature 'pt' must be"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Params.from_json(json.dumps({"name": "a"} | changes).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"name: a", b'{"name": "a", "timestamp": NaN}', b"[" * 100_000, b"\xff\xfe{}"],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"params\.json is not JSON"):
        Params.from_json(data)


@pytest.mark.parametrize("data", [b"[]", b"null", b'"ttbar"', b"5"])
def test_json_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="must be a JSON object"):
        Params.from_json(data)


@given(st.binary())
def test_no_bytes_get_past_the_error_tree(data: bytes) -> None:
    with pytest.raises(TfaasError):
        Params.from_json(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(vars(PARAMS))), json_values))
def test_whatever_is_read_can_be_written(values: dict[str, Any]) -> None:
    try:
        found = Params.from_json(json.dumps(values).encode())
    except BundleError:
        return
    assert Params.from_json(found.to_json()) == found


@pytest.mark.parametrize("jets", [257, 10**9, 10**18])
def test_a_feature_set_of_endless_jets_is_refused(jets: int) -> None:
    """Its names would fill the memory."""
    values = TTBAR_ALL_HADRONIC.to_dict() | {"jets": jets}
    with pytest.raises(BundleError, match="keep at most 256 jets"):
        Params.from_json(json.dumps({"name": "x", "feature_set": values}).encode())


def test_an_empty_feature_set_comes_back() -> None:
    values = TTBAR_ALL_HADRONIC.to_dict() | {"event": [], "jet": []}
    found = Params.from_json(json.dumps({"name": "x", "feature_set": values}).encode())
    assert found.feature_set is not None
    assert Params.from_json(found.to_json()) == found
