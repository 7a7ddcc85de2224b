"""Lock around controls that belong together, so that one thread at a time changes them.

A change on the page is handled in the kernel's thread, one that follows a training or an upload
in the thread of that work: both may fill the same form at the same moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Turn:
    """One thread at a time has it; others wait until it is theirs."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._silent = 0

    def __enter__(self) -> Turn:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def silently(self) -> Iterator[None]:
        """Set controls, in a turn, without doing what is done when a person sets them."""
        with self._lock:
            self._silent += 1
            try:
                yield
            finally:
                self._silent -= 1

    @property
    def is_silent(self) -> bool:
        """True if the calling thread sets controls silently; waits while another one does."""
        with self._lock:
            return self._silent > 0


class TakesTurns(Protocol):
    """Has a turn to be waited for."""

    _turn: Turn


_Owner = TypeVar("_Owner", bound=TakesTurns)


def in_turn(
    method: Callable[Concatenate[_Owner, _Asked], _Answer],
) -> Callable[Concatenate[_Owner, _Asked], _Answer]:
    """A method that has the turn from its begin to its end."""

    @wraps(method)
    def taking_turns(self: Any, /, *args: _Asked.args, **kwargs: _Asked.kwargs) -> _Answer:
        with self._turn:
            return method(self, *args, **kwargs)

    return taking_turns
