"""What all widgets have: a column of controls, and a line that says what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

import ipywidgets

from tfaas_nb.client import Client
from tfaas_nb.errors import TfaasError
from tfaas_nb.serving.server import Server

#: What a widget may be given to reach models: a server of this kernel, or a client.
Source = Server | Client

WIDE = ipywidgets.Layout(width="auto", min_width="9em")
LABELS = {"description_width": "initial"}


def client_of(source: Source) -> Client:
    """A client for a server of this kernel, or the client itself.

    Raises
    ------
    ServerError
        If the server does not run.
    """
    return source.client() if isinstance(source, Server) else source


def offer(dropdown: ipywidgets.Dropdown, names: Sequence[str]) -> None:
    """Offer these names; what was chosen stays chosen if it is among them, else the first."""
    chosen = dropdown.value
    dropdown.options = names
    dropdown.value = chosen if chosen in names else next(iter(names), None)


class Panel(ipywidgets.VBox):  # type: ignore[misc]
    """A column of controls with a message below.

    Attributes
    ----------
    message : ipywidgets.HTML
        What happened last, in words; errors are shown here, never under the cell.
    """

    def __init__(self, controls: Sequence[ipywidgets.Widget]) -> None:
        self.message = ipywidgets.HTML()
        super().__init__([*controls, self.message])

    def say(self, text: str, error: bool = False) -> None:
        """Show a message."""
        role, mark = ("alert", "<b>Error:</b> ") if error else ("status", "")
        self.message.value = f'<div role="{role}">{mark}{escape(text)}</div>'

    @contextmanager
    def errors_in_words(self) -> Iterator[None]:
        """Show what goes wrong inside as a message."""
        try:
            yield
        except TfaasError as error:
            self.say(str(error), error=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
