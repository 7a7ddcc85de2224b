from __future__ import annotations

import numpy as np
import pytest

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import RocView

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


def test_without_a_model_it_says_so() -> None:
    view = RocView({})
    assert view.point is None
    assert "No model" in view.numbers.value


def test_drawing_leaves_no_figure_behind(evaluation: Evaluation) -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    RocView(evaluation).efficiency.value = 0.7
    assert plt.get_fignums() == before
