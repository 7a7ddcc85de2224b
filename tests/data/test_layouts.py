from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from tests.ntuples import NANO_JET, add_tree, nano, nano_rows, write_ntuple, write_tree
from tfaas_nb.data.event_file import EventFile, Reading
from tfaas_nb.data.inspection import inspect
from tfaas_nb.data.layouts import LAYOUTS
from tfaas_nb.data.origins import Objects
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet

REAL = Path(__file__).parents[3] / "shared" / "data" / "nanoAOD_2015_CMS_Open_Data_ttbar.root"
P4 = "JetsAK8.fCoordinates"


@pytest.fixture(params=[write_tree, write_ntuple], ids=["TTree", "RNTuple"])
def write(request: pytest.FixtureRequest) -> Callable[..., Path]:
    return request.param  # type: ignore[no-any-return]


def test_nanoaod_is_read_as_a_loop_over_events_would(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    values = nano()
    path = write(tmp_path / "nano.root", values, "Events")
    data = read(path, keep=("run", "luminosityBlock", "event"))
    expected = nano_rows(values)
    assert {row[0] for row in expected} >= {0.0, 1.0, 5.0, 6.0}, "too few and too many jets"
    np.testing.assert_array_equal(data.X, np.array(expected, np.float32))
    assert data.extra["event"].dtype == np.uint64
    assert data.extra["event"].tolist() == values["event"].tolist()
    assert data.extra["run"].dtype == np.uint32


def test_nanoaod_has_other_trees_besides(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "nano.root", nano(), "Events")
    add_tree(path, {"run": np.arange(2)}, "Runs")
    add_tree(path, {"run": np.arange(2)}, "LuminosityBlocks")
    assert read(path).sources[0].tree == "Events"


@pytest.mark.parametrize(
    "objects",
    [
        Objects(jet_pt_min=400.0),
        Objects(jet_eta_max=1.0),
        Objects(lepton_pt_min=40.0, electron_id_min=4),
        Objects(lepton_eta_max=1.0, lepton_isolation_max=0.05),
    ],
)
def test_which_objects_count_can_be_chosen(tmp_path: Path, objects: Objects) -> None:
    values = nano()
    path = write_tree(tmp_path / "nano.root", values, "Events")
    expected = np.array(nano_rows(values, objects=objects), np.float32)
    np.testing.assert_array_equal(read(path, objects=objects).X, expected)
    assert not np.array_equal(read(path).X, expected)


def test_leptons_are_asked_for_what_the_file_has(tmp_path: Path) -> None:
    values = nano()
    for name in ("Electron_cutBased", "Muon_pfRelIso03_all", "Muon_looseId"):
        del values[name]
    path = write_tree(tmp_path / "nano.root", values, "Events")
    np.testing.assert_array_equal(read(path).X, np.array(nano_rows(values), np.float32))


def test_a_file_without_any_lepton_says_which_it_looked_for(tmp_path: Path) -> None:
    values = {k: v for k, v in nano().items() if not k.startswith(("Electron", "Muon"))}
    path = write_tree(tmp_path / "nano.root", values, "Events")
    with pytest.raises(DataError, match="no branch 'Electron_pt', 'Electron_eta', 'Muon_pt'"):
        read(path)


def test_electrons_alone_are_leptons_where_that_is_said(tmp_path: Path) -> None:
    values = {k: v for k, v in nano().items() if not k.startswith("Muon")}
    path = write_tree(tmp_path / "nano.root", values, "Events")
    none = {"Muon_pt": [[]] * 60, "Muon_eta": [[]] * 60}
    with pytest.raises(DataError, match=r"no branch 'Muon_pt', 'Muon_eta'; .*looked for as Muon: "):
        read(path)
    found = inspect(path)
    assert not found.is_readable
    assert "branches={'nLeptons': 'Electron'}" in found.summary
    assert "nearest" not in found.summary
    X = read(path, branches={"nLeptons": "Electron"}).X
    assert X[:, 1].tolist() == [row[1] for row in nano_rows(values | none)]
    zero = {"nLeptons": "0"}
    assert not read(path, branches=zero).X[:, 1].any()
    assert len(read(path, branches=zero, cut="nLeptons == 0")) == 60
    assert "0 for every event" in repr(inspect(path, branches=zero))
    event = FeatureSet("event", ("nLeptons",))
    assert read(path, event, branches={"nLeptons": "2"}).X.tolist() == [[2.0]] * 60
    with pytest.raises(DataError, match="no branch 'nan'"):
        read(path, branches={"nLeptons": "nan"})


@pytest.mark.parametrize(
    ("jets", "muons"),
    [("ScoutingFatJet", "ScoutingMuon"), ("ScoutingFatPFJetRecluster", "ScoutingMuonVtx")],
)
def test_scouting_nanoaod_is_read_as_a_loop_over_events_would(
    tmp_path: Path, jets: str, muons: str
) -> None:
    given = {"jets": jets, "electrons": "ScoutingElectron", "muons": muons}
    values = {
        name: column
        for name, column in nano(**given).items()
        if not name.endswith(("_pfRelIso03_all", "_cutBased", "_looseId"))
    }
    path = write_tree(tmp_path / "scouting.root", values, "Events")
    expected = np.array(nano_rows(values, **given), np.float32)
    np.testing.assert_array_equal(read(path).X, expected)


def tree_maker(values: dict[str, Any]) -> dict[str, Any]:
    """Rename NanoAOD's branches to TreeMaker's; the numbers of leptons are its own."""
    names = {
        "pt": f"{P4}.fPt",
        "eta": f"{P4}.fEta",
        "phi": f"{P4}.fPhi",
        "msoftdrop": "JetsAK8_softDropMass",
        **{f"tau{i}": f"JetsAK8_NsubjettinessTau{i}" for i in (1, 2, 3)},
    }
    found = {new: values[f"FatJet_{old}"] for old, new in names.items()}
    momentum = ak.values_astype(values["FatJet_pt"], np.float64) * np.cosh(
        ak.values_astype(values["FatJet_eta"], np.float64)
    )
    found[f"{P4}.fE"] = np.sqrt(momentum**2 + values["FatJet_mass"] ** 2)
    found["NElectrons"] = np.arange(60, dtype=np.int32) % 3
    found["NMuons"] = np.arange(60, dtype=np.int32) % 2
    return found


def test_treemaker_is_read_as_a_loop_over_events_would(tmp_path: Path) -> None:
    values = nano()
    path = write_tree(tmp_path / "a.root", tree_maker(values), "TreeMaker2/PreSelection")
    expected = np.array(nano_rows(values), np.float32)
    expected[:, 1] = np.arange(60) % 3 + np.arange(60) % 2
    data = read(path)
    assert data.sources[0].tree == "TreeMaker2/PreSelection"
    np.testing.assert_allclose(data.X, expected, rtol=1e-4)


def flattened(slots: int, absent: float, pattern: str = "{}_{}") -> tuple[dict[str, Any], Any]:
    """Branches for each jet, and the matrix to read; some slots are empty, some out of order."""
    random = np.random.default_rng(3)
    there = random.random((40, slots)) < 0.6
    branches: dict[str, Any] = {
        "nJets": there.sum(axis=1).astype(np.int32),
        "nLeptons": random.integers(0, 3, 40),
    }
    columns = {}
    for name in NANO_JET:
        columns[name] = np.where(there, random.uniform(1, 900, there.shape), absent)
        for slot in range(slots):
            branches[pattern.format(name, slot)] = columns[name][:, slot]
    rows = []
    for event in range(40):
        jets = [slot for slot in range(slots) if there[event, slot]]
        jets = sorted(jets, key=lambda slot: -columns["jetPt"][event, slot])[:5]
        row = [branches["nJets"][event], branches["nLeptons"][event]]
        for variable in (v.name for v in TTBAR_ALL_HADRONIC.jet):
            row += [columns[variable][event, slot] for slot in jets] + [0.0] * (5 - len(jets))
        rows.append(row)
    return branches, np.array(rows, np.float32)


@pytest.mark.parametrize("slots", [2, 5, 7])
@pytest.mark.parametrize("absent", [0.0, -999.0, np.nan])
def test_a_flattened_file_is_read_as_a_loop_over_events_would(
    tmp_path: Path, slots: int, absent: float
) -> None:
    branches, expected = flattened(slots, absent)
    path = write_tree(tmp_path / "flat.root", branches)
    np.testing.assert_array_equal(read(path).X, expected)


def test_flattened_branches_of_any_name_can_be_mapped(tmp_path: Path) -> None:
    branches, expected = flattened(4, 0.0)
    renamed = {}
    for name, column in branches.items():
        stem, _, slot = name.partition("_")
        renamed[f"ak8_{int(slot) + 1}.{stem}" if slot else name] = column
    path = write_tree(tmp_path / "flat.root", renamed)
    mapping = {v.name: f"ak8_{{}}.{v.name}" for v in TTBAR_ALL_HADRONIC.jet}
    np.testing.assert_array_equal(read(path, branches=mapping).X, expected)


def test_variables_with_different_numbers_of_branches_are_refused(tmp_path: Path) -> None:
    branches, _ = flattened(4, 0.0)
    del branches["jetEta_3"]
    path = write_tree(tmp_path / "flat.root", branches)
    with pytest.raises(DataError, match="3 branches for jetEta, and 4 for other variables"):
        read(path)


def test_without_momenta_padding_tells_empty_slots(tmp_path: Path) -> None:
    features = FeatureSet("mass", (), ("jetMass",), jets=3, order_by="jetMass", padding=-1.0)
    path = write_tree(tmp_path / "a.root", {"jetMass_0": [5.0, -1.0], "jetMass_1": [7.0, 0.5]})
    data = read(path, features, branches={"jetMass": "jetMass_{}"})
    assert data.X.tolist() == [[7.0, 5.0, -1.0], [0.5, -1.0, -1.0]]


def test_branches_of_other_types_are_numbers_all_the_same(tmp_path: Path) -> None:
    values = nano()
    values["FatJet_pt"] = ak.values_astype(values["FatJet_pt"], np.float64)
    values["FatJet_mass"] = ak.values_astype(values["FatJet_mass"], np.int16)
    path = write_tree(tmp_path / "nano.root", values, "Events")
    np.testing.assert_array_equal(read(path).X, np.array(nano_rows(values), np.float32))


def test_a_mapping_goes_before_the_layout_and_leaves_the_rest_to_it(tmp_path: Path) -> None:
    values = nano()
    path = write_tree(tmp_path / "nano.root", values, "Events")
    mapped = read(path, branches={"jetTau3": "FatJet_tau4", "nLeptons": "luminosityBlock"})
    other = nano_rows(values | {"FatJet_tau3": values["FatJet_tau4"]})
    expected = np.array(other, np.float32)
    expected[:, 1] = values["luminosityBlock"]
    np.testing.assert_array_equal(mapped.X, expected)


def test_a_mapping_to_nothing_is_refused(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "nano.root", nano(), "Events")
    with pytest.raises(DataError, match=r"no branch 'FatJet_tau33'; .* 'FatJet_tau3'"):
        read(path, branches={"jetTau3": "FatJet_tau33"})


def test_other_variables_of_the_jets_go_by_their_own_names(tmp_path: Path) -> None:
    values = nano()
    path = write_tree(tmp_path / "nano.root", values, "Events")
    features = FeatureSet("own", ("MET_pt",), ("jetPt", "particleNet_QCD"), jets=1)
    X = read(path, features).X
    np.testing.assert_array_equal(X[:, 0], values["MET_pt"])
    for event, row in enumerate(X):
        pt, eta, score = (values[f"FatJet_{n}"][event] for n in ("pt", "eta", "particleNet_QCD"))
        jets = [(p, s) for p, e, s in zip(pt, eta, score, strict=True) if p > 200 and abs(e) < 2.4]
        assert row[1:].tolist() == list(max(jets, default=(0, 0)))


def test_a_selection_of_jets_can_be_asked_of_a_flat_file(tmp_path: Path) -> None:
    values = nano()
    flat = {v: values[f"FatJet_{n}"] for v, n in NANO_JET.items()}
    flat |= {"nJets": np.zeros(60), "nLeptons": np.zeros(60)}
    path = write_tree(tmp_path / "flat.root", flat)
    X = read(path, objects=Objects(jet_pt_min=500.0)).X
    expected = np.array(nano_rows(values, objects=Objects(jet_pt_min=500.0)), np.float32)
    pt = TTBAR_ALL_HADRONIC.jet_columns("jetPt")
    np.testing.assert_array_equal(X[:, 0], expected[:, 0])
    np.testing.assert_array_equal(X[:, pt], expected[:, pt])


def test_jets_that_do_not_count_may_hold_anything(tmp_path: Path) -> None:
    values = nano()
    soft = values["FatJet_pt"] < 200
    values["FatJet_tau1"] = ak.where(soft, np.float32(np.nan), values["FatJet_tau1"])
    path = write_tree(tmp_path / "nano.root", values, "Events")
    np.testing.assert_array_equal(read(path).X, np.array(nano_rows(values), np.float32))


def test_leptons_of_different_numbers_are_refused(tmp_path: Path) -> None:
    values = nano()
    values["Muon_eta"] = values["Electron_eta"]
    path = write_tree(tmp_path / "nano.root", values, "Events")
    with pytest.raises(DataError, match=r"'Muon_eta' .* has \d leptons in event \d+, 'Muon_pt'"):
        read(path)


def test_each_layout_is_recognised_by_what_it_needs() -> None:
    for layout in LAYOUTS:
        origins = [*layout.event.values(), *layout.jet.values()]
        named = {name for origin in origins for name in origin.branches}
        assert not named or set(layout.marks) <= named, layout.name


@pytest.mark.slow
@pytest.mark.skipif(
    not REAL.exists() and "CI" not in os.environ, reason=f"needs the real file {REAL}"
)
def test_a_real_nanoaod_file_lacks_the_soft_drop_mass_and_reads_with_another() -> None:
    with pytest.raises(DataError, match=r"'FatJet_msoftdrop'; .* the nearest .* 'FatJet_mass'"):
        read(REAL)
    data = read(REAL, branches={"jetMassSoftDrop": "FatJet_mass"}, objects=Objects(jet_pt_min=0))
    assert len(data) == 200
    jets = data.X[:, 0] > 0
    assert 0 < jets.sum() <= 2
    mass, groomed = (
        data.X[:, TTBAR_ALL_HADRONIC.jet_columns(name)] for name in ("jetMass", "jetMassSoftDrop")
    )
    assert (mass[jets, 0] > 0).all()
    assert mass.tolist() == groomed.tolist()
    with EventFile(str(REAL), Reading(branches={"jetMassSoftDrop": "FatJet_mass"})) as file:
        assert file.layout.name == "NanoAOD"
        assert file.event_id == ("run", "luminosityBlock", "event")


def records(values: dict[str, Any]) -> dict[str, Any]:
    """Group branches into a field of records for each collection, as in CMSSW's RNTuples."""
    found = {name: column for name, column in values.items() if not isinstance(column, ak.Array)}
    for collection in ("FatJet", "Electron", "Muon"):
        own = {n: column for n, column in values.items() if n.startswith(f"{collection}_")}
        if own:
            found[collection] = ak.zip({n.partition("_")[2]: c for n, c in own.items()})
    return found


def test_records_of_an_rntuple_are_nanoaod_too(tmp_path: Path) -> None:
    values = nano()
    path = write_ntuple(tmp_path / "nano.root", records(values), "Events")
    same = write_tree(tmp_path / "tree.root", values, "Events")
    np.testing.assert_array_equal(read(path).X, np.array(nano_rows(values), np.float32))
    found = inspect(path)
    assert (found.layout, found.is_readable) == ("NanoAOD", True)
    assert dict(found.branches)["FatJet_pt"] == "std::vector<float>"
    assert set(dict(found.branches)) == set(values)
    assert set(found.candidates) == {"FatJet_tau4", "FatJet_particleNet_QCD"}
    asked: dict[str, Any] = {"cut": "nJets > 1 & FatJet_tau4_0 < 0.8", "weight": "genWeight * 2"}
    np.testing.assert_array_equal(read(path, **asked).X, read(same, **asked).X)
    with EventFile(str(path), Reading()) as file:
        np.testing.assert_array_equal(file.events(7, 23).X, read(same).X[7:23])


def test_records_of_an_rntuple_can_be_streamed(tmp_path: Path) -> None:
    path = write_ntuple(tmp_path / "nano.root", records(nano()), "Events")
    chunks = [chunk.X for chunk in read(path, stream=True, memory=2).chunks()]
    np.testing.assert_array_equal(np.concatenate(chunks), read(path).X)


def test_parts_of_records_can_be_mapped_by_the_names_that_uproot_gives(tmp_path: Path) -> None:
    values = nano()
    own = records(values)
    own["AK8"] = own.pop("FatJet")
    own["MET"] = ak.zip({"pt": own.pop("MET_pt")})
    path = write_ntuple(tmp_path / "own.root", own, "Events")
    mapping = {variable: f"AK8.{name}" for variable, name in NANO_JET.items()}
    features = FeatureSet("own", ("MET.pt", "MET_pt"), tuple(NANO_JET), jets=5)
    X = read(path, features, branches=mapping, objects=Objects()).X
    expected = np.array(nano_rows(values), np.float32)
    for variable in NANO_JET:
        columns = TTBAR_ALL_HADRONIC.jet_columns(variable)
        positive = np.maximum if variable not in ("jetEta", "jetPhi") else lambda a, b: a
        np.testing.assert_array_equal(
            positive(X[:, features.jet_columns(variable)], 0), expected[:, columns]
        )
    np.testing.assert_array_equal(X[:, 0], values["MET_pt"])
    np.testing.assert_array_equal(X[:, 1], values["MET_pt"])
    with pytest.raises(DataError, match=r"no branch 'AK8.ptt'; .* the nearest name is 'AK8_pt'"):
        read(path, features, branches=mapping | {"jetPt": "AK8.ptt"})


def test_a_field_of_its_own_goes_before_the_part_of_a_record(tmp_path: Path) -> None:
    own = {"m": ak.Array([{"x": 1.0}, {"x": 2.0}]), "m_x": [3.0, 4.0]}
    path = write_ntuple(tmp_path / "own.root", own)
    assert read(path, FeatureSet("own", ("m_x", "m.x"))).X.tolist() == [[3.0, 1.0], [4.0, 2.0]]
    assert [name for name, _ in inspect(path).branches] == ["m_x", "m.x"]


@pytest.mark.parametrize("absent", [0.0, -999.0, np.nan])
@pytest.mark.parametrize("slots", [3, 7])
def test_padding_in_arrays_of_fixed_size_is_no_jet(
    tmp_path: Path, write: Callable[..., Path], slots: int, absent: float
) -> None:
    branches, expected = flattened(slots, absent)
    arrays = {n: branches[n] for n in ("nJets", "nLeptons")}
    for name in NANO_JET:
        arrays[name] = np.stack([branches[f"{name}_{i}"] for i in range(slots)], axis=1)
    path = write(tmp_path / "arrays.root", arrays)
    np.testing.assert_array_equal(read(path).X, expected)
    second = expected[:, TTBAR_ALL_HADRONIC.jet_columns("jetMass")][:, 1]
    assert len(read(path, cut="jetMass_1 < 1e6")) == (second > 0).sum() < 40
    ratio = FeatureSet("derived", derived=("tau21_0",))
    assert (read(path, ratio).X >= 0).all()
    own = {f"FatJet_{n}": arrays[v] for v, n in NANO_JET.items()} | {"nLeptons": np.zeros(40)}
    nano_like = write(tmp_path / "nano.root", own, "Events")
    everything = Objects(jet_pt_min=-1e9, jet_eta_max=1e9)
    counted = read(nano_like, objects=everything, branches={"nLeptons": "nLeptons"})
    assert counted.X[:, 0].tolist() == branches["nJets"].tolist()


@pytest.mark.parametrize("jets", ["ScoutingFatJet", "ScoutingFatPFJetRecluster"])
@pytest.mark.parametrize("muons", ["ScoutingMuon", "ScoutingMuonVtx", "ScoutingMuonNoVtx", "Muon"])
@pytest.mark.parametrize("electrons", ["ScoutingElectron", "Electron"])
def test_scouting_muons_of_any_collection_are_leptons(
    tmp_path: Path, jets: str, muons: str, electrons: str
) -> None:
    given = {"jets": jets, "electrons": electrons, "muons": muons}
    values = nano(**given)
    for name in list(values):
        if name.startswith("Scouting") and name.endswith(("_pfRelIso03_all", "_cutBased", "Id")):
            del values[name]
    expected = [row[1] for row in nano_rows(values, **given)]
    if muons == "ScoutingMuonVtx":
        values |= {"ScoutingMuonNoVtx_pt": [[50.0]] * 60, "ScoutingMuonNoVtx_eta": [[0.0]] * 60}
    path = write_tree(tmp_path / "scouting.root", values, "Events")
    assert read(path).X[:, 1].tolist() == expected


def test_scouting_without_muons_says_which_were_looked_for(tmp_path: Path) -> None:
    values = nano(jets="ScoutingFatJet", electrons="ScoutingElectron")
    values = {name: column for name, column in values.items() if not name.startswith("Muon")}
    path = write_tree(tmp_path / "scouting.root", values, "Events")
    sought = "ScoutingMuon, ScoutingMuonVtx, ScoutingMuonNoVtx, Muon"
    with pytest.raises(DataError, match=f"looked for as {sought}: .*'ScoutingElectron'"):
        read(path)
    assert sought in inspect(path).summary


def test_a_flattened_file_may_count_from_one(tmp_path: Path) -> None:
    branches, expected = flattened(5, -999.0)
    renamed = {}
    for name, column in branches.items():
        stem, _, slot = name.partition("_")
        renamed[f"{stem}_{int(slot) + 1}" if slot else name] = column
    path = write_tree(tmp_path / "flat.root", renamed)
    np.testing.assert_array_equal(read(path).X, expected)
    assert inspect(path).layout == "flattened ntuple"
    assert len(read(path, cut="jetPt_0 > 300")) == (expected[:, 22] > 300).sum() > 0


@pytest.mark.parametrize("pattern", ["FatJet_{}_{}", "ak8_{}_{}"])
@pytest.mark.parametrize("first", [0, 1])
def test_what_is_suggested_for_flattened_branches_reads_them(
    tmp_path: Path, pattern: str, first: int
) -> None:
    branches, expected = flattened(5, 0.0)
    renamed = {}
    for name, column in branches.items():
        stem, _, slot = name.partition("_")
        own = pattern.format(NANO_JET.get(stem), int(slot or 0) + first)
        renamed[own if slot else name] = column
    path = write_tree(tmp_path / "flat.root", renamed)
    found = inspect(path)
    mapping = {one.variable: one.nearest for one in found.missing if one.nearest}
    assert mapping == {v: pattern.format(own, "{}") for v, own in NANO_JET.items()}
    assert repr(mapping) in found.summary
    np.testing.assert_array_equal(read(path, branches=mapping).X, expected)
    with pytest.raises(DataError, match=r"say branches={'jetEta': '\w+_eta_{}'}"):
        read(path)
