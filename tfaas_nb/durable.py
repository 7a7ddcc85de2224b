"""Files that are there whole or not at all, and stay when they are told to be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from tfaas_nb import writer
from tfaas_nb.errors import DataError


def check_folder(path: Path) -> None:
    """Refuse a folder that can neither be made nor written to, before long work begins.

    Raises
    ------
    DataError
        Naming what is in its place, or the folder above it that nobody may write to.
    """
    there = next((p for p in (path, *path.absolute().parents) if os.path.lexists(p)), path)
    if not there.is_dir():
        at = "it" if there == path else there
        raise DataError(f"{path} cannot be written: {at} is no folder; name another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{path} cannot be written: you may not write to {there.resolve()}")


def check_file(path: Path) -> None:
    """Refuse a file that cannot be written, before long work begins.

    Raises
    ------
    DataError
        If a folder is in its place, or its own folder can be neither made nor written to.
    """
    if path.is_dir():
        raise DataError(f"{path} cannot be written: it is a folder; name a file")
    check_folder(path.parent)


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


def write_folder(path: Path, files: Mapping[str, bytes], own: Collection[str]) -> None:
    """Write a folder of files beside, then put it in the place of what was there.

    Parameters
    ----------
    path : Path
        The folder; those above it are made.
    files : mapping
        File name → content.
    own : collection of str
        As for `put_folder`.
    """
    written = path.parent / f".{writer.named()}"
    try:
        written.mkdir(parents=True)
        for name, content in files.items():
            write(written / name, content)
        put_folder(written, path, own)
    except BaseException:
        shutil.rmtree(written, ignore_errors=True)
        raise


def put_folder(written: Path, path: Path, own: Collection[str]) -> None:
    """Rename a folder into place; of the one that was there nothing is left but foreign files.

    Parameters
    ----------
    written : Path
        The new folder, on the same disk.
    path : Path
        Its place.
    own : collection of str
        Names that the old folder's files may have; files of other names are kept.
    """
    if not path.is_dir():
        written.rename(path)
        flush(path.parent)
        return
    former = path.rename(path.parent / f".{writer.named()}")
    try:
        written.rename(path)
    except OSError:
        former.rename(path)
        raise
    for entry in former.iterdir():
        if entry.name not in own and not (path / entry.name).exists():
            entry.rename(path / entry.name)
    shutil.rmtree(former, ignore_errors=True)
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
