"""A temporary folder that ends with the process that made it, and not with a copy of that."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref


class OwnFolder:
    """A new folder, private to this user.

    `tempfile.TemporaryDirectory` is removed at the end of every copy of its process, too
    (`os.fork`, `multiprocessing`), while the original still needs it.

    Attributes
    ----------
    name : str
        Its path.
    """

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="tfaas_nb-")
        self._end = weakref.finalize(self, _remove, self.name, os.getpid())

    def cleanup(self) -> None:
        """Remove it with all that is in it; may be called twice."""
        self._end()

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *exc: object) -> None:
        self.cleanup()


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
