"""JupyterLab and Voila as real processes: own folders, own port, no network, no trace left."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_SECONDS = 60.0


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """A JupyterLab for the notebooks of a folder; its address with ``?token=``.

    The same process serves Notebook 7 and the classic Notebook, where they are installed.
    """
    token = secrets.token_hex(8)
    port = _free_port()
    options = (
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={token}",
        "--ServerApp.allow_remote_access=True",
        "--ServerApp.allow_root=True",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
    )
    settings = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    config = folder / ".jupyter" / "config" / "labconfig"
    config.mkdir(parents=True)
    (config / "page_config.json").write_text(json.dumps(settings))
    with _running("jupyterlab", port, folder, options):
        yield f"http://127.0.0.1:{port}/lab?token={token}"


@contextmanager
def voila(notebook: Path) -> Iterator[str]:
    """A Voila that serves one notebook; its address with ``?token=``."""
    token = secrets.token_hex(8)
    port = _free_port()
    options = (str(notebook), f"--token={token}", "--Voila.ip=127.0.0.1")
    with _running("voila", port, notebook.parent, options):
        yield f"http://127.0.0.1:{port}/?token={token}"


@contextmanager
def _running(module: str, port: int, folder: Path, options: tuple[str, ...]) -> Iterator[None]:
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


def _environment(folder: Path) -> Mapping[str, str]:
    own = folder / ".jupyter"
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY"))},
        "HOME": str(own),
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
