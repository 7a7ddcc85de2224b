"""Fitting a network: compiled steps over data that stays in TensorFlow, best weights kept.

Training events come from a `Source` in blocks that fit into memory: those of an array are one
block that stays in TensorFlow from epoch to epoch, those of files too large for memory are many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.errors import TrainingError
from tfaas_nb.metrics import Roc
from tfaas_nb.network import predict
from tfaas_nb.table import Table

#: Steps in one call into TensorFlow: few enough that a Stop is heard at once.
_STEPS_PER_CALL = 64


@dataclass(frozen=True)
class Settings:
    """How a network is fitted.

    Attributes
    ----------
    epochs : int
        Most passes over the training events.
    batch_size : int
        Events in a step.
    learning_rate : float
        Initial step size of AdamW; multiplied by `decay` after `decay_after` epochs without
        a better validation loss.
    weight_decay : float
        AdamW's weight decay.
    patience : int
        Epochs without a better validation loss after which training ends.
    validation : float
        Fraction of the training events held out to see the validation loss.
    seed : int
        Decides held-out events, initial weights, dropout and order of events.
    """

    epochs: int = 40
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    decay: float = 0.3
    decay_after: int = 3
    patience: int = 8
    validation: float = 0.15
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "decay", "decay_after", "patience"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} must be positive, not {getattr(self, name)}")
        if not 0 < self.validation < 1:
            raise TrainingError(f"validation must lie between 0 and 1, not {self.validation}")


@dataclass(frozen=True)
class Epoch:
    """One pass over the training events: mean losses (binary cross-entropy), validation AUC."""

    number: int
    loss: float
    val_loss: float
    val_auc: float
    learning_rate: float


@dataclass(frozen=True, repr=False)
class History:
    """What happened in a training.

    Attributes
    ----------
    epochs : tuple of Epoch
        In order; numbers start at 1.
    best : int
        Number of the epoch whose weights were kept.
    stopped : str
        ``"finished"``, ``"early"`` (no better validation loss) or ``"interrupted"``.
    """

    epochs: tuple[Epoch, ...]
    best: int
    stopped: str

    def table(self) -> Table:
        """One row per epoch."""
        rows = tuple(
            (e.number, e.loss, e.val_loss, e.val_auc, "best" if e.number == self.best else "")
            for e in self.epochs
        )
        columns = ("epoch", "loss", "validation loss", "validation AUC", "")
        return Table(columns, rows, repr(self))

    def __repr__(self) -> str:
        auc = self.epochs[self.best - 1].val_auc
        return (
            f"History({len(self.epochs)} epochs, {self.stopped}, "
            f"best {self.best}: validation AUC {auc:.4f})"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


class Block(Protocol):
    """Events in memory: X (n, features) float32, y (n,) 0 or 1, weight (n,); a `Dataset` is one."""

    @property
    def X(self) -> npt.NDArray[np.float32]: ...  # noqa: D102, N802
    @property
    def y(self) -> npt.NDArray[Any]: ...  # noqa: D102
    @property
    def weight(self) -> npt.NDArray[np.float32]: ...  # noqa: D102


class Source(Protocol):
    """Where training events come from.

    Attributes
    ----------
    count : int
        Events in an epoch, at least one.
    weight_sums : tuple of two floats
        Sum of the weights of background and of signal, known before the first epoch: weights
        are scaled by it, the same in every block.
    """

    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def weight_sums(self) -> tuple[float, float]: ...  # noqa: D102

    def blocks(self, epoch: int) -> Generator[Block, None, None]:
        """All events once, in blocks that fit into memory, each of both classes in proportion.

        Events are shuffled within a block by the fit; that those of one file or class are spread
        over blocks is the source's part, as is another order in another epoch (they count
        from 1) and the same one for the same epoch.  A block that is the *same object* as the
        one before stays in TensorFlow; arrays of a block must not change once it was given.
        An epoch may be left before its last block: the generator is then closed.
        """
        ...


@dataclass(frozen=True, eq=False)
class Events:
    """Arrays of events: X (n, features) float32, y (n,), weight (n,); a `Source` of one block."""

    X: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float32]

    @property
    def count(self) -> int:
        """Events."""
        return len(self.y)

    @property
    def weight_sums(self) -> tuple[float, float]:
        """Sum of the weights of background and of signal."""
        background, signal = (self.weight[self.y == c].sum(dtype=np.float64) for c in (0, 1))
        return float(background), float(signal)

    def blocks(self, epoch: int) -> Generator[Events, None, None]:
        """All of them."""
        yield self


def fit(
    model: Any,
    training: Source,
    validation: Block,
    settings: Settings,
    on_epoch: Callable[[Epoch], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> History:
    """Fit a network in place; it ends with the weights of its best epoch.

    A `KeyboardInterrupt`, or `should_stop` answering True, ends the training with the best
    weights so far.

    Parameters
    ----------
    model : keras.Model
        What `network.build` made.
    training : Source
        Events to learn from.
    validation : Block
        Events to judge each epoch by.
    settings : Settings
        How to fit.
    on_epoch : callable, optional
        Called after each epoch.
    should_stop : callable, optional
        Asked often; True ends the training.

    Raises
    ------
    TrainingError
        If it was interrupted before the first epoch ended, or the loss is not finite.
    """
    loop = _Loop(model, training, validation, settings, should_stop or (lambda: False))
    try:
        for epoch in loop.epochs():
            if on_epoch:
                on_epoch(epoch)
    except KeyboardInterrupt:
        loop.stopped = "interrupted"
    return loop.finish()


class _Loop:
    def __init__(
        self,
        model: Any,
        training: Source,
        validation: Block,
        settings: Settings,
        should_stop: Callable[[], bool],
    ) -> None:
        keras = backend.keras()

        self.model, self.training, self.validation = model, training, validation
        self.settings, self.should_stop = settings, should_stop
        self.optimizer = keras.optimizers.AdamW(
            settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.optimizer.build(model.trainable_variables)
        self.steps = _compiled_steps(model, self.optimizer)
        self.resident = _Resident(sum(training.weight_sums) / training.count)
        self.done: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: list[Any] = []
        self.stopped = "finished"

    def epochs(self) -> Iterator[Epoch]:
        random = np.random.default_rng(self.settings.seed)
        for number in range(1, self.settings.epochs + 1):
            loss = self._one_pass(number, random)
            if loss is None:
                self.stopped = "interrupted"
                return
            epoch = self._validated(number, loss)
            self.done.append(epoch)
            self._keep_if_best(epoch)
            yield epoch
            if self._stale(epoch) >= self.settings.patience:
                self.stopped = "early"
                return
            if self._stale(epoch) and self._stale(epoch) % self.settings.decay_after == 0:
                self.optimizer.learning_rate.assign(epoch.learning_rate * self.settings.decay)

    def _one_pass(self, number: int, random: np.random.Generator) -> float | None:
        """Mean loss of a pass over all events; None when stopped within it."""
        total = 0.0
        with closing(self.training.blocks(number)) as blocks:
            for block in blocks:
                tensors = self.resident.tensors(block)
                for batches in _calls(random.permutation(len(block.y)), self.settings.batch_size):
                    if self.should_stop():
                        return None
                    total += float(self.steps(*tensors, batches))
        return self._finite(total / self.training.count)

    def _validated(self, number: int, loss: float) -> Epoch:
        v = self.validation
        scores = predict(self.model, v.X)[:, 0]
        val_loss = self._finite(_cross_entropy(v.y, scores, v.weight))
        return Epoch(
            number=number,
            loss=loss,
            val_loss=val_loss,
            val_auc=Roc.of(v.y, scores, v.weight).auc,
            learning_rate=float(self.optimizer.learning_rate),
        )

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in epoch {len(self.done) + 1}: "
                f"lower the learning rate (now {self.settings.learning_rate})"
            )
        return loss

    def _keep_if_best(self, epoch: Epoch) -> None:
        if self.best is None or epoch.val_loss < self.best.val_loss:
            # Both in one statement: an interrupt in between would mix two epochs.
            self.best_weights, self.best = self.model.get_weights(), epoch

    def _stale(self, epoch: Epoch) -> int:
        return epoch.number - self.best.number if self.best else 0

    def finish(self) -> History:
        if self.best is None:
            raise TrainingError("training was interrupted before its first epoch ended")
        self.model.set_weights(self.best_weights)
        return History(tuple(self.done), self.best.number, self.stopped)


def _calls(order: npt.NDArray[np.int64], batch: int) -> Iterator[npt.NDArray[np.int64]]:
    """Positions of events, shape (steps, batch) per call; the last call has the remainder."""
    full = len(order) // batch * batch
    batches = order[:full].reshape(-1, batch)
    for start in range(0, len(batches), _STEPS_PER_CALL):
        yield batches[start : start + _STEPS_PER_CALL]
    if full < len(order):
        yield order[full:].reshape(1, -1)


class _Resident:
    """The block in TensorFlow's memory; the next takes its place, unless it is the same."""

    def __init__(self, mean_weight: float) -> None:
        # Weights of a mean of one: the learning rate keeps its meaning.
        self._mean_weight = mean_weight
        self._block: Block | None = None
        self._tensors: tuple[Any, Any, Any] | None = None

    def tensors(self, block: Block) -> tuple[Any, Any, Any]:
        if self._tensors is None or block is not self._block:
            tf = backend.tensorflow()
            self._tensors = None  # freed before the next are made
            self._tensors = (
                tf.constant(block.X),
                tf.constant(block.y.astype(np.float32)[:, np.newaxis]),
                tf.constant((block.weight / self._mean_weight).astype(np.float32)),
            )
            self._block = block
        return self._tensors


def _compiled_steps(model: Any, optimizer: Any) -> Callable[..., Any]:
    """A function of X, y, weight and rows of positions: one optimiser step per row.

    It returns the sum of the events' weighted losses.
    """
    keras, tf = backend.keras(), backend.tensorflow()

    def step(X: Any, y: Any, weight: Any, rows: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = model(tf.gather(X, rows), training=True)
            losses = keras.losses.binary_crossentropy(tf.gather(y, rows), scores)
            weighted = losses * tf.gather(weight, rows)
            loss = tf.reduce_mean(weighted)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return tf.reduce_sum(weighted)

    def steps(X: Any, y: Any, weight: Any, batches: Any) -> Any:
        return tf.while_loop(
            lambda i, total: i < tf.shape(batches)[0],
            lambda i, total: (i + 1, total + step(X, y, weight, batches[i])),
            (tf.constant(0), tf.constant(0.0)),
            parallel_iterations=1,
        )[1]

    width = model.input_shape[-1]
    signature = [
        tf.TensorSpec((None, width), tf.float32),
        tf.TensorSpec((None, 1), tf.float32),
        tf.TensorSpec((None,), tf.float32),
        tf.TensorSpec((None, None), tf.int64),
    ]
    compiled = tf.function(steps, input_signature=signature, autograph=False)
    # Traced here: calls that trace make TensorFlow warn of it from the third training on.
    traced: Callable[..., Any] = compiled.get_concrete_function()
    return traced


def _cross_entropy(
    y: npt.NDArray[Any], scores: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]
) -> float:
    s = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(np.average(-np.where(y == 1, np.log(s), np.log1p(-s)), weights=weight))
