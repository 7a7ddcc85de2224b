"""`tfaas-nb demo`, as a user runs it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.command import COMMAND
from tfaas_nb.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    done = subprocess.run(
        [*COMMAND, "demo", "-o", str(folder)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_auc_is_that_of_a_good_classifier(printed: str) -> None:
    found = re.search(r"^AUC (0\.\d+) ± (0\.\d+)$", printed, re.MULTILINE)
    assert found
    assert float(found[1]) >= 0.968
    assert 0.0005 < float(found[2]) < 0.003


@pytest.mark.slow
def test_the_poster_event_has_one_score(printed: str) -> None:
    line = next(line for line in printed.splitlines() if line.startswith("poster event:"))
    scores = dict(re.findall(r"(\S+) (0\.\d{7})", line))
    assert set(scores) == {"keras", "graph", "/json", "/proto"}
    values = [float(score) for score in scores.values()]
    assert max(values) - min(values) <= 1e-6
    assert "equal to 1e-6" in line


@pytest.mark.slow
def test_the_files_are_where_it_says(printed: str, folder: Path) -> None:
    for made in ("ttbar.tar.gz", "ttbar", "roc.png", "models"):
        assert str((folder / made).resolve()) in printed
        assert (folder / made).exists()
    assert (folder / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_a_seed_and_a_folder_that_cannot_be_end_it_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--seed", "-1", "-o", str(tmp_path / "new")]) == 1
    assert "tfaas-nb: --seed must be a whole number from 0" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("of somebody")
    assert main(["demo", "-o", str(tmp_path / "file")]) == 1
    captured = capsys.readouterr()
    assert captured.err.endswith("file cannot be written: it is no folder; name another one\n")
    assert not captured.out
