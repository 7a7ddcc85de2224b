from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from tfaas_nb.classifier import Classifier
from tfaas_nb.errors import TrainingError
from tfaas_nb.widgets.option_form import OPTIONS, Choice, Layers, Option, OptionForm, Whole

CLASSIFIER = Classifier()
KNOWN = {
    f.name: getattr(part, f.name)
    for part in (CLASSIFIER.settings, CLASSIFIER.architecture)
    for f in fields(part)
}


def test_an_untouched_form_says_what_a_classifier_does_anyway() -> None:
    values = OptionForm().values()
    assert values == {name: KNOWN[name] for name in values}
    classifier = Classifier(**values)
    assert classifier.settings == CLASSIFIER.settings
    assert classifier.architecture == CLASSIFIER.architecture


def test_what_is_typed_is_what_the_classifier_gets() -> None:
    form = OptionForm()
    typed = {"epochs": 3, "learning_rate": 0.01, "hidden": "32; 16,", "embedding": ""}
    for name, value in typed.items():
        form.controls[name].value = value
    classifier = Classifier(**form.values())
    assert (classifier.settings.epochs, classifier.settings.learning_rate) == (3, 0.01)
    assert (classifier.architecture.hidden, classifier.architecture.embedding) == ((32, 16), ())


def test_layers_that_are_no_numbers_are_told() -> None:
    form = OptionForm()
    form.controls["hidden"].value = "64, many"
    with pytest.raises(TrainingError, match="Hidden layers: '64, many' are no numbers of units"):
        form.values()


def test_every_option_has_a_label_and_a_meaning_and_is_shown_once() -> None:
    form = OptionForm()
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    for option in OPTIONS:
        assert option.label
        assert option.meaning
        if option.name in KNOWN:
            assert form.controls[option.name].description == option.label


@pytest.mark.slow
def test_most_options_are_seen_when_they_are_asked_for() -> None:
    form = OptionForm()
    assert form._rest.layout.display == "none"
    form.more.value = True
    assert form._rest.layout.display is None
    form.more.value = False
    assert form._rest.layout.display == "none"


def test_an_option_that_this_version_lacks_is_left_out() -> None:
    form = OptionForm([Option("temperature", "Temperature", "none", Whole(1, 2)), OPTIONS[0]])
    assert list(form.controls) == [OPTIONS[0].name]


@pytest.mark.parametrize(
    ("kind", "usual"), [(Whole(1, 10), 40), (Choice((1, 2)), 7), (Choice((1, 2)), None)]
)
def test_a_default_beyond_the_sensible_range_can_stay(kind: Any, usual: Any) -> None:
    control = kind.control(usual)
    assert kind.read(control.value) == usual


def test_an_option_left_to_itself_says_so() -> None:
    control = Choice((1, 2)).control(None)
    assert control.index == 0
    assert control.label == "chosen from the number of events"


def test_layers_are_written_as_they_are_read() -> None:
    assert Layers().read(Layers().control((64, 32)).value) == (64, 32)
