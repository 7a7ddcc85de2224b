"""Groups of features that tell the same: clusters of their rank correlations.

Rank correlations (Spearman's ρ, with event weights) are computed separately for signal and for
background, as TMVA's correlation matrices are, between features that an event has both; the
larger |ρ| counts.  Azimuths have no order: that of two of them is the resultant length of the
differences or sums of their ranks as angles (N. I. Fisher, A. J. Lee, Biometrika 69 (1982) 315),
so that back-to-back jets are correlated.  Average linkage on 1 − |ρ| then joins groups as long as
the mean |ρ| between their members is `THRESHOLD` or more.  Clustering rank correlations before
features are shuffled is what scikit-learn documents ("Permutation Importance with Multicollinear
or Correlated Features"); to shuffle the members of a group together instead of keeping one of
them is the grouped importance of B. Gregorutti, B. Michel, P. Saint-Pierre, Comput. Stat. Data
Anal. 90 (2015) 15.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.nearest import did_you_mean

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Mean |ρ| from which on groups of features are joined.
THRESHOLD = 0.5

#: A correlation nearer to zero than so many of its standard deviations, 1/√(n − 1), counts as
#: zero: of the few events with five jets, some pairs of features would else be alike by chance.
_SIGNIFICANT = 5.0

#: Spellings of `groups` that are no groups of a user's own.
CORRELATED, SINGLE = "correlated", "single"

Groups = str | Mapping[str, Sequence[str]] | Sequence[Sequence[str]] | None


@dataclass(frozen=True)
class Group:
    """Features that are shuffled or dropped together.

    Attributes
    ----------
    name : str
        Short name, for axes.
    members : tuple of str
        Features or variables in it.
    columns : tuple of int
        Their columns.
    """

    name: str
    members: tuple[str, ...]
    columns: tuple[int, ...]

    @classmethod
    def of(
        cls, members: Sequence[str], units: Mapping[str, Sequence[int]], name: str = ""
    ) -> Group:
        """Join the columns of units, named after the first of them."""
        columns = dict.fromkeys(column for one in members for column in units[one])
        return cls(name or _short(members), tuple(members), tuple(columns))


def grouped(data: Dataset, by: str, groups: Groups) -> list[Group]:
    """Groups of a dataset's features.

    Parameters
    ----------
    data : Dataset
        Events whose correlations count.
    by : str
        Unit of the groups: ``"feature"``, or ``"variable"``, which has the columns of all jets.
    groups : str, mapping, sequence or None
        ``"correlated"``: clusters. ``"single"`` or None: each unit alone.  Or groups of a
        user's choice, ``{name: names}`` or ``[names, names]``, of features or variables.

    Raises
    ------
    DataError
        If `by` is neither, or a group is empty, names one twice, or names what is not there.
    """
    units = _units(data.features, by)
    if groups is None or (isinstance(groups, str) and groups == SINGLE):
        return [Group.of([name], units) for name in units]
    if isinstance(groups, str):
        if groups != CORRELATED:
            raise _wrong(groups)
        return _named([Group.of(members, units) for members in clusters(data, units)], units)
    return _chosen(data.features, groups)


def doubt(data: Dataset) -> str:
    """Sentence about correlations that too few events of a class hide; empty if there are enough.

    Parameters
    ----------
    data : Dataset
        Events whose correlations count.
    """
    told = []
    for kind, name in ((1, "signal"), (0, "background")):
        weight = data.weight[(data.y == kind) & (data.weight > 0)].astype(float)
        events = _effective(weight)
        if events <= 1 + _SIGNIFICANT**2:
            told.append(f"none in {name} ({events:.3g} effective events)")
        elif (least := _SIGNIFICANT / math.sqrt(events - 1)) > THRESHOLD:
            told.append(f"only those above {least:.2f} in {name} ({events:.3g} effective events)")
    if not told:
        return ""
    return (
        f"Few events tell correlations from chance: {', '.join(told)}; features that belong "
        "together may have been shuffled apart, which overstates what they are worth"
    )


def _units(features: FeatureSet, by: str) -> dict[str, list[int]]:
    """Columns of each feature or variable, by its name."""
    if not isinstance(by, str):
        raise DataError(f"importance is by 'feature' or by 'variable', not by {by!r:.100}")
    if by == "feature":
        return {name: [i] for i, name in enumerate(features.names)}
    if by == "variable":
        units: dict[str, list[int]] = {}
        for i, name in enumerate(features.names):
            units.setdefault(features.variable(name).name, []).append(i)
        return units
    raise DataError(f"importance is by 'feature' or by 'variable', not by {by!r}")


def _chosen(features: FeatureSet, groups: Any) -> list[Group]:
    """Groups of a user's choice, which may be of features and of variables."""
    named = isinstance(groups, Mapping)
    if not named and (isinstance(groups, str) or not isinstance(groups, Collection)):
        raise _wrong(groups)
    items = list(groups.items()) if named else [("", members) for members in groups]
    units = _units(features, "variable") | _units(features, "feature")
    chosen = [_group(name, members, units, named) for name, members in items]
    alike = {(group.name if named else frozenset(group.columns)) for group in chosen}
    if not chosen or len(alike) != len(chosen):
        raise DataError("groups= names no group, or one twice: give {'name': [features], ...}")
    return chosen if named else _named(chosen, units)


def _named(groups: Sequence[Group], units: Collection[str]) -> list[Group]:
    """Groups of which no two have one name, and none of several has that of a feature."""
    short = Counter(group.name for group in groups)
    taken = {name for name, count in short.items() if count > 1} | set(units)
    found: list[Group] = []
    for group in groups:
        if len(group.members) > 1 and group.name in taken:
            whole = " + ".join(group.members)
            names = (whole, *(f"{whole} ({number})" for number in range(2, 2 + len(taken))))
            group = replace(group, name=next(name for name in names if name not in taken))
        taken.add(group.name)
        found.append(group)
    return found


def _group(name: Any, members: Any, units: Mapping[str, list[int]], named: bool) -> Group:
    if named and isinstance(members, str):
        members = [members]
    # Of a set the first member, by which the group is named, would change from run to run.
    has_order = not isinstance(members, (str, Mapping, set, frozenset))
    if not (has_order and isinstance(members, Collection)):
        raise _wrong(members)
    members = list(members)
    if not members or not isinstance(name, str) or (named and not name):
        raise DataError(f"the group {name!r} of {members!r} has no name, or no features")
    for one in members:
        if not isinstance(one, str) or one not in units:
            raise DataError(
                f"groups= names {one!r}, which is no feature and no variable"
                f"{did_you_mean(str(one), list(units))}"
            )
    group = Group.of(members, units, name)
    if len(group.columns) != sum(len(units[one]) for one in members):
        raise DataError(f"the group {members!r} names a feature twice")
    return group


def _wrong(groups: Any) -> DataError:
    return DataError(
        "groups= is 'correlated', 'single', or groups of names such as "
        f"{{'mass': ['jetMass', 'jetMassSoftDrop']}} or [['jetMass', 'jetMassSoftDrop']], not "
        f"{groups!r:.100}"
    )


def _short(members: Sequence[str]) -> str:
    return members[0] if len(members) == 1 else f"{members[0]} + {len(members) - 1} more"


def clusters(data: Dataset, units: Mapping[str, Sequence[int]]) -> list[list[str]]:
    """Names of the units in each cluster, in the order of the units."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    names = list(units)
    if len(names) < 2:
        return [[name] for name in names]
    likeness = _between(rank_correlations(data), list(units.values()))
    tree = linkage(squareform(1 - likeness, checks=False), "average")
    found: dict[int, list[str]] = {}
    labels = fcluster(tree, 1 - THRESHOLD, "distance")
    for name, label in zip(names, labels, strict=True):
        found.setdefault(int(label), []).append(name)
    return list(found.values())


def _between(correlations: Floats, columns: Sequence[Sequence[int]]) -> Floats:
    """Largest correlation between columns of each two units, shape (units, units)."""
    starts = np.cumsum([0, *map(len, columns[:-1])])
    order = np.concatenate(columns)
    rows = np.maximum.reduceat(correlations[np.ix_(order, order)], starts, axis=0)
    found: Floats = np.maximum.reduceat(rows, starts, axis=1)
    return found


def rank_correlations(data: Dataset) -> Floats:
    """|ρ| of each two features, the larger one of signal and background.

    Returns
    -------
    numpy.ndarray
        Shape (features, features); zero where it is not significant.
    """
    names = data.features.names
    present = np.array([data.present(name) for name in names])
    circular = np.array([_is_azimuth(data.features.variable(name)) for name in names])
    found = np.zeros((len(present), len(present)))
    for kind in (0, 1):
        used = (data.y == kind) & (data.weight > 0)
        weight = data.weight[used].astype(float)
        of_class = _of_class(data.X[used], weight, present[:, used], circular)
        np.maximum(found, of_class, out=found)
    return found


def _is_azimuth(variable: Variable) -> bool:
    name = variable.name.lower()
    return variable.unit == "rad" and name.endswith("phi") and "delta" not in name


def _of_class(X: npt.NDArray[Any], weight: Floats, present: Mask, circular: Mask) -> Floats:
    """Rank correlations between the columns of events of one class."""
    found = np.zeros((len(present), len(present)))
    masks, which = np.unique(present, axis=0, return_inverse=True)
    alike = [np.flatnonzero(which.ravel() == k) for k in range(len(masks))]
    for a, rows in enumerate(alike):
        for b in range(a, len(alike)):
            both = masks[a] & masks[b]
            columns = rows if a == b else np.concatenate([rows, alike[b]])
            part = _correlations(X[np.ix_(both, columns)], weight[both], circular[columns])
            part = part[: len(rows), -len(alike[b]) :]
            found[np.ix_(rows, alike[b])] = part
            found[np.ix_(alike[b], rows)] = part.T
    return found


def _correlations(X: npt.NDArray[Any], weight: Floats, circular: Mask) -> Floats:
    """|ρ| of each two columns; zero where it is not significant."""
    effective = _effective(weight)
    if effective <= 1 + _SIGNIFICANT**2:
        return np.zeros((X.shape[1], X.shape[1]))
    ranks = np.array([_ranks(column, weight) for column in X.T])
    rho = _spearman(ranks, weight)
    if circular.any():
        rho[np.ix_(circular, circular)] = _resultant(ranks[circular], weight)
    found: Floats = np.where(rho * np.sqrt(effective - 1) < _SIGNIFICANT, 0.0, rho)
    return found


def _effective(weight: Floats) -> float:
    """Effective number of events, (Σw)²/Σw²."""
    total = weight.sum()
    return float(total**2 / (weight**2).sum()) if total else 0.0


def _spearman(ranks: Floats, weight: Floats) -> Floats:
    """|ρ| of Spearman of each two rows of ranks; zero with a constant."""
    total = weight.sum()
    centred = ranks - (ranks @ weight)[:, np.newaxis] / total
    norm = np.sqrt((centred**2) @ weight)[:, np.newaxis]
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-9 * total**1.5)
    found: Floats = np.minimum(np.abs((unit * weight) @ unit.T), 1.0)
    return found


def _resultant(ranks: Floats, weight: Floats) -> Floats:
    """Resultant length of the differences or the sums of ranks that are angles."""
    total = weight.sum()
    turned = np.exp(2j * np.pi * ranks / total)
    lengths = [np.abs((turned * weight) @ other.T) / total for other in (turned, turned.conj())]
    found: Floats = np.minimum(np.maximum(*lengths), 1.0)
    return found


def _ranks(values: npt.NDArray[Any], weight: Floats) -> Floats:
    """Ranks of weighted values, ties in their middle."""
    _, position = np.unique(values, return_inverse=True)
    of_value = np.bincount(position, weights=weight)
    ranks: Floats = (np.cumsum(of_value) - of_value / 2)[position]
    return ranks
