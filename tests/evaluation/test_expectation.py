from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.simulation import Simulation
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.evaluation.expectation import Expectation

SIGNAL, BACKGROUND = tn.sample_files()
FEATURES = tn.FeatureSet("leading", (), ("jetPt", "jetMassSoftDrop"), jets=1)


def judged(data: Dataset) -> Evaluation:
    """Scores that nothing was trained for."""
    return Evaluation.of(data, np.tanh(data.X[:, 1] / 200))


def loaded(signal: tn.Sample | str, background: tn.Sample | str) -> Dataset:
    return tn.load(signal, background, FEATURES, progress=False)


@pytest.fixture(scope="module")
def raw() -> Dataset:
    return loaded(SIGNAL, BACKGROUND)


@pytest.mark.slow
def test_simulated_events_are_no_expectation(raw: Dataset, tmp_path: Path) -> None:
    evaluation = judged(raw)
    assert evaluation.expected is None
    asked: list[Callable[[], object]] = [
        evaluation.significance,
        lambda: evaluation.significance("s/sqrt(b)", signal=10),
        lambda: evaluation.significance(background=10),
        lambda: evaluation.working_point(significance="asimov"),
        judged(raw.split()[0]).significance,
        judged(replace(raw, weight=np.where(raw.y == 1, 0.5, 1.0).astype(np.float32))).significance,
    ]
    for ask in asked:
        with pytest.raises(DataError, match="not known how many events .* signal= and"):
            ask()
    page = evaluation.report(tmp_path / "r.html", features=(), progress=False).read_text()
    assert "S/√B" not in page
    assert "B = 20000" not in page
    assert "None is given: no cross-section and luminosity" in page


@pytest.mark.slow
def test_given_numbers_are_taken(raw: Dataset, tmp_path: Path) -> None:
    evaluation = judged(raw)
    scan = evaluation.significance("s/sqrt(b)", signal=200, background=2e4)
    passed = evaluation.scores >= scan.best.threshold
    s = 200 * passed[raw.y == 1].mean()
    b = 2e4 * passed[raw.y == 0].mean()
    assert scan.at_best == pytest.approx(s / math.sqrt(b), rel=1e-6)
    page = evaluation.report(tmp_path / "r.html", significance=scan, features=(), progress=False)
    assert "S = 200 and B = 20000 expected" in page.read_text()


def test_cross_sections_and_a_luminosity_tell_it() -> None:
    lumi = 36.0
    made = [Simulation.of(path) for path in (BACKGROUND, SIGNAL)]
    expected = [one.xsec * 1000 * lumi * one.events / one.generated for one in made]
    data = loaded(*(tn.Sample(p, xsec=Simulation.of(p).xsec, lumi=lumi) for p in tn.sample_files()))
    assert judged(data).expected == pytest.approx(expected, rel=1e-5)
    assert judged(tn.sample(lumi=lumi)).expected == pytest.approx(expected, rel=1e-5)
    part = judged(data.split(0.3)[1])
    assert part.expected == pytest.approx(expected, rel=1e-5), "of the whole sample"
    scan = part.significance("s/sqrt(b)", min_background=200)
    assert (scan.background, scan.signal) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_scale_of_one_is_a_scale(raw: Dataset) -> None:
    """20 000 events of 20 pb at 1/fb count 1 each, as those of which nothing is known do."""
    signal, background = (
        tn.Sample(path, xsec=Simulation.of(path).generated / 1000) for path in tn.sample_files()
    )
    data = loaded(signal, background)
    assert (data.weight == 1).all()
    assert judged(data).expected == (20_000, 20_000)
    assert judged(loaded(signal, BACKGROUND)).expected is None
    assert judged(loaded(SIGNAL, background)).expected is None
    stream = tn.load(signal, background, FEATURES, stream=True, progress=False)
    assert judged(stream.sample).expected == (20_000, 20_000)


def test_events_taken_by_position_are_not_all_that_are_expected() -> None:
    """A cut keeps what is known; a tenth of the events, or some twice, are no sample."""
    data = tn.sample(lumi=36.0)
    part = data.split(0.5)[1]
    kept = data["jetPt_0"] > 400
    sums = [data.weight[kept & (data.y == kind)].sum(dtype=float) for kind in (0, 1)]
    assert judged(data[kept]).expected == pytest.approx(sums, rel=1e-5)
    assert judged(data[:]).expected == judged(data).expected
    taken = (data[::10], part[::10], data[np.r_[0:500, 20_000:20_500]], part[[0, 0, -1, -1]])
    for some in taken:
        assert judged(some).expected is None
        with pytest.raises(DataError, match="for background and signal, or .* by position"):
            judged(some).significance()


@pytest.mark.parametrize("weights", ["two", "pile-up", "class", "yields"])
def test_weights_alone_tell_no_expectation(raw: Dataset, weights: str) -> None:
    """Their sums are offered for the case that they do."""
    random = np.random.default_rng(1)
    weight = {
        "two": np.full(len(raw), 2.0),
        "pile-up": random.gamma(4, 0.25, len(raw)),
        "class": np.where(raw.y == 1, 0.5, 1.0),
        "yields": random.uniform(0.1, 0.3, len(raw)),
    }[weights].astype(np.float32)
    evaluation = judged(replace(raw, weight=weight))
    assert evaluation.expected is None
    with pytest.raises(DataError, match="weights alone do not tell") as refused:
        evaluation.significance()
    signal, background = re.findall(r"(?:signal|background)=([0-9.e+]+)", str(refused.value))
    sums = [weight[raw.y == kind].sum(dtype=float) for kind in (1, 0)]
    assert [float(signal), float(background)] == pytest.approx(sums, rel=1e-5)
    assert evaluation.significance(signal=20, background=1e4).signal == 20


@pytest.mark.slow
def test_a_stream_that_is_judged_knows_it(events: Dataset) -> None:
    samples = [tn.Sample(p, xsec=Simulation.of(p).generated / 1000) for p in tn.sample_files()]
    quick = tn.Classifier(epochs=1, hidden=(4,), embedding=(), members=1)
    stream = tn.load(*samples, stream=True, progress=False)
    evaluation = quick.fit(events, progress=False).evaluate(stream, allow_overlap=True)
    assert evaluation.expected == (20_000, 20_000)


@pytest.mark.parametrize(
    ("weight", "scaled", "is_offered"),
    [
        ((2.0, 3.0), (False, False), True),
        ((2.0, 3.0), (True, False), False),
        ((2.0, 3.0), (False, True), False),
        ((-2.0, 3.0), (False, False), False),
        ((0.0, 3.0), (False, False), False),
        ((1.0, 1.0), (False, False), False),
    ],
)
def test_sums_of_weights_are_offered_where_they_can_be_numbers_of_events(
    weight: tuple[float, float], scaled: tuple[bool, bool], is_offered: bool
) -> None:
    """Not of a class that is scaled and one that is not, nor if they are no positive numbers."""
    roc = tn.metrics.Roc.of([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], np.repeat(np.abs(weight), 2) + 1e-9)
    sums = 2 * weight[0], 2 * weight[1]
    expectation = replace(Expectation.of(roc, None, None, scaled), sums=sums)
    expectation = replace(expectation, are_weighted=weight != (1.0, 1.0))
    with pytest.raises(DataError, match="not known how many events") as refused:
        expectation.check((0, 1))
    assert ("they sum to signal=6, background=4" in str(refused.value)) == is_offered
    assert ("they sum to" in str(refused.value)) == is_offered
