from __future__ import annotations

import socket
from pathlib import Path

from tfaas_nb.bundle import Bundle
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import ServerPanel


def test_a_click_starts_and_a_click_stops(tmp_path: Path) -> None:
    panel = ServerPanel(Server(tmp_path, port=0))
    assert not panel.running
    assert panel.stop_button.disabled
    panel.start_button.click()
    assert panel.running
    assert panel.server.url in panel.address.value
    assert panel.server.client().status()["models"] == []
    panel.stop_button.click()
    assert not panel.running
    assert "not running" in panel.address.value


def test_clicking_twice_changes_nothing(tmp_path: Path) -> None:
    panel = ServerPanel(Server(tmp_path, port=0))
    panel.start_button.click()
    url = panel.server.url
    panel.start_button.click()
    assert panel.server.url == url
    panel.stop_button.click()
    panel.stop_button.click()
    assert "stopped" in panel.message.value


def test_models_are_shown_after_a_refresh(server: Server, bundle: Bundle) -> None:
    panel = ServerPanel(server)
    assert "ttbar" not in panel.models.value
    server.client().upload(bundle)
    panel.refresh_button.click()
    assert "ttbar" in panel.models.value


def test_a_taken_port_is_told_in_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        panel = ServerPanel(Server(tmp_path, port=port))
        panel.start_button.click()
    assert 'role="alert"' in panel.message.value
    assert str(port) in panel.message.value
    assert not panel.running


def test_the_token_is_not_shown(server: Server) -> None:
    panel = ServerPanel(server)
    assert server.token
    assert server.token not in panel.address.value + panel.models.value + repr(panel)
