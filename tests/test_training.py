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

pytestmark = pytest.mark.slow

FEATURES = FeatureSet("flat", (Variable("a"), Variable("b")), ())
SETTINGS = Settings(epochs=3, batch_size=32, learning_rate=1e-3, balance=False, seed=5)
#: Steps so small that the network stays what it was.
STILL = replace(SETTINGS, learning_rate=1e-12, weight_decay=0.0, warm_up=0.0, epochs=1)


def events(count: int = 300, seed: int = 1) -> Events:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count)
    X = random.normal(y[:, None] * [2.0, 1.0], 1.0).astype(np.float32)
    return Events(X, y, random.uniform(0.5, 1.5, count).astype(np.float32))


TRAINING, VALIDATION = events(), events(100, seed=2)
#: Signal called background: whatever is learned makes it worse.
FLIPPED = replace(VALIDATION, y=1 - VALIDATION.y)


def model(dropout: float = 0.0, members: int = 1) -> Any:
    architecture = Architecture(hidden=(8,), members=members, dropout=dropout)
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
    steps = [step[:n] for steps, counts in calls for step, n in zip(steps, counts, strict=True)]
    assert np.concatenate(steps).tolist() == order
    assert all(len(step) == batch for step in steps[:-1])
    assert all(steps.shape[1] == batch for steps, _ in calls)


def test_a_call_has_few_steps() -> None:
    calls = list(training._calls(np.arange(1000), 2))
    assert [len(steps) for steps, _ in calls] == [64] * 7 + [52]


def test_many_events_are_prepared_call_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, history = fit(SETTINGS)
    monkeypatch.setattr(training, "_STAYING", 0)
    other, again = fit(SETTINGS)
    assert [e.val_loss for e in again.epochs] == pytest.approx([e.val_loss for e in history.epochs])
    assert loss_of(other, TRAINING) == pytest.approx(loss_of(fitted, TRAINING), rel=1e-5)


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


def test_the_step_size_rises_and_falls_along_a_cosine() -> None:
    settings = replace(SETTINGS, epochs=10, warm_up=0.1)
    _, history = fit(settings)
    rates = [epoch.learning_rate for epoch in history.epochs]
    cosine = [0.5 * (1 + np.cos(np.pi * i / 10)) for i in range(1, 11)]
    assert rates == pytest.approx([1e-3 * (0.01 + 0.99 * c) for c in cosine])
    assert settings.rate(0.05) == pytest.approx(0.5e-3)


def test_the_first_steps_are_adams() -> None:
    """Whatever the gradient is, Adam's first step moves each weight by the step size."""
    settings = replace(SETTINGS, epochs=1, batch_size=300, averaging=0.0, weight_decay=0.0)
    before, (fitted, _) = model(), fit(replace(settings, warm_up=0.0))
    moved = np.concatenate(
        [
            np.ravel(a - b)
            for a, b in zip(fitted.get_weights(), before.get_weights(), strict=True)
            if a.dtype == np.float32
        ]
    )
    rate = settings.learning_rate * 0.01
    assert np.abs(moved[np.abs(moved) > 1e-12]) == pytest.approx(rate, rel=0.05)


def test_the_average_of_weights_is_kept() -> None:
    """Halfway between the first weights and those after one step, as it begins with 2/11."""
    settings = replace(SETTINGS, epochs=1, batch_size=300, warm_up=0.0, learning_rate=1.0)
    first = model().get_weights()
    (last, _), (averaged, _) = (fit(replace(settings, averaging=a)) for a in (0.0, 0.5))
    for a, b, c in zip(first, last.get_weights(), averaged.get_weights(), strict=True):
        assert c == pytest.approx(2 / 11 * a + 9 / 11 * b, abs=1e-6)


def test_members_learn_each_for_itself() -> None:
    twins = model(members=2)
    training.fit(twins, TRAINING, VALIDATION, SETTINGS)
    lone, _ = fit()
    both = twins.get_weights()  # kernel and bias of one, those of the other, then the next layer
    first = [weight for i, weight in enumerate(both) if i % 4 < 2]
    for own, others in zip(lone.get_weights(), first, strict=True):
        assert others == pytest.approx(own, abs=1e-6)


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
    assert loss_of(stopped, VALIDATION) == pytest.approx(history.epochs[0].val_loss, rel=1e-5)


@pytest.mark.parametrize("option", ["on_epoch", "should_stop"])
def test_an_interrupt_keeps_the_best_so_far(option: str) -> None:
    calls: list[bool] = []

    def interrupt(*_: Any) -> bool:
        calls.append(True)
        if len(calls) == 25:
            raise KeyboardInterrupt
        return False

    fitted, history = fit(replace(SETTINGS, epochs=50), **{option: interrupt})
    done = {"on_epoch": 25, "should_stop": 24}[option]  # it is asked before each epoch's one call
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
        ("epochs", 1.5),
        ("epochs", True),
        ("weight_decay", -0.1),
        ("weight_decay", "much"),
        ("warm_up", 1.0),
        ("averaging", 1.0),
        ("averaging", -0.1),
        ("balance", "yes"),
        ("negative_weights", "keep"),
        ("seed", -1),
        ("seed", 1.5),
        ("patience", 0),
        ("validation", 0.0),
        ("validation", 1.0),
    ],
)
def test_impossible_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(TrainingError, match=f"{name} must be .*, not {value!r}"):
        Settings(**{name: value})


def test_settings_may_be_numpys_numbers() -> None:
    settings = Settings(seed=np.int64(3), weight_decay=np.float32(0.5))  # type: ignore[arg-type]
    assert (type(settings.seed), type(settings.weight_decay)) == (int, float)


@pytest.mark.parametrize("balance", [True, False])
def test_a_class_without_weight_is_refused(balance: bool) -> None:
    weightless = replace(TRAINING, weight=TRAINING.y.astype(np.float32))
    with pytest.raises(TrainingError, match="background and signal add up to 0 and"):
        fit(replace(SETTINGS, balance=balance), train=weightless)


@pytest.mark.parametrize(("count", "batch"), [(40, 16), (3200, 100), (28_000, 512)])
def test_few_events_are_learned_in_smaller_batches(count: int, batch: int) -> None:
    assert Settings().batch(count) == batch
    assert Settings(batch_size=7).batch(count) == 7


def test_balanced_classes_have_the_same_weight() -> None:
    """As if the lighter class had been scaled by hand; and not so without it."""
    lighter = replace(TRAINING, weight=np.where(TRAINING.y == 1, 0.01, 1.0).astype(np.float32))
    balanced, as_given = (
        fit(replace(SETTINGS, epochs=20, learning_rate=0.02, balance=b), lighter, lighter)[0]
        for b in (True, False)
    )
    means = [float(network.predict(m, VALIDATION.X).mean()) for m in (balanced, as_given)]
    assert 0.3 < means[0] < 0.7
    assert means[1] < 0.1


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
        return len(asked) == 8

    fit(train=source, should_stop=should_stop)
    assert (source.asked, source.open) == ([1, 2], 0)
