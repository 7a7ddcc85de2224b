"""Evaluation of classifiers on events that they were not trained on, and its report."""

from __future__ import annotations

from tfaas_nb.evaluation.evaluation import Evaluation
from tfaas_nb.evaluation.trained import Labelled, Trained

__all__ = ["Evaluation", "Labelled", "Trained"]
