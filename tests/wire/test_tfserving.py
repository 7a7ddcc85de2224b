from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfaas_nb.errors import FeatureError, RequestError, TfaasError
from tfaas_nb.signature import Tensor
from tfaas_nb.wire import tfserving
from tfaas_nb.wire.tfserving import Predict

Floats = npt.NDArray[np.float32]

EVENTS = [[2.0, 431.5], [3.0, -0.25]]
KEYS = ("nJets", "jetPt_0")

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
scores = arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 3)), elements=finite)
names = st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=4, unique=True)


def predict(**request: Any) -> Predict:
    return tfserving.decode_predict(json.dumps(request).encode())


def found(
    query: Predict,
) -> tuple[str | None, tuple[str, ...], list[list[float]], bool]:
    assert query.values.dtype == np.float32
    return query.input, query.keys, query.values.tolist(), query.row


# --- golden exchanges -------------------------------------------------------------------


def test_the_predict_exchange_of_the_documentation() -> None:
    """Of half_plus_three; its model has a scalar output, where ours have a list of one."""
    asked = tfserving.decode_predict(b'{"instances": [1.0,2.0,5.0]}')
    assert found(asked) == (None, (), [[1], [2], [5]], True)
    answer = tfserving.encode_outputs({"output": asked.values / 2 + 3}, asked.row)
    assert json.loads(answer) == {"predictions": [[3.5], [4.0], [5.5]]}


def test_the_regress_exchange_of_the_documentation() -> None:
    asked = tfserving.decode_examples(
        b'{"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}'
    )
    assert (asked.signature, asked.keys) == ("tensorflow/serving/regress", ("x",))
    answer = tfserving.encode_regression(asked.values / 2 + 3)
    assert json.loads(answer) == {"results": [3.5, 4.0]}


def test_the_status_of_the_documentation() -> None:
    assert tfserving.model_status([tfserving.Version("123")]) == {
        "model_version_status": [
            {
                "version": "123",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def test_the_classification_of_tensorflow_servings_own_test() -> None:
    values = np.array([[0.2, 0.7, 0.1], [0.7, 0.1, 0.2]], np.float32)
    assert json.loads(tfserving.encode_classification(values, ["car", "bike", "bus"])) == {
        "results": [
            [["car", 0.2], ["bike", 0.7], ["bus", 0.1]],
            [["car", 0.7], ["bike", 0.1], ["bus", 0.2]],
        ]
    }


def test_the_metadata_are_those_of_a_running_server() -> None:
    """TensorFlow Serving's answer for a model of four inputs, without its init op."""
    assert tfserving.model_metadata(
        "model_yc",
        "1",
        [Tensor("input_data", "float32", (4,))],
        [Tensor("output_data", "float32", (1,))],
    ) == json.loads(
        """{
"model_spec":{
 "name": "model_yc",
 "signature_name": "",
 "version": "1"
}
,
"metadata": {"signature_def": {
 "signature_def": {
  "serving_default": {
   "inputs": {
    "input_data": {
     "dtype": "DT_FLOAT",
     "tensor_shape": {
      "dim": [{"size": "-1", "name": ""}, {"size": "4", "name": ""}],
      "unknown_rank": false
     },
     "name": "input_data:0"
    }
   },
   "outputs": {
    "output_data": {
     "dtype": "DT_FLOAT",
     "tensor_shape": {
      "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
      "unknown_rank": false
     },
     "name": "output_data:0"
    }
   },
   "method_name": "tensorflow/serving/predict"
  }
 }
}
}
}"""
    )


def test_scores_have_the_shortest_digits() -> None:
    values = np.array([[0.6046947]], np.float32)
    assert (
        tfserving.encode_outputs({"output": values}, row=True) == b'{"predictions":[[0.6046947]]}'
    )
    assert tfserving.encode_outputs({"output": values}, row=False) == b'{"outputs":[[0.6046947]]}'
    assert tfserving.encode_regression(values) == b'{"results":[0.6046947]}'
    answer = tfserving.encode_classification(values, ["ttbar"])
    assert answer == b'{"results":[[["ttbar",0.6046947]]]}'


# --- forms of a request -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"instances": EVENTS}, (None, (), EVENTS, True)),
        ({"instances": [[2, 431.5]]}, (None, (), EVENTS[:1], True)),
        ({"instances": [2, 3]}, (None, (), [[2], [3]], True)),
        ({"instances": [{"events": row} for row in EVENTS]}, ("events", (), EVENTS, True)),
        ({"instances": [{"x": [2]}, {"x": [3]}]}, ("x", (), [[2], [3]], True)),
        ({"instances": [{"x": 2}, {"x": 3}]}, (None, ("x",), [[2], [3]], True)),
        (
            {"instances": [{"nJets": 2, "jetPt_0": 431.5}, {"jetPt_0": -0.25, "nJets": 3}]},
            (None, KEYS, EVENTS, True),
        ),
        (
            {"instances": [{"nJets": [2], "jetPt_0": 431.5}, {"nJets": 3, "jetPt_0": [-0.25]}]},
            (None, KEYS, EVENTS, True),
        ),
        ({"inputs": EVENTS}, (None, (), EVENTS, False)),
        ({"inputs": [2, 3]}, (None, (), [[2], [3]], False)),
        ({"inputs": {"events": EVENTS}}, ("events", (), EVENTS, False)),
        ({"inputs": {"x": [2, 3]}}, ("x", (), [[2], [3]], False)),
        ({"inputs": {"x": [[2], [3]]}}, ("x", (), [[2], [3]], False)),
        (
            {"inputs": {"nJets": [2, 3], "jetPt_0": [431.5, -0.25]}},
            (None, KEYS, EVENTS, False),
        ),
        (
            {"inputs": {"nJets": [[2], [3]], "jetPt_0": [431.5, -0.25]}},
            (None, KEYS, EVENTS, False),
        ),
    ],
)
def test_every_form_of_a_predict_request_is_read(request_: Any, expected: Any) -> None:
    assert found(predict(**request_)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("serving_default", "serving_default"), ("", None), (None, None)],
)
def test_the_signature_is_read(name: str | None, expected: str | None) -> None:
    assert predict(signature_name=name, instances=EVENTS).signature == expected
    body = json.dumps({"signature_name": name, "examples": [{"a": 1}]}).encode()
    assert tfserving.decode_examples(body).signature == expected


def test_the_context_holds_what_all_examples_share() -> None:
    asked = tfserving.decode_examples(
        b'{"context": {"year": 2018}, "examples": [{"pt": 1, "eta": [2]}, {"eta": 4, "pt": 3}]}'
    )
    assert asked.keys == ("year", "pt", "eta")
    assert asked.values.tolist() == [[2018, 1, 2], [2018, 3, 4]]


def test_an_output_without_label_has_the_empty_one() -> None:
    answer = tfserving.encode_classification(np.array([[0.25, 0.75]], np.float32), ["qcd"])
    assert json.loads(answer) == {"results": [[["qcd", 0.25], ["", 0.75]]]}


def test_a_regression_has_one_output() -> None:
    with pytest.raises(RequestError, match="the model has 2 outputs: ask for :predict"):
        tfserving.encode_regression(np.ones((3, 2), np.float32))


# --- round trips ------------------------------------------------------------------------


@pytest.mark.slow
@given(scores, names)
def test_every_form_brings_the_same_events(values: Floats, keys: list[str]) -> None:
    rows = values.tolist()
    for request in ({"instances": rows}, {"inputs": rows}, {"inputs": {"x": rows}}):
        np.testing.assert_array_equal(predict(**request).values, values)
    keys = keys[: values.shape[1]]
    if len(keys) < max(2, values.shape[1]):
        return
    records = [dict(zip(keys, row, strict=True)) for row in rows]
    columns = dict(zip(keys, values.T.tolist(), strict=True))
    body = json.dumps({"examples": records}).encode()
    for asked in (
        predict(instances=records),
        predict(inputs=columns),
        tfserving.decode_examples(body),
    ):
        assert asked.keys == tuple(keys)
        np.testing.assert_array_equal(asked.values, values)


@given(scores)
def test_every_answer_holds_the_scores(values: Floats) -> None:
    for row, key in ((True, "predictions"), (False, "outputs")):
        answer = json.loads(tfserving.encode_outputs({"output": values}, row))
        np.testing.assert_array_equal(np.array(answer[key], np.float32), values)
    results = json.loads(tfserving.encode_classification(values, []))["results"]
    pairs = [[score for _, score in event] for event in results]
    np.testing.assert_array_equal(np.array(pairs, np.float32), values)
    results = json.loads(tfserving.encode_regression(values[:, :1]))["results"]
    np.testing.assert_array_equal(np.array(results, np.float32), values[:, 0])


def test_scores_that_are_not_contiguous_are_sent_as_they_read() -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert json.loads(tfserving.encode_outputs({"output": turned}, row=True)) == {
        "predictions": turned.tolist()
    }


# --- malformed requests -----------------------------------------------------------------


@pytest.mark.parametrize("decode", [tfserving.decode_predict, tfserving.decode_examples])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"instances=1", "the body is not JSON"),
        (b"[[1, 2]]", "must be a JSON object, not a list"),
        (b'{"instances": ' + b"[" * 100_000, "the body is not JSON"),
        (b'{"signature_name": 5, "instances": [1]}', "'signature_name' must be a string, not 5"),
        (b'{"signature_name": ["a"]}', "'signature_name' must be a string, not"),
    ],
)
def test_a_body_of_the_wrong_form_is_told_what_is_wrong(
    decode: Callable[[bytes], object], body: bytes, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        decode(body)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, 'send either "instances" .* or "inputs"'),
        ({"instances": [[1]], "inputs": [[1]]}, 'send either "instances" .* or "inputs"'),
        ({"instances": []}, '"instances" is empty'),
        ({"instances": {}}, '"instances" must be a list, not {}'),
        ({"instances": 5}, '"instances" must be a list, not 5'),
        ({"instances": None}, '"instances" must be a list, not None'),
        ({"instances": [{}]}, "instance 0 has no values"),
        ({"instances": [[]]}, 'event 0 of "instances" has no values'),
        ({"instances": [[1, 2], [3]]}, 'event 1 of "instances" has 1 values, but event 0 has 2'),
        ({"instances": [[1], 2]}, 'event 1 of "instances" must be a list, not 2'),
        ({"instances": [[1], {"x": 2}]}, "event 1 of \"instances\" must be a list, not {'x': 2}"),
        ({"instances": [{"x": 2}, [1]]}, r"instance 1 must be an object, not \[1\]"),
        ({"instances": [{"x": [1]}, {"x": 2}]}, "event 1 of input 'x' must be a list, not 2"),
        ({"instances": [{"x": []}]}, "event 0 of input 'x' has no values"),
        ({"inputs": []}, '"inputs" is empty'),
        ({"inputs": {}}, '"inputs" is empty'),
        ({"inputs": 5}, '"inputs" must be a list, not 5'),
        ({"inputs": {"x": 5}}, "input 'x' must be a list, not 5"),
        ({"inputs": {"x": []}}, "input 'x' is empty"),
        ({"inputs": {"x": [[1, 2], [3]]}}, "event 1 of input 'x' has 1 values, but event 0 has 2"),
        ({"inputs": {"a": [1], "b": 5}}, "input 'b' must be a list, not 5"),
        (
            {"inputs": {"a": [1, 2], "b": [1]}},
            "input 'b' has 1 events, but input 'a' has 2",
        ),
    ],
)
def test_a_predict_request_of_the_wrong_form_is_told_what_is_wrong(
    request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        predict(**request_)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, '"examples" must be a list, not None'),
        ({"examples": {"a": 1}}, '"examples" must be a list, not'),
        ({"examples": []}, '"examples" is empty'),
        ({"examples": [5]}, "example 0 must be an object, not 5"),
        ({"examples": [{}]}, "example 0 has no values"),
        ({"examples": [{"a": 1}, [{"a": 1}]]}, "example 1 must be an object"),
        ({"examples": [5], "context": {"a": 1}}, "example 0 must be an object, not 5"),
        ({"examples": [{"a": 1}], "context": [1]}, r"'context' must be an object, not \[1\]"),
        (
            {"examples": [{"a": 1}, {"b": 1, "a": 1}], "context": {"b": 1}},
            "example 1 repeats features of the context: b",
        ),
    ],
)
def test_examples_of_the_wrong_form_are_told_what_is_wrong(
    request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        tfserving.decode_examples(json.dumps(request_).encode())


def test_events_with_other_features_are_named() -> None:
    events = [{"a": 1, "c": 2}, {"b": 1, "c": 2}]
    with pytest.raises(FeatureError, match="instance 1 has not the keys of instance 0: a, b"):
        predict(instances=events)
    with pytest.raises(FeatureError, match="example 1 has not the keys of example 0: a, b"):
        tfserving.decode_examples(json.dumps({"examples": events}).encode())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"431.5"', "is '431.5', not a number"),
        ("true", "is True, not a number"),
        ("null", "is None, not a number"),
        ('{"b64": "aGVsbG8="}', "is {'b64': 'aGVsbG8='}, not a number"),
        ("[1, 2]", r"is \[1, 2\], not a number"),
        ("[[1]]", r"is \[1\]|is \[\[1\]\], not a number"),
        ("NaN", "is nan, not a finite number"),
        ("Infinity", "is inf, not a finite number"),
        ("1e39", "is inf, not a finite number"),
        ("9" * 400, "is too large"),
    ],
)
@pytest.mark.parametrize(
    ("form", "where"),
    [
        ('{"instances": [[2, 1], [3, %s]]}', "'column 1'"),
        ('{"instances": [{"x": [2, 1]}, {"x": [3, %s]}]}', "'column 1'"),
        ('{"instances": [{"a": 2, "b": 1}, {"a": 3, "b": %s}]}', "'b'"),
        ('{"inputs": [[2, 1], [3, %s]]}', "'column 1'"),
        ('{"inputs": {"x": [[2, 1], [3, %s]]}}', "'column 1'"),
        ('{"inputs": {"a": [2, 3], "b": [1, %s]}}', "'b'"),
        ('{"examples": [{"a": 2, "b": 1}, {"a": 3, "b": %s}]}', "'b'"),
    ],
)
def test_a_value_that_is_no_finite_number_is_named(
    form: str, where: str, value: str, message: str
) -> None:
    decode = tfserving.decode_examples if "examples" in form else tfserving.decode_predict
    with pytest.raises(FeatureError, match=f"value of {where} of event 1 {message}"):
        decode(form.replace("%s", value).encode())


@pytest.mark.parametrize("depth", [900, 1020, 5000])
@pytest.mark.parametrize("key", ["instances", "inputs", "examples", "context", "signature_name"])
def test_deep_nesting_is_an_error_of_a_line(key: str, depth: int) -> None:
    body = f'{{"{key}": {"[" * depth + "]" * depth}}}'.encode()
    for decode in (tfserving.decode_predict, tfserving.decode_examples):
        with pytest.raises(TfaasError) as caught:
            decode(body)
        assert len(str(caught.value)) < 300


# --- anything at all --------------------------------------------------------------------


def decode_or_refuse(decode: Callable[[bytes], object], body: bytes) -> None:
    try:
        decoded = decode(body)
    except TfaasError as error:
        assert str(error)
    else:
        assert decoded is not None


decoders = pytest.mark.parametrize("decode", [tfserving.decode_predict, tfserving.decode_examples])


@decoders
@given(body=st.binary())
def test_no_bytes_get_past_the_error_tree(decode: Callable[[bytes], object], body: bytes) -> None:
    decode_or_refuse(decode, body)


@decoders
@given(data=st.data())
def test_no_damaged_byte_gets_past_the_error_tree(
    decode: Callable[[bytes], object], data: st.DataObject
) -> None:
    body = b'{"instances":[{"a":1,"b":[2]}],"examples":[{"a":1,"b":[2]}],"context":{"c":5}}'
    at = data.draw(st.integers(0, len(body) - 1))
    decode_or_refuse(decode, body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :])


numbers = st.integers() | st.floats() | st.lists(st.integers(), max_size=2)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)


@pytest.mark.slow
@decoders
@given(
    request=st.dictionaries(
        st.sampled_from(["instances", "inputs", "examples", "context", "signature_name"]),
        json_values,
        max_size=3,
    )
)
def test_no_json_gets_past_the_error_tree(
    decode: Callable[[bytes], object], request: dict[str, Any]
) -> None:
    decode_or_refuse(decode, json.dumps(request).encode())
