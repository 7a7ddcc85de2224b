"""Engines run models: float32 (events, inputs) → float32 (events, outputs).

One module per model format; all have the interface `Engine`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt


class Engine(Protocol):
    """A loaded model.  Calls may come from several threads at once."""

    def __call__(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores of events, shape (events, outputs)."""
        ...

    def close(self) -> None:
        """Free what the model holds."""
        ...
