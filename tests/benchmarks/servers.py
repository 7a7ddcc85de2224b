"""Our own servers in processes: ours, its application under uvicorn, and the yardstick."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.benchmarks.processes import Running, free_port, server

_ROOT = Path(__file__).parents[2]


@contextmanager
def constant() -> Iterator[str]:
    """Address of uvicorn answering a constant."""
    port = str(free_port())
    options = ("--port", port, "--http", "httptools", "--loop", "uvloop", "--no-access-log")
    with _ours(port, "uvicorn", "tests.benchmarks.constant:app", *options) as (_, url):
        yield url


@contextmanager
def tfaas_nb(models: Path) -> Iterator[tuple[Running, str]]:
    """Our server of a directory, and its address."""
    port = str(free_port())
    options = ("--no-token", "--port", port, "--models", str(models))
    with _ours(port, "tfaas_nb.cli", "serve", *options) as found:
        yield found


@contextmanager
def under_uvicorn(models: Path) -> Iterator[str]:
    """Address of our application under uvicorn."""
    port = str(free_port())
    with _ours(port, "tests.benchmarks.under_uvicorn", str(models), port) as (_, url):
        yield url


@contextmanager
def _ours(port: str, module: str, *arguments: str) -> Iterator[tuple[Running, str]]:
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", module, *arguments)
    with server(command, lambda: _answers(url), {"PYTHONPATH": str(_ROOT)}) as running:
        yield running, url


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=1).ok
    except requests.RequestException:
        return False
