"""The notebooks: what they promise, that what they show is what they do, and what they cost."""

from __future__ import annotations

import configparser
import contextlib
import io
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import notebook_needs, snapshots
from tests.notebook_run import MOST_MEMORY, SANITIZE, comparable, run, sanitized

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text()

#: Where a path of somebody's machine begins; ``https://host/...`` is none.
_MACHINE = re.compile(
    r"(?<![\w.:/])/(?:work|tmp|home|root|Users|builds|opt|usr|eos|afs|mnt|var)/\w|[A-Z]:\\"
)
_TOKEN = re.compile(r"(?:Bearer |token=|TOKEN=)(?!TOKEN)[\w-]{16,}")

of_each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    import nbformat  # which takes seconds

    return nbformat.read(path, as_version=4)


def code_of(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def texts(path: Path) -> Iterator[str]:
    """Texts of a notebook: all that it holds but its pictures."""
    for cell in read(path).cells:
        yield cell.source
        for output in cell.get("outputs", ()):
            yield output.get("text", "") + output.get("evalue", "")
            yield from output.get("traceback", ())
            shown = output.get("data", {})
            yield from (shown[kind] for kind in ("text/plain", "text/html") if kind in shown)


@of_each_notebook
def test_it_is_short_and_says_what_one_will_hold(path: Path) -> None:
    cells = read(path).cells
    number, _, name = path.stem.partition("-")
    title = f"# {number} · {name.replace('-', ' ')}"
    assert len(cells) <= 30
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.splitlines()[0].lower().startswith(title)
    assert "At the end of this notebook" in cells[0].source
    lines = [len([line for line in cell.source.splitlines() if line]) for cell in code_of(path)]
    assert statistics.median(lines) <= 4


def test_they_are_numbered_and_the_readme_names_them() -> None:
    numbers = [int(path.stem.partition("-")[0]) for path in NOTEBOOKS]
    assert numbers == list(range(1, len(numbers) + 1))
    for path in NOTEBOOKS:
        assert f"(notebooks/{path.name})" in README


@of_each_notebook
def test_it_is_committed_as_it_ran_from_top_to_bottom(path: Path) -> None:
    cells = code_of(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(comparable(cell) for cell in cells)
    for cell in cells:
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed is ("raises-exception" in cell.metadata.get("tags", ()))
    assert "widgets" not in read(path).metadata


@of_each_notebook
def test_it_tells_nothing_of_the_machine_and_no_token(path: Path) -> None:
    for text in texts(path):
        assert str(ROOT) not in text
        assert not _MACHINE.search(text), text
        assert not _TOKEN.search(text), text


def test_paths_and_tokens_are_found() -> None:
    assert _MACHINE.search("File /home/a/tfaas_nb/graph.py")
    assert _MACHINE.search("'/tmp/x'")
    assert not _MACHINE.search("http://127.0.0.1:8083/opt/x and tfaas_nb/var/x")
    assert _TOKEN.search("Authorization: Bearer 3q2-7wAAAAAAAAAA_AAAAAAA")
    assert not _TOKEN.search("Authorization: Bearer TOKEN")


def outputs(path: Path) -> Iterator[str]:
    """Outputs of a notebook's cells that nbval compares."""
    for cell in code_of(path):
        for output in cell.outputs:
            shown = output.get("data", {})
            for text in filter(None, (output.get("text"), *map(shown.get, COMPARED))):
                yield re.sub(r' style="[^"]*"', "", text)


COMPARED = ("text/plain", "text/html")

#: What of a training is left to the processor: digits of areas, and the table of epochs.
TRAINED = re.compile(
    r"\d+ epochs, \w+, best \d+|(?<=History)(?s:.*?</table>)"
    r"|(?<=[+\-> ]0\.\d\d)\d\d(?!\d)"
)


@pytest.mark.slow
@of_each_notebook
def test_a_number_that_is_shown_cannot_change_unseen(path: Path) -> None:
    """No rule for nbval hides a digit, but of what a training gives."""
    for text in outputs(path):
        trains = re.search(r"History\(|Scan\(", text)
        free = [found.span() for found in TRAINED.finditer(text)] if trains else []
        kept = sanitized(text)
        for digit in re.finditer(r"\d", text):
            if any(begin <= digit.start() < end for begin, end in free):
                continue
            other = str((int(digit[0]) + 1) % 10)
            changed = text[: digit.start()] + other + text[digit.end() :]
            assert sanitized(changed) != kept, changed[: digit.start() + 20][-60:]


def test_every_rule_is_needed() -> None:
    rules = configparser.RawConfigParser()
    rules.read(SANITIZE)
    shown = "\n".join(text for path in NOTEBOOKS for text in texts(path))
    assert [name for name in rules.sections() if not re.search(rules[name]["regex"], shown)] == []


@of_each_notebook
def test_it_has_a_picture_for_the_gallery(path: Path) -> None:
    picture = path.parent / "nbSnapshots" / f"{path.stem}.png"
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 150_000


def test_every_picture_of_the_gallery_has_its_notebook() -> None:
    pictures = (ROOT / "notebooks" / "nbSnapshots").iterdir()
    assert {picture.stem for picture in pictures} == {path.stem for path in NOTEBOOKS}


@pytest.mark.endurance
@of_each_notebook
def test_it_runs_twice_in_a_kernel_within_binders_memory(
    path: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    done = run(path, tmp_path, times=2)
    record_property("summary", f"{path.name}, twice in a kernel: {done.told()}")
    half = len(done.outputs) // 2
    assert done.outputs[:half] == done.outputs[half:]
    assert done.peak < MOST_MEMORY


@pytest.mark.endurance
def test_nbval_sees_one_changed_number(tmp_path: Path) -> None:
    source = ROOT / "notebooks" / "2-serve.ipynb"
    cells = code_of(source)
    changed = next(i for i, cell in enumerate(cells) if "served.shape" in cell.source)
    text = source.read_text()
    assert text.count("((12000,), True)") == 1
    (tmp_path / "as-it-is.ipynb").write_text(text)
    (tmp_path / "changed.ipynb").write_text(text.replace("((12000,)", "((12001,)"))
    options = ["-p", "no:xdist", "-p", "tests.notebook_needs", "-p", "no:cacheprovider"]
    options += ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", f"--rootdir={tmp_path}", *options, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    failed = re.findall(r"^FAILED \S*?([\w-]+\.ipynb)::Cell (\d+)", done.stdout, re.MULTILINE)
    assert failed == [("changed.ipynb", str(changed))], done.stdout
    assert done.returncode == 1


def cells_that_need(tag: str, name: str = "5-ask-from-outside") -> list[str]:
    path = ROOT / "notebooks" / f"{name}.ipynb"
    return [c.source for c in code_of(path) if tag in c.metadata.get("tags", ())]


@pytest.mark.parametrize(
    ("tag", "commands", "told"),
    [
        ("needs-curl", {}, ["Not asked: there is no curl on this machine."]),
        ("needs-c++", {}, ["Not compiled: it needs g++", "Not run: it was not compiled."]),
        ("needs-c++", {"g++": "exit 1"}, ["Not compiled: it needs g++ and the headers", "Not run"]),
    ],
)
def test_what_a_machine_lacks_is_told_in_words(
    tag: str,
    commands: dict[str, str],
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, body in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code_of(ROOT / "notebooks" / "5-ask-from-outside.ipynb")[0].source, names)
    for source, expected in zip(cells_that_need(tag), told, strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(source, names)
        assert printed.getvalue().startswith(expected)


def test_a_machine_without_a_c_compiler_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    names: dict[str, Any] = {"package": tmp_path, "score": 0.5, "values": ""}
    exec(code_of(ROOT / "notebooks" / "6-cmssw.ipynb")[0].source, names)
    told = ("Not compiled: it needs gcc, ld.gold", "Not run: it")
    for source, expected in zip(cells_that_need("needs-c", "6-cmssw"), told, strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(source, names)
        assert printed.getvalue().startswith(expected)


def test_cells_are_skipped_only_where_something_is_missing_and_never_in_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    assert notebook_needs.lacking() == {
        "needs-curl": "curl is not installed",
        "needs-c++": "g++ is not installed",
        "needs-c": "gcc is not installed",
    }
    (tmp_path / "g++").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "g++").chmod(0o755)
    assert notebook_needs.lacks_cpp() == "the headers of libcurl are not installed"
    for name in ("g++", "gcc", "ld.gold", "curl"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert notebook_needs.lacking() == {}
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("CI", "true")
    assert notebook_needs.lacking() == {}


def test_tags_are_known() -> None:
    known = {*notebook_needs.NEEDS, snapshots.TAG, "raises-exception"}
    for path in NOTEBOOKS:
        for cell in code_of(path):
            assert set(cell.metadata.get("tags", ())) <= known
