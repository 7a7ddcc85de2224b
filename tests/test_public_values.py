"""Public values show themselves, in a terminal and in a cell, with the errors of their numbers."""

from __future__ import annotations

import inspect
import re
from html import unescape
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.evaluation.test_evaluation import DATA
from tests.metrics.test_importance import Fitted
from tfaas_nb import metrics
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import Calibration, Overtraining
from tfaas_nb.yardsticks import Logistic

QUIET: Any = {"progress": False}
FEW = DATA[:400]
TRAINED = Fitted(DATA[400:1200])
EVALUATION = Evaluation.of(FEW, TRAINED.predict(FEW), TRAINED)  # type: ignore[arg-type]
PAIR = {"one": Logistic(), "other": Logistic(inverse_penalty=0.01)}
COMPARED = tn.compare(DATA[400:1200], FEW, PAIR, **QUIET)
FOLDS = tn.cross_validate(FEW, 2, Logistic(), **QUIET)
SCANNED = tn.scan({"inverse_penalty": [0.01]}, FEW, 2, Logistic(), **QUIET)
IMPORTANCE = EVALUATION.importance(refit=True, **QUIET)
OVERTRAINING = Overtraining.of(EVALUATION.roc, EVALUATION.roc)

#: Values with measured numbers, all of which need an error or a word about it.
MEASURED: dict[str, Any] = {
    "evaluation": EVALUATION,
    "ROC curve": EVALUATION.roc,
    "AUC": EVALUATION.roc.area,
    "accuracy": EVALUATION.measured_accuracy,
    "working point": EVALUATION.working_point(eps_b=0.01),
    "working point, by signal": EVALUATION.working_point(0.5),
    "rejection": EVALUATION.working_point(0.5).background_rejection,
    "rejections": EVALUATION.rejections(),
    "significance": EVALUATION.significance(signal=30, background=1000, min_background=5),
    "calibration": EVALUATION.calibration(),
    "Brier score": EVALUATION.calibration().measured_brier,
    "overtraining": OVERTRAINING,
    "Kolmogorov-Smirnov": OVERTRAINING.signal,
    "importance": IMPORTANCE,
    "importance, shuffled": EVALUATION.importance(**QUIET),
    "refit": IMPORTANCE.refits[0],
    "learning curve": EVALUATION.learning_curve((0.5, 1.0), **QUIET),
    "difference": EVALUATION.compare(EVALUATION),
    "difference of contenders": COMPARED.difference("other"),
    "gain": COMPARED.gain("other"),
    "comparison": COMPARED,
    "contender": COMPARED.contenders[1],
    "cross-validation": FOLDS,
    "fold": FOLDS.folds[0],
    "scan": SCANNED,
    "trial": SCANNED.trials[0],
    "simulation": tn.Simulation("qcd", 1000, 4000, 123.4567, 1.2345),
    "error not known": Measured(1.0),
}
#: Values of counts, ranges and names, which have no error.
COUNTED: dict[str, Any] = {
    "band": EVALUATION.band(replicas=20),
    "passed": EVALUATION.working_point(0.5).background,
    "scored": EVALUATION.roc.events,
    "overlap": tn.overlap(FEW, DATA),
    "dataset": FEW,
    "promotion": tn.Promotion("m", 1, "http://a", "http://b", 8, 0.0),
    "contributions": metrics.Contributions.of(
        lambda X: X.sum(axis=1), {"a": 1.0, "b": 2.0}, {"a": 0.5}
    ),
}
#: Public classes that are no results: what a user makes, or what acts.
NOT_VALUES = {
    *("FeatureSet", "Variable", "Objects", "Sample", "Stream", "Classifier", "TrainingJob"),
    *("FrozenGraph", "Bundle", "Server", "Client"),
}
SAYS = re.compile(r"±|at 95 % CL|no error|without an error|error not known|\(chosen\)")


def test_all_public_values_are_here() -> None:
    classes = {
        name
        for module in (tn, metrics)
        for name in module.__all__
        if inspect.isclass(getattr(module, name))
    }
    shown = {type(value).__name__ for value in (MEASURED | COUNTED).values()}
    assert classes - NOT_VALUES <= shown


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED | COUNTED)
def test_a_value_shows_itself(name: str) -> None:
    value = (MEASURED | COUNTED)[name]
    text, html = repr(value), unescape(value._repr_html_())
    assert " object at 0x" not in text
    assert "array(" not in text
    assert "nan" not in text.lower()
    if name in MEASURED:
        assert SAYS.search(text)
        assert SAYS.search(html)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_errors_have_two_digits_and_the_number_as_many_decimals(name: str) -> None:
    for shown in (repr(MEASURED[name]), re.sub("<[^>]*>", " ", MEASURED[name]._repr_html_())):
        for value, error in re.findall(r"([\d.]+) ± ([\d.]+)", unescape(shown)):
            decimals = [len(number.partition(".")[2]) for number in (value, error)]
            assert decimals[0] == decimals[1]
            digits = error.replace(".", "").lstrip("0")
            assert len(digits) == 2 or (len(digits) > 2 and decimals[0] == 0)


def test_the_error_of_a_brier_score_is_that_of_repeated_samples() -> None:
    """Weighted samples of calibrated scores, in the mixture of equal parts."""
    scores, errors = [], []
    for seed in range(200):
        random = np.random.default_rng(seed)
        y = (np.arange(600) % 3 == 0).astype(int)
        score = np.clip(random.normal(0.4 + 0.2 * y, 0.2), 0, 1)
        found = Calibration.of(y, score, random.uniform(0.5, 2, 600), signal_share=0.5)
        scores.append(found.brier)
        errors.append(found.brier_error)
    assert np.mean(errors) == pytest.approx(np.std(scores, ddof=1), rel=0.15)
