from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from tests.plots.drawings import SCAN, Y
from tfaas_nb import plots
from tfaas_nb.metrics import Roc, SignificanceScan


def test_cuts_with_too_few_events_are_hatched(ax: Axes) -> None:
    plots.significance(SCAN, ax)
    assert not SCAN.allowed.all()
    (area,) = ax.patches
    assert area.get_hatch() == "xx"
    # A rectangle, or a polygon before Matplotlib 3.9.
    left = area.get_patch_transform().transform_path(area.get_path()).vertices[:, 0].min()
    assert left == pytest.approx(SCAN.thresholds[SCAN.allowed][-1])
    assert max(ax.lines[0].get_xdata()) <= left * (1 + 1e-9)
    assert list(ax.lines[1].get_xdata()) == [SCAN.best.threshold] * 2


def test_an_infinite_significance_is_not_drawn(ax: Axes) -> None:
    scan = SignificanceScan.of(Roc.of(Y, Y), signal=1, background=1)
    plots.significance(scan, ax)
    assert np.isfinite(ax.get_ylim()).all()
