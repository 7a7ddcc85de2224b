"""The Keras network of a classifier: raw physics values in, probability of signal out.

What it derives from an event is in `quantities`, inside the network, so that every consumer of
the frozen graph sends raw values.  Each jet alone goes through the same layers, their outputs
are summed over jets, and further layers see that sum and the event.  The network is a few such
members with weights of their own side by side; the mean of their logits decides.  Only Keras's
own layers and operations are used: a saved ``.keras`` file needs no code of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.errors import TrainingError
from tfaas_nb.features import FeatureSet
from tfaas_nb.options import COUNT, check_option, is_number, is_whole
from tfaas_nb.quantities import Quantities, derive

Floats = npt.NDArray[np.float32]

#: Activations whose operations every TensorFlow and ONNX has.
ACTIVATIONS = ("relu", "silu", "elu", "selu", "tanh")

#: Events scored at once.
PREDICT_BATCH = 16_384
_PREPARATION, _MEMBERS = "preparation", "members"


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network.

    Attributes
    ----------
    embedding : tuple of int
        Units of the layers applied to each jet alone; their outputs are summed over jets.
        Without them the hidden layers see the jets side by side.
    hidden : tuple of int
        Units of the layers applied to the event.
    members : int
        Networks of these sizes that are trained at once; the mean of their logits decides.
    activation : str
        Of all these layers, one of `ACTIVATIONS`.
    dropout : float
        Fraction of hidden units left out in a training step.
    """

    embedding: tuple[int, ...] = (64, 64, 32)
    hidden: tuple[int, ...] = (64, 64)
    members: int = 2
    activation: str = "relu"
    dropout: float = 0.2

    def __post_init__(self) -> None:
        for name in ("embedding", "hidden"):
            units = getattr(self, name)
            right = isinstance(units, (tuple, list)) and all(is_whole(n, 1) for n in units)
            check_option(name, units, right, "numbers of units, each 1 or more")
            object.__setattr__(self, name, tuple(units))
        check_option("members", self.members, is_whole(self.members, 1), COUNT)
        known = self.activation in ACTIVATIONS
        check_option("activation", self.activation, known, f"one of {ACTIVATIONS}")
        right = is_number(self.dropout) and 0 <= self.dropout < 1
        check_option("dropout", self.dropout, right, "0 or more, and less than 1")


def build(features: FeatureSet, X: Floats, architecture: Architecture, seed: int) -> Any:
    """An untrained network, with its normalisation learned from training events.

    Parameters
    ----------
    features : FeatureSet
        What the columns are.
    X : numpy.ndarray
        Training events, or a random part of them: raw values, float32 of shape
        (events, features).
    architecture : Architecture
        Sizes of the layers.
    seed : int
        Initial weights and dropout depend on it, and on nothing global.

    Returns
    -------
    keras.Model
        float32 (events, features) → float32 (events, 1); see `parts` for what it is made of.

    Raises
    ------
    TrainingError
        If the feature set has no variable at all.
    """
    keras = backend.keras()

    if not len(features):
        raise TrainingError(f"feature set {features.name!r} has no variables to train on")
    source = keras.Input((len(features),), name="input")
    quantities = derive(source, features, X).tensors
    preparation = keras.Model(source, quantities, name=_PREPARATION)
    inputs = [keras.Input(t.shape[1:]) for t in quantities]
    members = keras.Model(inputs, _logits(inputs, architecture, seed), name=_MEMBERS)
    logits = members(preparation(source))
    if architecture.members > 1:
        logits = keras.ops.mean(logits, axis=1, keepdims=True)
    return keras.Model(source, keras.ops.sigmoid(logits))


def parts(model: Any) -> tuple[Any, Any]:
    """The two models that a network is made of.

    Returns
    -------
    preparation : keras.Model
        Raw values → a list of normalised quantities; nothing in it is trained.
    members : keras.Model
        Those quantities → logits, float32 of shape (events, members).
    """
    return model.get_layer(_PREPARATION), model.get_layer(_MEMBERS)


def predict(model: Any, X: Floats) -> Floats:
    """Scores of events, float32 of shape (events, outputs), in bounded memory."""
    parts = [
        np.asarray(model(X[start : start + PREDICT_BATCH], training=False))
        for start in range(0, len(X), PREDICT_BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty((0, model.output_shape[-1]), np.float32)


def _logits(inputs: list[Any], architecture: Architecture, seed: int) -> Any:
    """Logits of shape (events, members)."""
    ops = backend.keras().ops

    # Jets come with their mask; a preparation without jets gives the event's quantities alone.
    quantities = Quantities(*inputs)
    seeds = range(seed, seed + 1000 * architecture.members, 1000)
    each = [_Member(architecture, s).logit(quantities) for s in seeds]
    return ops.concatenate(each, axis=1) if len(each) > 1 else each[0]


class _Member:
    def __init__(self, architecture: Architecture, seed: int) -> None:
        self._architecture, self._seed = architecture, seed

    def logit(self, quantities: Quantities) -> Any:
        keras = backend.keras()

        architecture = self._architecture
        hidden = self._seen(quantities)
        for units in architecture.hidden:
            hidden = self._dense(hidden, units)
            if architecture.dropout:
                hidden = keras.layers.Dropout(architecture.dropout, seed=self._fresh())(hidden)
        return self._dense(hidden, 1, activation=None)

    def _seen(self, quantities: Quantities) -> Any:
        """What the hidden layers see, of shape (events, n)."""
        ops = backend.keras().ops

        if quantities.jets is None:
            return quantities.event
        jets, count = quantities.jets.shape[1:]
        units = self._architecture.embedding
        if not units:
            flat = ops.reshape(quantities.jets * quantities.mask, (-1, jets * count))
            return ops.concatenate([quantities.event, flat], axis=-1)
        # Plain reshapes to two dimensions: Keras's Dense on three dimensions adds a dozen shape
        # computations, which cost a lone event more than the arithmetic.
        rows = ops.reshape(quantities.jets, (-1, count))
        for n in units:
            rows = self._dense(rows, n)
        embedded = ops.reshape(rows, (-1, jets, units[-1]))
        summed = ops.sum(embedded * quantities.mask, axis=1)
        return ops.concatenate([quantities.event, summed], axis=-1)

    def _dense(self, tensor: Any, units: int, activation: str | None = "") -> Any:
        keras = backend.keras()

        return keras.layers.Dense(
            units,
            activation=self._architecture.activation if activation == "" else activation,
            kernel_initializer=keras.initializers.GlorotUniform(self._fresh()),
        )(tensor)

    def _fresh(self) -> int:
        """A seed that no other layer has."""
        self._seed += 1
        return self._seed
