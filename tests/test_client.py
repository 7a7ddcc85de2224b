from __future__ import annotations

import email
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import tables
from tests.graphs import placeholder, serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import (
    BundleError,
    FeatureError,
    Forbidden,
    GraphError,
    ModelNotFound,
    RequestError,
    RouteNotFound,
    ServerError,
    ServerUnreachable,
    TfaasError,
    Unauthorized,
)
from tfaas_nb.serving.server import Server


@pytest.fixture(scope="module")
def small() -> Bundle:
    """The weighted sum of three unnamed inputs."""
    return Bundle.from_parts(b'{"name": "sum"}', serialized(weighted_sum))


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, bundle: Bundle, small: Bundle
) -> Iterator[Server]:
    """A server with ttbar and sum, for tests that change nothing of it."""
    with Server(tmp_path_factory.mktemp("models"), port=0) as server:
        server.client().upload(bundle)
        server.client().upload(small)
        yield server


@pytest.fixture(scope="module")
def client(running: Server) -> Client:
    return running.client()


@pytest.fixture(scope="module")
def event(events: Dataset) -> dict[str, float]:
    return dict(zip(events.features.names, map(float, events.X[0]), strict=True))


# --- predictions ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dataset_is_scored_as_the_classifier_does(
    client: Client, classifier: Classifier, events: Dataset
) -> None:
    scores = client.predict("ttbar", events)
    assert (scores.shape, scores.dtype) == ((len(events),), np.float32)
    np.testing.assert_allclose(scores, classifier.predict(events), rtol=0, atol=1e-6)


def test_an_array_is_scored_as_the_dataset(client: Client, events: Dataset) -> None:
    np.testing.assert_array_equal(
        client.predict("ttbar", events.X), client.predict("ttbar", events)
    )


def test_one_event_is_a_float(client: Client, events: Dataset, event: dict[str, float]) -> None:
    expected = float(client.predict("ttbar", events.X[:1])[0])
    for one in (event, events.X[0], list(events.X[0]), dict(reversed(event.items()))):
        score = client.predict("ttbar", one)
        assert type(score) is float
        assert score == pytest.approx(expected, abs=1e-6)


def test_events_by_name_may_each_have_their_own_order(
    client: Client, event: dict[str, float]
) -> None:
    scores = client.predict("ttbar", [event, dict(reversed(event.items()))])
    assert scores.shape == (2,)
    assert scores[0] == scores[1]


def test_columns_may_be_named(client: Client, events: Dataset) -> None:
    order = np.random.default_rng(1).permutation(42)
    keys = [events.features.names[i] for i in order]
    found = client.predict("ttbar", events.X[:20, order], keys=keys)
    np.testing.assert_array_equal(found, client.predict("ttbar", events.X[:20]))


def test_no_events_have_no_scores(client: Client) -> None:
    assert client.predict("ttbar", np.zeros((0, 42))).shape == (0,)


def test_many_events_are_sent_in_several_requests(
    client: Client, events: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = client.predict("ttbar", events.X)
    asked = client.status()["requests"]
    monkeypatch.setattr("tfaas_nb.client._MOST_BYTES", 42 * 4 * 1500)
    parts = client.predict("ttbar", events.X)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6)  # sums depend on their number
    # describing the model, three requests for 4 000 events, and this one
    assert client.status()["requests"] == asked + 5


def test_several_outputs_have_a_column_each(server: Server) -> None:
    bundle = Bundle.from_parts(
        b'{"name": "double"}', serialized(lambda tf: tf.multiply(placeholder(tf), 2.0, name="y"))
    )
    client = server.client()
    client.upload(bundle, features="a, b, c")
    one = client.predict("double", [1.0, 2.0, 3.0], keys=["a", "b", "c"])
    np.testing.assert_array_equal(one, np.array([2, 4, 6]))
    many = client.predict("double", [[1.0, 2.0, 3.0]] * 2, keys=["a", "b", "c"])
    np.testing.assert_array_equal(many, np.array([[2, 4, 6]] * 2))


def test_a_model_without_names_takes_arrays_in_its_order(client: Client) -> None:
    assert client.predict("sum", [1.0, 10.0, 100.0]) == 321
    many = client.predict("sum", np.eye(3))
    np.testing.assert_array_equal(many, np.float32([1, 2, 3]))
    assert client.predict("sum", np.zeros((0, 3))).shape == (0,)
    for wrong in ([1.0, 2.0], np.zeros((2, 4))):
        with pytest.raises(FeatureError, match=r"takes 3 values, .*[24].* were sent"):
            client.predict("sum", wrong)
    with pytest.raises(FeatureError, match=r"value of 'value_1' of event 1 is nan"):
        client.predict("sum", [[1.0, 1.0, 1.0], [1.0, np.nan, 1.0]])


@pytest.mark.parametrize(
    "named", [{"a": 1.0, "b": 1.0, "c": 1.0}, [{"a": 1.0, "b": 1.0, "c": 1.0}] * 2]
)
def test_a_model_without_names_refuses_names(client: Client, named: Any) -> None:
    message = r"model 'sum' does not know the names .*'a', 'b', 'c'.*\?features=a,b,c"
    with pytest.raises(FeatureError, match=message):
        client.predict("sum", named)
    with pytest.raises(FeatureError, match=message):
        client.predict("sum", [1.0, 1.0, 1.0], keys=["a", "b", "c"])


@pytest.mark.slow
def test_names_given_at_an_upload_are_heeded(server: Server, small: Bundle) -> None:
    client = server.client()
    client.upload(small, features=["a", "b", "c"])
    assert client.predict("sum", {"c": 100.0, "a": 1.0, "b": 10.0}) == 321
    assert client.predict("sum", [1.0, 10.0, 100.0]) == 321
    with pytest.raises(FeatureError, match=r"unknown key 'd'.*missing: c"):
        client.predict("sum", {"a": 1.0, "b": 1.0, "d": 1.0})
    client.label("sum", "good")
    client.upload(small)
    assert client.predict("sum/labels/good", {"c": 100.0, "a": 1.0, "b": 10.0}) == 321
    client.label("sum", "nameless")
    assert client.predict("sum/labels/nameless", [1.0, 10.0, 100.0]) == 321


def test_a_model_of_several_outputs_and_whole_inputs_needs_no_names(server: Server) -> None:
    def build(tf: Any) -> None:
        source = placeholder(tf, "n", 2, "int32")
        tf.stack([tf.cast(source, tf.float32)] * 2, axis=2, name="y")

    client = server.client()
    client.upload(Bundle.from_parts(b'{"name": "cube"}', serialized(build)))
    found = client.predict("cube", [[1, 2], [3, 4]])
    np.testing.assert_array_equal(found, np.float32([[1, 1, 2, 2], [3, 3, 4, 4]]))
    with pytest.raises(FeatureError, match=r"takes int32, 0\.5 is none"):
        client.predict("cube", [0.5, 1.0])


# --- tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("bring", tables.TABLES, ids=lambda f: f.__name__)
def test_columns_in_any_order_are_scored_by_their_names(
    client: Client, classifier: Classifier, events: Dataset, bring: Any
) -> None:
    some = events[1990:2010]
    reversed_columns = tables.columns_of(some.features.names, some.X)
    expected = classifier.predict(some.X)
    for found in (
        client.predict("ttbar", bring(reversed_columns)),
        classifier.predict(bring(reversed_columns)),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    del reversed_columns["jetPt_0"]
    for predict in (partial(client.predict, "ttbar"), classifier.predict):
        with pytest.raises(FeatureError, match="missing: jetPt_0"):
            predict(bring(reversed_columns))


@pytest.mark.parametrize("bring", tables.EVENTS.values(), ids=tables.EVENTS)
def test_an_event_in_any_order_is_scored_by_its_names(
    client: Client, classifier: Classifier, events: Dataset, bring: Any
) -> None:
    event = bring(tables.columns_of(events.features.names, events.X[7:8]))
    for found in (client.predict("ttbar", event), classifier.predict(event)):
        assert type(found) is float
        assert found == pytest.approx(float(classifier.predict(events.X[7])), abs=1e-6)


@pytest.mark.parametrize("kind", ["table", "keys"])
def test_a_name_that_comes_twice_is_told(client: Client, events: Dataset, kind: str) -> None:
    names = [*events.features.names[:-1], "nJets"]
    X = events.X[:3]
    asked, keys = (X, names) if kind == "keys" else (pd.DataFrame(X, columns=names), None)
    with pytest.raises(FeatureError, match="sent more than once: nJets"):
        client.predict("ttbar", asked, keys=keys)


@pytest.mark.parametrize("asked", [[1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]] * 2])
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"a", "b", "c"}, "keys must be a list of names, not .*: a set has no order"),
        (3, "keys must be a list of names, not 3"),
        ([1, 2, 3], "keys must be a list of names, not 1"),
        ([b"a", b"b", b"c"], "keys must be a list of names, not b'a'"),
        (["a", None, "c"], "keys must be a list of names, not None"),
        (["\ud800", "b", "c"], r"holds '\\ud800', which is no character"),
    ],
)
def test_keys_that_are_no_names_are_told(
    client: Client, asked: Any, keys: Any, message: str
) -> None:
    with pytest.raises(FeatureError, match=message):
        client.predict("sum", asked, keys=keys)


@pytest.mark.parametrize("model", [None, 3, b"ttbar"])
def test_a_model_has_a_name(client: Client, model: Any) -> None:
    with pytest.raises(ModelNotFound, match="a model is asked by its name, not by"):
        client.predict(model, [1.0])


def test_lists_of_different_lengths_are_told(client: Client) -> None:
    for ragged in ([[1.0], [2.0, 3.0]], [[1.0, [2.0]], 3.0]):
        with pytest.raises(FeatureError, match="values of 'b' are lists of different lengths"):
            client.predict("sum", {"a": [1.0, 2.0], "b": ragged, "c": [1.0, 2.0]})


def test_names_are_not_given_twice(client: Client, events: Dataset) -> None:
    table = tables.arrays(tables.columns_of(events.features.names, events.X[:3]))
    with pytest.raises(FeatureError, match=r"have names of their own: leave keys=\[...\] away"):
        client.predict("ttbar", table, keys=events.features.names)


# --- errors of a request ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (np.zeros((3, 41)), r"events have shape \(3, 41\); model 'ttbar' takes \(events, 42\)"),
        (np.zeros(43), r"events have shape \(43,\)"),
        (np.zeros((1, 1, 42)), r"events have shape \(1, 1, 42\)"),
        ([], r"events have shape \(0,\)"),
        (5.0, r"events have shape \(\)"),
        ({"nJets": 2}, "missing: nLeptons, jetEta_0"),
        ({}, "missing: nJets"),
        ([{"nJets": 2}, {"nLeptons": 2}], "event 1 has not the keys of event 0: nJets, nLeptons"),
        ({"nJets": "two"}, "events must be numbers"),
        ([["a"] * 42], "events must be numbers"),
        ([[1.0], [1.0, 2.0]], "events must be numbers"),
    ],
)
def test_events_that_do_not_fit_are_told(client: Client, asked: Any, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        client.predict("ttbar", asked)


def test_an_unknown_key_is_told_with_the_nearest(client: Client, event: dict[str, float]) -> None:
    wrong = dict(event)
    wrong["jetPT_0"] = wrong.pop("jetPt_0")
    for events in (wrong, [wrong]):
        with pytest.raises(FeatureError, match=r"'jetPT_0' \(did you mean 'jetPt_0'\?\)"):
            client.predict("ttbar", events)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39, None])
def test_a_value_that_is_not_finite_is_named(
    client: Client, event: dict[str, float], value: Any
) -> None:
    wrong = event | {"jetPt_0": value}
    with pytest.raises(FeatureError, match=r"value of 'jetPt_0' is (nan|inf|null), not a finite"):
        client.predict("ttbar", wrong)
    with pytest.raises(FeatureError, match=r"value of 'jetPt_0' of event 1 is (nan|inf|null)"):
        client.predict("ttbar", [event, wrong])


@pytest.mark.parametrize("name", ["none", "a/b", "", "täg", "a?b#c"])
def test_a_model_that_is_not_there_is_not_found(client: Client, events: Dataset, name: str) -> None:
    calls: list[Callable[[], object]] = [lambda: client.predict(name or "none", events)]
    if name:
        calls += [lambda: client.params(name), lambda: client.delete(name)]
    for call in calls:
        with pytest.raises(ModelNotFound, match=r"there is no model .*; there are \['sum', 'tt"):
            call()


# --- models -----------------------------------------------------------------------------


def test_models_show_themselves(client: Client) -> None:
    table = client.models()
    assert table.columns == ("model", "version", "description", "error")
    assert table.rows == (("sum", 1, "", ""), ("ttbar", 1, "a test model", ""))
    assert table.caption == client.url


def test_params_are_those_of_the_bundle(client: Client, bundle: Bundle) -> None:
    found = client.params("ttbar")
    assert found.pop("uploaded")
    told = {"version": 1, "versions": [1], "version_labels": {}}
    assert found == bundle.params.to_values() | told
    assert [m["name"] for m in client.describe_models()] == ["sum", "ttbar"]


def test_status_tells_the_server(client: Client) -> None:
    assert client.status()["server"].startswith("tfaas_nb/")


def test_an_upload_may_have_another_name(server: Server, bundle: Bundle, small: Bundle) -> None:
    client = server.client()
    client.upload(small, name="other")
    client.upload(small, name="with-dash.v2")
    assert [m["name"] for m in client.describe_models()] == ["other", "with-dash.v2"]
    client.delete("with-dash.v2")
    assert [m["name"] for m in client.describe_models()] == ["other"]
    assert small.name == "sum"


@pytest.mark.slow
def test_an_upload_brings_everything(serving: Server, bundle: Bundle) -> None:
    stored = serving.service.repository.find("ttbar")
    assert serving.service.repository.load(stored).files() == bundle.files()


def test_a_refused_upload_raises_what_the_server_raised(client: Client) -> None:
    broken = serialized(lambda tf: tf.reduce_sum(placeholder(tf), name="y"))
    with pytest.raises(GraphError, match="the graph answers one event with shape"):
        client.upload(Bundle.from_parts(b'{"name": "broken"}', broken))


@pytest.mark.slow
def test_a_download_is_what_was_uploaded(
    server: Server, bundle: Bundle, other_bundle: Bundle
) -> None:
    client = server.client()
    for each in (bundle, other_bundle):
        client.upload(each)
    client.label("ttbar", "production", 1)
    assert client.download("ttbar").files() == other_bundle.files()
    for first in ("ttbar/versions/1", "ttbar/labels/production"):
        assert client.download(first).files() == bundle.files()
    with pytest.raises(ModelNotFound, match="there is no model 'none'"):
        client.download("none")


# --- versions and labels ----------------------------------------------------------------


@pytest.mark.slow
def test_versions_are_uploaded_labelled_and_deleted(
    server: Server, bundle: Bundle, other_bundle: Bundle, events: Dataset
) -> None:
    client = server.client()
    assert [client.upload(b) for b in (bundle, other_bundle)] == [1, 2]
    assert client.label("ttbar", "production", 1) == 1
    assert client.label("ttbar", "newest") == 2
    table = client.versions("ttbar")
    assert table.columns == ("version", "uploaded", "labels", "sha256")
    assert [(row[0], row[2], row[3]) for row in table.rows] == [
        (1, "production", bundle.graph.sha256),
        (2, "newest", other_bundle.graph.sha256),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", table.rows[0][1])
    by_version = [client.predict(f"ttbar/versions/{version}", events.X[:20]) for version in (1, 2)]
    assert not np.array_equal(*by_version)
    for reference, version in (("ttbar/labels/production", 1), ("ttbar", 2)):
        assert client.params(reference)["version"] == version
        scores = client.predict(reference, events[:20])
        np.testing.assert_array_equal(scores, by_version[version - 1])
        assert client.predict(reference, events.X[0]) == pytest.approx(scores[0], abs=1e-6)
    with pytest.raises(BundleError, match="carries the label 'production'"):
        client.delete("ttbar/versions/1")
    client.unlabel("ttbar", "production")
    client.delete("ttbar/versions/1")
    assert client.params("ttbar")["versions"] == [2]


def test_what_is_not_there_cannot_be_labelled(client: Client) -> None:
    for call in (
        lambda: client.label("none", "production"),
        lambda: client.label("sum", "production", 7),
        lambda: client.unlabel("sum", "production"),
        lambda: client.versions("none"),
        lambda: client.params("sum/versions/7"),
        lambda: client.params("sum/labels/production"),
    ):
        with pytest.raises(ModelNotFound):
            call()
    for label in ("7", "a b", "versions", "ä"):
        with pytest.raises(BundleError, match="cannot name a label"):
            client.label("sum", label)


def test_a_copied_model_has_no_time_of_upload(server: Server, small: Bundle) -> None:
    small.save(server.directory)
    assert server.client().versions("sum").rows == ((0, "", "", small.graph.sha256),)


# --- errors of the connection -----------------------------------------------------------


def test_a_wrong_token_is_told(running: Server, events: Dataset, small: Bundle) -> None:
    for token in (None, "wrong"):
        client = Client(running.url, token)
        for call in (
            client.models,
            client.status,
            lambda client=client: client.predict("ttbar", events),
            lambda client=client: client.upload(small),
        ):
            with pytest.raises(Unauthorized, match="the token is missing or wrong"):
                call()


def test_a_name_that_is_not_allowed_is_told(running: Server) -> None:
    with pytest.raises(Forbidden, match=r"does not answer for host '127\.1:"):
        Client(f"http://127.1:{running.port}", running.token).models()


def test_where_nothing_listens_is_told() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ServerUnreachable, match=f"no answer from {url}: .*is the server runn"):
            Client(url).models()


def test_a_server_that_does_not_answer_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        with pytest.raises(ServerUnreachable, match="nothing came within 0.1 s"):
            client.models()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8083", "does not begin with http:// .* write 'http://127.0.0.1:8083'"),
        ("nonsense", "does not begin with http://"),
        ("ftp://127.0.0.1", "is no address of a server"),
        ("http://", "is no address of a server"),
        ("http://127.0.0.1:99999", "cannot be read: Port out of range"),
        (8083, "is text such as 'http://127.0.0.1:8083', not 8083"),
        (None, "not None"),
    ],
)
def test_an_address_that_is_none_is_told(url: Any, message: str) -> None:
    with pytest.raises(ServerError, match=message):
        Client(url)


def test_a_closed_server_is_told_and_a_new_one_found(server: Server, small: Bundle) -> None:
    client = server.client()
    client.upload(small)
    port = server.port
    server.stop()
    with pytest.raises(ServerUnreachable):
        client.models()
    with Server(server.directory, port=port, token=server.token):
        assert [m["name"] for m in client.describe_models()] == ["sum"]


def test_a_proxy_is_not_asked_for_this_machine(
    running: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert running.client().status()


def test_a_password_file_does_not_replace_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests sends what ~/.netrc says in place of a header that was given."""
    (tmp_path / "netrc").write_text("default login somebody password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for host in ("127.0.0.1", "127.0.0.2"):
        with Server(tmp_path / host, host=host, port=0) as server:
            assert server.client().describe_models() == []


@pytest.mark.parametrize("separator", ["?", "/?", "/?other=1&"])
def test_the_token_may_be_in_the_address(running: Server, separator: str) -> None:
    client = Client(f"{running.url}{separator}token={running.token}")
    assert (client.url, client.token) == (running.url, running.token)
    assert {m["name"] for m in client.describe_models()} == {"sum", "ttbar"}
    assert str(running.token) not in repr(client)
    given = Client(f"{running.url}/?token=wrong", running.token)
    assert given.params("sum")["name"] == "sum"


def test_the_token_is_not_shown(running: Server) -> None:
    client = Client(running.url + "/", running.token)
    assert repr(client) == f"Client({running.url})"
    assert client.describe_models()


# --- the Go server ----------------------------------------------------------------------


class GoServer(BaseHTTPRequestHandler):
    """Stand-in for the Go TFaaS, as strict as it is; its model sums the values.

    It knows neither archives nor .npy, wants a file ``op``, calls JSON plain text, ends it
    with a new line, and answers nearly every error with 500.
    """

    protocol_version = "HTTP/1.1"
    models: dict[str, dict[str, Any]]

    def do_GET(self) -> None:
        named = re.fullmatch(r"/params/([a-zA-Z0-9_]+)", self.path)
        if self.path == "/status":
            self.answer_json({"NGo": 7, "getRequests": 1})
        elif self.path == "/models":
            self.answer_json(list(self.models.values()) or None)
        elif named and named[1] in self.models:
            self.answer_json(self.models[named[1]])
        elif named:
            self.fail("unable to find model " + named[1])
        else:
            self.answer(404, b"404 page not found\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path in ("/json", "/predict/json"):
            self.predict(body)
        elif self.path == "/upload":
            self.upload(body)
        else:
            self.answer(404, b"404 page not found\n")

    def do_DELETE(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/delete":
            self.answer(404, b"404 page not found\n")
            return
        self.models.pop(self.parts(body)["model"][1].decode(), None)
        self.answer(200, b"")

    def predict(self, body: bytes) -> None:
        row = json.loads(body)
        if not all(isinstance(value, float) for value in row["values"]):
            self.fail("unable to unmarshal Row")
        elif row["model"] not in self.models:
            self.fail("PredictHandler: unable to make predictions")
        else:
            self.answer_json([self.score(row["values"])])

    def score(self, values: list[float]) -> float:
        """Return the sum of the values for any model, by position, whatever the keys are."""
        return sum(values)

    def upload(self, body: bytes) -> None:
        if self.headers.get_content_type() != "multipart/form-data":
            self.answer(500, b"unable to parse the form")
            return
        parts = self.parts(body)
        for name in ("params", "model", "labels", "op"):
            if not parts.get(name, ("", b""))[0]:
                self.fail(f"request does not provide {name}")
                return
        params = json.loads(parts["params"][1])
        if parts["name"][1].decode() != params["name"]:
            self.fail("mismatch of mkey and TFParam.Name")
            return
        self.models[params["name"]] = params | {"size": len(parts["model"][1])}
        self.answer(200, b"")

    def parts(self, body: bytes) -> dict[str, tuple[str | None, bytes]]:
        """Name → file name and content, read by the standard library."""
        header = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts: Any = email.message_from_bytes(header + body).get_payload()
        return {
            part.get_param("name", header="content-disposition"): (
                part.get_filename(),
                part.get_payload(decode=True),
            )
            for part in parts
        }

    def fail(self, message: str) -> None:
        self.answer_json({"error": message}, 500)

    def answer_json(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode() + b"\n")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Not to the error stream."""


@pytest.fixture
def go() -> Iterator[Client]:
    handler = type("Handler", (GoServer,), {"models": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Client(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def test_a_go_server_without_models_has_an_empty_list(go: Client) -> None:
    assert go.describe_models() == []
    assert go.models().rows == ()
    assert go.status()["NGo"] == 7


def test_a_go_server_gets_the_form_it_wants(go: Client, bundle: Bundle) -> None:
    assert go.upload(bundle) is None, "it has no versions"
    (found,) = go.describe_models()
    assert found["inputNode"] == found["input_node"] == "input"
    assert found["size"] == len(bundle.graph.serialized)
    assert go.models().rows == (("ttbar", None, "a test model", ""),)
    go.upload(bundle, name="other")
    assert go.params("other")["name"] == "other"


@pytest.mark.slow
def test_a_go_server_is_asked_event_by_event(go: Client, small: Bundle) -> None:
    go.upload(small, features=("a", "b", "c"))
    keys = ("a", "b", "c")
    assert go.predict("sum", {"a": 1, "b": 2, "c": 3}) == 6
    assert go.predict("sum", [1.0, 2.0, 3.0], keys=keys) == 6
    np.testing.assert_array_equal(
        go.predict("sum", [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=keys), np.array([6, 15])
    )
    assert go.predict("sum", np.zeros((0, 3)), keys=keys).shape == (0,)


class InOrder(GoServer):
    """One whose answer tells the order of the values, which is all that the Go server goes by."""

    def score(self, values: list[float]) -> float:
        return sum(10**i * value for i, value in enumerate(values))


@pytest.fixture
def models() -> dict[str, Any]:
    """Descriptions of the stand-in's models."""
    return {}


@pytest.fixture
def in_order(models: dict[str, Any]) -> Iterator[Client]:
    handler = type("Handler", (InOrder,), {"models": models})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Client(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("bring", tables.TABLES, ids=lambda f: f.__name__)
def test_a_go_server_gets_values_in_the_order_of_the_model(
    in_order: Client, small: Bundle, bring: Any
) -> None:
    in_order.upload(small, features=["a", "b", "c"])
    columns = {"c": np.array([3.0, 6.0]), "b": np.array([2.0, 5.0]), "a": np.array([1.0, 4.0])}
    found = in_order.predict("sum", bring(columns))
    np.testing.assert_array_equal(found, np.float32([321, 654]))
    with pytest.raises(FeatureError, match="missing: a"):
        in_order.predict("sum", bring({name: columns[name] for name in "cb"}))
    with pytest.raises(FeatureError, match="unknown key 'aa'.*missing: a"):
        in_order.predict(
            "sum", bring({"aa" if name == "a" else name: columns[name] for name in "cba"})
        )
    with pytest.raises(FeatureError, match="unknown key 'd'"):
        in_order.predict("sum", bring(columns | {"d": columns["a"]}))


@pytest.mark.slow
def test_a_go_server_that_knows_no_names_takes_arrays_only(in_order: Client, small: Bundle) -> None:
    in_order.upload(small)
    assert in_order.predict("sum", [1.0, 2.0, 3.0]) == 321
    np.testing.assert_array_equal(in_order.predict("sum", [[1.0, 2.0, 3.0]] * 2), [321, 321])
    with pytest.raises(FeatureError, match=r"a Go TFaaS, does not tell .*bring an array"):
        in_order.predict("sum", {"a": 1.0, "b": 2.0, "c": 3.0})
    with pytest.raises(FeatureError, match=r"a Go TFaaS, does not tell .*bring an array"):
        in_order.predict("sum", [1.0, 2.0, 3.0], keys=["a", "b", "c"])


@pytest.mark.parametrize("features", [["a", "b", "c"], ["a", {"name": "b"}, {"name": "c"}]])
def test_a_go_server_may_tell_names_as_text(
    in_order: Client, models: dict[str, Any], features: Any
) -> None:
    models["m"] = {"name": "m", "features": features}
    assert in_order.predict("m", {"c": 3.0, "b": 2.0, "a": 1.0}) == 321
    models["m"] = {"name": "m", "features": features, "input_order": "unknown"}
    with pytest.raises(FeatureError, match="does not tell the order of its inputs 'a'"):
        in_order.predict("m", [1.0, 2.0, 3.0])


@pytest.mark.parametrize("features", ["a,b,c", {"a": 1}, [1, 2, 3], ["a", "a", "b"], [["a"]], 3])
def test_features_that_are_no_names_are_as_good_as_none(
    in_order: Client, models: dict[str, Any], features: Any
) -> None:
    models["m"] = {"name": "m", "features": features}
    assert in_order.predict("m", [1.0, 2.0, 3.0]) == 321
    with pytest.raises(FeatureError, match="does not tell the names of the features"):
        in_order.predict("m", {"c": 3.0, "b": 2.0, "a": 1.0})


@pytest.mark.parametrize("params", [[], "text", None, 3])
def test_what_is_no_params_json_is_told(
    in_order: Client, models: dict[str, Any], params: Any
) -> None:
    models["m"] = params
    with pytest.raises(ServerError, match=r"answered .* for the params.json of 'm'"):
        in_order.predict("m", [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["sum", "with-dash.v2"])
def test_a_model_is_deleted_from_a_go_server(go: Client, small: Bundle, name: str) -> None:
    go.upload(small, name=name)
    go.delete(name)
    assert go.describe_models() == []


def test_a_go_server_hands_out_no_models(go: Client, small: Bundle) -> None:
    go.upload(small)
    assert not go.is_ours()
    with pytest.raises(ServerError, match="is no tfaas_nb server: it does not hand out its models"):
        go.download("sum")


def test_errors_of_a_go_server_are_told(go: Client) -> None:
    with pytest.raises(ServerError, match="unable to find model none"):
        go.predict("none", {"a": 1.0})
    with pytest.raises(ServerError, match="unable to find model none"):
        go.params("none")


def test_a_go_server_lists_what_no_address_of_its_can_name(go: Client, small: Bundle) -> None:
    for name in ("sum", "with-dash", "v1.2"):
        go.upload(small, name=name)
        assert go.params(name)["name"] == name
    message = r"no model 'with-dish' \(did you mean 'with-dash'\?\)"
    with pytest.raises(ModelNotFound, match=message):
        go.params("with-dish")


@pytest.mark.parametrize("model", ["sum", "with-dash"])
def test_a_go_server_has_no_versions_and_no_labels(go: Client, small: Bundle, model: str) -> None:
    go.upload(small, name=model)
    asked: list[Callable[[], object]] = [
        lambda: go.versions(model),
        lambda: go.label(model, "production"),
        lambda: go.label(model, "production", 1),
        lambda: go.unlabel(model, "production"),
        lambda: go.params(f"{model}/versions/1"),
        lambda: go.params(f"{model}/labels/production"),
        lambda: go.delete(f"{model}/versions/1"),
        lambda: go.predict(f"{model}/versions/1", [1.0, 2.0, 3.0]),
        lambda: go.predict(f"{model}/labels/production", np.zeros((2, 3), np.float32)),
        lambda: go.predict_image(f"{model}/versions/1", b""),
    ]
    for ask in asked:
        with pytest.raises(ServerError, match="a Go TFaaS has no versions and no labels") as raised:
            ask()
        assert f"the model {model!r}" in str(raised.value)
    assert go.params(model)["name"] == model, "it was not deleted"
    with pytest.raises(RouteNotFound, match="does not tell how many values"):
        go.width(model)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_readme_s_upload_works_with_a_go_server(
    go: Client, server: Server, bundle: Bundle, tmp_path: Path
) -> None:
    """It wants a file ``op`` besides, which ours leaves unread."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    pattern = r"^curl -X POST http://localhost:8083/upload[^\\\n]*(?:\\\n[^\\\n]*)*"
    (command,) = re.findall(pattern, readme, re.MULTILINE)
    bundle.renamed("ttbar").save(tmp_path)
    for url, token in ((go.url, ""), (server.url, f"?token={server.token}")):
        line = command.replace("http://localhost:8083/upload", f"'{url}/upload{token}'")
        shell = ["sh", "-c", line.replace("curl ", "curl -sS --fail-with-body ", 1)]
        done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert go.params("ttbar")["name"] == "ttbar"
    assert server.client().versions("ttbar").rows


# --- what comes back --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (500, b"plain text", ServerError, "plain text"),
        (500, b"", ServerError, "Internal Server Error"),
        (400, b'{"error": "why"}\n', RequestError, "why"),
        (400, b'["error"]', RequestError, r'\["error"\]'),
        (404, b'{"error": "gone", "kind": "RouteNotFound"}', RouteNotFound, "gone"),
        (502, b"<html>" + b"x" * 5000, ServerError, "^<html>x{294}$"),
        (200, b"<html>a login page</html>", ServerError, "/params/ttbar answered '<html>a login"),
        (200, b"", ServerError, "answered '' and no JSON: is it a TFaaS server"),
    ],
)
def test_whatever_comes_back_is_one_of_our_errors(
    status: int, body: bytes, kind: type[TfaasError], message: str
) -> None:
    def answer(self: GoServer) -> None:
        self.answer(status, body)

    handler = type("Handler", (GoServer,), {"do_GET": answer})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with pytest.raises(kind, match=message):
                Client(f"http://127.0.0.1:{server.server_port}").params("ttbar")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_in_a_cell_it_shows_the_models(serving: Server) -> None:
    client = serving.client()
    html = client._repr_html_()
    assert ">ttbar</td>" in html
    assert serving.url in html
    assert client.token == serving.token
    assert str(serving.token) not in html + repr(client)


def test_in_a_cell_it_says_why_it_cannot_show_them(serving: Server) -> None:
    client = serving.client()
    serving.stop()
    assert "is the server running there?" in client._repr_html_()


@pytest.mark.parametrize("name", ["", ".", "..", "../status", "ttbar/labels/.."])
def test_dots_lead_to_no_other_address(client: Client, name: str) -> None:
    with pytest.raises(ModelNotFound):
        client.params(name)
    if "/" not in name:
        with pytest.raises(ModelNotFound):
            client.versions(name)
        with pytest.raises(ModelNotFound):
            client.label(name, "production")
