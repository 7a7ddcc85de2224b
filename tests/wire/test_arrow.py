from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfaas_nb.errors import FeatureError, MissingExtra, RequestError, TfaasError
from tfaas_nb.wire import arrow

Floats = npt.NDArray[np.float32]

KEYS = ("nJets", "jetPt_0")
EVENTS = np.array([[2, 431.5], [3, -0.25]], np.float32)

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
names = st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], Floats]:
    """Keys, and float32 values of events."""
    keys = draw(names)
    shape = (draw(st.integers(0, 4)), len(keys))
    return keys, draw(arrays.arrays(np.float32, shape, elements=finite))


def stream(*batches: Any, schema: Any = None, **options: Any) -> bytes:
    """Write a stream by pyarrow itself."""
    sink = pa.BufferOutputStream()
    schema = batches[0].schema if schema is None else schema
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write(batch)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def columns(**values: Any) -> Any:
    return pa.table(values)


# --- golden exchanges -------------------------------------------------------------------


def test_a_stream_has_the_frame_of_the_specification() -> None:
    body = arrow.encode(["a"], np.ones((1, 1), np.float32))
    marker, length = struct.unpack_from("<Ii", body)
    assert marker == 0xFFFFFFFF
    assert length % 8 == 0
    assert struct.unpack_from("<I", body, 8 + length)[0] == 0xFFFFFFFF
    # The value, padded to eight bytes, then the end of the stream.
    assert body[-16:] == bytes.fromhex("0000803f00000000 ffffffff00000000")


def test_what_pyarrow_writes_is_read() -> None:
    body = stream(columns(nJets=pa.array([2, 3], pa.int8()), jetPt_0=[431.5, -0.25]))
    keys, values = arrow.decode(body)
    assert (keys, values.dtype) == (KEYS, np.float32)
    np.testing.assert_array_equal(values, EVENTS)


def test_pyarrow_reads_what_is_written() -> None:
    table = pa.ipc.open_stream(arrow.encode(KEYS, EVENTS)).read_all()
    assert table.schema == pa.schema([(key, pa.float32()) for key in KEYS])
    assert table.to_pydict() == {"nJets": [2, 3], "jetPt_0": [431.5, -0.25]}


def test_pyarrow_reads_the_scores() -> None:
    scores = np.array([[0.25, 0.75]], np.float32)
    table = pa.ipc.open_stream(arrow.encode_scores(scores, ["qcd", "ttbar"])).read_all()
    assert table.to_pydict() == {"qcd": [0.25], "ttbar": [0.75]}


# --- forms of a stream ------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64()),
    ],
    ids=str,
)
def test_every_width_of_number_is_read(kind: Any) -> None:
    sent = pa.array([1.0, 100.0, 0.0]).cast(kind)
    keys, values = arrow.decode(stream(columns(a=sent, b=sent)))
    assert (keys, values.dtype) == (("a", "b"), np.float32)
    np.testing.assert_array_equal(values, [[1, 1], [100, 100], [0, 0]])


def test_several_batches_are_one_table() -> None:
    batches = [pa.record_batch({"a": [1.0, 2.0]}), pa.record_batch({"a": [3.0]})]
    _, values = arrow.decode(stream(*batches))
    assert values.tolist() == [[1], [2], [3]]


def test_a_part_of_a_table_is_read_as_that_part() -> None:
    _, values = arrow.decode(stream(columns(a=[1.0, 2.0, 3.0, 4.0]).slice(1, 2)))
    assert values.tolist() == [[2], [3]]


@pytest.mark.parametrize("batches", [0, 1])
def test_no_events_are_read_as_none(batches: int) -> None:
    empty = pa.record_batch({"a": pa.array([], pa.float32())})
    keys, values = arrow.decode(stream(*[empty] * batches, schema=empty.schema))
    assert (keys, values.shape) == (("a",), (0, 1))


# --- round trips ------------------------------------------------------------------------


@pytest.mark.slow
@given(tables())
def test_a_stream_brings_events_back(table: tuple[list[str], Floats]) -> None:
    keys, values = table
    found, back = arrow.decode(arrow.encode(keys, values))
    assert (found, back.dtype) == (tuple(keys), np.float32)
    np.testing.assert_array_equal(back, values)


@pytest.mark.slow
@given(tables())
def test_an_answer_brings_scores_back(table: tuple[list[str], Floats]) -> None:
    labels, scores = table
    labels = [f"class {label}" for label in labels]
    found, back = arrow.decode_scores(arrow.encode_scores(scores, labels))
    assert (found, back.dtype) == (tuple(labels), np.float32)
    np.testing.assert_array_equal(back, scores)


def test_a_score_may_be_nan() -> None:
    scores = np.array([[np.nan]], np.float32)
    _, back = arrow.decode_scores(arrow.encode_scores(scores, ["ttbar"]))
    np.testing.assert_array_equal(back, scores)


@pytest.mark.parametrize("labels", [[], ["qcd"], ["qcd", "qcd"], ["qcd", ""], ["output_1", ""]])
def test_outputs_without_labels_of_their_own_are_numbered(labels: list[str]) -> None:
    body = arrow.encode_scores(np.ones((1, 2), np.float32), labels)
    assert arrow.decode_scores(body)[0] == ("output_0", "output_1")


def test_labels_beyond_the_outputs_are_left_out() -> None:
    body = arrow.encode_scores(np.ones((1, 1), np.float32), ["ttbar", "qcd"])
    assert arrow.decode_scores(body)[0] == ("ttbar",)


# --- malformed streams ------------------------------------------------------------------


def of_type(values: list[Any], kind: Any) -> bytes:
    return stream(columns(a=[1.0] * len(values), b=pa.array(values, kind)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (of_type(["x"], pa.string()), "column 'b' has type 'string': send floats or integers"),
        (of_type([b"x"], pa.binary()), "column 'b' has type 'binary'"),
        (of_type([True], pa.bool_()), "column 'b' has type 'bool'"),
        (of_type([[1.0]], pa.list_(pa.float32())), "column 'b' has type 'list<"),
        (of_type([[1.0]], pa.list_(pa.float32(), 1)), "column 'b' has type 'fixed_size_l"),
        (of_type([{"x": 1}], pa.struct([("x", pa.int8())])), "column 'b' has type 'struct<"),
        (of_type(["x"], pa.dictionary(pa.int8(), pa.string())), "column 'b' has type 'dictionary<"),
        (of_type([0], pa.timestamp("s")), r"column 'b' has type 'timestamp\[s\]'"),
        (of_type([1], pa.decimal128(5)), r"column 'b' has type 'decimal128"),
        (of_type([None], pa.null()), "column 'b' has type 'null'"),
        (stream(pa.table([[1.0], [2.0]], names=["a", "a"])), "two columns are called 'a'"),
        (stream(schema=pa.schema([])), "has no columns"),
        (b"", "the body is not an Arrow stream"),
        (b'{"keys": ["a"], "values": [1]}', "the body is not an Arrow stream"),
        (b"ARROW1\x00\x00" + arrow.encode(KEYS, EVENTS), "the body is not an Arrow stream"),
        (arrow.encode(KEYS, EVENTS)[:-30], "the body is not an Arrow stream"),
        (arrow.encode(KEYS, EVENTS) + b"xx", "2 bytes are left after the Arrow stream"),
        (arrow.encode(KEYS, EVENTS) * 2, "bytes are left after the Arrow stream"),
    ],
)
def test_a_stream_of_another_kind_is_refused(body: bytes, message: str) -> None:
    for decode in (arrow.decode, arrow.decode_scores):
        with pytest.raises(RequestError, match=message):
            decode(body)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("kind", [pa.float32(), pa.int8()], ids=str)
def test_a_compressed_stream_is_refused(kind: Any, compression: str) -> None:
    body = stream(columns(a=pa.array([1, 2], kind)), compression=compression)
    with pytest.raises(RequestError, match="is compressed: write it without compression"):
        arrow.decode(body)


def test_a_big_endian_stream_is_refused() -> None:
    """Its flag is made to point at the number of columns, which is 1 as well."""
    body = stream(columns(a=[1.0]))
    vtable = struct.pack("<HHHH", 8, 8, 0, 4)
    swapped = body.replace(vtable, struct.pack("<HHHH", 8, 8, 8, 4), 1)
    # pyarrow swaps the bytes of 1.0, and so takes the flag for what it is meant to be.
    read = pa.ipc.open_stream(swapped).read_all()["a"].to_pylist()
    assert read == [struct.unpack(">d", struct.pack("<d", 1))[0]]
    with pytest.raises(RequestError, match="is big-endian: write it little-endian"):
        arrow.decode(swapped)


@pytest.mark.parametrize("kind", [pa.float32(), pa.int64()], ids=str)
def test_a_null_is_named(kind: Any) -> None:
    good, bad = pa.array([1, 2, 3], kind), pa.array([1, None, None], kind)
    for decode in (arrow.decode, arrow.decode_scores):
        with pytest.raises(FeatureError, match="value of 'jetPt_0' of event 1 is null"):
            decode(stream(columns(nJets=good, jetPt_0=bad)))
    batches = [pa.record_batch([column], names=["a"]) for column in (good, bad)]
    with pytest.raises(FeatureError, match="value of 'a' of event 4 is null"):
        arrow.decode(stream(*batches))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(value: float) -> None:
    values = np.array([[2, 1], [2, value]], np.float32)
    with pytest.raises(FeatureError, match=f"value of 'jetPt_0' of event 1 is {value}"):
        arrow.decode(arrow.encode(KEYS, values))


def test_a_signalling_nan_is_named() -> None:
    values = np.frombuffer(bytes.fromhex("010000000000f07f"), "<f8")
    with pytest.raises(FeatureError, match="value of 'a' of event 0 is nan"):
        arrow.decode(stream(columns(a=values)))


def test_a_value_beyond_float32_is_named() -> None:
    with pytest.raises(FeatureError, match="value of 'a' of event 1 is inf"):
        arrow.decode(stream(columns(a=[1.0, 1e39])))


# --- streams that promise more than they hold -------------------------------------------


@pytest.fixture
def allocates_little() -> Iterator[None]:
    """Nothing to speak of is allocated while the test runs."""
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    yield
    pa.set_memory_pool(usual)
    assert pool.max_memory() < 1_000_000


@pytest.fixture
def bomb() -> bytes:
    """100 MB of zeros in a few kilobytes."""
    body = stream(columns(a=np.zeros(25_000_000, np.float32)), compression="zstd")
    assert len(body) < 100_000
    return body


@pytest.mark.usefixtures("allocates_little")
def test_a_batch_that_claims_many_events_costs_nothing() -> None:
    body = stream(columns(a=np.arange(7, dtype=np.float32)))
    for claim in (2**31, 2**40, 2**62, 2**63 - 1):
        lying = body.replace(struct.pack("<q", 7), struct.pack("<q", claim))
        assert lying != body
        with pytest.raises(RequestError, match="the body is not an Arrow stream"):
            arrow.decode(lying)


@pytest.mark.usefixtures("allocates_little")
def test_a_buffer_that_claims_many_bytes_costs_nothing() -> None:
    body = stream(columns(a=np.arange(7, dtype=np.float32)))
    lying = body.replace(struct.pack("<q", 28), struct.pack("<q", 2**40))
    assert lying != body
    with suppress(RequestError):  # until pyarrow 23 a buffer simply ends with the body
        assert arrow.decode(lying)[1].tolist() == [[i] for i in range(7)]
    more = lying.replace(struct.pack("<q", 7), struct.pack("<q", 2**20))
    assert more != lying
    with pytest.raises(RequestError, match="the body is not an Arrow stream"):
        arrow.decode(more)


@pytest.mark.usefixtures("bomb", "allocates_little")
def test_a_compressed_bomb_is_not_unpacked(bomb: bytes) -> None:
    with pytest.raises(RequestError, match="is compressed"):
        arrow.decode(bomb)


def test_columns_that_share_their_bytes_are_refused() -> None:
    """A small body could otherwise stand for any number of columns."""
    count, width = 8, 4000
    zeros = np.zeros(width // 4, np.float32)
    body = stream(columns(**{f"f{i}": zeros for i in range(count)}))
    buffers = [struct.pack("<qqqq", i * width, 0, i * width, width) for i in range(count)]
    assert b"".join(buffers) in body
    body = body.replace(b"".join(buffers), buffers[0] * count)
    body = body.replace(struct.pack("<q", count * width), struct.pack("<q", width))
    body = body[: -8 - (count - 1) * width] + body[-8:]
    assert pa.ipc.open_stream(body).read_all().num_columns == count
    with pytest.raises(RequestError, match="share their bytes"):
        arrow.decode(body)


# --- without pyarrow --------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda: arrow.decode(b""),
        lambda: arrow.decode_scores(b""),
        lambda: arrow.encode(KEYS, EVENTS),
        lambda: arrow.encode_scores(EVENTS, []),
    ],
)
def test_without_pyarrow_the_extra_is_named(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tfaas-nb\[arrow\]'"):
        ask()


# --- anything at all --------------------------------------------------------------------


def decode_or_refuse(decode: Callable[[bytes], object], body: bytes) -> None:
    try:
        found = decode(body)
    except TfaasError as error:
        assert str(error)
    else:
        assert found is not None


decoders = pytest.mark.parametrize("decode", [arrow.decode, arrow.decode_scores])
GOOD = arrow.encode(KEYS, EVENTS)
SCHEMA = stream(schema=pa.schema([("a", pa.float32())]))[:-8]


@decoders
@given(body=st.binary() | st.binary().map(lambda tail: SCHEMA + b"\xff\xff\xff\xff" + tail))
def test_no_bytes_get_past_the_error_tree(decode: Callable[[bytes], object], body: bytes) -> None:
    decode_or_refuse(decode, body)


@pytest.mark.parametrize("value", [0x00, 0x01, 0x7F, 0x80, 0xFF])
def test_no_damaged_byte_gets_past_the_error_tree(value: int) -> None:
    for at in range(len(GOOD)):
        decode_or_refuse(arrow.decode, GOOD[:at] + bytes([value]) + GOOD[at + 1 :])


@given(at=st.integers(0, len(GOOD)), inserted=st.binary(max_size=9), cut=st.integers(0, 9))
def test_no_shifted_bytes_get_past_the_error_tree(at: int, inserted: bytes, cut: int) -> None:
    decode_or_refuse(arrow.decode, GOOD[:at] + inserted + GOOD[at + cut :])
