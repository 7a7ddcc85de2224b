"""Waiting that a signal always ends, as Ctrl-C and SIGTERM end a server in the foreground."""

from __future__ import annotations

import threading

_LOOK_SECONDS = 0.5


def wait_until_set(event: threading.Event) -> None:
    """Block the main thread until an event is set, or the handler of a signal raises.

    Python's handlers run in the main thread when that comes to its next step.  A signal that
    another thread gets, or that comes in the moment before the main thread blocks, is noted but
    wakes nobody: so this takes a step now and then.
    """
    while not event.wait(_LOOK_SECONDS):
        pass
