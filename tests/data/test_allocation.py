from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's")

_BEGIN = """
import re, sys, threading
import numpy as np
from pathlib import Path
from tfaas_nb.data import allocation

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

if sys.argv[1] != "leave it":
    getattr(allocation, sys.argv[1])()
"""

#: Frees arrays between which small ones stay, and prints what the process still has of them.
_ARRAYS = """
first = np.ones(4_000_000, np.uint8)
del first  # glibc learns from it that such sizes come again
before, large, small = resident(), [], []
for _ in range(50):
    large.append(np.ones(2_000_000, np.uint8))
    small.append(np.ones(100_000, np.uint8))
large.clear()
print(resident() - before)
"""

#: Threads that each free what they held, one after another, and what the process still has of it.
_THREADS = """
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


@pytest.mark.slow
def test_large_arrays_go_back_to_the_system_when_they_are_freed() -> None:
    assert kept(_ARRAYS, "give_back") < 20_000  # the small ones take five thousand
    assert kept(_ARRAYS, "leave it") > 90_000


@pytest.mark.slow
def test_threads_that_share_places_leave_only_theirs() -> None:
    assert kept(_THREADS, "share_places") < 14_000  # two places
    assert kept(_THREADS, "leave it") > 30_000


def kept(code: str, how: str) -> int:
    """kB that a process still has."""
    command = [sys.executable, "-c", _BEGIN + code, how]
    return int(subprocess.check_output(command, text=True))
