"""The pictures of the notebooks for SWAN's gallery: ``python -m tests.snapshots``.

SWAN shows ``nbSnapshots/NAME.png`` beside each ``NAME.ipynb``; pictures there are about 1080 × 760.
A notebook is shown as it is committed, from its cell with the tag ``snapshot``.  Widgets are not
kept in a notebook: where that cell shows one, Voila runs the notebook.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.process import voila
from tests.jupyter import ROOT

NOTEBOOKS = ROOT / "notebooks"
FOLDER = NOTEBOOKS / "nbSnapshots"
TAG = "snapshot"
_SIZE = (1080, 760)
_COLORS = 128
_WIDGET = "application/vnd.jupyter.widget-view+json"
#: What of a page is no part of the notebook: prompts, and space beside the cells.
_STYLE = "body { padding: 0 16px !important; background: white } .jp-Cell { max-width: 100% }"
_SECONDS = 120e3


def snapshot(path: Path, browser: Any) -> bytes:
    """A picture of a notebook as PNG."""
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    tagged = [cell for cell in cells if TAG in cell.metadata.get("tags", ())]
    if len(tagged) != 1:
        raise SystemExit(f"{path.name}: give one cell the tag {TAG!r}, not {len(tagged)}")
    width, height = _SIZE
    page = browser.new_page(viewport={"width": width, "height": height})
    shown = _application if any(_is_widget(o) for o in tagged[0].get("outputs", ())) else _document
    with shown(path, page, tagged[0].id) as cell:
        cell.evaluate("(cell) => cell.scrollIntoView(true)")
        picture = page.screenshot()
    page.close()
    return _small(picture)


def _is_widget(output: Any) -> bool:
    return _WIDGET in output.get("data", {})


@contextmanager
def _document(path: Path, page: Any, cell: str) -> Iterator[Any]:
    """The notebook as it is committed."""
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_filename(str(path))
    page.route("http*://**", lambda route: route.abort())  # MathJax and widgets are not needed
    page.set_content(html, wait_until="load")
    page.add_style_tag(content=_STYLE)
    yield page.locator(f'[id="cell-id={cell}"]')


@contextmanager
def _application(path: Path, page: Any, _: str) -> Iterator[Any]:
    """The notebook as Voila runs it, with a tab open that shows much."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        with voila(copy) as address:
            page.goto(address, timeout=_SECONDS)  # it runs the cells first
            tab = page.get_by_role("tab", name="Evaluate").first
            tab.wait_for(timeout=_SECONDS)
            tab.click()
            page.get_by_alt_text("ROC").first.wait_for(timeout=_SECONDS)
            page.wait_for_timeout(2000)
            page.add_style_tag(content=_STYLE)
            yield page.locator(".widget-tab, .jupyter-widget-tab").first


def _small(picture: bytes) -> bytes:
    """Reduce a picture to few colours."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("RGB")
    reduced = image.quantize(_COLORS, dither=Image.Dither.NONE)
    written = io.BytesIO()
    reduced.save(written, "PNG", optimize=True)
    return written.getvalue()


def main(names: list[str]) -> None:
    """Make the pictures of all notebooks, or of those that are named."""
    from playwright.sync_api import sync_playwright

    wanted = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if not names or path.stem in names]
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        for notebook in wanted:
            content = snapshot(notebook, browser)
            (FOLDER / f"{notebook.stem}.png").write_bytes(content)
            print(f"{notebook.stem}.png: {len(content) // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
