from __future__ import annotations

from pathlib import Path

import pytest

from tfaas_nb.data.files import expand, identity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.root", "b.root", "c.root"):
        (tmp_path / name).write_bytes(b"root")
    return tmp_path


def test_a_file_that_is_named_and_matched_is_read_once(folder: Path) -> None:
    with pytest.warns(UserWarning, match=r"more than once are read once: .*b\.root$"):
        found = expand([folder / "b.root", folder / "*.root"])
    assert [Path(path).name for path in found] == ["b.root", "a.root", "c.root"]


def test_two_names_of_one_file_are_one_file(folder: Path) -> None:
    (folder / "link.root").symlink_to(folder / "a.root")
    with pytest.warns(UserWarning, match=r"read once: .*link\.root"):
        assert expand([folder / "a.root", folder / "link.root"]) == [str(folder / "a.root")]
    assert identity(f"{folder}/x/../a.root") == identity(str(folder / "link.root"))


def test_many_doubles_are_counted(folder: Path) -> None:
    for number in range(7):
        (folder / f"d{number}.root").write_bytes(b"root")
    with pytest.warns(UserWarning, match="and 2 more$"):
        assert len(expand([folder / "d*.root"] * 2)) == 7


def test_addresses_are_taken_as_they_are() -> None:
    urls = ["root://host//store/a.root", "https://host/b.root"]
    assert expand(urls) == urls
    with pytest.warns(UserWarning, match="read once: root://host"):
        assert expand([urls[0], urls[0]]) == urls[:1]
