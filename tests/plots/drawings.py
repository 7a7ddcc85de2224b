"""One drawing of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from tfaas_nb import plots
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.metrics import (
    Band,
    Calibration,
    Importance,
    LearningCurve,
    Overtraining,
    Roc,
    SignificanceScan,
)

RANDOM = np.random.default_rng(1)
Y = (np.arange(1000) % 2).astype(np.int8)
SCORES = np.clip(RANDOM.normal(0.35 + 0.3 * Y, 0.2), 0, 1)
ROC = Roc.of(Y, SCORES)
OTHER = Roc.of(Y, np.clip(SCORES + RANDOM.normal(0, 0.1, 1000), 0, 1))
LOSSES = {"Training": [0.5, 0.4, 0.35], "Validation": [0.55, 0.45, 0.44]}

FEATURES = FeatureSet(
    "tiny",
    (Variable("nJets", "", "Number of jets"),),
    (Variable("jetPt", "GeV", "$p_T$"),),
    jets=12,
)


def dataset() -> Dataset:
    """One to three jets in each event, of twelve that there could be."""
    jets = 1 + np.arange(1000) % 3
    X = np.zeros((1000, 13), np.float32)
    X[:, 0] = jets
    X[:, 1:] = np.where(np.arange(12) < jets[:, None], RANDOM.uniform(200, 900, (1000, 12)), 0)
    return Dataset(X, Y, np.ones(1000, np.float32), FEATURES)


DATA = dataset()
BAND = Band.of(ROC.events, replicas=50)
SCAN = SignificanceScan.of(ROC, signal=30, background=1000, systematics=0.1)
CALIBRATION = Calibration.of(Y, SCORES)
OVERTRAINING = Overtraining.of(OTHER, ROC)
IMPORTANCE = Importance(
    tuple(f"feature_{i}" for i in range(30)),
    np.geomspace(0.1, 1e-4, 30),
    np.full(30, 1e-3),
    *(0.9, 1000, 5, 1),
)
LEARNING = LearningCurve((100, 300, 310, 1000), (OTHER,) * 4, (ROC,) * 4, 1)

DRAWINGS: dict[str, Any] = {
    "roc": lambda ax=None: plots.roc(ROC, ax, band=BAND),
    "efficiencies": lambda ax=None: plots.efficiencies(ROC, ax, band=BAND),
    "scores": lambda ax=None: plots.scores(Y, SCORES, None, ax, threshold=0.7),
    "overtraining": lambda ax=None: plots.overtraining(OVERTRAINING, ax),
    "feature": lambda ax=None: plots.feature(DATA, "jetPt_0", ax),
    "history": lambda ax=None: plots.history(LOSSES, ax, best=3),
    "learning_curve": lambda ax=None: plots.learning_curve(LEARNING, ax),
    "importance": lambda ax=None: plots.importance(IMPORTANCE, ax),
    "significance": lambda ax=None: plots.significance(SCAN, ax),
    "calibration": lambda ax=None: plots.calibration(CALIBRATION, ax),
}

every_drawing = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]
