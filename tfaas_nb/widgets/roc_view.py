"""ROC curves with a working point that can be moved, and what else is known of the scores."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from tfaas_nb import plots
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError, TfaasError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.metrics import (
    CONVENTION,
    EFFICIENCIES,
    FEW_EVENTS,
    Band,
    Overtraining,
    WorkingPoint,
)
from tfaas_nb.table import Table
from tfaas_nb.widgets.background import Background
from tfaas_nb.widgets.field import NumberField, TextField
from tfaas_nb.widgets.judged_models import evaluate_models, left_out
from tfaas_nb.widgets.panel import LABELS, WIDE, WRAPPED, Panel, offer
from tfaas_nb.widgets.turn import Turn, in_turn

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_FIRST_EFFICIENCY = _FIRST_CUT = 0.5
_STEP = 0.001
_REJECTION, _EFFICIENCIES = "rejection", "efficiencies"
_AXES = (
    ("1/ε_B over ε_S, logarithmic", _REJECTION),
    ("ε_S over ε_B, linear", _EFFICIENCIES),
)
_KINDS = {".png": ("image/png", plots.png), ".svg": ("image/svg+xml", plots.svg)}
_KINDS[".pdf"] = ("application/pdf", plots.pdf)

#: Two pictures side by side, or one below the other where there is no room.
_HALF = {"flex": "1 1 20em", "max_width": "36em", "min_width": "min(20em, 100%)"}

#: Training events up to which their scores are shown without being asked for.
_TRAINING_AT_ONCE = 200_000
_REPEATS = 2


@checked_calls(DataError)
class RocView(Panel):
    """ROC of one or more models on the same events, and what a cut on the score leaves.

    Parameters
    ----------
    evaluations : Evaluation or mapping of name to Evaluation
        What to show.

    Attributes
    ----------
    evaluations : dict of str to Evaluation
        What is shown; can be observed.
    point : WorkingPoint or None
        The working point; can be observed.
    model : ipywidgets.Dropdown
        Whose working point and scores are shown.
    efficiency : ipywidgets.FloatSlider
        Signal efficiency ε_S asked for.
    number, threshold : NumberField
        The same as a number, and the cut on the score; what cannot be is marked, and moves
        nothing.
    axes : ipywidgets.Dropdown
        ``"rejection"`` (1/ε_B over ε_S, logarithmic) or ``"efficiencies"`` (both linear).
    band, training : ipywidgets.Checkbox
        Whether the uncertainty of the curves, and the scores of training events are drawn.
    numbers, rejections, compared : ipywidgets.HTML
        What the working point leaves; rejections of all models at the usual efficiencies; the
        Kolmogorov-Smirnov check of training against test events.
    picture, scores : ipywidgets.HTML
        The curves, and the distributions of the score.
    more : ipywidgets.Accordion
        Calibration and importance of the variables, computed when they are opened.
    figure, path, save_button, link_button, link : ipywidgets controls
        Export: which figure, to which file, as a file or as a link to download it.
    """

    evaluations = traitlets.Dict()
    point = traitlets.Instance(WorkingPoint, allow_none=True)

    def __init__(self, evaluations: Evaluation | Mapping[str, Evaluation]) -> None:
        named = _named(evaluations)
        self._drawn: dict[Any, _Marked] = {}
        self._bands: dict[int, tuple[Evaluation, Band]] = {}
        self._turn = Turn()
        self._wanted: dict[str, float] = {"eps_s": _FIRST_EFFICIENCY}
        self._work = Background("evaluate")
        self._build()
        point = _row([self.efficiency, self.number, self.threshold])
        super().__init__(
            [
                _row([self.model, self.axes, self.band, self.training]),
                point,
                self.numbers,
                ipywidgets.HBox([self.picture, self.scores], layout=WRAPPED),
                self.compared,
                self.rejections,
                self.more,
                _row([self.figure, self.path, self.save_button, self.link_button, self.link]),
            ]
        )
        self._by_point = self.line_below(point)
        self._observe()
        self.use(named)

    @classmethod
    def of_models(
        cls, client: Client, data: Dataset, models: Sequence[str] | None = None
    ) -> RocView:
        """Served models on events of known class; by default all that the server has.

        Models that cannot score the events are left out, and named below with the reason.

        Raises
        ------
        TfaasError
            If no model can score the events, or the server does not answer.
        """
        found, unsuitable = evaluate_models(client, data, models)
        if unsuitable and not found:
            raise DataError(left_out(unsuitable))
        view = cls(found)
        if unsuitable:
            view.say(left_out(unsuitable))
        return view

    def _build(self) -> None:
        self.model = ipywidgets.Dropdown(description="Working point of", style=LABELS)
        self.axes = ipywidgets.Dropdown(description="Axes", options=_AXES, style=LABELS)
        self.band = _box("Uncertainty band")
        self.training = _box("Scores of training events")
        self.efficiency = ipywidgets.FloatSlider(
            *(_FIRST_EFFICIENCY,),
            min=_STEP,
            max=1.0,
            step=_STEP,
            readout=False,
            description="Signal efficiency ε_S",
            style=LABELS,
            layout={"width": "28em", "max_width": "100%"},
        )
        self.number = NumberField(
            *(_FIRST_EFFICIENCY,),
            min=_STEP,
            max=1.0,
            step=0.01,
            turn=self._turn,
            description="ε_S as a number",
            style=LABELS,
            layout={"width": "13em"},
        )
        self.threshold = NumberField(
            *(_FIRST_CUT,),
            turn=self._turn,
            description="or cut on the score at",
            step=0.01,
            style=LABELS,
            layout={"width": "18em"},
        )
        self.numbers, self.rejections, self.compared, self.link = (
            ipywidgets.HTML() for _ in range(4)
        )
        self.picture, self.scores = (ipywidgets.HTML(layout=_HALF) for _ in range(2))
        self.more = ipywidgets.Accordion(
            [ipywidgets.HTML(), ipywidgets.HTML()],
            titles=("Calibration", "Importance of the variables"),
        )
        self.figure = ipywidgets.Dropdown(
            description="Export",
            options=(("ROC curve", "roc"), ("Scores", "scores")),
            style=LABELS,
            layout={"width": "13em"},
        )
        self.path = TextField(
            *("roc.png", _check_path),
            description="to the file (.png, .pdf, .svg)",
            style=LABELS,
            layout={"width": "26em"},
        )
        self.save_button = ipywidgets.Button(description="Save on the server", layout=WIDE)
        self.link_button = ipywidgets.Button(description="Make a download link", layout=WIDE)

    def _observe(self) -> None:
        self.model.observe(lambda _: self._model_changed(), "value")
        self.efficiency.observe(lambda change: self._efficiency_changed(change["new"]), "value")
        self.number.observe(lambda _: self._number_typed(), "judged")
        self.threshold.observe(lambda _: self._threshold_typed(), "judged")
        for control in (self.axes, self.band, self.training):
            control.observe(lambda _: self._shown_changed(), "value")
        self.more.observe(lambda change: self.compute(change["new"]), "selected_index")
        self.figure.observe(lambda _: self._name_file(), "value")
        self.save_button.on_click(lambda _: self.save())
        self.link_button.on_click(lambda _: self.offer_download())

    @in_turn
    def use(self, evaluations: Evaluation | Mapping[str, Evaluation]) -> None:
        """Show other evaluations."""
        named = _named(evaluations)
        self._drawn, self._bands, self.link.value = {}, {}, ""
        chosen = self.model.value
        with self._turn.silently():
            self.evaluations = dict(named)
            offer(self.model, list(named))
        self.rejections.value = _compact(_rejections(named)._repr_html_()) if named else ""
        self._show_chosen(is_other=self.model.value != chosen)

    @in_turn
    def move(self, eps_s: float | None = None, threshold: float | None = None) -> None:
        """Move the working point to a signal efficiency or to a cut on the score."""
        with self.errors_in_words(self.number, self.threshold, at=self._by_point):
            if (eps_s is None) == (threshold is None):
                raise DataError("a working point is moved to an efficiency or to a threshold")
            roc = self._evaluation().roc
            if threshold is not None and not math.isfinite(threshold):
                raise DataError(f"a cut on the score is a number, not {threshold}")
            point = roc.working_point(eps_s) if threshold is None else roc.at_threshold(threshold)
            cut = point.threshold if threshold is None else threshold
            self._wanted = {"eps_s": eps_s} if eps_s is not None else {"threshold": float(cut)}
            with self._turn.silently():
                shown = min(max(point.eps_s if eps_s is None else eps_s, _STEP), 1.0)
                self.efficiency.value, self.number.value = shown, round(shown, 4)
                self.threshold.value = _rounded(cut)
            self._mark(point)
            if self.message is self._by_point:
                self.forget_error()

    @in_turn
    def show(self) -> None:
        """Draw the curves, the scores and the working point as the controls say."""
        if not self.evaluations:
            self.point, self.picture.value, self.scores.value = None, "", ""
            self.compared.value, self.numbers.value = "", "No model evaluated yet."
            return
        with self.errors_in_words():
            self.compared.value = self._compared()
        self.move(**self._wanted)

    def compute(self, section: int | None) -> None:
        """Compute what a section of `more` shows, in a thread, unless it is there."""
        if section is None or self.more.children[section].value:
            return
        with self.errors_in_words():
            place, evaluation = self.more.children[section], self._evaluation()
            place.value = "Computing …"
            self._work.run(lambda: _fill(place, (_calibration, _importance)[section], evaluation))

    def wait(self, seconds: float = 60.0) -> bool:
        """Block until opened sections are computed; returns whether they are."""
        return self._work.wait(seconds)

    @in_turn
    def save(self) -> None:
        """Write the chosen figure to the path, on the machine of this kernel."""
        if self.refuses([self.path]):
            return
        with self.errors_in_words(self.path, self.figure):
            written = plots.save(self._draw(self.figure.value), self.path.value.strip())
            self.say(f"The figure is in {written.absolute()}.")

    @in_turn
    def offer_download(self) -> None:
        """Show a link by which the browser downloads the chosen figure."""
        self.link.value = ""
        if self.refuses([self.path]):
            return
        with self.errors_in_words(self.path, self.figure):
            name = PurePath(self.path.value.strip()).name
            kind = PurePath(name).suffix.lower()
            media, write = _KINDS[kind]
            content = base64.b64encode(write(self._draw(self.figure.value))).decode()
            self.link.value = (
                f'<a style="text-decoration:underline" download="{escape(name)}" '
                f'href="data:{media};base64,{content}">'
                f"Download {escape(name)}</a>"
            )
            self.forget_error()

    @in_turn
    def close(self) -> None:
        """End all controls; may be called twice."""
        self._work.close()
        self._drawn = {}
        super().close()

    # --- what the controls do -----------------------------------------------------------

    @in_turn
    def _model_changed(self) -> None:
        if not self._turn.is_silent:
            self._show_chosen(is_other=True)

    def _show_chosen(self, is_other: bool) -> None:
        """Show the chosen model; if it is the one before, what a person has chosen of it stays."""
        section = None if is_other else self.more.selected_index
        self.more.selected_index = None
        for part in self.more.children:
            part.value = ""
        with self._turn.silently():
            known = self._training_events()
            if is_other or not known or self.training.disabled:
                self.training.value = 0 < known <= _TRAINING_AT_ONCE
            self.training.disabled = not known
        self.show()
        self.more.selected_index = section

    def _shown_changed(self) -> None:
        if not self._turn.is_silent:
            self.show()

    def _efficiency_changed(self, eps_s: float) -> None:
        if not self._turn.is_silent and self.evaluations:
            self.move(eps_s)

    def _number_typed(self) -> None:
        if self._may_move(self.number):
            self.move(self.number.value)

    def _threshold_typed(self) -> None:
        if self._may_move(self.threshold):
            self.move(threshold=self.threshold.value)

    def _may_move(self, field: NumberField) -> bool:
        """True if a person has typed what the working point can be moved to."""
        if self._turn.is_silent or not self.evaluations:
            return False
        return not self.refuses([field], self._by_point)

    def _name_file(self) -> None:
        path = PurePath(self.path.value.strip() or "roc.png")
        self.path.value = str(path.with_name(f"{self.figure.value}{path.suffix or '.png'}"))

    # --- what is shown ------------------------------------------------------------------

    def _evaluation(self) -> Evaluation:
        if self.model.value not in self.evaluations:
            raise DataError("no model is evaluated yet")
        found: Evaluation = self.evaluations[self.model.value]
        return found

    def _training_events(self) -> int:
        """Training events of the chosen model, as far as they are known."""
        evaluation = self.evaluations.get(self.model.value)
        trained = evaluation.trained if evaluation else None
        return len(trained.training) if trained else 0

    def _overtraining(self) -> Overtraining | None:
        return self._evaluation().overtraining() if self.training.value else None

    def _compared(self) -> str:
        found = self._overtraining()
        return _compact(found.table()._repr_html_()) if found else ""

    def _mark(self, point: WorkingPoint) -> None:
        """Show a working point; what it does not change is not drawn again."""
        self.numbers.value = _numbers(point, self._evaluation().expected)
        curves = ("roc", self.axes.value, self.band.value)
        scores = ("scores", self.model.value, self.training.value)
        for key, place, alt in (
            (curves, self.picture, "ROC curves with the working point"),
            (scores, self.scores, f"Scores of {self.model.value} with the cut"),
        ):
            if key not in self._drawn:
                kind = _MarkedScores if key is scores else _MARKED[self.axes.value]
                self._drawn[key] = kind(self._draw(str(key[0])))
            place.value = plots.html_image(self._drawn[key].at(point), alt, "100%")
        self.point = point

    def _draw(self, figure: str) -> Any:
        """Return the function that draws a figure, by default with the working point in it."""
        return partial(self._draw_scores if figure == "scores" else self._draw_curves)

    def _draw_curves(self, ax: Axes, marked: bool = True) -> None:
        curves = {name: one.roc for name, one in self.evaluations.items()}
        bands = {name: self._band(one) for name, one in self.evaluations.items()}
        draw = plots.roc if self.axes.value == _REJECTION else plots.efficiencies
        points = {"Working point": self.point} if marked and self.point else None
        draw(curves, ax, points, bands if self.band.value else None)

    def _draw_scores(self, ax: Axes, marked: bool = True) -> None:
        evaluation, found = self._evaluation(), self._overtraining()
        threshold = self.point.threshold if marked and self.point else None
        if found is None:
            evaluation.plot_scores(ax, threshold)
            return
        plots.overtraining(found, ax)
        if threshold is not None:
            ax.axvline(threshold, color="black", linestyle="--")

    def _band(self, evaluation: Evaluation) -> Band:
        if not self.band.value:
            return None  # type: ignore[return-value]
        key = id(evaluation)
        if key not in self._bands:
            self._bands[key] = (evaluation, evaluation.band())
        return self._bands[key][1]


class _Marked:
    """A picture of curves, or of scores, whose working point moves."""

    def __init__(self, draw: Any) -> None:
        def drawn(ax: Axes) -> Sequence[Artist]:
            draw(ax, marked=False)
            return self._marks(ax)

        self._picture = plots.Moving(drawn)

    def _marks(self, ax: Axes) -> Sequence[Artist]:
        """The lines that say where the working point is."""
        self._across = ax.axhline(1, color="black", linewidth=1, linestyle=":")
        self._down = ax.axvline(0, color="black", linewidth=1, linestyle=":")
        (self._dot,) = ax.plot([0.5], [1], "o", color="black", markersize=11, zorder=5)
        return self._across, self._down, self._dot

    def at(self, point: WorkingPoint) -> bytes:
        """The picture as PNG with this working point."""
        x, y = self._place(point)
        self._down.set_xdata([x, x])
        self._across.set_ydata([y, y])
        self._dot.set_data([x], [y])
        return self._picture.png()

    def _place(self, point: WorkingPoint) -> tuple[float, float]:
        seen = point.rejection if math.isfinite(point.rejection) else math.nan
        return point.eps_s, seen


class _MarkedEfficiencies(_Marked):
    def _place(self, point: WorkingPoint) -> tuple[float, float]:
        return point.eps_b, point.eps_s


class _MarkedScores(_Marked):
    def _marks(self, ax: Axes) -> Sequence[Artist]:
        self._cut = ax.axvline(0, 0, 0.7, color="black", linewidth=2, linestyle="--")
        return (self._cut,)

    def at(self, point: WorkingPoint) -> bytes:
        """The picture as PNG with the cut of this working point."""
        self._cut.set_xdata([point.threshold, point.threshold])
        return self._picture.png()


_MARKED = {_REJECTION: _Marked, _EFFICIENCIES: _MarkedEfficiencies}


def _check_path(text: str) -> None:
    """Refuse what is no path of a figure.

    Raises
    ------
    DataError
        If it is empty, or its ending is that of no format.
    """
    name = PurePath(text.strip()).name
    if not name:
        raise DataError("write the path of a file first, for instance roc.pdf")
    if PurePath(name).suffix.lower() not in _KINDS:
        raise DataError(f"{name!r} is none of {', '.join(_KINDS)}: it says the format")


def _box(description: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(
        True, description=description, indent=False, layout={"width": "auto"}
    )


def _row(controls: Sequence[ipywidgets.Widget]) -> ipywidgets.HBox:
    return ipywidgets.HBox(controls, layout=WRAPPED)


def _rounded(score: float) -> float:
    """A score with the digits that are shown; a cut there leaves the same to the eye."""
    return float(f"{score:.6g}") if math.isfinite(score) else score


def _fill(place: ipywidgets.HTML, find: Any, evaluation: Evaluation) -> None:
    try:
        place.value = _compact(find(evaluation))
    except TfaasError as error:
        place.value = f'<div role="alert">{escape(str(error))}</div>'
    except Exception as error:
        place.value = f'<div role="alert">{type(error).__name__}: {escape(str(error))}</div>'


def _calibration(evaluation: Evaluation) -> str:
    return evaluation.calibration()._repr_html_()


def _importance(evaluation: Evaluation) -> str:
    found = evaluation.importance("variable", repeats=_REPEATS, progress=False)
    return found._repr_html_()


def _numbers(point: WorkingPoint, expected: tuple[float, float] | None) -> str:
    significance = _significance(point, expected)
    row = (
        str(point.signal_efficiency),
        str(point.background_efficiency),
        f"{point.threshold:.5f}",
        point.background_rejection.text,
        *significance.values(),
        str(point.background or point.background_left),
    )
    columns = ("ε_S", "ε_B", "threshold", "1/ε_B", *significance, "background events left")
    warning = (
        f"<p><b>Warning:</b> fewer than {FEW_EVENTS} background events are left: "
        "do not rank models by this rejection.</p>"
        if point.is_uncertain
        else ""
    )
    return _compact(Table(columns, (row,), point.convention)._repr_html_()) + warning


def _significance(
    point: WorkingPoint, expected: tuple[float, float] | None
) -> dict[str, str | None]:
    """The column S/√B of the events expected; none if it is not known how many are."""
    if expected is None:
        return {}
    background, signal = expected[0] * point.eps_b, expected[1] * point.eps_s
    return {"S/√B": f"{signal / math.sqrt(background):.3g}" if background > 0 else None}


def _compact(html: str) -> str:
    """HTML without the line height of a row of controls."""
    return f'<div style="line-height:1.4">{html}</div>'


def _named(evaluations: Any) -> Mapping[str, Evaluation]:
    """Evaluations by the names of their models.

    Raises
    ------
    DataError
        If they are none.
    """
    named = {"model": evaluations} if isinstance(evaluations, Evaluation) else evaluations
    if not isinstance(named, Mapping) or not all(
        isinstance(one, Evaluation) for one in named.values()
    ):
        raise DataError(
            f"RocView takes an Evaluation or {{name: Evaluation}}, not a "
            f"{type(evaluations).__name__}: classifier.evaluate(test) makes one"
        )
    return named


def _rejections(evaluations: Mapping[str, Evaluation]) -> Table:
    """AUC of every model, and its rejection at the usual efficiencies."""
    columns = ("model", "AUC", *(f"1/ε_B at ε_S = {e}" for e in EFFICIENCIES), "")
    rows = []
    for name, evaluation in evaluations.items():
        points = [evaluation.roc.working_point(e) for e in EFFICIENCIES]
        few = [f"{e}" for e, p in zip(EFFICIENCIES, points, strict=True) if p.is_uncertain]
        rows.append(
            (
                name,
                str(evaluation.roc.area),
                *(point.background_rejection.text for point in points),
                f"fewer than {FEW_EVENTS} background events at {', '.join(few)}" if few else "",
            )
        )
    return Table(columns, tuple(rows), CONVENTION)
