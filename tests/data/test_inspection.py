from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import uproot

from tests.data.test_layouts import REAL, flattened
from tests.ntuples import add_tree, nano, write_ntuple, write_tree
from tfaas_nb.data.inspection import inspect
from tfaas_nb.data.origins import Objects
from tfaas_nb.data.root import read
from tfaas_nb.data.sample import sample_files
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet


def test_a_file_that_has_all_is_told_so() -> None:
    found = inspect(sample_files()[0])
    assert found.is_readable
    assert (found.layout, found.tree) == ("flat ntuple", "events")
    assert [(t.name, t.kind, t.entries, t.branches) for t in found.trees] == [
        ("Runs", "TTree", 1, 3),
        ("events", "TTree", 20_000, 13),
    ]
    origins = {one.variable: (one.origin, one.type) for one in found.variables}
    assert origins["nJets"] == ("nJets", "int32_t")
    assert origins["jetTau3"] == ("jetTau3", "float[]")
    assert "Nothing is missing for the 42 features." in repr(found)
    assert "float[]" in found._repr_html_()


@pytest.mark.parametrize("write", [write_tree, write_ntuple])
def test_what_is_missing_is_named_with_the_nearest(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    values = nano()
    del values["FatJet_msoftdrop"]
    found = inspect(write(tmp_path / "nano.root", values, "Events"))
    assert not found.is_readable
    assert [(one.variable, one.missing, one.nearest) for one in found.missing] == [
        ("jetMassSoftDrop", ("FatJet_msoftdrop",), "FatJet_mass")
    ]
    for shown in (repr(found), found._repr_html_()):
        assert "no branch" in shown
        assert "FatJet_msoftdrop" in shown
        assert "nearest: FatJet_mass" in shown
        assert "branches={" in shown
    assert inspect(tmp_path / "nano.root", branches={"jetMassSoftDrop": "FatJet_mass"}).is_readable


def test_counted_objects_say_how_they_are_selected(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "nano.root", nano(), "Events")
    shown = repr(inspect(path, objects=Objects(jet_pt_min=300, lepton_pt_min=15)))
    assert "jets with pT > 300 GeV, |eta| < 2.4" in shown
    assert "Electron, Muon with pT > 15 GeV" in shown
    assert "Electron_cutBased" in shown


def test_other_branches_of_the_jets_are_candidates(tmp_path: Path) -> None:
    found = inspect(write_tree(tmp_path / "nano.root", nano(), "Events"))
    assert set(found.candidates) == {"FatJet_tau4", "FatJet_particleNet_QCD"}
    assert dict(found.branches)["run"] == "uint32_t"
    more = {f"jet{i}": np.zeros((2, 2)) for i in range(20)} | {"jetPt": np.zeros((2, 2))}
    many = inspect(write_ntuple(tmp_path / "many.root", more))
    assert "Other branches of its jets, 5 more not shown" in repr(many)


def test_features_that_are_derived_need_their_variables(tmp_path: Path) -> None:
    features = FeatureSet("derived", derived=("m_jj", "tau21_0"))
    path = write_tree(tmp_path / "nano.root", nano(), "Events")
    needed = {one.variable for one in inspect(path, features).variables}
    assert needed == {"jetPt", "jetEta", "jetPhi", "jetMass", "jetTau1", "jetTau2"}


def test_flattened_branches_are_listed(tmp_path: Path) -> None:
    found = inspect(write_tree(tmp_path / "a.root", flattened(3, 0.0)[0]))
    assert found.layout == "flattened ntuple"
    origin = next(one.origin for one in found.variables if one.variable == "jetPt")
    assert origin == "jetPt_0, jetPt_1, jetPt_2"


def test_of_several_trees_none_is_chosen(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", nano(), "nominal")
    add_tree(path, nano(), "shifted")
    found = inspect(path)
    assert found.tree is None
    assert not found.is_readable
    assert "say which with tree=" in repr(found)
    assert [tree.name for tree in found.trees] == ["nominal", "shifted"]
    assert inspect(path, tree="shifted").is_readable
    assert "no tree 'shfted'" in inspect(path, tree="shfted").summary


def test_a_file_without_trees_is_told_so(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["note"] = "nothing to read"
    found = inspect(tmp_path / "a.root")
    assert "has no tree; it holds ['note']" in repr(found)
    assert found._repr_html_()


def test_an_unknown_file_lists_what_would_be_needed(tmp_path: Path) -> None:
    found = inspect(write_tree(tmp_path / "a.root", {"x": np.arange(3), "njets": np.arange(3)}))
    assert found.layout == "not recognised"
    assert len(found.missing) == 10
    assert found.missing[0].nearest == "njets"


def test_what_is_no_root_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"PK" * 500)
    with pytest.raises(DataError, match="cannot be read as a ROOT file"):
        inspect(tmp_path / "a.root")
    with pytest.raises(DataError, match="does not exist"):
        inspect(tmp_path / "b.root")


@pytest.mark.slow
@pytest.mark.skipif(
    not REAL.exists() and "CI" not in os.environ, reason=f"needs the real file {REAL}"
)
def test_a_real_nanoaod_file_lacks_the_soft_drop_mass() -> None:
    found = inspect(REAL)
    assert (found.layout, found.trees[0].entries) == ("NanoAOD", 200)
    assert [(one.missing, one.nearest) for one in found.missing] == [
        (("FatJet_msoftdrop",), "FatJet_mass")
    ]
    assert "no branch 'FatJet_msoftdrop'; the nearest is 'FatJet_mass'" in repr(found)


@pytest.mark.parametrize(
    ("branches", "variable", "said"),
    [
        ({"nJets": "FatJet_pt"}, "nJets", "it holds a list per event, and one number is needed"),
        ({"jetPt": "MET_pt"}, "jetPt", "it holds one number per event, and a list is needed"),
        ({"jetTau1": "FatJet_tau{}"}, "jetTau1", "it holds a list per event, and one number is"),
    ],
)
def test_a_branch_of_another_kind_is_no_branch_of_the_variable(
    tmp_path: Path, branches: dict[str, str], variable: str, said: str
) -> None:
    values = nano() | {f"FatJet_tau{slot}": nano()["FatJet_tau1"] for slot in range(5)}
    path = write_tree(tmp_path / "nano.root", values | {"MET_pt": np.ones(60)}, "Events")
    found = inspect(path, branches=branches)
    assert not found.is_readable
    assert said in next(one.problem for one in found.variables if one.variable == variable)
    with pytest.raises(DataError, match="must hold"):
        read(path, branches=branches, progress=False)
