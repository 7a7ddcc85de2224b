from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tfaas_nb.bundle import Bundle
from tfaas_nb.cli import main
from tfaas_nb.serving.security import TOKEN_VARIABLE
from tfaas_nb.serving.server import Server

SIGNAL, BACKGROUND = tn.sample_files()


def scores(path: Path) -> np.ndarray:
    with uproot.open(path) as file:
        return np.asarray(file["scores"]["score"].array(library="np"))


@pytest.mark.slow
def test_a_folder_and_a_server_give_the_same(
    serving: Server,
    bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, serving.token or "")
    found = []
    for model in (str(bundle.save(tmp_path)), f"{serving.url}/models/ttbar"):
        output = tmp_path / "scores.root"
        assert main(["score", SIGNAL, BACKGROUND, "--model", model, "-o", str(output)]) == 0
        assert capsys.readouterr().out.startswith("Scored(scores.root: 40000 events of 2 files, ")
        found.append(scores(output))
    assert np.abs(found[0] - found[1]).max() <= 1e-6
    expected = tn.score(SIGNAL, bundle, tmp_path / "signal.root", progress=False)
    assert np.abs(found[0][:20_000] - scores(expected.output)).max() <= 1e-6


@pytest.mark.slow
def test_branches_and_further_ones_are_named(bundle: Bundle, tmp_path: Path) -> None:
    folder = str(bundle.save(tmp_path))
    output = str(tmp_path / "a.parquet")
    options = ["--branch", "jetMassSoftDrop=jetMass", "--branch", "jetTau1=jetTau2"]
    assert (
        main(["score", SIGNAL, "--model", folder, "-o", output, *options, "--keep", "nJets"]) == 0
    )
    from pyarrow import parquet

    found = parquet.read_table(output)
    assert found.column_names == ["runNo", "lumi", "evtNo", "nJets", "file", "entry", "score"]
    mapping = {"jetMassSoftDrop": "jetMass", "jetTau1": "jetTau2"}
    same = tn.score(SIGNAL, bundle, tmp_path / "b.root", branches=mapping, progress=False)
    assert np.abs(found["score"].to_numpy() - scores(same.output)).max() <= 1e-6


@pytest.mark.slow
def test_files_that_cannot_be_read_are_told(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(bundle.save(tmp_path))
    broken = Path(shutil.copyfile(SIGNAL, tmp_path / "broken.root"))
    broken.write_bytes(broken.read_bytes()[:1000])
    order = ["score", SIGNAL, str(broken), "--model", folder, "-o", str(tmp_path / "a.root")]
    assert main(order) == 1
    assert f"tfaas-nb: {broken} " in capsys.readouterr().err
    assert not (tmp_path / "a.root").exists()
    assert main([*order, "--skip-unreadable"]) == 3
    told = capsys.readouterr()
    assert "files skipped: 1" in told.out
    assert f"tfaas-nb: skipped {broken}: " in told.err


def test_a_mapping_without_a_branch_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["score", SIGNAL, "--model", "m", "-o", "a.root", "--branch", "jetPt"])
    assert ended.value.code == 2
    assert "--branch jetPt: write VARIABLE=BRANCH" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("token", [[], ["--token", "wrong"]])
def test_a_server_that_wants_a_token_is_given_it_by_the_option(
    serving: Server,
    token: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    order = ["score", SIGNAL, "--model", f"{serving.url}/models/ttbar", *token]
    assert main([*order, "-o", str(tmp_path / "a.root")]) == 1
    error = capsys.readouterr().err
    assert error.endswith(f"give that of {serving.url} with --token ...\n")
    assert "tn." not in error


def test_a_file_that_is_no_model_is_told_as_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty").touch()
    for model, words in {
        SIGNAL: "the file is a ROOT file, no model",
        "table.csv": r"table.csv is no model: it begins with b'a,b\n1,2\n'",
        "empty": "the file is empty",
        "none.tar.gz": "No such file or folder: none.tar.gz; give",
        "localhost:8083/models/m": "(write 'http://localhost:8083/models/m'); give",
        ".": "it has no params.json, and holds none; give",
    }.items():
        assert main(["score", SIGNAL, "--model", model, "-o", str(tmp_path / "a.root")]) == 1
        error = capsys.readouterr().err
        assert words in error
        assert "give a bundle's folder or its .tar.gz" in error
        assert "upload" not in error


@pytest.mark.slow
def test_an_option_of_no_use_is_named_as_the_shell_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--signal", SIGNAL, "--background", BACKGROUND]
    order = ["train", *files, "--name", "m", "--out", str(tmp_path), "--optional", "NOPE"]
    assert main(order) == 1
    told = capsys.readouterr().err
    assert "--optional NOPE is no branch to keep, and no branch or variable that a feature" in told
    assert "keep=" not in told
    with pytest.warns(UserWarning, match="passes the cut"):
        assert main([*order, "--cut", "NOPE > 0"]) == 1
    assert "say --optional" not in capsys.readouterr().err
