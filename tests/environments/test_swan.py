"""SWAN's custom environment: the folder of the repository, no extras, its own ipykernel.

JupyterLab runs elsewhere there, and starts kernels of the environment; so does this process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environments.places import declared, environment, run, shell, tool
from tests.environments.told import run_all

#: What SWAN puts into every environment that it makes.
IPYKERNEL = "ipykernel==6.29.5"


@pytest.fixture(scope="module")
def python(place: Path, repository: Path) -> Path:
    python = environment(place / "environment", declared("requires-python"))
    env = shell(place / "home")
    for wanted in (str(repository), IPYKERNEL):
        run(tool("uv"), "pip", "install", "--python", python, wanted, cwd=place, env=env)
    return python


def test_the_packages_agree(python: Path, place: Path) -> None:
    env = shell(place / "home")
    run(tool("uv"), "pip", "check", "--python", python, cwd=place, env=env)
    frozen = run(tool("uv"), "pip", "freeze", "--python", python, cwd=place, env=env)
    assert IPYKERNEL in frozen.split()


def test_all_notebooks_run(
    python: Path, place: Path, repository: Path, record_property: Callable[[str, str], None]
) -> None:
    env = shell(place / "home", python.parent)
    run_all(record_property, "SWAN", repository / "notebooks", python, env)
