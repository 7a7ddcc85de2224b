"""Origins of variables: a branch, or several and a computation on them.

Each kind of origin names its ``branches``, which must be there, and the ``optional`` ones, which
are read if they are.  Those of per-event variables give ``of_events(...)``, one number per event;
those of per-jet variables ``of_jets(...)``, a list per event.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.branches import Array, Lists, Read
from tfaas_nb.data.jets import Jets
from tfaas_nb.errors import DataError
from tfaas_nb.options import check_option, is_number


@checked_calls(DataError)
@dataclass(frozen=True)
class Objects:
    r"""Selection of jets and leptons in files that hold all reconstructed objects.

    The defaults are the selection of the packaged sample (`tfaas_nb.data.simulation.Selection`).

    Attributes
    ----------
    jet_pt_min, jet_eta_max : float
        Jets above this pT (GeV) and within this \|η\| count; the others are neither in
        ``nJets`` nor in a slot.
    lepton_pt_min, lepton_eta_max : float
        The same for electrons and muons, which make ``nLeptons``.
    lepton_isolation_max : float
        Upper limit of ``pfRelIso03_all``, where the file has it.
    electron_id_min : int
        Lower limit of ``Electron_cutBased``, where the file has it: 1 veto, 2 loose, 3 medium,
        4 tight.  Of muons ``looseId`` is asked, where the file has it.

    Raises
    ------
    DataError
        If a limit is not a number.
    """

    jet_pt_min: float = 200.0
    jet_eta_max: float = 2.4
    lepton_pt_min: float = 20.0
    lepton_eta_max: float = 2.4
    lepton_isolation_max: float = 0.15
    electron_id_min: int = 2

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            right = is_number(value) or (isinstance(value, float) and math.isinf(value))
            check_option(limit.name, value, right, "a number", DataError)


@dataclass(frozen=True)
class Branch:
    """One branch: a number per event, or for a variable of jets a list per event."""

    name: str
    optional: ClassVar[tuple[str, ...]] = ()

    @property
    def branches(self) -> tuple[str, ...]:
        """Branches that must be there."""
        return (self.name,)

    def of_events(self, read: Read, jets: Jets | None, objects: Objects, where: str) -> Array:
        """One number per event, shape (events,)."""
        values = read[self.name]
        if isinstance(values, Lists):
            raise DataError(f"branch {self.name!r} of {where} must hold one number per event")
        return values

    def of_jets(self, read: Read, where: str) -> Lists:
        """The jets of each event."""
        return _lists(read, self.name, where)


@dataclass(frozen=True)
class Sum:
    """The sum of branches with one number per event."""

    branches: tuple[str, ...]
    optional: ClassVar[tuple[str, ...]] = ()

    def of_events(self, read: Read, jets: Jets | None, objects: Objects, where: str) -> Array:
        """One number per event, shape (events,)."""
        parts = [Branch(name).of_events(read, jets, objects, where) for name in self.branches]
        return np.asarray(np.sum(np.stack(parts).astype(np.float64), axis=0))


@dataclass(frozen=True)
class Number:
    """Constant number for all events."""

    value: float
    branches: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()

    def of_events(self, read: Read, jets: Jets | None, objects: Objects, where: str) -> Array:
        """The number, of shape ()."""
        return np.asarray(self.value)


@dataclass(frozen=True)
class JetCount:
    """The number of jets that count."""

    branches: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()

    def of_events(self, read: Read, jets: Jets | None, objects: Objects, where: str) -> Array:
        """One number per event, shape (events,)."""
        assert jets is not None, "whoever counts jets reads them"
        return jets.counts


@dataclass(frozen=True)
class Leptons:
    """A collection of leptons: the branches that select them.

    Attributes
    ----------
    pt, eta : str
        Must be there.
    isolation, identification : str
        Asked if they are there.
    threshold : callable
        Objects → least value of the identification.
    """

    pt: str
    eta: str
    isolation: str = ""
    identification: str = ""
    threshold: Callable[[Objects], float] = lambda objects: 1

    @classmethod
    def named(cls, collection: str) -> Leptons:
        """Make a collection of which only the name is known."""
        return cls(f"{collection}_pt", f"{collection}_eta")

    @property
    def collection(self) -> str:
        """Prefix of the branches of the collection."""
        return self.pt.removesuffix("_pt")

    @property
    def optional(self) -> tuple[str, ...]:
        """Branches that are read if they are there."""
        return tuple(filter(None, (self.isolation, self.identification)))

    def count(self, read: Read, objects: Objects, where: str) -> npt.NDArray[np.int64]:
        """Count the selected leptons of each event."""
        pt = _lists(read, self.pt, where)
        selected = pt.values > objects.lepton_pt_min
        selected &= np.abs(self._same(read, self.eta, pt, where)) < objects.lepton_eta_max
        if self.isolation in read:
            isolation = self._same(read, self.isolation, pt, where)
            selected &= isolation < objects.lepton_isolation_max
        if self.identification in read:
            identified = self._same(read, self.identification, pt, where)
            selected &= identified >= self.threshold(objects)
        event = np.repeat(np.arange(len(pt.counts)), pt.counts)
        return np.bincount(event[selected], minlength=len(pt.counts))

    def unjudged(
        self, read: Read, objects: Objects, where: str
    ) -> Iterator[tuple[str, npt.NDArray[np.int64], Array]]:
        """Values that are not finite of leptons that the others of their values do not rule out.

        Yields
        ------
        tuple of (str, numpy.ndarray, numpy.ndarray)
            Branch, and each value's event and the value, shape (values,).
        """
        pt = _lists(read, self.pt, where)
        limits: dict[str, Callable[[Array], Array]] = {
            self.pt: lambda v: v > objects.lepton_pt_min,
            self.eta: lambda v: np.abs(v) < objects.lepton_eta_max,
            self.isolation: lambda v: v < objects.lepton_isolation_max,
            self.identification: lambda v: v >= self.threshold(objects),
        }
        values = {name: self._same(read, name, pt, where) for name in limits if name in read}
        bad = {name: ~np.isfinite(own) for name, own in values.items() if own.dtype.kind == "f"}
        if not any(mask.any() for mask in bad.values()):
            return
        passes = np.ones(len(pt.values), dtype=bool)
        for name, own in values.items():
            passes &= limits[name](own) | bad.get(name, False)
        event = np.repeat(np.arange(len(pt.counts)), pt.counts)
        for name, mask in bad.items():
            if (unjudged := mask & passes).any():
                yield name, event[unjudged], values[name][unjudged]

    def _same(self, read: Read, name: str, pt: Lists, where: str) -> Array:
        lists = _lists(read, name, where)
        check_counts(name, lists.counts, self.pt, pt.counts, where, "leptons")
        return lists.values


@dataclass(frozen=True)
class LeptonCount:
    """The number of selected leptons, of one collection for each kind.

    Attributes
    ----------
    kinds : tuple of tuple of Leptons
        For electrons and for muons the collections that may hold them; the first counts.
    """

    kinds: tuple[tuple[Leptons, ...], ...]

    @property
    def collections(self) -> tuple[Leptons, ...]:
        """Collections of leptons to be counted."""
        return tuple(kind[0] for kind in self.kinds)

    def among(self, branches: Container[str]) -> LeptonCount:
        """Return the count with the collections that the file has first."""
        return LeptonCount(
            tuple(tuple(sorted(kind, key=lambda c: c.pt not in branches)) for kind in self.kinds)
        )

    def advice(self, branches: Container[str]) -> str:
        """Return advice on a kind of leptons that the file lacks; empty if none is missing."""
        absent = [kind for kind in self.kinds if kind[0].pt not in branches]
        if not absent:
            return ""
        sought = "; ".join(", ".join(c.collection for c in kind) for kind in absent)
        there = next((k[0].collection for k in self.kinds if k[0].pt in branches), "Electron")
        return (
            f"leptons were looked for as {sought}: say branches={{'nLeptons': {there!r}}} to count "
            "that collection only (of several, with commas between), a branch that holds their "
            "number, or {'nLeptons': '0'}"
        )

    @property
    def branches(self) -> tuple[str, ...]:
        """Branches that must be there."""
        return tuple(name for c in self.collections for name in (c.pt, c.eta))

    @property
    def optional(self) -> tuple[str, ...]:
        """Branches that are read if they are there."""
        return tuple(name for c in self.collections for name in c.optional)

    def of_events(self, read: Read, jets: Jets | None, objects: Objects, where: str) -> Array:
        """One number per event, shape (events,)."""
        counts = [c.count(read, objects, where) for c in self.collections]
        return np.asarray(np.sum(np.stack(counts), axis=0))

    def unjudged(
        self, read: Read, objects: Objects, where: str
    ) -> Iterator[tuple[str, npt.NDArray[np.int64], Array]]:
        """Yield `Leptons.unjudged` of all collections."""
        for leptons in self.collections:
            yield from leptons.unjudged(read, objects, where)


@dataclass(frozen=True)
class Mass:
    """Masses of jets from their energy, for files that hold (pT, η, φ, E)."""

    pt: str
    eta: str
    energy: str
    optional: ClassVar[tuple[str, ...]] = ()

    @property
    def branches(self) -> tuple[str, ...]:
        """Branches that must be there."""
        return (self.pt, self.eta, self.energy)

    def of_jets(self, read: Read, where: str) -> Lists:
        """The jets of each event."""
        energy = _lists(read, self.energy, where)
        parts = {name: _lists(read, name, where) for name in (self.pt, self.eta)}
        for name, part in parts.items():
            check_counts(name, part.counts, self.energy, energy.counts, where, "jets")
        with np.errstate(over="ignore", invalid="ignore"):  # infinities are refused later
            momentum = parts[self.pt].values.astype(np.float64) * np.cosh(
                parts[self.eta].values.astype(np.float64)
            )
            squared = energy.values.astype(np.float64) ** 2 - momentum**2
            return Lists(np.sqrt(np.maximum(squared, 0.0)), energy.counts, energy.is_fixed)


@dataclass(frozen=True)
class Slots:
    """A branch for each jet, one number per event: ``jetPt_0``, ``jetPt_1`` ..."""

    branches: tuple[str, ...]
    optional: ClassVar[tuple[str, ...]] = ()

    def matrix(self, read: Read, where: str) -> Array:
        """Return the values of the branches, shape (events, branches)."""
        columns = []
        for name in self.branches:
            values = read[name]
            if isinstance(values, Lists):
                raise DataError(f"branch {name!r} of {where} must hold one number per event")
            columns.append(values)
        return np.stack(columns, axis=1)


EventOrigin = Branch | Sum | Number | JetCount | LeptonCount
JetOrigin = Branch | Mass | Slots


def _lists(read: Read, name: str, where: str) -> Lists:
    values = read[name]
    if not isinstance(values, Lists):
        raise DataError(f"branch {name!r} of {where} must hold a list of numbers per event")
    return values


def check_counts(
    name: str,
    own: npt.NDArray[Any],
    other: str,
    counts: npt.NDArray[Any],
    where: str,
    what: str,
    first: int = 0,
) -> None:
    """Refuse branches of the same objects that have different numbers of them.

    Raises
    ------
    DataError
        Naming both branches and the first event where they differ.
    """
    if not np.array_equal(own, counts):
        event = int((own != counts).argmax())
        raise DataError(
            f"branch {name!r} of {where} has {own[event]} {what} in event {first + event}, "
            f"{other!r} has {counts[event]}"
        )
