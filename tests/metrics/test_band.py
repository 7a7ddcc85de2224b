from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from tests.metrics.toys import scored
from tfaas_nb.errors import DataError
from tfaas_nb.metrics import Band, Roc, Scored

SHIFT = 1.5


def toy(seed: int, events: int = 800, weighted: bool = False) -> Scored:
    """Two Gaussians, whose true curve is known."""
    random = np.random.default_rng(seed)
    y = np.arange(events) % 2
    weight = random.exponential(1.0, events) if weighted else None
    return Scored.of(y, random.normal(SHIFT * y), weight)


def true_eps_b(eps_s: float) -> float:
    return NormalDist().cdf(NormalDist().inv_cdf(eps_s) - SHIFT)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_it_covers_the_true_curve_as_often_as_it_says(weighted: bool) -> None:
    toys = 150
    inside = {0.3: 0, 0.5: 0, 0.8: 0}
    drawn = dict.fromkeys(inside, 0)
    for seed in range(toys):
        band = Band.of(toy(seed, weighted=weighted), replicas=200, seed=seed)
        for eps_s in inside:
            low, high = band.at(eps_s)
            drawn[eps_s] += not math.isnan(low)
            inside[eps_s] += low <= true_eps_b(eps_s) <= high
    # Weights leave effectively 200 + 200 events, of which too few pass the tightest cut.
    assert drawn[0.3] > (0.5 if weighted else 0.95) * toys
    assert min(drawn[0.5], drawn[0.8]) > 0.95 * toys
    for eps_s, count in inside.items():
        sigma = np.sqrt(0.683 * 0.317 / drawn[eps_s])
        assert count / drawn[eps_s] == pytest.approx(0.683, abs=3 * sigma), eps_s


@pytest.mark.slow
def test_it_is_that_of_a_bootstrap_event_by_event() -> None:
    """With a loop, on more events than there are bins, and with weights."""
    y, scores, weight = scored(events=6000)
    events = Scored.of(y, scores, weight)
    band = Band.of(events, replicas=2000)
    random = np.random.default_rng(3)
    drawn = []
    for _ in range(400):
        w = weight * random.poisson(1.0, len(y))
        roc = Roc.of(y, scores, w)
        drawn.append(np.interp([0.3, 0.6, 0.9], roc.eps_s, roc.eps_b))
    low, high = np.quantile(drawn, [0.1585, 0.8415], axis=0)
    for i, eps_s in enumerate((0.3, 0.6, 0.9)):
        mine = band.at(eps_s)
        assert mine[1] - mine[0] == pytest.approx(high[i] - low[i], rel=0.2)
        assert np.mean(mine) == pytest.approx((high[i] + low[i]) / 2, rel=0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_its_error_of_the_area_is_delongs(weighted: bool) -> None:
    y, scores, weight = scored(events=4000)
    roc = Roc.of(y, scores, weight if weighted else None)
    assert Band.of(roc.events, replicas=1000).auc_error == pytest.approx(roc.auc_error, rel=0.1)


def test_the_curve_lies_within() -> None:
    roc = Roc.of(*scored(events=3000))
    band = Band.of(roc.events, level=0.95)
    eps_b = np.interp(band.eps_s, roc.eps_s, roc.eps_b)
    assert np.mean((band.low <= eps_b) & (eps_b <= band.high)) > 0.99
    assert (band.low <= band.high).all()


def test_a_seed_decides_it() -> None:
    events = toy(1)
    one, again, other = (Band.of(events, seed=seed) for seed in (1, 1, 2))
    assert one.low.tolist() == again.low.tolist()
    assert one.low.tolist() != other.low.tolist()


@pytest.mark.slow
def test_blocks_do_not_bound_the_number_of_replicas() -> None:
    """More numbers than a block holds."""
    band = Band.of(toy(1, events=2000), replicas=3000)
    assert band.replicas == 3000
    assert band.high[50] > band.low[50]


def test_a_handful_of_events_has_a_band() -> None:
    band = Band.of(Scored.of([0, 1, 0], [0.1, 0.9, 0.9]), replicas=50)
    assert np.isfinite([band.low, band.high]).all()
    assert ((band.low >= 0) & (band.high <= 1)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"level": 1.0}, "between 0 and 1"), ({"level": 0.0}, "0"), ({"replicas": 1}, "two replicas")],
)
def test_impossible_bands_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Band.of(toy(1), **options)  # type: ignore[arg-type]


def test_repr_tells_level_and_replicas() -> None:
    assert repr(Band.of(toy(1))).startswith("Band(68.3% of 400 replicas, seed 1; drawn ε_S 0.")


def test_where_too_few_events_are_left_there_is_no_band_and_it_says_so() -> None:
    """Of 1000 background events 0.4 are expected above the cut at ε_S = 0.2, 49 at 0.8."""
    random = np.random.default_rng(3)
    y = np.repeat([1, 0], 1000)
    band = Band.of(Scored.of(y, random.normal(2.5 * y)))
    assert np.isnan(band.at(0.2)).all()
    low, high = band.at(0.8)
    assert low < high
    begins = f"{band.eps_s[0]:.2g}"
    assert f"drawn from ε_S = {begins}" in band.extent
    assert begins in repr(band)
    separated = Band.of(Scored.of(y, y))
    assert len(separated.eps_s) == 0
    assert "No band is drawn" in separated.extent
