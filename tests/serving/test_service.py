from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tfaas_nb as tn
from tests.graphs import placeholder, serialized, weighted_sum
from tfaas_nb.bundle import MODEL, Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import FeatureError, GraphError, ModelNotFound, RepositoryError
from tfaas_nb.repository import Repository
from tfaas_nb.serving.service import Service
from tfaas_nb.wire.tfaas import Query


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(Repository(tmp_path / "models"))


@pytest.fixture(scope="module")
def small() -> Bundle:
    """The weighted sum of three unnamed inputs."""
    return Bundle.from_parts(b'{"name": "sum"}', serialized(weighted_sum), b"total\n")


def named(small: Bundle) -> Bundle:
    params = json.dumps({"name": "sum", "features": ["a", "b", "c"]}).encode()
    return Bundle.from_parts(params, small.graph.serialized)


def query(values: object, keys: tuple[str, ...] = ("a", "b", "c")) -> Query:
    return Query("sum", keys, np.atleast_2d(np.float32(values)), single=True)  # type: ignore[arg-type]


def score(service: Service, values: object, keys: tuple[str, ...] = ("a", "b", "c")) -> float:
    return float(service.model("sum").score(query(values, keys))[0, 0])


# --- scores -----------------------------------------------------------------------------


def test_scores_are_those_of_the_classifier(
    service: Service, bundle: Bundle, classifier: Classifier, events: Dataset
) -> None:
    service.upload(bundle)
    asked = Query("ttbar", tn.TTBAR_ALL_HADRONIC.names, events.X, single=False)
    found = service.model("ttbar").score(asked)[:, 0]
    np.testing.assert_allclose(found, classifier.predict(events), rtol=0, atol=1e-6)


def test_values_go_where_their_keys_belong(service: Service, small: Bundle) -> None:
    service.upload(named(small))
    assert score(service, [1, 10, 100]) == 321
    assert score(service, [100, 1, 10], ("c", "a", "b")) == 321
    assert score(service, [1, 10, 100]) == 321


def test_many_orders_of_keys_are_put_right(
    service: Service, bundle: Bundle, events: Dataset
) -> None:
    """More than are remembered."""
    service.upload(bundle)
    model = service.model("ttbar")
    names = list(events.features.names)
    expected = model.score(Query(None, tuple(names), events.X[:3], False))
    shuffle = random.Random(1).shuffle
    for _ in range(100):
        order = list(range(len(names)))
        shuffle(order)
        keys = tuple(names[i] for i in order)
        found = model.score(Query(None, keys, events.X[:3, order], False))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("a", "b", "d"), "unknown key 'd'.*missing: c"),
        (("a", "b"), "missing: c"),
        (("a", "b", "c", "d"), "unknown key 'd'"),
        (("a", "b", "b"), "sent more than once: b; missing: c"),
        (("a", "b", "c", "c"), "sent more than once: c"),
        ((), "missing: a, b, c"),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_keys_that_do_not_fit_are_named(
    service: Service, small: Bundle, keys: tuple[str, ...], message: str, times: int
) -> None:
    service.upload(named(small))
    for _ in range(times):  # a wrong order must not be remembered as a right one
        with pytest.raises(FeatureError, match=message):
            score(service, np.ones(len(keys)), keys)


def test_a_model_without_names_takes_values_in_their_order(service: Service, small: Bundle) -> None:
    service.upload(small)
    assert score(service, [1, 10, 100], ("x", "y", "z")) == 321
    with pytest.raises(FeatureError, match="model 'sum' takes 3 values, 2 were sent"):
        score(service, [1, 10], ("x", "y"))


def test_labels_are_used_when_there_are_as_many_as_outputs(service: Service, small: Bundle) -> None:
    service.upload(small)
    assert service.model("sum").labels == ("total",)
    service.upload(Bundle.from_parts(b'{"name": "sum"}', small.graph.serialized, b"a\nb\n"))
    assert service.model("sum").labels == ()


# --- models -----------------------------------------------------------------------------


def test_an_empty_service_says_so(service: Service) -> None:
    assert service.models() == []
    assert service.loaded(None) is None
    with pytest.raises(ModelNotFound, match="there is no model yet: upload one first"):
        service.model(None)
    with pytest.raises(ModelNotFound, match="there is no model 'x'"):
        service.model("x")


def test_without_a_name_the_last_uploaded_answers(service: Service, small: Bundle) -> None:
    for name in ("b", "a", "c", "a"):
        service.upload(small.renamed(name))
        assert service.model(None).stored.name == name
    service.delete("a")
    assert service.model(None).stored.name == "c"


def test_the_last_uploaded_is_known_after_a_restart(service: Service, small: Bundle) -> None:
    for name in ("b", "a"):
        service.upload(small.renamed(name))
    again = Service(service.repository)
    assert again.loaded(None) is None
    again.model("b")  # asked for first, but not the last uploaded
    assert again.model(None).stored.name == "a"


def test_an_upload_is_served_at_once(
    service: Service, bundle: Bundle, other_bundle: Bundle, events: Dataset
) -> None:
    asked = Query("ttbar", events.features.names, events.X[:10], False)
    answers = []
    for uploaded in (bundle, other_bundle, bundle):
        service.upload(uploaded)
        answers.append(service.model("ttbar").score(asked))
    assert not np.array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    assert service.describe("ttbar")["version"] == 3


def test_a_model_that_cannot_answer_is_not_stored(service: Service, small: Bundle) -> None:
    service.upload(small)
    broken = serialized(lambda tf: tf.reduce_sum(placeholder(tf), name="y"))
    with pytest.raises(GraphError, match="answers one event with shape"):
        service.upload(Bundle.from_parts(b'{"name": "sum"}', broken))
    assert service.describe("sum")["version"] == 1
    assert score(service, [1, 10, 100]) == 321


def test_a_model_that_cannot_be_stored_is_not_served(tmp_path: Path, small: Bundle) -> None:
    (tmp_path / "models").write_text("in the way")
    service = Service(Repository(tmp_path / "models"))
    with pytest.raises(RepositoryError, match="could not be stored"):
        service.upload(small)
    assert service.loaded("sum") is None


def test_a_deleted_model_is_not_served(service: Service, small: Bundle) -> None:
    service.upload(small)
    kept = service.model("sum")
    service.delete("sum")
    with pytest.raises(ModelNotFound):
        service.model("sum")
    assert kept.score(query([1, 10, 100]))[0, 0] == 321, "requests under way get their answer"
    with pytest.raises(ModelNotFound):
        service.delete("sum")


def test_a_description_has_version_and_time(service: Service, bundle: Bundle) -> None:
    stored = service.upload(bundle)
    found = service.describe("ttbar")
    assert (found["name"], found["version"], found["uploaded"]) == ("ttbar", 1, stored.uploaded)
    assert [f["name"] for f in found["features"]] == list(tn.TTBAR_ALL_HADRONIC.names)
    assert service.models() == [found]


def test_a_damaged_model_is_told_and_does_not_hide_others(service: Service, small: Bundle) -> None:
    service.upload(small)
    damaged = service.upload(small.renamed("damaged"))
    (damaged.path / MODEL).write_bytes(b"\xff")
    (damaged.path / "params.json").write_bytes(b"{")
    service.close()
    failed = service.load_all()
    assert list(failed) == ["damaged"]
    assert isinstance(failed["damaged"], RepositoryError)
    told, good = service.models()
    assert "damaged on disk" in told["error"]
    assert (told["name"], told["version"]) == ("damaged", 1)
    assert good["name"] == "sum"
    assert score(service, [1, 10, 100]) == 321


def test_a_closed_service_reads_its_models_again(service: Service, small: Bundle) -> None:
    service.upload(small)
    service.close()
    assert service.loaded("sum") is None
    assert score(service, [1, 10, 100]) == 321


def test_a_model_is_loaded_once_for_many_threads(service: Service, small: Bundle) -> None:
    service.upload(small)
    service.close()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(service.model, ["sum"] * 32))
    assert len({id(model) for model in found}) == 1
