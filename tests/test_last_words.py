from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from tfaas_nb.last_words import MOST, LastWords

TALK = "import os\nfor _ in range(200): os.write(2, b'.' * 100_000)\nos.write(2, b'\\nthe end')"


def test_only_the_end_is_kept() -> None:
    threads = threading.active_count()
    with LastWords() as words:
        subprocess.run([sys.executable, "-c", TALK], stderr=words.fileno(), check=True)
        said = words.text()
    assert said.endswith(".\nthe end")
    assert len(said) <= MOST
    assert threading.active_count() == threads


def test_who_says_nothing_is_heard() -> None:
    with LastWords() as words:
        assert words.text() == ""
        assert words.text() == ""


@pytest.mark.slow
def test_somebody_else_who_holds_the_pipe_is_not_waited_for() -> None:
    with LastWords() as words:
        other = os.dup(words.fileno())
        os.write(other, b"one")
        assert words.text() == "one"
        os.close(other)
