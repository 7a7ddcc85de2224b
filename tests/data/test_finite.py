"""Values that are not finite: what reading does with them is what a loop over events would do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.ntuples import nano, write_ntuple, write_tree
from tfaas_nb.data import event_file
from tfaas_nb.data.counting import count
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import load, read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet

FEATURES = FeatureSet(
    "some",
    ("nJets", "nLeptons", "MET_pt"),
    ("jetPt", "jetEta", "jetTau1"),
    jets=2,
    padding=-1.0,
    derived=("tau21_0", "ht"),
)
QUIET: dict[str, Any] = {"progress": False}
NAN, INF = float("nan"), float("inf")


def bad(value: float) -> bool:
    """Return True if a number is not finite as a float32."""
    with np.errstate(over="ignore"):
        return not math.isfinite(np.float32(value))


class Loop:
    """The features of each event of a NanoAOD-like file, filled one event after the other."""

    def __init__(self, path: Path, on_nan: str, cut: Callable[[dict[str, float]], bool]) -> None:
        self.rows: list[list[float]] = []
        self.entries: list[int] = []
        self.touched = self.jets = 0
        self.values: dict[str, int] = {}
        self.first: dict[str, int] = {}
        with uproot.open(path) as file:
            events = file["Events"].arrays().to_list()
        for entry, event in enumerate(events):
            self._event(entry, event, on_nan, cut)

    def _event(self, entry: int, event: dict[str, Any], on_nan: str, cut: Any) -> None:
        there, absent, broken = _jets(event, on_nan)
        leptons, lost = _leptons(event)
        met, broken = event["MET_pt"], broken + lost
        seen = {"met": met, "n": len(there), "pt0": there[0]["pt"] if there else NAN}
        seen["tau1"] = there[0]["tau1"] if there else NAN
        if not cut(seen):
            return
        if bad(met):
            broken.append("MET_pt")
        for name in broken:
            self.values[name] = self.values.get(name, 0) + 1
            self.first.setdefault(name, entry)
        self.touched += bool(broken)
        if broken and on_nan != "pad":
            return
        self.jets += absent
        row = [len(there), leptons, -1.0 if bad(met) else met]
        self.rows.append(row + _jet_columns(there[:2]))
        self.entries.append(entry)


def _jets(event: dict[str, Any], on_nan: str) -> tuple[list[dict[str, float]], int, list[str]]:
    """The jets that count in order, how many are absent, and the branches that are not finite."""
    jets, absent, broken = [], 0, []
    for i in range(len(event["FatJet_pt"])):
        jet = {name[7:]: event[name][i] for name in event if name.startswith("FatJet_")}
        passes = {"pt": jet["pt"] > 200, "eta": abs(jet["eta"]) < 2.4}
        if not all(passes[name] or bad(jet[name]) for name in passes):
            continue
        wrong = [name for name in passes if bad(jet[name])]
        wrong = wrong or [name for name in ("tau1", "tau2") if bad(jet[name])]
        broken += [f"FatJet_{name}" for name in wrong]
        absent += bool(wrong)
        if all(passes.values()) and not (wrong and on_nan == "pad"):
            jets.append(jet)
    return sorted(jets, key=lambda jet: -jet["pt"]), absent, broken


def _leptons(event: dict[str, Any]) -> tuple[int, list[str]]:
    """The number of leptons that count, and the branches that are not finite."""
    count, broken = 0, []
    for kind, identified, least in (("Electron", "cutBased", 2), ("Muon", "looseId", 1)):
        for i, pt in enumerate(event[f"{kind}_pt"]):
            eta, isolation = event[f"{kind}_eta"][i], event[f"{kind}_pfRelIso03_all"][i]
            values = {"pt": pt, "eta": eta, "pfRelIso03_all": isolation}
            limits = {"pt": pt > 20, "eta": abs(eta) < 2.4, "pfRelIso03_all": isolation < 0.15}
            wrong = [name for name in values if bad(values[name])]
            good = event[f"{kind}_{identified}"][i] >= least
            if good and all(limits[name] or name in wrong for name in limits):
                broken += [f"{kind}_{name}" for name in wrong]
                count += not wrong
    return count, broken


def _jet_columns(leading: list[dict[str, float]]) -> list[float]:
    row: list[float] = []
    for name in ("pt", "eta", "tau1"):
        own = [max(j[name], 0.0) if name == "tau1" else j[name] for j in leading]
        row += own + [-1.0] * (2 - len(own))
    ratio = -1.0
    if leading:
        tau1, tau2 = (max(leading[0][name], 0.0) for name in ("tau1", "tau2"))
        ratio = tau2 / tau1 if tau1 > 0 else 0.0
    return [*row, ratio, sum(jet["pt"] for jet in leading)]


def broken(values: float, seed: int = 3) -> dict[str, Any]:
    """NanoAOD-like branches, with such a value here and there in several of them."""
    random, branches = np.random.default_rng(seed), nano(120, seed)
    for name in ("FatJet_pt", "FatJet_eta", "FatJet_tau1", "FatJet_tau2", "FatJet_tau4"):
        column = ak.values_astype(branches[name], np.float64)
        flat = ak.to_numpy(ak.flatten(column)).copy()
        flat[random.random(len(flat)) < 0.03] = values
        branches[name] = ak.unflatten(flat, ak.num(column))
    for name in ("Electron_pt", "Electron_eta", "Muon_pfRelIso03_all"):
        column = branches[name]
        flat = ak.to_numpy(ak.flatten(column)).copy()
        if not math.isfinite(values):
            flat[random.random(len(flat)) < 0.1] = values
        branches[name] = ak.unflatten(flat, ak.num(column))
    met = branches["MET_pt"].astype(np.float64)
    met[random.random(len(met)) < 0.05] = values
    return branches | {"MET_pt": met}


CUTS: dict[str, tuple[str | None, Callable[[dict[str, float]], bool]]] = {
    "all": (None, lambda seen: True),
    "met": ("MET_pt > 50", lambda seen: seen["met"] > 50),
    "removes": (
        "isfinite(MET_pt) & nJets > 0 & !isnan(jetTau1_0)",
        lambda seen: math.isfinite(seen["met"]) and seen["n"] > 0 and not math.isnan(seen["tau1"]),
    ),
    "jet": ("jetPt_0 > 500 & nJets < 5", lambda seen: seen["pt0"] > 500 and seen["n"] < 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("on_nan", ["skip", "pad"])
@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e300])
def test_events_are_skipped_or_padded_as_a_loop_over_events_would(
    tmp_path: Path, value: float, on_nan: Any
) -> None:
    path = write_tree(tmp_path / "nano.root", broken(value), "Events")
    for text, passes in CUTS.values():
        expected = Loop(path, on_nan, passes)
        assert expected.touched > 3
        data = read(path, FEATURES, cut=text, keep=("event", "MET_pt"), on_nan=on_nan, **QUIET)
        assert (data.extra["event"] - nano(1)["event"][0]).tolist() == expected.entries, text
        np.testing.assert_allclose(data.X, np.array(expected.rows, np.float32), rtol=1e-6)
        (source,) = data.sources
        assert source.not_finite is not None
        found = source.not_finite
        assert (found.on_nan, found.events, found.jets) == (on_nan, expected.touched, expected.jets)
        assert dict(found.values) == expected.values


@pytest.mark.slow
@pytest.mark.parametrize("value", [NAN, INF, 1e300])
def test_the_error_names_file_branch_number_first_entry_and_the_ways_on(
    tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, passes = CUTS["met"]
    path = write_tree(tmp_path / "nano.root", broken(value), "Events")
    expected = Loop(path, "error", passes)
    whole = ""
    for step in (200_000, 50):  # however much is read at a time
        monkeypatch.setattr(event_file.steps, "__defaults__", (step,))
        with pytest.raises(DataError) as raised:
            read(path, FEATURES, cut=text, **QUIET)
        assert str(raised.value) == (whole or str(raised.value))
        whole = str(raised.value)
    name = whole.split("'")[1]
    assert name in expected.values
    assert str(path) in whole
    held = f"holds {expected.values[name]} values that are not finite"
    assert re.search(rf"{held}, the first in entry {expected.first[name]}\b", whole)
    for other in expected.values:
        assert f"'{other}'" in whole or re.search(r"\d more: ", whole)
    assert "on_nan='skip' leaves such events out" in whole
    assert "on_nan='pad' takes" in whole
    assert ("too large for a float32" in whole) is (value == 1e300)


def test_nothing_is_wrong_with_events_that_are_not_selected(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "nano.root", broken(NAN), "Events")
    text, passes = "isfinite(MET_pt)", lambda seen: math.isfinite(seen["met"])
    met = FeatureSet("met", "MET_pt")
    expected = [row[2] for row in Loop(path, "pad", passes).rows]
    data = read(path, met, cut=text, **QUIET)
    np.testing.assert_allclose(data.X[:, 0], expected, rtol=1e-6)
    by_function = read(path, met, cut=lambda data: np.isfinite(data.X[:, 0]), **QUIET)
    np.testing.assert_array_equal(by_function.X, data.X)
    assert "left out" not in repr(data)
    assert data.files.columns[-1] == "events kept"
    looked_at = read(path, FeatureSet("run", "run"), cut="jetTau1_0 > 0 | MET_pt < 1e9", **QUIET)
    assert len(looked_at) > 60


@pytest.mark.parametrize("on_nan", ["skip", "pad"])
def test_what_was_done_is_told_of_each_file(tmp_path: Path, on_nan: Any) -> None:
    clean = write_tree(tmp_path / "a.root", nano(), "Events")
    path = write_tree(tmp_path / "b.root", broken(NAN), "Events")
    data = load(clean, path, FEATURES, on_nan=on_nan, **QUIET)
    expected = Loop(path, on_nan, lambda seen: True)
    done = "left out" if on_nan == "skip" else "padded"
    assert f"{expected.touched} events {done} for values that are not finite" in repr(data)
    assert data.files.columns[-1] == "not finite"
    first, second = (row[-1] for row in data.files.rows)
    assert first == ""
    assert second.startswith(f"{expected.touched} events {done}")
    assert ("jets taken as absent" in second) is (on_nan == "pad")
    number = expected.values["FatJet_tau1"]
    assert f"FatJet_tau1: {number} value" in second
    assert second in data._repr_html_()


@pytest.mark.slow
@pytest.mark.parametrize("on_nan", ["skip", "pad"])
@pytest.mark.parametrize("cut", [None, "jetPt_0 > 300"])
def test_a_stream_reads_the_same(tmp_path: Path, on_nan: Any, cut: str | None) -> None:
    clean = write_tree(tmp_path / "a.root", nano(), "Events")
    path = write_tree(tmp_path / "b.root", broken(NAN), "Events")
    options = {"cut": cut, "on_nan": on_nan, **QUIET}
    data = load(clean, path, FEATURES, **options)
    stream = load(clean, path, FEATURES, **options, stream=True, memory=1)
    assert len(stream) == len(data)
    with closing(stream.chunks()) as chunks:
        X = np.concatenate([chunk.X for chunk in chunks])
    np.testing.assert_array_equal(X, data.X)
    assert stream.counts == (len(data.background), len(data.signal))
    assert [s.not_finite for s in stream.sources] == [s.not_finite for s in data.sources]
    assert "for values that are not finite" in repr(stream)
    counted = list(count({"signal": path}, Reading(FEATURES, cut=cut, on_nan=on_nan)))[-1]
    if cut:
        assert counted["signal"].passed == len(data.background)


def test_a_stream_refuses_as_reading_does(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "b.root", broken(NAN), "Events")
    with pytest.raises(DataError) as whole:
        read(path, FEATURES, **QUIET)
    stream = read(path, FEATURES, **QUIET, stream=True, memory=1)
    with pytest.raises(DataError) as streamed, closing(stream.chunks()) as chunks:
        list(chunks)
    assert str(streamed.value) == str(whole.value)


@pytest.mark.slow
@pytest.mark.parametrize("on_nan", ["skip", "pad", "error"])
def test_a_cluster_reads_the_same(
    two: Any, tmp_path: Path, on_nan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = write_tree(tmp_path / "a.root", nano(), "Events")
    path = write_tree(tmp_path / "b.root", broken(NAN), "Events")
    monkeypatch.setattr(event_file.steps, "__defaults__", (17,))
    told = []
    for cluster in (None, two):
        try:
            data = load(clean, path, FEATURES, on_nan=on_nan, cluster=cluster, **QUIET)
            told.append((data.X.tobytes(), data.sources))
        except DataError as error:
            told.append((str(error), ()))
    assert told[0] == told[1]


def test_the_number_of_jets_in_a_flat_file_falls_with_the_jets(tmp_path: Path) -> None:
    pt = ak.Array([[500.0, 400.0, 300.0], [600.0, NAN], [], [450.0]])
    tau = ak.Array([[0.1, NAN, 0.3], [0.4, 0.5], [], [INF]])
    branches = {"nJets": np.array([3, 2, 0, 1]), "jetPt": pt, "jetTau1": tau}
    path = write_tree(tmp_path / "flat.root", branches)
    features = FeatureSet("flat", "nJets", ("jetPt", "jetTau1"), jets=2)
    data = read(path, features, on_nan="pad", **QUIET)
    expected = [
        [2, 500, 300, 0.1, 0.3],
        [1, 600, 0, 0.4, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(data.X, np.array(expected, np.float32))
    assert len(read(path, features, on_nan="pad", cut="nJets >= 2", **QUIET)) == 1
    own = read(path, features, branches={"nJets": "nJets"}, on_nan="pad", **QUIET)
    assert own.X[:, 0].tolist() == [3, 2, 0, 1]  # whatever it is that was named counts
    assert len(read(path, features, on_nan="skip", **QUIET)) == 1


def test_jets_without_a_number_to_order_by_come_last(tmp_path: Path) -> None:
    pt = ak.Array([[NAN, 300.0, 500.0], [300.0, NAN, 500.0], [500.0, 300.0, NAN]])
    path = write_tree(tmp_path / "flat.root", {"jetPt": pt, "x": np.arange(3.0)})
    x = FeatureSet("x", "x", jets=3)
    assert len(read(path, x, cut="jetPt_0 == 500 & jetPt_1 == 300 & isnan(jetPt_2)", **QUIET)) == 3


@pytest.mark.parametrize("fixed", [False, True])
def test_slots_of_a_flattened_file_are_jets(tmp_path: Path, fixed: bool) -> None:
    pt = np.array([[500.0, 400.0], [600.0, NAN], [300.0, 250.0]])
    tau = np.array([[NAN, 0.2], [0.3, NAN], [0.5, 0.6]])
    branches: dict[str, Any] = {"jetPt": pt, "jetTau1": tau}
    if not fixed:
        branches = {f"{name}_{i}": v[:, i] for name, v in branches.items() for i in range(2)}
    path = write_tree(tmp_path / "flat.root", branches)
    features = FeatureSet("flat", (), ("jetPt", "jetTau1"), jets=2)
    name = "jetTau1" if fixed else "jetTau1_0"
    with pytest.raises(DataError, match=rf"'{name}' .* 1 value that is .* in entry 0"):
        read(path, features, **QUIET)
    padded = read(path, features, on_nan="pad", **QUIET)
    rows = [[400, 0, 0.2, 0], [600, 0, 0.3, 0], [300, 250, 0.5, 0.6]]
    np.testing.assert_allclose(padded.X, np.array(rows, np.float32))
    skipped = read(path, features, on_nan="skip", **QUIET)
    np.testing.assert_allclose(skipped.X, np.array(rows[1:], np.float32))


def test_derived_quantities_beyond_float32_are_values_of_their_own(tmp_path: Path) -> None:
    branches = {"jetPt": ak.Array([[3e38, 2e38], [500.0, 400.0]])}
    path = write_tree(tmp_path / "flat.root", branches)
    features = FeatureSet("ht", derived=("ht",), jets=2, padding=-1.0)
    with pytest.raises(DataError, match=r"'ht' .*in entry 0 .5e\+38 is too large for a float32"):
        read(path, features, **QUIET)
    assert read(path, features, on_nan="pad", **QUIET).X.tolist() == [[-1.0], [900.0]]
    assert read(path, features, on_nan="skip", **QUIET).X.tolist() == [[900.0]]


def test_a_number_that_an_ntuple_does_not_have_is_padded_or_skipped(tmp_path: Path) -> None:
    path = write_ntuple(tmp_path / "a.root", {"x": ak.Array([1.0, None, 3.0])})
    x = FeatureSet("x", "x", padding=-9.0)
    assert read(path, x, on_nan="pad", **QUIET).X[:, 0].tolist() == [1.0, -9.0, 3.0]
    assert read(path, x, on_nan="skip", **QUIET).X[:, 0].tolist() == [1.0, 3.0]


# Weights.


@pytest.fixture
def weighted(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Twelve events; weights 3 and 8 and x of 5 are not finite."""
    branches = {"x": np.arange(12.0), "w": np.linspace(0.5, 6.0, 12)}
    branches["w"][[3, 8]] = NAN, INF
    branches["x"][5] = NAN
    return write_tree(tmp_path / "w.root", branches), branches


@pytest.mark.parametrize("weight", ["w", "w * 1"])
def test_events_of_weights_that_are_not_finite_are_refused_or_skipped(
    weighted: tuple[Path, dict[str, Any]], weight: str
) -> None:
    path, branches = weighted
    x = FeatureSet("x", "x")
    message = r"weight .w.* 2 values that are not finite, the first in entry 3"
    with pytest.raises(DataError, match=message) as raised:
        read(path, x, weight=weight, cut="x > 1 & x < 20", **QUIET)
    assert "on_nan='skip'" in str(raised.value)
    with pytest.raises(DataError, match="a weight cannot be padded"):
        read(path, x, weight=weight, on_nan="pad", **QUIET)
    padded = read(path, x, weight=weight, on_nan="pad", cut="x < 3 | isnan(x)", **QUIET)
    assert padded.X[:, 0].tolist() == [0.0, 1.0, 2.0, 0.0]
    data = read(path, x, weight=weight, on_nan="skip", **QUIET)
    kept = [i for i in range(12) if i not in (3, 5, 8)]
    assert data.X[:, 0].tolist() == kept
    np.testing.assert_allclose(data.weight, branches["w"][kept])
    assert data.sources[0].not_finite is not None
    assert data.sources[0].not_finite.weights == pytest.approx(branches["w"][5])
    assert len(read(path, x, weight=weight, cut="x < 3", **QUIET)) == 3


def test_a_sample_keeps_its_cross_section_less_what_was_left_out(
    weighted: tuple[Path, dict[str, Any]],
) -> None:
    path, branches = weighted
    x, w = FeatureSet("x", "x"), branches["w"]
    total = sum(value for value in w if math.isfinite(value))
    sample = Sample(path, xsec=2.0, lumi=3.0, weight="w")
    for stream in (False, True):
        data: Any = read(sample, x, on_nan="skip", stream=stream, **QUIET)
        data = next(data.chunks()) if stream else data
        # The event whose x is not finite was generated all the same; those without a weight
        # cannot count.
        expected = 2000.0 * 3.0 * (total - w[5]) / total
        assert float(data.weight.sum(dtype=float)) == pytest.approx(expected, rel=1e-6)
        selected: Any = read(sample, x, on_nan="skip", cut="x < 3", stream=stream, **QUIET)
        selected = next(selected.chunks()) if stream else selected
        assert float(selected.weight.sum()) == pytest.approx(6000.0 * w[:3].sum() / total)


def test_the_sum_of_weights_needs_those_of_events_that_are_not_selected(
    weighted: tuple[Path, dict[str, Any]],
) -> None:
    path, branches = weighted
    x = FeatureSet("x", "x")
    sample = Sample(path, xsec=2.0, weight="w")
    for how in ("error", "pad"):
        with pytest.raises(DataError, match=r"2 values .*sum of weights takes all entries") as why:
            read(sample, x, cut="x < 3", on_nan=how, **QUIET)  # type: ignore[arg-type]
        assert "sum_weights=" in str(why.value)
        assert "the first in entry 3:" in str(why.value)
    known = Sample(path, xsec=2.0, weight="w", sum_weights=10.0)
    data = read(known, x, cut="x < 3", **QUIET)
    np.testing.assert_allclose(data.weight, branches["w"][:3] * 200.0)


# A class without events.


def test_a_class_that_lost_all_of_its_files_is_an_error(tmp_path: Path) -> None:
    fine = write_tree(tmp_path / "b.root", nano(), "Events")
    (tmp_path / "s.root").write_bytes(b"broken" * 200)
    for stream in (False, True):
        with pytest.raises(DataError, match=r"no event of signal is left .*s\.root cannot be"):
            load(tmp_path / "s.root", fine, FEATURES, on_error="skip", stream=stream, **QUIET)  # type: ignore[call-overload]


@pytest.mark.slow
def test_a_class_that_lost_all_of_its_events_is_an_error(tmp_path: Path) -> None:
    fine = write_tree(tmp_path / "b.root", nano(), "Events")
    lost = write_tree(tmp_path / "s.root", nano() | {"MET_pt": np.full(60, NAN)}, "Events")
    met = FeatureSet("met", "MET_pt")
    with pytest.raises(DataError, match=r"no event of signal is left .*60 events left out"):
        load(lost, fine, met, on_nan="skip", **QUIET)
    stream = load(lost, fine, met, on_nan="skip", stream=True, **QUIET)
    with pytest.raises(DataError, match=r"no event of signal is left .*60 events left out"):
        len(stream)
    with pytest.raises(DataError, match=r"no event of background .* not finite"):
        load(fine, lost, met, on_error="skip", **QUIET)
    none = read(fine, met, cut="run < 0", **QUIET)
    assert len(none) == 0  # nothing was lost: the selection is to blame


def test_a_treatment_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", nano(), "Events")
    with pytest.raises(DataError, match=r"on_nan='drop' must be one of 'error', 'skip', 'pad'"):
        read(path, FEATURES, on_nan="drop", **QUIET)  # type: ignore[call-overload]


def test_comparisons_with_nan_are_false_whatever_it_is_computed_of(tmp_path: Path) -> None:
    tau1, tau2 = [0.5, NAN, 0.5, 0.0, INF], [0.1, 0.1, NAN, 0.1, 0.1]
    jets = {"jetPt": [500.0] * 5, "jetTau1": tau1, "jetTau2": tau2}
    branches = {name: ak.Array([[value] for value in values]) for name, values in jets.items()}
    path = write_tree(tmp_path / "flat.root", {"x": np.arange(5), **branches})
    x = FeatureSet("x", "x", jets=2)

    def selected(cut: str) -> list[float]:
        return [float(value) for value in read(path, x, cut=cut, **QUIET).X[:, 0]]

    ratios = [b / a if a > 0 else 0.0 if a == 0 else NAN for a, b in zip(tau1, tau2, strict=True)]
    assert selected("tau21_0 < 0.5") == [i for i, r in enumerate(ratios) if r < 0.5] == [0, 3, 4]
    assert selected("tau21_0 >= 0.5") == []
    assert selected("isnan(tau21_0)") == [1, 2]
    assert selected("isfinite(jetTau1_0)") == [0, 2, 3]
    assert selected("!isfinite(jetTau1_0) || isnan(jetPt_1) & x == 3") == [1, 3, 4]
    assert selected("min(jetTau1_0, jetTau2_0) > 0") == [0, 4]


def test_negative_infinity_is_no_number_that_was_not_computed(tmp_path: Path) -> None:
    values = nano()
    mass = ak.to_numpy(ak.flatten(values["FatJet_msoftdrop"])).copy()
    entries = np.repeat(np.arange(60), ak.num(values["FatJet_pt"]))
    counted = ak.to_numpy(
        ak.flatten((values["FatJet_pt"] > 200) & (abs(values["FatJet_eta"]) < 2.4))
    )
    at = int(np.flatnonzero(counted)[3])
    mass[at] = -INF  # where -1 is NanoAOD's word for it, and read as 0
    values["FatJet_msoftdrop"] = ak.unflatten(mass, ak.num(values["FatJet_pt"]))
    path = write_tree(tmp_path / "nano.root", values, "Events")
    message = rf"'FatJet_msoftdrop' .* 1 value .* in entry {entries[at]}\b"
    with pytest.raises(DataError, match=message):
        read(path, **QUIET)


def test_damage_further_on_does_not_hide_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tree(tmp_path / "a.root", {"x": np.array([1.0, NAN, 3.0, NAN])})
    real = event_file.read

    def failing(*arguments: Any) -> Any:
        if arguments[3]:  # not at the file's beginning
            raise OSError("the disk is gone")
        return real(*arguments)

    monkeypatch.setattr(event_file, "read", failing)
    monkeypatch.setattr(event_file.steps, "__defaults__", (2,))
    with pytest.raises(DataError, match=r"'x' .* 1 value that is not finite, .* entry 1\b"):
        read(path, FeatureSet("x", "x"), **QUIET)
