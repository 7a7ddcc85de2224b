"""``tfaas-nb promote`` between servers that are processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_serve import Serving
from tests.command import COMMAND
from tfaas_nb.bundle import Bundle
from tfaas_nb.cli.promote import TARGET_TOKEN_VARIABLE
from tfaas_nb.client import Client
from tfaas_nb.repository import Repository
from tfaas_nb.serving.security import TOKEN_VARIABLE

OFF = [sys.executable, "-m", "tests.off_by_a_little"]


def ended(serving: Serving) -> None:
    serving.process.terminate()
    serving.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Serving]:
    """A server that has the model ttbar."""
    running = Serving("--models", str(tmp_path_factory.mktemp("source")))
    Client(running.url, running.token).upload(bundle)
    yield running
    ended(running)


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "promote", *options],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {TOKEN_VARIABLE: "", TARGET_TOKEN_VARIABLE: ""} | environment,
    )


@pytest.mark.endurance
def test_a_model_is_promoted_between_processes(source: Serving, tmp_path: Path) -> None:
    target = Serving("--models", str(tmp_path))
    try:
        where = ["ttbar", "--from", source.url, "--to", target.url, "--as", "best"]
        refused = run(*where, "--token", source.token)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("tfaas-nb: "), "it needs the other server's token, too"
        assert refused.stderr.endswith(f"give that of {target.url} with --to-token ...\n")
        done = run(*where, "--token", source.token, "--to-token", target.token)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"'best' is on {target.url} as version 1: it gives the 8 ref")
        models = Client(target.url, target.token).describe_models()
        assert [(m["name"], m["version"]) for m in models] == [("best", 1)]
        printed = [f"{s.url}/?token={s.token}" for s in (source, target)]
        again = run("ttbar", "--from", printed[0], "--to", printed[1], "--as", "best")
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout.startswith(f"'best' is on {target.url} as version 2: ")
    finally:
        ended(target)


@pytest.mark.slow
def test_a_model_whose_scores_differ_is_refused(
    source: Serving, other_bundle: Bundle, tmp_path: Path
) -> None:
    Repository(tmp_path).store(other_bundle)
    target = Serving("--models", str(tmp_path), command=OFF)
    try:
        tokens = {TOKEN_VARIABLE: source.token, TARGET_TOKEN_VARIABLE: target.token}
        done = run("ttbar", "--from", source.url, "--to", target.url, **tokens)
        assert (done.returncode, done.stdout) == (1, "")
        print(done.stderr)
        reason = "tfaas-nb: the scores differ from those of the reference events: event 0 has 0."
        assert done.stderr.startswith(reason)
        ending = f"'ttbar/versions/2' was deleted from {target.url} again"
        assert done.stderr.strip().endswith(ending)
        client = Client(target.url, target.token)
        assert [row[0] for row in client.versions("ttbar").rows] == [1]
        assert client.params("ttbar")["sha256"] == other_bundle.graph.sha256
    finally:
        ended(target)
