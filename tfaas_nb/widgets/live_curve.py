"""A training as it goes on: what its epochs say, when to draw them, and the picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from tfaas_nb import plots
from tfaas_nb.training import Epoch

#: Seconds between two pictures, at least; and at most this part of the time goes into them.
_EVERY, _SHARE = 0.5, 0.2


class Curve:
    """The epochs of a training, how long they take, and when to draw them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.epochs: list[Epoch] = []
        self._times: list[float] = []
        self._next = -math.inf

    def add(self, epoch: Epoch) -> None:
        """One epoch more."""
        self.epochs.append(epoch)
        self._times.append(self.clock())

    @property
    def best(self) -> Epoch:
        """The epoch of the least validation loss."""
        return min(self.epochs, key=lambda epoch: epoch.val_loss)

    def told(self, most: int) -> str:
        """The last epoch, and the time left, in words."""
        last = self.epochs[-1]
        told = (
            f"Epoch {last.number} of {most}: validation AUC {last.val_auc:.4f}, best epoch "
            f"{self.best.number}"
        )
        left = self._left(most)
        return told if left is None else f"{told}; at most {duration(left)} left"

    def _left(self, most: int) -> float | None:
        """Seconds, if as many epochs follow as may; None in the first, which tells nothing.

        TensorFlow is loaded and the network compiled in it.
        """
        times = self._times
        if len(times) < 2:
            return None
        return (most - len(times)) * (times[-1] - times[0]) / (len(times) - 1)

    @property
    def is_due(self) -> bool:
        """True if it is time for a new picture."""
        return self.clock() >= self._next

    def drawn(self, began: float) -> None:
        """Let the next picture wait, the longer the longer this one took."""
        now = self.clock()
        self._next = max(began + _EVERY, now + (now - began) * (1 / _SHARE - 1))


def picture(epochs: Sequence[Epoch], best: int) -> str:
    """Losses and AUC over epochs, the best one marked, as HTML."""
    losses = {
        "Training": [e.loss for e in epochs],
        "Validation": [e.val_loss for e in epochs],
    }
    auc = [e.val_auc for e in epochs]
    drawn = plots.png(lambda ax: plots.history(losses, ax, best, auc), (9.0, 5.0))
    last = epochs[-1]
    told = (
        f"Losses and AUC over {counted(len(epochs))}; the last: training loss {last.loss:.4f}, "
        f"validation loss {last.val_loss:.4f}, AUC {last.val_auc:.4f}; best epoch {best}"
    )
    return plots.html_image(drawn, told)


def counted(epochs: int) -> str:
    """A number of epochs in words."""
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def duration(seconds: float) -> str:
    """About how long, in words."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
