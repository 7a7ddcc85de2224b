"""The application called directly, as a connection does: no port, no thread of a server."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tfaas_nb.bundle import PARAMS, Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import TfaasError
from tfaas_nb.repository import Repository
from tfaas_nb.serving.app import SERVER, App
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.models import MOST_UPLOAD
from tfaas_nb.serving.routes import MOST_BYTES
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import BULK_BYTES, all_in
from tfaas_nb.wire import tfaas

Form = Mapping[str, tuple[str | None, bytes]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error's text, checked to be told as every error is."""
        told = self.json
        assert self.headers["content-type"] == "application/json"
        assert self.status >= 400
        assert set(told) == {"error", "kind"}
        return f"{told['kind']}: {told['error']}"


def ask(
    app: App,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask the application and return its answer."""
    path, _, query = target.partition("?")
    sent = {"host": "localhost"} | dict(headers or {})
    encoded = {name.lower().encode(): value.encode() for name, value in sent.items()}
    head = Head(method, path, query.encode(), encoded)

    async def answered() -> Response:
        request, since = Request(head, body), time.perf_counter()
        try:
            call = app.admit(head)
        except TfaasError as error:
            return app.answered(request, None, app.refuse(error), since, "127.0.0.1")
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        call.answer(request, answer.set_result)
        return app.answered(request, call, await answer, since, "127.0.0.1")

    response = asyncio.run(answered())
    told = dict(response.headers) | {"content-type": response.content_type}
    return Answer(response.status, told, response.body)


def form(parts: Form) -> tuple[bytes, dict[str, str]]:
    """Body and header of a multipart form."""
    sent = requests.Request("POST", "http://localhost/", files=dict(parts)).prepare()
    assert isinstance(sent.body, bytes)
    return sent.body, {"content-type": sent.headers["Content-Type"]}


def upload_form(bundle: Bundle, **changes: bytes) -> tuple[bytes, dict[str, str]]:
    files = bundle.files()
    parts: dict[str, tuple[str | None, bytes]] = {
        "name": (None, b"ttbar"),
        "params": ("params.json", files["params.json"]),
        "model": ("model.pb", files["model.pb"]),
        "labels": ("labels.txt", files["labels.txt"]),
    }
    return form(parts | {name: ("file", content) for name, content in changes.items()})


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., App]]:
    threads = ThreadPoolExecutor(2)
    yield lambda token=None, service=Service: App(
        service(Repository(tmp_path / "models")), Access(token), all_in(threads)
    )
    threads.shutdown()


@pytest.fixture
def app(make: Callable[..., App], bundle: Bundle) -> App:
    """An application that has the model ttbar, for everybody."""
    made = make()
    made.service.upload(bundle)
    return made


@pytest.fixture(scope="module")
def scores(bundle: Bundle, events: Dataset) -> Any:
    return FrozenEngine(bundle.graph)(events.X)


# --- predictions ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/json", "/predict/json"])
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"]
)
def test_json_is_answered_whatever_it_is_called(
    app: App, events: Dataset, scores: Any, path: str, content_type: str
) -> None:
    body = tfaas.encode_json(events.features.names, events.X[0], "ttbar")
    answer = ask(app, "POST", path, body, {"content-type": content_type})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == [pytest.approx(float(scores[0, 0]), abs=1e-6)]


@pytest.mark.parametrize("path", ["/proto", "/predict/proto"])
def test_a_protobuf_row_is_answered(app: App, events: Dataset, scores: Any, path: str) -> None:
    body = tfaas.encode_row(events.features.names, events.X[0].tolist(), "ttbar")
    answer = ask(app, "POST", path, body, {"content-type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.headers["content-type"]) == (200, tfaas.PROTOBUF)
    ((label, probability),) = tfaas.decode_predictions(answer.body)
    assert label == "signal"
    assert probability == pytest.approx(float(scores[0, 0]), abs=1e-6)


@pytest.mark.parametrize("path", ["/dataframe", "/predict/dataframe"])
def test_a_protobuf_dataframe_is_answered(
    app: App, events: Dataset, scores: Any, path: str
) -> None:
    body = tfaas.encode_dataframe(events.features.names, events.X[:3], "ttbar")
    answer = ask(app, "POST", path, body)
    labels, found = zip(*tfaas.decode_predictions(answer.body), strict=True)
    assert labels == ("signal",) * 3
    np.testing.assert_allclose(found, scores[:3, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("path", ["/npy", "/predict/npy"])
def test_an_npy_array_is_answered(app: App, events: Dataset, scores: Any, path: str) -> None:
    body = tfaas.encode_npy(events.features.names, events.X)
    answer = ask(app, "POST", f"{path}?model=ttbar", body)
    assert (answer.status, answer.headers["content-type"]) == (200, tfaas.NPY)
    np.testing.assert_array_equal(tfaas.decode_scores_npy(answer.body), scores)


def test_a_large_request_scores_as_a_small_one(app: App, events: Dataset, scores: Any) -> None:
    """Large bodies are worked on in a thread."""
    body = tfaas.encode_json(events.features.names, events.X, "ttbar")
    assert len(body) > BULK_BYTES
    answer = ask(app, "POST", "/json", body)
    np.testing.assert_allclose(tfaas.decode_scores_json(answer.body), scores, rtol=0, atol=1e-6)


def test_an_error_of_a_large_request_is_told_as_that_of_a_small_one(
    app: App, events: Dataset
) -> None:
    names = ("wrong", *events.features.names[1:])
    for count in (1, 4000):
        body = tfaas.encode_npy(names, events.X[:count])
        assert "FeatureError: the keys do not fit the model: unknown key 'wrong'" in (
            ask(app, "POST", "/npy", body).error
        )


def test_the_model_may_stand_in_the_address(app: App, events: Dataset) -> None:
    body = tfaas.encode_json(events.features.names, events.X[0])
    assert ask(app, "POST", "/json?model=ttbar", body).status == 200
    assert "there is no model 'other'" in ask(app, "POST", "/json?model=other", body).error
    assert ask(app, "POST", "/json?model=\xff", body).status == 404


@pytest.mark.slow
def test_a_model_is_read_from_disk_when_first_asked(
    app: App, make: Callable[..., App], events: Dataset, scores: Any
) -> None:
    body = tfaas.encode_json(events.features.names, events.X[0])
    for again in (make(), make()):
        answer = ask(again, "POST", "/json", body)
        assert answer.json == [pytest.approx(float(scores[0, 0]), abs=1e-6)]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/json", b"", 400, "RequestError: the body is empty"),
        ("/json", b"{", 400, "RequestError: the body is not JSON"),
        ("/json", b'{"keys": ["x"], "values": [1]}', 422, "FeatureError: .*unknown key 'x'"),
        ("/json", b'{"keys": ["x"], "values": [NaN]}', 422, "FeatureError: value of 'x' is nan"),
        (
            "/json",
            b'{"keys": ["x"], "values": [1], "model": "none"}',
            404,
            r"ModelNotFound: there is no model 'none'; there are \['ttbar'\]",
        ),
        ("/proto", b"", 400, "RequestError: the body is empty: send a protobuf Row"),
        ("/dataframe", b"{", 400, "RequestError: the body is not a protobuf DataFrame"),
        ("/npy", b"{", 400, "RequestError: the body is not a .npy array"),
    ],
)
def test_a_bad_request_gets_the_right_status(
    app: App, path: str, body: bytes, status: int, message: str
) -> None:
    answer = ask(app, "POST", path, body)
    assert answer.status == status
    assert re.match(message, answer.error)


def test_half_letters_are_refused_and_quoted_in_an_error(app: App) -> None:
    r"""JSON can say \ud800, UTF-8 cannot; in an address, bytes can stand for one."""
    body = b'{"keys": ["\\ud800", "\\ud800"], "values": [1, 2]}'
    assert ask(app, "POST", "/json", body).error.startswith("RequestError: the body is not JSON")
    answer = ask(app, "GET", "/params/\ud800")
    assert answer.status == 404
    assert r"\ud800" in answer.error


# --- models -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/upload", "/bundle"])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/octet-stream",
        "Application/Octet-Stream; charset=binary",
        "application/gzip",
        "application/x-www-form-urlencoded",
        "",
    ],
)
def test_an_archive_is_stored(
    make: Callable[..., App], bundle: Bundle, path: str, content_type: str
) -> None:
    app = make()
    answer = ask(app, "POST", path, bundle.archive(), {"content-type": content_type})
    assert (answer.status, answer.body) == (200, b"")
    assert app.service.describe("ttbar")["sha256"] == bundle.graph.sha256


def test_an_archive_may_be_given_a_name(make: Callable[..., App], bundle: Bundle) -> None:
    app = make()
    headers = {"content-type": "application/octet-stream"}
    assert ask(app, "POST", "/upload?name=other", bundle.archive(), headers).status == 200
    assert [m["name"] for m in app.service.models()] == ["other"]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/upload", "/bundle"])
def test_a_form_is_stored(make: Callable[..., App], bundle: Bundle, path: str) -> None:
    app = make()
    body, headers = upload_form(bundle)
    assert ask(app, "POST", path, body, headers).status == 200
    assert app.service.describe("ttbar")["sha256"] == bundle.graph.sha256
    assert app.service.model("ttbar").labels == ("signal",)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"model": b"\xff"}, 422, "GraphError: the file is not a TensorFlow GraphDef"),
        ({"params": b"{"}, 422, "BundleError: params.json is not JSON"),
        ({"name": b"../x"}, 422, "BundleError: '../x' cannot name a model"),
        ({"labels": b"\xff"}, 422, "BundleError: labels.txt is not UTF-8"),
    ],
)
def test_a_form_with_a_bad_part_changes_nothing(
    app: App, bundle: Bundle, changes: dict[str, bytes], status: int, message: str
) -> None:
    body, headers = upload_form(bundle, **changes)
    answer = ask(app, "POST", "/upload", body, headers)
    assert (answer.status, answer.error[: len(message)]) == (status, message)
    assert [(m["name"], m["version"]) for m in app.service.models()] == [("ttbar", 1)]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/upload", "/bundle/"])
def test_the_name_in_the_address_is_a_form_s_too(
    make: Callable[..., App], bundle: Bundle, path: str
) -> None:
    """Without a field `name` the form would name the model by its params.json, another one."""
    app = make()
    files = bundle.files()
    parts: dict[str, tuple[str | None, bytes]] = {
        name: (name, files[file])
        for name, file in (("params", "params.json"), ("model", "model.pb"))
    }
    body, headers = form(parts)
    assert ask(app, "POST", f"{path}?name=other", body, headers).status == 200
    body, headers = form({"model": parts["model"]})
    assert ask(app, "POST", f"{path}?name=bare&features=", body, headers).status == 200
    assert {m["name"]: m["version"] for m in app.service.models()} == {"other": 1, "bare": 1}


@pytest.mark.parametrize(
    ("query", "fields", "message"),
    [
        ("name=other", {}, "RequestError: the form's 'name' is 'ttbar', the address's 'other'"),
        ("features=a,b", {"features": b"b,a"}, "RequestError: the form's 'features' is 'b,a'"),
        ("signature=predict", {}, "RequestError: a signature is chosen of a SavedModel"),
    ],
)
def test_a_form_and_its_address_that_differ_are_refused(
    app: App, bundle: Bundle, query: str, fields: dict[str, bytes], message: str
) -> None:
    body, headers = upload_form(bundle, **fields)
    answer = ask(app, "POST", f"/upload?{query}", body, headers)
    assert (answer.status, answer.error[: len(message)]) == (400, message)
    assert [(m["name"], m["version"]) for m in app.service.models()] == [("ttbar", 1)]


SLASHED = [
    *("/models", "/status", "/health", "/openapi.json", "/v2", "/v2/health/live", "/params/ttbar"),
    *("/v2/models/ttbar", "/v2/models/ttbar/versions/1/ready", "/v1/models/ttbar"),
    *("/v1/models/ttbar/metadata", "/models/ttbar/versions", "/netron/models/ttbar/1/model.pb"),
]


@pytest.mark.parametrize("path", SLASHED)
def test_an_address_with_a_slash_at_its_end_is_the_same(app: App, path: str) -> None:
    answer, slashed = (ask(app, "GET", path + end) for end in ("", "/"))
    if path.startswith("/netron"):
        assert slashed.status == 404
    else:
        assert (answer.status, slashed.status) == (200, 200)
        assert slashed.headers["content-type"] == answer.headers["content-type"]
        assert path == "/status" or slashed.body == answer.body


def test_what_is_posted_may_have_a_slash_too(app: App, events: Dataset) -> None:
    body = tfaas.encode_json(events.features.names, events.X[0], "ttbar")
    instances = json.dumps({"instances": events.X[:1].tolist()}).encode()
    for path, sent in (("/json", body), ("/v1/models/ttbar:predict", instances)):
        assert ask(app, "POST", path + "/", sent).body == ask(app, "POST", path, sent).body
    assert ask(app, "DELETE", "/delete/ttbar/").status == 200
    assert not app.service.models()


def test_a_slash_opens_nothing(make: Callable[..., App]) -> None:
    app = make("secret")
    for path in ("/", "//", "/models/", "/health/", "/v2/health/live/", "/v2/health/ready/"):
        assert ask(app, "GET", path).status == 401, path


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("application/json", "application/json"),
        ("Application/JSON; q=0.9", "application/json"),
        ("application/json, text/plain, */*", "text/html; charset=utf-8"),
        ("text/html, application/json", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
    ],
)
def test_the_home_page_is_json_for_who_accepts_only_that(
    app: App, accepted: str, kind: str
) -> None:
    answer = ask(app, "GET", "/", headers={"accept": accepted})
    assert answer.headers["content-type"] == kind
    assert answer.headers["vary"] == "Accept"
    if kind == "application/json":
        assert answer.json == {"server": SERVER, "models": ["ttbar"]}


def test_kserve_s_first_version_asks_whether_a_model_is_ready(app: App) -> None:
    """The address is TensorFlow Serving's, the words are of KServe's V1 protocol."""
    for path in ("", "/versions/1"):
        told = ask(app, "GET", f"/v1/models/ttbar{path}").json
        assert (told["name"], told["ready"]) == ("ttbar", True)
        assert told["model_version_status"][0]["state"] == "AVAILABLE"
    app.service.unload("ttbar")
    assert ask(app, "GET", "/v1/models/ttbar").json["ready"] is False
    assert ask(app, "GET", "/v1/models/nobody").status == 404


def test_a_form_without_a_part_names_it(app: App, bundle: Bundle) -> None:
    body, headers = form({"name": (None, b"x"), "params": ("p", bundle.params.to_json())})
    error = ask(app, "POST", "/upload", body, headers).error
    assert error.startswith("BundleError: the form has no part 'model'; it has ['name', 'params']")


def test_uploads_of_no_known_kind_are_refused(app: App) -> None:
    answer = ask(app, "POST", "/upload", b"x", {"content-type": "text/plain"})
    assert answer.error == "RequestError: send a form (multipart/form-data), not 'text/plain'"


def test_models_are_described(app: App, bundle: Bundle) -> None:
    (found,) = ask(app, "GET", "/models").json
    assert found["name"] == "ttbar"
    assert found["version"] == 1
    assert found["inputNode"] == found["input_node"] == "input"
    assert ask(app, "GET", "/params/ttbar").json == found


def test_an_empty_server_has_a_list_of_no_models(make: Callable[..., App]) -> None:
    assert ask(make(), "GET", "/models").body == b"[]"


def test_a_damaged_model_does_not_fail_the_list(app: App, bundle: Bundle) -> None:
    damaged = app.service.upload(bundle.renamed("damaged"))
    (damaged.path / PARAMS).write_bytes(b"{")
    first, second = ask(app, "GET", "/models").json
    assert "damaged on disk" in first["error"]
    assert second["name"] == "ttbar"
    assert ask(app, "GET", "/params/damaged").error.startswith("RepositoryError: ")
    assert "damaged on disk" in ask(app, "GET", "/").body.decode()


NAMED = [
    form({"model": (None, b"ttbar")}),
    form({"name": (None, b"ttbar")}),
    (b"model=ttbar", {"content-type": "application/x-www-form-urlencoded"}),
    (b'{"model": "ttbar"}', {"content-type": "application/json"}),
    (b' {"name": "ttbar"}', {"content-type": "application/x-www-form-urlencoded"}),
]
#: Said, since the boundary of a form is random and the workers of a run must agree on names.
HOW_NAMED = ["form", "form, as name", "fields", "JSON", "JSON, unannounced"]


@pytest.mark.parametrize(("body", "headers"), NAMED, ids=HOW_NAMED)
def test_params_are_asked_for_by_a_posted_name(
    app: App, body: bytes, headers: dict[str, str]
) -> None:
    assert ask(app, "POST", "/params", body, headers).json["name"] == "ttbar"


@pytest.mark.parametrize(("body", "headers"), NAMED, ids=HOW_NAMED)
def test_a_model_is_deleted_by_a_posted_name(
    app: App, body: bytes, headers: dict[str, str]
) -> None:
    answer = ask(app, "DELETE", "/delete", body, headers)
    assert (answer.status, answer.body) == (200, b"")
    assert app.service.models() == []


def test_a_model_is_deleted_by_its_address(app: App) -> None:
    assert ask(app, "DELETE", "/delete/ttbar").status == 200
    assert app.service.models() == []
    assert ask(app, "DELETE", "/delete/ttbar").error.startswith("ModelNotFound: ")


@pytest.mark.parametrize("name", ["none", "..", "../models", "a/b", "%2e%2e", "tt bar", "täg"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/params"), ("DELETE", "/delete")])
def test_a_name_that_is_not_there_is_not_found(app: App, method: str, path: str, name: str) -> None:
    answer = ask(app, method, f"{path}/{name}")
    assert answer.status == 404
    assert answer.error.startswith(f"ModelNotFound: there is no model {name!r}; there are ['ttb")


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"", {}, "send a form"),
        (b"{", {}, "the body is not JSON"),
        (b"{}", {}, "name the model in the field 'model'"),
        (b'{"model": 5}', {}, "name the model in the field 'model'"),
        (b"a=1", NAMED[2][1], "name the model in the field 'model'"),
    ],
)
def test_a_name_that_is_not_posted_is_asked_for(
    app: App, body: bytes, headers: dict[str, str], message: str
) -> None:
    answer = ask(app, "DELETE", "/delete", body, headers)
    assert answer.status == 400
    assert message in answer.error


# --- the server -------------------------------------------------------------------------


def test_the_page_shows_models_and_how_to_ask(app: App) -> None:
    answer = ask(app, "GET", "/", headers={"host": "localhost:8083"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.body.decode()
    for text in ("ttbar (version 1)", "a test model", "jetPt_0", "http://localhost:8083/json"):
        assert text in page
    assert "No model yet" not in page


def test_the_page_asks_for_a_token_only_if_the_server_does(
    app: App, make: Callable[..., App], bundle: Bundle
) -> None:
    assert "Bearer" not in ask(app, "GET", "/").body.decode()
    guarded = make("secret")
    guarded.service.upload(bundle)
    page = ask(guarded, "GET", "/?token=secret").body.decode()
    assert "Bearer TOKEN" in page
    assert "secret" not in page


def test_the_page_of_an_empty_server_says_so(make: Callable[..., App]) -> None:
    assert "No model yet" in ask(make(), "GET", "/").body.decode()


def test_the_page_escapes_what_an_uploader_wrote(app: App, bundle: Bundle) -> None:
    params = json.loads(bundle.params.to_json())
    params |= {"description": "<script>alert(1)</script>", "name": "evil"}
    app.service.upload(Bundle.from_parts(json.dumps(params).encode(), bundle.graph.serialized))
    page = ask(app, "GET", "/").body.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_status_counts(app: App) -> None:
    ask(app, "GET", "/models")
    ask(app, "GET", "/nowhere")
    found = ask(app, "GET", "/status").json
    assert (found["requests"], found["errors"]) == (2, 1)
    assert (found["server"], found["models"]) == (SERVER, ["ttbar"])
    assert found["uptime"] >= 0


def test_an_unknown_address_is_told_the_known_ones(app: App) -> None:
    answer = ask(app, "GET", "/nowhere")
    assert answer.status == 404
    assert answer.error.startswith("RouteNotFound: there is no address '/nowhere'; there are ['/'")


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("GET", "/json", "POST"),
        ("PUT", "/upload", "POST"),
        ("POST", "/models", "GET"),
        ("GET", "/delete", "DELETE"),
        ("POST", "/delete/ttbar", "DELETE"),
        ("DELETE", "/params/ttbar", "GET"),
        ("OPTIONS", "/json", "POST"),
    ],
)
def test_an_address_tells_its_method(app: App, method: str, path: str, takes: str) -> None:
    answer = ask(app, method, path)
    assert answer.status == 405
    assert answer.error == f"MethodNotAllowed: {path} takes {takes}, not {method}"
    assert answer.headers["allow"] == ("GET, HEAD" if takes == "GET" else takes)


def test_a_length_of_thousands_of_digits_is_refused(app: App) -> None:
    """Python makes no number of it: it was a 500."""
    header = {"Inference-Header-Content-Length": "9" * 5000}
    answer = ask(app, "POST", "/v2/models/ttbar/infer", b"{}", header)
    assert answer.status == 400
    assert "must be a number" in answer.error


ROUTES = [
    ("GET", "/"),
    ("GET", "/models"),
    ("GET", "/status"),
    ("GET", "/metrics"),
    ("GET", "/netron/"),
    ("GET", "/netron/index.html"),
    ("GET", "/netron/index.js"),
    ("GET", "/netron/models/ttbar/1/model.pb"),
    ("GET", "/netron/k/wrong/"),
    ("GET", "/netron/k/wrong/index.js"),
    ("GET", "/netron/k/wrong/models/ttbar/1/model.pb"),
    ("GET", "/params/ttbar"),
    ("POST", "/params"),
    ("POST", "/json"),
    ("POST", "/predict/json"),
    ("POST", "/arrow"),
    ("POST", "/predict/arrow"),
    ("POST", "/proto"),
    ("POST", "/predict/proto"),
    ("POST", "/dataframe"),
    ("POST", "/predict/dataframe"),
    ("POST", "/npy"),
    ("POST", "/image"),
    ("POST", "/predict/image"),
    ("POST", "/predict/npy"),
    ("POST", "/upload"),
    ("POST", "/bundle"),
    ("DELETE", "/delete"),
    ("DELETE", "/delete/ttbar"),
    ("GET", "/nowhere"),
    ("GET", "/v2"),
    ("GET", "/v2/health/ready"),
    ("POST", "/v2/repository/index"),
    ("GET", "/health/"),
    ("GET", "//health"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_but_liveness_is_told_without_the_token(
    make: Callable[..., App], method: str, path: str
) -> None:
    app = make("secret")
    assert ask(app, method, path).error.startswith("Unauthorized: ")
    assert ask(app, method, path, headers={"host": "evil.example"}).error.startswith("Forbidden: ")
    assert ask(app, method, path, headers={"authorization": "Bearer secret"}).status != 401


def test_liveness_is_told_to_anybody(make: Callable[..., App]) -> None:
    answer = ask(make("secret"), "GET", "/health", headers={"host": "10.0.0.1"})
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_a_server_that_ends_says_so_and_lives(make: Callable[..., App]) -> None:
    app = make()
    assert ask(app, "GET", "/v2/health/ready").json == {"ready": True}
    app.retire()
    for path, told in (("/health", {"status": "ending"}), ("/v2/health/ready", {"ready": False})):
        answer = ask(app, "GET", path)
        assert (answer.status, answer.json) == (503, told)
        assert answer.headers["retry-after"] == "1"
    assert ask(app, "GET", "/v2/health/live").json == {"live": True}


def test_every_route_stands_in_the_table_above(app: App) -> None:
    tested = {path for _, path in ROUTES} | {"/health", "/v2/health/live"}
    assert set(app.addresses) <= tested


# --- bodies -----------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "most"), [("/json", MOST_BYTES), ("/upload", MOST_UPLOAD)])
def test_a_body_has_a_limit(app: App, path: str, most: int) -> None:
    head = Head("POST", path, b"", {b"host": b"localhost"})
    assert app.admit(head).most_bytes == most


def test_events_that_come_together_share_a_call(app: App, events: Dataset, scores: Any) -> None:
    """Their answers are their own: also with shuffled keys, and next to an event in error."""
    names = events.features.names
    bodies = [tfaas.encode_json(names, events.X[i], "ttbar") for i in range(50)]
    bodies += [tfaas.encode_json(names[::-1], events.X[i][::-1], "ttbar") for i in range(50)]
    bodies.append(tfaas.encode_json(("nJets", *names), np.append(2, events.X[0]), "ttbar"))
    bodies.append(tfaas.encode_json(names, events.X[0], "ttbar").replace(b"0.0", b"1e39", 1))

    async def answered() -> list[Response]:
        call = app.admit(Head("POST", "/json", b"", {b"host": b"localhost"}))
        waiting: list[asyncio.Future[Response]] = []
        for body in bodies:
            waiting.append(asyncio.get_running_loop().create_future())
            call.answer(Request(Head("POST", "/json", b"", {}), body), waiting[-1].set_result)
        return await asyncio.gather(*waiting)

    *good, twice, large = asyncio.run(answered())
    found = [json.loads(response.body)[0] for response in good]
    assert found == pytest.approx([*scores[:50, 0], *scores[:50, 0]], abs=1e-6)
    assert b"sent more than once: nJets" in twice.body
    assert b"not a finite number" in large.body


# --- what nobody expected ---------------------------------------------------------------


class Failing(Service):
    def models(self) -> list[dict[str, Any]]:
        raise ZeroDivisionError("the secret is 42")


def test_an_unexpected_error_is_logged_and_not_told(
    make: Callable[..., App], caplog: pytest.LogCaptureFixture
) -> None:
    app = make(service=Failing)
    with caplog.at_level(logging.ERROR, "tfaas_nb"):
        answer = ask(app, "GET", "/models")
    assert answer.status == 500
    assert answer.error == "ServerError: the server failed on this request; see its log"
    assert "GET /models failed" in caplog.text
    assert "the secret is 42" in caplog.text
    assert ask(app, "GET", "/status").json["errors"] == 1
