"""Events filled one by one, in plain Python, as an analysis without this package would do it.

Nothing here is imported from the package: what it reads is compared with this.  Definitions of
the derived quantities are written out anew from what the README and the papers that it names say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uproot

_OF_A_JET = ("Eta", "Mass", "MassSoftDrop", "Phi", "Pt", "Tau1", "Tau2", "Tau3")
#: The 42 features in the order of TFaaS's published demo.
NAMES = (
    "nJets",
    "nLeptons",
    *(f"jet{variable}_{slot}" for variable in _OF_A_JET for slot in range(5)),
)
#: Derived quantities of one jet, of two, and of all that are kept.
DERIVED = (
    *("tau21_0", "tau31_1", "tau32_2", "tau32_4", "mSD_over_pT_0", "m_over_pT_1", "mSD_over_m_0"),
    *("rho_0", "log_pT_0", "log_m_1", "log_mSD_0", "deltaEta_01", "deltaPhi_01", "deltaR_02"),
    *("m_01", "m_34", "pT_asymmetry_01", "m_jj", "ht", "m_jets"),
)

Entry = dict[str, Any]


@dataclass(frozen=True)
class Jet:
    """A large-radius jet."""

    Pt: float
    Eta: float
    Phi: float
    Mass: float
    MassSoftDrop: float
    Tau1: float
    Tau2: float
    Tau3: float


@dataclass(frozen=True)
class Event:
    """An event: its jets that count, leading first, and how many leptons there are."""

    jets: list[Jet]
    count: int
    leptons: int

    @property
    def row(self) -> list[float]:
        """The 42 features; absent jets are zeros."""
        kept = self.jets[:5]
        found = [float(self.count), float(self.leptons)]
        for variable in _OF_A_JET:
            found += [getattr(jet, variable) for jet in kept] + [0.0] * (5 - len(kept))
        return found

    def derived(self, name: str) -> float:
        """A derived quantity by its name, of the five leading jets."""
        jets = self.jets[:5]
        if name == "ht":
            return sum(jet.Pt for jet in jets)
        if name == "m_jets":
            return mass(jets)
        stem, _, digits = name.rpartition("_")
        slots = (0, 1) if name == "m_jj" else tuple(map(int, digits))
        if max(slots) >= len(jets):
            return 0.0
        chosen = [jets[slot] for slot in slots]
        return _ONE[stem](*chosen) if len(chosen) == 1 else _TWO[stem](*chosen)


def mass(jets: Sequence[Jet]) -> float:
    """Invariant mass of jets."""
    e = x = y = z = 0.0
    for jet in jets:
        own = (
            jet.Pt * math.cos(jet.Phi),
            jet.Pt * math.sin(jet.Phi),
            jet.Pt * math.sinh(jet.Eta),
        )
        e += math.sqrt(own[0] ** 2 + own[1] ** 2 + own[2] ** 2 + jet.Mass**2)
        x, y, z = x + own[0], y + own[1], z + own[2]
    return math.sqrt(max(e * e - x * x - y * y - z * z, 0.0))


def _over(above: float, below: float) -> float:
    return above / below if below > 0 else 0.0


def _log(value: float) -> float:
    return math.log(max(value, 1.0))


def _delta_phi(a: Jet, b: Jet) -> float:
    return abs(math.atan2(math.sin(a.Phi - b.Phi), math.cos(a.Phi - b.Phi)))


_ONE: dict[str, Callable[[Jet], float]] = {
    "tau21": lambda jet: _over(jet.Tau2, jet.Tau1),
    "tau31": lambda jet: _over(jet.Tau3, jet.Tau1),
    "tau32": lambda jet: _over(jet.Tau3, jet.Tau2),
    "mSD_over_pT": lambda jet: _over(jet.MassSoftDrop, jet.Pt),
    "m_over_pT": lambda jet: _over(jet.Mass, jet.Pt),
    "mSD_over_m": lambda jet: _over(jet.MassSoftDrop, jet.Mass),
    "rho": lambda jet: 2 * _log(jet.MassSoftDrop) - 2 * _log(jet.Pt),
    "log_pT": lambda jet: _log(jet.Pt),
    "log_m": lambda jet: _log(jet.Mass),
    "log_mSD": lambda jet: _log(jet.MassSoftDrop),
}
_TWO: dict[str, Callable[[Jet, Jet], float]] = {
    "deltaEta": lambda a, b: abs(a.Eta - b.Eta),
    "deltaPhi": _delta_phi,
    "deltaR": lambda a, b: math.sqrt((a.Eta - b.Eta) ** 2 + _delta_phi(a, b) ** 2),
    "m": lambda a, b: mass([a, b]),
    "m_jj": lambda a, b: mass([a, b]),
    "pT_asymmetry": lambda a, b: _over(a.Pt - b.Pt, a.Pt + b.Pt),
}
_TWO["m_"] = _TWO["m"]


# --- files, entry by entry ----------------------------------------------------------------


def entries(path: Path, tree: str, names: Sequence[str]) -> Iterator[Entry]:
    """Branches of a TTree, or fields of an RNTuple, as plain values: a mapping for each entry."""
    with uproot.open(path) as file:
        opened = file[tree]
        columns = [opened[name].array(library="ak").tolist() for name in names]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def counted(jets: list[Jet], leptons: int) -> Event:
    """An event of a file that holds all jets: those above 200 GeV within |eta| < 2.4 count."""
    good = [jet for jet in jets if jet.Pt > 200 and abs(jet.Eta) < 2.4]
    return Event(sorted(good, key=lambda jet: -jet.Pt), len(good), leptons)


def nano_jets(entry: Entry, collection: str) -> list[Jet]:
    """Jets of NanoAOD, whose -1 says that a quantity was not computed."""
    found = []
    for i in range(len(entry[f"{collection}_pt"])):
        pt, eta, phi, m, softdrop, tau1, tau2, tau3 = (
            entry[f"{collection}_{own}"][i] for own in NANO_JET
        )
        own = (max(one, 0.0) for one in (m, softdrop, tau1, tau2, tau3))
        found.append(Jet(pt, eta, phi, *own))
    return found


NANO_JET = ("pt", "eta", "phi", "mass", "msoftdrop", "tau1", "tau2", "tau3")


def nano_leptons(entry: Entry, electrons: str, muons: str) -> int:
    """Electrons and muons above 20 GeV within |eta| < 2.4; isolated, of loose identification."""
    count = 0
    for collection, quality, least in ((electrons, "cutBased", 2), (muons, "looseId", 1)):
        for i, pt in enumerate(entry[f"{collection}_pt"]):
            if not (pt > 20 and abs(entry[f"{collection}_eta"][i]) < 2.4):
                continue
            isolation = entry.get(f"{collection}_pfRelIso03_all")
            identified = entry.get(f"{collection}_{quality}")
            if isolation is not None and not isolation[i] < 0.15:
                continue
            if identified is not None and not identified[i] >= least:
                continue
            count += 1
    return count


def nano(
    entry: Entry, jets: str = "FatJet", electrons: str = "Electron", muons: str = "Muon"
) -> Event:
    """An event of NanoAOD."""
    return counted(nano_jets(entry, jets), nano_leptons(entry, electrons, muons))


def tree_maker(entry: Entry) -> Event:
    """An event of TreeMaker: jets by (pT, eta, phi, E), leptons counted."""
    found = []
    for i, (pt, eta, phi, energy) in enumerate(
        zip(
            *(entry[f"JetsAK8.fCoordinates.{c}"] for c in ("fPt", "fEta", "fPhi", "fE")),
            strict=True,
        )
    ):
        momentum = pt * math.cosh(eta)
        own = [math.sqrt(max(energy**2 - momentum**2, 0.0))]
        others = ("softDropMass", *(f"NsubjettinessTau{n}" for n in (1, 2, 3)))
        own += [max(entry[f"JetsAK8_{name}"][i], 0.0) for name in others]
        found.append(Jet(pt, eta, phi, *own))
    return counted(found, entry["NElectrons"] + entry["NMuons"])


def flat(entry: Entry) -> Event:
    """An event of a flat ntuple: jets as the file has them, which counts them and the leptons."""
    columns = (entry[f"jet{variable}"] for variable in Jet.__dataclass_fields__)
    jets = [Jet(*values) for values in zip(*columns, strict=True)]
    jets.sort(key=lambda jet: -jet.Pt)
    return Event(jets, entry["nJets"], entry["nLeptons"])


def flattened(entry: Entry, first: int, slots: int, absent: float) -> Event:
    """An event of a flattened ntuple, one branch for each jet; absent ones hold a number."""
    jets = []
    for slot in range(first, first + slots):
        if entry[f"jetPt_{slot}"] != absent:
            own = (entry[f"jet{variable}_{slot}"] for variable in Jet.__dataclass_fields__)
            jets.append(Jet(*own))
    jets.sort(key=lambda jet: -jet.Pt)
    return Event(jets, entry["nJets"], entry["nLeptons"])


def padded(entry: Entry, absent: float) -> Event:
    """An event of a flat ntuple with arrays of fixed length, where absent jets hold a number."""
    columns = (entry[f"jet{variable}"] for variable in Jet.__dataclass_fields__)
    jets = [Jet(*values) for values in zip(*columns, strict=True)]
    jets = sorted((jet for jet in jets if jet.Pt != absent), key=lambda jet: -jet.Pt)
    return Event(jets, entry["nJets"], entry["nLeptons"])
