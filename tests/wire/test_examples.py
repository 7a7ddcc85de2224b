from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import examples

EVENT = {"nJets": 2.0, "jetPt_0": 431.5}


def test_the_curl_line_is_as_people_type_it() -> None:
    assert examples.curl("http://127.0.0.1:8083", "ttbar", EVENT) == (
        "curl -H 'Content-Type: application/json' \\\n"
        "  -H 'Authorization: Bearer TOKEN' \\\n"
        '  -d \'{"keys": ["nJets", "jetPt_0"], "values": [2.0, 431.5], "model": "ttbar"}\' \\\n'
        "  http://127.0.0.1:8083/json"
    )


def test_an_event_without_names_is_sent_as_numbers() -> None:
    words = shlex.split(examples.curl_values("http://h", "m", 3, token=False))
    assert words[-1] == "http://h/v1/models/m:predict"
    assert json.loads(words[words.index("-d") + 1]) == {"instances": [[0.0, 0.0, 0.0]]}


@pytest.mark.parametrize("text", [examples.curl, examples.python, examples.cpp])
def test_values_without_names_are_sent_where_none_are_asked_for(text: Any) -> None:
    line = text("http://h", "m", (2.0, 431.5))
    assert '{"instances": [[2.0, 431.5]]}' in line
    assert "http://h/v1/models/m:predict" in line


def test_a_picture_is_sent_as_a_form() -> None:
    words = shlex.split(examples.curl_image("http://h", "m").replace("\\\n", ""))
    assert words == [
        *("curl", "-H", "Authorization: Bearer TOKEN"),
        *("-F", "image=@picture.png", "-F", "model=m", "http://h/image"),
    ]
    assert "Authorization" not in examples.curl_image("http://h", "m", token=False)


def test_without_token_there_is_no_word_of_one() -> None:
    for text in (examples.curl, examples.python, examples.cpp):
        assert "Authorization" not in text("http://h", "m", EVENT, token=False)


def test_a_token_is_shown_where_it_is_given() -> None:
    for text in (examples.curl, examples.python, examples.cpp):
        assert "Bearer s3cret" in text("http://h", "m", EVENT, token="s3cret")
        assert "Bearer TOKEN" in text("http://h", "m", EVENT)


def test_a_name_does_not_end_the_string_of_cpp() -> None:
    text = examples.cpp("http://h", "m", {"f(x)": 1.0})
    assert 'R"x({"keys": ["f(x)"], "values": [1.0], "model": "m"})x"' in text


def test_a_quote_in_a_name_does_not_end_the_shells_string() -> None:
    words = shlex.split(examples.curl("http://h", "m", {"it's; rm -rf": 1.0}))
    assert json.loads(words[words.index("-d") + 1])["keys"] == ["it's; rm -rf"]


@pytest.fixture
def event(events: Dataset) -> dict[str, float]:
    return dict(zip(events.features.names, map(float, events.X[0]), strict=True))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_gets_the_score(serving: Server, event: dict[str, float]) -> None:
    line = examples.curl(serving.url, "ttbar", event).replace("TOKEN", str(serving.token))
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True, timeout=30)
    expected = serving.client().predict("ttbar", event)
    assert json.loads(done.stdout) == pytest.approx([expected], abs=1e-6)


def test_the_python_lines_get_the_score(serving: Server, event: dict[str, float]) -> None:
    lines = examples.python(serving.url, "ttbar", event).replace("TOKEN", str(serving.token))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(lines, "example", "exec"), {})
    expected = Client(serving.url, serving.token).predict("ttbar", event)
    assert json.loads(printed.getvalue()) == pytest.approx([expected], abs=1e-6)


@pytest.mark.slow
def test_the_cpp_program_gets_the_score(
    serving: Server, event: dict[str, float], tmp_path: Path
) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    includes = [compiler, "-E", "-x", "c++", "-include", "curl/curl.h", "/dev/null"]
    if subprocess.run(includes, capture_output=True).returncode:
        pytest.skip("the headers of libcurl are not installed (libcurl4-openssl-dev)")
    (tmp_path / "ask.cpp").write_text(
        examples.cpp(serving.url, "ttbar", event, token=str(serving.token))
    )
    line = [compiler, "-std=c++11", "-Wall", "-Wextra", "-Werror", "ask.cpp", "-lcurl", "-o", "ask"]
    subprocess.run(line, cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run([tmp_path / "ask"], capture_output=True, check=True, timeout=30)
    expected = serving.client().predict("ttbar", event)
    assert json.loads(done.stdout) == pytest.approx([expected], abs=1e-6)
