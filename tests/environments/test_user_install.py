"""`pip install --user`, as on SWAN without a custom environment: packages below a home folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environments.places import python, run, shell

#: Pythons that may hold packages of their own beside those of the person, as SWAN's stacks do.
VERSIONS = ("3.13", "3.12", "3.11", "3.10")
_COUNT = "import importlib.metadata as m; print(len(list(m.distributions())))"
_MANAGED = (
    "import pathlib, sysconfig; "
    "print((pathlib.Path(sysconfig.get_path('stdlib')) / 'EXTERNALLY-MANAGED').exists())"
)
_WHERE = "import tfaas_nb, tensorflow; print(tfaas_nb.__file__); print(tensorflow.__file__)"


@pytest.fixture(scope="module")
def interpreter(place: Path) -> Path:
    """The barest interpreter of this machine that lets a person install packages."""
    bare: dict[Path, int] = {}
    for version in VERSIONS:
        try:
            found = python(version, place)
        except (pytest.skip.Exception, pytest.fail.Exception):
            continue
        env = shell(place / "nobody")
        if run(found, "-c", _MANAGED, cwd=place, env=env).strip() == "False":
            bare[found] = int(run(found, "-c", _COUNT, cwd=place, env=env))
    if not bare:
        pytest.skip("no Python here into which a person may install")
    return min(bare, key=bare.__getitem__)


def test_package_and_command_work(
    interpreter: Path, place: Path, repository: Path, record_property: Callable[[str, str], None]
) -> None:
    home = place / "home"
    local = home / ".local"
    env = shell(home, local / "bin")
    run(interpreter, "-m", "pip", "install", "--quiet", "--user", repository, cwd=place, env=env)
    packages = run(interpreter, "-c", _WHERE, cwd=place, env=env).split()
    assert packages
    assert all(Path(path).is_relative_to(local) for path in packages)
    told = run(local / "bin" / "tfaas-nb", "demo", "-o", "demo", cwd=place, env=env)
    (compared,) = (line for line in told.splitlines() if line.startswith("poster event:"))
    assert "equal to 1e-6" in compared
    version = run(interpreter, "--version", cwd=place, env=env).strip()
    record_property("summary", f"pip install --user, {version}: {compared.strip()}")
