from __future__ import annotations

from pathlib import Path

import pytest

import tfaas_nb as tn
from tests.ntuples import write_tree
from tfaas_nb.data import counting
from tfaas_nb.data.counting import Count, count
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable

TINY = FeatureSet("tiny", (Variable("nJets"),), (), jets=1)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "signal": write_tree(
            tmp_path / "s.root", {"nJets": [1.0, 2.0, 3.0], "w": [1.0, 2.0, -4.0]}
        ),
        "background": write_tree(tmp_path / "b.root", {"nJets": [2.0, 1.0], "w": [0.5, 0.5]}),
    }


def last(*arguments: object, **options: object) -> dict[str, Count]:
    return dict([*count(*arguments, **options)][-1])  # type: ignore[arg-type]


def test_what_is_counted_is_what_is_loaded() -> None:
    signal, background = tn.sample_files()
    cut = "jetPt_0 > 500 & tau32_0 < 0.6"
    found = last({"signal": signal, "background": background}, Reading(cut=cut))
    data = tn.load(signal, background, cut=cut)
    assert found["signal"].passed == len(data.signal)
    assert found["background"].passed == len(data.background)
    assert found["signal"].entries == 20_000
    assert found["signal"].fraction == pytest.approx(len(data.signal) / 20_000)


def test_weights_of_what_passes_are_summed(files: dict[str, Path]) -> None:
    found = last(files, Reading(TINY, cut="nJets >= 2", weight="w"))
    assert found["signal"] == Count(1, 1, entries=3, passed=2, weight=-2.0)
    assert found["background"] == Count(1, 1, entries=2, passed=1, weight=0.5)


def test_without_a_selection_entries_are_counted(files: dict[str, Path]) -> None:
    found = last(files, Reading(TINY, weight=2.0))
    assert found["signal"] == Count(1, 1, entries=3, passed=3, weight=6.0)


def test_numbers_grow_range_by_range(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_STEP", 1)
    one = {"signal": files["signal"]}
    seen = [found["signal"] for found in count(one, Reading(TINY, cut="nJets > 1"))]
    assert [c.passed for c in seen] == [0, 1, 2, 2]
    assert [c.is_whole for c in seen] == [False, False, False, True]


def test_one_class_alone_is_counted(files: dict[str, Path]) -> None:
    assert set(last({"background": files["background"]}, Reading(TINY))) == {"background"}


def test_an_unreadable_file_ends_it_or_is_counted(files: dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"no ROOT file")
    both = {"signal": [files["signal"], bad]}
    with pytest.raises(DataError, match=r"bad\.root"):
        last(both, Reading(TINY))
    found = last(both, Reading(TINY), on_error="skip")
    assert found["signal"] == Count(2, 2, entries=3, passed=3, weight=3.0, skipped=1)


def test_a_file_in_both_classes_is_refused(files: dict[str, Path]) -> None:
    with pytest.raises(DataError, match="signal and background"):
        last({"signal": files["signal"], "background": files["signal"]}, Reading(TINY))
