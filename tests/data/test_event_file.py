from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from tests.ntuples import nano, nano_rows, write_ntuple, write_tree
from tfaas_nb.data.counting import count
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.event_file import EventFile, Events, Reading, steps
from tfaas_nb.data.root import read
from tfaas_nb.errors import CutError, DataError
from tfaas_nb.features import FeatureSet

#: Everything that a reading can ask for at once.
ALL = Reading(
    cut="nJets >= 1 & deltaR_01 < 3 | MET_pt > 200",
    weight="genWeight * jetPt_0",
    keep=("event", "run"),
)


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return nano(events=60, seed=4)


@pytest.fixture(scope="module", params=[write_tree, write_ntuple], ids=["TTree", "RNTuple"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, values) -> str:  # type: ignore[no-untyped-def]
    return str(request.param(tmp_path_factory.mktemp("nano") / "nano.root", values, "Events"))


def events(path: str, reading: Reading, start: int = 0) -> Events:
    with EventFile(path, reading) as file:
        return file.events(start)


def joined(parts: list[Events]) -> tuple[Any, ...]:
    return (
        np.concatenate([part.X for part in parts]).tolist(),
        np.concatenate([part.weight for part in parts]).tolist(),
        np.concatenate([part.extra["event"] for part in parts]).tolist(),
    )


@pytest.mark.parametrize("step", [7, 30, 59, 1000])
def test_ranges_of_a_file_are_the_file(path: str, step: int) -> None:
    reading = replace(ALL, weight="genWeight * nJets")
    with EventFile(path, reading) as file:
        ranges = list(steps(file.entries, step))
        assert ranges[0][0] == 0
        assert ranges[-1][1] == file.entries == 60
        assert max(stop - start for start, stop in ranges) <= step
        parts = [file.events(*ends) for ends in ranges]
        assert joined(parts) == joined([file.events()])
        total = sum(part.sum_weights for part in parts)
    assert total == pytest.approx(file_sum(path, reading))


def file_sum(path: str, reading: Reading) -> float:
    with EventFile(path, reading) as file:
        return file.sum_of_weights()


def test_ranges_are_of_nearly_equal_length() -> None:
    assert list(steps(10, 4)) == [(0, 3), (3, 6), (6, 10)]
    assert list(steps(0)) == []


def test_a_selection_is_that_of_a_loop_over_events(path: str, values: dict[str, Any]) -> None:
    features = FeatureSet("small", ("nJets",), ("jetPt", "jetEta", "jetPhi"), jets=2)
    reading = Reading(
        features,
        cut="nJets >= 2 & FatJet_tau2_0 > 0.3 & deltaEta_01 < 1 & MET_pt < 250 & jetPt_1 > 250",
        keep=("event",),
    )
    with EventFile(path, reading) as file:
        kept = file.events().extra["event"].tolist()
    expected = []
    rows = [dict(zip(("nJets", "nLeptons"), row, strict=False)) for row in nano_rows(values)]
    for i, row in enumerate(rows):
        jets = sorted(
            (
                (float(pt), float(eta), max(float(tau), 0.0))
                for pt, eta, tau in zip(
                    values["FatJet_pt"][i],
                    values["FatJet_eta"][i],
                    values["FatJet_tau2"][i],
                    strict=True,
                )
                if pt > 200 and abs(eta) < 2.4
            ),
            reverse=True,
        )
        if (
            row["nJets"] >= 2
            and jets[0][2] > 0.3
            and abs(jets[0][1] - jets[1][1]) < 1
            and values["MET_pt"][i] < 250
            and jets[1][0] > 250
        ):
            expected.append(int(values["event"][i]))
    assert kept == expected
    assert 0 < len(expected) < 40


def test_what_is_selected_by_need_not_be_a_feature(path: str, values: dict[str, Any]) -> None:
    met = FeatureSet("met", "MET_pt")
    rows = nano_rows(values)
    for cut, expected in {
        "nJets >= 2 & nLeptons == 1": [row[0] >= 2 and row[1] == 1 for row in rows],
        "jetMassSoftDrop_0 > 50": [row[0] >= 1 and row[12] > 50 for row in rows],
        "ht > 900": [sum(row[22:27]) > 900 for row in rows],
    }.items():
        part = events(path, Reading(met, cut=cut))
        assert part.X[:, 0].tolist() == values["MET_pt"][expected].tolist()
        assert 0 < len(part) < 60


def test_numbers_that_are_not_there_are_not_skipped(tmp_path: Path) -> None:
    path = str(write_ntuple(tmp_path / "a.root", {"x": ak.Array([1.0, None, 3.0])}))
    with pytest.raises(DataError, match=r"'x' .* 1 value that is not finite, .* entry 1"):
        events(path, Reading(FeatureSet("x", "x")))
    kept = events(path, Reading(FeatureSet("none"), keep=("x",))).extra["x"]
    np.testing.assert_array_equal(kept, [1.0, np.nan, 3.0])


def test_a_function_may_select(path: str, values: dict[str, Any]) -> None:
    def even(data: Dataset) -> Any:
        assert data.features.column("nJets") == 0
        return (data.extra["event"] % 2 == 0) & (data.weight > 0)

    with EventFile(path, Reading(cut=even, keep=("event",), weight="genWeight")) as file:
        kept = file.events(10, 50)
    chosen = [i for i in range(10, 50) if i % 2 == 0 and values["genWeight"][i] > 0]
    assert kept.extra["event"].tolist() == values["event"][chosen].tolist()
    assert len(kept) == len(chosen)


@pytest.mark.parametrize(
    "cut", [lambda data: data.X, lambda data: np.ones(60), lambda data: np.ones(3, bool)]
)
def test_a_function_that_gives_no_mask_is_refused(path: str, cut: Any) -> None:
    with pytest.raises(DataError, match=r"must return a mask, bool of shape \(60,\)"):
        events(path, Reading(cut=cut))


def test_an_expression_of_an_absent_jet_selects_nothing(path: str, values: dict[str, Any]) -> None:
    counts = [row[0] for row in nano_rows(values)]
    with EventFile(path, Reading(cut="jetPt_3 < 5000")) as file:
        assert len(file.events()) == sum(count >= 4 for count in counts)
    with EventFile(path, Reading(cut="!(jetPt_3 < 5000)")) as file:
        assert len(file.events()) == sum(count < 4 for count in counts)


def test_a_weight_of_an_absent_jet_is_refused_with_its_entry(
    path: str, values: dict[str, Any]
) -> None:
    first = next(i for i, row in enumerate(nano_rows(values)) if row[0] == 0)
    with pytest.raises(DataError, match=rf"not finite, the first in entry {first}\b"):
        events(path, Reading(weight="genWeight * jetPt_0"))


def test_derived_features_are_columns(path: str, values: dict[str, Any]) -> None:
    features = FeatureSet("d", ("nJets",), jets=2, derived=("tau21_0", "deltaEta_01", "ht"))
    with EventFile(path, Reading(features)) as file:
        X = file.events().X
    for row, own in zip(X, nano_rows(values), strict=True):
        eta, pt, tau1, tau2 = own[2:4], own[22:24], own[27], own[32]
        assert row[0] == own[0]
        assert row[1] == pytest.approx(tau2 / tau1 if tau1 > 0 else 0.0)
        assert row[2] == pytest.approx(abs(eta[0] - eta[1]) if own[0] > 1 else 0.0)
        assert row[3] == pytest.approx(sum(pt))


def test_weights_may_be_a_number_or_not_given(path: str) -> None:
    with EventFile(path, Reading(weight=0.25)) as file:
        assert file.events().weight.tolist() == [0.25] * 60
        assert file.sum_of_weights() == 15.0
        assert file.generated_weights() is None
    with EventFile(path, Reading()) as file:
        assert file.sum_of_weights() == 60.0


def test_a_branch_of_any_name_is_a_weight(tmp_path: Path) -> None:
    odd = nano() | {"w[0]-up": np.arange(60.0)}
    path = write_tree(tmp_path / "a.root", odd, "Events")
    with EventFile(str(path), Reading(weight="w[0]-up")) as file:
        assert file.events().weight.tolist() == list(range(60))
        assert file.sum_of_weights() == 59 * 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cut": "nJts > 2"}, r"»nJts« > 2, .* neither a feature nor a branch .*'nJets'"),
        ({"cut": "jetPt_7 > 2"}, "»jetPt_7« > 2, .* keeps 5 jets, with numbers from 0 to 4"),
        ({"cut": "tau21_5 > 2"}, "»tau21_5« > 2, .* keeps 5 jets"),
        ({"cut": "FatJet_pt > 2"}, "is a list per event: name one of its jets, .*FatJet_pt_0"),
        ({"cut": "MET_pt > 2 &"}, "not an expression"),
        ({"weight": "genWeigth"}, "in the weight »genWeigth«.*'genWeight'"),
        ({"weight": "FatJet_pt"}, "must hold one number per event"),
        ({"keep": ("FatJet_pt",)}, "'FatJet_pt' .* must hold one number per event"),
        ({"keep": ("evnt",)}, "no branch 'evnt'; .*'event'"),
        ({"weight": float("nan")}, "a weight of nan"),
        ({"cut": 3}, "a selection is text or a function of a Dataset, not int"),
    ],
)
def test_what_cannot_be_read_is_said_so(path: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message), EventFile(path, Reading(**changes)) as file:
        file.events()


def test_a_file_that_is_not_open_says_so(path: str) -> None:
    file = EventFile(path, Reading())
    for ask in (lambda: file.entries, file.events, lambda: file.layout, lambda: file.uuid):
        with pytest.raises(DataError, match="is not open: use it as `with EventFile"):
            ask()
    with file:
        assert len(file.uuid) == 36
        assert file.tree == "Events"
    with pytest.raises(DataError, match="is not open"):
        file.events()


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's list of open files")
def test_files_are_closed_also_after_an_error(path: str) -> None:
    before = handles()
    for _ in range(5):
        with EventFile(path, Reading()) as file:
            file.events()
        with pytest.raises(DataError), EventFile(path, Reading(keep=("no",))):
            pass
        with pytest.raises(DataError), EventFile(path, Reading(tree="no")):
            pass
    assert handles() == before


def test_an_empty_tree_has_no_events(tmp_path: Path) -> None:
    empty = {name: column[:0] for name, column in nano().items()}
    path = write_tree(tmp_path / "a.root", empty, "Events")
    with EventFile(str(path), Reading(keep=("event",), cut="nJets > 1")) as file:
        assert file.entries == 0
        assert len(file.events()) == 0
        assert file.sum_of_weights() == 0


def test_a_value_that_is_not_finite_is_found_by_its_entry_in_the_file(tmp_path: Path) -> None:
    pt = nano()["FatJet_pt"]
    flat = ak.to_numpy(ak.flatten(pt)).copy()
    entries = np.repeat(np.arange(60), ak.num(pt))
    at = int(np.flatnonzero((entries == entries[-1]) & (flat > 200))[0])
    flat[at] = np.inf
    values = nano() | {"FatJet_pt": ak.unflatten(flat, ak.num(pt)), "FatJet_eta": pt * 0}
    path = write_tree(tmp_path / "a.root", values, "Events")
    with pytest.raises(DataError, match=rf"'FatJet_pt' .* the first in entry {entries[at]}\b"):
        events(str(path), Reading(), 30)


def wrong(data: Dataset) -> Any:
    return data.extra["evnt"] > 0


def refusing(data: Dataset) -> Any:
    raise DataError("not these")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (wrong, r"in line \d+ of .*test_event_file.py .* KeyError: 'evnt'"),
        (refusing, "DataError: not these"),
        (lambda data: data.X, "must return a mask"),
    ],
)
def test_no_file_is_skipped_because_a_function_fails(path: str, cut: Any, why: str) -> None:
    def streamed() -> None:
        list(read(path, cut=cut, on_error="skip", stream=True, memory=2).chunks())

    def counted() -> None:
        list(count({"signal": path}, Reading(cut=cut), "skip"))

    for reading in (lambda: read(path, cut=cut, on_error="skip"), streamed, counted):
        with pytest.raises(CutError, match=why) as raised:
            reading()
        assert "ROOT file" not in str(raised.value)
