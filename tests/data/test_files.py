from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfaas_nb.data.files import Files, InputFile, expand, identity
from tfaas_nb.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.root", "b.root", "c.root"):
        (tmp_path / name).write_bytes(b"root")
    return tmp_path


def paths(files: Files) -> list[str]:
    return [str(file) for file in expand(files)]


def test_a_file_that_is_named_and_matched_is_read_once(folder: Path) -> None:
    with pytest.warns(UserWarning, match=r"more than once are read once: .*b\.root$"):
        found = expand([folder / "b.root", folder / "*.root"])
    assert [file.name for file in found] == ["b.root", "a.root", "c.root"]


def test_two_names_of_one_file_are_one_file(folder: Path) -> None:
    (folder / "link.root").symlink_to(folder / "a.root")
    with pytest.warns(UserWarning, match=r"read once: .*link\.root"):
        assert paths([folder / "a.root", folder / "link.root"]) == [str(folder / "a.root")]
    assert identity(f"{folder}/x/../a.root") == identity(str(folder / "link.root"))


def test_many_doubles_are_counted(folder: Path) -> None:
    for number in range(7):
        (folder / f"d{number}.root").write_bytes(b"root")
    with pytest.warns(UserWarning, match="and 2 more$"):
        assert len(expand([folder / "d*.root"] * 2)) == 7


def test_addresses_are_taken_as_they_are() -> None:
    urls = ["root://host//store/a.root", "https://host/b.root"]
    assert paths(urls) == urls
    with pytest.warns(UserWarning, match="read once: root://host"):
        assert paths([urls[0], urls[0]]) == urls[:1]


@pytest.mark.parametrize(
    ("named", "path", "tree"),
    [
        ("a.root:events", "a.root", "events"),
        ("a.root:folder/tree;1", "a.root", "folder/tree;1"),
        ("a.root:/folder//tree/", "a.root", "folder/tree"),
        ("a.root:", "a.root", None),
        ({"a.root": "events"}, "a.root", "events"),
        ({"a.root": None}, "a.root", None),
        ({"a.root": {"object_path": "folder/tree"}}, "a.root", "folder/tree"),
        ("odd:name.root", "odd:name.root", None),
        ("odd:name.root:events", "odd:name.root", "events"),
        ("a.root:b.root", "a.root:b.root", None),
        ({"a.root:b.root": "events"}, "a.root:b.root", "events"),
        ("a.root:b.root:events", "a.root:b.root", "events"),
        ("bare:events", "bare", "events"),
        ("A.ROOT:events", "A.ROOT", "events"),
    ],
)
def test_a_tree_may_be_named_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: Files, path: str, tree: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.root", "odd:name.root", "a.root:b.root", "bare", "A.ROOT"):
        (tmp_path / name).write_bytes(b"root")
    assert expand(named) == [InputFile(path, tree)]
    assert expand([named]) == [InputFile(path, tree)]


def test_the_tree_of_a_glob_is_that_of_each_file(folder: Path) -> None:
    found = expand(f"{folder}/*.root:folder/tree")
    assert [(file.name, file.tree) for file in found] == [
        (f"{name}.root", "folder/tree") for name in "abc"
    ]
    assert expand({folder / "[ab].root": "events"}) == expand([f"{folder}/[ab].root:events"])
    assert {file.tree for file in expand(f"{folder}/*:events")} == {"events"}


def test_a_path_is_never_split_at_a_colon(folder: Path) -> None:
    with pytest.raises(DataError, match=r"a\.root:events does not exist"):
        expand(folder / "a.root:events")
    with pytest.raises(DataError, match=r"a\.root:events does not exist"):
        expand({f"{folder}/a.root:events": None})
    with pytest.raises(DataError, match=r"d\.root does not exist"):
        expand(f"{folder}/d.root:events")
    with pytest.raises(DataError, match=r"C:\\nowhere\\d\.root does not exist"):
        expand(r"C:\nowhere\d.root:events")


@pytest.mark.parametrize(
    ("address", "path", "tree"),
    [
        ("root://host:1094//store/a.root", "root://host:1094//store/a.root", None),
        ("root://host:1094//store/a.root:events", "root://host:1094//store/a.root", "events"),
        ("https://host:8443/b.root:d/t", "https://host:8443/b.root", "d/t"),
        ("https://host:8443/b", "https://host:8443/b", None),
        (
            "root://host//a.root:events?authz=Bearer%20x.root:y",
            "root://host//a.root?authz=Bearer%20x.root:y",
            "events",
        ),
        ("root://host//a.root?authz=x.root:y", "root://host//a.root?authz=x.root:y", None),
        ("root://u:p@host//c.root.1:t", "root://u:p@host//c.root.1", "t"),
    ],
)
def test_the_colons_of_an_address_are_its_own(address: str, path: str, tree: str | None) -> None:
    assert expand(address) == [InputFile(path, tree)]


def test_two_trees_of_a_file_are_two_inputs_and_one_is_read_once(folder: Path) -> None:
    path = f"{folder}/a.root"
    assert len(expand([f"{path}:signal", f"{path}:background"])) == 2
    for again in (f"{path}:signal", f"{path}:signal;3", {path: "/signal"}):
        with pytest.warns(UserWarning, match=r"read once: .*a\.root:signal"):
            assert expand([f"{path}:signal", again]) == [InputFile(path, "signal")]
    with pytest.warns(UserWarning, match="read once"):
        assert expand([path, f"{path}:events"], tree="events") == [InputFile(path)]
    with pytest.raises(DataError, match="'events' and without a tree, which may be the same one"):
        expand([path, f"{path}:events"])


@pytest.mark.parametrize("odd", [5, [5], {5: "events"}, {"a.root": 5}, {"a.root": {"steps": []}}])
def test_what_names_no_file_is_refused_in_words(odd: Any) -> None:
    with pytest.raises(DataError, match=r"is named by its path, not by int|the file's tree, not"):
        expand(odd)
