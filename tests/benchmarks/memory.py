"""Resident memory of servers that have worked, ours and other people's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil

from tests.benchmarks import servers
from tests.benchmarks.load import Ask, needs_wrk, wrk
from tests.benchmarks.options import Options
from tests.benchmarks.peers import PEERS
from tests.benchmarks.peers.running import SERVERS, running
from tests.benchmarks.processes import Running
from tests.benchmarks.report import Section, shown
from tests.benchmarks.single import json_ask
from tests.benchmarks.unavailable import Unavailable
from tests.benchmarks.workplace import files, models

_TITLE = "Memory"
_METHOD = """Resident memory of all of a server's processes after two seconds of single events from
100 clients, what they share counted once, against a process that loaded TensorFlow and
called the graph once. One at a time. The others' environments have the smaller `tensorflow-cpu`."""
_HEADER = ("server", "form", "memory ÷ TensorFlow and the graph")
_CLIENTS = 100


def measure(options: Options) -> Section:
    needs_wrk()
    with files() as folder, models() as repository:
        alone = _alone(folder)
        starts: dict[tuple[str, str], Callable[[], AbstractContextManager[tuple[Running, Ask]]]]
        starts = {("tfaas_nb", "`tfaas-nb serve`"): lambda: _ours(repository)}
        for peer in PEERS:
            starts[peer.name, peer.form] = lambda peer=peer: running(peer, folder)
        rows = []
        for (name, form), start in starts.items():
            options.tell(f"memory, {name}, {form}")
            rows.append((name, form, _against(alone, start)))
    main = {"memory of the server ÷ a process with TensorFlow and the graph": rows[0][2]}
    return Section(_TITLE, _METHOD, _HEADER, rows, main)


def _against(alone: int, start: Callable[[], AbstractContextManager[tuple[Running, Ask]]]) -> str:
    try:
        with start() as (process, ask):
            at_rest = process.busy(1)
            with suppress(Unavailable):  # the slowest answer nobody in that time, but work
                wrk(ask, _CLIENTS, 2)
            process.become_quiet(at_rest)
            return shown(process.memory() / alone)
    except Unavailable as error:
        return str(error)


@contextmanager
def _ours(repository: Path) -> Iterator[tuple[Running, Ask]]:
    with servers.tfaas_nb(repository) as (process, url):
        yield process, json_ask(url)


def _alone(folder: Path) -> int:
    """Bytes of a process that loaded TensorFlow and called the graph."""
    with subprocess.Popen(
        [sys.executable, str(SERVERS / "given.py")],
        env={"BENCH_MODEL": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        found = Running(psutil.Process(process.pid)).memory()
        process.communicate()
        return found
