"""Snapshots of RDataFrame with systematic variations, as real ROOT writes them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests import real_root
from tests.ntuples import write_tree
from tfaas_nb.data.counting import count
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable

FEATURES = FeatureSet("one", (Variable("x"),), (Variable("jetPt"),), jets=3, order_by="jetPt")

#: Of pt, in the fast tests; sixty-six need two columns of masks.
TAGS, MANY = 3, 66
SCRIPT = """
frame = (ROOT.RDataFrame(200)
    .Define("pt", "5. * rdfentry_")
    .Define("eta", "rdfentry_ % 7 - 3.")
    .Define("w", "1. + rdfentry_ / 128.")
    .Define("jetPt", "ROOT::RVecF(rdfentry_ % 4, rdfentry_ + 0.5)"))
tags = [f"t{{i}}" for i in range({tags})]
many = "ROOT::RVecD v({tags}); for (int i = 0; i < {tags}; i++) v[i] = pt * (1 + 0.1 * i);"
varied = (frame.Vary("pt", many + " return v;", tags)
    .Vary("jetPt", "ROOT::RVec<ROOT::RVecF>{{jetPt * 0.5f, jetPt * 2.f}}", ["down", "up"], "jes"))
options = ROOT.RDF.RSnapshotOptions()
options.fIncludeVariations = True
(varied.Filter("pt > 100 && pt < 800 && (jetPt.empty() || jetPt[0] > 50)")
    .Snapshot("Events", "varied.root", ["pt", "eta", "w", "jetPt"], options))
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variations")
    real_root.run(SCRIPT.format(tags=TAGS), folder)
    return folder / "varied.root"


def passing(pt_scale: float = 1.0, jet_scale: float = 1.0) -> list[int]:
    """Entries of the RDataFrame that pass its filter in a case, one after the other."""
    found = []
    for entry in range(200):
        pt, jets = 5.0 * entry * pt_scale, [(entry + 0.5) * jet_scale] * (entry % 4)
        if 100 < pt < 800 and (not jets or jets[0] > 50):
            found.append(entry)
    return found


def origin(data: Dataset) -> list[int]:
    """The entries of the RDataFrame that events are of, by their weights."""
    return [round(128 * (float(w) - 1)) for w in data.weight]


@pytest.mark.slow
def test_only_events_of_the_nominal_case_are_read(path: Path) -> None:
    data = read(path, FEATURES, branches={"x": "pt"}, weight="w", progress=False)
    assert origin(data) == passing()
    assert data.X[:, 0].tolist() == [5.0 * entry for entry in passing()]
    jets = [[entry + 0.5] * (entry % 4) + [0.0] * (3 - entry % 4) for entry in passing()]
    assert data.X[:, 1:].tolist() == jets
    with uproot.open(path) as file:
        assert file["Events"].num_entries > len(data)


@pytest.mark.slow
def test_columns_that_nothing_varies_are_read_for_the_nominal_case(path: Path) -> None:
    flat = FeatureSet("flat", (Variable("x"),), ())
    assert origin(read(path, flat, branches={"x": "eta"}, weight="w")) == passing()


def check_variation(path: Path, tag: int) -> None:
    flat = FeatureSet("flat", (Variable("x"), Variable("eta")), ())
    data = read(path, flat, branches={"x": f"pt__pt_t{tag}"}, weight="w", progress=False)
    scale = 1 + 0.1 * tag
    assert origin(data) == passing(pt_scale=scale)
    assert data.X[:, 0].tolist() == [np.float32(5 * entry * scale) for entry in origin(data)]


@pytest.mark.slow
def test_varied_columns_are_read_for_their_variation(path: Path) -> None:
    for tag in range(TAGS):
        check_variation(path, tag)


@pytest.mark.slow
def test_more_than_64_cases_have_several_columns_of_masks(tmp_path: Path) -> None:
    real_root.run(SCRIPT.format(tags=MANY), tmp_path)
    with uproot.open(tmp_path / "varied.root") as file:
        assert "R_rdf_mask_Events_1" in file["Events"]
    check_variation(tmp_path / "varied.root", 2)
    check_variation(tmp_path / "varied.root", MANY - 1)


@pytest.mark.slow
def test_columns_of_several_cases_are_read_where_all_are_valid(path: Path) -> None:
    branches = {"x": "pt", "jetPt": "jetPt__jes_up"}
    data = read(path, FEATURES, branches=branches, weight="w", progress=False)
    both = set(passing()) & set(passing(jet_scale=2))
    assert origin(data) == sorted(both)


@pytest.mark.slow
def test_cuts_weights_streams_and_counts_see_the_same_events(path: Path) -> None:
    branches = {"x": "pt"}
    cut = [entry for entry in passing() if entry % 7 - 3 > 0]
    seen = []

    def positive(events: Dataset) -> np.ndarray:
        seen.append(len(events))
        return events.extra["eta"] > 0

    for selection in ("eta > 0", positive):
        data = read(path, FEATURES, branches=branches, cut=selection, weight="w", keep=["eta"])
        assert origin(data) == cut
    assert sum(seen) == len(passing())
    stream = read(path, FEATURES, branches=branches, stream=True)
    assert len(stream) == len(passing())
    counted = list(count({"signal": path}, Reading(FEATURES, branches=branches)))[-1]["signal"]
    assert counted.passed == len(passing())


@pytest.mark.slow
def test_a_cross_section_is_that_of_the_events(path: Path) -> None:
    sample = Sample(path, xsec=10.0, lumi=2.0)
    data = read(sample, FEATURES, branches={"x": "pt"}, weight="w")
    assert data.weight.sum(dtype=np.float64) == pytest.approx(20_000.0)
    assert len(data) == len(passing())


@pytest.mark.slow
def test_inspect_says_which_entries_are_read(path: Path) -> None:
    found = tn.inspect(path, FEATURES, branches={"x": "pt"})
    with uproot.open(path) as file:
        rows = file["Events"].num_entries
    expected = (
        f"RDataFrame with systematic variations: {len(passing())} of {rows} entries are read, "
        "which are events of the case nominal (bit 0 of R_rdf_mask_Events_0)"
    )
    assert expected in repr(found)
    assert expected in " ".join(found.notes)


@pytest.mark.slow
def test_without_the_map_of_bits_only_the_nominal_case_is_read(path: Path, tmp_path: Path) -> None:
    real_root.run(
        f"""
        source = ROOT.TFile("{path}")
        made = ROOT.TFile("copied.root", "recreate")
        source.Get("Events").CloneTree(-1, "fast").Write()
        made.Close()
        """,
        tmp_path,
    )
    copied = tmp_path / "copied.root"
    assert origin(read(copied, FEATURES, branches={"x": "pt"}, weight="w")) == passing()
    with pytest.raises(DataError, match=re.escape("branch 'pt__pt_t2' is of a systematic")):
        read(copied, FEATURES, branches={"x": "pt__pt_t2"})
    assert "systematic" in repr(tn.inspect(copied, FEATURES, branches={"x": "pt__pt_t2"}))


def test_rows_of_other_cases_are_left_out_without_root(tmp_path: Path) -> None:
    """Write the columns without ROOT, where the compilation for RDataFrame takes long."""
    masks = np.array([1, 0, 0b110, 0b111, 0b101, 2], np.uint64)
    columns = {"x": np.arange(6.0), "w": 1 + np.arange(6) / 128, "R_rdf_mask_Events_0": masks}
    path = write_tree(tmp_path / "masked.root", columns, "Events")
    flat = FeatureSet("flat", (Variable("x"),), ())
    for cut, expected in ((None, [0, 3, 4]), ("x > 2", [3, 4])):
        data = read(path, flat, cut=cut, weight="w")
        assert data.X[:, 0].tolist() == expected
        assert origin(data) == expected
    stream = read(path, flat, stream=True)
    assert len(stream) == 3
    assert [x for chunk in stream.chunks() for x in chunk.X[:, 0].tolist()] == [0, 3, 4]
    assert "3 of 6 entries are read" in repr(tn.inspect(path, flat))
