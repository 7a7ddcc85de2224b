"""Kinds of work, each with threads of its own, so that none waits for another's."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from enum import Enum

#: Larger bodies are decoded and computed in threads of their own, so that they hold up neither
#: the event loop nor lists and single events.
BULK_BYTES = 32 * 1024


class Share(Enum):
    """A kind of work: in the order of what others would have to wait for."""

    QUICK = "quick"
    #: Requests with large bodies.
    BULK = "bulk"
    #: Models that may never end.
    LOOPS = "loops"
    DOWNLOADS = "downloads"
    UPLOADS = "uploads"


#: Where each kind of work is done.
Threads = Mapping[Share, Executor]


def all_in(threads: Executor) -> dict[Share, Executor]:
    """Use the same threads for every kind of work."""
    return dict.fromkeys(Share, threads)
