from __future__ import annotations

import pytest

from tfaas_nb.nearest import did_you_mean, hint, nearest
from tfaas_nb.variables import derived_names


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("jetPT_3", ["jetPt_2", "jetPt_3", "jetEta_3"], "jetPt_3"),
        ("jetPt0", ["jetPt_0", "jetPt_1"], "jetPt_0"),
        ("JetsAk8_mass", ["JetsAK8_mass", "Jets_mass"], "JetsAK8_mass"),
        ("HLT_PFHT1050", ["HLT_PFHT900", "HLT_PFHT105", "HLT_PFHT10500"], None),
        ("HLT_PFTH1050", ["HLT_PFHT900", "HLT_PFHT1050"], "HLT_PFHT1050"),
        ("HLT_AK8PFJet55", ["HLT_AK8PFJet500", "HLT_AK4PFJet55"], None),
        ("lep1_pt", ["lep2_pt", "lep_pt"], None),
        ("tau12_0", ["tau32_0", "tau21_0", "tau31_0", "tau12"], None),
        ("FatJet_tau5", ["FatJet_tau1", "FatJet_tau4"], None),
        ("Muon_pfRelIso04_all", ["Muon_pfRelIso03_all"], None),
        ("ttbar_2017.root", ["ttbar_2018.root"], None),
        ("qqq", ["events"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name_has_the_same_numbers(
    name: str, known: list[str], expected: str | None
) -> None:
    assert nearest(name, known) == expected


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("jetPt", ["jetPhi"], None),
        ("jetEta", ["jetPt", "jetE", "jet_eta"], "jet_eta"),
        ("nJets", ["nLeptons"], None),
        ("nJet", ["nJets", "nLeptons"], "nJets"),
        ("nLeptons", ["nPhotons", "nleptons_"], "nleptons_"),
        ("MET_pt", ["MET_phi"], None),
        ("Muon_phi", ["Muon_pt", "Muon_eta"], None),
        ("weightUp", ["weightDown"], None),
        ("FatJet_msoftdrop", ["FatJet_mSoftDrop_", "FatJet_mass"], "FatJet_mSoftDrop_"),
        ("log_pT_0", ["log_mSD_0", "log_pt_0"], "log_pt_0"),
        ("MET_ptt", ["MET_pt", "MET_phi"], "MET_pt"),
        ("jetPtt", ["jetPt"], "jetPt"),
        ("jetMas", ["jetMass"], "jetMass"),
        ("signal_weight", ["background_weight"], None),
    ],
)
def test_the_nearest_name_is_of_the_same_observable(
    name: str, known: list[str], expected: str | None
) -> None:
    assert nearest(name, known) == expected


@pytest.mark.parametrize("name", ["tau12_0", "tau13_1", "tau23_0", "tau22_0", "tau41_0"])
def test_no_ratio_is_taken_for_another(name: str) -> None:
    assert nearest(name, derived_names(5)) is None


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("jetEta_7", ["jetEta_0", "jetEta_1"], "jetEta_"),
        ("tau21_6", ["tau21_0", "tau32_0"], "tau21_0"),
        ("FatJet_tau33", ["FatJet_tau1", "FatJet_tau3"], "FatJet_tau3"),
    ],
)
def test_another_number_is_told_as_one(name: str, known: list[str], expected: str) -> None:
    assert f"the nearest name is '{expected}" in hint(name, known)
    assert hint(name, known).endswith(", of another number")
    assert f"(did you mean '{expected}" in did_you_mean(name, known)
    assert did_you_mean(name, known).endswith(", of another number?)")


def test_a_number_that_was_left_out_is_filled_in() -> None:
    assert hint("tau21", ["tau32_0", "tau21_0"]) == "; the nearest name is 'tau21_0'"


def test_of_names_that_are_equally_alike_it_is_the_first() -> None:
    jets = [f"jetPt_{i}" for i in range(5)]
    assert hint("jetPt", jets) == "; the nearest name is 'jetPt_0'"


def test_a_name_like_none_has_no_hint() -> None:
    assert hint("qqq", ["events", "ht"]) == did_you_mean("qqq", ["events", "ht"]) == ""


def test_long_names_of_strangers_cost_little() -> None:
    assert nearest("x" * 10_000_000, ["x" * 90]) is not None
