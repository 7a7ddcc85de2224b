"""Places to install the project in: a clean copy, a clean shell, a Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What a person's shell or this test run may have set, and a new place has not.
_OWN = (
    *("PYTHON", "VIRTUAL_ENV", "CONDA", "JUPYTER", "JPY", "IPYTHON", "MPL", "TF_", "KERAS"),
    *("PYTEST", "OMP_", "MALLOC_", "XDG_", "PYENV_VERSION", "COLUMNS", "LINES"),
)


def copy_of_repository(folder: Path) -> Path:
    """Copy the files that git knows or would add, committed or not, and no stray file."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
    )
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def shell(home: Path, *first: Path, **more: str) -> dict[str, str]:
    """An environment with a home of its own; what is `first` leads the search for programs.

    Packages that were downloaded for the person are found again, and nothing else of theirs is.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_OWN)}
    known = Path.home() / ".cache"
    home.mkdir(parents=True, exist_ok=True)
    paths = [*map(str, first), *_pythons(), "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        "UV_CACHE_DIR": str(known / "uv"),
        "PIP_CACHE_DIR": str(known / "pip"),
        **kept,
        "UV_PYTHON_DOWNLOADS": "never",
        # Certificates as pip has them, of this machine; the second name is that of uv before 0.11.
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "HOME": str(home),
        "PATH": os.pathsep.join(paths),
        **more,
    }


def run(*command: str | Path, cwd: Path, env: Mapping[str, str]) -> str:
    """Run a command and return its output; if it fails, fail with the end of that."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    said = f"{done.stdout}\n{done.stderr}"[-4000:]
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{said}"
    return done.stdout


def tool(name: str) -> Path:
    """A program that ``make environments`` installs beside this Python."""
    path = Path(sys.executable).parent / name
    return path if path.exists() else Path(_or_skip(shutil.which(name), f"{name} is missing"))


def python(wanted: str, cwd: Path) -> Path:
    """An interpreter of this machine, such as ``3.10`` or ``>=3.10,<3.14``; none is downloaded."""
    found = subprocess.run(
        [tool("uv"), "python", "find", "--system", wanted],
        cwd=cwd,
        env=shell(cwd),
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(_or_skip(found.stdout.strip(), f"no Python {wanted} on this machine"))


def environment(folder: Path, wanted: str, *options: str) -> Path:
    """Make a virtual environment with an interpreter of this machine; the path of its Python."""
    interpreter = python(wanted, folder.parent)
    command = [tool("uv"), "venv", "--python", interpreter, *options, folder]
    run(*command, cwd=folder.parent, env=shell(folder.parent))
    return folder / "bin" / "python"


def declared(key: str) -> str:
    """A text of pyproject.toml."""
    found = re.search(rf'^{key} = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found, key
    return found[1]


@cache
def _pythons() -> tuple[str, ...]:
    """Folders of interpreters: this machine's, and those of pyenv that are not on the path."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    ours = Path(sys.base_prefix) / "bin"
    return (str(ours), *sorted(str(path) for path in versions.glob("3.*/bin") if path != ours))


def _or_skip(found: str | None, why: str) -> str:
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}, and CI may not do without")
        pytest.skip(why)
    return found
