"""Trees of every kind, by folder, name and cycle, and friends of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests import real_root
from tests.ntuples import add_tree, write_tree
from tfaas_nb.data.counting import count
from tfaas_nb.data.inspection import inspect
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import load, read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet

X = FeatureSet("own", ("x",))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with trees in folders; the first number in each tells which it is."""
    path = tmp_path_factory.mktemp("folders") / "folders.root"
    write_tree(path, {"x": np.arange(3.0)}, "nominal/Events")
    for number, name in enumerate(("nominal/Runs", "up/Events", "up/deep/other", "down/Events")):
        add_tree(path, {"x": np.arange(3.0) + 10 * (number + 1)}, name)
    return path


@pytest.mark.parametrize(
    ("tree", "first"),
    [
        ("nominal/Events", 0),
        ("/nominal/Events", 0),
        ("nominal/Events;1", 0),
        ("Runs", 10),
        ("up/Events", 20),
        ("other", 30),
        ("deep/other", 30),
        ("down/Events", 40),
    ],
)
def test_a_tree_is_found_by_its_folder_or_the_end_of_its_name(
    folders: Path, tree: str, first: float
) -> None:
    for data in (
        read(folders, X, tree),
        read(f"{folders}:{tree}", X),
        read({folders: tree}, X),
        read([{str(folders): tree}], X),
        read(f"{folders}:{tree}", X, "up/Events"),
        read(f"{folders.parent}/*.root:{tree}", X),
        tn.read(tn.Sample({folders: tree}), X),
    ):
        assert data.X[:, 0].tolist() == [first, first + 1, first + 2]
        assert data.sources[0].tree.endswith(tree.strip("/"))
        assert data.sources[0].file == "folders.root"
    assert inspect({folders: tree}, X).tree == data.sources[0].tree


def test_of_trees_that_end_alike_one_must_be_named(folders: Path) -> None:
    with pytest.raises(DataError, match=r"several trees 'Events': .*'down/Events', 'n"):
        read(folders, X, "Events")
    with pytest.raises(DataError, match="more than one tree; .*say which with tree="):
        read(folders, X)
    with pytest.raises(DataError, match="no tree 'up/Event'; .*the nearest name is 'up/Events'"):
        read(f"{folders}:up/Event", X)
    with pytest.raises(DataError, match=r"has no 'up/Events;7'; .* it has \['up/Events;1'\]"):
        read(folders, X, "up/Events;7")
    names = [tree.name for tree in inspect(folders, X).trees]
    assert names == ["down/Events", "nominal/Events", "nominal/Runs", "up/Events", "up/deep/other"]


def test_events_in_a_folder_are_the_tree_that_is_read(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", {"x": np.arange(3.0)}, "nano/Runs")
    add_tree(path, {"x": np.arange(3.0) + 10}, "nano/Events")
    assert read(path, X).X[0, 0] == 10


def test_trees_of_one_file_are_signal_and_background(folders: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"signal": f"{folders}:up/Events", "background": {folders: "Runs"}}
    data = load(**given, features=X)
    assert data.X[:, 0].tolist() == [20, 21, 22, 10, 11, 12]
    assert data.y.tolist() == [1, 1, 1, 0, 0, 0]
    stream = load(**given, features=X, stream=True)
    assert np.concatenate([chunk.X for chunk in stream.chunks()]).tolist() == data.X.tolist()
    *_, counted = count(given, Reading(X, cut="x < 22"))
    assert (counted["signal"].passed, counted["background"].passed) == (2, 3)
    mixed = load(f"{folders}:up/Events", [f"{folders}:Runs", {folders: "down/Events"}], X)
    assert mixed.X[3:, 0].tolist() == [10, 11, 12, 40, 41, 42]
    with pytest.raises(DataError, match="is in two samples of signal"):
        load([tn.Sample(f"{folders}:Runs"), tn.Sample({folders: "Runs"})], given["background"], X)
    with pytest.raises(DataError, match="name the tree each time"):
        load(folders, f"{folders}:Runs", X)
    with pytest.warns(UserWarning, match="is in signal and background"):
        load(folders, f"{folders}:Runs", X, "Runs")


@pytest.mark.slow
def test_the_newest_cycle_is_read_unless_another_is_named(tmp_path: Path) -> None:
    real_root.run(_CYCLES, tmp_path)
    path = tmp_path / "cycles.root"
    assert len(read(path, X)) == len(read(path, X, "events;2")) == 10
    for data in (
        read(path, X, "events;1"),
        read(f"{path}:events;1", X),
        read({path: "events;1"}, X),
    ):
        assert data.X[:, 0].tolist() == list(range(5))
        assert data.sources[0].tree == "events;1"
    assert read(path, X, "a/slash").X.tolist() == [[7.0]]
    assert read(path, X, "folder/b/slash;1").X.tolist() == [[8.0]]


_CYCLES = """
from array import array
file = ROOT.TFile("cycles.root", "RECREATE")
x = array("d", [0])
tree = ROOT.TTree("events", "")
tree.Branch("x", x, "x/D")
for times in range(2):
    for i in range(5):
        x[0] = i
        tree.Fill()
    tree.Write()
for folder, name in ((file, "a/slash"), (file.mkdir("folder"), "b/slash")):
    folder.cd()
    one = ROOT.TTree(name, "")
    one.Branch("x", x, "x/D")
    x[0] = 7 if name == "a/slash" else 8
    one.Fill()
    one.Write()
file.Close()
"""


# --- friends -----------------------------------------------------------------------------------


_FRIENDS = """
from array import array
file = ROOT.TFile("friends.root", "RECREATE")
numbers = {name: array("d", [0]) for name in ("pt", "run", "sf", "few", "z", "far")}
trees = {}
for name, entries, branches in (
    ("main", 30, ("pt", "run")), ("weights", 30, ("sf", "run")), ("short", 10, ("few",)),
    ("indexed", 30, ("run", "z")), ("further", 30, ("far",)),
):
    trees[name] = tree = ROOT.TTree(name, "")
    for branch in branches:
        tree.Branch(branch, numbers[branch], branch + "/D")
    for i in range(entries):
        values = dict(pt=2 * i, run=i, sf=1 + 0.5 * i, few=i, z=-i, far=100 + i)
        if name == "weights":
            values["run"] = 1000 + i
        for branch in branches:
            numbers[branch][0] = values[branch]
        tree.Fill()
other = ROOT.TFile("other.root", "RECREATE")
away = ROOT.TTree("away", "")
away.Branch("far", numbers["far"], "far/D")
for i in range(30):
    away.Fill()
away.Write()
other.Close()
file.cd()
trees["indexed"].BuildIndex("run")
trees["weights"].AddFriend("further")
for friend in ("alias = weights", "short", "indexed"):
    trees["main"].AddFriend(friend)
trees["main"].AddFriend("away", "other.root")
for tree in trees.values():
    tree.Write()
file.Close()
"""
ROWS = range(30)


@pytest.fixture(scope="module")
def friends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with friends of all kinds."""
    folder = tmp_path_factory.mktemp("friends")
    real_root.run(_FRIENDS, folder)
    return folder / "friends.root"


@pytest.mark.slow
def test_the_branches_of_a_friend_are_read_by_its_name_or_alone(friends: Path) -> None:
    names = {
        "pt": [2 * i for i in ROWS],
        "run": list(ROWS),
        "alias.run": [1000 + i for i in ROWS],
        "alias.sf": [1 + 0.5 * i for i in ROWS],
        "sf": [1 + 0.5 * i for i in ROWS],
        "further.far": [100 + i for i in ROWS],
        "far": [100 + i for i in ROWS],
    }
    data = read(friends, FeatureSet("own", tuple(names)), keep=("alias.run", "run"))
    assert data.X.T.tolist() == list(names.values())
    assert data.sources[0].tree == "main", "friends are no trees of their own"
    assert data.extra["alias.run"].tolist() == names["alias.run"]
    cut = read(friends, FeatureSet("own", ("pt",)), cut="alias.run > 1010 & sf < 10", weight="sf")
    rows = [i for i in ROWS if 1000 + i > 1010 and 1 + 0.5 * i < 10]
    assert cut.X[:, 0].tolist() == [2 * i for i in rows]
    assert cut.weight.tolist() == [1 + 0.5 * i for i in rows]
    parts = read(friends, FeatureSet("own", ("sf",)), stream=True)
    assert np.concatenate([chunk.X[:, 0] for chunk in parts.chunks()]).tolist() == names["sf"]


def test_friends_that_do_not_match_are_not_read_and_named_as_such(friends: Path) -> None:
    found = inspect(friends, FeatureSet("own", ("pt", "sf")))
    assert found.is_readable
    assert found.tree == "main"
    assert found.notes == (
        "its friend 'short' is not read: it has 10 entries, the tree 30",
        "its friend 'indexed' is not read: its entries are matched by an index, not by their order",
        "its friend 'away' is not read: it is the tree 'away' of another file, other.root",
    )
    assert all(note in found.summary for note in found.notes)
    assert {"alias.sf", "further.far"} < dict(found.branches).keys()
    for name in ("few", "short.few", "z", "indexed.z", "away.far"):
        with pytest.raises(DataError, match="friend 'short' is not read: it has 10 entries"):
            read(friends, FeatureSet("own", (name,)))
    assert read(friends, FeatureSet("own", ("few",)), "short").X[:, 0].tolist() == list(range(10))


def test_a_tree_without_friends_is_read_with_the_least_of_its_header(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", {"x": np.arange(3.0)})
    with uproot.open(path) as file:
        assert b"TFriendElement" not in bytes(file["events"].chunk.raw_data)
    assert inspect(path, X).notes == ()
