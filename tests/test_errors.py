from __future__ import annotations

import pytest

from tfaas_nb.errors import (
    Forbidden,
    MissingExtra,
    ModelNotFound,
    RequestError,
    ServerError,
    TfaasError,
    TooLarge,
    Unauthorized,
    from_answer,
)


def tree(root: type[TfaasError] = TfaasError) -> list[type[TfaasError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


@pytest.mark.parametrize("kind", tree())
def test_every_error_has_an_http_error_status(kind: type[TfaasError]) -> None:
    assert 400 <= kind.status < 600


@pytest.mark.parametrize("kind", tree(RequestError))
def test_every_request_error_blames_the_request(kind: type[TfaasError]) -> None:
    assert 400 <= kind.status < 500


@pytest.mark.parametrize("kind", tree(ServerError))
def test_every_server_error_blames_the_server(kind: type[TfaasError]) -> None:
    assert kind.status >= 500


@pytest.mark.parametrize("kind", tree())
def test_an_error_survives_the_network(kind: type[TfaasError]) -> None:
    again = from_answer(kind.status, kind.__name__, "what, where, what next")
    assert type(again) is kind
    assert str(again) == "what, where, what next"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, ModelNotFound),
        (413, TooLarge),
        (400, RequestError),
        (418, RequestError),
        (500, ServerError),
        (502, ServerError),
    ],
)
@pytest.mark.parametrize("kind", [None, "NotOneOfOurs", "ValueError"])
def test_a_foreign_server_is_understood_by_its_status(
    status: int, kind: str | None, expected: type[TfaasError]
) -> None:
    assert type(from_answer(status, kind, "text")) is expected


def test_a_missing_extra_is_an_import_error() -> None:
    assert issubclass(MissingExtra, ImportError)
