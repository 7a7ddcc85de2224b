"""Evaluations of served models: those given, and those made of events at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError, ServerUnreachable, TfaasError, Unauthorized
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.widgets.answer import Identity

#: Events of known class that are scored to see where one lies among them.
_MOST_EVENTS = 20_000


class JudgedModels:
    """Evaluations of models, each for the model that it is of and for no later one of its name.

    Attributes
    ----------
    events : Dataset or None
        Events at hand, with which a model is judged that no evaluation was given for.
    """

    def __init__(self) -> None:
        self.events: Dataset | None = None
        self._given: Mapping[str, Evaluation] = {}
        self._of: dict[str, tuple[Evaluation, Identity | None]] = {}
        self._made: tuple[Any, Evaluation] | None = None

    def use(self, evaluations: Mapping[str, Evaluation]) -> None:
        """Take the evaluations of models, by their names."""
        self._given = evaluations

    def use_events(self, events: Dataset) -> None:
        """Judge by these events from now on."""
        self.events, self._made = events, None

    def given(self, model: str | None, shown: Identity | None) -> Evaluation | None:
        """The evaluation that was given for a model.

        Parameters
        ----------
        model : str or None
            Its name.
        shown : Identity or None
            The model that the server is known to have under a name; of a later one than that
            which had the name when the evaluation was given there is none.
        """
        found = self._given.get(model or "")
        if model is None or found is None:
            return None
        now = shown if shown and shown[0] == model else None
        judged, of = self._of.get(model, (None, None))
        if judged is not found or of is None:
            of = now
            self._of[model] = found, now
        return found if now in (None, of) else None

    def can_judge(self, model: str | None, shown: Identity | None) -> bool:
        """Return True if there is an evaluation, or one can be made."""
        return self.given(model, shown) is not None or self._has_classes()

    def at_hand(self, model: str, client: Client) -> Evaluation | None:
        """The evaluation of a model on the events at hand; None if they are not of both classes.

        Raises
        ------
        DataError
            If the model cannot score the events.
        """
        if self.events is None or not self._has_classes():
            return None
        described = client.params(model)
        key = (model, described.get("sha256"), described.get("timestamp"))
        if self._made is None or self._made[0] != key:
            some = self.events[:: -(-len(self.events) // _MOST_EVENTS)]
            try:
                self._made = key, Evaluation.of(some, client.predict(model, some, progress=False))
            except TfaasError as error:
                raise DataError(f"the events at hand cannot be compared with: {error}") from error
        return self._made[1]

    def _has_classes(self) -> bool:
        return self.events is not None and len(np.unique(self.events.y)) == 2


def evaluate_models(
    client: Client, data: Dataset, models: Sequence[str] | None = None
) -> tuple[dict[str, Evaluation], dict[str, str]]:
    """Evaluations of served models on events of known class, and why others have none."""
    names = models or [m["name"] for m in client.describe_models() if "error" not in m]
    found, unsuitable = {}, {}
    for name in names:
        try:
            found[name] = _evaluated(client, name, data)
        except (ServerUnreachable, Unauthorized):  # which is not the model's fault
            raise
        except TfaasError as error:
            unsuitable[name] = str(error)
    return found, unsuitable


def _evaluated(client: Client, name: str, data: Dataset) -> Evaluation:
    scores = client.predict(name, data, progress=False)
    if scores.ndim > 1:
        raise DataError(f"it has {scores.shape[1]} outputs, and a ROC curve needs one score")
    return Evaluation.of(data, scores)


def left_out(unsuitable: Mapping[str, str]) -> str:
    """Sentence that names the models which are not evaluated, each with the reason."""
    return "Left out: " + "; ".join(f"{name!r}: {why}" for name, why in unsuitable.items()) + "."
