from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path

import pytest
import requests

import tfaas_nb as tn
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Query


def test_there_is_a_field_per_feature_with_its_range(serving: Server, bundle: Bundle) -> None:
    widget = Query(serving)
    assert widget.model.value == "ttbar"
    assert tuple(widget.fields) == bundle.features
    assert widget._groups.titles == ("Event", "Jet 0", "Jet 1", "Jet 2", "Jet 3", "Jet 4")
    field = widget.fields["jetPt_0"]
    described = next(f for f in bundle.params.features if f["name"] == "jetPt_0")
    assert field.description == "jetPt_0 [GeV]"
    assert field.value == pytest.approx(described["median"])
    assert widget.fields["jetPt_4"].value == 0.0


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


def test_a_typed_value_changes_the_score(serving: Server, events: Dataset) -> None:
    widget = Query(serving, events)
    widget.ask_button.click()
    before = widget.score
    widget.fields["jetMassSoftDrop_0"].value = 3.0
    widget.ask_button.click()
    assert widget.score != before
    expected = serving.client().predict("ttbar", {**events.event(0), "jetMassSoftDrop_0": 3.0})
    assert widget.score == pytest.approx(expected, abs=1e-6)


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


@pytest.mark.parametrize(
    ("path", "words"), [("", "write the path"), ("nowhere/a.root", "does not exist")]
)
def test_a_file_that_is_not_there_is_told(serving: Server, path: str, words: str) -> None:
    widget = Query(serving)
    widget.file.value = path
    widget.load_button.click()
    assert words in widget.message.value
    assert 'role="alert"' in widget.message.value


def test_a_new_model_appears_on_refresh(serving: Server, bundle: Bundle) -> None:
    widget = Query(serving)
    serving.client().upload(bundle, "another")
    widget.refresh_button.click()
    assert widget.model.options == ("another", "ttbar")
    assert widget.model.value == "ttbar"


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


def test_a_model_without_feature_names_is_told(server: Server, graph: FrozenGraph) -> None:
    anonymous = graph.graph_def()
    next(n for n in anonymous.node if n.name == "input").attr.pop("_feature_names")
    nameless = FrozenGraph.from_bytes(anonymous.SerializeToString())
    server.client().upload(Bundle.create("nameless", nameless, labels=()))
    widget = Query(server)
    assert "does not tell its features" in widget.message.value
