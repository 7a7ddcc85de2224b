from __future__ import annotations

import numpy as np
import pytest

from tfaas_nb.data.position import Portion, numbers

ENTRIES = np.arange(50_000)


def test_numbers_are_uniform() -> None:
    found = numbers("a.root", ENTRIES, 1)
    assert found.min() >= 0
    assert found.max() < 1
    counts = np.histogram(found, bins=20, range=(0, 1))[0]
    chi2 = ((counts - 2500) ** 2 / 2500).sum()
    assert chi2 < 43.8  # 19 degrees of freedom: one in a thousand


@pytest.mark.parametrize(
    ("file", "seed"), [("b.root", 1), ("a.root", 2)], ids=["another file", "another seed"]
)
def test_numbers_of_others_are_unrelated(file: str, seed: int) -> None:
    first, second = numbers("a.root", ENTRIES, 1), numbers(file, ENTRIES, seed)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert abs(np.corrcoef(first[1:], second[:-1])[0, 1]) < 0.02


def test_neighbouring_entries_are_unrelated() -> None:
    found = numbers("a.root", ENTRIES, 1)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.02


def test_a_number_does_not_depend_on_what_is_read_with_it() -> None:
    whole = numbers("a.root", ENTRIES, 7)
    assert numbers("a.root", ENTRIES[1234:1240], 7).tolist() == whole[1234:1240].tolist()


def test_numbers_stay_what_they_are() -> None:
    """A classifier's test events must be so tomorrow: other numbers would mix the sides."""
    assert numbers("ttbar.root", np.array([0, 1, 1_000_000_000_000]), 1).round(6).tolist() == [
        0.261022,
        0.908455,
        0.273151,
    ]


def test_portions_that_touch_share_the_events() -> None:
    low, high = Portion(3, 0.0, 0.7), Portion(3, 0.7, 1.0)
    first, second = low.has("a.root", ENTRIES), high.has("a.root", ENTRIES)
    assert (first != second).all()
    assert first.mean() == pytest.approx(low.fraction, abs=0.01)
