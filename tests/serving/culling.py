"""A real Jupyter server that ends idle kernels, as Binder's does, only sooner."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from jupyter_client.blocking.client import BlockingKernelClient

_ROOT = Path(__file__).parents[2]
_SECONDS = 60.0


class Culling:
    """A Jupyter server's kernels.

    Parameters
    ----------
    url, token : str
        Its address.
    runtime : Path
        Where it writes how kernels are reached.
    """

    def __init__(self, url: str, token: str, runtime: Path) -> None:
        self._url = f"{url}/api/kernels"
        self._runtime = runtime
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"token {token}"

    def start(self) -> str:
        """Start a kernel; its id."""
        answer = self._session.post(self._url, timeout=_SECONDS)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def run(self, kernel: str, code: str) -> str:
        """What a cell prints; an error in it fails the test."""
        client: Any = BlockingKernelClient(
            connection_file=str(self._runtime / f"kernel-{kernel}.json")
        )
        client.load_connection_file()
        client.start_channels(hb=False)  # a heartbeat that is late on a busy machine is no death
        printed: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        try:
            client.wait_for_ready(timeout=_SECONDS)
            reply = client.execute_interactive(code, output_hook=collect, timeout=_SECONDS)
        finally:
            client.stop_channels()
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)

    def alive(self) -> set[str]:
        """The kernels that have not been ended."""
        return {kernel["id"] for kernel in self._session.get(self._url, timeout=_SECONDS).json()}


@contextmanager
def culling(folder: Path, port: int, seconds: int) -> Iterator[Culling]:
    """Run a Jupyter server that ends kernels without activity for so many seconds."""
    token = secrets.token_hex(8)
    runtime = folder / "runtime"
    options = (
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.open_browser=False",
        "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={token}",
        f"--MappingKernelManager.cull_idle_timeout={seconds}",
        "--MappingKernelManager.cull_interval=1",
        "--MappingKernelManager.cull_connected=True",
    )
    with (folder / "jupyter.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options],
            cwd=folder,
            env=_environment(folder, runtime),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url, folder / "jupyter.log")
        yield Culling(url, token, runtime)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(folder: Path, runtime: Path) -> dict[str, str]:
    paths = [str(_ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY"))},
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONWARNINGS": "default",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            requests.get(f"{url}/api", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"it did not start:\n{log.read_text()[-3000:]}")
