from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.graphs import placeholder, serialized, weighted_sum
from tfaas_nb.bundle import MODEL, Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import (
    BundleError,
    FeatureError,
    GraphError,
    ModelNotFound,
    RepositoryError,
    TooLarge,
)
from tfaas_nb.model_file import HERE, Reader
from tfaas_nb.repository import Repository, Stored
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.serving.service import Service
from tfaas_nb.wire.tfaas import Query


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(Repository(tmp_path / "models"))


@pytest.fixture(scope="module")
def small() -> Bundle:
    """The weighted sum of three inputs."""
    params = json.dumps({"name": "sum", "features": ["a", "b", "c"]}).encode()
    return Bundle.from_parts(params, serialized(weighted_sum), b"total\n")


def nameless(small: Bundle) -> Bundle:
    return Bundle.from_parts(b'{"name": "sum"}', small.graph.serialized)


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
    service.upload(small)
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
    service.upload(small)
    for _ in range(times):  # a wrong order must not be remembered as a right one
        with pytest.raises(FeatureError, match=message):
            score(service, np.ones(len(keys)), keys)


def test_a_model_without_names_refuses_keys(service: Service, small: Bundle) -> None:
    """Whatever they are: it cannot tell where their values belong."""
    service.upload(nameless(small))
    for keys in (("x", "y", "z"), ("a", "b", "c"), ("x",), ()):
        with pytest.raises(FeatureError, match=r"model 'sum' does not know .*\?features=a,b,c"):
            score(service, np.ones(len(keys)), keys)


def test_a_model_without_names_takes_values_in_its_order_from_who_sends_no_keys(
    service: Service, small: Bundle
) -> None:
    service.upload(nameless(small))
    assert score(service, [1, 10, 100], ()) == 321
    with pytest.raises(FeatureError, match="model 'sum' takes 3 values, 2 were sent"):
        score(service, [1, 10], ())


def test_a_lone_value_is_called_as_the_lone_input(service: Service) -> None:
    double = serialized(lambda tf: tf.multiply(placeholder(tf, "mass", 1), 2.0, name="y"))
    service.upload(Bundle.from_parts(b'{"name": "sum"}', double))
    assert score(service, [21], ("mass",)) == 42
    with pytest.raises(FeatureError, match="does not know the names of its features"):
        score(service, [21], ("pt",))


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


@pytest.mark.slow
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


def test_a_deletion_lets_requests_under_way_end(service: Service, small: Bundle) -> None:
    """Also one that waits in a batch for its turn: it holds the model that it was meant for."""
    service.upload(small)
    model, reference = service.model("sum"), service.model("sum/versions/1")
    service.delete("sum")
    assert service.in_memory.models == 0
    for held in (model, reference):
        assert held.score(query([[1, 10, 100]])).tolist() == [[321.0]]
    with pytest.raises(ModelNotFound):
        service.model("sum")


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


# --- versions and labels ----------------------------------------------------------------


def scaled(small: Bundle, factor: float, name: str = "sum") -> Bundle:
    """A model that answers `factor` times the weighted sum."""

    def build(tf: Any) -> None:
        weights = factor * tf.constant([[1.0], [2.0], [3.0]])
        tf.matmul(placeholder(tf), weights, name="y")

    return Bundle.from_parts(
        json.dumps({"name": name, "features": ["a", "b", "c"]}).encode(), serialized(build)
    )


@pytest.fixture
def three(service: Service, small: Bundle) -> Service:
    """A service that has three versions of the model sum, the label best on the second."""
    for factor in (1, 2, 3):
        service.upload(scaled(small, factor))
    service.label("sum", "best", 2)
    return service


def answers(service: Service, reference: str | None) -> float:
    return float(service.model(reference).score(query([1, 10, 100]))[0, 0])


@pytest.mark.slow
def test_every_version_can_be_asked(three: Service) -> None:
    assert answers(three, "sum") == answers(three, None) == 963
    for version in (1, 2, 3):
        assert answers(three, f"sum/versions/{version}") == 321 * version
    assert answers(three, "sum/labels/best") == 642
    three.label("sum", "best", 1)
    assert answers(three, "sum/labels/best") == 321
    with pytest.raises(ModelNotFound, match=r"no version 4 of 'sum'; there are \[1, 2, 3\]"):
        three.model("sum/versions/4")
    with pytest.raises(ModelNotFound, match=r"no label 'worst'; it has \['best'\]"):
        three.model("sum/labels/worst")


@pytest.mark.slow
def test_references_to_one_version_share_a_model(three: Service) -> None:
    assert three.model("sum") is three.model("sum/versions/3") is three.model(None)
    assert three.model("sum/labels/best") is three.model("sum/versions/2")
    for reference in ("sum", None, "sum/versions/3", "sum/labels/best"):
        assert three.loaded(reference) is three.model(reference)


def test_a_deleted_version_is_not_served(three: Service) -> None:
    kept = three.model("sum")
    three.delete("sum/versions/3")
    assert three.loaded("sum") is three.loaded("sum/versions/3") is None
    assert answers(three, "sum") == 642
    with pytest.raises(ModelNotFound):
        three.model("sum/versions/3")
    with pytest.raises(BundleError, match="carries the label 'best'"):
        three.delete("sum/labels/best")
    three.unlabel("sum", "best")
    with pytest.raises(ModelNotFound):
        three.model("sum/labels/best")
    assert kept.score(query([1, 10, 100]))[0, 0] == 963, "requests under way get their answer"
    assert three.upload(kept.bundle).version == 4


def test_a_description_has_versions_and_labels(three: Service) -> None:
    (found,) = three.models()
    assert (found["version"], found["versions"]) == (3, [1, 2, 3])
    assert found["version_labels"] == {"best": 2}
    assert found["labels"] == "labels.txt", "the file's name, as in TFaaS"
    assert three.describe("sum/labels/best") == three.describe("sum/versions/2")
    assert three.describe("sum/versions/2")["version"] == 2
    told = three.versions("sum")
    assert [v["version"] for v in told] == [1, 2, 3]
    assert [v["labels"] for v in told] == [[], ["best"], []]
    assert told[2]["sha256"] == three.model("sum").bundle.graph.sha256
    assert told[2]["uploaded"] == three.model("sum").stored.uploaded
    with pytest.raises(ModelNotFound):
        three.versions("none")


def test_a_damaged_version_leaves_the_others_serving(three: Service) -> None:
    damaged = three.repository.find("sum")
    (damaged.path / MODEL).write_bytes(b"\xff")
    three.close()
    for reference in ("sum", None, "sum/versions/3"):
        with pytest.raises(RepositoryError, match=r"'sum' is damaged on disk: .*\(version 3\)"):
            three.model(reference)
    assert answers(three, "sum/labels/best") == 642
    (damaged.path / "params.json").write_bytes(b"{")
    assert ["error" in version for version in three.versions("sum")] == [False, False, True]
    three.delete("sum/versions/3")
    assert answers(three, "sum") == 642


def test_a_version_in_memory_or_whole_on_disk_can_be_served(three: Service) -> None:
    first, second, _ = three.repository.versions("sum")
    three.model("sum/versions/1")
    for stored in (first, second):
        three.check(stored)
        (stored.path / MODEL).write_bytes(b"\xff")
    three.check(first)
    with pytest.raises(RepositoryError):
        three.check(second)


# --- unloading --------------------------------------------------------------------------


def test_an_unloaded_model_is_not_served_until_it_is_loaded(three: Service, small: Bundle) -> None:
    three.upload(small.renamed("other"))
    three.upload(scaled(small, 4))
    three.unload("sum")
    message = "model 'sum' is unloaded: POST /v2/repository/models/sum/load first"
    for reference in ("sum", "sum/versions/1", "sum/labels/best"):
        assert three.loaded(reference) is None
        with pytest.raises(ModelNotFound, match=message):
            three.model(reference)
    assert three.model(None).stored.name == "other"
    assert [m.get("error") for m in three.models()] == [None, message]
    assert three.load_all() == {}
    assert three.load("sum") is three.loaded("sum")
    assert answers(three, None) == 4 * 321
    with pytest.raises(ModelNotFound):
        three.unload("none")


def test_an_unloaded_model_is_served_again_after_an_upload(three: Service, small: Bundle) -> None:
    three.unload("sum")
    assert three.in_memory.bytes == 0
    three.upload(small)
    assert answers(three, "sum") == answers(three, "sum/versions/1") == 321


# --- memory -----------------------------------------------------------------------------


def sizes(small: Bundle, folder: Path) -> int:
    """Bytes that the small model takes."""
    service = Service(Repository(folder))
    service.upload(small)
    return service.in_memory.bytes


def in_memory(service: Service, *names: str) -> list[str]:
    return [name for name in names if service.loaded(name)]


@pytest.fixture
def tight(tmp_path: Path, small: Bundle) -> Service:
    """A service that has the models a, b and c, and room for two."""
    most = int(2.5 * sizes(small, tmp_path / "other"))
    service = Service(Repository(tmp_path / "models"), memory=most)
    for name in "abc":
        service.upload(small.renamed(name))
    return service


def test_the_least_recently_used_model_leaves_and_comes_back(tight: Service) -> None:
    assert tight.load_all() == {}
    evictions, loads = tight.in_memory.evictions, tight.in_memory.loads
    assert in_memory(tight, "a", "b", "c") == ["b", "c"]
    assert tight.loaded("b")
    assert tight.model("a").score(query([1, 10, 100]))[0, 0] == 321
    assert in_memory(tight, "a", "b", "c") == ["a", "b"]
    assert (tight.in_memory.evictions, tight.in_memory.loads) == (evictions + 1, loads + 1)
    assert tight.model("c") is tight.loaded("c")
    assert in_memory(tight, "a", "b", "c") == ["b", "c"]
    assert tight.in_memory.bytes == 2 * tight.model("c").size


def test_a_model_larger_than_the_memory_is_served_alone(tmp_path: Path, small: Bundle) -> None:
    service = Service(Repository(tmp_path / "models"), memory=1)
    for name in "ab":
        service.upload(small.renamed(name))
    for name in "abab":
        assert answers(service, name) == 321
        assert in_memory(service, "a", "b") == [name]
    assert service.in_memory.loads >= 3


def test_a_request_under_way_keeps_its_model(tight: Service) -> None:
    kept = tight.model("a")
    for name in "bcbc":
        tight.model(name)
    assert in_memory(tight, "a") == []
    assert kept.score(query([1, 10, 100]))[0, 0] == 321


@pytest.mark.slow
def test_what_nobody_refers_to_leaves_memory(service: Service, small: Bundle) -> None:
    seen = []
    for factor in (1, 2, 3, 4, 5):
        service.upload(scaled(small, factor))
        seen.append(weakref.ref(service.model("sum")))
    gc.collect()
    assert [model() is not None for model in seen] == [False] * 4 + [True]
    assert service.in_memory.bytes == service.model("sum").size


def test_what_is_asked_by_version_stays_in_memory(three: Service, small: Bundle) -> None:
    first = three.model("sum/versions/1")
    second = three.model("sum/labels/best")
    loads = three.in_memory.loads
    three.upload(scaled(small, 4))
    assert answers(three, "sum") == 4 * 321
    assert three.model("sum/versions/1") is first
    assert three.model("sum/labels/best") is second
    assert three.in_memory.loads == loads


# --- several processes ------------------------------------------------------------------


@pytest.fixture
def other(service: Service) -> Service:
    """Another service on the same directory."""
    return Service(Repository(service.repository.directory))


def test_what_another_process_does_is_noticed(
    service: Service, other: Service, small: Bundle
) -> None:
    service.upload(scaled(small, 1))
    assert answers(other, "sum") == answers(other, None) == 321
    service.upload(scaled(small, 2))
    service.upload(scaled(small, 5, name="five"))
    assert other.loaded("sum"), "nothing is noticed without a look"
    other.look()
    assert other.loaded("sum") is other.loaded(None) is None
    assert answers(other, "sum") == 642
    assert answers(other, None) == 5 * 321
    other.label("sum", "best", 1)
    assert answers(service, "sum/labels/best") == 321
    service.label("sum", "best", 2)
    assert answers(other, "sum/labels/best") == 642
    other.unload("sum")
    with pytest.raises(ModelNotFound, match="is unloaded"):
        service.model("sum")
    service.load("sum")
    assert answers(other, "sum") == 642
    service.delete("sum")
    for reference in ("sum", "sum/versions/2", "sum/labels/best"):
        with pytest.raises(ModelNotFound):
            other.model(reference)
    service.delete("five")
    with pytest.raises(ModelNotFound, match="there is no model yet"):
        other.model(None)
    assert other.in_memory.bytes == 0


@pytest.mark.parametrize("change", [Service.delete, Service.unload])
def test_what_another_process_removes_leaves_memory_unasked(
    service: Service,
    other: Service,
    small: Bundle,
    change: Callable[[Service, str], None],
) -> None:
    for name in ("kept", "sum"):
        service.upload(small.renamed(name))
        other.model(name)
    change(service, "sum")
    kept = other.model("kept")
    assert other.in_memory.bytes == kept.size


def test_a_change_elsewhere_does_not_read_models_again(
    service: Service, other: Service, small: Bundle
) -> None:
    service.upload(small)
    kept = other.model("sum")
    for _ in range(3):
        service.upload(small.renamed("another"))
        assert other.model("sum") is kept
    assert other.in_memory.loads == 1


def test_a_look_without_a_change_keeps_what_is_loaded(service: Service, small: Bundle) -> None:
    service.upload(small)
    kept = service.model("sum")
    for _ in range(3):
        service.look()
        assert service.loaded("sum") is kept


@pytest.mark.slow
def test_a_directory_copied_again_is_served_after_the_next_change(
    service: Service, bundle: Bundle, other_bundle: Bundle, small: Bundle
) -> None:
    bundle.save(service.repository.directory)
    assert service.model("ttbar").bundle.graph == bundle.graph
    service.delete("ttbar")
    other_bundle.save(service.repository.directory)
    assert service.model("ttbar").bundle.graph == other_bundle.graph
    bundle.save(service.repository.directory)
    service.upload(small)
    assert service.model("ttbar").bundle.graph == bundle.graph


#: A process that serves a directory: a line with a reference in, a line with its answer out.
ASK = """
import sys
import numpy as np
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import TfaasError
from tfaas_nb.repository import Repository
from tfaas_nb.serving.service import Service
from tfaas_nb.wire.tfaas import Query
service = Service(Repository(sys.argv[1]))
query = Query(None, ("a", "b", "c"), np.float32([[1, 10, 100]]), single=True)
for line in sys.stdin:
    act, _, reference = line.strip().partition(" ")
    try:
        if act == "upload":
            print(service.upload(Bundle.load(reference)).version, flush=True)
            continue
        service.look()
        model = service.loaded(reference) or service.model(reference)
        print(model.score(query)[0, 0], flush=True)
    except TfaasError as error:
        print(type(error).__name__, flush=True)
"""


class Other:
    """A process that serves a directory."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ASK, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, line: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def process(service: Service) -> Iterator[Other]:
    other = Other(service.repository.directory)
    yield other
    other.process.communicate(timeout=20)


@pytest.mark.endurance
def test_an_upload_is_served_by_the_next_request_to_another_process(
    service: Service, small: Bundle, process: Other, tmp_path: Path
) -> None:
    assert process("ask sum") == process("ask") == "ModelNotFound"
    for factor in range(1, 31):
        service.upload(scaled(small, factor))
        assert process("ask sum") == process("ask") == str(321.0 * factor)
    archive = scaled(small, 50, name="fifty").save_archive(tmp_path)
    assert process(f"upload {archive}") == "1"
    service.look()
    assert service.loaded(None) is None
    assert answers(service, None) == answers(service, "fifty") == 50 * 321
    service.label("sum", "best", 7)
    assert process("ask sum/labels/best") == str(321.0 * 7)
    service.delete("sum/versions/30")
    assert process("ask sum") == str(321.0 * 29)
    service.unload("sum")
    assert process("ask sum") == process("ask sum/versions/1") == "ModelNotFound"
    service.load("sum")
    assert process("ask sum/versions/1") == "321.0"
    service.delete("sum")
    assert process("ask sum") == process("ask sum/labels/best") == "ModelNotFound"


# --- loading ----------------------------------------------------------------------------


class Slow(Repository):
    """Reading the model slow takes until it is let go on."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.reading, self.go_on = threading.Event(), threading.Event()
        self.read: list[str] = []

    def load(self, stored: Stored, reader: Reader = HERE) -> Bundle:
        self.read.append(stored.name)
        if stored.name == "slow":
            self.reading.set()
            assert self.go_on.wait(20)
        return super().load(stored, reader)


@pytest.fixture
def slow(service: Service, small: Bundle) -> Iterator[tuple[Service, Slow]]:
    """A service that has read nothing yet, and its repository with sum and slow."""
    for name in ("sum", "slow"):
        service.upload(small.renamed(name))
    repository = Slow(service.repository.directory)
    yield Service(repository), repository
    repository.go_on.set()


def test_reading_a_model_holds_up_no_other(slow: tuple[Service, Slow]) -> None:
    service, repository = slow
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(service.model, "slow") for _ in range(3)]
        assert repository.reading.wait(20)
        assert answers(service, "sum") == 321
        assert service.loaded("sum")
        service.look()
        assert service.in_memory.bytes
        assert not any(future.done() for future in waiting)
        repository.go_on.set()
        found = [future.result(20) for future in waiting]
    assert found == [service.loaded("slow")] * 3
    assert sorted(repository.read) == ["slow", "sum"], "read once for all who asked"
    assert service.in_memory.loads == 2


Change = Callable[[Service, Bundle], object]


@pytest.mark.parametrize(
    ("change", "version"),
    [
        (lambda service, small: service.delete("slow"), None),
        (lambda service, small: service.unload("slow"), None),
        (lambda service, small: service.upload(small.renamed("slow")), 2),
    ],
)
def test_a_change_while_a_model_is_read_is_not_missed(
    slow: tuple[Service, Slow], small: Bundle, change: Change, version: int | None
) -> None:
    service, repository = slow
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(service.model, "slow")
        assert repository.reading.wait(20)
        change(Service(Repository(repository.directory)), small)
        repository.go_on.set()
        with_error = waiting.exception(20)
    assert with_error is None or isinstance(with_error, ModelNotFound)
    if version is None:
        with pytest.raises(ModelNotFound):
            service.model("slow")
    else:
        assert service.model("slow").stored.version == version


def test_an_error_of_reading_is_told_to_all_and_not_remembered(
    slow: tuple[Service, Slow],
) -> None:
    service, repository = slow
    path = repository.find("slow").path / MODEL
    content = path.read_bytes()
    path.write_bytes(b"\xff")
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(service.model, "slow") for _ in range(3)]
        assert repository.reading.wait(20)
        repository.go_on.set()
        for future in waiting:
            assert isinstance(future.exception(20), RepositoryError)
    path.write_bytes(content)
    assert answers(service, "slow") == 321


@pytest.mark.endurance
def test_many_threads_and_changes_end_in_what_is_on_disk(tight: Service, small: Bundle) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def ask(name: str) -> Model | None:
        while not done.is_set():
            tight.look()
            model = tight.loaded(name) or tight.model(name)
            try:
                assert model.stored.name == name[:1]
                assert model.score(query([1, 10, 100]))[0, 0] == 321
            except BaseException as error:
                errors.append(error)
                raise
        return None

    names = ["a", "b", "c", "a/versions/1", "c/versions/1"]
    with ThreadPoolExecutor(len(names)) as threads:
        asking = [threads.submit(ask, name) for name in names]
        for _ in range(10):
            for name in "abc":
                tight.upload(small.renamed(name))
        done.set()
        for future in asking:
            future.result(60)
    assert not errors
    for name in "abc":
        assert tight.model(name).stored.version == 11
    assert tight.in_memory.bytes <= 2.5 * tight.model("a").size + 1


# --- reference events -------------------------------------------------------------------


def misleading(small: Bundle) -> Bundle:
    """The weighted sum with other scores than it gives."""
    known = small.with_reference_events().reference_events
    assert known
    wrong = tuple((score + 0.01,) for (score,) in known.scores)
    return replace(small, reference_events=replace(known, scores=wrong))


def test_a_model_without_reference_events_gets_some(service: Service, small: Bundle) -> None:
    stored = service.upload(small)
    kept = service.repository.load(stored).reference_events
    assert kept == small.with_reference_events().reference_events
    assert kept


def test_a_model_with_other_scores_is_not_stored(service: Service, small: Bundle) -> None:
    service.upload(small)
    with pytest.raises(BundleError, match=r"event 0 has 0 here and should have 0.01 \(6 of 6"):
        service.upload(misleading(small))
    assert [s.version for s in service.repository.versions("sum")] == [1]
    assert score(service, [1, 10, 100]) == 321


def test_a_model_with_other_scores_is_not_loaded(service: Service, small: Bundle) -> None:
    """As when the machine, or TensorFlow, is another one than it was stored by."""
    service.repository.store(misleading(small))
    message = "version 1 of 'sum' is not served: the scores differ from those of the reference"
    for _ in range(2):
        with pytest.raises(RepositoryError, match=message):
            service.model("sum")
    assert list(service.load_all()) == ["sum"]
    service.upload(small)
    assert score(service, [1, 10, 100]) == 321


def test_a_request_has_so_many_events_at_most(
    service: Service, small: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By features as by named inputs."""
    from tfaas_nb.serving import loaded_model as module

    monkeypatch.setattr(module, "MOST_EVENTS", 10)
    service.upload(small)
    model, events = service.model("sum"), np.ones((11, 3), np.float32)
    assert len(model.score(Query(None, ("a", "b", "c"), events[:10], single=False))) == 10
    assert len(model.run({"x": events[:10]})["y"]) == 10
    with pytest.raises(TooLarge, match="a request may have 10 events, not 11: send several"):
        model.score(Query(None, ("a", "b", "c"), events, single=False))
    with pytest.raises(TooLarge, match="10 events, not 11"):
        model.run({"x": events})
