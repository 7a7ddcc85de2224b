"""A loaded version of a model: puts what is sent in its order, scores it, and counts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tfaas_nb import missing
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import Engine
from tfaas_nb.errors import FeatureError, TooLarge
from tfaas_nb.features import order_keys
from tfaas_nb.repository import Stored
from tfaas_nb.serving.cores import Cores
from tfaas_nb.serving.counts import Scored
from tfaas_nb.signature import Array, Signature
from tfaas_nb.wire.params import HOW_TO_NAME
from tfaas_nb.wire.tfaas import Query

Floats = npt.NDArray[np.float32]

#: Orders of keys remembered per model; clients use one or two.
_MOST_ORDERS = 64

#: Events of one request: answers may be larger than requests, which are bounded in bytes.
MOST_EVENTS = 1 << 22

#: Keys in a message.
_SHOWN = 3


@dataclass(eq=False)
class Model:
    """A loaded version of a model.

    Attributes
    ----------
    stored : Stored
        Where it was read from.
    bundle : Bundle
        Its parts.
    engine : Engine
        What computes its scores.
    size : int
        Bytes of its files.
    used : int
        Set at every use; models used later have greater ones.
    scored : Scored
        Where its calls are counted.
    cores : Cores
        What many events are shared out to.
    has_loops : bool
        Whether an event may keep it busy for ever.
    """

    stored: Stored
    bundle: Bundle
    engine: Engine
    size: int = 0
    used: int = 0
    scored: Scored = field(default_factory=Scored, repr=False)
    cores: Cores = field(default_factory=Cores, repr=False)
    has_loops: bool = False
    _orders: dict[tuple[str, ...], npt.NDArray[np.intp] | None] = field(
        default_factory=dict, repr=False
    )

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs; empty when the bundle's labels are not as many."""
        labels = self.bundle.labels
        return labels if len(labels) == self.bundle.graph.outputs else ()

    def score(self, query: Query) -> Floats:
        """Scores of a query's events, float32 of shape (events, outputs).

        Values are put in the model's order by their keys.  Asked by a protocol without names, a
        model takes them in the order sent.

        Raises
        ------
        FeatureError
            If keys are missing, unknown or sent twice, or the model does not know the names of
            its features (a foreign graph), so that no key says where its value belongs.
        GraphError
            If the graph fails.
        TooLarge
            If there are more events than a request may have.
        """
        _check_number(len(query.values))
        if query.columns is None or self.takes_floats:
            scores = self.cores.score(self.engine, self._ordered(query))
        else:
            with missing.passing(self.takes_missing):
                scores = self._score_columns(query, query.columns())
        self.scored.add(self.stored.name, len(scores))
        return scores

    def _score_columns(self, query: Query, columns: Sequence[Array]) -> Floats:
        """Scores of values of any type, exact where an input holds whole numbers."""
        order = self._positions(query)
        inputs = self._signature.split_columns(
            columns if order is None else [columns[i] for i in order]
        )
        return self._signature.joined(self.engine.run(inputs))

    @functools.cached_property
    def takes_floats(self) -> bool:
        """True if float32 holds all values of its inputs exactly."""
        return self._signature.is_exact_in_float32

    @functools.cached_property
    def takes_missing(self) -> bool:
        """True if NaN among an event's values is a missing value, and no mistake."""
        return self.bundle.takes_missing

    @property
    def _signature(self) -> Signature:
        return self.bundle.graph.signature

    def run(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """All outputs by name, from all inputs by name.

        Raises
        ------
        FeatureError
            If the inputs do not fit the model's signature.
        GraphError
            If the graph fails.
        TooLarge
            If there are more events than a request may have.
        """
        _check_number(max(((np.shape(value) or (1,))[0] for value in inputs.values()), default=0))
        with missing.passing(self.takes_missing):
            outputs = self.engine.run(inputs)
        self.scored.add(self.stored.name, len(next(iter(outputs.values()))))
        return outputs

    def _ordered(self, query: Query) -> Floats:
        order = self._positions(query)
        return query.values if order is None else query.values[:, order]

    def _positions(self, query: Query) -> npt.NDArray[np.intp] | None:
        """Positions of the model's features among the columns; None if the order is the model's."""
        if not query.keys and query.values.shape[1]:
            self._signature.check_ordered(self.bundle.name)
            _check_width(self.bundle, query.values.shape[1])
            return None
        if query.keys in self._orders:
            return self._orders[query.keys]
        return self._order(query.keys)

    def _order(self, keys: tuple[str, ...]) -> npt.NDArray[np.intp] | None:
        names = self.bundle.features
        order = None
        if names is None:
            _check_nameless(self.bundle, keys)
        elif keys != names:
            order = np.array(order_keys(names, keys), dtype=np.intp)
        if len(self._orders) >= _MOST_ORDERS:
            self._orders.clear()
        self._orders[keys] = order
        return order


def _check_number(events: int) -> None:
    if events > MOST_EVENTS:
        raise TooLarge(f"a request may have {MOST_EVENTS} events, not {events}: send several")


def _check_nameless(bundle: Bundle, keys: tuple[str, ...]) -> None:
    """Refuse keys for a model of which nobody told the names of its features."""
    inputs = bundle.graph.signature.inputs
    if len(inputs) == 1 and inputs[0].size == 1 and keys == (inputs[0].name,):
        return  # its only value is called as its only input
    shown = ", ".join(map(repr, keys[:_SHOWN])) + (" …" if len(keys) > _SHOWN else "")
    raise FeatureError(
        f"model {bundle.name!r} does not know the names of its features, so the keys {shown} do "
        f"not say where their values belong: {HOW_TO_NAME}. Without names, send values in the "
        f"order of its inputs to /v1/models/{bundle.name}:predict or "
        f"/v2/models/{bundle.name}/infer"
    )


def _check_width(bundle: Bundle, keys: int) -> None:
    width = bundle.graph.signature.width
    if width is not None and keys != width:
        raise FeatureError(f"model {bundle.name!r} takes {width} values, {keys} were sent")
