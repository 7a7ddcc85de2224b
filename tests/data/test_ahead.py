from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest

from tfaas_nb.data.ahead import ahead

Stop = Callable[[], bool]


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tfaas-nb reading"]


def counting(should_stop: Stop) -> Iterator[int]:
    number = 0
    while not should_stop():
        yield number
        number += 1


def test_items_come_in_order_and_the_thread_ends() -> None:
    assert list(ahead(lambda stop: iter(range(100)))) == list(range(100))
    assert not readers()


def test_no_thread_begins_before_it_is_needed() -> None:
    items = ahead(counting)
    assert not readers()
    items.close()
    assert not readers()


def test_items_are_made_while_one_is_worked_on() -> None:
    made = threading.Semaphore(0)

    def produce(should_stop: Stop) -> Iterator[int]:
        for number in range(3):
            made.release()
            yield number

    with closing(ahead(produce)) as items:
        assert next(items) == 0
        for _ in range(3):
            assert made.acquire(timeout=10)


def test_no_more_are_made_than_there_is_room_for() -> None:
    made: list[int] = []

    def produce(should_stop: Stop) -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with closing(ahead(produce, depth=2)) as items:
        next(items)
        time.sleep(0.2)
        assert len(made) <= 4  # given, two ready, one that finds no room


def test_an_error_comes_after_the_items_before_it() -> None:
    def produce(should_stop: Stop) -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    items = ahead(produce)
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)
    assert not readers()


def test_an_error_before_the_first_item_is_raised() -> None:
    def produce(should_stop: Stop) -> Iterator[int]:
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        next(ahead(produce))
    assert not readers()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_leaving_ends_the_thread_and_closes_what_it_read(error: type[BaseException]) -> None:
    closed = threading.Event()

    def produce(should_stop: Stop) -> Iterator[int]:
        try:
            yield from counting(should_stop)
        finally:
            closed.set()

    def leave() -> None:
        with closing(ahead(produce)) as items:
            for number in items:
                if number == 3:
                    raise error

    with pytest.raises(error):
        leave()
    assert closed.is_set()
    assert not readers()


def test_a_reader_that_waits_is_told_to_stop() -> None:
    def produce(should_stop: Stop) -> Iterator[int]:
        yield 1
        while not should_stop():
            time.sleep(0.01)
        yield 2

    items = ahead(produce)
    next(items)
    items.close()
    assert not readers()


def test_items_are_freed_when_the_next_is_asked_for() -> None:
    seen: list[weakref.ref[np.ndarray]] = []  # type: ignore[type-arg]

    def produce(should_stop: Stop) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        for _ in range(10):
            item = np.zeros(10)
            seen.append(weakref.ref(item))
            yield item
            del item

    with closing(ahead(produce)) as items:
        for item in items:
            del item
            alive = sum(one() is not None for one in seen)
            assert alive <= 3
