"""Nobody waits for work of another kind, over real sockets."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import BULK_BYTES
from tfaas_nb.wire.tfaas import encode_npy

KEYS = ("a", "b", "c")
EVENT = json.dumps({"keys": KEYS, "values": [1, 1, 1], "model": "sum"}).encode()
_BULK_SECONDS = 1.0
_EVENT_SECONDS = 5e-3


class Slow:
    """An engine that takes its time."""

    def __init__(self, engine: Any) -> None:
        self._engine, self.signature, self.close = engine, engine.signature, engine.close

    def __call__(self, X: Any) -> Any:
        time.sleep(_BULK_SECONDS if len(X) > 100 else _EVENT_SECONDS)
        return self._engine(X)


@pytest.fixture
def small() -> Bundle:
    params = json.dumps({"name": "sum", "features": KEYS}).encode()
    return Bundle.from_parts(params, serialized(weighted_sum))


@pytest.fixture
def slow(server: Server, small: Bundle) -> Server:
    server.client().upload(small)
    model = server.service.model("sum")
    model.engine = Slow(model.engine)
    return server


@contextmanager
def asked(url: str, body: bytes, connections: int, **headers: str) -> Iterator[list[float]]:
    """Connections that ask again and again meanwhile; the seconds that each answer took."""
    ends, taken = threading.Event(), []

    def ask() -> None:
        with requests.Session() as session:
            while not ends.is_set():
                begun = time.monotonic()
                answer = session.post(url, body, headers=headers, timeout=100)
                assert answer.ok, answer.text
                taken.append(time.monotonic() - begun)

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        ends.set()
        for thread in threads:
            thread.join(100)


@pytest.mark.endurance
@pytest.mark.parametrize("path", ["/npy?model=sum", "/v1/models/sum:predict"])
def test_bulk_takes_no_thread_from_events_and_lists(slow: Server, path: str) -> None:
    """Of a model that is not evaluated in the event loop, either."""
    values = np.ones((8000, len(KEYS)), np.float32)
    body = encode_npy(KEYS, values)
    if "npy" not in path:
        body = json.dumps({"instances": values.tolist()}).encode()
    assert len(body) > BULK_BYTES
    headers = {"Authorization": f"Bearer {slow.token}"}
    waited = []
    with asked(slow.url + path, body, 8, **headers) as taken, requests.Session() as session:
        time.sleep(_BULK_SECONDS / 2)
        while len(taken) < 8:
            begun = time.monotonic()
            answer = session.post(f"{slow.url}/json", EVENT, headers=headers, timeout=100)
            assert answer.content == b"[6.0]"
            assert session.get(f"{slow.url}/models", headers=headers, timeout=100).ok
            waited.append(time.monotonic() - begun)
    assert float(np.median(waited)) < float(np.median(taken)) / 16
    assert max(waited) < max(taken)
    assert max(taken) > _BULK_SECONDS


def test_uploads_hold_up_no_downloads(
    server: Server, small: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client().upload(small)
    go_on, begun, store = threading.Event(), threading.Semaphore(0), Service.upload

    def upload(service: Service, bundle: Bundle) -> Any:
        begun.release()
        assert go_on.wait(60)
        return store(service, bundle)

    monkeypatch.setattr(Service, "upload", upload)
    threads = [threading.Thread(target=server.client().upload, args=(small,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert begun.acquire(timeout=60)
        assert begun.acquire(timeout=60)
        assert server.client(timeout=20).download("sum").name == "sum"
    finally:
        go_on.set()
        for thread in threads:
            thread.join(60)


# --- loops that may not end ---------------------------------------------------------------

ENDLESS = """
import json, sys, threading, time
import requests
import tfaas_nb as tn
from tests.graphs import placeholder, serialized, weighted_sum
from tfaas_nb.bundle import Bundle

def build(tf):
    x = placeholder(tf)
    (y,) = tf.while_loop(lambda v: tf.reduce_sum(v) > 1e6, lambda v: (v * 1.0,), (x,))
    tf.identity(y, name="output")

def ask(model, first, timeout=60):
    body = {"keys": ["a", "b", "c"], "values": [first, 1, 1], "model": model}
    return requests.post(url + "/json", json=body, timeout=timeout).text

server = tn.Server(sys.argv[1], port=0, token=False, grace=0.5).start()
url = server.url
for name, model in {"loop": build, "sum": weighted_sum}.items():
    params = json.dumps({"name": name, "features": ["a", "b", "c"]}).encode()
    server.client().upload(Bundle.from_parts(params, serialized(model)))
print(ask("loop", 1), ask("sum", 1))
for _ in range(3):
    try:
        print(ask("loop", 1e7, timeout=1))
    except requests.Timeout:
        print("endless")
print(ask("sum", 1), requests.get(url + "/health", timeout=60).text)
print(requests.get(url + "/models", timeout=60).status_code)
begun = time.monotonic()
server.stop()
print(time.monotonic() - begun < 20)
"""


@pytest.mark.endurance
def test_an_endless_loop_holds_up_nobody_else(tmp_path: Path) -> None:
    """Neither other models, nor liveness, nor the end of the server and of its process."""
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "models")]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert said.stdout.splitlines() == [
        "[1.0,1.0,1.0] [6.0]",
        *["endless"] * 3,
        '[6.0] {"status":"ok"}',
        "200",
        "True",
    ]
