"""Ask a model about one event: typed in, or picked from a ROOT file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from tfaas_nb import plots
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.root import read
from tfaas_nb.data.sample import sample_files
from tfaas_nb.errors import DataError, FeatureError, TfaasError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.metrics import Contributions
from tfaas_nb.widgets.event_form import EventForm
from tfaas_nb.widgets.panel import LABELS, WIDE, WRAPPED, Panel, Source, client_of, offer
from tfaas_nb.wire import examples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tfaas_nb.widgets.roc_view import RocView

# Values: each control makes a layout of its own, which ends with it.
_TEXT = {"width": "98%", "height": "11em"}
_TYPED = "typed in"
_EFFICIENCIES = (0.3, 0.5, 0.7, 0.9)
_FIRST_CUT = 0.5

#: Events of known class that are scored to see where one lies among them.
_MOST_EVENTS = 20_000
_MOST_SHOWN = 12


class Query(Panel):
    """A form with one field per feature of the chosen model, its score, and what it means.

    Parameters
    ----------
    source : Server or Client
        Where models are.
    data : Dataset, optional
        Events to pick from; a ROOT file can be loaded in the widget as well.  Where they are
        signal and background, an event's score is shown among theirs.
    features : FeatureSet, optional
        How a ROOT file is read for a model that does not tell it.
    evaluations : Evaluation or mapping of model to Evaluation, optional
        Where working points and the distributions of scores are taken from.

    Attributes
    ----------
    model : ipywidgets.Dropdown
        The model asked.
    form : EventForm
        The event; ``form.jets`` is its number of jets.
    file, load_button, event : ipywidgets.Combobox, Button, BoundedIntText
        ROOT file to pick an event from, and the event's position in it.
    working_point, threshold : ipywidgets.Dropdown, FloatText
        The cut on the score that decides, by signal efficiency or as a number.
    ask_button : ipywidgets.Button
        Asks.
    score : float, numpy.ndarray or None
        The last answer.
    contributions : Contributions or None
        What each feature did to it.
    answer, picture, changes : ipywidgets.HTML
        Score and decision; where it lies; what each feature contributes.
    curl_text, python_text, cpp_text : ipywidgets.Textarea
        The same request to copy.
    show_token : ipywidgets.Checkbox
        Whether these have the server's token instead of a word for it.
    """

    def __init__(
        self,
        source: Source,
        data: Dataset | None = None,
        features: FeatureSet = TTBAR_ALL_HADRONIC,
        evaluations: Evaluation | Mapping[str, Evaluation] | None = None,
    ) -> None:
        self.source = source
        self.score: Any = None
        self.contributions: Contributions | None = None
        self._features = features
        self._read_as: FeatureSet | None = None
        self._data: Dataset | None = None
        self._evaluations: Mapping[str, Evaluation] | Evaluation = {}
        self._scored: tuple[Any, Evaluation] | None = None
        self._marked: tuple[Evaluation, _Scores] | None = None
        self._followed: RocView | None = None
        self._asked: tuple[str, str, Mapping[str, float]] | None = None
        self._is_setting = False
        self._build()
        super().__init__(
            [
                _row([self.model, self.refresh_button]),
                _row([self.file, self.load_button, self.event]),
                self.form,
                _row([self.working_point, self.threshold, self.ask_button]),
                self.answer,
                ipywidgets.HBox([self.picture, self.changes], layout={"flex_flow": "row wrap"}),
                self._texts,
            ]
        )
        self._observe()
        self.refresh()
        if evaluations is not None:
            self.use_evaluations(evaluations)
        if data is not None:
            self.use(data)

    def _build(self) -> None:
        self.model = ipywidgets.Dropdown(description="Model", options=(), style=LABELS)
        self.refresh_button = ipywidgets.Button(description="Refresh models", layout=WIDE)
        self.file = ipywidgets.Combobox(
            description="ROOT file",
            placeholder="path of a ROOT file",
            options=_files_at_hand(),
            style=LABELS,
            layout={"width": "32em"},
        )
        self.load_button = ipywidgets.Button(description="Load events", layout=WIDE)
        self.event = ipywidgets.BoundedIntText(
            description="Event", min=0, max=0, disabled=True, style=LABELS, layout={"width": "13em"}
        )
        self.form = EventForm()
        self.working_point = ipywidgets.Dropdown(
            description="Working point", options=(_TYPED,), style=LABELS, layout={"width": "16em"}
        )
        self.threshold = ipywidgets.FloatText(
            *(_FIRST_CUT,),
            step=0.01,
            description="Signal if the score is at least",
            style=LABELS,
            layout={"width": "22em"},
        )
        self.ask_button = ipywidgets.Button(description="Ask for the score", layout=WIDE)
        self.answer = ipywidgets.HTML()
        self.picture = ipywidgets.HTML(layout={"flex": "1 1 18em", "max_width": "30em"})
        self.changes = ipywidgets.HTML(layout={"flex": "1 1 26em"})
        self.curl_text, self.python_text, self.cpp_text = (
            ipywidgets.Textarea(
                description=what,
                disabled=False,
                layout=_TEXT,
                style={"description_width": "4em"},
            )
            for what in ("curl", "Python", "C++")
        )
        self.show_token = ipywidgets.Checkbox(
            False,
            description="Show the server's token in these texts",
            indent=False,
            layout={"width": "auto"},
        )
        self._texts = ipywidgets.Accordion(
            [ipywidgets.VBox([self.show_token, self.curl_text, self.python_text, self.cpp_text])],
            titles=("The same request with curl, Python, C++",),
        )

    def _observe(self) -> None:
        self.model.observe(lambda _: self.show_fields(), "value")
        self.event.observe(lambda _: self._event_chosen(), "value")
        self.refresh_button.on_click(lambda _: self.refresh())
        self.load_button.on_click(lambda _: self.load(self.file.value))
        self.ask_button.on_click(lambda _: self.ask())
        self.working_point.observe(lambda _: self._working_point_chosen(), "value")
        self.threshold.observe(lambda _: self._threshold_typed(), "value")
        self.show_token.observe(lambda _: self._write_texts(), "value")

    @property
    def fields(self) -> dict[str, ipywidgets.FloatText]:
        """The field of each feature."""
        return self.form.fields

    # --- models and events --------------------------------------------------------------

    def refresh(self) -> None:
        """Show the models that the server has now."""
        with self.errors_in_words():
            names = [m["name"] for m in client_of(self.source).describe_models()]
            with self._setting():
                offer(self.model, names)
            self.show_fields()

    def show_fields(self) -> None:
        """One field per feature of the chosen model, grouped by jet, at typical values."""
        if self._is_setting:
            return
        self._forget_answer()
        with self.errors_in_words():
            described: Mapping[str, Any] = {}
            if self.model.value:
                described = client_of(self.source).params(self.model.value)
                if not described.get("features"):
                    self.say(f"{self.model.value!r} does not tell its features.", error=True)
            told = described.get("feature_set")
            self._read_as = FeatureSet.from_dict(told) if told else None
            self.form.use(described.get("features") or (), told)
        self._offer_working_points()
        if self._data is not None and self.fields:
            self.pick(self.event.value)

    def load(self, path: str) -> None:
        """Read a ROOT file to pick events from; its layout is recognised."""
        with self.errors_in_words():
            if not path.strip():
                raise DataError("write the path of a ROOT file first")
            self.use(read(path.strip(), self._read_as or self._features, progress=False))

    def use(self, data: Dataset) -> None:
        """Pick events from a dataset, beginning with its first one."""
        with self.errors_in_words():
            if not len(data):
                raise DataError("there is no event to pick: choose other files or another cut")
            self._data, self._scored = data, None
            with self._setting():
                self.event.max, self.event.disabled = len(data) - 1, False
            self._offer_working_points()
            self.say(f"{len(data)} events to pick from: 0 to {len(data) - 1}.")
            self.pick(self.event.value)

    def pick(self, position: int) -> None:
        """Fill the fields with an event's values."""
        with self.errors_in_words():
            if self._data is None:
                raise DataError("load events first")
            self.form.set(self._data.event(position))
            self._forget_answer()

    def values(self) -> dict[str, float]:
        """The event as it stands in the fields, absent jets padded."""
        return self.form.values()

    # --- what decides -------------------------------------------------------------------

    def use_evaluations(self, evaluations: Evaluation | Mapping[str, Evaluation]) -> None:
        """Take working points and distributions from an evaluation, or from that of each model."""
        self._evaluations = evaluations
        self._offer_working_points()

    def follow(self, view: RocView) -> None:
        """Take evaluations and the working point from a view now, and whenever they change."""
        self._unfollow()
        self._followed = view
        view.observe(self._followed_changed, ["evaluations", "point"])
        self.use_evaluations(view.evaluations)
        self._followed_changed()

    def cut_at(self, threshold: float) -> None:
        """Decide at this score."""
        self.threshold.value = float(f"{threshold:.6g}")

    # --- asking -------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask for the score of the event in the fields, and show it."""
        self._forget_answer()
        with self.errors_in_words():
            if not self.fields:
                raise FeatureError("choose a model first")
            client = client_of(self.source)
            model, event = self.model.value, self.values()
            self.score = client.predict(model, event)
            self._asked = client.url, model, event
            self._tell_score()
            self._write_texts()
            self.say("")
            self._tell_changes(client, model, event)

    def _tell_score(self) -> None:
        """Score, decision and place among events of known class."""
        if self._asked is None:
            return
        model = escape(self._asked[1])
        if not isinstance(self.score, float):
            values = ", ".join(f"{value:.6f}" for value in np.atleast_1d(self.score))
            self.answer.value = f"<b>Outputs of {model}: {values}</b>"
            return
        words = self._decision()
        with self.errors_in_words():
            evaluation = self._evaluation(self._asked[1])
            if evaluation:
                words += self._place(evaluation)
                self.picture.value = self._picture(evaluation)
        self.answer.value = f"<b>Score of {model}: {self.score:.6f}</b><br>{words}"

    def _decision(self) -> str:
        cut = self.threshold.value
        if not math.isfinite(cut):
            return "No decision: the cut on the score is no number."
        chosen = self.working_point.value
        name = "" if chosen == _TYPED else f", the working point {escape(str(chosen))}"
        passed, sign = ("signal", "≥") if self.score >= cut else ("background", "&lt;")
        return f"<b>Decision: {passed}</b>, because the score is {sign} {cut:.4g}{name}."

    def _place(self, evaluation: Evaluation) -> str:
        signal = evaluation.roc.signal.above(self.score).efficiency[0]
        background = evaluation.roc.background.above(self.score).efficiency[0]
        which = "evaluated" if self._given(self.model.value) else "at hand"
        return (
            f"<br>{signal:.1%} of the signal and {background:.2%} of the background events {which} "
            "score as high or higher."
        )

    def _picture(self, evaluation: Evaluation) -> str:
        if self._marked is None or self._marked[0] is not evaluation:
            self._marked = evaluation, _Scores(evaluation)
        drawn = self._marked[1].at(self.score, self.threshold.value)
        return plots.html_image(
            drawn, "The event's score among those of signal and background", "100%"
        )

    def _tell_changes(self, client: Client, model: str, event: Mapping[str, float]) -> None:
        """What each feature does to the score, from one request with an event for each."""
        typical = self.form.typical_of_present()
        if not isinstance(self.score, float) or not typical:
            return
        keys = list(event)
        found = Contributions.of(lambda events: client.predict(model, events, keys), event, typical)
        self.contributions = found
        rest = len(found.names) - _MOST_SHOWN
        more = f"; {rest} more change it less" if rest > 0 else ""
        self.changes.value = (
            '<div style="line-height:1.4"><p>What each feature contributes: the score minus that '
            "with the feature at its median in the training, the others unchanged"
            f"{more}.</p>{found.html(_MOST_SHOWN)}</div>"
        )

    def _write_texts(self) -> None:
        if self._asked is None:
            return
        url, model, event = self._asked
        known = self.source.token
        token: bool | str = False if not known else known if self.show_token.value else True
        self.curl_text.value = examples.curl(url, model, event, token)
        self.python_text.value = examples.python(url, model, event, token)
        self.cpp_text.value = examples.cpp(url, model, event, token)

    def close(self) -> None:
        """End all controls; may be called twice."""
        self._unfollow()
        super().close()

    # --- what the controls do -----------------------------------------------------------

    def _followed_changed(self, change: Any = None) -> None:
        view = self._followed
        if view is None:
            return
        if change is not None and change["name"] == "evaluations":
            self.use_evaluations(view.evaluations)
        elif view.point is not None and view.model.value == self.model.value:
            self.cut_at(view.point.threshold)

    def _unfollow(self) -> None:
        if self._followed is not None:
            self._followed.unobserve(self._followed_changed, ["evaluations", "point"])
            self._followed = None

    def _event_chosen(self) -> None:
        if not self._is_setting:
            self.pick(self.event.value)

    def _working_point_chosen(self) -> None:
        if self._is_setting or self.working_point.value == _TYPED:
            return
        with self.errors_in_words():
            evaluation = self._evaluation(self.model.value)
            if evaluation is None:
                raise DataError("no evaluation of this model is at hand")
            eps_s = float(str(self.working_point.value).rsplit(" ", 1)[1])
            with self._setting():
                self.threshold.value = _rounded_down(evaluation.roc.working_point(eps_s).threshold)
            self._tell_score()

    def _threshold_typed(self) -> None:
        if self._is_setting:
            return
        with self._setting():
            self.working_point.value = _TYPED
        self._tell_score()

    def _offer_working_points(self) -> None:
        """Those that an evaluation can tell: given, or to be made of events of known class."""
        known = isinstance(self._given(self.model.value), Evaluation) or self._has_classes()
        names = [f"ε_S = {eps_s}" for eps_s in _EFFICIENCIES] if known and self.model.value else []
        with self._setting():
            offer(self.working_point, [_TYPED, *names])

    def _given(self, model: str | None) -> Evaluation | None:
        if isinstance(self._evaluations, Evaluation):
            return self._evaluations
        return self._evaluations.get(model or "")

    def _has_classes(self) -> bool:
        return self._data is not None and len(np.unique(self._data.y)) == 2

    def _evaluation(self, model: str) -> Evaluation | None:
        """The evaluation of a model that was given, or one on the events at hand."""
        given = self._given(model)
        if given is not None or self._data is None or not self._has_classes():
            return given
        client = client_of(self.source)
        described = client.params(model)
        key = (model, described.get("sha256"), described.get("timestamp"))
        if self._scored is None or self._scored[0] != key:
            some = self._data[:: -(-len(self._data) // _MOST_EVENTS)]
            try:
                self._scored = key, Evaluation.of(some, client.predict(model, some))
            except TfaasError as error:
                raise DataError(f"the events at hand cannot be compared with: {error}") from error
        return self._scored[1]

    def _forget_answer(self) -> None:
        """An answer is shown with the event it belongs to, or not at all."""
        self.score = self.contributions = self._asked = None
        for shown in (self.answer, self.picture, self.changes):
            shown.value = ""
        for text in (self.curl_text, self.python_text, self.cpp_text):
            text.value = ""

    @contextmanager
    def _setting(self) -> Iterator[None]:
        """Set controls without being told of it."""
        before, self._is_setting = self._is_setting, True
        try:
            yield
        finally:
            self._is_setting = before


class _Scores:
    """The distributions of the scores, with a line for an event that moves."""

    def __init__(self, evaluation: Evaluation) -> None:
        def draw(ax: Axes) -> tuple[Any, ...]:
            evaluation.plot_scores(ax)
            self._event = ax.axvline(0, 0, 0.75, color="black", linewidth=3, label="This event")
            self._cut = ax.axvline(0, 0, 0.7, color="black", linestyle="--", label="Cut")
            ax.legend(loc="upper center", fontsize=15)
            ax.set_ylim(top=ax.get_ylim()[1] * 30)  # room for the legend
            return self._event, self._cut

        self._picture = plots.Moving(draw, dpi=80)

    def at(self, score: float, cut: float) -> bytes:
        """The picture as PNG."""
        self._event.set_xdata([score, score])
        self._cut.set_xdata([cut, cut])
        return self._picture.png()


def _row(controls: list[ipywidgets.Widget]) -> ipywidgets.HBox:
    return ipywidgets.HBox(controls, layout=WRAPPED)


def _rounded_down(threshold: float) -> float:
    """A cut with six digits that the events at the working point still pass."""
    if not math.isfinite(threshold) or threshold == 0:
        return threshold
    digits = 5 - math.floor(math.log10(abs(threshold)))
    return round(math.floor(threshold * 10.0**digits) / 10.0**digits, digits)


def _files_at_hand() -> tuple[str, ...]:
    """ROOT files to offer: those of the working directory, and the packaged sample."""
    return (*sorted(str(p) for p in Path().glob("*.root")), *sample_files())
