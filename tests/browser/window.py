"""A window of a real browser with a notebook in it, and what a person does there."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.browser.process import ROOT

#: Build output: what the widgets look like.
SCREENSHOTS = ROOT / "build" / "screenshots"

SIZES = {"1280x800": (1280, 800), "1024x700": (1024, 700)}

#: What pages say without anything being wrong with ours: Voila's template wants a font from the
#: network, and loads extensions of JupyterLab that do not fit it.
_HARMLESS = re.compile(r"favicon|@fortawesome|voila/labextensions/(?!anywidget|@jupyter-widgets)")


class Window:
    """A page, with the errors that were written to its console.

    Parameters
    ----------
    page : playwright.sync_api.Page
        The page.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        page.set_default_timeout(15e3)
        self.errors: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._note(f"{error} {error.stack or ''}"))

    def open_in_lab(self, address: str, notebook: str) -> None:
        """Open a notebook in JupyterLab and run all its cells."""
        path, _, token = address.partition("?")
        self.page.goto(f"{path}/tree/{notebook}?reset&{token}")
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        self.page.wait_for_function(
            """() => {
                const panel = window.jupyterapp?.shell.currentWidget;
                return panel?.sessionContext?.session?.kernel?.status === "idle";
            }"""
        )
        self.page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def open_in_voila(self, address: str) -> None:
        """Open a page of Voila, which runs the notebook's cells."""
        self.page.goto(address)

    def run(self, cell: int) -> None:
        """Run a cell of the notebook in JupyterLab once more."""
        self.page.evaluate(
            """(cell) => {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
                return window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            cell,
        )

    def button(self, label: str) -> Any:
        """The button with a label."""
        return self.page.get_by_role("button", name=label, exact=True)

    def wait_for(self, text: str, seconds: float = 30.0) -> Any:
        """Wait until a text is seen."""
        found = self.page.get_by_text(text).first
        found.wait_for(timeout=seconds * 1e3)
        return found

    def choose(self, label: str, files: Path | Sequence[Path]) -> None:
        """Choose files through the file chooser that a button opens."""
        with self.page.expect_file_chooser() as chooser:
            self.button(label).click()
        chooser.value.set_files(files)

    def drop(self, selector: str, name: str, content: bytes) -> None:
        """Drop a file on an element, as a browser tells a page of it."""
        transfer = self.page.evaluate_handle(
            """([name, content]) => {
                const transfer = new DataTransfer();
                const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
                return transfer;
            }""",
            [name, _base64(content)],
        )
        for event in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event(selector, event, {"dataTransfer": transfer})

    def screenshot(self, name: str, selector: str | None = None) -> Path:
        """Keep what is seen; of an element, all of it."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        if selector:
            self.page.locator(selector).first.screenshot(path=path)
        else:
            self.page.screenshot(path=path)
        return path

    def cut_controls(self) -> list[str]:
        """Controls whose text or frame is not seen whole."""
        return self._controls(
            "it.getBoundingClientRect().right > window.innerWidth"
            " || (it.tagName === 'BUTTON' && it.scrollWidth > it.clientWidth + 1)"
        )

    def nameless_controls(self) -> list[str]:
        """Controls that do not say what they are."""
        return self._controls(
            "!(it.textContent.trim() || it.getAttribute('aria-label')"
            " || it.labels?.[0]?.textContent.trim())"
        )

    def _controls(self, condition: str) -> list[str]:
        """Controls of ours that are seen and for which a condition holds."""
        found: list[str] = self.page.evaluate(
            f"""() => [...document.querySelectorAll(
                    ".jupyter-widgets button, .jupyter-widgets input, .jupyter-widgets select")]
                .filter((it) => it.offsetParent !== null)
                .filter((it) => {condition})
                .map((it) => it.outerHTML)"""
        )
        return found

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self._note(f"{message.text} {message.location.get('url', '')}")

    def _note(self, told: str) -> None:
        if not _HARMLESS.search(told):
            self.errors.append(told)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
