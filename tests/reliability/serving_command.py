"""``tfaas-nb serve`` in a process of its own, as an operator starts it, looked at from outside."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.command import COMMAND
from tfaas_nb.client import Client

TOKEN = "of-a-test"


@dataclass(frozen=True)
class Looked:
    """Resources of a server's process at one moment; `rss` in MB."""

    rss: float
    files: int
    threads: int
    children: int


class Command:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url
        self.port = int(url.rpartition(":")[2])
        self.seen = psutil.Process(process.pid)

    def client(self) -> Client:
        return Client(self.url, TOKEN, timeout=300)

    def look(self) -> Looked:
        with self.seen.oneshot():
            rss = self.seen.memory_info().rss / 1e6
            return Looked(rss, self.seen.num_fds(), self.seen.num_threads(), len(self.children()))

    def children(self) -> list[psutil.Process]:
        """Its own ones: copies for single jobs come and go below them."""
        return list(self.seen.children())


@contextlib.contextmanager
def serving(models: Path, *options: str, files: int | None = None) -> Iterator[Command]:
    """It ends well, and says nothing on its error stream; it may open so many `files` at most."""

    def bind() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--models", str(models), "--token", TOKEN, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        preexec_fn=bind,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield Command(process, process.stdout.readline().split()[1].rstrip("/"))
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        assert (process.returncode, out, errors) == (0, "stopping\n", "")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
