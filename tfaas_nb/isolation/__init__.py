"""Work on files of strangers in a process of its own.

Loaders of model formats are large programs that were not made for hostile files.  One that
crashes, hangs or grows then takes nothing with it but itself: it has its own memory, an empty
folder to work in, none of our secrets in its environment, and limits after which it ends.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfaas_nb.errors import GraphError, ServerError, from_answer
from tfaas_nb.foreign_words import first_line
from tfaas_nb.isolation import job as jobs
from tfaas_nb.isolation.environment import clean
from tfaas_nb.isolation.job import Job
from tfaas_nb.isolation.limits import Limits
from tfaas_nb.isolation.warm import is_possible, warm
from tfaas_nb.last_words import LastWords
from tfaas_nb.own_folder import OwnFolder

__all__ = ["Limits", "held", "run"]

_UNPROCESSABLE = 422
_MOST_WORDS = 800


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Keep the process that TensorFlow was imported in, once a job needed it, until the end.

    Without, every `run` imports TensorFlow anew.
    """
    warm.hold()
    try:
        yield
    finally:
        warm.release()


def run(
    work: Callable[..., bytes],
    files: Mapping[str, bytes],
    *options: str,
    limits: Limits | None = None,
) -> bytes:
    """Run a function of ours on some files, in a process of its own, and return its result.

    Within a process that exists for such a job already, the function is called directly.

    Parameters
    ----------
    work : callable
        A module's function; takes the folder that the files are in and the options.
    files : mapping of str to bytes
        Path within that folder → content.
    *options : str
        Further words for the function.
    limits : Limits, optional
        What the process may use; by default as much as a large model needs.

    Raises
    ------
    TfaasError
        What the function raised; other errors than those of this tree as `GraphError`.
    GraphError
        If its process crashed or took more than it may.
    ServerError
        If there can be no process.
    """
    limits = limits or Limits()
    try:
        with contextlib.ExitStack() as stack:
            home = Path(stack.enter_context(OwnFolder()))
            _write(home, files)
            if jobs.is_bound():
                return work(home / jobs.SOURCE, *options)
            job = Job(f"{work.__module__}:{work.__qualname__}", str(home), options, limits)
            return _result(job)
    except OSError as error:
        raise ServerError(f"the model could not be handed to a process: {error}") from error


def _write(home: Path, files: Mapping[str, bytes]) -> None:
    for part in (jobs.SOURCE, jobs.WORK):
        (home / part).mkdir()
    for name, content in files.items():
        path = home / jobs.SOURCE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _result(job: Job) -> bytes:
    home = Path(job.home)
    with LastWords() as words:
        code = warm.run(job, words) if is_possible() else _alone(job, words)
        if code is None:
            raise job.limits.too_slow()
        if code == 0:
            return (home / jobs.RESULT).read_bytes()
        with contextlib.suppress(OSError, ValueError):
            told: dict[str, Any] = json.loads((home / jobs.REASON).read_bytes())
            raise from_answer(_UNPROCESSABLE, str(told["kind"]), str(told["message"]))
        raise job.limits.broken(code) or GraphError(
            f"the process in which the model was read and tried {_manner(code)}: "
            f"{_last_line(words.text())}"
        )


def _alone(job: Job, words: LastWords) -> int | None:
    """The exit code of a new process for a job; None when it was too slow."""
    with warm.turn:
        return _alone_now(job, words)


def _alone_now(job: Job, words: LastWords) -> int | None:
    process = subprocess.Popen(
        [sys.executable, "-m", jobs.__name__, job.to_json().decode()],
        cwd=Path(job.home) / jobs.WORK,
        env=clean(job.home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=words.fileno(),
    )
    words.release()
    with process:
        try:
            return process.wait(job.limits.seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()


def _manner(code: int) -> str:
    import signal

    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _last_line(text: str) -> str:
    return first_line((text.splitlines() or [""])[-1])[:_MOST_WORDS] or "it said nothing"
