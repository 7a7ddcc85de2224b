from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import ks_2samp

from tests.metrics.toys import scored
from tfaas_nb.metrics import KolmogorovSmirnov, Overtraining, Roc


def ones(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values))


@pytest.mark.parametrize("digits", [9, 1], ids=["smooth", "ties"])
@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_the_distance_is_that_of_scipy(shift: float, digits: int) -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(0, 1, 900).round(digits), random.normal(shift, 1, 500).round(digits)
    expected = ks_2samp(a, b, method="asymp")
    found = KolmogorovSmirnov.of(a, b, ones(a), ones(b))
    assert found.distance == pytest.approx(expected.statistic)
    if digits == 9:
        assert found.p == pytest.approx(expected.pvalue, rel=0.1)


def test_weights_that_are_equal_do_not_matter() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(0, 1, (2, 400))
    assert KolmogorovSmirnov.of(a, b, 3 * ones(a), 5 * ones(b)) == KolmogorovSmirnov.of(
        a, b, ones(a), ones(b)
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_p_of_one_distribution_is_uniform(weighted: bool) -> None:
    random = np.random.default_rng(2)
    p = []
    for _ in range(300):
        a, b = random.normal(0, 1, 300), random.normal(0, 1, 200)
        wa, wb = (random.exponential(1, len(v)) if weighted else ones(v) for v in (a, b))
        p.append(KolmogorovSmirnov.of(a, b, wa, wb).p)
    assert np.mean(np.array(p) < 0.3) == pytest.approx(0.3, abs=3 * np.sqrt(0.21 / 300))


def rocs(shift: float) -> tuple[Roc, Roc]:
    y, scores, weight = scored(3000, seed=1)
    z, others, heavy = scored(2000, seed=2)
    return Roc.of(y, scores + shift * y, weight), Roc.of(z, others, heavy)


def test_samples_of_one_distribution_are_not_suspicious() -> None:
    found = Overtraining.of(*rocs(0.0))
    assert not found.is_suspicious
    assert abs(found.gap) < 3 * found.gap_error


def test_signal_known_by_heart_is_suspicious() -> None:
    train, test = rocs(0.1)
    found = Overtraining.of(train, test)
    assert found.is_suspicious
    assert found.signal.p < 1e-6
    assert found.background.p > 0.01
    assert found.gap == train.auc - test.auc
    assert [row[-1] for row in found.table().rows] == [
        "scores differ",
        "",
        "larger on training events",
    ]


@pytest.mark.slow
def test_it_shows_itself() -> None:
    found = Overtraining.of(*rocs(0.0))
    assert repr(found).startswith(f"Overtraining(KS p {found.signal.p:.2g} signal, ")
    assert "data:image/png" in found._repr_html_()
    ax = Figure().subplots()
    assert found.plot(ax) is ax
