"""Single events per second and their latency, against uvicorn answering a constant.

Usage: python -m tests.benchmarks.single_event [--seconds 4] [--rounds 3]

Needs ``wrk``.  Every server runs in a process of its own, as does wrk; rounds are
interleaved and medians quoted, as ratios to the constant server of the same round.  The
model is that of TFaaS's published benchmark: dense layers 42-128-128-128-64-64-1.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

import tfaas_nb as tn
from tfaas_nb import backend
from tfaas_nb.repository import Repository
from tfaas_nb.wire import tfaas

CLIENTS = (1, 100, 200)
FEATURES = tn.TTBAR_ALL_HADRONIC.names


@dataclass(frozen=True)
class Measured:
    """What wrk tells: requests per second, latencies in ms, answers that were no 200."""

    rate: float
    median: float
    p99: float
    failed: int


def benchmark_bundle() -> tn.Bundle:
    """The model of TFaaS's benchmark, with random weights."""
    keras = backend.keras()
    layers = [keras.Input((len(FEATURES),))]
    layers += [keras.layers.Dense(n, "relu") for n in (128, 128, 128, 64, 64)]
    model = keras.Sequential([*layers, keras.layers.Dense(1, "sigmoid")])
    return tn.Bundle.create("mlp", tn.FrozenGraph.freeze(model, FEATURES), ("signal",))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(command: Sequence[str], port: int) -> Iterator[str]:
    """A server in its own process, once it answers; yields its address."""
    running = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                requests.get(f"{url}/health", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield url
    finally:
        running.terminate()
        running.wait(10)


def wrk(url: str, clients: int, seconds: int, body: Path) -> Measured:
    script = body.with_suffix(".lua")
    script.write_text(f'wrk.method="POST"; wrk.body=io.open("{body}", "rb"):read("*a")')
    shown = subprocess.run(
        ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", "--latency", "-s", str(script), url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    def milliseconds(percent: str) -> float:
        found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", shown, re.MULTILINE)
        assert found, shown
        return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]

    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    assert rate, shown
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", shown)
    return Measured(
        float(rate[1]), milliseconds("50"), milliseconds("99"), int(failed[1]) if failed else 0
    )


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, tuple[str, Path]]]:
    """Name → address and body of the servers compared; the first is the yardstick."""
    models = folder / "models"
    Repository(models).store(benchmark_bundle())
    event = np.random.default_rng(1).normal(size=len(FEATURES)).astype(np.float32)
    json_body, proto_body = folder / "event.json", folder / "event.pb"
    json_body.write_bytes(tfaas.encode_json(FEATURES, event))
    proto_body.write_bytes(tfaas.encode_row(FEATURES, event.tolist()))
    constant, ours, uvicorn = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        start = stack.enter_context
        yardstick = start(
            process(
                [
                    *("-m", "uvicorn", "tests.benchmarks.constant:app", "--port", str(constant)),
                    *("--http", "httptools", "--loop", "uvloop", "--log-level", "critical"),
                    "--no-access-log",
                ],
                constant,
            )
        )
        command = ["-m", "tfaas_nb.cli", "serve", "--no-token", "--models", str(models)]
        url = start(process([*command, "--port", str(ours)], ours))
        asgi = start(
            process(["-m", "tests.benchmarks.under_uvicorn", str(models), str(uvicorn)], uvicorn)
        )
        yield {
            "uvicorn, a constant": (yardstick + "/json", json_body),
            "tfaas_nb /json": (url + "/json", json_body),
            "tfaas_nb /proto": (url + "/proto", proto_body),
            "tfaas_nb's application under uvicorn, /json": (asgi + "/json", json_body),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as compared:
        print(f"{os.cpu_count()} cores; medians of {options.rounds} rounds\n")
        print("| server | clients | requests/s ÷ constant | p50 ÷ constant | p99 ÷ constant |")
        print("| --- | --- | --- | --- | --- |")
        for clients in CLIENTS:
            rounds = [
                {
                    name: wrk(url, clients, options.seconds, body)
                    for name, (url, body) in compared.items()
                }
                for _ in range(options.rounds)
            ]
            for name in compared:
                print(row(name, clients, rounds, next(iter(compared))), flush=True)


def row(name: str, clients: int, rounds: list[dict[str, Measured]], yardstick: str) -> str:
    def ratio(attribute: str) -> str:
        ratios = [
            getattr(found[name], attribute) / getattr(found[yardstick], attribute)
            for found in rounds
        ]
        return f"{statistics.median(ratios):.2f}"

    assert not any(found[name].failed for found in rounds), f"{name} failed on requests"
    return f"| {name} | {clients} | {ratio('rate')} | {ratio('median')} | {ratio('p99')} |"


if __name__ == "__main__":
    main()
