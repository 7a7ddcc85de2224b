"""The commands of TFaaS's documentation, as people type them, against ``tfaas-nb serve``."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command import COMMAND
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.poster import poster_event
from tfaas_nb.wire import tfaas

pytestmark = [
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
    pytest.mark.slow,
]

JSON = ("-H", "Content-type: application/json")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Serving:
    """A running ``tfaas-nb serve --no-token``, asked by curl from a folder of files."""

    def __init__(self, models: Path, folder: Path) -> None:
        self.models, self.folder = models, folder
        command = [*COMMAND, "serve", "--no-token", "--port", "0", "--models", str(models)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.url = self.process.stdout.readline().split()[1].rstrip("/")

    def curl(self, *options: str, path: str) -> Answer:
        done = subprocess.run(
            ["curl", "-sS", "-w", "\n%{http_code}", *options, self.url + path],
            capture_output=True,
            check=True,
            timeout=60,
            cwd=self.folder,
        )
        body, _, status = done.stdout.rpartition(b"\n")
        return Answer(int(status), body)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Path:
    """The files that the commands name."""
    folder = tmp_path_factory.mktemp("folder")
    bundle.save(folder)
    bundle.renamed("packed").save_archive(folder / "packed.tar.gz")
    encoded = base64.encodebytes((folder / "ttbar" / "model.pb").read_bytes())
    (folder / "ttbar" / "model.base64").write_bytes(encoded)
    old = {
        "name": "old",
        "model": "model.pb",
        "labels": "labels.txt",
        "options": [],
        "inputNode": "input",
        "outputNode": "output",
    }
    (folder / "old.json").write_text(json.dumps(old))
    event = poster_event()
    row = tfaas.encode_row(tuple(event), list(event.values()), "ttbar")
    (folder / "row.bin").write_bytes(row)
    (folder / "input.json").write_bytes(request("ttbar", event))
    return folder


@pytest.fixture(scope="module")
def serving(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with the model ttbar, uploaded as TFaaS's README says."""
    running = Serving(tmp_path_factory.mktemp("commands") / "models", folder)
    try:
        uploaded = running.curl(
            *("-X", "POST", "-H", "Expect: 100-continue", "-F", "name=ttbar"),
            *("-F", "params=@ttbar/params.json", "-F", "model=@ttbar/model.pb"),
            *("-F", "labels=@ttbar/labels.txt"),
            path="/upload",
        )
        assert uploaded == Answer(200, b"")
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def score(classifier: Classifier) -> Any:
    """The offline score of the poster's event."""
    return pytest.approx([classifier.predict(poster_event())], abs=1e-6)


def request(model: str | None, event: dict[str, Any], keys: Sequence[str] | None = None) -> bytes:
    asked = {"keys": list(keys or event), "values": list(event.values())}
    return json.dumps(asked | ({"model": model} if model else {})).encode()


def names(serving: Serving) -> list[str]:
    return [model["name"] for model in serving.curl(path="/models").json]


# --- predictions ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/json", "/predict/json"])
@pytest.mark.parametrize("header", [JSON, ()])
def test_the_posters_event_gets_its_offline_score(
    serving: Serving, score: Any, path: str, header: tuple[str, ...]
) -> None:
    """Without a header curl calls it application/x-www-form-urlencoded."""
    answer = serving.curl("-X", "POST", *header, "-d", "@input.json", path=path)
    assert answer.status == 200
    assert answer.json == score


def test_without_a_model_the_last_uploaded_answers(serving: Serving, score: Any) -> None:
    body = request(None, poster_event()).decode()
    assert serving.curl(*JSON, "-d", body, path="/json").json == score


@pytest.mark.parametrize(
    "order", [reversed, sorted, lambda keys: sorted(keys, key=lambda key: key[::-1])]
)
def test_another_order_of_keys_gets_the_same_score(
    serving: Serving, score: Any, order: Any
) -> None:
    event = poster_event()
    shuffled = {key: event[key] for key in order(list(event))}
    assert serving.curl("-d", request("ttbar", shuffled).decode(), path="/json").json == score


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in poster_event().items() if name != key}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (request("ttbar", without("jetPt_0")), 422, "missing: jetPt_0"),
        (
            request("ttbar", without("jetPt_0") | {"jetPT_0": 1.0}),
            422,
            "unknown key 'jetPT_0' (did you mean 'jetPt_0'?)",
        ),
        (request("ttbar", poster_event() | {"more": 1}), 422, "unknown key 'more'"),
        (request("ttbar", without("nJets"), list(poster_event())), 422, "42 keys but 41 values"),
        (request("ttbar", poster_event() | {"jetPt_0": "431"}), 422, "'jetPt_0' is '431', not"),
        (request("ttbar", poster_event() | {"jetPt_0": float("nan")}), 422, "'jetPt_0' is nan"),
        (request("ttbar", poster_event() | {"jetPt_0": None}), 422, "'jetPt_0' is None, not"),
        (request("none", poster_event()), 404, "there is no model 'none'; there are ["),
        (b"", 400, "the body is empty: send"),
        (b"{", 400, "the body is not JSON"),
        (b"keys=nJets", 400, "the body is not JSON"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    serving: Serving, body: bytes, status: int, message: str
) -> None:
    answer = serving.curl(*JSON, "-X", "POST", "-d", body.decode(), path="/json")
    assert answer.status == status
    assert message in answer.json["error"]


@pytest.mark.parametrize("path", ["/proto", "/predict/proto"])
def test_protobuf_needs_no_content_type(serving: Serving, score: Any, path: str) -> None:
    answer = serving.curl("-X", "POST", "--data-binary", "@row.bin", path=path)
    assert answer.status == 200
    ((label, probability),) = tfaas.decode_predictions(answer.body)
    assert label == "signal"
    assert [probability] == score


# --- models -----------------------------------------------------------------------------


def test_models_and_params_are_told(serving: Serving) -> None:
    params = serving.curl("-X", "GET", path="/params/ttbar").json
    assert params in serving.curl(path="/models").json
    assert (params["name"], params["inputNode"], params["version"]) == ("ttbar", "input", 1)
    assert "ttbar" in serving.curl(path="/status").json["models"]
    assert b"ttbar" in serving.curl(path="/").body


@pytest.mark.parametrize("path", ["/upload", "/bundle"])
def test_an_archive_is_uploaded_and_deleted(serving: Serving, score: Any, path: str) -> None:
    uploaded = serving.curl(
        *("-X", "POST", "-H", "Content-Encoding: gzip"),
        *("-H", "Content-Type: application/octet-stream"),
        *("--data-binary", "@packed.tar.gz"),
        path=path,
    )
    assert uploaded == Answer(200, b"")
    body = request("packed", poster_event()).decode()
    assert serving.curl(*JSON, "-d", body, path="/json").json == score
    assert serving.curl("-X", "DELETE", path="/delete/packed") == Answer(200, b"")
    assert "packed" not in names(serving)
    assert serving.curl(*JSON, "-d", body, path="/json").status == 404


def test_an_archive_made_by_tar_is_uploaded(
    serving: Serving, score: Any, bundle: Bundle, folder: Path
) -> None:
    with tarfile.open(folder / "by-tar.tar.gz", "w:gz") as tar:
        tar.add(bundle.renamed("by-tar").save(folder), arcname="by-tar")
    uploaded = serving.curl("--data-binary", "@by-tar.tar.gz", path="/upload")
    assert uploaded == Answer(200, b"")
    body = request("by-tar", poster_event()).decode()
    assert serving.curl(*JSON, "-d", body, path="/json").json == score
    assert serving.curl("-X", "DELETE", path="/delete/by-tar").status == 200


def test_a_form_with_a_model_in_base64_and_full_paths_is_read(
    serving: Serving, folder: Path, bundle: Bundle, score: Any
) -> None:
    """So TFaaS's Python client sends it."""
    (folder / "client.json").write_bytes(bundle.renamed("client").params.to_json())
    parts = {
        "params": folder / "client.json",
        "model": folder / "ttbar" / "model.base64",
        "labels": folder / "ttbar" / "labels.txt",
    }
    files = [f"{name}=@{path};filename={path}" for name, path in parts.items()]
    uploaded = serving.curl(
        *("-H", "Content-Encoding: base64", "-F", "name=client"),
        *(option for file in files for option in ("-F", file)),
        path="/upload",
    )
    assert uploaded == Answer(200, b"")
    body = request("client", poster_event()).decode()
    assert serving.curl(*JSON, "-d", body, path="/json").json == score
    assert serving.curl("-X", "DELETE", "-F", "model=client", path="/delete") == Answer(200, b"")
    assert "client" not in names(serving)


def test_a_file_in_tfaas_old_spelling_is_read(serving: Serving, score: Any) -> None:
    uploaded = serving.curl(
        *("-F", "name=old", "-F", "params=@old.json"),
        *("-F", "model=@ttbar/model.pb", "-F", "labels=@ttbar/labels.txt"),
        path="/upload",
    )
    assert uploaded == Answer(200, b"")
    body = request("old", poster_event()).decode()
    assert serving.curl(*JSON, "-d", body, path="/json").json == score
    assert serving.curl("-X", "DELETE", "-d", "model=old", path="/delete") == Answer(200, b"")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-F", "name=x", "-F", "params=@ttbar/params.json"), "the form has no part 'model'"),
        (
            ("-F", "name=x", "-F", "params=@ttbar/params.json", "-F", "model=@old.json"),
            "the file is params.json, not the model",
        ),
        (
            ("-F", "name=../x", "-F", "params=@old.json", "-F", "model=@ttbar/model.pb"),
            "'../x' cannot name a model",
        ),
        (
            ("-F", "name=x", "-F", "params=@ttbar/params.json", "-F", "model=@ttbar/model.base64"),
            "not a TensorFlow GraphDef",
        ),
        (
            ("-H", "Content-Type: application/octet-stream", "--data-binary", "@old.json"),
            "the file is params.json, not the model",
        ),
    ],
)
def test_a_wrong_upload_is_told_and_changes_nothing(
    serving: Serving, options: tuple[str, ...], message: str
) -> None:
    before = serving.curl(path="/models").body
    answer = serving.curl(*options, path="/upload")
    assert answer.status == 422
    assert message in answer.json["error"]
    assert serving.curl(path="/models").body == before


@pytest.mark.slow
def test_a_restart_keeps_the_models(serving: Serving, score: Any) -> None:
    before = serving.curl(path="/models").body
    again = Serving(serving.models, serving.folder)
    try:
        assert again.curl(path="/models").body == before
        assert again.curl("-d", "@input.json", path="/json").json == score
    finally:
        again.stop()
