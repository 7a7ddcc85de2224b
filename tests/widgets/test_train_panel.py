from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.serving.server import Server
from tfaas_nb.training import Epoch
from tfaas_nb.widgets import TrainPanel

pytestmark = pytest.mark.slow

QUICK = {"epochs": 2, "hidden": "16", "embedding": "8"}


@pytest.fixture
def panel(events: Dataset) -> TrainPanel:
    panel = TrainPanel(events[::4])
    for name, value in QUICK.items():
        panel.options.controls[name].value = value
    return panel


@pytest.fixture(scope="module")
def trained(events: Dataset) -> TrainPanel:
    """A panel after a training; its server does not run yet."""
    panel = TrainPanel(events[::4])
    for name, value in QUICK.items():
        panel.options.controls[name].value = value
    panel.start_button.click()
    assert panel.wait(120)
    return panel


def held(panel: TrainPanel) -> tuple[Callable[[], Any], threading.Event]:
    """Keep the panel's training waiting after each epoch, until the event is set."""
    reached, go_on, after = threading.Event(), threading.Event(), panel._after

    def wait(done: Epoch) -> None:
        after(done)
        reached.set()
        assert go_on.wait(60)

    panel._after = wait  # type: ignore[method-assign]
    return lambda: reached.wait(60), go_on


def test_what_was_trained_is_a_normal_object(trained: TrainPanel, events: Dataset) -> None:
    classifier, evaluation = trained.result, trained.evaluation
    assert isinstance(classifier, Classifier)
    assert classifier.settings.epochs == 2
    assert classifier.architecture.hidden == (16,)
    assert trained.test is not None
    assert len(trained.test) + len(classifier.training) == len(events[::4])
    assert evaluation is not None
    assert evaluation.auc == pytest.approx(
        Classifier(epochs=2, hidden=(16,), embedding=(8,), seed=1)
        .fit(classifier.training, progress=False)
        .evaluate(trained.test)
        .auc,
        abs=1e-6,
    )
    assert f"AUC {evaluation.roc.area}" in trained.message.value
    assert "all epochs are done" in trained.message.value


def test_the_curve_and_the_best_epoch_are_shown(trained: TrainPanel) -> None:
    assert trained.result is not None
    best = trained.result.history.best
    assert "data:image/png;base64,iVBOR" in trained.picture.value
    assert f"best epoch {best}" in trained.picture.value


def test_the_notebook_stays_usable_and_stop_keeps_the_best(panel: TrainPanel) -> None:
    panel.options.controls["epochs"].value = 500
    heard: list[Any] = []
    panel.observe(lambda change: heard.append(change["name"]), ["running", "result", "evaluation"])
    reached, go_on = held(panel)
    panel.start_button.click()
    assert reached()
    assert panel.running
    assert (panel.start_button.disabled, panel.stop_button.disabled) == (True, False)
    assert "Epoch 1 of 500: validation AUC 0." in panel.state.value
    assert (panel.progress.value, panel.progress.max) == (1, 500)
    panel.start_button.click()
    panel.start()
    panel.stop_button.click()
    go_on.set()
    assert panel.wait(120)
    assert panel.result is not None
    assert panel.result.history.stopped == "interrupted"
    assert len(panel.result.history.epochs) == 1
    assert heard == ["running", "result", "evaluation", "running"]
    assert (panel.start_button.disabled, panel.stop_button.disabled) == (False, True)
    assert "stopped" in panel.message.value


def test_stopped_before_the_first_epoch_nothing_is_learned(
    panel: TrainPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = Classifier.fit

    def stopped(self: Classifier, *arguments: Any, **options: Any) -> Classifier:
        panel.stop()
        return fit(self, *arguments, **options)

    monkeypatch.setattr(Classifier, "fit", stopped)
    panel.start_button.click()
    assert panel.wait(120)
    assert "nothing was learned" in panel.message.value
    assert panel.result is None
    assert not panel.running


@pytest.mark.parametrize(
    ("events_", "options", "words"),
    [
        (0, {}, "there are no events to train on"),
        (2000, {"hidden": "many"}, "Hidden layers"),
        (4, {}, "training needs at least 20"),
    ],
)
def test_what_cannot_be_trained_is_told(
    events: Dataset, events_: int, options: dict[str, Any], words: str
) -> None:
    few = events[[*range(events_), *range(2000, 2000 + events_)]] if events_ else None
    panel = TrainPanel(few)
    for name, value in options.items():
        panel.options.controls[name].value = value
    panel.start_button.click()
    assert panel.wait(60)
    assert 'role="alert"' in panel.message.value
    assert words in panel.message.value
    assert not panel.running
    assert not panel.start_button.disabled


def test_a_click_starts_the_server_and_sends(
    trained: TrainPanel, tmp_path: Path, events: Dataset
) -> None:
    trained.source = Server(tmp_path, port=0)
    heard: list[str] = []
    trained.observe(lambda change: heard.append(change["new"]), "sent")
    trained.name.value, trained.description.value = "mine", "as good as it gets"
    trained.send_button.click()
    assert trained.wait(60)
    try:
        assert "now serves 'mine', version 1" in trained.message.value.replace("&#x27;", "'")
        assert trained.result is not None
        assert trained.source.client().predict("mine", events.event(0)) == pytest.approx(
            trained.result.predict(events.event(0)), abs=1e-6
        )
        assert trained.bundle is not None
        assert trained.bundle.params.description == "as good as it gets"
        trained.send_button.click()
        assert trained.wait(60)
        assert [name for name in heard if name] == ["mine", "mine"]
        assert "version 2" in trained.message.value
    finally:
        trained.source.stop()
        trained.source = None


def test_it_is_saved_as_a_file(
    trained: TrainPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained.name.value = "kept"
    trained.save_button.click()
    assert trained.wait(60)
    assert str(tmp_path / "kept.tar.gz") in trained.message.value
    assert Bundle.load(tmp_path / "kept.tar.gz").name == "kept"


def test_an_impossible_name_and_a_missing_server_are_told(trained: TrainPanel) -> None:
    trained.name.value = "../evil"
    trained.save()
    assert "cannot name a model" in trained.message.value
    trained.send()
    assert "there is no server" in trained.message.value
    assert not trained.save_button.disabled


def test_without_a_training_there_is_nothing_to_save(panel: TrainPanel, tmp_path: Path) -> None:
    panel.save(tmp_path)
    assert "there is no classifier yet" in panel.message.value
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_closing_ends_the_training(panel: TrainPanel) -> None:
    panel.options.controls["epochs"].value = 500
    reached, go_on = held(panel)
    panel.start()
    assert reached()
    panel.close()
    go_on.set()
    assert panel.wait(60)
    assert "tfaas_nb-train" not in {thread.name for thread in threading.enumerate()}


def test_no_event_at_all_is_told_in_words(events: Dataset) -> None:
    panel = TrainPanel(events[:0])
    panel.start_button.click()
    assert panel.wait(60)
    assert "no event passed the selection" in panel.message.value
    assert not panel.running


def test_messages_name_the_fields_of_the_form() -> None:
    told = TrainPanel().in_fields("cannot split 3 events with test=0.1, seed=2 or epochs=5")
    assert told == "cannot split 3 events with “Test fraction”: 0.1, “Seed”: 2 or “Epochs”: 5"
