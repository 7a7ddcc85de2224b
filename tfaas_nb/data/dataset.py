"""Events as arrays: features, classes, weights, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data import units
from tfaas_nb.data.files import sha256
from tfaas_nb.data.finite import check_events, summary
from tfaas_nb.data.growing import joint_type
from tfaas_nb.data.negative import check_way, treated
from tfaas_nb.data.part import Part, Scaled, check_split, fingerprint
from tfaas_nb.data.sources import Skipped as Skipped
from tfaas_nb.data.sources import Source as Source
from tfaas_nb.data.sources import check_left as check_left
from tfaas_nb.data.tables import events_of, is_path, read_files
from tfaas_nb.data.weightless import warn_of_table
from tfaas_nb.errors import DataError, FeatureError
from tfaas_nb.features import FeatureSet
from tfaas_nb.nearest import did_you_mean
from tfaas_nb.options import check_kind, check_option, is_whole
from tfaas_nb.table import Table, folded

SIGNAL = 1
BACKGROUND = 0
_CLASSES = {"signal": SIGNAL, "background": BACKGROUND}

#: Events that a cell's summary of the features looks at.
_DESCRIBED = 100_000


@dataclass(frozen=True)
class FeatureSummary:
    """Quantiles of a feature where it is present, and the fraction of events that have it.

    Attributes
    ----------
    name, unit : str
        The feature and its unit.
    low, median, high : float
        1 %, 50 % and 99 % quantiles; zero when no event has the jet.
    present : float
        Fraction of events that have the jet.
    """

    name: str
    unit: str
    low: float
    median: float
    high: float
    present: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``params.json``."""
        return asdict(self)


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Events with their classes and weights.

    Attributes
    ----------
    X : numpy.ndarray
        Raw physics values, float32 of shape (events, features).
    y : numpy.ndarray
        Class, int8 of shape (events,): 1 signal, 0 background.
    weight : numpy.ndarray
        Event weights, float32 of shape (events,).
    features : FeatureSet
        What the columns are.
    sources : tuple of Source
        Files the events were read from.
    extra : mapping
        What else was kept of each event, by the name of its branch: shape (events,), of the
        branch's own type; for instance ``run``, ``luminosityBlock`` and ``event``.
    skipped : tuple of Skipped
        Files that could not be read, if the user asked to go on without them.
    part : Part or None
        Which part of a whole sample it is, if it came of `split`: a selection of it stays one.
    scaled : tuple of two bool
        Of background and of signal, whether weights are scaled to a cross-section, so that their
        sums are the events expected.  It is said of these weights and classes: a dataset made
        from this one with others by `dataclasses.replace` has False, if it is not said anew.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float32]
    features: FeatureSet
    sources: tuple[Source, ...] = ()
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    part: Part | None = None
    scaled: tuple[bool, bool] = (False, False)

    def __post_init__(self) -> None:
        self._check_kinds()
        for name in ("X", "y", "weight"):
            found = getattr(self, name)
            if not isinstance(found, np.ndarray):
                raise DataError(
                    f"{name} of a dataset must be a NumPy array, not a {type(found).__name__}: "
                    "tn.Dataset.from_columns(table, y=...) takes a table, by the names of its "
                    "columns"
                )
        expected = (len(self.y), len(self.features))
        if self.X.shape != expected or self.weight.shape != self.y.shape:
            raise DataError(
                f"a dataset of {len(self.y)} events needs X of shape {expected} and weight of "
                f"shape {self.y.shape}, got {self.X.shape} and {self.weight.shape}"
            )
        if not isinstance(self.extra, Mapping):
            raise DataError("extra= of a dataset is a mapping of name to one number per event")
        for name, values in self.extra.items():
            if np.shape(values) != self.y.shape:
                raise DataError(
                    f"{name!r} has shape {np.shape(values)} in a dataset of {len(self.y)} events: "
                    "one number per event is kept"
                )

    def _check_kinds(self) -> None:
        """Refuse attributes that only a later use would stumble over."""
        features = "a FeatureSet, such as tn.FeatureSet('flat', ['a', 'b'])"
        check_kind("features of a dataset", self.features, FeatureSet, features, DataError)
        for name, kind in (("sources", Source), ("skipped", Skipped)):
            several = getattr(self, name)
            right = isinstance(several, (tuple, list)) and all(isinstance(o, kind) for o in several)
            check_option(name, several, right, f"a tuple of {kind.__name__}", DataError)
        part = self.part is None or isinstance(self.part, Part)
        check_option("part", self.part, part, "a part that split() made", DataError)
        object.__setattr__(self, "scaled", Scaled.of(self.scaled, self.y, self.weight))

    @classmethod
    def from_columns(
        cls,
        table: Any,
        y: Any = None,
        features: FeatureSet | Sequence[str] | None = None,
        weight: Any = None,
        keep: Sequence[str] = (),
    ) -> Dataset:
        """Events of a table, with a row for each, whose columns are matched by their names.

        Parameters
        ----------
        table : DataFrame, Arrow table, array, mapping, or path
            A DataFrame of pandas or polars, an Arrow table or record batch, a structured array,
            an awkward array of records, ``{name: array}``, a list of ``{name: value}``; an
            array of shape (events, features), whose columns `features` names in their order; or
            paths, globs or a list of Parquet and CSV files, which need pyarrow.  Values are raw
            physics values (GeV, rad).
        y : str or array of shape (events,), optional
            Name of the column, or values: 1 signal, 0 background.  A number is the class of all
            events; without it they are of unknown class.
        features : FeatureSet or sequence of str, optional
            The features, or the columns that are; other columns are then left out.  By default
            `TTBAR_ALL_HADRONIC`, if the columns are its features and no others.  Columns that hold
            a list of jets for each event, such as ``jetPt``, are ordered and padded as those of
            files are; nothing else is computed of them.
        weight : str or array of shape (events,), optional
            Name of the column of event weights, or the weights; 1 by default.
        keep : sequence of str
            Columns that go into `extra`, for instance run, section and event number, by which
            `overlap` knows events again.

        Raises
        ------
        FeatureError
            If a column is missing, there twice, superfluous where no features are named, or
            holds a value that is missing, not finite or no number.
        DataError
            If there is no row, lengths differ, a class is neither 0 nor 1, a pandas Series has
            another index than the table, or a file cannot be read.
        MissingExtra
            If pyarrow is needed and not installed.

        Examples
        --------
        >>> Dataset.from_columns({"met": [30.0, 95.0]}, y=[0, 1], features=["met"])
        Dataset(1 signal + 1 background events, 1 features)
        """
        files: dict[str, int] = {}
        if is_path(table):
            table, files = read_files(table)
        found = events_of(table, y, features, weight, keep)
        role = _role(found.y)
        sources = tuple(
            Source(Path(path).name, role, "", rows, sha256(path), rows)
            for path, rows in files.items()
        )
        if found.y is None and not files:
            rows = len(found.X)
            sources = (Source(f"{type(table).__name__} in memory", role, "", rows, "", rows),)
        classes = np.zeros(len(found.X), np.int8) if found.y is None else found.y
        units.warn(_doubts(found.X, classes, found.features, sources), 3)
        roles = {role: classes == kind for role, kind in _CLASSES.items()}
        roles = roles if found.y is not None else {"events": np.ones(len(classes), np.bool_)}
        warn_of_table(weight if isinstance(weight, str) else "weight", roles, found.weight)
        return cls(found.X, classes, found.weight, found.features, sources, found.extra)

    def __len__(self) -> int:
        return len(self.y)

    @overload
    def __getitem__(self, events: str) -> npt.NDArray[Any]: ...
    @overload
    def __getitem__(self, events: slice | npt.NDArray[Any] | list[Any]) -> Dataset: ...
    def __getitem__(self, events: Any) -> Dataset | npt.NDArray[Any]:
        """Some of the events, or the column of a name.

        Parameters
        ----------
        events : slice, mask, array of positions, or str
            Events, each once or more often; or the name of a feature (float32, of shape
            (events,), in the feature's unit) or of a branch in `extra` (of its own type).
            A mask is a cut: weights that are scaled to a cross-section still are.  Events that
            are taken by position, or thinned by a slice, are not all that are expected.

        Raises
        ------
        DataError
            If it is none of these, or there are no such events.
        FeatureError
            If neither a feature nor a branch kept beside them has the name.
        """
        if isinstance(events, str):
            return self._column(events)
        events = _chosen(events, len(self))
        # A mask is a cut; events taken by position no longer stand for all that are expected.
        is_cut = isinstance(events, np.ndarray) and events.dtype == bool
        is_whole_sample = isinstance(events, slice) and events == slice(None)
        scaled = (*self.scaled,) if is_cut or is_whole_sample else (False, False)
        return replace(
            self,
            scaled=scaled,
            X=self.X[events],
            y=self.y[events],
            weight=self.weight[events],
            extra={name: values[events] for name, values in self.extra.items()},
        )

    def _column(self, name: str) -> npt.NDArray[Any]:
        if name in self.extra:
            return self.extra[name]
        if name in self.features.names:
            return self.X[:, self.features.names.index(name)]
        near = did_you_mean(name, [*self.features.names, *self.extra])
        raise FeatureError(
            f"the dataset has no column {name!r}{near}; its features are data.features.names, "
            f"what was kept beside them is data.extra ({', '.join(self.extra) or 'nothing'})"
        )

    def check_finite(self) -> None:
        """Refuse events whose features are not finite, as a dataset made by hand may hold them.

        Raises
        ------
        FeatureError
            Naming the first one's feature and position, and how many there are.
        """
        check_events(self.X, self.features.names)

    @property
    def signal(self) -> Dataset:
        """The signal events."""
        chosen: npt.NDArray[np.bool_] = self.y == SIGNAL
        return self[chosen]

    @property
    def background(self) -> Dataset:
        """The background events."""
        chosen: npt.NDArray[np.bool_] = self.y == BACKGROUND
        return self[chosen]

    def event(self, position: int) -> dict[str, float]:
        """One event as ``{feature: value}``, the form a client sends.

        Raises
        ------
        DataError
            If there is no event at that position.
        """
        if not is_whole(position, 0) or position >= len(self):
            raise DataError(f"there is no event {position!s}: the dataset has {len(self)} events")
        return dict(zip(self.features.names, map(float, self.X[position]), strict=True))

    def split(self, test: float = 0.3, seed: int = 1) -> tuple[Dataset, Dataset]:
        """Training and test events, drawn at random with the same class mixture in both.

        Parameters
        ----------
        test : float
            Fraction of the events in the second part, between 0 and 1.
        seed : int
            The same seed gives the same split.

        Raises
        ------
        DataError
            If the fraction or the seed is none, or a class would be missing from either part.
        """
        from sklearn.model_selection import train_test_split

        check_split(test, seed, len(self))
        test, seed = float(test), int(seed)
        try:
            first, second = train_test_split(
                np.arange(len(self)), test_size=test, random_state=seed, stratify=self.y
            )
        except ValueError as error:
            raise DataError(
                f"cannot split {len(self)} events with test={test}: both parts need an event of "
                f"each class or more, and there are {self._counts()}"
            ) from error
        name = f"{test}, {seed}"
        return self._part(np.sort(first), f"{name}, 0"), self._part(np.sort(second), f"{name}, 1")

    def with_negative_weights(self, how: str) -> Dataset:
        """The events of negative weight with the ``"absolute"`` value, or ``"ignore"``-d.

        Raises
        ------
        DataError
            If it is neither of these.
        """
        check_way(how)
        found = treated(self.weight, how)
        if not found.told:
            return self
        return replace(self[found.kept], weight=found.weight, scaled=(False, False))

    def _part(self, events: npt.NDArray[np.int64], piece: str) -> Dataset:
        """Return some of the events, with the part of the whole sample that they are."""
        found = self[events]
        sums, own = _sums(self.y, self.weight), _sums(found.y, found.weight)
        counts = _sums(found.y, np.ones(len(found))), _sums(self.y, np.ones(len(self)))
        shares = [some / max(all_, 1.0) for some, all_ in zip(*counts, strict=True)]
        before = self.part or Part.whole(fingerprint(self.X, self.y, self.weight), sums)
        part = Part.of_split(before, sums, own, (shares[0], shares[1]), piece)
        return replace(found, part=part, scaled=(*self.scaled,))

    def present(self, feature: str) -> npt.NDArray[np.bool_]:
        """Return the mask of the events that have a feature (of a jet: the jet), shape (events,).

        Raises
        ------
        FeatureError
            If there is no such feature.
        """
        features = self.features
        slots = list(features.slots(feature))
        if not slots:
            return np.ones(len(self), dtype=bool)
        if not features.jet:  # then only derived columns tell which jets are there
            return np.asarray(self.X[:, features.column(feature)] != features.padding)
        order = self.X[:, features.jet_columns(features.order_by)]
        return np.asarray((order[:, slots] != features.padding).all(axis=1))

    def summaries(self) -> tuple[FeatureSummary, ...]:
        """The range of every feature, in the order of the columns."""
        return tuple(
            _summary(name, self.features.variable(name).unit, self.X[:, i], self.present(name))
            for i, name in enumerate(self.features.names)
        )

    def describe(self) -> Table:
        """Ranges of the features as a table that shows itself."""
        return Table(
            ("feature", "unit", "1 %", "median", "99 %", "present"),
            tuple(
                (s.name, s.unit, s.low, s.median, s.high, f"{s.present:.1%}")
                for s in self.summaries()
            ),
            caption=repr(self),
        )

    def __repr__(self) -> str:
        skipped = f", files skipped: {len(self.skipped)}" if self.skipped else ""
        treated = summary(source.not_finite for source in self.sources)
        return f"Dataset({self._counts()}, {len(self.features)} features{treated}{skipped})"

    def _counts(self) -> str:
        if not self._has_classes:
            return f"{len(self)} events of unknown class"
        signal = int(np.count_nonzero(self.y == SIGNAL))
        return f"{signal} signal + {len(self) - signal} background events"

    @property
    def _has_classes(self) -> bool:
        """True if `y` holds the classes of the events; not so for events read to be scored."""
        return not self.sources or any(source.role != "events" for source in self.sources)

    def _repr_html_(self) -> str:
        shown = self.files._repr_html_() if self.sources else f"<p>{escape(repr(self))}</p>"
        if doubt := units.doubt(self.X, self.features):
            shown += f"<p><b>{escape(doubt[0].upper() + doubt[1:])}</b></p>"
        if self.skipped:
            rows = tuple((one.file, one.role, one.reason) for one in self.skipped)
            shown += Table(("skipped", "role", "reason"), rows, "Not read:")._repr_html_()
        return shown + self._classes()._repr_html_() + self._ranges()

    def _classes(self) -> Table:
        classes = {"signal": self.signal, "background": self.background}
        rows = tuple(
            (name, len(part), float(part.weight.sum(dtype=np.float64)))
            for name, part in (classes if self._has_classes else {"unknown": self}).items()
        )
        return Table(("class", "events", "sum of weights"), rows)

    def _ranges(self) -> str:
        """The features, folded; of many events some tell the ranges well enough."""
        if not len(self):
            return ""
        some = self[:: -(-len(self) // _DESCRIBED)]
        told = "" if len(some) == len(self) else f", from {len(some)} of the events"
        return folded(
            f"Ranges of the {len(self.features)} features{told}",
            replace(some.describe(), caption=""),
        )

    @property
    def files(self) -> Table:
        """Files and the events kept of them, of which these may be a part.

        Entries stand there, too, where some were cut, and what became of events with values that
        are not finite.
        """
        columns: tuple[str, ...] = ("file", "role", "tree", "entries", "events kept")
        rows: list[tuple[Any, ...]] = [
            (s.file, s.role, s.tree, s.entries, s.events) for s in self.sources
        ]
        if all(s.entries in (0, s.events) for s in self.sources):
            columns = (*columns[:3], "events read")
            rows = [(*row[:3], row[4]) for row in rows]
        if any(s.not_finite for s in self.sources):
            columns = (*columns, "not finite")
            texts = [str(s.not_finite or "") for s in self.sources]
            rows = [(*row, text) for row, text in zip(rows, texts, strict=True)]
        if any(s.absent for s in self.sources):
            columns = (*columns, "read as 0")
            rows = [(*row, ", ".join(s.absent)) for row, s in zip(rows, self.sources, strict=True)]
        kept = sum(s.events for s in self.sources)
        part = "" if kept == len(self) else f", of the {kept} events kept of these files"
        return Table(columns, tuple(rows), f"{self!r}{part}")


def _chosen(events: Any, count: int) -> Any:
    """Check a choice of events and return it as a NumPy index; events may be chosen repeatedly."""
    if isinstance(events, slice):
        ends = (events.start, events.stop, events.step)
        if all(end is None or is_whole(end, -(1 << 62)) for end in ends) and events.step != 0:
            return events
        raise DataError(f"events are sliced by whole numbers, not by {events}")
    chosen = np.asarray(events)
    if chosen.ndim == 1 and chosen.dtype == bool and len(chosen) != count:
        raise DataError(f"a mask of {len(chosen)} values does not fit a dataset of {count} events")
    if chosen.ndim == 1 and (chosen.dtype.kind in "biu" or not len(chosen)):
        return chosen if chosen.dtype == bool else _positions(chosen, count)
    raise DataError(
        f"events are chosen by a slice, a mask or an array of positions, not by {events!r:.100}"
        + ("; data.event(i) gives one event by name" if is_whole(events, -(1 << 62)) else "")
    )


def _positions(chosen: npt.NDArray[Any], count: int) -> npt.NDArray[np.intp]:
    outside = (chosen < -count) | (chosen >= count)
    if outside.any():
        first = chosen[outside.argmax()]
        raise DataError(f"there is no event {first}: the dataset has {count} events")
    return chosen.astype(np.intp)


def check_dataset(data: Any, taker: str) -> None:
    """Refuse what is no dataset: a table's columns are to be found by their names.

    Raises
    ------
    DataError
        If it is none.
    """
    if not isinstance(data, Dataset):
        raise DataError(
            f"{taker} takes a Dataset, not a {type(data).__name__}: "
            "tn.Dataset.from_columns(table, y=...) makes one of a table"
        )


def _role(y: npt.NDArray[np.int8] | None) -> str:
    """The role of a table's file, by the classes of its events."""
    if y is None:
        return "events"
    if (y == y[0]).all():
        return "signal" if y[0] == SIGNAL else "background"
    return "signal and background"


def _sums(y: npt.NDArray[np.int8], weight: npt.NDArray[Any]) -> tuple[float, float]:
    """Sum of the weights of background and of signal."""
    background, signal = (weight[y == kind].sum(dtype=np.float64) for kind in (BACKGROUND, SIGNAL))
    return float(background), float(signal)


def _summary(
    name: str,
    unit: str,
    values: npt.NDArray[np.float32],
    present: npt.NDArray[np.bool_],
) -> FeatureSummary:
    kept = values[present]
    low, median, high = np.quantile(kept, [0.01, 0.5, 0.99]) if len(kept) else (0.0, 0.0, 0.0)
    fraction = len(kept) / len(values) if len(values) else 0.0
    return FeatureSummary(name, unit, float(low), float(median), float(high), fraction)


def _joined(columns: Sequence[npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    kind = joint_type(columns, name)
    return np.concatenate([column.astype(kind, copy=False) for column in columns])


def concatenate(parts: Sequence[Dataset]) -> Dataset:
    """All events of datasets with the same features, in the given order.

    Raises
    ------
    DataError
        If there is nothing to join, feature sets or kept branches differ, or no type holds all
        numbers of a kept branch.
    """
    if not parts:
        raise DataError("there is no dataset to concatenate")
    if any(part.features != parts[0].features for part in parts):
        names = sorted({part.features.name for part in parts})
        raise DataError(f"datasets with different feature sets cannot be joined: {names}")
    if any(part.extra.keys() != parts[0].extra.keys() for part in parts):
        kept = sorted({", ".join(sorted(part.extra)) or "nothing" for part in parts})
        raise DataError(f"datasets that kept different branches cannot be joined: {kept}")
    part = _joined_part(parts)
    return Dataset(
        X=np.concatenate([part.X for part in parts]),
        y=np.concatenate([part.y for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        features=parts[0].features,
        sources=tuple(source for part in parts for source in part.sources),
        extra={
            name: _joined([part.extra[name] for part in parts], name) for name in parts[0].extra
        },
        skipped=tuple(skipped for part in parts for skipped in part.skipped),
        part=part,
        scaled=(_are_scaled(parts, BACKGROUND, part), _are_scaled(parts, SIGNAL, part)),
    )


def _joined_part(parts: Sequence[Dataset]) -> Part | None:
    if all(one.part is None for one in parts):
        return None
    sums = [_sums(one.y, one.weight) for one in parts]
    known = [
        one.part or Part.whole(fingerprint(one.X, one.y, one.weight), own)
        for one, own in zip(parts, sums, strict=True)
    ]
    return Part.joined(known, sums)


def _are_scaled(parts: Sequence[Dataset], kind: int, joined: Part | None) -> bool:
    """Return True if all events of a class are scaled, and are a known part of the whole."""
    own = [part.scaled[kind] for part in parts if (part.y == kind).any()]
    return bool(own) and all(own) and (joined is None or joined.is_known(kind))


def _doubts(
    X: npt.NDArray[np.float32],
    y: npt.NDArray[np.int8],
    features: FeatureSet,
    sources: Sequence[Source],
) -> dict[str, str]:
    """Return the reasons to doubt a table's units, by class: origin and class → reason."""
    name = ", ".join(source.file for source in sources) or "the table"
    parts = {f"{name} ({role})": X[y == kind] for role, kind in _CLASSES.items()}
    return {role: units.doubt(part, features) for role, part in parts.items()}
