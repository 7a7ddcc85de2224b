from __future__ import annotations

from pathlib import Path

import pytest

from tfaas_nb import durable


def test_a_file_is_replaced_and_nothing_is_left_beside(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    for content in (b"one", b"two"):
        durable.replace(tmp_path / "file", content, beside)
        assert (tmp_path / "file").read_bytes() == content
    assert not list(beside.iterdir())


def test_a_replacement_that_fails_changes_nothing(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        durable.replace(tmp_path / "folder", b"content", beside)
    assert not list(beside.iterdir())
    assert (tmp_path / "folder" / "full").is_dir()


def test_every_directory_in_which_one_is_made_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(durable, "flush", flushed.append)
    durable.make(tmp_path / "a" / "b" / "c")
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    durable.make(tmp_path / "a" / "b" / "c")
    assert len(flushed) == 3


def test_a_folder_is_replaced_whole_and_foreign_files_stay(tmp_path: Path) -> None:
    place, own = tmp_path / "made" / "model", {"a", "b"}
    durable.write_folder(place, {"a": b"1", "b": b"1"}, own)
    (place / "notes.txt").write_text("a user's own")
    durable.write_folder(place, {"a": b"2"}, own)
    there = {path.name: path.read_text() for path in place.iterdir()}
    assert there == {"a": "2", "notes.txt": "a user's own"}
    assert [path.name for path in place.parent.iterdir()] == ["model"]


def test_a_folder_that_cannot_be_written_whole_changes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "model"
    durable.write_folder(place, {"a": b"1"}, {"a"})
    with pytest.raises(OSError, match="No such file"):
        durable.write_folder(place, {"a": b"2", "none/b": b""}, {"a"})
    assert [(path.name, path.read_bytes()) for path in place.iterdir()] == [("a", b"1")]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
