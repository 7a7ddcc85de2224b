"""Ask a model about one event: typed in, or picked from a ROOT file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from tfaas_nb import plots
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.sample import sample_files
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, FeatureError, RouteNotFound, TfaasError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import Contributions
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import paths
from tfaas_nb.widgets.copy_line import CopyLine
from tfaas_nb.widgets.event_form import EventForm
from tfaas_nb.widgets.file_events import FileEvents
from tfaas_nb.widgets.latest import IsOver, Latest
from tfaas_nb.widgets.panel import (
    HOW_TO_START,
    LABELS,
    WIDE,
    WRAPPED,
    Panel,
    Source,
    check_events,
    check_source,
    client_of,
    offer,
)
from tfaas_nb.widgets.turn import Turn, in_turn
from tfaas_nb.wire import examples
from tfaas_nb.wire.params import working_points_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tfaas_nb.widgets.roc_view import RocView

# Values: each control makes a layout of its own, which ends with it.
_TEXT = {"width": "98%", "height": "11em"}
_TYPED = "typed in"

#: The answer beside the form, or above it where the page is too narrow for its table beside it;
#: flex-end is then the top.
_BESIDE = {"flex_flow": "row wrap-reverse", "align_items": "flex-end", "grid_gap": "0 8px"}
_TOLD = {"flex": "1 1 46em", "width": "auto", "min_width": "min(46em, 100%)"}
_EFFICIENCIES = (0.3, 0.5, 0.7, 0.9)
_FIRST_EFFICIENCY = "ε_S = 0.5"
_NOT_ASKED = "Ask for the score: it is shown here, with what it means."
_FIRST_CUT = 0.5

#: Events of known class that are scored to see where one lies among them.
_MOST_EVENTS = 20_000
_MOST_SHOWN = 12

#: Room on either side of the scores, as a part of their range.
_BESIDE_SCORES = 0.03

#: Values of a model without names that a person would still type.
_MOST_COLUMNS = 200


class Query(Panel):
    """A form with one field per feature of the chosen model, its score, and what it means.

    Parameters
    ----------
    source : Server or Client
        Where models are.
    data : Dataset or Stream, optional
        Events to pick from, of a stream those drawn at random; a ROOT file can be named in the
        widget as well.  Where they are signal and background, an event's score is shown among
        theirs.
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
        ROOT file to pick an event from, completed as it is typed, and the event's position in
        it; only that event is read.
    working_point, threshold : ipywidgets.Dropdown, FloatText
        The cut on the score that decides, by signal efficiency or as a number.  Working points
        come from an evaluation, from events of known class, or else from the model itself.
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
        data: Dataset | Stream | None = None,
        features: FeatureSet = TTBAR_ALL_HADRONIC,
        evaluations: Evaluation | Mapping[str, Evaluation] | None = None,
    ) -> None:
        check_source(source, "Query")
        check_events(data, "Query")
        self.source = source
        self.score: Any = None
        self.contributions: Contributions | None = None
        self._features = features
        self._read_as: FeatureSet | None = None
        self._is_nameless = self._is_waiting = False
        self._data: Dataset | None = None
        self._picked: Dataset | FileEvents | None = None
        self._told_points: tuple[Mapping[str, Any], ...] = ()
        self._cut_for: tuple[str | None, float | None] = (None, None)
        self._complete = Latest("complete paths", 0.05)
        self._evaluations: Mapping[str, Evaluation] | Evaluation = {}
        self._scored: tuple[Any, Evaluation] | None = None
        self._marked: tuple[Evaluation, _Scores] | None = None
        self._followed: RocView | None = None
        self._asked: tuple[str, str, Mapping[str, float]] | None = None
        self._turn = Turn()
        self._build()
        asking = _row([self.working_point, self.threshold, self.ask_button])
        told = ipywidgets.VBox([self._hint, self.answer, self.picture, self.changes], layout=_TOLD)
        super().__init__(
            [
                _row([self.model, self.refresh_button]),
                _row([self.file, self.load_button, self.event]),
                asking,
                ipywidgets.Box([self.form, told], layout=_BESIDE),
                self._texts,
            ]
        )
        self.tell_below(asking)
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
            ensure_option=False,
            style=LABELS,
            layout={"width": "32em"},
        )
        self.load_button = ipywidgets.Button(description="Load events", layout=WIDE)
        self.event = ipywidgets.BoundedIntText(
            description="Event", min=0, max=0, disabled=True, style=LABELS, layout={"width": "13em"}
        )
        self.form = EventForm(self._forget_answer, self._turn)
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
        self._hint = ipywidgets.HTML(_NOT_ASKED)
        self.answer = ipywidgets.HTML()
        self.picture = ipywidgets.HTML(layout={"width": "auto", "max_width": "32em"})
        self.changes = ipywidgets.HTML(layout={"width": "auto"})
        self.curl_text, self.python_text, self.cpp_text = (
            ipywidgets.Textarea(
                description=what,
                disabled=False,
                layout=_TEXT,
                style={"description_width": "4em"},
            )
            for what in ("curl", "Python", "C++")
        )
        texts = (self.curl_text, self.python_text, self.cpp_text)
        self._copies = [
            CopyLine(text.description, secret=partial(getattr, text, "value")) for text in texts
        ]
        self.show_token = ipywidgets.Checkbox(
            False,
            description="Show the server's token in these texts",
            indent=False,
            layout={"width": "auto"},
        )
        self._texts = ipywidgets.Accordion(
            [ipywidgets.VBox([self.show_token, *_alternating(self._copies, texts)])],
            titles=("The same request with curl, Python, C++",),
        )

    def _observe(self) -> None:
        self.model.observe(lambda _: self.show_fields(), "value")
        self.file.observe(lambda change: self._path_typed(change["new"]), "value")
        self.answer.observe(lambda change: self._show_hint(not change["new"]), "value")
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

    @in_turn
    def refresh(self, choose: str | None = None) -> None:
        """Show the models that the server has now, and choose this one if it is among them."""
        if isinstance(self.source, Server) and not self.source.is_running:
            # No error: nobody has asked for anything yet.
            self.say(f"The server is not running: {HOW_TO_START}.")
            self._is_waiting = True
            return
        if self._is_waiting:
            self.say("")
            self._is_waiting = False
        with self.errors_in_words():
            names = [m["name"] for m in client_of(self.source).describe_models()]
            with self._turn.silently():
                offer(self.model, names)
                if choose in names:
                    self.model.value = choose
            self.show_fields()

    @in_turn
    def show_fields(self) -> None:
        """One field per feature of the chosen model, grouped by jet, at typical values."""
        if self._turn.is_silent:
            return
        self._forget_answer()
        self._is_nameless = False
        self.forget_error()
        with self.errors_in_words():
            described: Mapping[str, Any] = {}
            self._told_points = ()
            if self.model.value:
                described = client_of(self.source).params(self.model.value)
            told = described.get("feature_set")
            self._read_as = FeatureSet.from_dict(told) if told else None
            self._told_points = working_points_in(described.get("working_points") or ())
            self.form.use(described.get("features") or (), told)
            if described and not described.get("features"):
                self._show_columns(self.model.value)
        self._offer_working_points()
        if not self.fields or self._is_nameless:
            return
        if isinstance(self._picked, FileEvents) and self._picked.features != self._as_read():
            self._pick_from_files(self._picked.files)
        elif self._picked is not None:
            self.pick(self.event.value)

    def _show_columns(self, model: str) -> None:
        """One field per value that a model takes which names none of them."""
        self._is_nameless = True
        width = self._width(model)
        if width is None:
            raise FeatureError(
                f"{model!r} does not tell its features, nor how many values it takes: ask it from "
                "a cell, with the values in the order of its inputs"
            )
        if width > _MOST_COLUMNS:
            raise FeatureError(
                f"{model!r} takes {width} values without names, too many to type: ask it from a "
                "cell, with an array"
            )
        self.form.use_columns(width)
        self.say(
            f"{model!r} does not tell its features: its {width} values are called input_0, "
            "input_1 … in the order of its inputs. Names can be given when it is sent to the "
            "server."
        )

    def _width(self, model: str) -> int | None:
        try:
            return client_of(self.source).width(model)
        except RouteNotFound:  # a Go TFaaS
            return None

    @in_turn
    def load(self, path: str) -> None:
        """Pick events from a ROOT file, which is read one event at a time.

        Its layout is recognised; of several files, between commas, events follow each other.
        """
        with self.errors_in_words():
            if not paths.split(path):
                raise DataError("write the path of a ROOT file first")
            self._pick_from_files(paths.split(path))

    @in_turn
    def use(self, data: Dataset | Stream) -> None:
        """Pick events from a dataset, or from those drawn of a stream, beginning with the first."""
        with self.errors_in_words():
            events = data.sample if isinstance(data, Stream) else data
            if not len(events):
                raise DataError("there is no event to pick: choose other files or another cut")
            self._data, self._scored = events, None
            self._offer_working_points()
            self._pick_from(events)

    @in_turn
    def pick(self, position: int) -> None:
        """Fill the fields with an event's values."""
        with self.errors_in_words():
            if self._picked is None:
                raise DataError("load events first")
            self.form.set(self._picked.event(position))
            self._forget_answer()

    @in_turn
    def values(self) -> dict[str, float]:
        """The event as it stands in the fields, absent jets padded."""
        return self.form.values()

    # --- what decides -------------------------------------------------------------------

    @in_turn
    def use_evaluations(self, evaluations: Evaluation | Mapping[str, Evaluation]) -> None:
        """Take working points and distributions from an evaluation, or from that of each model."""
        self._evaluations = evaluations
        self._offer_working_points()

    @in_turn
    def follow(self, view: RocView) -> None:
        """Take evaluations and the working point from a view now, and whenever they change."""
        self._unfollow()
        self._followed = view
        view.observe(self._followed_changed, ["evaluations", "point"])
        self.use_evaluations(view.evaluations)
        self._followed_changed()

    @in_turn
    def cut_at(self, threshold: float) -> None:
        """Decide at this score."""
        self.threshold.value = float(f"{threshold:.6g}")

    # --- asking -------------------------------------------------------------------------

    @in_turn
    def ask(self) -> None:
        """Ask for the score of the event in the fields, and show it."""
        self._forget_answer()
        with self.errors_in_words():
            client = client_of(self.source)
            if not self.model.value:
                raise FeatureError("choose a model first")
            if not self.fields:
                self.show_fields()  # says what is wrong with it
                return
            model, event = self.model.value, self.values()
            # A model without names takes values in its order, of which the fields are.
            asked = list(event.values()) if self._is_nameless else event
            self.score = client.predict(model, asked)
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
            else:
                words += self._told_place()
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
        point = evaluation.roc.at_threshold(self.score)
        signal = _share(point.signal_efficiency, 1)
        background = _share(point.background_efficiency, 2)
        which = "evaluated" if self._given(self.model.value) else "at hand"
        return (
            f"<br>{signal} of the signal and {background} of the background events {which} "
            "score as high or higher."
        )

    def _told_place(self) -> str:
        """Between which of the model's own working points the score is, without any events."""
        if not self._told_points:
            return ""
        passed = [p for p in self._told_points if self.score >= p["threshold"]]
        failed = [p for p in self._told_points if self.score < p["threshold"]]
        low = max(failed, key=lambda p: p["eps_s"], default=None)
        high = min(passed, key=lambda p: p["eps_s"], default=None)
        return (
            f"<br>Of the events that it was judged on, {_between(low, high, 'eps_s', 0)} of the "
            f"signal and {_between(low, high, 'eps_b', 2)} of the background score as high or "
            "higher."
        )

    def _picture(self, evaluation: Evaluation) -> str:
        if self._marked is None or self._marked[0] is not evaluation:
            self._marked = evaluation, _Scores(evaluation)
        drawn = self._marked[1].at(self.score, self.threshold.value)
        return plots.html_image(
            drawn, "The event's score among those of signal and background", "100%"
        )

    def _tell_changes(self, client: Client, model: str, event: Mapping[str, float]) -> None:
        """Show each feature's contribution to the score, by one request with an event for each."""
        typical = self.form.typical_of_present()
        if not isinstance(self.score, float) or not typical:
            return
        keys = list(event)
        found = Contributions.of(
            lambda events: client.predict(model, events, keys, progress=False), event, typical
        )
        self.contributions = found
        rest = len(found.names) - _MOST_SHOWN
        more = f"; {rest} more change it less" if rest > 0 else ""
        self.changes.value = (
            '<div style="line-height:1.4"><p>What each feature contributes: the score minus that '
            "with the feature at its median in the training, the others unchanged"
            f"{more}.</p>{found.html(_MOST_SHOWN)}</div>"
        )

    @in_turn
    def _write_texts(self) -> None:
        if self._asked is None:
            return
        url, model, event = self._asked
        known = self.source.token
        token: bool | str = False if not known else known if self.show_token.value else True
        sent = tuple(event.values()) if self._is_nameless else event
        self.curl_text.value = examples.curl(url, model, sent, token)
        self.python_text.value = examples.python(url, model, sent, token)
        self.cpp_text.value = examples.cpp(url, model, sent, token)
        for line in self._copies:
            line.value = "the request below"

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the path that was typed is completed; returns whether it is."""
        return self._complete.wait(seconds)

    @in_turn
    def close(self) -> None:
        """End all controls; may be called twice."""
        self._complete.close()
        self._unfollow()
        super().close()

    # --- what the controls do -----------------------------------------------------------

    @in_turn
    def _followed_changed(self, change: Any = None) -> None:
        view = self._followed
        if view is None:
            return
        if change is not None and change["name"] == "evaluations":
            self.use_evaluations(view.evaluations)
        else:
            self._take_cut()

    def _unfollow(self) -> None:
        if self._followed is not None:
            self._followed.unobserve(self._followed_changed, ["evaluations", "point"])
            self._followed = None

    def _show_hint(self, shown: bool) -> None:
        self._hint.layout.display = None if shown else "none"

    def _path_typed(self, text: str) -> None:
        def complete(is_over: IsOver) -> None:
            found = paths.completions(text) if text else _files_at_hand()
            if not is_over():
                self.file.options = found

        self._complete.ask(complete)

    def _as_read(self) -> FeatureSet:
        """Definition of the features by which events are read for the chosen model."""
        return self._read_as or self._features

    def _pick_from_files(self, files: Sequence[str]) -> None:
        with self.errors_in_words():
            self._pick_from(FileEvents(files, self._as_read()))

    def _pick_from(self, events: Dataset | FileEvents) -> None:
        self._picked = events
        with self._turn.silently():
            self.event.max, self.event.disabled = len(events) - 1, False
        self.say(f"{len(events)} events to pick from: 0 to {len(events) - 1}.")
        self.pick(self.event.value)

    @in_turn
    def _event_chosen(self) -> None:
        if not self._turn.is_silent:
            self.pick(self.event.value)

    @in_turn
    def _working_point_chosen(self) -> None:
        if self._turn.is_silent or self.working_point.value == _TYPED:
            return
        with self.errors_in_words():
            with self._turn.silently():
                self.threshold.value = _rounded_down(self._threshold_at_working_point())
            self._tell_score()

    def _threshold_at_working_point(self) -> float:
        """The cut of the working point that is chosen."""
        chosen = str(self.working_point.value)
        evaluation = self._evaluation(self.model.value)
        if evaluation is not None:
            return evaluation.roc.working_point(float(chosen.rsplit(" ", 1)[1])).threshold
        told = {_name(point): point["threshold"] for point in self._told_points}
        if chosen not in told:
            raise DataError("no evaluation of this model is at hand")
        return float(told[chosen])

    @in_turn
    def _threshold_typed(self) -> None:
        if self._turn.is_silent:
            return
        with self._turn.silently():
            self.working_point.value = _TYPED
        self._tell_score()

    def _offer_working_points(self) -> None:
        """Offer the working points of an evaluation, given or to be made of events of known class.

        Without any, offer the model's own.
        """
        names: list[str] = []
        if self.model.value and self._can_evaluate():
            names = [f"ε_S = {eps_s}" for eps_s in _EFFICIENCIES]
        elif self.model.value:
            names = [_name(point) for point in self._told_points]
        with self._turn.silently():
            offer(self.working_point, [_TYPED, *names])
        self._take_cut()

    def _take_cut(self) -> None:
        """Decide by the view's working point for this model, or by the model's own, if it is new.

        What a person has typed since stays.
        """
        view, model = self._followed, self.model.value
        point = view.point if view is not None and view.model.value == model else None
        told = {_name(one): one["threshold"] for one in self._told_points}
        cut = point.threshold if point else told.get(_FIRST_EFFICIENCY)
        if self._cut_for == (model, cut):
            return
        self._cut_for = model, cut
        if point:
            self.cut_at(point.threshold)
        elif _FIRST_EFFICIENCY in told and not self._can_evaluate():
            self.working_point.value = _TYPED
            self.working_point.value = _FIRST_EFFICIENCY

    def _given(self, model: str | None) -> Evaluation | None:
        if isinstance(self._evaluations, Evaluation):
            return self._evaluations
        return self._evaluations.get(model or "")

    def _can_evaluate(self) -> bool:
        return isinstance(self._given(self.model.value), Evaluation) or self._has_classes()

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
                self._scored = key, Evaluation.of(some, client.predict(model, some, progress=False))
            except TfaasError as error:
                raise DataError(f"the events at hand cannot be compared with: {error}") from error
        return self._scored[1]

    @in_turn
    def _forget_answer(self) -> None:
        """An answer is shown with the event it belongs to, or not at all."""
        self.score = self.contributions = self._asked = None
        for shown in (self.answer, self.picture, self.changes):
            shown.value = ""
        for text in (self.curl_text, self.python_text, self.cpp_text):
            text.value = ""
        for line in self._copies:
            line.value = ""


class _Scores:
    """The distributions of the scores, with a line for an event that moves."""

    def __init__(self, evaluation: Evaluation) -> None:
        def draw(ax: Axes) -> tuple[Any, ...]:
            evaluation.plot_scores(ax)
            self._event = ax.axvline(0, 0, 0.75, color="black", linewidth=3, label="This event")
            self._cut = ax.axvline(0, 0, 0.7, color="black", linestyle="--", label="Cut")
            ax.legend(loc="upper center", fontsize=15)
            ax.set_ylim(top=ax.get_ylim()[1] * 30)  # room for the legend
            # An event's line at either end would lie under the frame.
            low, high = ax.get_xlim()
            ax.set_xlim(low - _BESIDE_SCORES * (high - low), high + _BESIDE_SCORES * (high - low))
            return self._event, self._cut

        self._picture = plots.Moving(draw, dpi=80)

    def at(self, score: float, cut: float) -> bytes:
        """The picture as PNG."""
        self._event.set_xdata([score, score])
        self._cut.set_xdata([cut, cut])
        return self._picture.png()


def _name(point: Mapping[str, float]) -> str:
    """Label of a model's own working point."""
    return f"ε_S = {point['eps_s']:.2g}"


def _between(
    low: Mapping[str, float] | None, high: Mapping[str, float] | None, key: str, digits: int
) -> str:
    """A share of events that lies between those of two working points."""
    least, most = (None if point is None else f"{point[key]:.{digits}%}" for point in (low, high))
    if least and most:
        return f"{least} to {most}"
    return f"at most {most}" if most else f"more than {least}"


def _row(controls: list[ipywidgets.Widget]) -> ipywidgets.HBox:
    return ipywidgets.HBox(controls, layout=WRAPPED)


def _alternating(*rows: Sequence[ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    """The first of each, the second of each and so on."""
    return [widget for together in zip(*rows, strict=True) for widget in together]


def _rounded_down(threshold: float) -> float:
    """A cut with six digits that the events at the working point still pass."""
    if not math.isfinite(threshold) or threshold == 0:
        return threshold
    digits = 5 - math.floor(math.log10(abs(threshold)))
    return round(math.floor(threshold * 10.0**digits) / 10.0**digits, digits)


def _files_at_hand() -> tuple[str, ...]:
    """ROOT files to offer: those of the working directory, and the packaged sample."""
    return (*sorted(str(p) for p in Path().glob("*.root")), *sample_files())


def _share(efficiency: Measured, digits: int) -> str:
    """An efficiency in per cent; that of no event, or of all, with its limit."""
    share = f"{efficiency.value:.{digits}%}"
    is_limit = efficiency.low is not None or efficiency.high is not None
    return f"{share} ({escape(efficiency.text)})" if is_limit else share
