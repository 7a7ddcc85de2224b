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


#: Threads that each free what they held, one after another, and what the process still has of it.
_THREADS = """
import re, sys, threading
import numpy as np
from pathlib import Path
from tfaas_nb.data.allocation import share_places

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

if sys.argv[1] == "share":
    share_places()
first = np.ones(20_000_000, np.uint8)
del first  # glibc learns from it to keep such sizes
together, turn = threading.Barrier(9), threading.Lock()

def work():
    np.ones(10_000, np.uint8)
    together.wait()
    with turn:
        np.ones(6_000_000, np.uint8)
    together.wait()
    together.wait()

for _ in range(8):
    threading.Thread(target=work).start()
together.wait()
before = resident()
together.wait()
print(resident() - before)
together.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_threads_that_share_places_leave_only_theirs() -> None:
    kept = {
        how: int(subprocess.check_output([sys.executable, "-c", _THREADS, how], text=True))
        for how in ("leave it", "share")
    }
    assert kept["share"] < 14_000  # kB: two places
    assert kept["leave it"] > 30_000
