"""Start and stop a server, see where it listens and what it serves."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from tfaas_nb.serving.server import Server
from tfaas_nb.widgets.panel import WIDE, Panel


class ServerPanel(Panel):
    """A server's switch and its models.

    Parameters
    ----------
    server : Server, optional
        The server; by default one for the folder ``models``.

    Attributes
    ----------
    running : bool
        Whether the server answers; can be observed.
    start_button, stop_button, refresh_button : ipywidgets.Button
        Controls.
    address, models : ipywidgets.HTML
        Where it listens and what it serves.
    """

    running = traitlets.Bool(False)

    def __init__(self, server: Server | None = None) -> None:
        self.server = server or Server()
        self.start_button = ipywidgets.Button(description="Start server", layout=WIDE)
        self.stop_button = ipywidgets.Button(description="Stop server", layout=WIDE)
        self.refresh_button = ipywidgets.Button(description="Refresh models", layout=WIDE)
        self.address = ipywidgets.HTML()
        self.models = ipywidgets.HTML()
        buttons = [self.start_button, self.stop_button, self.refresh_button]
        super().__init__([ipywidgets.HBox(buttons), self.address, self.models])
        self.start_button.on_click(self._start)
        self.stop_button.on_click(self._stop)
        self.refresh_button.on_click(self._refresh)
        self.refresh()

    def start(self) -> None:
        """Start the server; its address and models are shown."""
        with self.errors_in_words():
            self.server.start()
            self.say("The server is running.")
        self.refresh()

    def stop(self) -> None:
        """Stop the server."""
        with self.errors_in_words():
            self.server.stop()
            self.say("The server is stopped.")
        self.refresh()

    def refresh(self) -> None:
        """Show the state as it is now."""
        running = self.server.is_running
        self.start_button.disabled, self.stop_button.disabled = running, not running
        place = "a process beside this kernel" if self.server.isolated else "this kernel"
        where = f"<code>{self.server.url}</code> ({place})" if running else "not running"
        self.address.value = f"Address: {where}"
        with self.errors_in_words():
            self.models.value = self.server._repr_html_()
        self.running = running

    def _start(self, _: Any) -> None:
        self.start()

    def _stop(self, _: Any) -> None:
        self.stop()

    def _refresh(self, _: Any) -> None:
        self.refresh()
