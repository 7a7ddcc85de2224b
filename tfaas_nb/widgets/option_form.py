"""The options of a classifier as a form: what each is for, and which values make sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import ipywidgets

from tfaas_nb.classifier import Classifier
from tfaas_nb.errors import TrainingError
from tfaas_nb.widgets.field import Field, NumberField, TextField, in_words, wrong
from tfaas_nb.widgets.panel import WRAPPED, close_below

#: Labels of one width, so that the controls stand below each other.
LOOKS: dict[str, Any] = {
    "style": {"description_width": "10em"},
    "layout": {"width": "22em"},
}
#: Units of a layer that a person may mean; more fill any memory.
_MOST_UNITS = 100_000
_BY_ITSELF = "chosen from the number of events"


@dataclass(frozen=True)
class Whole:
    """A whole number between two."""

    low: int
    high: int

    def control(self, value: Any, **looks: Any) -> ipywidgets.Widget:
        """Make the control with which a user sets the option."""
        high = max(self.high, value)
        return NumberField(value, whole=True, min=self.low, max=high, **looks)

    def read(self, shown: Any) -> Any:
        """The value of the option."""
        return shown


@dataclass(frozen=True)
class Fraction:
    """A number between two, in steps."""

    low: float
    high: float
    step: float

    def control(self, value: Any, **looks: Any) -> ipywidgets.Widget:  # noqa: D102
        low, high = min(self.low, value), max(self.high, value)
        return NumberField(value, min=low, max=high, step=self.step, **looks)

    def read(self, shown: Any) -> Any:  # noqa: D102
        return float(shown)


@dataclass(frozen=True)
class Choice:
    """One of some values; its own default is one of them."""

    values: tuple[Any, ...]

    def control(self, value: Any, **looks: Any) -> ipywidgets.Widget:  # noqa: D102
        values = self.values if value in self.values else (value, *self.values)
        offered = [(_BY_ITSELF if v is None else str(v), v) for v in values]
        # Not by value: None would choose nothing.
        return ipywidgets.Dropdown(options=offered, index=values.index(value), **looks)

    def read(self, shown: Any) -> Any:  # noqa: D102
        return shown


@dataclass(frozen=True)
class YesNo:
    """Yes or no."""

    def control(self, value: Any, **looks: Any) -> ipywidgets.Widget:  # noqa: D102
        return ipywidgets.Dropdown(options=[("yes", True), ("no", False)], value=value, **looks)

    def read(self, shown: Any) -> Any:  # noqa: D102
        return shown


@dataclass(frozen=True)
class Layers:
    """Numbers of units, one for each layer."""

    def control(self, value: Any, **looks: Any) -> ipywidgets.Widget:  # noqa: D102
        text = ", ".join(map(str, value))
        return TextField(text, check=self.read, placeholder="none", **looks)

    def read(self, shown: Any) -> Any:
        """The units.

        Raises
        ------
        TrainingError
            If a part between commas is no whole number of 1 or more.
        """
        parts = [part.strip() for part in shown.replace(";", ",").split(",") if part.strip()]
        for part in parts:
            if not (part.isascii() and part.isdecimal() and 0 < int(part) <= _MOST_UNITS):
                raise TrainingError(
                    f"{shown!r} are no numbers of units: write whole numbers from 1 to "
                    f"{_MOST_UNITS} between commas, for instance 64, 64"
                )
        return tuple(map(int, parts))


Kind = Whole | Fraction | Choice | YesNo | Layers


@dataclass(frozen=True)
class Option:
    """An option of `Settings` or `Architecture`.

    Attributes
    ----------
    name : str
        The attribute.
    label, meaning : str
        For people.
    kind : Whole, Fraction, Choice, YesNo or Layers
        Which values make sense.
    first : bool
        Whether it is seen without asking for more.
    """

    name: str
    label: str
    meaning: str
    kind: Kind
    first: bool = False


#: In the order of the form.  An option that this version's classifier does not have is left out.
OPTIONS = (
    Option(
        "epochs",
        "Epochs",
        "most passes over the training events; the best one's weights are kept",
        Whole(1, 1000),
        first=True,
    ),
    Option(
        "patience",
        "Patience",
        "training ends early after so many epochs without a better validation loss",
        Whole(1, 1000),
        first=True,
    ),
    Option(
        "learning_rate",
        "Learning rate",
        "how far a step changes the weights; lower it if the loss jumps (0.0001 to 0.01)",
        Fraction(1e-6, 1.0, 5e-4),
        first=True,
    ),
    Option(
        "hidden",
        "Hidden layers",
        "units of each layer that sees the event, between commas; more units learn finer "
        "structures and take longer",
        Layers(),
        first=True,
    ),
    Option(
        "embedding",
        "Jet layers",
        "units of each layer that sees one jet alone; their outputs are summed over jets",
        Layers(),
    ),
    Option(
        "members",
        "Members",
        "networks trained side by side whose mean decides; more are steadier and slower",
        Whole(1, 10),
    ),
    Option(
        "activation",
        "Activation",
        "what a unit does to its sum",
        Choice(("relu", "silu", "elu", "tanh")),
    ),
    Option(
        "dropout",
        "Dropout",
        "fraction of units left out in a step, against learning events by heart",
        Fraction(0.0, 0.8, 0.05),
    ),
    Option(
        "batch_size",
        "Batch size",
        "events in a step; larger ones are faster and need more epochs",
        Choice((32, 64, 128, 256, 512, 1024, 2048, 4096)),
    ),
    Option(
        "weight_decay",
        "Weight decay",
        "pull of the weights towards zero, against learning events by heart",
        Fraction(0.0, 1.0, 0.005),
    ),
    Option(
        "validation",
        "Validation fraction",
        "part of the training events that only tells which epoch is best",
        Fraction(0.02, 0.5, 0.01),
    ),
    Option(
        "balance",
        "Balance classes",
        "signal and background count the same in all, however many events there are",
        YesNo(),
    ),
    Option(
        "negative_weights",
        "Negative weights",
        "what to do with events of negative weight",
        Choice(("refuse", "ignore", "absolute")),
    ),
)


class OptionForm(ipywidgets.VBox):  # type: ignore[misc]
    """A row for each option: its label, a control, and what it is for.

    Parameters
    ----------
    options : sequence of Option
        What to show, as far as a `Classifier` has it.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
        Option → control, whose ``value`` may be set.
    more : ipywidgets.Checkbox
        Whether all options are shown.
    """

    def __init__(self, options: Sequence[Option] = OPTIONS) -> None:
        usual = _defaults()
        self._options = tuple(option for option in options if option.name in usual)
        self.controls = {
            o.name: o.kind.control(usual[o.name], description=o.label, **LOOKS)
            for o in self._options
        }
        self.more = ipywidgets.Checkbox(
            description="Show all settings", indent=False, layout={"width": "auto"}
        )
        first, rest = (
            [explained(self.controls[o.name], o.meaning) for o in self._options if o.first is seen]
            for seen in (True, False)
        )
        self._rest = ipywidgets.VBox(rest, layout={"display": "none"})
        super().__init__([*first, self.more, self._rest])
        self.more.observe(self._show, "value")

    def values(self) -> dict[str, Any]:
        """Option → value, as the form stands.

        Raises
        ------
        TrainingError
            If a field is not what it should be.
        """
        if marked := self.wrong():
            raise TrainingError(in_words(marked))
        return {o.name: o.kind.read(self.controls[o.name].value) for o in self._options}

    def wrong(self) -> list[Field]:
        """Fields that are marked."""
        return wrong(self.controls.values())

    def reveal(self) -> None:
        """Show all options if a marked field is among those that are not seen."""
        if wrong(self.controls[o.name] for o in self._options if not o.first):
            self.more.value = True

    def close(self) -> None:
        """End all controls; may be called twice."""
        close_below(self)
        super().close()

    def _show(self, change: Any) -> None:
        self._rest.layout.display = None if change["new"] else "none"


def explained(control: ipywidgets.Widget, meaning: str) -> ipywidgets.Box:
    """A row with a control and, in plain words, what it is for."""
    told = ipywidgets.HTML(
        f'<div style="line-height:1.4">{meaning}</div>',
        layout={"flex": "1 1 20em", "width": "auto"},
    )
    return ipywidgets.Box([control, told], layout=WRAPPED)


def _defaults() -> dict[str, Any]:
    """Default values of a classifier's options, by name."""
    classifier = Classifier()
    return {
        f.name: getattr(part, f.name)
        for part in (classifier.settings, classifier.architecture)
        for f in fields(part)
    }
