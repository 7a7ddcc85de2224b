"""Names that are given to what reads files: each must be of use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.ntuples import nano, write_tree
from tfaas_nb.cli import main
from tfaas_nb.data.counting import count
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.sample import sample_files
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet
from tfaas_nb.widgets.data_panel import DataPanel

QUIET: Any = {"progress": False}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "nano.root", nano(), "Events")


Use = Callable[[Path, dict[str, str]], Any]

USES: dict[str, Use] = {
    "read": lambda path, mapping: tn.read(path, branches=mapping, **QUIET),
    "read, skipping": lambda path, mapping: tn.read(
        path, branches=mapping, on_error="skip", **QUIET
    ),
    "stream": lambda path, mapping: tn.read(path, branches=mapping, stream=True, **QUIET),
    "load": lambda path, mapping: tn.load(path, sample_files()[1], branches=mapping, **QUIET),
    "load, as a stream": lambda path, mapping: tn.load(
        path, sample_files()[1], branches=mapping, stream=True, **QUIET
    ),
    "inspect": lambda path, mapping: tn.inspect(path, branches=mapping),
    "count": lambda path, mapping: list(count({"signal": path}, Reading(branches=mapping))),
}


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("jetMassSoftdrop", r"\(did you mean 'jetMassSoftDrop'\?\); they need "),
        ("jetPT", r"\(did you mean 'jetPt'\?\)"),
        ("jetPt_0", r": say 'jetPt', with {} for the number of the jet"),
        ("met", r"needs; they need .*nJets, nLeptons"),
        ("jetTau4", r"needs; they need"),
        ("nLepton", r"\(did you mean 'nLeptons'\?\)"),
        ("FatJet_pt", r"cut or weight needs"),
    ],
)
def test_a_variable_that_nobody_uses_is_refused(
    path: Path, name: str, variable: str, said: str
) -> None:
    with pytest.raises(DataError, match=f"branches maps '{variable}', which no .*{said}"):
        USES[name](path, {"jetTau3": "FatJet_tau4", variable: "FatJet_mass"})


def test_nothing_is_opened_before_names_are_checked(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"no ROOT file")
    with pytest.raises(DataError, match="branches maps 'jetPT'"):
        tn.read(tmp_path / "a.root", branches={"jetPT": "x"}, **QUIET)


@pytest.mark.parametrize(
    ("features", "options", "variable"),
    [
        (FeatureSet("met", ("MET_pt",)), {"cut": "met > 100"}, "met"),
        (FeatureSet("met", ("MET_pt",)), {"cut": "jetMass_0 > 100"}, "jetMass"),
        (FeatureSet("met", ("MET_pt",)), {"cut": "jetMass[0] > 100"}, "jetPt"),
        (FeatureSet("met", ("MET_pt",)), {"cut": "tau21_1 < 2"}, "jetTau1"),
        (FeatureSet("met", ("MET_pt",)), {"cut": "nJets < 2"}, "jetEta"),
        (FeatureSet("met", ("MET_pt",)), {"weight": "w * 2"}, "w"),
        (FeatureSet("ratio", derived=("tau21_0",)), {}, "jetTau2"),
        (FeatureSet("mass", (), ("jetMass",), order_by="jetMass"), {}, "jetPt"),
        (FeatureSet("count", ("nJets",)), {}, "jetPt"),
    ],
)
def test_what_a_feature_a_cut_or_a_weight_needs_can_be_mapped(
    path: Path, features: FeatureSet, options: dict[str, Any], variable: str
) -> None:
    branch = "MET_pt" if variable in ("met", "w") else "FatJet_pt"
    tn.read(path, features, branches={variable: branch}, **options, **QUIET)
    plain = FeatureSet("met", ("MET_pt",))
    with pytest.raises(DataError, match=f"branches maps '{variable}', which no feature"):
        tn.read(path, plain, branches={variable: branch}, **QUIET)


def test_one_sample_s_own_weight_may_use_what_others_do_not(path: Path) -> None:
    samples = [tn.Sample(path, weight="w")], sample_files()[1]
    features = FeatureSet("jets", (), ("jetPt",))
    data = tn.load(*samples, features, branches={"w": "genWeight"}, **QUIET)
    assert sorted(set(data.signal.weight.tolist())) == [-1.5, 2.0, 3.0]
    with pytest.raises(DataError, match="branches maps 'w'"):
        tn.load(path, sample_files()[1], features, branches={"w": "genWeight"}, **QUIET)


@pytest.mark.parametrize(
    ("branches", "said"),
    [
        ("jetPt=FatJet_pt", "branches must be a mapping of variable to branch, not 'jetPt=FatJet"),
        ([("jetPt", "FatJet_pt")], "branches must be a mapping"),
        ({"jetPt": 3}, "branches maps 'jetPt' to 3: both must be names"),
        ({"jetPt": ""}, "branches maps 'jetPt' to ''"),
        ({1: "FatJet_pt"}, "branches maps 1 to 'FatJet_pt'"),
        ({"jetPt": None}, "branches maps 'jetPt' to None"),
    ],
)
@pytest.mark.parametrize("name", ["read", "stream", "load", "inspect"])
def test_a_mapping_is_of_names(path: Path, name: str, branches: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        USES[name](path, branches)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (("run", "event", "run"), "keep names run more than once"),
        (("run", ""), "keep must be names of branches, not ''"),
        ((3,), "keep must be names of branches, not 3"),
        ({"run": 1}, "keep must be names of branches, not {'run': 1}"),
        (3, "keep must be names of branches, not 3"),
    ],
)
def test_a_branch_is_kept_once_and_by_name(path: Path, keep: Any, said: str, stream: bool) -> None:
    with pytest.raises(DataError, match=said):
        tn.read(path, keep=keep, stream=stream, **QUIET)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("objects", [{"jet_pt_min": 300}, 300, tn.Objects])
def test_objects_are_objects(path: Path, objects: Any, stream: bool) -> None:
    with pytest.raises(DataError, match=r"objects must be tn\.Objects\(\.\.\.\), not "):
        tn.read(path, objects=objects, stream=stream, **QUIET)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "60", True])
def test_a_timeout_is_a_number_of_seconds(path: Path, timeout: Any) -> None:
    with pytest.raises(DataError, match="timeout must be a positive number of seconds"):
        tn.read(path, timeout=timeout, **QUIET)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tree": 3}, "tree must be the name of a tree, as text, not 3"),
        ({"tree": Path("events")}, "tree must be the name of a tree, as text, not .*Path"),
        ({"features": "jetPt"}, "features must be a FeatureSet, not 'jetPt'"),
        ({"features": None}, "features must be a FeatureSet, not None"),
        ({"features": ["nJets"]}, r"features must be a FeatureSet, not \['nJets'\]"),
        ({"weight": 10**400}, "a weight of 1000* is not a number to count events with"),
        ({"stream": "yes"}, "stream must be True or False, not 'yes'"),
        ({"files": None}, "a file is named by its path, not by NoneType: None"),
        ({"files": 3}, "a file is named by its path, not by int: 3"),
        ({"files": b"a.root"}, "a file is named by its path, not by bytes: b'a.root'"),
    ],
)
def test_an_option_of_another_type_is_refused_in_words(
    path: Path, options: dict[str, Any], said: str
) -> None:
    options = {"files": path} | options
    files = options.pop("files")
    with pytest.raises(DataError, match=said):
        tn.read(files, **options)
    with pytest.raises(DataError, match=said):
        tn.load(files, files, **options)
    if not options.keys() - {"tree", "features"}:
        with pytest.raises(DataError, match=said):
            tn.inspect(files, **options)


def test_a_mapping_that_is_changed_afterwards_changes_nothing(path: Path) -> None:
    mapping = {"jetTau3": "FatJet_tau4"}
    stream = tn.read(path, branches=mapping, stream=True, **QUIET)
    mapping["jetTau3"] = "nothing"
    found = tn.read(path, branches={"jetTau3": "FatJet_tau4"}, **QUIET)
    np.testing.assert_array_equal(next(stream.chunks()).X, found.X)


def test_the_command_line_refuses_them_too(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--signal", str(path), "--background", str(sample_files()[1])]
    train = ["train", *files, "--name", "m", "--out", str(tmp_path)]
    assert main([*train, "--branch", "jetMassSoftdrop=FatJet_msoftdrop"]) == 1
    assert "(did you mean 'jetMassSoftDrop'?)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*train, "--branch", "jetPt=FatJet_pt", "--branch", "jetPt=FatJet_mass"])
    assert "jetPt is mapped already" in capsys.readouterr().err


@pytest.mark.slow
def test_the_panel_refuses_them_too(path: Path) -> None:
    def settle() -> None:
        assert panel.wait(60)

    panel = DataPanel()
    panel.signal.value, panel.background.value = str(path), str(sample_files()[1])
    panel.branches.value = "met = MET_pt"
    settle()
    assert "met&#x27;, which no feature, cut or weight needs" in panel.counts.value
    panel.branches.value = "jetPt = FatJet_pt, jetPt = FatJet_mass"
    settle()
    assert "jetPt is mapped to FatJet_pt and to FatJet_mass" in panel.counts.value
