"""Plan of the branches to be read from a tree and their uses, made before anything is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tfaas_nb.data.addresses import written
from tfaas_nb.data.branches import Types
from tfaas_nb.data.expression import Expression
from tfaas_nb.data.layouts import Layout, Resolver, is_fixed, is_list, recognise
from tfaas_nb.data.origins import (
    Branch,
    EventOrigin,
    JetCount,
    JetOrigin,
    LeptonCount,
    Objects,
    Slots,
)
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.suggestions import Suggestions
from tfaas_nb.data.variations import Bit, variations
from tfaas_nb.errors import DataError
from tfaas_nb.nearest import hint, note
from tfaas_nb.variables import Derived, derived, derived_names

_FEW = 30


@dataclass(frozen=True)
class OfEvent:
    """A name in an expression that stands for a number per event."""

    origin: EventOrigin


@dataclass(frozen=True)
class OfJet:
    """A name in an expression that stands for a variable of the jet in a slot."""

    variable: str
    slot: int


Term = OfEvent | OfJet | Derived


@dataclass(frozen=True)
class Plan:
    """Plan for a reading of one tree.

    Attributes
    ----------
    reading : Reading
        What is wanted.
    branches : Types
        The tree's branches, by any name that is unique.
    where : str
        The tree and its file, for errors.
    required : mapping
        Bits of columns of masks that entries must have to be events: bit → the case.
    """

    reading: Reading
    branches: Types
    where: str
    required: Mapping[Bit, str] = field(default_factory=dict)

    @cached_property
    def layout(self) -> Layout:
        """The layout that was recognised."""
        return recognise(self.branches)

    @cached_property
    def resolver(self) -> Resolver:
        """Finds variables in this tree."""
        return Resolver(self.branches, self.layout, self.reading.branches, self.reading.objects)

    @cached_property
    def suggestions(self) -> Suggestions:
        """Finds branches that may be meant where one is missing."""
        return Suggestions(self.branches, self.layout, self.reading.branches)

    def nearest(self, variable: str, missing: str) -> str | None:
        """The branch that a mapping may name for a variable, of its kind; None if there is none."""
        of = self.suggestions.of_event if variable in self.event else self.suggestions.of_jet
        return of(variable, missing)

    @property
    def objects(self) -> Objects:
        """Selection of jets and leptons."""
        return self.reading.objects or self.layout.objects or Objects()

    @property
    def selects_jets(self) -> bool:
        """True if jets are selected, rather than taken as the file has them."""
        return (self.reading.objects or self.layout.objects) is not None

    @property
    def pads(self) -> bool:
        """True if jets and values that are not finite are taken as absent."""
        return self.reading.on_nan == "pad"

    @cached_property
    def absent(self) -> tuple[str, ...]:
        """Optional branches with one number per event that the tree lacks: they are zero."""
        named = [(name, origin) for name, origin in self.event.items()]
        named += [(n, t.origin) for n, t in self.terms.items() if isinstance(t, OfEvent)]
        found = [
            origin.name
            for name, origin in named
            if isinstance(origin, Branch) and self._lacks(origin.name, name)
        ]
        found += [name for name in self._by_name if self._lacks(name)]
        return tuple(dict.fromkeys(found))

    @cached_property
    def absent_variables(self) -> tuple[str, ...]:
        """Optional variables of jets that the tree lacks: they are zero of each jet."""
        return tuple(name for name, origin in self.jets.items() if self._is_absent(name, origin))

    @property
    def lacking(self) -> tuple[str, ...]:
        """Everything optional that the tree lacks, by the name of the branch, or variable."""
        return (*self.absent, *self.absent_variables)

    @property
    def optional_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of `Reading.optional` that something reads: those lacking, and those there."""
        named = {
            name: origin.branches for name, origin in (*self.event.items(), *self.jets.items())
        }
        named |= {n: t.origin.branches for n, t in self.terms.items() if isinstance(t, OfEvent)}
        named |= {name: (name,) for name in self._by_name}
        missing: list[str] = []
        found: list[str] = []
        for variable, branches in named.items():
            absent = variable in self.absent_variables or any(b in self.absent for b in branches)
            (missing if absent else found).extend(
                name for name in self.reading.optional if name == variable or name in branches
            )
        return tuple(missing), tuple(found)

    def _lacks(self, branch: str, variable: str = "") -> bool:
        """Return True if the tree lacks a branch that is optional by its or its variable's name."""
        optional = self.reading.optional
        return (branch in optional or variable in optional) and not self.branches.meant(branch)

    def _is_absent(self, variable: str, origin: JetOrigin) -> bool:
        """Return True if the tree lacks an optional variable of jets."""
        features, missing = self.reading.features, self.resolver.missing([origin])
        decides = (features.order_by, *(("jetPt", "jetEta") if self.selects_jets else ()))
        if not missing or variable in decides:
            return False
        return all(self._lacks(branch, variable) for branch in missing)

    @cached_property
    def checked_jets(self) -> tuple[str, ...]:
        """Variables of jets that must be finite: those of the features, and what they hang on."""
        features = self.reading.features
        names = [v.name for v in features.jet]
        names += [name for one in features.derived for name in features.derivation(one).needs]
        weighs = [self.terms[name] for name in self.weight.names] if self.weight else []
        ordered = bool(names) or any(isinstance(term, OfJet | Derived) for term in weighs)
        counts = [*self.event.values(), *(t.origin for t in weighs if isinstance(t, OfEvent))]
        if ordered:
            names.append(features.order_by)
        if self.selects_jets and (ordered or any(isinstance(one, JetCount) for one in counts)):
            names += ["jetPt", "jetEta"]
        return tuple(dict.fromkeys(names))

    def is_number_of_jets(self, origin: EventOrigin) -> bool:
        """Return True if the origin is the file's own number of the jets that are read."""
        own = "nJets" not in self.reading.branches and bool(self.jets)
        return own and isinstance(origin, Branch) and origin == self.resolver.event("nJets")

    @cached_property
    def weight(self) -> Expression | None:
        """The weight, if it is a branch or an expression.

        Raises
        ------
        DataError
            If it is not an expression.
        """
        weight = self.reading.weight
        if not isinstance(weight, str) or self.weight_branch:
            return None
        return Expression.parse(weight, "weight")

    @property
    def weight_branch(self) -> str | None:
        """The weight, if it is a branch; its name may be any."""
        weight = self.reading.weight
        if isinstance(weight, str) and (weight in self.branches or self._lacks(weight)):
            return weight
        return None

    @cached_property
    def event(self) -> dict[str, EventOrigin]:
        """Per-event features and where they come from."""
        return {v.name: self.resolver.event(v.name) for v in self.reading.features.event}

    @cached_property
    def terms(self) -> dict[str, Term]:
        """Terms for the names in cut and weight.

        Raises
        ------
        DataError
            If a name stands for nothing; the message shows where it is and the nearest one.
        """
        return {
            name: self._term(name, expression)
            for expression in (self.reading.selection, self.weight)
            if expression is not None
            for name in expression.names
        }

    @cached_property
    def jets(self) -> dict[str, JetOrigin]:
        """Variables of jets that are read, and where they come from; none if none is needed."""
        features = self.reading.features
        wanted = [v.name for v in features.jet]
        quantities = [features.derivation(name) for name in features.derived]
        for term in self.terms.values():
            if isinstance(term, OfJet):
                wanted.append(term.variable)
            elif isinstance(term, Derived):
                quantities.append(term)
        wanted += [name for quantity in quantities for name in quantity.needs]
        if not wanted and not any(isinstance(origin, JetCount) for origin in self._event_origins):
            return {}
        wanted.append(features.order_by)
        if self.selects_jets:
            wanted += ["jetPt", "jetEta"]
        names = list(dict.fromkeys(wanted))
        origins = {name: self.resolver.jet(name) for name in names}
        if any(self._may_be_empty(origin) for origin in origins.values()):
            pt = self.resolver.jet("jetPt")  # tells which slots hold a jet
            if not self.resolver.missing([pt]):
                origins["jetPt"] = pt
        return origins

    def _may_be_empty(self, origin: JetOrigin) -> bool:
        """Return True if some of the origin's numbers may belong to no jet."""
        present = (name for name in origin.branches if name in self.branches)
        return isinstance(origin, Slots) or any(is_fixed(self.branches[n]) for n in present)

    @cached_property
    def wanted(self) -> list[str]:
        """Branches to read, each once."""
        found = self.resolver.present([*self._event_origins, *self.jets.values()])
        by_name = (name for name in self._by_name if not self._lacks(name))
        masks = (bit.mask for bit in self.required)
        return list(dict.fromkeys((*found, *by_name, *masks)))

    def check(self) -> None:
        """Refuse a tree that lacks something.

        Raises
        ------
        DataError
            Naming every branch that is missing, and the nearest to the first.
        """
        for_variable = {
            name: variable
            for variable, origin in (*self.event.items(), *self.jets.items())
            for name in self.resolver.missing([origin])
        }
        jets = [one for name, one in self.jets.items() if name not in self.absent_variables]
        missing = self.resolver.missing([*self._event_origins, *jets])
        missing += [name for name in self._by_name if name not in self.branches]
        missing = [name for name in missing if name not in self.absent]
        if not missing:
            return
        self._check_unique(missing, for_variable)
        there = sorted(self.branches)
        told = f"its branches are {there}" if len(there) <= _FEW else f"it has {len(there)} others"
        layout = f" ({self.layout.name})" if self.layout.marks else ""
        raise DataError(
            f"{self.where}{layout} has no branch {', '.join(map(repr, dict.fromkeys(missing)))}; "
            f"{told}{self._option(missing)}{self._advice(missing, for_variable)}"
            f"{''.join(f'; {problem}' for problem in self.branches.problems)}"
        )

    def _option(self, missing: Sequence[str]) -> str:
        """The option that reads the missing branches as zero, if one does; else nothing."""
        features = self.reading.features
        decide = {features.order_by, *(("jetPt", "jetEta") if self.selects_jets else ())}
        decisive = [origin for name, origin in self.jets.items() if name in decide]
        of_leptons = [o for o in self._event_origins if not isinstance(o, Branch)]
        if set(missing) & {*self.resolver.missing([*decisive, *of_leptons])}:
            return ""
        return f"; if only some files lack it, say optional={list(dict.fromkeys(missing))}"

    def _check_unique(self, missing: list[str], for_variable: Mapping[str, str]) -> None:
        for name in missing:
            if message := self.branches.ambiguity(name):
                variable, paths = for_variable.get(name), self.branches.meant(name)
                choice = f", for instance branches={{{variable!r}: {paths[0]!r}}}"
                how = choice if variable and len(set(paths)) > 1 else ""
                raise DataError(f"in {self.where} {message}{how}")

    def _advice(self, missing: Sequence[str], for_variable: Mapping[str, str]) -> str:
        """Return advice on the first of the missing branches."""
        variable = for_variable.get(missing[0])
        if variable is None:
            return self.suggestions.hint(missing[0])
        origin = self.event.get(variable)
        if isinstance(origin, LeptonCount):
            return f"; {origin.advice(self.branches)}"
        absent = f"; {self.absent_jets}" if self.absent_jets else ""
        near = self.nearest(variable, missing[0])
        if near is None:
            return absent
        mapping = f"branches={{{variable!r}: {near!r}}}"
        said = note(missing[0], near)
        return f"; the nearest name is {near!r}{said}; if that is meant, say {mapping}{absent}"

    @cached_property
    def absent_jets(self) -> str:
        """The names by which jets were looked for in vain, in words; empty if none are missing."""
        missing = {
            variable: names[0]
            for variable, origin in self.jets.items()
            if variable not in self.reading.branches and (names := self.resolver.missing([origin]))
        }
        if not missing:
            return ""
        found = self.suggestions.incomplete_jets
        if found or any(self.nearest(*one) for one in missing.items()):
            return found
        return self.suggestions.absent_jets

    @property
    def _event_origins(self) -> list[EventOrigin]:
        used = [term.origin for term in self.terms.values() if isinstance(term, OfEvent)]
        return [*self.event.values(), *used]

    @property
    def _by_name(self) -> list[str]:
        """Branches that were asked for by their own names."""
        return [*self.reading.keep, *filter(None, [self.weight_branch])]

    def _term(self, name: str, expression: Expression) -> Term:
        features, resolver = self.reading.features, self.resolver
        if name in self.event:
            return OfEvent(self.event[name])
        if name in features.derived:
            return features.derivation(name)
        of_jet = self._of_jet(name)
        if of_jet and (name in features.names or self.layout.slots):
            return self._kept(of_jet, name, expression)
        if name in self.branches and not is_list(self.branches[name]):
            return OfEvent(Branch(name))
        if self._lacks(name) and name not in resolver.mapping and not of_jet:
            return OfEvent(Branch(name))
        if name in resolver.mapping or name in self.layout.event:
            return OfEvent(resolver.event(name))
        quantity = derived(name)
        if quantity is not None:
            for slot in quantity.slots:
                self._kept(OfJet("", slot), name, expression)
            return quantity
        if of_jet:
            return self._kept(of_jet, name, expression)
        raise self._nothing(name, expression)

    def _of_jet(self, name: str) -> OfJet | None:
        """The variable and slot of a name such as ``jetPt_0``, if jets have that variable."""
        match = re.fullmatch(r"(.+)_(0|[1-9]\d*)", name)
        if match is None:
            return None
        origin = self.resolver.jet(match[1])
        if self.resolver.missing([origin]):
            absent = self._is_absent(match[1], origin)
            return OfJet(match[1], int(match[2])) if absent else None
        if isinstance(origin, Branch) and not is_list(self.branches[origin.name]):
            return None
        return OfJet(match[1], int(match[2]))

    def _kept(self, term: OfJet, name: str, expression: Expression) -> OfJet:
        jets = self.reading.features.jets
        if term.slot >= jets:
            raise expression.unknown(
                name, f"the feature set keeps {jets} jets, with numbers from 0 to {jets - 1}"
            )
        return term

    def _nothing(self, name: str, expression: Expression) -> DataError:
        meant = [written(path) for path in self.branches.meant(name)]
        if len(set(meant)) > 1:
            why = f"{name} may be any of {', '.join(meant)}: write one of them"
            return expression.unknown(name, why)
        if len(meant) > 1:
            return expression.unknown(name, self.branches.ambiguity(name))
        if name in self.branches:
            why = f"{name} is a list per event: name one of its jets, for instance {name}_0"
            return expression.unknown(name, why)
        features, condition = self.reading.features, expression.is_condition(name)
        known = [written(path) for path in self.suggestions.of_term(name, condition)]
        if not condition:
            known += [*features.names, *self.layout.event, *derived_names(features.jets)]
        return expression.unknown(
            name,
            f"{name} is neither a feature nor a branch of {self.where}{hint(name, known)}; if only "
            f"some files lack it, say optional=[{name!r}]",
        )


def events_only(plan: Plan, file: Any) -> Plan:
    """The plan that leaves out entries of a snapshot that are no events of what it reads.

    Parameters
    ----------
    plan : Plan
        For a tree that has all of its branches.
    file : uproot.ReadOnlyDirectory
        The file of the tree.

    Raises
    ------
    DataError
        If the file does not say which entries these are.
    """
    found = variations(file, plan.branches)
    if found is None:
        return plan
    return replace(plan, required=found.required(map(plan.branches.path, plan.wanted)))
