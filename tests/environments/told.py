"""Time and memory of the notebooks, for the summary of the test run (`tests/conftest.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.notebook_run import MOST_MEMORY, run


def run_all(
    tell: Callable[[str, str], None],
    where: str,
    folder: Path,
    python: Path,
    env: Mapping[str, str],
) -> None:
    """Run all notebooks of a folder, one after the other, and tell what each took."""
    notebooks = sorted(folder.glob("*.ipynb"))
    assert notebooks
    too_much = []
    for path in notebooks:
        done = run(path, folder, python=python, env=env)
        tell("summary", f"{where}, {path.name}: {done.told()}")
        if done.peak > MOST_MEMORY:
            too_much.append(f"{path.name} takes {done.told()}")
    assert not too_much
