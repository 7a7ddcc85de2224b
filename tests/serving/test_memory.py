from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tfaas_nb.serving.memory import Memory


@dataclass(eq=False)
class Item:
    used: int
    size: int = 10


def test_the_least_recently_used_leave_first() -> None:
    left: list[Item] = []
    memory: Memory[Item] = Memory(30, left.append)
    items = [Item(used) for used in (5, 1, 3)]
    for key, item in enumerate(items):
        memory.put(key, item)
    assert memory.taken.bytes == 30
    large = Item(0, size=15)
    assert memory.get("large", lambda: large) is large
    assert left == [items[1], items[2]]
    assert memory.taken.bytes == 25
    assert (memory.taken.loads, memory.taken.evictions) == (1, 2)
    assert memory.peek("large") is large
    assert memory.peek(1) is None


def test_what_came_last_stays_however_large() -> None:
    memory: Memory[Item] = Memory(5, lambda item: None)
    for key in range(3):
        memory.put(key, Item(used=-key))
        assert memory.taken.bytes == 10
    assert memory.peek(2)


def test_what_is_not_wanted_goes() -> None:
    memory: Memory[Item] = Memory(100, lambda item: None)
    kept = Item(1)
    memory.put("kept", kept)
    memory.put("other", Item(2))
    memory.keep({id(kept)})
    assert memory.peek("kept") is kept
    assert memory.peek("other") is None
    assert memory.taken.evictions == 0, "only those count that leave for want of memory"


def test_it_is_read_once_for_all_who_ask() -> None:
    memory: Memory[Item] = Memory(100, lambda item: None)
    asked, go_on = threading.Event(), threading.Event()
    read = []

    def slow() -> Item:
        read.append(1)
        asked.set()
        assert go_on.wait(20)
        return Item(1)

    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(memory.get, "slow", slow) for _ in range(4)]
        assert asked.wait(20)
        quick = Item(2)
        assert memory.get("quick", lambda: quick) is quick
        go_on.set()
        assert len({id(future.result(20)) for future in waiting}) == 1
    assert read == [1]


def test_an_error_is_told_and_tried_again() -> None:
    memory: Memory[Item] = Memory(100, lambda item: None)

    def fail() -> Item:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            memory.get("key", fail)
    item = Item(1)
    assert memory.get("key", lambda: item) is item
    assert memory.taken.loads == 1
