"""How well scores separate signal from background, with uncertainties.

Nothing here knows what made the scores: classes, scores and weights go in, frozen results
that show themselves come out.
"""

from __future__ import annotations

from tfaas_nb.metrics.comparison import Comparison
from tfaas_nb.metrics.roc import Roc
from tfaas_nb.metrics.working_point import EFFICIENCIES, FEW_EVENTS, WorkingPoint

__all__ = ["EFFICIENCIES", "FEW_EVENTS", "Comparison", "Roc", "WorkingPoint"]
