"""The server's panel on a real page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.browser.conftest import Opened, told
from tests.browser.window import SIZES
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset

pytestmark = pytest.mark.endurance


@pytest.fixture
def page(lab: Opened) -> Iterator[Opened]:
    yield lab
    assert lab.window.errors == []


def test_token_and_addresses_are_copied(page: Opened) -> None:
    window, client = page.window, page.client
    window.button("Copy: Token for requests").click()
    window.wait_for("copied")
    token = window.page.evaluate("navigator.clipboard.readText()")
    assert requests.get(f"{client.url}/status?token={token}", timeout=10).status_code == 200
    assert token not in window.page.content()
    window.button("Copy: Address for code on this machine").press("Enter")
    window.page.wait_for_function(
        "async (url) => (await navigator.clipboard.readText()) === url", arg=client.url
    )


def test_the_proxied_address_leads_to_the_server(page: Opened) -> None:
    window = page.window
    window.button("Copy: Address for this browser (jupyter-server-proxy)").click()
    window.page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).includes('/proxy/')"
    )
    url = window.page.evaluate("navigator.clipboard.readText()")
    found = window.page.context.request.get(f"{url}health")
    assert found.json() == {"status": "ok"}


def test_the_pace_is_that_of_the_requests(page: Opened, bundle: Bundle, events: Dataset) -> None:
    client = page.client
    client.upload(bundle, "paced")
    for _ in range(50):
        client.predict("paced", events.event(0))
    shown = page.window.page.get_by_text(re.compile(r"Requests: \d+\.\d per second, half of them"))
    shown.wait_for(timeout=10e3)


def test_a_model_is_deleted_when_it_is_confirmed(page: Opened, bundle: Bundle) -> None:
    window, client = page.window, page.client
    client.upload(bundle, "unwanted")
    window.button("Refresh models").click()
    window.page.get_by_label("Model", exact=True).select_option("unwanted")
    window.button("Delete …").click()
    window.wait_for("with all its versions? It does not come back.")
    window.button("No, keep").click()
    window.button("Yes, delete").wait_for(state="hidden")
    assert "unwanted" in client.status()["models"]
    window.button("Delete …").click()
    window.button("Yes, delete").click()
    window.wait_for("'unwanted' is deleted.")
    assert "unwanted" not in client.status()["models"]


@pytest.mark.parametrize("size", SIZES)
def test_every_control_is_seen_whole(page: Opened, size: str) -> None:
    window = page.window
    width, height = SIZES[size]
    window.page.set_viewport_size({"width": width, "height": height})
    window.button("Refresh models").scroll_into_view_if_needed()
    window.screenshot(f"server-{size}", ".jp-Cell:nth-of-type(2) .jp-OutputArea")
    window.screenshot(f"lab-{size}")
    assert window.cut_controls() == []
    window.page.set_viewport_size({"width": 1280, "height": 800})


def test_every_control_has_a_name(page: Opened) -> None:
    assert page.window.nameless_controls() == []


def test_stopping_and_starting_by_click(page: Opened) -> None:
    window = page.window
    window.button("Stop server").click()
    window.wait_for("The server is not running.")
    assert window.button("Copy: Token for requests").count() == 0
    window.button("Start server").click()
    window.wait_for("The server is running in this kernel.")
    (page.folder / "server.json").unlink()
    window.run(3)  # tells where it is now
    assert "server" in told(page).client.status()
