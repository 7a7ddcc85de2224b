from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfaas_nb.errors import BundleError
from tfaas_nb.export import folder

FILES = {"a.txt": b"a", "1/b.txt": b"b", "1/empty/": b""}


def content(path: Path) -> dict[str, bytes]:
    found = (p for p in path.rglob("*") if p.is_file() and p.name != folder.MANIFEST)
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in found}


def test_a_folder_is_written_with_those_above_it(tmp_path: Path) -> None:
    path = folder.write(tmp_path / "some" / "where", FILES, "triton")
    assert content(path) == {"a.txt": b"a", "1/b.txt": b"b"}
    assert (path / "1" / "empty").is_dir()
    assert [p.name for p in path.parent.iterdir()] == ["where"], "nothing is left beside"


def test_an_earlier_export_is_replaced_and_no_file_of_it_stays(tmp_path: Path) -> None:
    path = folder.write(tmp_path / "m", FILES, "triton")
    assert content(folder.write(path, {"c.txt": b"c"}, "triton")) == {"c.txt": b"c"}
    assert not (path / "1").exists()


def test_the_same_twice_is_the_same(tmp_path: Path) -> None:
    manifests = [
        (folder.write(tmp_path / "m", FILES, "triton") / folder.MANIFEST).read_bytes()
        for _ in range(2)
    ]
    assert manifests[0] == manifests[1]


def test_what_is_no_earlier_export_stays(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="m exists and is no earlier export as 'triton': remove"):
        folder.write(tmp_path / "m", FILES, "triton")
    assert content(tmp_path / "m") == {"thesis.tex": b"years of work"}
    (tmp_path / "file").write_text("text")
    with pytest.raises(BundleError, match="file exists and is no earlier export"):
        folder.write(tmp_path / "file", FILES, "triton")


def test_an_export_in_another_format_stays(tmp_path: Path) -> None:
    folder.write(tmp_path / "m", FILES, "cmssw")
    with pytest.raises(BundleError, match="no earlier export as 'triton'"):
        folder.write(tmp_path / "m", FILES, "triton")


@pytest.mark.parametrize("changed", ["a.txt", "2/new.txt"])
def test_what_was_changed_since_stays(tmp_path: Path, changed: str) -> None:
    path = folder.write(tmp_path / "m", FILES, "triton")
    (path / changed).parent.mkdir(exist_ok=True)
    (path / changed).write_text("edited by hand")
    with pytest.raises(BundleError, match=rf"changed since it was exported \({changed}\): move"):
        folder.write(path, FILES, "triton")
    assert (path / changed).read_text() == "edited by hand"


def test_a_damaged_manifest_is_no_export(tmp_path: Path) -> None:
    path = folder.write(tmp_path / "m", FILES, "triton")
    (path / folder.MANIFEST).write_text("[]")
    with pytest.raises(BundleError, match="no earlier export"):
        folder.write(path, FILES, "triton")


@pytest.mark.skipif(os.name == "nt", reason="names")
def test_what_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = folder.write(tmp_path / "m", FILES, "triton")
    with pytest.raises(OSError, match="File name too long"):
        folder.write(path, {"x" * 300: b""}, "triton")
    assert content(path) == {"a.txt": b"a", "1/b.txt": b"b"}
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_other_versions_stay(tmp_path: Path) -> None:
    path = tmp_path / "m"
    for version in (1, 2):
        folder.write(path, {"a": b"a", f"{version}/b": b"%d" % version}, "triton", version)
    (path / "7").mkdir()
    (path / "7" / "b").write_text("copied by hand")
    for version in (1, 2):  # again: neither is taken for changed
        folder.write(path, {"a": b"b", f"{version}/b": b"%d" % (10 * version)}, "triton", version)
    kept = {"a": b"b", "1/b": b"10", "2/b": b"20", "7/b": b"copied by hand"}
    assert content(path) == kept
    for version in (2, 7):
        (path / str(version) / "b").write_text("edited")
        with pytest.raises(BundleError, match=rf"changed since it was exported \({version}/b\)"):
            folder.write(path, {"a": b"b", f"{version}/b": b""}, "triton", version)
