"""Names of branches: the whole path of one, or any ending of it that no other branch has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from tfaas_nb.data.columns import Column
from tfaas_nb.nearest import nearest

_LENGTH = re.compile(r"\[[^\]]*\]$")


class Addresses:
    """Columns of a tree by name.

    A name is the whole path, or an ending of it that begins after a ``/`` or a ``.``;
    ``/`` and ``.`` are one sign to it.  Of ``met_p4/fCoordinates/fCoordinates.fPt`` a name is
    also ``met_p4.fCoordinates.fPt``, as ROOT's ``TTree::Draw`` takes it.  A whole path goes
    before an ending.

    Parameters
    ----------
    columns : sequence of Column
        All columns; several may have one path.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._whole: dict[str, list[Column]] = {}
        for column in columns:
            self._whole.setdefault(column.path, []).append(column)

    @property
    def paths(self) -> Iterable[str]:
        """The whole paths, each once, in the file's order."""
        return self._whole.keys()

    def find(self, name: str) -> list[Column]:
        """The columns that a name may mean: one, unless it is unknown or ambiguous."""
        if name in self._whole:
            return self._whole[name]
        dotted = name.replace("/", ".").strip(".")
        indices = (self._whole, self._spelled, self._endings)
        return next((index[dotted] for index in indices if dotted in index), [])

    def nearest(self, name: str, among: Iterable[str]) -> tuple[str, list[str]]:
        """The name most like this one of the columns of some paths, and the paths that have it."""
        known: dict[str, list[str]] = {}
        paths = frozenset(among)
        for column in self._columns:
            if column.path not in paths:
                continue
            for spelling in dict.fromkeys((column.path, *_spellings(column), *_ends(column))):
                known.setdefault(spelling, []).append(column.path)
        near = nearest(name, known)
        return ("", []) if near is None else (near, list(dict.fromkeys(known[near])))

    @cached_property
    def _spelled(self) -> dict[str, list[Column]]:
        """Other spellings of whole paths."""
        return _index((column, _spellings(column)) for column in self._columns)

    @cached_property
    def _endings(self) -> dict[str, list[Column]]:
        return _index((column, _ends(column)) for column in self._columns)


def written(path: str) -> str:
    """A path as an expression takes it, where ``/`` divides."""
    return _collapsed(path) if "/" in path else path


def _index(named: Iterable[tuple[Column, Iterable[str]]]) -> dict[str, list[Column]]:
    index: dict[str, list[Column]] = {}
    for column, names in named:
        for name in dict.fromkeys(names):
            index.setdefault(name, []).append(column)
    return index


def _spellings(column: Column) -> Iterator[str]:
    """Yield other spellings of a column's path: with dots, or without an array's length."""
    path = column.path
    yield from column.others
    if "/" in path:
        yield path.replace("/", ".").strip(".")
        yield _collapsed(path)
    if path.endswith("]"):
        yield _LENGTH.sub("", _collapsed(path))


def _ends(column: Column) -> Iterator[str]:
    for spelling in (column.path, *_spellings(column)):
        if "." in spelling:
            parts = spelling.split(".")
            for start in range(1, len(parts)):
                yield ".".join(parts[start:])


def _collapsed(path: str) -> str:
    """Return a path with dots, without the beginning that ROOT repeats in the names of parts."""
    parts: list[str] = []
    for part in path.split("/"):
        if parts and part.startswith(parts[-1].rstrip(".") + "."):
            parts.pop()
        parts.append(part)
    return ".".join(part.rstrip(".") for part in parts)
