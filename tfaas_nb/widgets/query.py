"""Ask a model about one event: typed in, or picked from a ROOT file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfaas_nb import plots
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, FeatureError, ServerError, TfaasError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.metrics import Contributions
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import answer, paths
from tfaas_nb.widgets.cut_choice import CutChoice
from tfaas_nb.widgets.event_form import EventForm
from tfaas_nb.widgets.field import NumberField
from tfaas_nb.widgets.file_events import FileEvents
from tfaas_nb.widgets.judged_models import JudgedModels
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
from tfaas_nb.widgets.path_field import PathField, files_at_hand
from tfaas_nb.widgets.request_texts import RequestTexts
from tfaas_nb.widgets.turn import Turn, in_turn
from tfaas_nb.wire.params import working_points_in

if TYPE_CHECKING:
    from tfaas_nb.widgets.roc_view import RocView

#: The answer beside the form, or above it where the page is too narrow: flex-end is then the top.
_BESIDE = {"flex_flow": "row wrap-reverse", "align_items": "flex-end", "grid_gap": "0 8px"}
_TOLD = {"flex": "1 1 46em", "width": "auto", "min_width": "min(46em, 100%)"}
_EFFICIENCIES, _FIRST_EFFICIENCY = (0.3, 0.5, 0.7, 0.9), "ε_S = 0.5"
_EARLIER = "It was asked before"
_NOT_ASKED = "Ask for the score: it is shown here, with what it means."


@checked_calls(ServerError)
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
        Where working points and the distributions of scores are taken from; one alone is that
        of the model that is chosen when it is given.

    Attributes
    ----------
    model : ipywidgets.Dropdown
        The model asked.
    form : EventForm
        The event; ``form.jets`` is its number of jets.
    file, load_button, event : PathField, Button, NumberField
        ROOT file to pick an event from, completed as it is typed, and the position in it of the
        event in the form; only that event is read.  It is empty while the form has another.
    working_point, threshold : ipywidgets.Dropdown, NumberField
        The cut on the score that decides, by signal efficiency or as a number; each model has
        its own.  Working points come from an evaluation, from events of known class, or else
        from the model itself.
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
        self._shown: answer.Identity | None = None
        self._picked: Dataset | FileEvents | None = None
        self._position: int | None = None
        self._number: int | None = None
        self._told_points: tuple[Mapping[str, Any], ...] = ()
        self._judged = JudgedModels()
        self._marked: tuple[Evaluation, answer.Scores] | None = None
        self._followed: RocView | None = None
        self._asked: answer.Question | None = None
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
        self.file = PathField(
            files_at_hand,
            description="ROOT file",
            placeholder="path of a ROOT file",
            turn=self._turn,
            style=LABELS,
            layout={"width": "32em"},
        )
        self.load_button = ipywidgets.Button(description="Load events", layout=WIDE)
        self.event = NumberField(
            *(None,),
            whole=True,
            optional=True,
            min=0,
            max=0,
            description="Event",
            turn=self._turn,
            disabled=True,
            style=LABELS,
            layout={"width": "13em"},
        )
        self.form = EventForm(self._form_changed, self._turn)
        self._cut = CutChoice(self._turn, self._threshold_at, self._tell_score)
        self.working_point, self.threshold = self._cut.working_point, self._cut.threshold
        self.ask_button = ipywidgets.Button(description="Ask for the score", layout=WIDE)
        self._hint = ipywidgets.HTML(_NOT_ASKED)
        self.answer = ipywidgets.HTML()
        self.picture = ipywidgets.HTML(layout={"width": "auto", "max_width": "32em"})
        self.changes = ipywidgets.HTML(layout={"width": "auto"})
        self._texts = texts = RequestTexts()
        self.curl_text, self.python_text, self.cpp_text = texts.curl, texts.python, texts.cpp
        self._copies, self.show_token = texts.copies, texts.show_token

    def _observe(self) -> None:
        self.model.observe(lambda _: self.show_fields(), "value")
        self.answer.observe(lambda change: self._show_hint(not change["new"]), "value")
        self.event.observe(lambda _: self._event_chosen(), "judged")
        self.refresh_button.on_click(lambda _: self.refresh())
        self.load_button.on_click(lambda _: self.load(self.file.value))
        self.ask_button.on_click(lambda _: self.ask())

    @property
    def fields(self) -> dict[str, NumberField]:
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
        self.forget_error()
        with self.errors_in_words(self.model):
            names = [m["name"] for m in client_of(self.source).describe_models()]
            with self._turn.silently():
                offer(self.model, names)
                if choose in names:
                    self.model.value = choose
            self._show_model()

    @in_turn
    def show_fields(self) -> None:
        """One field per feature of the chosen model, grouped by jet.

        An event that was typed stays as far as the model has features of those names; values are
        typical ones otherwise.
        """
        if not self._turn.is_silent:
            self._forget_answer()
            self.forget_error()
            with self.errors_in_words(self.model):
                self._show_model()

    def _show_model(self) -> None:
        """Show what has changed of the chosen model; an answer stays, and says what it is of."""
        model = self.model.value
        described: Mapping[str, Any] = client_of(self.source).params(model) if model else {}
        self._told_points = working_points_in(described.get("working_points") or ())
        shown = answer.identity(model, described) if model else None
        if shown != self._shown or not self.fields:
            self._show_other(shown, described)
        else:
            self._offer_working_points()

    def _show_other(self, shown: answer.Identity | None, described: Mapping[str, Any]) -> None:
        before, self._shown = self._shown, shown
        self._explain_answer()
        is_same_form = bool(self.fields) and not self._is_nameless
        if before and shown and is_same_form and before[2] == shown[2]:
            self._offer_working_points()
            return  # the event in the form is one for this model as it stands
        typed = self.form.texts() if self.form.is_typed else {}
        try:
            self._make_fields(described)
        finally:
            self._offer_working_points()
        if self.fields:
            self._fill_fields(typed)

    def _make_fields(self, described: Mapping[str, Any]) -> None:
        told = described.get("feature_set")
        self._is_nameless = False
        self._read_as = FeatureSet.from_dict(told) if told else None
        self.form.use(described.get("features") or (), told)
        if described and not described.get("features"):
            self._show_columns(self.model.value)

    def _fill_fields(self, typed: Mapping[str, str]) -> None:
        """Show the event that was picked, then what was typed."""
        if not self._is_nameless and self._picked is not None:
            if isinstance(self._picked, FileEvents) and self._picked.features != self._as_read():
                self._picked = FileEvents(self._picked.files, self._as_read())
            if self._position is not None:
                self.form.set(self._picked.event(self._position))
        self.form.keep(typed)
        self._tell_position()

    def _show_columns(self, model: str) -> None:
        """One field per value that a model takes which names none of them."""
        self._is_nameless = True
        width = answer.columns(model, client_of(self.source))
        self.form.use_columns(width)
        self.say(
            f"{model!r} does not tell its features: its {width} values are called input_0, "
            "input_1 … in the order of its inputs. Names can be given when it is sent to the "
            "server."
        )

    @in_turn
    def load(self, path: str) -> None:
        """Pick events from a ROOT file, which is read one event at a time.

        Its layout is recognised; of several files, between commas, events follow each other.
        """
        with self.errors_in_words(self.file):
            files = paths.split(path)
            if not files:
                raise DataError("write the path of a ROOT file first")
            self._pick_from(FileEvents(files, self._as_read()))

    @in_turn
    def use(self, data: Dataset | Stream) -> None:
        """Pick events from a dataset, or from those drawn of a stream, beginning with the first.

        An event that was typed stays in the form.
        """
        with self.errors_in_words(self.file):
            events = data.sample if isinstance(data, Stream) else data
            if not len(events):
                raise DataError("there is no event to pick: choose other files or another cut")
            self._judged.use_events(events)
            self._offer_working_points()
            self._pick_from(events)

    @in_turn
    def pick(self, position: int) -> None:
        """Fill the fields with an event's values."""
        with self.errors_in_words(self.event):
            self._show_event(position)
            if self.event.error:  # of a number that was typed before
                with self._turn.silently():
                    self.event.value = self._number = position

    def _show_event(self, position: int) -> None:
        if self._picked is None:
            raise DataError("load events first")
        if not 0 <= position < len(self._picked):
            raise DataError(f"there is no event {position}: there are 0 to {len(self._picked) - 1}")
        if self.fields and not self._is_nameless:
            self.form.set(self._picked.event(position))
        self._position = position
        self._tell_position()
        if self._asked is None or not self._is_asked():
            self._forget_answer()

    @in_turn
    def values(self) -> dict[str, float]:
        """The event as it stands in the fields, absent jets padded.

        Raises
        ------
        FeatureError
            If a field is marked.
        """
        return self.form.values()

    # --- what decides -------------------------------------------------------------------

    @in_turn
    def use_evaluations(self, evaluations: Evaluation | Mapping[str, Evaluation]) -> None:
        """Take working points and distributions from the evaluation of each model.

        One alone is that of the model that is chosen.
        """
        if isinstance(evaluations, Evaluation):
            evaluations = {self.model.value: evaluations} if self.model.value else {}
        self._judged.use(evaluations)
        self._offer_working_points()
        if self._given(self.model.value) is not None:
            self._cut.renew()

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
        self._cut.take(threshold)

    # --- asking -------------------------------------------------------------------------

    @in_turn
    def ask(self) -> None:
        """Ask for the score of the event in the fields, and show it."""
        self._forget_answer()
        with self.errors_in_words(self.model):
            client = client_of(self.source)
            if not self.model.value:
                raise FeatureError("choose a model first")
            self._show_model()  # as it is now
            if not self.fields or self._shown is None:
                return
            if self.refuses([self.event, *self.form.wrong(), self.threshold]):
                return
            asked = answer.Question(client.url, self._shown, self.values(), self._is_nameless)
            # A model without names takes values in its order, of which the fields are.
            sent = list(asked.event.values()) if asked.nameless else asked.event
            self.score = client.predict(asked.name, sent)
            self._asked = asked
            self._tell_score()
            self._texts.write(asked, self.source.token)
            self.say("")
            self._tell_changes(client, asked.name, asked.event)

    def _tell_score(self) -> None:
        """Score, decision and place among events of known class."""
        asked = self._asked
        if asked is None or asked.model != self._shown:
            return  # another model's cut decides nothing
        if not isinstance(self.score, float):
            self.answer.value = answer.outputs(asked.name, self.score)
            return
        words = answer.decision(self.score, self._cut.cut, self._cut.name)
        with self.errors_in_words(self.model):
            evaluation = self._evaluation(asked.name)
            if evaluation:
                which = "evaluated" if self._given(asked.name) else "at hand"
                words += answer.place(self.score, evaluation, which)
                self.picture.value = self._picture(evaluation)
            else:
                words += answer.told_place(self.score, self._told_points)
        self.answer.value = f"<b>Score of {escape(asked.name)}: {self.score:.6f}</b><br>{words}"

    def _explain_answer(self) -> None:
        """Say of an answer that stays that it is not of the model that is chosen now."""
        asked = self._asked
        if asked is None or asked.model == self._shown or _EARLIER in self.answer.value:
            return
        of = "of the version before" if asked.name == self.model.value else "of this model"
        self.answer.value += (
            f"<p>{_EARLIER}, {of}, with the cut that it had. Ask again for the model "
            "that is chosen now.</p>"
        )

    def _picture(self, evaluation: Evaluation) -> str:
        if self._marked is None or self._marked[0] is not evaluation:
            self._marked = evaluation, answer.Scores(evaluation)
        drawn = self._marked[1].at(self.score, self._cut.cut)
        return plots.html_image(
            drawn, "The event's score among those of signal and background", "100%"
        )

    def _tell_changes(self, client: Client, model: str, event: Mapping[str, float]) -> None:
        """Show each feature's contribution to the score, by one request with an event for each."""
        typical = self.form.typical_of_present()
        if not isinstance(self.score, float) or not typical:
            return
        keys = list(event)
        self.contributions = Contributions.of(
            lambda events: client.predict(model, events, keys, progress=False), event, typical
        )
        self.changes.value = answer.changes(self.contributions)

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the path that was typed is completed; returns whether it is."""
        return self.file.wait(seconds)

    @in_turn
    def close(self) -> None:
        """End all controls; may be called twice."""
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

    def _as_read(self) -> FeatureSet:
        """Definition of the features by which events are read for the chosen model."""
        return self._read_as or self._features

    def _pick_from(self, events: Dataset | FileEvents) -> None:
        """Show the first of other events, or that of the number before, unless one was typed."""
        stays, position = self.form.is_typed, self._position or 0
        self._picked, self._position = events, None
        with self._turn.silently():
            self.event.disabled = False
            self._show_number(None)
            self.event.within(0, len(events) - 1)
        typed = " The form keeps what was typed; write a number to see an event." if stays else ""
        self.say(f"{len(events)} events to pick from: 0 to {len(events) - 1}.{typed}")
        if not stays:
            self._show_event(position if position < len(events) else 0)

    @in_turn
    def _event_chosen(self) -> None:
        if self._turn.is_silent:
            return
        if self.event.error:
            self._forget_answer()  # it would be seen beside another number
            self.refuses([self.event])
            return
        self._number = self.event.value
        if self._number is not None:
            self._event_typed(self._number)

    def _event_typed(self, position: int) -> None:
        try:
            self._show_event(position)
            self.forget_error()
        except TfaasError as error:
            self._forget_answer()
            with self._turn.silently():
                self.event.refuse(str(error))
            self.refuses([self.event])

    @in_turn
    def _form_changed(self) -> None:
        """Show an answer, and an event's number, only beside what it is of."""
        if not self._is_asked():
            self._forget_answer()
        self._tell_position()

    def _is_asked(self) -> bool:
        """True if the event in the form is the one that the answer is of."""
        if self._asked is None or self.form.wrong():
            return False
        return self._asked.event == self.form.values()

    def _tell_position(self) -> None:
        """Show the number of the event in the form; none if it is another."""
        if self.event.error or self._picked is None:
            return
        self._show_number(None if self.form.is_typed or self._is_nameless else self._position)

    def _show_number(self, number: int | None) -> None:
        """Show an event's number, unless a person has typed one that is still to be looked at."""
        if self.event.value == self._number:
            self._number = number
            with self._turn.silently():
                self.event.value = number

    def _threshold_at(self, name: str) -> float:
        """The cut of a working point of the chosen model; NaN, and a message, without one."""
        with self.errors_in_words(self.model):
            evaluation = self._evaluation(self.model.value)
            if evaluation is not None:
                return evaluation.roc.working_point(float(name.rsplit(" ", 1)[1])).threshold
            told = {answer.name(point): point["threshold"] for point in self._told_points}
            if name not in told:
                raise DataError("no evaluation of this model is at hand")
            return float(told[name])
        return math.nan

    def _offer_working_points(self) -> None:
        """Offer the working points of an evaluation, given or to be made of events of known class.

        Without any, offer the model's own.
        """
        names: list[str] = []
        if self.model.value and self._can_evaluate():
            names = [f"ε_S = {eps_s}" for eps_s in _EFFICIENCIES]
        elif self.model.value:
            names = [answer.name(point) for point in self._told_points]
        self._cut.of(self._shown, names)
        self._take_cut()

    def _take_cut(self) -> None:
        """Decide by the view's working point for this model, or by the model's own, if it is new.

        What a person has typed since stays.
        """
        view, model = self._followed, self.model.value
        point = view.point if view is not None and view.model.value == model else None
        told = {answer.name(one): one["threshold"] for one in self._told_points}
        if point is not None and self._given(model) is not None:
            self._cut.suggest(point.threshold)
        elif not self._can_evaluate():
            self._cut.suggest(told.get(_FIRST_EFFICIENCY), _FIRST_EFFICIENCY)

    def _given(self, model: str | None) -> Evaluation | None:
        return self._judged.given(model, self._shown)

    def _can_evaluate(self) -> bool:
        return self._judged.can_judge(self.model.value, self._shown)

    def _evaluation(self, model: str) -> Evaluation | None:
        """The evaluation of a model that was given, or one on the events at hand."""
        given = self._given(model)
        return given or self._judged.at_hand(model, client_of(self.source))

    @in_turn
    def _forget_answer(self) -> None:
        """An answer is shown with the event it belongs to, or not at all."""
        self.score = self.contributions = self._asked = None
        for shown in (self.answer, self.picture, self.changes):
            shown.value = ""
        self._texts.forget()


def _row(controls: list[ipywidgets.Widget]) -> ipywidgets.HBox:
    return ipywidgets.HBox(controls, layout=WRAPPED)
