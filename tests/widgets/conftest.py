"""A running server with a model, and an evaluation, for widgets to show."""

from __future__ import annotations

import pytest

from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.evaluation import Evaluation


@pytest.fixture(scope="session")
def evaluation(classifier: Classifier, events: Dataset) -> Evaluation:
    return Evaluation.of(events, classifier.predict(events))
