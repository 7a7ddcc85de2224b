from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tfaas_nb.errors import BundleError
from tfaas_nb.reference_events import FILE, ReferenceEvents


def doubled(X: Any) -> Any:
    return 2 * X.sum(axis=1, keepdims=True)


@pytest.fixture
def events() -> ReferenceEvents:
    return ReferenceEvents.of(("a", "b"), [[0.1, 0.2], [3.0, 4.0]], doubled)


def test_scores_are_those_of_the_function(events: ReferenceEvents) -> None:
    assert len(events) == 2
    np.testing.assert_array_equal(
        np.array(events.scores, np.float32), doubled(np.array([[0.1, 0.2], [3, 4]], np.float32))
    )


def test_they_come_back_from_json_to_the_last_bit(events: ReferenceEvents) -> None:
    found = ReferenceEvents.from_json(events.to_json())
    assert found == events
    assert found.matrix.dtype == np.float32
    np.testing.assert_array_equal(found.matrix, events.matrix)


def test_the_largest_difference_is_told(events: ReferenceEvents) -> None:
    scores = np.array(events.scores)
    assert events.check(scores) == 0
    assert events.check(scores + np.array([[0.0], [5e-6]])) == pytest.approx(5e-6)


@pytest.mark.parametrize("wrong", [1e-3, -1e-3, np.nan, np.inf])
def test_a_score_that_differs_is_named(events: ReferenceEvents, wrong: float) -> None:
    scores = np.array(events.scores) + np.array([[0.0], [wrong]])
    message = r"event 1 has \S+ on http://x and should have 14 \(1 of 2 events differ\)"
    with pytest.raises(BundleError, match=message):
        events.check(scores, "on http://x")


def test_small_scores_may_differ_by_a_millionth() -> None:
    events = ReferenceEvents(("a",), ((1.0,),), ((1e-7,),))
    assert events.check([[9e-7]]) < 1e-6
    with pytest.raises(BundleError, match="differ"):
        events.check([[2e-6]])


@pytest.mark.parametrize("scores", [np.zeros(2), np.zeros((2, 2)), np.zeros((1, 1))])
def test_scores_of_another_shape_are_another_models(events: ReferenceEvents, scores: Any) -> None:
    with pytest.raises(BundleError, match=r"they should have \(2, 1\): is it the model"):
        events.check(scores)


@pytest.mark.parametrize(
    "change",
    [
        {"keys": ["a"]},
        {"keys": [1, 2]},
        {"values": [[1.0, 2.0]]},
        {"values": [[1.0, "x"], [1.0, 2.0]]},
        {"values": [[1.0, 2.0], [1.0]]},
        {"values": 5},
        {"values": [[1.0, 1e39], [1.0, 2.0]]},
        {"scores": [[1.0], [None]]},
        {"scores": [1.0, 2.0]},
        {"scores": [[], [1.0]]},
        {"values": [], "scores": []},
    ],
)
def test_what_does_not_fit_together_is_refused(
    events: ReferenceEvents, change: dict[str, Any]
) -> None:
    told = json.loads(events.to_json()) | change
    with pytest.raises(BundleError, match=FILE):
        ReferenceEvents.from_json(json.dumps(told).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'"keys"', b"\xff"])
def test_other_text_is_refused(text: bytes) -> None:
    with pytest.raises(BundleError, match='is not {"keys"'):
        ReferenceEvents.from_json(text)
