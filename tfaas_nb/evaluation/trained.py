"""What an evaluation asks of the classifier it judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset


class Trained(Protocol):
    """A classifier that was trained: its scores, its training and its card."""

    @property
    def training(self) -> Dataset:
        """The events it was trained on."""

    @property
    def history(self) -> Any:
        """What happened in the training: a `training.History`."""

    def predict(self, events: Dataset) -> npt.ArrayLike:
        """Scores of events, shape (events,)."""

    def retrained(self, data: Dataset) -> Trained:
        """The same kind of classifier, trained on other events."""

    def card(self) -> Mapping[str, Any]:
        """What one must know of it, as plain values for JSON."""
