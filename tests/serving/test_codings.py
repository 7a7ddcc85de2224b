"""Packed bodies and answers, against the standard library's gzip and zlib."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfaas_nb.errors import Overloaded, RequestError, TfaasError, TooLarge, UnsupportedCoding
from tfaas_nb.serving import codings
from tfaas_nb.serving.codings import Unpacking
from tfaas_nb.serving.messages import Head, Response

MB = 1 << 20


def bare(data: bytes) -> bytes:
    """Deflate without zlib's head and checksum, as some clients send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", lambda data: gzip.compress(data, mtime=0)),
    "deflate": ("deflate", zlib.compress),
    "deflate without a head": ("deflate", bare),
}
WAYS = pytest.mark.parametrize("way", list(PACK))


def unpacked(coding: str, packed: bytes, most: int = 512 * MB, step: int | None = None) -> bytes:
    unpacking = Unpacking(coding, packed, most, lambda size: None)
    while not unpacking.advance(step):
        pass
    return unpacking.body()


def head(**headers: str) -> Head:
    named = {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
    return Head("POST", "/json", b"", named)


@WAYS
@given(st.binary(max_size=3000), st.integers(1, 2000), st.sampled_from([None, 1, 7]))
def test_what_was_packed_comes_out(way: str, data: bytes, times: int, step: int | None) -> None:
    coding, pack = PACK[way]
    assert unpacked(coding, pack(data * times), step=step) == data * times


@WAYS
@pytest.mark.parametrize("size", [MB - 1, MB, MB + 1, 3 * MB])
def test_a_body_may_end_where_a_piece_ends(way: str, size: int) -> None:
    coding, pack = PACK[way]
    for data in (b"x" * size, random.Random(size).randbytes(size)):
        assert unpacked(coding, pack(data)) == data


def test_streams_of_gzip_may_follow_each_other() -> None:
    parts = [bytes([i]) * i * 1000 for i in range(200)]
    assert unpacked("gzip", b"".join(map(gzip.compress, parts))) == b"".join(parts)
    with pytest.raises(RequestError, match="more follows after 1000"):
        unpacked("gzip", gzip.compress(b"") * 1001)


@WAYS
@given(st.data())
@settings(max_examples=50)
def test_what_is_cut_short_or_goes_on_is_refused(way: str, data: st.DataObject) -> None:
    coding, pack = PACK[way]
    whole = pack(b"some events, and some more events " * 40)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(RequestError, match=f"not whole {coding}, as its Content-Encoding says"):
        unpacked(coding, whole[:cut])
    with pytest.raises(RequestError, match=f"not whole {coding}"):
        unpacked(coding, whole + b"more")


@pytest.mark.parametrize("coding", codings.NAMES)
@given(st.binary())
def test_noise_is_refused_or_read(coding: str, noise: bytes) -> None:
    try:
        unpacked(coding, noise)
    except TfaasError as error:
        assert 400 <= error.status < 500


@WAYS
def test_a_body_over_the_limit_is_refused(way: str) -> None:
    coding, pack = PACK[way]
    assert len(unpacked(coding, pack(bytes(5000)), most=5000)) == 5000
    with pytest.raises(TooLarge, match="more than 4999 bytes"):
        unpacked(coding, pack(bytes(5000)), most=4999)


def test_a_bomb_is_refused_by_its_ratio() -> None:
    bomb = gzip.compress(bytes(40 * MB), 1, mtime=0)
    with pytest.raises(TooLarge, match="more than 100 times its size"):
        unpacked("gzip", bomb)


def test_a_bomb_in_a_bomb_is_refused() -> None:
    bomb = gzip.compress(gzip.compress(bytes(30 * MB), 1, mtime=0), mtime=0)
    with pytest.raises(TooLarge, match="packed twice"):
        unpacked("gzip", bomb)
    model = gzip.compress(random.Random(1).randbytes(200_000), mtime=0)
    assert unpacked("gzip", gzip.compress(model)) == model


def test_unpacking_ends_where_there_is_no_room() -> None:
    def take(size: int) -> None:
        if size > MB:
            raise Overloaded("no room")

    packed = gzip.compress(random.Random(2).randbytes(3 * MB), 1)
    with pytest.raises(Overloaded):
        Unpacking("gzip", packed, 512 * MB, take).advance()


MEMORY = """
import gzip, resource
from tfaas_nb.errors import TooLarge
from tfaas_nb.serving.codings import Unpacking
def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
bomb = open('/dev/stdin', 'rb').read()  # of 120 MB, 0.5 MB
before = used()
try:
    Unpacking("gzip", bomb, 128 << 20, lambda size: None).advance()
except TooLarge:
    print(used() - before)
part = gzip.compress(bytes(range(256)) * 4096 * 16, 1)  # 16 MB
body = Unpacking("gzip", part, 128 << 20, lambda size: None)
body.advance()
assert len(body.body()) == 16 << 20
print(used() - before)
"""


@pytest.mark.slow
def test_the_memory_of_a_bomb_is_that_of_its_limit() -> None:
    # Made in another process: a maximum never shrinks.
    bomb = gzip.compress(bytes(120 * MB), 1, mtime=0)
    done = subprocess.run([sys.executable, "-c", MEMORY], input=bomb, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    refused, read = map(int, done.stdout.split())
    assert refused < 70
    assert read < 70


# --- what a request says ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "coding"),
    [
        *(("gzip", "gzip"), ("x-gzip", "gzip"), (" GZIP", "gzip"), ("deflate", "deflate")),
        *(("identity", ""), ("", "")),
    ],
)
def test_the_coding_of_a_body(said: str, coding: str) -> None:
    assert codings.coding_of(head(content_encoding=said)) == coding


@pytest.mark.parametrize("said", ["br", "base64", "gzip, gzip", "compress", "gzip;q=1"])
def test_another_coding_is_refused_with_the_list(said: str) -> None:
    with pytest.raises(UnsupportedCoding, match="send one of gzip, deflate") as raised:
        codings.coding_of(head(content_encoding=said))
    assert raised.value.status == 415
    assert raised.value.codings == codings.NAMES


LARGE = Response(b"[" + b"0.125, " * 4000 + b"1]")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("gzip; q=0.5, deflate;q=0.499", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0, *", "deflate"),
        ("gzip;q=0", ""),
        ("*;q=0", ""),
        ("br", ""),
        ("", ""),
        ("identity", ""),
        ("identity, gzip;q=0.5", ""),
        ("gzip;q=high", ""),
    ],
)
def test_an_answer_is_packed_as_the_client_likes_best(accepted: str, coding: str) -> None:
    answer = codings.pack(head(accept_encoding=accepted), LARGE)
    headers = dict(answer.headers)
    assert headers.get("content-encoding", "") == coding
    assert headers["vary"] == "Accept-Encoding"
    window = {"gzip": 31, "deflate": 15}
    body = zlib.decompress(answer.body, window[coding]) if coding else answer.body
    assert body == LARGE.body


@pytest.mark.parametrize(
    "answer",
    [Response(b"x" * codings.LEAST_PACKED), Response(b"x" * 100_000, "application/octet-stream")],
)
def test_small_answers_and_other_kinds_are_not_packed(answer: Response) -> None:
    assert codings.pack(head(accept_encoding="gzip"), answer) is answer


# --- zstd, from Python 3.14 on ----------------------------------------------------------

ZSTD = pytest.mark.skipif(
    "zstd" not in codings.NAMES, reason="this Python has no zstd (compression.zstd)"
)


@ZSTD
def test_zstd_is_read_and_written() -> None:
    data = random.Random(3).randbytes(100_000) * 20
    packed = codings._packed("zstd", data)
    assert unpacked("zstd", packed) == data
    assert unpacked("zstd", packed + packed) == data * 2
    with pytest.raises(RequestError, match="not whole zstd"):
        unpacked("zstd", packed[:-1])
    with pytest.raises(TooLarge, match="100 times"):
        unpacked("zstd", codings._packed("zstd", bytes(64 * MB)))
