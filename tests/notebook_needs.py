"""A plugin for ``pytest --nbval``: cells that need what this machine lacks are skipped.

The notebooks run there all the same and say in words what is missing; what they say is then not
what is committed.  In CI, which installs everything, nothing is skipped.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest


def lacks_curl() -> str:
    """Reason why curl cannot be run; empty if it can."""
    return "" if shutil.which("curl") else "curl is not installed"


def lacks_cpp() -> str:
    """Reason why a program with libcurl cannot be compiled; empty if it can."""
    compiler = shutil.which("g++")
    if compiler is None:
        return "g++ is not installed"
    look = [compiler, "-E", "-x", "c++", "-include", "curl/curl.h", os.devnull]
    if subprocess.run(look, capture_output=True).returncode:
        return "the headers of libcurl are not installed"
    return ""


def lacks_c() -> str:
    """Reason why a program with TensorFlow's library cannot be compiled; empty if it can."""
    for program in ("gcc", "ld.gold"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    found = importlib.util.find_spec("tensorflow")
    folders = (found.submodule_search_locations if found else None) or ()
    if not any((Path(folder) / "libtensorflow_cc.so.2").is_file() for folder in folders):
        return "this TensorFlow has no library to link with"
    return ""


def lacks_onnx() -> str:
    """Reason why ONNX models, an extra of the package, cannot be used; empty if they can."""
    wanted = ("onnx", "onnxruntime", "tf2onnx")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    return f"{missing[0]} is not installed" if missing else ""


#: Tag of a cell → what tells why it cannot run as it did when its output was committed.
NEEDS: Mapping[str, Callable[[], str]] = {
    "needs-curl": lacks_curl,
    "needs-c++": lacks_cpp,
    "needs-c": lacks_c,
    "needs-onnx": lacks_onnx,
}


def lacking() -> dict[str, str]:
    """The tags whose cells are skipped here, and why."""
    if os.environ.get("CI") == "true":
        return {}
    return {tag: why for tag, lacks in NEEDS.items() if (why := lacks())}


def pytest_collection_modifyitems(items: Iterable[Any]) -> None:
    missing = lacking()
    for item in items:
        tags = item.cell.metadata.get("tags", ()) if hasattr(item, "cell") else ()
        for tag in missing.keys() & set(tags):
            item.add_marker(pytest.mark.skip(reason=missing[tag]))
