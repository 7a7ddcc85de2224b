"""One ROOT file, opened once and read in ranges of entries.

    with EventFile("ttbar.root", Reading(features)) as file:
        for start, stop in steps(file.entries):
            part = file.events(start, stop)

Whole branches are read at a time, with no loop over events; memory is that of one range.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.branches import Array, Lists, Read, finite, names, read
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.files import is_remote, is_xrootd
from tfaas_nb.data.jets import Jets
from tfaas_nb.data.layouts import Layout, Resolver, recognise
from tfaas_nb.data.nearest import hint
from tfaas_nb.data.origins import EventOrigin, JetOrigin, Objects, Slots, check_counts
from tfaas_nb.errors import DataError, TfaasError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet

#: Entries read at a time: enough for the fixed cost of a read (about 8 ms) not to count.
STEP = 200_000

_DEFAULT_TREES = ("events", "Events")
_TREES = ("TTree", "ROOT::RNTuple")

#: A mask of the events to keep, from the events themselves.
Cut = Callable[[Dataset], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Reading:
    """What is to be read of every file.

    Attributes
    ----------
    features : FeatureSet
        The columns.
    tree : str or None
        TTree or RNTuple; None means ``events``, ``Events``, or the only one of a file.
    branches : mapping
        Variable → branch, where the file's layout does not tell.
    cut : str, callable or None
        Events to keep: an expression, or a function of a `Dataset` that returns a mask.
    weight : str, float or None
        Weight of an event: a branch or an expression, or a number; None is 1.
    keep : tuple of str
        Branches with one number per event to keep beside the features.
    objects : Objects or None
        Which jets and leptons count; None leaves it to the layout.
    timeout : float or None
        Seconds without an answer after which an XRootD server is given up; None is 60.
    """

    features: FeatureSet = TTBAR_ALL_HADRONIC
    tree: str | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    cut: str | Cut | None = None
    weight: str | float | None = None
    keep: tuple[str, ...] = ()
    objects: Objects | None = None
    timeout: float | None = None


@dataclass(frozen=True, eq=False)
class Events:
    """Events of a range of entries that pass the selection, in the file's order.

    Attributes
    ----------
    X : numpy.ndarray
        Features, float32 of shape (events, features).
    weight : numpy.ndarray
        float32 of shape (events,).
    extra : mapping
        Kept branch → values, shape (events,), of the branch's own type.
    entry : numpy.ndarray
        Entry of the tree, int64 of shape (events,).
    """

    X: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    extra: Mapping[str, Array]
    entry: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.X)


def steps(entries: int, step: int = STEP) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) that cover all entries, of nearly equal length."""
    count = -(-entries // step)
    edges = [entries * i // count for i in range(count + 1)] if count else []
    yield from pairwise(edges)


class EventFile:
    """A ROOT file from which events are read; open between ``with`` and its end.

    Parameters
    ----------
    path : str
        Local path or address.
    reading : Reading
        What to read.
    should_stop : callable, optional
        Asked often while an XRootD server is waited for; True ends that with a `DataError`.

    Raises
    ------
    DataError
        On opening, if the file or its tree is unreadable, incomplete or empty, or lacks a
        branch; the message names it and the nearest name.
    """

    def __init__(
        self, path: str, reading: Reading, should_stop: Callable[[], bool] | None = None
    ) -> None:
        self.path = path
        self.should_stop = should_stop
        self.reading = reading
        self._file: Any = None
        self._tree: Any = None

    def __enter__(self) -> EventFile:
        with self._decoding():
            self._file = self._root_file().__enter__()
        try:
            with self._decoding():
                _check_complete(self.path, self._file.file)
                self._tree = _tree(self._file, self.path, self.reading.tree)
                self._check_branches()
        except BaseException:
            self.close()
            raise
        return self

    def _root_file(self) -> Any:
        import uproot

        if is_xrootd(self.path):
            from tfaas_nb.data import xrootd

            return xrootd.open_file(self.path, self.reading.timeout, self.should_stop)
        return uproot.open(self.path, object_cache=None, array_cache=None)

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read of it any more."""
        if self._file is not None:
            self._file.close()
        self._file = self._tree = None

    @property
    def entries(self) -> int:
        """Entries of the tree, before any selection."""
        return int(self._opened.num_entries)

    @property
    def tree(self) -> str:
        """Name of the tree."""
        return str(self._opened.name)

    @property
    def layout(self) -> Layout:
        """The layout that was recognised."""
        return self._resolver.layout

    @property
    def event_id(self) -> tuple[str, ...]:
        """Branches that tell events apart (run, section, event), as far as they are there."""
        return tuple(name for name in self.layout.event_id if name in self._resolver.branches)

    @property
    def uuid(self) -> str:
        """The identifier that was given to the file when it was written."""
        self._opened  # noqa: B018 (an open file is asked for)
        return str(self._file.file.uuid)

    def events(self, start: int = 0, stop: int | None = None) -> Events:
        """The events of a range of entries that pass the selection.

        Parameters
        ----------
        start, stop : int
            First entry, and the one after the last; by default all of the tree.

        Raises
        ------
        DataError
            If the file turns out unreadable, branches contradict each other, or a value is
            not finite; the message says where.
        """
        stop = self.entries if stop is None else min(stop, self.entries)
        with self._decoding():
            return self._events(start, stop)

    def _events(self, start: int, stop: int) -> Events:
        reading, features = self.reading, self.reading.features
        raw = read(self._opened, self._wanted, start, stop, self._where)
        n = stop - start
        X = np.full((n, len(features)), features.padding, dtype=np.float32)
        jets = self._fill_jets(X, raw, start) if self._jets else None
        for column, (variable, origin) in enumerate(self._event_origins.items()):
            values = origin.of_events(raw, jets, self._objects, self._where)
            name = origin.branches[0] if origin.branches else variable
            X[:, column] = finite(values, name, self._where, lambda position: start + position)
        weight = self._weights(raw, n, start)
        extra = {name: _numbers(raw, name, self._where) for name in reading.keep}
        entry = np.arange(start, stop)
        if reading.cut is None:
            return Events(X, weight, extra, entry)
        passed = self._passed(X, weight, extra)
        extra = {name: values[passed] for name, values in extra.items()}
        return Events(X[passed], weight[passed], extra, entry[passed])

    def _passed(
        self,
        X: npt.NDArray[np.float32],
        weight: npt.NDArray[np.float32],
        extra: Mapping[str, Array],
    ) -> npt.NDArray[np.bool_]:
        cut = self.reading.cut
        if not callable(cut):
            raise DataError(f"a selection is a function of a Dataset, not {cut!r}")
        data = Dataset(X, np.zeros(len(X), np.int8), weight, self.reading.features, extra=extra)
        passed = np.asarray(cut(data))
        if passed.shape != (len(X),) or passed.dtype != bool:
            raise DataError(
                f"the selection returned {passed.dtype} of shape {passed.shape}; it must return "
                f"a mask, bool of shape {(len(X),)}"
            )
        return passed

    def _weights(self, raw: Read, n: int, start: int) -> npt.NDArray[np.float32]:
        weight = self.reading.weight
        if not isinstance(weight, str):
            return np.full(n, 1.0 if weight is None else weight, dtype=np.float32)
        values = _numbers(raw, weight, self._where)
        return finite(values, weight, self._where, lambda position: start + position)

    def _fill_jets(self, X: npt.NDArray[np.float32], raw: Read, start: int) -> Jets:
        """Scatter the jets of all events into their slots, leading jets first."""
        features = self.reading.features
        lists = self._lists(raw)
        first = next(iter(lists))
        counts = lists[first].counts
        for variable, jagged in lists.items():
            check_counts(
                self._name(variable), jagged.counts, self._name(first), counts, self._where, "jets",
                start,
            )  # fmt: skip
        ends = np.cumsum(counts)
        selected = self._selected(lists)

        def values(variable: str) -> npt.NDArray[np.float32]:
            taken = lists[variable].values
            if selected is not None:
                taken = np.where(selected, taken, 0)
            if variable in self.layout.floor_at_zero:
                taken = np.maximum(taken, 0)
            return finite(
                taken,
                self._name(variable),
                self._where,
                lambda position: start + int(np.searchsorted(ends, position, side="right")),
            )

        by = values(features.order_by)
        jets = Jets.placed(counts, by, features.jets, selected)
        for variable in (v.name for v in features.jet):
            column = features.jet_columns(variable).start
            jets.fill(X, column, by if variable == features.order_by else values(variable))
        return jets

    def _selected(self, lists: Mapping[str, Lists]) -> npt.NDArray[np.bool_] | None:
        if not self._selects_jets:
            return None
        objects = self._objects
        return np.asarray(
            (lists["jetPt"].values > objects.jet_pt_min)
            & (np.abs(lists["jetEta"].values) < objects.jet_eta_max)
        )

    def _lists(self, raw: Read) -> dict[str, Lists]:
        """Jets read, variable by variable; of flattened ones those that are there."""
        found: dict[str, Lists] = {}
        flattened: dict[str, Array] = {}
        for variable, origin in self._jets.items():
            if isinstance(origin, Slots):
                flattened[variable] = origin.matrix(raw, self._where)
            else:
                found[variable] = origin.of_jets(raw, self._where)
        if flattened:
            there = self._there(flattened)
            counts = there.sum(axis=1)
            for variable, matrix in flattened.items():
                if matrix.shape != there.shape:
                    raise DataError(
                        f"{self._where} has {matrix.shape[1]} branches for {variable}, and "
                        f"{there.shape[1]} for the other variables of its jets"
                    )
                found[variable] = Lists(matrix[there], counts)
        return {variable: found[variable] for variable in self._jets}

    def _there(self, flattened: Mapping[str, Array]) -> npt.NDArray[np.bool_]:
        """Which slots hold a jet: those of positive pT; without pT, those not padded."""
        if "jetPt" in flattened:
            return np.asarray(flattened["jetPt"] > 0)  # NaN is not above zero either
        by = flattened.get(self.reading.features.order_by, next(iter(flattened.values())))
        return np.asarray(np.isfinite(by) & (by != self.reading.features.padding))

    # What is needed of this file.

    @cached_property
    def _resolver(self) -> Resolver:
        branches = names(self._opened)
        reading = self.reading
        return Resolver(branches, recognise(branches), reading.branches, reading.objects)

    @property
    def _objects(self) -> Objects:
        return self.reading.objects or self.layout.objects or Objects()

    @property
    def _selects_jets(self) -> bool:
        return (self.reading.objects or self.layout.objects) is not None

    @cached_property
    def _event_origins(self) -> dict[str, EventOrigin]:
        return {v.name: self._resolver.event(v.name) for v in self.reading.features.event}

    @cached_property
    def _jets(self) -> dict[str, JetOrigin]:
        """Variables of jets to read, and where they come from; none if no jets are needed."""
        features = self.reading.features
        wanted = [v.name for v in features.jet]
        counted = any(not origin.branches for origin in self._event_origins.values())
        if not wanted and not counted:
            return {}
        if features.order_by not in wanted:
            wanted.append(features.order_by)
        if self._selects_jets or self.layout.slots:
            wanted += [name for name in ("jetPt", "jetEta") if name not in wanted]
        return {name: self._resolver.jet(name) for name in wanted}

    @cached_property
    def _wanted(self) -> list[str]:
        """Branches to read."""
        origins = [*self._event_origins.values(), *self._jets.values()]
        branches = self._resolver.present(origins)
        weight = self.reading.weight
        more = (*self.reading.keep, *([weight] if isinstance(weight, str) else []))
        return list(dict.fromkeys((*branches, *more)))

    def _name(self, variable: str) -> str:
        return self._jets[variable].branches[0]

    @property
    def _where(self) -> str:
        return f"the tree {self.tree!r} of {self.path}"

    def _check_branches(self) -> None:
        if not self.entries:
            raise DataError(f"the tree {self.tree!r} of {self.path} is empty")
        origins = {**self._event_origins, **self._jets}
        missing = self._resolver.missing(list(origins.values()))
        missing += [name for name in self._wanted if name not in self._resolver.branches]
        if not missing:
            return
        there = sorted(self._resolver.branches)
        told = f"its branches are {there}" if len(there) <= 30 else f"it has {len(there)} others"
        raise DataError(
            f"{self._where} has no branch {', '.join(map(repr, dict.fromkeys(missing)))}; "
            f"{told}{hint(missing[0], there)}"
        )

    @property
    def _opened(self) -> Any:
        if self._tree is None:
            raise DataError(f"{self.path} is not open: use it as `with EventFile(...) as file:`")
        return self._tree

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except TfaasError:
            raise
        except Exception as error:  # a damaged file can fail anywhere in the decoding
            why = textwrap.shorten(str(error), 200) or type(error).__name__
            raise DataError(f"{self.path} cannot be read as a ROOT file: {why}") from error


def _numbers(raw: Read, name: str, where: str) -> Array:
    values = raw[name]
    if isinstance(values, Lists):
        raise DataError(f"branch {name!r} of {where} must hold one number per event")
    return values


def _check_complete(path: str, file: Any) -> None:
    """A copy that broke off may still show some of its trees."""
    if is_remote(path) and not is_xrootd(path):  # other servers need not tell the size
        return
    size, expected = file.source.num_bytes, file.fEND
    if size < expected:
        raise DataError(f"{path} is truncated: it has {size} of {expected} bytes; copy it again")


def _tree(file: Any, path: str, wanted: str | None) -> Any:
    kinds = file.classnames(cycle=False)
    trees = sorted(name for name, kind in kinds.items() if kind in _TREES)
    if not trees:
        raise DataError(f"{path} has no tree; it holds {sorted(kinds) or 'nothing'}")
    usual = next((name for name in _DEFAULT_TREES if name in trees), None)
    name = wanted or usual or trees[0]
    if name not in trees or (wanted is None and usual is None and len(trees) > 1):
        what = f"no tree {wanted!r}" if wanted else "more than one tree"
        near = hint(wanted, trees) if wanted else "; say which with tree=..."
        raise DataError(f"{path} has {what}; its trees are {trees}{near}")
    return file[name]
