"""From files to an answer in a browser, on JupyterLab and on Voila, by clicks and keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tfaas_nb as tn
from tests.browser.conftest import Opened, told
from tests.browser.process import jupyterlab, voila
from tests.browser.window import SIZES, Window
from tfaas_nb.widgets.dashboard import TITLES

pytestmark = pytest.mark.slow

CUT = "jetPt_0 > 800"
CELL = """import json
from pathlib import Path
import tfaas_nb as tn
server = tn.Server("models", port=0).start()
_ = Path("server.json").write_text(json.dumps([server.url, server.token]))
dashboard = tn.widgets.Dashboard(server)
dashboard"""


@pytest.fixture(params=["lab", "voila"])
def page(
    request: pytest.FixtureRequest, open_window: Callable[[], Window], tmp_path: Path
) -> Iterator[Opened]:
    """The dashboard, and a server that runs, on one of the two."""
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": "dashboard",
                "source": CELL,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = tmp_path / "dashboard.ipynb"
    path.write_text(json.dumps(notebook))
    window = open_window()
    with jupyterlab(tmp_path) if request.param == "lab" else voila(path) as address:
        if request.param == "lab":
            window.open_in_lab(address, path.name)
        else:
            window.open_in_voila(address)
        window.wait_for("Use the packaged sample", 120)
        yield told(Opened(window, tmp_path, address))
    assert window.errors == []


def test_from_files_to_a_score(page: Opened, request: pytest.FixtureRequest) -> None:
    window, place = page.window, request.node.callspec.params["page"]

    def pictured(tab: str) -> None:
        for name, (width, height) in SIZES.items():
            window.page.set_viewport_size({"width": width, "height": height})
            window.page.wait_for_timeout(300)
            window.screenshot(f"{place}-{tab}-{name}")
            assert cut_or_nameless(window) == []
        window.page.set_viewport_size({"width": 1280, "height": 800})

    window.button("Use the packaged sample").press("Enter")
    selection = window.page.get_by_label("Selection")
    selection.fill("jetPt_0 >> 800")
    window.wait_for("at character 1: not allowed in an expression")
    selection.fill(CUT)
    data = tn.load(*tn.sample_files(), cut=CUT, progress=False)
    window.page.get_by_role("cell", name=str(len(data.signal)), exact=True).wait_for()
    window.button("Load events").press("Enter")
    window.wait_for(f"{len(data)} events loaded")
    window.page.get_by_alt_text("nJets: signal against background").wait_for()
    pictured("data")

    window.page.get_by_role("tab", name="Data").focus()
    for _ in range(TITLES.index("Train")):
        window.page.keyboard.press("ArrowRight")
    window.page.keyboard.press("Enter")
    epochs = window.page.get_by_label("Epochs", exact=True)
    epochs.fill("3")
    epochs.press("Tab")
    window.button("Start training").press("Enter")
    window.wait_for("Trained for 3 epochs", 120)
    window.page.get_by_label("Show all settings").check()
    pictured("train")
    window.button("Send to the server").first.press("Enter")
    window.wait_for("The server now serves 'ttbar', version 1.")

    window.page.get_by_role("tab", name="Evaluate").click()
    number = window.page.get_by_label("ε_S as a number")
    number.fill("0.8")
    number.press("Tab")
    window.page.get_by_text(re.compile(r"^0\.80\d* ± ")).first.wait_for()
    pictured("evaluate")

    window.page.get_by_role("tab", name="Serve").click()
    pictured("serve")

    window.page.get_by_role("tab", name="Ask").click()
    window.button("Ask for the score").press("Enter")
    seen = window.page.get_by_text(re.compile(r"^Score of ttbar: [\d.]+$")).first
    seen.wait_for()
    score = float((seen.text_content() or "").split(": ")[1])
    assert score == pytest.approx(page.client.predict("ttbar", data.event(0)), abs=1e-6)
    pictured("ask")


def cut_or_nameless(window: Window) -> list[str]:
    """Controls that are seen and reach beyond the page, or that have no name."""
    found: list[str] = window.page.evaluate(
        """() => [...document.querySelectorAll(
            ".jupyter-widgets button, .jupyter-widgets input, .jupyter-widgets select")]
            .filter((it) => it.offsetParent !== null)
            .filter((it) => it.getBoundingClientRect().right > window.innerWidth
                || !(it.textContent.trim() || it.getAttribute("aria-label")
                     || it.labels?.[0]?.textContent.trim() || it.type === "file"))
            .map((it) => it.outerHTML)"""
    )
    return found
