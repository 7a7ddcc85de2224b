"""Events that a second worker of a Dask cluster is worth: `tn.score` by two against by one."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import tfaas_nb as tn
from tests import dask
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier

_TITLE = "Cluster"
_METHOD = """`tn.score` of {events} events in {files} files of the packaged sample by the default
classifier, on a scheduler and workers that are processes of their own, one thread each, TensorFlow
too. A cluster of one worker and one of two in turns, the median of {rounds} rounds; scheduler and
client, which writes the scores, share the cores with them."""
_HEADER = ("workers", "events/s ÷ one worker")
_FILES = 40
#: TensorFlow otherwise takes all cores for one worker.
_ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def measure(options: Options) -> Section:
    options.tell("cluster")
    found = statistics.median(ratios(options.rounds))
    rows = [("1", "1.00"), ("2", f"{found:.2f}")]
    method = _METHOD.format(
        events=f"{_FILES * 20_000:,}".replace(",", " "), files=_FILES, rounds=options.rounds
    )
    return Section(_TITLE, method, _HEADER, rows, {"`tn.score`, two workers ÷ one": f"{found:.2f}"})


def ratios(rounds: int) -> Generator[float, None, None]:
    """Speed of two workers divided by that of one, in each round."""
    bundle = _bundle()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfaas-nb-cluster-")))
        files = _files(folder)
        one, two = (stack.enter_context(_cluster(folder, workers)) for workers in (1, 2))
        for client in (one, two, two):  # each worker loads TensorFlow, and the system the files
            _seconds(files, bundle, folder, client)
        for _ in range(rounds):
            yield _seconds(files, bundle, folder, one) / _seconds(files, bundle, folder, two)


@contextmanager
def _cluster(folder: Path, workers: int) -> Iterator[Any]:
    own = folder / f"of-{workers}"
    own.mkdir()
    with dask.cluster(own, workers, **_ONE_THREAD) as (_, client):
        yield client


def _seconds(files: list[Path], bundle: Bundle, folder: Path, client: Any) -> float:
    start = time.perf_counter()
    tn.score(files, bundle, folder / "scores.root", cluster=client, progress=False)
    return time.perf_counter() - start


def _bundle() -> Bundle:
    return Classifier(epochs=1).fit(tn.sample()[::20], progress=False).bundle("cluster")


def _files(folder: Path) -> list[Path]:
    paths = []
    for number in range(_FILES):
        paths.append(folder / f"{number:02d}.root")
        os.link(os.path.realpath(tn.sample_files()[number % 2]), paths[-1])
    return paths
