"""An evaluation that knows the classifier, by a real one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.evaluation import Evaluation, Trained
from tfaas_nb.metrics import Roc


@pytest.fixture(scope="module")
def evaluation(classifier: Classifier, unseen: Dataset) -> Evaluation:
    return classifier.evaluate(unseen)


def test_a_classifier_is_what_an_evaluation_asks_for(classifier: Classifier) -> None:
    judged: Trained = classifier
    assert judged.card()["settings"]["seed"] == 7


def test_training_scores_are_compared(
    evaluation: Evaluation, classifier: Classifier, events: Dataset
) -> None:
    found = evaluation.overtraining()
    assert found.test is evaluation.roc
    assert found.train.auc == Roc.of(events.y, classifier.predict(events)).auc
    assert evaluation.overtraining() is found


def test_importance_ranks_what_the_classifier_uses(evaluation: Evaluation) -> None:
    found = evaluation.importance("variable", repeats=2, progress=False)
    assert found.auc == evaluation.auc
    assert "nLeptons" in found.names[-3:]
    assert found.drop[0] > 3 * found.error[0]


@pytest.mark.slow
def test_a_mass_shuffled_alone_is_worth_less_than_it_seems(
    evaluation: Evaluation, classifier: Classifier, events: Dataset, unseen: Dataset
) -> None:
    """The other mass and the subjettinesses tell nearly all that the jets' mass does."""
    found = evaluation.importance(
        "variable", repeats=2, groups={"mass": "jetMass"}, refit=True, progress=False
    )
    loss = found.refits[0]
    assert loss is not None
    assert loss.measured.has_error
    assert loss.pairs[0].curves[0].auc == evaluation.auc
    assert loss.measured.value < 0.5 * found.drop[0]
    X = [data.X.copy() for data in (events, unseen)]
    for one, data in zip(X, (events, unseen), strict=True):
        columns = events.features.jet_columns("jetMass")
        there = data.X[:, events.features.jet_columns("jetPt")] != 0
        one[:, columns] = np.where(there, 50, 0)
    again = classifier.changed().fit(replace(events, X=X[0]), progress=False)
    without = roc_auc_score(unseen.y, again.predict(replace(unseen, X=X[1])))
    # Not the constant that is used; the network is as blind to the one as to the other.
    assert loss.pairs[0].curves[1].auc == pytest.approx(without, abs=0.01)


@pytest.mark.slow
def test_a_learning_curve_ends_with_the_training_itself(events: Dataset, unseen: Dataset) -> None:
    trained = Classifier(epochs=2, hidden=(8,), embedding=(), seed=3).fit(events, progress=False)
    evaluation = trained.evaluate(unseen)
    found = evaluation.learning_curve((0.1, 1.0), progress=False)
    assert found.events == (400, 4000)
    assert found.test[-1].auc == pytest.approx(evaluation.auc, abs=1e-6)
    assert np.asarray(trained.predict(unseen)).tolist() == evaluation.scores.tolist()


def test_losses_are_drawn_with_the_best_epoch(evaluation: Evaluation) -> None:
    ax = Figure().subplots()
    assert evaluation.plot_history(ax) is ax
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["Training", "Validation", "Best epoch: 2"]
