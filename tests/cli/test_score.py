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
