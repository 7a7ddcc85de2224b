"""Simulated tt̄ → all-hadronic and QCD multijet events: Pythia 8 + FastJet → ROOT file.

Needs the extra ``simulation`` (``pip install 'tfaas-nb[simulation]'``).

Events are proton-proton collisions at 13 TeV with the CUETP8M1 tune
(CMS, EPJC 76 (2016) 155; Pythia's ``Tune:pp = 18``) and multiple parton interactions,
at particle level: no detector, no pile-up.  Jets are anti-kT with R = 0.8 ("AK8") over
all visible stable particles.  Soft-drop mass: Larkoski et al., JHEP 05 (2014) 146, with
z_cut = 0.1 and β = 0.  N-subjettiness: Thaler and Van Tilburg, JHEP 03 (2011) 015, with
β = 1 and one-pass kT axes, both as CMS uses them.

Cross-sections are Pythia's, at leading order, above its threshold in p̂T and with the branching
fraction of the decays that are on.  A file says them, see `Simulation`, and in a tree ``Runs``,
as NanoAOD does, how many events were generated for those that passed: so
``Sample(file, xsec=Simulation.of(file).xsec, lumi=36)`` has the weights of a luminosity.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.opening import decoding, open_file
from tfaas_nb.durable import check_file
from tfaas_nb.errors import DataError, MissingExtra
from tfaas_nb.measured import Measured, OneLine
from tfaas_nb.options import check_kind, check_option, check_path, is_number, is_whole

if TYPE_CHECKING:
    import awkward as ak

#: Pythia settings that select each process.
PROCESSES: dict[str, tuple[str, ...]] = {
    "ttbar": (
        "Top:gg2ttbar = on",
        "Top:qqbar2ttbar = on",
        "24:onMode = off",
        "24:onIfAny = 1 2 3 4 5",
    ),
    "qcd": ("HardQCD:all = on",),
}

#: Pythia's own bounds of ``Random:seed``; zero would mean the time of day.
SEEDS = range(1, 900_000_001)

_BATCH = 500
_EVENTS_PER_LUMI = 1000
_PB_IN_MB = 1e9
_BEAM_PT = 1e-9  # GeV: keeps the pseudorapidity of a particle along the beam finite
_NEUTRINOS = (12, 14, 16)
_LEPTONS = (11, 13)


#: Of a file: more would take Pythia years.
_MOST_EVENTS = 10**9


@checked_calls(DataError)
@dataclass(frozen=True)
class Selection:
    """Selection of events, jets and leptons (pT in GeV).

    Raises
    ------
    DataError
        If a limit is not a number.
    """

    pt_hat_min: float = 320.0
    jet_radius: float = 0.8
    jet_pt_min: float = 200.0
    jet_eta_max: float = 2.4
    jets_min: int = 2
    leading_pt_min: float = 400.0
    lepton_pt_min: float = 20.0
    lepton_eta_max: float = 2.4
    lepton_isolation_radius: float = 0.3
    lepton_isolation_max: float = 0.15

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            check_option(limit.name, value, is_number(value), "a number", DataError)


@checked_calls(DataError)
@dataclass(frozen=True, repr=False)
class Simulation(OneLine):
    """Numbers of events of a simulated file, selected and generated, and the cross-section.

    Attributes
    ----------
    process : str
        A key of `PROCESSES`.
    events, generated : int
        Events in the file, and those generated until as many had passed the selection.
    xsec, xsec_error : float
        Pythia's cross-section before the selection and its statistical error, in pb: at leading
        order, above the threshold in p̂T, with the branching fraction of the decays.
    """

    process: str
    events: int
    generated: int
    xsec: float
    xsec_error: float

    def __repr__(self) -> str:
        return (
            f"Simulation({self.process!r}: {self.events} events of {self.generated} generated, "
            f"cross-section {Measured(self.xsec, self.xsec_error)} pb)"
        )

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Simulation:
        """Read what a simulated file says of itself.

        Raises
        ------
        DataError
            If the file cannot be read, or does not say it.
        """
        name = str(path)
        with decoding(name), open_file(name) as file:
            made = json.loads(str(file["provenance"])) if "provenance" in file else {}
        values: dict[str, Any] = {field.name: made.get(field.name) for field in fields(cls)}
        if None in values.values():
            raise DataError(
                f"{name} does not say how many events were generated and their cross-section; "
                "files that `tfaas-nb simulate` writes do"
            )
        return cls(**values)

    @property
    def efficiency(self) -> float:
        """Fraction of the generated events that passed the selection."""
        return self.events / self.generated


@checked_calls(DataError)
def simulate(
    process: str,
    events: int,
    seed: int,
    output: str | os.PathLike[str],
    selection: Selection | None = None,
    progress: Callable[[int], None] | bool = True,
) -> Path:
    """Generate events that pass the selection and write them as a flat CMS-like ntuple.

    Parameters
    ----------
    process : str
        A key of `PROCESSES`.
    events : int
        Number of selected events to write.
    seed : int
        Seed of the generator, 1 to 900 000 000: the same seed gives the same events.
    output : path
        The ROOT file: a tree ``events`` with ``runNo``, ``lumi``, ``evtNo``, ``nJets``,
        ``nLeptons`` and jagged float32 ``jetPt``, ``jetEta``, ``jetPhi``, ``jetMass``,
        ``jetMassSoftDrop``, ``jetTau1``, ``jetTau2``, ``jetTau3`` (GeV, radians),
        leading jets first, a tree ``Runs`` with the number of events generated, and a string
        ``provenance`` that says how it was made, see `Simulation`.
    selection : Selection, optional
        Cuts; by default those of the shipped sample.
    progress : bool or callable
        Show a progress bar; or what is called with the number of newly selected events.

    Returns
    -------
    Path
        The file; it appears under its name only when it is complete.

    Raises
    ------
    DataError
        If the process, the number of events, the seed or the folder is not usable.
    MissingExtra
        If Pythia 8 or FastJet is not installed.
    """
    check_path("output", output, DataError)
    check_kind("selection", selection, (Selection, type(None)), "a Selection or None", DataError)
    is_shown = isinstance(progress, bool) or callable(progress)
    check_option("progress", progress, is_shown, "True, False or a function", DataError)
    selection = Selection() if selection is None else selection
    output = Path(output)
    _check(process, events, seed, output)
    pythia = _pythia(process, seed, selection)
    with _told(progress, process, events) as tell:
        columns = _collect(_selected(pythia, selection), events, tell)
    provenance = _provenance(process, events, seed, selection) | {
        "generated": int(columns["evtNo"][-1]),
        "xsec": pythia.infoPython().sigmaGen() * _PB_IN_MB,
        "xsec_error": pythia.infoPython().sigmaErr() * _PB_IN_MB,
    }
    partial = output.with_name(f".{output.name}.partial")
    try:
        _write(columns, provenance, partial)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return output


@contextmanager
def _told(
    progress: Callable[[int], None] | bool, process: str, events: int
) -> Iterator[Callable[[int], object]]:
    """Provide a function that takes numbers of newly selected events, and shows them by default."""
    if callable(progress):
        yield progress
        return
    from tqdm.auto import tqdm

    with tqdm(total=events, desc=process, unit="event", disable=not progress) as bar:
        yield bar.update


def _check(process: str, events: int, seed: int, output: Path) -> None:
    if not isinstance(process, str) or process not in PROCESSES:
        raise DataError(f"unknown process {process!r}: choose one of {', '.join(PROCESSES)}")
    if not is_whole(events, 1):
        raise DataError(f"cannot simulate {events!r} events: ask for at least one")
    if events > _MOST_EVENTS:
        raise DataError(
            f"cannot simulate {events} events in a file: ask for {_MOST_EVENTS} or less"
        )
    if not is_whole(seed, SEEDS.start) or seed not in SEEDS:
        raise DataError(f"seed {seed} is outside Pythia's range {SEEDS.start} to {SEEDS.stop - 1}")
    if output.is_dir():
        raise DataError(f"{output} is a folder: name the ROOT file, for instance {process}.root")
    if not output.parent.is_dir():
        raise DataError(f"the folder {output.parent} of {output.name} does not exist: create it")
    check_file(output)


def _collect(
    batches: Iterator[dict[str, ak.Array]], events: int, progress: Callable[[int], object]
) -> dict[str, ak.Array]:
    import awkward as ak

    kept: list[dict[str, ak.Array]] = []
    missing = events
    for batch in batches:
        kept.append({name: column[:missing] for name, column in batch.items()})
        taken = len(kept[-1]["evtNo"])
        missing -= taken
        progress(taken)
        if not missing:
            break
    return {name: ak.concatenate([batch[name] for batch in kept]) for name in kept[0]}


def _selected(pythia: Any, cuts: Selection) -> Iterator[dict[str, ak.Array]]:
    """Batches of selected events, for ever."""
    import awkward as ak
    import numpy as np

    generated = 0
    while True:
        particles = pythia.nextBatch(_BATCH).prt
        number = np.arange(generated + 1, generated + len(particles) + 1)
        generated += len(particles)
        particles = _stable(particles)
        visible = particles[~_is_any(particles.id, _NEUTRINOS)]
        jets, constituents = _jets(visible, cuts)
        passed = (ak.num(jets) >= cuts.jets_min) & (
            ak.fill_none(ak.max(jets.pt, axis=1), 0.0) > cuts.leading_pt_min
        )
        if not ak.any(passed):
            continue
        jets, constituents = jets[passed], constituents[passed]
        columns = {
            "runNo": np.ones(len(jets), dtype=np.int32),
            "lumi": (1 + (number[passed] - 1) // _EVENTS_PER_LUMI).astype(np.int32),
            "evtNo": number[passed].astype(np.int64),
            "nLeptons": _leptons(visible[passed], cuts),
        }
        yield columns | _jet_columns(jets, constituents, cuts)


def _pythia(process: str, seed: int, cuts: Selection) -> Any:
    try:
        import pythia8mc
    except ImportError as error:
        raise _missing("pythia8mc") from error
    pythia = pythia8mc.Pythia("", False)
    for setting in (
        "Print:quiet = on",
        "Beams:eCM = 13000.",
        "Tune:pp = 18",
        f"PhaseSpace:pTHatMin = {cuts.pt_hat_min}",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        *PROCESSES[process],
    ):
        if not pythia.readString(setting):
            raise DataError(f"Pythia refused the setting {setting!r}")
    if not pythia.init():
        raise DataError(f"Pythia could not be initialised for {process}")
    return pythia


def _missing(package: str) -> MissingExtra:
    return MissingExtra(
        f"simulating events needs {package}: install it with pip install 'tfaas-nb[simulation]'"
    )


def _is_any(ids: ak.Array, kinds: tuple[int, ...]) -> ak.Array:
    found = abs(ids) == kinds[0]
    for kind in kinds[1:]:
        found = found | (abs(ids) == kind)
    return found


def _stable(particles: ak.Array) -> ak.Array:
    """Final-state particles as records ``id, px, py, pz, E`` (GeV)."""
    import awkward as ak

    final = particles[particles.status > 0]
    p = final.p
    return ak.zip({"id": final.id, "px": p.px, "py": p.py, "pz": p.pz, "E": p.e})


def _kinematics(p: ak.Array) -> ak.Array:
    import awkward as ak
    import numpy as np

    pt = np.hypot(p.px, p.py)
    mass2 = p.E**2 - pt**2 - p.pz**2
    return ak.zip(
        {
            "pt": pt,
            "eta": np.arcsinh(p.pz / np.maximum(pt, _BEAM_PT)),
            "phi": np.arctan2(p.py, p.px),
            "mass": np.sqrt(np.maximum(mass2, 0.0)),
        }
    )


def _jets(visible: ak.Array, cuts: Selection) -> tuple[ak.Array, ak.Array]:
    """Jets within the acceptance with their constituents, leading jets first."""
    import awkward as ak

    fastjet = _fastjet()
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, cuts.jet_radius)
    momenta = visible[["px", "py", "pz", "E"]]
    clusters = fastjet.ClusterSequence(momenta, definition)
    jets = _kinematics(clusters.inclusive_jets(cuts.jet_pt_min))
    constituents = clusters.constituents(cuts.jet_pt_min)
    accepted = abs(jets.eta) < cuts.jet_eta_max
    jets, constituents = jets[accepted], constituents[accepted]
    leading_first = ak.argsort(jets.pt, ascending=False, stable=True)
    return jets[leading_first], constituents[leading_first]


def _fastjet() -> Any:
    try:
        import fastjet
    except ImportError as error:
        raise _missing("fastjet") from error
    return fastjet


def _leptons(visible: ak.Array, cuts: Selection) -> Any:
    """Isolated electrons and muons per event: ΣpT in the cone over the lepton's pT."""
    import awkward as ak
    import numpy as np

    kinematics = _kinematics(visible)
    candidate = (
        _is_any(visible.id, _LEPTONS)
        & (kinematics.pt > cuts.lepton_pt_min)
        & (abs(kinematics.eta) < cuts.lepton_eta_max)
    )
    lepton, other = ak.unzip(ak.cartesian([kinematics[candidate], kinematics], nested=True))
    dphi = np.mod(lepton.phi - other.phi + np.pi, 2 * np.pi) - np.pi
    near = np.hypot(lepton.eta - other.eta, dphi) < cuts.lepton_isolation_radius
    own = kinematics.pt[candidate]
    around = ak.sum(ak.where(near, other.pt, 0.0), axis=-1) - own
    isolated = around < cuts.lepton_isolation_max * own
    return ak.to_numpy(ak.sum(isolated, axis=-1)).astype(np.int32)


def _jet_columns(jets: ak.Array, constituents: ak.Array, cuts: Selection) -> dict[str, ak.Array]:
    import awkward as ak
    import numpy as np

    per_event = ak.num(jets)
    substructure = _substructure(constituents, cuts)
    columns = {
        "jetPt": jets.pt,
        "jetEta": jets.eta,
        "jetPhi": jets.phi,
        "jetMass": jets.mass,
        **{name: ak.unflatten(values, per_event) for name, values in substructure.items()},
    }
    return {name: ak.values_astype(column, np.float32) for name, column in columns.items()}


def _substructure(constituents: ak.Array, cuts: Selection) -> dict[str, Any]:
    """Soft-drop mass (GeV) and τ₁, τ₂, τ₃ of every jet, one flat array each."""
    import awkward as ak
    import numpy as np

    fastjet = _fastjet()
    one_jet_each = ak.to_packed(ak.flatten(constituents, axis=1))
    # With the jet's own radius, 1 jet in 124 would come apart when clustered again.
    everything = fastjet.JetDefinition(
        fastjet.cambridge_algorithm, fastjet.JetDefinition.max_allowable_R
    )
    clusters = fastjet.ClusterSequence(one_jet_each, everything)
    groomed = clusters.exclusive_jets_softdrop_grooming(
        njets=1, beta=0.0, symmetry_cut=0.1, R0=cuts.jet_radius
    )
    tau = clusters.njettiness(
        measure_definition="NormalizedMeasure",
        axes_definition="OnePass_KT_Axes",
        njets=[1, 2, 3],
        beta=1.0,
        R0=cuts.jet_radius,
    )
    tau = np.asarray(ak.to_numpy(tau)).reshape(len(one_jet_each), 3)
    mass = ak.to_numpy(ak.flatten(groomed.msoftdrop, axis=None))
    # Rounding in E² - p² makes the mass of a massless groomed jet NaN or negative.
    columns = {"jetMassSoftDrop": np.nan_to_num(np.maximum(mass, 0.0), nan=0.0)}
    return columns | {f"jetTau{n + 1}": tau[:, n] for n in range(3)}


def _provenance(process: str, events: int, seed: int, cuts: Selection) -> dict[str, Any]:
    return {
        "made_by": "tfaas-nb simulate",
        "process": process,
        "events": events,
        "seed": seed,
        "settings": list(PROCESSES[process]),
        "tune": "CUETP8M1 (Tune:pp = 18)",
        "energy_GeV": 13000,
        "selection": asdict(cuts),
        "pythia8mc": version("pythia8mc"),
        "fastjet": version("fastjet"),
    }


def _write(columns: dict[str, ak.Array], provenance: dict[str, Any], path: Path) -> None:
    import awkward as ak
    import numpy as np
    import uproot

    scalars = {n: c for n, c in columns.items() if not n.startswith("jet")}
    jets = ak.zip({n.removeprefix("jet"): c for n, c in columns.items() if n.startswith("jet")})
    with uproot.recreate(path, compression=uproot.ZSTD(9)) as file:
        file.mktree(
            "events",
            {name: column.type.content for name, column in (scalars | {"jet": jets}).items()},
            title=f"{provenance['process']} at 13 TeV",
            counter_name=lambda counted: "nJets",
            field_name=lambda outer, inner: f"{outer}{inner}" if outer else inner,
        )
        file["events"].extend(scalars | {"jet": jets})
        runs: dict[str, Any] = {
            "run": np.array([1], np.uint32),
            "genEventCount": np.array([provenance["generated"]], np.int64),
            "genEventSumw": np.array([provenance["generated"]], np.float64),
        }
        file.mktree("Runs", {name: values.dtype for name, values in runs.items()})
        file["Runs"].extend(runs)
        file["provenance"] = json.dumps(provenance)
