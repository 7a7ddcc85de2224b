"""Protocols of the events and the classifier that an evaluation needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset


class Labelled(Protocol):
    """Events whose class is known; a `Dataset`, or what was kept of events read in parts."""

    @property
    def y(self) -> npt.NDArray[np.int8]:
        """Classes, 1 signal, 0 background, shape (events,)."""

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """Event weights, shape (events,)."""


class Trained(Protocol):
    """A classifier that was trained: its scores, its training and its card."""

    @property
    def training(self) -> Any:
        """The events it was trained on: a `Dataset`, or what reads them in parts."""

    @property
    def is_streamed(self) -> bool:
        """True if `training` is only a part of what it was trained on."""

    @property
    def signal_share(self) -> float | None:
        """Share of signal in the mixture that its scores are probabilities for, if it was set."""

    @property
    def history(self) -> Any:
        """History of the training: a `training.History`."""

    def training_scores(self) -> tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]:
        """Classes, scores and weights of the events it was trained on."""

    def predict(self, events: Dataset) -> npt.ArrayLike:
        """Scores of events, shape (events,)."""

    def retrained(
        self, data: Dataset, step: int = 0, should_stop: Callable[[], bool] | None = None
    ) -> Trained:
        """Train a classifier of the same kind on other events, its seed moved by `step`."""

    def card(self) -> Mapping[str, Any]:
        """Return the model card as plain values for JSON."""
