"""Models come from a person's machine through a real page to a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import Opened
from tests.browser.window import SIZES
from tests.graphs import serialized
from tests.large_model import weights
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset

pytestmark = pytest.mark.endurance

CHOOSE = "Choose a model's files"
SEND = "Send to the server"


@pytest.fixture(params=["lab", "application", "notebook7", "classic"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Open the notebook in JupyterLab, in Voila, in Notebook 7 and in the classic Notebook."""
    found: Opened = request.getfixturevalue(request.param)
    yield found
    assert found.window.errors == []


@pytest.fixture
def page(lab: Opened) -> Iterator[Opened]:
    yield lab
    assert lab.window.errors == []


def test_a_bundle_chosen_by_click_gives_the_scores_of_python(
    opened: Opened,
    bundle: Bundle,
    classifier: Classifier,
    events: Dataset,
    request: pytest.FixtureRequest,
) -> None:
    window = opened.window
    window.choose(CHOOSE, bundle.save_archive(opened.folder / "ttbar.tar.gz"))
    window.wait_for("ttbar.tar.gz: arrived")
    window.wait_for("ttbar.tar.gz can be served")
    window.wait_for("42: nJets, nLeptons")
    for size, (width, height) in SIZES.items():
        window.page.set_viewport_size({"width": width, "height": height})
        window.button(SEND).scroll_into_view_if_needed()
        window.screenshot(f"upload-{request.node.callspec.id}-{size}")
        assert window.cut_controls() == []
    window.page.set_viewport_size({"width": 1280, "height": 800})
    window.page.get_by_label("Model name").fill("clicked")
    window.button(SEND).click()
    window.wait_for("now serves 'clicked', version 1")
    served = opened.client.predict("clicked", events)
    assert np.abs(served - classifier.predict(events)).max() < 1e-6


def test_the_files_of_a_model_are_chosen_together(page: Opened, bundle: Bundle) -> None:
    folder = bundle.renamed("together").save(page.folder)
    page.window.choose(CHOOSE, sorted(folder.iterdir()))
    page.window.wait_for(
        "model.pb.txt, model_card.json, params.json, reference_events.json can be served"
    )
    page.window.button(SEND).click()
    page.window.wait_for("now serves 'together'")
    assert page.client.params("together")["description"] == "a test model"


def test_a_file_is_dropped(page: Opened, bundle: Bundle) -> None:
    page.window.drop(".tfaas-nb-drop", "dropped.pb", bundle.graph.serialized)
    page.window.wait_for("dropped.pb can be served")
    assert page.window.page.get_by_label("Model name").input_value() == "dropped"


def test_what_cannot_be_served_is_told_in_words(page: Opened) -> None:
    hostile = serialized(lambda tf: tf.io.read_file(tf.constant("/etc/passwd"), name="y"))
    for name, content, words in (
        ("garbage.pb", b"\n\xffgarbage", "not a TensorFlow GraphDef"),
        ("hostile.pb", hostile, "ReadFile"),
        ("notes.docx", b"PK", "notes.docx is no model: choose one file ending in .pb"),
    ):
        path = page.folder / name
        path.write_bytes(content)
        page.window.choose(CHOOSE, path)
        alert = page.window.page.get_by_role("alert").filter(has_text=words)
        alert.wait_for(timeout=15e3)
        assert page.window.button(SEND).is_disabled()
    assert "Traceback" not in page.window.page.inner_text("body")


def test_a_file_that_is_too_large_is_told_at_once(page: Opened) -> None:
    path = page.folder / "huge.pb"
    with path.open("wb") as huge:
        huge.truncate(700_000_000)
    page.window.choose(CHOOSE, path)
    page.window.wait_for("huge.pb: 700.0 MB are too much", seconds=1.0)


def test_a_model_of_200_mb_is_served_and_one_that_is_cancelled_leaves_nothing(
    page: Opened, large_file: Path
) -> None:
    window = page.window
    window.choose(CHOOSE, large_file)
    window.wait_for("of 204.0 MB (")
    window.button("Cancel").click()
    window.wait_for("large.pb: cancelled, nothing was kept.")
    window.choose(CHOOSE, large_file)
    window.wait_for("large.pb: arrived, 204.0 MB.", seconds=120)
    window.wait_for("large.pb can be served", seconds=120)
    window.button(SEND).click()
    window.wait_for("now serves 'large', version 1", seconds=180)
    score = page.client.predict("large", [1.0, 2.0, 3.0])
    assert score == pytest.approx(weights()[:, 5] @ np.array([1.0, 2.0, 3.0], np.float32))


def test_everything_is_done_by_keyboard(page: Opened, bundle: Bundle) -> None:
    window, keys = page.window, page.window.page.keyboard
    path = bundle.save_archive(page.folder / "keys.tar.gz")
    # JupyterLab takes the focus when it has run the cells; pressing takes it back.
    with window.page.expect_file_chooser() as chooser:
        window.button(CHOOSE).press("Enter")
    chooser.value.set_files(path)
    window.wait_for("keys.tar.gz can be served")
    window.button(CHOOSE).focus()
    for label in ("Or a path on the kernel's machine", "Read the path", "Model name"):
        keys.press("Tab")
        assert window.focused() == label
    keys.press("Control+a")
    keys.type("typed")
    keys.press("Tab")
    assert window.focused() == SEND
    keys.press("Space")
    window.wait_for("now serves 'typed'")
    assert "typed" in page.client.status()["models"]


def test_a_page_that_is_not_secure_sends_without_hashes(
    lab: Opened, open_window: object, bundle: Bundle
) -> None:
    window = open_window()  # type: ignore[operator]
    window.open_in_lab(lab.address.replace("127.0.0.1", "lab.example"), "alone.ipynb")
    window.wait_for("or drop files here")
    assert not window.page.evaluate("window.isSecureContext")
    window.choose(CHOOSE, bundle.save_archive(lab.folder / "open.tar.gz"))
    window.wait_for("open.tar.gz can be served")
    assert window.errors == []
    window.page.close()


def test_a_cell_that_is_run_again_begins_anew(page: Opened, large_file: Path) -> None:
    page.window.choose(CHOOSE, large_file)
    page.window.wait_for("of 204.0 MB (")
    page.window.run(2)
    page.window.page.get_by_text("of 204.0 MB (").wait_for(state="detached")
    page.window.wait_for("or drop files here")
    time.sleep(1)  # for what the former page might still say
    assert page.window.page.get_by_role("alert").count() == 0
