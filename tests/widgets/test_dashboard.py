from __future__ import annotations

from pathlib import Path

import pytest

from tests.widgets.page import choose, send
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Dashboard


def test_from_start_to_score_by_clicks(tmp_path: Path, bundle: Bundle, events: Dataset) -> None:
    dashboard = Dashboard(Server(tmp_path, port=0), events)
    dashboard.serve.start_button.click()
    try:
        choose(dashboard.upload, "ttbar.tar.gz", bundle.archive())
        send(dashboard.upload)
        assert dashboard.ask.model.value == "ttbar"
        assert "ttbar" in dashboard.serve.models.value
        dashboard.ask.event.value = 5
        dashboard.ask.ask_button.click()
        served = dashboard.server.client().predict("ttbar", events)
        assert dashboard.ask.score == pytest.approx(served[5], abs=1e-6)
        dashboard.evaluate_button.click()
        assert dashboard.evaluate.model.options == ("ttbar",)
        assert dashboard.evaluate.point is not None
    finally:
        dashboard.serve.stop_button.click()
    assert not dashboard.server.is_running


def test_evaluating_a_stopped_server_is_told(tmp_path: Path, events: Dataset) -> None:
    dashboard = Dashboard(Server(tmp_path), events)
    dashboard.evaluate_button.click()
    assert "not running" in dashboard.evaluate.message.value


def test_without_events_there_is_nothing_to_evaluate(tmp_path: Path) -> None:
    assert Dashboard(Server(tmp_path)).evaluate_button.disabled


def test_repr_is_short(tmp_path: Path) -> None:
    assert repr(Dashboard(Server(tmp_path))) == "Dashboard()"
