"""Events learned from per second, against Keras's own ``model.fit`` with the same network."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tfaas_nb as tn
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section, shown
from tfaas_nb import backend, network, training
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.metrics import Comparison
from tfaas_nb.network import Architecture
from tfaas_nb.training import Settings

_KERAS_BATCH = 128
_KERAS_RATE = 1e-3
_TITLE = "Training"
_HEADER = ("trained by", "events/s ÷ `model.fit`", "AUC on test events", "difference, paired")
_KERAS, _OURS = f"`model.fit(X, y, batch_size={_KERAS_BATCH})`", "`training.fit`"


def measure(options: Options) -> Section:
    train, test = tn.sample()[:: options.every].split()
    settings = Settings(epochs=options.epochs, patience=options.epochs)
    kept, held_out = train.split(settings.validation, settings.seed)
    speeds: dict[str, list[float]] = {_KERAS: [], _OURS: []}
    scores: dict[str, Any] = {}
    _warm_up(kept, held_out)
    for i in range(options.rounds):
        options.tell(f"training, round {i + 1}")
        for name, fit in ((_KERAS, _by_keras), (_OURS, _by_us)):
            speed, model = _timed(fit, kept, held_out, settings)
            speeds[name].append(speed)
            scores[name] = network.predict(model, test.X)[:, 0]
    ratio = float(np.median(np.array(speeds[_OURS]) / speeds[_KERAS]))
    paired = Comparison.of(test.y, scores[_OURS], scores[_KERAS], test.weight)
    rows = [
        (_KERAS, "1", _auc(paired, 1), ""),
        (_OURS, shown(ratio), _auc(paired, 0), f"{paired.difference:+.4f} ± {paired.error:.4f}"),
    ]
    main = {"training, events/s ÷ Keras's `model.fit` with batches of 128": shown(ratio)}
    return Section(_TITLE, _method(len(kept), options), _HEADER, rows, main)


def _method(events: int, options: Options) -> str:
    return f"""The default network (two members side by side, with its preprocessing) fitted on
{events} events of the packaged sample for {options.epochs} epochs: by Keras with AdamW at a rate
of {_KERAS_RATE} and the same held-out events to validate on, and by us, in batches of
{Settings().batch(events)}; compilation included. Medians of {options.rounds} rounds in turns."""


def _auc(paired: Comparison, which: int) -> str:
    curve = paired.curves[which]
    return f"{curve.auc:.4f} ± {curve.auc_error:.4f}"


def _warm_up(kept: Dataset, held_out: Dataset) -> None:
    """Fit once before the measurement: TensorFlow and Keras load more when they first fit."""
    once = Settings(epochs=1)
    for fit in (_by_keras, _by_us):
        fit(_built(kept, once), kept[:: len(kept) // 100], held_out, once)


def _built(kept: Dataset, settings: Settings) -> Any:
    return network.build(kept.features, kept.X, Architecture(), settings.seed)


def _timed(
    fit: Callable[..., None], kept: Dataset, held_out: Dataset, settings: Settings
) -> tuple[float, Any]:
    """Events per second, and the fitted model."""
    model = _built(kept, settings)
    start = time.perf_counter()
    fit(model, kept, held_out, settings)
    return len(kept) * settings.epochs / (time.perf_counter() - start), model


def _by_keras(model: Any, kept: Dataset, held_out: Dataset, settings: Settings) -> None:
    keras = backend.keras()
    keras.utils.set_random_seed(settings.seed)
    optimizer = keras.optimizers.AdamW(_KERAS_RATE, weight_decay=settings.weight_decay)
    model.compile(optimizer, "binary_crossentropy")
    model.fit(
        kept.X,
        kept.y.astype(np.float32),
        batch_size=_KERAS_BATCH,
        epochs=settings.epochs,
        validation_data=(held_out.X, held_out.y.astype(np.float32)),
        validation_batch_size=network.PREDICT_BATCH,
        verbose=0,
    )


def _by_us(model: Any, kept: Dataset, held_out: Dataset, settings: Settings) -> None:
    source = training.Events(kept.X, kept.y, kept.weight)
    training.fit(model, source, held_out, settings)
