"""Files that ROOT itself writes: what uproot cannot write, as people's programs write it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

#: Seconds; ROOT's interpreter compiles what a script declares.
_LONGEST = 300

IS_THERE = importlib.util.find_spec("ROOT") is not None
needs_root = pytest.mark.skipif(not IS_THERE, reason="ROOT is missing: make root installs it")


def run(script: str, folder: Path) -> str:
    """Run a script of PyROOT in a folder; its files are there afterwards, and its text is returned.

    In a process of its own: ROOT's LLVM and TensorFlow's do not live together.  The test that
    asks is skipped on a machine without ROOT.
    """
    if not IS_THERE:
        pytest.skip("ROOT is missing: make root installs it")
    opening = "import ROOT\nROOT.gROOT.SetBatch(True)\nROOT.gErrorIgnoreLevel = ROOT.kError\n"
    done = subprocess.run(
        [sys.executable, "-c", opening + textwrap.dedent(script)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    assert done.returncode == 0, f"ROOT failed:\n{done.stdout}\n{done.stderr}"[-4000:]
    return done.stdout
