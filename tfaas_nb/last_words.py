"""The end of what a process writes on its error stream, in a bounded amount of memory."""

from __future__ import annotations

import os
import threading

#: Bytes that are kept; what was written before them is dropped.
MOST = 4000

_CHUNK = 1 << 16
_SECONDS_TO_END = 1.0


class LastWords:
    """A pipe of which the last bytes are remembered.  Hand `fileno` to a process as its stream.

    However much the process writes, neither memory nor disk fills, and it is never held up.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._listen, name="tfaas_nb-words", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """The descriptor to write to."""
        return self._writing

    def release(self) -> None:
        """Close this process's end for writing; call it when another process has its own."""
        writing, self._writing = self._writing, -1
        if writing >= 0:
            os.close(writing)

    def text(self) -> str:
        """Return the last output; wait a moment for the end of a process that has just ended."""
        self._end()
        return bytes(self._kept).decode("utf-8", "replace").strip()

    def __enter__(self) -> LastWords:
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def _end(self) -> None:
        self.release()
        # Who else holds the pipe, such as a process's own child, is not waited for.
        self._thread.join(_SECONDS_TO_END)

    def _listen(self) -> None:
        try:
            while said := os.read(self._reading, _CHUNK):
                self._kept += said
                del self._kept[:-MOST]
        finally:
            os.close(self._reading)
