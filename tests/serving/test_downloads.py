"""Downloads of bundles in parts, or not again, against curl and requests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.serving.server import Server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("downloads")
    with Server(folder / "models", port=0, token=False) as server:
        server.client().upload(Bundle.from_parts(b'{"name": "sum"}', serialized(weighted_sum)))
        yield server


@pytest.fixture(scope="module")
def whole(served: Server) -> requests.Response:
    return get(served)


def get(served: Server, method: str = "GET", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, f"{served.url}/bundle/sum", headers=named, timeout=10)


def test_a_download_says_what_it_is(served: Server, whole: requests.Response) -> None:
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")
    tag = whole.headers["ETag"]
    assert tag.startswith('"')
    assert get(served).headers["ETag"] == tag
    assert get(served, "HEAD").headers["ETag"] == tag
    assert Bundle.from_archive(whole.content).name == "sum"


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_it_gets_nothing(served: Server, whole: requests.Response, known: str) -> None:
    session = requests.Session()
    tag = known.format(whole.headers["ETag"])
    for _ in range(2):  # on one connection
        headers = {"If-None-Match": tag}
        answer = session.get(f"{served.url}/bundle/sum", headers=headers, timeout=10)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == whole.headers["ETag"]
    assert get(served, If_None_Match='"other"').content == whole.content


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
        ("Bytes= 5-5 ", slice(5, 6)),
        ("bytes=10-99999999", slice(10, None)),
        ("bytes=-99999999", slice(None)),
    ],
)
def test_a_part_is_sent(served: Server, whole: requests.Response, asked: str, part: slice) -> None:
    answer = get(served, Range=asked, If_Range=whole.headers["ETag"])
    assert (answer.status_code, answer.content) == (206, whole.content[part])
    start, stop, _ = part.indices(len(whole.content))
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole.content)}"
    assert answer.headers["X-Model-Version"] == whole.headers["X-Model-Version"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=0-1"},
        {"Range": "bytes=9-2"},
        {"Range": "bytes=-"},
        {"Range": "bytes=x-"},
        {"Range": "bytes=0-9", "If_Range": '"other"'},
        {"Range": "bytes=0-9", "If_Range": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_all_is_sent_where_no_part_can_be(
    served: Server, whole: requests.Response, headers: dict[str, str]
) -> None:
    answer = get(served, **headers)
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_part_beyond_the_end_is_refused(
    served: Server, whole: requests.Response, asked: str
) -> None:
    answer = get(served, Range=asked)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(whole.content)}"
    assert answer.json()["kind"] == "RangeNotSatisfiable"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_goes_on_where_it_was_cut_off(
    served: Server, whole: requests.Response, tmp_path: Path
) -> None:
    (tmp_path / "sum.tar.gz").write_bytes(whole.content[:200])
    command = ["curl", "-sSf", "-C", "-", "-o", "sum.tar.gz", f"{served.url}/bundle/sum"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "sum.tar.gz").read_bytes() == whole.content
