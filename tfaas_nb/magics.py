"""Lines for IPython: ``%tfaas`` runs a server, ``%%predict`` asks a model with the cell's text.

``%load_ext tfaas_nb`` brings them.  They give the objects that the functions give, so that
``server = %tfaas start`` and ``_`` after ``%%predict`` are what Python code would hold.
"""

from __future__ import annotations

import json
import shlex
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.root import read
from tfaas_nb.data.tables import ENDINGS as TABLES
from tfaas_nb.data.tables import read_files
from tfaas_nb.errors import TfaasError
from tfaas_nb.features import FeatureSet, feature_set_of
from tfaas_nb.serving.server import Server, running
from tfaas_nb.table import Table

#: Members of a JSON request that name its model, as those of older clients do.
_NAMING = ("model", "name", "key")
_USAGE = "%tfaas start [DIRECTORY] [--port N] | stop [NAME] | status | models | use NAME"


@magics_class
class TfaasMagics(Magics):
    """``%tfaas`` and ``%%predict``.

    The server asked is the one last started or used by ``%tfaas``, also when it is stopped;
    before any was, it is the one of this kernel that was started last.
    """

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._names: dict[str, Any] = shell.user_ns
        self._used: Server | Client | None = None

    @line_magic
    def tfaas(self, line: str) -> Any:
        """Run a server and look at it.

        ``%tfaas start [DIRECTORY] [--port N]``
            Start a server for a directory of models, by default ``models``; gives the server.
        ``%tfaas stop [NAME]``
            Stop the server last started or used by ``%tfaas``, or the one in the variable NAME;
            gives the server.  One that is stopped already stays so, and no other is stopped.
        ``%tfaas status``
            What it says of itself, as a table.
        ``%tfaas models``
            The models on it, as a table.
        ``%tfaas use NAME``
            Ask the server or client in the variable NAME from now on.
        """
        word, *rest = shlex.split(line) or ["status"]
        actions = {
            "start": self._start,
            "stop": self._stop,
            "status": self._status,
            "models": self._models,
            "use": self._use,
        }
        if word not in actions:
            raise UsageError(f"%tfaas does not know {word!r}: {_USAGE}")
        return _in_words(lambda: actions[word](rest))

    @cell_magic
    def predict(self, line: str, cell: str) -> Any:
        """Scores of the events in the cell, as ``client.predict`` gives them.

        ``%%predict MODEL``, and below one of

        - JSON: an event ``{"nJets": 2, ...}``, a list of events, ``{"nJets": [2, ...], ...}``, a
          list of rows of numbers, or the body ``{"keys": [...], "values": [...]}`` that curl sends;
        - the path of a ROOT, Parquet or CSV file, or of a file with such JSON;
        - a Python expression, for instance ``test``, ``data.event(3)`` or a DataFrame.

        What has names is matched by them, in whatever order.
        """
        words = shlex.split(line)
        if len(words) != 1:
            raise UsageError("say which model to ask: %%predict MODEL, the events below")
        return _in_words(lambda: self._predict(words[0], cell.strip()))

    def _start(self, words: list[str]) -> Server:
        parser = _Words(prog="%tfaas start", add_help=False)
        parser.add_argument("directory", nargs="?", default="models")
        parser.add_argument("--port", type=int)
        options = parser.parse_args(words)
        wanted = Path(options.directory).resolve()
        for server in running():
            same_port = options.port in (None, 0, server.port)
            if server.directory.resolve() == wanted and same_port:
                self._used = server
                return server
        server = Server(options.directory, port=options.port).start()
        self._used = server
        return server

    def _stop(self, words: list[str]) -> Server:
        source = self._use(words) if words else self._used
        if isinstance(source, Client):
            raise UsageError(f"{source!r} is not a server of this kernel: stop it where it runs")
        if source is None:
            others = ", ".join(map(repr, running())) or "no server runs in this kernel"
            raise UsageError(
                "no server was started or used by %tfaas: say %tfaas stop NAME, with the variable "
                f"that holds it ({others})"
            )
        return source.stop()

    def _status(self, words: list[str]) -> Table:
        try:
            source = self._source()
        except UsageError as error:
            return Table(("server",), ((str(error),),))
        if isinstance(source, Server) and not source.is_running:
            return Table(("server",), ((repr(source),),))
        told = _client(source).status()
        rows = tuple(
            (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
            for name, value in told.items()
            if not isinstance(value, Mapping)
        )
        return Table(("", ""), rows, repr(source))

    def _models(self, words: list[str]) -> Table:
        return _client(self._source()).models()

    def _use(self, words: list[str]) -> Server | Client:
        found = self._names.get(words[0]) if len(words) == 1 else None
        if not isinstance(found, (Server, Client)):
            raise UsageError("give a NAME: NAME is a variable with a Server or a Client")
        self._used = found
        return found

    def _source(self) -> Server | Client:
        used, others = self._used, running()
        if isinstance(used, Server) and not used.is_running:
            # Another cell may have made a server of the same directory, which took its place.
            folder = used.directory.resolve()
            others = tuple(other for other in others if other.directory.resolve() == folder)
            return others[-1] if others else used
        if used is not None:
            return used
        if others:
            return others[-1]
        raise UsageError("no server runs in this kernel: %tfaas start")

    def _predict(self, model: str, text: str) -> Any:
        if not text:
            raise UsageError("write the events below: JSON, a path, or a Python expression")
        client = _client(self._source())
        return _ask(client, model, self._events(client, model, text))

    def _events(self, client: Client, model: str, text: str) -> Any:
        try:
            content = json.loads(text)
        except ValueError:
            return self._named_events(client, model, text)
        return _Body(content, model)

    def _named_events(self, client: Client, model: str, text: str) -> Any:
        """Events of a file, or of a Python expression."""
        if "\n" not in text and _is_path(text):
            return _from_file(client, model, text)
        found = self._evaluated(text)
        if isinstance(found, (str, Path)):
            return _from_file(client, model, str(found))
        return found

    def _evaluated(self, text: str) -> Any:
        try:
            code = compile(text, "<%%predict>", "eval")
        except SyntaxError as error:
            raise UsageError(
                f"the cell is neither JSON nor the path of a file nor a Python expression: {error}"
            ) from None
        return eval(code, self._names)


class _Words(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; {_USAGE}")


class _Body:
    """Content of a JSON text: events, or the body of a request for this model."""

    def __init__(self, content: Any, model: str) -> None:
        self.keys = None
        self.events = content
        if not isinstance(content, Mapping):
            return
        if {"keys", "values"} <= content.keys():
            self.keys, self.events = content["keys"], content["values"]
        elif isinstance(content.get("records"), list):
            self.events = content["records"]
        else:
            return
        _check_members(content, model)


def _check_members(body: Mapping[str, Any], model: str) -> None:
    """Refuse the body of a request for another model, or with members that nobody reads."""
    named = [body[member] for member in _NAMING if body.get(member)]
    if any(name != model for name in named):
        raise UsageError(
            f"the cell asks {model!r}, and its JSON {named[0]!r}: name the same model, or leave "
            "it out of the JSON"
        )
    unknown = sorted(body.keys() - {"keys", "values", "records", *_NAMING})
    if unknown:
        raise UsageError(
            f"unknown key {unknown[0]!r}: a request has keys and values, or records, and model"
        )


def _ask(client: Client, model: str, events: Any) -> Any:
    if isinstance(events, _Body):
        return client.predict(model, events.events, events.keys)
    return client.predict(model, events)


def _from_file(client: Client, model: str, path: str) -> Any:
    """The events in a file, by its ending."""
    if path.lower().endswith(".json"):
        try:
            content = json.loads(Path(path).expanduser().read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read as JSON: {error}") from None
        return _Body(content, model)
    if path.lower().endswith(TABLES):
        return read_files(path)[0]
    return _read(client, model, path)


def _read(client: Client, model: str, path: str) -> Dataset:
    told = client.params(model)
    if told.get("feature_set"):
        features = FeatureSet.from_dict(told["feature_set"])
    else:
        features = feature_set_of(model, [f["name"] for f in told.get("features") or ()])
    return read(path, features)


def _is_path(text: str) -> bool:
    """Return True if a line is meant as a path rather than as Python."""
    looks = text.lower().endswith((".root", ".json", *TABLES)) or text.startswith("root://")
    try:
        return looks or Path(text).expanduser().is_file()
    except OSError:  # too long for a name
        return False


def _client(source: Server | Client) -> Client:
    return source.client() if isinstance(source, Server) else source


def _in_words(action: Any) -> Any:
    """Run an action; show errors that are meant for users in one line, without a traceback."""
    try:
        return action()
    except TfaasError as error:
        raise UsageError(str(error)) from None
