"""Environments as people get them: made anew from a clean copy of the project, by its own files.

`make environments` runs these tests; they install TensorFlow several times over, which takes
minutes, so `make test` leaves them out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

#: Settings of this machine that another one would not have, or that would hide what is missing.
_OURS = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONUSERBASE", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")


def environment(**changed: str) -> dict[str, str]:
    """Variables for a command, without those of this process's own environment."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return kept | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"} | changed


def command(words: Sequence[str | Path], folder: Path, **changed: str) -> str:
    """What a command prints; if it fails, its last words are the test's."""
    done = subprocess.run(
        list(map(str, words)),
        cwd=folder,
        env=environment(**changed),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    told = "\n".join(done.stdout.splitlines()[-60:])
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{told}"
    return done.stdout


def uv(*words: str | Path, folder: Path) -> str:
    """The same of uv, which is among what tests need."""
    return command([sys.executable, "-m", "uv", *words], folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what belongs to the project, as a clone has it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = tmp_path / "project" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return tmp_path / "project"
