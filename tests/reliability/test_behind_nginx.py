"""Requests through nginx with the repository's own configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.reliability.balanced import Nginx, Server
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.promotion import promote

pytestmark = pytest.mark.endurance


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    server = Server(tmp_path / "models")
    try:
        server.ready()
        (tmp_path / "nginx").mkdir()
        found = Nginx(tmp_path / "nginx", [server.port] * 3)
        yield found
        found.close()
    finally:
        server.kill()


def test_our_server_is_known_behind_nginx(nginx: Nginx, bundle: Bundle, events: Dataset) -> None:
    answer = requests.get(f"{nginx.url}/health", timeout=10)
    assert answer.headers["Server"].startswith("tfaas_nb/")
    assert answer.headers["X-Tfaas-Nb"]
    client = Client(nginx.url)
    assert client.is_ours()
    assert client.upload(bundle) == 1
    assert client.download("ttbar").reference_events is not None
    before = client.status()["requests"]
    scores = client.predict("ttbar", events)
    assert client.status()["requests"] - before < 10, "not one by one"
    np.testing.assert_array_equal(scores, client.predict("ttbar", events))
    promote("ttbar", client, client, "again")
    assert {m["name"] for m in client.describe_models()} == {"ttbar", "again"}
