from __future__ import annotations

from pathlib import Path

import pytest

import tfaas_nb as tn
from tests.ntuples import write_tree
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.widgets.file_events import FileEvents


def test_events_of_files_follow_each_other() -> None:
    found = FileEvents(tn.sample_files(), TTBAR_ALL_HADRONIC)
    sample = tn.sample()
    assert len(found) == len(sample)
    for position in (0, 19_999, 20_000, 39_999):
        assert found.event(position) == sample.event(position)
    for outside in (-1, 40_000):
        with pytest.raises(DataError, match=f"there is no event {outside}: there are 0 to 39999"):
            found.event(outside)


def test_what_a_file_lacks_is_told_at_once(tmp_path: Path) -> None:
    path = str(write_tree(tmp_path / "a.root", {"nJets": [2, 3], "jetPt": [[500.0], [400.0]]}))
    with pytest.raises(DataError, match="jetEta"):
        FileEvents([path], TTBAR_ALL_HADRONIC)
    with pytest.raises(DataError, match="does not exist"):
        FileEvents([f"{path}x"], TTBAR_ALL_HADRONIC)


def test_files_without_events_are_refused(tmp_path: Path) -> None:
    path = str(write_tree(tmp_path / "a.root", {"nJets": []}))
    with pytest.raises(DataError, match=r"there is no event in .*a\.root"):
        FileEvents([path], TTBAR_ALL_HADRONIC)


def test_an_event_that_is_not_finite_is_told_when_it_is_asked_for(tmp_path: Path) -> None:
    met = [float("nan"), 20.0, float("inf")]
    path = str(write_tree(tmp_path / "a.root", {"MET_pt": met}))
    found = FileEvents([path], FeatureSet("met", "MET_pt"))
    assert found.event(1) == {"MET_pt": 20.0}
    for position in (0, 2):
        message = rf"event {position}, entry {position} of .*a\.root, .* not finite: MET_pt"
        with pytest.raises(DataError, match=message):
            found.event(position)
