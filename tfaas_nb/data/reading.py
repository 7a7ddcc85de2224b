"""What is to be read of every file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.expression import Expression
from tfaas_nb.data.origins import Objects
from tfaas_nb.errors import DataError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.options import is_number

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

    Raises
    ------
    DataError
        If the cut or the weight can't be what it is given as.
    """

    features: FeatureSet = TTBAR_ALL_HADRONIC
    tree: str | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    cut: str | Cut | None = None
    weight: str | float | None = None
    keep: tuple[str, ...] = ()
    objects: Objects | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
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
        self.selection  # noqa: B018 (what is wrong with it is said before a file is opened)

    @cached_property
    def selection(self) -> Expression | None:
        """The cut, if it is an expression."""
        return Expression.parse(self.cut) if isinstance(self.cut, str) else None
