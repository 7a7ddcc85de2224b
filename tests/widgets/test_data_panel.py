from __future__ import annotations

import re
import threading
from pathlib import Path

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests.ntuples import write_tree
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.widgets import DataPanel
from tfaas_nb.widgets import data_panel as module

pytestmark = pytest.mark.slow

CUT = "jetPt_0 > 600"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of 300 and 200 flat events, whose soft-drop mass has a name of its own."""
    folder, random = tmp_path_factory.mktemp("small"), np.random.default_rng(1)

    def written(name: str, n: int) -> str:
        jets = {
            variable: np.round(random.uniform(450, 900, (n, 2)), 1).tolist()
            for variable in ("jetPt", "jetMass", "jetSoftDropMass", "jetTau1", "jetTau2", "jetTau3")
        }
        directions = {v: random.uniform(-2, 2, (n, 2)).tolist() for v in ("jetEta", "jetPhi")}
        events = {"nJets": [2] * n, "nLeptons": [0] * n, "w": [0.5] * n}
        return str(write_tree(folder / name, {**events, **jets, **directions}))

    return written("signal.root", 300), written("background.root", 200)


def settle(panel: DataPanel) -> None:
    assert panel.wait(60)


def test_the_sample_is_loaded_by_two_clicks() -> None:
    panel = DataPanel()
    heard: list[Dataset] = []
    panel.observe(lambda change: heard.append(change["new"]), "data")
    panel.sample_button.click()
    settle(panel)
    assert "Nothing is missing for the 42 features" in panel.inspected.value
    assert panel.counts.value.count(">20000<") == 4
    panel.cut.value = CUT
    settle(panel)
    expected = tn.load(*tn.sample_files(), cut=CUT)
    assert f">{len(expected.signal)}<" in panel.counts.value
    assert f">{len(expected.background)}<" in panel.counts.value
    panel.load_button.click()
    settle(panel)
    assert heard == [panel.data]
    assert panel.data is not None
    assert np.array_equal(panel.data.X, expected.X)
    assert f"{len(expected)} events loaded" in panel.message.value
    assert (panel.load_button.disabled, panel.cancel_button.disabled) == (False, True)


def test_a_feature_is_drawn_signal_against_background(events: Dataset) -> None:
    panel = DataPanel(events)
    settle(panel)
    first = panel.picture.value
    panel.feature.value = "jetMassSoftDrop_0"
    settle(panel)
    assert 'alt="jetMassSoftDrop_0: signal against background"' in panel.picture.value
    assert panel.picture.value != first
    assert panel.data is events


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        ("jetPt_0 >> 400", "in the selection »jetPt_0 &gt;&gt; 400«, at character 1"),
        ("nJets > 1 & jetPtt_0 > 3", "»jetPtt_0«"),
        ("nJets >", "in the selection nJets &gt;»«, at character 8"),
    ],
)
def test_a_wrong_selection_is_told_with_its_place(
    small: tuple[str, str], cut: str, words: str
) -> None:
    panel = DataPanel()
    panel.signal.value = small[0]
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.cut.value = cut
    settle(panel)
    assert 'role="alert"' in panel.counts.value
    assert words in panel.counts.value
    panel.cut.value = "nJets > 1"
    settle(panel)
    assert ">300<" in panel.counts.value


@pytest.mark.slow
def test_a_missing_variable_is_found_by_a_click(small: tuple[str, str]) -> None:
    panel = DataPanel()
    panel.signal.value, panel.background.value = small
    settle(panel)
    assert "jetMassSoftDrop is missing" in panel.inspected.value
    assert "jetMassSoftDrop" in panel.counts.value
    assert panel.nearest_button.layout.display is None
    panel.nearest_button.click()
    settle(panel)
    assert panel.branches.value == "jetMassSoftDrop = jetSoftDropMass"
    assert panel.nearest_button.layout.display == "none"
    panel.weight.value = "w * 2"
    settle(panel)
    assert "sum of weights" in panel.counts.value
    assert ">300<" in panel.counts.value
    panel.load()
    assert panel.data is not None
    assert panel.data.weight.sum() == 500


def test_a_tree_is_chosen_among_those_of_the_file(small: tuple[str, str]) -> None:
    panel = DataPanel()
    panel.signal.value = small[0]
    settle(panel)
    assert [name for _, name in panel.tree.options] == ["", "events"]


def test_paths_are_completed_as_they_are_typed(small: tuple[str, str]) -> None:
    panel = DataPanel()
    folder = Path(small[0]).parent
    panel.signal.value = f"{folder}/sig"
    settle(panel)
    assert panel.signal.options == (small[0],)
    assert "does not exist" in panel.counts.value


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "name files of signal and background first"),
        ({"signal": "a.root"}, "name files of background first"),
        ({"signal": "a.root", "background": "b.root"}, "a.root does not exist"),
        ({"signal": "S", "background": "S"}, "is in signal and background"),
        ({"signal": "S", "background": "B", "branches": "jetPt"}, "says no branch"),
        ({"signal": "S", "background": "B", "weight": "w *"}, "in the weight w *»«"),
    ],
)
def test_what_cannot_be_loaded_is_told(
    small: tuple[str, str], fields: dict[str, str], words: str
) -> None:
    panel = DataPanel()
    for name, value in fields.items():
        getattr(panel, name).value = {"S": small[0], "B": small[1]}.get(value, value)
    panel.load_button.click()
    settle(panel)
    assert 'role="alert"' in panel.message.value
    assert words in panel.message.value
    assert panel.data is None
    assert not panel.load_button.disabled


def test_the_field_of_a_file_that_is_not_there_is_marked_until_it_changes(
    small: tuple[str, str], tmp_path: Path
) -> None:
    panel = DataPanel()
    panel.signal.value, panel.background.value = small[0], str(tmp_path / "nowhere.root")
    settle(panel)
    assert "nowhere.root" in panel.counts.value
    assert (panel.signal.marked, panel.background.marked) == (False, True)
    panel.background.value = small[1]
    settle(panel)
    assert not panel.background.marked
    panel.signal.value = ""
    panel.load_button.click()
    settle(panel)
    assert "name files of signal first" in panel.message.value
    assert (panel.signal.marked, panel.background.marked) == (True, False)


def test_an_unreadable_file_may_be_left_out(small: tuple[str, str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"no ROOT file")
    panel = DataPanel()
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.signal.value, panel.background.value = f"{small[0]}, {bad}", small[1]
    panel.load()
    assert "bad.root" in panel.message.value
    assert panel.data is None
    panel.skip.value = True
    panel.load()
    settle(panel)
    assert panel.data is not None
    assert len(panel.data) == 500
    assert "bad.root" in panel.loaded.value


@pytest.mark.slow
def test_files_larger_than_memory_are_streamed(small: tuple[str, str]) -> None:
    panel = DataPanel()
    panel.signal.value, panel.background.value = small
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.cut.value = CUT
    assert panel.memory.layout.display == "none"
    panel.stream.value = True
    assert panel.memory.layout.display is None
    panel.memory.value = 64
    panel.load_button.click()
    settle(panel)
    stream = panel.data
    assert isinstance(stream, Stream)
    options = {"branches": {"jetMassSoftDrop": "jetSoftDropMass"}, "cut": CUT}
    expected = tn.load(*small, **options)
    assert stream.counts == (len(expected.background), len(expected.signal))
    assert f"{len(expected)} events found, to be read when needed" in panel.message.value
    assert "Stream(2 files" in panel.loaded.value
    assert "signal against background" in panel.picture.value
    panel.feature.value = "jetPt_0"
    settle(panel)
    assert "jetPt_0: signal against background" in panel.picture.value
    panel.memory.value = 1
    panel.load_button.click()
    settle(panel)
    assert "“Megabytes of events at a time”: 1 MB is too little" in panel.message.value
    assert panel.data is stream


def test_streaming_is_cancelled(small: tuple[str, str]) -> None:
    panel = DataPanel()
    panel.signal.value, panel.background.value = small
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.stream.value = True
    settle(panel)
    panel.progress.observe(lambda _: panel.cancel_button.click(), "value")
    panel.load_button.click()
    settle(panel)
    assert "cancelled" in panel.message.value
    assert panel.data is None
    assert (panel.load_button.disabled, panel.cancel_button.disabled) == (False, True)


def test_reading_is_cancelled_and_what_was_there_stays(
    small: tuple[str, str], events: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = DataPanel(events)
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.signal.value, panel.background.value = small
    told, reached, go_on = panel._told, threading.Event(), threading.Event()

    def waiting(done: float, files: int) -> None:
        reached.set()
        assert go_on.wait(30)
        told(done, files)

    monkeypatch.setattr(panel, "_told", waiting)
    panel.load_button.click()
    assert reached.wait(30)
    assert panel.load_button.disabled
    panel.cancel_button.click()
    go_on.set()
    settle(panel)
    assert "cancelled" in panel.message.value
    assert panel.data is events


def test_counting_is_cancelled(small: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on, count = threading.Event(), threading.Event(), module.count

    def waiting(*arguments: object) -> object:
        for found in count(*arguments):  # type: ignore[arg-type]
            reached.set()
            assert go_on.wait(30)
            yield found

    monkeypatch.setattr(module, "count", waiting)
    panel = DataPanel()
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.signal.value, panel.background.value = small
    assert reached.wait(30)
    assert not panel.cancel_button.disabled
    panel.cancel_button.click()
    go_on.set()
    settle(panel)
    assert "Counting was ended. 0 of 2 files were read." in panel.counts.value
    assert panel.cancel_button.disabled


def test_every_control_has_a_label() -> None:
    panel = DataPanel()
    controls = [w for w in vars(type(panel)).get("__doc__", "").split() if w]
    assert controls
    for name in ("signal", "background", "tree", "branches", "cut", "weight", "skip", "feature"):
        assert re.fullmatch(r"[A-Z].+", getattr(panel, name).description)


def test_closing_ends_threads_and_keeps_the_events(events: Dataset) -> None:
    panel = DataPanel(events)
    panel.use_sample()
    panel.close()
    settle(panel)
    assert panel.data is events
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"tfaas_nb-look at files", "tfaas_nb-load", "tfaas_nb-draw a feature"}


@pytest.mark.filterwarnings("ignore:no event of (signal|background) passes:UserWarning")
def test_a_selection_that_nothing_passes_is_told(small: tuple[str, str]) -> None:
    panel = DataPanel()
    panel.signal.value, panel.background.value = small
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.cut.value = "jetPt_0 > 1e6"
    panel.load()
    settle(panel)
    assert "none passes the selection" in panel.message.value


def test_values_that_are_not_finite_and_branches_that_are_absent_have_controls(
    small: tuple[str, str], tmp_path: Path
) -> None:
    with uproot.open(small[0]) as file:
        values = {
            n: c for n, c in file["events"].arrays(library="ak", how=dict).items() if n[0] != "n"
        }
        counts = {name: file["events"][name].array() for name in ("nJets", "nLeptons")}
    values |= counts | {"w": np.where(np.arange(300) < 40, np.nan, 0.5), "HLT_A": np.ones(300)}
    panel = DataPanel()
    panel.signal.value = str(write_tree(tmp_path / "s.root", values))
    panel.background.value = small[1]
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    panel.weight.value = "w"
    panel.cut.value = "HLT_A | jetPt_0 > 0"
    settle(panel)
    assert "“Values that are not finite”: “leave the events out”" in panel.counts.value
    panel.on_nan.value = "skip"
    settle(panel)
    assert "“Branches that some files lack”: HLT_A" in panel.counts.value
    panel.optional.value = "HLT_A"
    settle(panel)
    assert ">260<" in panel.counts.value
    with pytest.warns(UserWarning, match="'HLT_A' is read as 0 in background.root"):
        panel.load()
    settle(panel)
    assert panel.data is not None
    assert len(panel.data) == 460
    assert "40 events left out" in panel.loaded.value


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("on_nan='skip' leaves out", "“Values that are not finite”: “leave the events out” leaves"),
        ("say optional=['HLT_A', 'b']", "say “Branches that some files lack”: HLT_A, b"),
        ("branches={'a': 'b', 'c': 'd'}", "“Branches, if not found”: a = b, c = d"),
        ("say which with tree=...", "say which with “Tree”"),
        ("weight='genWeight', or weight=1", "“Event weight”: genWeight, or “Event weight”: 1"),
        ("on_error='skip' goes on", "“Go on without files that cannot be read” goes on"),
        ("memory=3 MB is too little", "“Megabytes of events at a time”: 3 MB is too little"),
        ("cut must be text", "“Selection” must be text"),
        ("Sample(files, weight='w')", "Sample(files, weight='w')"),
        ("or keep= of it", "or keep= of it"),
    ],
)
def test_messages_name_the_fields_of_the_panel(message: str, words: str) -> None:
    assert words in DataPanel().in_fields(message)


def test_errors_of_reading_name_the_fields_of_the_panel(small: tuple[str, str]) -> None:
    panel = DataPanel()
    panel.signal.value, panel.background.value = small
    panel.branches.value = "jetMassSoftDrop = jetSoftDropMass"
    for control, value, words in (
        (panel.cut, "HLT_A", "say “Branches that some files lack”: HLT_A"),
        (panel.optional, "NOPE", "“Branches that some files lack”: NOPE is no branch to keep"),
    ):
        control.value = value
        panel.load_button.click()
        settle(panel)
        assert words in panel.message.value
        assert "optional=" not in panel.message.value + panel.counts.value
        control.value = ""
