from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.ntuples import write_tree as write
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.files import sha256
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import load, load_telling, read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable

FEATURES = FeatureSet(
    "tiny",
    (Variable("nLeptons"),),
    (Variable("jetPt", "GeV"), Variable("jetEta")),
    jets=3,
    padding=-9.0,
)
#: Jets per event: none, one, as many as slots, more than slots; some not ordered by pT.
COUNTS = (2, 0, 1, 3, 5, 4, 0)
N = len(COUNTS)


def branches(seed: int = 1) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "nLeptons": np.arange(N, dtype=np.int32),
        "jetPt": ak.unflatten(random.uniform(200, 900, sum(COUNTS)).astype(np.float32), COUNTS),
        "jetEta": ak.unflatten(random.uniform(-2, 2, sum(COUNTS)), COUNTS),
    }


def expected(values: dict[str, Any], features: FeatureSet = FEATURES) -> list[list[float]]:
    """The feature matrix as one would fill it event by event."""
    rows = []
    for event in range(N):
        jets = zip(values["jetPt"][event], values["jetEta"][event], strict=True)
        leading = sorted(jets, key=lambda jet: -jet[0])[: features.jets]
        padding = [features.padding] * (features.jets - len(leading))
        pt, eta = ([float(jet[i]) for jet in leading] for i in range(2))
        rows.append([float(values["nLeptons"][event]), *pt, *padding, *eta, *padding])
    return rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "signal.root", branches())


def one(path: Path, **changes: Any) -> Dataset:
    """Read a file in which some branches differ from the usual ones."""
    write(path, {**branches(), **changes})
    return read(path, FEATURES)


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_a_loop_over_events(tmp_path: Path, seed: int) -> None:
    values = branches(seed)
    X = read(write(tmp_path / "a.root", values), FEATURES).X
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, expected(values), rtol=1e-7)


def test_jets_that_are_ordered_already_are_read_the_same(tmp_path: Path) -> None:
    values = branches()
    order = ak.argsort(values["jetPt"], ascending=False)
    ordered = values | {name: values[name][order] for name in ("jetPt", "jetEta")}
    X = read(write(tmp_path / "a.root", ordered), FEATURES).X
    np.testing.assert_allclose(X, expected(values), rtol=1e-7)


def test_jets_of_equal_momentum_stay_in_the_files_order(tmp_path: Path) -> None:
    pt, eta = ak.Array([[300.0, 400.0, 400.0]] * N), ak.Array([[1.0, 2.0, 3.0]] * N)
    X = one(tmp_path / "a.root", jetPt=pt, jetEta=eta).X
    assert X[0, FEATURES.jet_columns("jetEta")].tolist() == [2.0, 3.0, 1.0]


def test_jets_can_be_ordered_by_another_variable(tmp_path: Path) -> None:
    by_eta = FeatureSet("by eta", (), FEATURES.jet, jets=5, order_by="jetEta", padding=-9.0)
    X = read(write(tmp_path / "a.root", branches()), by_eta).X[:, by_eta.jet_columns("jetEta")]
    assert (np.diff(X) <= 0).all()


def test_events_without_any_jet_are_all_padding(tmp_path: Path) -> None:
    none = ak.values_astype(ak.Array([[]] * N), np.float32)
    X = one(tmp_path / "a.root", jetPt=none, jetEta=none).X
    assert (X[:, 1:] == FEATURES.padding).all()


def test_the_same_number_of_jets_everywhere_may_be_a_fixed_array(tmp_path: Path) -> None:
    fixed = np.arange(1.0, 2 * N + 1).reshape(N, 2)
    X = one(tmp_path / "a.root", jetPt=fixed, jetEta=fixed).X
    assert X[:, 1:4].tolist() == [[row[1], row[0], -9.0] for row in fixed]


def test_true_and_false_are_one_and_zero(tmp_path: Path) -> None:
    X = one(tmp_path / "a.root", nLeptons=np.arange(N) > 2).X
    assert X[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_features_may_have_no_jets_or_nothing_else(path: Path) -> None:
    assert read(path, FeatureSet("flat", FEATURES.event, ())).X.shape == (N, 1)
    assert read(path, FeatureSet("jets", (), FEATURES.jet, jets=2)).X.shape == (N, 4)


def test_an_ntuple_is_read_as_a_tree_is(tmp_path: Path, path: Path) -> None:
    with uproot.recreate(tmp_path / "ntuple.root") as file:
        file.mkrntuple("events", ak.Array(branches()))
    ntuple = read(tmp_path / "ntuple.root", FEATURES)
    assert ntuple.X.tolist() == read(path, FEATURES).X.tolist()


def test_classes_weights_and_sources_of_a_load(tmp_path: Path, path: Path) -> None:
    background = write(tmp_path / "background.root", branches(2))
    data = load(signal=path, background=background, features=FEATURES)
    assert data.y.tolist() == [1] * N + [0] * N
    assert data.weight.tolist() == [1.0] * 2 * N
    assert data.signal.X.tolist() == read(path, FEATURES).X.tolist()
    assert [(s.file, s.role, s.tree, s.events) for s in data.sources] == [
        ("signal.root", "signal", "events", N),
        ("background.root", "background", "events", N),
    ]
    assert data.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_events_of_no_known_class_are_background_to_nobody_but_the_array(path: Path) -> None:
    data = read(path, FEATURES)
    assert not data.y.any()
    assert data.sources[0].role == "events"


@pytest.mark.parametrize(
    "ask",
    [
        lambda folder: str(folder / "part*.root"),
        lambda folder: folder / "part?.root",
        lambda folder: [folder / "part1.root", str(folder / "part2.root")],
        lambda folder: (str(folder / "part1.root"), folder / "part[2-9].root"),
        lambda folder: str(folder / "**" / "part*.root"),
    ],
    ids=["glob", "path with a glob", "list", "path and glob", "folders below"],
)
def test_files_may_be_named_in_many_ways(tmp_path: Path, ask: Callable[[Path], Any]) -> None:
    parts = [branches(seed) for seed in (1, 2)]
    for number, part in enumerate(parts, start=1):
        write(tmp_path / f"part{number}.root", part)
    X = read(ask(tmp_path), FEATURES).X
    np.testing.assert_allclose(X, expected(parts[0]) + expected(parts[1]), rtol=1e-7)


def test_a_tilde_is_the_home_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    assert len(read("~/signal.root", FEATURES)) == N
    assert len(read("~/sig*.root", FEATURES)) == N


@pytest.mark.parametrize("name", ["a[1].root", "run:1.root", "a b.root"])
def test_odd_file_names_are_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / "plain.root", branches()).rename(tmp_path / name)
    assert len(read(tmp_path / name, FEATURES)) == N


def test_the_only_tree_need_not_be_called_events(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", branches(), tree="Events")
    assert read(path, FEATURES).sources[0].tree == "Events"


def test_events_is_the_tree_among_several(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", branches())
    with uproot.update(path) as file:
        file.mktree("aaa", {"x": np.float32})
    assert read(path, FEATURES).sources[0].tree == "events"


def test_a_tree_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", branches(1))
    with uproot.update(path) as file:
        file.mktree("folder/other", {"nLeptons": np.int32})
        file["folder/other"].extend({"nLeptons": np.array([7, 8], np.int32)})
    chosen = read(path, FeatureSet("flat", FEATURES.event, ()), tree="folder/other")
    assert chosen.X.tolist() == [[7.0], [8.0]]


# What goes wrong, and what the message says.


def test_a_missing_file_is_named_with_the_nearest(path: Path) -> None:
    with pytest.raises(DataError, match=r"sgnal\.root does not exist; .* 'signal\.root'"):
        read(path.with_name("sgnal.root"), FEATURES)


def test_a_missing_file_like_no_other_has_no_hint(path: Path) -> None:
    with pytest.raises(DataError, match=r"qqq does not exist$"):
        read(path.with_name("qqq"), FEATURES)


def test_a_missing_folder_is_named(path: Path) -> None:
    with pytest.raises(DataError, match=r"nor does its folder .*nowhere$"):
        read(path.parent / "nowhere" / "a.root", FEATURES)


def test_a_folder_is_not_a_file(path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder: name the ROOT files, for instance .*\*"):
        read(path.parent, FEATURES)


def test_a_glob_must_match(path: Path) -> None:
    with pytest.raises(DataError, match=r"no file matches '.*/\*\.rot'"):
        read(path.parent / "*.rot", FEATURES)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(DataError, match="list of ROOT files is empty"):
        read([], FEATURES)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.root").touch()
    with pytest.raises(DataError, match=r"a\.root is empty: it has 0 bytes; copy it again"):
        read(tmp_path / "a.root", FEATURES)


@pytest.mark.parametrize("content", [b"PK\3\4" * 200, b"jetPt,jetEta\n" * 100])
def test_what_is_no_root_file_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.root").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.root cannot be read as a ROOT file: \S+"):
        read(tmp_path / "a.root", FEATURES)


def test_a_damaged_file_ends_in_words_for_users(path: Path) -> None:
    content = path.read_bytes()
    said = []
    for place in range(100, 400, 12):
        damaged = content[:place] + b"\xa5" * 8 + content[place + 8 :]
        path.write_bytes(damaged)
        try:
            read(path, FEATURES, progress=False)
        except DataError as error:
            said.append(str(error))
    assert len(said) > 4
    for message in said:
        assert not re.search(r"Error|num_bytes| object |index \d|must be | at 0x", message)


@pytest.mark.parametrize("kept", [0.01, 0.05, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"signal\.root (is truncated|.*expected Chunk of)"):
        read(path, FEATURES)


def test_a_file_without_a_tree_says_what_it_holds(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["note"] = "no events here"
    with pytest.raises(DataError, match=r"has no tree; it holds \['note'\]"):
        read(tmp_path / "a.root", FEATURES)


def test_of_several_trees_one_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", branches(), tree="nominal")
    with uproot.update(path) as file:
        file.mktree("shifted", {"x": np.float32})
    with pytest.raises(DataError, match=r"\['nominal', 'shifted'\]; say which with tree="):
        read(path, FEATURES)
    assert len(read(path, FEATURES, tree="nominal")) == N


def test_a_wrong_tree_is_named_with_the_nearest(path: Path) -> None:
    with pytest.raises(DataError, match=r"no tree 'Events'; .* the nearest name is 'events'"):
        read(path, FEATURES, tree="Events")


def test_a_missing_branch_is_named_with_the_nearest(tmp_path: Path) -> None:
    values = branches()
    values["jetpt"] = values.pop("jetPt")
    path = write(tmp_path / "a.root", values)
    with pytest.raises(DataError, match=r"no branch 'jetPt'; .* the nearest name is 'jetpt'"):
        read(path, FEATURES)


def test_every_missing_branch_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", {"x": np.arange(3)})
    with pytest.raises(DataError, match="no branch 'nLeptons', 'jetPt', 'jetEta'"):
        read(path, FEATURES)


def test_an_empty_tree_is_refused(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {"nLeptons": np.int32})
    with pytest.raises(DataError, match=r"the tree 'events' of .* is empty"):
        read(tmp_path / "a.root", FEATURES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_counted_and_placed(tmp_path: Path, bad: float) -> None:
    leptons = np.array([0, 1, bad, 3, 4, bad, 6])
    with pytest.raises(DataError, match=r"'nLeptons' .* 2 values .* not finite, .* entry 2"):
        one(tmp_path / "a.root", nLeptons=leptons)


def test_a_jet_that_is_not_finite_is_found(tmp_path: Path) -> None:
    eta = ak.unflatten(np.where(np.arange(sum(COUNTS)) == 4, np.nan, 0.0), COUNTS)
    with pytest.raises(DataError, match=r"'jetEta' .* 1 value .* not finite, .* entry 3"):
        one(tmp_path / "a.root", jetEta=eta)


def test_branches_with_different_numbers_of_jets_are_refused(tmp_path: Path) -> None:
    other = ak.unflatten(np.zeros(sum(COUNTS)), (2, 0, 1, 4, 4, 4, 0))
    with pytest.raises(DataError, match=r"'jetEta' .* has 4 jets in event 3, 'jetPt' has 3"):
        one(tmp_path / "a.root", jetEta=other)


def test_a_list_is_not_one_number_per_event(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'nLeptons' .* must hold one number per event"):
        one(tmp_path / "a.root", nLeptons=branches()["jetPt"])


def test_a_number_is_not_a_list_of_jets(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'jetEta' .* must hold a list of numbers per event"):
        one(tmp_path / "a.root", jetEta=np.zeros(N))


def test_text_is_not_a_number(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("events", ak.Array({**branches(), "nLeptons": list("abcdefg")}))
    with pytest.raises(DataError, match=r"'nLeptons' .* holds string, not numbers"):
        read(tmp_path / "a.root", FEATURES)


def test_a_folder_that_a_glob_matches_is_refused(path: Path) -> None:
    path.with_name("folder.root").mkdir()
    with pytest.raises(DataError, match=r"folder\.root cannot be read as a ROOT file: "):
        read(path.parent / "*.root", FEATURES)


def test_an_error_in_one_file_of_many_names_it(tmp_path: Path) -> None:
    write(tmp_path / "a.root", branches())
    (tmp_path / "b.root").write_bytes(b"broken" * 200)
    with pytest.raises(DataError, match=r"b\.root cannot be read"):
        read(tmp_path / "*.root", FEATURES)


def test_a_file_that_fails_can_be_skipped_and_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "a.root", branches(1))
    write(tmp_path / "b.root", {**branches(2), "nLeptons": np.full(N, np.nan)})
    (tmp_path / "c.root").write_bytes(b"broken" * 200)
    write(tmp_path / "d.root", branches(3))
    data = read(tmp_path / "*.root", FEATURES, on_error="skip")
    np.testing.assert_allclose(data.X, expected(branches(1)) + expected(branches(3)), rtol=1e-7)
    assert [source.file for source in data.sources] == ["a.root", "d.root"]
    assert [Path(one.file).name for one in data.skipped] == ["b.root", "c.root"]
    assert "7 values that are not finite" in data.skipped[0].reason
    assert "files skipped: 2" in repr(data)
    assert "cannot be read as a ROOT file" in data._repr_html_()


def test_nothing_is_left_of_a_file_that_fails_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfaas_nb.data.ranges.steps", lambda entries: [(0, 4), (4, entries)])
    leptons = np.array([0, 1, 2, 3, 4, 5, np.inf])
    write(tmp_path / "a.root", branches(1))
    write(tmp_path / "b.root", {**branches(2), "nLeptons": leptons})
    data = read(tmp_path / "*.root", FEATURES, on_error="skip", keep="nLeptons")
    assert data.extra["nLeptons"].tolist() == list(range(N))
    np.testing.assert_allclose(data.X, expected(branches(1)), rtol=1e-7)
    with pytest.raises(DataError, match=r"'nLeptons' .* the first in entry 6\b"):
        read(tmp_path / "*.root", FEATURES)


def test_if_every_file_fails_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"broken" * 200)
    with pytest.raises(DataError, match=r"none of 1 files could be read: .*a\.root cannot be"):
        read(tmp_path / "*.root", FEATURES, on_error="skip")
    with pytest.raises(DataError, match="on_error='ignore' must be 'stop' or 'skip'"):
        read(tmp_path / "*.root", FEATURES, on_error="ignore")  # type: ignore[arg-type]


def test_a_file_named_twice_is_read_once(path: Path) -> None:
    with pytest.warns(UserWarning, match="read once"):
        assert len(read([path, path], FEATURES)) == N


def test_a_file_that_is_in_two_places_is_told(tmp_path: Path, path: Path) -> None:
    other = write(tmp_path / "other.root", branches(2))
    with pytest.warns(UserWarning, match=r"signal\.root is in signal and background"):
        assert len(load(signal=path, background=[other, path], features=FEATURES)) == 3 * N
    with pytest.raises(DataError, match=r"signal\.root is in two samples of background"):
        load(
            signal=other,
            background=[path, Sample(str(path.parent / "s*.root"), xsec=1.0)],
            features=FEATURES,
        )


def test_an_empty_file_among_others_adds_no_events(tmp_path: Path) -> None:
    write(tmp_path / "a.root", branches())
    with uproot.recreate(tmp_path / "b.root") as file:
        file.mktree("events", {"nLeptons": np.int32})
    data = read(tmp_path / "*.root", FEATURES)
    assert [(source.file, source.events) for source in data.sources] == [
        ("a.root", N),
        ("b.root", 0),
    ]


def test_a_selection_is_told_by_the_sources(tmp_path: Path, path: Path) -> None:
    background = write(tmp_path / "background.root", branches(2))
    data = load(path, background, FEATURES, cut="nLeptons > 3 & jetPt_0 > 0", keep=["nLeptons"])
    counts = [sum(n > 3 and jets > 0 for n, jets in enumerate(COUNTS))] * 2
    assert [(s.entries, s.events) for s in data.sources] == [(N, counts[0]), (N, counts[1])]
    assert data.extra["nLeptons"].dtype == np.int32
    assert data.extra["nLeptons"].tolist() == data.X[:, 0].tolist()
    assert data.signal.extra["nLeptons"].tolist() == data.signal.X[:, 0].tolist()
    assert "entries" in data._repr_html_()


def test_a_selection_may_leave_nothing(path: Path) -> None:
    assert len(read(path, FEATURES, cut="nLeptons > 100")) == 0


def test_large_sets_and_remote_files_are_not_hashed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sha256("root://host//a.root") == ""
    assert sha256(str(path) + " that went away") == ""
    monkeypatch.setattr("tfaas_nb.data.root._HASHED_UP_TO", 10)
    source = read(path, FEATURES).sources[0]
    assert (source.sha256, len(source.uuid)) == ("", 36)


def test_progress_is_shown_where_reading_takes_long(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read(path, FEATURES)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("tfaas_nb.data.root._SECONDS", (0.0, 0.0))
    read(path, FEATURES)
    assert "1.0/1 files" in capsys.readouterr().err
    read(path, FEATURES, progress=False)
    assert capsys.readouterr().err == ""


def test_who_shows_how_far_it_is_is_told_and_can_end_it(tmp_path: Path) -> None:
    names = [tmp_path / f"{name}.root" for name in "sb"]
    for name in names:
        write(name, branches())
    told: list[tuple[float, int]] = []
    data = load_telling(
        *names, Reading(FEATURES), "stop", lambda done, files: told.append((done, files))
    )
    assert told[-1] == (2.0, 2)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert np.array_equal(data.X, load(*names, FEATURES).X)

    def end(done: float, files: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load_telling(*names, Reading(FEATURES), "skip", end)


def test_a_class_that_the_cut_empties_is_warned_of(tmp_path: Path) -> None:
    kept = write(tmp_path / "s.root", {"x": np.arange(4.0)})
    lost = write(tmp_path / "b.root", {"x": -np.arange(4.0)})
    message = "^no event of background passes the cut x > 1: 4 entries of b.root were read$"
    with pytest.warns(UserWarning, match=message) as caught:
        data = load(kept, lost, FeatureSet("x", ("x",)), cut="x > 1", progress=False)
    assert [one.filename for one in caught] == [__file__]
    assert (len(data.signal), len(data.background)) == (2, 0)
