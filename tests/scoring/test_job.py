from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests.graphs import placeholder, serialized
from tests.ntuples import emptied
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data import event_file
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import BundleError, CutError, DataError
from tfaas_nb.serving.server import Server

pytestmark = pytest.mark.slow

SIGNAL, BACKGROUND = tn.sample_files()


def both(tf: Any) -> None:
    """The values and their doubles, as one output of two numbers."""
    x = placeholder(tf, width=2)
    tf.multiply(x, 2.0, name="y")


def read(path: Path) -> dict[str, Any]:
    with uproot.open(path) as file:
        return dict(file["scores"].arrays(library="np"))


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three events as in NanoAOD: two jets, none, one."""
    path = tmp_path_factory.mktemp("nano") / "nano.root"
    jets = ak.Array([[500.0, 400.0], [], [450.0]])
    names = ("pt", "eta", "phi", "mass", "msoftdrop", "tau1", "tau2", "tau3")
    collection = ak.zip({name: jets if name == "pt" else jets * 0 + 0.5 for name in names})
    leptons = ak.zip({name: ak.Array([[], [], [1.0]]) for name in ("pt", "eta")})
    with uproot.recreate(path) as file:
        branches = {
            "run": np.array([1, 1, 2], np.uint32),
            "luminosityBlock": np.array([7, 8, 9], np.uint32),
            "event": np.array([2**40, 5, 6], np.uint64),
            "weight": np.array([0.5, 1.0, 2.0], np.float32),
            "FatJet": collection,
            "Electron": leptons,
            "Muon": leptons,
        }
        file.mktree("Events", {name: ak.type(ak.Array(b)).content for name, b in branches.items()})
        file["Events"].extend(branches)
    return path


def test_every_event_has_the_score_that_the_classifier_gives(
    classifier: Classifier, tmp_path: Path
) -> None:
    made = tn.score([BACKGROUND, SIGNAL], classifier, tmp_path / "a.root", progress=False)
    found = read(made.output)
    data = tn.sample()
    expected = np.concatenate([classifier.predict(part) for part in (data.background, data.signal)])
    assert made.columns == tuple(found) == ("runNo", "lumi", "evtNo", "file", "entry", "score")
    assert np.abs(found["score"] - expected).max() <= 1e-6
    assert np.array_equal(found["file"], np.repeat([0, 1], 20_000))
    assert np.array_equal(found["entry"], np.tile(np.arange(20_000), 2))
    with uproot.open(SIGNAL) as file:
        assert np.array_equal(found["evtNo"][20_000:], file["events"]["evtNo"].array(library="np"))
    assert made.events == 40_000


def test_ranges_of_entries_change_nothing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tn.score(SIGNAL, bundle, tmp_path / "a.root", progress=False)
    monkeypatch.setattr(event_file.steps, "__defaults__", (6_001,))
    parts = tn.score(SIGNAL, bundle, tmp_path / "b.root", progress=False)
    found, expected = read(parts.output), read(whole.output)
    assert np.abs(found.pop("score") - expected.pop("score")).max() <= 1e-6
    for name, values in expected.items():
        assert np.array_equal(found[name], values)


def test_nano_aod_is_keyed_by_run_section_and_event(
    bundle: Bundle, nano: Path, tmp_path: Path
) -> None:
    made = tn.score(nano, bundle, tmp_path / "a.root", keep=("weight",), progress=False)
    found = read(made.output)
    assert list(found)[:4] == ["run", "luminosityBlock", "event", "weight"]
    assert found["event"].tolist() == [2**40, 5, 6]
    assert found["luminosityBlock"].tolist() == [7, 8, 9]
    assert found["weight"].tolist() == [0.5, 1.0, 2.0]


def test_a_selection_leaves_the_others_out(bundle: Bundle, nano: Path, tmp_path: Path) -> None:
    def two_jets(data: Dataset) -> Any:
        return data.X[:, data.features.column("nJets")] >= 1

    made = tn.score(nano, bundle, tmp_path / "a.root", cut=two_jets, progress=False)
    assert read(made.output)["entry"].tolist() == [0, 2]
    assert made.files == ((str(nano), 3, 2),)


@pytest.mark.parametrize("parts", [None, "root"])
def test_an_empty_tree_is_a_file_without_events(
    bundle: Bundle, tmp_path: Path, parts: str | None
) -> None:
    empty = emptied(tmp_path / "empty.root", SIGNAL)
    output = tmp_path / ("a.root" if parts is None else "scores")
    tn.score(SIGNAL, bundle, output, parts=parts, progress=False)  # what must not stay
    done = tn.score(empty, bundle, output, parts=parts, progress=False)
    assert (done.events, done.files) == (0, ((str(empty), 0, 0),))
    (found,) = map(read, [output] if parts is None else output.iterdir())
    assert tuple(found) == done.columns == ("runNo", "lumi", "evtNo", "file", "entry", "score")
    assert not any(map(len, found.values()))
    more = tn.score([empty, SIGNAL], bundle, tmp_path / "b.root", progress=False)
    assert set(read(more.output)["file"]) == {1}
    assert len(read(more.output)["score"]) == 20_000


def test_an_empty_tree_of_collections_is_a_file_without_events(
    bundle: Bundle, nano: Path, tmp_path: Path
) -> None:
    none = tn.score(nano, bundle, tmp_path / "a.root", cut="event < 0", progress=False)
    empty = emptied(tmp_path / "empty.root", nano, "Events")
    done = tn.score(empty, bundle, tmp_path / "b.root", progress=False)
    assert done.columns == none.columns
    assert not any(map(len, read(done.output).values()))


def test_a_model_on_a_server_gives_the_same(
    serving: Server, bundle: Bundle, nano: Path, tmp_path: Path
) -> None:
    local = tn.score(nano, bundle, tmp_path / "a.root", progress=False)
    address = f"{serving.url}/models/ttbar"
    asked = tn.score(nano, address, tmp_path / "b.root", token=serving.token, progress=False)
    assert np.abs(read(asked.output)["score"] - read(local.output)["score"]).max() <= 1e-6


def test_several_outputs_have_a_column_each(nano: Path, tmp_path: Path) -> None:
    two = Bundle.from_parts(b'{"name": "two", "features": ["run", "weight"]}', serialized(both))
    made = tn.score(nano, two, tmp_path / "a.root", progress=False)
    assert made.columns[-2:] == ("score_0", "score_1")


def test_a_file_that_cannot_be_read_stops_the_job(bundle: Bundle, tmp_path: Path) -> None:
    broken = tmp_path / "broken.root"
    broken.write_bytes(Path(SIGNAL).read_bytes()[:5000])
    output = tmp_path / "a.root"
    with pytest.raises(DataError, match=r"broken\.root"):
        tn.score([SIGNAL, broken], bundle, output, progress=False)
    assert not output.exists()
    made = tn.score([broken, SIGNAL], bundle, output, on_error="skip", progress=False)
    assert read(output)["file"].tolist() == [0] * 20_000
    ((path, why),) = made.skipped
    assert path == str(broken)
    assert "broken.root" in why
    assert "files skipped: 1" in repr(made)
    assert "broken.root" in made._repr_html_()
    with pytest.raises(DataError, match=r"no file could be read; the first: .*broken\.root"):
        tn.score(broken, bundle, output, on_error="skip", progress=False)


def test_a_file_that_breaks_off_half_way_is_skipped_whole(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = damaged(tmp_path / "broken.root")
    monkeypatch.setattr(event_file.steps, "__defaults__", (2_000,))
    made = tn.score([broken, SIGNAL], bundle, tmp_path / "a.root", on_error="skip", progress=False)
    assert made.files == ((SIGNAL, 20_000, 20_000),)
    assert len(made.skipped) == 1
    assert len(read(made.output)["score"]) == 20_000


def damaged(path: Path) -> Path:
    """The sample's signal in four clusters, the last one's bytes overwritten."""
    with uproot.open(SIGNAL) as file:
        events = file["events"].arrays()
    with uproot.recreate(path) as file:
        file.mktree("events", {name: events[name].type.content for name in events.fields})
        for start in range(0, 8_000, 2_000):
            part = events[start : start + 2_000]
            file["events"].extend({name: part[name] for name in events.fields})
    with uproot.open(path) as file:
        branch = file["events"]["jetTau3"]
        start = int(branch.member("fBasketSeek")[branch.num_baskets - 1])
        length = int(branch.member("fBasketBytes")[branch.num_baskets - 1])
    with path.open("r+b") as stream:
        stream.seek(start + length // 2)
        stream.write(bytes(length // 2))
    return path


def test_what_cannot_be_done_is_told(bundle: Bundle, nano: Path, tmp_path: Path) -> None:
    copy = shutil.copyfile(nano, tmp_path / "copy.root")
    with pytest.raises(DataError, match="is one of the files to score"):
        tn.score(copy, bundle, copy, progress=False)
    with pytest.raises(DataError, match="on_error is 'stop' or 'skip', not 'ignore'"):
        tn.score(nano, bundle, tmp_path / "a.root", on_error="ignore", progress=False)
    with pytest.raises(BundleError, match="No such file"):
        tn.score(nano, tmp_path / "model", tmp_path / "a.root", progress=False)
    with pytest.raises(DataError, match="no branch 'wieght'"):
        tn.score(nano, bundle, tmp_path / "a.root", keep=("wieght",), progress=False)


def test_a_branch_called_as_a_column_of_ours_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "again.root"
    scored = tn.score(SIGNAL, bundle, tmp_path / "a.root", progress=False)
    with uproot.open(SIGNAL) as file, uproot.recreate(path) as again:
        events = file["events"].arrays()
        columns = {name: events[name] for name in events.fields}
        again["events"] = columns | {"score": read(scored.output)["score"]}
    with pytest.raises(DataError, match="the branch 'score' to keep is called as a column"):
        tn.score(path, bundle, tmp_path / "b.root", keep=("score",), progress=False)


def test_the_result_shows_itself(bundle: Bundle, nano: Path, tmp_path: Path) -> None:
    made = tn.score(nano, bundle, tmp_path / "a.parquet", progress=False)
    assert repr(made) == (
        "Scored(a.parquet: 3 events of 1 files, "
        "columns run, luminosityBlock, event, file, entry, score)"
    )
    assert "<td" in made._repr_html_()


def flat(
    path: Path, names: tuple[str, ...], types: tuple[str, str, str] = ("i4", "i4", "i8")
) -> Path:
    """Two events of a flat ntuple, with such names for what tells them apart."""
    values = ([3, 3], [10, 11], [2**33, 2**33 + 1])
    branches: dict[str, Any] = {
        name: np.array(value).astype(kind)
        for name, value, kind in zip(names, values, types, strict=False)
    }
    branches |= {"nJets": np.zeros(2, np.int32), "nLeptons": np.zeros(2, np.int32)}
    for variable in tn.TTBAR_ALL_HADRONIC.jet:
        branches[variable.name] = ak.Array([[0.5], []])
    with uproot.recreate(path) as file:
        file.mktree("events", {name: ak.type(ak.Array(b)).content for name, b in branches.items()})
        file["events"].extend(branches)
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("run", "lumi", "event"),
        ("run", "luminosityBlock", "event"),
        ("runNumber", "lumiBlock", "eventNumber"),
        ("RUN", "LS", "Evt"),
        ("runNo", "lumi", "evtNo"),
    ],
)
def test_flat_files_are_keyed_whatever_they_call_the_event(
    bundle: Bundle, tmp_path: Path, names: tuple[str, ...]
) -> None:
    file = flat(tmp_path / "flat.root", names)
    made = tn.score(file, bundle, tmp_path / "scores.root", progress=False)
    found = read(made.output)
    assert made.columns == (*names, "file", "entry", "score")
    assert found[names[2]].tolist() == [2**33, 2**33 + 1]
    assert found[names[2]].dtype == np.int64


def test_files_of_different_kinds_are_keyed_under_the_names_of_the_first(
    bundle: Bundle, nano: Path, tmp_path: Path
) -> None:
    first = flat(tmp_path / "flat.root", ("runNumber", "lumiBlock", "eventNumber"))
    for output in ("a.root", "b.parquet"):
        made = tn.score([first, nano], bundle, tmp_path / output, progress=False)
        assert made.columns == ("runNumber", "lumiBlock", "eventNumber", "file", "entry", "score")
    found = read(tmp_path / "a.root")
    assert found["runNumber"].tolist() == [3, 3, 1, 1, 2]
    assert found["lumiBlock"].tolist() == [10, 11, 7, 8, 9]
    assert found["eventNumber"].tolist() == [2**33, 2**33 + 1, 2**40, 5, 6]
    other = tn.score([nano, first], bundle, tmp_path / "c.root", progress=False)
    assert other.columns == ("run", "luminosityBlock", "event", "file", "entry", "score")
    assert read(other.output)["event"].tolist() == [2**40, 5, 6, 2**33, 2**33 + 1]


def test_what_cannot_be_keyed_like_the_first_is_told(
    bundle: Bundle, nano: Path, tmp_path: Path
) -> None:
    other = flat(tmp_path / "flat.root", ("run", "lumi"))
    with pytest.raises(DataError, match=r"flat.root has no branch 'event', nor .* by itself"):
        tn.score([nano, other], bundle, tmp_path / "a.root", progress=False)
    negative = flat(tmp_path / "n.root", ("run", "lumi", "event"), ("i4", "i4", "f8"))
    small = flat(tmp_path / "s.root", ("run", "lumi", "event"), ("i4", "i4", "i1"))
    with pytest.raises(DataError, match=r"'event' is int8 in the files before, .* of float64"):
        tn.score([small, negative], bundle, tmp_path / "a.root", progress=False)
    assert not (tmp_path / "a.root").exists()


def test_no_file_is_skipped_because_the_selection_fails(
    bundle: Bundle, nano: Path, tmp_path: Path
) -> None:
    def wrong(data: Dataset) -> Any:
        return data.extra["evnt"] > 0

    options: dict[str, Any] = {"on_error": "skip", "progress": False}
    with pytest.raises(CutError, match="KeyError: 'evnt'"):
        tn.score(nano, bundle, tmp_path / "a.root", cut=wrong, **options)


@pytest.mark.parametrize("parts", [None, "root"])
def test_names_that_nobody_uses_are_refused_before_anything_is_written(
    bundle: Bundle, nano: Path, tmp_path: Path, parts: str | None
) -> None:
    with pytest.raises(DataError, match=r"'jetMassSoftdrop', .* mean 'jetMassSoftDrop'"):
        tn.score(
            nano,
            bundle,
            tmp_path / "a.root",
            branches={"jetMassSoftdrop": "FatJet_mass"},
            on_error="skip",
            parts=parts,
            progress=False,
        )
    with pytest.raises(DataError, match="keep names run more than once"):
        tn.score(nano, bundle, tmp_path / "a.root", keep=("run", "run"), progress=False)
    assert not (tmp_path / "a.root").exists()
