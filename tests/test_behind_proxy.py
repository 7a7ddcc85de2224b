"""A client that asks our server through a proxy, which writes a ``Server`` of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.rewriting_proxy import rewriting
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import TfaasError
from tfaas_nb.promotion import promote
from tfaas_nb.serving.server import Server


@pytest.fixture
def passed(server: Server) -> Iterator[tuple[Client, list[int]]]:
    """A client of the proxy, and what the proxy shall answer itself."""
    host = f"127.0.0.1:{server.port}"
    with rewriting(f"http://{host}") as (url, refusals):
        yield Client(url, server.token), refusals


def test_our_server_is_known(passed: tuple[Client, list[int]]) -> None:
    client, _ = passed
    answer = requests.get(f"{client.url}/health", timeout=10)
    assert "tfaas_nb" not in answer.headers["Server"], "the proxy rewrites it"
    assert client.is_ours()


@pytest.mark.slow
def test_models_are_uploaded_asked_copied_and_promoted(
    passed: tuple[Client, list[int]],
    server: Server,
    bundle: Bundle,
    events: Dataset,
    tmp_path: Path,
) -> None:
    client, _ = passed
    assert client.upload(bundle) == 1
    copy = client.download("ttbar")
    assert copy.reference_events is not None
    assert copy.archive() == server.client().download("ttbar").archive()
    before = server.client().status()["requests"]
    scores = client.predict("ttbar", events.X, keys=events.features.names)
    np.testing.assert_array_equal(scores, server.client().predict("ttbar", events))
    assert server.client().status()["requests"] - before < len(events)
    with Server(tmp_path / "other", port=0) as other:
        promote("ttbar", client, other.client())
        promote("ttbar", other.client(), client, "again")
    assert {m["name"] for m in client.describe_models()} == {"ttbar", "again"}


def test_a_refusal_of_the_proxy_says_nothing_of_the_server(
    passed: tuple[Client, list[int]],
) -> None:
    client, refusals = passed
    for known in (False, True):
        refusals.append(502)
        with pytest.raises(TfaasError, match="the proxy refuses"):
            client.status()
        assert client._is_ours is (True if known else None)
        assert client.is_ours()
