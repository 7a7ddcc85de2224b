from __future__ import annotations

import numpy as np
import pytest

from tfaas_nb.metrics import FEW_EVENTS, Roc, WorkingPoint


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


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_of_a_rejection_is_its_spread_over_samples(weighted: bool) -> None:
    """The threshold follows from the signal events, and fluctuates with them."""
    random = np.random.default_rng(3)
    y = np.repeat([1, 0], 2000)
    found: dict[float, list[tuple[float, float]]] = {0.3: [], 0.5: [], 0.9: []}
    for _ in range(600):
        weight = random.uniform(0.5, 1.5, 4000) if weighted else None
        roc = Roc.of(y, random.normal(1.5 * y, 1.0), weight)
        for eps_s, points in found.items():
            point = roc.working_point(eps_s)
            points.append((point.rejection, point.rejection_error))
    for eps_s, points in found.items():
        rejections, quoted = np.array(points).T
        assert rejections.std() / quoted.mean() == pytest.approx(1, abs=0.1), eps_s


def test_at_a_fixed_cut_the_error_is_binomial() -> None:
    random = np.random.default_rng(1)
    y = np.repeat([1, 0], 2000)
    roc = Roc.of(y, random.normal(1.5 * y, 1.0))
    chosen = roc.working_point(0.5)
    fixed = roc.at_threshold(chosen.threshold)
    assert fixed.eps_b_whole_error == pytest.approx(np.sqrt(fixed.eps_b * (1 - fixed.eps_b) / 2000))
    assert chosen.eps_b_whole_error > 1.1 * fixed.eps_b_whole_error


def test_without_a_cut_nothing_fluctuates() -> None:
    point = Roc.of([1, 1, 0, 0], [0.9, 0.4, 0.5, 0.1]).working_point(1.0)
    assert (point.eps_s_error, point.eps_b, point.eps_b_moved) == (0.0, 0.5, 0.0)
