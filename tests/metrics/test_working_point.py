from __future__ import annotations

import numpy as np
import pytest

from tfaas_nb.metrics import FEW_EVENTS, WorkingPoint


def test_rejection_and_its_error() -> None:
    point = WorkingPoint(0.5, eps_s=0.5, eps_b=0.01, background_left=100, significance=3.0)
    assert point.rejection == pytest.approx(100)
    assert point.rejection_error == pytest.approx(10 * np.sqrt(0.99))


@pytest.mark.parametrize(("left", "uncertain"), [(FEW_EVENTS - 1, True), (FEW_EVENTS, False)])
def test_few_events_left_make_a_rejection_uncertain(left: int, uncertain: bool) -> None:
    assert WorkingPoint(0.5, 0.5, 0.1, left, 1.0).is_uncertain is uncertain


def test_weights_leave_fewer_effective_events() -> None:
    point = WorkingPoint(0.5, 0.5, 0.1, 1000, 1.0, background_effective=FEW_EVENTS - 0.5)
    assert point.is_uncertain
