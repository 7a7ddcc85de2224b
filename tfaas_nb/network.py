"""The Keras network of a classifier: raw physics values in, probability of signal out.

What it derives from an event is in `quantities`, inside the network, so that every consumer of
the frozen graph sends raw values.  Each jet alone goes through the same layers, their outputs
are summed over jets, and further layers see that sum and the event.  The network is a few such
members with weights of their own side by side; the mean of their logits decides.  Only Keras's
own layers and operations are used: a saved ``.keras`` file needs no code of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import TrainingError
from tfaas_nb.features import FeatureSet
from tfaas_nb.options import COUNT, as_plain, check_option, is_number, is_whole
from tfaas_nb.quantities import Quantities, derive, plain

Floats = npt.NDArray[np.float32]

#: Activations whose operations every TensorFlow and ONNX has.
ACTIVATIONS = ("relu", "silu", "elu", "selu", "tanh")

#: Events scored at once.
PREDICT_BATCH = 16_384
_PREPARATION, _EMBEDDING, _DECISION = "preparation", "embedding", "decision"


@checked_calls(TrainingError)
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
    raw : bool
        See the normalised features as they are, and nothing derived from them: a plain
        multilayer perceptron.
    """

    embedding: tuple[int, ...] = (64, 64, 32)
    hidden: tuple[int, ...] = (64, 64)
    members: int = 2
    activation: str = "relu"
    dropout: float = 0.2
    raw: bool = False

    def __post_init__(self) -> None:
        for name in ("embedding", "hidden"):
            units = getattr(self, name)
            right = isinstance(units, (tuple, list)) and all(is_whole(n, 1) for n in units)
            check_option(name, units, right, "numbers of units, each 1 or more")
            object.__setattr__(self, name, tuple(map(int, units)))
        check_option("members", self.members, is_whole(self.members, 1), COUNT)
        known = isinstance(self.activation, str) and self.activation in ACTIVATIONS
        check_option("activation", self.activation, known, f"one of {ACTIVATIONS}")
        check_option("raw", self.raw, isinstance(self.raw, bool), "True or False")
        right = is_number(self.dropout) and 0 <= self.dropout < 1
        check_option("dropout", self.dropout, right, "0 or more, and less than 1")
        as_plain(self)


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
        float32 (events, features) → float32 (events, 1); see `Parts` for what it is made of.

    Raises
    ------
    TrainingError
        If the feature set has no variable at all.
    """
    keras = backend.keras()

    if not len(features):
        raise TrainingError(f"feature set {features.name!r} has no variables to train on")
    source = keras.Input((len(features),), name="input")
    quantities = plain(source, X) if architecture.raw else derive(source, features, X)
    preparation = keras.Model(source, quantities.tensors, name=_PREPARATION)
    members = [_Member(architecture, seed + 1000 * i) for i in range(architecture.members)]
    prepared = Quantities(*keras.tree.flatten(preparation(source)))
    if prepared.jets is not None and architecture.embedding:
        seen = [prepared.event, _embedded(prepared, members)]
    else:
        seen = [_side_by_side(prepared)]
    logits = _decision([t.shape[1] for t in seen], members)(seen)
    if architecture.members > 1:
        logits = keras.ops.mean(logits, axis=1, keepdims=True)
    return keras.Model(source, keras.ops.sigmoid(logits))


@dataclass(frozen=True)
class Parts:
    """The models that a network is made of, for those who train it.

    Attributes
    ----------
    preparation : keras.Model
        Raw values → the tensors of `Quantities`; nothing in it is trained.
    embedding : keras.Model or None
        Quantities of a jet, shape (jets, n), → (jets, m), to be summed over an event's jets.
        None when there are no jets or no layers for them.
    decision : keras.Model
        The event's quantities and that sum, or the event's and the jets' side by side, →
        logits of shape (events, members).
    """

    preparation: Any
    embedding: Any
    decision: Any

    @classmethod
    def of(cls, model: Any) -> Parts:
        """The parts of what `build` made, or of one that was saved and loaded."""
        layers = {layer.name: layer for layer in model.layers}
        return cls(layers[_PREPARATION], layers.get(_EMBEDDING), layers[_DECISION])

    @property
    def trained(self) -> list[Any]:
        """Models with weights to train."""
        return [part for part in (self.embedding, self.decision) if part is not None]

    def logits(self, X: Floats) -> Any:
        """Logits of raw events, float32 of shape (events, members)."""
        return self.apply(self.prepared(X), lambda part, inputs: part(inputs))

    def prepared(self, X: Any) -> Quantities:
        """Quantities of raw events."""
        return Quantities(*backend.keras().tree.flatten(self.preparation(X)))

    def apply(self, quantities: Quantities, call: Callable[[Any, Any], Any]) -> Any:
        """Logits of prepared events, the parts being applied by `call`.

        Absent jets are left out before the embedding, which is most of the arithmetic.
        """
        tf = backend.tensorflow()

        if self.embedding is None:
            return call(self.decision, [_side_by_side(quantities)])
        there = tf.where(quantities.mask[:, :, 0] > 0)
        rows = call(self.embedding, tf.gather_nd(quantities.jets, there))
        count = tf.shape(quantities.event)[0]
        summed = tf.math.unsorted_segment_sum(rows, there[:, 0], count)
        return call(self.decision, [quantities.event, summed])


def predict(model: Any, X: Floats) -> Floats:
    """Scores of events, float32 of shape (events, outputs), in bounded memory."""
    parts = [
        np.asarray(model(X[start : start + PREDICT_BATCH], training=False))
        for start in range(0, len(X), PREDICT_BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty((0, model.output_shape[-1]), np.float32)


def _side_by_side(quantities: Quantities) -> Any:
    """The event's quantities and those of each slot, zero for absent jets."""
    ops = backend.keras().ops

    if quantities.jets is None:
        return quantities.event
    width = math.prod(quantities.jets.shape[1:])
    flat = ops.reshape(quantities.jets * quantities.mask, (-1, width))
    return ops.concatenate([quantities.event, flat], axis=-1)


def _embedded(quantities: Quantities, members: list[_Member]) -> Any:
    """The embeddings of all members, summed over jets: shape (events, units)."""
    keras = backend.keras()
    ops = keras.ops

    jets, count = quantities.jets.shape[1:]
    one = keras.Input((count,))
    embedding = keras.Model(one, _joined([m.embed(one) for m in members]), name=_EMBEDDING)
    # Plain reshapes to two dimensions: Keras's Dense on three dimensions adds a dozen shape
    # computations, which cost a lone event more than the arithmetic.
    rows = embedding(ops.reshape(quantities.jets, (-1, count)))
    each = ops.reshape(rows, (-1, jets, rows.shape[-1]))
    return ops.sum(each * quantities.mask, axis=1)


def _decision(widths: list[int], members: list[_Member]) -> Any:
    """Build the layers that decide, on the event's quantities and, if there are jets, their sum."""
    keras = backend.keras()

    event, *embedded = inputs = [keras.Input((width,)) for width in widths]
    logits = []
    for i, member in enumerate(members):
        units = widths[-1] // len(members)
        own = [e[:, i * units : (i + 1) * units] for e in embedded]
        logits.append(member.decide(_joined([event, *own])))
    return keras.Model(inputs, _joined(logits), name=_DECISION)


def _joined(tensors: list[Any]) -> Any:
    ops = backend.keras().ops
    return ops.concatenate(tensors, axis=-1) if len(tensors) > 1 else tensors[0]


class _Member:
    def __init__(self, architecture: Architecture, seed: int) -> None:
        self._architecture, self._seed = architecture, seed

    def embed(self, rows: Any) -> Any:
        for units in self._architecture.embedding:
            rows = self._dense(rows, units, self._architecture.activation)
        return rows

    def decide(self, hidden: Any) -> Any:
        """Logit, shape (events, 1)."""
        architecture = self._architecture
        for units in architecture.hidden:
            hidden = self._dense(hidden, units, architecture.activation)
            if architecture.dropout:
                layer = backend.keras().layers.Dropout(architecture.dropout, seed=self._fresh())
                hidden = layer(hidden)
        return self._dense(hidden, 1)

    def _dense(self, tensor: Any, units: int, activation: str | None = None) -> Any:
        keras = backend.keras()

        initial = keras.initializers.GlorotUniform(self._fresh())
        return keras.layers.Dense(units, activation, kernel_initializer=initial)(tensor)

    def _fresh(self) -> int:
        """A seed that no other layer has."""
        self._seed += 1
        return self._seed
