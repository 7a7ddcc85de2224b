"""Independence of events: the score of one must not depend on which others are asked about.

Micro-batches and large requests score events of strangers together.  A model that normalises over
the batch (BatchNorm in training mode, a mean or softmax over the axis of events) or draws random
numbers (dropout left on) would give an event another score each time.

Two comparisons find it.  With the number and the position of an event unchanged, a processor does
the same arithmetic whatever the other events hold, so their exchange may change nothing beyond the
tolerance of reference events.  Between one event alone and several, or in another order, sums may
be taken in another order: there a difference counts if it is also beyond what rounding explains.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import Engine
from tfaas_nb.errors import GraphError, TfaasError
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.reference_events import ABSOLUTE, RELATIVE
from tfaas_nb.signature import Array, Signature, Tensor, rows

Inputs = Mapping[str, Array]
Scores = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

#: Made-up events: the size of their numbers.  Each is a kind with two events.
_SCALES = (1.0, 100.0, 0.1, 10.0, 1000.0, 1e4)
#: Sizes that no honest event has, but that anybody may send beside one.
_EXTREMES = (1e6, -1e6, 1e18, 3e38)
_MOST_WHOLE = (2, 10, 100)
#: Events that are compared at least, and while there is time.
_FEW, _MANY = 3, 16
#: Events of the largest group.
_CROWD = 256
#: Lengths tried for axes of unknown length: two of those that the model takes.
_LENGTHS = (3, 32, 224, 1)
_MOST_NUMBERS = 1 << 24
#: Differences from rounding: a share of the largest score of an event of the same size, and a
#: multiple of how scores scatter when inputs change in their last digit.
_ROUNDING, _SCATTER = 1e-4, 32.0
_REPLICAS = 8
_LAST_DIGIT = {False: 2.0**-22, True: 2.0**-9}
#: Operations that draw random numbers.
_RANDOM = re.compile("Random|Dropout|Bernoulli|Multinomial|TruncatedNormal")
#: Share of the time that reading and opening took which further comparisons may take.
_SHARE, _LEAST_SECONDS = 0.3, 0.05

_REMEDY = (
    "export it in inference mode (model.eval() in PyTorch, training=False in Keras), so that "
    "nothing is averaged, normalised, summed or scaled over the axis of the events"
)


def check_independence(bundle: Bundle, engine: Engine, seconds: float = 0.0) -> None:
    """Refuse a model whose score of an event depends on other events, or on chance.

    Parameters
    ----------
    bundle : Bundle
        The model; its reference events and typical ranges are asked about first.
    engine : Engine
        Opened from its graph.
    seconds : float
        Processor time that its admission took so far: a large model is asked about few events.

    Raises
    ------
    GraphError
        Naming an event, its scores, and the remedy.
    """
    # The clock of the processor: a busy machine must not make the comparison a shallow one.
    deadline = time.process_time() + max(_SHARE * seconds, _LEAST_SECONDS)
    compared = 0
    for events in _samples(bundle):
        compared += _Trial(engine, events, bundle, deadline).check()
        if compared == (1 if bundle.graph.has_loops else 2):
            return


@dataclass(frozen=True)
class _Events:
    """Inputs of events, and the kind of each: reference (0) or made up at one of several sizes."""

    inputs: Inputs
    kinds: npt.NDArray[np.intp]
    extremes: Inputs

    def __len__(self) -> int:
        return len(self.kinds)


# --- events -----------------------------------------------------------------------------


def _samples(bundle: Bundle) -> Iterator[_Events]:
    """Events of each length that is tried."""
    signature = bundle.graph.signature
    reference = bundle.reference_events.matrix if bundle.reference_events else None
    tame = bundle.graph.has_loops
    if reference is not None and signature.width is None:
        made_up = _made_up(signature, reference.shape[1], tame)
        yield _with_reference(signature.split(reference), made_up)
    elif all(tensor.size is not None for tensor in signature.inputs):
        yield from _of_known_width(bundle, reference)
    else:
        lengths = [length for length in _LENGTHS if _fits(signature, length)]
        yield from (_made_up(signature, length, tame) for length in lengths)


def _of_known_width(bundle: Bundle, reference: Any) -> Iterator[_Events]:
    signature = bundle.graph.signature
    made_up = _made_up(signature, 1, bundle.graph.has_loops)
    known = [X for X in (reference, _typical(bundle)) if X is not None]
    if not known or not _fits(signature, 1):
        yield made_up
        return
    yield _with_reference(signature.split(np.concatenate(known)), made_up)


def _typical(bundle: Bundle) -> npt.NDArray[np.float32] | None:
    """Events within the typical ranges of the features, if those are known."""
    ends = [[f.get(key) for f in bundle.params.features] for key in ("low", "high")]
    width = bundle.graph.signature.width
    tensors = bundle.graph.signature.inputs
    if any(len(row) != width or None in row for row in ends):
        return None
    if not all(tensor.is_floating for tensor in tensors):
        return None
    low, high = np.array(ends, np.float64)
    share = np.random.default_rng(5).uniform(size=(_FEW, len(low)))
    events: npt.NDArray[np.float32] = (low + share * (high - low)).astype(np.float32)
    return events


def _with_reference(inputs: Inputs, made_up: _Events) -> _Events:
    events = len(next(iter(inputs.values())))
    joined = {name: np.concatenate([inputs[name], made_up.inputs[name]]) for name in inputs}
    kinds = np.concatenate([np.zeros(events, np.intp), made_up.kinds])
    return _Events(joined, kinds, made_up.extremes)


def _fits(signature: Signature, unknown: int) -> bool:
    numbers = [
        float(np.prod([unknown if n is None else n for n in tensor.shape]))
        for tensor in signature.inputs
    ]
    return sum(numbers) * _FEW <= _MOST_NUMBERS


def _made_up(signature: Signature, unknown: int, tame: bool) -> _Events:
    """Events of all sizes, the same at each call; `tame`: without any that make loops long."""
    random = np.random.default_rng(3)
    kinds = np.repeat(np.arange(len(_SCALES)), 2)
    inputs = {
        tensor.name: _values(tensor, _shape(tensor, unknown), kinds, random)
        for tensor in signature.inputs
    }
    extremes = {
        tensor.name: _extremes(tensor, _shape(tensor, unknown), tame) for tensor in signature.inputs
    }
    return _Events(inputs, kinds + 1, extremes)


def _shape(tensor: Tensor, unknown: int) -> tuple[int, ...]:
    return tuple(unknown if length is None else length for length in tensor.shape)


def _values(
    tensor: Tensor, shape: tuple[int, ...], kinds: Indices, random: np.random.Generator
) -> Array:
    size = (len(kinds), *shape)
    if tensor.dtype == "bool":
        return random.integers(0, 2, size).astype(bool)
    if not tensor.is_floating:
        most = np.array([_MOST_WHOLE[kind % len(_MOST_WHOLE)] for kind in kinds])
        return random.integers(0, _by_event(most, shape), size).astype(tensor.dtype)
    scale = _by_event(np.array(_SCALES)[kinds], shape)
    return (random.normal(size=size) * scale).clip(*_range(tensor)).astype(tensor.dtype)


def _by_event(values: Array, shape: tuple[int, ...]) -> Array:
    return values.reshape(-1, *(1 for _ in shape))


def _extremes(tensor: Tensor, shape: tuple[int, ...], tame: bool) -> Array:
    """One event for each size that nobody expects."""
    sizes = np.array((0.0, 1.0, *(() if tame else _EXTREMES)))
    if not tensor.is_floating:
        sizes = np.clip(sizes, 0, 1)
    values = np.broadcast_to(_by_event(sizes, shape), (len(sizes), *shape))
    return values.clip(*_range(tensor)).astype(tensor.dtype)


def _range(tensor: Tensor) -> tuple[float, float]:
    if not tensor.is_floating:
        return 0.0, float(_MOST_WHOLE[-1])
    largest = float(np.finfo(tensor.dtype).max)
    return -largest, largest


# --- comparisons ------------------------------------------------------------------------


class _Trial:
    """Comparisons of the scores of some events, in groups of several kinds."""

    def __init__(self, engine: Engine, events: _Events, bundle: Bundle, deadline: float) -> None:
        self._engine, self._bundle, self._deadline = engine, bundle, deadline
        extremes = len(next(iter(events.extremes.values())))
        self._inputs = {
            name: np.concatenate([values, events.extremes[name]])
            for name, values in events.inputs.items()
        }
        self._kinds = events.kinds
        self._extremes = len(events) + np.arange(extremes)
        self._alone: dict[int, Scores] = {}
        self._floating: Array = np.ones(0, bool)

    def check(self) -> bool:
        """Compare few events at any rate, and more while there is time; whether any answered."""
        if not len(self._answered(_FEW)):
            return False
        self._check(_FEW, sizes=(2,), extremes=self._extremes[-2:])
        if self._is_early:
            self._check(_MANY, sizes=(2, 7), extremes=self._extremes)
        if self._is_early and not self._is_single:
            self._check_crowd()
        return True

    @property
    def _is_early(self) -> bool:
        return time.process_time() < self._deadline

    @property
    def _is_single(self) -> bool:
        """True if the engine scores events one by one anyway."""
        return isinstance(self._bundle.graph, OnnxGraph) and self._bundle.graph.is_single

    def _check(self, most: int, sizes: Sequence[int], extremes: Indices) -> None:
        events = self._answered(most)
        scores = self._score(events)
        if scores is None:
            return
        self._check_repeated(events, scores)
        self._check_exchanged(events, np.roll(events, 1), scores)
        companions = self._companions(extremes)
        for i in range(1 if most == _FEW else len(companions)):
            self._check_exchanged(events, np.resize(np.roll(companions, -i), len(events)), scores)
        self._check_grouped(events, scores)
        for group in (events[::-1], *_groups(events, sizes)):
            self._check_grouped(group, self._score(group))

    def _check_crowd(self) -> None:
        """Compare a group as large as a micro-batch becomes."""
        events = np.resize(self._answered(_MANY), _CROWD)
        scores = self._score(events)
        if scores is None:
            return
        self._check_grouped(events, scores)
        companions = self._companions(self._extremes)
        self._check_exchanged(events, np.resize(companions, _CROWD), scores)

    # --- scores ---

    def _score(self, events: Indices) -> Scores | None:
        """Scores in one call, (events, outputs); None if the model refuses them."""
        return self._run({name: values[events] for name, values in self._inputs.items()})

    def _run(self, inputs: Inputs) -> Scores | None:
        try:
            outputs = self._engine.run(inputs)
        except TfaasError:
            return None
        parts = [rows(values).astype(np.float64) for values in outputs.values()]
        self._floating = np.repeat(
            [values.dtype.kind == "f" for values in outputs.values()],
            [part.shape[1] for part in parts],
        )
        return np.concatenate(parts, axis=1)

    def _score_alone(self, event: int) -> Scores | None:
        if event not in self._alone:
            scores = self._score(np.array([event]))
            if scores is None:
                scores = np.full((1, 0), np.nan)
            self._alone[event] = scores[0]
        found = self._alone[event]
        return found if found.size else None

    def _answered(self, most: int) -> Indices:
        """Events with finite scores: of each kind one, then the others."""
        order = np.argsort(_occurrence(self._kinds), kind="stable")
        chosen: list[int] = []
        for event in map(int, order):
            scores = self._score_alone(event)
            if scores is not None and np.isfinite(scores).all():
                chosen.append(event)
            if len(chosen) == most:
                break
        return np.array(chosen, np.intp)

    def _companions(self, events: Indices) -> Indices:
        """Events that the model answers at all; their own scores need not be finite."""
        answered = [event for event in events if self._score_alone(int(event)) is not None]
        return np.array(answered or self._answered(_FEW), np.intp)

    # --- verdicts ---

    def _check_repeated(self, events: Indices, scores: Scores) -> None:
        alone = events[:1]
        asked = [(events, scores), (alone, self._stacked(alone))] * (4 if self._draws else 1)
        for group, first in asked:
            again = self._score(group)
            if again is not None:
                self._refuse_random(group, first, again)

    @cached_property
    def _draws(self) -> tuple[str, ...]:
        """Operations of the model that draw random numbers."""
        return tuple(sorted(filter(_RANDOM.search, self._bundle.graph.operations)))

    def _refuse_random(self, events: Indices, first: Scores, again: Scores) -> None:
        with np.errstate(invalid="ignore"):
            allowed = _tolerance(first) + _ROUNDING * self._sizes(events)
            differs = ~(np.abs(again - first) <= allowed)
        if differs.any():
            row, output = np.argwhere(differs)[0]
            named = f" (it has {', '.join(self._draws)})" if self._draws else ""
            raise GraphError(
                f"the model gives the same event {first[row, output]:.7g} and, asked again, "
                f"{again[row, output]:.7g}: it draws random numbers{named}, or goes on learning "
                "from what it is asked; export it in inference mode (model.eval() in PyTorch, "
                "training=False in Keras), which leaves dropout, noise and running averages out"
            )

    def _check_exchanged(self, events: Indices, others: Indices, before: Scores) -> None:
        """Exchange every second event; what stays keeps its number and position."""
        for parity in (0, 1):
            stays = np.arange(len(events)) % 2 == parity
            after = self._score(np.where(stays, events, others))
            if after is None or not stays.any():
                continue
            differs = _differ(before, after) & stays[:, np.newaxis]
            if differs.any() and self._is_real(events, before, after, differs):
                self._refuse(before, after, differs, "beside other events")

    def _is_real(self, events: Indices, before: Scores, after: Scores, differs: Array) -> bool:
        """Return True if a difference exceeds the scatter of repeated identical calls."""
        repeated = [again for _ in range(4) if (again := self._score(events)) is not None]
        scatter = np.max([np.abs(again - before) for again in repeated], axis=0, initial=0.0)
        with np.errstate(invalid="ignore"):
            beyond = ~(np.abs(after - before) <= _tolerance(before) + _SCATTER * scatter)
        return bool((beyond & differs).any())

    def _check_grouped(self, events: Indices, together: Scores | None) -> None:
        """Compare with the scores that each event has alone; decisions may flip by rounding."""
        if together is None:
            return
        alone = self._stacked(events)
        differs = _differ(alone, together) & self._floating
        if differs.any():
            differs &= ~self._explained(events, alone, together)
        if differs.any():
            self._refuse(alone, together, differs, f"in a group of {len(events)}", "alone")

    def _stacked(self, events: Sequence[int] | Indices) -> Scores:
        return np.stack([self._alone[int(event)] for event in events])

    def _explained(self, events: Indices, expected: Scores, found: Scores) -> Array:
        """Return the mask of the scores whose difference rounding explains; see the module."""
        allowed = _tolerance(expected) + _ROUNDING * self._sizes(events)
        with np.errstate(invalid="ignore"):
            explained: Array = np.abs(found - expected) <= allowed
            # What takes long is looked at last, and for few events: mostly there are none.
            for event in np.unique(events[~explained.all(axis=1)]):
                scatter = _SCATTER * self._scatter(int(event))
                where = events == event
                explained[where] |= np.abs(found - expected)[where] <= allowed[where] + scatter
        return explained

    def _sizes(self, events: Indices) -> Scores:
        return np.stack([self._size(int(event)) for event in events])

    def _size(self, event: int) -> Scores:
        """The largest score by output among the events of a kind that were asked about."""
        kinds = self._kinds
        alike = [i for i in self._alone if i < len(kinds) and kinds[i] == kinds[event]]
        finite = [a for i in alike if np.isfinite(a := self._alone[i]).all() and a.size]
        size: Scores = np.max(np.abs(finite), axis=0)
        return size

    def _scatter(self, event: int) -> Scores:
        """Return the spread of an event's scores when its inputs change in their last digit."""
        random = np.random.default_rng(9)
        inputs = {name: values[[event]] for name, values in self._inputs.items()}
        shaken = [{n: self._shaken(v, random) for n, v in inputs.items()} for _ in range(_REPLICAS)]
        scores = [found for one in shaken if (found := self._run(one)) is not None]
        if not scores:
            return np.zeros_like(self._alone[event])
        scatter: Scores = np.ptp(np.concatenate([self._alone[event][np.newaxis], *scores]), axis=0)
        return np.nan_to_num(scatter, posinf=0.0)

    def _shaken(self, values: Array, random: np.random.Generator) -> Array:
        if values.dtype.kind != "f":
            return values
        digit = _LAST_DIGIT[self._is_coarse or values.dtype == np.float16]
        change = random.uniform(-1, 1, values.shape) * digit
        largest = np.finfo(values.dtype).max
        return (values * (1 + change)).clip(-largest, largest).astype(values.dtype)

    @cached_property
    def _is_coarse(self) -> bool:
        return self._bundle.graph.has_half_precision

    def _refuse(
        self, expected: Scores, found: Scores, differs: Array, where: str, before: str = "first"
    ) -> None:
        row, output = np.argwhere(differs)[0]
        raise GraphError(
            f"the model mixes events: it gives the same event {expected[row, output]:.7g} {before} "
            f"and {found[row, output]:.7g} {where}, so its score would depend on who else asks at "
            f"that moment; {_REMEDY}"
        )


def _groups(events: Indices, sizes: Sequence[int]) -> Iterator[Indices]:
    """One group of each size from the beginning, and all others of the first size."""
    for size in sizes:
        yield from (events[i : i + size] for i in range(0, len(events), size))


def _occurrence(kinds: Indices) -> Indices:
    """Count, for each event, the events of its kind that come before it."""
    return np.array([np.count_nonzero(kinds[:i] == kind) for i, kind in enumerate(kinds)])


def _tolerance(scores: Scores) -> Scores:
    tolerance: Scores = ABSOLUTE + RELATIVE * np.abs(scores)
    return tolerance


def _differ(expected: Scores, found: Scores) -> Array:
    """Return the mask of scores that differ beyond the tolerance; NaN differs, too."""
    with np.errstate(invalid="ignore"):
        return ~(np.abs(found - expected) <= _tolerance(expected))
