"""Normalisation of simulated events: cross-section × luminosity / sum of weights."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.files import Files, Named
from tfaas_nb.data.generated import GENERATOR_WEIGHT, Generated, check_sums
from tfaas_nb.errors import DataError
from tfaas_nb.options import check_kind, check_option, is_number

_PB_IN_FB = 1000.0
#: Least and largest numbers that can be meant, their unit, and one to compare with.
_RANGES = {
    "xsec": (1e-15, 1e15, "pb", "protons collide inelastically with about 8e10 pb at 13 TeV"),
    "lumi": (1e-12, 1e9, "fb⁻¹", "the LHC gives about 100 fb⁻¹ in a good year"),
}
#: A weight is multiplied by less than this, and by more than its inverse, or a float32 of it
#: is infinite or 0.
_LARGEST_FACTOR = 1e30
_NAMED = 3  # files, in a warning


@checked_calls(DataError)
@dataclass(frozen=True)
class Sample:
    """Files of one process, and how many events of it are expected.

    Each event counts its own weight × cross-section × luminosity / Σ weights, the sum running
    over all events before the selection; so the weights of the selected ones add up to the
    number of events expected to be selected.  Without a cross-section an event counts its own
    weight.

    Attributes
    ----------
    files : path, glob, mapping, or list of them
        All files of the process: the sum of weights is over all of them.
    xsec : float, optional
        Cross-section in pb, filter efficiencies and branching fractions included.
    lumi : float, optional
        Integrated luminosity in fb⁻¹; 1 if it is not given.
    weight : str or float, optional
        Weight of an event: a branch (``"genWeight"``), an expression
        (``"genWeight * puWeight"``) or a number; by default 1.
    sum_weights : float, optional
        Σ weights of all events that were generated, where the files do not tell it, for
        instance because events were skimmed.  By default it is that of NanoAOD's ``Runs`` tree
        if the weight is a number or ``genWeight``, times constants; else it is summed over all
        entries, which is refused where ``Runs`` tells that there were more.

    Raises
    ------
    DataError
        If a number is not finite and positive (``sum_weights`` may be negative, not zero) or is
        absurdly small or large, or there is a luminosity without a cross-section.
    """

    files: Files
    xsec: float | None = None
    lumi: float | None = None
    weight: str | float | None = None
    sum_weights: float | None = None

    def __post_init__(self) -> None:
        kinds = (str, os.PathLike, Mapping, list, tuple)
        check_kind("files of a sample", self.files, kinds, "a path or a list of paths", DataError)
        right = self.weight is None or isinstance(self.weight, str) or is_number(self.weight)
        check_option("weight", self.weight, right, "a branch, an expression or a number", DataError)
        for name, (least, most, unit, such) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not (is_number(value) and least <= value <= most):
                raise DataError(
                    f"{name}={value!r:.100} of a sample must be a positive number of {unit}, from "
                    f"{least:g} to {most:g}: {such}"
                )
        total = self.sum_weights
        if total is not None and not (is_number(total) and total):
            raise DataError(
                f"sum_weights={total!r} of a sample must be a number other than 0, the sum of "
                "the weights of all events that were generated"
            )
        if self.xsec is None and (self.lumi, self.sum_weights) != (None, None):
            raise DataError(
                "a sample with a luminosity or a sum of weights needs its cross-section, "
                "xsec= in pb"
            )

    @property
    def is_normalised(self) -> bool:
        """True if events are scaled to a cross-section, for which Σ weights must be known."""
        return self.xsec is not None

    @property
    def sums_weights(self) -> bool:
        """True if the sum of weights is taken from the files."""
        return self.is_normalised and self.sum_weights is None

    def check(self, files: Sequence[Generated]) -> None:
        """Refuse files whose weights cannot be added up, if they have to be.

        Raises
        ------
        WeightError
            Naming the file, and the way on.
        """
        if self.sums_weights:
            check_sums(files)

    def warn(self, files: Sequence[Generated], stacklevel: int = 8) -> None:
        """Warn if events of negative generator weight count as those of positive weight do."""
        negative, positive = (any(file.signs[i] for file in files) for i in (0, 1))
        if negative and positive:
            names = ", ".join(os.path.basename(file.path) for file in files[:_NAMED])
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            warnings.warn(
                f"the events of {names}{more} have {GENERATOR_WEIGHT} of both signs, and count 1 "
                f"each, since the sample has a cross-section and no weight: say "
                f"weight={GENERATOR_WEIGHT!r}, or weight=1 if that is meant",
                stacklevel=stacklevel,
            )

    def factor(self, sum_weights: float) -> float:
        """Return the factor by which the weight of each event is multiplied.

        Parameters
        ----------
        sum_weights : float
            As the files tell it; the sample's own, if given, goes before.

        Raises
        ------
        DataError
            If the sum of weights is zero, not finite, or such that no weight would stay a number.
        """
        if self.xsec is None:
            return 1.0
        total = sum_weights if self.sum_weights is None else self.sum_weights
        if not math.isfinite(total) or total == 0:
            raise DataError(
                f"the weights of {self.files} add up to {total}: no cross-section can be scaled to"
            )
        factor = self.xsec * _PB_IN_FB * (1.0 if self.lumi is None else self.lumi) / total
        if not 1 / _LARGEST_FACTOR < abs(factor) < _LARGEST_FACTOR:
            raise DataError(
                f"the weights of {self.files} add up to {total:g}: to scale them to "
                f"xsec={self.xsec:g} each would be multiplied by {factor:.3g}, which no weight "
                "survives; is that the right weight, or sum_weights=?"
            )
        return factor


#: Files of a class: paths, globs, mappings of them to trees, samples, or a list of these.
Samples = Files | Sample | Sequence[Named | Sample]


def samples(given: Samples) -> list[Sample]:
    """Samples in the order in which they were given; files without one are one sample."""
    if isinstance(given, (str, bytes, os.PathLike, Mapping, Sample)) or not isinstance(
        given, Iterable
    ):
        given = [given]  # what cannot name a file is refused as one of a list is
    found: list[Sample] = []
    plain: list[Named] = []
    for one in given:
        if isinstance(one, Sample):
            found.append(one)
        else:
            plain.append(one)
    if plain or not found:
        found.append(Sample(plain))
    return found
