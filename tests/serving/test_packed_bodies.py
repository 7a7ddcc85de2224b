"""Bodies that clients packed, and answers packed for them, on every address of a server."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton

from tests.serving.test_app import upload_form
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.poster import poster_event
from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.codings import LEAST_PACKED
from tfaas_nb.serving.counts import Counts
from tfaas_nb.serving.messages import Done, Head, Request, Response
from tfaas_nb.serving.packed_bodies import PackedBodies
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.shares import all_in
from tfaas_nb.serving.work import Work
from tfaas_nb.wire import arrow, oip, tfaas

EVENT = poster_event()
ROW = list(EVENT.values())
NAMES = tuple(EVENT)
TENSOR = {"name": "input", "shape": [1, len(ROW)], "datatype": "FP32", "data": ROW}
X = np.array([ROW, ROW], np.float32)
EACH_RAW, JSON_LENGTH = oip.encode_tensors({"input": X})

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
CODINGS = pytest.mark.parametrize("coding", list(PACK))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("packed")
    with Server(folder / "models", port=0, token=False) as server:
        server.client().upload(bundle)
        yield server


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


REQUESTS: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    "json": ("POST", "/json", tfaas.encode_json(NAMES, ROW, "ttbar"), {}),
    "json of many": ("POST", "/predict/json", tfaas.encode_json(NAMES, X, "ttbar"), {}),
    "proto": ("POST", "/proto", tfaas.encode_row(NAMES, ROW, "ttbar"), {}),
    "dataframe": ("POST", "/dataframe", tfaas.encode_dataframe(NAMES, X, "ttbar"), {}),
    "npy": ("POST", "/npy?model=ttbar", tfaas.encode_npy(NAMES, X), {}),
    "arrow": ("POST", "/arrow?model=ttbar", arrow.encode(NAMES, X), {}),
    "image": ("POST", "/image", b"no form", {}),
    "infer": ("POST", "/v2/models/ttbar/infer", as_json({"inputs": [TENSOR]}), {}),
    "infer raw": (
        "POST",
        "/v2/models/ttbar/infer",
        EACH_RAW,
        {oip.JSON_LENGTH: str(JSON_LENGTH)},
    ),
    "index": ("POST", "/v2/repository/index", as_json({"ready": True}), {}),
    "predict": ("POST", "/v1/models/ttbar:predict", as_json({"instances": [EVENT]}), {}),
    "classify": ("POST", "/v1/models/ttbar:classify", as_json({"examples": [EVENT]}), {}),
    "regress": ("POST", "/v1/models/ttbar:regress", as_json({"examples": [EVENT]}), {}),
    "params": ("POST", "/params", as_json({"model": "ttbar"}), {}),
    "label": ("PUT", "/models/ttbar/labels/packed", as_json({"version": 1}), {}),
    "delete": ("DELETE", "/delete", as_json({"model": "nobody"}), {}),
}


@CODINGS
@pytest.mark.parametrize("kind", list(REQUESTS))
def test_a_packed_body_is_answered_as_the_same_body_is(
    served: Server, kind: str, coding: str
) -> None:
    method, path, body, headers = REQUESTS[kind]
    answers = [
        requests.request(method, served.url + path, data=data, headers=more, timeout=10)
        for data, more in (
            (body, headers),
            (PACK[coding](body), headers | {"Content-Encoding": coding}),
            (PACK[coding](body), headers | {"content-encoding": coding.upper()}),
        )
    ]
    first, *others = answers
    assert first.status_code == {"image": 400, "delete": 404}.get(kind, 200), first.text
    for other in others:
        assert (other.status_code, other.content) == (first.status_code, first.content)


@CODINGS
def test_a_form_is_uploaded_packed(served: Server, bundle: Bundle, coding: str) -> None:
    form, headers = upload_form(bundle)
    headers = headers | {"Content-Encoding": coding}
    answer = requests.post(f"{served.url}/upload", PACK[coding](form), headers=headers, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["X-Model-Version"]) > 1


def test_a_large_body_is_unpacked_whole(served: Server, events: Dataset) -> None:
    names, values = events.features.names, events.X
    body = tfaas.encode_npy(names, values)
    assert len(body) > 500_000
    plain = requests.post(f"{served.url}/npy?model=ttbar", body, timeout=30).content
    headers = {"Content-Encoding": "gzip"}
    packed = requests.post(
        f"{served.url}/npy?model=ttbar", gzip.compress(body, 1), headers=headers, timeout=30
    )
    assert packed.content == plain


def test_http_client_sends_packed_chunks(served: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    body = gzip.compress(REQUESTS["json"][2])
    for _ in range(2):
        chunks = (body[at : at + 50] for at in range(0, len(body), 50))
        headers = {"Content-Encoding": "gzip"}
        connection.request("POST", "/json", chunks, headers, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 200
        assert len(json.loads(answer.read())) == 1
    connection.close()


@pytest.mark.parametrize("coding", ["br", "base64", "gzip, gzip"])
def test_another_coding_is_refused_before_the_body_comes(served: Server, coding: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    headers = {"Content-Encoding": coding, "Expect": "100-continue", "Content-Length": "5000"}
    connection.request("POST", "/json", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 415
    assert set(answer.headers["Accept-Encoding"].split(", ")) >= {"gzip", "deflate"}
    told = json.loads(answer.read())
    assert told["kind"] == "UnsupportedCoding"
    assert f"Content-Encoding {coding!r} is not read here: send one of gzip" in told["error"]
    connection.close()


def test_a_request_without_a_body_may_say_what_it_likes(served: Server) -> None:
    for coding in ("br", "gzip"):
        headers = {"Content-Encoding": coding}
        assert requests.get(f"{served.url}/models", headers=headers, timeout=10).ok


@CODINGS
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"keys": []}', 400, "not whole"),
        (b"\x1f\x8b", 400, "not whole"),
        pytest.param("bomb", 413, "more than 100 times its size", marks=pytest.mark.slow),
        ("limit", 413, f"more than {64 << 10} bytes"),
    ],
)
def test_what_is_wrong_with_a_packed_body_is_told(
    served: Server, coding: str, body: bytes | str, status: int, words: str
) -> None:
    method, path, _, _ = REQUESTS["label" if body == "limit" else "json"]
    if isinstance(body, str):
        body = PACK[coding](bytes({"bomb": 33 << 20, "limit": 65 << 10}[body]))
    headers = {"Content-Encoding": coding}
    answer = requests.request(method, served.url + path, data=body, headers=headers, timeout=20)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert requests.get(f"{served.url}/health", timeout=10).ok


@pytest.mark.slow
def test_bodies_that_are_unpacked_share_their_room() -> None:
    """A client gets no further than 256 MB with small bodies that unpack to 30 MB each."""
    head = Head("POST", "/json", b"", {b"content-encoding": b"gzip", b"content-length": b"9"})
    packed = gzip.compress(bytes(30 << 20), 1)
    waiting: list[Done] = []
    answers: list[Response] = []

    def hold(request: Request, done: Done) -> None:
        assert len(request.body) == 30 << 20
        waiting.append(done)

    async def main() -> None:
        bodies = PackedBodies(Work(all_in(threads), Counts()))
        call = bodies.read(head, Call(128 << 20, hold))

        async def ask(times: int) -> None:
            before = len(waiting) + len(answers)
            for _ in range(times):
                call.answer(Request(head, packed), answers.append)
            while len(waiting) + len(answers) < before + times:
                await asyncio.sleep(0.001)

        await ask(10)
        assert len(waiting) == 8
        assert [answer.status for answer in answers] == [503, 503]
        while waiting:
            waiting.pop()(Response(b"{}"))
        answers.clear()
        await ask(8)
        assert len(waiting) == 8

    with ThreadPoolExecutor(2) as threads:
        asyncio.run(main())


# --- packed answers ---------------------------------------------------------------------


def many(events: Dataset, count: int) -> bytes:
    return tfaas.encode_json(events.features.names, events.X[:count], "ttbar")


def raw(served: Server, path: str, body: bytes | None, accepted: str | None) -> tuple[Any, bytes]:
    """Headers and body as they came."""
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.putrequest("GET" if body is None else "POST", path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.headers, content


def test_large_json_is_packed_for_who_accepts_it(served: Server, events: Dataset) -> None:
    body = many(events, 2500)
    headers, plain = raw(served, "/json", body, None)
    assert len(plain) > LEAST_PACKED
    assert "content-encoding" not in headers
    assert headers["vary"] == "Accept-Encoding"
    for accepted, window in (("gzip", 31), ("deflate, identity;q=0.5", 15)):
        headers, content = raw(served, "/json", body, accepted)
        assert headers["content-encoding"] == accepted.partition(",")[0]
        assert len(content) < len(plain)
        assert zlib.decompress(content, window) == plain
    assert requests.post(f"{served.url}/json", body, timeout=10).content == plain


def test_small_answers_and_numbers_in_binary_are_not_packed(
    served: Server, events: Dataset
) -> None:
    values = tfaas.encode_npy(events.features.names, np.tile(events.X, (2, 1)))
    for path, body in (
        ("/json", many(events, 10)),
        ("/npy?model=ttbar", values),
        ("/models", None),
    ):
        headers, _ = raw(served, path, body, "gzip, deflate")
        assert "content-encoding" not in headers
        assert "vary" not in headers


def test_descriptions_are_packed_on_every_address(served: Server) -> None:
    headers, content = raw(served, "/openapi.json", None, "gzip")
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(content))["openapi"] == "3.1.0"


# --- real clients -----------------------------------------------------------------------


@CODINGS
def test_triton_packs_what_it_sends_and_asks_for(
    served: Server, events: Dataset, coding: str
) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    values = np.ascontiguousarray(events.X[:2500])
    expected = served.client().predict("ttbar", values)
    for in_binary in (True, False):
        tensor = triton.InferInput("input", list(values.shape), "FP32")
        tensor.set_data_from_numpy(values, binary_data=in_binary)
        result = client.infer(
            "ttbar",
            [tensor],
            outputs=[triton.InferRequestedOutput("output", binary_data=in_binary)],
            request_compression_algorithm=coding,
            response_compression_algorithm=coding,
        )
        np.testing.assert_allclose(result.as_numpy("output")[:, 0], expected, atol=1e-6)
    client.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_sends_and_gets_packed(served: Server, events: Dataset, tmp_path: Path) -> None:
    (tmp_path / "events.json.gz").write_bytes(gzip.compress(many(events, 2500)))
    options = ["--compressed", "--data-binary", "@events.json.gz", "-H", "Content-Encoding: gzip"]
    command = ["curl", "-sSi", *options, f"{served.url}/json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=30)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head
    scores = served.client().predict("ttbar", events.X[:2500])
    np.testing.assert_allclose(np.ravel(json.loads(body)), scores, atol=1e-6)
