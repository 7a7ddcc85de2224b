"""/metrics as Prometheus reads it: its own parser reads what a real server tells."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.serving import prometheus
from tfaas_nb.serving.counts import Counts, InMemory, Scored
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.snapshot import DELETED, Snapshot
from tfaas_nb.wire import tfaas

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture(scope="module")
def small() -> Bundle:
    params = json.dumps({"name": "sum", "features": ["a", "b", "c"]}).encode()
    return Bundle.from_parts(params, serialized(weighted_sum))


@pytest.fixture
def server(tmp_path: Path, small: Bundle) -> Iterator[Server]:
    with Server(tmp_path, port=0, token=False) as running:
        running.client().upload(small)
        yield running


def ask(server: Server) -> Samples:
    answer = requests.get(f"{server.url}/metrics", timeout=5)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(answer.text)


def score(server: Server, keys: str = "abc") -> int:
    body = {"keys": list(keys), "values": [1] * len(keys), "model": "sum"}
    return requests.post(f"{server.url}/json", json=body, timeout=5).status_code


def test_requests_are_counted_by_address_method_and_status(server: Server) -> None:
    before = ask(server)
    assert [score(server), score(server), score(server, "xyz")] == [200, 200, 422]
    requests.get(f"{server.url}/json", timeout=5)
    requests.get(f"{server.url}/params/sum", timeout=5)
    requests.get(f"{server.url}/params/none", timeout=5)
    requests.get(f"{server.url}/v2/models/sum/versions/1", timeout=5)
    requests.head(f"{server.url}/models", timeout=5)
    found = ask(server)

    def counted(path: str, method: str, status: int) -> float:
        labels = {"path": path, "method": method, "status": str(status)}
        name = "tfaas_requests_total"
        return value(found, name, **labels) - value(before, name, **labels)

    assert counted("/json", "POST", 200) == 2
    assert counted("/json", "POST", 422) == 1
    assert counted("/json", "GET", 405) == 1
    assert counted("/params/{name}", "GET", 200) == 1
    assert counted("/params/{name}", "GET", 404) == 1
    assert counted("/v2/models/{name}[/versions/{version}]", "GET", 200) == 1
    assert counted("/models", "GET", 200) == 1
    assert counted("/metrics", "GET", 200) == 1
    assert value(found, "tfaas_errors_total", kind="FeatureError") == 1
    assert value(found, "tfaas_errors_total", kind="ModelNotFound") == 1


def test_every_answer_has_a_time(server: Server) -> None:
    score(server)
    score(server, "xyz")
    found = ask(server)
    name = "tfaas_request_seconds"
    assert value(found, f"{name}_count", path="/json") == 2
    assert value(found, f"{name}_bucket", path="/json", le="+Inf") == 2
    assert value(found, f"{name}_sum", path="/json") > 0
    steps = [
        count
        for (name_, labels), count in found.items()
        if name_ == f"{name}_bucket" and ("path", "/json") in labels
    ]
    assert steps == sorted(steps)


def test_made_up_addresses_and_methods_are_counted_together(server: Server) -> None:
    for i in range(5):
        requests.get(f"{server.url}/made/up/{i}", timeout=5)
        requests.request("MKCOL", f"{server.url}/made/{i}", timeout=5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"no HTTP at all\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    found = ask(server)
    assert value(found, "tfaas_requests_total", path="other", method="GET", status="404") == 5
    assert value(found, "tfaas_requests_total", path="other", method="other", status="404") == 5
    assert value(found, "tfaas_requests_total", path="other", method="other", status="400") == 1
    assert not [labels for _, labels in found if "made" in str(labels)]


def test_a_body_that_is_never_read_is_counted_too(server: Server) -> None:
    """The connection is given up before the request is whole."""
    head = "POST /json HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"{head}Content-Length: 9999999999\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    found = ask(server)
    labels = {"path": "/json", "method": "POST", "status": "413"}
    assert value(found, "tfaas_requests_total", **labels) == 1
    assert value(found, "tfaas_errors_total", kind="TooLarge") == 1


def test_events_and_calls_are_counted_in_every_dialect(server: Server) -> None:
    events = np.ones((100, 3), np.float32)
    score(server)
    row = {"instances": [[1, 1, 1], [2, 2, 2]]}
    url = f"{server.url}/v1/models/sum:predict"
    assert requests.post(url, json=row, timeout=5).status_code == 200
    body = tfaas.encode_npy(("a", "b", "c"), events)
    assert requests.post(f"{server.url}/npy?model=sum", body, timeout=5).status_code == 200
    found = ask(server)
    assert value(found, "tfaas_predictions_total", model="sum") == 103
    assert value(found, "tfaas_batch_events_count") == 3
    assert value(found, "tfaas_batch_events_sum") == 103
    assert value(found, "tfaas_batch_events_bucket", le="1") == 1
    assert value(found, "tfaas_batch_events_bucket", le="2") == 2
    assert value(found, "tfaas_batch_events_bucket", le="128") == 3


def test_models_that_are_gone_share_a_name(server: Server, small: Bundle) -> None:
    score(server)
    server.client().upload(small.renamed("other"))
    server.client().delete("sum")
    found = ask(server)
    assert value(found, "tfaas_predictions_total", model=DELETED) == 1
    assert not value(found, "tfaas_predictions_total", model="sum")


def test_models_and_process_are_told_of(server: Server) -> None:
    server.stop()
    server.start()
    assert not value(ask(server), "tfaas_models_loaded")
    score(server)
    found = ask(server)
    assert value(found, "tfaas_models_loaded") == value(found, "tfaas_model_loads_total") == 1
    assert ("tfaas_model_evictions_total", frozenset()) in found
    assert value(found, "tfaas_models_bytes") > 0
    assert value(found, "tfaas_workers") == 1
    assert value(found, "tfaas_uptime_seconds") > 0
    assert value(found, "process_cpu_seconds_total") > 0
    assert value(found, "process_resident_memory_bytes") > 1 << 20


def test_an_unknown_client_is_counted_without_being_told(tmp_path: Path) -> None:
    with Server(tmp_path, port=0) as server:
        assert requests.get(f"{server.url}/metrics", timeout=5).status_code == 401
        bearer = {"Authorization": f"Bearer {server.token}"}
        answer = requests.get(f"{server.url}/metrics", headers=bearer, timeout=5)
        labels = {"path": "/metrics", "method": "GET", "status": "401"}
        assert value(samples(answer.text), "tfaas_requests_total", **labels) == 1


def test_names_cannot_break_the_format() -> None:
    scored = Scored()
    scored.add('a"b\\c\nd', 1)
    text = prometheus.exposition(Snapshot.take(Counts(), scored, InMemory())).decode()
    assert value(samples(text), "tfaas_predictions_total", model='a"b\\c\nd') == 1
