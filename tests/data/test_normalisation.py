from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pytest
import uproot

from tests import real_root
from tests.ntuples import add_tree, nano, write_tree
from tfaas_nb.data.dataset import Dataset, concatenate
from tfaas_nb.data.normalisation import Sample, samples
from tfaas_nb.data.root import load, read
from tfaas_nb.errors import DataError, WeightError
from tfaas_nb.features import FeatureSet

REAL = Path(__file__).parents[3] / "shared" / "data" / "nanoAOD_2015_CMS_Open_Data_ttbar.root"
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


@pytest.mark.slow
def test_nanoaod_tells_what_was_generated(qcd: list[Path]) -> None:
    sums = {"genEventSumw": np.array([1e6, 5e5]), "genEventCount": np.array([700, 300])}
    add_tree(qcd[0], sums, "Runs")
    add_tree(qcd[1], {name: 2 * values for name, values in sums.items()}, "Runs")
    own = np.concatenate(weights())
    met = np.concatenate([nano(40 + 20 * i, seed=i)["MET_pt"] for i in (1, 2)])
    weighted = read(Sample(qcd, xsec=2.0, weight="genWeight"))
    np.testing.assert_allclose(weighted.weight, own * 2000 / 4.5e6, rtol=1e-6)
    product = "genWeight * MET_pt / 100"
    expression = read(Sample(qcd, xsec=2.0, weight=product, sum_weights=4e6))
    np.testing.assert_allclose(expression.weight, own * met / 100 * 2000 / 4e6, rtol=1e-6)
    with pytest.raises(WeightError, match="60 of 1000 generated events are left"):
        read(Sample(qcd, xsec=2.0, weight=product))
    with pytest.warns(UserWarning, match="genWeight of both signs"):
        counted = read(Sample(qcd, xsec=2.0), cut=CUT)
    np.testing.assert_allclose(counted.weight, 2000 / 3000, rtol=1e-6)
    told = read(Sample(qcd, xsec=2.0, weight="genWeight", sum_weights=10.0))
    np.testing.assert_allclose(told.weight, own * 200, rtol=1e-6)


def test_another_weight_is_summed_over_the_entries(qcd: list[Path]) -> None:
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


@pytest.mark.slow
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
        ({"xsec": 1.0, "sum_weights": 0.0}, "sum_weights=0.0 of a sample must be a number other"),
        ({"xsec": 1.0, "sum_weights": float("nan")}, "sum_weights=nan of a sample must be a"),
        ({"xsec": 1.0, "sum_weights": "genEventSumw"}, "sum_weights='genEventSumw' of a sample"),
        ({"xsec": "2 pb"}, "xsec='2 pb' of a sample must be a positive number"),
        ({"xsec": True}, "xsec=True of a sample must be a positive number"),
        ({"xsec": 1e300}, "xsec=1e.300 of a sample must be a positive number of pb, from 1e-15 to"),
        ({"xsec": 1e-300}, "xsec=1e-300 of a sample must be a positive number of pb, from 1e-15"),
        ({"xsec": 1.0, "lumi": 1e300}, "lumi=1e.300 of a sample must be a positive number of fb⁻¹"),
        ({"xsec": 1.0, "lumi": 10**400}, "to 1e.09: the LHC gives about 100 fb⁻¹ in a good year"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Sample("a.root", **values)


def test_weights_that_cancel_cannot_be_scaled(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", nano(4) | {"MET_pt": np.array([1.0, -1, 2, -2])})
    with pytest.raises(DataError, match=r"a\.root add up to 0\.0: no cross-section"):
        read(Sample(path, xsec=1.0, weight="MET_pt"))


# Skims of events of which all is known.

_RANDOM = np.random.default_rng(11)
GENERATOR = _RANDOM.choice([-1.5, 2.0, 3.0], 400).astype(np.float32)
MET = _RANDOM.uniform(1, 300, 400).astype(np.float32)
XSEC, LUMI = 2.5, 36.3
EXPECTED = XSEC * LUMI * 1000  # events, from pb and 1/fb
FEATURES = FeatureSet("met", "MET_pt")

#: Weight → the same of an event, in Python.
WEIGHTS: dict[str, Callable[[float, float], float]] = {
    "genWeight": lambda g, met: g,
    "2*genWeight": lambda g, met: 2 * g,
    "genWeight/1000": lambda g, met: g / 1000,
    "-genWeight": lambda g, met: -g,
    "(genWeight)": lambda g, met: g,
    "genWeight*0.5*3": lambda g, met: g * 1.5,
    "pow(10, 2) * (genWeight / -4)": lambda g, met: g * -25,
    "1": lambda g, met: 1.0,
    "0.5 * 3": lambda g, met: 1.5,
    "genWeight/abs(genWeight)": lambda g, met: math.copysign(1, g),
    "(genWeight>0)-(genWeight<0)": lambda g, met: math.copysign(1, g),
    "sign(genWeight)": lambda g, met: math.copysign(1, g),
    "where(genWeight > 0, 1, -1)": lambda g, met: math.copysign(1, g),
    "genWeight > 0 ? 1 : -1": lambda g, met: math.copysign(1, g),
    "abs(genWeight)": lambda g, met: abs(g),
    "genWeight * MET_pt": lambda g, met: g * met,
    "MET_pt": lambda g, met: met,
    "genWeight + 1": lambda g, met: g + 1,
}
#: Those of which the sum is known from ``Runs``, whatever was skimmed.
CANCEL = list(WEIGHTS)[:9]
NANO = {"run", "genEventSumw", "genEventCount"}
HALVES = [np.arange(400) < 150, np.arange(400) >= 150]
KEPT = MET > 200


def of_events(weight: str) -> list[float]:
    """The weight of each event that was generated, by a loop."""
    events = zip(GENERATOR.tolist(), MET.tolist(), strict=True)
    return [WEIGHTS[weight](generator, met) for generator, met in events]


def scaled(weight: str) -> npt.NDArray[np.float64]:
    """Weights of the generated events, scaled to the cross-section."""
    values = of_events(weight)
    return np.array([value * EXPECTED / math.fsum(values) for value in values])


def skim(path: Path, events: Any, runs: set[str] | None, generated: Any) -> Path:
    """Some of the events, and what ``Runs`` tells of those generated."""
    write_tree(path, {"MET_pt": MET[events], "genWeight": GENERATOR[events]}, "Events")
    weights = GENERATOR[generated].astype(np.float64)
    known = {
        "genEventSumw": np.array([weights[:70].sum(), weights[70:].sum()]),
        "genEventCount": np.array([len(weights[:70]), len(weights[70:])]),
        "run": np.array([1, 2], np.uint32),
    }
    if runs is not None:
        add_tree(path, {name: known[name] for name in known if name in runs}, "Runs")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of both halves: whole, without ``Runs``, and skimmed."""
    folder = tmp_path_factory.mktemp("skims")
    for i, half in enumerate(HALVES):
        skim(folder / f"whole{i}.root", half, NANO, half)
        skim(folder / f"plain{i}.root", half, None, half)
        skim(folder / f"skim{i}.root", half & KEPT, NANO, half)
        skim(folder / f"bare{i}.root", half, {"run"}, half)
        skim(folder / f"uncounted{i}.root", half, {"run", "genEventSumw"}, half)
    return folder


def sample(files: Any, weight: str | None, **options: Any) -> Sample:
    return Sample(files, xsec=XSEC, lumi=LUMI, weight=weight, **options)


def weights_read(sample: Sample, **options: Any) -> Any:
    return read(sample, FEATURES, **options).weight


def weights_streamed(sample: Sample, **options: Any) -> Any:
    stream = read(sample, FEATURES, stream=True, **options)
    chunks = np.concatenate([chunk.weight for chunk in stream.chunks()])
    np.testing.assert_array_equal(chunks, stream.sample.weight)
    return chunks


READINGS = pytest.mark.parametrize("weights_of", [weights_read, weights_streamed])


@READINGS
@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_whole_sample_sums_to_cross_section_times_luminosity(
    weight: str, weights_of: Any, folder: Path
) -> None:
    for files in ("whole*.root", "plain*.root"):
        whole = weights_of(sample(folder / files, weight))
        assert whole.sum(dtype=np.float64) == pytest.approx(EXPECTED, rel=1e-6)
        np.testing.assert_allclose(whole, scaled(weight), rtol=2e-6)
        selected = weights_of(sample(folder / files, weight), cut="MET_pt > 200")
        np.testing.assert_allclose(selected, scaled(weight)[KEPT], rtol=2e-6)


@READINGS
@pytest.mark.parametrize("weight", CANCEL)
def test_a_skim_keeps_the_weights_that_its_events_had(
    weight: str, weights_of: Any, folder: Path
) -> None:
    skimmed = weights_of(sample(folder / "skim*.root", weight))
    np.testing.assert_allclose(skimmed, scaled(weight)[KEPT], rtol=2e-6)


@READINGS
@pytest.mark.parametrize("weight", [one for one in WEIGHTS if one not in CANCEL])
def test_a_skim_of_which_the_sum_is_not_known_asks_for_it(
    weight: str, weights_of: Any, folder: Path
) -> None:
    files = folder / "skim*.root"
    for on_error in ("stop", "skip"):
        with pytest.raises(WeightError, match=r"skim0\.root: it was skimmed: \d+ of 150") as raised:
            weights_of(sample(files, weight), on_error=on_error)
        assert "say sum_weights=" in str(raised.value)
    total = math.fsum(of_events(weight))
    skimmed = weights_of(sample(files, weight, sum_weights=total))
    np.testing.assert_allclose(skimmed, scaled(weight)[KEPT], rtol=2e-6)


@READINGS
@pytest.mark.parametrize("weight", ["genWeight", "1", "MET_pt"])
@pytest.mark.parametrize("other", ["plain1.root", "bare1.root", "uncounted1.root"])
def test_sums_of_different_kinds_are_never_added(
    weight: str, other: str, weights_of: Any, folder: Path
) -> None:
    files = [folder / "whole0.root", folder / other]
    if (weight, other) == ("genWeight", "uncounted1.root"):  # both tell the sum of genWeight
        np.testing.assert_allclose(weights_of(sample(files, weight)), scaled(weight), rtol=2e-6)
        return
    for order in (files, files[::-1]):
        with pytest.raises(WeightError, match="cannot be added|not the number of events") as raised:
            weights_of(sample(order, weight))
        assert other in str(raised.value)
        assert "say sum_weights=" in str(raised.value)
        known = weights_of(sample(order, weight, sum_weights=EXPECTED))
        assert sorted(known) == pytest.approx(sorted(of_events(weight)), rel=1e-6)


def test_a_tree_with_more_events_than_were_generated_is_refused(tmp_path: Path) -> None:
    everything = np.full(400, True)
    file = skim(tmp_path / "a.root", everything, NANO, np.arange(400) < 100)
    with pytest.raises(WeightError, match="400 entries, but Runs counts 100 generated events"):
        weights_read(sample(file, "genWeight"))


def test_a_file_of_which_no_event_is_left_counts_in_the_sum(tmp_path: Path) -> None:
    files = [
        skim(tmp_path / "a.root", HALVES[0], NANO, HALVES[0]),
        skim(tmp_path / "b.root", np.full(400, False), NANO, HALVES[1]),
    ]
    np.testing.assert_allclose(
        weights_read(sample(files, "genWeight")), scaled("genWeight")[:150], rtol=2e-6
    )


@READINGS
@pytest.mark.parametrize("files", ["whole*.root", "plain*.root"])
def test_generator_weights_of_both_signs_are_not_left_out_unnoticed(
    weights_of: Any, files: str, folder: Path
) -> None:
    message = f"{files[:5]}0.root, {files[:5]}1.root have genWeight of both signs"
    with pytest.warns(UserWarning, match=message) as warned:
        counted = weights_of(sample(folder / files, None))
    assert len(warned) == 1
    assert "weight='genWeight'" in str(warned[0].message)
    np.testing.assert_allclose(counted, EXPECTED / 400, rtol=1e-6)
    with pytest.warns(UserWarning, match="both signs"):
        weights_of(sample(folder / files, None, sum_weights=1.0))


@READINGS
def test_no_warning_where_the_signs_are_seen_to_or_do_not_matter(
    weights_of: Any, folder: Path, tmp_path: Path
) -> None:
    weights_of(Sample(folder / "whole*.root", xsec=XSEC, weight=1))
    weights_of(Sample(folder / "whole*.root", xsec=XSEC), weight="genWeight")
    weights_of(Sample(folder / "whole*.root"))
    positive = GENERATOR > 0
    weights_of(Sample(skim(tmp_path / "a.root", positive, NANO, positive), xsec=XSEC))
    values = {"MET_pt": MET, "genWeight": ak.Array([[1.0, -1.0]] * 400)}
    weights_of(Sample(write_tree(tmp_path / "b.root", values, "Events"), xsec=XSEC))


def test_signs_are_those_of_the_whole_sample(tmp_path: Path) -> None:
    positive = GENERATOR > 0
    files = [
        skim(tmp_path / f"{i}.root", signs, None, signs)
        for i, signs in enumerate((positive, ~positive, positive, positive))
    ]
    with pytest.warns(UserWarning, match=r"0\.root, 1\.root, 2\.root and 1 more have genWeight of"):
        weights_read(sample(files, None))


def test_it_is_known_which_classes_are_scaled(folder: Path, tmp_path: Path) -> None:
    signal, background = sample(folder / "whole0.root", "1"), sample(folder / "whole1.root", "1")
    raw = folder / "plain0.root"
    for classes, expected in {
        (signal, background): (True, True),
        (raw, background): (True, False),
        (signal, raw.with_name("plain1.root")): (False, True),
        (raw, raw.with_name("plain1.root")): (False, False),
    }.items():
        data = load(*classes, FEATURES)
        stream = load(*classes, FEATURES, stream=True)
        assert data.scaled == stream.scaled == stream.sample.scaled == expected
        assert data.split()[0].scaled == stream.split()[1].sample.scaled == expected
        assert data[data.weight > 0].with_negative_weights("ignore").scaled == expected
        assert concatenate([data, data.signal]).scaled == expected
    mixed = load(signal, [background, raw], FEATURES)
    assert mixed.scaled == (False, True)
    both = concatenate([load(signal, background, FEATURES), load(raw, background, FEATURES)])
    assert both.scaled == (True, False)


def test_both_trees_may_be_ntuples(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        events = {"MET_pt": MET[KEPT], "genWeight": GENERATOR[KEPT]}
        file.mkrntuple("Events", ak.Array(events))
        total = GENERATOR.sum(dtype=np.float64)
        file.mkrntuple("Runs", ak.Array({"genEventSumw": [total], "genEventCount": [400]}))
    skimmed = weights_read(sample(path, "-genWeight / 3"))
    np.testing.assert_allclose(skimmed, scaled("genWeight")[KEPT], rtol=2e-6)
    with pytest.raises(WeightError, match=f"{KEPT.sum()} of 400 generated events are left"):
        weights_read(sample(path, "sign(genWeight)"))


@pytest.mark.slow
def test_skims_that_root_merged_into_one_file(folder: Path, tmp_path: Path) -> None:
    files = [str(folder / f"skim{i}.root") for i in (0, 1)]
    script = f"""
        merger = ROOT.TFileMerger(False)
        merger.OutputFile("merged.root", "RECREATE")
        for name in {files!r}:
            merger.AddFile(name)
        assert merger.Merge()
    """
    real_root.run(script, tmp_path)
    merged = weights_read(sample(tmp_path / "merged.root", "2*genWeight"))
    np.testing.assert_allclose(merged, scaled("genWeight")[KEPT], rtol=2e-6)
    with pytest.raises(WeightError, match=f"{KEPT.sum()} of 400 generated events are left"):
        weights_read(sample(tmp_path / "merged.root", "abs(genWeight)"))


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_file(), reason="the file is not here")
def test_a_public_file_sums_to_its_cross_section() -> None:
    with uproot.open(REAL) as file:
        generator = file["Events/genWeight"].array().tolist()
    signs = [math.copysign(1, one) for one in generator]  # all are ± the same number
    expected = [one * 831.8 * 2300 / math.fsum(signs) for one in signs]
    for weight in ("genWeight/abs(genWeight)", "2*genWeight"):
        data = read(Sample(REAL, xsec=831.8, lumi=2.3, weight=weight), FEATURES)
        np.testing.assert_allclose(data.weight, expected, rtol=1e-6)


@pytest.mark.parametrize("total", [1e-40, -1e38])
def test_a_sum_of_weights_that_no_weight_survives_is_refused(qcd: list[Path], total: float) -> None:
    xsec = 1e-15 if abs(total) > 1 else 1.0
    with pytest.raises(DataError, match=r"add up to -?1e[-+]\d\d: to scale them to xsec=.*sum_"):
        read(Sample(qcd, xsec=xsec, weight="MET_pt", sum_weights=total))


@pytest.mark.parametrize("stream", [False, True])
def test_a_sample_that_weighs_nothing_is_told_with_file_and_branch(
    tmp_path: Path, stream: bool
) -> None:
    files = []
    for number, weight in enumerate((0.0, 0.0, 1.0, 1.0)):
        values = {**nano(30, seed=number), "w": np.full(30, weight, np.float32)}
        files.append(write_tree(tmp_path / f"{number}.root", values, "Events"))

    def events(*signal: Path, weight: Any = "w", cut: str | None = None) -> Any:
        found = load(
            [Sample(list(signal), weight=weight)], files[3], cut=cut, stream=stream, progress=False
        )
        return found.weight_sums if stream else found

    words = "is 0 for all 60 selected events of signal in 0.root, 1.root: they count for nothing"
    with pytest.warns(UserWarning, match=rf"^weight='w' {words}"):
        events(files[0], files[1])
    with pytest.warns(UserWarning, match=r"^weight='2 \* w' is 0 for all 30 selected"):
        events(files[0], files[2], weight="2 * w")
    with pytest.warns(UserWarning, match=r"^weight=0 is 0 for all 30 selected"):
        events(files[2], weight=0)
    events(files[2])  # and no warning
    few = int(np.sort(nano(30, seed=0)["MET_pt"])[-3])
    events(files[0], files[2], cut=f"MET_pt > {few}")  # nor of a few events of one file of several


def test_a_table_that_weighs_nothing_is_told_with_its_column() -> None:
    table = {"met": [1.0, 2.0, 3.0], "w": [0.0, 1.0, 0.0], "y": [1, 0, 1]}
    with pytest.warns(UserWarning, match=r"the weight 'w' is 0 in all rows of signal: they count"):
        Dataset.from_columns(table, y="y", weight="w", features=["met"])
    with pytest.warns(UserWarning, match=r"the weight 'weight' is 0 in all rows of events"):
        Dataset.from_columns({"met": [1.0, 2.0]}, weight=[0.0, 0.0], features=["met"])
