from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfaas_nb.errors import DataError
from tfaas_nb.metrics import Contributions

EVENT = {"a": 2.0, "b": 5.0, "c": 7.0}


def linear(events: Any) -> Any:
    return events @ np.array([0.1, -0.2, 0.0], dtype=np.float32)


def test_each_feature_alone_is_made_typical() -> None:
    asked: list[Any] = []

    def scorer(events: Any) -> Any:
        asked.append(events.copy())
        return linear(events)

    found = Contributions.of(scorer, EVENT, {"a": 1.0, "b": 2.0, "c": 3.0})
    assert [events.tolist() for events in asked] == [[[2, 5, 7], [1, 5, 7], [2, 2, 7], [2, 5, 3]]]
    assert found.names == ("b", "a", "c")
    assert found.change == pytest.approx([-0.6, 0.1, 0.0], abs=1e-6)
    assert found.values.tolist() == [5, 2, 7]
    assert found.typical.tolist() == [2, 1, 3]
    assert found.score == pytest.approx(0.2 - 1.0, abs=1e-6)


def test_what_has_no_typical_value_is_left_alone() -> None:
    found = Contributions.of(linear, EVENT, {"a": 1.0, "x": 4.0})
    assert found.names == ("a",)
    with pytest.raises(DataError, match="no typical values"):
        Contributions.of(linear, EVENT, {})


def test_models_of_several_outputs_are_refused() -> None:
    with pytest.raises(DataError, match=r"2 events got scores of shape \(2, 3\)"):
        Contributions.of(lambda events: events, EVENT, {"a": 1.0})


def test_it_shows_itself() -> None:
    found = Contributions.of(linear, {**EVENT, "a": 2.0}, {"a": 1.0, "b": 2.0})
    assert repr(found) == "Contributions(score -0.8000, most: b -0.6000, a +0.1000)"
    assert found.table().rows[0] == ("b", 5.0, 2.0, "-0.6000")
    assert found._repr_html_().count("<tr>") == 3
    assert "+0.1000" in found.html()
    assert "+0.1000" not in found.html(most=1)
