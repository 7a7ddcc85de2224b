"""Many events in one request, against calling the same graph in process.

Usage: python -m tests.benchmarks.bulk [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import requests

from tests.benchmarks.single_event import FEATURES, benchmark_bundle, free_port, process
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.repository import Repository
from tfaas_nb.wire import arrow, oip, tfaas

EVENTS = 65_536


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def requests_to(url: str, X: tfaas.Floats) -> dict[str, Callable[[], object]]:
    """Name of a dialect → a call that sends all events and reads all scores."""
    session = requests.Session()
    binary, length = oip.encode_infer(X, binary=True)
    header = {oip.JSON_LENGTH: str(length)}
    bodies: dict[str, tuple[str, bytes, dict[str, str]]] = {
        ".npy": ("/npy?model=mlp", tfaas.encode_npy(FEATURES, X), {}),
        "Arrow": ("/arrow?model=mlp", arrow.encode(FEATURES, X), {}),
        "Open Inference Protocol, binary": ("/v2/models/mlp/infer", binary, header),
    }

    def ask(path: str, body: bytes, headers: dict[str, str]) -> bytes:
        answer = session.post(url + path, data=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.content

    return {name: (lambda parts=parts: ask(*parts)) for name, parts in bodies.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    bundle = benchmark_bundle()
    X = np.random.default_rng(1).normal(size=(EVENTS, len(FEATURES))).astype(np.float32)
    engine = FrozenEngine(bundle.graph)
    with tempfile.TemporaryDirectory() as folder:
        Repository(folder).store(bundle)
        port = free_port()
        command = ["-m", "tfaas_nb.cli", "serve", "--no-token", "--port", str(port)]
        with process([*command, "--models", str(Path(folder))], port) as url:
            calls = {"in process": lambda: engine(X)} | requests_to(url, X)
            taken = [{name: seconds(call) for name, call in calls.items()} for _ in range(rounds)]
    print("| way | rows/s ÷ in process |")
    print("| --- | --- |")
    for name in calls:
        ratio = statistics.median(found["in process"] / found[name] for found in taken)
        print(f"| {name} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
