"""Suggestions for a name that is not known: something of the same kind, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from tests.ntuples import Branches, nano, write_ntuple, write_tree
from tfaas_nb.cli import main
from tfaas_nb.data.inspection import inspect
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet

MET = FeatureSet("met", ("MET_pt",))
ABSENT = "there are no AK8 jets in this file by a name that is known: "


def without_large_jets() -> Branches:
    """NanoAOD as some skims have it: AK4 jets, taus, generated and parts of AK8 jets only."""
    values = nano()
    large = {name: values.pop(name) for name in list(values) if name.startswith("FatJet_")}
    for name in ("pt", "eta", "phi", "mass"):
        values[f"Jet_{name}"] = large[f"FatJet_{name}"]
        values[f"GenJetAK8_{name}"] = large[f"FatJet_{name}"]
    for name in ("tau1", "tau2", "tau3"):
        values[f"SubJet_{name}"] = large[f"FatJet_{name}"]
    values |= {"nTau": np.zeros(60, np.int32), "nJet": ak.num(values["Jet_pt"]).to_numpy()}
    return values | {"HLT_AK8PFJet450": np.arange(60) < 9, "MET_ptFilter": np.arange(60) < 9}


@pytest.fixture(params=[write_tree, write_ntuple], ids=["TTree", "RNTuple"])
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path: Path = request.param(tmp_path / "small.root", without_large_jets(), "Events")
    return path


def said(path: Path, *features: FeatureSet, **options: Any) -> str:
    with pytest.raises(DataError) as raised:
        read(path, *features, progress=False, **options)
    return str(raised.value)


def test_a_file_without_large_jets_is_told_so_and_nothing_else_is_suggested(small: Path) -> None:
    message, found = said(small), inspect(small)
    for text in (message, found.summary):
        assert ABSENT in text
        for collection in ("FatJet (NanoAOD)", "ScoutingFatJet", "JetsAK8 (TreeMaker)", "jetPt_0"):
            assert collection in text
        assert "nearest" not in text
    assert not [one.nearest for one in found.missing if one.nearest]
    assert found.summary.count(ABSENT) == 1
    assert ABSENT in said(small, FeatureSet("tau", (), ("jetTau1",), order_by="jetTau1"))


def test_jets_that_are_known_by_half_are_told_by_what_lacks(tmp_path: Path) -> None:
    values = nano()
    del values["FatJet_eta"]
    path = write_tree(tmp_path / "half.root", values, "Events")
    assert "it has FatJet_pt without FatJet_eta" in said(path)


def test_of_a_collection_that_is_there_only_its_own_branches_are_suggested(tmp_path: Path) -> None:
    values = nano()
    values["SubJet_tau1"] = values.pop("FatJet_tau1")
    path = write_tree(tmp_path / "sub.root", values, "Events")
    assert said(path).endswith(
        "it has 41 others; if only some files lack it, say optional=['FatJet_tau1']"
    )
    assert "nearest" not in inspect(path).summary


@pytest.mark.parametrize("collection", ["ak8", "FatJets", "AK8Puppi", "jet"])
def test_large_jets_of_another_collection_are_suggested(tmp_path: Path, collection: str) -> None:
    others = {"ak4", "genak8"} if collection != "jet" else {"mu"}
    values = {
        f"{name}_{own}": nano()[f"FatJet_{own}"]
        for name in (collection, *others)
        for own in ("pt", "eta", "phi", "mass")
    }
    path = write_tree(tmp_path / "own.root", values | {"nJets": np.zeros(60)})
    found = {one.variable: one.nearest for one in inspect(path).missing}
    assert found["jetPt"] == f"{collection}_pt"
    assert found["jetEta"] == f"{collection}_eta"
    assert found["jetTau1"] is None
    assert ABSENT not in inspect(path).summary


@pytest.mark.parametrize(
    ("options", "near"),
    [
        ({"cut": "MTE_pt > 3"}, "MET_pt"),
        ({"cut": "MET_ptFilte > 3"}, "MET_pt"),
        ({"cut": "MET_ptFilte"}, "MET_ptFilter"),
        ({"cut": "MET_pt > 9 & !MET_ptFilte"}, "MET_ptFilter"),
        ({"cut": "where(MET_ptFilte, MET_pt, 0) > 2"}, "MET_ptFilter"),
        ({"cut": "HLT_AK8PFJt450"}, "HLT_AK8PFJet450"),
        ({"cut": "HLT_AK8PFJt450 == 1"}, "HLT_AK8PFJet450"),
        ({"cut": "HLT_AK8PFJet500 | MET_pt > 3"}, None),
        ({"cut": "HLT_AK8PFJet45"}, None),
        ({"weight": "genWeigth"}, "genWeight"),
        ({"weight": "genWeigth * 2"}, "genWeight"),
        ({"keep": ("luminosityBlok",)}, "luminosityBlock"),
        ({"keep": ("HLT_AK8PFJt450",)}, "HLT_AK8PFJet450"),
        ({"keep": ("Jet_pz",)}, None),
        ({"branches": {"MET_pt": "MET_ptt"}}, "MET_pt"),
        ({"branches": {"MET_pt": "Jet_pz"}}, None),
    ],
)
def test_a_name_that_is_not_there_is_told_one_of_its_kind(
    small: Path, options: dict[str, Any], near: str | None
) -> None:
    message = said(small, MET, **options)
    assert ("nearest" in message) == (near is not None), message
    assert near is None or f"the nearest name is {near!r}" in message


@pytest.mark.parametrize("name", ["tau12_0", "tau13_0", "tau22_1", "FatJet_tau5_0", "m_10"])
def test_no_other_observable_is_suggested(tmp_path: Path, name: str) -> None:
    path = write_tree(tmp_path / "nano.root", nano(), "Events")
    message = said(path, cut=f"{name} < 0.5")
    for other in ("tau21_", "tau31_", "tau32_", "FatJet_tau1", "FatJet_tau4"):
        assert other not in message
    assert "nearest" not in message or ", of another number" in message


def test_a_mapping_is_told_a_branch_of_the_kind_that_it_needs(tmp_path: Path) -> None:
    values = nano() | {"FatJet_tau": np.zeros(60)}
    path = write_tree(tmp_path / "nano.root", values, "Events")
    assert said(path, branches={"jetTau3": "FatJet_tauu3"}).endswith(
        "the nearest name is 'FatJet_tau3'; if that is meant, say "
        "branches={'jetTau3': 'FatJet_tau3'}"
    )
    assert "'FatJet_tau3', of another number" in said(path, branches={"jetTau3": "FatJet_tau33"})
    assert "nearest" not in said(path, branches={"nJets": "Electron_ptt"})


# Files.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tree(tmp_path / "ttbar_2018.root", {"MET_pt": np.zeros(3)})
    write_tree(
        tmp_path / "ttbar_score.root", {"score": np.zeros(3), "entry": np.arange(3)}, "scores"
    )
    (tmp_path / "ttbar_2018.html").write_text("a report")
    (tmp_path / "ttbar_2017.tar.gz").write_bytes(b"a bundle")
    (tmp_path / "ttbarr.root").write_text("no ROOT file")
    (tmp_path / "ttbar.root").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("ttbr_2018.root", "ttbar_2018.root"),
        ("ttbar_2018.rot", "ttbar_2018.root"),
        ("ttbar_2018", "ttbar_2018.root"),
        ("ttbar_2017.root", None),
        ("ttbar_scores.root", None),
        ("ttbars.root", None),
        ("ttbar_2018.htm", "ttbar_2018.root"),
        ("ttbar_2017.tar", None),
    ],
)
def test_a_missing_file_is_told_a_file_of_events(
    folder: Path, asked: str, near: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    message = said(folder / asked, MET)
    assert message.startswith(f"{folder / asked} does not exist")
    assert message.endswith("does not exist" if near is None else f"the nearest name is {near!r}")
    options = ["--model", "none", "-o", str(folder / "out.root")]
    assert main(["score", str(folder / asked), *options]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["nJets", "nLeptons", "jetPt", "jetEta", "jetPhi", "jetTau1"])
def test_no_other_variable_of_the_file_is_suggested(tmp_path: Path, variable: str) -> None:
    counts = np.full(9, 3)
    lists = (
        "jetPt",
        "jetEta",
        "jetPhi",
        "jetMass",
        "jetMassSoftDrop",
        *map("jetTau{}".format, "123"),
    )
    values: Branches = {name: ak.unflatten(np.ones(27, np.float32), counts) for name in lists}
    values |= {"nJets": counts, "nLeptons": np.zeros(9, np.int32)}
    path = write_tree(
        tmp_path / "flat.root", {n: v for n, v in values.items() if n != variable}, "events"
    )
    assert "nearest" not in said(path)
    assert not [one.nearest for one in inspect(path).missing if one.nearest]
