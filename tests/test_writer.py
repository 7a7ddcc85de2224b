from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfaas_nb import writer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is told")

NAMED = "from tfaas_nb import writer; print(writer.named(), flush=True); input()"


def test_names_differ_and_are_names_of_files() -> None:
    names = {writer.named() for _ in range(100)}
    assert len(names) == 100
    assert all(Path(name).name == name and len(name) < 100 for name in names)


def test_this_process_lives() -> None:
    assert writer.is_alive(writer.named()) is True


def test_a_killed_process_does_not_live() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert writer.is_alive(name) is True
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert writer.is_alive(name) is False, "nobody has taken notice of its end yet"
    assert writer.is_alive(name) is False


def test_another_process_of_the_same_number_is_another() -> None:
    scope, number, started = writer.named().partition("-")[0].rsplit(".", 2)
    assert writer.is_alive(f"{scope}.{number}.{int(started) - 1}-0") is False
    assert writer.is_alive(f"{scope}.{number}.0-0") is True, "it is not known when it began"


@pytest.mark.parametrize(
    "name", ["", "old", "0123abcd", "a.1.2-3", "..", "a-b", "....-", "é.1.2-3"]
)
def test_of_others_nothing_is_told(name: str) -> None:
    assert writer.is_alive(name) is None


def test_of_another_machine_nothing_is_told() -> None:
    assert writer.is_alive("0" + writer.named()) is None
