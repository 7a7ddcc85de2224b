"""The lowest versions that pyproject.toml declares, on the lowest Python: the fast tests pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.environments.places import environment, run, shell, tool

LOWEST = "3.10"


def test_the_fast_tests_pass_on_the_lowest_versions(
    place: Path, repository: Path, record_property: Callable[[str, str], None]
) -> None:
    python = environment(place / "environment", LOWEST)
    env = shell(place / "home", python.parent)
    run(
        *(tool("uv"), "pip", "install", "--python", python, "--resolution", "lowest-direct"),
        f"{repository}[simulation,test]",
        cwd=place,
        env=env,
    )
    # Old packages warn of new ones that they depend on; those warnings are not ours.
    tests = ("-m", "pytest", "-q", "-n2", "-m", "not slow", "-o", "filterwarnings=default")
    command = (python, *tests, "--tb=short", "-rf", "tests")
    try:
        told = run(*command, cwd=repository, env=env)
    except AssertionError as error:
        # Two runs share the machine here, and a few tests wait for seconds only.  What a version
        # lacks, it lacks twice.
        failed = [line for line in str(error).splitlines() if line.startswith(("FAILED", "ERROR"))]
        record_property("summary", f"lowest versions, again: {'; '.join(failed)}")
        told = run(*command, "--last-failed", cwd=repository, env=env)
    record_property("summary", f"lowest versions, Python {LOWEST}: {told.splitlines()[-1]}")
