from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient import http as triton

from tfaas_nb.errors import FeatureError, RequestError, TfaasError
from tfaas_nb.signature import Tensor
from tfaas_nb.wire import oip
from tfaas_nb.wire.oip import Infer

Floats = npt.NDArray[np.float32]

EVENTS = np.array([[2, 431.5], [3, -0.25]], np.float32)
KEYS = ("nJets", "jetPt_0")
DATATYPES = {
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
}

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
matrices = arrays.arrays(
    np.float32, st.tuples(st.integers(0, 4), st.integers(1, 4)), elements=finite
)
words = st.text(st.characters(codec="utf-8"))


def tensor(**changes: Any) -> dict[str, Any]:
    """An input of two events, with parts changed, or left out where they are None."""
    whole = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]} | changes
    return {key: value for key, value in whole.items() if value is not None}


def raw(size: int | None = 16, **changes: Any) -> dict[str, Any]:
    return tensor(data=None, parameters={"binary_data_size": size}, **changes)


def request(*inputs: Any, **parts: Any) -> bytes:
    return json.dumps({"inputs": inputs} | parts).encode()


def infer(*inputs: Any, after: bytes | None = None, **parts: Any) -> Infer:
    """Decode a request with the raw tensors `after`."""
    text = request(*inputs, **parts)
    return oip.decode_infer(text + (after or b""), None if after is None else len(text))


def asked(**parts: Any) -> Infer:
    return Infer(**({"id": None, "keys": (), "values": EVENTS, "inputs": ("x",)} | parts))


# --- golden exchanges -------------------------------------------------------------------


def test_the_request_of_the_specification_is_read() -> None:
    """Its example of two inputs without the second one, which is BOOL."""
    found = oip.decode_infer(
        b"""{
      "id" : "42",
      "inputs" : [
        {
          "name" : "input0",
          "shape" : [ 2, 2 ],
          "datatype" : "UINT32",
          "data" : [ 1, 2, 3, 4 ]
        }
      ],
      "outputs" : [
        {
          "name" : "output0"
        }
      ]
    }"""
    )
    assert (found.id, found.keys, found.inputs) == ("42", (), ("input0",))
    assert (found.outputs, found.binary) == ((("output0", False),), False)
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, [[1, 2], [3, 4]])


def test_the_binary_request_of_the_extension_is_read() -> None:
    text = b"""{
  "model_name" : "mymodel",
  "inputs" : [
    {
      "name" : "input0",
      "shape" : [ 2, 2 ],
      "datatype" : "UINT32",
      "parameters" : {
        "binary_data_size" : 16
      }
    }
  ],
  "outputs" : [
    {
      "name" : "output0",
      "parameters" : {
        "binary_data" : true
      }
    }
  ]
}"""
    body = text + bytes([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0])
    found = oip.decode_infer(body, len(text))
    assert (found.outputs, found.binary) == ((("output0", True),), False)
    np.testing.assert_array_equal(found.values, [[1, 2], [3, 4]])


def test_the_answer_of_the_specification_is_read() -> None:
    found = oip.decode_answer(
        b"""{
      "id" : "42",
      "outputs" : [
        {
          "name" : "output0",
          "shape" : [ 3, 2 ],
          "datatype"  : "FP32",
          "data" : [ 1.0, 1.1, 2.0, 2.1, 3.0, 3.1 ]
        }
      ]
    }"""
    )
    assert (found.model, found.version, found.id) == ("", None, "42")
    np.testing.assert_array_equal(
        found.outputs["output0"], np.array([[1, 1.1], [2, 2.1], [3, 3.1]], np.float32)
    )


def test_an_answer_has_the_form_of_the_specification() -> None:
    scores = np.array([[0.6046947], [0.25]], np.float32)
    body, length = oip.encode_answer(asked(id="42"), "ttbar", "1", "scores", scores)
    assert length is None
    assert body == (
        b'{"model_name":"ttbar","model_version":"1","id":"42","outputs":[{"name":"scores",'
        b'"shape":[2,1],"datatype":"FP32","data":[0.6046947,0.25]}]}'
    )


def test_an_answer_without_version_and_id_leaves_them_out() -> None:
    body, _ = oip.encode_answer(asked(), "ttbar", None, "scores", EVENTS)
    assert set(json.loads(body)) == {"model_name", "outputs"}
    assert oip.decode_answer(body).version is None


def test_a_binary_answer_has_the_form_of_the_extension() -> None:
    scores = np.array([[1, 2]], np.float32)
    body, length = oip.encode_answer(asked(binary=True), "ttbar", None, "scores", scores)
    assert body[:length] == (
        b'{"model_name":"ttbar","outputs":[{"name":"scores","shape":[1,2],"datatype":"FP32",'
        b'"parameters":{"binary_data_size":8}}]}'
    )
    assert body[length:] == bytes.fromhex("0000803f00000040")


def test_what_the_server_and_a_model_say_of_themselves() -> None:
    assert oip.server_metadata("0.1.0") == {
        "name": "tfaas_nb",
        "version": "0.1.0",
        "extensions": ["binary_tensor_data", "model_repository"],
    }
    found = oip.model_metadata(
        "ttbar",
        ["1"],
        "tensorflow_graphdef",
        [Tensor("events", "float32", (42,))],
        [Tensor("scores", "float32", (1,)), Tensor("cell", "int64", (None, 2))],
    )
    assert found == {
        "name": "ttbar",
        "versions": ["1"],
        "platform": "tensorflow_graphdef",
        "inputs": [{"name": "events", "datatype": "FP32", "shape": [-1, 42]}],
        "outputs": [
            {"name": "scores", "datatype": "FP32", "shape": [-1, 1]},
            {"name": "cell", "datatype": "INT64", "shape": [-1, -1, 2]},
        ],
    }


def test_the_index_lists_models_with_their_state() -> None:
    entries = [oip.Entry("ttbar"), oip.Entry("qcd", "2", "UNAVAILABLE", "damaged")]
    assert oip.index(entries) == [
        {"name": "ttbar", "version": "1", "state": "READY", "reason": ""},
        {"name": "qcd", "version": "2", "state": "UNAVAILABLE", "reason": "damaged"},
    ]


@pytest.mark.parametrize("body", [b"", b" ", b"{}"])
def test_a_request_to_the_repository_may_be_empty(body: bytes) -> None:
    request = oip.decode_repository(body)
    assert request == {}
    assert not oip.wants_ready(request)
    oip.check_load(request)


def test_the_index_may_be_asked_for_ready_models() -> None:
    assert oip.wants_ready(oip.decode_repository(b'{"ready": true}'))
    with pytest.raises(RequestError, match="'ready' of the request must be true or false, not 1"):
        oip.wants_ready({"ready": 1})


def test_a_load_brings_no_model() -> None:
    with pytest.raises(RequestError, match="parameter 'config' of load is not known here"):
        oip.check_load({"parameters": {"config": "{}"}})


# --- forms of a request -----------------------------------------------------------------


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [1.0, 2, 3.0, 4]])
def test_data_may_be_flat_or_nested(data: list[Any]) -> None:
    np.testing.assert_array_equal(infer(tensor(data=data)).values, [[1, 2], [3, 4]])


def test_one_dimension_is_one_event() -> None:
    np.testing.assert_array_equal(infer(tensor(shape=[4])).values, [[1, 2, 3, 4]])


def test_a_parameter_names_the_columns() -> None:
    found = infer(tensor(), parameters={"keys": list(KEYS)})
    assert found.keys == KEYS


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_several_tensors_are_features(shape: list[int]) -> None:
    found = infer(
        tensor(name="nJets", shape=shape, data=[2, 3], datatype="INT32"),
        tensor(name="jetPt_0", shape=shape, data=[431.5, -0.25]),
    )
    assert (found.keys, found.inputs) == (KEYS, KEYS)
    np.testing.assert_array_equal(found.values, EVENTS)
    assert found.values.flags.c_contiguous


def test_json_and_raw_tensors_may_stand_side_by_side() -> None:
    found = infer(
        raw(4, name="a", shape=[2], datatype="INT16"),
        tensor(name="b", shape=[2], data=[5, 6]),
        raw(16, name="c", shape=[2, 1], datatype="FP64"),
        after=np.array([1, 2], "<i2").tobytes() + np.array([8, 9], "<f8").tobytes(),
    )
    np.testing.assert_array_equal(found.values, [[1, 5, 8], [2, 6, 9]])


@pytest.mark.parametrize(("name", "dtype"), DATATYPES.items())
def test_every_datatype_becomes_float32(name: str, dtype: type[Any]) -> None:
    sent = np.array([[1, 100], [0, 7]], dtype)
    found = infer(raw(sent.nbytes, datatype=name), after=sent.tobytes())
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, sent)
    np.testing.assert_array_equal(infer(tensor(datatype=name, data=sent.tolist())).values, sent)


@pytest.mark.parametrize("pad", range(4))
def test_raw_values_are_aligned_after_json_of_any_length(pad: int) -> None:
    found = infer(raw(), after=EVENTS.tobytes(), id="i" * pad)
    assert found.values.flags.aligned
    np.testing.assert_array_equal(found.values, EVENTS)


def test_no_events_are_read_as_none() -> None:
    assert infer(tensor(shape=[0, 2], data=[])).values.shape == (0, 2)
    assert infer(raw(0, shape=[0, 2]), after=b"").values.shape == (0, 2)
    none = [tensor(name=name, shape=[0], data=[]) for name in KEYS]
    assert infer(*none).values.shape == (0, 2)


@pytest.mark.parametrize(("default", "expected"), [(None, False), (False, False), (True, True)])
def test_outputs_are_binary_by_default_or_one_by_one(default: bool | None, expected: bool) -> None:
    parameters = {} if default is None else {"binary_data_output": default}
    outputs = [
        {"name": "a"},
        {"name": "b", "parameters": {"binary_data": True}},
        {"name": "c", "parameters": {"binary_data": False}},
    ]
    found = infer(tensor(), parameters=parameters, outputs=outputs)
    assert found.outputs == (("a", expected), ("b", True), ("c", False))
    assert found.binary is expected


@pytest.mark.parametrize(
    ("parts", "binary"),
    [
        ({"outputs": (("scores", True),)}, True),
        ({"outputs": (("scores", False),), "binary": True}, False),
        ({"binary": True}, True),
        ({}, False),
    ],
)
def test_an_output_goes_out_as_it_was_wanted(parts: dict[str, Any], binary: bool) -> None:
    _, length = oip.encode_answer(asked(**parts), "ttbar", "1", "scores", EVENTS)
    assert (length is not None) == binary


def test_an_output_that_there_is_not_is_named() -> None:
    with pytest.raises(RequestError, match="'ttbar' has no output 'logits': it has 'scores'"):
        oip.encode_answer(asked(outputs=(("logits", False),)), "ttbar", "1", "scores", EVENTS)


# --- round trips ------------------------------------------------------------------------


@given(matrices, st.booleans(), st.none() | words, words)
def test_a_request_brings_events_back(
    values: Floats, binary: bool, request_id: str | None, name: str
) -> None:
    keys = tuple(f"f{i}" for i in range(values.shape[1]))
    body, length = oip.encode_infer(values, keys, name=name, request_id=request_id, binary=binary)
    found = oip.decode_infer(body, length)
    assert (found.id, found.keys, found.inputs) == (request_id, keys, (name,))
    assert (found.outputs, found.binary, length is not None) == ((), binary, binary)
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, values)


def test_a_request_without_keys_says_nothing_of_them() -> None:
    body, _ = oip.encode_infer(EVENTS)
    assert set(json.loads(body)) == {"inputs"}
    assert oip.decode_infer(body).keys == ()


@given(matrices, st.booleans(), st.none() | words, words)
def test_an_answer_brings_scores_back(
    scores: Floats, binary: bool, request_id: str | None, name: str
) -> None:
    wanted = asked(id=request_id, binary=binary)
    found = oip.decode_answer(*oip.encode_answer(wanted, "ttbar", "1", name, scores))
    assert (found.model, found.version, found.id) == ("ttbar", "1", request_id)
    assert found.outputs[name].dtype == np.float32
    np.testing.assert_array_equal(found.outputs[name], scores)


def test_arrays_that_are_not_contiguous_are_sent_as_they_read() -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    for binary in (False, True):
        found = oip.decode_infer(*oip.encode_infer(turned, binary=binary))
        np.testing.assert_array_equal(found.values, turned)


# --- the real client --------------------------------------------------------------------


def triton_input(name: str, values: npt.NDArray[Any], datatype: str, binary: bool) -> Any:
    sent = triton.InferInput(name, list(values.shape), datatype)
    return sent.set_data_from_numpy(values, binary_data=binary)


def triton_body(*inputs: Any, **options: Any) -> tuple[bytes, int | None]:
    body, length = triton.InferenceServerClient.generate_request_body(list(inputs), **options)
    return body, length


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("datatype", "dtype"), DATATYPES.items())
def test_tritons_client_is_understood(datatype: str, dtype: type[Any], binary: bool) -> None:
    values = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    body, length = triton_body(triton_input("events", values, datatype, binary), request_id="7")
    found = oip.decode_infer(body, length)
    # It asks for raw bytes unless the outputs say otherwise.
    assert (found.id, found.keys, found.inputs, found.binary) == ("7", (), ("events",), True)
    np.testing.assert_array_equal(found.values, values)


@pytest.mark.parametrize("binary", [False, True])
def test_tritons_client_may_send_one_tensor_per_feature(binary: bool) -> None:
    inputs = [
        triton_input(key, EVENTS[:, [i]], "FP32", binary) for i, key in enumerate(("η", "jetPt_0"))
    ]
    found = oip.decode_infer(*triton_body(*inputs))
    assert found.keys == ("η", "jetPt_0")
    np.testing.assert_array_equal(found.values, EVENTS)


def test_tritons_client_may_name_the_columns() -> None:
    sent = triton_input("events", EVENTS, "FP32", True)
    found = oip.decode_infer(*triton_body(sent, parameters={"keys": list(KEYS)}))
    assert found.keys == KEYS


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_tritons_client_understands_the_answer(named: bool, binary: bool) -> None:
    outputs = [triton.InferRequestedOutput("scores", binary_data=binary)] if named else None
    sent = triton_input("events", EVENTS, "FP32", True)
    found = oip.decode_infer(*triton_body(sent, outputs=outputs, request_id="7"))
    scores = np.array([[0.6046947], [0.25]], np.float32)
    body, length = oip.encode_answer(found, "ttbar", "1", "scores", scores)
    assert (length is not None) == (binary or not named)
    answer = triton.InferenceServerClient.parse_response_body(body, header_length=length)
    np.testing.assert_array_equal(answer.as_numpy("scores"), scores)
    assert answer.get_response()["id"] == "7"
    assert answer.get_response()["model_name"] == "ttbar"


def test_tritons_client_sends_no_strings_and_no_shared_memory() -> None:
    strings = np.array([[b"a"]], np.object_)
    with pytest.raises(RequestError, match="'x' is 'BYTES': send one of FP16, FP32"):
        oip.decode_infer(*triton_body(triton_input("x", strings, "BYTES", True)))
    shared = triton.InferInput("x", [2, 2], "FP32").set_shared_memory("region", 16)
    with pytest.raises(RequestError, match="input 'x' has neither \"data\" nor parameter"):
        oip.decode_infer(*triton_body(shared))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (triton.InferRequestedOutput("s", class_count=2), "'classification' of output 's'"),
        (triton.InferRequestedOutput("s"), "'shared_memory_region' of output 's'"),
    ],
)
def test_outputs_of_another_kind_are_refused(output: Any, message: str) -> None:
    if "shared" in message:
        output.set_shared_memory("region", 16)
    with pytest.raises(RequestError, match=f"parameter {message} is not known here"):
        oip.decode_infer(*triton_body(triton_input("x", EVENTS, "FP32", True), outputs=[output]))


# --- malformed requests -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"<html>", "the body is not JSON"),
        (b'{"inputs": []', "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[1]", "must be a JSON object, not a list"),
        (b"{}", '"inputs" must be a list, not None'),
        (b'{"inputs": {}}', '"inputs" must be a list, not {}'),
        (b'{"inputs": []}', '"inputs" is empty'),
        (b'{"inputs": [5]}', 'input 0 must be an object with a "name"'),
        (b'{"inputs": [{"shape": [1]}]}', 'input 0 must be an object with a "name"'),
        (b'{"inputs": [{"name": 5}]}', 'input 0 must be an object with a "name"'),
        (b'{"inputs": ' + b"[" * 100_000, "the body is not JSON"),
        (request(tensor(), tensor()), "two inputs are called 'x'"),
        (request(tensor(), id=5), "'id' must be a string, not 5"),
        (request(tensor(), parameters=[]), r'"parameters" of the request must be an object'),
        (
            request(tensor(), parameters={"binary_data_output": 1}),
            "'binary_data_output' of the request must be true or false, not 1",
        ),
        (request(tensor(parameters=5)), "\"parameters\" of input 'x' must be an object, not 5"),
        (request(tensor(data=None)), "input 'x' has neither \"data\" nor parameter"),
        (
            request(tensor(parameters={"binary_data_size": 16})),
            "input 'x' has both \"data\" and parameter",
        ),
        (request(raw(-1)), "'binary_data_size' of input 'x' must be a number of bytes, not -1"),
        (request(raw(True)), "'binary_data_size' of input 'x' must be a number of bytes, not True"),
        (request(tensor(data="1234")), "\"data\" of input 'x' of shape .* must be a list"),
        (request(tensor(data={})), "\"data\" of input 'x' of shape .* must be a list, not {}"),
        (request(tensor(), outputs={}), '"outputs" must be a list, not {}'),
        (request(tensor(), outputs=["s"]), 'output 0 must be an object with a "name"'),
        (request(tensor(), outputs=[{"name": "s"}] * 2), "two outputs are called 's'"),
        (
            request(tensor(), outputs=[{"name": "s", "parameters": {"binary_data": "yes"}}]),
            "'binary_data' of output 's' must be true or false, not 'yes'",
        ),
    ],
)
def test_a_request_of_the_wrong_form_is_told_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        oip.decode_infer(body)


@pytest.mark.parametrize("datatype", ["BYTES", "BOOL", "BF16", "fp32", "float32", "", None, 5, []])
def test_datatypes_that_are_no_numbers_are_refused(datatype: Any) -> None:
    with pytest.raises(RequestError, match="\"datatype\" of input 'x' is .*: send one of FP16"):
        infer(tensor(datatype=datatype))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (None, "must be one or two numbers, not None"),
        (4, "must be one or two numbers, not 4"),
        ([], r"must be one or two numbers, not \[\]"),
        ([1, 2, 2], r"must be one or two numbers, not \[1, 2, 2\]"),
        ([-1, 4], "must be whole numbers from 0 to 2147483647, not -1"),
        ([2, -2], "must be whole numbers from 0 to 2147483647, not -2"),
        ([2.0, 2], "must be whole numbers from 0 to 2147483647, not 2.0"),
        ([True, 4], "must be whole numbers from 0 to 2147483647, not True"),
        (["2", 2], "must be whole numbers from 0 to 2147483647, not '2'"),
        ([2**31, 0], "must be whole numbers from 0 to 2147483647, not 2147483648"),
        ([0, 10**40], "must be whole numbers from 0 to 2147483647, not 1"),
    ],
)
def test_a_shape_that_is_none_is_refused(shape: Any, message: str) -> None:
    with pytest.raises(RequestError, match=f"\"shape\" of input 'x' {message}"):
        infer(tensor(shape=shape))


@pytest.mark.parametrize(
    ("shape", "data", "message"),
    [
        ([2, 2], [1, 2, 3], "takes 4 values, but has 3"),
        ([2, 2], [1, 2, 3, 4, 5], "takes 4 values, but has 5"),
        ([2, 2], [], "takes 4 values, but has 0"),
        ([2, 2], [[1, 2]], "takes 4 values, but has 2"),
        ([2, 2], [[1, 2], [3, 4], [5, 6]], "takes 4 values, but has 6"),
        ([2, 2], [[1, 2, 3, 4]], "should have 2 values, not 4"),
        ([2, 2], [[1, 2], [3]], "row 1 of input 'x' of shape .* should have 2 values, not 1"),
        ([2, 2], [[1, 2], 3, 4], "row 1 of input 'x' of shape .* should have 2 values, not 3"),
        ([3], [1, 2], "takes 3 values, but has 2"),
        ([0, 2], [1, 2], "takes 0 values, but has 2"),
        ([2, 0], [], "has no columns"),
        ([0], [], "has no columns"),
    ],
)
def test_shape_and_data_must_agree(shape: list[int], data: list[Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        infer(tensor(shape=shape, data=data))
    assert "'x'" in str(caught.value)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize(
    ("size", "after", "message"),
    [
        (12, 12, "takes 16 bytes, but its binary_data_size is 12"),
        (20, 20, "takes 16 bytes, but its binary_data_size is 20"),
        (16, 15, "takes 16 bytes after the JSON, but 15 are left"),
        (16, 0, "takes 16 bytes after the JSON, but 0 are left"),
        (16, 17, "1 bytes are left after the binary data of the inputs"),
        (16, 32, "16 bytes are left after the binary data of the inputs"),
    ],
)
def test_shape_and_bytes_must_agree(size: int, after: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        infer(raw(size), after=bytes(after))


def test_the_second_tensor_may_lack_its_bytes() -> None:
    inputs = [raw(8, name=name, shape=[2]) for name in KEYS]
    with pytest.raises(RequestError, match="input 'jetPt_0' .* takes 8 bytes .* but 4 are left"):
        infer(*inputs, after=bytes(12))


@pytest.mark.parametrize("length", [-1, 10_000])
def test_a_json_length_outside_the_body_is_refused(length: int) -> None:
    with pytest.raises(RequestError, match=f"Length is {length}, but the body has"):
        oip.decode_infer(request(tensor()), length)


def test_bytes_without_the_header_are_not_json() -> None:
    body = request(raw()) + bytes(16)
    with pytest.raises(RequestError, match="the body is not JSON"):
        oip.decode_infer(body)
    with pytest.raises(RequestError, match="but 0 are left"):
        oip.decode_infer(request(raw()))


@pytest.mark.parametrize(
    ("keys", "kind", "message"),
    [
        ("a", RequestError, "'keys' must be a list of feature names, not 'a'"),
        ({"a": 1}, RequestError, "'keys' must be a list"),
        (["a", 5], RequestError, "'keys' must be a list"),
        (["a", "a"], RequestError, "'keys' names 'a' more than once"),
        (["a"], FeatureError, r"1 keys but 2 columns: input 'x' of shape \[2, 2\]"),
        (["a", "b", "c"], FeatureError, "3 keys but 2 columns"),
    ],
)
def test_keys_must_fit_the_columns(keys: Any, kind: type[TfaasError], message: str) -> None:
    with pytest.raises(kind, match=message):
        infer(tensor(), parameters={"keys": keys})


def test_tensors_that_are_features_must_agree() -> None:
    a = tensor(name="a", shape=[2], data=[1, 2])
    with pytest.raises(RequestError, match="'b' of shape .3. has 3 events, but input 'a' has 2"):
        infer(a, tensor(name="b", shape=[3], data=[1, 2, 3]))
    with pytest.raises(RequestError, match=r"'b' of shape \[2, 2\] should be one feature"):
        infer(a, tensor(name="b"))
    with pytest.raises(RequestError, match="names the columns of one tensor, but there are 2"):
        infer(a, tensor(name="b", shape=[2], data=[1, 2]), parameters={"keys": ["a", "b"]})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"431.5"', "is '431.5', not a number"),
        ("true", "is True, not a number"),
        ("null", "is None, not a number"),
        ("{}", "is {}, not a number"),
        ("[1]", r"is \[1\], not a number"),
        ("NaN", "is nan, not a finite number"),
        ("-Infinity", "is -inf, not a finite number"),
        ("1e39", "is inf, not a finite number"),
        ("9" * 60, "is inf, not a finite number"),
        ("9" * 400, "is too large"),
    ],
)
def test_a_value_that_is_no_finite_number_is_named(value: str, message: str) -> None:
    def refused(where: str, *inputs: Any, **parts: Any) -> None:
        body = request(*inputs, **parts).replace(b'"HERE"', value.encode())
        with pytest.raises(FeatureError, match=f"value of {where} of event 1 {message}"):
            oip.decode_infer(body)

    whole = tensor(datatype="FP64", data=[1, 2, 3, "HERE"])
    features = [
        tensor(name="nJets", shape=[2], data=[1, 2]),
        tensor(name="jetPt_0", shape=[2], data=[1, "HERE"]),
    ]
    refused("'column 1'", whole)
    refused("'jetPt_0'", whole, parameters={"keys": KEYS})
    refused("'jetPt_0'", *features)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_raw_value_that_is_not_finite_is_named(value: float) -> None:
    values = np.array([[1, 2], [value, 4]], np.float32)
    with pytest.raises(FeatureError, match=f"value of 'nJets' of event 1 is {value}"):
        oip.decode_infer(*oip.encode_infer(values, KEYS, binary=True))


def test_a_raw_signalling_nan_is_named() -> None:
    """The processor complains of it when it is converted, where of other NaN it does not."""
    after = bytes(24) + bytes.fromhex("010000000000f07f")
    with pytest.raises(FeatureError, match="value of 'column 1' of event 1 is nan"):
        infer(raw(32, datatype="FP64"), after=after)


def test_a_raw_value_beyond_float32_is_named() -> None:
    after = np.array([[1, 2], [3, 1e39]], "<f8").tobytes()
    with pytest.raises(FeatureError, match="value of 'column 1' of event 1 is inf"):
        infer(raw(32, datatype="FP64"), after=after)


@pytest.mark.parametrize("depth", [900, 1020, 5000])
@pytest.mark.parametrize("place", ["name", "shape", "datatype", "data", "parameters"])
def test_deep_nesting_is_an_error_of_a_line(place: str, depth: int) -> None:
    one = json.dumps(tensor() | {place: "HERE"}).replace('"HERE"', "[" * depth + "]" * depth)
    with pytest.raises(TfaasError) as caught:
        oip.decode_infer(f'{{"inputs": [{one}]}}'.encode())
    assert len(str(caught.value)) < 300


def test_a_long_name_is_quoted_short() -> None:
    with pytest.raises(RequestError) as caught:
        infer(tensor(name="x" * 1_000_000, data=[1]))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "claim",
    [
        tensor(shape=[2**31 - 1, 2**31 - 1]),
        tensor(shape=[2**31 - 1, 2**31 - 1], data=[[1]]),
        tensor(shape=[2**31 - 1]),
        raw(4 * (2**31 - 1) ** 2, shape=[2**31 - 1, 2**31 - 1]),
        raw(2**62),
    ],
)
def test_a_huge_shape_costs_nothing(claim: dict[str, Any]) -> None:
    body = request(claim)
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="input 'x'"):
            oip.decode_infer(body + bytes(16), len(body))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


# --- malformed answers ------------------------------------------------------------------


def output(**changes: Any) -> bytes:
    return json.dumps({"outputs": [tensor(name="scores") | changes]}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", RequestError, "the body is empty"),
        (b"{}", RequestError, '"outputs" must be a list, not None'),
        (b'{"error": "no"}', RequestError, '"outputs" must be a list, not None'),
        (b'{"outputs": [], "model_name": 5}', RequestError, "'model_name' must be a string"),
        (output(datatype="BYTES"), RequestError, "\"datatype\" of output 'scores' is 'BYTES'"),
        (output(data=[1]), RequestError, "output 'scores' of shape .* takes 4 values, but has 1"),
        (output(data=[1, None, 3, 4]), FeatureError, "element 1 of 'scores' is None, not a number"),
    ],
)
def test_an_answer_of_another_kind_is_refused(
    body: bytes, kind: type[TfaasError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        oip.decode_answer(body)


def test_an_answer_may_hold_several_outputs_of_other_numbers() -> None:
    parts = [
        raw(16, name="scores", shape=[2], datatype="FP64"),
        raw(4, name="classes", shape=[1, 2], datatype="INT16"),
    ]
    text = json.dumps({"model_name": "m", "outputs": parts}).encode()
    after = np.array([0.5, np.nan], "<f8").tobytes() + np.array([3, 4], "<i2").tobytes()
    found = oip.decode_answer(text + after, len(text))
    np.testing.assert_array_equal(found.outputs["scores"], [0.5, np.nan])
    np.testing.assert_array_equal(found.outputs["classes"], [[3, 4]])


# --- anything at all --------------------------------------------------------------------


def decode_or_refuse(decode: Callable[..., object], body: bytes, length: int | None) -> None:
    try:
        found = decode(body, length)
    except TfaasError as error:
        assert str(error)
    else:
        assert found is not None


decoders = pytest.mark.parametrize("decode", [oip.decode_infer, oip.decode_answer])


@decoders
@given(body=st.binary(), length=st.none() | st.integers())
def test_no_bytes_get_past_the_error_tree(
    decode: Callable[..., object], body: bytes, length: int | None
) -> None:
    decode_or_refuse(decode, body, length)


@pytest.mark.parametrize("binary", [False, True])
@given(data=st.data())
def test_no_damaged_byte_gets_past_the_error_tree(binary: bool, data: st.DataObject) -> None:
    body, length = oip.encode_infer(EVENTS, KEYS, request_id="7", binary=binary)
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :]
    decode_or_refuse(oip.decode_infer, damaged, length)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b"]) | json_values,
        "shape": st.lists(st.integers(0, 3), min_size=1, max_size=2) | json_values,
        "datatype": st.sampled_from(sorted(DATATYPES)) | json_values,
        "data": st.lists(st.integers(), max_size=4) | json_values,
        "parameters": st.fixed_dictionaries({"binary_data_size": json_values}) | json_values,
    },
)


@pytest.mark.slow
@decoders
@given(
    message=st.fixed_dictionaries(
        {},
        optional={
            "id": json_values,
            "inputs": st.lists(parts, max_size=3) | json_values,
            "outputs": st.lists(parts, max_size=3) | json_values,
            "parameters": st.fixed_dictionaries({"keys": json_values}) | json_values,
        },
    ),
    after=st.binary(max_size=16),
)
def test_no_json_gets_past_the_error_tree(
    decode: Callable[..., object], message: dict[str, Any], after: bytes
) -> None:
    text = json.dumps(message).encode()
    decode_or_refuse(decode, text + after, len(text))


# --- tensors as they are ----------------------------------------------------------------


def told(name: str, shape: list[int], datatype: str, data: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def posted(*tensors: dict[str, Any], **request: Any) -> bytes:
    return json.dumps({"inputs": list(tensors), **request}).encode()


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6, 7, 8], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]])
def test_tensors_keep_their_axes_and_types(data: Any) -> None:
    asked = oip.decode_tensors(
        posted(told("x", [2, 2, 2], "INT64", data), told("b", [2], "BOOL", [True, False]))
    )
    assert asked.inputs["x"].dtype == np.int64
    assert asked.inputs["x"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert asked.inputs["b"].tolist() == [True, False]


def test_raw_tensors_are_taken_in_place() -> None:
    raw = np.array([2**40, -1], "<i8").tobytes() + np.array([True, False]).tobytes()
    head = {
        "inputs": [
            {"name": n, "shape": [2], "datatype": t, "parameters": {"binary_data_size": size}}
            for n, t, size in (("i", "INT64", 16), ("b", "BOOL", 2))
        ],
        "outputs": [{"name": "y"}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(head).encode()
    assert oip.tensor_names(text + raw, len(text)) == ("i", "b")
    asked = oip.decode_tensors(text + raw, len(text))
    assert {n: v.tolist() for n, v in asked.inputs.items()} == {
        "i": [2**40, -1],
        "b": [True, False],
    }
    assert asked.outputs == (("y", True),)


@pytest.mark.parametrize(
    ("sent", "error", "message"),
    [
        (told("x", [2], "INT32", [1, 1.5]), FeatureError, "'x' is INT32, but holds 1.5"),
        (told("x", [1], "INT8", [300]), FeatureError, "input 'x': 300 is not within -128 and"),
        (told("x", [1], "BOOL", [1]), FeatureError, "'x' is BOOL, but holds 1"),
        (told("x", [1], "FP32", ["a"]), FeatureError, "'x' is FP32, but holds 'a'"),
        (told("x", [1], "BYTES", ["a"]), RequestError, "send one of FP16"),
        (told("x", [1] * 9, "FP32", [1]), RequestError, "must be one to 8 numbers"),
        (
            told("x", [1, 2, 2], "FP32", [[[1, 2], [3]]]),
            RequestError,
            "row of axis 1, 1 of input 'x' of shape .* should have 2 values, not 1",
        ),
    ],
)
def test_tensors_that_contradict_themselves_are_refused(
    sent: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        oip.decode_tensors(posted(sent))


def test_outputs_go_as_they_were_asked_for() -> None:
    outputs = {
        "y": np.array([[1.5]], np.float32),
        "n": np.array([2**40]),
        "b": np.array([[True, False]]),
    }
    asked = oip.Tensors("7", {}, (("b", False), ("n", True)))
    body, length = oip.encode_outputs(asked, "m", "2", outputs)
    assert json.loads(body[:length]) == {
        "model_name": "m",
        "model_version": "2",
        "id": "7",
        "outputs": [
            {"name": "b", "shape": [1, 2], "datatype": "BOOL", "data": [True, False]},
            {
                "name": "n",
                "shape": [1],
                "datatype": "INT64",
                "parameters": {"binary_data_size": 8},
            },
        ],
    }
    assert body[length:] == np.array([2**40], "<i8").tobytes()
