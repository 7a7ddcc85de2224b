"""Shared real parts: a slice of the sample, a classifier trained on it, a server on a socket."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "agg")

import copy
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb import isolation
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.server import Server

# A run in the background of a script ignores Ctrl-C, and so would processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=float, default=120.0, help="seconds of mixed load")
    parser.addoption(
        "--fuzz", type=int, help="inputs for each decoder (20000, and fewer for the slow ones)"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        endures = item.get_closest_marker("endurance") is not None
        if endures:
            item.add_marker(pytest.mark.slow)
        if os.environ.get("CI") == "true" and (endures or "browser" in item.path.parts):
            # A browser or two busy cores may be late once; .ci/run lists what ran again.
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Processes for strangers' models come from one that all servers of these tests share."""
    with isolation.held():
        yield


@pytest.fixture(scope="session")
def events() -> Dataset:
    """2 000 tt̄ and 2 000 QCD events of the packaged sample."""
    whole = tn.sample()
    kept = np.r_[0:2000, 20_000:22_000]
    return whole[kept]


@pytest.fixture(scope="session")
def unseen() -> Dataset:
    """200 tt̄ and 200 QCD events that are not among `events`."""
    return tn.sample()[np.r_[2000:2200, 22_000:22_200]]


@pytest.fixture(scope="session")
def trained(events: Dataset) -> Classifier:
    """A small classifier, trained for two epochs, that nobody evaluates."""
    return Classifier(epochs=2, hidden=(16,), embedding=(8,), seed=7).fit(events, progress=False)


@pytest.fixture(scope="session")
def classifier(trained: Classifier) -> Classifier:
    """Copy of the trained classifier that tests may evaluate."""
    return copy.copy(trained)


@pytest.fixture(scope="session")
def bundle(trained: Classifier) -> Bundle:
    """Without the working points that a classifier tells once it was evaluated."""
    return trained.bundle("ttbar", "a test model")


@pytest.fixture(scope="session")
def graph(bundle: Bundle) -> FrozenGraph:
    return bundle.graph


@pytest.fixture(scope="session")
def other_bundle(events: Dataset) -> Bundle:
    """Bundle of a model with other weights, also called ttbar."""
    trained = Classifier(epochs=1, hidden=(4,), embedding=(), seed=8).fit(events, progress=False)
    return trained.bundle("ttbar", "another test model")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An empty server on a free port, with a token."""
    with Server(tmp_path / "models", port=0) as running:
        yield running


@pytest.fixture
def serving(server: Server, bundle: Bundle) -> Server:
    """A server that has the model ttbar."""
    server.client().upload(bundle)
    return server


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a Dask cluster with two workers, started as commands."""
    from tests import dask

    with dask.cluster(tmp_path_factory.mktemp("dask"), workers=2) as (_, client):
        yield client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured and recorded as ``summary``, also those of other processes."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())]
    told = [text for r in reports for name, text in r.user_properties if name == "summary"]
    for text in sorted(map(str, told)):
        terminalreporter.write_line(text)
