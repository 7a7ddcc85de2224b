from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from tests.metrics.toys import scored
from tfaas_nb.errors import DataError
from tfaas_nb.metrics import Calibration


def calibrated(seed: int, events: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.beta(0.6, 0.6, events)
    return (random.random(events) < scores).astype(int), scores


def test_bins_are_those_of_scikit_learn() -> None:
    y, scores, _ = scored()
    found = Calibration.of(y, scores, bins=8)
    fraction, mean = calibration_curve(y, scores, n_bins=8)
    filled = np.isfinite(found.score)
    assert found.score[filled] == pytest.approx(mean)
    assert found.fraction[filled] == pytest.approx(fraction)


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    y, scores, weight = scored()
    expected = brier_score_loss(y, scores, sample_weight=weight)
    assert Calibration.of(y, scores, weight).brier == pytest.approx(expected)


def test_intervals_are_wilsons() -> None:
    y, scores = calibrated(1, events=300)
    found = Calibration.of(y, scores, bins=5)
    inside = scores < 0.2
    interval = binomtest(int(y[inside].sum()), int(inside.sum())).proportion_ci(
        confidence_level=0.6826894921, method="wilson"
    )
    assert (found.low[0], found.high[0]) == pytest.approx((interval.low, interval.high))


def test_weights_count_as_events() -> None:
    y, scores = calibrated(2)
    copies = np.random.default_rng(1).integers(1, 4, len(y))
    weighted = Calibration.of(y, scores, copies)
    repeated = Calibration.of(np.repeat(y, copies), np.repeat(scores, copies))
    for name in ("expected_error", "brier"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name))
    assert weighted.fraction == pytest.approx(repeated.fraction)
    assert (weighted.high - weighted.low > repeated.high - repeated.low).all()


def test_calibrated_scores_have_a_uniform_p() -> None:
    p = np.array([Calibration.of(*calibrated(seed)).p for seed in range(150)])
    assert np.mean(p < 0.3) == pytest.approx(0.3, abs=3 * np.sqrt(0.21 / 150))


def test_overconfident_scores_are_told() -> None:
    y, scores = calibrated(3)
    bold = scores**3 / (scores**3 + (1 - scores) ** 3)
    found = Calibration.of(y, bold)
    assert found.expected_error > 3 * Calibration.of(y, scores).expected_error
    assert found.p < 1e-6


def test_scores_at_the_ends_are_in_a_bin() -> None:
    found = Calibration.of([0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0])
    assert (found.expected_error, found.brier, found.ndf) == (0, 0, 2)
    assert found.low[0] == 0
    assert found.high[0] > 0


@pytest.mark.parametrize(
    ("scores", "bins", "message"),
    [([0.1, 1.2], 10, "reach from 0.1 to 1.2"), ([-0.1, 0.5], 10, "proba"), ([0, 1], 0, "one bin")],
)
def test_what_is_no_probability_is_refused(scores: list[float], bins: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Calibration.of([0, 1], scores, bins=bins)


def test_it_shows_itself() -> None:
    found = Calibration.of(*calibrated(1))
    assert repr(found).startswith(f"Calibration(expected error {found.expected_error:.4f}, Brier ")
    assert len(found.table().rows) == 10
    assert "data:image/png" in found._repr_html_()
    ax = Figure().subplots()
    assert found.plot(ax) is ax
