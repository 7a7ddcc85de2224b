"""Latency of single events while the kernel that serves them is idle, trains, or is busy."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.benchmarks.clients import latencies
from tests.benchmarks.kernel import Kernel
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section, shown
from tests.benchmarks.single import json_ask
from tests.benchmarks.unavailable import Unavailable
from tests.benchmarks.workplace import models

_TITLE = "Latency beside a cell"
_METHOD = """Ten keep-alive clients of a process of their own ask `/json` for single events while
the kernel that serves runs a cell; in units of `sys.getswitchinterval()`, and against the same
server beside an idle kernel. *Thread* is `tn.Server()`, *isolated* `tn.Server(isolated=True)`."""
_HEADER = (
    "server",
    "kernel",
    "p50, switch intervals",
    "p99, switch intervals",
    "p50 ÷ idle",
    "p99 ÷ idle",
)
_MODES = {"thread": "in a thread", "isolated": "isolated"}
_CELLS = {"idle": "idle", "train": "training", "spin": "in a pure-Python loop"}
_CONNECTIONS = 10

Percentiles = tuple[float, float]


def measure(options: Options) -> Section:
    rows: list[tuple[str, ...]] = []
    main: dict[str, str] = {}
    with models() as folder:
        for mode, server in _MODES.items():
            try:
                found = percentiles(folder, mode, options)
            except Unavailable as error:
                options.tell(str(error))
                rows.append((server, str(error), *[""] * 4))
                continue
            rows += [_row(server, cell, found) for cell in _CELLS]
            main |= _main(server, found)
    return Section(_TITLE, _METHOD, _HEADER, rows, main)


def percentiles(folder: Path, mode: str, options: Options) -> dict[str, Percentiles]:
    """Cell → p50 and p99 of single events beside it, in switch intervals."""
    with Kernel(folder, mode) as kernel:
        ask = json_ask(kernel.url)
        latencies(ask, _CONNECTIONS, 500)
        found = {}
        for cell in _CELLS:
            options.tell(f"latency, {mode}, {cell}")
            with kernel.running(cell):
                seconds = latencies(ask, _CONNECTIONS, options.requests, options.seconds)
            p50, p99 = np.percentile(seconds / sys.getswitchinterval(), (50, 99))
            found[cell] = (float(p50), float(p99))
        return found


def _row(server: str, cell: str, found: Mapping[str, Percentiles]) -> tuple[str, ...]:
    (p50, p99), (idle50, idle99) = found[cell], found["idle"]
    return (server, _CELLS[cell], *map(shown, (p50, p99, p50 / idle50, p99 / idle99)))


def _main(server: str, found: Mapping[str, Percentiles]) -> dict[str, str]:
    what = f"p99 at 10 clients beside a pure-Python loop, server {server}"
    return {
        f"{what}, in switch intervals": shown(found["spin"][1]),
        f"{what}, ÷ beside an idle kernel": shown(found["spin"][1] / found["idle"][1]),
    }
