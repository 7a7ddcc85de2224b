from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from tfaas_nb.serving.pool import Pool


def test_calls_are_answered_and_errors_told() -> None:
    pool = Pool(2, "pool")
    assert [pool.submit(pow, 2, n).result(20) for n in range(5)] == [1, 2, 4, 8, 16]
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(20)
    pool.shutdown()


def test_threads_start_when_they_are_needed_and_are_so_many_at_most() -> None:
    pool, go_on = Pool(2, "few"), threading.Event()
    pool.submit(int).result(20)
    time.sleep(0.1)
    pool.submit(int).result(20)
    assert len(named("few")) == 1
    waiting = [pool.submit(go_on.wait, 20) for _ in range(5)]
    assert len(named("few")) == 2
    go_on.set()
    assert all(call.result(20) for call in waiting)
    pool.shutdown()
    assert not named("few")


def test_what_has_not_begun_may_be_cancelled_at_the_end() -> None:
    pool, go_on = Pool(1, "ends"), threading.Event()
    begun, other = pool.submit(go_on.wait, 20), pool.submit(int)
    while not begun.running():
        time.sleep(0.01)
    pool.shutdown(wait=False, cancel_futures=True)
    assert other.cancelled()
    go_on.set()
    assert begun.result(20)
    with pytest.raises(RuntimeError, match="has stopped"):
        pool.submit(int)


def named(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


ENDLESS = """
import threading, time
from tfaas_nb.serving import pool
pool._LAST_SECONDS = 0.2
threads = pool.Pool(1, "endless")
threads.submit(threading.Event().wait)
time.sleep(0.1)
threads.shutdown(wait=False)
"""


@pytest.mark.slow
def test_the_interpreter_does_not_wait_for_a_call_for_ever() -> None:
    subprocess.run([sys.executable, "-c", ENDLESS], check=True, timeout=60)
