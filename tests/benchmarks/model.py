"""Model that is served: TFaaS's published benchmark, dense 42-128-128-128-64-64-1."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tfaas_nb as tn
from tfaas_nb import backend

FEATURES = tn.TTBAR_ALL_HADRONIC.names
NAME = "mlp"


@cache
def network() -> Any:
    """The Keras model, with random weights."""
    keras = backend.keras()
    keras.utils.set_random_seed(1)
    layers = [keras.Input((len(FEATURES),))]
    layers += [keras.layers.Dense(n, "relu") for n in (128, 128, 128, 64, 64)]
    return keras.Sequential([*layers, keras.layers.Dense(1, "sigmoid")])


@cache
def bundle() -> tn.Bundle:
    return tn.Bundle.create(NAME, tn.FrozenGraph.freeze(network(), FEATURES), ("signal",))


def event() -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=len(FEATURES)).astype(np.float32)


def score() -> float:
    """The answer to `event` that everybody must give."""
    from tfaas_nb.engines.frozen import FrozenEngine

    return float(FrozenEngine(bundle().graph)(event()[np.newaxis])[0, 0])


def save(folder: Path) -> Path:
    """``model.keras`` and ``model.pb``, for servers that know nothing of bundles."""
    network().save(folder / "model.keras")
    bundle().graph.save(folder / "model.pb")
    return folder
