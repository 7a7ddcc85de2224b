from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.graphs import serialized, weighted_sum
from tests.onnx_models import logistic
from tests.serving.test_constants import scaled
from tests.widgets.page import Page, choose, send
from tfaas_nb.bundle import CARD, LABELS, PARAMS, TEXT, Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Upload


@pytest.mark.slow
def test_choosing_naming_and_sending_an_archive(
    server: Server, bundle: Bundle, events: Dataset
) -> None:
    widget = Upload(server)
    assert widget.send_button.disabled
    choose(widget, "anything.tar.gz", bundle.archive())
    assert widget.name.value == "ttbar"
    assert "jetPt_0" in widget.contents.value
    assert widget.next_version.value == "new on the server"
    widget.name.value = "mine"
    send(widget)
    assert (widget.uploaded, widget.version) == ("mine", 1)
    assert "now serves &#x27;mine&#x27;, version 1." in widget.message.value
    assert server.client().predict("mine", events.event(0)) == pytest.approx(
        server.client().predict("mine", events)[0], abs=1e-6
    )


def test_what_is_inside_is_told_before_sending(serving: Server, bundle: Bundle) -> None:
    widget = Upload(serving)
    widget.look("a.tar.gz", bundle.archive())
    for text in ("may be served", "yes", "input: float32 (42) per event", "42: nJets",
                 "output: float32 (1) per event", bundle.graph.sha256):  # fmt: skip
        assert text in widget.contents.value, text
    assert widget.next_version.value == "will be version 2 or higher"
    widget.name.value = "other"
    assert widget.wait(10)
    assert widget.next_version.value == "new on the server"


@pytest.mark.slow
def test_the_files_of_a_model_directory_are_chosen_together(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    assert Page(widget.files, part=1 << 20).choose(**bundle.files())[-1] == "whole"
    assert widget.wait(60)
    widget.send()
    assert widget.uploaded == "ttbar"
    assert server.service.describe("ttbar")["description"] == "a test model"
    assert server.client().download("ttbar").files() == bundle.files(), "all of it arrived"


@pytest.mark.slow
def test_a_lone_graph_is_named_after_its_file(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    choose(widget, "my best (1).pb", bundle.graph.serialized)
    assert widget.name.value == "my_best_1_"
    send(widget)
    assert server.client().status()["models"] == ["my_best_1_"]


def test_a_model_without_names_is_given_some(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    choose(widget, "ttbar.tar.gz", bundle.archive())
    assert widget.features.layout.display == "none"
    widget.look("sum.pb", serialized(weighted_sum))
    assert widget.features.layout.display is None
    widget.features.value = "a, b"
    widget.send()
    assert "2 features are named, model &#x27;sum&#x27; takes 3 values" in widget.message.value
    widget.features.value = "a, b, c"
    widget.send()
    assert server.client().predict("sum", {"c": 100.0, "b": 10.0, "a": 1.0}) == 321


@pytest.mark.slow
def test_a_model_that_asks_for_values_is_given_some(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    widget.look("scaled.pb", serialized(scaled))
    assert widget.constants.layout.display is None
    assert "mass/scale" in widget.message.value
    assert widget.send_button.disabled
    widget.constants.value = "mass/scale=3"
    assert widget.wait(60)
    assert "mass/scale = 3" in widget.contents.value
    widget.send()
    assert server.client().predict("scaled", np.float32([[1, 10, 100]])) == 333
    widget.look("a.tar.gz", bundle.archive())
    assert (widget.constants.value, widget.constants.layout.display) == ("", "none")


@pytest.mark.slow
def test_a_lone_onnx_model_is_named_after_its_file(server: Server) -> None:
    widget = Upload(server)
    widget.look("forest.v2.onnx", logistic([0, 1], zipmap=True)[2])
    widget.send()
    assert widget.uploaded == "forest.v2"


@pytest.mark.slow
def test_sending_the_same_name_again_is_announced_again(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    heard: list[str] = []
    widget.observe(lambda change: heard.append(change["new"]), "uploaded")
    widget.look("a.tar.gz", bundle.archive())
    widget.send()
    widget.send()
    assert [name for name in heard if name] == ["ttbar", "ttbar"]
    assert widget.version == 2


@pytest.mark.slow
def test_a_path_of_this_machine_is_read(server: Server, bundle: Bundle, tmp_path: Path) -> None:
    widget = Upload(server)
    for path in (bundle.save(tmp_path), bundle.save_archive(tmp_path)):
        widget.path.value = f" {path} "
        widget.read_button.click()
        assert widget.wait(60)
        assert "can be served" in widget.message.value
        assert widget.name.value == "ttbar"
        widget.send()
    assert widget.version == 2


@pytest.mark.parametrize(
    ("path", "words"), [(" ", "write the path"), ("nowhere/a.pb", "nowhere/a.pb cannot be read")]
)
def test_a_path_that_is_not_there_is_told(server: Server, path: str, words: str) -> None:
    widget = Upload(server)
    widget.look_at_path(path)
    assert words in widget.message.value
    assert 'role="alert"' in widget.message.value


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"hello", "notes.txt is no model"),
        ("model.h5", b"", "model.h5 is no model"),
        ("broken.pb", b"hello", "not a TensorFlow GraphDef"),
        ("broken.tar.gz", b"hello", "not a whole .tar"),
        ("broken.onnx", b"hello", "broken.onnx is no ONNX model"),
        ("broken.keras", b"hello", "broken.keras is no Keras model"),
    ],
)
def test_what_cannot_be_served_is_told_before_sending(
    server: Server, name: str, content: bytes, words: str
) -> None:
    widget = Upload(server)
    choose(widget, name, content)
    assert words in widget.message.value
    assert 'role="alert"' in widget.message.value
    assert widget.send_button.disabled


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a.pb", "b.onnx"), "a.pb, b.onnx is more than one model"),
        (("a.tar.gz", "params.json"), "choose it without params.json"),
        (("a.pb", "params.json", "more.json"), "may both be the params"),
        (("a.pb", "notes.md"), "notes.md is no part of a model"),
    ],
)
def test_files_that_do_not_belong_together_are_told(
    server: Server, names: tuple[str, ...], words: str
) -> None:
    widget = Upload(server)
    widget.look_at(dict.fromkeys(names, b"{}"))
    assert words in widget.message.value


@pytest.mark.slow
def test_params_and_labels_tell_of_the_model(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    params = json.loads(bundle.files()[PARAMS]) | {"name": "told"}
    files = {"m.pb": bundle.graph.serialized, "p.json": json.dumps(params).encode(),
             "l.txt": b"tops\n", CARD: b'{"by": "me"}', TEXT: b"passed over"}  # fmt: skip
    widget.look_at(files)
    assert widget.name.value == "told"
    widget.send()
    assert server.service.repository.find("told").path.joinpath(LABELS).read_text() == "tops\n"


def test_an_impossible_name_is_told(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    widget.look("a.tar.gz", bundle.archive())
    widget.name.value = "../evil"
    widget.send()
    assert "cannot name a model" in widget.message.value
    assert server.client().status()["models"] == []
    assert not widget.send_button.disabled


def test_a_stopped_server_is_told(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    widget.look("a.tar.gz", bundle.archive())
    server.stop()
    send(widget)
    assert "not running" in widget.message.value
    assert widget.uploaded == ""


def test_sending_without_a_file_is_told(server: Server) -> None:
    widget = Upload(server)
    widget.send()
    assert "choose a file first" in widget.message.value


def test_what_is_unforeseen_is_told_too(
    server: Server, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("tfaas_nb.widgets.chosen.inside", fail)
    widget = Upload(server)
    choose(widget, "a.tar.gz", bundle.archive())
    assert "unexpectedly (RuntimeError: out of luck)" in widget.message.value


def test_closing_drops_the_model_and_ends_the_thread(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    choose(widget, "a.tar.gz", bundle.archive())
    widget.close()
    widget.close()
    assert widget._bundle is None
    assert not [t for t in threading.enumerate() if t.name == "tfaas_nb-upload"]
    widget.send_button.click()
    assert widget.wait(0)


def test_it_says_what_onnx_needs(server: Server) -> None:
    assert "tfaas_nb[onnx]" in Upload(server).children[0].value
