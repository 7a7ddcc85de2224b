"""Files that are there whole or not at all, and stay when they are told to be written."""

from __future__ import annotations

import os
from pathlib import Path

from tfaas_nb import writer


def write(path: Path, content: bytes) -> None:
    """Write a file through to the disk; its directory must be flushed, too."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def replace(path: Path, content: bytes, beside: Path) -> None:
    """Write a file beside, then rename it into place over what was there.

    Parameters
    ----------
    path : Path
        The file; its directory must exist.
    content : bytes
        What it shall hold.
    beside : Path
        Directory on the same disk for the file while it is written.
    """
    written = beside / writer.named()
    try:
        write(written, content)
        written.replace(path)
    except OSError:
        written.unlink(missing_ok=True)
        raise
    flush(path.parent)


def make(directory: Path) -> None:
    """Make a directory with those above it that are missing; each then stays."""
    if directory.exists():
        return
    make(directory.parent)
    directory.mkdir(exist_ok=True)
    flush(directory.parent)


def flush(directory: Path) -> None:
    """Make creations and renames within a directory durable; Windows has no such call."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
