from __future__ import annotations

import threading
from collections.abc import Callable

from tfaas_nb.widgets.turn import Turn, in_turn


def test_only_the_thread_that_sets_silently_is_silent() -> None:
    turn, seen = Turn(), []
    with turn.silently():
        assert turn.is_silent
        other = started(lambda: seen.append(turn.is_silent))
        other.join(0.1)
        assert not seen
        with turn.silently():
            assert turn.is_silent
        assert turn.is_silent
    other.join(10)
    assert seen == [False]
    assert not turn.is_silent


def test_a_failure_ends_silence_and_turn() -> None:
    turn, seen = Turn(), []
    try:
        with turn.silently():
            raise ValueError
    except ValueError:
        started(lambda: seen.append(turn.is_silent)).join(10)
    assert seen == [False]


class Pair:
    """Two numbers that are equal whenever somebody has the turn."""

    def __init__(self) -> None:
        self._turn = Turn()
        self.first = self.second = 0

    @in_turn
    def add(self, number: int) -> bool:
        """Add to both numbers; return True if they were equal."""
        equal = self.first == self.second
        self.first += number
        for _ in range(100):
            self._nothing()
        self.second += number
        return equal

    @in_turn
    def _nothing(self) -> None:
        """Taken within a turn."""


def test_methods_in_turn_are_not_interrupted_by_each_other() -> None:
    pair, equal = Pair(), []
    threads = [started(lambda: equal.extend(pair.add(1) for _ in range(200))) for _ in range(4)]
    for thread in threads:
        thread.join(30)
    assert equal == [True] * 800
    assert pair.first == pair.second == 800


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread
