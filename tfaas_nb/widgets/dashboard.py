"""All widgets together: from files to an answer, without a line of code."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets
import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, ServerError, TfaasError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets.background import Background
from tfaas_nb.widgets.data_panel import DataPanel
from tfaas_nb.widgets.judged_models import evaluate_models, left_out
from tfaas_nb.widgets.panel import WIDE, WRAPPED, Panel, client_of, server_of
from tfaas_nb.widgets.query import Query
from tfaas_nb.widgets.roc_view import RocView
from tfaas_nb.widgets.server_panel import ServerPanel
from tfaas_nb.widgets.train_panel import TrainPanel
from tfaas_nb.widgets.upload import Upload

TITLES = ("Data", "Train", "Evaluate", "Serve", "Ask")
#: How trainings of this dashboard are called among models of the server.
_TRAINING = "Training"
_MOST_TRAININGS = 4


@dataclass(frozen=True)
class _Sent:
    """A training's evaluation, and the file of its model on the server."""

    sha256: str
    evaluation: Evaluation


@checked_calls(ServerError)
class Dashboard(Panel):
    """Load data, train, evaluate, serve and ask, in five tabs that know of each other.

    What is loaded is trained on and picked from; what is trained is evaluated, and served by a
    click; what is served can be asked.

    Parameters
    ----------
    server : Server, optional
        It goes on when the dashboard is closed or its cell is run again.  Without one the
        dashboard makes one of its own for the folder ``models``, which ends with it.
    data : Dataset or Stream, optional
        Events of known class, instead of those loaded in the first tab.

    Attributes
    ----------
    data, train, evaluate, serve, upload, ask : DataPanel, TrainPanel, RocView, ServerPanel, \
Upload, Query
        The widgets in the tabs; ``data.data`` is what was loaded, ``train.result`` what was
        trained.
    server : Server
        The server.
    tabs : ipywidgets.Tab
        ``tabs.selected_index`` is the one that is seen.
    evaluate_button : ipywidgets.Button
        Scores test events with every model of the server.
    """

    def __init__(self, server: Server | None = None, data: Dataset | Stream | None = None) -> None:
        self._owns_server = server is None
        self.server = server_of(server, "Dashboard")
        self._trainings = 0
        self._sent_here: dict[str, _Sent] = {}
        self._background = Background("evaluate models")
        self.data = DataPanel(data)
        self.train = TrainPanel(data, self.server)
        self.evaluate = RocView({})
        self.serve = ServerPanel(self.server)
        self.upload = Upload(self.server)
        self.ask = Query(self.server, data)
        self.evaluate_button = ipywidgets.Button(
            description="Evaluate the server's models", disabled=data is None, layout=WIDE
        )
        self.events = ipywidgets.HTML()
        row = ipywidgets.Box([self.evaluate_button, self.events], layout=WRAPPED)
        self._by_button = ipywidgets.HTML()
        heading = ipywidgets.HTML("<h3>Upload a model</h3>")
        self.tabs = ipywidgets.Tab(
            [
                self.data,
                self.train,
                ipywidgets.VBox([row, self._by_button, self.evaluate]),
                ipywidgets.VBox([self.serve, heading, self.upload]),
                self.ask,
            ],
            titles=TITLES,
        )
        super().__init__([self.tabs])
        self.data.observe(self._loaded, "data")
        self.train.observe(self._trained, "evaluation")
        self.serve.observe(self._models_changed, "running")
        self.serve.observe(self._deleted, "deleted")
        self.train.observe(self._sent, "sent")
        self.upload.observe(self._uploaded, "uploaded")
        self.evaluate_button.on_click(lambda _: self._background.run(self.evaluate_models))
        self.ask.follow(self.evaluate)
        self._tell_events()

    def refresh(self, choose: str | None = None) -> None:
        """Show the models that there are now, in all tabs, and choose one of them to be asked."""
        self.serve.refresh()
        if self.server.is_running:
            self.ask.refresh(choose)

    def evaluate_models(self) -> None:
        """Score the test events with every model of the server and show the curves.

        A model that was trained and sent here keeps what its training tells.
        """
        with self.evaluate.errors_in_words(at=self._by_button):
            events = self._events()
            if events is None:
                raise DataError("load events first, in the tab Data")
            self.evaluate.say("The server's models score the events …", at=self._by_button)
            client = client_of(self.server)
            found, unsuitable = evaluate_models(client, events)
            found = {name: self._as_trained(client, name, one) for name, one in found.items()}
            self.ask.refresh()  # so that each evaluation is that of the model that is there now
            self.evaluate.use({**self._of_trainings(), **found})
            models = "1 model" if len(found) == 1 else f"{len(found)} models"
            told = [f"{models} of the server scored {len(events)} events."]
            told += [left_out(unsuitable)] if unsuitable else []
            self.evaluate.say(" ".join(told), at=self._by_button)

    def _as_trained(self, client: Client, name: str, found: Evaluation) -> Evaluation:
        """Add to a served model's evaluation what is known if it was trained here."""
        sent = self._sent_here.get(name)
        if sent is None:
            return found
        if client.params(name).get("sha256") != sent.sha256:
            del self._sent_here[name]  # another model has its name by now
            return found
        trained = sent.evaluation
        is_last = self.train.test is not None and trained is self.train.evaluation
        if not is_last and not _are_same_events(found, trained):
            return found  # it may have seen some of the events
        return replace(found, trained=trained.trained, overlap=trained.overlap)

    def wait(self, seconds: float = 60.0) -> bool:
        """Block until what was clicked is done, in all tabs; returns whether it is."""
        parts = (self.data, self.train, self.upload, self._background, self.evaluate)
        return all(part.wait(seconds) for part in parts)

    def close(self) -> None:
        """End all tabs and what is under way in them; a server of its own is stopped."""
        self._background.close()
        super().close()
        if self._owns_server:
            with contextlib.suppress(TfaasError):
                self.server.stop()

    def _events(self) -> Dataset | None:
        """On what models are judged: best on what none that was trained here has seen."""
        found = self.data.data if self.train.test is None else self.train.test
        return found.sample if isinstance(found, Stream) else found

    def _tell_events(self) -> None:
        events = self._events()
        self.evaluate_button.disabled = events is None
        if events is None:
            told = "Load events first, in the tab Data."
        elif isinstance(self.data.data, Stream):
            of = "that were found" if self.train.test is None else "which the training has not seen"
            told = f"On {len(events)} events drawn at random of those {of}."
        elif self.train.test is None:
            told = f"On all {len(events)} events that were loaded."
        else:
            told = f"On the {len(events)} test events, which the training here has not seen."
        self.events.value = told

    def _loaded(self, change: Any) -> None:
        data = change["new"]
        if data is not None:
            self.train.use(data)
            self.train.test = None
            self.evaluate.use({})
            self.evaluate.forget_error(DataError)
            self._tell_events()
            self.ask.use(data)

    def _trained(self, change: Any) -> None:
        if change["new"] is None:
            return
        self._trainings += 1
        name = f"{_TRAINING} {self._trainings}"
        earlier = list(self._of_trainings().items())[1 - _MOST_TRAININGS :]
        self.evaluate.use({**dict(earlier), name: change["new"]})
        self.evaluate.model.value = name
        self._tell_events()

    def _of_trainings(self) -> dict[str, Evaluation]:
        """Of what was trained here, whether it was sent since, and then has a name, or not."""
        shown = self.evaluate.evaluations.items()
        return {
            name: one
            for name, one in shown
            if name.startswith(_TRAINING) or name in self._sent_here
        }

    def _sent(self, change: Any) -> None:
        """Show what was trained here as the model that the server has now."""
        self._models_changed(change)
        name, evaluation, bundle = change["new"], self.train.evaluation, self.train.bundle
        if name and evaluation is not None and bundle is not None:
            self._sent_here[name] = _Sent(bundle.graph.sha256, evaluation)
            others = {n: e for n, e in self.evaluate.evaluations.items() if e is not evaluation}
            self.evaluate.use({**others, name: evaluation})
            self.evaluate.model.value = name

    def _uploaded(self, change: Any) -> None:
        """Take away the curves of the model that had the name before."""
        name, shown = change["new"], self.evaluate.evaluations
        if name:
            self._sent_here.pop(name, None)
        if name in shown:
            self.evaluate.use({n: e for n, e in shown.items() if n != name})
            self.evaluate.say(
                f"{name!r} is another model by now: evaluate it to see its curve.",
                at=self._by_button,
            )
        self._models_changed(change)

    def _deleted(self, change: Any) -> None:
        if change["new"]:
            self.ask.refresh()

    def _models_changed(self, change: Any) -> None:
        if change["name"] == "running":
            if change["new"]:
                for panel in (self.train, self.evaluate, self.upload, self.ask):
                    panel.forget_error(ServerError)
            self.refresh()
        elif change["new"]:
            self.refresh(change["new"])


def _are_same_events(one: Evaluation, other: Evaluation) -> bool:
    """True if a model has scored the same events twice, up to what float32 rounds."""
    return np.array_equal(one.y, other.y) and np.allclose(one.scores, other.scores, atol=1e-5)
