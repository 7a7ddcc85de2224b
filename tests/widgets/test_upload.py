from __future__ import annotations

import pytest

from tests.onnx_models import logistic
from tests.widgets.choose import chosen
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import BundleError
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Upload
from tfaas_nb.widgets.upload import read


def test_choosing_naming_and_sending_an_archive(
    server: Server, bundle: Bundle, events: Dataset
) -> None:
    widget = Upload(server)
    assert widget.send_button.disabled
    widget.file.value = chosen("anything.tar.gz", bundle.archive())
    assert widget.name.value == "ttbar"
    assert "jetPt_0" in widget.contents.value
    widget.name.value = "mine"
    widget.send_button.click()
    assert widget.uploaded == "mine"
    assert "now serves" in widget.message.value
    assert server.client().predict("mine", events.event(0)) == pytest.approx(
        server.client().predict("mine", events)[0], abs=1e-6
    )


def test_a_lone_graph_is_named_after_its_file(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    widget.file.value = chosen("boosted.pb", bundle.graph.serialized)
    assert widget.name.value == "boosted"
    widget.send_button.click()
    assert server.client().status()["models"] == ["boosted"]


def test_a_lone_onnx_model_is_named_after_its_file(server: Server) -> None:
    widget = Upload(server)
    widget.look("forest.v2.onnx", logistic([0, 1], zipmap=True)[2])
    widget.send_button.click()
    assert widget.uploaded == "forest.v2"


def test_sending_the_same_name_again_is_announced_again(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    heard: list[str] = []
    widget.observe(lambda change: heard.append(change["new"]), "uploaded")
    widget.file.value = chosen("a.tar.gz", bundle.archive())
    widget.send_button.click()
    widget.send_button.click()
    assert [name for name in heard if name] == ["ttbar", "ttbar"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"hello", "notes.txt is no model"),
        ("broken.pb", b"hello", "not a TensorFlow GraphDef"),
        ("broken.tar.gz", b"hello", "not a whole .tar"),
    ],
)
def test_what_cannot_be_served_is_told_before_sending(
    server: Server, name: str, content: bytes, words: str
) -> None:
    widget = Upload(server)
    widget.file.value = chosen(name, content)
    assert words in widget.message.value
    assert 'role="alert"' in widget.message.value
    assert widget.send_button.disabled


def test_an_impossible_name_is_told(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    widget.file.value = chosen("a.tar.gz", bundle.archive())
    widget.name.value = "../evil"
    widget.send_button.click()
    assert "cannot name a model" in widget.message.value
    assert server.client().status()["models"] == []


def test_a_stopped_server_is_told(server: Server, bundle: Bundle) -> None:
    widget = Upload(server)
    widget.file.value = chosen("a.tar.gz", bundle.archive())
    server.stop()
    widget.send_button.click()
    assert "not running" in widget.message.value
    assert widget.uploaded == ""


def test_sending_without_a_file_is_told(server: Server) -> None:
    widget = Upload(server)
    widget.send()
    assert "choose a file first" in widget.message.value


def test_a_foreign_ending_is_refused_by_name() -> None:
    with pytest.raises(BundleError, match=r"model\.h5"):
        read("model.h5", b"")
