from __future__ import annotations

import pytest

from tfaas_nb.training import Epoch
from tfaas_nb.widgets.live_curve import Curve, counted, duration, picture


def epoch(number: int, loss: float) -> Epoch:
    return Epoch(number, loss, loss, 0.9, 1e-3)


def test_time_left_is_told_after_the_first_epoch() -> None:
    curve = Curve(iter([100.0, 103.0, 106.0]).__next__)
    curve.add(epoch(1, 0.5))
    assert "left" not in curve.told(10)
    curve.add(epoch(2, 0.4))
    assert curve.told(10).endswith("at most 24 s left")
    curve.add(epoch(3, 0.45))
    assert curve.told(50).endswith("best epoch 2; at most 3 min left")


def test_drawing_takes_a_small_part_of_the_time() -> None:
    now = 0.0
    curve = Curve(lambda: now)
    assert curve.is_due
    now = 10.1  # a drawing of 0.1 s: the next at the earliest half a second after it began
    curve.drawn(10.0)
    assert not curve.is_due
    now = 10.51
    assert curve.is_due
    now = 12.5  # one of 2 s: four times as long until the next
    curve.drawn(10.5)
    now = 20.4
    assert not curve.is_due
    now = 20.5
    assert curve.is_due


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (91, "2 min"), (9000, "2 h 30 min")]
)
def testdurations_are_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.slow
def test_the_picture_says_what_it_shows() -> None:
    shown = picture([epoch(1, 0.5), epoch(2, 0.4), epoch(3, 0.45)], 2)
    assert "data:image/png;base64,iVBOR" in shown
    assert "over 3 epochs; the last: training loss 0.4500" in shown
    assert "best epoch 2" in shown


def test_one_epoch_is_no_epochs() -> None:
    assert (counted(1), counted(2)) == ("1 epoch", "2 epochs")
