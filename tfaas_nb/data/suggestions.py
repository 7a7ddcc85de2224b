"""Branches that may be meant where one is missing: of the same kind, or none.

A list of numbers takes the place of a variable of the jets, a number that of a variable of the
event; a variable of large-radius jets is not looked for among those of other jets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tfaas_nb.data.branches import Types
from tfaas_nb.data.layouts import LAYOUTS, NANO_JET, PLAIN, Layout, is_list
from tfaas_nb.nearest import nearest, note

_SLOT = re.compile(r"_\d+$")
_OF_JETS, _LARGE = re.compile(r"jet|ak|fat|ca8", re.I), re.compile(r"ak_?0?8|ca_?0?8|fat", re.I)
#: Jets that are not large, or not reconstructed; parts of jets.
_OTHERS = re.compile(r"(?i:ak_?0?4|gen|sub|cand)|(^|/)Jets?[_.]")
#: Lengths of lists, and what may be meant by them.
_COUNT, _MAY_COUNT = re.compile(r"n[A-Z]"), re.compile(r"[nN]")
_WHOLE = re.compile(r"bool|int")
#: Names that hold whether something is so.
_FLAG = re.compile(r"(HLT|L1|Flag|DST)_|(pass|is|has)[A-Z_]")


@dataclass(frozen=True)
class Suggestions:
    """Finder of the branches of a tree that may be meant.

    Attributes
    ----------
    branches : Types
        The tree's branches.
    layout : Layout
        As recognised.
    mapping : mapping
        Variable → branch, as it was asked for.
    """

    branches: Types
    layout: Layout
    mapping: Mapping[str, str]

    def of_jet(self, variable: str, missing: str) -> str | None:
        """Suggest a branch for a variable of the jets, as in a mapping; None if there is none."""
        if variable in self.mapping:
            return nearest(missing, self._patterns) if "{}" in missing else self._list(missing)
        if self.layout.marks and not self.layout.slots:
            collection = self.layout.jet_branch.partition("{}")[0]
            return self._list(missing, lambda path: path.startswith(collection))
        own = NANO_JET.get(variable, variable)
        return (
            _of_large(own, "_{}", self._patterns)
            or nearest(f"{variable}_{{}}", self._patterns)
            or _of_large(own, "", self._lists)
            or (None if self.is_of_cms else self._list(missing, _may_be_large))
        )

    def of_event(self, variable: str, missing: str) -> str | None:
        """Suggest a branch for a variable of the event; None if there is none."""
        counted = variable in ("nJets", "nLeptons") and variable not in self.mapping
        if counted and self.layout is PLAIN and self.is_of_cms:
            return None  # where the jets are missing, their number is no other collection's
        _, paths = self._of_event(missing)
        return paths[0] if paths else None

    def hint(self, name: str) -> str:
        """The end of an error message for a branch that was asked for: of one value per event."""
        near, paths = self.branches.nearest(name, _of_kind(name, self._numbers + self._truths))
        if not paths:
            return ""
        listed = ", ".join(map(repr, paths))
        several = f"s are {listed}" if len(paths) > 1 else f" is {listed}"
        return f"; the nearest name{several}{note(name, near)}"

    def of_term(self, name: str, condition: bool) -> list[str]:
        """Branches that a name in an expression may mean: truth values and integers, or numbers.

        Names of triggers and filters are conditions wherever they stand.
        """
        truths = condition or _FLAG.match(name)
        return _of_kind(name, self._truths if truths else self._numbers)

    def _of_event(self, name: str) -> tuple[str, list[str]]:
        return self.branches.nearest(name, self.of_term(name, condition=False))

    def _list(self, missing: str, may_be: Callable[[str], bool] = bool) -> str | None:
        _, paths = self.branches.nearest(missing, filter(may_be, self._lists))
        return paths[0] if paths else None

    @cached_property
    def is_of_cms(self) -> bool:
        """True if a file has collections with CMS's names, perhaps without large jets."""
        ids = [known.event_id for known in LAYOUTS if known.objects is not None]
        return any(all(name in self.branches for name in own) for own in ids)

    @property
    def incomplete_jets(self) -> str:
        """The branches by which jets would be recognised if all were there, in words."""
        partly = [
            f"{', '.join(there)} without {', '.join(set(known.marks) - set(there))}"
            for known in LAYOUTS
            if (there := [mark for mark in known.marks if mark in self.branches])
        ]
        alone = self.layout is PLAIN and partly
        return f"of the branches that tell AK8 jets it has {'; '.join(partly)}" if alone else ""

    @property
    def absent_jets(self) -> str:
        """The names by which large-radius jets are looked for, in words, of a file without any."""
        if self.layout is not PLAIN:
            return ""
        names: dict[str, list[str]] = {}
        for known in LAYOUTS:
            sought = known.jet_branch.partition("{}")[0].rstrip("_") or known.marks[0]
            names.setdefault(known.name, []).append(sought)
        sought = "; ".join(f"{', '.join(own)} ({kind})" for kind, own in names.items())
        return f"there are no AK8 jets in this file by a name that is known: {sought}"

    @cached_property
    def _patterns(self) -> list[str]:
        """Branches with one number for each jet, ``{}`` in place of the jet's number."""
        found = (_SLOT.sub("_{}", name) for name in self._numbers if _SLOT.search(name))
        return list(dict.fromkeys(found))

    @cached_property
    def _types(self) -> dict[str, str]:
        """Whole paths of the branches that can be read → types."""
        paths = (path for path in self.branches if not self.branches.problem(path))
        return {path: self.branches[path] for path in paths}

    @cached_property
    def _lists(self) -> list[str]:
        return [n for n, kind in self._types.items() if is_list(kind) and "bool" not in kind]

    @cached_property
    def _numbers(self) -> list[str]:
        return [n for n, k in self._types.items() if not is_list(k) and "bool" not in k]

    @cached_property
    def _truths(self) -> list[str]:
        return [n for n, k in self._types.items() if not is_list(k) and _WHOLE.search(k)]


def _of_kind(name: str, paths: list[str]) -> list[str]:
    """The paths without lengths of lists, which only a number of things is likely to mean."""
    return paths if _MAY_COUNT.match(name) else [path for path in paths if not _COUNT.match(path)]


def _may_be_large(name: str) -> bool:
    return not _OTHERS.search(name)


def _of_large(own: str, end: str, names: Iterable[str]) -> str | None:
    """The one name of a quantity of large-radius jets, by its collection; None if of several."""
    ending = f"_{own}{end}"
    collections = [n for n in names if n.endswith(ending) and _may_be_large(n)]
    jets = [n for n in collections if _OF_JETS.search(n.removesuffix(ending))]
    large: Sequence[str] = [n for n in jets if _LARGE.search(n.removesuffix(ending))] or jets
    return large[0] if len(large) == 1 else None
