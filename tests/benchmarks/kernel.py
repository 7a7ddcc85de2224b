"""A process that plays a notebook's kernel: it serves, and runs cells.

Usage: python -m tests.benchmarks.kernel MODELS thread|isolated

Tells the server's address, then reads names of cells, says ``running`` once one is in full
swing, and ``interrupted`` after it was interrupted, as a kernel is, by SIGINT.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.benchmarks.unavailable import Unavailable

_ROOT = Path(__file__).parents[2]
_RUNNING, _INTERRUPTED = "running", "interrupted"
_WAIT = 20
_FOREVER = 10**6


def idle() -> None:
    _say(_RUNNING)
    while True:
        signal.pause()


def train() -> None:
    import tfaas_nb as tn

    swing = iter([_RUNNING])

    def on_epoch(epoch: object) -> None:
        for word in swing:
            _say(word)

    classifier = tn.Classifier(epochs=_FOREVER, patience=_FOREVER)
    classifier.fit(tn.sample(), progress=False, on_epoch=on_epoch)


def spin() -> None:
    _say(_RUNNING)
    count = 0
    while True:
        count += 1


CELLS: dict[str, Callable[[], None]] = {"idle": idle, "train": train, "spin": spin}


def _say(word: str) -> None:
    print(word, flush=True)


def main(models: str, mode: str) -> None:
    import tfaas_nb as tn

    options: dict[str, Any] = {"isolated": True} if mode == "isolated" else {}
    with tn.Server(models, port=0, token=False, **options) as server:
        _say(server.url)
        for line in iter(sys.stdin.readline, ""):
            with suppress(KeyboardInterrupt):
                CELLS[line.strip()]()
            _say(_INTERRUPTED)


class Kernel:
    """The kernel's process, seen from outside.

    Raises
    ------
    Unavailable
        If its server does not start.
    """

    def __init__(self, models: Path, mode: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.kernel", str(models), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        self.url = self._hear()

    @contextmanager
    def running(self, cell: str) -> Iterator[None]:
        """While a cell runs."""
        assert self._process.stdin
        self._process.stdin.write(f"{cell}\n")
        self._process.stdin.flush()
        self._expect(_RUNNING)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGINT)
            self._expect(_INTERRUPTED)

    def _expect(self, word: str) -> None:
        heard = self._hear()
        if heard != word:
            raise Unavailable(f"the kernel said {heard!r} instead of {word!r}")

    def _hear(self) -> str:
        assert self._process.stdout
        assert self._process.stderr
        line = self._process.stdout.readline().strip()
        if not line:
            wrote = self._process.stderr.read().strip().splitlines()
            self._process.wait()
            raise Unavailable(f"the kernel ended: {wrote[-1] if wrote else 'it wrote nothing'}")
        return line

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._process.communicate(timeout=_WAIT)  # closes its input, so its loop ends
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


if __name__ == "__main__":
    main(*sys.argv[1:])
