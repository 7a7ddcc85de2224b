"""Whole numbers beyond what floats tell apart reach inputs of whole numbers, or are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import requests

from tests.graphs import serialized
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import FeatureError
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import tfaas

LARGE = [[2**24 + 1, 5], [2**53 + 1, -(2**62) - 3], [2**63 - 1, -(2**63)]]
#: By Python's own whole numbers.
EXPECTED = [[n % 1000 for n in event] for event in LARGE]
NAMES = ["a", "b"]


def modulo(dtype: str) -> bytes:
    def build(tf: Any) -> None:
        n = tf.compat.v1.placeholder(dtype, (None, 2), name="n")
        rest = tf.math.floormod(n, tf.constant(1000, dtype))
        tf.cast(rest, tf.float32, name="y")

    return serialized(build)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("models"), port=0, token=False) as server:
        for dtype in ("int64", "int32", "uint64"):
            params = json.dumps({"name": dtype, "features": NAMES}).encode()
            server.client().upload(Bundle.from_parts(params, modulo(dtype)))
        yield server


@pytest.fixture(scope="module")
def client(served: Server) -> Client:
    return served.client()


def post(served: Server, path: str, **options: Any) -> requests.Response:
    return requests.post(served.url + path, timeout=10, **options)


# --- dialects of JSON -------------------------------------------------------------------


@pytest.mark.slow
def test_json_is_exact(served: Server) -> None:
    for event, expected in zip(LARGE, EXPECTED, strict=True):
        body = {"keys": NAMES, "values": event, "model": "int64"}
        assert post(served, "/json", json=body).json() == expected
        body = {"keys": NAMES[::-1], "values": event[::-1], "model": "int64"}
        assert post(served, "/json", json=body).json() == expected
    body = {"keys": NAMES, "values": LARGE, "model": "int64"}
    assert post(served, "/json", json=body).json() == EXPECTED
    records = [dict(zip(NAMES[::-1], event[::-1], strict=True)) for event in LARGE]
    body = {"records": records, "model": "int64"}
    assert post(served, "/json", json=body).json() == EXPECTED


@pytest.mark.slow
def test_events_that_are_scored_together_are_exact(served: Server) -> None:
    numbers = [2**53 + i for i in range(200)]

    def ask(n: int) -> Any:
        body = {"keys": NAMES, "values": [n, 0], "model": "int64"}
        return post(served, "/json", json=body).json()[0]

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(ask, numbers)) == [n % 1000 for n in numbers]


def as_records(events: list[list[int]]) -> list[dict[str, int]]:
    return [dict(zip(NAMES, event, strict=True)) for event in events]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": LARGE},
        {"instances": as_records(LARGE)},
        {"instances": [{"n": event} for event in LARGE]},
        {"inputs": LARGE},
        {"inputs": {"n": LARGE}},
        {"inputs": {"b": [e[1] for e in LARGE], "a": [e[0] for e in LARGE]}},
    ],
)
def test_tensorflow_servings_dialect_is_exact(served: Server, body: dict[str, Any]) -> None:
    answer = post(served, "/v1/models/int64:predict", json=body).json()
    assert next(iter(answer.values())) == EXPECTED


def test_classification_is_exact(served: Server) -> None:
    answer = post(served, "/v1/models/int64:classify", json={"examples": as_records(LARGE)})
    found = [[score for _, score in event] for event in answer.json()["results"]]
    assert found == EXPECTED


@pytest.mark.parametrize("datatype", ["INT64", "FP64"])
def test_open_inference_is_exact(served: Server, datatype: str) -> None:
    """In JSON, a number's digits count, whatever the tensor is called."""
    flat = [n for event in LARGE for n in event]
    whole = {"name": "any", "shape": [3, 2], "datatype": datatype, "data": flat}
    columns = [
        {"name": name, "shape": [3], "datatype": datatype, "data": [event[i] for event in LARGE]}
        for i, name in reversed(list(enumerate(NAMES)))
    ]
    for request in (
        {"inputs": [whole], "parameters": {"keys": NAMES}},
        {"inputs": columns},
    ):
        answer = post(served, "/v2/models/int64/infer", json=request).json()
        assert answer["outputs"][0]["data"] == [n for event in EXPECTED for n in event]


def test_raw_columns_of_open_inference_are_exact(served: Server) -> None:
    raw = np.array(LARGE, "<i8").T.tobytes()
    inputs = [
        {"name": name, "shape": [3], "datatype": "INT64", "parameters": {"binary_data_size": 24}}
        for name in NAMES
    ]
    head = json.dumps({"inputs": inputs}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = post(served, "/v2/models/int64/infer", data=head + raw, headers=headers).json()
    assert answer["outputs"][0]["data"] == [n for event in EXPECTED for n in event]


def test_arrow_is_exact(served: Server) -> None:
    table = pa.table({"b": [e[1] for e in LARGE], "a": [e[0] for e in LARGE]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    answer = post(served, "/arrow?model=int64", data=sink.getvalue().to_pybytes())
    found = pa.ipc.open_stream(answer.content).read_all()
    assert np.stack(found.columns, axis=1).tolist() == EXPECTED


# --- dialects of float32 ----------------------------------------------------------------


def as_npy(values: list[float]) -> bytes:
    return tfaas.encode_npy(NAMES, np.array([values], np.float32))


def as_float_arrow(values: list[float]) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([pa.array(np.array([v], np.float32)) for v in values], names=NAMES)
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    body: bytes = sink.getvalue().to_pybytes()
    return body


FLOATS: dict[str, Callable[[list[float]], bytes]] = {
    "/proto": lambda values: tfaas.encode_row(NAMES, values),
    "/dataframe": lambda values: tfaas.encode_dataframe(NAMES, np.array([values], np.float32)),
    "/npy": as_npy,
    "/arrow": as_float_arrow,
}


@pytest.mark.parametrize("path", FLOATS)
def test_float32_is_refused_where_it_may_stand_for_several_whole_numbers(
    served: Server, path: str
) -> None:
    address = f"{path}?model=int64"
    assert post(served, address, data=FLOATS[path]([2**24 - 1, -7])).ok
    for value in (2**24, 2**24 + 2, -(2**40)):
        answer = post(served, address, data=FLOATS[path]([0, value]))
        assert answer.status_code == 422, answer.content
        assert "was sent as float32, which does not tell whole numbers apart" in answer.text


@pytest.mark.parametrize("path", FLOATS)
def test_fractions_are_refused(served: Server, path: str) -> None:
    answer = post(served, f"{path}?model=int64", data=FLOATS[path]([0, 1.5]))
    assert (answer.status_code, "takes int64, 1.5 is none" in answer.text) == (422, True)


# --- what is no number of an input's type -----------------------------------------------


@pytest.mark.parametrize(
    ("model", "value", "words"),
    [
        ("int32", 2**31, "takes int32, 2147483648 is none"),
        ("int32", -(2**31) - 1, "takes int32, -2147483649 is none"),
        ("int64", 2**63, "takes int64, 9223372036854775808 is none"),
        ("int64", 3.0000000001, "takes int64, 3.0000000001 is none"),
        ("int64", 2.0**53, "9007199254740992 was sent as float64, which does not tell"),
        ("uint64", -1, "takes uint64, -1 is none"),
        ("uint64", 2**64, "1.8446744073709552e+19 was sent as float64, which does not tell"),
        ("int64", True, "is True, not a number"),
        ("int64", "7", "is '7', not a number"),
        ("int64", None, "is None, not a number"),
    ],
)
def test_json_refuses_what_the_input_cannot_be(
    served: Server, model: str, value: Any, words: str
) -> None:
    for body in (
        {"keys": NAMES, "values": [0, value], "model": model},
        {"keys": NAMES, "values": [[0, 0], [0, value]], "model": model},
        {"records": [{"a": 0, "b": value}], "model": model},
    ):
        answer = post(served, "/json", json=body)
        assert (answer.status_code, words in answer.json()["error"]) == (422, True), answer.text


def test_all_of_uint64_is_taken(served: Server) -> None:
    values = [2**63 + 5, 2**64 - 1]
    expected = [n % 1000 for n in values]
    body = {"keys": NAMES, "values": values, "model": "uint64"}
    assert post(served, "/json", json=body).json() == expected
    for mixed in ([values], [[1, 2**63 + 5]]):
        answer = post(served, "/v1/models/uint64:predict", json={"inputs": {"n": mixed}}).json()
        assert answer == {"outputs": [[n % 1000 for n in mixed[0]]]}


def test_truths_among_numbers_are_refused(served: Server) -> None:
    answer = post(served, "/v1/models/int64:predict", json={"inputs": {"n": [[1, True]]}})
    assert (answer.status_code, "mixes True with numbers" in answer.text) == (422, True)


# --- our client -------------------------------------------------------------------------

COLUMNS = {"b": np.array([e[1] for e in LARGE]), "a": np.array([e[0] for e in LARGE])}


@pytest.mark.parametrize(
    "events",
    [
        np.array(LARGE),
        COLUMNS,
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).convert_dtypes(),
        pd.DataFrame(COLUMNS).astype(object),
        pl.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        as_records(LARGE),
        np.array([tuple(e) for e in LARGE], [("a", "i8"), ("b", "i8")]),
        {"n": np.array(LARGE)},
    ],
    ids=lambda events: type(events).__name__,
)
def test_the_client_is_exact(client: Client, events: Any) -> None:
    np.testing.assert_array_equal(client.predict("int64", events), EXPECTED)
    client.label("int64", "good")
    np.testing.assert_array_equal(client.predict("int64/labels/good", events), EXPECTED)


def test_the_client_is_exact_about_one_event(client: Client) -> None:
    for event, expected in zip(LARGE, EXPECTED, strict=True):
        for one in (event, np.array(event), dict(zip(NAMES, event, strict=True))):
            np.testing.assert_array_equal(client.predict("int64", one), expected)


def test_the_client_is_exact_in_several_requests(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfaas_nb.client._MOST_BYTES", 16)
    np.testing.assert_array_equal(client.predict("int64", np.array(LARGE)), EXPECTED)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[0.0, 3.0000000001]], "takes int64, 3.0000000001 is none"),
        ([[0.0, 2.0**60]], "was sent as float64, which does not tell"),
        (np.array([[0, 2**63]], np.uint64), "takes int64, 9223372036854775808 is none"),
        (np.array([[0, 2**24]], np.float32), "was sent as float32, which does not tell"),
    ],
)
def test_the_client_refuses_what_the_input_cannot_be(
    client: Client, values: Any, words: str
) -> None:
    for events in (values, pd.DataFrame(values, columns=NAMES)):
        with pytest.raises(FeatureError, match=words):
            client.predict("int64", events)


def test_flags_are_numbers(client: Client) -> None:
    found = client.predict("int64", pd.DataFrame({"a": [True, False], "b": [2**60 + 1, 3]}))
    np.testing.assert_array_equal(found, [[1, (2**60 + 1) % 1000], [0, 3]])


def test_reference_events_are_not_rounded_either() -> None:
    events = {"keys": NAMES, "values": [[2**24 + 1, 0]], "scores": [[217, 0]]}
    params = json.dumps({"name": "m", "features": NAMES}).encode()
    bundle = Bundle.from_parts(
        params, modulo("int64"), reference_events=json.dumps(events).encode()
    )
    with pytest.raises(FeatureError, match="does not tell whole numbers apart"):
        bundle.with_reference_events(bundle.reference_events.matrix)  # type: ignore[union-attr]
