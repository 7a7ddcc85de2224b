from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from scipy.stats import poisson

from tests.metrics.toys import scored
from tfaas_nb.errors import DataError
from tfaas_nb.metrics import Roc, SignificanceScan, asimov, s_over_sqrt_b
from tfaas_nb.plots import captions

ROC = Roc.of(*scored(events=6000))


@pytest.mark.parametrize(("s", "b"), [(10.0, 100.0), (3.0, 0.5), (1.0, 1e4), (1e-4, 1e6)])
def test_asimov_is_the_published_formula(s: float, b: float) -> None:
    expected = math.sqrt(2 * ((s + b) * math.log1p(s / b) - s))
    assert float(asimov(s, b)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("s", "b"), [(5.0, 2.0), (20.0, 50.0), (50.0, 30.0)])
@pytest.mark.parametrize("systematics", [0.05, 0.3, 1.0])
def test_asimov_with_an_uncertain_background_is_the_likelihood_ratio(
    s: float, b: float, systematics: float
) -> None:
    """On/off problem with m = τ b events beside, τ = b/σ²; the background is fitted."""
    tau = b / (systematics * b) ** 2
    n, m = s + b, tau * b

    def cost(background: float) -> float:
        return (background - n * math.log(background)) + (
            tau * background - m * math.log(tau * background)
        )

    fitted = minimize_scalar(cost, bounds=(1e-6, n + b), method="bounded", options={"xatol": 1e-9})
    best = (n - n * math.log(n)) + (m - m * math.log(m))
    assert float(asimov(s, b, systematics)) == pytest.approx(
        math.sqrt(2 * (fitted.fun - best)), rel=1e-5
    )


def test_asimov_is_the_median_of_experiments() -> None:
    """As the paper does: the median significance of Poisson counts around s + b."""
    s, b = 20.0, 40.0
    n = float(poisson.median(s + b))
    median = math.sqrt(2 * (n * math.log(n / b) - (n - b)))
    assert float(asimov(s, b)) == pytest.approx(median, rel=0.03)


@pytest.mark.parametrize("systematics", [0.0, 0.1, 0.5])
def test_for_little_signal_both_formulas_agree(systematics: float) -> None:
    b = np.array([1.0, 100.0, 1e6])
    s = 1e-5 * b
    assert asimov(s, b, systematics) == pytest.approx(s_over_sqrt_b(s, b, systematics), rel=1e-4)


def test_a_vanishing_uncertainty_is_none() -> None:
    assert float(asimov(10, 100, 1e-6)) == pytest.approx(float(asimov(10, 100)), rel=1e-6)


@pytest.mark.parametrize("formula", [asimov, s_over_sqrt_b])
def test_without_background_or_signal(formula: Any) -> None:
    assert formula([1.0, 0.0, 0.0], [0.0, 0.0, 5.0]).tolist() == [math.inf, 0, 0]


@pytest.mark.parametrize("numbers", [(-1, 1, 0), (1, -1, 0), (1, 1, -0.1), (math.nan, 1, 0)])
def test_impossible_numbers_are_refused(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="not negative"):
        asimov(*numbers)


@pytest.mark.parametrize("kind", ["asimov", "s/sqrt(b)"])
def test_the_best_cut_is_the_best_of_all_allowed(kind: str) -> None:
    scan = SignificanceScan.of(ROC, kind, signal=100, background=5000, systematics=0.05)
    formula = {"asimov": asimov, "s/sqrt(b)": s_over_sqrt_b}[kind]
    best = 0.0
    for threshold in ROC.thresholds[1::7]:
        point = ROC.at_threshold(float(threshold))
        if (point.background_effective or 0) >= 50:
            found = formula(100 * point.eps_s, 5000 * point.eps_b, 0.05)
            best = max(best, float(found))
    assert scan.at_best == pytest.approx(best, rel=0.01)
    assert scan.at_best == pytest.approx(
        float(formula(100 * scan.best.eps_s, 5000 * scan.best.eps_b, 0.05))
    )


def test_a_maximum_in_the_empty_tail_is_not_taken() -> None:
    """With a large uncertainty the tightest cut always looks best."""
    scan = SignificanceScan.of(ROC, signal=50, background=10_000, systematics=0.3)
    assert scan.best.background_effective is not None
    assert scan.best.background_effective >= 50
    free = SignificanceScan.of(ROC, signal=50, background=10_000, systematics=0.3, min_background=2)
    assert free.at_best > scan.at_best
    assert free.best.threshold > scan.best.threshold


def test_a_best_cut_at_the_end_of_the_search_says_so() -> None:
    """As it does that it was chosen on the same events."""
    inside = SignificanceScan.of(ROC, signal=1000, background=2000)
    end = SignificanceScan.of(ROC, signal=50, background=10_000, systematics=0.3)
    everything = SignificanceScan.of(ROC, signal=1, background=1e-3, min_background=1)
    for scan in (inside, end, everything):
        shown = [repr(scan), repr(scan.table()), captions.significance(scan, "the events")]
        assert all("chosen on the same events" in text for text in (shown[0], shown[2]))
        assert ["tighter" in text for text in shown] == [scan is end] * 3
    assert inside.best.background_effective is not None
    assert inside.best.background_effective > 60


def test_expected_events_are_the_sums_of_weights_by_default() -> None:
    y, _, weight = scored(events=6000)
    scan = SignificanceScan.of(ROC)
    assert scan.signal == pytest.approx(weight[y == 1].sum())
    assert scan.background == pytest.approx(weight[y == 0].sum())


@pytest.mark.slow
def test_its_error_is_that_of_repeated_samples() -> None:
    z, errors = [], []
    for seed in range(60):
        roc = Roc.of(*scored(events=3000, seed=seed))
        scan = SignificanceScan.of(roc, signal=100, background=2000)
        at = int(np.searchsorted(scan.thresholds, 0.6))
        z.append(scan.z[at])
        errors.append(scan.error[at])
    assert np.mean(errors) == pytest.approx(np.std(z), rel=0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "punzi"}, r"no significance 'punzi'; there are \['asimov', 's/sqrt\(b\)'\]"),
        ({"min_background": 1e5}, "no cut leaves 100000.0 background events"),
        ({"signal": -1}, "not negative"),
    ],
)
def test_impossible_scans_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        SignificanceScan.of(ROC, **options)


def test_long_scans_are_thinned_without_losing_the_ends() -> None:
    scan = SignificanceScan.of(Roc.of(*scored(events=9000)))
    assert len(scan.thresholds) <= 1000
    assert (np.diff(scan.thresholds) > 0).all()


@pytest.mark.slow
def test_it_shows_itself() -> None:
    scan = SignificanceScan.of(ROC, signal=100, background=5000, systematics=0.1)
    assert repr(scan).startswith(f"SignificanceScan(Z_A = {scan.at_best:.2g}")
    assert dict(scan.table().rows)["background uncertainty"] == "10.0%"
    assert "data:image/png" in scan._repr_html_()
    ax = Figure().subplots()
    assert scan.plot(ax) is ax
