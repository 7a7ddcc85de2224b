from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from tests.plots.drawings import CALIBRATION, legend
from tfaas_nb import plots


def test_points_are_fractions_with_intervals(ax: Axes) -> None:
    plots.calibration(CALIBRATION, ax)
    points = ax.containers[0]
    filled = np.isfinite(CALIBRATION.fraction)
    assert list(points.lines[0].get_ydata()) == CALIBRATION.fraction[filled].tolist()
    ends = np.array([s[:, 1] for s in points.lines[2][0].get_segments()])
    assert ends[:, 0] == pytest.approx(CALIBRATION.low[filled])
    assert ends[:, 1] == pytest.approx(CALIBRATION.high[filled])
    assert f"expected error {CALIBRATION.expected_error:.3f}" in " ".join(legend(ax))
