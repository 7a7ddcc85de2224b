from __future__ import annotations

import contextlib
import io
import itertools
import json
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.wire.test_protobuf import DATAFRAME, PREDICTIONS, ROW
from tfaas_nb.data.poster import poster_event
from tfaas_nb.errors import FeatureError, RequestError, TfaasError
from tfaas_nb.wire import protobuf, tfaas
from tfaas_nb.wire.tfaas import Query

Floats = npt.NDArray[np.float32]

KEYS = ("nJets", "jetPt_0")

names = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, unique=True)
#: .npy field names may not end in what NumPy calls a title, nor hold NUL.
fields = st.lists(st.from_regex(r"[\w ]{1,12}", fullmatch=True), min_size=1, unique=True)
models = st.none() | st.text(st.characters(codec="utf-8"), min_size=1)
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def decode_json(body: bytes) -> tfaas.Query:
    """Decode a JSON body as the server does, values as float32."""
    found = tfaas.read_json(body)
    return found.query() if isinstance(found, tfaas.Event) else found


def decode_row(body: bytes) -> tfaas.Query:
    """Decode a ``Row`` as the server does, values as float32."""
    return tfaas.read_row(body).query()


@st.composite
def tables(draw: st.DrawFn, columns: st.SearchStrategy[list[str]]) -> tuple[list[str], Floats]:
    """Keys, and float32 values of events."""
    keys = draw(columns)
    shape = (draw(st.integers(1, 4)), len(keys))
    return keys, draw(arrays.arrays(np.float32, shape, elements=finite))


def query(found: Query) -> tuple[str | None, tuple[str, ...], list[list[float]], bool]:
    assert found.values.dtype == np.float32
    return found.model, found.keys, found.values.tolist(), found.single


def npy(array: npt.NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def decode_npy(body: bytes) -> Query:
    return tfaas.decode_npy(body, "ttbar")


# --- golden exchanges -------------------------------------------------------------------


def test_one_event_is_the_json_of_the_poster() -> None:
    body = b'{"keys":["nJets","jetPt_0"],"values":[2.0,431.5],"model":"ttbar"}'
    assert tfaas.encode_json(KEYS, np.array([2, 431.5], np.float32), "ttbar") == body
    assert query(decode_json(body)) == ("ttbar", KEYS, [[2.0, 431.5]], True)


def test_many_events_are_a_list_of_lists() -> None:
    body = b'{"keys":["nJets","jetPt_0"],"values":[[2.0,431.5],[3.0,-0.25]]}'
    assert tfaas.encode_json(KEYS, np.array([[2, 431.5], [3, -0.25]], np.float32)) == body
    assert query(decode_json(body)) == (None, KEYS, [[2.0, 431.5], [3.0, -0.25]], False)


def test_records_may_change_the_order_of_their_keys() -> None:
    body = b'{"records":[{"nJets":2,"jetPt_0":431.5},{"jetPt_0":-0.25,"nJets":3}]}'
    assert query(decode_json(body)) == (None, KEYS, [[2.0, 431.5], [3.0, -0.25]], False)


@pytest.mark.parametrize("field", ["model", "name", "key"])
def test_older_names_of_the_model_field_are_read(field: str) -> None:
    body = json.dumps({"keys": ["a"], "values": [1], field: "ttbar"}).encode()
    assert decode_json(body).model == "ttbar"


def test_an_empty_model_means_the_last_uploaded() -> None:
    assert decode_json(b'{"keys": ["a"], "values": [1], "model": ""}').model is None
    assert decode_json(b'{"keys": ["a"], "values": [1], "model": null}').model is None


def test_the_posters_row_is_read() -> None:
    event = poster_event()
    body = json.dumps({"keys": list(event), "values": list(event.values())}).encode()
    found = decode_json(body)
    assert (found.keys, found.single) == (tuple(event), True)
    np.testing.assert_array_equal(found.values[0], np.array(list(event.values()), np.float32))


def test_a_protobuf_row_is_the_bytes_of_protoc() -> None:
    assert tfaas.encode_row(KEYS, [2, 431.5], "ttbar").hex() == ROW
    assert query(decode_row(bytes.fromhex(ROW))) == ("ttbar", KEYS, [[2.0, 431.5]], True)


def test_a_row_whose_values_are_not_packed_is_read() -> None:
    """Proto2 writers send every value with a tag of its own; made with protoc [packed=false]."""
    unpacked = "0a056e4a6574730a076a657450745f3015000000401500c0d7431a057474626172"
    assert query(decode_row(bytes.fromhex(unpacked))) == ("ttbar", KEYS, [[2, 431.5]], True)


def test_a_protobuf_dataframe_is_the_bytes_of_protoc() -> None:
    values = np.array([[2, 431.5], [3, -0.25]], np.float32)
    assert tfaas.encode_dataframe(KEYS, values, "ttbar").hex() == DATAFRAME
    assert query(tfaas.decode_dataframe(bytes.fromhex(DATAFRAME))) == (
        "ttbar",
        KEYS,
        values.tolist(),
        False,
    )


def test_one_row_may_name_the_model_for_all() -> None:
    rows = [protobuf.Row(key=["a"], value=[1], model=model) for model in ("", "ttbar")]
    body = protobuf.DataFrame(row=rows).SerializeToString()
    assert tfaas.decode_dataframe(body).model == "ttbar"


def test_one_answer_is_the_json_of_the_poster() -> None:
    scores = np.array([[0.6046947]], np.float32)
    assert tfaas.encode_scores_json(scores, single=True) == b"[0.6046947]"
    assert tfaas.encode_scores_json(scores, single=False) == b"[[0.6046947]]"


@pytest.mark.parametrize("body", [b"[0.6046947]", b"[0.6046947]\n", b" [ 0.6046947 ] "])
def test_a_json_answer_is_read(body: bytes) -> None:
    np.testing.assert_array_equal(tfaas.decode_scores_json(body), np.array([0.6046947], np.float32))


def test_predictions_are_the_bytes_of_protoc() -> None:
    scores = np.array([[0.6046947, 0.5]], np.float32)
    assert tfaas.encode_predictions(scores, ["signal", "qcd"]).hex() == PREDICTIONS
    found = tfaas.decode_predictions(bytes.fromhex(PREDICTIONS))
    assert found == [("signal", float(np.float32(0.6046947))), ("qcd", 0.5)]


def test_without_labels_predictions_are_those_of_the_go_server() -> None:
    """It leaves the label empty; the bytes are protoc's."""
    scores = np.array([[0.6046947]], np.float32)
    assert tfaas.encode_predictions(scores, []).hex() == "0a051546cd1a3f"


# --- what is remembered of earlier requests ---------------------------------------------

AS_BEFORE = [
    b'{"keys": ["a", "b"], "values": [1, 2]}',
    b'{"keys": ["a", "b"], "values": [3, 4.5e0]}',
    b'{"keys": ["a", "b"], "values": [3, 4], "model": "m"}',
    b'{"model": "n", "keys": ["a", "b"], "values": [3, 4]}',
    b'{"model": "n", "keys": ["a", "b"], "values": [3, 4], "model": "m"}',
    b'{"keys": ["a", "b"], "values": [3, 4], "keys": ["b", "a"]}',
    b'{"keys": ["a", "b"], "values": [[3, 4], [5, 6]]}',
    b'{"keys": ["a", "b"], "values": [3, 4], "values": [5, 6]}',
    b'{"values": [3, 4], "keys": ["a", "b"]}',
    b'{"keys": ["\\"values\\"", "values"], "values": [3, 4]}',
    b'{"keys": ["values", "b"], "values": [3, 4]}',
    b'{"\\"values": 1, "keys": ["a"], "values": [3]}',
    b'{"x": {"values": [1]}, "keys": ["a"], "values": [3]}',
    b'{"records": [{"a": 1}], "values": [3]}',
    b'{"keys": ["a"], "values": [3], "records": [{"a": 1}]}',
    b'{"keys": ["a", 1], "values": [3, 4]}',
    b'{"keys": ["a", "b"], "values": [3]}',
    b'{"keys": ["a", "b"], "values": [3, true]}',
    b'{"keys": ["a", "b"], "values": [3, null]}',
    b'{"keys": ["a", "b"], "values": [3, NaN]}',
    b'{"keys": ["a", "b"], "values": [3, "4"]}',
    b'{"keys": ["a", "b"], "values": 3}',
    b'{"keys": ["a", "b"], "values": [3, 4]',
    b'{"keys": ["a", "b"], "values": [3, 4]} x',
    b'{"keys": ["a", "b"], "values"',
    b'{"keys": ["a", "b"], "model": 5, "values": [3, 4]}',
]


def told(read: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        found = read(body)
        return query(found.query() if isinstance(found, tfaas.Event) else found)
    except TfaasError as error:
        return type(error), str(error)


@pytest.mark.parametrize("body", AS_BEFORE)
def test_json_is_read_as_if_nothing_was_remembered(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [told(tfaas.read_json, body) for _ in range(2)]
    monkeypatch.setattr(tfaas, "_read_known", lambda body: None)
    assert found == [told(tfaas.read_json, body)] * 2


def test_events_with_equal_keys_have_the_same_keys() -> None:
    first, second = (tfaas.read_json(body) for body in (AS_BEFORE[0], AS_BEFORE[8]))
    third = tfaas.read_row(protobuf.Row(key=["a", "b"], value=[1, 2]).SerializeToString())
    assert first.keys is second.keys is third.keys  # type: ignore[union-attr]


@pytest.mark.slow
@given(tables(names), models, st.binary(max_size=3))
def test_a_row_is_read_as_if_nothing_was_remembered(
    sent: tuple[list[str], Floats], model: str | None, more: bytes
) -> None:
    keys, values = sent
    reader = tfaas.RowReader()
    bodies = [tfaas.encode_row(keys, event.tolist(), model) for event in values]
    bodies += [body + more for body in bodies] + [body[:-1] for body in bodies]
    for body in [*bodies, *bodies]:
        assert told(reader, body) == told(tfaas.read_row, body)


def test_a_row_with_its_parts_in_another_order_is_read() -> None:
    parts = [protobuf.Row(key=["a", "b"]), protobuf.Row(value=[1, 2]), protobuf.Row(model="m")]
    reader = tfaas.RowReader()
    for order in itertools.permutations(part.SerializeToString() for part in parts):
        for _ in range(2):
            assert reader(b"".join(order)) == tfaas.read_row(b"".join(order))
            assert reader(b"".join(order)).model == "m"


# --- round trips ------------------------------------------------------------------------


@pytest.mark.slow
@given(tables(names), models)
def test_json_brings_events_back(table: tuple[list[str], Floats], model: str | None) -> None:
    keys, values = table
    found = decode_json(tfaas.encode_json(keys, values, model))
    assert query(found) == (model, tuple(keys), values.tolist(), False)
    one = decode_json(tfaas.encode_json(keys, values[0], model))
    assert query(one) == (model, tuple(keys), values[:1].tolist(), True)


@pytest.mark.slow
@given(tables(names), models)
def test_protobuf_brings_events_back(table: tuple[list[str], Floats], model: str | None) -> None:
    keys, values = table
    found = tfaas.decode_dataframe(tfaas.encode_dataframe(keys, values, model))
    assert query(found) == (model, tuple(keys), values.tolist(), False)
    one = decode_row(tfaas.encode_row(keys, values[0].tolist(), model))
    assert query(one) == (model, tuple(keys), values[:1].tolist(), True)


@pytest.mark.slow
@given(tables(fields))
def test_npy_brings_events_back(table: tuple[list[str], Floats]) -> None:
    keys, values = table
    found = decode_npy(tfaas.encode_npy(keys, values))
    assert query(found) == ("ttbar", tuple(keys), values.tolist(), False)


def test_npy_brings_no_events_back_as_none() -> None:
    found = decode_npy(tfaas.encode_npy(KEYS, np.zeros((0, 2), np.float32)))
    assert (found.keys, found.values.shape) == (KEYS, (0, 2))


def test_npy_takes_names_beyond_latin_letters() -> None:
    found = decode_npy(tfaas.encode_npy(["η", "Δφ"], np.ones((1, 2), np.float32)))
    assert found.keys == ("η", "Δφ")


def test_npy_takes_thousands_of_names() -> None:
    keys = [f"a rather long name of a feature {i}" for i in range(3000)]
    assert decode_npy(tfaas.encode_npy(keys, np.ones((1, 3000), np.float32))).keys == tuple(keys)


@pytest.mark.slow
@given(tables(names), st.randoms(use_true_random=False))
def test_shuffled_keys_keep_their_values(table: tuple[list[str], Floats], random: Any) -> None:
    keys, values = table
    order = list(range(len(keys)))
    random.shuffle(order)
    shuffled = [keys[i] for i in order]
    for found in (
        decode_json(tfaas.encode_json(shuffled, values[:, order])),
        tfaas.decode_dataframe(tfaas.encode_dataframe(shuffled, values[:, order])),
    ):
        sent = [dict(zip(found.keys, row, strict=True)) for row in found.values.tolist()]
        assert sent == [dict(zip(keys, row, strict=True)) for row in values.tolist()]


scores = arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 3)), elements=finite)


@given(scores)
def test_every_answer_brings_the_scores_back(sent: Floats) -> None:
    for found in (
        tfaas.decode_scores_json(tfaas.encode_scores_json(sent, single=False)),
        tfaas.decode_scores_npy(tfaas.encode_scores_npy(sent)),
    ):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, sent)
    labels = [f"class {i}" for i in range(sent.shape[1])]
    answered = tfaas.decode_predictions(tfaas.encode_predictions(sent, labels))
    assert answered == [
        (label, value) for row in sent.tolist() for label, value in zip(labels, row, strict=True)
    ]


# --- malformed JSON ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"keys=a&values=1", "the body is not JSON"),
        (b'{"keys": ["a"], "values": [1]', "the body is not JSON"),
        (b'{"keys": ["a"], "values": [1]} {}', "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[1, 2]", "must be a JSON object, not a list"),
        (b"null", "must be a JSON object, not a NoneType"),
        (b"{}", 'no list "keys"'),
        (b'{"values": [1]}', 'no list "keys"'),
        (b'{"keys": "a", "values": [1]}', 'no list "keys"'),
        (b'{"keys": {"a": 1}, "values": [1]}', 'no list "keys"'),
        (b'{"keys": ["a"]}', 'no list "values"'),
        (b'{"keys": ["a"], "values": 1}', 'no list "values"'),
        (b'{"keys": ["a"], "values": {"a": 1}}', 'no list "values"'),
        (b'{"keys": ["a", 5], "values": [1, 2]}', '"keys" must be a string, not 5'),
        (b'{"keys": [null], "values": [1]}', '"keys" must be a string, not None'),
        (b'{"keys": ["a"], "values": [1], "model": 5}', "'model' must be the name of a model"),
        (b'{"keys": ["a"], "values": [1], "model": ["m"]}', "'model' must be the name"),
        (b'{"keys": ["a"], "values": [1], "name": {}}', "'name' must be the name"),
        (b'{"keys": ["a"], "values": [[1], 2]}', '"values" mixes lists and numbers'),
        (b'{"records": []}', '"records" is empty'),
        (b'{"records": {}}', '"records" must be a list'),
        (b'{"records": [{"a": 1}, 5]}', '"records" must be a list of objects'),
        (b'{"keys": ["a"], "values": ' + b"[" * 100_000, "the body is not JSON"),
    ],
)
def test_json_of_the_wrong_form_is_told_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        decode_json(body)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ('"431.5"', "value of 'jetPt_0' is '431.5', not a number"),
        ("true", "value of 'jetPt_0' is True, not a number"),
        ("null", "value of 'jetPt_0' is None, not a number"),
        ("{}", "value of 'jetPt_0' is {}, not a number"),
        ("[1]", r"value of 'jetPt_0' is \[1\], not a number"),
        ("NaN", "value of 'jetPt_0' is nan, not a finite number"),
        ("Infinity", "value of 'jetPt_0' is inf, not a finite number"),
        ("-Infinity", "value of 'jetPt_0' is -inf, not a finite number"),
        ("1e39", "value of 'jetPt_0' is inf, not a finite number"),
        ("1e400", "value of 'jetPt_0' is inf, not a finite number"),
        ("9" * 60, "value of 'jetPt_0' is inf, not a finite number"),
        ("9" * 400, "value of 'jetPt_0' is too large"),
        ("-" + "9" * 400, "value of 'jetPt_0' is too large"),
    ],
)
def test_a_value_that_is_no_finite_number_is_named(values: str, message: str) -> None:
    row = '{"keys": ["nJets", "jetPt_0"], "values": '
    with pytest.raises(FeatureError, match=message):
        decode_json(f"{row}[2, {values}]}}".encode())
    if not values.startswith("["):
        in_event = message.replace("'jetPt_0'", "'jetPt_0' of event 1")
        with pytest.raises(FeatureError, match=in_event):
            decode_json(f"{row}[[2, 1], [2, {values}]]}}".encode())
        with pytest.raises(FeatureError, match=in_event):
            decode_json(f'{{"records": [{{"jetPt_0": 1}}, {{"jetPt_0": {values}}}]}}'.encode())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (list(range(41)), "42 keys but 41 values$"),
        (list(range(43)), "42 keys but 43 values$"),
        ([], "42 keys but 0 values$"),
        ([list(range(42)), list(range(41))], "42 keys but 41 values of event 1"),
        ([list(range(42)), []], "42 keys but 0 values of event 1"),
    ],
)
def test_as_many_values_as_keys_are_wanted(values: list[Any], message: str) -> None:
    body = json.dumps({"keys": [f"f{i}" for i in range(42)], "values": values}).encode()
    with pytest.raises(FeatureError, match=message):
        decode_json(body)


def test_records_with_other_keys_are_named() -> None:
    with pytest.raises(FeatureError, match="event 1 has not the keys of event 0: a, b"):
        decode_json(b'{"records": [{"a": 1, "c": 2}, {"b": 1, "c": 2}]}')


@pytest.mark.parametrize("depth", [900, 1000, 1020, 5000])
@pytest.mark.parametrize("place", ['"model": %s', '"keys": [%s]', '"values": [%s]', '"a": %s'])
def test_deep_nesting_is_an_error_of_a_line(depth: int, place: str) -> None:
    body = "{" + place % ("[" * depth + "]" * depth) + "}"
    with pytest.raises(TfaasError) as caught:
        decode_json(body.replace('"values"', '"keys": ["a"], "values"').encode())
    assert len(str(caught.value)) < 300


def test_a_long_value_is_quoted_short() -> None:
    body = json.dumps({"keys": ["a"], "values": ["x" * 1_000_000]}).encode()
    with pytest.raises(FeatureError, match="value of 'a' is 'xxx") as caught:
        decode_json(body)
    assert len(str(caught.value)) < 300


# --- malformed protobuf -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("decode", "name"),
    [
        (decode_row, "Row"),
        (tfaas.decode_dataframe, "DataFrame"),
        (tfaas.decode_predictions, "Predictions"),
    ],
)
@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "the body is empty: send a protobuf {}"), (b"\x0a\xff", "is not a protobuf {}")],
)
def test_bytes_that_are_no_message_are_refused(
    decode: Callable[[bytes], object], name: str, body: bytes, message: str
) -> None:
    with pytest.raises(RequestError, match=message.format(name)):
        decode(body)


def test_json_posted_as_protobuf_is_refused() -> None:
    for decode in (decode_row, tfaas.decode_dataframe):
        with pytest.raises(RequestError, match="is not a protobuf"):
            decode(b'{"keys": ["a"], "values": [1]}')


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_protobuf_value_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(FeatureError, match=rf"value of 'jetPt_0' is {value}, not a finite"):
        decode_row(tfaas.encode_row(KEYS, [2, value]))
    values = np.array([[2, 1], [2, value]], np.float32)
    with pytest.raises(FeatureError, match=rf"value of 'jetPt_0' of event 1 is {value}"):
        tfaas.decode_dataframe(tfaas.encode_dataframe(KEYS, values))


def test_a_row_with_too_few_values_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"2 keys but 1 values$"):
        decode_row(tfaas.encode_row(KEYS, [2]))


def dataframe(*rows: dict[str, Any]) -> bytes:
    data: bytes = protobuf.DataFrame(row=[protobuf.Row(**row) for row in rows]).SerializeToString()
    return data


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (
            dataframe({"key": ["a"], "value": [1], "model": "m"}, {"model": "n"}),
            RequestError,
            r"must ask one model, not \['m', 'n'\]",
        ),
        (
            dataframe({"key": ["a"], "value": [1]}, {"key": ["b"], "value": [1]}),
            FeatureError,
            "event 1 has other keys than event 0",
        ),
        (
            dataframe({}, {"key": ["a"], "value": [1]}),
            FeatureError,
            "event 0 has no keys",
        ),
        (
            dataframe({"key": ["a"], "value": [1]}, {"key": ["a"]}),
            FeatureError,
            "1 keys but 0 values of event 1",
        ),
    ],
)
def test_rows_of_a_dataframe_must_agree(body: bytes, kind: type[TfaasError], message: str) -> None:
    with pytest.raises(kind, match=message):
        tfaas.decode_dataframe(body)


# --- malformed .npy ---------------------------------------------------------------------


def header(literal: str) -> bytes:
    """A .npy file of a header alone."""
    text = literal.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def claims(shape: str, dtype: str = "[('a', '<f4')]") -> bytes:
    return header(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is not a .npy array"),
        (b"\x93NUMPY", "is not a .npy array"),
        (b"PK\x03\x04 a zip archive, cut", "is not a .npy array"),
        (npy(np.array([{"a": 1}], dtype=object)), "cannot create an OBJECT array"),
        (npy(np.ones(3, [("a", "<f4")])) + b"x", "1 bytes are left after the .npy array"),
        (npy(np.ones((2, 2), np.float32)), "one float32 field per feature"),
        (npy(np.ones(3, [("a", "<f8")])), "one float32 field per feature"),
        (npy(np.ones(3, [("a", ">f4")])), "one float32 field per feature"),
        (npy(np.ones(3, [("a", "<i4")])), "one float32 field per feature"),
        (npy(np.ones(3, [("a", "<f4", (2,))])), "one float32 field per feature"),
        (npy(np.ones((2, 2), [("a", "<f4")])), r"not shape \(2, 2\)"),
        (npy(np.ones((), [("a", "<f4")])), r"not shape \(\)"),
        (npy(np.ones(3, [])), "one float32 field per feature"),
        (npy(np.ones(3, [("a", "<f4")]))[:-1], "is not a .npy array"),
        (claims("(10000000000000,)"), "is not a .npy array"),
        (claims("(99999999999,)", "[]"), "one float32 field per feature"),
        (claims("(100000000000000000000000000000,)"), "is not a .npy array"),
        (claims("(-1,)"), "is not a .npy array"),
        (claims("(1,)", "5"), "is not a .npy array"),
        (header("{{}: 1}"), "is not a .npy array"),
        (header("("), "is not a .npy array"),
        (header("[" * 5000), "is not a .npy array"),
    ],
)
def test_an_array_of_another_kind_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        decode_npy(body)


def test_an_archive_of_arrays_is_not_an_array() -> None:
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(3, [("a", "<f4")]))
    for decode in (decode_npy, tfaas.decode_scores_npy):
        with pytest.raises(RequestError, match=r"is not a \.npy array"):
            decode(stream.getvalue())


def test_a_header_that_claims_gigabytes_costs_nothing() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RequestError, match=r"is not a \.npy array"):
        decode_npy(claims("(500000000,)"))  # 2 GB
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, "kilobytes"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_array_value_that_is_not_finite_is_named(value: float) -> None:
    values = np.array([[2, 1], [2, value]], np.float32)
    with pytest.raises(FeatureError, match=rf"value of 'jetPt_0' of event 1 is {value}"):
        decode_npy(tfaas.encode_npy(KEYS, values))


# --- answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"null", b"5", b"{}", b'"0.5"', b'["signal"]', b"[[1], [2, 3]]", b"<html>", b"["]
)
def test_a_json_answer_that_is_no_list_of_scores_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match="the answer is not a list of scores"):
        tfaas.decode_scores_json(body)


@pytest.mark.parametrize(
    "body", [npy(np.ones(3, np.float32)), npy(np.ones((3, 1))), npy(np.ones((1, 1), "U1"))]
)
def test_an_npy_answer_of_another_kind_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match=r"it should be a float32 array of shape \(events"):
        tfaas.decode_scores_npy(body)


# --- anything at all --------------------------------------------------------------------


decoders: list[Callable[[bytes], object]] = [
    decode_json,
    decode_row,
    tfaas.decode_dataframe,
    decode_npy,
    tfaas.decode_predictions,
    tfaas.decode_scores_json,
    tfaas.decode_scores_npy,
]


def decode_or_refuse(decode: Callable[[bytes], object], body: bytes) -> None:
    with contextlib.suppress(TfaasError):
        assert decode(body) is not None


@pytest.mark.parametrize("decode", decoders)
@given(body=st.binary() | st.binary().map(lambda tail: b"\x93NUMPY\x01\x00" + tail))
def test_no_bytes_get_past_the_error_tree(decode: Callable[[bytes], object], body: bytes) -> None:
    decode_or_refuse(decode, body)


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_json, tfaas.encode_json(KEYS, np.ones((2, 2), np.float32), "ttbar")),
        (decode_row, bytes.fromhex(ROW)),
        (tfaas.decode_dataframe, bytes.fromhex(DATAFRAME)),
        (decode_npy, tfaas.encode_npy(KEYS, np.ones((2, 2), np.float32))),
        (tfaas.decode_scores_npy, tfaas.encode_scores_npy(np.ones((2, 2), np.float32))),
    ],
)
@given(data=st.data())
def test_no_damaged_byte_gets_past_the_error_tree(
    decode: Callable[[bytes], object], body: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :]
    decode_or_refuse(decode, damaged)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
)


@pytest.mark.slow
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "keys": json_values | st.just(["a"]),
            "values": json_values,
            "records": json_values,
            "model": json_values,
        },
    )
)
def test_no_json_gets_past_the_error_tree(request: dict[str, Any]) -> None:
    decode_or_refuse(decode_json, json.dumps(request).encode())


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': [('a\\d', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1L,)}",
        "{'descr': '|a4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('äfa')], 'fortran_order': False, 'shape': ()}",
        "{'descr': [('a', '<f4')], 'fortran_order': 1or 0, 'shape': (1,)}",
    ],
)
def test_an_odd_header_is_refused_without_a_warning(
    text: str, recwarn: pytest.WarningsRecorder
) -> None:
    """Python and NumPy would warn, which is printed into a cell."""
    with pytest.raises(RequestError, match=r"is not a \.npy array"):
        decode_npy(header(text))
    assert not recwarn.list


def test_a_score_beyond_float32_is_infinite() -> None:
    assert tfaas.decode_scores_json(b"[1e300]").tolist() == [float("inf")]
