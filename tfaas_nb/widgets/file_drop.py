"""Choose files or drop them: they come to the kernel in parts, each one acknowledged.

Jupyter drops websocket messages of more than about 10 MB without a word, and so does
`ipywidgets.FileUpload`, which sends a file as one.  Here the page (``file_drop.js``) sends the
next part when the last one was taken, which also keeps the kernel from being flooded.

Messages from the page, each with the ``id`` of its upload::

    {kind: "begin", files: [{name, size}]}       -> {kind: "ready"}
    {kind: "part", file, offset, sha256} + bytes -> {kind: "taken"}, the last one {kind: "whole"}
    {kind: "cancel"}                             -> nothing

and at any time ``{kind: "refused", why}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import anywidget
import traitlets

from tfaas_nb.errors import RequestError, TfaasError
from tfaas_nb.widgets.arrival import Arrival


class FileDrop(anywidget.AnyWidget):
    """A button and a place to drop files on, with a progress bar and a way to cancel.

    Parameters
    ----------
    label : str
        What the button says.
    accept : str
        Endings that the file chooser offers, with commas between.
    most_bytes : int
        What files may take together.
    on_arrival : callable
        Takes the whole `Arrival`; it is the callable's to close.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")

    label = traitlets.Unicode().tag(sync=True)
    accept = traitlets.Unicode().tag(sync=True)
    most_bytes = traitlets.Int().tag(sync=True)

    def __init__(
        self, label: str, accept: str, most_bytes: int, on_arrival: Callable[[Arrival], None]
    ) -> None:
        self._arrival: Arrival | None = None
        self._upload: Any = None
        self._on_arrival = on_arrival
        super().__init__(label=label, accept=accept, most_bytes=most_bytes)
        self.on_msg(self._heard)

    @property
    def is_receiving(self) -> bool:
        """True if files are on their way."""
        return self._arrival is not None

    def close(self) -> None:
        """Drop what is on its way, and disappear."""
        self._drop()
        super().close()

    def _heard(self, _: Any, message: Mapping[str, Any], parts: Sequence[Any]) -> None:
        upload = message.get("id")
        try:
            answer = self._answer(message, parts)
        except TfaasError as error:
            self._drop(upload)
            self.send({"kind": "refused", "id": upload, "why": str(error)})
            return
        if answer:
            self.send({"kind": answer, "id": upload})
        if answer == "whole" and self._arrival:
            arrival, self._arrival = self._arrival, None
            self._on_arrival(arrival)

    def _answer(self, message: Mapping[str, Any], parts: Sequence[Any]) -> str | None:
        kind, upload = message.get("kind"), message.get("id")
        if kind == "cancel":
            self._drop(upload)
            return None
        if kind == "begin":
            self._begin(upload, message)
        elif kind == "part":
            self._take(upload, message, parts)
        else:
            raise RequestError(f"the page sent a message of kind {kind!r}")
        if self._arrival and self._arrival.is_whole:
            return "whole"
        return "ready" if kind == "begin" else "taken"

    def _begin(self, upload: Any, message: Mapping[str, Any]) -> None:
        try:
            files = [(_plain(file["name"]), int(file["size"])) for file in message["files"]]
        except (KeyError, TypeError, ValueError) as error:
            raise RequestError(f"the page's list of files is odd: {error!r}") from error
        if any(size < 0 for _, size in files):
            raise RequestError("the page's list of files is odd: a size is negative")
        arrival = Arrival(files, self.most_bytes)
        if self._arrival:  # of a page that was reloaded, or shown twice
            former = self._upload
            self._drop()
            self.send({"kind": "refused", "id": former, "why": "other files took their place"})
        self._arrival, self._upload = arrival, upload

    def _take(self, upload: Any, message: Mapping[str, Any], parts: Sequence[Any]) -> None:
        if self._arrival is None or upload != self._upload:
            raise RequestError("the kernel does not expect this file any more: send it once more")
        try:
            file, offset = int(message["file"]), int(message["offset"])
            part, sha256 = bytes(parts[0]), message.get("sha256")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise RequestError(f"a part of the file is odd: {error!r}") from error
        self._arrival.take(file, offset, part, sha256)

    def _drop(self, upload: Any = None) -> None:
        """Forget what is on its way, or only this upload."""
        if self._arrival and upload in (None, self._upload):
            self._arrival.close()
            self._arrival = None


def _plain(name: Any) -> str:
    """The file's own name, without folders of the person's machine."""
    return PurePosixPath(str(name).replace("\\", "/")).name or "file"
