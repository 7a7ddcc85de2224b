"""Figures in HEP style: draw on given Axes, return them, never show.

The style is that of mplhep for CMS, without the "CMS" label: nothing here looks official by
accident. Whoever may publish asks for it: ``with plots.label("CMS Simulation"): ...``.
Every line, marker and hatch can be told from the others without colours.
"""

from __future__ import annotations

from tfaas_nb.plots import captions
from tfaas_nb.plots.calibration import calibration
from tfaas_nb.plots.distributions import feature, overtraining, scores
from tfaas_nb.plots.importance import importance
from tfaas_nb.plots.moving import Moving
from tfaas_nb.plots.picture import html_image, pdf, png, save, svg
from tfaas_nb.plots.roc import efficiencies, roc
from tfaas_nb.plots.significance import significance
from tfaas_nb.plots.style import label, style
from tfaas_nb.plots.trainings import history, learning_curve

__all__ = [
    "Moving",
    "calibration",
    "captions",
    "efficiencies",
    "feature",
    "history",
    "html_image",
    "importance",
    "label",
    "learning_curve",
    "overtraining",
    "pdf",
    "png",
    "roc",
    "save",
    "scores",
    "significance",
    "style",
    "svg",
]
