"""One browser, and per server one notebook that is run, for all tests here.

Everything ends with the last test of this folder: while a browser is driven, no other test of
the process could run an event loop.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tfaas_nb as tn
from tests.browser.process import jupyterlab, voila
from tests.browser.window import SIZES, Window
from tests.large_model import large_model

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # A name that no browser takes for this machine: a page there is not secure.
    "--host-resolver-rules=MAP lab.example 127.0.0.1",
)

#: What the notebook's cells do; the last one tells where the server is.
CELLS = (
    """import tfaas_nb as tn
server = tn.Server("models", port=0).start()""",
    """panel = tn.widgets.ServerPanel(server)
panel""",
    """upload = tn.widgets.Upload(server)
upload""",
    """import json
from pathlib import Path
_ = Path("server.json").write_text(json.dumps([server.url, server.token]))""",
)

#: A notebook with a kernel of its own, to be opened beside the other one.
ALONE = (
    """import tfaas_nb as tn
upload = tn.widgets.Upload(tn.Client("http://127.0.0.1:9"))
upload""",
)


class Opened(NamedTuple):
    """A notebook that was run in a browser."""

    window: Window
    folder: Path
    address: str

    @property
    def client(self) -> tn.Client:
        """Asks the server that the notebook started."""
        url, token = json.loads((self.folder / "server.json").read_text())
        return tn.Client(url, token=token)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """Debian's Chromium without a window."""
    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    need("playwright", "jupyterlab", "voila", "jupyter_server_proxy", chromium=path)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def open_window(chromium: Any) -> Iterator[Callable[[], Window]]:
    """Opens windows of 1280 × 800 that may copy."""
    contexts = []

    def opened() -> Window:
        width, height = SIZES["1280x800"]
        context = chromium.new_context(viewport={"width": width, "height": height})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        return Window(context.new_page())

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="package")
def lab(
    open_window: Callable[[], Window], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    """The notebook in JupyterLab."""
    folder = _folder(tmp_path_factory)
    with jupyterlab(folder) as address:
        window = open_window()
        window.open_in_lab(address, "test.ipynb")
        window.wait_for("or drop files here", 120)
        yield told(Opened(window, folder, address))


@pytest.fixture(scope="package")
def application(
    open_window: Callable[[], Window], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    """The notebook as an application of Voila."""
    folder = _folder(tmp_path_factory)
    with voila(folder / "test.ipynb") as address:
        window = open_window()
        window.open_in_voila(address)
        window.wait_for("or drop files here", 120)
        yield told(Opened(window, folder, address))


@pytest.fixture(scope="package")
def classic(open_window: Callable[[], Window], lab: Opened) -> Opened:
    """The notebook in the classic Notebook, with a kernel and a folder of its own."""
    need("nbclassic", "notebook")
    window = open_window()
    # Beside Notebook 7 it has an address of its own.
    window.open_in_classic(lab.address.replace("/lab?", "/nbclassic/notebooks/classic/test.ipynb?"))
    window.wait_for("or drop files here", 120)
    return told(Opened(window, lab.folder / "classic", lab.address))


@pytest.fixture(scope="package")
def notebook7(open_window: Callable[[], Window], lab: Opened) -> Opened:
    """The notebook in Notebook 7, with a kernel and a folder of its own."""
    need("notebook")
    window = open_window()
    window.open_in_notebook(lab.address.replace("/lab?", "/notebooks/seven/test.ipynb?"))
    window.wait_for("or drop files here", 120)
    return told(Opened(window, lab.folder / "seven", lab.address))


@pytest.fixture(scope="package")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 204 MB."""
    path = tmp_path_factory.mktemp("large") / "large.pb"
    path.write_bytes(large_model())
    return path


def need(*modules: str, **programs: str | None) -> None:
    """Skip the test without these, except in CI: it installs them, and nobody else may."""
    missing = [name for name in modules if not importlib.util.find_spec(name)]
    missing += [name for name, path in programs.items() if not path]
    if missing:
        reason = f"{', '.join(missing)} not installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def told(opened: Opened) -> Opened:
    """Wait until the notebook's last cell has told where the server is."""
    end = time.monotonic() + 30
    while not (opened.folder / "server.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    return opened


def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import nbformat

    folder = tmp_path_factory.mktemp("notebooks")
    for own in ("classic", "seven"):
        (folder / own).mkdir()
    notebooks = ("test", "classic/test", "seven/test")
    for name, cells in (*((name, CELLS) for name in notebooks), ("alone", ALONE)):
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder
