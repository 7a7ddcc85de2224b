from __future__ import annotations

import numpy as np
import pytest

from tfaas_nb.data.growing import Growing


def test_parts_stand_one_after_another() -> None:
    growing = Growing()
    parts = [np.arange(i, i + i * 3, dtype=np.float32).reshape(i, 3) for i in (2, 1, 4)]
    for part in parts:
        growing.append({"X": part, "y": part[:, 0]})
    assert len(growing) == 7
    assert growing.column("X").tolist() == np.concatenate(parts).tolist()
    assert growing.column("y").tolist() == np.concatenate(parts)[:, 0].tolist()


def test_parts_are_not_changed_by_what_comes_later() -> None:
    whole = np.arange(6.0)
    growing = Growing()
    growing.append({"X": whole[:3]})
    growing.append({"X": whole[3:]})
    growing.scale("X", 4, 10.0)
    assert growing.column("X").tolist() == [0, 1, 2, 3, 40, 50]
    assert whole.tolist() == [0, 1, 2, 3, 4, 5]


def test_one_array_may_be_two_columns() -> None:
    growing, part = Growing(), np.array([1.0, 2.0])
    growing.append({"weight": part, "kept": part})
    growing.append({"weight": part, "kept": part})
    growing.scale("weight", 0, 10.0)
    assert growing.column("kept").tolist() == [1, 2, 1, 2]
    assert growing.column("weight").tolist() == [10, 20, 10, 20]
    assert part.tolist() == [1, 2]


@pytest.mark.parametrize("rows", [0, 2])
def test_what_was_added_last_can_be_forgotten(rows: int) -> None:
    growing = Growing()
    growing.append({"X": np.arange(5.0)})
    growing.shorten(rows)
    growing.append({"X": np.array([9.0])})
    assert growing.column("X").tolist() == [*range(rows), 9.0]
    assert len(growing) == rows + 1


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        (np.int32, np.int64, np.int64),
        (np.uint64, np.int32, np.int64),
        (np.uint32, np.uint64, np.uint64),
        (np.int32, np.float32, np.float64),
        (bool, np.int8, np.int8),
    ],
)
def test_files_may_have_different_types_for_the_same(
    first: type, second: type, joined: type
) -> None:
    growing = Growing()
    growing.append({"event": np.array([1], first)})
    growing.append({"event": np.array([1], second)})
    assert growing.column("event").dtype == joined
    assert growing.column("event").tolist() == [1, 1]
