"""Choice of the cut on the score that decides, by a working point or as a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import ipywidgets

from tfaas_nb.widgets.answer import Identity
from tfaas_nb.widgets.field import NumberField
from tfaas_nb.widgets.panel import LABELS, offer
from tfaas_nb.widgets.turn import Turn, in_turn

TYPED = "typed in"
_FIRST_CUT = 0.5


class CutChoice:
    """Two controls for one cut; each model has a cut of its own.

    Parameters
    ----------
    turn : Turn
        That of the widget which the controls are a part of.
    threshold_at : callable
        Gives the cut of a working point by its name, NaN if there is none.
    on_change : callable
        Called when a person has chosen or typed another cut.

    Attributes
    ----------
    working_point : ipywidgets.Dropdown
        The working points that are offered, and ``typed in``.
    threshold : NumberField
        The cut as a number.
    """

    def __init__(
        self, turn: Turn, threshold_at: Callable[[str], float], on_change: Callable[[], None]
    ) -> None:
        self._turn, self._threshold_at, self._on_change = turn, threshold_at, on_change
        self._model: Identity | None = None
        self._left: dict[Identity | None, tuple[str, str]] = {}
        self._suggested: dict[Identity | None, float] = {}
        self.working_point = ipywidgets.Dropdown(
            description="Working point", options=(TYPED,), style=LABELS, layout={"width": "16em"}
        )
        self.threshold = NumberField(
            _FIRST_CUT,
            turn=turn,
            step=0.01,
            description="Signal if the score is at least",
            style=LABELS,
            layout={"width": "22em"},
        )
        self.working_point.observe(lambda _: self._point_chosen(), "value")
        self.threshold.observe(lambda _: self._number_typed(), "judged")

    @property
    def cut(self) -> float | None:
        """The cut; None if the field holds no number that can be one."""
        value = self.threshold.value
        return None if self.threshold.error or value is None else float(value)

    @property
    def name(self) -> str:
        """Name of the working point that decides; empty if the cut was typed."""
        chosen = self.working_point.value
        return "" if chosen in (None, TYPED) else str(chosen)

    @in_turn
    def of(self, model: Identity | None, names: Sequence[str]) -> None:
        """Offer the working points of a model; one that was here before gets its cut back."""
        with self._turn.silently():
            if model != self._model:
                self._left[self._model] = self.name, self.threshold.text
                self._model = model
                name, text = self._left.get(model, ("", str(_FIRST_CUT)))
                self.threshold.text = text
                offer(self.working_point, [TYPED, *names])
                self.working_point.value = name if name in names else TYPED
                return
            offer(self.working_point, [TYPED, *names])

    @in_turn
    def suggest(self, cut: float | None, name: str = "") -> None:
        """Take a cut, or the working point of that name, unless it was suggested before.

        A cut that a person has chosen since stays.
        """
        if cut is None or self._suggested.get(self._model) == cut:
            return
        self._suggested[self._model] = cut
        self.take(cut, name)

    @in_turn
    def take(self, cut: float, name: str = "") -> None:
        """Decide at this score, which is that of a working point if it has a name."""
        with self._turn.silently():
            self.working_point.value = name or TYPED
            self.threshold.value = rounded_down(cut) if name else float(f"{cut:.6g}")
        self._on_change()

    @in_turn
    def renew(self) -> None:
        """Look up the cut of the chosen working point, which may be another by now."""
        name = self.name
        cut = self._threshold_at(name) if name else math.nan
        if math.isfinite(cut):
            self.take(cut, name)

    @in_turn
    def _point_chosen(self) -> None:
        if not self._turn.is_silent:
            self.renew()

    @in_turn
    def _number_typed(self) -> None:
        if self._turn.is_silent:
            return
        with self._turn.silently():
            self.working_point.value = TYPED
        self._on_change()


def rounded_down(threshold: float) -> float:
    """A cut with six digits that the events at the working point still pass."""
    if not math.isfinite(threshold) or threshold == 0:
        return threshold
    digits = 5 - math.floor(math.log10(abs(threshold)))
    return round(math.floor(threshold * 10.0**digits) / 10.0**digits, digits)
