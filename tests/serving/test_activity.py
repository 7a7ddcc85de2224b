"""Events that are scored count as activity of the kernel, and nothing else that a server does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import tfaas_nb as tn
from tests.serving.culling import Culling, culling
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import ServerError, ServerUnreachable, TfaasError
from tfaas_nb.serving import activity
from tfaas_nb.serving.activity import Activity

#: Seconds after which the Jupyter server here ends an idle kernel; Binder's takes 600.
IDLE = 8

SERVE = """
import tfaas_nb as tn
from tfaas_nb.serving import activity

activity.EVERY = 1.0
server = tn.Server("{models}", port=0, keep_kernel={keep}).start()
client = server.client()
_ = client.upload(tn.Bundle.load("{bundle}"))
_ = client.predict("ttbar", tn.sample()[:1])
print(server.url, server.token)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve(jupyter: Culling, bundle: Path, *, keep: bool) -> tuple[str, tn.Client]:
    """A kernel in which a server runs, and a client of it."""
    kernel = jupyter.start()
    models = bundle.parent / f"models-{keep}"
    printed = jupyter.run(kernel, SERVE.format(models=models, bundle=bundle, keep=keep))
    url, token = printed.split()
    return kernel, tn.Client(url, token=token)


def until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    return False


@contextmanager
def asking(client: tn.Client, event: Dataset) -> Iterator[None]:
    """Scores are asked for all the while, as long as there is an answer."""
    over = threading.Event()

    def ask() -> None:
        with suppress(TfaasError):
            while not over.wait(0.2):
                client.predict("ttbar", event)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.endurance
def test_a_kernel_that_scores_is_not_culled(
    tmp_path: Path, bundle: Bundle, unseen: Dataset
) -> None:
    path, event = bundle.save(tmp_path), unseen[:1]
    with culling(tmp_path, free_port(), IDLE) as jupyter:
        kept, client = serve(jupyter, path, keep=True)
        with asking(client, event):
            other, another = serve(jupyter, path, keep=False)
            with asking(another, event):
                assert until(lambda: other not in jupyter.alive(), 5 * IDLE), "kept unasked"
            end = time.monotonic() + 1.5 * IDLE
            while time.monotonic() < end:
                assert jupyter.alive() == {kept}
                time.sleep(0.2)

        def ended_although_looked_at() -> bool:
            with suppress(ServerUnreachable):
                client.status()
            return not jupyter.alive()

        assert until(ended_although_looked_at, 5 * IDLE)


def ours() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "tfaas_nb-activity"]


@pytest.mark.slow
@pytest.mark.parametrize("isolated", [False, True])
def test_it_lives_as_long_as_the_server(tmp_path: Path, isolated: bool) -> None:
    server = tn.Server(tmp_path, port=0, keep_kernel=True, isolated=isolated)
    assert not ours()
    for _ in range(2):
        server.start()
        assert server.start() is server
        assert len(ours()) == 1
        server.stop()
        assert not ours()


def test_a_server_tells_nobody_unless_it_is_told_to(server: tn.Server) -> None:
    assert server.is_running
    assert not ours()


def test_what_was_scored_is_added_up(serving: tn.Server, unseen: Dataset) -> None:
    before = serving.scored()
    serving.client().predict("ttbar", unseen[:7])
    assert serving.scored() == before + 7


def test_a_server_that_does_not_answer_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "EVERY", 0.01)
    looked = threading.Semaphore(0)

    def away() -> int:
        looked.release()
        raise ServerError("not now")

    watching = Activity(away)
    watching.start()
    assert looked.acquire(timeout=10)
    assert looked.acquire(timeout=10)
    watching.stop()


def test_without_a_kernel_there_is_nobody_to_tell() -> None:
    assert not activity.tell()
