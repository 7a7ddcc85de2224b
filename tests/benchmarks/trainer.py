"""One training, or loading alone, in this process; its last line is the most memory it had.

Usage: python -m tests.benchmarks.trainer FOLDER FILES stream|load|nothing EPOCHS MEMORY
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import tfaas_nb as tn
from tfaas_nb import backend


def main(folder: str, count: int, how: str, epochs: int, memory: float) -> None:
    backend.tensorflow()
    if how != "nothing":
        counts = {"ttbar": count // 2, "qcd": count - count // 2}
        files = [sorted(Path(folder).glob(f"{name}-*.root"))[:n] for name, n in counts.items()]
        data: tn.Dataset | tn.Stream
        if how == "stream":
            data = tn.load(*files, stream=True, memory=memory, progress=False)
            tn.Classifier(epochs=epochs, seed=1).fit(data, progress=False)
        else:
            data = tn.load(*files, progress=False)
    print(json.dumps({"peak": peak()}))


def peak() -> int:
    """The most bytes that this process ever had in memory.

    Not ``ru_maxrss``, which begins with that of the process it was started from.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
