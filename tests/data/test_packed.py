"""Packed numbers: what real ROOT wrote and reads itself is what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import real_root
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable

ENTRIES = 40
#: The pads behind a list are no values of its own.
SLOTS, PADDING = 6, -5000.0

#: Descriptions of leaves, of lists that `nJets` counts.
LISTS = (
    "ranged[nJets]/d[0,3000,16]",
    "plain[nJets]/d",
    "pi[nJets]/d[-pi,pi,12]",
    "twice[nJets]/d[0,2*pi]",
    "two[nJets]/d[ -2pi , TwoPi , 20 ]",
    "half[nJets]/d[-pi/2,pi/4,8]",
    "mantissa[nJets]/d[0,0,10]",
    "most[nJets]/d[0,0,14]",
    "whole[nJets]/d[0,0,16]",
    "none[nJets]/d[0,0]",
    "fewest[nJets]/d[0,100,2]",
    "all[nJets]/d[-500.5,1e3,32]",
    "beyond[nJets]/d[0,100,33]",
    "upside[nJets]/d[5,5,17]",
    "first[nJets]/d[0,3*1000,16]",
    "float[nJets]/f",
    "floatRanged[nJets]/f[0,3000,16]",
    "floatMantissa[nJets]/f[0,0,8]",
    "floatWhole[nJets]/f[0,0,16]",
)
FIXED = (
    "fixed[4]/d[0,3000,16]",
    "fixedPlain[4]/d",
    "fixedMantissa[4]/d[0,0,10]",
    "fixedFloat[4]/f[0,3000,16]",
    "fixedDefault[4]/f",
)
SCALARS = (
    "scalar/d[0,3000,16]",
    "scalarPlain/d",
    "scalarPi/d[0,2pi,16]",
    "scalarMantissa/d[0,0,9]",
    "scalarFirst/d[0,3*1000,16]",
    "scalarFloat/f[-10,10,9]",
    "scalarDefault/f",
)
REFUSED = "reversed[nJets]/d[100,0,16]"

#: Members of a class, split; of a TClonesArray's elements.
MEMBER_LISTS = {
    "var": "e.var",
    "float": "e.half",
    "vector": "e.vd",
    "vectorFloat": "e.vf",
    "clone": "clones.pt",
    "cloneMantissa": "clones.m",
    "fixed": "e.lead.three[3]",
}
MEMBER_SCALARS = {"pt": "e.lead.pt", "note": "e.lead.note", "mass": "e.lead.mass"}

HEADER = """
#include "TObject.h"
#include <vector>
struct Lead {
   Double32_t pt = 0; //[0,3000,16]
   Double32_t note = 0; // an energy [GeV] of [0,3000,20]
   Float16_t mass = 0; //[0,0,8]
   Double32_t three[3] = {0}; //[0,3000,16]
};
class Clone : public TObject { public:
   Double32_t pt = 0; //[0,3000,16]
   Double32_t m = 0; //[0,0,10]
   Double32_t three[3] = {0}; //[0,3000,16]
   ClassDef(Clone,1)
};
class Ev : public TObject { public:
   Int_t n = 0;
   Double32_t *var = nullptr; //[n][0,3000,16]
   Float16_t *half = nullptr; //[n]
   Lead lead;
   std::vector<Double32_t> vd;
   std::vector<Float16_t> vf;
   ClassDef(Ev,1)
};
"""

SCRIPT = """
import json
lists, fixed, scalars = {lists!r}, {fixed!r}, {scalars!r}
ROOT.gErrorIgnoreLevel = ROOT.kFatal
ROOT.gInterpreter.ProcessLine('#include "members.h"')
ROOT.gInterpreter.Declare('''
#include "TTreeFormula.h"
#include "TClonesArray.h"
double number(TRandom3 &r) {{ return r.Uniform() < .5 ? r.Uniform(0, 3000) : r.Uniform(-3, 3); }}
void leaves(std::vector<std::string> lists, std::vector<std::string> fixed,
            std::vector<std::string> scalars) {{
  TFile f("leaves.root", "recreate"); TTree t("events", "");
  Int_t n; Double_t d[6]; Float_t f4[6];
  t.Branch("nJets", &n, "nJets/I");
  auto add = [&](std::string one) {{
    std::string name = one.substr(0, one.find_first_of("[/"));
    bool isFloat = one[one.find('/') + 1] == 'f';
    t.Branch(name.c_str(), isFloat ? (void*)f4 : (void*)d, one.c_str());
  }};
  for (auto &one : lists) add(one);
  for (auto &one : fixed) add(one);
  for (auto &one : scalars) add(one);
  TRandom3 r(1);
  for (int i = 0; i < {entries}; i++) {{
    n = i % 6;
    for (int k = 0; k < 6; k++) f4[k] = d[k] = number(r);
    t.Fill();
  }}
  t.Write();
}}
void members() {{
  TFile f("members.root", "recreate"); TTree t("events", "");
  Ev *e = new Ev; e->var = new Double32_t[6]; e->half = new Float16_t[6];
  TClonesArray *clones = new TClonesArray("Clone");
  t.Branch("e.", &e, 32000, 99); t.Branch("clones", &clones, 32000, 99);
  TRandom3 r(2);
  for (int i = 0; i < {entries}; i++) {{
    e->n = i % 6; clones->Clear(); e->vd.clear(); e->vf.clear();
    for (int k = 0; k < 6; k++) {{ e->var[k] = number(r); e->half[k] = number(r); }}
    e->lead.pt = number(r); e->lead.note = number(r); e->lead.mass = number(r);
    for (auto &x : e->lead.three) x = number(r);
    for (int k = 0; k < i % 4; k++) {{
      e->vd.push_back(number(r)); e->vf.push_back(number(r));
      auto *c = (Clone*)clones->ConstructedAt(k);
      c->pt = number(r); c->m = number(r); for (auto &x : c->three) x = number(r);
    }}
    t.Fill();
  }}
  t.Write();
}}
std::vector<std::vector<double>> values(TTree *t, const char *name) {{
  std::vector<std::vector<double>> all; TTreeFormula f("f", name, t);
  for (Long64_t i = 0; i < t->GetEntries(); i++) {{
    t->LoadTree(i); std::vector<double> one; int n = f.GetNdata();
    for (int k = 0; k < n; k++) one.push_back(f.EvalInstance(k));
    all.push_back(one);
  }}
  return all;
}}
''')
strings = ROOT.std.vector("std::string")
ROOT.leaves(strings(list(lists)), strings(list(fixed)), strings(list(scalars)))
ROOT.members()
def told(path, names):
    file = ROOT.TFile(path)
    tree = file.Get("events")
    return {{name: [list(one) for one in ROOT.values(tree, name)] for name in names}}
names = [one.replace("/", "[").split("[")[0] for one in [*lists, *fixed, *scalars]]
json.dump(told("leaves.root", names) | told("members.root", {members!r}), open("values.json", "w"))
"""


def name(leaf: str) -> str:
    return leaf.replace("/", "[").split("[")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of real ROOT, and what it reads of them itself: ``values.json``."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "members.h").write_text(HEADER)
    members = [name(one) for one in (*MEMBER_LISTS.values(), *MEMBER_SCALARS.values())]
    script = SCRIPT.format(
        lists=[*LISTS, REFUSED], fixed=FIXED, scalars=SCALARS, entries=ENTRIES, members=members
    )
    real_root.run(script, folder)
    return folder


def of_root(folder: Path, branch: str) -> list[list[float]]:
    values: dict[str, Any] = json.loads((folder / "values.json").read_text())
    assert len(values[branch]) == ENTRIES
    return values[branch]


def as_jets(path: Path, branch: str) -> list[list[float]]:
    """The values of a list branch, read as the only variable of jets."""
    features = FeatureSet("one", (), (Variable("jetX"),), SLOTS, order_by="jetX", padding=PADDING)
    X = read(path, features, branches={"jetX": branch}, progress=False).X
    return [[float(value) for value in row if value != PADDING] for row in X]


def ordered(values: list[list[float]]) -> list[list[float]]:
    """As jets are: falling, in float32."""
    return [sorted((float(np.float32(x)) for x in one), reverse=True) for one in values]


@pytest.mark.parametrize("leaf", [*LISTS, *FIXED])
def test_packed_lists_of_leaves_have_roots_values(folder: Path, leaf: str) -> None:
    values = of_root(folder, name(leaf))
    assert sum(map(len, values)) > ENTRIES
    assert as_jets(folder / "leaves.root", name(leaf)) == ordered(values)


@pytest.mark.parametrize("leaf", SCALARS)
def test_packed_numbers_of_leaves_have_roots_values(folder: Path, leaf: str) -> None:
    data = read(
        folder / "leaves.root",
        FeatureSet("no jets", (Variable("x"),), ()),
        branches={"x": name(leaf)},
        keep=[name(leaf)],
        progress=False,
    )
    expected = [value for (value,) in of_root(folder, name(leaf))]
    assert data.extra[name(leaf)].tolist() == expected
    assert data.X[:, 0].tolist() == [float(np.float32(value)) for value in expected]


@pytest.mark.parametrize("branch", MEMBER_LISTS.values(), ids=MEMBER_LISTS.keys())
def test_packed_lists_in_objects_have_roots_values(folder: Path, branch: str) -> None:
    values = of_root(folder, name(branch))
    assert sum(map(len, values)) > ENTRIES
    assert as_jets(folder / "members.root", branch) == ordered(values)


@pytest.mark.parametrize("branch", MEMBER_SCALARS.values(), ids=MEMBER_SCALARS.keys())
def test_packed_numbers_in_objects_have_roots_values(folder: Path, branch: str) -> None:
    features = FeatureSet("no jets", (Variable("x"),), ())
    data = read(folder / "members.root", features, branches={"x": branch}, progress=False)
    expected = [float(np.float32(value)) for (value,) in of_root(folder, branch)]
    assert data.X[:, 0].tolist() == expected


def test_a_packing_that_root_cannot_read_either_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"branch 'reversed' .*mantissa of 100 bits"):
        as_jets(folder / "leaves.root", "reversed")
    assert as_jets(folder / "leaves.root", "ranged")  # and takes no other branch with it


def test_lists_of_packed_arrays_are_refused_as_all_lists_of_lists_are(folder: Path) -> None:
    with pytest.raises(DataError, match="clones.three"):
        as_jets(folder / "members.root", "clones.three[3]")
