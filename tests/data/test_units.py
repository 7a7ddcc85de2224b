from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests.ntuples import write_tree
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.sample import sample_files
from tfaas_nb.data.units import doubt
from tfaas_nb.features import FeatureSet
from tfaas_nb.variables import Variable

IN_GEV = ("jetPt", "jetMass", "jetMassSoftDrop")
FEATURES = FeatureSet("few", (), ("jetPt", "jetMass", "jetEta"))


def sample_in(unit: float, path: Path, source: str, names: tuple[str, ...] = IN_GEV) -> Path:
    """The first 300 events of a sample in another unit than GeV."""
    with uproot.open(source) as file:
        events = file["events"].arrays(entry_stop=300)
    values = {
        name: ak.values_astype(events[name] / (unit if name in names else 1), np.float32)
        for name in events.fields
        if name.startswith("jet")
    }
    return write_tree(path, values | {"nJets": events["nJets"], "nLeptons": events["nLeptons"]})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, (signal, background) = tmp_path_factory.mktemp("units"), sample_files()
    return {
        "TeV": sample_in(1000, folder / "tev.root", signal),
        "MeV": sample_in(1e-3, folder / "mev.root", signal),
        "masses": sample_in(1000, folder / "masses.root", signal, ("jetMass",)),
        "GeV": sample_in(1, folder / "gev.root", background),
    }


def medians(path: Path) -> dict[str, float]:
    """By NumPy over all jets."""
    with uproot.open(path) as file:
        flat = {name: ak.flatten(file["events"][name].array()) for name in ("jetPt", "jetMass")}
    return {name: float(np.median(values)) for name, values in flat.items()}


def loaded(path: Path, other: Path) -> Any:
    return tn.load(path, other, FEATURES, progress=False)


def streamed(path: Path, other: Path) -> Any:
    first, _ = tn.load(path, other, FEATURES, stream=True, progress=False).split(test=0.3)
    assert len(first) > 0
    return first.sample


@pytest.mark.parametrize("reading", [loaded, streamed])
@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("TeV", r"in \S*tev\.root the median of jetPt is 0\.4\d*, jetMass is 0\.1\d*, below 5 GeV: "
                r"are they in TeV\?"),
        ("MeV", r"in \S*mev\.root the median of jetPt is 4.*e\+05, .* above 7000 GeV: .* MeV\?"),
        ("masses", r"in \S*masses\.root the median of jetMass is 0\.1\d*, below 5 GeV"),
    ],
)  # fmt: skip
def test_a_file_in_another_unit_is_warned_of(
    unit: str, said: str, reading: Any, files: dict[str, Path]
) -> None:
    with pytest.warns(UserWarning, match=said) as warned:
        reading(files[unit], files["GeV"])
    assert len(warned) == 1
    assert "gev.root" not in str(warned[0].message), "the other class is in GeV"
    if unit == "TeV":
        own = medians(files["TeV"])
        words = str(warned[0].message).split()
        assert float(words[words.index("jetPt") + 2][:-1]) == pytest.approx(own["jetPt"], rel=0.05)


@pytest.mark.parametrize("reading", [loaded, streamed])
def test_files_in_gev_are_not_warned_of(reading: Any, files: dict[str, Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading(files["GeV"], sample_files()[0])
        assert "TeV" not in tn.sample()._repr_html_()


def test_a_dataset_says_it_where_it_is_shown(files: dict[str, Path]) -> None:
    with pytest.warns(UserWarning, match="TeV"):
        data = tn.read(files["TeV"], FEATURES, progress=False)
    assert "below 5 GeV: are they in TeV?</b>" in data._repr_html_()


def test_many_files_are_one_warning(files: dict[str, Path], tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"{i}.root").write_bytes(files["TeV"].read_bytes())
    with pytest.warns(UserWarning, match=r"0\.root, .*1\.root, .*2\.root and 2 more the") as warned:
        tn.read(tmp_path / "*.root", FEATURES, progress=False)
    assert len(warned) == 1


def test_what_is_not_in_gev_or_says_too_little_is_not_judged() -> None:
    X = np.full((2000, 2), 0.3, np.float32)
    assert doubt(X, FeatureSet("a", (Variable("tau"), Variable("angle", "rad")))) == ""
    energies = FeatureSet("b", (Variable("tau"), Variable("energy", "GeV")))
    assert doubt(X, energies).startswith("the median of energy is 0.3, below 5 GeV")
    assert doubt(X[:9], energies) == ""
    assert doubt(X[:0], energies) == ""
    assert doubt(X * 100, energies) == ""
    no_jets = np.zeros((2000, len(FEATURES)), np.float32)
    assert doubt(no_jets, FEATURES).startswith("none of 1000 events has a jet")
    assert doubt(no_jets[:500], FEATURES) == ""


def test_a_table_in_another_unit_is_warned_of(files: dict[str, Path]) -> None:
    columns = {}
    for name in ("jetPt", "jetMass", "jetEta"):
        with uproot.open(files["GeV"]) as file:
            columns[name] = file["events"][name].array()
    y = np.arange(300) % 2
    in_tev = columns | {"jetPt": ak.where(y == 1, columns["jetPt"] / 1000, columns["jetPt"])}
    with pytest.warns(UserWarning, match=r"in the table \(signal\) the median of jetPt is 0\."):
        tn.Dataset.from_columns(in_tev, y, FEATURES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tn.Dataset.from_columns(columns, y, FEATURES)


@pytest.mark.slow
def test_a_file_that_is_scored_is_warned_of(
    bundle: Bundle, files: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match=r"in \S*tev\.root the median of jetMass is 0\.1"):
        tn.score([str(files["TeV"]), str(files["GeV"])], bundle, tmp_path / "s.root")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tn.score(str(files["GeV"]), bundle, tmp_path / "s.root")
