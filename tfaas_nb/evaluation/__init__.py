"""What a classifier is worth on events it has not seen, and the report that tells it."""

from __future__ import annotations

from tfaas_nb.evaluation.evaluation import Evaluation
from tfaas_nb.evaluation.trained import Trained

__all__ = ["Evaluation", "Trained"]
