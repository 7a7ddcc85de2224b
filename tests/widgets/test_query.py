from __future__ import annotations

import ast
import contextlib
import copy
import io
import json
import re
import shlex
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

import tfaas_nb as tn
from tests.graphs import placeholder, serialized
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.event_file import EventFile
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Query, RocView
from tfaas_nb.widgets.answer import Scores
from tfaas_nb.widgets.copy_line import CopyLine


@pytest.mark.slow
def test_there_is_a_field_per_feature_with_its_range(serving: Server, bundle: Bundle) -> None:
    widget = Query(serving)
    assert widget.model.value == "ttbar"
    assert tuple(widget.fields) == bundle.features
    assert widget.form.groups == ("Event", "Jet 0", "Jet 1")
    field = widget.fields["jetPt_0"]
    described = next(f for f in bundle.params.features if f["name"] == "jetPt_0")
    assert field.description == "jetPt_0 [GeV]"
    assert field.value == pytest.approx(described["median"])
    assert widget.fields["jetPt_4"].value == 0.0


@pytest.mark.slow
def test_an_event_of_a_file_is_asked_for(serving: Server, events: Dataset) -> None:
    widget = Query(serving)
    widget.file.value = tn.sample_files()[0]
    widget.load_button.click()
    assert widget.event.max == 19_999
    widget.event.value = 17
    assert widget.values() == pytest.approx(events.event(17))
    widget.ask_button.click()
    assert widget.score == pytest.approx(serving.client().predict("ttbar", events)[17], abs=1e-6)
    assert f"{widget.score:.6f}" in widget.answer.value


@pytest.mark.slow
def test_an_answer_outlives_an_upload_that_ended_just_before(
    serving: Server, events: Dataset, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models are shown in the upload's thread; who asks meanwhile waits for that."""
    widget = Query(serving, events)
    serving.client().upload(with_other_medians(bundle))
    begun, go_on = threading.Event(), threading.Event()
    use = widget.form.use

    def use_slowly(*described: Any) -> None:
        begun.set()
        assert go_on.wait(10)
        use(*described)

    monkeypatch.setattr(widget.form, "use", use_slowly)
    shown = threading.Thread(target=widget.refresh)
    shown.start()
    assert begun.wait(10)
    picked = threading.Thread(target=lambda: setattr(widget.event, "value", 17))
    picked.start()
    picked.join(0.3)
    asked = threading.Thread(target=widget.ask)
    asked.start()
    asked.join(0.3)
    go_on.set()
    for thread in (shown, picked, asked):
        thread.join(10)
        assert not thread.is_alive()
    assert widget.values() == pytest.approx(events.event(17))
    assert widget.score == pytest.approx(serving.client().predict("ttbar", events.event(17)))
    assert f"{widget.score:.6f}" in widget.answer.value


def with_other_medians(bundle: Bundle) -> Bundle:
    """A model of that name whose training had other events."""
    features = tuple({**f, "median": f["median"] * 1.01} for f in bundle.params.features)
    return replace(bundle, params=replace(bundle.params, features=features))


@pytest.mark.slow
def test_a_typed_value_changes_the_score(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    widget.ask_button.click()
    before = widget.score
    widget.fields["jetMassSoftDrop_0"].value = 3.0
    widget.ask_button.click()
    assert widget.score != before
    expected = serving.client().predict("ttbar", {**events.event(0), "jetMassSoftDrop_0": 3.0})
    assert widget.score == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_the_texts_ask_for_the_same_score(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    widget.ask_button.click()
    words = shlex.split(widget.curl_text.value.replace("\\\n", ""))
    body = words[words.index("-d") + 1]
    headers = {"Authorization": f"Bearer {serving.token}"}
    answer = requests.post(words[-1], data=body, headers=headers, timeout=10)
    assert answer.json() == pytest.approx([widget.score], abs=1e-6)
    request = ast.literal_eval(widget.python_text.value.split("request = ")[1].splitlines()[0])
    assert request == json.loads(body)
    assert str(serving.token) not in widget.curl_text.value + widget.python_text.value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "words"), [("", "write the path"), ("nowhere/a.root", "does not exist")]
)
def test_a_file_that_is_not_there_is_told(serving: Server, path: str, words: str) -> None:
    widget = Query(serving)
    widget.file.value = path
    widget.load_button.click()
    assert words in widget.message.value
    assert 'role="alert"' in widget.message.value


@pytest.mark.slow
def test_a_new_model_appears_on_refresh(serving: Server, bundle: Bundle) -> None:
    widget = Query(serving)
    serving.client().upload(bundle, "another")
    widget.refresh_button.click()
    assert widget.model.options == ("another", "ttbar")
    assert widget.model.value == "ttbar"


@pytest.mark.slow
def test_a_model_deleted_meanwhile_is_told(serving: Server) -> None:
    widget = Query(serving)
    serving.client().delete("ttbar")
    widget.ask_button.click()
    assert "no model" in widget.message.value
    assert widget.score is None


def test_a_stopped_server_is_told(tmp_path: Path) -> None:
    widget = Query(Server(tmp_path))
    assert "not running" in widget.message.value
    assert widget.fields == {}


@pytest.mark.slow
def test_a_model_without_feature_names_is_asked_by_those_of_its_inputs(
    server: Server, graph: FrozenGraph, classifier: Classifier, events: Dataset
) -> None:
    anonymous = graph.graph_def()
    next(n for n in anonymous.node if n.name == "input").attr.pop("_feature_names")
    nameless = FrozenGraph.from_bytes(anonymous.SerializeToString())
    server.client().upload(Bundle.create("nameless", nameless, labels=()))
    widget = Query(server)
    assert "does not tell its features" in widget.message.value
    assert 'role="alert"' not in widget.message.value
    assert list(widget.fields) == [f"input_{i}" for i in range(42)]
    assert widget.form.groups == ("Event",)
    for field, value in zip(widget.fields.values(), events.X[0], strict=True):
        field.value = float(value)
    widget.ask_button.click()
    assert widget.score == pytest.approx(classifier.predict(events.event(0)), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "words"), [(None, "how many values"), (1000, "too many")])
def test_a_model_of_unknown_or_great_width_is_told(
    server: Server, width: int | None, words: str
) -> None:
    def build(tf: Any) -> None:
        source = placeholder(tf, width=width)
        tf.reduce_sum(source, axis=1, keepdims=True, name="y")

    server.client().upload(Bundle.from_parts(b'{"name": "wide"}', serialized(build)))
    widget = Query(server)
    widget.ask_button.click()
    assert words in widget.message.value
    assert "choose a model" not in widget.message.value


@pytest.mark.slow
def test_choosing_a_model_takes_an_error_away(server: Server, bundle: Bundle) -> None:
    widget = Query(server)
    widget.ask_button.click()
    assert "choose a model first" in widget.message.value
    server.client().upload(bundle)
    widget.refresh_button.click()
    assert "Error" not in widget.message.value


@pytest.mark.slow
def test_absent_jets_are_hidden_and_padded(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    form = widget.form
    form.jets.value = 1
    assert form.groups == ("Event", "Jet 0")
    assert widget.values()["jetPt_1"] == 0.0
    assert widget.values()["jetPt_0"] == pytest.approx(events.event(0)["jetPt_0"])
    assert widget.values()["nJets"] == 1
    form.jets.value = 3
    assert form.groups == ("Event", "Jet 0", "Jet 1", "Jet 2")
    assert widget.values()["jetPt_1"] == pytest.approx(events.event(0)["jetPt_1"])
    assert widget.values()["jetPt_2"] > 100
    assert widget.values()["nJets"] == 3
    widget.pick(0)
    assert widget.values() == pytest.approx(events.event(0))


@pytest.mark.slow
def test_the_number_of_jets_is_the_events(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    slots = events.X[:, events.features.jet_columns("jetPt")]
    for position in (0, *np.flatnonzero((slots != 0).sum(axis=1) == 4)[:1].tolist()):
        widget.event.value = position
        assert widget.form.jets.value == (slots[position] != 0).sum()


@pytest.mark.slow
def test_an_unusual_value_is_marked(serving: Server) -> None:
    widget = Query(serving)
    row = next(
        r
        for box in widget.form._groups.children
        for r in box.children[1:]
        if r.children[0] is widget.fields["jetPt_0"]
    )
    assert "unusual" not in row.children[1].value
    widget.fields["jetPt_0"].value = 90_000.0
    assert "unusual" in row.children[1].value


@pytest.mark.slow
def test_the_cut_decides(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events[events.y == 1])
    widget.ask_button.click()
    widget.threshold.value = widget.score - 0.01
    assert "Decision: signal" in widget.answer.value
    widget.threshold.value = widget.score + 0.01
    assert "Decision: background" in widget.answer.value
    assert widget.working_point.options == ("typed in",)
    assert widget.picture.value == ""


@pytest.mark.slow
def test_working_points_are_those_of_the_evaluation(
    serving: Server, events: Dataset, evaluation: Evaluation
) -> None:
    widget = Query(serving, events, evaluations={"ttbar": evaluation})
    widget.ask_button.click()
    widget.working_point.value = "ε_S = 0.7"
    wanted = evaluation.roc.working_point(0.7).threshold
    assert widget.threshold.value == pytest.approx(wanted, rel=1e-4)
    assert widget.threshold.value <= wanted
    assert "working point ε_S = 0.7" in widget.answer.value
    share = (evaluation.scores[events.y == 1] >= widget.score).mean()
    assert f"{share:.1%} of the signal" in widget.answer.value
    assert "data:image/png" in widget.picture.value
    widget.threshold.value = 0.25
    assert widget.working_point.value == "typed in"


@pytest.mark.slow
def test_events_of_known_class_tell_where_a_score_lies(serving: Server, unseen: Dataset) -> None:
    widget = Query(serving, unseen)
    widget.working_point.value = "ε_S = 0.5"
    widget.ask_button.click()
    scores = serving.client().predict("ttbar", unseen)
    share = (scores[unseen.y == 0] >= widget.score).mean()
    assert f"{share:.2%} of the background" in widget.answer.value
    above = scores[unseen.y == 1] >= widget.threshold.value
    assert above.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.slow
def test_it_follows_a_view(serving: Server, events: Dataset, evaluation: Evaluation) -> None:
    view = RocView({"ttbar": evaluation})
    widget = Query(serving, events)
    widget.follow(view)
    view.efficiency.value = 0.8
    assert view.point is not None
    assert widget.threshold.value == pytest.approx(view.point.threshold, rel=1e-5)
    assert "ε_S = 0.9" in widget.working_point.options
    before = widget.threshold.value
    view.use({})
    assert widget._given("ttbar") is None
    widget.close()
    view.use({"ttbar": evaluation})
    view.efficiency.value = 0.2
    assert widget.threshold.value == before


@pytest.mark.slow
def test_contributions_come_from_one_request(
    serving: Server, events: Dataset, bundle: Bundle
) -> None:
    client = serving.client()
    widget = Query(serving, events)

    def requests_so_far() -> int:
        return int(client.status()["requests"])

    widget.ask_button.click()
    before = requests_so_far()
    widget._tell_changes(client, "ttbar", widget.values())
    assert requests_so_far() - before <= 2  # that for the status among them
    found = widget.contributions
    assert found is not None
    event = events.event(0)
    there = [name for name in event if widget.form._is_there(name)]
    assert set(found.names) == set(there)
    assert sorted(abs(found.change), reverse=True) == pytest.approx(abs(found.change).tolist())
    most = found.names[0]
    median = next(f["median"] for f in bundle.params.features if f["name"] == most)
    changed = client.predict("ttbar", {**event, most: median})
    assert found.change[0] == pytest.approx(widget.score - changed, abs=1e-5)
    assert most in widget.changes.value


@pytest.mark.slow
def test_the_texts_run_as_they_stand(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    widget.show_token.value = True
    widget.ask_button.click()
    done = subprocess.run(
        ["sh", "-c", widget.curl_text.value], capture_output=True, check=True, timeout=30
    )
    assert json.loads(done.stdout) == pytest.approx([widget.score], abs=1e-6)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(widget.python_text.value, "text", "exec"), {})
    assert json.loads(printed.getvalue()) == pytest.approx([widget.score], abs=1e-6)
    widget.show_token.value = False
    texts = (widget.curl_text.value, widget.python_text.value, widget.cpp_text.value)
    assert all("TOKEN" in text and str(serving.token) not in text for text in texts)


@pytest.mark.slow
def test_an_answer_is_not_shown_beside_another_event(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    widget.ask_button.click()
    assert widget.answer.value
    widget.event.value = 3
    shown = (widget.answer, widget.picture, widget.changes, widget.curl_text)
    assert [control.value for control in shown] == [""] * 4
    assert widget.score is None


@pytest.mark.slow
def test_all_controls_have_a_label(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    view = RocView({})
    unlabelled = [
        control
        for panel in (widget, view)
        for control in inputs(panel)
        if not (control.label if isinstance(control, CopyLine) else control.description)
    ]
    assert unlabelled == []


def inputs(widget: Any) -> list[Any]:
    below = [found for child in getattr(widget, "children", ()) for found in inputs(child)]
    shows = type(widget).__name__ in ("HTML", "Label") or hasattr(widget, "children")
    return below if shows else [widget]


@pytest.fixture
def judged(server: Server, classifier: Classifier, unseen: Dataset) -> Bundle:
    """A model whose params.json tells its working points, on the server."""
    copied = copy.copy(classifier)
    copied.evaluate(unseen)
    judged = copied.bundle("judged")
    server.client().upload(judged)
    return judged


@pytest.mark.slow
def test_a_model_tells_its_working_points(
    server: Server, judged: Bundle, classifier: Classifier, unseen: Dataset
) -> None:
    """Without any events: what it was judged on is known to its params.json."""
    widget = Query(server)
    assert widget.working_point.options == ("typed in", *(f"ε_S = 0.{i}" for i in range(1, 10)))
    assert widget.working_point.value == "ε_S = 0.5"
    evaluation = Evaluation.of(unseen, classifier.predict(unseen))
    point = evaluation.working_point(0.5)
    assert widget.threshold.value == pytest.approx(point.threshold, rel=1e-5)
    widget.file.value = tn.sample_files()[0]
    widget.load_button.click()
    between = [p["threshold"] for p in judged.params.working_points if 0.2 < p["eps_s"] < 0.8]
    scores = classifier.predict(tn.sample()[:50])
    inside = (scores > min(between)) & (scores < max(between))
    widget.event.value = int(np.flatnonzero(inside)[0])
    widget.ask_button.click()
    decided = "signal" if widget.score >= widget.threshold.value else "background"
    assert f"Decision: {decided}" in widget.answer.value
    assert "the working point ε_S = 0.5" in widget.answer.value
    low, high = re.findall(r"judged on, (\d+)% to (\d+)% of the signal", widget.answer.value)[0]
    share = (evaluation.scores[unseen.y == 1] >= widget.score).mean()
    assert float(low) / 100 <= share <= float(high) / 100
    widget.threshold.value = 0.9
    widget.refresh_button.click()
    assert widget.threshold.value == 0.9, "what was typed stays"
    widget.working_point.value = "ε_S = 0.9"
    assert widget.threshold.value == pytest.approx(
        evaluation.working_point(0.9).threshold, rel=1e-5
    )


@pytest.mark.slow
def test_the_event_of_a_file_is_the_only_one_read(
    serving: Server, events: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large the file is."""
    ranges: list[int] = []
    read = EventFile.events

    def watched(self: EventFile, start: int = 0, stop: int | None = None) -> Any:
        ranges.append((self.entries if stop is None else stop) - start)
        return read(self, start, stop)

    monkeypatch.setattr(EventFile, "events", watched)
    widget = Query(serving)
    signal, background = tn.sample_files()
    widget.file.value = f"{signal}, {background}"
    widget.load_button.click()
    assert "40000 events to pick from: 0 to 39999." in widget.message.value
    widget.event.value = 20_001
    assert widget.values() == pytest.approx(events.event(2001))
    assert max(ranges) == 1


@pytest.mark.slow
def test_paths_are_completed(serving: Server, tmp_path: Path) -> None:
    for name in ("one.root", "two.root", "notes.txt"):
        (tmp_path / name).touch()
    widget = Query(serving)
    at_hand = widget.file.options
    widget.file.value = f"{tmp_path}/o"
    assert widget.wait(10)
    assert widget.file.options == (f"{tmp_path}/one.root",)
    widget.file.value = f"{tmp_path}/"
    assert widget.wait(10)
    assert {f"{tmp_path}/*.root", f"{tmp_path}/two.root"} < set(widget.file.options)
    widget.file.value = ""
    assert widget.wait(10)
    assert widget.file.options == at_hand


@pytest.mark.slow
def test_a_broken_file_is_told(serving: Server, tmp_path: Path) -> None:
    (tmp_path / "broken.root").write_bytes(b"root" + bytes(100))
    widget = Query(serving)
    widget.file.value = str(tmp_path / "broken.root")
    widget.load_button.click()
    assert "broken.root" in widget.message.value
    assert 'role="alert"' in widget.message.value


@pytest.mark.slow
def test_a_server_that_stops_meanwhile_is_told(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    remote = Query(serving.client(), events)
    serving.stop()
    for asked in (widget, remote):
        asked.ask_button.click()
        assert asked.score is None
        assert 'role="alert"' in asked.message.value
    assert "not running" in widget.message.value
    assert "is the server running there?" in remote.message.value


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["field", "jets"])
def test_an_answer_is_not_shown_beside_a_changed_event(
    serving: Server, unseen: Dataset, changed: str
) -> None:
    widget = Query(serving, unseen)
    widget.ask_button.click()
    shown = (widget.answer, widget.picture, widget.changes, widget.curl_text, widget.cpp_text)
    assert all(control.value for control in shown)
    control = widget.form.jets if changed == "jets" else widget.fields["jetPt_0"]
    control.value += 1
    assert [control.value for control in shown] == [""] * 5
    assert widget.score is None


@pytest.mark.slow
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_an_event_at_the_end_of_the_scores_is_seen(evaluation: Evaluation, score: float) -> None:
    scores = Scores(evaluation)
    scores.at(score, 0.5)
    (x, _) = scores._event.get_xdata()
    low, high = scores._event.axes.get_xlim()
    assert min(x - low, high - x) > 0.02 * (high - low)


@pytest.mark.slow
def test_a_server_that_does_not_run_yet_is_no_error(tmp_path: Path, bundle: Bundle) -> None:
    server = Server(tmp_path, port=0)
    widget = Query(server)
    assert "start it first" in widget.message.value
    assert "Error" not in widget.message.value
    widget.ask_button.click()
    assert "Error" in widget.message.value
    with server:
        server.client().upload(bundle)
        widget.refresh()
        assert widget.model.value == "ttbar"
        assert "not running" not in widget.message.value


@pytest.mark.slow
def test_each_request_is_copied_as_it_stands(serving: Server) -> None:
    widget = Query(serving)
    assert [line.value for line in widget._copies] == [""] * 3
    widget.ask_button.click()
    for line, text in zip(
        widget._copies, (widget.curl_text, widget.python_text, widget.cpp_text), strict=True
    ):
        assert line.value
        assert line.label == text.description
        assert line._secret is not None
        assert line._secret() == text.value != ""
