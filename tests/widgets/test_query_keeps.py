"""Answers and typed values stay, whatever happens to the models meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.features import FeatureSet
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Query, RocView


def with_other_medians(bundle: Bundle) -> Bundle:
    """A model of that name whose training had other events."""
    features = tuple({**f, "median": f["median"] * 1.01} for f in bundle.params.features)
    return replace(bundle, params=replace(bundle.params, features=features))


def shown(widget: Query) -> list[str]:
    """All that is seen of an answer."""
    texts = (widget.curl_text, widget.python_text, widget.cpp_text)
    controls = (widget.answer, widget.picture, widget.changes, *texts)
    return [control.value for control in controls]


@pytest.mark.slow
def test_a_refresh_changes_nothing_that_has_not_changed(
    serving: Server, unseen: Dataset, bundle: Bundle
) -> None:
    widget = Query(serving, unseen)
    widget.fields["jetPt_0"].value = 512.5
    widget.threshold.value = 0.7
    widget.ask_button.click()
    before, score, values = shown(widget), widget.score, widget.values()
    assert all(before)
    serving.client().upload(bundle, "another")
    widget.refresh_button.click()
    assert widget.model.options == ("another", "ttbar")
    assert shown(widget) == before
    assert widget.score == score
    assert widget.values() == values
    assert widget.fields["jetPt_0"].value == 512.5
    assert widget.threshold.value == 0.7
    assert widget.event.value is None


@pytest.mark.slow
def test_a_model_that_was_just_sent_takes_neither_answer_nor_values_away(
    serving: Server, unseen: Dataset, bundle: Bundle
) -> None:
    widget = Query(serving, unseen)
    widget.fields["jetPt_0"].value = 512.5
    widget.form.jets.value = 1
    widget.ask_button.click()
    before, values = shown(widget), widget.values()
    serving.client().upload(with_other_medians(bundle), "sent")
    widget.refresh(choose="sent")
    assert widget.model.value == "sent"
    assert f"Score of ttbar: {widget.score:.6f}" in widget.answer.value
    assert "asked before, of this model" in widget.answer.value
    assert shown(widget)[1:] == before[1:]
    assert widget.values() == values
    widget.ask_button.click()
    assert "Score of sent" in widget.answer.value
    assert "asked before" not in widget.answer.value
    assert widget.score == pytest.approx(serving.client().predict("sent", values), abs=1e-6)


@pytest.mark.slow
def test_an_answer_of_the_version_before_says_so(
    serving: Server, unseen: Dataset, other_bundle: Bundle
) -> None:
    widget = Query(serving, unseen)
    widget.ask_button.click()
    before = widget.answer.value
    serving.client().upload(other_bundle)
    widget.refresh_button.click()
    assert widget.answer.value.startswith(before)
    assert "asked before, of the version before" in widget.answer.value
    told = widget.answer.value
    widget.threshold.value = 0.99
    assert widget.answer.value == told, "the cut of the new version decides nothing of the old one"


@pytest.mark.slow
def test_choosing_another_model_keeps_what_was_typed(
    serving: Server, unseen: Dataset, bundle: Bundle
) -> None:
    serving.client().upload(with_other_medians(bundle), "other")
    widget = Query(serving, unseen)
    widget.model.value = "ttbar"
    widget.pick(5)
    widget.fields["jetMassSoftDrop_0"].value = 172.5
    values = widget.values()
    widget.model.value = "other"
    assert widget.values() == values
    assert widget.event.value is None
    widget.model.value = "ttbar"
    assert widget.values() == values


@pytest.mark.slow
def test_new_events_keep_what_was_typed(serving: Server, unseen: Dataset) -> None:
    widget = Query(serving, unseen)
    widget.fields["jetPt_0"].value = 512.5
    widget.use(unseen[:50])
    assert widget.fields["jetPt_0"].value == 512.5
    assert widget.event.value is None
    widget.event.value = 3
    assert widget.values() == pytest.approx(unseen.event(3))


@pytest.mark.slow
def test_the_number_shown_is_that_of_the_event_in_the_form(
    serving: Server, unseen: Dataset
) -> None:
    assert Query(serving).event.value is None, "no event is picked"
    widget = Query(serving, unseen)
    widget.event.value = 7
    typical = widget.fields["jetPt_0"].value
    widget.fields["jetPt_0"].value = 512.5
    assert widget.event.value is None
    widget.fields["jetPt_0"].value = typical
    assert widget.event.value == 7
    widget.form.jets.value += 1
    assert widget.event.value is None
    widget.pick(8)
    assert widget.event.value == 8
    assert widget.values() == pytest.approx(unseen.event(8))
    widget.pick(len(unseen))
    assert "there is no event 400: there are 0 to 399" in widget.message.value
    assert widget.event.value == 8


@pytest.mark.slow
def test_each_model_has_a_cut_of_its_own(
    serving: Server, unseen: Dataset, bundle: Bundle, other_bundle: Bundle
) -> None:
    serving.client().upload(other_bundle, "other")
    widget = Query(serving, unseen)
    widget.model.value = "ttbar"
    widget.threshold.value = 0.91
    widget.model.value = "other"
    assert (widget.threshold.value, widget.working_point.value) == (0.5, "typed in")
    widget.working_point.value = "ε_S = 0.7"
    others = widget.threshold.value
    widget.model.value = "ttbar"
    assert (widget.threshold.value, widget.working_point.value) == (0.91, "typed in")
    widget.model.value = "other"
    assert (widget.threshold.value, widget.working_point.value) == (others, "ε_S = 0.7")
    # Another version is another model, of whatever name.
    widget.model.value = "ttbar"
    serving.client().upload(other_bundle, "ttbar")
    widget.ask_button.click()
    assert widget.threshold.value == 0.5
    assert "score is" in widget.answer.value
    assert " 0.5." in widget.answer.value


@pytest.mark.slow
def test_an_evaluation_is_of_one_model_and_one_version(
    serving: Server, events: Dataset, evaluation: Evaluation, other_bundle: Bundle
) -> None:
    serving.client().upload(other_bundle, "other")
    widget = Query(serving)
    widget.model.value = "ttbar"
    widget.use_evaluations(evaluation)
    assert "ε_S = 0.7" in widget.working_point.options
    widget.model.value = "other"
    assert widget.working_point.options == ("typed in",)
    widget.model.value = "ttbar"
    widget.working_point.value = "ε_S = 0.7"
    serving.client().upload(other_bundle, "ttbar")
    widget.refresh_button.click()
    assert widget.working_point.options == ("typed in",)
    assert widget.threshold.value == 0.5


@pytest.mark.slow
def test_a_view_of_the_version_before_decides_no_more(
    serving: Server, unseen: Dataset, evaluation: Evaluation, other_bundle: Bundle
) -> None:
    view = RocView({"ttbar": evaluation})
    widget = Query(serving)
    widget.follow(view)
    assert view.point is not None
    assert widget.threshold.value == pytest.approx(view.point.threshold, rel=1e-5)
    serving.client().upload(other_bundle, "ttbar")
    widget.refresh_button.click()
    assert widget.threshold.value == 0.5


@pytest.mark.slow
def test_an_event_is_asked_of_the_model_that_is_there_by_now(
    serving: Server, unseen: Dataset
) -> None:
    """One that was sent from elsewhere, with other features, and not shown yet."""
    few = FeatureSet("two", event=("nJets",), jet=("jetPt",), jets=2)
    sent = tn.Classifier(epochs=1, hidden=(4,), embedding=(), seed=1)
    columns = [unseen.features.names.index(name) for name in few.names]
    data = replace(unseen, X=unseen.X[:, columns].copy(), features=few)
    widget = Query(serving, unseen)
    widget.fields["jetPt_0"].value = 512.5
    serving.client().upload(sent.fit(data, progress=False).bundle("ttbar"))
    widget.ask_button.click()
    assert list(widget.fields) == list(few.names)
    assert widget.values()["jetPt_0"] == 512.5
    expected = serving.client().predict("ttbar", widget.values())
    assert widget.score == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["field", "event"])
def test_what_is_typed_while_a_model_is_shown_is_not_lost(
    serving: Server,
    unseen: Dataset,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
) -> None:
    """The page's messages come while another thread fills the form."""
    widget = Query(serving, unseen)
    begun, go_on = threading.Event(), threading.Event()
    use: Callable[..., None] = widget.form.use

    def use_slowly(*described: Any) -> None:
        begun.set()
        assert go_on.wait(10)
        use(*described)

    monkeypatch.setattr(widget.form, "use", use_slowly)
    serving.client().upload(with_other_medians(bundle))
    control = widget.fields["jetPt_0"] if typed == "field" else widget.event
    sent = threading.Thread(target=widget.refresh)
    sent.start()
    assert begun.wait(10)
    message = {"kind": "typed", "text": "17"}
    page = threading.Thread(target=lambda: control._handle_custom_msg(message, []))
    page.start()
    page.join(0.2)
    go_on.set()
    for thread in (sent, page):
        thread.join(10)
        assert not thread.is_alive()
    if typed == "field":
        assert widget.fields["jetPt_0"].value == 17
        assert widget.event.value is None
    else:
        assert widget.event.value == 17
        assert widget.values() == pytest.approx(unseen.event(17))


@pytest.mark.slow
def test_stale_errors_go_with_their_cause(serving: Server, tmp_path: Path) -> None:
    widget = Query(serving)
    widget.load_button.click()
    assert "write the path" in widget.message.value
    assert widget.file.marked
    widget.file.value = "nowhere.root"
    assert "Error" not in widget.message.value
    assert not widget.file.marked
    widget.load_button.click()
    assert "Error" in widget.message.value
    assert widget.file.marked
    widget.file.value = tn.sample_files()[0]
    assert "Error" not in widget.message.value
    assert not widget.file.marked


@pytest.mark.slow
def test_events_beyond_those_of_other_data_are_not_another_event(
    serving: Server, unseen: Dataset
) -> None:
    widget = Query(serving, unseen)
    widget.event.value = 390
    widget.use(unseen[np.arange(50)])
    assert widget.event.value == 0
    assert widget.values() == pytest.approx(unseen.event(0))
