from __future__ import annotations

import threading

from tfaas_nb.widgets.latest import IsOver, Latest


def test_only_the_last_of_what_is_asked_is_done() -> None:
    latest, done = Latest("test", 0.05), []
    for letter in "typed":
        latest.ask(lambda _, letter=letter: done.append(letter))  # type: ignore[misc]
    assert latest.wait(10)
    assert done == ["d"]


def test_what_is_under_way_is_told_that_it_is_over() -> None:
    latest, begun, done = Latest("test", 0.0), threading.Event(), []

    def long(is_over: IsOver) -> None:
        begun.set()
        while not is_over():
            threading.Event().wait(0.005)
        done.append("ended")

    latest.ask(long)
    assert begun.wait(10)
    latest.ask(lambda _: done.append("next"))
    assert latest.wait(10)
    assert done == ["ended", "next"]


def test_cancelled_work_is_not_begun() -> None:
    latest, done = Latest("test", 0.2), []
    latest.ask(lambda _: done.append("never"))
    latest.cancel()
    assert latest.wait(10)
    latest.ask(lambda _: done.append("later"))
    assert latest.wait(10)
    assert done == ["later"]


def test_its_thread_ends_with_the_work_and_nothing_is_begun_after_close() -> None:
    latest, done = Latest("test of its end", 0.0), []
    latest.ask(lambda _: done.append(threading.current_thread()))
    assert latest.wait(10)
    done[0].join(10)
    assert not done[0].is_alive()
    latest.close()
    latest.ask(lambda _: done.append(threading.current_thread()))
    assert latest.wait(0)
    assert len(done) == 1
