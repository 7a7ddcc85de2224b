from __future__ import annotations

from pathlib import Path

import pytest

from tfaas_nb.widgets import paths


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ttbar.root", "qcd_1.root", "qcd_2.root", "notes.txt", ".hidden.root"):
        (tmp_path / name).touch()
    (tmp_path / "quarks").mkdir()
    (tmp_path / "quarks" / "u.root").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["*.root", "qcd_1.root", "qcd_2.root", "quarks/", "ttbar.root"]),
        ("q", ["q*.root", "qcd_1.root", "qcd_2.root", "quarks/"]),
        ("tt", ["ttbar.root"]),
        ("quarks/", ["quarks/u.root"]),
        ("./t", ["./ttbar.root"]),
        ("ttbar.root, quarks/u", ["ttbar.root, quarks/u.root"]),
        (".h", [".hidden.root"]),
        ("nowhere/", []),
        ("root://host//q", []),
        ("z", []),
    ],
)
def test_paths_that_begin_so_are_offered(folder: Path, typed: str, offered: list[str]) -> None:
    assert paths.completions(typed) == offered


def test_absolute_paths_and_the_home_folder_are_completed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert paths.completions(f"{folder}/tt") == [f"{folder}/ttbar.root"]
    assert paths.completions("~/tt") == ["~/ttbar.root"]


def test_paths_stand_between_commas() -> None:
    assert paths.split(" a.root, b*.root ,, ") == ["a.root", "b*.root"]
