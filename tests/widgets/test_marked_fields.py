"""Bad input stays as it was typed: the field is marked, a message says why, and nothing runs."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import tfaas_nb as tn
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import DataPanel, Query, RocView, TrainPanel, Upload
from tfaas_nb.widgets.field import NumberField

TRAINING = [
    ("learning_rate", -1, "Learning rate: -1 is not allowed: write a number from 1e-06 to 1"),
    ("learning_rate", None, "Learning rate: nothing is written here"),
    ("epochs", 0, "Epochs: 0 is not allowed: write a whole number from 1 to 1000"),
    ("epochs", 2.5, "Epochs: 2.5 is no whole number"),
    ("patience", -3, "Patience: -3 is not allowed"),
    ("members", 50, "Members: 50 is not allowed: write a whole number from 1 to 10"),
    ("dropout", 1.5, "Dropout: 1.5 is not allowed: write a number from 0 to 0.8"),
    ("validation", 0.9, "Validation fraction: 0.9 is not allowed"),
    ("weight_decay", float("inf"), "Weight decay: inf is not finite"),
    ("hidden", "64, 0", "Hidden layers: '64, 0' are no numbers of units"),
    ("embedding", "64.5", "Jet layers: '64.5' are no numbers of units"),
    ("test_fraction", 1.0, "Test fraction: 1 is not allowed: write a number from 0.05 to 0.9"),
    ("seed", -1, "Seed: -1 is not allowed: write a whole number from 0 to 4294967295"),
]


def test_a_training_does_not_begin(events: Dataset) -> None:
    panel = TrainPanel(events)
    for name, value, words in TRAINING:
        control = panel.options.controls.get(name) or getattr(panel, name)
        right = control.value
        control.value = value
        assert control.value == value, "as it was typed"
        assert control.error
        panel.start_button.click()
        assert not panel.running
        assert 'role="alert"' in panel.message.value
        assert words in unescape(panel.message.value)
        control.value = right
        assert not control.error
        assert "Error" not in panel.message.value, "it goes with its cause"


def test_the_message_names_each_marked_field_until_it_is_mended(events: Dataset) -> None:
    panel = TrainPanel(events)
    rate, dropout = (panel.options.controls[name] for name in ("learning_rate", "dropout"))
    rate.value, dropout.value = -1, 2
    panel.start_button.click()
    assert panel.options.more.value, "a marked field is seen"
    assert "Learning rate: -1" in panel.message.value
    assert "Dropout: 2" in panel.message.value
    rate.value = 0.01
    assert "Learning rate" not in panel.message.value
    assert "Dropout: 2" in panel.message.value
    dropout.value = 0.1
    assert "Error" not in panel.message.value


EVENT = [
    ("event", 99999, "Event: 99999 is not allowed: write a whole number from 0 to 399"),
    ("event", -1, "Event: -1 is not allowed"),
    ("jets", 9, "Number of jets: 9 is not allowed: write a whole number from 0 to 5"),
    ("jets", None, "Number of jets: nothing is written here"),
    ("nJets", 2.7, "nJets: 2.7 is no whole number"),
    ("nJets", -2, "nJets: -2 is not allowed: write a whole number, 0 or more"),
    ("jetPt_0", -50, "jetPt_0 [GeV]: -50 is not allowed: write a number, 0 or more (in GeV)"),
    ("jetMass_0", -0.5, "jetMass_0 [GeV]: -0.5 is not allowed"),
    ("jetTau1_0", -0.1, "jetTau1_0: -0.1 is not allowed"),
    ("jetPhi_0", 90, "jetPhi_0 [rad]: 90 is not allowed: write a number from -6.2832 to 6.2832"),
    ("jetEta_0", None, "jetEta_0: nothing is written here: write a number"),
    ("jetEta_0", float("nan"), "jetEta_0: nan is not finite"),
    ("jetPt_0", 1e39, "jetPt_0 [GeV]: 1e+39 is larger than a float32 holds"),
    ("threshold", None, "Signal if the score is at least: nothing is written here"),
]


@pytest.mark.slow
def test_an_event_that_cannot_be_is_not_asked(
    serving: Server, unseen: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = Query(serving, unseen)
    others = {"event": widget.event, "jets": widget.form.jets, "threshold": widget.threshold}
    predict, asked = Client.predict, []

    def counted(self: Client, model: str, *events: Any, **options: Any) -> Any:
        asked.append(model)
        return predict(self, model, *events, **options)

    monkeypatch.setattr(Client, "predict", counted)
    for name, value, words in EVENT:
        widget.ask_button.click()
        assert widget.score is not None
        control = others.get(name) or widget.fields[name]
        right, values, before = control.value, widget.values(), len(asked)
        control.value = value
        assert control.error, name
        widget.ask_button.click()
        assert words in unescape(widget.message.value)
        assert 'role="alert"' in widget.message.value
        assert (widget.score, widget.answer.value) == (None, "")
        assert len(asked) == before, "nothing was asked"
        control.value = right
        assert "Error" not in widget.message.value, "it goes with its cause"
        assert widget.values() == values
        assert widget.event.value == 0


@pytest.mark.slow
def test_a_value_of_a_real_event_is_right(serving: Server, unseen: Dataset) -> None:
    """NanoAOD writes -1 for the soft-drop mass of a jet without subjets."""
    odd = unseen.X.copy()
    odd[0, unseen.features.names.index("jetMassSoftDrop_0")] = -1.0
    widget = Query(serving, replace(unseen, X=odd))
    assert not widget.fields["jetMassSoftDrop_0"].error
    widget.ask_button.click()
    assert widget.score is not None
    widget.fields["jetMassSoftDrop_0"].value = -2.0
    assert widget.fields["jetMassSoftDrop_0"].error


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("\N{MINUS SIGN}50", -50), ("5e-1", 0.5), (" 3 ", 3), ("3.0", 3)),
        *(("0,5", None), ("1_000", None), ("abc", None), ("1e999", float("inf")), ("٣", None)),
    ],
)
def test_texts_are_read_as_they_stand(text: str, value: float | None) -> None:
    field = NumberField(1, min=0, description="pT")
    field._handle_custom_msg({"kind": "typed", "text": text}, [])
    assert field.text == text
    assert field.value == value
    assert bool(field.error) == (value is None or not 0 <= value < 1e300)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("number", 1.5, "ε_S as a number: 1.5 is not allowed: write a number from 0.001 to 1"),
        ("number", None, "ε_S as a number: nothing is written here"),
        ("threshold", None, "or cut on the score at: nothing is written here"),
        ("threshold", float("nan"), "or cut on the score at: nan is not finite"),
    ],
)
def test_a_working_point_does_not_move(
    evaluation: Evaluation, name: str, value: Any, words: str
) -> None:
    view = RocView(evaluation)
    point, control = view.point, getattr(view, name)
    control.value = value
    assert view.point is point
    assert control.error
    assert words in view.message.value
    view.efficiency.value = 0.6
    assert not control.error
    assert "Error" not in view.message.value
    assert view.point is not point


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("memory", 0, "Megabytes of events at a time: 0 is not allowed: write a number from 1"),
        ("memory", None, "Megabytes of events at a time: nothing is written here"),
        ("cut", "jetPt_0 >> 800", "Selection: "),
        ("weight", "genWeight **", "Event weight: "),
        ("branches", "jetPt", "Branches, if not found: 'jetPt' says no branch"),
    ],
)
def test_events_are_not_loaded(name: str, value: Any, words: str) -> None:
    panel = DataPanel()
    panel.use_sample()
    panel.stream.value = True
    control = getattr(panel, name)
    right = control.value
    control.value = value
    panel.load_button.click()
    assert panel.wait(60)
    assert panel.data is None
    assert control.error
    assert words in unescape(panel.message.value)
    control.value = right
    assert "Error" not in panel.message.value
    assert not control.error
    assert panel.wait(60)
    panel.close()


def test_a_name_that_cannot_be_is_not_sent(server: Server, bundle: Bundle, tmp_path: Path) -> None:
    bundle.save_archive(tmp_path / "ttbar.tar.gz")
    widget = Upload(server)
    widget.look_at_path(str(tmp_path / "ttbar.tar.gz"))
    widget.name.value = "a b"
    assert "cannot name a model" in widget.name.error
    widget.send_button.click()
    assert widget.wait(60)
    assert "Model name: 'a b' cannot name a model" in unescape(widget.message.value)
    assert server.client().status()["models"] == []
    widget.name.value = "ab"
    assert widget.wait(60)
    assert not widget.name.error
    assert "Error" not in widget.message.value
    widget.close()


@pytest.mark.slow
def test_a_figure_of_no_format_is_not_made(evaluation: Evaluation) -> None:
    view = RocView(evaluation)
    view.path.value = "roc.bmp"
    assert "none of .png, .svg, .pdf" in view.path.error
    view.save_button.click()
    assert "Error" in view.message.value
    view.path.value = "roc.svg"
    assert "Error" not in view.message.value


def test_events_that_come_end_the_error_that_there_were_none(events: Dataset) -> None:
    panel = TrainPanel()
    panel.start_button.click()
    assert "there are no events" in panel.message.value
    panel.use(events)
    assert "Error" not in panel.message.value


def test_messages_are_beside_the_button(events: Dataset, tmp_path: Path) -> None:
    panel = TrainPanel()
    panel.start_button.click()
    row = next(i for i, c in enumerate(panel.children) if panel.start_button in parts(c))
    assert panel.children[row + 1] is panel.message
    serve = tn.widgets.ServerPanel(Server(tmp_path, port=0))
    serve.start_button.click()
    assert "running" in serve.message.value
    assert serve.children[1] is serve.message
    serve.stop_button.click()
    serve.close()


def parts(widget: Any) -> tuple[Any, ...]:
    return tuple(getattr(widget, "children", ()))


@pytest.mark.slow
def test_an_event_that_is_picked_takes_the_place_of_a_number_that_cannot_be(
    serving: Server, unseen: Dataset
) -> None:
    widget = Query(serving, unseen)
    widget.event.text = "5000"
    assert widget.event.error
    widget.pick(3)
    assert (widget.event.value, widget.event.text, widget.event.error) == (3, "3", "")
    assert widget.values() == pytest.approx(unseen.event(3), rel=1e-6)
    widget.ask_button.click()
    assert widget.score is not None
