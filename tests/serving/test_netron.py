"""Netron's page, scripts and graphs over HTTP, with and without a token."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests

from tfaas_nb.bundle import Bundle
from tfaas_nb.serving import netron
from tfaas_nb.serving.messages import Head
from tfaas_nb.serving.server import Server

TOKEN = "secret"
KEY = netron.key(TOKEN)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("guarded"), port=0, token=TOKEN) as server:
        server.client().upload(bundle)
        yield server


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("open"), port=0, token=False) as server:
        server.client().upload(bundle)
        yield server


@pytest.fixture(params=["guarded", "open_to_all"])
def root(request: pytest.FixtureRequest) -> str:
    """Address of Netron's page, by a key or without one."""
    server: Server = request.getfixturevalue(request.param)
    return f"{server.url}/netron/k/{KEY}/" if server.token else f"{server.url}/netron/"


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=5, allow_redirects=False)


def asked_raw(server: Server, path: str) -> requests.Response:
    """Without `requests` tidying the path up."""
    request = requests.Request("GET", server.url).prepare()
    request.url = server.url + path
    with requests.Session() as session:
        return session.send(request, timeout=5, allow_redirects=False)


@pytest.mark.slow
def test_the_home_page_leads_to_the_graph(
    guarded: Server, open_to_all: Server, bundle: Bundle
) -> None:
    """By relative links alone, since a proxy may put a prefix before them."""
    for server, query in ((guarded, f"?token={TOKEN}"), (open_to_all, "")):
        home = f"{server.url}/{query}"
        (link,) = re.findall(r'href="(netron/[^"]+)"', get(home).text)
        page = urljoin(home, html.unescape(link))
        assert "<title>Netron</title>" in get(page).text
        asked = parse_qs(urlsplit(page).query)
        assert asked["identifier"] == ["ttbar.pb"]
        graph = get(urljoin(page, asked["url"][0]))
        assert graph.content == bundle.graph.serialized
        assert graph.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("", "text/html; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("index.js", "text/javascript; charset=utf-8"),
        ("tf.js", "text/javascript; charset=utf-8"),
        ("without-cookies.js", "text/javascript; charset=utf-8"),
        ("grapher.css", "text/css; charset=utf-8"),
        ("tf-metadata.json?version=1", "application/json"),
        ("icon.png", "image/png"),
        ("favicon.ico", "image/x-icon"),
    ],
)
def test_files_have_their_types_and_reach_nothing_else(
    root: str, file: str, content_type: str
) -> None:
    answer = get(root + file)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert answer.content
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_every_script_that_the_page_names_is_there(root: str) -> None:
    page = get(root).text
    scripts = re.findall(r'<script[^>]*src="([^"]+)"', page)
    assert scripts[0] == "without-cookies.js"
    for file in scripts + re.findall(r'<link[^>]*href="([^"]+)"', page):
        assert get(urljoin(root, file)).status_code == 200


def test_the_page_neither_reports_nor_grows_old(root: str) -> None:
    page = get(root).text
    assert re.findall(r'<meta name="version" content="(.*?)"', page) == ["0.0.0"]
    assert '<meta name="date"' not in page
    assert "consent" in get(f"{root}without-cookies.js").text


@pytest.mark.parametrize(
    "path",
    [
        "..%2fprometheus_client%2f__init__.py",
        "%2e%2e%2findex.js",
        "..%5cindex.js",
        "../__init__.py",
        "server.py",
        "__init__.py",
        "__pycache__",
        "..",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "index.js%00.png",
        "none.js",
        "models/ttbar/2/model.pb",
        "models/none/1/model.pb",
        "models/..%2f..%2fttbar/1/model.pb",
        "models/ttbar/../model.pb",
    ],
)
@pytest.mark.parametrize("kept", ["guarded", "open_to_all"])
def test_nothing_else_is_told(kept: str, path: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kept)
    folder = f"/netron/k/{KEY}/" if server.token else "/netron/"
    answer = asked_raw(server, folder + path)
    assert answer.status_code == 404
    assert answer.json()["kind"] in ("RouteNotFound", "ModelNotFound")


# --- the key ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["wrong", KEY[:-1], KEY + "x", TOKEN, "%C3%A9", "."])
@pytest.mark.parametrize("file", ["", "index.js", "models/ttbar/1/model.pb"])
def test_a_wrong_key_opens_nothing(guarded: Server, key: str, file: str) -> None:
    answer = asked_raw(guarded, f"/netron/k/{key}/{file}")
    assert (answer.status_code, answer.json()["kind"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    "path", ["/models", "/", f"/?token={KEY}", f"/models?token={KEY}", "/netron/", "/netron/tf.js"]
)
def test_the_key_opens_nothing_else(guarded: Server, path: str) -> None:
    assert get(guarded.url + path).status_code == 401
    assert get(guarded.url + path, Authorization=f"Bearer {KEY}").status_code == 401


def test_the_key_is_for_reading(guarded: Server) -> None:
    url = f"{guarded.url}/netron/k/{KEY}/index.js"
    assert requests.head(url, timeout=5).status_code == 200
    for method in ("POST", "DELETE", "PUT"):
        assert requests.request(method, url, timeout=5).status_code == 401


@pytest.mark.slow
def test_host_and_origin_are_checked_with_the_key_too(guarded: Server) -> None:
    url = f"{guarded.url}/netron/k/{KEY}/models/ttbar/1/model.pb"
    assert get(url).status_code == 200
    assert get(url, Host="evil.example").status_code == 403
    assert get(url, Origin="https://evil.example").status_code == 403


def test_the_key_is_of_the_token_and_does_not_tell_it() -> None:
    assert netron.key("a") != netron.key("b")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", KEY)
    assert not netron.is_opened(Head("GET", "/netron/k//", b"", {}), "")


def test_the_token_leads_to_the_key(guarded: Server) -> None:
    url = f"{guarded.url}/netron/?token={TOKEN}&url=models/ttbar/1/model.pb&other=1"
    answer = get(url)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"k/{KEY}/?url=models%2Fttbar%2F1%2Fmodel.pb"
    assert "<title>Netron</title>" in requests.get(url, timeout=5).text
    header = get(f"{guarded.url}/netron/tf.js", Authorization=f"Bearer {TOKEN}")
    assert header.status_code == 200


def test_a_header_cannot_be_made_by_what_is_asked(guarded: Server) -> None:
    answer = get(f"{guarded.url}/netron/?token={TOKEN}&url=a%0d%0aset-cookie:%20b")
    assert answer.headers["location"] == f"k/{KEY}/?url=a%0D%0Aset-cookie%3A+b"
    assert "set-cookie" not in answer.headers


def test_paths_are_shown_without_their_key() -> None:
    assert netron.without_key(f"/netron/k/{KEY}/tf.js") == "/netron/k/KEY/tf.js"
    for path in ("/json", "/netron/tf.js", "/"):
        assert netron.without_key(path) == path


def test_a_name_is_quoted_in_an_address() -> None:
    assert netron.address("a.b", 2, None, "my graph.onnx") == (
        "netron/?url=models%2Fa.b%2F2%2Fmy%2520graph.onnx&identifier=a.b.onnx"
    )


@pytest.mark.slow
def test_netrons_files_are_found_without_running_it() -> None:
    code = (
        "import sys; from tfaas_nb.serving import netron; netron._content('index.js'); "
        "print('netron' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
