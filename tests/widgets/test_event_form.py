"""The form's controls, when the features change as fast as models can be chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ipywidgets.widgets import widget

from tfaas_nb.widgets.event_form import EventForm


@pytest.fixture
def form() -> Iterator[EventForm]:
    before = set(widget._instances)
    form = EventForm()
    yield form
    form.close()
    form.close()
    assert set(widget._instances) == before


def features(model: int) -> list[dict[str, Any]]:
    """Two jets' features, with medians of the model's own."""
    names = ("jetPt_0", "jetPt_1", "jetMass_0", "jetMass_1")
    return [{"name": name, "median": float(100 * model + i)} for i, name in enumerate(names)]


def test_controls_of_the_model_before_live_on(form: EventForm) -> None:
    """A page may still be making them."""
    form.use(features(1), None)
    former = tuple(form.fields.values())
    form.use(features(2), None)
    assert all(field.comm is not None for field in former)
    assert form.values()["jetMass_1"] == 203.0


def test_the_same_features_have_the_same_controls(form: EventForm) -> None:
    form.use(features(1), None)
    former = dict(form.fields)
    form.fields["jetPt_0"].value = 7.0
    form.use(features(2), None)
    form.use(features(1), None)
    assert form.fields == former
    assert form.values()["jetPt_0"] == 100.0, "typical values again"
    assert form.groups == ("Jet 0", "Jet 1")


def test_not_all_models_have_controls_for_ever(form: EventForm) -> None:
    form.use(features(0), None)
    first = tuple(form.fields.values())
    for model in range(1, 10):
        form.use(features(model), None)
    assert all(field.comm is None for field in first)
    assert all(field.comm is not None for field in form.fields.values())
