"""Limits of a process that reads untrusted files: time, memory, size of files."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tfaas_nb.errors import GraphError

_OPEN_FILES = 256
_KERNEL_MEMORY = "VmData:"


@dataclass(frozen=True)
class Limits:
    """Bounds of one job.

    Attributes
    ----------
    seconds : float
        Of a clock, and twice as many of all processors together.
    memory : int
        Bytes, beyond those of the process at its start.
    file_size : int
        Bytes of each file that it writes.
    """

    seconds: float = 300.0
    memory: int = 4 << 30
    file_size: int = 2 << 30

    @classmethod
    def of(cls, size: int) -> Limits:
        """Limits for a model of `size` bytes: enough for every sound one on a busy machine.

        A model's bytes are held by its file, its parsed form, TensorFlow's graph and a session.
        """
        return cls(seconds=60.0 + size / 2e6, memory=(1 << 30) + 8 * size)

    def to_values(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Limits:
        """Make limits from the values that `to_values` gave."""
        return cls(**values)

    def apply(self) -> None:
        """Bind this process, for good.

        Memory is bounded on Linux alone: elsewhere the system does not count what a process
        takes, or not against a limit.
        """
        try:
            import resource
        except ImportError:  # Windows
            return
        bounds = {
            resource.RLIMIT_CPU: int(2 * self.seconds) + 1,
            resource.RLIMIT_FSIZE: self.file_size,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_NOFILE: _OPEN_FILES,
        }
        taken = _data_bytes()
        if taken is not None:
            # Not the address space: TensorFlow reserves gigabytes of it that it never touches.
            bounds[resource.RLIMIT_DATA] = taken + self.memory
        for kind, most in bounds.items():
            hard = resource.getrlimit(kind)[1]
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most if hard < 0 else min(most, hard)))
        _be_the_first_to_go()

    def broken(self, code: int) -> GraphError | None:
        """The limit that a process's exit code tells of; None if it tells of none."""
        import signal

        if code == -getattr(signal, "SIGXCPU", 24):
            return GraphError(f"the model took more than {2 * self.seconds:g} s of processor time")
        return None

    def too_slow(self) -> GraphError:
        """Error for a model that took longer than the limit."""
        return GraphError(f"the model took more than {self.seconds:g} s to read and to try")


def _data_bytes() -> int | None:
    """Bytes of this process that count against its limit of data."""
    try:
        with open("/proc/self/status") as status:
            lines = [line.split() for line in status if line.startswith(_KERNEL_MEMORY)]
        return int(lines[0][1]) << 10
    except (OSError, ValueError, IndexError):
        return None


def _be_the_first_to_go() -> None:
    """Have the system end this process, and not the kernel, if memory runs out all the same."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
