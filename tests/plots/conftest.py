"""Axes to draw on; no test may leave a figure open."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@pytest.fixture
def ax() -> Axes:
    axes: Axes = Figure().subplots()
    return axes


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    open_before = set(plt.get_fignums())  # by a test of another module in this process
    yield
    left = set(plt.get_fignums()) - open_before
    assert not left, "the test, or what it tests, leaves a figure open"
