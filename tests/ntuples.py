"""ROOT files as tests need them, and what a loop over their events would read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from tfaas_nb.data.origins import Objects
from tfaas_nb.features import TTBAR_ALL_HADRONIC

#: Variable of our features → its name in a NanoAOD collection.
NANO_JET = {
    "jetEta": "eta",
    "jetMass": "mass",
    "jetMassSoftDrop": "msoftdrop",
    "jetPhi": "phi",
    "jetPt": "pt",
    "jetTau1": "tau1",
    "jetTau2": "tau2",
    "jetTau3": "tau3",
}

Branches = dict[str, Any]


def write_tree(path: Path, values: Mapping[str, Any], tree: str = "events") -> Path:
    """Write branches as a TTree, whatever uproot's own default is."""
    columns = {name: ak.Array(column) for name, column in values.items()}
    with uproot.recreate(path) as file:
        _add_tree(file, columns, tree)
    return path


def emptied(path: Path, source: str | Path, tree: str = "events") -> Path:
    """Write the same branches as another file's tree has, without any entry."""
    with uproot.open(source) as file, uproot.recreate(path) as made:
        arrays = file[tree].arrays(entry_stop=1)
        counters = {f"n{name}" for name in arrays.fields}
        kept = [name for name in arrays.fields if name not in counters]
        made.mktree(tree, {name: ak.type(arrays[name]).content for name in kept})
    return path


def add_tree(path: Path, values: Mapping[str, Any], tree: str) -> Path:
    """Write one more tree into a file."""
    with uproot.update(path) as file:
        _add_tree(file, {name: ak.Array(column) for name, column in values.items()}, tree)
    return path


def _add_tree(file: Any, columns: Branches, tree: str) -> None:
    file.mktree(tree, {name: column.type.content for name, column in columns.items()})
    file[tree].extend(columns)


def write_ntuple(path: Path, values: Mapping[str, Any], tree: str = "events") -> Path:
    """Write fields as an RNTuple."""
    with uproot.recreate(path) as file:
        file.mkrntuple(tree, ak.Array(dict(values)))
    return path


def nano(
    events: int = 60,
    seed: int = 1,
    jets: str = "FatJet",
    electrons: str = "Electron",
    muons: str = "Muon",
) -> Branches:
    """NanoAOD-like branches: jets and leptons of which many do not count, in any order."""
    random = np.random.default_rng(seed)

    def lists(counts: Any, low: float, high: float) -> Any:
        return ak.unflatten(random.uniform(low, high, counts.sum()).astype(np.float32), counts)

    n = random.integers(0, 9, events)
    ranges = {
        "pt": (150, 900),
        "eta": (-3, 3),
        "phi": (-3.14, 3.14),
        "mass": (5, 250),
        "msoftdrop": (0, 200),
        "tau1": (0.1, 0.9),
        "tau2": (0.1, 0.9),
        "tau3": (0.1, 0.9),
        "tau4": (0.1, 0.9),
        "particleNet_QCD": (0, 1),
    }
    found: Branches = {f"{jets}_{name}": lists(n, *ends) for name, ends in ranges.items()}
    for name in ("msoftdrop", "tau1", "tau2", "tau3"):  # NanoAOD's word for: not computed
        column = found[f"{jets}_{name}"]
        found[f"{jets}_{name}"] = ak.where(lists(n, 0, 1) < 0.1, np.float32(-1), column)
    for name in (electrons, muons):
        counts = random.integers(0, 4, events)
        found[f"{name}_pt"] = lists(counts, 5, 60)
        found[f"{name}_eta"] = lists(counts, -3, 3)
        found[f"{name}_pfRelIso03_all"] = lists(counts, 0, 0.3)
        if name == electrons:
            quality = random.integers(0, 5, counts.sum()).astype(np.int32)
            found[f"{name}_cutBased"] = ak.unflatten(quality, counts)
        else:
            loose = random.random(counts.sum()) < 0.7
            found[f"{name}_looseId"] = ak.unflatten(loose, counts)
    found["run"] = np.full(events, 278_820, np.uint32)
    found["luminosityBlock"] = random.integers(1, 9, events).astype(np.uint32)
    found["event"] = (np.uint64(1) << np.uint64(62)) + np.arange(events, dtype=np.uint64)
    found["genWeight"] = random.choice([-1.5, 2.0, 3.0], events).astype(np.float32)
    found["MET_pt"] = random.uniform(0, 300, events).astype(np.float32)
    return found


def nano_rows(
    values: Branches,
    jets: str = "FatJet",
    electrons: str = "Electron",
    muons: str = "Muon",
    objects: Objects | None = None,
) -> list[list[float]]:
    """The 42 features of NanoAOD-like branches as one would fill them event by event."""
    objects = objects or Objects()
    columns = {name: ak.to_list(ak.Array(column)) for name, column in values.items()}
    return [
        _row(
            {name.partition("_")[2]: c[i] for name, c in columns.items() if name.startswith(jets)},
            _leptons(columns, electrons, i, objects) + _leptons(columns, muons, i, objects),
            objects,
        )
        for i in range(len(columns["run"]))
    ]


def _row(event: Branches, leptons: int, objects: Objects) -> list[float]:
    jets = [
        {variable: event[name][i] for variable, name in NANO_JET.items()}
        for i in range(len(event["pt"]))
    ]
    jets = [
        jet
        for jet in jets
        if jet["jetPt"] > objects.jet_pt_min and abs(jet["jetEta"]) < objects.jet_eta_max
    ]
    leading = sorted(jets, key=lambda jet: -jet["jetPt"])[:5]
    row = [float(len(jets)), float(leptons)]
    for variable in (v.name for v in TTBAR_ALL_HADRONIC.jet):
        positive = variable not in ("jetEta", "jetPhi")
        own = [max(jet[variable], 0.0) if positive else jet[variable] for jet in leading]
        row += own + [0.0] * (5 - len(own))
    return row


def _leptons(columns: Branches, name: str, event: int, objects: Objects) -> int:
    count = 0
    for i, pt in enumerate(columns[f"{name}_pt"][event]):
        good = pt > objects.lepton_pt_min
        good &= abs(columns[f"{name}_eta"][event][i]) < objects.lepton_eta_max
        if f"{name}_pfRelIso03_all" in columns:
            isolation = columns[f"{name}_pfRelIso03_all"][event][i]
            good &= isolation < objects.lepton_isolation_max
        if f"{name}_cutBased" in columns:
            good &= columns[f"{name}_cutBased"][event][i] >= objects.electron_id_min
        if f"{name}_looseId" in columns:
            good &= bool(columns[f"{name}_looseId"][event][i])
        count += good
    return count
