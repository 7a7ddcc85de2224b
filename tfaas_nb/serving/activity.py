"""Scored events count as activity of the kernel, where hubs end kernels in which none is.

Jupyter takes a kernel's messages for its activity, and requests to a server in it are none: Binder
ends a kernel 10 minutes after its last cell however many of them were answered.  Any message counts
whose type ``MappingKernelManager.untracked_message_types`` does not list.  One of a type of its own
that answers no request is passed over by JupyterLab, the classic Notebook, Voila and nbclient
without a word; a message to a comm that no page has opened is an error in the Notebook's console.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from tfaas_nb.errors import TfaasError

#: Seconds between two looks at what was scored, and so between two messages at least.
EVERY = 30.0
#: Type of the message.
MESSAGE = "tfaas_nb_activity"


class Activity:
    """Tells Jupyter that this kernel is active, once for each `EVERY` in which events were scored.

    Parameters
    ----------
    scored : callable
        Events scored since the server's start; may raise TfaasError when it is away.

    Notes
    -----
    A thread of its own looks and tells, from `start` to `stop`.  Where nothing is asked nothing is
    told, so that an unused kernel ends as any other does.
    """

    def __init__(self, scored: Callable[[], int]) -> None:
        self._scored = scored
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, name="tfaas_nb-activity", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        before = 0
        while not self._end.wait(EVERY):
            try:
                now = self._scored()
            except TfaasError:  # too busy to say, or about to be replaced
                continue
            if now != before:
                tell()
            before = now


def tell() -> bool:
    """Send one message that counts as activity; returns whether this is a Jupyter kernel."""
    kernel = _kernel()
    if kernel is None:
        return False
    kernel.session.send(kernel.iopub_socket, MESSAGE, {})
    return True


def _kernel() -> Any:
    """The kernel that this process is, or None; Xeus and others of Python's have no such socket."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel if hasattr(kernel, "iopub_socket") and hasattr(kernel, "session") else None
