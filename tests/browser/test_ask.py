"""Fields, answers and messages on a real page, while threads are slow and processors are busy."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.process import voila
from tests.browser.window import Window
from tfaas_nb.bundle import Bundle

pytestmark = pytest.mark.endurance

#: Seconds by which each piece of work in a thread, and each change of a form, is late.
DELAY = 0.7
#: Programs beside that do nothing, as fast as they can.
LOOPS = 2

CELLS = (
    f"""import time
from functools import wraps
import numpy as np
import tfaas_nb as tn
from tfaas_nb.widgets.background import Background
from tfaas_nb.widgets.event_form import EventForm

def late(method):
    @wraps(method)
    def begun_late(*arguments):
        time.sleep({DELAY})
        return method(*arguments)
    return begun_late

Background._go = late(Background._go)
EventForm.use = late(EventForm.use)""",
    """server = tn.Server("models", port=0).start()
_ = server.client().upload(tn.Bundle.load("ttbar.tar.gz"))
data = tn.sample()[np.r_[0:500, 20_000:20_500]]""",
    """dashboard = tn.widgets.Dashboard(server, data)
dashboard""",
)


class Page:
    """The dashboard, as a person finds it."""

    def __init__(self, window: Window) -> None:
        self.window, self.page = window, window.page
        self.own = self.page.locator(".widget-tab").first

    def tab(self, name: str) -> None:
        self.own.get_by_role("tab", name=name, exact=True).click()

    def field(self, label: str) -> Locator:
        return self.own.get_by_label(label, exact=True).locator("visible=true").first

    def write(self, label: str, text: str) -> Locator:
        """Write into a field and leave it."""
        found = self.field(label)
        found.fill(text)
        found.press("Tab")
        return found

    def button(self, label: str) -> Locator:
        return self.own.get_by_role("button", name=label, exact=True).locator("visible=true").first

    def text(self, words: str | re.Pattern[str]) -> Locator:
        return self.own.get_by_text(words).locator("visible=true").first

    def seen(self, words: str | re.Pattern[str], seconds: float = 60.0) -> Locator:
        found = self.text(words)
        expect(found, self.own.inner_text()).to_be_visible(timeout=seconds * 1e3)
        return found

    def gone(self, words: str | re.Pattern[str]) -> None:
        expect(self.text(words)).to_have_count(0, timeout=60e3)

    def marked(self, *labels: str) -> None:
        for label in labels:
            field = self.field(label)
            expect(field).to_have_attribute("aria-invalid", "true", timeout=60e3)
            reason = self.page.locator(f'[id="{field.get_attribute("aria-describedby")}"]')
            expect(reason).to_contain_text("write ")

    def right(self, *labels: str) -> None:
        for label in labels:
            expect(self.field(label)).to_have_attribute("aria-invalid", "false", timeout=60e3)


@pytest.fixture(scope="module")
def busy() -> Iterator[None]:
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(LOOPS)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


@pytest.fixture(scope="module")
def opened(
    open_window: Callable[[], Window], tmp_path_factory: pytest.TempPathFactory, bundle: Bundle
) -> Iterator[Page]:
    import nbformat  # which takes seconds

    folder = tmp_path_factory.mktemp("ask")
    bundle.save_archive(folder)
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, folder / "ask.ipynb")
    window = open_window()
    with voila(folder / "ask.ipynb") as address:
        window.open_in_voila(address)
        found = Page(window)
        found.own.wait_for(timeout=180e3)
        yield found


@pytest.fixture
def page(opened: Page, busy: None) -> Iterator[Page]:
    yield opened
    assert opened.window.errors == []


def test_a_bad_setting_is_marked_and_no_training_begins(page: Page) -> None:
    page.tab("Train")
    page.write("Learning rate", "-1")
    page.write("Epochs", "")
    page.button("Start training").click()
    page.seen(
        "Error: Epochs: nothing is written here: write a whole number from 1 to 1000; "
        "Learning rate: -1 is not allowed: write a number from 1e-06 to 1"
    )
    page.marked("Learning rate", "Epochs")
    page.window.screenshot("voila-marked-settings")
    assert page.field("Learning rate").input_value() == "-1"
    assert page.field("Epochs").input_value() == ""
    expect(page.button("Start training")).to_be_enabled()
    page.write("Learning rate", "0.005")
    page.seen("Error: Epochs: nothing is written here")
    page.write("Epochs", "1")
    page.right("Learning rate", "Epochs")
    page.gone(re.compile("^Error:"))


def test_an_event_that_cannot_be_is_marked_and_not_asked(
    page: Page,
) -> None:
    page.tab("Ask")
    page.write("Event", "17")
    pt = page.field("jetPt_0 [GeV]")
    bad = {"jetPt_0 [GeV]": "-50", "nJets": "2.7", "jetEta_0": "", "Number of jets": "9"}
    page.seen("Ask for the score: it is shown here")
    page.button("Ask for the score").click()
    page.seen(re.compile(r"^Score of ttbar: [\d.]+$"))
    right = {label: page.field(label).input_value() for label in bad}
    for label, text in bad.items():
        page.write(label, text)
    page.marked(*bad)
    expect(page.field("Event")).to_have_value("", timeout=60e3)
    page.gone(re.compile("^Score of"))
    page.button("Ask for the score").click()
    page.seen(re.compile(r"^Error: Number of jets: 9 is not allowed.*nJets: 2\.7 is no whole"))
    page.own.evaluate("(it) => it.scrollIntoView({block: 'start'})")
    page.window.screenshot("voila-marked-event")
    assert pt.input_value() == "-50"
    for label, text in right.items():
        page.write(label, text)
    page.right(*bad)
    page.gone(re.compile("^Error:"))
    page.write("Event", "99999")
    page.marked("Event")
    page.button("Ask for the score").click()
    page.seen("Error: Event: 99999 is not allowed: write a whole number from 0 to 999")
    assert page.field("Event").input_value() == "99999"
    page.write("Event", "5")
    page.right("Event")
    page.gone(re.compile("^Error:"))


def test_an_answer_and_typed_values_outlive_new_models(
    page: Page, bundle: Bundle, tmp_path: Path
) -> None:
    page.tab("Ask")
    page.write("Event", "3")
    page.write("jetPt_0 [GeV]", "512.5")
    expect(page.field("Event")).to_have_value("", timeout=60e3)
    page.write("Signal if the score is at least", "0.91")
    page.button("Ask for the score").click()
    score = page.seen(re.compile(r"^Score of ttbar: [\d.]+$")).text_content()
    page.button("Refresh models").click()
    page.page.wait_for_timeout(2e3 * DELAY)
    page.seen(score or "", 1)
    assert page.field("jetPt_0 [GeV]").input_value() == "512.5"
    assert page.field("Event").input_value() == ""

    archive = bundle.save_archive(tmp_path / "another.tar.gz")
    page.tab("Serve")
    page.write("Or a path on the kernel's machine", str(archive))
    page.button("Read the path").click()
    page.seen("can be served: check the name and send it", 120)
    send(page, "another")
    expect(page.field("Model")).to_have_value("another", timeout=120e3)
    page.seen(score or "", 1)
    page.seen("It was asked before, of this model", 1)
    assert page.field("jetPt_0 [GeV]").input_value() == "512.5"
    assert page.field("Signal if the score is at least").input_value() == "0.5"
    page.field("Model").select_option("ttbar")
    expect(page.field("Signal if the score is at least")).to_have_value("0.91", timeout=60e3)
    assert page.field("jetPt_0 [GeV]").input_value() == "512.5"
    send(page, "third")
    page.write("nLeptons", "1")  # while the model is on its way, in a thread
    expect(page.field("Model")).to_have_value("third", timeout=120e3)
    expect(page.field("nLeptons")).to_have_value("1")
    expect(page.field("jetPt_0 [GeV]")).to_have_value("512.5")


def send(page: Page, name: str) -> None:
    """Send the model that was read under a name, and go back to ask."""
    page.tab("Serve")
    page.write("Model name", name)
    page.button("Send to the server").click()
    page.tab("Ask")


def test_evaluating_the_servers_models_keeps_the_curves_of_the_training(page: Page) -> None:
    page.tab("Train")
    page.write("Epochs", "1")
    page.button("Start training").click()
    page.seen("Trained for 1 epoch", 300)
    page.write("Model name", "mine")
    page.button("Send to the server").click()
    page.seen("The server now serves 'mine', version 1.", 180)
    page.tab("Evaluate")
    expect(page.field("Working point of")).to_have_value("mine", timeout=60e3)
    compared = page.seen(re.compile("Kolmogorov")).text_content()
    page.button("Evaluate the server's models").click()
    told = page.seen(re.compile(r"models of the server scored \d+ events"), 180)
    page.seen(compared or "")
    expect(page.field("Working point of")).to_have_value("mine")
    assert page.own.get_by_label("Scores of training events").is_checked()
    button, message = (
        page.button("Evaluate the server's models").bounding_box(),
        told.bounding_box(),
    )
    assert button is not None
    assert message is not None
    assert 0 <= message["y"] - (button["y"] + button["height"]) < 40
    page.own.evaluate("(it) => it.scrollIntoView({block: 'start'})")
    page.window.screenshot("voila-evaluated")
