"""`tfaas-nb` itself: help, mistakes, and simulating from the command line."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tfaas_nb as tn
from tests.command import COMMAND
from tfaas_nb.cli import main


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def fastest(command: list[str]) -> float:
    """Seconds of the fastest of five runs: what the command needs when nothing disturbs it."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.slow
def test_help_names_the_commands_at_once() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("demo", "train", "serve", "score", "simulate"))
    assert fastest([*COMMAND, "--help"]) < 0.5


@pytest.mark.slow
def test_the_import_is_quick() -> None:
    bare = fastest([sys.executable, "-c", "pass"])
    assert fastest([sys.executable, "-c", "import tfaas_nb"]) - bare < 0.3


@pytest.mark.parametrize("arguments", [(), ("fly",), ("simulate", "higgs", "-o", "a.root")])
def test_a_mistake_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: tfaas-nb" in done.stderr


def test_an_error_is_one_line() -> None:
    done = run("simulate", "qcd", "--events", "0", "-o", "a.root")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("tfaas-nb: cannot simulate 0 events")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: command"),
        (["serv"], "invalid choice: 'serv'"),
        (["serve", "--token", "a", "--no-token"], "not allowed with argument"),
        (["serve", "--port", "http"], "invalid int value: 'http'"),
        (["serve", "--workers", "many"], "'many' is neither a number nor auto"),
        (["serve", "--workers", "-1"], "'-1' is neither a number nor auto"),
        (["simulate", "ttbar"], "the following arguments are required: -o/--output"),
        (["simulate", "higgs", "-o", "x"], "invalid choice: 'higgs'"),
    ],
)
def test_a_wrong_command_is_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["serve"], ["demo"], ["train"], ["score"], ["simulate"]])
def test_every_command_explains_itself(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: tfaas-nb", *command]))


@pytest.mark.endurance
def test_simulating_twice_gives_the_same_file_that_load_reads(tmp_path: Path) -> None:
    import uproot

    paths = [tmp_path / "a.root", tmp_path / "b.root"]
    for path in paths:
        done = run("simulate", "ttbar", "--events", "200", "--seed", "1", "-o", str(path))
        assert done.returncode == 0, done.stderr
        assert "200/200" in done.stderr
    first, second = (uproot.open(path)["events"].arrays(library="np") for path in paths)
    assert set(first) == set(second)
    for name in first:
        same = [np.array_equal(a, b) for a, b in zip(first[name], second[name], strict=True)]
        assert all(same), name
    data = tn.load(signal=paths[0], background=paths[1])
    assert len(data) == 400
    assert np.array_equal(data.signal.X, data.background.X)
    assert np.isfinite(data.X).all()
