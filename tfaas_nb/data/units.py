"""Momenta and masses that can hardly be in GeV.

Files in TeV or MeV read well and train well, and a model that is asked in GeV then answers
nonsense.  The median of a momentum or a mass of jets tells: below a few GeV nothing is
reconstructed, above the energy of the LHC's beams nothing is produced.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.features import FeatureSet

#: Medians in GeV between which nothing is said.
_LEAST, _MOST = 5.0, 7000.0
#: Events that are looked at, numbers below which a median says little, files that are named.
_EVENTS, FEW, _NAMED = 1000, 10, 3

Floats = npt.NDArray[np.float32]


def doubt(X: Floats, features: FeatureSet) -> str:
    """Reason to doubt that momenta and masses are in GeV, in words; empty if there is none.

    Parameters
    ----------
    X : numpy.ndarray
        Features, float32 of shape (events, features); some of the events are looked at.
    features : FeatureSet
        What the columns are.
    """
    some = X[:: max(1, len(X) // _EVENTS)][:_EVENTS]
    medians = {
        name: float(np.median(values))
        for name, values in _in_gev(some, features)
        if len(values) >= FEW
    }
    small = {name: median for name, median in medians.items() if abs(median) < _LEAST}
    large = {name: median for name, median in medians.items() if abs(median) > _MOST}
    if small:
        return f"{_listed(small)}, below {_LEAST:g} GeV: are they in TeV?"
    if large:
        return f"{_listed(large)}, above {_MOST:g} GeV: are they in MeV?"
    if len(some) >= _EVENTS and _lacks_jets(some, features):
        return f"none of {len(some)} events has a jet: are momenta in TeV, and cut in GeV?"
    return ""


def warn(doubts: Mapping[str, str], stacklevel: int = 2) -> None:
    """Warn of files whose units are in doubt.

    Parameters
    ----------
    doubts : mapping
        File → its doubt, or nothing.
    stacklevel : int
        As for `warnings.warn`, from who calls this.
    """
    files = [file for file, found in doubts.items() if found]
    if not files:
        return
    named = ", ".join(files[:_NAMED])
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    warnings.warn(
        f"in {named}{more} {doubts[files[0]]} They are taken as GeV, in which models are trained "
        "and asked; convert them if they are not",
        stacklevel=stacklevel + 1,
    )


def _in_gev(X: Floats, features: FeatureSet) -> Iterator[tuple[str, Floats]]:
    """The variables in GeV and their values, of jets those that are there."""
    for column, variable in enumerate(features.event):
        if variable.unit == "GeV":
            yield variable.name, X[:, column]
    for variable in features.jet:
        if variable.unit == "GeV":
            yield variable.name, X[:, features.jet_columns(variable.name)][_there(X, features)]


def _there(X: Floats, features: FeatureSet) -> npt.NDArray[np.bool_]:
    return np.asarray(X[:, features.jet_columns(features.order_by)] != features.padding)


def _lacks_jets(X: Floats, features: FeatureSet) -> Any:
    return features.jet and not _there(X, features).any()


def _listed(medians: Mapping[str, float]) -> str:
    return "the median of " + ", ".join(f"{n} is {value:.3g}" for n, value in medians.items())
