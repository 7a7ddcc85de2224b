"""Branches whose entries or baskets do not fit their tree are refused, never padded or repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uproot

import tfaas_nb as tn
from tests import real_root
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable

ENTRIES = 1000
JETS = FeatureSet("jets", (Variable("x"),), (Variable("jetPt"),), jets=8, order_by="jetPt")

WRITTEN = """
import array
ROOT.gErrorIgnoreLevel = ROOT.kFatal
n, x, xsec = array.array("i", [0]), array.array("f", [0]), array.array("d", [0])
pt, more = array.array("f", [0] * 8), array.array("i", [0])
vector = ROOT.std.vector("float")()

def file(name, compression=505):
    made = ROOT.TFile(name, "recreate")
    made.SetCompressionSettings(compression)
    tree = ROOT.TTree("events", "")
    tree.SetAutoFlush(250)
    tree.Branch("n", n, "n/I")
    tree.Branch("x", x, "x/F")
    tree.Branch("jetPt", pt, "jetPt[n]/F")
    tree.Branch("vector", vector)
    return made, tree

def event(i):
    x[0], n[0] = i, i % 6
    vector.clear()
    for k in range(n[0]):
        pt[k] = 10 * i + k
        vector.push_back(pt[k])

def fill(tree, entries=1000):
    for i in range(entries):
        event(i)
        tree.Fill()

made, tree = file("late.root")
fill(tree)
late, late_vector = tree.Branch("late", pt, "late[n]/F"), tree.Branch("lateVector", vector)
xsec_branch, twice = tree.Branch("xsec", xsec, "xsec/D"), tree.Branch("twice", x, "twice/F")
xsec[0] = 831.76
xsec_branch.Fill()
for i in range(1000):
    event(i)
    if i < 500:
        late.Fill()
        late_vector.Fill()
    twice.Fill()
    twice.Fill()
counter, counted = tree.Branch("m", more, "m/I"), tree.Branch("counted", pt, "counted[m]/F")
for i in range(1000):
    more[0] = i % 3
    if i < 900:
        counter.Fill()
    counted.Fill()
tree.Write()
made.Close()

made, tree = file("counters.root")
fill(tree)
counter, counted = tree.Branch("m", more, "m/I"), tree.Branch("counted", pt, "counted[m]/F")
for i in range(1000):
    more[0] = 3 if i == 7 else i % 3
    counter.Fill()
    more[0] = i % 3
    counted.Fill()
tree.Write()
made.Close()

features = ROOT.TIOFeatures()
features.Set(ROOT.Experimental.EIOFeatures.kGenerateOffsetMap)
made = ROOT.TFile("offsets.root", "recreate")
tree = ROOT.TTree("events", "")
tree.SetIOFeatures(features)
tree.SetAutoFlush(0)
tree.Branch("n", n, "n/I")
tree.Branch("x", x, "x/F")
tree.Branch("jetPt", pt, "jetPt[n]/F")
tree.SetBasketSize("n", 700)
tree.SetBasketSize("jetPt", 1000)
fill(tree)
tree.Write()
made.Close()

made, tree = file("plain.root", 0)
fill(tree)
tree.Write()
made.Close()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that real ROOT wrote."""
    folder = tmp_path_factory.mktemp("baskets")
    real_root.run(WRITTEN, folder)
    return folder


def one(path: Path, **branches: str) -> Dataset:
    return read(path, JETS, branches=branches, progress=False)


def jets(event: int) -> list[float]:
    """The jets of an event, as the files were filled."""
    return [10.0 * event + k for k in reversed(range(event % 6))]


def check(data: Dataset) -> None:
    for event, row in enumerate(data.X):
        assert row.tolist() == [event, *jets(event), *[0.0] * (8 - event % 6)]


@pytest.mark.slow
def test_the_other_branches_of_such_a_file_are_read(folder: Path) -> None:
    for name in ("late", "counters", "plain"):
        check(one(folder / f"{name}.root"))
    check(one(folder / "late.root", jetPt="vector"))


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        ({"x": "xsec"}, "branch 'xsec' has 1 entry, the tree 1000"),
        ({"jetPt": "late"}, "branch 'late' has 500 entries, the tree 1000"),
        ({"jetPt": "lateVector"}, "branch 'lateVector' has 500 entries, the tree 1000"),
        ({"x": "twice"}, "branch 'twice' has 2000 entries, the tree 1000"),
        ({"jetPt": "counted"}, "branch 'counted' has a counter 'm' of 900 entries, the tree 1000"),
    ],
)
def test_a_branch_of_other_entries_than_its_tree_is_refused(
    folder: Path, branches: dict[str, str], expected: str
) -> None:
    with pytest.raises(DataError, match=expected) as error:
        one(folder / "late.root", **branches)
    assert "late.root" in str(error.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda path: read(path, JETS, weight="xsec", progress=False),
        lambda path: read(path, JETS, weight="2 * xsec", progress=False),
        lambda path: read(path, JETS, cut="xsec > 1", progress=False),
        lambda path: read(path, JETS, keep=["xsec"], progress=False),
        lambda path: read(path, JETS, weight="xsec", stream=True, progress=False).counts,
        lambda path: tn.load(
            path, path.with_name("plain.root"), JETS, weight="xsec", progress=False
        ),
    ],
)
def test_nor_is_it_used_for_weights_cuts_or_columns(
    folder: Path, ask: Callable[[Path], Any]
) -> None:
    with pytest.raises(DataError, match="branch 'xsec' has 1 entry, the tree 1000"):
        ask(folder / "late.root")


def test_inspect_lists_branches_of_other_entries(folder: Path) -> None:
    unreadable = dict(tn.inspect(folder / "late.root", JETS).unreadable)
    assert unreadable["xsec"] == "it has 1 entry, the tree 1000"
    assert unreadable["late"] == "it has 500 entries, the tree 1000"
    assert not {"x", "n", "jetPt", "vector"} & set(unreadable)


def test_lists_that_differ_from_their_counter_are_refused(folder: Path) -> None:
    expected = r"branch 'counted' of .*counters.root has 1 values in entry 7, .* 'm' says 3"
    with pytest.raises(DataError, match=expected):
        one(folder / "counters.root", jetPt="counted")
    with pytest.raises(DataError, match=expected):
        one(folder / "counters.root", jetPt="counted", x="m")


def test_lists_without_offsets_are_divided_by_their_own_entries(folder: Path) -> None:
    with uproot.open(folder / "offsets.root") as file:
        tree = file["events"]
        assert tree["n"].entry_offsets[1] != tree["jetPt"].entry_offsets[1]
    check(one(folder / "offsets.root"))


DAMAGES = ("zeros", "entries", "another")


def _basket(path: Path, branch: str, number: int = 1) -> tuple[int, int]:
    """Position of a basket in a file: its first byte and the one after its last."""
    with uproot.open(path) as file:
        found = file["events"][branch]
        start = int(found.member("fBasketSeek")[number])
        return start, start + int(found.member("fBasketBytes")[number])


@pytest.mark.parametrize(
    ("branch", "damage"),
    [
        *((branch, damage) for branch in ("x", "jetPt", "vector") for damage in DAMAGES),
        ("jetPt", "offsets"),
        ("vector", "offsets"),
    ],
)
def test_a_damaged_basket_is_an_error(
    folder: Path, tmp_path: Path, branch: str, damage: str
) -> None:
    source = folder / "plain.root"
    content = bytearray(source.read_bytes())
    start, stop = _basket(source, branch)
    key = int.from_bytes(content[start + 14 : start + 16], "big")
    if damage == "zeros":
        content[start:stop] = bytes(stop - start)
    elif damage == "entries":  # fNevBuf, and fLast with it where there are no offsets
        content[start + key - 9 : start + key - 5] = (1).to_bytes(4, "big")
    elif damage == "another":  # the basket of another branch at its place
        other = _basket(source, "x" if branch == "jetPt" else "jetPt")
        length = min(stop - start, other[1] - other[0])
        content[start : start + length] = content[other[0] : other[0] + length]
    else:  # the last of the offsets of the lists
        content[stop - 8 : stop - 4] = b"\x7f\xff\xff\xff"
    (tmp_path / "damaged.root").write_bytes(content)
    variable = "x" if branch == "x" else "jetPt"
    with pytest.raises(DataError, match=rf"branch '{branch}' .*damaged.root cannot be read: its "):
        one(tmp_path / "damaged.root", **{variable: branch})


@pytest.mark.slow
def test_what_root_reads_of_baskets_in_memory_and_of_merged_files_is_read(tmp_path: Path) -> None:
    """Trees saved before their baskets were, and trees with maxima of their own, merged fast."""
    script = (
        WRITTEN.partition('made, tree = file("late.root")')[0]
        + """
made, tree = file("first.root")
fill(tree)
tree.Write()
made.Close()
made, tree = file("second.root")
tree.SetAutoFlush(0)
for i in range(1000, 1300):
    event(i)
    tree.Fill()
tree.AutoSave()
made.Close()
merger = ROOT.TFileMerger(False)
merger.SetFastMethod(True)
merger.OutputFile("merged.root", "RECREATE")
assert merger.AddFile("first.root") and merger.AddFile("second.root") and merger.Merge()
"""
    )
    real_root.run(script, tmp_path)
    data = one(tmp_path / "merged.root")
    check(data)
    assert len(data) == 1300
    second = one(tmp_path / "second.root")
    assert second.X.tolist() == data.X[1000:].tolist()
