"""A job, in the process that exists for it alone: bound, working, and telling what came out."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfaas_nb import backend
from tfaas_nb.errors import GraphError, TfaasError
from tfaas_nb.isolation.limits import Limits

#: Below a job's folder: what it is given, where it works, what it answers.
SOURCE, WORK, RESULT, REASON = "source", "work", "result", "reason"

_MOST_WORDS = 800
_DIE_WITH_PARENT = 1

#: Whether this process exists for a job.
_is_bound = False


@dataclass(frozen=True)
class Job:
    """Job for a process of its own: a function, its folder and options, and its limits.

    Attributes
    ----------
    work : str
        ``module:function``; it takes the folder of files and the options, and returns bytes.
    home : str
        A folder for this job alone.
    options : tuple of str
        Further words for the function.
    limits : Limits
        Its bounds.
    """

    work: str
    home: str
    options: tuple[str, ...]
    limits: Limits

    def to_json(self) -> bytes:
        """As it travels to the process."""
        values = {"work": self.work, "home": self.home, "options": self.options}
        return json.dumps(values | {"limits": self.limits.to_values()}).encode()

    @classmethod
    def from_json(cls, told: bytes | str) -> Job:
        """Read a job that `to_json` wrote."""
        values: Mapping[str, Any] = json.loads(told)
        limits = Limits.from_values(values["limits"])
        return cls(values["work"], values["home"], tuple(values["options"]), limits)


def is_bound() -> bool:
    """Return True if this process exists for a job; a further process would add no protection."""
    return _is_bound


def do(job: Job) -> int:
    """Bind this process, do the job and write its result; returns the exit code."""
    global _is_bound
    home = Path(job.home)
    try:
        _settle(home)
        job.limits.apply()
        _is_bound = True
        backend.tell_notes()
        result = _function(job.work)(home / SOURCE, *job.options)
        (home / RESULT).write_bytes(result)
    except Exception as error:
        (home / REASON).write_text(_told(error), "utf-8")
        return 1
    return 0


def _settle(home: Path) -> None:
    """Work in the job's folder, and end with whoever started this process."""
    os.umask(0o077)
    os.chdir(home / WORK)
    for name in ("HOME", "KERAS_HOME", "TMPDIR"):
        os.environ[name] = str(home / WORK)
    tempfile.tempdir = None
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _function(work: str) -> Callable[..., bytes]:
    module, _, name = work.partition(":")
    found: Callable[..., bytes] = getattr(importlib.import_module(module), name)
    return found


def _told(error: Exception) -> str:
    """A reason for `tfaas_nb.errors.from_answer`; a stranger's file made it, so it is cut."""
    if isinstance(error, TfaasError):
        kind, message = type(error).__name__, str(error)
    elif isinstance(error, MemoryError):
        kind, message = GraphError.__name__, "the model takes more memory than a model may"
    else:
        kind, message = GraphError.__name__, f"{type(error).__name__}: {error}"
    return json.dumps({"kind": kind, "message": message[:_MOST_WORDS]})


if __name__ == "__main__":
    sys.exit(do(Job.from_json(sys.argv[1])))
