"""Jupyter's applications as real processes: own folders, own port, no trace left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SECONDS = 60.0


@contextmanager
def running(module: str, port: int, folder: Path, options: tuple[str, ...]) -> Iterator[None]:
    """Run one that listens on a port; what it keeps for itself is in ``folder/.jupyter``.

    Raises
    ------
    AssertionError
        If it does not listen within a minute, with the end of its log.
    """
    log = folder / ".jupyter" / f"{module}.log"
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", module, "--no-browser", f"--port={port}", *options]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(folder), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def runtime(folder: Path) -> Path:
    """Folder of Jupyter's connection files, which say how its kernels are reached."""
    return folder / ".jupyter" / "runtime"


def _environment(folder: Path) -> Mapping[str, str]:
    own = folder / ".jupyter"
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY"))},
        "HOME": str(own),
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime(folder)),
        "IPYTHONDIR": str(own / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONWARNINGS": "default",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"it did not start:\n{log.read_text()[-3000:]}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
