"""JupyterLab and Voila, each for a folder or a notebook."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.jupyter import free_port, running


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """A JupyterLab for the notebooks of a folder; its address with ``?token=``.

    The same process serves Notebook 7 and the classic Notebook, where they are installed.
    """
    token = secrets.token_hex(8)
    port = free_port()
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
    with running("jupyterlab", port, folder, options):
        yield f"http://127.0.0.1:{port}/lab?token={token}"


@contextmanager
def voila(notebook: Path) -> Iterator[str]:
    """A Voila that serves one notebook; its address with ``?token=``."""
    token = secrets.token_hex(8)
    port = free_port()
    options = (str(notebook), f"--token={token}", "--Voila.ip=127.0.0.1")
    with running("voila", port, notebook.parent, options):
        yield f"http://127.0.0.1:{port}/?token={token}"
