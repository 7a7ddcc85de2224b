"""Work on files of strangers in a process of its own.

Loaders of model formats are large programs that were not made for hostile files.  One that
crashes, hangs or grows then takes nothing with it but itself: it has its own memory, an empty
folder to work in, none of our secrets in its environment, and a time after which it ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tfaas_nb.errors import GraphError

_SECONDS = 300.0
_MOST_WORDS = 800
#: What a Python that imports TensorFlow needs of our environment.  Tokens are not among it.
_KEPT = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "VIRTUAL_ENV"),
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "WINDIR"),
)
_one_at_a_time = threading.Lock()


def run(module: str, files: Mapping[str, bytes], *options: str, seconds: float = _SECONDS) -> bytes:
    """What a module of ours makes of some files.

    Parameters
    ----------
    module : str
        Full name of a module whose main program calls `answer`.
    files : mapping of str to bytes
        Path within the folder that the module is handed → content.
    *options : str
        Further words for the module.
    seconds : float
        After this time the process is killed.

    Raises
    ------
    GraphError
        With the module's reason, or how its process ended.
    """
    with _one_at_a_time, tempfile.TemporaryDirectory(prefix="tfaas-nb-") as folder:
        home = Path(folder)
        for part in ("source", "work"):
            (home / part).mkdir()
        for name, content in files.items():
            path = home / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return _result(module, home, options, seconds)


def _result(module: str, home: Path, options: Sequence[str], seconds: float) -> bytes:
    source, target = home / "source", home / "result"
    command = [sys.executable, "-m", module, str(source), str(target), *options]
    try:
        done = subprocess.run(
            command,
            cwd=home / "work",
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GraphError(f"converting the model took more than {seconds:.0f} s") from error
    if done.returncode == 0 and target.is_file():
        return target.read_bytes()
    reason = _reason_file(target)
    if reason.is_file():
        raise GraphError(reason.read_text("utf-8"))
    last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
    raise GraphError(
        f"the process that converted the model ended with {done.returncode}: {last[:_MOST_WORDS]}"
    )


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # As this process finds modules, so must that one; its folder is the package's, wherever we are.
    ours = str(Path(__file__).parent.parent)
    paths = [ours, *(path for path in sys.path if path and Path(path).is_dir())]
    return kept | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "HOME": str(home / "work"),
        "KERAS_HOME": str(home / "work"),
        "KERAS_BACKEND": "tensorflow",
        "TMPDIR": str(home / "work"),
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def answer(words: Sequence[str], work: Callable[..., bytes]) -> int:
    """The main program of a module that `run` calls; returns its exit code.

    Parameters
    ----------
    words : sequence of str
        The command line after the module's name.
    work : callable
        Takes the folder of files and the options, returns the result.
    """
    source, target, *options = words
    _confine()
    try:
        result = work(Path(source), *options)
    except Exception as error:
        reason = f"{error}" if isinstance(error, GraphError) else f"{type(error).__name__}: {error}"
        _reason_file(Path(target)).write_text(reason[:_MOST_WORDS], "utf-8")
        return 1
    Path(target).write_bytes(result)
    return 0


def _confine() -> None:
    """Limits of this process, set before it touches a file of a stranger."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {resource.RLIMIT_CPU: int(2 * _SECONDS), resource.RLIMIT_CORE: 0}
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most if hard < 0 else min(most, hard)))


def _reason_file(target: Path) -> Path:
    return target.with_suffix(".reason")
