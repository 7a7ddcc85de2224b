"""The parts of a report: what each result shows of itself, with captions."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from tfaas_nb import plots
from tfaas_nb.data.dataset import Dataset, Source
from tfaas_nb.evaluation import document
from tfaas_nb.evaluation.document import Section
from tfaas_nb.metrics import (
    CONVENTION,
    FEW_EVENTS,
    Band,
    Calibration,
    Importance,
    LearningCurve,
    Overtraining,
    Roc,
    SignificanceScan,
    WorkingPoint,
)
from tfaas_nb.table import Table

_NOT_EXPECTED = (
    "None is given: no cross-section and luminosity say how many events are expected in data; "
    "numbers of simulated events, and weights alone, do not. Give expected numbers by "
    "report(..., significance=evaluation.significance(signal=..., background=...)), or load the "
    "samples with their cross-sections by tn.Sample(files, xsec=..., lumi=...)."
)
#: Efficiencies at which the report quotes working points.
_SIGNAL_EFFICIENCIES = (0.3, 0.5, 0.8, 0.9)
_BACKGROUND_EFFICIENCIES = (0.1, 0.01, 0.001)

#: Groups of features in the table of their importance.
_MOST_ROWS = 50

_PACKAGES = ("tfaas-nb", "numpy", "scipy", "scikit-learn", "matplotlib", "mplhep")


def curve(roc: Roc, band: Band, sample: str) -> Section:
    """ROC curves with their band, and the rejections."""
    captions = plots.captions
    drawn = [
        document.figure(lambda ax: plots.roc(roc, ax, band=band), captions.roc(roc, sample, band)),
        document.figure(
            lambda ax: plots.efficiencies(roc, ax, band=band),
            captions.efficiencies(roc, sample, band),
        ),
    ]
    return Section(
        "ROC curve",
        (document.figures(drawn), document.table(working_points(roc, band))),
    )


def working_points(roc: Roc, band: Band | None = None) -> Table:
    """Cuts at the usual efficiencies, with errors and the rejection's bootstrap interval."""
    reachable = [e for e in _BACKGROUND_EFFICIENCIES if e >= roc.eps_b[roc.eps_s > 0][0]]
    points = [roc.working_point(e) for e in _SIGNAL_EFFICIENCIES]
    points += [roc.working_point(eps_b=e) for e in reachable]
    rows = tuple(_row(point, band) for point in points)
    interval = f"1/ε_B, {band.level:.1%} bootstrap" if band else "1/ε_B, bootstrap"
    columns = ("score ≥", "ε_S", "ε_B", "1/ε_B", interval, "background left", "")
    return Table(columns, rows, f"Working points. {CONVENTION}")


def _row(point: WorkingPoint, band: Band | None) -> tuple[Any, ...]:
    low, high = band.at(point.eps_s) if band is not None else (math.nan, math.nan)
    return (
        f"{point.threshold:.4f}",
        str(point.signal_efficiency),
        str(point.background_efficiency),
        point.background_rejection.text,
        f"{_round(1 / high)} – {_round(1 / low)}" if low > 0 else "",
        str(point.background or point.background_left),
        f"fewer than {FEW_EVENTS}: do not rank by it" if point.is_uncertain else "",
    )


def _round(number: float) -> str:
    """Format a rejection with enough digits, none of them after a large one."""
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"


def scores(y: Any, values: Any, weight: Any, sample: str) -> Section:
    """Score distributions of the test events alone."""
    drawn = document.figure(
        lambda ax: plots.scores(y, values, weight, ax), plots.captions.scores(sample)
    )
    return Section("Scores", (document.figures([drawn]),))


def training_and_test(found: Overtraining, sample: str) -> Section:
    """Score distributions of training and test events, and their tests."""
    drawn = document.figure(found.plot, plots.captions.overtraining(found, sample))
    parts = [document.figures([drawn]), document.table(found.table())]
    return Section("Scores of training and test events", tuple(parts))


def significance(scan: SignificanceScan, sample: str, counted: bool) -> Section:
    """The scan over cuts; `counted` if S and B would be but numbers of simulated events."""
    if counted:
        return Section("Significance", (document.paragraph(_NOT_EXPECTED),))
    drawn = document.figure(scan.plot, plots.captions.significance(scan, sample))
    parts = [document.figures([drawn]), document.table(scan.table())]
    return Section("Significance", tuple(parts))


def calibration(found: Calibration, sample: str) -> Section:
    """The calibration curve."""
    drawn = document.figure(found.plot, plots.captions.calibration(found, sample))
    return Section("Calibration", (document.figures([drawn]), document.table(found.table())))


def importance(found: Sequence[Importance], sample: str) -> Section:
    """Importances, each with its plot and table."""
    drawn = [document.figure(one.plot, plots.captions.importance(one, sample)) for one in found]
    return Section(
        "Importance",
        (document.figures(drawn), *(document.table(one.table(_MOST_ROWS)) for one in found)),
    )


def features(data: Dataset, names: Sequence[str], sample: str) -> Section:
    """Distributions of features, and the ranges of all."""
    drawn = [
        document.figure(
            lambda ax, name=name: plots.feature(data, name, ax),  # type: ignore[misc]
            plots.captions.feature(
                name, data.features.variable(name), float(data.present(name).mean()), sample
            ),
        )
        for name in names
    ]
    parts = [document.figures(drawn)] if drawn else []
    return Section("Features", (*parts, document.table(data.describe())))


def training(history: Any, learning: LearningCurve | None, sample: str) -> Section:
    """Losses over epochs, and what more events would bring."""
    drawn = [
        document.figure(
            lambda ax: plots.history(losses(history), ax, best=history.best),
            plots.captions.history(history.best),
        )
    ]
    parts = [document.table(history.table())]
    if learning is not None:
        caption = plots.captions.learning_curve(learning, sample)
        drawn.append(document.figure(learning.plot, caption))
        parts.append(document.table(learning.table()))
    return Section("Training", (document.figures(drawn), *parts))


def losses(history: Any) -> dict[str, list[float]]:
    """Training and validation losses of a `training.History`, as `plots.history` draws them."""
    return {
        "Training": [epoch.loss for epoch in history.epochs],
        "Validation": [epoch.val_loss for epoch in history.epochs],
    }


def model(card: Mapping[str, Any], sources: Mapping[str, Sequence[Source]]) -> Section:
    """The model card, the files that events came from with their hashes, and versions."""
    parts = [_card(card)] if card else []
    parts += [_files(files, caption) for caption, files in sources.items() if files]
    return Section("Model and versions", (*parts, _versions(card)))


def _files(files: Sequence[Source], caption: str) -> str:
    rows = tuple((s.file, s.role, s.tree, s.entries or None, s.events, s.sha256) for s in files)
    columns: tuple[str, ...] = ("file", "role", "tree", "entries", "events kept", "SHA-256")
    if any(s.note for s in files):
        columns = (*columns, "values")
        rows = tuple((*row, s.note) for row, s in zip(rows, files, strict=True))  # type: ignore[misc]
    return document.table(Table(columns, rows, caption))


def _card(values: Mapping[str, Any]) -> str:
    """The model card but for its dates and the evaluation, which is the report itself."""
    left_out = ("made", "evaluation", "training", "versions")
    kept = {name: value for name, value in values.items() if name not in left_out}
    if isinstance(kept.get("features"), Mapping):
        kept["features"] = {k: _names_only(v) for k, v in kept["features"].items()}
    return document.table(document.listing(kept, "Model card"))


def _names_only(value: Any) -> Any:
    """Variables by their names; their units and titles are on the axes above."""
    if isinstance(value, (list, tuple)) and all(isinstance(v, Mapping) for v in value):
        return [v.get("name", v) for v in value]
    return value


def _versions(values: Mapping[str, Any]) -> str:
    """Versions of what made the model and the report."""
    here = {package: version(package) for package in _PACKAGES}
    python = {"python": sys.version.split()[0]}
    found = here | python | dict(values.get("versions", {}))
    rows = tuple((name, found[name]) for name in sorted(found))
    return document.table(Table(("package", "version"), rows, "Versions"))
