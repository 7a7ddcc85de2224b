from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tfaas_nb.metrics.passing import Tail

SCORES = np.array([0.1, 0.5, 0.5, 0.9])
WEIGHT = np.array([1.0, 2.0, 3.0, 4.0])


def test_thresholds_may_come_in_any_order() -> None:
    found = Tail.of(SCORES, WEIGHT).above([0.5, 1.0, 0.0, 0.6])
    assert found.count.tolist() == [3, 0, 4, 1]
    assert found.weight.tolist() == [9, 0, 10, 4]
    assert found.squares.tolist() == [29, 0, 30, 16]
    assert found.efficiency.tolist() == [0.9, 0, 1, 0.4]
    assert found.effective.tolist() == pytest.approx([81 / 29, 0, 100 / 30, 1])
    assert found.error[1:3].tolist() == [0, 0]


def test_the_limit_of_nothing_is_that_of_clopper_and_pearson() -> None:
    tail = Tail.of(np.zeros(300), np.ones(300))
    exact = binomtest(0, 300).proportion_ci(confidence_level=0.90, method="exact").high
    assert tail.limit == pytest.approx(exact)
