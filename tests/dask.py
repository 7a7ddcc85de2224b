"""A Dask cluster of real processes: a scheduler and workers, started as separate commands."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_START = 60.0


class Cluster:
    """A scheduler, and the workers it was given."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self._more = environment
        self.workers: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        self._scheduler = self._run(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--no-show", "--scheduler-file", str(self._file),
        )  # fmt: skip
        self.address = self._wait_for_address()

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One more worker of one thread, which nobody starts again when it dies."""
        number = len(self.workers)
        worker = self._run(
            "dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--name", f"worker-{number}", "--local-directory", str(self.folder / f"w{number}"),
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for process in (*self.workers, self._scheduler):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait(_START)

    def _run(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        environment = {
            **os.environ,
            # Workers find what this process finds: functions of the tests among it.
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # What a lost worker was doing may be begun again as often as tests have it lost.
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2",
            # Idle processes would take a tenth of a core each to watch themselves.
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
            "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "500ms",
            **self._more,
        }
        with (self.folder / f"{module}-{len(self.workers)}.log").open("wb") as log:
            # In a folder of their own, as workers on other machines are.
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=self.folder
            )

    def _wait_for_address(self) -> str:
        until = time.monotonic() + _START
        while time.monotonic() < until:
            with contextlib.suppress(OSError, json.JSONDecodeError):
                return str(json.loads(self._file.read_text())["address"])
            time.sleep(0.05)
        raise TimeoutError("the scheduler did not start")


@contextlib.contextmanager
def cluster(folder: Path, workers: int, **environment: str) -> Iterator[tuple[Cluster, Any]]:
    """A cluster with so many workers, of more environment if given, and a client of it."""
    from distributed import Client

    made = Cluster(folder, **environment)
    try:
        for _ in range(workers):
            made.add_worker()
        with Client(made.address, timeout=_START) as client:
            if workers:
                client.wait_for_workers(workers, timeout=_START)
            yield made, client
    finally:
        made.close()
