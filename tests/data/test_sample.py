from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from tests.ntuples import write_tree
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.poster import poster_event
from tfaas_nb.data.root import read
from tfaas_nb.data.sample import sample, sample_files
from tfaas_nb.data.simulation import Simulation
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC

README = (files("tfaas_nb.data") / "events" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return sample()


def column(data: Dataset, name: str) -> np.ndarray[Any, Any]:
    return data.X[:, data.features.column(name)]


def test_there_are_as_many_events_as_promised(data: Dataset) -> None:
    assert repr(data) == "Dataset(20000 signal + 20000 background events, 42 features)"
    assert (data.X.shape, data.X.dtype) == ((40_000, 42), np.float32)
    assert data.features == TTBAR_ALL_HADRONIC
    assert (data.weight == 1).all()


def test_every_value_is_finite_and_no_event_is_there_twice(data: Dataset) -> None:
    assert np.isfinite(data.X).all()
    assert len(np.unique(data.X, axis=0)) == len(data)


def test_events_pass_the_selection_that_the_readme_tells(data: Dataset) -> None:
    assert column(data, "jetPt_0").min() > 400
    assert column(data, "jetPt_1").min() > 200
    assert (np.diff(data.X[:, data.features.jet_columns("jetPt")]) <= 0).all()
    assert np.abs(data.X[:, data.features.jet_columns("jetEta")]).max() < 2.4
    jets = np.sum([data.present(f"jetPt_{slot}") for slot in range(5)], axis=0)
    assert jets.tolist() == np.minimum(column(data, "nJets"), 5).tolist()


def test_physics_is_in_it(data: Dataset) -> None:
    """A top quark's mass among the leading jets of signal, and none among background's."""
    mass = column(data, "jetMassSoftDrop_0")
    in_window = (mass > 140) & (mass < 200)
    assert in_window[data.y == 1].mean() > 0.25
    assert in_window[data.y == 0].mean() < 0.08


def test_sources_name_the_files_and_what_is_in_them(data: Dataset) -> None:
    assert [(s.file, s.role, s.events) for s in data.sources] == [
        ("ttbar.root", "signal", 20_000),
        ("qcd.root", "background", 20_000),
    ]
    hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in sample_files()]
    assert [source.sha256 for source in data.sources] == hashes


@pytest.mark.parametrize("path", sample_files(), ids=lambda path: Path(path).name)
def test_each_file_was_made_with_the_readmes_command(path: str) -> None:
    with uproot.open(path) as file:
        made = json.loads(str(file["provenance"]))
    command = (
        rf"{made['made_by']} {made['process']}\s+--events {made['events']} --seed {made['seed']} "
        rf"-o {Path(path).name}\n"
    )
    assert re.search(command, README)
    assert f"Pythia {made['pythia8mc'].rsplit('.', 1)[0]} " in README
    assert made["tune"].split()[0] in README
    assert made["selection"]["leading_pt_min"] == 400


NUMBERS = re.compile(
    r"\| `(?P<file>\w+\.root)` \| (?P<events>[\d ]+) \| (?P<generated>[\d ]+) \| "
    r"(?P<efficiency>[\d.]+) % \| (?P<xsec>[\d.]+) ± (?P<error>[\d.]+) pb \|"
)


@pytest.mark.parametrize("path", sample_files(), ids=lambda path: Path(path).name)
def test_each_file_says_its_cross_section_and_of_how_many_events_it_is(path: str) -> None:
    made = Simulation.of(path)
    table = {row["file"]: row for row in NUMBERS.finditer(README)}
    row = table[Path(path).name]
    assert int(row["events"].replace(" ", "")) == made.events == 20_000
    assert int(row["generated"].replace(" ", "")) == made.generated
    assert float(row["efficiency"]) == pytest.approx(100 * made.efficiency, abs=0.05)
    assert (float(row["xsec"]), float(row["error"])) == (made.xsec, made.xsec_error)
    with uproot.open(path) as file:
        number = file["events"]["evtNo"].array(library="np")
        assert file["Runs"]["genEventCount"].array().tolist() == [made.generated]
    assert number.max() == made.generated, "events are numbered as they were generated"


def test_its_weights_are_those_of_a_luminosity_if_one_is_given() -> None:
    data = sample(lumi=36.0)
    for events, path in zip((data.signal, data.background), sample_files(), strict=True):
        made = Simulation.of(path)
        expected = made.xsec * 1000 * 36.0 * 20_000 / made.generated
        assert events.weight.sum(dtype=np.float64) == pytest.approx(expected, rel=1e-6)
        assert len(np.unique(events.weight)) == 1
        by_hand = read(Sample(path, xsec=made.xsec, lumi=36.0), cut="jetPt_0 > 500")
        passed = events.weight[column(events, "jetPt_0") > 500]
        np.testing.assert_array_equal(by_hand.weight, passed)
    with pytest.raises(DataError, match="lumi=0 of a sample must be a positive number"):
        sample(lumi=0)


def test_a_file_that_does_not_say_it_is_told_so(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", {"x": [1.0]})
    with pytest.raises(DataError, match=r"a\.root does not say how many events were generated"):
        Simulation.of(path)
    with pytest.raises(DataError, match=r"none\.root"):
        Simulation.of(tmp_path / "none.root")


def test_the_posters_event_has_every_feature() -> None:
    event = poster_event()
    assert tuple(event) == TTBAR_ALL_HADRONIC.names
    assert event["nJets"] == 2
    X, single = TTBAR_ALL_HADRONIC.matrix(event)
    assert single
    assert np.isfinite(X).all()
    assert X[0, TTBAR_ALL_HADRONIC.column("jetPt_0")] > 200
