"""Names of writers of files: others can tell from a name if its process has ended.

Process numbers mean something on one machine, in one container and until it is started again
only, so those are part of the name.  Of writers elsewhere nothing can be told.
"""

from __future__ import annotations

import functools
import os
import uuid
from pathlib import Path

_PROC = Path("/proc")


def named() -> str:
    """A name for a file that this process is going to write; no other file is called so."""
    pid = os.getpid()
    return f"{_scope()}.{pid}.{_started(pid) or 0}-{uuid.uuid4().hex}"


def is_alive(name: str) -> bool | None:
    """Return True if the process that `named` a file still lives; None if that cannot be known."""
    scope, pid, started = [*name.partition("-")[0].rsplit(".", 2), "", ""][:3]
    if not scope or scope != _scope() or not pid.isdecimal() or not started.isdecimal():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    # Numbers are given again: another process has begun at another time.
    return started == "0" or _started(int(pid)) in (int(started), None)


@functools.lru_cache(maxsize=1)
def _scope() -> str:
    """Return the scope in which process numbers are valid; empty where not known (not on Linux)."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot.replace('-', '')[:12]}.{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Clock ticks from the machine's start to the process's, 0 if it has ended already.

    Not the time of day, which may be set.  None where it is not shown.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return 0 if fields[0] in "ZX" else int(fields[19])
