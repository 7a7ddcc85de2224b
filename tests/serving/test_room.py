from __future__ import annotations

import subprocess
import sys

import pytest

from tfaas_nb.errors import Overloaded
from tfaas_nb.serving.room import Room, most_connections

MB = 1 << 20


def test_bodies_take_room_until_they_are_worked_on() -> None:
    room = Room(10 * MB)
    room.take(6 * MB)
    with pytest.raises(Overloaded, match="bodies of 6 MB are being worked on; send this one again"):
        room.take(5 * MB)
    room.take(4 * MB)
    room.give(6 * MB)
    room.take(5 * MB)
    assert room.taken == 9 * MB


def test_one_body_may_be_larger_than_all_room() -> None:
    """A large model gets in beside a crowd; a second one waits."""
    room = Room(10 * MB)
    room.take(10 * MB)
    room.take(50 * MB)
    with pytest.raises(Overloaded, match="another body as large"):
        room.take(11 * MB)
    room.give(50 * MB)
    room.take(11 * MB)
    assert room.taken == 10 * MB


FILES = """
import resource
from tfaas_nb.serving.room import more_files, most_connections
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
print(most_connections(4096), most_connections(10))
more_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(8192, hard) or hard == -1)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
more_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
def test_half_of_the_files_are_left_to_others() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FILES], check=True, capture_output=True, text=True
    ).stdout
    assert said == "150 10\nTrue\n(200, 200)\n"


def test_there_is_a_place_for_somebody_always() -> None:
    assert most_connections(1) == 1
