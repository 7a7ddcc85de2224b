from __future__ import annotations

import threading

from tfaas_nb.widgets.background import Background


def test_pieces_of_work_are_done_one_after_another() -> None:
    background, done, go = Background("test"), list[int](), threading.Event()
    background.run(go.wait)  # type: ignore[arg-type]
    for n in range(3):
        background.run(lambda n=n: done.append(n))  # type: ignore[misc]
    assert background.is_busy
    assert not background.wait(0)
    go.set()
    assert background.wait(10)
    assert done == [0, 1, 2]
    assert not [t for t in threading.enumerate() if t.name == "tfaas_nb-test" and t.is_alive()]


def test_after_closing_nothing_is_begun() -> None:
    background, done, go = Background("test"), list[int](), threading.Event()
    background.run(go.wait)  # type: ignore[arg-type]
    background.run(lambda: done.append(1))
    background.close()
    background.run(lambda: done.append(2))
    go.set()
    assert background.wait(10)
    assert done == []
