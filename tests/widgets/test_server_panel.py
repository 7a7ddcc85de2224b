from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.certificates import Authority
from tfaas_nb.bundle import Bundle
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import ServerPanel
from tfaas_nb.widgets.copy_line import CopyLine


@pytest.fixture(autouse=True)
def _panels_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panel's thread ends with its server, which fixtures stop: no test sees another's."""
    assert until(lambda: threads() == 0)
    monkeypatch.setattr("tfaas_nb.widgets.server_panel._EVERY", 0.1)


def test_a_click_starts_and_a_click_stops(tmp_path: Path) -> None:
    panel = ServerPanel(Server(tmp_path, port=0))
    assert not panel.running
    assert panel.stop_button.disabled
    panel.start_button.click()
    assert panel.running
    assert panel.address.value == panel.server.url
    assert panel.server.client().status()["models"] == []
    panel.stop_button.click()
    assert not panel.running
    assert panel.address.value == ""
    assert "not running" in panel.state.value


def test_clicking_twice_changes_nothing(tmp_path: Path) -> None:
    panel = ServerPanel(Server(tmp_path, port=0))
    panel.start_button.click()
    url = panel.server.url
    panel.start_button.click()
    assert panel.server.url == url
    panel.stop_button.click()
    panel.stop_button.click()
    assert "stopped" in panel.message.value


@pytest.mark.slow
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


def test_the_token_is_copied_but_not_shown(server: Server) -> None:
    panel = ServerPanel(server)
    assert server.token
    shown = [w.get_state() for w in (panel, panel.state, panel.address, panel.token, panel.models)]
    assert server.token not in repr(shown) + repr(panel)
    with sent(panel.token) as answers:
        panel.token._handle_custom_msg({"kind": "copy", "id": "7"}, [])
    assert answers == [{"kind": "secret", "id": "7", "text": server.token}]


def test_a_server_without_a_token_has_none_to_copy(tmp_path: Path) -> None:
    with Server(tmp_path, port=0, token=False) as server:
        assert ServerPanel(server).token.value == ""


def test_where_the_browser_finds_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    panel = ServerPanel(server)
    assert panel.proxied.value == f"/user/me/proxy/{server.port}/"
    panel.proxied._handle_custom_msg({"kind": "host", "host": "hub.example"}, [])
    assert "at hub.example, stop the server and start it" in panel.message.value
    panel.stop_button.click()
    panel.start_button.click()
    answer = requests.get(f"{server.url}/health", headers={"Host": "hub.example"}, timeout=10)
    assert answer.status_code == 200


def test_without_a_proxy_there_is_no_such_address(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert ServerPanel(server).proxied.value == ""


def test_an_encrypted_server_has_its_address_and_no_proxys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jupyter-server-proxy asks by plain HTTP."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    authority = Authority()
    own = authority.server("localhost").write(tmp_path / "own.pem")
    ca = authority.write(tmp_path / "ca.pem")
    with Server(tmp_path / "m", port=0, certfile=own, client_ca=ca) as server:
        panel = ServerPanel(server)
        assert panel.address.value == f"https://127.0.0.1:{server.port}"
        assert panel.proxied.value == ""
        assert until(lambda: "since the start" in panel.pace.value)
        panel.close()


@pytest.mark.slow
def test_the_pace_is_shown_until_it_is_closed(serving: Server) -> None:
    panel = ServerPanel(serving)
    assert until(lambda: "since the start" in panel.pace.value)
    assert threads() == 1
    panel.refresh()
    assert threads() == 1
    panel.close()
    assert until(lambda: threads() == 0)
    assert serving.is_running


@pytest.mark.slow
def test_a_server_stopped_in_a_cell_is_noticed(serving: Server) -> None:
    panel = ServerPanel(serving)
    assert until(lambda: panel.pace.value != "")
    serving.stop()
    assert until(lambda: not panel.running)
    assert not panel.start_button.disabled
    assert "not running" in panel.state.value
    assert until(lambda: threads() == 0)


@pytest.mark.slow
def test_deleting_is_asked_for_confirmation(serving: Server, bundle: Bundle) -> None:
    serving.client().upload(bundle)
    panel = ServerPanel(serving)
    assert "1, 2" in panel.models.value
    panel.version.value = "1"
    assert is_hidden(panel)
    panel.delete_button.click()
    assert not is_hidden(panel)
    assert "version 1" in panel.question.value
    panel.no_button.click()
    assert is_hidden(panel)
    assert len(serving.client().versions("ttbar").rows) == 2
    panel.delete_button.click()
    panel.yes_button.click()
    assert "Version 1 of &#x27;ttbar&#x27; is deleted" in panel.message.value
    assert [row[0] for row in serving.client().versions("ttbar").rows] == [2]
    panel.delete_button.click()
    assert "with all its versions" in panel.question.value
    panel.yes_button.click()
    assert serving.client().status()["models"] == []
    assert panel.models.value == "No models yet."
    panel.close()


@pytest.mark.slow
def test_a_version_stays_chosen_when_another_arrives(serving: Server, bundle: Bundle) -> None:
    """An upload ends whenever it ends: what a person is about to delete stays what it is."""
    panel = ServerPanel(serving)
    panel.version.value = "1"
    panel.delete_button.click()
    serving.client().upload(bundle)
    panel.refresh()
    assert panel.version.value == "1"
    assert is_hidden(panel)
    panel.yes_button.click()  # it was on its way
    assert "Nothing is deleted" in panel.message.value
    assert len(serving.client().versions("ttbar").rows) == 2
    panel.close()


@pytest.mark.slow
def test_what_was_asked_about_is_deleted(serving: Server, bundle: Bundle) -> None:
    serving.client().upload(bundle)
    panel = ServerPanel(serving)
    panel.version.value = "1"
    panel.delete_button.click()
    panel.version.value = "all versions"
    panel.yes_button.click()
    assert [row[0] for row in serving.client().versions("ttbar").rows] == [2]
    panel.close()


@pytest.mark.slow
def test_a_labelled_version_stays_and_the_reason_is_told(serving: Server) -> None:
    serving.client().label("ttbar", "production")
    panel = ServerPanel(serving)
    assert "1 (production)" in panel.models.value
    panel.delete("ttbar", 1)
    assert "production" in panel.message.value
    assert 'role="alert"' in panel.message.value
    panel.close()


@contextmanager
def sent(line: CopyLine) -> Iterator[list[Any]]:
    found: list[Any] = []
    line.send = lambda content, buffers=None: found.append(content)
    yield found
    del line.send


def is_hidden(panel: ServerPanel) -> bool:
    return bool(panel._confirmation.layout.display == "none")


def threads() -> int:
    return sum(t.name == "tfaas_nb-pace" for t in threading.enumerate())


def until(holds: Callable[[], bool]) -> bool:
    """Wait until something holds; False if it does not in time."""
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()
