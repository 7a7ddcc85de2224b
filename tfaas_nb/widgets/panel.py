"""Base of all widgets: a column of controls, and a line that says what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

import ipywidgets

from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, ServerError, TfaasError
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import cell

#: What a widget may be given to reach models: a server of this kernel, or a client.
Source = Server | Client
HOW_TO_START = "start it first, in the tab Serve or with server.start()"

# Values, not widgets: each control makes one of its own, which ends with it.
WIDE = {"width": "auto", "min_width": "9em"}
LABELS = {"description_width": "initial"}
#: A row of controls that goes on below where the page is narrow.
WRAPPED = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 8px"}


def check_source(source: object, widget: str) -> None:
    """Refuse what reaches no models.

    Raises
    ------
    ServerError
        If it is neither a server nor a client.
    """
    if not isinstance(source, (Server, Client)):
        raise ServerError(
            f"{widget} takes a tn.Server or a tn.Client first, not a {type(source).__name__}: "
            f"{widget}(server), or {widget}(tn.Client(url, token=...))"
        )


def server_of(server: object, widget: str) -> Server:
    """The server that a widget starts and stops; a new one if there is none.

    Raises
    ------
    ServerError
        If it is no server of this kernel.
    """
    if server is not None and not isinstance(server, Server):
        raise ServerError(
            f"{widget} takes a tn.Server, which it starts and stops, not a "
            f"{type(server).__name__}; {widget}() makes one"
        )
    return Server() if server is None else server


def check_events(data: object, widget: str) -> None:
    """Refuse what are no events.

    Raises
    ------
    DataError
        If it is neither a dataset, a stream, nor None.
    """
    if data is not None and not isinstance(data, (Dataset, Stream)):
        raise DataError(
            f"{widget} takes events as a Dataset or a Stream, not a {type(data).__name__}: "
            "tn.load(...) or tn.Dataset.from_columns(table, y=...) makes one"
        )


def client_of(source: Source) -> Client:
    """A client for a server of this kernel, or the client itself.

    Raises
    ------
    ServerError
        If the server does not run.
    """
    if not isinstance(source, Server):
        return source
    if not source.is_running:
        raise ServerError(f"the server is not running: {HOW_TO_START}")
    return source.client()


def offer(dropdown: ipywidgets.Dropdown, names: Sequence[str]) -> None:
    """Offer these names; what was chosen stays chosen if it is among them, else the first."""
    chosen = dropdown.value
    dropdown.options = names
    dropdown.value = chosen if chosen in names else next(iter(names), None)


class Panel(ipywidgets.VBox):  # type: ignore[misc]
    """A column of controls with a message below.

    It ends with all its controls when it is closed or when the cell that made it is run again.

    Attributes
    ----------
    message : ipywidgets.HTML
        What happened last, in words; errors are shown here, never under the cell.
    """

    def __init__(self, controls: Sequence[ipywidgets.Widget]) -> None:
        self.message = ipywidgets.HTML()
        super().__init__([*controls, self.message])
        cell.remember(self)

    def __del__(self) -> None:
        # One that refused its arguments has nothing to close.
        if "message" in self.__dict__:
            super().__del__()

    def say(self, text: str, error: bool = False) -> None:
        """Show a message."""
        role, mark = ("alert", "<b>Error:</b> ") if error else ("status", "")
        self.message.value = f'<div role="{role}">{mark}{escape(text)}</div>'

    def forget_error(self) -> None:
        """Take an error away that no longer holds; what else is told stays."""
        if 'role="alert"' in self.message.value:
            self.say("")

    def tell_below(self, control: ipywidgets.Widget) -> None:
        """Show messages below one of the controls, instead of at the end."""
        others: list[ipywidgets.Widget] = [*self.children]  # type: ignore[has-type]
        others.remove(self.message)
        others.insert(others.index(control) + 1, self.message)
        self.children = others

    @contextmanager
    def errors_in_words(self) -> Iterator[None]:
        """Show what goes wrong inside as a message."""
        try:
            yield
        except TfaasError as error:
            self.say(str(error), error=True)
        except MemoryError:
            self.say("this kernel's machine has not enough memory for that", error=True)
        except Exception as error:
            # A person who clicks has no traceback to read, and should not have one.
            self.say(f"that failed unexpectedly ({type(error).__name__}: {error})", error=True)

    def close(self) -> None:
        """End all controls; may be called twice."""
        close_below(self)
        super().close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def close_below(widget: ipywidgets.Widget) -> None:
    """End what a widget is made of, for instance before a box gets other children."""
    for part in _below(widget):
        part.close()


def _below(widget: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    """The widgets that a widget is made of."""
    found: dict[int, ipywidgets.Widget] = {}
    for key in widget.keys:
        value = getattr(widget, key)
        parts = value if isinstance(value, (tuple, list)) else (value,)
        found |= {id(part): part for part in parts if isinstance(part, ipywidgets.Widget)}
    inner = [part for own in found.values() for part in _below(own)]
    return [*inner, *found.values()]
