"""Branches inside branches, of every type, by any name that is theirs alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests import real_root
from tests.ntuples import write_ntuple, write_tree
from tfaas_nb.data.inspection import inspect
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet

SHARED = Path(__file__).parents[3] / "shared" / "data"
WJET = SHARED / "cms_ntuple_wjet.root"
needs_wjet = pytest.mark.skipif(not WJET.exists(), reason=f"needs the real file {WJET}")
N = 40

#: What the files of ROOT hold, in words that Python computes again below.
_ZOO = """
ROOT.gInterpreter.Declare('''
#include <list>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>
#include "Math/Vector4D.h"
#include "TLorentzVector.h"
#include "TNtuple.h"
#include "TNtupleD.h"
#include "TTree.h"
struct Hit { float pt; float eta; int cells[3]; };
struct Header { int run; float pt; Hit lead; };
struct Leaves { int run; int ls; float met; };
struct Ragged { int n; float x[2]; float y; };
struct Mixed { float a[3]; int b; signed char c; };
void zoo() {
  TFile file("zoo.root", "RECREATE");
  TTree tree("events", "");
  Leaves info; tree.Branch("info", &info, "run/I:ls/I:met/F");
  Mixed mixed; tree.Branch("mixed", &mixed, "a[3]/F:b/I:c/B");
  Ragged ragged; tree.Branch("ragged", &ragged, "n/I:x[n]/F:y/F");
  int only; tree.Branch("alone", &only, "leaf/I");
  std::set<int> numbers; tree.Branch("numbers", &numbers);
  std::list<float> listed; tree.Branch("listed", &listed);
  std::multiset<double> several; tree.Branch("several", &several);
  std::map<std::string, double> named; tree.Branch("named", &named);
  std::pair<int, float> pair; tree.Branch("pair", &pair);
  std::vector<std::vector<float>> deep; tree.Branch("deep", &deep);
  std::string text; tree.Branch("text", &text);
  Double32_t plain, packed; tree.Branch("plain", &plain, "plain/d");
  tree.Branch("packed", &packed, "packed/d[0,10,20]");
  int slashed; tree.Branch("a/b", &slashed, "slashed/I");
  float first = 1, second = 2;
  tree.Branch("twice", &first, "twice/F"); tree.Branch("twice", &second, "twice/F");
  TLorentzVector* whole = new TLorentzVector;
  tree.Branch("whole", "TLorentzVector", &whole, 32000, 0);
  ROOT::Math::PtEtaPhiMVector met, lepton; tree.Branch("met", &met); tree.Branch("lepton", &lepton);
  Header one, other; tree.Branch("one", &one); tree.Branch("other.", &other);
  Header unsplit; tree.Branch("unsplit", &unsplit, 32000, 0);
  for (int i = 0; i < 40; ++i) {
    info = {100 + i, i % 7, 0.5f * i};
    for (int k = 0; k < 3; ++k) mixed.a[k] = 10 * i + k;
    ragged.n = 2; ragged.x[0] = i; ragged.x[1] = 2 * i; ragged.y = 3 * i;
    mixed.b = -i; mixed.c = i % 5; only = 3 * i;
    numbers.clear(); listed.clear(); several.clear(); named.clear(); deep.clear();
    for (int k = 0; k < i % 4; ++k) {
      numbers.insert(100 * k + i); listed.push_back(2 * k); several.insert(k);
      named[std::to_string(k)] = k + i; deep.push_back({1, 2});
    }
    pair = {i, 1.5f * i}; text = "event"; plain = 0.25 * i; packed = 0.25 * i; slashed = 7 * i;
    whole->SetPtEtaPhiM(i, 0, 0, 1);
    met.SetCoordinates(10 + i, 1, 2, 3); lepton.SetCoordinates(110 + i, -1, -2, 4);
    one = {i, 30.f + i, {50.f + i, 0.1f, {i, i + 1, i + 2}}};
    other = {1000 + i, 60.f + i, {70.f + i, 0.2f, {i, i, i}}}; unsplit = one;
    tree.Fill();
  }
  tree.Write();
  TNtuple flat("flat", "", "pt:eta"); TNtupleD wide("wide", "", "pt:eta");
  for (int i = 0; i < 5; ++i) { flat.Fill(i, 2 * i); wide.Fill(i + 0.1, 3 * i); }
  flat.Write(); wide.Write();
}
''')
ROOT.zoo()
"""

EVENTS = range(N)
_LISTS = [[100 * k + i for k in range(i % 4)] for i in EVENTS]
#: Any name → one number per event.
NUMBERS = {
    "info.run": [100 + i for i in EVENTS],
    "info/ls": [i % 7 for i in EVENTS],
    "ls": [i % 7 for i in EVENTS],
    "info.met": [0.5 * i for i in EVENTS],
    "mixed.b": [-i for i in EVENTS],
    "c": [i % 5 for i in EVENTS],
    "alone": [3 * i for i in EVENTS],
    "alone.leaf": [3 * i for i in EVENTS],
    "pair/second": [1.5 * i for i in EVENTS],
    "pair.first": list(EVENTS),
    "plain": [0.25 * i for i in EVENTS],
    "packed": [0.25 * i for i in EVENTS],
    "a/b": [7 * i for i in EVENTS],
    "met.fCoordinates.fPt": [10 + i for i in EVENTS],
    "met/fCoordinates/fCoordinates.fM": [3] * N,
    "lepton.fCoordinates.fPt": [110 + i for i in EVENTS],
    "lepton/fCoordinates.fEta": [-1] * N,
    "one.run": list(EVENTS),
    "one.pt": [30 + i for i in EVENTS],
    "one.lead.pt": [50 + i for i in EVENTS],
    "other.run": [1000 + i for i in EVENTS],
    "other./other.pt": [60 + i for i in EVENTS],
    "other.lead.pt": [70 + i for i in EVENTS],
}
#: Any name → a list per event.
LISTS = {
    "numbers": _LISTS,
    "listed": [[2 * k for k in range(i % 4)] for i in EVENTS],
    "named.second": [[k + i for k in range(i % 4)] for i in EVENTS],
    "mixed.a": [[10 * i + k for k in range(3)] for i in EVENTS],
    "one.lead.cells": [[i, i + 1, i + 2] for i in EVENTS],
    "other.lead.cells[3]": [[i, i, i] for i in EVENTS],
}
UNREADABLE = {
    "info": "it has several leaves: name one of them, run, ls, met",
    "several": "uproot cannot read multiset<double>",
    "ragged": "uproot cannot read n/I:x[n]/F:y/F",
    "named": "it consists of branches: name one of them, named.first, named.second",
    "deep": "it holds std::vector<std::vector<float>>, not numbers",
    "text": "it holds std::string, not numbers",
    "twice": "2 branches are called 'twice': nothing tells them apart",
    "whole": "it holds TLorentzVector, not numbers",
    "met": "it consists of branches: name one of them, fCoordinates",
    "one": "it consists of branches: name one of them, run, pt, lead",
    "unsplit": "it holds Header, not numbers",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of whatever ROOT writes and uproot does not."""
    folder = tmp_path_factory.mktemp("zoo")
    real_root.run(_ZOO, folder)
    return folder / "zoo.root"


def column(path: Path, name: str, tree: str | None = None, **options: Any) -> list[float]:
    """A number of each event, read as a feature, kept, and in a cut and a weight."""
    X = read(path, FeatureSet("own", (name,)), tree, **options).X[:, 0].tolist()
    kept = read(path, FeatureSet("own", (name,)), tree, keep=(name,), weight=name, **options)
    assert kept.extra[name].tolist() == pytest.approx(X, rel=1e-6)
    assert kept.weight.tolist() == X
    return X


def lists(path: Path, name: str, tree: str | None = None) -> list[list[float]]:
    """A list of numbers of each event, in falling order."""
    features = FeatureSet("own", (), ("x",), jets=4, order_by="x", padding=-5.0)
    X = read(path, features, tree, branches={"x": name}).X
    return [[value for value in row if value != -5.0] for row in X.tolist()]


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_that_of_the_branch_of_the_name(zoo: Path, name: str) -> None:
    assert column(zoo, name, "events") == pytest.approx(NUMBERS[name], abs=1e-5)
    assert dict(inspect(zoo, FeatureSet("own", (name,)), "events").branches)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_that_of_the_branch_of_the_name(zoo: Path, name: str) -> None:
    assert lists(zoo, name, "events") == [sorted(one, reverse=True) for one in LISTS[name]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["info.run", "other.lead.pt", "lepton.fCoordinates.fPt"])
def test_a_cut_takes_a_path_with_dots(zoo: Path, name: str) -> None:
    middle = NUMBERS[name][N // 2]
    features = FeatureSet("own", (name,))
    X = read(zoo, features, "events", cut=f"{name} > {middle} & one.run < 35").X
    events = zip(NUMBERS[name], NUMBERS["one.run"], strict=True)
    assert X[:, 0].tolist() == [value for value, run in events if value > middle and run < 35]


@pytest.mark.slow
def test_what_cannot_be_read_is_shown_and_takes_nothing_with_it(zoo: Path) -> None:
    found = inspect(zoo, FeatureSet("own", ("info.run",)), "events")
    assert found.is_readable
    unreadable = dict(found.unreadable)
    assert {name: unreadable[name] for name in UNREADABLE} == UNREADABLE
    types = dict(found.branches)
    assert types["info.met"] == "float"
    assert types["mixed.a"] == "float[3]"
    assert types["numbers"] == "std::set<int32_t>"
    assert "text" in repr(found)
    bad = inspect(zoo, FeatureSet("own", ("text", "alone")), "events")
    assert not bad.is_readable
    assert "text cannot be read: branch 'text': it holds std::string" in bad.summary
    everything = [path for path in types if path not in unreadable]
    singles = [path for path in everything if "[" not in types[path] and "<" not in types[path]]
    assert len(read(zoo, FeatureSet("own", ("alone",)), "events", keep=singles)) == N


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_refused_with_file_and_branch(zoo: Path, name: str) -> None:
    for options in ({"features": FeatureSet("own", (name,))}, {"keep": (name,)}):
        asked: dict[str, Any] = {"features": FeatureSet("own", ("alone",)), **options}
        with pytest.raises(DataError, match="zoo.root") as refused:
            read(zoo, tree="events", **asked)
        assert repr(name) in str(refused.value)
        assert UNREADABLE[name].partition(":")[0] in str(refused.value) or "not numbers" in str(
            refused.value
        )


@pytest.mark.parametrize("name", ["fCoordinates.fPt", "fPt", "lead.pt", "pt", "run"])
def test_a_name_of_several_is_refused_with_all_of_them(zoo: Path, name: str) -> None:
    def ends(path: str) -> bool:
        return f".{path.replace('/', '.')}".endswith(f".{name}")

    with uproot.open(zoo) as file:
        paths = [path for path in file["events"].iterkeys() if ends(path)]
    paths += ["info.run"] if name == "run" else []
    assert len(paths) > 1
    for options in ({"features": FeatureSet("own", (name,))}, {"keep": (name,)}):
        asked: dict[str, Any] = {"features": FeatureSet("own", ("alone",)), **options}
        with pytest.raises(DataError, match="may be any of the branches") as refused:
            read(zoo, tree="events", **asked)
        assert all(repr(path) in str(refused.value) for path in paths)
    for asked in ({"cut": f"{name} > 0"}, {"weight": f"{name} * 2"}):
        with pytest.raises(DataError, match="may be any of .*write one of them"):
            read(zoo, FeatureSet("own", ("alone",)), "events", **asked)
    missing = inspect(zoo, FeatureSet("own", (name,)), "events")
    assert not missing.is_readable
    assert all(repr(path) in missing.summary for path in paths)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("met.fCoordinates.fPtt", "'met/fCoordinates/fCoordinates.fPt'"),
        ("info.rum", "'info.run'"),
        ("other.lead.ptt", "'other./other.lead/other.lead.pt'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_path(
    zoo: Path, name: str, nearest: str
) -> None:
    with pytest.raises(DataError, match=f"no branch {name!r}; .*the nearest name is {nearest}"):
        read(zoo, FeatureSet("own", (name,)), "events")


@pytest.mark.parametrize("name", ["flat", "wide"])
def test_ntuples_are_trees(zoo: Path, name: str) -> None:
    shift = 0.1 if name == "wide" else 0.0
    assert column(zoo, "pt", name) == pytest.approx([i + shift for i in range(5)])
    kinds = {tree.name: tree.kind for tree in inspect(zoo, tree=name).trees}
    assert kinds == {"events": "TTree", "flat": "TNtuple", "wide": "TNtupleD"}


# --- objects of a real file --------------------------------------------------------------------


def every_branch(holder: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each branch of a tree with its whole path, as it stands in the file."""
    for branch in holder.branches:
        yield f"{path}{branch.name}", branch
        yield from every_branch(branch, f"{path}{branch.name}/")


@pytest.mark.slow
@needs_wjet
def test_each_object_of_a_real_file_has_its_own_values() -> None:
    with uproot.open(WJET) as file:
        numbers = {
            path: [float(value) for value in branch.array(library="np")]
            for path, branch in every_branch(file["variable"])
            if str(branch.typename) in ("float", "int32_t", "uint64_t", "double", "bool")
        }
    assert len({tuple(values) for path, values in numbers.items() if path.endswith("fPt")}) > 9
    X = read(WJET, FeatureSet("own", tuple(numbers))).X
    for position, (path, values) in enumerate(numbers.items()):
        assert X[:, position].tolist() == np.float32(values).tolist(), path


# --- RNTuples ----------------------------------------------------------------------------------


_ELEMENTS = """
ROOT.gInterpreter.Declare('''
#include <bitset>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <variant>
#include <vector>
#include <ROOT/RNTupleModel.hxx>
#include <ROOT/RNTupleWriter.hxx>
void elements() {
  auto model = ROOT::RNTupleModel::Create();
  auto pair = model->MakeField<std::pair<int, float>>("pair");
  auto three = model->MakeField<std::tuple<int, float, double>>("three");
  auto many = model->MakeField<std::vector<std::tuple<int, float, double>>>("many");
  auto map = model->MakeField<std::map<int, float>>("map");
  auto inner = model->MakeField<std::pair<int, std::pair<float, std::vector<double>>>>("inner");
  auto set = model->MakeField<std::set<int>>("set");
  auto bits = model->MakeField<std::bitset<12>>("bits");
  auto either = model->MakeField<std::variant<int, float>>("either");
  auto text = model->MakeField<std::string>("text");
  auto deep = model->MakeField<std::vector<std::vector<float>>>("deep");
  auto wide = model->MakeField<Double32_t>("wide");
  auto writer = ROOT::RNTupleWriter::Recreate(std::move(model), "events", "elements.root");
  for (int i = 0; i < 40; ++i) {
    *pair = {i, 0.5f * i}; *three = {i, 2.f * i, 3. * i}; *inner = {i, {4.f * i, {5. * i, 6.}}};
    many->clear(); map->clear(); set->clear(); deep->assign(2, {1.f, 2.f});
    for (int k = 0; k < i % 4; ++k) {
      many->push_back({k, 10.f * k, 100. * k + i}); (*map)[k] = k + i; set->insert(100 * k + i);
    }
    *bits = std::bitset<12>(i); *text = "x"; *wide = 0.1 * i;
    if (i % 2) *either = i; else *either = 1.f;
    writer->Fill();
  }
}
''')
for name, headers in (
    ("std::tuple<int,float,double>", "tuple"), ("std::map<int,float>", "map"),
    ("std::set<int>", "set"), ("std::vector<std::tuple<int,float,double>>", "vector;tuple"),
):
    ROOT.gInterpreter.GenerateDictionary(name, headers)
ROOT.elements()
"""


@pytest.fixture(scope="module")
def elements(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RNTuple of pairs, tuples, maps, and of what holds no numbers."""
    folder = tmp_path_factory.mktemp("elements")
    real_root.run(_ELEMENTS, folder)
    return folder / "elements.root"


@pytest.mark.slow  # ROOT compiles dictionaries of its tuples and maps
def test_each_element_of_pairs_tuples_and_maps_is_read_alone(elements: Path) -> None:
    numbers = {
        ("pair.1", "pair._1", "pair.second"): [0.5 * i for i in EVENTS],
        ("pair.0", "pair._0", "pair.first"): list(EVENTS),
        ("three._1",): [2 * i for i in EVENTS],
        ("three.2", "three._2"): [3 * i for i in EVENTS],
        ("inner._1._0", "inner.1.0"): [4 * i for i in EVENTS],
        ("wide",): [0.1 * i for i in EVENTS],
    }
    for names, values in numbers.items():
        for name in names:
            assert column(elements, name) == pytest.approx(values), name
    both = read(elements, FeatureSet("own", ("three._2", "three._0", "pair._1"))).X
    assert both.tolist() == [[3 * i, i, 0.5 * i] for i in EVENTS]
    assert len(read(elements, FeatureSet("own", ("pair._1",)), cut="pair._1 >= 10")) == 20
    listed = {
        ("many._2", "many.2"): [[100 * k + i for k in range(i % 4)] for i in EVENTS],
        ("many._1",): [[10 * k for k in range(i % 4)] for i in EVENTS],
        ("map._1", "map.second"): [[k + i for k in range(i % 4)] for i in EVENTS],
        ("inner._1._1",): [[5 * i, 6] for i in EVENTS],
        ("set",): _LISTS,
    }
    for names, lists_ in listed.items():
        for name in names:
            assert lists(elements, name) == [sorted(one, reverse=True) for one in lists_], name
    features = FeatureSet("own", (), ("a", "b"), jets=4, order_by="b", padding=-5.0)
    X = read(elements, features, branches={"a": "many._0", "b": "many._2"}).X
    assert X[3].tolist() == [2, 1, 0, -5, 203, 103, 3, -5]
    bits = FeatureSet("own", (), ("bit",), jets=12, order_by="bit")
    sums = read(elements, bits, branches={"bit": "bits"}).X.sum(axis=1)
    assert sums.tolist() == [bin(i).count("1") for i in EVENTS]
    unreadable = dict(inspect(elements).unreadable)
    assert set(unreadable) == {"text", "deep"}
    assert column(elements, "either") == [i if i % 2 else 1 for i in EVENTS]
    for name in unreadable:
        with pytest.raises(DataError, match=f"branch '{name}' of the tree 'events' .*not numbers"):
            read(elements, FeatureSet("own", ("wide",)), keep=(name,))


def test_fields_of_equal_names_are_each_their_own(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "pt": np.arange(5.0),
        "a": ak.Array([{"pt": 10.0 + i, "b": {"pt": 20.0 + i, "x": i}} for i in range(5)]),
        "c": ak.Array([{"pt": 30.0 + i, "b_pt": 40.0 + i} for i in range(5)]),
        "jets": ak.Array([[{"pt": 50.0 + i + k, "q": k} for k in range(i)] for i in range(5)]),
    }
    path = write_ntuple(tmp_path / "own.root", values)
    names = ("pt", "a.pt", "a_pt", "a.b.pt", "a_b_pt", "c_pt", "c.b_pt", "x")
    X = read(path, FeatureSet("own", names)).X
    assert X.tolist() == [[i, 10 + i, 10 + i, 20 + i, 20 + i, 30 + i, 40 + i, i] for i in range(5)]
    assert lists(path, "jets.pt") == [[50 + i + k for k in reversed(range(i))] for i in range(5)]
    assert lists(path, "q") == [list(reversed(range(i))) for i in range(5)]
    with pytest.raises(DataError, match=r"'b.pt' may be any|no branch 'b.ptt'"):
        read(path, FeatureSet("own", ("b.ptt",)))


def test_two_records_that_flatten_to_one_name_keep_their_own(tmp_path: Path) -> None:
    values = {
        "a": ak.Array([{"b_c": 1.0}] * 3),
        "a_b": ak.Array([{"c": 2.0}] * 3),
    }
    path = write_ntuple(tmp_path / "own.root", values)
    assert [name for name, _ in inspect(path).branches] == ["a.b_c", "a_b.c"]
    X = read(path, FeatureSet("own", ("a.b_c", "a_b.c"))).X
    assert X.tolist() == [[1.0, 2.0]] * 3


# --- names alone -------------------------------------------------------------------------------


def test_a_whole_name_goes_before_the_end_of_another(tmp_path: Path) -> None:
    names = ["pt", "jet.pt", "lead.jet.pt", "lead.jet.eta", "a/eta"]
    values = {name: np.full(3, float(i)) for i, name in enumerate(names)}
    path = write_tree(tmp_path / "own.root", values)
    wanted = {"pt": 0, "jet.pt": 1, "lead.jet.pt": 2, "jet.eta": 3, "a.eta": 4, "a/eta": 4}
    X = read(path, FeatureSet("own", tuple(wanted))).X
    assert X[0].tolist() == list(wanted.values())
    with pytest.raises(DataError, match=r"'eta' may be any of .* 'lead.jet.eta', 'a/eta'"):
        read(path, FeatureSet("own", ("eta",)))


@pytest.mark.parametrize("count", [1, 3])
def test_identifiers_are_found_inside_of_objects(tmp_path: Path, count: int) -> None:
    values = {f"id{k}.{name}": np.arange(4) for k in range(count) for name in ("run", "event")}
    path = write_tree(tmp_path / "own.root", values | {"x": np.arange(4.0)})
    from tfaas_nb.data.event_file import EventFile, Reading

    with EventFile(str(path), Reading(FeatureSet("own", ("x",)))) as file:
        assert file.event_id == (("id0.run", "id0.event") if count == 1 else ())


@pytest.mark.slow
def test_every_pair_of_columns_is_read_together_as_alone(zoo: Path) -> None:
    names = list(itertools.islice(NUMBERS, 0, None, 4))
    for one, other in itertools.combinations(names, 2):
        X = read(zoo, FeatureSet("own", (one, other)), "events").X
        np.testing.assert_allclose(X.T, [NUMBERS[one], NUMBERS[other]], atol=1e-5)


def test_lists_of_an_ntuple_are_what_their_records_make_of_them(tmp_path: Path) -> None:
    values = {
        "nJets": np.array([2, 0, 1]),
        "jetPt": ak.Array([[300.0, 200.0], [], [250.0]]),
        "jetEta": ak.Array([[0.5, None], [], [1.5]]),
        "top": ak.Array([[{"b": [{"pt": 1.0}]}], [], [{"b": []}]]),
    }
    path = write_ntuple(tmp_path / "a.root", values)
    features = FeatureSet("lists", ("nJets",), ("jetPt", "jetEta"), jets=2)
    with pytest.raises(DataError, match="branch 'jetEta' .* 1 value that is not finite"):
        read(path, features, progress=False)
    data = read(path, features, on_nan="pad", progress=False)
    assert data.X.tolist() == [[1, 300, 0, 0.5, 0], [0] * 5, [1, 250, 0, 1.5, 0]]
    found = inspect(path, features)
    assert dict(found.branches)["top_b_pt"] == "std::vector<std::vector<double>>"
    assert ("top_b_pt", "it holds std::vector<std::vector<double>>, not numbers") in (
        found.unreadable
    )
