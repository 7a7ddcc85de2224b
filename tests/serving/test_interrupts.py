from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tfaas_nb.serving.interrupts import wait_until_set

#: The main thread is blocked when another one gets the signal.
_CODE = """
import signal, threading, time
from tfaas_nb.serving.interrupts import wait_until_set

def interrupted():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

signal.signal(signal.SIGTERM, signal.default_int_handler)
threading.Thread(target=interrupted).start()
try:
    wait_until_set(threading.Event())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_a_signal_that_another_thread_got_ends_it() -> None:
    told = subprocess.check_output([sys.executable, "-c", _CODE], text=True, timeout=20)
    assert told == "interrupted\n"


def test_it_ends_with_the_event() -> None:
    event = threading.Event()
    threading.Timer(0.1, event.set).start()
    wait_until_set(event)
    assert event.is_set()
