"""A peer while it runs, once it has given the right answer."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.benchmarks import model
from tests.benchmarks.load import Ask
from tests.benchmarks.peers import Peer
from tests.benchmarks.peers.environments import programs
from tests.benchmarks.processes import Running, free_port, server
from tests.benchmarks.unavailable import Unavailable

SERVERS = Path(__file__).parent / "servers"
_TOLERANCE = 1e-5


@contextmanager
def running(peer: Peer, folder: Path) -> Iterator[tuple[Running, Ask]]:
    """The peer serving the model saved in `folder`, and what to ask it.

    Raises
    ------
    Unavailable
        If it cannot be installed or started, or answers another score than the graph.
    """
    found = programs(peer.environment)
    given = {name: str(free_port()) for name in ("port", "other", "third")}
    given["libpython"] = str(sysconfig.get_config_var("LIBDIR"))
    program, *arguments = (part.format(**given) for part in peer.command)
    ask = Ask(
        f"http://127.0.0.1:{given['port']}{peer.protocol.path}",
        peer.protocol.body(model.event().tolist()),
        {"Content-Type": "application/json"},
    )
    settings = {
        "BENCH_MODEL": str(folder),
        "BENCH_PORT": given["port"],
        "PATH": f"{found}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(SERVERS),
    }
    settings |= {name: value.format(**given) for name, value in peer.settings.items()}
    with server([str(found / program), *arguments], lambda: _answers(ask), settings) as process:
        _check(peer, ask)
        yield process, ask


def _answers(ask: Ask) -> bool:
    try:
        return requests.post(ask.url, ask.body, headers=ask.headers, timeout=30).ok
    except requests.RequestException:
        return False


def _check(peer: Peer, ask: Ask) -> None:
    answer = requests.post(ask.url, ask.body, headers=ask.headers, timeout=30).json()
    score, expected = peer.protocol.score(answer), model.score()
    if not abs(score - expected) < _TOLERANCE:
        raise Unavailable(f"answered {score}, the graph says {expected}")
