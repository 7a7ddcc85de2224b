"""Choose a model file, name it, send it to a server."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import BundleError
from tfaas_nb.widgets.panel import LABELS, WIDE, Panel, Source, client_of

#: Jupyter drops larger websocket messages without a word.
MOST_BYTES = 10_000_000

#: Of a model's own file, which is named after it; the others are archives.
_LONE = (".pb", ".onnx", ".keras")
_ENDINGS = (".tar.gz", ".tgz", *_LONE)


class Upload(Panel):
    """Send a ``.pb`` or ``.tar.gz`` to a server by a click.

    Parameters
    ----------
    source : Server or Client
        Where models go.

    Attributes
    ----------
    uploaded : str
        Name of the model that was sent last; can be observed.
    file : ipywidgets.FileUpload
        The file chooser.
    name : ipywidgets.Text
        Name under which the model will be served.
    send_button : ipywidgets.Button
        Sends.
    contents : ipywidgets.HTML
        What is in the chosen file.
    """

    uploaded = traitlets.Unicode("")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.file = ipywidgets.FileUpload(
            description="Choose a .pb or .tar.gz", accept=".pb,.gz,.tgz", layout=WIDE
        )
        self.name = ipywidgets.Text(description="Model name", style=LABELS)
        self.send_button = ipywidgets.Button(
            description="Send to the server", disabled=True, layout=WIDE
        )
        self.contents = ipywidgets.HTML()
        self._bundle: Bundle | None = None
        hint = ipywidgets.HTML(
            f"Files up to {MOST_BYTES // 1_000_000} MB; larger ones: "
            "<code>client.upload(tn.Bundle.load(path))</code> in a cell."
        )
        row = ipywidgets.HBox([self.file, self.name, self.send_button])
        super().__init__([row, hint, self.contents])
        self.file.observe(self._chosen, "value")
        self.send_button.on_click(self._send)

    def look(self, file_name: str, content: bytes) -> None:
        """Read a chosen file and show what is in it, or why it cannot be served."""
        self._bundle, self.contents.value, self.send_button.disabled = None, "", True
        with self.errors_in_words():
            self._bundle = read(file_name, content)
            self.name.value = self._bundle.name
            self.contents.value = self._bundle._repr_html_()
            self.send_button.disabled = False
            self.say(f"{file_name} can be served: check the name and send it.")

    def send(self) -> None:
        """Send the chosen model under the given name."""
        with self.errors_in_words():
            if self._bundle is None:
                raise BundleError("choose a file first")
            bundle = self._bundle.renamed(self.name.value.strip())
            client_of(self.source).upload(bundle)
            self.say(f"The server now serves {bundle.name!r}.")
            self.uploaded = ""  # so that observers hear of the same name again
            self.uploaded = bundle.name

    def _chosen(self, change: Any) -> None:
        for chosen in change["new"]:
            self.look(chosen["name"], bytes(chosen["content"]))

    def _send(self, _: Any) -> None:
        self.send()


def read(file_name: str, content: bytes) -> Bundle:
    """The bundle in an uploaded file; a lone graph is named after its file.

    Raises
    ------
    BundleError
        If the file's ending or its content is not that of a model.
    GraphError
        If the graph may not be served.
    """
    ending = next((e for e in _ENDINGS if file_name.lower().endswith(e)), None)
    if ending is None:
        raise BundleError(f"{file_name} is no model: choose a file ending in {_ENDINGS}")
    if ending not in _LONE:
        return Bundle.from_archive(content)
    return Bundle.from_parts(b"", content, name=file_name[: -len(ending)])
