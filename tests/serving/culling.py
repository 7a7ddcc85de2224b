"""A real Jupyter server that ends idle kernels, as Binder's does, only sooner."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from jupyter_client.blocking.client import BlockingKernelClient

from tests.jupyter import running, runtime

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
        """Run a cell and return its output; an error in it fails the test."""
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
    options = (
        "--ServerApp.port_retries=0",
        "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={token}",
        f"--MappingKernelManager.cull_idle_timeout={seconds}",
        "--MappingKernelManager.cull_interval=1",
        "--MappingKernelManager.cull_connected=True",
    )
    with running("jupyter_server", port, folder, options):
        yield Culling(f"http://127.0.0.1:{port}", token, runtime(folder))
