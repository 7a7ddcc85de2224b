"""Fitting a network: compiled steps over data that stays in TensorFlow, best weights kept.

Training events come from a `Source` in blocks that fit into memory: those of an array are one
block that stays in TensorFlow from epoch to epoch, those of files too large for memory are many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import TrainingError, TrainingInterrupted
from tfaas_nb.metrics import Roc
from tfaas_nb.network import PREDICT_BATCH, Parts
from tfaas_nb.options import COUNT, as_plain, check_option, check_seed, is_number, is_whole
from tfaas_nb.quantities import Quantities
from tfaas_nb.table import Table

#: What may be done with events of negative weight.
NEGATIVE_WEIGHTS = ("refuse", "ignore", "absolute")

#: Steps in one call into TensorFlow: few enough that a Stop is heard at once.
_STEPS_PER_CALL = 64
#: Batches of this size, smaller ones where an epoch would have few steps.
_LARGEST_BATCH, _SMALLEST_BATCH, _STEPS_PER_EPOCH = 512, 16, 32
#: Adam's, of Kingma and Ba (2015).
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7
_LAST_RATE = 0.01
#: Bytes of raw events whose quantities, about four times as many, may stay from step to step.
_STAYING = 64 * 2**20


@checked_calls(TrainingError)
@dataclass(frozen=True)
class Settings:
    """Settings of the fit of a network.

    Attributes
    ----------
    epochs : int
        Passes over the training events.
    batch_size : int or None
        Events in a step; by default 512, and fewer where there are fewer than 16 thousand.
    learning_rate : float
        Largest step size of AdamW: it rises in the first `warm_up` of the training and falls
        along half a cosine.
    warm_up : float
        Fraction of the training in which the step size rises.
    weight_decay : float
        AdamW's weight decay.
    averaging : float
        The network has the exponential moving average of the weights over steps; this is the
        fraction kept in a step (less at the beginning), 0 for the last step's weights.
    patience : int
        Epochs without a better validation loss after which training ends.
    validation : float
        Fraction of the training events held out to see the validation loss.
    balance : bool
        Scale the weights so that signal and background have the same sum: scores are then
        probabilities for a mixture of as much of one as of the other.  Otherwise they are
        probabilities for the mixture that the weights describe.
    negative_weights : str
        What to do with events of negative weight, as generators at next-to-leading order give:
        ``"refuse"`` them with an error, ``"ignore"`` the events, or learn from their
        ``"absolute"`` weight.  The latter two change the distribution that is learned, so that
        scores are no probabilities of the weighted mixture.
    seed : int
        Decides held-out events, initial weights, dropout and order of events.
    """

    epochs: int = 20
    batch_size: int | None = None
    learning_rate: float = 5e-3
    warm_up: float = 0.05
    weight_decay: float = 0.05
    averaging: float = 0.998
    patience: int = 8
    validation: float = 0.1
    balance: bool = True
    negative_weights: str = "refuse"
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "patience"):
            check_option(name, getattr(self, name), is_whole(getattr(self, name), 1), COUNT)
        if self.batch_size is not None:
            check_option("batch_size", self.batch_size, is_whole(self.batch_size, 1), COUNT)
        check_seed(self.seed)
        rate, decay = self.learning_rate, self.weight_decay
        check_option("learning_rate", rate, is_number(rate) and rate > 0, "a positive number")
        check_option(
            "weight_decay", decay, is_number(decay) and decay >= 0, "a number, not negative"
        )
        for name in ("warm_up", "averaging"):
            value = getattr(self, name)
            check_option(
                name, value, is_number(value) and 0 <= value < 1, "0 or more, and less than 1"
            )
        held = self.validation
        check_option("validation", held, is_number(held) and 0 < held < 1, "between 0 and 1")
        check_option("balance", self.balance, isinstance(self.balance, bool), "True or False")
        way = self.negative_weights
        check_option(
            "negative_weights",
            way,
            isinstance(way, str) and way in NEGATIVE_WEIGHTS,
            f"one of {NEGATIVE_WEIGHTS}",
        )
        as_plain(self)

    def rate(self, progress: float) -> float:
        """Step size after a fraction of the training."""
        falling = _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
        rising = progress / self.warm_up if self.warm_up else 1.0
        return self.learning_rate * min(rising, falling)

    def batch(self, count: int) -> int:
        """Events in a step, of so many training events."""
        if self.batch_size is not None:
            return self.batch_size
        return min(_LARGEST_BATCH, max(_SMALLEST_BATCH, count // _STEPS_PER_EPOCH))


@dataclass(frozen=True)
class Epoch:
    """One pass over the training events: mean losses (binary cross-entropy), validation AUC.

    The loss is that of the members, each by itself, while they learn; the validation loss that
    of the network with its averaged weights.
    """

    number: int
    loss: float
    val_loss: float
    val_auc: float
    learning_rate: float


@dataclass(frozen=True, repr=False)
class History:
    """History of a training.

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
    """Protocol of a source of training events.

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
        """Yield all events as one block."""
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
        If a class has no weight, training was interrupted before the first epoch ended, or the
        loss is not finite.
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
        self.training, self.validation = training, validation
        self.settings, self.should_stop = settings, should_stop
        scale = _Scale.of(training, settings)
        self.weights = scale.weights(validation)
        self.batch = min(settings.batch(training.count), training.count)
        network = Parts.of(model)
        self.learner = _Learner(network, settings, self.batch)
        self.resident = _Resident(network, scale, training.count)
        self.held_out = _Prepared(network, validation.X)
        self.steps = 0
        self.seen = 0
        self.done: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: Any = None
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

    def _one_pass(self, number: int, random: np.random.Generator) -> float | None:
        """Mean loss of a pass over all events; None when stopped within it."""
        total = 0.0
        with closing(self.training.blocks(number)) as blocks:
            for block in blocks:
                self.resident.take(block)
                for batches, counts in _calls(random.permutation(len(block.y)), self.batch):
                    if self.should_stop():
                        return None
                    table, places = self.resident.events(batches)
                    total += self.learner.learn(table, places, self._controls(counts))
        return self._finite(total / self.training.count)

    def _controls(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return for each step of so many events the parameters of `_Learner.learn`."""
        controls = np.empty((len(counts), 4), np.float32)
        for row, count in zip(controls, counts, strict=True):
            self.steps += 1
            self.seen += int(count)
            rate = self.settings.rate(self._progress)
            correction = math.sqrt(1 - _BETA_2**self.steps) / (1 - _BETA_1**self.steps)
            kept = min(self.settings.averaging, (1 + self.steps) / (10 + self.steps))
            row[:] = rate, rate * correction, kept, count
        return controls

    @property
    def _progress(self) -> float:
        return self.seen / (self.training.count * self.settings.epochs)

    def _validated(self, number: int, loss: float) -> Epoch:
        scores = self.learner.scores(self.held_out)
        val_loss = self._finite(_cross_entropy(self.validation.y, scores, self.weights))
        return Epoch(
            number=number,
            loss=loss,
            val_loss=val_loss,
            val_auc=Roc.of(self.validation.y, scores, self.weights).auc,
            learning_rate=self.settings.rate(self._progress),
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
            self.best_weights, self.best = self.learner.weights(), epoch

    def _stale(self, epoch: Epoch) -> int:
        return epoch.number - self.best.number if self.best else 0

    def finish(self) -> History:
        if self.best is None:
            raise TrainingInterrupted("training was interrupted before its first epoch ended")
        self.learner.give(self.best_weights)
        return History(tuple(self.done), self.best.number, self.stopped)


@dataclass(frozen=True)
class _Scale:
    """Factors for the weights of background and signal that make their mean one.

    The learning rate then keeps its meaning, whatever the unit of weights.
    """

    background: float
    signal: float

    @classmethod
    def of(cls, training: Source, settings: Settings) -> _Scale:
        sums = training.weight_sums
        if not min(sums) > 0:
            raise TrainingError(
                f"the weights of background and signal add up to {sums[0]:g} and {sums[1]:g}: "
                "both must be positive"
            )
        if settings.balance:
            return cls(*(0.5 * training.count / total for total in sums))
        return cls(*([training.count / sum(sums)] * 2))

    def weights(self, block: Block) -> npt.NDArray[np.float32]:
        scale = np.where(np.asarray(block.y) == 1, self.signal, self.background)
        return (block.weight * scale).astype(np.float32)


class _Prepared:
    """Raw events as the quantities that the trained parts take.

    Nothing in the preparation is trained: few events keep theirs, many are prepared in parts.
    """

    def __init__(self, network: Parts, X: npt.NDArray[np.float32]) -> None:
        self._network, self._X = network, X
        self._kept = list(self._parts()) if X.nbytes <= _STAYING else None

    def parts(self) -> Iterable[list[Any]]:
        """Tensors of the events in order, of a bounded number of them at a time."""
        return self._parts() if self._kept is None else self._kept

    def _parts(self) -> Iterator[list[Any]]:
        for start in range(0, len(self._X), PREDICT_BATCH):
            yield self._network.prepared(self._X[start : start + PREDICT_BATCH]).tensors


class _Resident:
    """The block in TensorFlow's memory; the next takes its place, unless it is the same.

    An event is a row of one table, so that a step takes its events at once: quantities, label
    and scaled weight.  A block that is all there is and not too large is prepared once, others
    call by call.
    """

    def __init__(self, network: Parts, scale: _Scale, count: int) -> None:
        self._network, self._scale, self._count = network, scale, count
        self._block: Block | None = None
        self._table: Any = None

    def take(self, block: Block) -> None:
        """Make this the block that events are of."""
        if block is not self._block:
            self._table = None  # freed before the next is made
            whole = len(block.y) == self._count and block.X.nbytes <= _STAYING
            self._block, self._table = block, self._rows(block) if whole else None

    def events(self, batches: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.int64]]:
        """A table with the events of the batches, and where they are there."""
        if self._table is not None:
            return self._table, batches
        assert self._block is not None
        rows, block = batches.ravel(), self._block
        taken = Events(block.X[rows], block.y[rows], block.weight[rows])
        return self._rows(taken), np.arange(batches.size).reshape(batches.shape)

    def _rows(self, block: Block) -> Any:
        tf = backend.tensorflow()
        parts = [_side_by_side(part) for part in _Prepared(self._network, block.X).parts()]
        targets = np.stack([np.asarray(block.y, np.float32), self._scale.weights(block)], axis=1)
        return tf.concat([tf.concat(parts, axis=0), targets], axis=1)


class _Learner:
    """AdamW (Loshchilov and Hutter, 2019) on all weights in one vector, and their average.

    One vector instead of a variable per layer: a step has few operations besides the
    arithmetic.  The network itself is not touched until it is given weights.
    """

    def __init__(self, network: Parts, settings: Settings, batch: int) -> None:
        tf = backend.tensorflow()

        self._network = network
        self._variables = [v for part in self._network.trained for v in part.trainable_variables]
        self._shapes = [tuple(v.shape) for v in self._variables]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        flat = np.concatenate([np.ravel(v) for v in self._variables])
        self._flat, self._average = tf.Variable(flat), tf.Variable(flat)
        self._first, self._second = (tf.Variable(np.zeros_like(flat)) for _ in range(2))
        self._others = {
            part: [tf.Variable(v.numpy()) for v in part.non_trainable_variables]
            for part in self._network.trained
        }
        self._decay = settings.weight_decay
        self._averages = settings.averaging > 0
        # Traced here: calls that trace make TensorFlow warn of it from the third training on.
        self._learn = self._compiled_learning(batch)
        self._score = self._compiled_scoring()

    def learn(self, table: Any, batches: Any, controls: Any) -> float:
        """One step per row of positions in the table; the sum of the events' weighted losses.

        A row of controls: step size, the same with Adam's correction, how much of the average
        to keep, and how many positions of the step count, the first ones.
        """
        return float(self._learn(table, batches, controls))

    def scores(self, events: _Prepared) -> npt.NDArray[np.float32]:
        """Scores of events with the averaged weights, shape (events,)."""
        return np.concatenate([self._score(*part).numpy() for part in events.parts()])

    def weights(self) -> Any:
        """The averaged weights."""
        return self._average.numpy()

    def give(self, weights: Any) -> None:
        """Put weights into the network."""
        for variable, part in zip(self._variables, self._parts(weights), strict=True):
            variable.assign(part)

    def _parts(self, flat: Any) -> list[Any]:
        tf = backend.tensorflow()
        parts = tf.split(flat, self._sizes)
        return [tf.reshape(p, shape) for p, shape in zip(parts, self._shapes, strict=True)]

    def _logits(self, quantities: Quantities, flat: Any, training: bool) -> Any:
        """Logits (events, members) with the given weights; dropout's counters move on."""
        weights = iter(self._parts(flat))

        def call(part: Any, inputs: Any) -> Any:
            own = [next(weights) for _ in part.trainable_variables]
            found, others = part.stateless_call(own, self._others[part], inputs, training=training)
            if training:
                for variable, value in zip(self._others[part], others, strict=True):
                    variable.assign(value)
            return found

        return self._network.apply(quantities, call)

    def _compiled_learning(self, batch: int) -> Callable[..., Any]:
        """Compile steps of one size: TensorFlow then need not compute shapes in each."""
        tf = backend.tensorflow()

        def learn(table: Any, batches: Any, controls: Any) -> Any:
            def step(i: Any, total: Any) -> tuple[Any, Any]:
                rows = tf.gather(table, batches[i])
                return i + 1, total + self._step(rows, controls[i])

            return tf.while_loop(
                lambda i, total: i < tf.shape(batches)[0],
                step,
                (tf.constant(0), tf.constant(0.0)),
                parallel_iterations=1,
            )[1]

        width = sum(math.prod(t.shape[1:]) for t in self._quantities) + 2
        signature = [
            tf.TensorSpec((None, width), tf.float32),
            tf.TensorSpec((None, batch), tf.int64),
            tf.TensorSpec((None, 4), tf.float32),
        ]
        return _compiled(learn, signature)

    def _step(self, rows: Any, controls: Any) -> Any:
        tf = backend.tensorflow()

        shapes = [t.shape[1:] for t in self._quantities]
        *parts, y, weight = tf.split(rows, [*map(math.prod, shapes), 1, 1], axis=1)
        quantities = [tf.reshape(p, (-1, *s)) for p, s in zip(parts, shapes, strict=True)]
        count = controls[3]
        counts = tf.range(rows.shape[0], dtype=tf.float32) < count
        share = tf.where(counts[:, tf.newaxis], weight / count, 0.0)
        with tf.GradientTape() as tape:
            flat = self._flat.read_value()
            tape.watch(flat)
            logits = self._logits(Quantities(*quantities), flat, training=True)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(
                tf.broadcast_to(y, tf.shape(logits)), logits
            )
            # Summed over members, which learn each for itself.
            loss = tf.reduce_sum(losses * share)
        gradient = tape.gradient(loss, flat)
        self._update(flat, gradient, controls)
        return loss * count / logits.shape[1]

    def _update(self, flat: Any, gradient: Any, controls: Any) -> None:
        tf = backend.tensorflow()

        rate, corrected, kept = controls[0], controls[1], controls[2]
        first = self._first.assign(_BETA_1 * self._first + (1 - _BETA_1) * gradient)
        second = self._second.assign(_BETA_2 * self._second + (1 - _BETA_2) * tf.square(gradient))
        moved = corrected * first / (tf.sqrt(second) + _EPSILON)
        new = self._flat.assign(flat - rate * self._decay * flat - moved)
        if self._averages:
            self._average.assign(new + kept * (self._average - new))
        else:
            self._average.assign(new)

    def _compiled_scoring(self) -> Callable[..., Any]:
        tf = backend.tensorflow()

        def score(*quantities: Any) -> Any:
            flat = self._average.read_value()
            logits = self._logits(Quantities(*quantities), flat, training=False)
            return tf.sigmoid(tf.reduce_mean(logits, axis=1))

        return _compiled(score, self._quantities)

    @property
    def _quantities(self) -> list[Any]:
        tf = backend.tensorflow()
        return [tf.TensorSpec(t.shape, tf.float32) for t in self._network.preparation.outputs]


def _side_by_side(tensors: list[Any]) -> Any:
    """Join the tensors of each event into one row, shape (events, n)."""
    tf = backend.tensorflow()
    return tf.concat([tf.reshape(t, (len(t), -1)) for t in tensors], axis=1)


def _compiled(function: Callable[..., Any], signature: list[Any]) -> Callable[..., Any]:
    tf = backend.tensorflow()
    compiled = tf.function(function, input_signature=signature, autograph=False)
    traced: Callable[..., Any] = compiled.get_concrete_function()
    return traced


def _calls(
    order: npt.NDArray[np.int64], batch: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Positions of events, shape (steps, batch), per call, and how many of each step count.

    The last step has what remains, and events that do not count in the other places.
    """
    steps = -(-len(order) // batch)
    filled = np.resize(order, steps * batch).reshape(steps, batch)
    counts = np.minimum(len(order) - batch * np.arange(steps), batch)
    for start in range(0, steps, _STEPS_PER_CALL):
        yield filled[start : start + _STEPS_PER_CALL], counts[start : start + _STEPS_PER_CALL]


def _cross_entropy(
    y: npt.NDArray[Any], scores: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]
) -> float:
    s = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(np.average(-np.where(y == 1, np.log(s), np.log1p(-s)), weights=weight))
