"""Layouts of CMS's files: the branches that hold the quantities of an event.

`LAYOUTS` is the table: one entry for each kind of file, recognised by branches that only it
has.  What a file of our own has is told by an explicit mapping, variable by variable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfaas_nb.data.origins import (
    Branch,
    EventOrigin,
    JetCount,
    JetOrigin,
    LeptonCount,
    Leptons,
    Mass,
    Number,
    Objects,
    Slots,
    Sum,
)


@dataclass(frozen=True)
class Layout:
    """One kind of file.

    Attributes
    ----------
    name : str
        What people call it.
    marks : tuple of str
        Branches by which it is recognised: all of them must be there.
    event, jet : mapping
        Variable → where it comes from.
    jet_branch : str
        Name of the branch of any other variable of jets, with ``{}`` for the variable.
    slots : bool
        One branch for each jet, with its number at the end, instead of lists.
    objects : Objects or None
        The selection of jets and leptons; None where the file has done it.
    floor_at_zero : tuple of str
        Variables that cannot be negative: a negative value says that nothing was
        computed (NanoAOD's -1) and is read as zero.
    event_id : tuple of str
        Branches that tell events apart: run, luminosity section, event; other names that are
        known (see `tfaas_nb.data.identifiers`) are found besides.
    """

    name: str
    marks: tuple[str, ...]
    event: Mapping[str, EventOrigin] = field(default_factory=dict)
    jet: Mapping[str, JetOrigin] = field(default_factory=dict)
    jet_branch: str = "{}"
    slots: bool = False
    objects: Objects | None = None
    floor_at_zero: tuple[str, ...] = ()
    event_id: tuple[str, ...] = ()


_NEVER_NEGATIVE = ("jetMass", "jetMassSoftDrop", "jetTau1", "jetTau2", "jetTau3", "jetTau4")
#: Variable of large-radius jets → NanoAOD's name of it.
NANO_JET = {
    "jetPt": "pt",
    "jetEta": "eta",
    "jetPhi": "phi",
    "jetMass": "mass",
    "jetMassSoftDrop": "msoftdrop",
    "jetTau1": "tau1",
    "jetTau2": "tau2",
    "jetTau3": "tau3",
    "jetTau4": "tau4",
}
_NANO_ID = ("run", "luminosityBlock", "event")


def _electron_id(objects: Objects) -> float:
    return objects.electron_id_min


def _nano(name: str, collection: str, leptons: LeptonCount) -> Layout:
    return Layout(
        name,
        marks=(f"{collection}_pt", f"{collection}_eta"),
        event={"nJets": JetCount(), "nLeptons": leptons},
        jet={variable: Branch(f"{collection}_{own}") for variable, own in NANO_JET.items()},
        jet_branch=f"{collection}_{{}}",
        objects=Objects(),
        floor_at_zero=_NEVER_NEGATIVE,
        event_id=_NANO_ID,
    )


_ELECTRONS = Leptons(
    "Electron_pt",
    "Electron_eta",
    "Electron_pfRelIso03_all",
    "Electron_cutBased",
    _electron_id,
)
_MUONS = Leptons("Muon_pt", "Muon_eta", "Muon_pfRelIso03_all", "Muon_looseId")
_NANO_LEPTONS = LeptonCount(((_ELECTRONS,), (_MUONS,)))
#: Since 2024 scouting has muons with and without a vertex; they overlap and are not added up.
_SCOUTING_MUONS = ("ScoutingMuon", "ScoutingMuonVtx", "ScoutingMuonNoVtx")
_SCOUTING_LEPTONS = LeptonCount(
    (
        (Leptons.named("ScoutingElectron"), _ELECTRONS),
        (*map(Leptons.named, _SCOUTING_MUONS), _MUONS),
    )
)


_P4 = "JetsAK8.fCoordinates"

#: Kinds of files, the first that fits is taken.  Names as in CMS's NanoAOD and scouting NanoAOD
#: (PhysicsTools/NanoAOD of CMSSW) and in TreeMaker's ntuples (Run 2 Ultra Legacy).
LAYOUTS: tuple[Layout, ...] = (
    Layout("flat ntuple", marks=("jetPt",), event_id=("runNo", "lumi", "evtNo")),
    Layout("flattened ntuple", marks=("jetPt_0",), slots=True, event_id=("runNo", "lumi", "evtNo")),
    Layout("flattened ntuple", marks=("jetPt_1",), slots=True, event_id=("runNo", "lumi", "evtNo")),
    _nano("NanoAOD", "FatJet", _NANO_LEPTONS),
    _nano("scouting NanoAOD", "ScoutingFatJet", _SCOUTING_LEPTONS),
    _nano("scouting NanoAOD", "ScoutingFatPFJetRecluster", _SCOUTING_LEPTONS),
    Layout(
        "TreeMaker",
        marks=(f"{_P4}.fPt",),
        event={"nJets": JetCount(), "nLeptons": Sum(("NElectrons", "NMuons"))},
        jet={
            "jetPt": Branch(f"{_P4}.fPt"),
            "jetEta": Branch(f"{_P4}.fEta"),
            "jetPhi": Branch(f"{_P4}.fPhi"),
            "jetMass": Mass(f"{_P4}.fPt", f"{_P4}.fEta", f"{_P4}.fE"),
            "jetMassSoftDrop": Branch("JetsAK8_softDropMass"),
            "jetTau1": Branch("JetsAK8_NsubjettinessTau1"),
            "jetTau2": Branch("JetsAK8_NsubjettinessTau2"),
            "jetTau3": Branch("JetsAK8_NsubjettinessTau3"),
            "jetTau4": Branch("JetsAK8_NsubjettinessTau4"),
        },
        jet_branch="JetsAK8_{}",
        objects=Objects(),
        floor_at_zero=_NEVER_NEGATIVE,
        event_id=("RunNum", "LumiBlockNum", "EvtNum"),
    ),
)


#: What a file is taken for that fits none: variables are branches of the same name.
PLAIN = Layout("not recognised", marks=())


def recognise(branches: Mapping[str, str]) -> Layout:
    """The layout of a tree with these branches, `PLAIN` if it is none that is known."""
    return next(
        (known for known in LAYOUTS if all(mark in branches for mark in known.marks)), PLAIN
    )


@dataclass(frozen=True)
class Resolver:
    """Resolver of variables in one tree: by the explicit mapping, then its layout, then by name.

    Attributes
    ----------
    branches : mapping
        Branch → type, of the tree.
    layout : Layout
        As recognised.
    mapping : mapping
        Variable → branch; for variables of jets with a branch for each, ``{}`` stands for
        the number of the jet (``"ak8_pt{}"``).  A per-event variable may be a number
        (``"0"``), and ``nLeptons`` collections to count (``"Electron, Muon"``).
    objects : Objects or None
        The selection of jets and leptons asked for, if any.
    """

    branches: Mapping[str, str]
    layout: Layout
    mapping: Mapping[str, str] = field(default_factory=dict)
    objects: Objects | None = None

    def event(self, variable: str) -> EventOrigin:
        """Return the origin of a per-event variable; its branches may be missing."""
        if variable in self.mapping:
            return self._mapped(variable, self.mapping[variable])
        if variable == "nJets" and self.objects is not None:
            return JetCount()
        origin = self.layout.event.get(variable)
        if isinstance(origin, LeptonCount):
            return origin.among(self.branches)
        return origin or Branch(variable)

    def _mapped(self, variable: str, name: str) -> EventOrigin:
        if name in self.branches:
            return Branch(name)
        if (value := _number(name)) is not None:
            return Number(value)
        collections = [part.strip() for part in name.split(",")]
        if variable == "nLeptons" and all(f"{c}_pt" in self.branches for c in collections):
            known = {leptons.collection: leptons for leptons in (_ELECTRONS, _MUONS)}
            return LeptonCount(tuple((known.get(c) or Leptons.named(c),) for c in collections))
        return Branch(name)

    def jet(self, variable: str) -> JetOrigin:
        """Return the origin of a per-jet variable; its branches may be missing."""
        name = self.mapping.get(variable)
        if name is None and variable in self.layout.jet:
            return self.layout.jet[variable]
        if name is None:
            if self.layout.slots:
                return self._slots(f"{variable}_{{}}")
            collected = self.layout.jet_branch.replace("{}", variable)
            name = collected if collected in self.branches else variable
        return self._slots(name) if "{}" in name else Branch(name)

    def _slots(self, pattern: str) -> Slots:
        first = 0 if pattern.replace("{}", "0") in self.branches else 1
        found: list[str] = []
        while (name := pattern.replace("{}", str(first + len(found)))) in self.branches:
            found.append(name)
        return Slots(tuple(found) or (pattern.replace("{}", "0"),))

    def missing(self, origins: Sequence[EventOrigin | JetOrigin]) -> list[str]:
        """Branches that are needed and not there."""
        needed = dict.fromkeys(name for origin in origins for name in origin.branches)
        return [name for name in needed if name not in self.branches]

    def present(self, origins: Sequence[EventOrigin | JetOrigin]) -> list[str]:
        """Branches to read, each once."""
        needed = {name: None for origin in origins for name in (*origin.branches, *origin.optional)}
        return [name for name in needed if name in self.branches]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_fixed(typename: str) -> bool:
    """Return True if a branch of this type has a fixed number of values per event, some padding."""
    return bool(re.search(r"\[\d+\]$|^std::array<", typename))


def is_list(typename: str) -> bool:
    """Return True if a branch of this type holds several numbers per event."""
    return bool(
        re.search(r"\[|vector|array|Array|RVec|\b(list|deque|bitset|\w*(set|map))<", typename)
    )
