"""Memory of trainings from files, each measured in a process of its own."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks import streaming


@pytest.mark.endurance
@pytest.mark.skipif(sys.platform != "linux", reason="memory's peak is read from /proc")
def test_memory_does_not_grow_with_the_number_of_files() -> None:
    """With all in memory, fifty files would take half as much again as five, or more."""
    with streaming.files(50, repeats=1) as folder:
        few, many = (streaming.peak(folder, count, "stream", 1, 16) for count in (5, 50))
    assert many < 1.2 * few
