"""The notebook of the dashboard in a browser, on JupyterLab and on Voila: from files to a score."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import TimeoutError as PlaywrightTimeout

import tfaas_nb as tn
from tests.browser.conftest import Opened
from tests.browser.process import jupyterlab, voila
from tests.browser.window import SCREENSHOTS, SIZES, Window
from tests.jupyter import ROOT
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.widgets.dashboard import TITLES

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "notebooks" / "3-dashboard.ipynb"
#: What the tests show besides: each object that a cell may end with.
SHOWN = ("data", "train.result", "evaluation", "train.bundle", "dashboard.server",
         "dashboard.server.client()")  # fmt: skip
CUT = "jetPt_0 > 800"


class Shown:
    """The dashboard on a page, and what the test knows of it.

    Parameters
    ----------
    opened : Opened
        The notebook.
    place : str
        ``"lab"`` or ``"voila"``.
    """

    def __init__(self, opened: Opened, place: str) -> None:
        self.window, self.folder, self.place = opened.window, opened.folder, place
        self.page = opened.window.page
        self.own = self.page.locator(".widget-tab").first

    def tab(self, name: str) -> None:
        self.own.get_by_role("tab", name=name, exact=True).click()

    def button(self, label: str) -> Any:
        return self.own.get_by_role("button", name=label, exact=True).locator("visible=true").first

    def field(self, label: str) -> Any:
        return self.own.get_by_label(label, exact=True).locator("visible=true").first

    def text(self, text: str | re.Pattern[str], seconds: float = 30.0) -> str:
        """The text of the first element that has it, when it is seen."""
        found = self.own.get_by_text(text).locator("visible=true").first
        try:
            found.wait_for(timeout=seconds * 1e3)
        except PlaywrightTimeout as error:
            raise AssertionError(f"{text} is not in: {self.own.inner_text()}") from error
        return found.text_content() or ""

    def client(self) -> tn.Client:
        """Asks the server at the address that the page shows, with the token that it copies."""
        self.tab("Serve")
        url = self.text(re.compile(r"^http://127\.0\.0\.1:\d+$"))
        self.button("Copy: Token for requests").click()
        self.text("copied")
        token = self.page.evaluate("navigator.clipboard.readText()")
        return tn.Client(url, token=token)


@pytest.fixture(scope="module", params=["lab", "voila"])
def shown(
    request: pytest.FixtureRequest,
    open_window: Callable[[], Window],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shown]:
    """The notebook, run by one of the two in a folder of its own."""
    import nbformat  # which takes seconds

    folder = tmp_path_factory.mktemp(request.param)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in SHOWN]
    path = folder / NOTEBOOK.name
    nbformat.write(notebook, path)
    window = open_window()
    with jupyterlab(folder) if request.param == "lab" else voila(path) as address:
        if request.param == "lab":
            window.open_in_lab(address, path.name)
        else:
            window.open_in_voila(address)
        found = Shown(Opened(window, folder, address), request.param)
        found.own.wait_for(timeout=120e3)
        yield found


@pytest.fixture
def dashboard(shown: Shown) -> Iterator[Shown]:
    yield shown
    assert shown.window.errors == []


@pytest.mark.endurance
def test_each_tab_is_seen_whole(dashboard: Shown) -> None:
    for tab in TITLES:
        dashboard.tab(tab)
        if tab == "Ask":
            dashboard.button("Ask for the score").press("Enter")
            dashboard.text(re.compile("^What each feature contributes"))
        pictured(dashboard, tab)


def test_from_files_to_a_score(
    dashboard: Shown, bundle: Bundle, classifier: Classifier, large_file: Path
) -> None:
    """Load, train, serve, upload, ask, move the working point, and be told what is wrong."""
    data = tn.load(*tn.sample_files(), cut=CUT, progress=False)
    load(dashboard, data)
    train(dashboard)
    client = dashboard.client()
    assert client.params("mine")["version"] == 1

    upload(dashboard, bundle)
    score = ask(dashboard, "clicked", data, 3)
    assert score == pytest.approx(classifier.predict(data.event(3)), abs=1e-6)
    assert score == pytest.approx(client.predict("clicked", data.event(3)), abs=1e-6)

    cut = move_the_working_point(dashboard)
    score = ask(dashboard, "mine", data, 5)
    assert score == pytest.approx(client.predict("mine", data.event(5)), abs=1e-6)
    decided = "signal" if score >= cut else "background"
    told = dashboard.page.locator(".widget-html-content", has_text="Decision:").first.inner_text()
    assert f"Decision: {decided}, because the score is" in told
    assert f"{cut:.4g}" in told

    change_model_quickly(dashboard)
    send_a_large_file(dashboard, large_file, client)
    stop_while_it_is_asked(dashboard)


def load(dashboard: Shown, data: Dataset) -> None:
    dashboard.tab("Data")
    dashboard.field("Signal files").fill("/nowhere/at.all.root")
    dashboard.text("Error: /nowhere/at.all.root does not exist, nor does its folder")
    dashboard.button("Use the packaged sample").press("Enter")
    selection = dashboard.field("Selection")
    selection.fill("jetPt_0 >> 800")
    dashboard.text("at character 1: not allowed in an expression")
    selection.fill(CUT)
    dashboard.own.get_by_role("cell", name=str(len(data.signal)), exact=True).first.wait_for()
    dashboard.button("Load events").press("Enter")
    dashboard.text(f"{len(data)} events loaded")
    dashboard.own.get_by_alt_text("nJets: signal against background").wait_for()


def train(dashboard: Shown) -> None:
    dashboard.tab("Train")
    dashboard.text("To train on: 659 signal and 453 background events.")
    epochs = dashboard.field("Epochs")
    epochs.fill("3")
    epochs.press("Tab")
    dashboard.button("Start training").press("Enter")
    dashboard.text("Trained for 3 epochs", 120)
    name = dashboard.field("Model name")
    name.fill("mine")
    name.press("Tab")
    dashboard.button("Send to the server").press("Enter")
    dashboard.text("The server now serves 'mine', version 1.", 60)


def upload(dashboard: Shown, bundle: Bundle) -> None:
    dashboard.tab("Serve")
    broken = dashboard.folder / "broken.tar.gz"
    broken.write_bytes(bundle.archive()[:5000])
    choose(dashboard, broken)
    dashboard.own.get_by_role("alert").filter(has_text="broken").first.wait_for()
    assert dashboard.button("Send to the server").is_disabled()
    choose(dashboard, bundle.save_archive(dashboard.folder / "chosen.tar.gz"))
    dashboard.text("chosen.tar.gz can be served", 60)
    name = dashboard.field("Model name")
    name.fill("clicked")
    name.press("Tab")
    dashboard.button("Send to the server").click()
    dashboard.text("The server now serves 'clicked', version 1.", 60)


def ask(dashboard: Shown, model: str, data: Dataset, event: int) -> float:
    """The score that the page shows."""
    dashboard.tab("Ask")
    dashboard.field("Model").select_option(model)
    position = dashboard.field("Event")
    position.fill(str(event))
    position.press("Tab")
    # The kernel fills the form: what is asked for is what is seen.
    pt = data.event(event)["jetPt_0"]
    until(lambda: abs(float(dashboard.field("jetPt_0 [GeV]").input_value()) - pt) < 0.1)
    dashboard.button("Ask for the score").press("Enter")
    told = dashboard.text(re.compile(rf"^Score of {model}: [\d.]+$"))
    return float(told.split(": ")[1])


def move_the_working_point(dashboard: Shown) -> float:
    """Drag it, then type it; the cut that the page shows."""
    dashboard.tab("Evaluate")
    dashboard.field("Working point of").select_option("mine")
    handle = dashboard.own.locator(".noUi-handle").first
    box = handle.bounding_box()
    before = dashboard.field("ε_S as a number").input_value()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    dashboard.page.mouse.move(x, y)
    dashboard.page.mouse.down()
    dashboard.page.mouse.move(x + 40, y, steps=4)
    dashboard.page.mouse.up()
    until(lambda: dashboard.field("ε_S as a number").input_value() != before)
    dashboard.page.wait_for_timeout(500)  # for what the kernel still says of points on the way
    number = dashboard.field("ε_S as a number")
    assert float(number.input_value()) > float(before)
    number.fill("0.8")
    number.press("Tab")
    dashboard.text(re.compile(r"^0\.80?\d* \(chosen\)"))
    return float(dashboard.field("or cut on the score at").input_value())


def change_model_quickly(dashboard: Shown) -> None:
    """Faster than the page makes fields for each."""
    dashboard.tab("Ask")
    for model in ("mine", "clicked") * 5:
        dashboard.field("Model").select_option(model)
    # ipywidgets keeps a control's next change back until the kernel has done the one before: a
    # click overtakes it, and the change then takes the answer away.  Who sees none clicks again.
    for _ in range(10):
        dashboard.button("Ask for the score").press("Enter")
        with suppress(AssertionError):
            dashboard.text(re.compile(r"^Score of clicked: [\d.]+$"), 5)
            return
    dashboard.text(re.compile(r"^Score of clicked: [\d.]+$"))


def send_a_large_file(dashboard: Shown, large_file: Path, client: tn.Client) -> None:
    dashboard.tab("Serve")
    choose(dashboard, large_file)
    dashboard.text("of 204.0 MB (", 1.0)
    dashboard.button("Cancel").click()
    dashboard.text("large.pb: cancelled, nothing was kept.")
    if dashboard.place == "lab":  # where test_upload.py sends it whole
        return
    choose(dashboard, large_file)
    dashboard.text("large.pb can be served", 180)
    dashboard.button("Send to the server").click()
    dashboard.text("The server now serves 'large', version 1", 180)
    assert "large" in client.status()["models"]
    dashboard.tab("Ask")  # where what was sent is chosen
    until(lambda: dashboard.field("Model").input_value() == "large")


def stop_while_it_is_asked(dashboard: Shown) -> None:
    dashboard.tab("Ask")
    dashboard.field("Model").select_option("mine")
    dashboard.field("jetPt_0 [GeV]").wait_for()
    dashboard.tab("Serve")
    dashboard.button("Stop server").click()
    dashboard.text("The server is not running.")
    dashboard.tab("Ask")
    dashboard.button("Ask for the score").press("Enter")
    dashboard.text("Error: the server is not running: start it first")
    dashboard.tab("Serve")
    dashboard.button("Start server").click()
    dashboard.text("The server is running in this kernel.")
    assert "Traceback" not in dashboard.page.inner_text("body")


def test_keys_alone_lead_to_a_score(dashboard: Shown) -> None:
    """Arrows from tab to tab, Tab from control to control, Enter and Space to press."""
    window, keys = dashboard.window, dashboard.page.keyboard
    dashboard.tab("Data")
    dashboard.own.get_by_role("tab", name="Data", exact=True).focus()
    for _ in range(TITLES.index("Ask")):
        keys.press("ArrowRight")
    keys.press("Enter")
    dashboard.button("Ask for the score").wait_for()
    window.walk_to("Event")
    keys.press("Control+a")
    keys.type("7")
    window.walk_to("Ask for the score")
    before = dashboard.field("Event").input_value()
    keys.press("Space")
    dashboard.text(re.compile(r"^Score of \w+: [\d.]+$"))
    assert before == "7"


@pytest.mark.endurance
def test_texts_are_readable_in_both_themes(dashboard: Shown) -> None:
    import nbformat

    if dashboard.place == "voila":
        assert dashboard.window.unreadable_texts() == []
        return
    window, page = dashboard.window, dashboard.page
    cells = len(nbformat.read(NOTEBOOK, as_version=4).cells)
    for theme in ("Dark", "Light"):
        window.theme(f"JupyterLab {theme}")
        for number, source in enumerate(SHOWN):
            window.scroll_to(cells + number)
            page.wait_for_timeout(200)
            assert window.unreadable_texts() == [], (theme, source)
            if number in (0, 3):
                window.screenshot(f"lab-{theme.lower()}-{source}")
        window.scroll_to(3)
        for tab in TITLES:
            dashboard.tab(tab)
            page.wait_for_timeout(200)
            assert window.unreadable_texts() == [], (theme, tab)
            window.screenshot(f"lab-{theme.lower()}-{tab}")


def pictured(dashboard: Shown, tab: str) -> None:
    """Keep what is seen of a tab, in both sizes and as a whole; nothing may be cut."""
    window = dashboard.window
    for name, (width, height) in SIZES.items():
        window.page.set_viewport_size({"width": width, "height": height})
        dashboard.own.evaluate("(it) => it.scrollIntoView({block: 'start'})")
        window.page.wait_for_timeout(300)
        window.screenshot(f"{dashboard.place}-{tab}-{name}")
        assert window.cut_controls() == []
        assert window.overfull_panels() == []
        assert window.overlapping_controls() == []
        assert window.nameless_controls() == []
    window.page.set_viewport_size({"width": 1280, "height": 2000})
    window.page.wait_for_timeout(300)
    if dashboard.place == "voila":
        for_the_readme(dashboard, tab)
    window.page.set_viewport_size({"width": 1280, "height": 800})


def for_the_readme(dashboard: Shown, tab: str) -> None:
    """All of a tab, in few colours: a picture that a README can show."""
    path = SCREENSHOTS / f"dashboard-{tab.lower()}.png"
    # Where this machine has the package is nobody's business.
    dashboard.own.evaluate(
        """(it) => it.querySelectorAll("input[type=text]").forEach((field) => {
            field.value = field.value.replace(/^\\/.*(?=\\/tfaas_nb\\/)/, "…");
        })"""
    )
    dashboard.own.screenshot(path=path)
    with Image.open(path) as whole:
        few = whole.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    assert path.stat().st_size < 150_000


def choose(dashboard: Shown, path: Path) -> None:
    with dashboard.page.expect_file_chooser() as chooser:
        dashboard.button("Choose a model's files").click()
    chooser.value.set_files(path)


def until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)
