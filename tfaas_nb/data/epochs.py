"""Events of a stream as a training takes them: some set aside, the others in mixed blocks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.streamed import BAR_AFTER


class MixedBlocks(Protocol):
    """Events that are read anew for each epoch, as `tfaas_nb.data.stream.Stream` does."""

    def __len__(self) -> int: ...

    @property
    def weight_sums(self) -> tuple[float, float]:
        """Sum of the weights of background and of signal."""

    @property
    def block(self) -> int:
        """Most events of a block."""

    def blocks(self, epoch: int, seed: int = 1) -> Generator[Dataset, None, None]:
        """All events, mixed anew for each epoch, in blocks."""


@dataclass(frozen=True)
class HeldOut:
    """A stream made ready for training.

    Attributes
    ----------
    training : Training
        The events to learn from.
    validation : Dataset
        Events set aside.
    known : Dataset
        Some of the events to learn from, drawn at random, to learn the normalisation from.
    """

    training: Training
    validation: Dataset
    known: Dataset


class Training:
    """Events to learn from, in mixed blocks: a source of `tfaas_nb.training`.

    Parameters
    ----------
    stream : MixedBlocks
        The events.
    seed : int
        Decides their order.
    progress : bool
        Show a progress bar for each epoch.
    """

    def __init__(self, stream: MixedBlocks, seed: int, progress: bool) -> None:
        self.stream = stream
        self._seed = seed
        self._progress = progress
        self._only: Dataset | None = None

    @property
    def count(self) -> int:
        """Events in an epoch."""
        return len(self.stream)

    @property
    def weight_sums(self) -> tuple[float, float]:
        """Sum of the weights of background and of signal."""
        return self.stream.weight_sums

    def blocks(self, epoch: int) -> Generator[Dataset, None, None]:
        """All events once; if they fit into one block, they are read once."""
        from tqdm.auto import tqdm

        if self._only is not None:
            yield self._only
            return
        single = self.count <= self.stream.block
        with (
            tqdm(
                total=self.count,
                desc=f"epoch {epoch}",
                unit=" events",
                unit_scale=True,
                disable=not self._progress,
                delay=BAR_AFTER,
                leave=False,
            ) as bar,
            closing(self.stream.blocks(epoch, self._seed)) as blocks,
        ):
            for block in blocks:
                if single:
                    self._only = block
                size = len(block)
                yield block
                del block
                bar.update(size)
