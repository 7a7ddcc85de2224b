"""Reference events: a few events and the scores that their model gives them.

They travel with a model as ``reference_events.json``.  Whoever loads it, in another process, on
another machine or with another TensorFlow, sees at once whether it still is the model that was
made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tfaas_nb.errors import BundleError

Floats = npt.NDArray[np.float32]

FILE = "reference_events.json"

#: Scores are the same that differ by less than 1e-6 + 1e-5 × the score: processors add up in
#: different orders, which costs a deep network some of a float's last bits.
ABSOLUTE, RELATIVE = 1e-6, 1e-5

_MOST_VALUES = 1 << 20


@dataclass(frozen=True)
class ReferenceEvents:
    """Events with the scores that their model gives them.

    Attributes
    ----------
    keys : tuple of str
        What the columns of `values` are, in the model's order.
    values : tuple of tuple of float
        A row of raw values per event, each a float32.
    scores : tuple of tuple of float
        A row per event: a float32 for each output of the model.
    """

    keys: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    scores: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.values}
        heights = {len(row) for row in self.scores}
        if widths != {len(self.keys)} or len(heights) != 1 or len(self.values) != len(self.scores):
            raise BundleError(f"{FILE}: there must be a row of values and one of scores per event")
        if not (np.isfinite(self.matrix).all() and np.isfinite(np.array(self.scores)).all()):
            raise BundleError(f"{FILE}: values and scores must be finite")

    @classmethod
    def of(
        cls, keys: Sequence[str], X: npt.ArrayLike, call: Callable[[Floats], Floats]
    ) -> ReferenceEvents:
        """Events with the scores that a function gives them.

        Parameters
        ----------
        keys : sequence of str
            What the columns are.
        X : array of shape (events, keys)
            Raw values.
        call : callable
            float32 (events, keys) → float32 (events, outputs).
        """
        values = np.asarray(X, dtype=np.float32)
        return cls(tuple(keys), _rows(values), _rows(call(values)))

    @classmethod
    def from_json(cls, data: bytes) -> ReferenceEvents:
        """Read ``reference_events.json``.

        Raises
        ------
        BundleError
            If it is not what `to_json` writes.
        """
        try:
            found = orjson.loads(data)
            keys, values, scores = (found[part] for part in ("keys", "values", "scores"))
            if not all(isinstance(key, str) for key in keys):
                raise TypeError("keys are names")
            return cls(tuple(keys), _rows(_matrix(values)), _rows(_matrix(scores)))
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f'{FILE} is not {{"keys": [...], "values": [[...]], "scores": [[...]]}}: {error}'
            ) from error

    def to_json(self) -> bytes:
        """The content of ``reference_events.json``, in ASCII alone."""
        told = {"keys": self.keys, "values": self.values, "scores": self.scores}
        return json.dumps(told, indent=2).encode()

    @property
    def matrix(self) -> Floats:
        """The values, float32 of shape (events, keys)."""
        return np.array(self.values, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def check(self, scores: npt.ArrayLike, where: str = "here") -> float:
        """Compare scores of these events with those that they should have.

        Parameters
        ----------
        scores : array of shape (events, outputs)
            What a model gave them.
        where : str
            Who gave them, for the message.

        Returns
        -------
        float
            The largest difference.

        Raises
        ------
        BundleError
            If they are not as many, or one of them differs, naming event and scores.
        """
        expected = np.array(self.scores, dtype=np.float64)
        found = np.asarray(scores, dtype=np.float64)
        if found.shape != expected.shape:
            raise BundleError(
                f"scores of the reference events have shape {found.shape} {where}, they should "
                f"have {expected.shape}: is it the model that they were made with?"
            )
        difference = np.abs(found - expected)
        # Written so that NaN differs, too.
        same = difference <= ABSOLUTE + RELATIVE * np.abs(expected)
        if not same.all():
            event, output = np.argwhere(~same)[0]
            raise BundleError(
                f"the scores differ from those of the reference events: event {event} has "
                f"{found[event, output]:.7g} {where} and should have "
                f"{expected[event, output]:.7g} ({int((~same).any(axis=1).sum())} of "
                f"{len(self)} events differ)"
            )
        return float(difference.max())


def _matrix(rows: Any) -> Floats:
    with np.errstate(over="ignore"):  # too large is infinite, which is refused later
        found = np.array(rows, dtype=np.float32)
    if found.ndim != 2 or found.size > _MOST_VALUES:
        raise ValueError("values and scores are lists of lists of numbers")
    return found


def _rows(values: npt.NDArray[Any]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in values)
