"""Errors and limits hold the truth as often as they say, in samples whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import poisson

from tests.metrics.coverage import Array, covered, samples, true_eps_b, true_eps_s
from tfaas_nb.metrics import Band, Calibration, Roc
from tfaas_nb.metrics.working_point import FEW_EVENTS

ONE_SIGMA = 0.6827
SHIFT = 2.5


def tolerance(toys: int, least: float) -> float:
    """Tolerance of a coverage: at least `least`, and three standard deviations of few toys."""
    return max(least, 3 * math.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / toys))


# --- errors of a working point, the movement of its threshold included


def holds_eps_s(eps_b: float) -> Callable[[Roc], bool]:
    truth = true_eps_s(eps_b, SHIFT)

    def holds(roc: Roc) -> bool:
        found = roc.working_point(eps_b=eps_b).signal_efficiency
        return found.error is not None and abs(found.value - truth) < found.error

    return holds


def holds_eps_b(eps_s: float) -> Callable[[Roc], bool]:
    truth = true_eps_b(eps_s, SHIFT)

    def holds(roc: Roc) -> bool:
        found = roc.working_point(eps_s).background_efficiency
        return found.error is not None and abs(found.value - truth) < found.error

    return holds


def check_working_points(toys: int, weighted: bool) -> None:
    asked = {
        **{("eps_b", e): holds_eps_s(e) for e in (0.1, 0.01, 0.001)},
        **{("eps_s", e): holds_eps_b(e) for e in (0.3, 0.5, 0.9)},
    }
    found = covered(samples(toys, 6000, 6000, SHIFT, weighted), asked)
    print(found)
    # At ε_S = 0.3 some eight background events are left, and without weights their number jumps:
    # the coverage of n ± √n is that of Poisson's distribution, and the point is marked.
    few = 6000 * true_eps_b(0.3, SHIFT)
    assert few < FEW_EVENTS
    expected = {} if weighted else {("eps_s", 0.3): coverage_of_counts(few)}
    for key, share in found.items():
        target = expected.get(key, ONE_SIGMA)
        assert share == pytest.approx(target, abs=tolerance(toys, 0.04)), key


def coverage_of_counts(mean: float) -> float:
    """Probability that the mean of a Poisson distribution lies within n ± √n."""
    counts = np.arange(1, 200)
    return float(poisson.pmf(counts, mean)[abs(counts - mean) < np.sqrt(counts)].sum())


@pytest.mark.slow
def test_the_error_at_a_chosen_efficiency_covers_the_truth_in_both_directions() -> None:
    """Without the movement of the threshold, 12 % at ε_B = 0.001."""
    check_working_points(toys=60, weighted=False)


@pytest.mark.endurance
@pytest.mark.parametrize("weighted", [False, True])
def test_errors_at_chosen_efficiencies_cover_the_truth_in_many_samples(weighted: bool) -> None:
    check_working_points(toys=2000, weighted=weighted)


# --- limits where there is no error


def check_limits(toys: int, signal: int, background: int, shift: float) -> None:
    """At 95 % CL or more; where an error is given instead there is nothing to check."""
    wrong = dict.fromkeys(("given", "eps_s", "eps_b", "area"), 0)
    for roc in samples(toys, signal, background, shift):
        cut = roc.at_threshold(shift)
        truths = {
            "given": (cut.background_efficiency, true_eps_b(0.5, shift)),
            "eps_s": (roc.working_point(0.5).background_efficiency, true_eps_b(0.5, shift)),
            "area": (roc.area, true_area(shift)),
        }
        if roc.eps_s[roc.eps_b <= 0.001].any():  # else there is no such cut
            point = roc.working_point(eps_b=0.001)
            truths["eps_b"] = (point.signal_efficiency, true_eps_s(0.001, shift))
        for name, (found, truth) in truths.items():
            if not found.has_error:
                low, high = found.low or 0.0, 1.0 if found.high is None else found.high
                wrong[name] += not low <= truth <= high
    print({name: number / toys for name, number in wrong.items()})
    for name, number in wrong.items():
        assert number / toys < 0.05 + 3 * math.sqrt(0.05 * 0.95 / toys), name


def true_area(shift: float) -> float:
    return 0.5 * math.erfc(-shift / 2)


@pytest.mark.parametrize(("signal", "background", "shift"), [(50, 50, 3.5), (1, 30, 1.0)])
def test_limits_hold_the_truth(signal: int, background: int, shift: float) -> None:
    check_limits(100, signal, background, shift)


@pytest.mark.endurance
@pytest.mark.parametrize(
    ("signal", "background", "shift"),
    [(50, 50, 3.5), (50, 50, 5.0), (1, 30, 1.0), (30, 1, 1.0), (2, 2, 0.0), (300, 300, 4.0)],
)
def test_limits_hold_the_truth_in_many_samples(signal: int, background: int, shift: float) -> None:
    check_limits(2000, signal, background, shift)


# --- the band of the ROC curve

EFFICIENCIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

#: Where the band is drawn for fewer samples than these, there is nothing to count.
_DRAWN = 0.15


def check_band(toys: int, shift: float, weighted: bool, least: float) -> dict[float, float]:
    """Shares of samples whose band is drawn at each efficiency; it covers the truth there."""
    inside = dict.fromkeys(EFFICIENCIES, 0)
    drawn = dict.fromkeys(EFFICIENCIES, 0)
    for seed, roc in enumerate(samples(toys, 1000, 1000, shift, weighted)):
        band = Band.of(roc.events, replicas=200, seed=seed)
        for e in EFFICIENCIES:
            low, high = band.at(e)
            drawn[e] += not math.isnan(low)
            inside[e] += low <= true_eps_b(e, shift) <= high
    told = {e: (round(inside[e] / drawn[e], 3), drawn[e] / toys) for e in drawn if drawn[e]}
    print(f"shift {shift}: {told}")
    for e in EFFICIENCIES:
        if drawn[e] >= _DRAWN * toys:
            expected = pytest.approx(ONE_SIGMA, abs=tolerance(drawn[e], least))
            assert inside[e] / drawn[e] == expected, e
    return {e: drawn[e] / toys for e in EFFICIENCIES}


@pytest.mark.slow
def test_the_band_covers_the_curve_where_it_is_drawn() -> None:
    drawn = check_band(60, 2.5, weighted=False, least=0.05)
    assert drawn[0.2] < 0.1  # 0.4 background events are expected there
    assert drawn[0.7] > 0.9


@pytest.mark.endurance
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shift", [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0])
def test_the_band_covers_the_curve_in_many_samples(shift: float, weighted: bool) -> None:
    """The replicas of a toy are few, which widens its scatter a little."""
    check_band(600, shift, weighted, least=0.05)


# --- calibration

WEIGHTS = [(1.0, 1.0), (1.0, 5.0), (1.0, 20.0), (0.01, 1.0)]


def calibrated(
    random: np.random.Generator, weights: tuple[float, float], events: int = 5000
) -> tuple[Array, Array, Array, Array]:
    """Classes, scores that are right in the weights, weights, and the true π of each event."""
    scores = random.beta(0.6, 0.6, events)
    signal, background = scores / weights[0], (1 - scores) / weights[1]
    pi = signal / (signal + background)
    y = (random.random(events) < pi).astype(float)
    return y, scores, np.where(y == 1, *weights), pi


def check_calibration(toys: int, weights: tuple[float, float]) -> None:
    random = np.random.default_rng(1)
    alarms, inside = 0, []
    for _ in range(toys):
        y, scores, w, pi = calibrated(random, weights)
        found = Calibration.of(y, scores, w)
        alarms += found.p < 0.05
        at = np.minimum((scores * 10).astype(int), 9)
        expected = [np.bincount(at, v, 10) for v in (pi, 1 - pi)]
        truth = weights[0] * expected[0] / (weights[0] * expected[0] + weights[1] * expected[1])
        # With fewer events of a class than these, no interval covers 68 % at all truths.
        many = np.minimum(*expected) > 10
        inside.append(((found.low <= truth) & (truth <= found.high))[many])
    share = float(np.mean(np.concatenate(inside)))
    print(f"{weights}: false alarms {alarms / toys:.3f}, intervals cover {share:.3f}")
    margin = 3 * math.sqrt(0.05 * 0.95 / toys)
    assert 0.05 - max(0.02, margin) <= alarms / toys <= 0.05 + max(0.03, margin)
    assert share == pytest.approx(ONE_SIGMA, abs=tolerance(toys, 0.04))


@pytest.mark.parametrize("weights", WEIGHTS)
def test_scores_that_are_right_raise_no_alarm_whatever_the_classes_weigh(
    weights: tuple[float, float],
) -> None:
    check_calibration(80, weights)


@pytest.mark.endurance
@pytest.mark.parametrize("weights", WEIGHTS)
def test_false_alarms_and_intervals_of_calibration_in_many_samples(
    weights: tuple[float, float],
) -> None:
    check_calibration(1000, weights)


# --- AUC


@pytest.mark.endurance
@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_of_an_area_covers_the_truth(weighted: bool) -> None:
    truth = true_area(1.5)

    def holds(roc: Roc) -> bool:
        return abs(roc.area.value - truth) < (roc.area.error or 0.0)

    (share,) = covered(samples(2000, 400, 400, 1.5, weighted), {"area": holds}).values()
    print(f"AUC ± σ covers {share:.3f}")
    assert share == pytest.approx(ONE_SIGMA, abs=0.04)
