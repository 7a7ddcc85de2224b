"""Many events in one request, against calling the same graph in process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import requests

from tests.benchmarks import servers
from tests.benchmarks.model import FEATURES, bundle
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section, shown
from tests.benchmarks.workplace import models
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.wire import arrow, oip, tfaas

_EVENTS = 65_536
_TITLE = "Bulk"
_METHOD = """65 536 events of 42 float32 in one request, rows per second against calling the same
graph in process (medians of rounds, the client on the same cores)."""
_IN_PROCESS = "in process"


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(options: Options) -> Section:
    options.tell("bulk")
    X = np.random.default_rng(1).normal(size=(_EVENTS, len(FEATURES))).astype(np.float32)
    engine = FrozenEngine(bundle().graph)
    with models() as folder, servers.tfaas_nb(folder) as (_, url):
        calls = {_IN_PROCESS: lambda: engine(X)} | _requests(url, X)
        for call in calls.values():
            call()
        taken = [
            {name: seconds(call) for name, call in calls.items()}
            for _ in range(2 * options.rounds + 1)
        ]
    ratios = {
        name: shown(statistics.median(found[_IN_PROCESS] / found[name] for found in taken))
        for name in calls
    }
    main = {f"bulk, {n}, rows/s ÷ in process": r for n, r in ratios.items() if n != _IN_PROCESS}
    return Section(_TITLE, _METHOD, ("way", "rows/s ÷ in process"), [*ratios.items()], main)


def _requests(url: str, X: tfaas.Floats) -> dict[str, Callable[[], object]]:
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
