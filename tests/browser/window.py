"""A window of a real browser with a notebook in it, and what a person does there."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.jupyter import ROOT

#: Build output: what the widgets look like.
SCREENSHOTS = ROOT / "build" / "screenshots"

SIZES = {"1280x800": (1280, 800), "1024x700": (1024, 700)}

#: What pages say without anything being wrong with ours: Voila's template wants a font from the
#: network, and loads extensions of JupyterLab that do not fit it; the classic Notebook looks for
#: extensions that there are none of any more; Notebook 7 uses settings and commands before they
#: are there.
_HARMLESS = re.compile(
    r"favicon|@fortawesome|voila/labextensions/(?!anywidget|@jupyter-widgets)"
    r"|nbextensions/(voila|widgets/notebook)/"
    r"|(reading 'schema'|filebrowser:open-path)(?s:.*)/notebook_core\."
)

#: A page first asks the kernel for the widgets that it has.  Of those that a cell makes meanwhile
#: it makes a second model each, or asks for them when they are gone.  The kernel answers in turn:
#: after so many questions of ours, it has answered the page's.
_TURNS = 3


class Window:
    """A page, with the errors that were written to its console.

    Parameters
    ----------
    page : playwright.sync_api.Page
        The page.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        page.set_default_timeout(30e3)
        self.errors: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._note(f"{error} {error.stack or ''}"))

    def open_in_lab(self, address: str, notebook: str) -> None:
        """Open a notebook in JupyterLab and run all its cells."""
        path, _, token = address.partition("?")
        self.page.goto(f"{path}/tree/{notebook}?reset&{token}")
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        self._await_kernel()
        self.page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def open_in_notebook(self, address: str) -> None:
        """Open a notebook in Notebook 7 and run all its cells."""
        self.page.goto(address)
        self._await_kernel()
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def open_in_classic(self, address: str) -> None:
        """Open a notebook in the classic Notebook and run all its cells."""
        self.page.goto(address)
        self.page.wait_for_function(
            """() => {
                const kernel = window.Jupyter?.notebook?.kernel;
                return kernel?.is_connected() && kernel.widget_manager;
            }""",
            timeout=60e3,
        )
        self.page.evaluate(
            """async (turns) => {
                const manager = Jupyter.notebook.kernel.widget_manager;
                for (let i = 0; i < turns; i++) await manager._get_comm_info();
                Jupyter.notebook.execute_all_cells();
            }""",
            _TURNS,
        )

    def open_in_voila(self, address: str) -> None:
        """Open a page of Voila, which runs the notebook's cells before it answers."""
        self.page.goto(address, timeout=120e3)

    def _await_kernel(self) -> None:
        """Wait until the notebook of JupyterLab or Notebook 7 has a kernel, and its widgets."""
        self.page.wait_for_function(
            """() => {
                const panel = window.jupyterapp?.shell.currentWidget;
                return panel?.sessionContext?.session?.kernel?.status === "idle";
            }""",
            timeout=60e3,
        )
        self.page.evaluate(
            """async (turns) => {
                const context = window.jupyterapp.shell.currentWidget.sessionContext;
                await context.ready;
                for (let i = 0; i < turns; i++)
                    await context.session.kernel.requestCommInfo({target_name: "jupyter.widget"});
            }""",
            _TURNS,
        )

    def run(self, cell: int) -> None:
        """Run a cell of the notebook in JupyterLab once more."""
        self.page.evaluate(
            """(cell) => {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
                return window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            cell,
        )

    def theme(self, name: str) -> None:
        """Change JupyterLab's theme, for instance to ``JupyterLab Dark``."""
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        self.page.wait_for_function(
            "(theme) => document.body.dataset.jpThemeName === theme", arg=name
        )

    def scroll_to(self, cell: int) -> None:
        """Show a cell of the notebook in JupyterLab at the top."""
        self.page.evaluate(
            """(cell) => {
                const content = window.jupyterapp.shell.currentWidget.content;
                content.activeCellIndex = cell;
                return content.scrollToItem(cell, "start");
            }""",
            cell,
        )

    def walk_to(self, label: str, most: int = 60) -> None:
        """Press Tab until the control with a label has the focus."""
        seen = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            seen.append(self.focused())
            if seen[-1] == label:
                return
        raise AssertionError(f"Tab does not lead to {label!r}, but to {seen}")

    def focused(self) -> str:
        """Return the label of the control that has the focus."""
        name: str = self.page.evaluate(
            """() => {
                const it = document.activeElement;
                return it.labels?.[0]?.textContent || it.getAttribute("aria-label")
                    || it.textContent;
            }"""
        )
        return name.strip()

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

    def overfull_panels(self) -> list[str]:
        """Fields that are wider than the column of controls that they are in."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll(
                    ".jupyter-widgets input, .jupyter-widgets select, .jupyter-widgets textarea")]
                .filter((it) => it.offsetParent !== null)
                .filter((it) => {
                    const panel = it.closest(".widget-vbox");
                    return panel && panel.scrollWidth > panel.clientWidth;
                })
                .map((it) => it.outerHTML)"""
        )
        return found

    def overlapping_controls(self) -> list[list[str]]:
        """Pairs of controls of which one covers a part of the other."""
        found: list[list[str]] = self.page.evaluate(
            """() => {
                const all = [...document.querySelectorAll(
                    ".jupyter-widgets button, .jupyter-widgets input, .jupyter-widgets select")]
                    .filter((it) => it.offsetParent !== null && it.getClientRects().length);
                const boxes = all.map((it) => it.getBoundingClientRect());
                const pairs = [];
                all.forEach((a, i) => all.slice(i + 1).forEach((b, k) => {
                    const [p, q] = [boxes[i], boxes[i + 1 + k]];
                    if (a.contains(b) || b.contains(a)) return;
                    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
                    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
                    if (wide > 1 && high > 1) pairs.push([a.outerHTML, b.outerHTML]);
                }));
                return pairs;
            }"""
        )
        return found

    def unreadable_texts(self) -> list[str]:
        """Texts of outputs that hardly differ from what is behind them (contrast below 4)."""
        found: list[str] = self.page.evaluate(
            """() => {
                const numbers = (css) => (css.match(/[0-9.]+/g) || []).map(Number);
                const light = (rgb) => {
                    const [r, g, b] = rgb.slice(0, 3).map((x) => x / 255).map(
                        (x) => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const behind = (it) => {
                    for (; it; it = it.parentElement) {
                        const css = numbers(getComputedStyle(it).backgroundColor);
                        if (css.length === 3 || css[3] > 0.5) return css;
                    }
                    return [255, 255, 255];
                };
                return [...document.querySelectorAll(
                        ".jp-OutputArea-output *, .jupyter-widgets *")]
                    .filter((it) => it.offsetParent && !it.disabled && it.tagName !== "OPTION"
                        && !it.closest("svg, .jp-mod-disabled, [disabled]")
                        && [...it.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
                    .filter((it) => {
                        const a = light(numbers(getComputedStyle(it).color));
                        const b = light(behind(it));
                        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4;
                    })
                    .map((it) => it.outerHTML.slice(0, 200));
            }"""
        )
        return found

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
