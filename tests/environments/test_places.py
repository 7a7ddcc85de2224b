from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from tests import notebook_run
from tests.environments.conftest import NOTEBOOKS, command, environment, uv

Summary = Callable[[str, str], None]


def ran(project: Path, python: Path, told: Summary, where: str, **changed: str) -> None:
    """Run all notebooks in kernels of an interpreter; each must leave memory to others."""
    for name in NOTEBOOKS:
        path = project / "notebooks" / name
        run = notebook_run.run(path, path.parent, python=python, env=environment(**changed))
        told("summary", f"{where}: {name}: {run.told()}")
        assert run.peak < notebook_run.MOST_MEMORY, name


def test_swan(project: Path, record_property: Summary) -> None:
    """SWAN's custom environments: uv, the project without extras, its own ipykernel."""
    wanted = re.search(r'^requires-python = "(.*)"', (project / "pyproject.toml").read_text(), re.M)
    assert wanted
    uv("venv", "--python", wanted[1], "env", folder=project)
    python = project / "env" / "bin" / "python"
    uv("pip", "install", "--python", python, project, folder=project)
    uv("pip", "install", "--python", python, "ipykernel==6.29.5", folder=project)
    uv("pip", "check", "--python", python, folder=project)
    ran(project, python, record_property, "SWAN")


def test_pip_install_user(project: Path, record_property: Summary, tmp_path: Path) -> None:
    """`pip install --user` into an empty home, with the interpreter that everybody shares."""
    python, home = Path(sys.base_prefix) / "bin" / "python3", tmp_path / "home"
    home.mkdir()
    places = {"HOME": str(home), "PYTHONUSERBASE": str(home / ".local")}
    command(
        [python, "-m", "pip", "install", "--user", "--quiet", project, "ipykernel"],
        tmp_path, PIP_BREAK_SYSTEM_PACKAGES="1", **places,
    )  # fmt: skip
    told = command([home / ".local" / "bin" / "tfaas-nb", "--help"], tmp_path, **places)
    assert "serve" in told
    where = command([python, "-c", "import tfaas_nb; print(tfaas_nb.__file__)"], tmp_path, **places)
    assert Path(where.strip()).is_relative_to(home)
    ran(project, python, record_property, "pip install --user", **places)


def test_binder(project: Path, record_property: Summary, tmp_path: Path) -> None:
    """repo2docker's own rules for `binder/`, and the steps that it would do in the image."""
    uv("venv", "--python", sys.executable, "builder", folder=tmp_path)
    builder = tmp_path / "builder" / "bin"
    uv("pip", "install", "--python", builder / "python", "jupyter-repo2docker", folder=tmp_path)
    dockerfile = command(
        [builder / "jupyter-repo2docker", "--no-build", "--debug", project], tmp_path
    )
    steps = re.findall(r"^RUN \$\{KERNEL_PYTHON_PREFIX\}/bin/(pip install .*)$", dockerfile, re.M)
    assert steps == ['pip install --no-cache-dir -r "binder/requirements.txt"']
    version = (project / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert re.search(rf"python={version}|python-{version}|environment.py-{version}", dockerfile)
    uv("venv", "--seed", "--python", version, "env", folder=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    for step in steps:
        words = [word for word in shlex.split(step)[1:] if word != "--no-cache-dir"]
        command([python, "-m", "pip", *words], project)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    command([project / "binder" / "postBuild"], project, PATH=path)
    for package in _apt(project):
        assert f"{package} " in dockerfile.replace("\\", " ").replace("\n", " "), package
    command([python, "-c", "import jupyterlab, jupyter_server_proxy, voila"], tmp_path)
    started = command([project / "binder" / "start", "echo", "started with", "two words"], project)
    assert started.splitlines()[-1] == "started with two words"
    ran(project, python, record_property, "Binder")


def _apt(project: Path) -> list[str]:
    return (project / "binder" / "apt.txt").read_text().split()


def test_lower_bounds(project: Path, record_property: Summary) -> None:
    """The fast tests with the oldest versions that pyproject.toml says will do."""
    uv("venv", "--python", "3.10", "env", folder=project)
    python = project / "env" / "bin" / "python"
    uv(
        "pip", "install", "--python", python, "--resolution", "lowest-direct",
        f"{project}[simulation,test]", folder=project,
    )  # fmt: skip
    told = command(
        [python, "-m", "pytest", "-n", "2", "-q", "-m", "not slow", "tests",
         "--ignore", "tests/environments", "-p", "no:cacheprovider"],
        project,
    )  # fmt: skip
    record_property("summary", f"lower bounds: {told.splitlines()[-1]}")
