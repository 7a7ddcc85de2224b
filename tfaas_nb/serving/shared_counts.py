"""Counts of several worker processes on one port: each writes its own, any adds up all.

A file per worker number holds what all processes under that number have counted: one that takes
the place of a dead one reads its file and goes on from there, so that counters never go back.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tfaas_nb.serving.snapshot import Snapshot

#: Seconds between two writings of a worker, and until one that writes no more counts as dead.
EVERY = 1.0
DEAD_AFTER = 10.0

_log = logging.getLogger("tfaas_nb")


class SharedCounts:
    """One worker's share, and the sum of all.

    Parameters
    ----------
    directory : path
        A private directory that the workers of one server share, empty at its start.
    worker : int
        Number of this worker; no two live processes of a directory have the same one.

    Notes
    -----
    At most the last second of a killed worker is lost, and only if nobody was told of it:
    asked for the sum, a worker first writes what it adds to it.
    """

    def __init__(self, directory: str | os.PathLike[str], worker: int) -> None:
        self.directory = Path(directory)
        self._file = self.directory / f"{worker}.json"
        former = _read(self._file)
        self._former = former.past() if former else None
        self._writing = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False

    def start(self, take: Callable[[], Snapshot]) -> None:
        """Write once a second what `take` gives, from a thread of its own."""
        if self._thread is None:
            self._end.clear()
            self._thread = threading.Thread(
                target=self._write_on, args=(take,), name="tfaas_nb-counts", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Write once more and end the thread."""
        thread, self._thread = self._thread, None
        self._end.set()
        if thread:
            thread.join()

    def sum(self, take: Callable[[], Snapshot]) -> Snapshot:
        """Add up the counts of all workers; `take` gives this process's part."""
        total = self._write(take)
        for file in sorted(self.directory.glob("*.json")):
            if file != self._file:
                found = _read(file)
                if found:
                    total += found if _is_fresh(file) else found.past()
        return total

    def _write_on(self, take: Callable[[], Snapshot]) -> None:
        while True:
            self._write(take)
            if self._end.is_set():
                return
            self._end.wait(EVERY)

    def _write(self, take: Callable[[], Snapshot]) -> Snapshot:
        """Write the share of this worker's number, and return it."""
        beside = self._file.with_suffix(".new")
        with self._writing:  # taken within, lest an older one be written over a newer one
            own = take()
            share = own + self._former if self._former else own
            try:
                beside.write_bytes(share.to_json())
                beside.replace(self._file)
                self._failed = False
            except OSError as error:  # counting must not stop the serving
                if not self._failed:
                    _log.warning("%s: counts cannot be shared: %s", self._file, error.strerror)
                self._failed = True
        return share


def _read(file: Path) -> Snapshot | None:
    try:
        return Snapshot.from_json(file.read_bytes())
    except (OSError, ValueError):
        return None


def _is_fresh(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime < DEAD_AFTER
    except OSError:
        return False
