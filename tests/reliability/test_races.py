"""Uploads and deletions while events are scored: an answer is of one version, or there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.reliability.sums import KEYS, SUM, VALUES, sum_of
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import ModelNotFound
from tfaas_nb.serving.server import Server

pytestmark = pytest.mark.slow

FACTORS = (1.0, 2.0, 3.0, 4.0)
_GIB = 1 << 30
EVENTS = np.tile(np.array(VALUES, np.float32), (20_000, 1))


@pytest.fixture(scope="module")
def bundles() -> list[Bundle]:
    return [sum_of(factor=factor) for factor in FACTORS]


@pytest.fixture(scope="module", params=["thread", "isolated", "little memory"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    bundles: list[Bundle],
) -> Iterator[Server]:
    """A server that has the model in as many versions as there are factors."""
    isolated, memory = request.param == "isolated", 1 if request.param == "little memory" else _GIB
    models = tmp_path_factory.mktemp("races") / "models"
    with Server(models, port=0, token=False, isolated=isolated, memory=memory) as running:
        for bundle in bundles:
            running.client().upload(bundle)
        yield running


def while_asked(
    server: Server, ask: Callable[[], object], change: Callable[[], None]
) -> list[object]:
    """Return the answers that clients get while something changes."""
    done = threading.Event()

    def go_on(_: int) -> list[object]:
        found = []
        while not done.is_set():
            found.append(ask())
        return found

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(go_on, i) for i in range(3)]
        try:
            change()
        finally:
            done.set()
        return [answer for one in asking for answer in one.result()]


def asking(server: Server, values: object, model: str = "sum") -> Callable[[], object]:
    """Asks for the factor of the version that answers, of all events; None if there is none."""
    own = threading.local()

    def ask() -> object:
        if not hasattr(own, "client"):
            own.client = server.client()
        try:
            scores = np.asarray(own.client.predict(model, values, keys=KEYS))
        except ModelNotFound:
            return None
        found = set(np.unique(scores / SUM).tolist())
        assert len(found) == 1, "a mix of versions answered"
        return found.pop()

    return ask


@pytest.mark.endurance
@pytest.mark.parametrize("values", [VALUES, EVENTS], ids=["an event", "many events"])
def test_a_model_that_comes_and_goes_answers_whole_or_is_not_there(
    server: Server, bundles: list[Bundle], values: object
) -> None:
    client = server.client()

    def change() -> None:
        for _ in range(3):
            client.delete("sum")
            for bundle in bundles:
                client.upload(bundle)

    answers = set(while_asked(server, asking(server, values), change))
    assert answers <= {None, *FACTORS}
    assert len(answers) > 1
    assert asking(server, values)() == FACTORS[-1]


@pytest.mark.endurance
def test_a_version_that_is_deleted_gives_way_to_the_one_before(
    server: Server, bundles: list[Bundle]
) -> None:
    client = server.client()

    def change() -> None:
        for _ in range(3):
            for version in (server_latest(server), server_latest(server) - 1):
                client.delete(f"sum/versions/{version}")
            client.upload(bundles[2])
            client.upload(bundles[3])

    answers = set(while_asked(server, asking(server, VALUES), change))
    assert answers <= set(FACTORS), "there always was a version"
    assert asking(server, VALUES)() == FACTORS[-1]


def server_latest(server: Server) -> int:
    return int(server.client().params("sum")["version"])
