from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfaas_nb.own_folder import OwnFolder


def test_it_is_there_until_the_end() -> None:
    folder = OwnFolder()
    with folder as path:
        (Path(path) / "file").write_text("x")
        assert Path(path).stat().st_mode & 0o777 == 0o700
    assert not Path(path).exists()
    folder.cleanup()


COPY = """
import os, sys
from tfaas_nb.own_folder import OwnFolder
folder = OwnFolder()
if not os.fork():
    sys.exit()
os.wait()
print(folder.name, os.path.isdir(folder.name))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no copies of processes here")
def test_it_ends_with_its_process_and_not_with_a_copy(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", COPY], check=True, capture_output=True, text=True, env=environment
    )
    name, is_there = told.stdout.split()
    assert is_there == "True"
    assert Path(name).parent == tmp_path
    assert not Path(name).exists()
