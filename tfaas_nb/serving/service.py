"""What a server does: predict, upload, delete, over a repository and engines; no HTTP."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import Engine, open_engine
from tfaas_nb.errors import FeatureError, ModelNotFound, TfaasError
from tfaas_nb.features import order_keys
from tfaas_nb.repository import Repository, Stored
from tfaas_nb.wire.tfaas import Query

Floats = npt.NDArray[np.float32]

#: Orders of keys remembered per model; clients use one or two.
_MOST_ORDERS = 64


@dataclass(frozen=True, eq=False)
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
    """

    stored: Stored
    bundle: Bundle
    engine: Engine
    _orders: dict[tuple[str, ...], npt.NDArray[np.intp] | None] = field(
        default_factory=dict, repr=False
    )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs; empty when the bundle's labels are not as many."""
        labels = self.bundle.labels
        return labels if len(labels) == self.bundle.graph.outputs else ()

    def score(self, query: Query) -> Floats:
        """Scores of a query's events, float32 of shape (events, outputs).

        Values are put in the model's order by their keys.  A model that does not know its
        feature names (a foreign graph), or is asked by a protocol without names, takes them in
        the order sent.

        Raises
        ------
        FeatureError
            If keys are missing, unknown or sent twice.
        GraphError
            If the graph fails.
        """
        if not query.keys and query.values.shape[1]:
            _check_width(self.bundle, query.values.shape[1])
            return self.engine(query.values)
        order = self._orders.get(query.keys, False)
        if order is False:
            order = self._order(query.keys)
        values = query.values if order is None else query.values[:, order]
        return self.engine(values)

    def _order(self, keys: tuple[str, ...]) -> npt.NDArray[np.intp] | None:
        names = self.bundle.features
        order = None
        if names is None:
            _check_width(self.bundle, len(keys))
        elif keys != names:
            order = np.array(order_keys(names, keys), dtype=np.intp)
        if len(self._orders) >= _MOST_ORDERS:
            self._orders.clear()
        self._orders[keys] = order
        return order


def _check_width(bundle: Bundle, keys: int) -> None:
    width = bundle.graph.signature.width
    if width is not None and keys != width:
        raise FeatureError(f"model {bundle.name!r} takes {width} values, {keys} were sent")


class Service:
    """Models of a repository, loaded when they are first asked for.

    Parameters
    ----------
    repository : Repository
        Where models are kept.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._loaded: dict[str, Model] = {}
        self._last: str | None = None
        self._change = threading.RLock()

    def loaded(self, name: str | None) -> Model | None:
        """A model that is in memory (by default the last uploaded one), else None."""
        return self._loaded.get(name or self._last or "")

    def model(self, name: str | None) -> Model:
        """A model, read from disk if need be; may take seconds.

        Raises
        ------
        ModelNotFound
            If there is none of that name, or none at all.
        RepositoryError
            If it is damaged on disk.
        """
        found = self.loaded(name)
        if found:
            return found
        with self._change:
            stored = self.repository.find(name) if name else self.repository.last_uploaded()
            if stored is None:
                raise ModelNotFound("there is no model yet: upload one first")
            found = self._loaded.get(stored.name) or self._load(stored)
            self._last = self._last or self._newest()
            return found

    def models(self) -> list[dict[str, Any]]:
        """Descriptions of all models, by name; one that is damaged says so in ``error``."""
        return [self._described(stored) for stored in self.repository.models()]

    def describe(self, name: str) -> dict[str, Any]:
        """The ``params.json`` of a model with its version and time of upload (ns).

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        RepositoryError
            If it is damaged on disk.
        """
        stored = self.repository.find(name)
        return self.repository.params(stored).to_values() | _version(stored)

    def upload(self, bundle: Bundle) -> Stored:
        """Try a model, store it, and serve it from now on.

        Raises
        ------
        GraphError
            If it cannot answer.
        RepositoryError
            If it cannot be stored; what was served before still is.
        """
        engine = open_engine(bundle.graph)
        with self._change:
            stored = self.repository.store(bundle)
            self._loaded[stored.name] = Model(stored, bundle, engine)
            self._last = stored.name
        return stored

    def delete(self, name: str) -> None:
        """Remove a model with all its versions; requests under way still get their answer.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        """
        with self._change:
            self.repository.delete(name)
            self._loaded.pop(name, None)
            self._last = self._newest()

    def load_all(self) -> dict[str, TfaasError]:
        """Load every model now rather than at its first request.

        Returns
        -------
        dict
            Model → error for those that could not be loaded.
        """
        failed = {}
        for stored in self.repository.models():
            try:
                self.model(stored.name)
            except TfaasError as error:
                failed[stored.name] = error
        return failed

    def close(self) -> None:
        """Forget the loaded models."""
        with self._change:
            self._loaded.clear()

    def _newest(self) -> str | None:
        stored = self.repository.last_uploaded()
        return stored.name if stored else None

    def _load(self, stored: Stored) -> Model:
        bundle = self.repository.load(stored)
        model = Model(stored, bundle, open_engine(bundle.graph))
        self._loaded[stored.name] = model
        return model

    def _described(self, stored: Stored) -> dict[str, Any]:
        try:
            return self.describe(stored.name)
        except TfaasError as error:
            return {"name": stored.name, "error": str(error)} | _version(stored)


def _version(stored: Stored) -> dict[str, int]:
    return {"version": stored.version, "uploaded": stored.uploaded}
