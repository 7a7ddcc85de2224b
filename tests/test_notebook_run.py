from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebook_run import comparable, run, sanitized

pytestmark = pytest.mark.slow

CHILD = "import time; held = b'x' * 150_000_000; print('there', flush=True); time.sleep(60)"
MEMORY = f"""
import subprocess, sys
held = b"x" * 100_000_000
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
_ = child.stdout.readline()
"""


def written(folder: Path, *cells: str) -> Path:
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, folder / "notebook.ipynb")
    return folder / "notebook.ipynb"


def test_memory_of_the_kernel_and_its_children_is_counted(tmp_path: Path) -> None:
    count = "n = globals().get('n', 0) + 1\nprint('run', n)"
    notebook = written(tmp_path, count, "print(n)\nn", MEMORY, "!sleep 1")
    done = run(notebook, tmp_path, times=2)
    assert done.outputs == (["run 1\n"], ["1\n", "1"], [], [], ["run 2\n"], ["2\n", "2"], [], [])
    assert done.peak > 100e6 + 2 * 150e6  # both children are alive at the end
    assert done.seconds > 2


def test_a_cell_that_fails_ends_it(tmp_path: Path) -> None:
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="no such thing"):
        run(written(tmp_path, "raise ValueError('no such thing')"), tmp_path)


def test_pictures_and_progress_bars_are_not_compared_and_losses_to_two_digits() -> None:
    shown = {"text/plain": "AUC 0.9784", "image/png": "AAAA"}
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "100%"}
    cell = {
        "outputs": [
            {"output_type": "display_data", "data": shown},
            {"output_type": "display_data", "data": widget},
            {"output_type": "stream", "name": "stdout", "text": "12000 "},
            {"output_type": "stream", "name": "stdout", "text": "events"},
            {"output_type": "error", "ename": "DataError", "evalue": "no file"},
        ]
    }
    assert comparable(cell) == ["12000 events", "AUC 0.97", "DataError: no file"]
    assert sanitized("0.97 10.9784") == "0.97 10.9784"
