"""A notebook run in a kernel of its own: what its cells answer, how long, in how much memory.

``python -m tests.notebook_run notebooks/*.ipynb`` prints the last two, and fails where a cell
does or where the memory is more than Binder can be relied on to give.
"""

from __future__ import annotations

import argparse
import configparser
import copy
import functools
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

#: Bytes that a kernel may hold: Binder gives 2 GB, for the Jupyter server as well.
MOST_MEMORY = 1_500_000_000
SANITIZE = Path(__file__).parent.parent / "notebooks" / "sanitize.cfg"
_KERNEL = "tested"
_EVERY = 0.2  # seconds between two looks at the memory
_SECONDS = 600  # in which a cell must end


@dataclass(frozen=True)
class Run:
    """Result of running a notebook.

    Attributes
    ----------
    outputs : tuple of list of str
        For each code cell what it answered, as far as two runs can be compared: printed text,
        reprs, HTML, and what errors say.  A notebook that was run twice has all its cells twice.
    seconds : float
        From the kernel's start to the end of the last cell.
    peak : int
        Bytes of resident memory, at most, of the kernel and of the processes that it started.
    at_peak : str
        Cell that ran then, and the memory of each process.
    """

    outputs: tuple[list[str], ...]
    seconds: float
    peak: int
    at_peak: str

    def told(self) -> str:
        """Time and memory in words."""
        return f"{self.seconds:.1f} s, at most {self.peak / 1e6:.0f} MB ({self.at_peak})"


def run(
    path: Path,
    folder: Path,
    times: int = 1,
    python: str | Path = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Run:
    """Run a notebook from top to bottom, more than once in the same kernel if asked to.

    Parameters
    ----------
    path : Path
        The notebook, which stays as it is.
    folder : Path
        Working directory of the kernel.
    times : int
        How often.
    python : path
        The interpreter of the kernel, which needs ipykernel.
    env : mapping, optional
        Environment of the kernel, instead of this process's.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails that is not marked for it (tag ``raises-exception``).
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    cells = [copy.deepcopy(cell) for _ in range(times) for cell in notebook.cells]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells = cells
    with tempfile.TemporaryDirectory() as specs:
        manager = _kernel(Path(specs), python)
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=_SECONDS,
            resources={"metadata": {"path": str(folder)}},
            store_widget_state=False,
            shutdown_kernel="immediate",
        )
        environment = {"env": dict(env)} if env is not None else {}
        started = time.monotonic()
        with client.setup_kernel(cleanup_kc=True, **environment):
            with _watched(manager.provisioner.pid) as memory:
                for index, cell in enumerate(cells):
                    memory.cell = index
                    client.execute_cell(cell, index)
            seconds = time.monotonic() - started
    answers = tuple(comparable(cell) for cell in cells if cell.cell_type == "code")
    return Run(answers, seconds, memory.peak, memory.at_peak)


def comparable(cell: Mapping[str, Any], rules: Path = SANITIZE) -> list[str]:
    """Outputs of a code cell that two runs have in common, sanitized as for nbval."""
    found: list[str] = []
    streams: dict[str, str] = {}
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + output["text"]
        elif output["output_type"] == "error":
            found.append(f"{output['ename']}: {output['evalue']}")
        elif "application/vnd.jupyter.widget-view+json" not in output["data"]:
            shown = output["data"]
            found += [shown[kind] for kind in ("text/plain", "text/html") if kind in shown]
    return [sanitized(text, rules) for text in (*streams.values(), *found)]


def sanitized(text: str, rules: Path = SANITIZE) -> str:
    """A text without what may differ from run to run."""
    for pattern, kept in _rules(rules):
        text = pattern.sub(kept, text)
    return text


@functools.cache
def _rules(path: Path) -> list[tuple[re.Pattern[str], str]]:
    read = configparser.RawConfigParser()
    read.read(path)
    return [(re.compile(read[n]["regex"]), read[n]["replace"]) for n in read.sections()]


def _kernel(specs: Path, python: str | Path) -> Any:
    """The manager of a kernel of this interpreter, whatever kernels the machine has."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    command.append("--log-level=ERROR")  # not that it talks without encryption, to itself
    spec = {"argv": command, "display_name": _KERNEL, "language": "python"}
    (specs / _KERNEL).mkdir()
    (specs / _KERNEL / "kernel.json").write_text(json.dumps(spec))
    known = KernelSpecManager(kernel_dirs=[str(specs)])
    return KernelManager(kernel_name=_KERNEL, kernel_spec_manager=known)


class _Memory:
    """The most that a process and those below it have held, what they share counted once."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self.at_peak = ""
        self.cell = 0
        self._process = psutil.Process(pid)

    def look(self) -> None:
        """Count all of them as they are now, and the process at its own peak."""
        self._note([_high_water(self._process.pid)])
        processes = [self._process, *self._below()]
        if sum(map(_resident, processes)) > self.peak:  # what they share is costly to find
            self._note([_proportional(process) for process in processes])

    def _note(self, sizes: list[int]) -> None:
        if sum(sizes) > self.peak:
            self.peak = sum(sizes)
            processes = " + ".join(f"{size / 1e6:.0f}" for size in sizes if size > 1e6)
            self.at_peak = f"cell {self.cell}: {processes}"

    def _below(self) -> list[psutil.Process]:
        try:
            return self._process.children(recursive=True)
        except psutil.Error:
            return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has ended meanwhile
        return 0


def _proportional(process: psutil.Process) -> int:
    """Resident memory, of which pages of several processes are divided among them, on Linux."""
    try:
        told = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(told, "pss", told.rss))


def _high_water(pid: int) -> int:
    """Peak of a process's memory from Linux (VmHWM): sampling may miss a short one."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    told = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(told[1]) * 1024 if told else 0


@contextmanager
def _watched(pid: int) -> Iterator[_Memory]:
    memory, over = _Memory(pid), threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY):
            memory.look()

    watcher = threading.Thread(target=watch, name="memory of a kernel", daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        over.set()
        watcher.join()
        memory.look()


def main(arguments: list[str]) -> int:
    """Run notebooks and print their time and memory; 1 if one needs too much."""
    parser = argparse.ArgumentParser("python -m tests.notebook_run", description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the kernels")
    parser.add_argument("--times", type=int, default=1, help="runs in the same kernel")
    options = parser.parse_args(arguments)
    is_too_much = False
    for path in options.notebooks:
        with tempfile.TemporaryDirectory() as folder:
            done = run(path, Path(folder), options.times, options.python, os.environ)
        print(f"{path.name}: {done.told()}", flush=True)
        is_too_much |= done.peak > MOST_MEMORY
    if is_too_much:
        print(f"more than {MOST_MEMORY / 1e6:.0f} MB", file=sys.stderr)
    return int(is_too_much)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
