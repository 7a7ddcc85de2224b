from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def in_a_cell(folder: Path, cell: str, *options: str) -> str:
    """Run a cell in IPython and return its output."""
    told = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", *options, "-c", cell],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "IPYTHONDIR": str(folder)},
        check=False,
    )
    return told.stdout


@pytest.mark.slow
def test_a_cell_shows_the_readers_own_lines(tmp_path: Path) -> None:
    """Not the way through this package, nor its causes, unless that is asked for."""
    cell = "import tfaas_nb as tn\ntn.load('a.root', 'b.root')"
    told = in_a_cell(tmp_path, cell)
    assert "----> 2 tn.load('a.root', 'b.root')" in told
    assert told.splitlines()[-1].startswith("DataError: ")
    assert "root.py" not in told
    assert "root.py" in in_a_cell(tmp_path, cell, "--InteractiveShell.xmode=Verbose")


@pytest.mark.slow
def test_a_cell_does_not_show_causes(tmp_path: Path) -> None:
    cell = "import tfaas_nb as tn\ntn.Client('http://127.0.0.1:9').models()"
    told = in_a_cell(tmp_path, cell)
    assert told.splitlines()[-1].startswith("ServerUnreachable: ")
    assert told.count("Traceback") == 1
