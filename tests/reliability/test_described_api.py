"""A running server against its own description: schemathesis asks what that allows, and what not.

It makes requests out of ``/openapi.json``: sound ones, and ones that break each rule of it.
Nothing may be answered 5xx, nothing sound by another status, content type or form than is
described, nothing unsound as if it were sound, and nothing without the token.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tfaas_nb.bundle import Bundle
from tfaas_nb.serving.server import Server

#: Which events fit depends on the model, which a description of the server cannot tell.
WITHOUT = "positive_data_acceptance"

#: A model that is there, so that more than 404 is seen.
KNOWN = """
[parameters]
"path.name" = "ttbar"
"path.version" = "1"
"path.label" = "production"
"query.model" = "ttbar"
"""
#: Not to lose it.
KEEPING = ("--exclude-method", "DELETE", "--exclude-path-regex", "/unload")


@pytest.fixture
def described(tmp_path: Path, bundle: Bundle) -> Iterator[Server]:
    with Server(tmp_path / "models", port=0, token="secret") as server:
        client = server.client()
        client.upload(bundle)
        client.label("ttbar", "production")
        yield server


def schemathesis(server: Server, folder: Path, config: str, *options: str) -> str:
    """Run schemathesis, which must find nothing wrong, and return its report."""
    (folder / "schemathesis.toml").write_text(config)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"]
    command += ["run", f"{server.url}/openapi.json", "--url", server.url]
    command += ["--header", "Authorization: Bearer secret", "--mode", "all", "--seed", "1"]
    command += ["--generation-deterministic", "--no-color"]
    command += ["--suppress-health-check", "all", "--continue-on-failure"]
    command += ["--exclude-checks", WITHOUT, *options]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.reliability.schemathesis_hooks"}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **hooks, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert "Tested: " in done.stdout
    return done.stdout


def requests_in(report: str) -> int:
    found = re.search(r"([\d,]+) generated", report)
    assert found is not None, report
    return int(found[1].replace(",", ""))


@pytest.mark.slow
def test_a_server_does_as_it_is_described(described: Server, tmp_path: Path) -> None:
    options = (*KEEPING, "--phases", "fuzzing", "-n", "3")
    assert requests_in(schemathesis(described, tmp_path, KNOWN, *options)) > 150


@pytest.mark.endurance
@pytest.mark.parametrize(
    ("config", "options"), [(KNOWN, KEEPING), ("", ())], ids=["a model", "any names"]
)
def test_a_server_does_as_it_is_described_for_long(
    described: Server,
    tmp_path: Path,
    config: str,
    options: tuple[str, ...],
    record_property: Callable[[str, object], None],
) -> None:
    count = requests_in(schemathesis(described, tmp_path, config, *options, "-n", "8"))
    assert count > 1000
    record_property("summary", f"schemathesis: {count} requests as described")
