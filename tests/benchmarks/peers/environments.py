"""A virtual environment for each peer below ``.bench/``, made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.unavailable import Unavailable

_ROOT = Path(__file__).parents[3] / ".bench"
_REQUIREMENTS = Path(__file__).parent / "requirements"


def programs(name: str) -> Path:
    """Folder of an environment's programs; installs it unless that was done already.

    Raises
    ------
    Unavailable
        If it cannot be installed, with pip's reason.
    """
    requirements = _REQUIREMENTS / f"{name}.txt"
    home = _ROOT / name
    installed = home / "requirements.txt"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        _run(sys.executable, "-m", "venv", str(home))
        pip = (str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
        _run(*pip, "install", "--quiet", "--requirement", str(requirements))
        installed.write_text(requirements.read_text())
    return home / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(f"cannot be installed: {(errors or ['pip failed'])[0]}")
