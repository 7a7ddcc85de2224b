"""The Keras network of a classifier: raw physics values in, probability of signal out.

Preprocessing is part of the network, so that every consumer of the frozen graph sends raw
values.  For each jet it derives what physicists would (logarithms of momenta and masses,
azimuth relative to the leading jet, N-subjettiness and mass ratios), normalises with mean
and width learned on real jets only, and masks the padding.  Only Keras's own layers and
operations are used: a saved ``.keras`` file needs no code of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.errors import TrainingError
from tfaas_nb.features import FeatureSet, Variable

Floats = npt.NDArray[np.float32]

_TINY = 1e-3
_PREDICT_BATCH = 16_384

#: Ratios of jet variables that carry the substructure: τ₂₁, τ₃₂ (JHEP 03 (2011) 015), groomed
#: mass fraction, and masses over pT; used when a feature set has both variables.
RATIOS = (
    ("jetTau2", "jetTau1"),
    ("jetTau3", "jetTau2"),
    ("jetMassSoftDrop", "jetMass"),
    ("jetMass", "jetPt"),
    ("jetMassSoftDrop", "jetPt"),
)


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network.

    Attributes
    ----------
    embedding : tuple of int
        Units of the layers applied to each jet alone; their outputs are summed over jets.
    hidden : tuple of int
        Units of the layers applied to the event.
    dropout : float
        Fraction of hidden units left out in a training step.
    """

    embedding: tuple[int, ...] = (48, 32)
    hidden: tuple[int, ...] = (128, 128, 128)
    dropout: float = 0.2


def build(features: FeatureSet, X: Floats, architecture: Architecture, seed: int) -> Any:
    """An untrained network, with its normalisation learned from training events.

    Parameters
    ----------
    features : FeatureSet
        What the columns are.
    X : numpy.ndarray
        Training events, raw values, float32 of shape (events, features).
    architecture : Architecture
        Sizes of the layers.
    seed : int
        Initial weights and dropout depend on it, and on nothing global.

    Returns
    -------
    keras.Model
        float32 (events, features) → float32 (events, 1).

    Raises
    ------
    TrainingError
        If the feature set has no variable at all.
    """
    keras = backend.keras()

    if not len(features):
        raise TrainingError(f"feature set {features.name!r} has no variables to train on")
    source = keras.Input((len(features),), name="input")
    parts = []
    if features.event:
        parts.append(_event_part(source, X, slice(0, len(features.event))))
    if features.derived:
        parts.append(_event_part(source, X, features.derived_columns))
    if features.jet:
        parts += _jet_parts(source, features, X, architecture, seed)
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for i, units in enumerate(architecture.hidden):
        hidden = _dense(units, seed + 100 + i)(hidden)
        if architecture.dropout:
            hidden = keras.layers.Dropout(architecture.dropout, seed=seed + 200 + i)(hidden)
    output = _dense(1, seed + 300, activation="sigmoid")(hidden)
    return keras.Model(source, output)


def predict(model: Any, X: Floats) -> Floats:
    """Scores of events, float32 of shape (events, outputs), in bounded memory."""
    parts = [
        np.asarray(model(X[start : start + _PREDICT_BATCH], training=False))
        for start in range(0, len(X), _PREDICT_BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty((0, model.output_shape[-1]), np.float32)


def _dense(units: int, seed: int, activation: str = "relu") -> Any:
    keras = backend.keras()

    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=keras.initializers.GlorotUniform(seed)
    )


def _event_part(source: Any, X: Floats, columns: slice) -> Any:
    return _normalisation(X[:, columns])(source[:, columns])


def _jet_parts(
    source: Any, features: FeatureSet, X: Floats, architecture: Architecture, seed: int
) -> list[Any]:
    """Every jet's normalised quantities side by side, the mask, and the summed embedding."""
    keras = backend.keras()
    ops = keras.ops

    quantities, mask = _derived(source, features)
    learned = keras.Model(source, [quantities, mask])
    values, present = (np.asarray(part) for part in learned(X))
    normalised = _normalisation(values[present[:, :, 0] > 0])(quantities) * mask
    # Plain reshapes to two dimensions: Keras's Flatten and its Dense on three dimensions
    # add a dozen shape computations each, which cost a lone event more than the arithmetic.
    jets, count = features.jets, quantities.shape[-1]
    parts = [ops.reshape(normalised, (-1, jets * count)), ops.reshape(mask, (-1, jets))]
    if architecture.embedding:
        jet = ops.reshape(normalised, (-1, count))
        for i, units in enumerate(architecture.embedding):
            jet = _dense(units, seed + i)(jet)
        embedded = ops.reshape(jet, (-1, jets, architecture.embedding[-1]))
        parts.append(ops.sum(embedded * mask, axis=1))
    return parts


def _derived(source: Any, features: FeatureSet) -> tuple[Any, Any]:
    """Quantities of shape (events, jets, n) and the mask of real jets (events, jets, 1)."""
    ops = backend.keras().ops

    columns = {v.name: source[:, features.jet_columns(v.name)] for v in features.jet}
    mask = ops.cast(ops.not_equal(columns[features.order_by], features.padding), "float32")
    quantities = [q for v in features.jet for q in _transformed(columns[v.name], v)]
    quantities += [
        columns[above] / ops.maximum(columns[below], _TINY)
        for above, below in RATIOS
        if above in columns and below in columns
    ]
    return ops.stack(quantities, axis=-1), ops.expand_dims(mask, -1)


def _transformed(column: Any, variable: Variable) -> list[Any]:
    ops = backend.keras().ops

    if variable.unit == "GeV":
        return [column, ops.log(ops.maximum(column, 1.0))]
    if variable.unit == "rad":
        # Physics does not change when the detector turns: only differences count.
        from_leading = column - column[:, :1]
        return [ops.cos(from_leading), ops.sin(from_leading)]
    return [column]


def _normalisation(values: Floats) -> Any:
    """Shift by the mean, divide by the width; constant quantities (no width) are only shifted."""
    keras = backend.keras()

    flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
    count = values.shape[-1]
    mean = flat.mean(axis=0) if len(flat) else np.zeros(count)
    variance = flat.var(axis=0) if len(flat) else np.ones(count)
    constant = variance <= 1e-12 * np.maximum(1.0, mean**2)
    return keras.layers.Normalization(
        mean=mean.astype(np.float32), variance=np.where(constant, 1.0, variance).astype(np.float32)
    )
