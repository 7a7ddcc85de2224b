from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.root import read
from tfaas_nb.data.sample import sample_files
from tfaas_nb.data.simulation import PROCESSES, Selection, Simulation, simulate
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC

EVENTS = 100
#: Seeds of the packaged sample.
SEEDS = {"ttbar": 1, "qcd": 2}


def arrays(path: str | Path, stop: int | None = None) -> dict[str, Any]:
    with uproot.open(path) as file:
        found: dict[str, Any] = file["events"].arrays(entry_stop=stop, library="ak", how=dict)
        return found


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first events of the packaged sample, made again."""
    folder = tmp_path_factory.mktemp("simulated")
    return {
        process: simulate(process, EVENTS, seed, folder / f"{process}.root")
        for process, seed in SEEDS.items()
    }


@pytest.mark.endurance
@pytest.mark.parametrize("process", PROCESSES)
def test_the_same_seed_gives_the_packaged_events(simulated: dict[str, Path], process: str) -> None:
    packaged = dict(zip(SEEDS, sample_files(), strict=True))[process]
    again, first = arrays(simulated[process]), arrays(packaged, EVENTS)
    assert again.keys() == first.keys()
    for name in first:
        assert again[name].tolist() == first[name].tolist(), name


@pytest.mark.slow
def test_another_seed_gives_other_events(simulated: dict[str, Path], tmp_path: Path) -> None:
    other = simulate("ttbar", 10, 3, tmp_path / "other.root")
    pt, own = arrays(other)["jetPt"].tolist(), arrays(simulated["ttbar"], 10)["jetPt"].tolist()
    assert not {jet for jets in pt for jet in jets} & {jet for jets in own for jet in jets}


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
def test_events_pass_the_selection(simulated: dict[str, Path], process: str) -> None:
    values, cuts = arrays(simulated[process]), Selection()
    assert len(values["nJets"]) == EVENTS
    for count, pt, eta in zip(values["nJets"], values["jetPt"], values["jetEta"], strict=True):
        assert count == len(pt) >= cuts.jets_min
        assert pt.tolist() == sorted(pt, reverse=True)
        assert pt[0] > cuts.leading_pt_min
        assert pt[-1] > cuts.jet_pt_min
        assert max(abs(eta)) < cuts.jet_eta_max


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
def test_substructure_is_what_physics_allows(simulated: dict[str, Path], process: str) -> None:
    jets = {
        name: np.concatenate([np.asarray(event) for event in column])
        for name, column in arrays(simulated[process]).items()
        if name.startswith("jet")
    }
    assert all(np.isfinite(values).all() for values in jets.values())
    assert (jets["jetTau1"] >= jets["jetTau2"] - 1e-3).all()
    assert (jets["jetTau2"] >= jets["jetTau3"] - 1e-3).all()
    assert (jets["jetTau3"] >= 0).all()
    assert jets["jetTau1"].max() < 1
    assert (jets["jetMassSoftDrop"] <= jets["jetMass"] * (1 + 1e-4) + 1e-2).all()
    assert (jets["jetMassSoftDrop"] >= 0).all()
    assert (np.abs(jets["jetPhi"]) <= np.float32(np.pi)).all()


@pytest.mark.slow
def test_events_are_numbered_as_they_were_generated(simulated: dict[str, Path]) -> None:
    values = arrays(simulated["qcd"])
    number = np.asarray(values["evtNo"])
    assert (np.diff(number) > 0).all()
    assert np.asarray(values["lumi"]).tolist() == (1 + (number - 1) // 1000).tolist()
    assert set(np.asarray(values["runNo"])) == {1}


@pytest.mark.slow
def test_a_simulated_file_is_read_like_any_other(simulated: dict[str, Path]) -> None:
    data = read(simulated["ttbar"])
    assert data.X.shape == (EVENTS, len(TTBAR_ALL_HADRONIC))
    assert data.sources[0].events == EVENTS


@pytest.mark.slow
def test_a_file_says_how_it_was_made(simulated: dict[str, Path]) -> None:
    with uproot.open(simulated["qcd"]) as file:
        made = json.loads(str(file["provenance"]))
        assert file["events"].title == "qcd at 13 TeV"
    assert (made["process"], made["events"], made["seed"]) == ("qcd", EVENTS, SEEDS["qcd"])
    assert made["settings"] == list(PROCESSES["qcd"])


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
def test_its_cross_section_is_that_of_the_packaged_sample(
    simulated: dict[str, Path], process: str
) -> None:
    packaged = Simulation.of(dict(zip(SEEDS, sample_files(), strict=True))[process])
    own = Simulation.of(simulated[process])
    assert (own.process, own.events) == (process, EVENTS)
    assert own.generated == arrays(simulated[process])["evtNo"][-1]
    assert own.efficiency == pytest.approx(packaged.efficiency, abs=0.15)
    assert abs(own.xsec - packaged.xsec) < 5 * own.xsec_error
    assert own.xsec_error < 0.1 * own.xsec
    weight = read(Sample(simulated[process], xsec=own.xsec)).weight
    np.testing.assert_allclose(weight, own.xsec * 1000 / own.generated, rtol=1e-6)


@pytest.mark.slow
def test_cuts_and_progress_are_heeded(tmp_path: Path) -> None:
    selected: list[int] = []
    cuts = Selection(pt_hat_min=600, leading_pt_min=600)
    path = simulate("qcd", 5, 4, tmp_path / "hard.root", cuts, selected.append)
    assert sum(selected) == 5
    assert min(jets[0] for jets in arrays(path)["jetPt"]) > 600


@pytest.mark.slow
def test_an_interrupted_simulation_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "ttbar.root"
    output.write_bytes(b"what was here before")

    def interrupt(selected: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate("ttbar", 10, 1, output, progress=interrupt)
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_bytes() == b"what was here before"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"process": "higgs"}, "unknown process 'higgs': choose one of ttbar, qcd"),
        ({"events": 0}, "cannot simulate 0 events"),
        ({"seed": 0}, "seed 0 is outside Pythia's range 1 to 900000000"),
        ({"seed": 900_000_001}, "seed 900000001 is outside"),
        ({"output": "nowhere/a.root"}, "the folder nowhere of a.root does not exist"),
        ({"output": "."}, "is a folder: name the ROOT file, for instance ttbar.root"),
    ],
)
def test_what_cannot_be_simulated_is_refused_at_once(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usual: dict[str, Any] = {"process": "ttbar", "events": 1, "seed": 1, "output": "a.root"}
    with pytest.raises(DataError, match=message):
        simulate(**{**usual, **changes})
    assert not list(tmp_path.iterdir())
