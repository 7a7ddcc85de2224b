from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ntuples import add_tree, nano, write_tree
from tfaas_nb.data.normalisation import Sample, samples
from tfaas_nb.data.root import load, read
from tfaas_nb.errors import DataError

CUT = "MET_pt > 100"


@pytest.fixture
def qcd(tmp_path: Path) -> list[Path]:
    """Two files of one process."""
    return [
        write_tree(tmp_path / f"qcd{i}.root", nano(40 + 20 * i, seed=i), "Events") for i in (1, 2)
    ]


def weights() -> list[Any]:
    return [nano(40 + 20 * i, seed=i)["genWeight"].astype(np.float64) for i in (1, 2)]


def test_events_are_scaled_to_cross_section_and_luminosity(qcd: list[Path]) -> None:
    sample = Sample(qcd, xsec=2.5, lumi=36.3, weight="genWeight")
    own = np.concatenate(weights())
    data = read(sample)
    np.testing.assert_allclose(data.weight, own * 2.5 * 36_300 / own.sum(), rtol=1e-6)
    assert data.weight.sum(dtype=np.float64) == pytest.approx(2.5 * 36_300)
    assert data.weight.min() < 0, "negative weights are weights"


def test_the_sum_of_weights_is_that_before_the_selection(qcd: list[Path]) -> None:
    sample = Sample(qcd, xsec=2.5, weight="genWeight")
    own = np.concatenate(weights())
    met = np.concatenate([nano(40 + 20 * i, seed=i)["MET_pt"] for i in (1, 2)])
    selected = read(sample, cut=CUT)
    expected = own[met > 100] * 2500 / own.sum()
    np.testing.assert_allclose(selected.weight, expected, rtol=1e-6)


def test_nanoaod_tells_what_was_generated(qcd: list[Path]) -> None:
    sums = {"genEventSumw": np.array([1e6, 5e5]), "genEventCount": np.array([700, 300])}
    add_tree(qcd[0], sums, "Runs")
    add_tree(qcd[1], {name: 2 * values for name, values in sums.items()}, "Runs")
    own = np.concatenate(weights())
    met = np.concatenate([nano(40 + 20 * i, seed=i)["MET_pt"] for i in (1, 2)])
    weighted = read(Sample(qcd, xsec=2.0, weight="genWeight"))
    np.testing.assert_allclose(weighted.weight, own * 2000 / 4.5e6, rtol=1e-6)
    expression = read(Sample(qcd, xsec=2.0, weight="genWeight * MET_pt / 100"))
    np.testing.assert_allclose(expression.weight, own * met / 100 * 2000 / 4.5e6, rtol=1e-6)
    counted = read(Sample(qcd, xsec=2.0), cut=CUT)
    np.testing.assert_allclose(counted.weight, 2000 / 3000, rtol=1e-6)
    told = read(Sample(qcd, xsec=2.0, weight="genWeight", sum_weights=10.0))
    np.testing.assert_allclose(told.weight, own * 200, rtol=1e-6)


def test_another_weight_is_summed_over_the_entries(qcd: list[Path]) -> None:
    add_tree(qcd[0], {"genEventSumw": np.array([1e6])}, "Runs")
    met = np.concatenate([nano(40 + 20 * i, seed=i)["MET_pt"] for i in (1, 2)])
    data = read(Sample(qcd, xsec=1.0, weight="MET_pt"))
    np.testing.assert_allclose(data.weight, met * 1000 / met.sum(dtype=np.float64), rtol=1e-6)


def test_several_samples_make_a_class(qcd: list[Path], tmp_path: Path) -> None:
    ttbar = write_tree(tmp_path / "ttbar.root", nano(30, seed=9), "Events")
    data = load(
        signal=ttbar,
        background=[
            Sample(qcd[0], xsec=3.0, weight="genWeight"),
            Sample(qcd[1], xsec=5.0, lumi=2.0, weight="genWeight"),
        ],
        weight=0.5,
    )
    assert data.weight[:30].tolist() == [0.5] * 30
    assert data.weight[30:90].sum(dtype=np.float64) == pytest.approx(3000)
    assert data.weight[90:].sum(dtype=np.float64) == pytest.approx(10_000)
    assert [source.role for source in data.sources] == ["signal", "background", "background"]


def test_a_sample_without_cross_section_has_its_own_weights(qcd: list[Path]) -> None:
    assert read(Sample(qcd[0], weight="genWeight")).weight.tolist() == weights()[0].tolist()
    assert read(Sample(qcd[0]), weight="2 * genWeight").weight.tolist() == (
        (2 * weights()[0]).tolist()
    )
    assert read(qcd[0], weight="genWeight").weight.tolist() == weights()[0].tolist()


def test_plain_paths_of_a_list_are_one_sample() -> None:
    one = Sample("c.root", xsec=1.0)
    assert samples("a.root") == [Sample(["a.root"])]
    assert samples(["a.root", one, "b.root"]) == [one, Sample(["a.root", "b.root"])]
    assert samples([]) == [Sample([])]
    assert samples(one) == [one]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"xsec": 0.0}, "xsec=0.0 of a sample must be a positive number"),
        ({"xsec": -1.0}, "xsec=-1.0"),
        ({"xsec": float("nan")}, "xsec=nan"),
        ({"xsec": 1.0, "lumi": float("inf")}, "lumi=inf"),
        ({"lumi": 36.0}, "needs its cross-section, xsec= in pb"),
        ({"sum_weights": 36.0}, "needs its cross-section"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Sample("a.root", **values)


def test_weights_that_cancel_cannot_be_scaled(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", nano(4) | {"MET_pt": np.array([1.0, -1, 2, -2])})
    with pytest.raises(DataError, match=r"a\.root add up to 0\.0: no cross-section"):
        read(Sample(path, xsec=1.0, weight="MET_pt"))
