"""A field for paths of ROOT files, completed as they are typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfaas_nb.data.sample import sample_files
from tfaas_nb.widgets import paths
from tfaas_nb.widgets.field import TextField
from tfaas_nb.widgets.latest import IsOver, Latest


class PathField(TextField):
    """A line of text that offers the files and folders with which a path can go on.

    Parameters
    ----------
    at_hand : callable
        Gives what is offered while the field is empty.
    **looks
        As of a `TextField`.
    """

    def __init__(self, at_hand: Callable[[], tuple[str, ...]] = tuple, **looks: Any) -> None:
        self._at_hand = at_hand
        self._complete = Latest("complete paths", 0.05)
        super().__init__(options=at_hand(), continuous_update=True, **looks)
        self.observe(lambda change: self._typed(change["new"]), "value")

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the path that was typed is completed; returns whether it is."""
        return self._complete.wait(seconds)

    def close(self) -> None:
        """End the field, and what is looked for."""
        self._complete.close()
        super().close()

    def _typed(self, text: str) -> None:
        def complete(is_over: IsOver) -> None:
            offered = tuple(paths.completions(text)) if text else self._at_hand()
            if not is_over():
                self.options = offered

        self._complete.ask(complete)


def files_at_hand() -> tuple[str, ...]:
    """ROOT files to offer: those of the working directory, and the packaged sample."""
    return (*sorted(str(p) for p in Path().glob("*.root")), *sample_files())
