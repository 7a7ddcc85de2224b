"""Small disks in memory that tests may fill, make read-only, and take away."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_ROOT = [] if os.name == "posix" and os.geteuid() == 0 else ["sudo", "--non-interactive"]


#: Room is given in such pieces.
_BLOCK = 4096


class Disk:
    """A mounted file system of memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, left: int = 0) -> None:
        """Take all room but a number of bytes."""
        with self._filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while stream.write(bytes(_BLOCK)) == _BLOCK:
                pass
        os.truncate(self._filler, max(self._filler.stat().st_size - left, 0))

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def set_readonly(self, readonly: bool) -> None:
        how = "ro" if readonly else "rw"
        subprocess.run([*_ROOT, "mount", "-o", f"remount,{how}", self.path], check=True)


@contextmanager
def mounted(path: Path, size: str = "1m") -> Iterator[Disk]:
    """A disk at an empty folder; skips the test where nobody may mount one."""
    path.mkdir()
    command = [*_ROOT, "mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", path]
    try:
        failed = subprocess.run(command, capture_output=True, text=True, timeout=20).stderr
    except OSError as error:
        failed = str(error)
    if failed:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must be able to mount a tmpfs: {failed}")
        pytest.skip(f"no tmpfs can be mounted here: {failed.strip()}")
    try:
        yield Disk(path)
    finally:
        subprocess.run([*_ROOT, "umount", "--lazy", path], check=True)
