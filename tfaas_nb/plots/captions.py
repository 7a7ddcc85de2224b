"""Captions that could go into a note: what is drawn, of which events, with which errors.

Each is named after the plot it belongs to. `sample` says which events, for instance
"6 000 signal and 6 000 background events (ttbar.root, qcd.root)".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfaas_nb.features import Variable
from tfaas_nb.plots.drawable import (
    MOST_GROUPS,
    Band,
    Curve,
    Growth,
    Losses,
    Point,
    Reliability,
    Scan,
    TrainTest,
)

#: Groups of features, and features of a group, that a caption lists.
_LISTED = 12


def roc(
    curves: Curve | Mapping[str, Curve],
    sample: str,
    band: Band | None = None,
    points: Mapping[str, Point] | None = None,
) -> str:
    """Return the caption for `plots.roc`."""
    text = f"Background rejection 1/ε_B over signal efficiency ε_S for {sample}. "
    return text + _areas(curves) + _band(band) + _points(points)


def efficiencies(
    curves: Curve | Mapping[str, Curve],
    sample: str,
    band: Band | None = None,
    points: Mapping[str, Point] | None = None,
) -> str:
    """Return the caption for `plots.efficiencies`."""
    text = f"Signal efficiency ε_S over background efficiency ε_B for {sample}. "
    return text + _areas(curves) + _band(band) + _points(points)


def _areas(curves: Curve | Mapping[str, Curve]) -> str:
    named = curves if isinstance(curves, Mapping) else {"": curves}
    areas = (f"{f'{name}: ' if name else ''}{c.area}" for name, c in named.items())
    return (
        f"Area under the curve: {'; '.join(areas)} (statistical, DeLong). "
        "The grey line is a random choice."
    )


def _band(band: Band | None) -> str:
    if band is None:
        return ""
    return (
        f" The band holds {band.level:.1%} of {band.replicas} bootstrap replicas "
        f"at each signal efficiency by itself. {band.extent}"
    )


def _points(points: Mapping[str, Point] | None) -> str:
    marked = (
        f" {name}: score ≥ {p.threshold:.4f}, ε_S {p.signal_efficiency.equation}, "
        f"ε_B {p.background_efficiency.equation}. {p.convention}"
        for name, p in (points or {}).items()
    )
    return "".join(marked)


def scores(sample: str) -> str:
    """Return the caption for `plots.scores`."""
    return f"Classifier score of {sample}. Each class is normalised to one."


def overtraining(found: TrainTest, sample: str) -> str:
    """Return the caption for `plots.overtraining`."""
    return (
        f"Classifier score of {sample} (filled), and of the training events (points), each "
        "normalised to one. Error bars are √Σw². Kolmogorov–Smirnov probability that training and "
        f"test scores have one distribution: {found.signal.p:.2g} for signal, "
        f"{found.background.p:.2g} for background (asymptotic, effective numbers of events). "
        f"AUC of the training events minus that of the test events: {found.measured_gap}."
    )


def feature(name: str, variable: Variable, present: float, sample: str) -> str:
    """Return the caption for `plots.feature`; `present` is the fraction of the events drawn."""
    unit = f" in {variable.unit}" if variable.unit else ""
    absent = "" if present == 1 else f" The {present:.1%} of events that have it are shown."
    return (
        f"{name}{unit} of {sample}, each class normalised to one; values beyond the "
        f"99.5 % quantile are not shown.{absent}"
    )


def importance(found: Losses, sample: str, most: int = MOST_GROUPS) -> str:
    """Return the caption for `plots.importance` with the `most` important groups."""
    return (
        f"Loss of AUC (from {found.before}) when {_shuffled(found)} among events with the same "
        f"jets, of {found.events} of {sample}; mean of {found.repeats} shuffles. Error bars: "
        "paired difference on the same events (DeLong) and spread of the shuffles, in quadrature. "
        f"{_refitted(found)}{found.meaning}.{_members(found, most)}"
    )


def _shuffled(found: Losses) -> str:
    """Subject and verb of the shuffles."""
    if found.grouping == "chosen":
        return "the features of a chosen group are shuffled together"
    one = f"one {found.by}" + (" of all jets" if found.by == "variable" else "")
    if found.grouping == "single":
        return f"{one} alone is shuffled"
    return f"{one}, or a group of correlated {found.by}s together, is shuffled"


def _refitted(found: Losses) -> str:
    if not any(found.refits):
        return ""
    return "Black points: loss of AUC when the classifier is refitted without the group. "


def _members(found: Losses, most: int) -> str:
    """Sentences with the members of groups that have several, and on groups left out."""
    several = [
        f"{name}: {_listed(members)}"
        for name, members in zip(found.names, found.members, strict=True)
        if len(members) > 1
    ]
    how = " (mean rank correlation 0.5 or more)" if found.grouping == "correlated" else ""
    groups = f" Groups{how}: {_listed(several, '; ')}." if several else ""
    left = len(found.names) - most
    return groups + (f" The {most} most important are drawn; {left} more are not." * (left > 0))


def _listed(names: Sequence[str], apart: str = ", ") -> str:
    """Names, and how many more there are than a caption has room for."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return apart.join(names[:_LISTED]) + more


def history(best: int | None = None) -> str:
    """Return the caption for `plots.history`."""
    kept = "" if best is None else f" The weights of epoch {best} were kept."
    return (
        "Binary cross-entropy over the epochs of the training, for the events it learned from "
        f"(while they were learned) and those held out.{kept}"
    )


def learning_curve(found: Growth, sample: str) -> str:
    """Return the caption for `plots.learning_curve`."""
    return (
        f"AUC over the number of training events ({found.events[0]} to {found.events[-1]}), on "
        f"{sample}, the same for all trainings, and on the training events themselves. Error bars: "
        "statistical (DeLong), correlated between points; the randomness of a training is not "
        "in them."
    )


def significance(found: Scan, sample: str) -> str:
    """Return the caption for `plots.significance`."""
    formula = (
        "from the Asimov data set (Cowan et al., EPJC 71 (2011) 1554)"
        if found.symbol == "Z_A"
        else "S/√(B + σ²)"
    )
    uncertainty = (
        f"a background uncertainty σ of {found.systematics:.1%}"
        if found.systematics
        else "no background uncertainty"
    )
    of = f" ({found.expected_of})" if found.expected_of else ""
    return (
        f"Expected significance, {formula}, over the cut on the score, for S = {found.signal:.5g} "
        f"and B = {found.background:.5g} expected before the cut{of} and {uncertainty}. "
        f"Efficiencies are those of {sample}; the band is their binomial error. "
        f"Largest: {found.measured}; cuts that leave the "
        f"sample fewer than {found.min_background:.0f} background events are not considered. "
        f"The cut was chosen on the same events, which flatters the value. {found.limit}"
    ).rstrip()


def calibration(found: Reliability, sample: str) -> str:
    """Return the caption for `plots.calibration`."""
    return (
        f"Signal fraction of {sample} in bins of the score over the mean score, with binomial "
        "68.3 % intervals (Wilson, effective numbers of events of each class), and the share of "
        f"the sample in each bin. Expected calibration error {found.expected_error:.4f} (without "
        "an error of its own), Brier "
        f"score {found.measured_brier}. Judged in {found.mixture}."
    )
