"""Choose a model's files, see what is inside, name it, send it to a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import traitlets

from tfaas_nb.bundle import Bundle, check_name
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.errors import BundleError, ServerError, TfaasError
from tfaas_nb.graph_parts.inference_constants import HOW_TO_GIVE, constants_in
from tfaas_nb.widgets import chosen
from tfaas_nb.widgets.arrival import Arrival, size
from tfaas_nb.widgets.background import Background
from tfaas_nb.widgets.field import TextField
from tfaas_nb.widgets.file_drop import FileDrop
from tfaas_nb.widgets.panel import LABELS, WIDE, WRAPPED, Panel, Source, check_source, client_of
from tfaas_nb.wire.params import feature_names

#: A browser looks at what follows the last dot.
_ACCEPT = ",".join(dict.fromkeys(f".{ending.rpartition('.')[2]}" for ending in chosen.ENDINGS))


@checked_calls(ServerError)
class Upload(Panel):
    """Send a model's files to a server by a click, or from a cell.

    Parameters
    ----------
    source : Server or Client
        Where models go.

    Attributes
    ----------
    uploaded : str
        Name of the model that was sent last; can be observed, in the thread that sent it.
    version : int or None
        The number that the server gave it.
    files : FileDrop
        Chooses files or takes what is dropped.
    path : TextField
        A file or folder on the kernel's machine instead.
    name : TextField
        Name under which the model will be served.
    features : TextField
        Names of its features in its order, between commas; shown for a model that does not
        tell them.
    constants : TextField
        Values of placeholders that are no inputs; shown for a model that asks for them, which is
        read again with each.
    read_button, send_button : ipywidgets.Button
        Read what is at the path; send.
    contents : ipywidgets.HTML
        What is inside.
    next_version : ipywidgets.HTML
        Which version of that name it will be.

    Notes
    -----
    What is clicked is done in a thread, and `wait` waits for it; `look`, `look_at`,
    `look_at_path` and `send` return when they are done.
    """

    uploaded = traitlets.Unicode("")

    def __init__(self, source: Source) -> None:
        check_source(source, "Upload")
        self.source = source
        self.version: int | None = None
        self._bundle: Bundle | None = None
        self._is_naming = False
        self._background = Background("upload")
        self.files = FileDrop(
            "Choose a model's files",
            f"{_ACCEPT},{','.join(chosen.BESIDE)},.data",
            chosen.MOST_BYTES,
            self._arrived,
        )
        self.path = TextField(
            continuous_update=True,
            description="Or a path on the kernel's machine",
            placeholder="models/ttbar or ttbar.tar.gz",
            style=LABELS,
            layout={"width": "34em"},
        )
        self.read_button = ipywidgets.Button(description="Read the path", layout=WIDE)
        self.name = TextField("", _check_name, description="Model name", style=LABELS)
        self.features = TextField(
            *("", feature_names),
            continuous_update=True,
            description="Names of its features",
            placeholder="a, b, c: one for each value, in the model's order; may stay empty",
            style=LABELS,
            layout={"width": "48em", "display": "none"},
        )
        self.constants = TextField(
            *("", constants_in),
            description="Values of its placeholders",
            placeholder="keep_prob=1, phase=false: of those that are no inputs",
            style=LABELS,
            layout={"width": "48em", "display": "none"},
        )
        self._looking: tuple[str, int | None, Callable[[str], Bundle]] | None = None
        own = {"name": self.name, "features": self.features}
        self.arguments = {**own, "constants": self.constants}
        self.next_version = ipywidgets.HTML()
        self.send_button = ipywidgets.Button(
            description="Send to the server", disabled=True, layout=WIDE
        )
        self.contents = ipywidgets.HTML()
        hint = ipywidgets.HTML(
            '<div style="line-height:1.4">A frozen graph (.pb), ONNX (.onnx) or Keras (.keras) '
            "model, with its params.json and labels.txt if there are, an ONNX model's with the "
            "file of its weights; or a bundle or SavedModel as .tar.gz or .zip; up to "
            f"{chosen.MOST_BYTES / 1e6:.0f} MB. ONNX needs the extra: "
            "<code>pip install 'tfaas_nb[onnx]'</code>.</div>"
        )
        rows = [[self.path, self.read_button], [self.name, self.next_version, self.send_button]]
        there, here = (ipywidgets.Box(row, layout=WRAPPED) for row in rows)
        asked = [self.constants, self.contents, self.features]
        super().__init__([hint, self.files, there, *asked, here])
        self._by_files = self.line_below(there)
        self.read_button.on_click(self._read_path)
        self.send_button.on_click(self._send_clicked)
        self.name.observe(self._renamed, "value")
        self.constants.observe(self._given, "value")

    def look(self, file_name: str, content: bytes) -> None:
        """Read a file and show what is inside, or why it cannot be served."""
        self.look_at({file_name: content})

    def look_at(self, files: Mapping[str, bytes]) -> None:
        """Read some files, a model with what tells of it, and show what is inside."""
        count = sum(map(len, files.values()))
        self._look(", ".join(files), count, lambda constants: chosen.read(files, constants))

    def look_at_path(self, path: str) -> None:
        """Read a file or folder of this machine and show what is inside."""
        self._look(path.strip(), None, lambda constants: chosen.read_path(path, constants))

    def send(self) -> None:
        """Send the chosen model under the given name."""
        fields = [self.name, self.features]
        if self.refuses([self.name] if self._is_named else fields):
            return
        self.send_button.disabled = True
        with self.errors_in_words(*fields):
            if self._bundle is None:
                raise BundleError("choose a file first")
            names = self.features.value if self._bundle.features is None else ""
            bundle = self._bundle.renamed(self.name.value.strip()).with_features(names)
            self.say(f"Sending {bundle.name!r}; the server vets, tries and stores it …")
            self.version = client_of(self.source).upload(bundle)
            number = "" if self.version is None else f", version {self.version}"
            self.say(f"The server now serves {bundle.name!r}{number}.")
            self.uploaded = ""  # so that observers hear of the same name again
            self.uploaded = bundle.name
            self._foresee()
        self.send_button.disabled = self._bundle is None

    def wait(self, seconds: float | None = None) -> bool:
        """Block until what was clicked is done; returns whether it is."""
        return self._background.wait(seconds)

    def close(self) -> None:
        """End all controls, drop the model and what is on its way."""
        self._background.close()
        self._bundle = None
        super().close()

    @property
    def _is_named(self) -> bool:
        """True if the model tells its features, so that their field is not seen."""
        return self._bundle is None or self._bundle.features is not None

    def _look(self, what: str, count: int | None, read: Callable[[str], Bundle]) -> None:
        """Read a model anew, of which nothing is known yet."""
        self._looking = None
        self.constants.value, self.constants.layout.display = "", "none"
        self._look_again(what, count, read)
        self._looking = (what, count, read)

    def _look_again(self, what: str, count: int | None, read: Callable[[str], Bundle]) -> None:
        self._bundle, self.contents.value, self.send_button.disabled = None, "", True
        self.next_version.value = self.features.value = ""
        self.features.layout.display = "none"
        count_told = "" if count is None else f", {size(count)}"
        self.say(f"Reading {what}{count_told} …", at=self._by_files)
        with self.errors_in_words(self.path, at=self._by_files):
            bundle = self._read(what, lambda: read(self.constants.value))
            if bundle is None:
                return
            self.contents.value = chosen.inside(bundle)._repr_html_()
            self._is_naming = True
            try:
                self.name.value = bundle.name
            finally:
                self._is_naming = False
            self._bundle, self.send_button.disabled = bundle, False
            if bundle.features is None:
                self.features.layout.display = None
            self.say(f"{what} can be served: check the name and send it.", at=self._by_files)
            self._foresee()

    def _read(self, what: str, read: Callable[[], Bundle]) -> Bundle | None:
        """Read a bundle; on failure, show the error with the name of the file and return None."""
        try:
            return read()
        except TfaasError as error:
            told = str(error)
            if HOW_TO_GIVE in told:
                self.constants.layout.display = None
            named = error if what in told else type(error)(f"{what}: {told}")
            self.say_error(named, [self.path], self._by_files)
            return None

    def _foresee(self) -> None:
        """Show which version a model of this name will be, if the server tells."""
        name, text = self.name.value.strip(), ""
        if self._bundle is not None and name:
            with contextlib.suppress(TfaasError):  # it is told when the model is sent
                text = _next_version(client_of(self.source), name)
        self.next_version.value = text

    def _arrived(self, arrival: Arrival) -> None:
        self._background.run(lambda: self._look_at_arrival(arrival))

    def _look_at_arrival(self, arrival: Arrival) -> None:
        try:
            files = arrival.contents()
        finally:
            arrival.close()
        self.look_at({file.name: file.content for file in files})

    def _read_path(self, _: Any) -> None:
        path = self.path.value
        self._background.run(lambda: self.look_at_path(path))

    def _given(self, _: Any) -> None:
        """Read the model that is looked at with the values that were given."""
        looking = self._looking
        if looking is not None and not self.refuses([self.constants]):
            self._background.run(lambda: self._look_again(*looking))

    def _send_clicked(self, _: Any) -> None:
        self._background.run(self.send)

    def _renamed(self, _: Any) -> None:
        if not self._is_naming:
            self._background.run(self._foresee)


def _check_name(text: str) -> None:
    """Refuse what cannot name a model; nothing is written before a model is chosen."""
    if text.strip():
        check_name(text.strip())


def _next_version(client: Client, name: str) -> str:
    if all(model.get("name") != name for model in client.describe_models()):
        return "new on the server"
    latest = max((row[0] for row in client.versions(name).rows), default=0)
    # Numbers of deleted versions are not given again, and not told.
    return f"will be version {latest + 1} or higher"
