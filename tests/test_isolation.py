from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests import strangers
from tfaas_nb import isolation
from tfaas_nb.errors import GraphError

MODULE = strangers.__name__


def test_a_module_is_handed_files_and_options_in_an_empty_folder() -> None:
    files = {"a.txt": b"one", "below/b.txt": b"two"}
    answer = json.loads(isolation.run(MODULE, files, "read"))
    assert answer == [{"a.txt": "one", "below/b.txt": "two"}, [], "read"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("refuse", "^the file is odd$"),
        ("break", "^ValueError: something\nelse$"),
        ("crash", r"ended with -6: out of luck"),
    ],
)
def test_what_goes_wrong_there_is_told_here(what: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        isolation.run(MODULE, {}, what)


def test_a_process_that_hangs_is_killed() -> None:
    with pytest.raises(GraphError, match="took more than 1 s"):
        isolation.run(MODULE, {}, "hang", seconds=1.0)


def test_our_secrets_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFAAS_NB_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = json.loads(isolation.run(MODULE, {}, "environment"))
    assert "secret" not in environment.values()
    assert environment["HOME"] == environment["TMPDIR"]


def test_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    isolation.run(MODULE, {"a": b""}, "read")
    with pytest.raises(GraphError):
        isolation.run(MODULE, {"a": b""}, "crash")
    assert list(tmp_path.iterdir()) == []
