"""One request, asked again and again by `wrk`."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.unavailable import Unavailable


@dataclass(frozen=True)
class Ask:
    """A POST request."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Result of wrk: requests per second, and latencies in ms."""

    rate: float
    p50: float
    p99: float


def needs_wrk() -> None:
    """Say so when it is missing.

    Raises
    ------
    Unavailable
        If there is no wrk.
    """
    if shutil.which("wrk") is None:
        raise Unavailable("the benchmarks need wrk: install the package wrk, then run them again")


def wrk(ask: Ask, clients: int, seconds: int) -> Measured:
    """Ask from keep-alive clients in one thread; every answer must be a 200."""
    with tempfile.TemporaryDirectory() as folder:
        script = _script(ask, Path(folder))
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s"]
        shown = subprocess.run(
            [*command, "--latency", "-s", str(script), ask.url],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    return _read(shown)


def _script(ask: Ask, folder: Path) -> Path:
    body = folder / "body"
    body.write_bytes(ask.body)
    lines = [f'wrk.method="POST"; wrk.body=io.open("{body}", "rb"):read("*a")']
    lines += [f"wrk.headers[{json.dumps(k)}]={json.dumps(v)}" for k, v in ask.headers.items()]
    script = folder / "ask.lua"
    script.write_text("\n".join(lines))
    return script


def _read(shown: str) -> Measured:
    if "Non-2xx" in shown:
        raise Unavailable("answered requests under load with errors")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    if not rate or float(rate[1]) == 0:
        raise Unavailable("answered nobody in time")
    return Measured(float(rate[1]), _milliseconds(shown, 50), _milliseconds(shown, 99))


def _milliseconds(shown: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", shown, re.MULTILINE)
    assert found, shown
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[found[2]]


Round = Mapping[str, Measured]


def ratio(rounds: Sequence[Round], name: str, yardstick: str, quantity: str) -> float:
    """Median over rounds of one server's quantity against another's in the same round."""
    return statistics.median(
        getattr(found[name], quantity) / getattr(found[yardstick], quantity) for found in rounds
    )
