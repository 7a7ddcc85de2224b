"""Run, luminosity block and event number, under the names that files give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: Names, in lower case, under which files keep what identifies an event.
IDENTIFIERS = (
    ("run", "runnumber", "runnum", "runno"),
    ("luminosityblock", "lumi", "lumiblock", "lumisection", "lumiblocknum", "ls"),
    ("event", "eventnumber", "eventnum", "evt", "evtnum", "evtno", "evtnumber"),
)

#: Branch of the run, of the luminosity block and of the event number; None if there is none.
Identifiers = tuple[str | None, ...]


def find(branches: Mapping[str, str], usual: tuple[str, ...] = ()) -> Identifiers:
    """The branches that tell events apart.

    Parameters
    ----------
    branches : mapping
        Branch → type.
    usual : tuple of str
        What such a file calls them, in this order; asked first.
    """
    there: dict[str, str] = {}
    for name in branches:
        there.setdefault(name.lower(), name)
    for ending, paths in _endings(branches).items():
        if len(paths) == 1:  # of an object that holds them, such as a leaf list ``info.run``
            there.setdefault(ending, paths[0])
    found = []
    for position, names in enumerate(IDENTIFIERS):
        own = [name for name in usual[position : position + 1] if name in branches]
        known = [*own, *(there[name] for name in names if name in there)]
        found.append(next((name for name in known if _is_number(branches[name])), None))
    return tuple(found)


def _endings(branches: Iterable[str]) -> dict[str, list[str]]:
    """The last part of a path, in lower case → the paths that end so."""
    found: dict[str, list[str]] = {}
    for name in branches:
        if len(parts := re.split(r"[/.]", name)) > 1:
            found.setdefault(parts[-1].lower(), []).append(name)
    return found


def _is_number(typename: str) -> bool:
    """Return True if a branch of this type holds one number per event."""
    return bool(re.fullmatch(r"(std::)?(u?int\d+_t|float|double)", typename))
