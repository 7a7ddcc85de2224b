from __future__ import annotations

import subprocess
import sys

import pytest

#: Frees arrays between which small ones stay, and prints what the process still has of them.
_CODE = """
import re, sys
import numpy as np
from pathlib import Path
from tfaas_nb.data.allocation import give_back

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

if sys.argv[1] == "give back":
    give_back()
first = np.ones(4_000_000, np.uint8)
del first  # glibc learns from it that such sizes come again
before, large, small = resident(), [], []
for _ in range(50):
    large.append(np.ones(2_000_000, np.uint8))
    small.append(np.ones(100_000, np.uint8))
large.clear()
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_large_arrays_go_back_to_the_system_when_they_are_freed() -> None:
    kept = {
        how: int(subprocess.check_output([sys.executable, "-c", _CODE, how], text=True))
        for how in ("leave it", "give back")
    }
    assert kept["give back"] < 20_000  # kB: the small ones take five thousand
    assert kept["leave it"] > 90_000
