from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from tfaas_nb import network, training
from tfaas_nb.errors import TrainingError
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.network import Architecture
from tfaas_nb.training import Epoch, Events, History, Settings

FEATURES = FeatureSet("flat", (Variable("a"), Variable("b")), ())
SETTINGS = Settings(epochs=3, batch_size=32, seed=5)
#: Steps so small that the network stays what it was.
STILL = replace(SETTINGS, learning_rate=1e-12, weight_decay=0.0, epochs=1)


def events(count: int = 300, seed: int = 1) -> Events:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count)
    X = random.normal(y[:, None] * [2.0, 1.0], 1.0).astype(np.float32)
    return Events(X, y, random.uniform(0.5, 1.5, count).astype(np.float32))


TRAINING, VALIDATION = events(), events(100, seed=2)
#: Signal called background: whatever is learned makes it worse.
FLIPPED = replace(VALIDATION, y=1 - VALIDATION.y)


def model(dropout: float = 0.0) -> Any:
    architecture = Architecture(hidden=(8,), dropout=dropout)
    return network.build(FEATURES, TRAINING.X, architecture, seed=1)


def fit(
    settings: Settings = SETTINGS,
    train: training.Source = TRAINING,
    validation: Events = VALIDATION,
    **options: Any,
) -> tuple[Any, History]:
    fitted = model()
    return fitted, training.fit(fitted, train, validation, settings, **options)


def loss_of(fitted: Any, on: Events) -> float:
    scores = network.predict(fitted, on.X)[:, 0].astype(float)
    return float(log_loss(on.y, scores, sample_weight=on.weight))


def weights(fitted: Any) -> list[Any]:
    return [weight.tolist() for weight in fitted.get_weights()]


def stop_after(epochs: int) -> tuple[Callable[[Epoch], None], Callable[[], bool]]:
    """An `on_epoch` that counts, and a `should_stop` that answers True once it counted enough."""
    seen: list[Epoch] = []
    return seen.append, lambda: len(seen) >= epochs


@pytest.fixture(scope="module")
def usual() -> tuple[Any, History]:
    return fit()


def test_it_learns() -> None:
    fitted, history = fit(replace(SETTINGS, epochs=10, learning_rate=0.01))
    assert history.epochs[-1].loss < 0.7 * loss_of(model(), TRAINING)
    assert loss_of(fitted, VALIDATION) < 0.7 * loss_of(model(), VALIDATION)


def test_the_same_seed_gives_the_same_weights(usual: tuple[Any, History]) -> None:
    again, repeated = fit()
    assert weights(again) == weights(usual[0])
    assert repeated == usual[1]


def test_dropout_is_repeatable_too() -> None:
    fitted = [model(dropout=0.5) for _ in range(2)]
    histories = [training.fit(m, TRAINING, VALIDATION, SETTINGS) for m in fitted]
    assert histories[0] == histories[1]
    assert weights(fitted[0]) == weights(fitted[1])


def test_another_seed_gives_other_weights(usual: tuple[Any, History]) -> None:
    assert weights(usual[0]) != weights(fit(replace(SETTINGS, seed=6))[0])


def test_each_epoch_tells_its_losses_and_area() -> None:
    _, history = fit(STILL)
    (epoch,) = history.epochs
    untouched = model()
    scores = network.predict(untouched, VALIDATION.X)[:, 0]
    auc = roc_auc_score(VALIDATION.y, scores, sample_weight=VALIDATION.weight)
    assert epoch.val_loss == pytest.approx(loss_of(untouched, VALIDATION), rel=1e-5)
    assert epoch.val_auc == pytest.approx(auc)
    assert (epoch.number, epoch.learning_rate) == (1, pytest.approx(1e-12))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_loss_is_that_of_every_event_once(batch_size: int) -> None:
    _, history = fit(replace(STILL, batch_size=batch_size))
    assert history.epochs[0].loss == pytest.approx(loss_of(model(), TRAINING), rel=1e-4)


@given(st.permutations(range(40)), st.integers(1, 50))
def test_every_event_is_in_one_step(order: list[int], batch: int) -> None:
    calls = list(training._calls(np.array(order), batch))
    assert np.concatenate([call.ravel() for call in calls]).tolist() == order
    assert all(call.shape[1] == batch for call in calls[:-1])


def test_a_call_has_few_steps() -> None:
    calls = list(training._calls(np.arange(1000), 2))
    assert [len(call) for call in calls] == [64] * 7 + [52]


def test_the_best_weights_are_kept() -> None:
    settings = replace(SETTINGS, learning_rate=0.3, epochs=12, patience=100)
    fitted, history = fit(settings)
    losses = [epoch.val_loss for epoch in history.epochs]
    assert history.best == 1 + int(np.argmin(losses)) < 12
    assert loss_of(fitted, VALIDATION) == pytest.approx(min(losses), rel=1e-5)


def test_training_ends_early_without_a_better_loss() -> None:
    settings = replace(SETTINGS, epochs=40, learning_rate=0.01, patience=5)
    fitted, history = fit(settings, validation=FLIPPED)
    assert (history.best, history.stopped, len(history.epochs)) == (1, "early", 6)
    assert loss_of(fitted, FLIPPED) == pytest.approx(history.epochs[0].val_loss, rel=1e-5)


def test_steps_shrink_without_a_better_loss() -> None:
    settings = replace(SETTINGS, epochs=6, decay=0.5, decay_after=2)
    _, history = fit(settings, validation=FLIPPED)
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4])


def test_all_epochs_done_is_finished() -> None:
    seen: list[Epoch] = []
    _, history = fit(on_epoch=seen.append)
    assert history.stopped == "finished"
    assert tuple(seen) == history.epochs
    assert [epoch.number for epoch in seen] == [1, 2, 3]


def test_a_stop_keeps_the_best_so_far() -> None:
    on_epoch, should_stop = stop_after(2)
    settings = replace(SETTINGS, epochs=50)
    fitted, history = fit(settings, on_epoch=on_epoch, should_stop=should_stop)
    assert (len(history.epochs), history.stopped) == (2, "interrupted")
    best = history.epochs[history.best - 1]
    assert loss_of(fitted, VALIDATION) == pytest.approx(best.val_loss, rel=1e-5)


def test_a_stop_within_an_epoch_is_heard_and_that_epoch_undone() -> None:
    """An epoch of 300 lone events has five calls; the stop comes before the eighth."""
    asked: list[bool] = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) == 8

    settings = replace(SETTINGS, batch_size=1)
    stopped, history = fit(settings, should_stop=should_stop)
    assert (len(history.epochs), len(asked), history.stopped) == (1, 8, "interrupted")
    assert weights(stopped) == weights(fit(replace(settings, epochs=1))[0])


@pytest.mark.parametrize("option", ["on_epoch", "should_stop"])
def test_an_interrupt_keeps_the_best_so_far(option: str) -> None:
    calls: list[bool] = []

    def interrupt(*_: Any) -> bool:
        calls.append(True)
        if len(calls) == 25:
            raise KeyboardInterrupt
        return False

    fitted, history = fit(replace(SETTINGS, epochs=50), **{option: interrupt})
    done = {"on_epoch": 25, "should_stop": 12}[option]  # two calls in each epoch
    assert (len(history.epochs), history.stopped) == (done, "interrupted")
    best = history.epochs[history.best - 1]
    assert loss_of(fitted, VALIDATION) == pytest.approx(best.val_loss, rel=1e-5)


def test_an_error_in_a_callback_is_not_swallowed() -> None:
    def fail(_: Epoch) -> None:
        raise RuntimeError("the widget is gone")

    with pytest.raises(RuntimeError, match="widget is gone"):
        fit(on_epoch=fail)


def test_a_stop_before_the_first_epoch_is_an_error() -> None:
    with pytest.raises(TrainingError, match="interrupted before its first epoch ended"):
        fit(should_stop=lambda: True)


@pytest.mark.parametrize("batch_size", [32, 1000], ids=["in many steps", "in a lone step"])
def test_a_loss_that_runs_away_is_an_error(batch_size: int) -> None:
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch \d: lower the learning"):
        fit(replace(SETTINGS, learning_rate=1e38, batch_size=batch_size))


def test_events_without_weight_do_not_matter() -> None:
    idle = np.arange(300) % 3 == 0
    weight = np.where(idle, 0, TRAINING.weight).astype(np.float32)
    garbage = np.where(idle[:, None], 1e3, TRAINING.X).astype(np.float32)
    fitted = [fit(train=Events(X, TRAINING.y, weight))[0] for X in (TRAINING.X, garbage)]
    assert weights(fitted[0]) == weights(fitted[1])


def test_a_weight_of_two_is_the_event_twice() -> None:
    settings = replace(SETTINGS, batch_size=1000, epochs=5)
    twice = np.where(np.arange(300) < 150, 2, 1)
    weighted = Events(TRAINING.X, TRAINING.y, twice.astype(np.float32))
    copied = np.repeat(np.arange(300), twice)
    repeated = Events(TRAINING.X[copied], TRAINING.y[copied], np.ones(450, np.float32))
    histories = [fit(settings, train)[1] for train in (weighted, repeated)]
    losses = [[epoch.val_loss for epoch in history.epochs] for history in histories]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_unit_of_weights_does_not_matter(usual: tuple[Any, History]) -> None:
    scaled = replace(TRAINING, weight=TRAINING.weight * 1024)
    assert weights(usual[0]) == weights(fit(train=scaled)[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", -1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("decay_after", 0),
        ("patience", 0),
        ("validation", 0.0),
        ("validation", 1.0),
    ],
)
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(TrainingError, match=f"{name} must .* not {value}"):
        Settings(**{name: value})


def test_a_history_is_a_table_that_marks_the_best() -> None:
    epochs = tuple(Epoch(i, 0.5, 0.6, 0.75, 1e-3) for i in (1, 2, 3))
    history = History(epochs, best=2, stopped="early")
    assert repr(history) == "History(3 epochs, early, best 2: validation AUC 0.7500)"
    assert [row[-1] for row in history.table().rows] == ["", "best", ""]
    assert "validation loss" in history._repr_html_()


class InBlocks:
    """Events as a stream gives them: in blocks, new arrays each time."""

    def __init__(self, events: Events, size: int) -> None:
        self.events, self.size = events, size
        self.count, self.weight_sums = events.count, events.weight_sums
        self.asked: list[int] = []
        self.open = 0

    def blocks(self, epoch: int) -> Generator[Events, None, None]:
        self.asked.append(epoch)
        self.open += 1
        try:
            for start in range(0, self.count, self.size):
                part = slice(start, start + self.size)
                own = self.events
                yield Events(own.X[part].copy(), own.y[part], own.weight[part])
        finally:
            self.open -= 1


def test_a_source_of_one_block_is_an_array(usual: tuple[Any, History]) -> None:
    source = InBlocks(TRAINING, 300)
    assert weights(fit(train=source)[0]) == weights(usual[0])
    assert source.asked == [1, 2, 3]


def test_blocks_are_learned_from_one_after_the_other() -> None:
    source = InBlocks(TRAINING, 70)
    _, history = fit(STILL, train=source)
    assert history.epochs[0].loss == pytest.approx(loss_of(model(), TRAINING), rel=1e-4)
    fitted, _ = fit(replace(SETTINGS, epochs=10, learning_rate=0.01), train=source)
    assert loss_of(fitted, VALIDATION) < 0.7 * loss_of(model(), VALIDATION)


def test_a_source_is_closed_when_training_is_stopped() -> None:
    source, asked = InBlocks(TRAINING, 70), []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) == 14

    fit(train=source, should_stop=should_stop)
    assert (source.asked, source.open) == ([1, 2], 0)
