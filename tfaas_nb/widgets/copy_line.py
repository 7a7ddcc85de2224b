"""A line of text to copy: an address, or a secret that is shown to nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets


class CopyLine(anywidget.AnyWidget):
    """A label, a text, and a button that copies it.

    Parameters
    ----------
    label : str
        What the text is.
    secret : callable, optional
        Gives what is copied instead of the text when the button is pressed.  It is sent to the
        page that asked and never kept in the widget's state, which notebooks may save.
    on_host : callable, optional
        Told the host name under which the page was opened.

    Attributes
    ----------
    value : str
        The text; the line is hidden without one.
    below : bool
        Whether the text is a path below the page's Jupyter server, to be shown as an address.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")

    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)
    below = traitlets.Bool(False).tag(sync=True)
    secret = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        label: str,
        below: bool = False,
        secret: Callable[[], str] | None = None,
        on_host: Callable[[str], None] | None = None,
    ) -> None:
        self._secret, self._on_host = secret, on_host
        super().__init__(label=label, below=below, secret=secret is not None)
        self.on_msg(self._heard)

    def _heard(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        if message.get("kind") == "copy" and self._secret:
            self.send({"kind": "secret", "id": message.get("id"), "text": self._secret()})
        elif message.get("kind") == "host" and self._on_host:
            self._on_host(str(message.get("host", "")))
