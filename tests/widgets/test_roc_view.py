from __future__ import annotations

import base64
import math
import re
import time
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs import placeholder, serialized
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.measured import quoted
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import RocView

pytestmark = pytest.mark.slow

PNG = "data:image/png;base64,iVBOR"


def test_moving_the_slider_moves_the_working_point(evaluation: Evaluation) -> None:
    view = RocView(evaluation)
    first = view.picture.value
    assert view.point is not None
    assert view.point.eps_s == pytest.approx(0.5, abs=1e-3)
    view.efficiency.value = 0.8
    passed = evaluation.scores >= view.point.threshold
    assert view.point.eps_s == pytest.approx(passed[evaluation.y == 1].mean())
    assert view.point.eps_b == pytest.approx(passed[evaluation.y == 0].mean())
    assert f"{view.point.threshold:.5f}" in view.numbers.value
    assert PNG in view.picture.value
    assert view.picture.value != first


def test_several_models_are_compared(evaluation: Evaluation, events: Dataset) -> None:
    noise = Evaluation.of(events, np.random.default_rng(1).random(len(events)))
    view = RocView({"good": evaluation, "noise": noise})
    assert view.model.options == ("good", "noise")
    good = view.point
    view.model.value = "noise"
    assert good is not None
    assert view.point is not None
    assert good.rejection > 5 * view.point.rejection


def test_served_models_are_evaluated_on_a_dataset(
    serving: Server, events: Dataset, evaluation: Evaluation
) -> None:
    view = RocView.of_models(serving.client(), events)
    assert view.model.options == ("ttbar",)
    assert view.point is not None
    assert view.point.eps_b == pytest.approx(evaluation.roc.working_point(0.5).eps_b, abs=1e-3)


def test_a_model_that_cannot_be_judged_is_left_out_and_named(
    serving: Server, events: Dataset
) -> None:
    def build(tf: Any) -> None:
        tf.matmul(placeholder(tf, width=42), tf.ones((42, 3)), name="y")

    classes = Bundle.from_parts(b'{"name": "classes"}', serialized(build))
    serving.client().upload(classes, features=events.features)
    view = RocView.of_models(serving.client(), events)
    assert list(view.evaluations) == ["ttbar"]
    assert "'classes': it has 3 outputs" in unescape(view.message.value)
    with pytest.raises(DataError, match="'classes': it has 3 outputs"):
        RocView.of_models(serving.client(), events, ["classes"])


def test_a_link_takes_the_error_of_the_last_one_away(evaluation: Evaluation) -> None:
    view = RocView(evaluation)
    view.path.value = "roc.bmp"
    view.link_button.click()
    assert "Error" in view.message.value
    view.path.value = "roc.png"
    view.link_button.click()
    assert "Download roc.png" in view.link.value
    assert "Error" not in view.message.value


def test_without_a_model_it_says_so() -> None:
    view = RocView({})
    assert view.point is None
    assert "No model" in view.numbers.value


def test_drawing_leaves_no_figure_behind(evaluation: Evaluation) -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    RocView(evaluation).efficiency.value = 0.7
    assert plt.get_fignums() == before


@pytest.fixture(scope="module")
def judged(classifier: Classifier, unseen: Dataset) -> Evaluation:
    """An evaluation that knows its classifier."""
    return classifier.evaluate(unseen)


def test_slider_number_and_cut_say_the_same(evaluation: Evaluation) -> None:
    view = RocView(evaluation)
    view.efficiency.value = 0.7
    assert view.number.value == 0.7
    assert view.point is not None
    assert view.threshold.value == pytest.approx(view.point.threshold, rel=1e-5)
    view.number.value = 0.25
    assert view.efficiency.value == 0.25
    view.threshold.value = 0.42
    passed = evaluation.scores >= 0.42
    assert view.point.threshold == 0.42
    assert view.point.eps_s == pytest.approx(passed[evaluation.y == 1].mean())
    assert view.number.value == pytest.approx(view.point.eps_s, abs=1e-3)
    view.axes.value = "efficiencies"
    assert view.point.threshold == 0.42


def test_numbers_have_errors_and_a_warning(evaluation: Evaluation, events: Dataset) -> None:
    view = RocView(evaluation)
    view.efficiency.value = 0.9
    point = view.point
    assert point is not None
    for text in (
        quoted(point.eps_b, point.eps_b_whole_error),
        quoted(point.rejection, point.rejection_error),
    ):
        assert text in view.numbers.value
    assert "S/√B" not in view.numbers.value, "each event counts 1"
    assert "Warning" not in view.numbers.value
    view.efficiency.value = 0.01
    assert "fewer than 50 background events" in view.numbers.value


def test_s_over_sqrt_b_is_of_the_events_expected(evaluation: Evaluation, events: Dataset) -> None:
    weight = np.where(events.y == 1, 0.25, 30.0).astype(np.float32)
    weighted = replace(events, weight=weight, scaled=(True, True))
    view = RocView(Evaluation.of(weighted, evaluation.scores))
    view.threshold.value = 0.5
    passed = evaluation.scores >= 0.5
    signal = 0.25 * np.count_nonzero(passed & (events.y == 1))
    background = 30.0 * np.count_nonzero(passed & (events.y == 0))
    assert "S/√B" in view.numbers.value
    assert f">{signal / math.sqrt(background):.3g}<" in view.numbers.value


def test_a_cut_that_leaves_no_background_is_shown(evaluation: Evaluation) -> None:
    view = RocView(evaluation)
    view.threshold.value = 0.9999
    assert view.point is not None
    assert view.point.eps_b == 0
    assert "inf" not in view.numbers.value
    assert "at 95 % CL" in view.numbers.value
    assert "Error" not in view.message.value
    assert PNG in view.picture.value


def test_switches_change_the_pictures(judged: Evaluation) -> None:
    view = RocView(judged)
    shown = [view.picture.value]
    view.band.value = False
    shown.append(view.picture.value)
    view.axes.value = "efficiencies"
    shown.append(view.picture.value)
    assert len(set(shown)) == 3
    with_training = view.scores.value
    assert "Kolmogorov" in view.compared.value
    view.training.value = False
    assert view.compared.value == ""
    assert view.scores.value != with_training


def test_training_events_are_offered_where_they_are_known(
    judged: Evaluation, evaluation: Evaluation
) -> None:
    view = RocView({"judged": judged, "scores alone": evaluation})
    assert view.training.value
    view.model.value = "scores alone"
    assert view.training.disabled
    assert not view.training.value
    assert view.compared.value == ""


def test_all_models_are_in_the_table(judged: Evaluation, unseen: Dataset) -> None:
    noise = Evaluation.of(unseen, np.random.default_rng(1).random(len(unseen)))
    view = RocView({"good": judged, "noise": noise})
    assert quoted(judged.auc, judged.auc_error) in view.rejections.value
    assert quoted(noise.auc, noise.auc_error) in view.rejections.value
    assert "fewer than 50 background events at 0.3" in view.rejections.value


def test_sections_are_computed_when_they_are_opened(judged: Evaluation) -> None:
    view = RocView(judged)
    calibration, importance = view.more.children
    assert (calibration.value, importance.value) == ("", "")
    view.more.selected_index = 0
    assert view.wait()
    assert "Expected calibration error" in calibration.value
    view.more.selected_index = 1
    assert view.wait()
    assert "jetMassSoftDrop" in importance.value
    assert "data:image/png" in importance.value


def test_what_cannot_be_computed_is_told(evaluation: Evaluation, events: Dataset) -> None:
    view = RocView(Evaluation.of(events, evaluation.scores * 3 - 1))
    for section, words in ((0, "calibration needs probabilities"), (1, "need the classifier")):
        view.more.selected_index = section
        assert view.wait()
        assert words in view.more.children[section].value
    assert view.point is not None
    assert PNG in view.scores.value


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_a_figure_is_saved_and_downloaded(
    evaluation: Evaluation, tmp_path: Path, kind: str, start: bytes
) -> None:
    view = RocView(evaluation)
    view.figure.value = "scores"
    assert view.path.value == "scores.png"
    view.path.value = str(tmp_path / f"mine.{kind}")
    view.save_button.click()
    assert (tmp_path / f"mine.{kind}").read_bytes().startswith(start)
    assert f"mine.{kind}" in view.message.value
    view.link_button.click()
    found = re.search(r'download="(.*?)" href="data:.*?;base64,(.*?)"', view.link.value)
    assert found is not None
    assert found[1] == f"mine.{kind}"
    assert base64.b64decode(found[2]).startswith(start)


@pytest.mark.parametrize(
    ("path", "words"),
    [("", "path of a file"), ("roc.bmp", "none of"), ("no/such/roc.png", "does not exist")],
)
def test_a_path_that_cannot_be_is_told(evaluation: Evaluation, path: str, words: str) -> None:
    view = RocView(evaluation)
    view.path.value = path
    view.save_button.click()
    assert words in view.message.value
    assert 'role="alert"' in view.message.value


def test_moving_draws_only_what_moves(evaluation: Evaluation) -> None:
    began = time.perf_counter()
    view = RocView(evaluation)
    first = time.perf_counter() - began
    began = time.perf_counter()
    for eps_s in (0.2, 0.4, 0.6):
        view.efficiency.value = eps_s
    assert (time.perf_counter() - began) / 3 < first / 2


def test_export_without_a_model_is_told() -> None:
    view = RocView({})
    view.figure.value = "scores"
    view.link_button.click()
    assert "no model is evaluated" in view.message.value
