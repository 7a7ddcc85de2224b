"""Fields that keep what was typed, and are marked with the reason where it cannot be used.

The fields of ipywidgets for numbers put a value at the nearest limit, or the last one back into
an emptied field, without a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from tfaas_nb.errors import TfaasError
from tfaas_nb.widgets.turn import Turn

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
#: A minus as it is printed is one, too.
_MINUS = str.maketrans("\N{MINUS SIGN}\N{EN DASH}", "--")
_LONGEST = 40
#: Numbers from here on are shown with an exponent.
_LARGE = 1e15
#: Largest number that a model's input of float32 holds.
_LARGEST = float(np.finfo(np.float32).max)

#: Gives the value that a text stands for, and what is wrong with it, or no words.
Verdict = tuple[Any, str]


class Field(anywidget.AnyWidget):
    """A label and a line of text; subclasses say which texts stand for a value.

    Parameters
    ----------
    value : object
        The first value.
    style : mapping, optional
        ``description_width``, as that of ipywidgets' controls.
    turn : Turn, optional
        That of the widget which the field is a part of: what a person types waits for it.
    **looks
        Attributes, and those of every widget, such as ``layout``.

    Attributes
    ----------
    value : object
        The value that the text stands for; can be set and observed.
    text : str
        The text as it was typed.
    error : str
        The reason why it cannot be used; empty if it can.
    judged : int
        Number of looks at the text; can be observed, and changes when `text`, `value` and
        `error` have changed, together.
    description, placeholder : str
        Label, and what stands in an empty field.
    options : tuple of str
        Texts that the field offers.
    marked : bool
        True for a field that caused an error which is told elsewhere.
    disabled : bool
        Whether nothing can be typed.
    continuous_update : bool
        Whether the kernel hears of each letter, or when the field is left.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")

    description = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    placeholder = traitlets.Unicode().tag(sync=True)
    options = traitlets.Tuple().tag(sync=True)
    marked = traitlets.Bool(False).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    continuous_update = traitlets.Bool(False).tag(sync=True)
    label_width = traitlets.Unicode("auto").tag(sync=True)
    step = traitlets.Float(0.0).tag(sync=True)
    min = traitlets.Float(None, allow_none=True).tag(sync=True)
    max = traitlets.Float(None, allow_none=True).tag(sync=True)
    judged = traitlets.Int(0)
    value: Any = traitlets.Any()

    def __init__(
        self,
        value: Any,
        style: Mapping[str, str] | None = None,
        turn: Turn | None = None,
        **looks: Any,
    ) -> None:
        width = (style or {}).get("description_width", "initial")
        self.turn = turn or Turn()
        super().__init__(
            text=self._text_of(value),
            label_width="auto" if width == "initial" else width,
            **looks,
        )
        self.on_msg(self._heard)
        self.judge()

    def judge(self) -> None:
        """Look at the text once more, for instance with other limits."""
        value, error = self._verdict(self.text)
        self.error = error
        if not is_same(self.value, value):
            self.value = value
        self.judged += 1

    def refuse(self, why: str) -> None:
        """Mark the field for a reason that it cannot know itself, until its text changes."""
        self.error = why
        self.judged += 1

    def _verdict(self, text: str) -> Verdict:
        raise NotImplementedError

    def _text_of(self, value: Any) -> str:
        raise NotImplementedError

    @traitlets.observe("text")
    def _text_changed(self, _: Any) -> None:
        self.judge()

    @traitlets.observe("value")
    def _value_changed(self, change: Any) -> None:
        if not is_same(self._verdict(self.text)[0], change["new"]):
            self.text = self._text_of(change["new"])

    def _heard(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        if message.get("kind") == "typed":
            with self.turn:
                self.text = str(message.get("text", ""))


class TextField(Field):
    """A line of text, marked where a check refuses it.

    Parameters
    ----------
    value : str
        The first text.
    check : callable, optional
        Raises a `TfaasError` with the reason for a text that cannot be used.
    **looks
        As of a `Field`.
    """

    def __init__(
        self, value: str = "", check: Callable[[str], object] | None = None, **looks: Any
    ) -> None:
        self._check = check
        super().__init__(value, **looks)

    @traitlets.validate("value")
    def _as_text(self, proposal: Any) -> str:
        if not isinstance(proposal["value"], str):
            raise traitlets.TraitError(f"{self.description} takes text, not {proposal['value']!r}")
        return str(proposal["value"])

    @traitlets.default("value")
    def _first(self) -> str:
        return ""

    def _verdict(self, text: str) -> Verdict:
        try:
            if self._check:
                self._check(text)
        except TfaasError as error:
            return text, str(error)
        return text, ""

    def _text_of(self, value: Any) -> str:
        return str(value)


class NumberField(Field):
    """A number within limits; one beyond them stays as it was typed, and is marked.

    Parameters
    ----------
    value : float or None
        The first number; None for an empty field.
    whole : bool
        Whether it must be a whole number.
    optional : bool
        Whether the field may stay empty.
    unit : str
        Of the number, for the message.
    note : str
        A sentence that the message ends with.
    **looks
        As of a `Field`, and ``min``, ``max``, ``step``.

    Attributes
    ----------
    value : int, float or None
        The number, also one that is refused; None if the text is no number.
    min, max : float or None
        The limits, which are allowed themselves.
    step : float
        Step of an arrow key.
    allowed : str
        What may be written, in words.
    also : tuple of float
        Numbers allowed besides: padding, for instance, or those of a real event.
    """

    def __init__(
        self,
        value: float | None = None,
        *,
        whole: bool = False,
        optional: bool = False,
        unit: str = "",
        note: str = "",
        **looks: Any,
    ) -> None:
        self._whole, self._optional, self._unit = whole, optional, unit
        self.note = note
        self.also: tuple[float, ...] = ()
        super().__init__(value, **{"step": 1.0, **looks})

    @property
    def allowed(self) -> str:
        """The numbers that may be written, in words."""
        kind = "a whole number" if self._whole else "a number"
        low, high = (None if x is None else _written(x) for x in (self.min, self.max))
        if low is not None and high is not None:
            kind += f" from {low} to {high}"
        elif low is not None:
            kind += f", {low} or more"
        elif high is not None:
            kind += f", {high} or less"
        return kind + (f" (in {self._unit})" if self._unit else "")

    def within(self, low: float | None, high: float | None) -> None:
        """Set other limits; a number that is beyond them now is marked."""
        self.min, self.max = low, high
        self.judge()

    @traitlets.validate("value")
    def _as_number(self, proposal: Any) -> int | float | None:
        return self._number_of(proposal["value"])

    def _number_of(self, given: Any) -> int | float | None:
        """A number as Python has it; None for an empty field."""
        if given is None:
            return None
        try:
            return int(given) if isinstance(given, Integral) else _plain(float(given))
        except (TypeError, ValueError, OverflowError):
            raise traitlets.TraitError(
                f"{self.description or 'the field'} takes a number, not {given!r}"
            ) from None

    def _verdict(self, text: str) -> Verdict:
        plain = text.strip().translate(_MINUS)
        if not plain:
            return None, "" if self._optional else self._why("nothing is written here")
        number = _number(plain)
        if number is None:
            comma = " (a point stands before the decimals)" if "," in plain else ""
            return None, self._why(f"{_short(text)} is no number{comma}")
        if number in self.also:
            return number, ""
        if not math.isfinite(number):
            return number, self._why(f"{_short(text)} is not finite")
        if abs(number) > _LARGEST:
            return number, self._why(f"{_short(text)} is larger than a float32 holds")
        if self._whole and not isinstance(number, int):
            return number, self._why(f"{_short(text)} is no whole number")
        below = self.min is not None and number < self.min
        above = self.max is not None and number > self.max
        return number, self._why(f"{_short(text)} is not allowed") if below or above else ""

    def _why(self, wrong: str) -> str:
        return f"{wrong}: write {self.allowed}{f'; {self.note}' if self.note else ''}"

    def _text_of(self, value: Any) -> str:
        number = self._number_of(value)
        return "" if number is None else _written(number)


def wrong(fields: Iterable[Any]) -> list[Field]:
    """Controls that are marked, of fields that can be."""
    return [field for field in fields if isinstance(field, Field) and field.error]


def in_words(fields: Iterable[Field]) -> str:
    """Labels and reasons of marked fields, in one line."""
    return "; ".join(f"{field.description}: {field.error}" for field in fields)


def _number(text: str) -> int | float | None:
    if _WHOLE.fullmatch(text) and len(text) <= _LONGEST:
        return int(text)
    if _NUMBER.fullmatch(text):
        return _plain(float(text))
    return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}.get(text.lower())


def _plain(number: int | float) -> int | float:
    """A whole number as an int, so that 3 and 3.0 are written and read in one way."""
    if isinstance(number, float) and number.is_integer() and abs(number) < _LARGE:
        return int(number)
    return number


def _written(number: int | float) -> str:
    """A number with the digits that tell it from its neighbours."""
    return repr(_plain(number))


def is_same(one: Any, other: Any) -> bool:
    """Return True for equal values, and for two that are no number."""
    return bool(one == other) or (one != one and other != other)


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
