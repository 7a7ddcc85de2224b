"""``/openapi.json`` says what the routes are, and its examples work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_spec_validator import validate

from tfaas_nb import errors
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.poster import poster_event
from tfaas_nb.errors import TfaasError
from tfaas_nb.repository import Repository
from tfaas_nb.serving.app import App
from tfaas_nb.serving.openapi import document as openapi
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import all_in


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    """A server with a token and the model `ttbar`."""
    with Server(tmp_path_factory.mktemp("described"), port=0, token="secret") as server:
        server.client().upload(bundle)
        yield server


@pytest.fixture(scope="module")
def told(served: Server) -> Any:
    answer = requests.get(f"{served.url}/openapi.json?token=secret", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


@pytest.mark.slow
def test_it_is_openapi(told: Any) -> None:
    assert told["openapi"].startswith("3.1")
    validate(told)


def test_it_tells_of_all_routes_and_no_others(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        service = Service(Repository(tmp_path / "models"))
        app = App(service, Access(None), all_in(threads))
    described = {(address.method, address.path) for address in app.described}
    assert described == set(openapi.OPERATIONS)


def test_optional_parts_of_a_path_are_paths_of_their_own() -> None:
    assert list(openapi.spelled("/v2/{name}[/versions/{version}|/labels/{label}]/ready")) == [
        "/v2/{name}/ready",
        "/v2/{name}/versions/{version}/ready",
        "/v2/{name}/labels/{label}/ready",
    ]


def test_it_needs_the_token_and_does_not_tell_it(served: Server, told: Any) -> None:
    assert requests.get(f"{served.url}/openapi.json", timeout=10).status_code == 401
    assert "secret" not in json.dumps(told)
    assert {"bearer", "query"} == set(told["components"]["securitySchemes"])


def test_it_tells_what_is_answered_where_models_cannot_be_kept(told: Any) -> None:
    answers = told["paths"]["/upload"]["post"]["responses"]
    assert "RepositoryFull" in answers["507"]["description"]
    for path, method in (("/upload", "post"), ("/models", "get"), ("/json", "post")):
        away = told["paths"][path][method]["responses"]["503"]
        assert "RepositoryUnreachable" in away["description"]
        assert "Retry-After" in away["headers"]


@pytest.mark.parametrize(
    ("path", "said"), [("/health", {"status": "ending"}), ("/v2/health/ready", {"ready": False})]
)
def test_what_a_server_says_that_ends_is_described(told: Any, path: str, said: Any) -> None:
    answers = told["paths"][path]["get"]["responses"]
    error, ending = answers["503"]["content"]["application/json"]["schema"]["anyOf"]
    assert error == {"$ref": "#/components/schemas/Error"}
    assert {key: one["const"] for key, one in ending["properties"].items()} == said
    assert ending["required"] == list(said)
    assert "Retry-After" in answers["503"]["headers"]


def operations(told: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_what_is_open_is_said_to_be_open(served: Server, told: Any) -> None:
    for method, path, operation in operations(told):
        address = served.url + re.sub(r"\{\w+\}", "ttbar", path)
        answer = requests.request(method, address, timeout=10, allow_redirects=False)
        assert (answer.status_code != 401) == (operation.get("security") == []), path


def test_every_status_of_an_error_is_one_of_the_tree(told: Any) -> None:
    tree = [TfaasError]
    for kind in tree:
        tree += kind.__subclasses__()
    names = {kind.__name__: kind.status for kind in tree if kind.__module__ == errors.__name__}
    for _, path, operation in operations(told):
        for status, answer in operation["responses"].items():
            for name in re.findall(r"(\w+): ", answer["description"] if status >= "4" else ""):
                assert str(names[name]) == status, path


def test_operations_have_names_of_their_own(told: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(told)]
    assert len(set(names)) == len(names)


def examples(told: Any) -> Iterator[tuple[str, str, Any]]:
    for method, path, operation in operations(told):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            _, _, name = example.get("$ref", "").rpartition("/")
            yield method, path, (told["components"]["examples"][name] if name else example)["value"]


def numbers(found: Any) -> Iterator[float]:
    """All numbers of an answer, wherever they are."""
    if isinstance(found, float):
        yield found
    elif isinstance(found, (list, dict)):
        for inner in found.values() if isinstance(found, dict) else found:
            yield from numbers(inner)


def test_examples_work(served: Server, told: Any) -> None:
    """The poster's row, in every dialect, gives the score that it gives the client."""
    expected = float(served.client().predict("ttbar", poster_event()))
    order = {"put": 0, "post": 1, "delete": 3}
    found = sorted(examples(told), key=lambda one: (order[one[0]] + ("/unload" in one[1]), one[1]))
    scored = 0
    for method, path, body in found:
        for part, value in (("name", "ttbar"), ("version", "1"), ("label", "production")):
            path = path.replace(f"{{{part}}}", value)
        if method == "delete":
            served.service.load("ttbar")
        answer = requests.request(
            method, f"{served.url}{path}", json=body, params={"token": "secret"}, timeout=30
        )
        assert answer.status_code == 200, (path, answer.text)
        if "jetPt_0" in str(body) or "/v1/" in path:
            assert list(numbers(answer.json())) == [pytest.approx(expected, rel=1e-5)], path
            scored += 1
    assert scored == 18
