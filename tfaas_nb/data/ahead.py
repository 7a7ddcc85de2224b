"""Prefetching iterator: a thread makes the next items while earlier ones are worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_TICK = 0.05


@dataclass(frozen=True)
class _Last:
    """End of the iterator, perhaps by an error."""

    error: BaseException | None = None


def ahead(
    produce: Callable[[Callable[[], bool]], Iterator[T]], depth: int = 1
) -> Generator[T, None, None]:
    """The items of an iterator, in its order.

    The thread begins with the first item that is asked for, and has ended when this generator
    has: after the last item, an error, or `close`, which an interrupted ``for`` calls too.

    Parameters
    ----------
    produce : callable
        Makes the iterator, and is told by a callable whether to stop.
    depth : int
        Items that may be ready; one more is being made, and one worked on.

    Raises
    ------
    Exception
        Whatever the iterator raises, after the items before.
    """
    ready: queue.Queue[T | _Last] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(
        target=_work, args=(produce, ready, stop), name="tfaas-nb reading", daemon=True
    )
    thread.start()
    try:
        while not isinstance(item := ready.get(), _Last):
            yield item
            del item  # not to be held while the next one is waited for
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        while thread.is_alive():  # it may be waiting to put an item down
            with suppress(queue.Empty):
                ready.get(timeout=_TICK)


def _work(
    produce: Callable[[Callable[[], bool]], Iterator[T]],
    ready: queue.Queue[T | _Last],
    stop: threading.Event,
) -> None:
    last, items = _Last(), None
    try:
        items = produce(stop.is_set)
        while not stop.is_set():
            try:
                item = next(items)
            except StopIteration:
                break
            ready.put(item)
            del item
    except BaseException as error:  # the caller's to handle, whatever it is
        last = _Last(error)
    finally:
        if isinstance(items, Generator):
            items.close()  # files are closed here, not when somebody collects garbage
        ready.put(last)
