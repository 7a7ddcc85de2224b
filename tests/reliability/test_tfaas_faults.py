"""Faults that were measured in TFaaS's own server, one test for each, over a socket."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests

from tests import hostile
from tests.graphs import serialized, weighted_sum
from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import RepositoryError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.processes import ServerProcesses
from tfaas_nb.serving.server import Server
from tfaas_nb.wire.tfaas import encode_row

KEYS = ["a", "b", "c"]
#: Their weighted sum is 321.
VALUES = [1.0, 10.0, 100.0]
BINARY = {"Content-Type": "application/octet-stream"}


def sum_of(name: str = "sum", factor: float = 1.0) -> Bundle:
    """`factor` times the weighted sum of a, b and c."""

    def build(tf: Any) -> None:
        x = tf.compat.v1.placeholder("float32", (None, 3), name="x")
        tf.matmul(x, factor * np.array([[1.0], [2.0], [3.0]], np.float32), name="y")

    params = {"name": name, "features": KEYS}
    return Bundle.from_parts(json.dumps(params).encode(), serialized(build))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that has the model `sum`."""
    with Server(tmp_path / "models", port=0, token=False) as running:
        running.client().upload(sum_of())
        yield running


def ask(server: Server, path: str = "/json", **body: Any) -> requests.Response:
    return requests.post(server.url + path, timeout=30, **body)


def event(keys: Any = KEYS, values: Any = VALUES, model: str = "sum") -> dict[str, Any]:
    return {"keys": keys, "values": values, "model": model}


@pytest.mark.slow
def test_keys_are_ignored(server: Server) -> None:
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        keys, values = [KEYS[i] for i in order], [VALUES[i] for i in order]
        assert ask(server, json=event(keys, values)).json() == [321.0]
        row = encode_row(keys, values, "sum")
        assert (
            ask(server, "/proto", data=row).content
            == ask(server, "/proto", data=encode_row(KEYS, VALUES, "sum")).content
        )
    answer = ask(server, json=event(["a", "b", "d"]))
    assert answer.status_code == 422
    assert "'d'" in answer.json()["error"] or "d" in answer.json()["error"].split()


def test_keys_and_values_of_different_number_are_answered(server: Server) -> None:
    for keys, values in ((KEYS, VALUES[:2]), (KEYS[:2], VALUES), (KEYS, [])):
        for answer in (
            ask(server, json=event(keys, values)),
            ask(server, "/proto", data=encode_row(keys, values, "sum")),
        ):
            assert answer.status_code in (400, 422)
            assert str(len(values)) in answer.json()["error"] or "empty" in answer.json()["error"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_null_or_nan_is_answered_with_a_number(server: Server, value: float) -> None:
    answer = ask(server, "/proto", data=encode_row(KEYS, [1.0, value, 3.0], "sum"))
    assert answer.status_code == 422
    assert "'b'" in answer.json()["error"]
    answer = ask(server, json=event(values=[1.0, None, 3.0]))
    assert answer.status_code in (400, 422)
    assert "'b'" in answer.json()["error"]


@pytest.mark.slow
def test_flipped_weight_bytes_are_served(server: Server) -> None:
    server.client().upload(sum_of("other"))
    path = server.directory / "sum/versions/1/model.pb"
    data = bytearray(path.read_bytes())
    at = data.index(np.float32(3.0).tobytes())
    data[at] ^= 0x40
    path.write_bytes(data)
    server.stop()
    with Server(server.directory, port=0, token=False) as again:
        with pytest.raises(RepositoryError, match=r"'sum' is damaged on disk: .*sha256"):
            again.client().predict("sum", VALUES, keys=KEYS)
        assert again.client().predict("other", VALUES, keys=KEYS) == 321.0


def test_bytes_flipped_on_the_way_are_stored(server: Server) -> None:
    bundle = sum_of("sent")
    weight = np.float32(3.0).tobytes()
    archive = bundle.tar()
    assert archive.count(weight) == 1
    answer = ask(server, "/upload", data=archive.replace(weight, weight[::-1]), headers=BINARY)
    assert answer.status_code == 422
    assert "damaged on the way" in answer.json()["error"]
    assert [row[0] for row in server.client().models().rows] == ["sum"]


@pytest.mark.slow
def test_a_model_uploaded_again_is_served_as_it_was(server: Server) -> None:
    client = server.client()
    for factor in (2.0, 3.0):
        client.upload(sum_of(factor=factor))
        assert client.predict("sum", VALUES, keys=KEYS) == 321.0 * factor
        assert ask(server, json=event()).json() == [321.0 * factor]


def test_an_upload_cut_short_makes_the_list_fail(server: Server) -> None:
    archive = sum_of("cut").archive()
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(archive)}\r\n\r\n"
    for share in (0.0, 0.3, 0.99):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(head.encode() + archive[: int(share * len(archive))])
    answer = ask(server, "/upload", data=archive[: len(archive) // 2], headers=BINARY)
    assert answer.status_code == 422
    listed = requests.get(f"{server.url}/models", timeout=10)
    assert [(m["name"], "error" in m) for m in listed.json()] == [("sum", False)]
    assert [p.name for p in server.directory.iterdir() if not p.name.startswith(".")] == ["sum"]


def test_dots_in_a_name_lead_out_of_the_directory(server: Server, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../outside"))
    model = serialized(weighted_sum)
    for answer in (
        ask(server, "/upload", data=stream.getvalue(), headers=BINARY),
        ask(server, "/upload", files={"name": (None, "../outside"), "model": ("m", model)}),
        ask(
            server,
            "/upload",
            files={
                "params": ("params.json", json.dumps({"name": "../outside"}).encode()),
                "model": ("../../outside", model),
            },
        ),
    ):
        assert answer.status_code == 422
    assert [p.name for p in tmp_path.iterdir()] == ["models"]


@pytest.mark.parametrize(
    "path",
    [
        "/data?model=/etc/passwd",
        "/data/../../../../etc/passwd",
        "/params/..%2f..%2f..%2fetc%2fpasswd",
        "/models/..%2f..%2fetc/versions",
        "/netron/..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
    ],
)
def test_any_file_is_answered(server: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.split()[1] in (b"401", b"403", b"404"), answer[:200]
    assert b"root:" not in answer


@pytest.mark.endurance
def test_a_body_of_100_mb_costs_memory_for_good(tmp_path: Path) -> None:
    """Of JSON, in a process that does nothing else."""
    row = ",".join(["0.123456789"] * 3)
    rows = ",".join([f"[{row}]"] * (100_000_000 // (len(row) + 3)))
    body = f'{{"keys": ["a", "b", "c"], "model": "sum", "values": [{rows}]}}'.encode()
    with Server(tmp_path / "models", port=0, token=False, isolated=True) as server:
        server.client().upload(sum_of())
        assert ask(server, json=event()).json() == [321.0]
        process = psutil.Process(pid_of(server))
        before = process.memory_info().rss
        answer = requests.post(f"{server.url}/json", data=body, timeout=120)
        assert answer.status_code == 200
        assert len(answer.content) > 10_000_000
        del answer
        left = (process.memory_info().rss - before) / 1e6
        deadline = time.monotonic() + 10
        while left > 150 and time.monotonic() < deadline:
            time.sleep(0.2)
            left = (process.memory_info().rss - before) / 1e6
        assert left < 150
        assert ask(server, json=event()).json() == [321.0]


def pid_of(server: Server) -> int:
    assert isinstance(server._run, ServerProcesses)
    (pid,) = server._run.pids
    return pid


def test_unknown_node_names_close_the_connection(server: Server) -> None:
    model = serialized(lambda tf: weighted_sum(tf, "events_input", "score/Sigmoid"))
    for wrong in ({"input_node": "event_input"}, {"outputNode": "score"}):
        params = json.dumps({"name": "named", **wrong}).encode()
        files = {"params": ("params.json", params), "model": ("model.pb", model)}
        answer = ask(server, "/upload", files=files)
        assert answer.status_code == 422
        assert "candidates are" in answer.json()["error"]


@pytest.mark.slow
def test_a_first_layer_of_another_name_ends_the_server(server: Server) -> None:
    keras = backend.keras()
    inputs = keras.Input((3,), name="anything")
    outputs = keras.layers.Dense(1, kernel_initializer="ones", name="dense")(inputs)
    graph = FrozenGraph.freeze(keras.Model(inputs, outputs))
    client = server.client()
    client.upload(Bundle.create("keras", graph, ["score"], [{"name": key} for key in KEYS]))
    assert client.predict("keras", VALUES, keys=KEYS) == 111.0


@pytest.mark.slow
def test_models_beyond_the_memory_end_the_server(tmp_path: Path) -> None:
    """15 models, two of which fit, under 20 clients; each answer is that of its model."""
    with Server(tmp_path / "models", port=0, token=False, memory=2500) as server:
        for i in range(15):
            server.client().upload(sum_of(f"m{i}", factor=float(i)))

        def ask_for_all(first: int) -> list[int]:
            client = Client(server.url)
            found = []
            for step in range(15):
                i = (first + 7 * step) % 15
                answer = client._ask("POST", "/json", json=event(model=f"m{i}"))
                assert answer.json() == [321.0 * i]
                found.append(answer.status_code)
            client.close()
            return found

        with ThreadPoolExecutor(20) as clients:
            answers = list(clients.map(ask_for_all, range(20)))
        assert answers == [[200] * 15] * 20
        assert server.service.in_memory.evictions > 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", b"", 404),
        ("GET", "/json", b"", 405),
        ("GET", "/params/none", b"", 404),
        ("POST", "/json", b"{", 400),
        ("POST", "/json", b'{"keys": ["a"], "values": [1], "model": "none"}', 404),
        ("POST", "/json", b'{"keys": ["z"], "values": [1], "model": "sum"}', 422),
        ("POST", "/json", b'{"keys": ["a"], "values": ["x"], "model": "sum"}', 422),
        ("POST", "/proto", b"\xff\xff", 400),
        ("POST", "/upload", b"nothing", 422),
        ("POST", "/upload", hostile.bomb(33), 413),
        ("DELETE", "/delete/none", b"", 404),
    ],
)
def test_every_error_is_a_500(
    server: Server, method: str, path: str, body: bytes, status: int
) -> None:
    answer = requests.request(method, server.url + path, data=body, headers=BINARY, timeout=10)
    assert (answer.status_code, set(answer.json())) == (status, {"error", "kind"})
