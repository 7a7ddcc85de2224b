"""Binder: repo2docker accepts the repository, and the steps it would run make what it needs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environments.places import ROOT, environment, run, shell, tool
from tests.environments.told import run_all

RUNTIME = (ROOT / "binder" / "runtime.txt").read_text().strip()
#: The packages that repo2docker's image has from conda before it looks at the repository.
_BASE = {
    "ipykernel": "ipykernel",
    "ipywidgets": "ipywidgets",
    "jupyter-resource-usage": "jupyter-resource-usage",
    "jupyter_server": "jupyter-server",
    "jupyterhub-base": "jupyterhub",
    "jupyterlab": "jupyterlab",
    "notebook": "notebook",
    "pip": "pip",
}


@pytest.fixture(scope="module")
def dockerfile(place: Path, repository: Path) -> str:
    """Dockerfile that repo2docker would build."""
    home = shell(place / "home")
    return run(tool("jupyter-repo2docker"), "--no-build", "--debug", ".", cwd=repository, env=home)


@pytest.fixture(scope="module")
def prefix(dockerfile: str, place: Path, repository: Path) -> Path:
    """The environment after the steps of the Dockerfile, in a virtual one instead of conda's."""
    version = RUNTIME.removeprefix("python-")
    python = environment(place / "environment", version, "--seed")
    env = shell(place / "home", python.parent)
    base = [f"{name}=={found}" for name, found in base_packages(version).items()]
    run(tool("uv"), "pip", "install", "--python", python, *base, cwd=place, env=env)
    for step in steps(dockerfile):
        # As in the image, and with packages that were downloaded before.
        again = step.replace("--no-cache-dir", "")
        variables = {
            "KERNEL_PYTHON_PREFIX": str(python.parent.parent),
            "REPO_DIR": str(repository),
        }
        run("bash", "-c", again, cwd=repository, env={**env, **variables})
    return python.parent


def steps(dockerfile: str) -> list[str]:
    """The commands that run once the repository is in the image."""
    _, _, after = dockerfile.partition("COPY --chown=0:0 src/ ${REPO_DIR}/\n")
    return re.findall(r"^RUN (.*)$", after, re.MULTILINE)


def base_packages(version: str) -> dict[str, str]:
    """Names on PyPI and versions of the base packages that this repo2docker has for a Python."""
    package = importlib.util.find_spec("repo2docker")
    assert package
    assert package.origin
    folder = Path(package.origin).parent / "buildpacks" / "conda"
    lock = (folder / f"environment.py-{version}-linux-64.lock").read_text()
    found = dict(re.findall(r"/([\w.-]+)-([\w.]+)-[^-/]+\.(?:conda|tar\.bz2)", lock))
    return {ours: found[theirs] for theirs, ours in _BASE.items()}


def test_repo2docker_reads_the_folder(dockerfile: str) -> None:
    version = RUNTIME.removeprefix("python-")
    lock = f"environment.py-{version}-linux-64.lock"
    assert lock.replace("-", "-2d").replace(".", "-2e") in dockerfile
    assert [step.replace('"', "") for step in steps(dockerfile)] == [
        "${KERNEL_PYTHON_PREFIX}/bin/pip install --no-cache-dir -r binder/requirements.txt",
        "chmod +x binder/postBuild",
        "./binder/postBuild",
        "chmod +x ${REPO_DIR}/binder/start",
    ]
    assert "libcurl4-openssl-dev" in dockerfile
    assert re.search(
        r'^ENV R2D_ENTRYPOINT="\$\{REPO_DIR\}/binder/start"$', dockerfile, re.MULTILINE
    )


def test_the_packages_are_those_that_ci_tests_with(prefix: Path, place: Path) -> None:
    env = shell(place / "home", prefix)
    frozen = run(tool("uv"), "pip", "freeze", "--python", prefix / "python", cwd=place, env=env)
    constrained = (ROOT / "constraints.txt").read_text()
    for name in ("tensorflow", "uproot", "ipywidgets", "jupyter-server-proxy", "voila"):
        line = next(line for line in frozen.splitlines() if line.startswith(f"{name}=="))
        assert line in constrained, line
    run(tool("uv"), "pip", "check", "--python", prefix / "python", cwd=place, env=env)
    extensions = run(*("bash", "-c", "jupyter server extension list 2>&1"), cwd=place, env=env)
    for name in ("jupyter_server_proxy", "voila", "jupyterlab"):
        assert re.search(rf"{name}.*enabled|{name}.*OK", extensions), extensions


def test_all_notebooks_run(
    prefix: Path, place: Path, repository: Path, record_property: Callable[[str, str], None]
) -> None:
    env = shell(place / "home", prefix)
    # What binder/start sets holds for Jupyter, and so for its kernels.
    printed = run(repository / "binder" / "start", "env", "-0", cwd=repository, env=env)
    inside = dict(line.split("=", 1) for line in printed.split("\0") if line)
    assert inside["HOME"] == env["HOME"]
    assert inside.keys() - env.keys() >= {"OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"}
    run_all(record_property, "Binder", repository / "notebooks", prefix / "python", inside)
