"""Memory of training from files, streamed from few and from many; and of loading them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tfaas_nb as tn
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section, shown
from tests.benchmarks.unavailable import Unavailable

_TITLE = "Streaming"
_METHOD = """Most resident memory (VmHWM) of a process that trains the default classifier for
{epochs} epochs from files of {events} events each (the packaged sample, repeated; half of the
files are signal), read as a stream (`tn.load(..., stream=True, memory={memory})`); and of one that
only loads them whole, to which training would add its copies. Each has a process of its own. What
TensorFlow takes before any event is read, {base} MB, is part of all of them."""
_HEADER = (
    "files", "events", "their matrix [MB]",
    "training, streamed: peak [MB]", "loading alone: peak [MB]", "ratio",
)  # fmt: skip
_FEW, _MANY = 5, 50


def measure(options: Options) -> Section:
    if not Path("/proc/self/status").exists():
        raise Unavailable("memory's peak is read from /proc, which this system does not have")
    repeats, epochs, memory = 5, 2, 256
    with files(_MANY, repeats) as folder:
        base = peak(folder, 0, "nothing", epochs, memory)
        rows, streamed = [], {}
        for count in (_FEW, _MANY):
            events = count * repeats * 20_000
            options.tell(f"streaming, {count} files, streamed")
            streamed[count] = peak(folder, count, "stream", epochs, memory)
            options.tell(f"streaming, {count} files, in memory")
            whole = peak(folder, count, "load", epochs, memory)
            sizes = (events * 42 * 4, streamed[count], whole)
            rows.append(
                (
                    str(count),
                    f"{events:,}".replace(",", " "),
                    *(f"{size / 1e6:.0f}" for size in sizes),
                    shown(streamed[count] / whole),
                )
            )
    ratio = streamed[_MANY] / streamed[_FEW]
    return Section(
        _TITLE,
        _METHOD.format(
            epochs=epochs, events=20_000 * repeats, memory=memory, base=f"{base / 1e6:.0f}"
        ),
        _HEADER,
        [*rows, (f"{_MANY} ÷ {_FEW}", "", "", f"{ratio:.2f}", "", "")],
        {f"memory of training from {_MANY} files ÷ from {_FEW}, streamed": shown(ratio)},
    )


def peak(folder: Path, count: int, how: str, epochs: int, memory: float) -> int:
    """Bytes that a training from so many files had at most."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.benchmarks.trainer"),
            *(str(folder), str(count), how, str(epochs), str(memory)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"training from {count} files failed: {done.stderr[-500:]}")
    return int(json.loads(done.stdout.splitlines()[-1])["peak"])


@contextmanager
def files(count: int, repeats: int) -> Iterator[Path]:
    """A folder with so many files of the sample's events, repeated; half of them are signal."""
    import uproot

    with tempfile.TemporaryDirectory(prefix="tfaas-nb-streaming-") as name:
        folder = Path(name)
        for path in map(Path, tn.sample_files()):
            with uproot.open(path) as file:
                tree = file["events"]
                columns = tree.arrays(library="ak", how=dict)
            first = folder / f"{path.stem}-000.root"
            with uproot.recreate(first, compression=uproot.ZSTD(1)) as file:
                file.mktree("events", {key: v.type.content for key, v in columns.items()})
                for _ in range(repeats):
                    file["events"].extend(columns)
            for number in range(1, count // 2 + 1):
                os.link(first, folder / f"{path.stem}-{number:03d}.root")
        yield folder
