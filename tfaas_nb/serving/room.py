"""Limits of bodies and connections at once; a client over a limit is told to come again."""

from __future__ import annotations

import contextlib
import threading

from tfaas_nb.errors import Overloaded

#: Open files that connections leave to everything else, as a part of all.
_PART_OF_FILES = 2

#: Open files that a process of the server's own asks for: twice its connections.
_MOST_FILES = 8192


class Room:
    """Bytes of bodies that are held at once, of all connections; any thread may take some.

    Parameters
    ----------
    most : int
        Together; one larger body than that is taken if no other such is there, so that a large
        model is not kept out by a crowd.

    Attributes
    ----------
    taken : int
        Bytes that are held.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self._oversized = False
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Take room for a body, all at once.

        Raises
        ------
        Overloaded
            If there is none.
        """
        with self._lock:
            if size > self.most:
                if self._oversized:
                    raise Overloaded("another body as large is being worked on; send it again soon")
                self._oversized = True
                return
            if self.taken + size > self.most:
                raise Overloaded(
                    f"bodies of {self.taken >> 20} MB are being worked on; send this one again soon"
                )
            self.taken += size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            if size > self.most:
                self._oversized = False
            else:
                self.taken -= size


def most_connections(most: int) -> int:
    """Bound a number of connections by the open files allowed, some of which others need."""
    files = _open_files()
    return most if files is None else max(1, min(most, files // _PART_OF_FILES))


def more_files() -> None:
    """Have this process open as many files as its user allows, up to what a server needs."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_files() -> int | None:
    """Files that this process may have open; None where that is not known or not bounded."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
