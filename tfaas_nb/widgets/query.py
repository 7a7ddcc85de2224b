"""Ask a model about one event: typed in, or picked from a ROOT file."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets
import numpy as np

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError, FeatureError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.widgets.panel import LABELS, WIDE, Panel, Source, client_of, close_below, offer
from tfaas_nb.wire import examples

# Values: each control makes a layout of its own, which ends with it.
_FIELD = {"width": "26em"}
_TEXT = {"width": "98%", "height": "9em"}


class Query(Panel):
    """A form with one field per feature of the chosen model, and its score.

    Parameters
    ----------
    source : Server or Client
        Where models are.
    data : Dataset, optional
        Events to pick from; a ROOT file can be loaded in the widget as well.
    features : FeatureSet, optional
        How that ROOT file is read.

    Attributes
    ----------
    model : ipywidgets.Dropdown
        The model asked.
    fields : dict of str to ipywidgets.FloatText
        Value of each feature.
    file, load_button, event : ipywidgets.Text, Button, BoundedIntText
        ROOT file to pick an event from, and the event's position in it.
    ask_button : ipywidgets.Button
        Asks.
    score : float or None
        The last answer.
    curl_text, python_text : ipywidgets.Textarea
        The same request to copy.
    """

    def __init__(
        self,
        source: Source,
        data: Dataset | None = None,
        features: FeatureSet = TTBAR_ALL_HADRONIC,
    ) -> None:
        self.source = source
        self.score: Any = None
        self.fields: dict[str, ipywidgets.FloatText] = {}
        self._features = features
        self._data: Dataset | None = None
        self._build()
        super().__init__(
            [
                ipywidgets.HBox([self.model, self.refresh_button]),
                ipywidgets.HBox([self.file, self.load_button, self.event]),
                self._groups,
                ipywidgets.HBox([self.ask_button]),
                self.answer,
                self._texts,
            ]
        )
        self.model.observe(lambda _: self.show_fields(), "value")
        self.event.observe(lambda _: self.pick(self.event.value), "value")
        self.refresh_button.on_click(lambda _: self.refresh())
        self.load_button.on_click(lambda _: self.load(self.file.value))
        self.ask_button.on_click(lambda _: self.ask())
        self.refresh()
        if data is not None:
            self.use(data)

    def _build(self) -> None:
        self.model = ipywidgets.Dropdown(description="Model", options=(), style=LABELS)
        self.refresh_button = ipywidgets.Button(description="Refresh models", layout=WIDE)
        self.file = ipywidgets.Text(
            description="ROOT file", placeholder="path of a ROOT file", style=LABELS
        )
        self.load_button = ipywidgets.Button(description="Load events", layout=WIDE)
        self.event = ipywidgets.BoundedIntText(
            description="Event", min=0, max=0, disabled=True, style=LABELS
        )
        self.ask_button = ipywidgets.Button(description="Ask for the score", layout=WIDE)
        self.answer = ipywidgets.HTML()
        self.curl_text = ipywidgets.Textarea(description="curl", layout=_TEXT)
        self.python_text = ipywidgets.Textarea(description="Python", layout=_TEXT)
        self._groups = ipywidgets.Tab()
        self._texts = ipywidgets.VBox([self.curl_text, self.python_text])

    def refresh(self) -> None:
        """Show the models that the server has now."""
        with self.errors_in_words():
            names = [m["name"] for m in client_of(self.source).describe_models()]
            offer(self.model, names)
            self.show_fields()

    def show_fields(self) -> None:
        """One field per feature of the chosen model, grouped by jet, at typical values."""
        self.fields = {}
        rows: dict[str, list[ipywidgets.HBox]] = {}
        with self.errors_in_words():
            if self.model.value:
                described = client_of(self.source).params(self.model.value)["features"]
                if not described:
                    self.say(f"{self.model.value!r} does not tell its features.", error=True)
                for feature in described:
                    field, row = _field(feature)
                    self.fields[feature["name"]] = field
                    rows.setdefault(_group(feature["name"]), []).append(row)
        for former in self._groups.children:
            close_below(former)
            former.close()
        self._groups.children = [ipywidgets.VBox(group) for group in rows.values()]
        self._groups.titles = list(rows)
        if self._data is not None:
            self.pick(self.event.value)

    def load(self, path: str) -> None:
        """Read a ROOT file to pick events from."""
        with self.errors_in_words():
            if not path.strip():
                raise DataError("write the path of a ROOT file first")
            self.use(read(path.strip(), self._features))

    def use(self, data: Dataset) -> None:
        """Pick events from a dataset, beginning with its first one."""
        self._data = data
        self.event.max, self.event.disabled = len(data) - 1, False
        self.say(f"{len(data)} events to pick from.")
        self.pick(self.event.value)

    def pick(self, position: int) -> None:
        """Fill the fields with an event's values."""
        with self.errors_in_words():
            if self._data is None:
                raise DataError("load events first")
            event = self._data.event(position)
            missing = [name for name in self.fields if name not in event]
            if missing:
                raise FeatureError(f"the events lack {', '.join(missing[:5])} of this model")
            for name, field in self.fields.items():
                field.value = event[name]

    def values(self) -> dict[str, float]:
        """The event as it stands in the fields."""
        return {name: field.value for name, field in self.fields.items()}

    def ask(self) -> None:
        """Ask for the score of the event in the fields, and show it."""
        self.score, self.answer.value = None, ""
        with self.errors_in_words():
            if not self.fields:
                raise FeatureError("choose a model first")
            client = client_of(self.source)
            model, event = self.model.value, self.values()
            self.score = client.predict(model, event)
            labels = ", ".join(f"{value:.6f}" for value in np.atleast_1d(self.score))
            self.answer.value = f"<b>Score of {escape(model)}: {labels}</b>"
            self.curl_text.value = examples.curl(client.url, model, event)
            self.python_text.value = examples.python(client.url, model, event)
            self.say("To ask from elsewhere, put the server's token into the texts above.")


def _group(name: str) -> str:
    stem, _, slot = name.rpartition("_")
    return f"Jet {slot}" if stem and slot.isdecimal() else "Event"


def _field(feature: Mapping[str, Any]) -> tuple[ipywidgets.FloatText, ipywidgets.HBox]:
    unit = f" [{feature['unit']}]" if feature.get("unit") else ""
    field = ipywidgets.FloatText(
        value=float(feature.get("median", 0.0)) if feature.get("present", 1.0) > 0.5 else 0.0,
        description=feature["name"] + unit,
        style=LABELS,
        layout=_FIELD,
    )
    return field, ipywidgets.HBox([field, ipywidgets.Label(_range(feature))])


def _range(feature: Mapping[str, Any]) -> str:
    if "low" not in feature:
        return ""
    return f"in training: {feature['low']:.4g} to {feature['high']:.4g}"
