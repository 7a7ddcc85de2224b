"""What simulated events stand for: cross-section × luminosity / sum of weights."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from tfaas_nb.data.files import Files
from tfaas_nb.errors import DataError

_PB_IN_FB = 1000.0


@dataclass(frozen=True)
class Sample:
    """Files of one process, and how many events of it are expected.

    Each event counts its own weight × cross-section × luminosity / Σ weights, the sum running
    over all events before the selection; so the weights of the selected ones add up to the
    number of events expected to be selected.  Without a cross-section an event counts its own
    weight.

    Attributes
    ----------
    files : path, glob, or list of them
        All files of the process: the sum of weights is over all of them.
    xsec : float, optional
        Cross-section in pb, filter efficiencies and branching fractions included.
    lumi : float, optional
        Integrated luminosity in fb⁻¹; 1 if it is not given.
    weight : str or float, optional
        Weight of an event: a branch (``"genWeight"``), an expression
        (``"genWeight * puWeight"``) or a number; by default 1.
    sum_weights : float, optional
        Σ weights, where the files do not tell it, for instance because events were skimmed.
        By default it is that of NanoAOD's ``Runs`` tree, or is summed over all entries; see
        `tfaas_nb.data.event_file.EventFile.sum_of_weights`.

    Raises
    ------
    DataError
        If a number is not finite and positive (``sum_weights`` may be negative), or there is a
        luminosity without a cross-section.
    """

    files: Files
    xsec: float | None = None
    lumi: float | None = None
    weight: str | float | None = None
    sum_weights: float | None = None

    def __post_init__(self) -> None:
        for name in ("xsec", "lumi"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise DataError(f"{name}={value} of a sample must be a positive number")
        if self.xsec is None and (self.lumi, self.sum_weights) != (None, None):
            raise DataError(
                "a sample with a luminosity or a sum of weights needs its cross-section, "
                "xsec= in pb"
            )

    @property
    def is_normalised(self) -> bool:
        """Whether events are scaled to a cross-section, for which Σ weights must be known."""
        return self.xsec is not None

    def factor(self, sum_weights: float) -> float:
        """What the weight of each event is multiplied by.

        Parameters
        ----------
        sum_weights : float
            As the files tell it; the sample's own, if given, goes before.

        Raises
        ------
        DataError
            If the sum of weights is zero or not finite.
        """
        if self.xsec is None:
            return 1.0
        total = sum_weights if self.sum_weights is None else self.sum_weights
        if not math.isfinite(total) or total == 0:
            raise DataError(
                f"the weights of {self.files} add up to {total}: no cross-section can be scaled to"
            )
        return self.xsec * _PB_IN_FB * (1.0 if self.lumi is None else self.lumi) / total


#: Files of a class: paths, globs, samples, or a list of these.
Samples = Files | Sample | Sequence[str | os.PathLike[str] | Sample]


def samples(given: Samples) -> list[Sample]:
    """Samples in the order in which they were given; files without one are one sample."""
    if isinstance(given, (str, os.PathLike, Sample)):
        given = [given]
    found: list[Sample] = []
    plain: list[str | os.PathLike[str]] = []
    for one in given:
        if isinstance(one, Sample):
            found.append(one)
        else:
            plain.append(one)
    if plain or not found:
        found.append(Sample(plain))
    return found
