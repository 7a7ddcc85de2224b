from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests.command import COMMAND
from tests.ntuples import add_tree
from tfaas_nb.bundle import Bundle
from tfaas_nb.cli import main
from tfaas_nb.engines import open_engine
from tfaas_nb.measured import quoted

SIGNAL, BACKGROUND = tn.sample_files()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The first 1 500 events of each class of the sample."""
    made = []
    for path in (SIGNAL, BACKGROUND):
        made.append(tmp_path_factory.mktemp("events") / Path(path).name)
        with uproot.open(path) as file, uproot.recreate(made[-1]) as short:
            events = file["events"].arrays(entry_stop=1500)
            short["events"] = {name: events[name] for name in events.fields}
    return [str(path) for path in made]


def order(files: list[str], out: Path, *options: str) -> list[str]:
    inputs = ["--signal", files[0], "--background", files[1], "--epochs", "1"]
    return ["train", *inputs, "--name", "mine", "--out", str(out), *options]


@pytest.mark.slow
def test_what_it_writes_scores_events_and_tells_what_it_is_worth(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder"
    assert main(order(files, out, "--description", "a test")) == 0
    told = capsys.readouterr().out
    assert "Dataset(1500 signal + 1500 background events, 42 features)" in told
    assert "Evaluation(900 events: AUC = 0.9" in told
    for name in ("mine", "mine.tar.gz", "mine.html"):
        assert str((out / name).resolve()) in told
        assert (out / name).exists()
    bundle = Bundle.load(out / "mine")
    assert bundle.params.description == "a test"
    assert bundle.card["events"] == {"signal": 1050, "background": 1050}
    assert 0.9 < bundle.card["evaluation"]["auc"] < 1
    page = (out / "mine.html").read_text()
    assert f"{bundle.card['evaluation']['auc']:.4f}" in page
    scores = tmp_path / "scores.root"
    assert main(["score", *files, "--model", str(out), "-o", str(scores)]) == 0
    with uproot.open(scores) as file:
        found = file["scores"].arrays(library="np")
    roc = tn.metrics.Roc.of(1 - found["file"], found["score"])
    assert roc.auc == pytest.approx(bundle.card["evaluation"]["auc"], abs=0.02)


@pytest.mark.endurance
def test_the_same_seed_gives_the_same_numbers(files: list[str], tmp_path: Path) -> None:
    found = []
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert main(order(files, tmp_path / out, "--seed", seed)) == 0
        bundle = Bundle.load(tmp_path / out / "mine")
        scores = open_engine(bundle.graph)(tn.sample().X[:100]).tolist()
        page = (tmp_path / out / "mine.html").read_text()
        found.append((bundle.card["evaluation"], scores, re.sub(r"<time.*?</time>", "", page)))
    assert found[0] == found[1]
    assert all(one != other for one, other in zip(found[0], found[2], strict=True))


@pytest.mark.slow
def test_events_are_selected_weighed_and_read_as_told(files: list[str], tmp_path: Path) -> None:
    options = ["--cut", "nJets >= 2 & jetPt_0 > 450", "--branch", "jetMassSoftDrop=jetMass"]
    options += ["--jets", "2", "--signal-xsec", "2", "--background-xsec", "300", "--lumi", "10"]
    assert main(order(files, tmp_path, *options)) == 0
    bundle = Bundle.load(tmp_path / "mine")
    assert bundle.feature_set is not None
    assert (bundle.feature_set.jets, len(bundle.features or ())) == (2, 18)
    features = tn.FeatureSet("two", tn.TTBAR_ALL_HADRONIC.event, tn.TTBAR_ALL_HADRONIC.jet, jets=2)
    data = tn.load(*files, features, cut="nJets >= 2 & jetPt_0 > 450", progress=False)
    events = bundle.card["events"]
    assert np.isclose(events["signal"], 0.7 * len(data.signal), atol=1)
    assert np.isclose(events["background"], 0.7 * len(data.background), atol=1)


def test_samples_and_cross_sections_must_be_as_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = order([SIGNAL, BACKGROUND], tmp_path)
    assert main([*given, "--background-xsec", "1", "2"]) == 1
    told = capsys.readouterr().err
    assert told == (
        "tfaas-nb: there are 1 --background and 2 --background-xsec: give one for each\n"
    )
    assert main([*given, "--lumi", "10"]) == 1
    assert "needs its cross-section" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test", "1.5"], "with --test 1.5: it must lie between 0 and 1"),
        (["--test", "nan"], "with --test nan: it must lie between 0 and 1"),
        (["--epochs", "0"], "--epochs must be a whole number, 1 or more, not 0"),
        (["--seed", "-1"], "--seed must be a whole number from 0 to 4294967295, not -1"),
        (["--out", "no.root"], "no.root cannot be written: it is no folder"),
        (["--out", "no.root/below"], "no.root is no folder"),
        (["--name", "taken"], "taken.html cannot be written: it is a folder"),
        (["--name", "model"], "model cannot be written: it is no folder"),
    ],
)
def test_settings_and_places_are_checked_before_a_file_is_read(
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files that nobody can read are not complained of: none was opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.root").write_text("no ROOT file")
    (tmp_path / "model").write_text("of somebody")
    (tmp_path / "taken.html").mkdir()
    files = ["--signal", "no.root", "--background", "no.root", "--name", "m"]
    assert main(["train", *files, *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("tfaas-nb: ")
    assert message in error
    assert "ROOT" not in error


def skimmed(files: list[str], folder: Path) -> list[str]:
    """The files, and the first as a skim that tells of twice as many events."""
    copy = folder / "skim.root"
    copy.write_bytes(Path(files[0]).read_bytes())
    add_tree(copy, {"genEventCount": [1000, 2000], "genEventSumw": [1e3, 2e3]}, "Runs")
    return [str(copy), files[1]]


SUMS = ["--signal-xsec", "1", "--background-xsec", "10", "--weight", "nJets / nJets"]


def test_a_skim_asks_for_its_sum_of_weights(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = order(skimmed(files, tmp_path), tmp_path, *SUMS)
    assert main(given) == 1
    said = capsys.readouterr().err
    assert "skim.root: it was skimmed: 1500 of 3000 generated events are left" in said
    assert "--signal-sum-weights" in said
    assert main([*given, "--signal-sum-weights", "1", "2"]) == 1
    assert capsys.readouterr().err == (
        "tfaas-nb: there are 1 --signal and 2 --signal-sum-weights: give one for each\n"
    )
    assert main([*given, "--signal-sum-weights", "0"]) == 1
    assert (
        "--signal-sum-weights 0.0 of a sample must be a number other than 0"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        main([*given, "--signal-sum-weights", "many"])


@pytest.mark.slow
def test_a_sum_of_weights_is_taken_as_it_is_told(files: list[str], tmp_path: Path) -> None:
    given = order(skimmed(files, tmp_path), tmp_path, *SUMS)
    sums = ["--signal-sum-weights", "3000", "--background-sum-weights", "auto"]
    assert main([*given, *sums]) == 0
    assert "S = 500, B = 10000" in (tmp_path / "mine.html").read_text()


def test_what_is_wrong_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = order(["none.root", BACKGROUND], tmp_path)
    given[given.index("mine")] = "../mine"
    assert main(given) == 1
    assert capsys.readouterr().err.startswith("tfaas-nb: '../mine' cannot name a model")
    assert main(order(["none.root", BACKGROUND], tmp_path)) == 1
    assert "none.root does not exist" in capsys.readouterr().err


@pytest.mark.slow
def test_negative_weights_and_the_expected_events_are_told(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--signal-xsec", "1", "--background-xsec", "10", "--lumi", "1"]
    options += ["--weight", "1 - 2 * (jetPhi_0 > 2.5)"]
    assert main(order(files, tmp_path, *options)) != 0
    assert "not negative" in capsys.readouterr().err
    assert main(order(files, tmp_path, *options, "--negative-weights", "absolute")) == 0
    assert "events of negative weight count by their absolute weight" in capsys.readouterr().out
    assert "S = 1000, B = 10000" in (tmp_path / "mine.html").read_text()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class Training:
    """The command in a process of its own, for a person who presses Ctrl-C."""

    def __init__(self, files: list[str], out: Path, *options: str) -> None:
        command = [*COMMAND, *order(files, out, "--epochs", "100000", *options)]
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # A shell lets its background jobs ignore Ctrl-C, this test's perhaps.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def press(self, after: str) -> None:
        """Ctrl-C once the command has written a text."""
        assert self.process.stderr is not None
        read = b""
        while after.encode() not in read:
            more = self.process.stderr.read1()
            assert more, read.decode()
            read += more
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Its exit code, and the last lines that it wrote."""
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors.decode()


@pytest.mark.endurance
def test_an_interrupted_training_replaces_nothing_good(files: list[str], tmp_path: Path) -> None:
    assert main(order(files, tmp_path)) == 0
    good = contents(tmp_path)
    training = Training(files, tmp_path)
    training.press(after="val_auc=")
    code, message = training.end()
    assert code == 130
    assert re.search(r"stopped at epoch \d+: .* written as 'mine-stopped'", message)
    there = contents(tmp_path)
    assert {name: there[name] for name in good} == good
    new = sorted({name.partition("/")[0] for name in set(there) - set(good)})
    assert new == ["mine-stopped", "mine-stopped.html", "mine-stopped.tar.gz"]
    archived = Bundle.load(tmp_path / "mine-stopped.tar.gz")
    assert archived.graph.sha256 == Bundle.load(tmp_path / "mine-stopped").graph.sha256
    area = archived.card["evaluation"]
    assert quoted(area["auc"], area["auc_error"]) in (tmp_path / "mine-stopped.html").read_text()

    training = Training(files, tmp_path, "--overwrite")
    training.press(after="val_auc=")
    assert training.end()[0] == 130
    replaced = contents(tmp_path)
    assert set(replaced) == set(there), "it replaced the bundle, and left nothing else"
    assert all(replaced[name] != good[name] for name in ("mine.tar.gz", "mine.html"))


@pytest.mark.endurance
def test_a_second_interrupt_ends_with_nothing_written(files: list[str], tmp_path: Path) -> None:
    assert main(order(files, tmp_path)) == 0
    good = contents(tmp_path)
    training = Training(files, tmp_path)
    training.press(after="val_auc=")
    training.press(after="stopped at epoch")
    assert training.end()[0] == 130
    assert contents(tmp_path) == good


@pytest.mark.slow
def test_an_interrupted_report_loses_no_training(files: list[str], tmp_path: Path) -> None:
    training = Training(files, tmp_path, "--epochs", "1", "--jets", "25")
    training.press(after="importance:")
    code, message = training.end()
    assert code == 0
    assert "the report is written without the importance of features" in message
    assert Bundle.load(tmp_path / "mine").graph.sha256
    report = (tmp_path / "mine.html").read_text()
    assert ">Importance<" not in report
    assert ">ROC curve<" in report


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--signal-xsec", "1", "--background-xsec", "0"],
            "--background-xsec 0.0 of a sample must",
        ),
        (["--lumi", "5"], "needs its cross-section, --signal-xsec in pb"),
        (["--signal-xsec", "1", "--signal-sum-weights", "0"], "--signal-sum-weights 0.0 of a"),
        (["--signal-xsec", "1", "--background-xsec", "1", "--lumi", "-1"], "--lumi -1.0 of a"),
    ],
)
def test_a_wrong_number_of_a_sample_is_told_by_its_option(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(order([SIGNAL, BACKGROUND], tmp_path, *options)) == 1
    assert message in capsys.readouterr().err


def test_a_sum_of_weights_that_is_no_number_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(order([SIGNAL, BACKGROUND], tmp_path, "--signal-sum-weights", "abc"))
    assert "'abc' is no number, nor 'auto'" in capsys.readouterr().err
