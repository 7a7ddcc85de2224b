from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tfaas_nb.serving.forked import let_go


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_let_go_is_closed_and_its_number_stays_taken() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    number = theirs.fileno()
    let_go(theirs, [number, -1])
    assert ours.recv(1) == b"", "the other end is closed"
    assert str(Path(f"/proc/self/fd/{number}").readlink()) == os.devnull
    assert not os.get_inheritable(number)
    ours.close()
    theirs.close()
