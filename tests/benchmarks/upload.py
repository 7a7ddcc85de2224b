"""From sending a bundle to having its first score."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import requests

from tests.benchmarks import model, servers
from tests.benchmarks.bulk import seconds
from tests.benchmarks.options import Options
from tests.benchmarks.peers.running import SERVERS
from tests.benchmarks.report import Section, shown
from tests.benchmarks.single import json_ask
from tests.benchmarks.workplace import files
from tfaas_nb.engines.frozen import FrozenEngine

_TITLE = "From upload to first score"
_METHOD = """From sending a bundle's `.tar.gz` to having the score of one event, against the same
without a server: in a process that has TensorFlow loaded, building the engine from the graph and
calling it once; where TensorFlow must be loaded first, a Python process that does only that and
calls the graph once (medians of rounds)."""
_HEADER = ("upload to", "time ÷", "ratio")


def measure(options: Options) -> Section:
    options.tell("upload")
    archive = model.bundle().archive()
    cold, warm = [], []
    with files() as folder:
        for _ in range(options.rounds):
            new_process = seconds(lambda: _new_process(folder))
            with (
                tempfile.TemporaryDirectory() as empty,
                servers.tfaas_nb(Path(empty)) as (_, url),
            ):
                send = _upload(url, archive)
                cold.append(seconds(send) / new_process)
                warm += [seconds(send) / seconds(_in_process) for _ in range(5)]
    ratios = shown(statistics.median(cold)), shown(statistics.median(warm))
    rows = [
        ("a server just started", "a new process that loads TensorFlow and the graph", ratios[0]),
        ("a server that has answered before", "building the engine in process", ratios[1]),
    ]
    main = {f"upload to first score, {where}, ÷ {than}": ratio for where, than, ratio in rows}
    return Section(_TITLE, _METHOD, _HEADER, rows, main)


def _upload(url: str, archive: bytes) -> Callable[[], None]:
    session = requests.Session()
    ask = json_ask(url)

    def send() -> None:
        headers = {"Content-Type": "application/octet-stream"}
        session.post(f"{url}/upload", archive, headers=headers, timeout=60).raise_for_status()
        session.post(ask.url, ask.body, timeout=60).raise_for_status()

    return send


def _in_process() -> None:
    engine = FrozenEngine(model.bundle().graph)
    engine(model.event()[np.newaxis])
    engine.close()


def _new_process(folder: Path) -> None:
    subprocess.run(
        [sys.executable, str(SERVERS / "given.py")],
        env={"BENCH_MODEL": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
