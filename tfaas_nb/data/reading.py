"""Specification of a reading: features, selection and weights, the same for every file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.expression import Expression
from tfaas_nb.data.finite import OnNan, check_on_nan
from tfaas_nb.data.origins import Objects
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.features.names import names_in
from tfaas_nb.nearest import did_you_mean
from tfaas_nb.options import check_option, is_number
from tfaas_nb.variables import derived

_MOST_LISTED = 30
_SLOT = re.compile(r"_\d+$")

#: A mask of the events to keep, from the events themselves.
Cut = Callable[[Dataset], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Reading:
    """Specification of a reading, the same for every file.

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
    on_nan : {"error", "skip", "pad"}
        What becomes of selected events with values that are not finite, see
        `tfaas_nb.data.finite`.
    optional : tuple of str
        Branches, or variables, that a file may lack: they are zero there.
    sums_weights : bool
        Whether the sum of the weights of all entries is needed, so that none of them may be
        anything but finite.

    Raises
    ------
    DataError
        If something can't be what it is given as.
    """

    features: FeatureSet = TTBAR_ALL_HADRONIC
    tree: str | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    cut: str | Cut | None = None
    weight: str | float | None = None
    keep: tuple[str, ...] = ()
    objects: Objects | None = None
    timeout: float | None = None
    on_nan: OnNan = "error"
    optional: tuple[str, ...] = ()
    sums_weights: bool = False

    def __post_init__(self) -> None:
        right = isinstance(self.features, FeatureSet)
        check_option("features", self.features, right, "a FeatureSet", DataError)
        if not (self.cut is None or isinstance(self.cut, str) or callable(self.cut)):
            raise DataError(
                f"a selection is text or a function of a Dataset, not {type(self.cut).__name__}"
            )
        number = not isinstance(self.weight, str) and self.weight is not None
        if number and not is_number(self.weight):
            raise DataError(
                f"a weight of {self.weight!r} is not a number to count events with, nor a branch "
                "or an expression as text"
            )
        check_on_nan(self.on_nan)
        self.selection  # noqa: B018 (what is wrong with it is said before a file is opened)
        self._check_names()
        right = self.objects is None or isinstance(self.objects, Objects)
        check_option("objects", self.objects, right, "tn.Objects(...)", DataError)
        right = self.timeout is None or (is_number(self.timeout) and self.timeout > 0)
        check_option("timeout", self.timeout, right, "a positive number of seconds", DataError)

    def _check_names(self) -> None:
        """Refuse a mapping that is none, and names that are no text or are there twice."""
        right = isinstance(self.branches, Mapping)
        check_option("branches", self.branches, right, "a mapping of variable to branch", DataError)
        object.__setattr__(self, "branches", dict(self.branches))
        for variable, branch in self.branches.items():
            if not all(isinstance(name, str) and name for name in (variable, branch)):
                raise DataError(
                    f"branches maps {variable!r} to {branch!r}: both must be names, as text"
                )
        for option in ("keep", "optional"):
            branch_names(getattr(self, option), option)
        if twice := sorted({name for name in self.keep if self.keep.count(name) > 1}):
            raise DataError(f"keep names {', '.join(twice)} more than once: each is kept once")

    def uses(self) -> set[str]:
        """The variables that something in it may need: those that a mapping may name."""
        features = self.features
        used = {v.name for v in (*features.event, *features.jet)}
        needs = [features.derivation(name) for name in features.derived]
        for name in self._in_expressions():
            used |= {name, _SLOT.sub("", name)}
            needs += filter(None, [derived(name)])
        used |= {name for quantity in needs for name in quantity.needs}
        if features.jet or needs or any(name == "nJets" or _SLOT.search(name) for name in used):
            used |= {features.order_by, "jetPt", "jetEta"}
        return used

    def _in_expressions(self) -> list[str]:
        """The names in cut and weight; a weight may be a branch of any name."""
        found = list(self.selection.names) if self.selection else []
        if isinstance(self.weight, str):
            with suppress(DataError):
                found += Expression.parse(self.weight, "weight").names
        return found

    @cached_property
    def selection(self) -> Expression | None:
        """The cut, if it is an expression."""
        return Expression.parse(self.cut) if isinstance(self.cut, str) else None


def branch_names(given: Any, option: str) -> tuple[str, ...]:
    """Names of branches to keep, or of another option; a single one may be given by itself.

    Raises
    ------
    DataError
        If they are no names, or have no order.
    """
    return names_in(given, option, DataError, "names of branches")


def check_mapping(readings: Sequence[Reading]) -> None:
    """Refuse a mapping of variables to branches of which something is used by no reading.

    Parameters
    ----------
    readings : sequence of Reading
        Those of one call, which have the same mapping; their weights may differ.

    Raises
    ------
    DataError
        Naming what nobody uses, and the variable that was probably meant.
    """
    used = {name for reading in readings for name in reading.uses()}
    for variable in readings[0].branches if readings else ():
        if variable not in used:
            slot = _SLOT.sub("", variable)
            meant = f": say {slot!r}, with {{}} for the number of the jet" if slot in used else ""
            meant = meant or did_you_mean(variable, sorted(used))
            more = ", ..." if len(used) > _MOST_LISTED else ""
            raise DataError(
                f"branches maps {variable!r}, which no feature, cut or weight needs{meant}; "
                f"they need {', '.join(sorted(used)[:_MOST_LISTED])}{more}"
            )
