"""Promotion between servers; tests/cli/test_promote.py has them in processes of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.graphs import placeholder, serialized, weighted_sum
from tests.test_client import GoServer
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import BundleError, ModelNotFound, ServerError, ServerUnreachable
from tfaas_nb.promotion import promote
from tfaas_nb.serving.server import Server

pytestmark = pytest.mark.slow


def plain_sum(tf: Any) -> None:
    """Make a model that answers as `GoServer` does: with the sum of the values."""
    tf.reduce_sum(placeholder(tf), axis=1, keepdims=True, name="y")


@pytest.fixture(scope="module")
def weighted() -> Bundle:
    return Bundle.from_parts(b'{"name": "sum"}', serialized(weighted_sum))


@pytest.fixture(scope="module")
def plain() -> Bundle:
    return Bundle.from_parts(b'{"name": "sum"}', serialized(plain_sum))


@pytest.fixture
def source(server: Server, weighted: Bundle, plain: Bundle) -> Client:
    """A server with the weighted sum as version 1 and the plain one as version 2."""
    client = server.client()
    for bundle in (weighted, plain):
        client.upload(bundle)
    return client


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Client]:
    with Server(tmp_path / "target", port=0) as running:
        yield running.client()


def serving_go(handler: type[GoServer]) -> Iterator[Client]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Client(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture
def go() -> Iterator[Client]:
    yield from serving_go(type("Handler", (GoServer,), {"models": {}}))


def test_the_latest_version_is_copied(source: Client, target: Client, plain: Bundle) -> None:
    done = promote("sum", source, target)
    assert (done.model, done.version, done.events, done.difference) == ("sum", 1, 6, 0.0)
    assert target.download("sum").graph.sha256 == plain.graph.sha256
    assert str(done) == (
        f"'sum' is on {target.url} as version 1: it gives the 6 reference events the scores "
        f"that it has on {source.url} (largest difference 0.0e+00)"
    )
    assert promote("sum", source, target).version == 2, "it may be done twice"


def test_a_version_or_label_is_copied_under_any_name(
    source: Client, target: Client, weighted: Bundle
) -> None:
    source.label("sum", "production", 1)
    for i, reference in enumerate(("sum/versions/1", "sum/labels/production"), start=1):
        assert promote(reference, source, target, name="best").version == i
    assert target.download("best").graph.sha256 == weighted.graph.sha256
    assert [m["name"] for m in target.describe_models()] == ["best"]


def test_a_classifier_is_copied_with_its_events(
    server: Server, target: Client, bundle: Bundle
) -> None:
    server.client().upload(bundle)
    done = promote("ttbar", server.client(), target)
    assert (done.events, done.version) == (8, 1)
    assert done.difference < 1e-6
    assert target.download("ttbar").files() == bundle.files()


def test_other_scores_leave_the_former_version(
    source: Client, target: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote("sum/versions/1", source, target)
    asked = target.predict
    monkeypatch.setattr(target, "predict", lambda *a, **k: asked(*a, **k) + 0.01)
    message = (
        rf"event 0 has 0.01 on {target.url} and should have 0 \(6 of 6 events differ\); "
        rf"'sum/versions/2' was deleted from {target.url} again"
    )
    with pytest.raises(BundleError, match=message):
        promote("sum", source, target)
    assert [row[0] for row in target.versions("sum").rows] == [1]
    assert asked("sum", [1.0, 10.0, 100.0]) == 321


def test_names_are_given_on_the_way(source: Client, target: Client) -> None:
    promote("sum/versions/1", source, target, features=["a", "b", "c"])
    assert target.predict("sum", {"c": 100.0, "a": 1.0, "b": 10.0}) == 321
    with pytest.raises(BundleError, match="2 features are named, model 'sum' takes 3"):
        promote("sum", source, target, features="a,b")
    assert [row[0] for row in target.versions("sum").rows] == [1]


def test_an_interruption_leaves_the_target_as_it_was(
    source: Client, target: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(target, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        promote("sum", source, target)
    assert target.describe_models() == []


def test_a_model_that_is_not_there_is_not_copied(source: Client, target: Client) -> None:
    with pytest.raises(ModelNotFound, match="there is no model 'none'"):
        promote("none", source, target)
    assert target.describe_models() == []


def test_a_model_without_events_is_not_copied(
    server: Server, source: Client, target: Client
) -> None:
    def any_width(tf: Any) -> None:
        tf.nn.relu(placeholder(tf, width=None), name="y")

    source.upload(Bundle.from_parts(b'{"name": "any"}', serialized(any_width)))
    with pytest.raises(BundleError, match="'any/versions/1' has no reference events"):
        promote("any", source, target)


def test_servers_that_do_not_answer_are_told(source: Client, target: Client) -> None:
    nobody = Client("http://127.0.0.1:9")
    with pytest.raises(ServerUnreachable, match="no answer from http://127.0.0.1:9"):
        promote("sum", nobody, target)
    with pytest.raises(ServerUnreachable, match="no answer from http://127.0.0.1:9"):
        promote("sum", source, nobody)


# --- a Go TFaaS -------------------------------------------------------------------------


def test_a_go_server_gets_a_model(source: Client, go: Client) -> None:
    done = promote("sum", source, go)
    assert (done.version, done.events) == (None, 6)
    assert str(done).startswith(f"'sum' is on {go.url} as new: ")
    assert [m["name"] for m in go.describe_models()] == ["sum"]


def test_a_go_server_with_other_scores_keeps_nothing(source: Client, go: Client) -> None:
    with pytest.raises(BundleError, match=rf"differ\); 'sum' was deleted from {go.url} again"):
        promote("sum/versions/1", source, go)
    assert go.describe_models() == []


def test_a_go_servers_model_is_not_written_over(source: Client, go: Client, plain: Bundle) -> None:
    go.upload(plain)
    before = go.describe_models()
    with pytest.raises(BundleError, match=rf"there is a model 'sum' on {go.url}, a Go TFaaS, wh"):
        promote("sum/versions/1", source, go)
    assert go.describe_models() == before
    assert promote("sum", source, go, name="other").model == "other"


def test_a_go_server_that_cannot_answer_keeps_nothing(source: Client) -> None:
    def failing(self: GoServer, body: bytes) -> None:
        self.fail("unable to run the model")

    handler: Any = type("Handler", (GoServer,), {"models": {}, "predict": failing})
    running = serving_go(handler)
    go = next(running)
    with pytest.raises(ServerError, match="unable to run the model; 'sum' was deleted from"):
        promote("sum", source, go)
    assert go.describe_models() == []
    next(running, None)


def test_what_cannot_be_taken_back_is_told(source: Client) -> None:
    def undeletable(self: GoServer) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.fail("permission denied")

    handler: Any = type("Handler", (GoServer,), {"models": {}, "do_DELETE": undeletable})
    running = serving_go(handler)
    go = next(running)
    with pytest.raises(BundleError, match="'sum' could not be deleted from .*: permission denied"):
        promote("sum/versions/1", source, go)
    assert json.dumps(go.describe_models())
    next(running, None)


def test_a_go_server_is_no_source(go: Client, target: Client, plain: Bundle) -> None:
    go.upload(plain)
    with pytest.raises(ServerError, match="is no tfaas_nb server: it does not hand out its models"):
        promote("sum", go, target)
