"""Friends of a TTree: other trees that have more of the same events."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfaas_nb.data.columns import is_ntuple

#: What the bytes of a tree with friends contain, and of one whose entries are found by an index.
_FRIEND, _INDEX = b"TFriendElement", b"TTreeIndex"
_METADATA = "minimal_ttree_metadata"


@dataclass(frozen=True)
class Friends:
    """The friends of a tree.

    Attributes
    ----------
    trees : mapping
        Name → TTree of the same file with as many entries.
    problems : tuple of str
        Why the branches of others are not read.
    names : frozenset of str
        What the friends are called in the file.
    """

    trees: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()


def friends(file: Any, key: str, tree: Any) -> Friends:
    """The friends of a tree, those of friends included.

    Parameters
    ----------
    file : uproot.ReadOnlyDirectory
        The file.
    key : str
        The tree's name in it.
    tree : uproot.TTree
        The tree.
    """
    if is_ntuple(tree):
        return Friends()
    trees: dict[str, Any] = {}
    problems: list[str] = []
    seen = {key.partition(";")[0]}
    left = [(key, tree)]
    while left:
        for alias, name, place in _named(file, *left.pop(0)):
            if name in seen or alias in trees:
                continue
            seen.add(name)
            one, problem = _friend(file, name, place, int(tree.num_entries))
            if problem:
                problems.append(f"its friend {alias!r} is not read: {problem}")
            else:
                trees[alias] = one
                left.append((name, one))
    return Friends(trees, tuple(problems), frozenset(seen) - {key.partition(";")[0]})


def _friend(file: Any, name: str, place: str, entries: int) -> tuple[Any, str]:
    """A friend, or why it is not read."""
    if place and posixpath.basename(place) != posixpath.basename(file.file.file_path):
        return None, f"it is the tree {name!r} of another file, {place}"
    try:
        one = file[name]
    except Exception:  # the tree is not there, or cannot be read
        return None, f"the file has no readable tree {name!r}"
    if one.num_entries != entries:
        return None, f"it has {one.num_entries} entries, the tree {entries}"
    if _INDEX in _bytes(one):
        return None, "its entries are matched by an index, not by their order"
    return one, ""


def _named(file: Any, key: str, tree: Any) -> Iterator[tuple[str, str, str]]:
    """Name, tree and file of each friend; uproot tells them if it reads all of a tree's header."""
    if _FRIEND not in _bytes(tree):
        return
    options = file.file.options
    before = options[_METADATA]
    options[_METADATA] = False
    try:
        elements = list(file[key].member("fFriends") or ())
        named = [
            (e.member("fName"), str(e.member("fTreeName")), e.member("fTitle")) for e in elements
        ]
    except Exception:  # what else is in the header may be of any class
        return
    finally:
        options[_METADATA] = before
    yield from named


def _bytes(tree: Any) -> bytes:
    """The tree's header as it is in the file."""
    return bytes(tree.chunk.raw_data)
