from __future__ import annotations

import pytest
from matplotlib.axes import Axes

from tests.plots.drawings import IMPORTANCE
from tfaas_nb import plots


def test_the_largest_is_on_top(ax: Axes) -> None:
    plots.importance(IMPORTANCE, ax, most=3)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(IMPORTANCE.drop[:3])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(IMPORTANCE.names[:3])
    assert ax.yaxis_inverted()
