from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from tfaas_nb.errors import DataError, MissingExtra
from tfaas_nb.scoring.score_file import TREE, ScoreFile

COLUMNS = {
    "event": np.array([3, 2**40, 1], dtype=np.int64),
    "run": np.array([1, 2, 3], dtype=np.uint32),
    "score": np.array([0.5, 0.25, 1.0], dtype=np.float32),
}
NONE = {name: values[:0] for name, values in COLUMNS.items()}


def read(path: Path) -> dict[str, Any]:
    if path.suffix == ".root":
        with uproot.open(path) as file:
            return dict(file[TREE].arrays(library="np"))
    from pyarrow import parquet

    return {name: column.to_numpy() for name, column in _columns(parquet.read_table(path))}


def _columns(table: Any) -> Any:
    return zip(table.column_names, table.columns, strict=True)


@pytest.fixture(params=["scores.root", "scores.parquet", "SCORES.ROOT"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def test_pieces_come_back_as_one(path: Path) -> None:
    with ScoreFile(path) as file:
        for part in (COLUMNS, NONE, COLUMNS):
            file.write(part)
    found = read(path.rename(path.with_name(path.name.lower())))
    assert list(found) == list(COLUMNS)
    for name, values in COLUMNS.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], np.tile(values, 2))


def test_no_event_is_a_file_of_none(path: Path) -> None:
    with ScoreFile(path) as file:
        file.write(NONE)
    found = read(path.rename(path.with_name(path.name.lower())))
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(COLUMNS, 0)


def test_numbers_of_the_other_byte_order_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    with ScoreFile(path) as file:
        file.write({"event": COLUMNS["event"].astype(">i8")})
    assert np.array_equal(read(path)["event"], COLUMNS["event"])


def test_a_failure_leaves_what_was_there(path: Path) -> None:
    path.write_bytes(b"earlier")
    with suppress(KeyboardInterrupt), ScoreFile(path) as file:
        file.write(COLUMNS)
        assert len(list(path.parent.iterdir())) == 2
        raise KeyboardInterrupt
    assert path.read_bytes() == b"earlier"
    assert list(path.parent.iterdir()) == [path]


def test_it_replaces_what_was_there(path: Path) -> None:
    path.write_bytes(b"earlier")
    with ScoreFile(path) as file:
        file.write(COLUMNS)
    assert path.read_bytes() != b"earlier"
    assert list(path.parent.iterdir()) == [path]


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scores\.csv: scores are written as \.root or \.parquet"):
        ScoreFile(tmp_path / "scores.csv")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"a\.root cannot be written: there is no folder .*none"),
        ScoreFile(tmp_path / "none" / "a.root"),
    ):
        pass


def test_a_folder_in_its_place_is_told_before_anything_is_scored(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DataError, match=r"cannot be written: it is a folder; name a file"):
        ScoreFile(path).__enter__()
    assert list(path.parent.iterdir()) == [path]


def test_parquet_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tfaas-nb\[arrow\]', or write a \.root"):
        ScoreFile(tmp_path / "scores.parquet")
