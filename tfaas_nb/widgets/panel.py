"""Base of all widgets: a column of controls, and a line that says what happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import ipywidgets

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, ServerError, TfaasError
from tfaas_nb.serving.server import Server
from tfaas_nb.spelling import spelled, value_of
from tfaas_nb.widgets import cell
from tfaas_nb.widgets.field import Field, in_words, wrong

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


@checked_calls(ServerError)
class Panel(ipywidgets.VBox):  # type: ignore[misc]
    """A column of controls with a message below, or beside the button that caused it.

    It ends with all its controls when it is closed or when the cell that made it is run again.
    """

    #: Arguments in messages, as Python has them → the controls by which they are given here.
    arguments: Mapping[str, ipywidgets.Widget] = {}

    def __init__(self, controls: Sequence[ipywidgets.Widget]) -> None:
        self._usual = self._spoken = ipywidgets.HTML()
        self._error: Exception | None = None
        self._causes: tuple[ipywidgets.Widget, ...] = ()
        super().__init__([*controls, self._usual])
        cell.remember(self)

    def __del__(self) -> None:
        # One that refused its arguments has nothing to close.
        if "_usual" in self.__dict__:
            super().__del__()

    @property
    def message(self) -> ipywidgets.HTML:
        """The line that says what happened last; errors are shown here, never under the cell."""
        return self._spoken

    def say(self, text: str, error: bool = False, at: ipywidgets.HTML | None = None) -> None:
        """Show a message, by default in the usual line; the one before goes."""
        self._watch_no_more()
        before, self._spoken = self._spoken, at or self._usual
        if before is not self._spoken:
            before.value = ""
        self._error = Exception(text) if error else None
        role, mark = ("alert", "<b>Error:</b> ") if error else ("status", "")
        self._spoken.value = f'<div role="{role}">{mark}{escape(text)}</div>'

    def say_error(
        self,
        error: Exception,
        causes: Iterable[ipywidgets.Widget] = (),
        at: ipywidgets.HTML | None = None,
    ) -> None:
        """Show what went wrong, until one of the controls that caused it changes."""
        self.say(self.in_fields(_told(error)), error=True, at=at)
        self._error, self._causes = error, tuple(causes)
        for control in self._causes:
            control.observe(self._cause_changed, _changing(control))
        if len(self._causes) == 1:  # of several nobody knows which one it is
            _mark(self._causes, True)

    def in_fields(self, message: str) -> str:
        """Spell the arguments in a message as the fields of the panel that they are here.

        ``on_nan='skip'`` becomes “Values that are not finite”: “leave the events out”.
        """
        return spelled(message, self._in_field)

    def _in_field(self, name: str, literal: str) -> str | None:
        control = self.arguments.get(name)
        if control is None:
            return None
        value = value_of(literal) if literal else ...
        words = "" if value in (..., literal) or isinstance(value, bool) else _typed(control, value)
        return f"“{control.description}”" + (f": {words}" if words else "")

    def refuses(self, fields: Iterable[Any], at: ipywidgets.HTML | None = None) -> bool:
        """Return True if fields are marked; the message says which and why until they are not."""
        marked = wrong(fields)
        if marked:
            self.say_error(DataError(in_words(marked)), marked, at)
        return bool(marked)

    def forget_error(self, kind: type[Exception] = Exception) -> None:
        """Take an error of some kind away that no longer holds; what else is told stays.

        Marked fields that it names have to be mended first.
        """
        if isinstance(self._error, kind) and not wrong(self._causes):
            self.say("", at=self._spoken)

    def tell_below(self, control: ipywidgets.Widget) -> None:
        """Show messages below one of the controls, instead of at the end."""
        others: list[ipywidgets.Widget] = [*self.children]  # type: ignore[has-type]
        others.remove(self._usual)
        others.insert(others.index(control) + 1, self._usual)
        self.children = others

    def line_below(self, control: ipywidgets.Widget) -> ipywidgets.HTML:
        """Another line for messages, below one of the controls."""
        line = ipywidgets.HTML()
        others: list[ipywidgets.Widget] = [*self.children]
        others.insert(others.index(control) + 1, line)
        self.children = others
        return line

    @contextmanager
    def errors_in_words(
        self, *causes: ipywidgets.Widget, at: ipywidgets.HTML | None = None
    ) -> Iterator[None]:
        """Show what goes wrong inside as a message, until one of its causes changes."""
        try:
            yield
        except Exception as error:
            # A person who clicks has no traceback to read, and should not have one.
            self.say_error(error, causes, at)

    def _cause_changed(self, _: Any) -> None:
        if not self.refuses(self._causes, self._spoken):
            self.forget_error()

    def _watch_no_more(self) -> None:
        _mark(self._causes, False)
        causes, self._causes = self._causes, ()
        for control in causes:
            control.unobserve(self._cause_changed, _changing(control))

    def close(self) -> None:
        """End all controls; may be called twice."""
        close_below(self)
        super().close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _told(error: Exception) -> str:
    """An error as a person reads it."""
    if isinstance(error, TfaasError):
        return str(error)
    if isinstance(error, MemoryError):
        return "this kernel's machine has not enough memory for that"
    return f"that failed unexpectedly ({type(error).__name__}: {error})"


def _typed(control: ipywidgets.Widget, value: Any) -> str:
    """A value as a person gives it in a control; empty for a box that is to be ticked."""
    if isinstance(control, ipywidgets.Checkbox):
        return ""
    for option in getattr(control, "options", ()):
        if isinstance(option, tuple) and option[1] == value:
            return f"“{option[0]}”"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _mark(controls: Iterable[ipywidgets.Widget], marked: bool) -> None:
    for control in controls:
        if isinstance(control, Field):
            control.marked = marked


def _changing(control: ipywidgets.Widget) -> str:
    """The trait of a control that changes when the cause of an error may have ended."""
    return "judged" if isinstance(control, Field) else "value"


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
