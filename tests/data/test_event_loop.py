"""Comparison of each layout's matrix with loops over events that share no code with it.

`tests.event_loop` has the loops, over what uproot, or ROOT itself, gives of each branch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests import event_loop, real_root
from tests.event_loop import Entry, Event
from tests.ntuples import Branches, nano, write_ntuple, write_tree
from tfaas_nb.data.dataset import concatenate
from tfaas_nb.data.inspection import inspect
from tfaas_nb.data.layouts import LAYOUTS
from tfaas_nb.data.root import read
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet

SHARED = Path(__file__).parents[3] / "shared" / "data"
_JET = dict(zip(event_loop.Jet.__dataclass_fields__, event_loop.NANO_JET, strict=True))
_SLOTS, _ABSENT = 7, -999.0


@dataclass(frozen=True)
class Layout:
    """A kind of file, and the loop over its events."""

    name: str
    loop: Callable[[Entry], Event]
    make: Callable[[], Branches]
    tree: str = "Events"
    weight: str = "genWeight"
    met: str = "MET_pt"
    ids: tuple[str, ...] = ("run", "luminosityBlock", "event")
    trigger: tuple[str, ...] = ("HLT_AK8PFJet450",)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def keep(self) -> tuple[str, ...]:
        return (*self.ids, *self.trigger)


# --- files that uproot writes ------------------------------------------------------------------


def _nano(jets: str = "FatJet", electrons: str = "Electron", muons: str = "Muon") -> Branches:
    values = nano(jets=jets, electrons=electrons, muons=muons)
    return values | {"HLT_AK8PFJet450": np.arange(60) % 3 == 0}


def _scouting(jets: str, muons: str) -> Branches:
    quality = ("_pfRelIso03_all", "_cutBased", "_looseId")
    values = _nano(jets, "ScoutingElectron", muons)
    return {name: column for name, column in values.items() if not name.endswith(quality)}


def _pf_nano() -> Branches:
    """NanoAOD with the constituents of jets: names that begin as the jets' do, of other lengths."""
    values, random = _nano(), np.random.default_rng(7)
    lengths = {"FatJetPFCands": 40, "SubJet": 9, "GenJetAK8": 5}
    for collection, most in lengths.items():
        counts = random.integers(0, most, 60)
        for name in ("pt", "eta", "mass", "tau1"):
            column = random.uniform(0, 900, counts.sum()).astype(np.float32)
            values[f"{collection}_{name}"] = ak.unflatten(column, counts)
    jets = ak.num(values["FatJet_pt"])
    for name in ("FatJet_nPFCand", "FatJet_subJetIdx1", "FatJet_jetId"):
        values[name] = ak.unflatten(random.integers(-1, 9, ak.sum(jets)).astype(np.int16), jets)
    return values


def _flat() -> Branches:
    """The packaged sample's names; counts that are the file's own, not those of its lists."""
    values = nano(seed=5)
    found = {f"jet{variable}": values[f"FatJet_{own}"] for variable, own in _JET.items()}
    found |= {"nJets": np.arange(60, dtype=np.int32) % 11, "nLeptons": np.arange(60) % 4}
    return found | _of_events()


def _of_events() -> Branches:
    random = np.random.default_rng(9)
    return {
        "runNo": np.full(60, 3, np.int32),
        "lumi": random.integers(1, 99, 60).astype(np.int32),
        "evtNo": (1 << 53) + np.arange(60, dtype=np.int64),
        "genWeight": random.choice([-1.5, 2.0, 3.0], 60).astype(np.float32),
        "MET_pt": random.uniform(0, 300, 60),
        "HLT_AK8PFJet450": random.random(60) < 0.3,
    }


def _padded() -> Branches:
    """Arrays of fixed length, of which some hold no jet, in any place."""
    random = np.random.default_rng(11)
    there = random.random((60, _SLOTS)) < 0.5
    ends = {"Eta": (-3, 3), "Phi": (-3.14, 3.14)}
    found: Branches = {
        f"jet{variable}": np.where(
            there, random.uniform(*ends.get(variable, (1, 900)), there.shape), _ABSENT
        )
        for variable in _JET
    }
    found |= {"nJets": there.sum(axis=1), "nLeptons": np.arange(60, dtype=np.int16) % 4}
    return found | _of_events()


def _flattened(first: int) -> Branches:
    """Padded arrays with a branch for each place."""
    found: Branches = {}
    for name, column in _padded().items():
        if np.ndim(column) == 2:
            found |= {f"{name}_{first + slot}": column[:, slot] for slot in range(_SLOTS)}
        else:
            found[name] = column
    return found


def _tree_maker() -> Branches:
    """TreeMaker's names as branches that are not split of an object."""
    values = {name: column for name, column in _nano().items() if not name.startswith("HLT")}
    pt, eta, mass = (
        ak.values_astype(values[f"FatJet_{own}"], np.float64) for own in ("pt", "eta", "mass")
    )
    p4 = "JetsAK8.fCoordinates"
    found: Branches = {f"{p4}.fPt": pt, f"{p4}.fEta": eta, f"{p4}.fPhi": values["FatJet_phi"]}
    found[f"{p4}.fE"] = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    found["JetsAK8_softDropMass"] = values["FatJet_msoftdrop"]
    for n in (1, 2, 3):
        found[f"JetsAK8_NsubjettinessTau{n}"] = values[f"FatJet_tau{n}"]
    return found | {
        "NElectrons": np.arange(60, dtype=np.int32) % 3,
        "NMuons": np.arange(60, dtype=np.int32) % 2,
        "RunNum": values["run"],
        "LumiBlockNum": values["luminosityBlock"],
        "EvtNum": values["event"],
        "Weight": values["genWeight"].astype(np.float64),
        "MET": values["MET_pt"].astype(np.float64),
    }


_FLAT: dict[str, Any] = {"tree": "events", "ids": ("runNo", "lumi", "evtNo")}
_TREE_MAKER: dict[str, Any] = {
    "tree": "PreSelection",
    "weight": "Weight",
    "met": "MET",
    "ids": ("RunNum", "LumiBlockNum", "EvtNum"),
    "trigger": (),
}


def _in_scouting(jets: str, muons: str) -> Layout:
    names = {"jets": jets, "electrons": "ScoutingElectron", "muons": muons}
    loop = partial(event_loop.nano, **names)
    return Layout("scouting NanoAOD", loop, partial(_scouting, jets, muons))


def _in_slots(first: int) -> Layout:
    loop = partial(event_loop.flattened, first=first, slots=_SLOTS, absent=_ABSENT)
    return Layout("flattened ntuple", loop, partial(_flattened, first), **_FLAT)


CASES = {
    "flat": Layout("flat ntuple", event_loop.flat, _flat, **_FLAT),
    "arrays of fixed length": Layout(
        "flat ntuple", partial(event_loop.padded, absent=_ABSENT), _padded, **_FLAT
    ),
    "flattened from 0": _in_slots(0),
    "flattened from 1": _in_slots(1),
    "NanoAOD": Layout("NanoAOD", event_loop.nano, _nano),
    "PFNano": Layout("NanoAOD", event_loop.nano, _pf_nano),
    "scouting": _in_scouting("ScoutingFatJet", "ScoutingMuon"),
    "scouting, reclustered": _in_scouting("ScoutingFatPFJetRecluster", "ScoutingMuonVtx"),
    "TreeMaker": Layout("TreeMaker", event_loop.tree_maker, _tree_maker, **_TREE_MAKER),
}


def _with_common_counters(path: Path, values: Branches, tree: str) -> Path:
    """A TTree whose lists of one collection have one counter, written in two baskets each."""
    columns: Branches = {}
    for name, column in values.items():
        collection, _, own = name.partition("_")
        if isinstance(column, ak.Array) and own and "." not in name:
            columns.setdefault(collection, {})[own] = column
        else:
            columns[name] = ak.Array(column)
    columns = {n: ak.zip(c) if isinstance(c, dict) else c for n, c in columns.items()}
    with uproot.recreate(path) as file:
        file.mktree(tree, {name: column.type.content for name, column in columns.items()})
        for part in (slice(0, 23), slice(23, 60)):
            file[tree].extend({name: column[part] for name, column in columns.items()})
    return path


def _as_ntuple(path: Path, values: Branches, tree: str) -> Path:
    """An RNTuple, in which objects are records: names of fields have no dots there."""
    plain = {name: column for name, column in values.items() if "." not in name}
    parts = {name.split(".")[-1]: c for name, c in values.items() if "." in name}
    if parts:
        plain["JetsAK8"] = ak.zip({"fCoordinates": ak.zip(parts)})
    return write_ntuple(path, plain, tree)


def _as_records(path: Path, values: Branches, tree: str) -> Path:
    """An RNTuple with a list of records for each collection, as CMSSW writes NanoAOD's."""
    found: Branches = {}
    for name, column in values.items():
        collection, _, own = name.partition("_")
        if isinstance(column, ak.Array):
            found.setdefault(collection, {})[own] = column
        else:
            found[name] = column
    records = {n: ak.zip(c) if isinstance(c, dict) else c for n, c in found.items()}
    return write_ntuple(path, records, tree)


WRITERS = {
    "TTree": _with_common_counters,
    "TTree, a counter each": write_tree,
    "RNTuple": _as_ntuple,
}


# --- what is compared --------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """Expected result for some entries, by a loop over them."""

    layout: Layout
    entries: list[Entry]

    @property
    def events(self) -> list[Event]:
        return [self.layout.loop(entry) for entry in self.entries]

    def passes(self, entry: Entry) -> bool:
        """Return True if an entry passes `cut`, here written in Python."""
        event = self.layout.loop(entry)
        jets = event.jets[:5]
        second = len(jets) > 1 and jets[1].Mass > 100
        ratio = jets and event.derived("tau21_0") < 1.5
        return (
            bool(jets) and jets[0].Pt > 320 and (entry[self.layout.met] < 250 or second) and ratio
        )

    @property
    def cut(self) -> str:
        return f"jetPt_0 > 320 & ({self.layout.met} < 250 | jetMass_1 > 100) & tau21_0 < 1.5"

    @property
    def weight(self) -> str:
        return f"{self.layout.weight} * (1 + {self.layout.met} / 100)"

    def weights(self, entries: Iterable[Entry]) -> list[float]:
        own = self.layout
        return [entry[own.weight] * (1 + entry[own.met] / 100) for entry in entries]


def _check(path: Path, expected: Read, rtol: float = 0.0) -> None:
    """Compare features, selected events, weights, kept branches and derived quantities."""
    layout = expected.layout
    options: dict[str, Any] = {"tree": layout.tree, "progress": False, **layout.options}
    rows = np.array([event.row for event in expected.events], np.float32)
    assert len(rows) >= 10
    assert TTBAR_ALL_HADRONIC.names == event_loop.NAMES
    data = read(path, **options)
    np.testing.assert_allclose(data.X, rows, rtol=rtol)
    assert data.weight.tolist() == [1.0] * len(rows)
    passed = [entry for entry in expected.entries if expected.passes(entry)]
    which = [i for i, entry in enumerate(expected.entries) if expected.passes(entry)]
    asked: Any = options | {"cut": expected.cut, "weight": expected.weight, "keep": layout.keep}
    selected = read(path, **asked)
    np.testing.assert_allclose(selected.X, rows[which], rtol=rtol)
    weights = np.array(expected.weights(passed))
    np.testing.assert_allclose(selected.weight, weights, rtol=3e-7)
    for name in layout.keep:
        assert selected.extra[name].tolist() == [entry[name] for entry in passed], name
    streamed = concatenate(list(read(path, **asked, stream=True, memory=2).chunks()))
    np.testing.assert_array_equal(streamed.X, selected.X)
    np.testing.assert_array_equal(streamed.weight, selected.weight)
    derived = read(path, FeatureSet("derived", derived=event_loop.DERIVED), **options).X
    quantities = [[e.derived(name) for name in event_loop.DERIVED] for e in expected.events]
    np.testing.assert_allclose(derived, np.array(quantities), rtol=max(rtol, 3e-6), atol=1e-5)
    assert np.count_nonzero(rows[:, 2:]) > 100 < np.count_nonzero(quantities)


@pytest.mark.slow
@pytest.mark.parametrize(
    "writer", [pytest.param(w, marks=pytest.mark.slow if "each" in w else ()) for w in WRITERS]
)
@pytest.mark.parametrize("case", CASES)
def test_a_file_is_read_as_a_loop_over_its_events_would(
    tmp_path: Path, case: str, writer: str
) -> None:
    layout = CASES[case]
    values = layout.make()
    path = WRITERS[writer](tmp_path / "a.root", values, layout.tree)
    entries = list(event_loop.entries(path, layout.tree, list(values)))
    assert inspect(path).layout == layout.name
    expected = Read(layout, entries)
    assert 5 < sum(map(expected.passes, entries)) < 55
    # A mass from an energy, E² − p², is worth less than the numbers that it is of.
    _check(path, expected, rtol=2e-6 if case == "TreeMaker" else 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["NanoAOD", "scouting", "scouting, reclustered"])
def test_records_are_read_as_a_loop_over_their_events_would(tmp_path: Path, case: str) -> None:
    layout = CASES[case]
    values = layout.make()
    path = _as_records(tmp_path / "a.root", values, layout.tree)
    lists = [name for name, column in values.items() if isinstance(column, ak.Array)]
    fields = [name for name in values if name not in lists]
    collections = list(dict.fromkeys(name.partition("_")[0] for name in lists))
    entries = []
    for entry in event_loop.entries(path, layout.tree, [*fields, *collections]):
        for name in lists:
            collection, _, own = name.partition("_")
            entry[name] = [record[own] for record in entry[collection]]
        entries.append(entry)
    _check(path, Read(layout, entries))


def test_every_layout_that_is_known_is_looped_over() -> None:
    assert {layout.name for layout in CASES.values()} == {layout.name for layout in LAYOUTS}


# --- files that nobody here wrote --------------------------------------------------------------


def _real(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the real file {path}")
    return path


@pytest.mark.slow
def test_a_real_tree_maker_file_is_read_as_a_loop_over_its_events_would() -> None:
    path, tree = _real("treemaker.root"), "PreSelection"
    p4 = {f"JetsAK8/JetsAK8.fCoordinates.{c}": c for c in ("fPt", "fEta", "fPhi", "fE")}
    own = [f"JetsAK8_NsubjettinessTau{n}" for n in (1, 2, 3)] + ["JetsAK8_softDropMass"]
    names = [*p4, *own, *("NElectrons", "NMuons", "RunNum", "LumiBlockNum", "EvtNum")]
    entries = []
    for entry in event_loop.entries(path, tree, [*names, "Weight", "MET"]):
        entry |= {f"JetsAK8.fCoordinates.{c}": entry[name] for name, c in p4.items()}
        entries.append(entry)
    layout = CASES["TreeMaker"]
    expected = np.array([layout.loop(entry).row for entry in entries], np.float32)
    assert np.count_nonzero(expected) > 100, "there are jets in it"
    data = read(path, keep=layout.ids, weight="Weight * MET")
    np.testing.assert_allclose(data.X, expected, rtol=2e-6)
    np.testing.assert_allclose(data.weight, [e["Weight"] * e["MET"] for e in entries], rtol=3e-7)
    for name in layout.ids:
        assert data.extra[name].tolist() == [entry[name] for entry in entries]


@pytest.mark.slow
def test_a_real_nanoaod_file_is_read_as_a_loop_over_its_events_would() -> None:
    path = _real("nanoAOD_2015_CMS_Open_Data_ttbar.root")
    own = [f"FatJet_{n}" for n in event_loop.NANO_JET if n != "msoftdrop"]
    leptons = ["Electron_pt", "Electron_eta", "Electron_pfRelIso03_all", "Electron_cutBased"]
    leptons += ["Muon_pt", "Muon_eta", "Muon_pfRelIso03_all"]
    with uproot.open(path) as file:
        leptons += [name for name in ("Muon_looseId",) if name in file["Events"]]
    entries = []
    names = [*own, *leptons, "run", "luminosityBlock", "event", "genWeight"]
    for entry in event_loop.entries(path, "Events", names):
        entry["FatJet_msoftdrop"] = entry["FatJet_mass"]  # which this file lacks
        entries.append(entry)
    expected = np.array([event_loop.nano(entry).row for entry in entries], np.float32)
    keep = ("run", "luminosityBlock", "event")
    branches = {"jetMassSoftDrop": "FatJet_mass"}
    data = read(path, branches=branches, keep=keep, weight="genWeight * 2")
    np.testing.assert_array_equal(data.X, expected)
    np.testing.assert_allclose(data.weight, [e["genWeight"] * 2 for e in entries], rtol=3e-7)
    assert data.X[:, 1].any()
    for name in keep:
        assert data.extra[name].tolist() == [entry[name] for entry in entries]


@pytest.mark.slow
def test_split_objects_with_leaves_of_equal_names_are_read_as_a_loop_would() -> None:
    path, tree = _real("cms_ntuple_wjet.root"), "variable"
    parts = [
        f"{one}/fCoordinates/fCoordinates.{c}"
        for one in ("met_p4", "lep1", "j0", "b1")
        for c in ("fPt", "fEta", "fPhi", "fM")
    ]
    entries = list(event_loop.entries(path, tree, [*parts, "run", "evt", "wgt"]))
    names = {f"x{i}": part for i, part in enumerate(parts)}
    features = FeatureSet("own", tuple(names))
    data = read(path, features, branches=names, keep=("run", "evt"), weight="wgt")
    expected = np.array([[entry[part] for part in parts] for entry in entries], np.float32)
    assert len({tuple(column) for column in expected.T}) == 16, "columns that could be exchanged"
    np.testing.assert_array_equal(data.X, expected)
    assert data.weight.tolist() == [np.float32(entry["wgt"]) for entry in entries]
    assert data.extra["evt"].tolist() == [entry["evt"] for entry in entries]


# --- files that ROOT writes --------------------------------------------------------------------

#: Writes every file of spec.json as a TTree and as an RNTuple: name → tree and its columns, each a
#: C++ type and its values.  ``float[n]`` is an array with a counter in a TTree, a vector in an
#: RNTuple; a vector of four numbers is a Lorentz vector by (pT, eta, phi, E).
_SCRIPT = r"""
import json
import numpy as np

P4 = "ROOT::Math::LorentzVector<ROOT::Math::PtEtaPhiE4D<double>>"
LEAVES = {"unsigned int": "u4i", "std::uint64_t": "u8l", "float": "f4F", "double": "f8D",
          "int": "i4I", "bool": "?O"}
vector4 = ROOT.Math.LorentzVector["ROOT::Math::PtEtaPhiE4D<double>"]


def put(holder, values):
    holder.clear()
    for value in values:
        holder.push_back(vector4(*value) if isinstance(value, list) else value)


def branch(tree, name, kind):
    if kind.startswith("std::vector"):
        held = ROOT.std.vector[kind[len("std::vector<"):-1]]()
        tree.Branch(name, held)
        return held
    plain, _, counter = kind.rstrip("]").partition("[")
    held = np.zeros(100 if counter else 1, LEAVES[plain][:-1])
    size = f"[{counter}]" if counter else ""
    tree.Branch(name, held, f"{name}{size}/{LEAVES[plain][-1]}")
    return held


def write_tree(name, title, columns):
    file = ROOT.TFile(f"{name}_tree.root", "RECREATE")
    tree = ROOT.TTree(title, "")
    held = {column: branch(tree, column, kind) for column, (kind, _) in columns.items()}
    for values in zip(*(values for _, values in columns.values())):
        for (column, holder), value in zip(held.items(), values):
            if isinstance(holder, np.ndarray):
                holder[: len(value) if isinstance(value, list) else 1] = value
            else:
                put(holder, value)
        tree.Fill()
    tree.Write()
    file.Close()


def write_ntuple(name, title, columns):
    model = ROOT.RNTupleModel.Create()
    for column, (kind, _) in columns.items():
        plain, _, counter = kind.rstrip("]").partition("[")
        model.MakeField[f"std::vector<{plain}>" if counter else kind](column)
    with ROOT.RNTupleWriter.Recreate(model, title, f"{name}_ntuple.root") as writer:
        entry = writer.CreateEntry()
        for values in zip(*(values for _, values in columns.values())):
            for column, value in zip(columns, values):
                if isinstance(value, list):
                    put(entry[column], value)
                else:
                    entry[column] = value
            writer.Fill(entry)


for name, (title, columns) in json.load(open("spec.json")).items():
    write_tree(name, title, columns)
    write_ntuple(name, title, columns)
"""

_TYPES = {
    "float32": "float",
    "float64": "double",
    "uint32": "unsigned int",
    "uint64": "std::uint64_t",
}
_TYPES |= {"int32": "int", "bool": "bool"}
_ARRAY = {name: f"{kind}[n]" for name, kind in _TYPES.items()}
_VECTOR = {name: f"std::vector<{kind}>" for name, kind in _TYPES.items()}


def _columns(values: Branches, lists: dict[str, str]) -> dict[str, tuple[str, list[Any]]]:
    """Branches as their C++ types and plain values; arrays with the counter of their collection."""
    found: dict[str, tuple[str, list[Any]]] = {}
    for name, column in values.items():
        array = ak.Array(column)
        kind = np.asarray(ak.flatten(array, axis=None)).dtype.name
        if array.ndim == 1:
            found[name] = (_TYPES[kind], array.tolist())
            continue
        own = lists[kind]
        if own.endswith("[n]"):
            counter = f"n{name.partition('_')[0]}"
            found.setdefault(counter, ("int", ak.num(array).tolist()))
            own = own.replace("[n]", f"[{counter}]")
        found[name] = (own, array.tolist())
    return found


def _vectors() -> dict[str, tuple[str, list[Any]]]:
    """TreeMaker's columns, its jets as Lorentz vectors in a branch that ROOT splits."""
    values = {name: ak.Array(column) for name, column in _tree_maker().items()}
    doubles = {
        name: ak.values_astype(column, np.float64) if column.ndim == 2 else column
        for name, column in values.items()
    }
    parts = [doubles.pop(f"JetsAK8.fCoordinates.{c}") for c in ("fPt", "fEta", "fPhi", "fE")]
    events = zip(*(part.tolist() for part in parts), strict=True)
    jets = [[list(jet) for jet in zip(*event, strict=True)] for event in events]
    vector = "std::vector<ROOT::Math::LorentzVector<ROOT::Math::PtEtaPhiE4D<double>>>"
    return {"JetsAK8": (vector, jets)} | _columns(doubles, _VECTOR)


_FILES = {
    "nano": (CASES["NanoAOD"], lambda: _columns(_nano(), _ARRAY)),
    "treemaker": (CASES["TreeMaker"], _vectors),
    "flat": (CASES["flat"], lambda: _columns(_narrowed(_flat()), _VECTOR)),
}


def _narrowed(values: Branches) -> Branches:
    """Without types of which ROOT's interpreter would have to compile more."""
    kinds = {"nLeptons": np.int32, "evtNo": np.uint64}
    return {
        name: column.astype(kinds.get(name, column.dtype)) if name in kinds else column
        for name, column in values.items()
    }


@pytest.fixture(scope="module")
def by_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    files = {name: (layout.tree, make()) for name, (layout, make) in _FILES.items()}
    (folder / "spec.json").write_text(json.dumps(files))
    real_root.run(_SCRIPT, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tree", "ntuple"])
@pytest.mark.parametrize("name", _FILES)
def test_a_file_that_root_wrote_is_read_as_a_loop_over_what_it_was_given(
    by_root: Path, name: str, kind: str
) -> None:
    layout, make = _FILES[name]
    columns = {column: values for column, (_, values) in make().items()}
    if "JetsAK8" in columns:
        jets = columns.pop("JetsAK8")
        for i, part in enumerate(("fPt", "fEta", "fPhi", "fE")):
            columns[f"JetsAK8.fCoordinates.{part}"] = [[jet[i] for jet in event] for event in jets]
    entries = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    path = by_root / f"{name}_{kind}.root"
    assert inspect(path).layout == layout.name
    _check(path, Read(layout, entries), rtol=2e-6 if name == "treemaker" else 0.0)
