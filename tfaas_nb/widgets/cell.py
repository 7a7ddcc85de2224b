"""Closing of the widgets that a cell made, when the cell is run again.

ipywidgets keeps every widget that was ever made, with its comm, until it is closed; nobody
closes the widgets of a cell that is run once more.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol


class Closes(Protocol):
    """Anything that can be closed."""

    def close(self) -> None:
        """End; may be called twice."""


#: Cell → what it made.
_made: dict[str, weakref.WeakSet[Any]] = {}
_watched: weakref.WeakSet[Any] = weakref.WeakSet()


def remember(made: Closes) -> None:
    """Close this when the cell that runs now is run again; does nothing outside of cells."""
    from IPython import get_ipython

    shell = get_ipython()
    key = _running(shell)
    if key is None:
        return
    if shell not in _watched:
        shell.events.register("pre_run_cell", _before)
        _watched.add(shell)
    _made.setdefault(key, weakref.WeakSet()).add(made)


def _running(shell: Any) -> str | None:
    """The cell whose code makes the kernel run; None for a click."""
    if getattr(shell, "kernel", None) is None:
        return None
    parent = shell.get_parent() or {}
    if parent.get("header", {}).get("msg_type") != "execute_request":
        return None
    return _key(parent.get("metadata", {}).get("cellId"), parent["content"].get("code", ""))


def _before(info: Any) -> None:
    for made in list(_made.pop(_key(getattr(info, "cell_id", None), info.raw_cell), ())):
        made.close()


def _key(cell: str | None, code: str) -> str:
    """A cell's identity; pages that send none (nbclassic, nbclient) are known by their code."""
    return f"id {cell}" if cell else f"code {code}"
