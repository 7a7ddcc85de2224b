"""The name that somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, or None if none is like it."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest name, or nothing."""
    near = nearest(name, known)
    return f"; the nearest name is {near!r}" if near else ""
