"""Start and stop a server, see where it listens, how it does and what it serves."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import ipywidgets
import traitlets

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.errors import BundleError, ServerError, TfaasError
from tfaas_nb.serving.server import Server
from tfaas_nb.table import Table
from tfaas_nb.widgets import proxy
from tfaas_nb.widgets.copy_line import CopyLine
from tfaas_nb.widgets.pace import Gauge
from tfaas_nb.widgets.panel import LABELS, WIDE, WRAPPED, Panel, offer, server_of
from tfaas_nb.widgets.turn import Turn, in_turn

#: Seconds between two looks at the server's counts.
_EVERY = 2.0
#: Seconds after which a look is given up.
_PATIENCE = 2.0
_ALL = "all versions"


@checked_calls(ServerError)
class ServerPanel(Panel):
    """A server's switch, addresses, pace and models.

    Parameters
    ----------
    server : Server, optional
        The server; by default one for the folder ``models``.

    Attributes
    ----------
    running : bool
        Whether the server answers; can be observed.
    deleted : str
        The model that was deleted last, or of which a version was; can be observed.
    start_button, stop_button, refresh_button : ipywidgets.Button
        Controls.
    address, proxied, token : CopyLine
        Where it listens for code on this machine; where the browser finds it, if Jupyter hands
        the port through; what requests must show, to be copied and never seen.
    pace : ipywidgets.HTML
        Requests per second and times to answer, from the server's own counts.
    models : ipywidgets.HTML
        What it serves.
    model, version : ipywidgets.Dropdown
        What to delete.
    delete_button, yes_button, no_button : ipywidgets.Button
        Delete; it is asked for confirmation.

    Notes
    -----
    While the server runs a thread looks at its counts; it ends with the server, when the panel
    is closed, and when the cell that made the panel is run again.
    """

    running = traitlets.Bool(False)
    deleted = traitlets.Unicode("")

    def __init__(self, server: Server | None = None) -> None:
        self.server = server_of(server, "ServerPanel")
        self._looking: threading.Event | None = None
        self._asked: tuple[str, int | None] | None = None
        self._turn = Turn()
        self.start_button = ipywidgets.Button(description="Start server", layout=WIDE)
        self.stop_button = ipywidgets.Button(description="Stop server", layout=WIDE)
        self.refresh_button = ipywidgets.Button(description="Refresh models", layout=WIDE)
        self.state = ipywidgets.HTML()
        self.address = CopyLine("Address for code on this machine")
        self.proxied = CopyLine(
            "Address for this browser (jupyter-server-proxy)", below=True, on_host=self._opened_at
        )
        self.token = CopyLine("Token for requests", secret=lambda: self.server.token or "")
        self.pace = ipywidgets.HTML()
        self.models = ipywidgets.HTML()
        self.model = ipywidgets.Dropdown(description="Model", style=LABELS)
        self.version = ipywidgets.Dropdown(
            description="Version", options=[_ALL], style=LABELS, layout={"width": "16em"}
        )
        self.delete_button = ipywidgets.Button(description="Delete …", layout=WIDE)
        self.question = ipywidgets.HTML()
        self.yes_button = ipywidgets.Button(
            description="Yes, delete", button_style="danger", layout=WIDE
        )
        self.no_button = ipywidgets.Button(description="No, keep", layout=WIDE)
        buttons = [self.start_button, self.stop_button, self.refresh_button]
        self._choice = ipywidgets.Box(
            [self.model, self.version, self.delete_button], layout=WRAPPED
        )
        self._confirmation = ipywidgets.Box(
            [self.question, self.yes_button, self.no_button], layout={**WRAPPED, "display": "none"}
        )
        switch = ipywidgets.Box(buttons, layout=WRAPPED)
        super().__init__(
            [
                switch,
                *(self.state, self.address, self.proxied, self.token, self.pace, self.models),
                *(self._choice, self._confirmation),
            ]
        )
        self._by_switch = self.line_below(switch)
        self.start_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())
        self.refresh_button.on_click(lambda _: self.refresh())
        self.delete_button.on_click(lambda _: self._ask_whether())
        self.no_button.on_click(lambda _: self._ask_no_more())
        self.yes_button.on_click(lambda _: self._delete_asked())
        self.model.observe(lambda _: self._model_chosen(), "value")
        self.refresh()

    def start(self) -> None:
        """Start the server; its address and models are shown."""
        with self.errors_in_words(at=self._by_switch):
            self.server.start()
            self.say("The server is running.", at=self._by_switch)
        self.refresh()

    def stop(self) -> None:
        """Stop the server."""
        with self.errors_in_words(at=self._by_switch):
            self.server.stop()
            self.say("The server is stopped.", at=self._by_switch)
        self.refresh()

    @in_turn
    def refresh(self) -> None:
        """Show the state as it is now."""
        running = self.server.is_running
        self._show_state(running)
        with self.errors_in_words(at=self._by_switch):
            self._show_models()
        if running:
            self._look_on()
        else:
            self._look_no_more()
        self.running = running

    def delete(self, model: str, version: int | None = None) -> None:
        """Delete a model with all its versions, or one of them, without further question."""
        with self.errors_in_words():
            client = self.server.client()
            try:
                client.delete(model if version is None else f"{model}/versions/{version}")
            finally:
                client.close()
            what = "" if version is None else f"Version {version} of "
            self.say(f"{what}{model!r} is deleted.")
            self.deleted = ""  # so that observers hear of the same name again
            self.deleted = model
        self.refresh()

    def close(self) -> None:
        """End all controls and the look at the counts; the server goes on."""
        self._look_no_more()
        super().close()

    def _show_state(self, running: bool) -> None:
        self.start_button.disabled, self.stop_button.disabled = running, not running
        place = "a process beside this kernel" if self.server.isolated else "this kernel"
        self.state.value = f"The server is {f'running in {place}' if running else 'not running'}."
        # jupyter-server-proxy asks by plain HTTP.
        path = proxy.path(self.server.port) if running and not self.server.is_encrypted else None
        self.address.value = self.server.url if running else ""
        self.proxied.value = path or ""
        self.token.value = "(hidden)" if running and self.server.token else ""
        self.pace.layout.display = None if running else "none"

    def _show_models(self) -> None:
        repository = self.server.service.repository
        rows = []
        for stored in repository.models():
            labels: dict[int, list[str]] = {}
            for label, number in repository.labels(stored.name).items():
                labels.setdefault(number, []).append(label)
            versions = repository.numbers(stored.name)
            shown = [f"{v} ({', '.join(labels[v])})" if v in labels else f"{v}" for v in versions]
            broken = self.server.damaged.get(stored.name, "")
            rows.append((stored.name, ", ".join(shown), str(stored.path.parent), broken))
        columns = ("model", "versions (labels)", "directory", "error")
        width = 4 if any(row[3] for row in rows) else 3
        table = Table(columns[:width], tuple(row[:width] for row in rows))
        self.models.value = table._repr_html_() if rows else "No models yet."
        self._choice.layout.display = None if rows and self.server.is_running else "none"
        offer(self.model, [row[0] for row in rows])
        self._offer_versions()

    @in_turn
    def _model_chosen(self) -> None:
        self.version.value = _ALL
        self._offer_versions()

    def _offer_versions(self) -> None:
        found: Sequence[int] = ()
        with self.errors_in_words():
            if self.model.value:
                found = self.server.service.repository.numbers(self.model.value)
        offer(self.version, [_ALL, *map(str, found)])
        self._ask_no_more()

    @in_turn
    def _ask_whether(self) -> None:
        """Ask whether to delete what is chosen."""
        model, version = self.model.value, self.version.value
        if model is None:
            self.say_error(BundleError("choose a model first"), [self.model])
            return
        self._asked = model, None if version == _ALL else int(version)
        what = "with all its versions" if version == _ALL else f"version {version}"
        self.question.value = f"Delete <b>{model}</b>, {what}? It does not come back."
        self._confirmation.layout.display = None

    def _ask_no_more(self) -> None:
        self._asked = None
        self._confirmation.layout.display = "none"

    @in_turn
    def _delete_asked(self) -> None:
        """Delete what was asked about, even if something else is chosen by now."""
        if self._asked is None:
            self.say("Nothing is deleted: what the server has changed meanwhile. Choose again.")
            return
        self.delete(*self._asked)

    def _opened_at(self, host: str) -> None:
        """Let the page's host name in, under which a proxy hands requests on."""
        if self.proxied.value and not self.server.allow_host(host):
            self.say(f"For the address for this browser, at {host}, stop the server and start it.")

    def _look_on(self) -> None:
        """Look at the counts from now on."""
        if self._looking is None or self._looking.is_set():
            self._looking = threading.Event()
            threading.Thread(
                target=self._look, args=(self._looking,), name="tfaas_nb-pace", daemon=True
            ).start()

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.set()

    def _look(self, end: threading.Event) -> None:
        gauge, client = Gauge(), None
        while not end.is_set() and self.server.is_running:
            try:
                client = _client(self.server, client)
                shown = f"Requests: {gauge.read(client.status())}."
            except TfaasError as error:
                shown = f"The server does not answer ({type(error).__name__})."
                if client:
                    client.close()
                client = None  # the server's certificate may have been renewed
            if not end.is_set():
                self.pace.value = shown
            end.wait(_EVERY)
        if client:
            client.close()
        if not end.is_set():  # it was stopped elsewhere
            end.set()
            self._show_state(False)
            self.running = False


def _client(server: Server, former: Client | None) -> Client:
    """A client of the server as it is now: it may have been started anew elsewhere."""
    if former and former.url == server.url:
        return former
    if former:
        former.close()
    return server.client(timeout=_PATIENCE)
