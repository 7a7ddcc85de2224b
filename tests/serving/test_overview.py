"""Pages about the server itself: status, and a home page that is safe to open."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests

from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import LABELS, Bundle
from tfaas_nb.serving import page
from tfaas_nb.serving.app import SERVER
from tfaas_nb.serving.machine import Machine
from tfaas_nb.serving.server import Server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("overview"), port=0, token=False) as server:
        server.client().upload(bundle)
        yield server


def page_of(server: Server) -> str:
    return requests.get(server.url, timeout=5).text


class Page(HTMLParser):
    """Its elements, and whether all are closed in order."""

    EMPTY = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


# --- status -----------------------------------------------------------------------------


def test_status_tells_of_requests(served: Server) -> None:
    before = requests.get(f"{served.url}/status", timeout=5).json()
    requests.get(f"{served.url}/nowhere", timeout=5)
    requests.post(f"{served.url}/json", b"{", timeout=5)
    after = requests.get(f"{served.url}/status", timeout=5).json()

    def grown(key: str) -> int:
        return int(after[key]) - int(before[key])

    assert (grown("requests"), grown("getRequests"), grown("postRequests")) == (3, 2, 1)
    assert grown("errors") == 2
    assert after["responses"]["4xx"] - before["responses"].get("4xx", 0) == 2
    assert after["responses"]["2xx"] - before["responses"]["2xx"] == 1


def test_status_tells_of_the_machine(served: Server) -> None:
    found = requests.get(f"{served.url}/status", timeout=5).json()
    assert found["server"] == SERVER
    assert (found["models"], found["loaded"], found["workers"]) == (["ttbar"], 1, 1)
    assert found["uptime"] >= 0
    assert found["cpu"]["cores"] >= 1
    assert found["cpu"]["percent"] >= 0
    memory = found["memory"]
    assert 0 < memory["rss"] < memory["total"]
    assert 0 < memory["available"] < memory["total"]
    assert len(found["load"]) == 3
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["tensorflow"] == sys.modules["tensorflow"].__version__
    assert f"tfaas_nb/{found['versions']['server']}" == SERVER


def test_processor_use_is_an_average_over_a_second_at_least() -> None:
    machine = Machine()
    first = machine.cpu()
    assert machine.cpu() == first
    assert machine.cpu_seconds() > 0


# --- the page ---------------------------------------------------------------------------


def test_the_page_is_whole_and_of_itself(served: Server) -> None:
    answer = requests.get(served.url, timeout=5)
    page = Page(answer.text)
    assert page.open == []
    tags = [tag for tag, _ in page.elements]
    assert tags.count("main") == tags.count("h1") == 1
    assert "script" not in tags
    links = [a.get("href") or a.get("src") for _, a in page.elements if "href" in a or "src" in a]
    assert links
    for link in links:
        assert link == "data:," or re.match(
            r"(models|status|metrics|openapi.json|netron/)", link or ""
        )
    assert ("html", {"lang": "en"}) in page.elements
    assert all(attrs.get("scope") == "col" for tag, attrs in page.elements if tag == "th")


def test_the_page_may_run_no_script_and_load_nothing(served: Server) -> None:
    answer = requests.get(served.url, timeout=5)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_links_lead_somewhere(served: Server) -> None:
    for link in re.findall(r'href="([a-z][^":]*)"', page_of(served)):
        target = f"{served.url}/{link.replace('&amp;', '&')}"
        assert requests.get(target, timeout=5).status_code == 200


def test_the_page_tells_of_a_model(served: Server) -> None:
    page = page_of(served)
    for text in (
        "ttbar (version 1)",
        "a test model",
        "Format: TensorFlow frozen graph",
        "Outputs: signal",
        "Inputs of ttbar",
        "Graph of ttbar",
        "curl -H &#x27;Content-Type: application/json&#x27; \\",
        "import requests",
        f"{served.url}/json",
    ):
        assert text in page


def test_with_a_token_there_are_no_links_that_would_fail(tmp_path: Path) -> None:
    with Server(tmp_path, port=0) as server:
        page = requests.get(f"{server.url}/?token={server.token}", timeout=5).text
        assert 'href="status"' not in page
        assert "GET /status" in page
        assert str(server.token) not in page


def test_inputs_without_names_are_asked_by_numbers(tmp_path: Path) -> None:
    params = json.dumps({"name": "sum"}).encode()
    with Server(tmp_path, port=0, token=False) as server:
        server.client().upload(Bundle.from_parts(params, serialized(weighted_sum)))
        requests.get(f"{server.url}/v2/models/sum", timeout=5)  # it is in memory from now on
        assert "{&quot;instances&quot;: [[0.0, 0.0, 0.0]]}" in page_of(server)
        server.stop().start()  # the model is not in memory now
        page = page_of(server)
        assert "Its inputs have no names" in page
        assert "GET /v2/models/sum" in page
        assert "Ask with" not in page
        assert requests.get(f"{server.url}/v2/models/sum", timeout=5).status_code == 200


def test_a_model_of_pictures_is_asked_by_a_form() -> None:
    model = {"name": "m", "description": "", "features": [], "takes_picture": True, "width": 9}
    shown = page.home([model], "http://h", token=False)
    assert "image=@picture.png" in shown
    assert "instances" not in shown


def test_labels_of_versions_are_shown() -> None:
    model = {"name": "m", "description": "", "features": [], "version": 3, "model": "model.onnx"}
    shown = page.home([model | {"version_labels": {"production": 2}}], "http://h", token=False)
    assert "Labels: production → 2" in shown
    assert "Format: ONNX" in shown
    assert "Labels" not in page.home([model], "http://h", token=False)


EVIL = "<script>alert(1)</script>\"'><img src=x>"


def test_nothing_an_uploader_wrote_acts_as_html(tmp_path: Path) -> None:
    features = [{"name": EVIL, "unit": EVIL}, "b", "c"]
    params = {"name": "evil", "description": EVIL, "features": features}
    uploaded = Bundle.from_parts(
        json.dumps(params).encode(), serialized(weighted_sum), EVIL.encode()
    )
    with Server(tmp_path, port=0, token=False) as server:
        server.client().upload(uploaded)
        page = page_of(server)
    assert page.count("&lt;script&gt;") == 6  # text, label, two examples, input and unit
    assert {tag for tag, _ in Page(page).elements}.isdisjoint({"script", "img"})


def test_a_model_without_labels_has_none_on_the_page(tmp_path: Path, bundle: Bundle) -> None:
    with Server(tmp_path, port=0, token=False) as server:
        server.client().upload(bundle)
        (server.service.repository.find("ttbar").path / LABELS).unlink()
        page = page_of(server)
        assert "ttbar (version 1)" in page
        assert "Outputs" not in page
