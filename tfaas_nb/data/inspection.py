"""Inspection of a ROOT file: the branches that it has and lacks for a set of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.branches import Types, read
from tfaas_nb.data.columns import is_ntuple
from tfaas_nb.data.files import Files, expand
from tfaas_nb.data.friends import friends
from tfaas_nb.data.layouts import is_list
from tfaas_nb.data.opening import choose_tree, decoding, open_file, tree_named, trees
from tfaas_nb.data.origins import (
    EventOrigin,
    JetCount,
    JetOrigin,
    LeptonCount,
    Number,
    Objects,
    Slots,
)
from tfaas_nb.data.plan import Plan, events_only
from tfaas_nb.data.reading import Reading, branch_names, check_mapping
from tfaas_nb.data.variations import described
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.table import Table

_SHOWN = 15


@dataclass(frozen=True)
class Tree:
    """A tree of the file.

    Attributes
    ----------
    name, kind : str
        Its name; TTree or RNTuple.
    entries, branches : int
        How many it has.
    """

    name: str
    kind: str
    entries: int
    branches: int


@dataclass(frozen=True)
class Found:
    """Origin of a variable in a file, or a note that it is missing.

    Attributes
    ----------
    variable : str
        Name in the feature set.
    origin : str
        Branch it is read from, or what it is computed from.
    type : str
        Type of the branch, or of the first of several; empty if it is missing.
    missing : tuple of str
        Branches that are not there.
    nearest : str or None
        The branch most like the first missing one.
    asked : tuple of str
        Further branches that a selection looks at.
    advice : str
        What to do if it is missing and no branch can take its place.
    problem : str
        Why its branch cannot be read, or which branches its name could mean.
    """

    variable: str
    origin: str
    type: str
    missing: tuple[str, ...] = ()
    nearest: str | None = None
    asked: tuple[str, ...] = ()
    advice: str = ""
    problem: str = ""

    @property
    def note(self) -> str:
        """Further remarks: the problem, the nearest branch or the branches of a selection."""
        if self.problem:
            return self.problem
        if self.nearest:
            return f"nearest: {self.nearest}"
        return f"looks at {', '.join(self.asked)}" if self.asked else ""


@dataclass(frozen=True, repr=False)
class Inspection:
    """Result of `inspect`, displayed as tables.

    Attributes
    ----------
    file : str
        The file.
    features : FeatureSet
        What was looked for.
    trees : tuple of Tree
        All trees of the file.
    tree : str or None
        The one that would be read; None if that must be said.
    layout : str
        The layout that was recognised.
    variables : tuple of Found
        The variables that the features need.
    branches : tuple of (str, str)
        All branches of the tree and their types.
    candidates : tuple of str
        Branches that could be further features of the jets.
    unreadable : tuple of (str, str)
        Branches of which no numbers can be read, and why.
    notes : tuple of str
        What else there is to say of the tree, such as friends that are not read.
    problem : str
        Why no tree would be read; empty if one would.
    """

    file: str
    features: FeatureSet
    trees: tuple[Tree, ...]
    tree: str | None
    layout: str
    variables: tuple[Found, ...]
    branches: tuple[tuple[str, str], ...]
    candidates: tuple[str, ...]
    problem: str = ""
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Found, ...]:
        """The variables that are missing."""
        return tuple(found for found in self.variables if found.missing)

    @property
    def is_readable(self) -> bool:
        """True if `tn.load` can read the features without further arguments."""
        problems = any(one.problem for one in self.variables)
        return self.tree is not None and not self.missing and not problems

    @property
    def summary(self) -> str:
        """Missing variables and advice, in words."""
        if self.problem:
            return self.problem
        if self.is_readable:
            nothing = f"Nothing is missing for the {len(self.features)} features."
            return "\n".join((nothing, *self.notes))
        lines = [_in_words(one) for one in self.variables if one.missing or one.problem]
        lines += dict.fromkeys(one.advice for one in self.missing if one.advice)
        mapping = {one.variable: one.nearest for one in self.missing if one.nearest}
        if mapping:
            lines.append(f"If the nearest are meant: tn.load(..., branches={mapping})")
        lines += self.notes
        return "\n".join(lines)

    def _tables(self) -> list[Table]:
        found = [
            Table(
                ("tree", "kind", "entries", "branches", "read"),
                tuple(
                    (t.name, t.kind, t.entries, t.branches, "yes" if t.name == self.tree else "")
                    for t in self.trees
                ),
                f"{self.file}: {self.layout}" if self.tree else self.file,
            )
        ]
        if self.variables:
            rows = tuple(
                (
                    one.variable,
                    "missing: " + ", ".join(one.missing) if one.missing else one.origin,
                    one.type,
                    one.note,
                )
                for one in self.variables
            )
            found.append(Table(("variable", "read from", "type", ""), rows))
        if self.candidates:
            types = dict(self.branches)
            shown = tuple((name, types[name]) for name in self.candidates[:_SHOWN])
            more = len(self.candidates) - len(shown)
            caption = "Other branches of its jets" + (f", {more} more not shown" if more else "")
            found.append(Table(("branch", "type"), shown, caption))
        if self.unreadable:
            found.append(self._unreadable_table())
        return found

    def _unreadable_table(self) -> Table:
        types = dict(self.branches)
        # That an object consists of branches is no news where those are listed.
        rows = sorted(self.unreadable, key=lambda row: "consists of" in row[1])
        shown = tuple((name, types[name], why) for name, why in rows[:_SHOWN])
        more = len(rows) - len(shown)
        caption = "Branches that are no numbers themselves"
        caption += f", {more} more not shown" if more else ""
        return Table(("branch", "type", "why"), shown, caption)

    def __repr__(self) -> str:
        return "\n\n".join([*map(repr, self._tables()), self.summary])

    def _repr_html_(self) -> str:
        note = Table((self.summary.replace("\n", ". "),), ())
        return "".join(table._repr_html_() for table in (*self._tables(), note))


@checked_calls(DataError)
def inspect(
    file: Files,
    features: FeatureSet = TTBAR_ALL_HADRONIC,
    tree: str | None = None,
    *,
    branches: Mapping[str, str] | None = None,
    objects: Objects | None = None,
    optional: Sequence[str] = (),
) -> Inspection:
    """Tell what a ROOT file has of the features, and what it lacks.

    Parameters
    ----------
    file : path
        The file, perhaps with its tree; of several, the first is opened.
    features, tree, branches, objects, optional
        As for `tfaas_nb.load`.

    Returns
    -------
    Inspection
        Trees, the layout recognised, the branch that each variable would be read from or that
        it is missing and the nearest name, and further branches of the jets.

    Raises
    ------
    DataError
        If the file does not exist or is no ROOT file, or a variable is mapped that the features do
        not need; never for what the file holds.
    """
    first = expand(file, tree=tree)[0]
    path, tree = first.path, first.tree or tree
    mapping, absent = {} if branches is None else branches, branch_names(optional, "optional")
    reading = Reading(features, tree, mapping, objects=objects, optional=absent)
    check_mapping([reading])
    with open_file(path) as opened, decoding(path):
        there = tuple(_summary(name, tree_named(opened, name)) for name in trees(opened))
        try:
            name = choose_tree(opened, path, tree)
        except DataError as error:
            return Inspection(path, features, there, None, "", (), (), (), str(error))
        chosen = tree_named(opened, name)
        types = Types(chosen, friends(opened, name, chosen))
        plan = Plan(reading, types, f"the tree {name!r} of {path}")
        return Inspection(
            path,
            features,
            there,
            name,
            plan.layout.name,
            tuple(_found(name, origin, plan) for name, origin in _origins(plan).items()),
            tuple(plan.branches.items()),
            tuple(_candidates(plan)),
            unreadable=tuple((path, why) for path in types if (why := types.problem(path))),
            notes=(*types.problems, *_of_variations(plan, opened, chosen)),
        )


#: Origin of an optional variable that the file lacks.
_ABSENT = "0, as the file lacks it and it is optional"


def _of_variations(plan: Plan, file: Any, tree: Any) -> list[str]:
    """Describe the entries to be read, if the tree is a snapshot with systematic variations."""
    try:
        bits = events_only(plan, file).required
        if not bits:
            return []
        entries = int(tree.num_entries)
        masks = [bit.mask for bit in bits]
        columns = read(tree, plan.branches, masks, 0, entries, plan.where)
    except DataError as error:
        return [str(error)]
    return [described(bits, {bit: columns[bit.mask] for bit in bits})]


def _in_words(one: Found) -> str:
    if one.problem:
        return f"{one.variable} cannot be read: {one.problem}"
    return f"{one.variable} is missing: no branch {', '.join(map(repr, one.missing))}" + (
        f"; the nearest is {one.nearest!r}" if one.nearest else ""
    )


def _summary(name: str, tree: Any) -> Tree:
    kind = "RNTuple" if is_ntuple(tree) else str(tree.classname)
    return Tree(name, kind, int(tree.num_entries), len(Types(tree)))


def _origins(plan: Plan) -> dict[str, EventOrigin | JetOrigin]:
    return {**plan.event, **plan.jets}


def _found(variable: str, origin: EventOrigin | JetOrigin, plan: Plan) -> Found:
    missing = tuple(plan.resolver.missing([origin]))
    told, types = _told(origin, plan), plan.branches
    for name in missing:
        if message := types.ambiguity(name):
            return Found(variable, told, "", (name,), problem=message)
    if missing and all(
        name in plan.lacking for name in (missing if variable in plan.event else (variable,))
    ):
        return Found(variable, _ABSENT, "")
    if missing and isinstance(origin, LeptonCount):
        return Found(variable, told, "", missing, advice=origin.advice(plan.branches))
    if missing:
        near = plan.nearest(variable, missing[0])
        of_jets = near is None and (variable in plan.jets or variable == "nJets")
        advice = plan.absent_jets if of_jets else ""
        return Found(variable, told, "", missing, near, advice=advice)
    if isinstance(origin, Number):
        return Found(variable, told, "number")
    first = types[origin.branches[0]] if origin.branches else "counted"
    asked = tuple(name for name in origin.optional if name in types)
    for name in (*origin.branches, *asked):
        if message := types.problem(name) or _unlike(variable, origin, plan, types[name]):
            return Found(variable, told, first, problem=f"branch {name!r}: {message}")
    return Found(
        variable, told, "counted" if isinstance(origin, LeptonCount) else first, asked=asked
    )


def _unlike(variable: str, origin: EventOrigin | JetOrigin, plan: Plan, kind: str) -> str:
    """Explain why a branch's type does not fit a variable: a list for a number, or vice versa."""
    has_slots = isinstance(origin, Slots)
    takes_lists = isinstance(origin, LeptonCount) or (variable in plan.jets and not has_slots)
    if takes_lists == is_list(kind):
        return ""
    there, wanted = ("one number", "a list") if takes_lists else ("a list", "one number")
    return f"it holds {there} per event, and {wanted} is needed"


def _told(origin: EventOrigin | JetOrigin, plan: Plan) -> str:
    o = plan.objects
    if isinstance(origin, JetCount):
        return f"jets with pT > {o.jet_pt_min:g} GeV, |eta| < {o.jet_eta_max:g}"
    if isinstance(origin, LeptonCount):
        names = ", ".join(c.collection for c in origin.collections)
        return f"{names} with pT > {o.lepton_pt_min:g} GeV, |eta| < {o.lepton_eta_max:g}"
    if isinstance(origin, Number):
        return f"{origin.value:g} for every event"
    return ", ".join(origin.branches)


def _candidates(plan: Plan) -> list[str]:
    """Branches that are lists like those of the jets, and are not read already."""
    origins = _origins(plan).values()
    branches = plan.branches
    read = {branches.path(name) for name in plan.resolver.present(list(origins))}
    prefix, _, suffix = plan.layout.jet_branch.partition("{}")
    return [
        name
        for name, kind in plan.branches.items()
        if name.startswith(prefix)
        and name.endswith(suffix)
        and name not in read
        and is_list(kind) is not plan.layout.slots
        and not branches.problem(name)
    ]
