"""Models that do not tell the names of their features: keys are refused until names are given."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

import tfaas_nb as tn
from tests.graphs import serialized, weighted_sum
from tests.ntuples import write_tree
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import BundleError, FeatureError
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import arrow, protobuf, tfaas

#: a + 2 b + 3 c.
VALUES = {"c": 100.0, "a": 1.0, "b": 10.0}
SUM = 321.0
KEYS, ROW = list(VALUES), list(VALUES.values())
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def model() -> bytes:
    """A graph with one input, whose columns have no names."""
    return serialized(weighted_sum)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("models"), port=0, token=False) as running:
        yield running


@pytest.fixture(scope="module")
def nameless(server: Server, model: bytes) -> Server:
    """The server with the model `nameless`."""
    assert upload(server, "/upload?name=nameless", model).status_code == 200
    return server


@pytest.fixture(scope="module")
def named(server: Server, model: bytes) -> Server:
    """The server with the model `named`, of which an old client's upload told the names."""
    assert upload(server, "/upload?name=named&features=a,b,c", model).status_code == 200
    return server


def upload(server: Server, path: str, body: bytes) -> requests.Response:
    return requests.post(server.url + path, data=body, headers=BYTES, timeout=60)


def sent(name: str) -> dict[str, tuple[str, Any, Callable[[requests.Response], Any]]]:
    """Dialect → address, body and what reads the score of one event sent by name."""
    columns = {key: [value] for key, value in VALUES.items()}
    tensors = [
        {"name": key, "shape": [1], "datatype": "FP32", "data": [value]}
        for key, value in VALUES.items()
    ]
    x = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": ROW}
    rows = np.float32([ROW])
    infer, predict = f"/v2/models/{name}/infer", f"/v1/models/{name}"

    def first(answer: requests.Response) -> Any:
        return np.ravel(answer.json())[0]

    def of(key: str) -> Callable[[requests.Response], Any]:
        return lambda answer: np.ravel(answer.json()[key])[0]

    def output(answer: requests.Response) -> Any:
        return answer.json()["outputs"][0]["data"][0]

    def label(answer: requests.Response) -> Any:
        return answer.json()["results"][0][0][1]

    def probability(answer: requests.Response) -> Any:
        return protobuf.Predictions.FromString(answer.content).prediction[0].probability

    return {
        "json": ("/json", {"keys": KEYS, "values": ROW, "model": name}, first),
        "json, many": ("/json", {"keys": KEYS, "values": [ROW], "model": name}, first),
        "json, records": ("/json", {"records": [VALUES], "model": name}, first),
        "protobuf": ("/proto", tfaas.encode_row(KEYS, ROW, name), probability),
        "dataframe": ("/dataframe", tfaas.encode_dataframe(KEYS, rows, name), probability),
        "npy": (
            f"/npy?model={name}",
            tfaas.encode_npy(KEYS, rows),
            lambda answer: tfaas.decode_scores_npy(answer.content)[0, 0],
        ),
        "arrow": (
            f"/arrow?model={name}",
            arrow.encode(KEYS, rows),
            lambda answer: arrow.decode_scores(answer.content)[1][0, 0],
        ),
        "oip, keys": (infer, {"inputs": [x], "parameters": {"keys": KEYS}}, output),
        "oip, tensors": (infer, {"inputs": tensors}, output),
        "instances": (f"{predict}:predict", {"instances": [VALUES]}, of("predictions")),
        "inputs": (f"{predict}:predict", {"inputs": columns}, of("outputs")),
        "examples": (f"{predict}:regress", {"examples": [VALUES]}, of("results")),
        "classes": (f"{predict}:classify", {"examples": [VALUES]}, label),
    }


def ask(server: Server, path: str, body: Any) -> requests.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(server.url + path, data=content, timeout=20)


@pytest.mark.parametrize("dialect", sent(""))
def test_keys_are_refused_by_a_model_that_knows_no_names(nameless: Server, dialect: str) -> None:
    path, body, _ = sent("nameless")[dialect]
    answer = ask(nameless, path, body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert "model 'nameless' does not know the names of its features" in error
    assert "?features=a,b,c" in error
    assert "/v1/models/nameless:predict" in error


@pytest.mark.parametrize("dialect", sent(""))
def test_keys_in_any_order_are_heeded_once_names_are_given(named: Server, dialect: str) -> None:
    path, body, score = sent("named")[dialect]
    answer = ask(named, path, body)
    assert answer.status_code == 200, answer.text
    assert score(answer) == SUM


def test_values_without_names_are_taken_in_the_order_of_the_inputs(nameless: Server) -> None:
    x = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1.0, 10.0, 100.0]}
    answer = ask(nameless, "/v2/models/nameless/infer", {"inputs": [x]})
    assert answer.json()["outputs"][0]["data"] == [SUM]
    body = {"instances": [[1.0, 10.0, 100.0]]}
    answer = ask(nameless, "/v1/models/nameless:predict", body)
    assert answer.json() == {"predictions": [[SUM]]}


def saved(model: bytes) -> bytes:
    """A model's folder as TFaaS has it, whose params name no features."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        files = {"params.json": b'{"name": "sum", "model": "model.pb"}', "model.pb": model}
        for name, content in files.items():
            entry = tarfile.TarInfo(f"sum/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("names", ["a,b,c", " a, b ,c", '["a", "b", "c"]', "a\nb\nc"])
def test_names_come_with_every_kind_of_upload(server: Server, model: bytes, names: str) -> None:
    def form(path: str, **more: Any) -> requests.Response:
        parts = {"name": (None, "sum"), "model": ("m.pb", model), **more}
        return requests.post(server.url + path, files=parts, timeout=60)

    asked = requests.Request("POST", server.url, params={"features": names}).prepare()
    query = str(asked.url).partition("?")[2]
    for answer in (
        upload(server, f"/upload?name=sum&{query}", model),
        upload(server, f"/bundle?{query}", saved(model)),
        form("/upload", features=(None, names)),
        form("/upload", features=(None, names), params=("p", b'{"name": "sum"}')),
        form(f"/upload?{query}"),
    ):
        assert answer.status_code == 200, answer.text
        path, body, score = sent("sum")["json"]
        assert score(ask(server, path, body)) == SUM
        told = requests.get(f"{server.url}/params/sum", timeout=10).json()
        assert [feature["name"] for feature in told["features"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("a,b", "2 features are named, model 'sum' takes 3 values"),
        ("a,b,c,d", "4 features are named, model 'sum' takes 3 values"),
        ("a,b,a", "two features are called 'a'"),
        ("a,,c", "must be text between commas, a,b,c, or a list of names, not ''"),
        ('["a", 2, "c"]', "must be text between commas, a,b,c, or a list of names, not 2"),
        ('["a", "b"', "not a list in JSON"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    server: Server, model: bytes, names: str, message: str
) -> None:
    form = {"name": (None, "sum"), "model": ("m.pb", model), "features": (None, names)}
    answer = requests.post(f"{server.url}/upload", files=form, timeout=60)
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def test_names_that_a_model_tells_itself_are_not_replaced(
    server: Server, model: bytes, bundle: Bundle
) -> None:
    told = Bundle.from_parts(b'{"name": "sum", "features": ["a", "b", "c"]}', model)
    assert told.with_features(["a", "b", "c"]) is told
    assert told.with_features("") is told
    with pytest.raises(BundleError, match=r"names its 3 features itself, the one at 1 'b'"):
        told.with_features("a,c,b")
    with pytest.raises(BundleError, match="names its 42 features itself"):
        bundle.with_features("a,c,b")
    answer = upload(server, "/upload?features=x,y,z", told.archive())
    assert answer.status_code == 422
    assert "names its 3 features itself" in answer.json()["error"]


def test_reference_events_take_the_names(model: bytes) -> None:
    made = Bundle.from_parts(b'{"name": "sum"}', model).with_reference_events()
    named = made.with_features(["a", "b", "c"])
    assert made.reference_events
    assert named.reference_events
    assert named.reference_events.keys == ("a", "b", "c")
    assert named.reference_events.scores == made.reference_events.scores
    again = Bundle.from_archive(made.archive(), features="a,b,c")
    assert again.reference_events == named.reference_events
    assert Bundle.from_upload(model, "sum", features=["a", "b", "c"]).features == ("a", "b", "c")
    assert Bundle.create("sum", made.graph, (), ["a", "b", "c"]).features == ("a", "b", "c")


def test_reference_events_are_matched_by_name(model: bytes) -> None:
    made = Bundle.from_parts(b'{"name": "sum"}', model)
    with pytest.raises(FeatureError, match="model 'sum' has no names for its features"):
        made.with_reference_events({key: [value] for key, value in VALUES.items()})
    named = made.with_features("a,b,c")
    events = named.with_reference_events({key: [value] for key, value in VALUES.items()})
    assert events.reference_events
    assert events.reference_events.scores == ((SUM,),)


def test_files_are_scored_by_names_given_at_the_upload(named: Server, tmp_path: Path) -> None:
    values = {key: np.float32([value, 0.0]) for key, value in VALUES.items()}
    path = write_tree(tmp_path / "events.root", values | {"d": np.float32([7, 7])})
    output = tmp_path / "scores.root"
    tn.score(path, f"{named.url}/models/named", output)
    import uproot

    with uproot.open(output) as file:
        assert file["scores/score"].array().tolist() == [SUM, 0.0]


def test_a_model_whose_names_are_those_of_jets_reads_jets(
    server: Server, tmp_path: Path, bundle: Bundle
) -> None:
    """In an order of its own; the right sums come from a loop over the events."""
    names = ("jetPt_1", "nJets", "jetPt_0")
    jets = [[500.0, 300.0, 250.0], [450.0], [410.0, 220.0]]
    branches = {
        "nJets": np.int32([3, 1, 2]),
        **{
            variable: [[1.0] * len(event) for event in jets]
            for variable in ("jetEta", "jetPhi", "jetMass")
        },
        "jetPt": jets,
    }
    path = write_tree(tmp_path / "jets.root", branches)
    model = Bundle.from_parts(b'{"name": "jets"}', serialized(weighted_sum), features=names)
    server.client().upload(model)
    expected = []
    for event in jets:
        first, second = [*event, 0.0][:2]
        expected.append(second + 2 * len(event) + 3 * first)
    import uproot

    for i, scorer in enumerate((model, f"{server.url}/models/jets")):
        output = tmp_path / f"{i}.root"
        tn.score(path, scorer, output)
        with uproot.open(output) as file:
            assert file["scores/score"].array().tolist() == expected
