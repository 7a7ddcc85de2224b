"""What the notebooks took, told in the summary of the test run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.notebook_run import MOST_MEMORY, run


def run_all(
    capsys: pytest.CaptureFixture[str],
    where: str,
    folder: Path,
    python: Path,
    env: Mapping[str, str],
) -> None:
    """Run all notebooks of a folder, one after the other, and print what each took."""
    notebooks = sorted(folder.glob("*.ipynb"))
    assert notebooks
    too_much = []
    for path in notebooks:
        done = run(path, folder, python=python, env=env)
        with capsys.disabled():
            print(f"\n{where}, {path.name}: {done.told()}", flush=True)
        if done.peak > MOST_MEMORY:
            too_much.append(f"{path.name} takes {done.told()}")
    assert not too_much
