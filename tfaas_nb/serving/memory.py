"""Models in memory, up to a number of bytes: the least recently used ones leave first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from tfaas_nb.serving.counts import InMemory


class Held(Protocol):
    """Anything that a `Memory` holds.

    Attributes
    ----------
    used : int
        Grows with every use of anything that is held.
    size : int
        Bytes.
    """

    used: int
    size: int


T = TypeVar("T", bound=Held)


class Memory(Generic[T]):
    """Cache of things made or read, by what each was made from; the least recently used leave.

    Parameters
    ----------
    most_bytes : int
        What is least recently used leaves when there is more; never what came last.
    forget : callable
        Told what leaves, so that nothing else holds it.  Nothing is closed: a request under
        way may still use it.
    """

    def __init__(self, most_bytes: int, forget: Callable[[T], None]) -> None:
        self.most_bytes = most_bytes
        self._loads = self._evictions = 0
        self._forget = forget
        self._held: dict[Hashable, T] = {}
        self._coming: dict[Hashable, Future[T]] = {}
        self._lock = threading.Lock()

    @property
    def taken(self) -> InMemory:
        """Number and size of the things held, and counts of loads and evictions."""
        with self._lock:
            size = sum(held.size for held in self._held.values())
            return InMemory(len(self._held), size, self._loads, self._evictions)

    def peek(self, key: Hashable) -> T | None:
        """Return a thing that is held; None if it is not."""
        with self._lock:
            return self._held.get(key)

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return a thing that is held, or call `read` for it, once for all threads that ask."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                return held
            coming = self._coming.get(key)
            mine = coming is None
            if coming is None:
                coming = self._coming[key] = Future()
        return self._read(key, read, coming) if mine else coming.result()

    def put(self, key: Hashable, held: T) -> None:
        """Hold something; others leave if it takes their place."""
        with self._lock:
            self._held[key] = held
            leave = self._over(held)
        for other in leave:
            self._forget(other)

    def keep(self, wanted: Collection[int]) -> None:
        """Let everything go whose `id` is not wanted."""
        with self._lock:
            self._held = {key: held for key, held in self._held.items() if id(held) in wanted}

    def _read(self, key: Hashable, read: Callable[[], T], coming: Future[T]) -> T:
        try:
            found = read()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            coming.set_exception(error)
            raise
        self.put(key, found)
        with self._lock:
            self._loads += 1
            del self._coming[key]
        coming.set_result(found)
        return found

    def _over(self, last: T) -> list[T]:
        total = sum(held.size for held in self._held.values())
        leave = []
        for key, held in sorted(self._held.items(), key=lambda item: item[1].used):
            if total <= self.most_bytes:
                break
            if held is not last:
                del self._held[key]
                total -= held.size
                leave.append(held)
        self._evictions += len(leave)
        return leave
