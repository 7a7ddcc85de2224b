"""All widgets together."""

from __future__ import annotations

from typing import Any

import ipywidgets

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets.panel import WIDE, Panel
from tfaas_nb.widgets.query import Query
from tfaas_nb.widgets.roc_view import RocView, evaluate_models
from tfaas_nb.widgets.server_panel import ServerPanel
from tfaas_nb.widgets.upload import Upload

_TITLES = ("Serve", "Upload", "Ask", "Evaluate")


class Dashboard(Panel):
    """Serve, upload, ask and evaluate in one place.

    Parameters
    ----------
    server : Server, optional
        By default one for the folder ``models``.
    data : Dataset, optional
        Events of known class: to pick from, and to evaluate models on.

    Attributes
    ----------
    serve, upload, ask, evaluate : ServerPanel, Upload, Query, RocView
        The widgets in the tabs.
    evaluate_button : ipywidgets.Button
        Scores the events with every model of the server.
    """

    def __init__(self, server: Server | None = None, data: Dataset | None = None) -> None:
        self.server = server or Server()
        self._data = data
        self.serve = ServerPanel(self.server)
        self.upload = Upload(self.server)
        self.ask = Query(self.server, data)
        self.evaluate = RocView({})
        self.evaluate_button = ipywidgets.Button(
            description="Evaluate the server's models", disabled=data is None, layout=WIDE
        )
        tabs = ipywidgets.Tab(
            [
                self.serve,
                self.upload,
                self.ask,
                ipywidgets.VBox([ipywidgets.HBox([self.evaluate_button]), self.evaluate]),
            ],
            titles=_TITLES,
        )
        super().__init__([tabs])
        self.serve.observe(self._models_changed, "running")
        self.upload.observe(self._models_changed, "uploaded")
        self.evaluate_button.on_click(self._evaluate)

    def refresh(self) -> None:
        """Show the models that there are now, in all tabs."""
        self.serve.refresh()
        if self.server.is_running:
            self.ask.refresh()

    def evaluate_models(self) -> None:
        """Score the events with every model of the server and show the curves."""
        with self.evaluate.errors_in_words():
            if self._data is not None:
                self.evaluate.use(evaluate_models(self.server.client(), self._data))

    def _models_changed(self, _: Any) -> None:
        self.refresh()

    def _evaluate(self, _: Any) -> None:
        self.evaluate_models()
