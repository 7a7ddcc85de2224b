from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import ipywidgets
import pytest
from ipywidgets import Widget

import tfaas_nb as tn
from tests.widgets.page import choose, send
from tfaas_nb import widgets
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Dashboard
from tfaas_nb.widgets.copy_line import CopyLine
from tfaas_nb.widgets.dashboard import TITLES
from tfaas_nb.widgets.event_form import EventForm
from tfaas_nb.widgets.field import Field
from tfaas_nb.widgets.file_drop import FileDrop
from tfaas_nb.widgets.option_form import OptionForm
from tfaas_nb.widgets.panel import _below

pytestmark = pytest.mark.slow

#: What a person sets or presses.
CONTROLS = (
    *(ipywidgets.Button, ipywidgets.Text, ipywidgets.Textarea, ipywidgets.Checkbox),
    *(ipywidgets.FloatText, ipywidgets.BoundedFloatText, ipywidgets.BoundedIntText, Field),
    *(ipywidgets.Dropdown, ipywidgets.Combobox, ipywidgets.FloatSlider, ipywidgets.IntProgress),
    *(ipywidgets.FloatProgress, FileDrop, CopyLine),
)


@pytest.fixture
def dashboard(tmp_path: Path, events: Dataset) -> Iterator[Dashboard]:
    """With 1 000 events, settings for a quick training, and a server that does not run."""
    server = Server(tmp_path, port=0)
    dashboard = Dashboard(server, events[::4])
    for name, value in {"epochs": 1, "hidden": "8", "embedding": "8"}.items():
        dashboard.train.options.controls[name].value = value
    yield dashboard
    dashboard.close()
    server.stop()


def settle(dashboard: Dashboard) -> None:
    assert dashboard.wait(120)


def test_from_events_to_a_score_by_clicks(dashboard: Dashboard, events: Dataset) -> None:
    dashboard.train.start_button.click()
    settle(dashboard)
    classifier, evaluation = dashboard.train.result, dashboard.train.evaluation
    assert classifier is not None
    assert evaluation is not None
    assert dashboard.evaluate.evaluations == {"Training 1": evaluation}
    assert dashboard.evaluate.point is not None

    dashboard.train.name.value = "mine"
    dashboard.train.send_button.click()
    settle(dashboard)
    assert dashboard.serve.running
    assert "mine" in dashboard.serve.models.value
    assert dashboard.evaluate.evaluations == {"mine": evaluation}

    assert dashboard.ask.model.value == "mine"
    dashboard.ask.event.value = 5
    dashboard.ask.ask_button.click()
    expected = classifier.predict(dashboard.data.data.event(5))
    assert dashboard.ask.score == pytest.approx(expected, abs=1e-6)

    dashboard.evaluate_button.click()
    settle(dashboard)
    served = dashboard.evaluate.evaluations["mine"]
    assert len(served.y) == len(dashboard.train.test)
    assert served.auc == pytest.approx(evaluation.auc, abs=1e-6)
    dashboard.serve.stop_button.click()
    assert not dashboard.server.is_running


def test_what_is_loaded_is_trained_on_and_asked_for(dashboard: Dashboard) -> None:
    dashboard.data.sample_button.click()
    dashboard.data.cut.value = "jetPt_0 > 900"
    dashboard.data.load_button.click()
    settle(dashboard)
    loaded = dashboard.data.data
    expected = tn.load(*tn.sample_files(), cut="jetPt_0 > 900", progress=False)
    assert len(loaded) == len(expected)
    assert dashboard.train.data is loaded
    assert dashboard.ask.event.max == len(loaded) - 1
    assert f"all {len(loaded)} events" in dashboard.events.value


@pytest.mark.slow
def test_what_is_larger_than_memory_is_trained_on_and_asked_for(dashboard: Dashboard) -> None:
    dashboard.data.sample_button.click()
    dashboard.data.cut.value = "jetPt_0 > 900"
    dashboard.data.stream.value = True
    dashboard.data.load_button.click()
    settle(dashboard)
    stream = dashboard.data.data
    assert isinstance(stream, Stream)
    assert dashboard.train.data is stream
    assert dashboard.ask.event.max == len(stream) - 1
    assert f"On {len(stream)} events drawn at random" in dashboard.events.value
    dashboard.train.start_button.click()
    settle(dashboard)
    classifier, test = dashboard.train.result, dashboard.train.test
    assert classifier is not None
    assert isinstance(test, Stream)
    assert len(test) + sum(classifier.training.y >= 0) == len(stream)
    assert len(dashboard.evaluate.evaluations["Training 1"].y) == len(test)
    dashboard.train.send_button.click()
    settle(dashboard)
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert len(dashboard.evaluate.evaluations["ttbar"].y) == len(test)
    dashboard.ask.ask_button.click()
    expected = classifier.predict(stream.sample.event(0))
    assert dashboard.ask.score == pytest.approx(expected, abs=1e-6)
    assert "events evaluated score as high" in dashboard.ask.answer.value


def test_an_uploaded_model_is_asked_and_evaluated(dashboard: Dashboard, bundle: Bundle) -> None:
    dashboard.serve.start_button.click()
    choose(dashboard.upload, "ttbar.tar.gz", bundle.archive())
    send(dashboard.upload)
    assert "ttbar" in dashboard.serve.models.value
    assert dashboard.ask.model.value == "ttbar"
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert set(dashboard.evaluate.evaluations) == {"ttbar"}
    assert dashboard.evaluate.point is not None


def test_a_model_that_is_sent_is_chosen_to_be_asked(dashboard: Dashboard, bundle: Bundle) -> None:
    dashboard.serve.start_button.click()
    for name in ("first", "second"):
        dashboard.server.client().upload(bundle, name)
        dashboard.upload.uploaded = name
        assert dashboard.ask.model.value == name


def test_new_events_forget_what_old_ones_told(
    dashboard: Dashboard, events: Dataset, evaluation: Evaluation
) -> None:
    dashboard.train.test, dashboard.train.evaluation = events, evaluation
    assert dashboard.evaluate.evaluations == {"Training 1": evaluation}
    assert f"the {len(events)} test events" in dashboard.events.value
    dashboard.data.use(events[1::4])
    assert dashboard.evaluate.evaluations == {}
    assert dashboard.train.test is None
    assert f"all {len(events[1::4])} events" in dashboard.events.value


def test_evaluating_a_stopped_server_is_told(dashboard: Dashboard) -> None:
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert "not running" in dashboard.evaluate.message.value


def test_without_events_the_tabs_say_where_they_come_from(tmp_path: Path) -> None:
    dashboard = Dashboard(Server(tmp_path))
    assert dashboard.evaluate_button.disabled
    assert "in the tab Data" in dashboard.events.value
    assert "in the tab Data" in dashboard.train.events.value
    dashboard.train.start_button.click()
    assert "there are no events to train on" in dashboard.train.message.value


def test_a_server_that_was_given_goes_on_and_one_of_its_own_ends(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dashboard(server).close()
    assert server.is_running
    monkeypatch.chdir(tmp_path)
    own = Dashboard()
    assert own.server.directory == Path("models")
    own.server = Server("models", port=0)  # not the usual port, which may be taken here
    own.server.start()
    own.close()
    assert not own.server.is_running
    own.close()


def test_closing_leaves_no_thread(server: Server, events: Dataset) -> None:
    before = set(threading.enumerate())
    dashboard = Dashboard(server, events[::4])
    dashboard.data.use_sample()
    dashboard.close()
    settle(dashboard)
    # How many threads of the server have had to do is nothing that a dashboard leaves behind.
    left = [t for t in set(threading.enumerate()) - before if t.name.startswith("tfaas_nb")]
    left = [thread for thread in left if not thread.name.startswith("tfaas_nb-work")]
    for thread in left:
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)


def test_its_tabs_are_in_the_order_of_the_work(tmp_path: Path) -> None:
    dashboard = Dashboard(Server(tmp_path))
    assert dashboard.tabs.titles == TITLES == ("Data", "Train", "Evaluate", "Serve", "Ask")
    assert repr(dashboard) == "Dashboard()"


def test_every_control_has_a_label(dashboard: Dashboard) -> None:
    """Also those that are hidden at first: a person, or a screen reader, must know what it is."""
    dashboard.data.use_sample()
    dashboard.serve.start_button.click()
    settle(dashboard)
    controls = [part for part in parts(dashboard) if isinstance(part, CONTROLS)]
    assert len(controls) > 40
    labels = [label(control) for control in controls]
    assert all(name.strip() for name in labels), labels
    shown = [
        part
        for part in parts(dashboard)
        if isinstance(part, (ipywidgets.Tab, ipywidgets.Accordion))
    ]
    assert all(len(part.titles) == len(part.children) and all(part.titles) for part in shown)


def test_a_page_that_asks_for_their_state_is_told(dashboard: Dashboard) -> None:
    """As pages do that find widgets in a kernel: after a reload, or in the classic Notebook."""
    for part in parts(dashboard):
        part.send_state()


def test_nothing_of_ipywidgets_is_shadowed() -> None:
    """A method that is called like one of a widget's own is called by it."""
    meant = {"close", "send"}  # `send` is ours to call: a panel has no messages of its own
    for kind in (*map(widgets.__dict__.get, widgets.__all__), EventForm, OptionForm):
        own = {
            name
            for one in kind.__mro__
            if one.__module__.startswith("tfaas_nb")
            for name in vars(one)
            if callable(vars(one)[name]) and not name.startswith("__")
        }
        assert {name for name in own if hasattr(ipywidgets.VBox, name)} <= meant, kind


def parts(widget: Widget) -> list[Widget]:
    """Widgets within a widget, itself included."""
    return [*_below(widget), widget]


def label(control: Widget) -> str:
    """Label of a control on the page."""
    return str(getattr(control, "description", "") or getattr(control, "label", ""))


@pytest.mark.endurance
def test_a_sent_training_stays_beside_the_next_one(dashboard: Dashboard) -> None:
    dashboard.train.start_button.click()
    settle(dashboard)
    dashboard.train.name.value = "mine"
    dashboard.train.send_button.click()
    settle(dashboard)
    dashboard.train.start_button.click()
    settle(dashboard)
    assert list(dashboard.evaluate.evaluations) == ["mine", "Training 2"]


def test_a_deleted_model_and_a_server_that_stopped_are_forgotten(
    dashboard: Dashboard, bundle: Bundle
) -> None:
    assert "Error" not in dashboard.ask.message.value
    dashboard.serve.start_button.click()
    assert "not running" not in dashboard.ask.message.value
    dashboard.server.client().upload(bundle)
    dashboard.refresh()
    assert dashboard.ask.model.options == ("ttbar",)
    dashboard.serve.stop_button.click()
    dashboard.ask.ask_button.click()
    assert "not running" in dashboard.ask.message.value
    dashboard.serve.start_button.click()
    assert "not running" not in dashboard.ask.message.value
    dashboard.serve.delete_button.click()
    dashboard.serve.yes_button.click()
    assert dashboard.ask.model.options == ()


def test_evaluating_keeps_what_the_training_told(
    dashboard: Dashboard, other_bundle: Bundle
) -> None:
    dashboard.train.start_button.click()
    settle(dashboard)
    dashboard.train.name.value = "mine"
    dashboard.train.send_button.click()
    settle(dashboard)
    view = dashboard.evaluate
    told, scores = view.compared.value, view.scores.value
    assert "Kolmogorov" in told
    view.efficiency.value = 0.65
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert view.model.value == "mine"
    assert view.training.value
    assert not view.training.disabled
    assert view.compared.value == told
    assert view.number.value == pytest.approx(0.65, abs=1e-3)
    assert scores
    view.training.value = False
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert not view.training.value, "what a person chose stays"
    # Another model of that name was not trained here.
    dashboard.server.client().upload(other_bundle, "mine")
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert view.training.disabled
    assert view.compared.value == ""


def test_its_message_is_beside_the_button_and_stays(dashboard: Dashboard, bundle: Bundle) -> None:
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert "not running" in dashboard.evaluate.message.value
    dashboard.serve.start_button.click()
    assert "Error" not in dashboard.evaluate.message.value, "it goes with its cause"
    dashboard.server.client().upload(bundle)
    dashboard.evaluate_button.click()
    settle(dashboard)
    row, message, view = dashboard.tabs.children[2].children
    assert dashboard.evaluate_button in row.children
    assert message is dashboard.evaluate.message
    assert view is dashboard.evaluate
    assert "1 model of the server scored 1000 events" in message.value
    view.efficiency.value = 0.7
    assert "1 model of the server scored" in message.value


def test_an_upload_of_a_name_takes_the_curve_of_the_former_one_away(
    dashboard: Dashboard, bundle: Bundle, other_bundle: Bundle
) -> None:
    dashboard.serve.start_button.click()
    dashboard.server.client().upload(bundle)
    dashboard.evaluate_button.click()
    settle(dashboard)
    former = dashboard.evaluate.evaluations["ttbar"]
    choose(dashboard.upload, "ttbar.tar.gz", other_bundle.archive())
    send(dashboard.upload)
    assert dashboard.evaluate.evaluations == {}
    assert "another model by now" in dashboard.evaluate.message.value
    dashboard.evaluate_button.click()
    settle(dashboard)
    assert dashboard.evaluate.evaluations["ttbar"].auc != former.auc
