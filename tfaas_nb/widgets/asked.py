"""Contents of the fields of a data panel, and checks of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfaas_nb.data.expression import Expression
from tfaas_nb.data.finite import OnNan
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import OnError
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet


@dataclass(frozen=True)
class Asked:
    """Contents of the fields of a data panel.

    Attributes
    ----------
    files : mapping
        Role → files, of the classes for which some are named.
    features : FeatureSet
        The columns.
    tree : str or None
        The tree.
    branches : str
        ``variable = branch`` between commas.
    cut, weight : str
        Expressions, or empty.
    on_error : {"stop", "skip"}
        What an unreadable file does.
    memory : float or None
        Megabytes of events in memory, if they are read when they are needed; else None.
    on_nan : {"error", "skip", "pad"}
        What becomes of events with values that are not finite.
    optional : str
        Branches that some files may lack, between commas.
    """

    files: Mapping[str, list[str]]
    features: FeatureSet
    tree: str | None = None
    branches: str = ""
    cut: str = ""
    weight: str = ""
    on_error: OnError = "stop"
    memory: float | None = None
    on_nan: OnNan = "error"
    optional: str = ""

    def reading(self) -> Reading:
        """Make the description of the events to be read.

        Raises
        ------
        DataError
            If a field is not what it should be; the message shows the place.
        """
        if self.weight:
            Expression.parse(self.weight, "weight")  # told before a file is opened
        return Reading(
            self.features,
            self.tree,
            self.mapping(),
            self.cut or None,
            self.weight or None,
            on_nan=self.on_nan,
            optional=self.absent(),
        )

    def absent(self) -> tuple[str, ...]:
        """The branches that some files may lack."""
        return tuple(filter(None, map(str.strip, self.optional.split(","))))

    def mapping(self) -> dict[str, str]:
        """Variable → branch, as the field says.

        Raises
        ------
        DataError
            If something between two commas is not ``variable = branch``, or a variable is there
            twice.
        """
        return mapping_in(self.branches)

    def inspected(self) -> dict[str, str]:
        """The part of the mapping that the features need; the cut and the weight need others."""
        used = Reading(self.features).uses()
        return {name: branch for name, branch in self.mapping().items() if name in used}


def mapping_in(text: str) -> dict[str, str]:
    """Variable → branch, of a text with ``variable = branch`` between commas.

    Raises
    ------
    DataError
        If something between two commas is not ``variable = branch``, or a variable is there
        twice.
    """
    found: dict[str, str] = {}
    for item in filter(None, map(str.strip, text.split(","))):
        variable, _, branch = map(str.strip, item.partition("="))
        if not variable or not branch:
            raise DataError(
                f"{item!r} says no branch: write variable = branch, "
                "for instance jetMassSoftDrop = FatJet_msoftdrop"
            )
        if variable in found:
            raise DataError(f"{variable} is mapped to {found[variable]} and to {branch}")
        found[variable] = branch
    return found


def check_expression(text: str, what: str = "selection") -> None:
    """Refuse a selection, or a weight, that is no expression.

    Raises
    ------
    DataError
        If it is none; the message shows the place.
    """
    if text.strip():
        Expression.parse(text.strip(), what)
