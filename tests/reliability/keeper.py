"""A process that starts servers in milliseconds: copies of itself, with TensorFlow imported.

Each copy is ``tfaas-nb serve``; to kill it is to kill the process that writes.  What it reads:
``try PATH`` tries an uploaded archive, so that no copy has to; ``serve OPTIONS`` starts one and
tells its number, and the copy its address.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

from tfaas_nb import backend, isolation
from tfaas_nb.bundle import Bundle
from tfaas_nb.cli import main as command
from tfaas_nb.serving.admission import Admission

ROOT = Path(__file__).parents[2]


class Keeper:
    """Such a process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.heard: list[str] = []

    def try_upload(self, path: Path) -> None:
        self._tell("try", str(path))
        assert self._hear("tried") == str(path)

    def serve(self, *options: str) -> tuple[int, str]:
        """Number and address of a server."""
        self._tell("serve", *options)
        pid = int(self._hear("pid"))
        return pid, self._hear("open").split()[0].rstrip("/")

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self._tell("reap", str(pid))
        assert self._hear("reaped") == str(-signal.SIGKILL)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _tell(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def _hear(self, word: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            first, _, rest = line.strip().partition(" ")
            if first == word:
                return rest
            self.heard.append(line)
        raise RuntimeError(f"the keeper has ended: {''.join(self.heard)}")


def _serve(options: list[str]) -> NoReturn:
    code = 1
    try:
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        code = command(["serve", "--port", "0", "--no-token", *options])
    finally:
        os._exit(code)


def main() -> None:
    backend.tensorflow()
    with isolation.held():
        for line in iter(sys.stdin.readline, ""):
            word, *words = json.loads(line)
            if word == "try":
                admission = Admission()
                admission.tried(
                    Bundle.from_upload(Path(words[0]).read_bytes(), None, None, admission)
                )
                _say("tried", words[0])
            elif word == "serve":
                assert threading.active_count() == 1, "else it cannot be copied"
                pid = os.fork()
                if not pid:
                    _serve(words)
                _say("pid", str(pid))
            else:
                _say("reaped", str(os.waitstatus_to_exitcode(os.waitpid(int(words[0]), 0)[1])))


def _say(*words: str) -> None:
    os.write(1, " ".join(words).encode() + b"\n")


if __name__ == "__main__":
    main()
