"""Parts of the benchmarks: clients that time requests, and tables of results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tfaas_nb as tn
from tests.benchmarks import physics, reading, report, training
from tests.benchmarks.clients import latencies
from tests.benchmarks.load import Ask, Measured, ratio
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.serving.server import Server
from tfaas_nb.wire import tfaas
from tfaas_nb.yardsticks import Logistic, Trainable

pytestmark = pytest.mark.slow


def _ask(server: Server, body: bytes) -> Ask:
    return Ask(f"{server.url}/json", body, {"Authorization": f"Bearer {server.token}"})


def test_clients_time_every_request(serving: Server, bundle: Bundle) -> None:
    assert bundle.features
    ask = _ask(serving, tfaas.encode_json(bundle.features, [1.0] * len(bundle.features)))
    seconds = latencies(ask, connections=3, requests=40)
    assert len(seconds) >= 40
    assert seconds.min() > 0


def test_clients_take_nothing_but_answers(serving: Server) -> None:
    with pytest.raises(ConnectionError, match="not the answer expected"):
        latencies(_ask(serving, b"{}"), requests=1)


def test_ratios_are_of_the_same_round() -> None:
    rounds = [
        {"a": Measured(rate, 1, 1), "b": Measured(base, 1, 1)}
        for rate, base in ((1, 2), (30, 10), (500, 100))
    ]
    assert ratio(rounds, "a", "b", "rate") == 3


def test_all_ways_of_reading_give_the_same_matrix() -> None:
    path = Path(tn.sample_files()[0])
    X = reading.ours(path)
    assert X.tolist() == reading.by_hand(path).tolist()
    assert X[: reading.LOOPED].tolist() == reading.over_lists(path).tolist()
    records = reading.over_records(path, events=50)
    assert X[:50].tolist() == records.tolist()


@pytest.mark.parametrize(
    ("ratio", "text"), [(1234.5, "1234"), (9.994, "9.99"), (0.1, "0.10"), (0.000712, "0.00071")]
)
def test_ratios_are_shown_to_digits_that_mean_something(ratio: float, text: str) -> None:
    assert report.shown(ratio) == text


@pytest.mark.slow
def test_trainings_are_compared_on_the_same_folds() -> None:
    """On little of the sample, with classifiers that learn little."""
    quick = Classifier(epochs=1, hidden=(4,), embedding=(), members=1)
    chosen: dict[str, Trainable] = {"first": quick, "second": Logistic()}
    section = physics.measure(Options(folds=2, every=200), chosen)
    first, second = section.rows
    assert (first[0], first[2], second[0]) == ("first", "", "second")
    assert re.fullmatch(r"[-+]0\.\d{5} ± 0\.\d{5}", second[2])
    assert "2-fold cross-validation on 200 events" in section.markdown()


@pytest.mark.endurance
def test_the_speed_of_training_is_a_ratio() -> None:
    section = training.measure(Options(rounds=1, every=200, epochs=1))
    keras, ours = section.rows
    assert (keras[1], float(ours[1]) > 0) == ("1", True)
    assert list(section.main.values()) == [ours[1]]


def test_a_part_replaces_its_own_results_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    report.README.write_text("before\n<!-- bench -->\n<!-- /bench -->\nafter\n")
    first = Section("First", "so", ("a", "b"), [("x", "1")], {"first": "1"})
    second = Section("Second", "so", ("a", "b"), [("y", "2")], {"second": "2"})
    report.write([first, second], whole=True)
    report.write([Section("First", "so", ("a", "b"), [("x", "3")], {"first": "3"})], whole=False)
    results, readme = report.RESULTS.read_text(), report.README.read_text()
    assert results.count("## ") == 2
    assert "| x | 3 |" in results
    assert "| y | 2 |" in results
    assert readme == (
        "before\n<!-- bench -->\n| what | ratio |\n| --- | --- |\n| first | 3 |\n| second | 2 |\n"
        "<!-- /bench -->\nafter\n"
    )
    report.write([first], whole=True)
    assert "Second" not in report.RESULTS.read_text()
    assert "second" not in report.README.read_text()
