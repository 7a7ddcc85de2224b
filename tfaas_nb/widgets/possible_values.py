"""Values that an event can have, as far as that is certain.

A model's ``params.json`` tells names, units and the usual range of its features, not what is
possible.  Only what is certain of a quantity is taken from that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfaas_nb.variables import KNOWN

#: Units of energies, momenta and masses.
_ENERGIES = ("eV", "keV", "MeV", "GeV", "TeV")
#: Counts, such as nJets, PV_npvs or n_leptons.
_COUNT = re.compile(r"n[A-Z]\w*|n_\w+|\w+_n[a-z]\w*")
#: Ratios, distances and moments that are never negative, with the number of their jets.
_POSITIVE = re.compile(
    r"(jetTau\d|tau\d\d|m_over_pT|mSD_over_pT|mSD_over_m|deltaEta|deltaPhi|deltaR|log_(pT|m|mSD))(_\d+)?"
)
_SLOT = re.compile(r"_\d+$")
#: Angles are from -π to π or from 0 to 2π: none is beyond a turn in either direction.
_TURN = round(2 * math.pi, 4)


@dataclass(frozen=True)
class PossibleValues:
    """Smallest and largest value of a variable, None for no limit; True if it is a whole number."""

    low: float | None = None
    high: float | None = None
    whole: bool = False


def possible_values(feature: Mapping[str, Any]) -> PossibleValues:
    """The values that a feature can have.

    Parameters
    ----------
    feature : mapping
        As a model's ``params.json`` tells it: ``name``, and ``unit``, ``low``, ``median`` and
        ``high`` if they are known.
    """
    usual = [float(feature[key]) for key in ("low", "median", "high") if key in feature]
    possible = _of_quantity(_SLOT.sub("", str(feature["name"])), feature.get("unit"), usual)
    low, high = possible.low, possible.high
    if usual and (
        (low is not None and min(usual) < low) or (high is not None and max(usual) > high)
    ):
        return PossibleValues()  # the training has others, whatever the variable is called
    return possible


def _of_quantity(stem: str, unit: str | None, usual: list[float]) -> PossibleValues:
    known = KNOWN.get(stem)
    unit = unit or (known.unit if known else "")
    if unit == "rad":
        return PossibleValues(-_TURN, _TURN)
    if _COUNT.fullmatch(stem) and (known or usual) and all(map(float.is_integer, usual)):
        return PossibleValues(0, None, whole=True)
    is_energy = unit in _ENERGIES and bool(usual or known)
    return PossibleValues(0) if is_energy or _POSITIVE.fullmatch(stem) else PossibleValues()
