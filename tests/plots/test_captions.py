from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plots.drawings import (
    BAND,
    CALIBRATION,
    DATA,
    IMPORTANCE,
    LEARNING,
    OTHER,
    OVERTRAINING,
    ROC,
    SCAN,
)
from tfaas_nb import plots
from tfaas_nb.measured import quoted
from tfaas_nb.plots import captions

SAMPLE = "500 signal and 500 background events"
CAPTIONS: dict[str, Callable[[], str]] = {
    "roc": lambda: captions.roc(ROC, SAMPLE, BAND),
    "efficiencies": lambda: captions.efficiencies(ROC, SAMPLE, BAND),
    "scores": lambda: captions.scores(SAMPLE),
    "overtraining": lambda: captions.overtraining(OVERTRAINING, SAMPLE),
    "feature": lambda: captions.feature("jetPt_0", DATA.features.variable("jetPt_0"), 0.5, SAMPLE),
    "importance": lambda: captions.importance(IMPORTANCE, SAMPLE),
    "learning_curve": lambda: captions.learning_curve(LEARNING, SAMPLE),
    "significance": lambda: captions.significance(SCAN, SAMPLE),
    "calibration": lambda: captions.calibration(CALIBRATION, SAMPLE),
}


@pytest.mark.parametrize("name", CAPTIONS)
def test_a_caption_tells_the_sample_in_sentences(name: str) -> None:
    caption = CAPTIONS[name]()
    assert SAMPLE in caption
    assert caption.endswith(".")
    assert "  " not in caption


def test_every_plot_has_a_caption() -> None:
    drawn = set(plots.__all__) - {
        *("Moving", "captions", "html_image", "label", "pdf", "png", "save", "style", "svg")
    }
    assert drawn == {*CAPTIONS, "history"}
    assert all(hasattr(captions, name) for name in drawn)


def test_errors_are_defined() -> None:
    assert f"{quoted(ROC.auc, ROC.auc_error)} (statistical, DeLong)" in CAPTIONS["roc"]()
    assert "68.3% of 50 bootstrap replicas" in CAPTIONS["roc"]()
    assert "a background uncertainty σ of 10.0%" in CAPTIONS["significance"]()
    assert "The 50.0% of events that have it are shown." in CAPTIONS["feature"]()


def test_curves_and_points_are_named() -> None:
    text = captions.roc({"a": ROC, "b": OTHER}, SAMPLE, points={"Cut": ROC.working_point(0.5)})
    assert f"a: {ROC.area}" in text
    assert f"; b: {OTHER.area}" in text
    assert "Cut: score ≥ " in text


def test_the_kept_epoch_is_told() -> None:
    assert captions.history(7).endswith("The weights of epoch 7 were kept.")
    assert "were kept" not in captions.history()
