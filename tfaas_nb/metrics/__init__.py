"""Separation of signal and background by scores, with uncertainties.

Nothing here knows what made the scores: classes, scores and weights go in, frozen results
that show themselves come out.
"""

from __future__ import annotations

from tfaas_nb.metrics.band import Band
from tfaas_nb.metrics.calibration import Calibration, mixture_in_words
from tfaas_nb.metrics.comparison import Comparison
from tfaas_nb.metrics.contributions import Contributions
from tfaas_nb.metrics.importance import Importance
from tfaas_nb.metrics.learning_curve import LearningCurve
from tfaas_nb.metrics.limits import FEW_EVENTS
from tfaas_nb.metrics.overtraining import KolmogorovSmirnov, Overtraining
from tfaas_nb.metrics.roc import Roc
from tfaas_nb.metrics.scored import Scored
from tfaas_nb.metrics.significance import SignificanceScan, asimov, s_over_sqrt_b
from tfaas_nb.metrics.working_point import CONVENTION, EFFICIENCIES, Passed, WorkingPoint

__all__ = [
    "CONVENTION",
    "EFFICIENCIES",
    "FEW_EVENTS",
    "Band",
    "Calibration",
    "Comparison",
    "Contributions",
    "Importance",
    "KolmogorovSmirnov",
    "LearningCurve",
    "Overtraining",
    "Passed",
    "Roc",
    "Scored",
    "SignificanceScan",
    "WorkingPoint",
    "asimov",
    "mixture_in_words",
    "s_over_sqrt_b",
]
