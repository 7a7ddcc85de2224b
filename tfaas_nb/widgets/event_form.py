"""One field per feature of an event, grouped by jet, with a switch for the number of jets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import ipywidgets
import numpy as np

from tfaas_nb.errors import FeatureError
from tfaas_nb.features import FeatureSet
from tfaas_nb.widgets.field import Field, NumberField, in_words, is_same, wrong
from tfaas_nb.widgets.panel import LABELS, WRAPPED, close_below
from tfaas_nb.widgets.possible_values import possible_values
from tfaas_nb.widgets.turn import Turn, in_turn

_COUNT = "nJets"
_SLOT = re.compile(r"(.+)_(\d+)")
_FIELD = {"width": "22em"}
_HINT = {"width": "7.5em"}
#: Sets of features whose controls are kept.  A page that is still making controls while the kernel
#: ends them shows none at all: those of a model that was chosen a moment ago have to live on.
_MOST_KEPT = 8


@dataclass(frozen=True)
class _Controls:
    """The controls of one set of features."""

    fields: dict[str, NumberField]
    titles: tuple[str, ...]
    boxes: tuple[ipywidgets.VBox, ...]

    def close(self) -> None:
        for box in self.boxes:
            close_below(box)
            box.close()


class EventForm(ipywidgets.VBox):  # type: ignore[misc]
    """An event by hand: event variables first, then jet 0, jet 1 and so on.

    Jets beyond `jets` are hidden, and their features have the padding's value.

    Parameters
    ----------
    on_change : callable
        Called when a person changes a field or the number of jets.
    turn : Turn, optional
        That of the widget which the form is a part of.

    Attributes
    ----------
    fields : dict of str to NumberField
        Value of each feature, in the model's order; one that cannot be is marked.
    jets : NumberField
        Number of jets the event has, as far as the model looks at them.
    typical : dict of str to float
        Medians in the training data, of features that tell them.
    """

    def __init__(
        self, on_change: Callable[[], None] = lambda: None, turn: Turn | None = None
    ) -> None:
        self._on_change = on_change
        self._turn = turn or Turn()
        self._kept: dict[str, _Controls] = {}
        self.fields: dict[str, NumberField] = {}
        self.typical: dict[str, float] = {}
        self._slots: Mapping[str, tuple[int, ...]] = {}
        self._padding = 0.0
        self.jets = NumberField(
            0, whole=True, min=0, description="Number of jets", style=LABELS, turn=self._turn,
            layout={"width": "13em"},
        )  # fmt: skip
        self._count = 0
        self._filled: dict[str, Any] = {}
        self._groups = ipywidgets.Box(layout={**WRAPPED, "align_items": "flex-start"})
        super().__init__([self.jets, self._groups], layout={"flex": "1 1 30.5em", "width": "auto"})
        self.jets.observe(lambda _: self._jets_changed(), "judged")
        self.use((), None)

    @in_turn
    def use(
        self, features: Sequence[Mapping[str, Any]], feature_set: Mapping[str, Any] | None
    ) -> None:
        """Other features, at their typical values.

        Parameters
        ----------
        features, feature_set : sequence of mappings, mapping or None
            As a model's ``params.json`` tells them.
        """
        names = [str(feature["name"]) for feature in features]
        self._show(features, *_slots(names, feature_set))

    @in_turn
    def use_columns(self, width: int) -> None:
        """Fields for the values of a model that does not name them, called as its inputs are."""
        names = [f"input_{i}" for i in range(width)]
        # The numbers are those of columns, not of jets.
        self._show([{"name": name} for name in names], dict.fromkeys(names, ()), 0.0)

    def _show(
        self,
        features: Sequence[Mapping[str, Any]],
        slots_of: Mapping[str, tuple[int, ...]],
        padding: float,
    ) -> None:
        self._slots, self._padding = slots_of, padding
        self.typical = {f["name"]: float(f["median"]) for f in features if "median" in f}
        controls = self._controls(features)
        self.fields, self._titles = controls.fields, controls.titles
        self._groups.children = controls.boxes
        slots = {slot for used in self._slots.values() for slot in used}
        usual = {
            slot
            for feature in features
            for slot in self._slots[feature["name"]]
            if feature.get("present", 1.0) > 0.5
        }
        with self._turn.silently():
            self._look_at_jets(len(slots))
            self._set_jets(len(usual))
            self.jets.layout.display = None if slots else "none"
            for name, field in self.fields.items():
                there = self._is_there(name)
                _fill(field, self.typical.get(name, 0.0) if there else self._padding)
            self._filled = self._contents()
        self._show_groups()

    def _controls(self, features: Sequence[Mapping[str, Any]]) -> _Controls:
        """Return the controls for some features, the earlier ones if the same were shown before."""
        key = json.dumps([features, list(self._slots.items())], sort_keys=True)
        found = self._kept.pop(key, None) or self._made(features)
        self._kept[key] = found
        if len(self._kept) > _MOST_KEPT:
            self._kept.pop(next(iter(self._kept))).close()
        return found

    def _made(self, features: Sequence[Mapping[str, Any]]) -> _Controls:
        rows = {f["name"]: _row(f, self._turn) for f in features}
        fields = {name: row.children[0] for name, row in rows.items()}
        for name, field in fields.items():
            field.observe(partial(self._field_changed, name, field), "judged")
        titles, boxes = [], []
        for group, title in _groups(self._slots):
            own = [rows[name] for name, slots in self._slots.items() if _group(slots) == group]
            heading = ipywidgets.HTML(f"<b>{escape(title)}</b>")
            boxes.append(_box(heading, own, is_wide=not isinstance(group, int)))
            titles.append(title)
        return _Controls(fields, tuple(titles), tuple(boxes))

    @property
    def groups(self) -> tuple[str, ...]:
        """Titles of the groups that are shown."""
        return tuple(
            title
            for title, box in zip(self._titles, self._groups.children, strict=True)
            if box.layout.display != "none"
        )

    @in_turn
    def set(self, event: Mapping[str, float]) -> None:
        """Show an event's values, and as many jets as it has.

        Raises
        ------
        FeatureError
            If it lacks features of the model.
        """
        missing = [name for name in self.fields if name not in event]
        if missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise FeatureError(f"the event lacks {', '.join(missing[:5])}{more} of this model")
        filled = {
            slot
            for name, slots in self._slots.items()
            if event[name] != self._padding
            for slot in slots
        }
        with self._turn.silently():
            self._set_jets(max(filled, default=-1) + 1)
            for name, field in self.fields.items():
                _fill(field, event[name])
            self._filled = self._contents()
        self._show_groups()

    @property
    def is_typed(self) -> bool:
        """True if a person has changed what was filled in, and not changed it back."""
        with self._turn:
            now = self._contents()
            return any(not is_same(value, now.get(name)) for name, value in self._filled.items())

    @in_turn
    def texts(self) -> dict[str, str]:
        """All fields as they were typed, the number of jets among them."""
        return {"": self.jets.text, **{name: field.text for name, field in self.fields.items()}}

    @in_turn
    def keep(self, texts: Mapping[str, str]) -> None:
        """Put texts of another model's form into the fields of those names."""
        with self._turn.silently():
            jets = texts.get("", "")
            if jets.isdecimal():
                self._set_jets(int(jets))
            for name in texts.keys() & self.fields.keys():
                self.fields[name].text = texts[name]
        self._show_groups()

    @in_turn
    def wrong(self) -> list[Field]:
        """Marked fields of jets that are there, and of the event."""
        return wrong([self.jets, *(f for name, f in self.fields.items() if self._is_there(name))])

    @in_turn
    def values(self) -> dict[str, float]:
        """The event as it stands in the fields, absent jets padded.

        Raises
        ------
        FeatureError
            If a field is marked.
        """
        if marked := self.wrong():
            raise FeatureError(in_words(marked))
        return {
            name: float(field.value) if self._is_there(name) else self._padding
            for name, field in self.fields.items()
        }

    @in_turn
    def typical_of_present(self) -> dict[str, float]:
        """Typical values of the features that the event has."""
        return {name: v for name, v in self.typical.items() if self._is_there(name)}

    @in_turn
    def close(self) -> None:
        """End all controls, those that are not shown now too; may be called twice."""
        while self._kept:
            self._kept.popitem()[1].close()
        close_below(self)
        super().close()

    def _is_there(self, name: str) -> bool:
        return all(slot < self._count for slot in self._slots[name])

    def _contents(self) -> dict[str, Any]:
        """Values in the fields, right or not; absent jets are padded, and counted under no name."""
        return {"": self.jets.value} | {
            name: field.value if self._is_there(name) else self._padding
            for name, field in self.fields.items()
        }

    @in_turn
    def _field_changed(self, name: str, field: NumberField, _: Any) -> None:
        if not self._turn.is_silent and name in self.fields and self.fields[name] is not field:
            # It was typed while another model's form took the place of this one.
            self.fields[name].text = field.text
        self._changed()

    def _changed(self) -> None:
        if not self._turn.is_silent:
            self._on_change()

    @in_turn
    def _jets_changed(self) -> None:
        if self._turn.is_silent:
            return
        if not self.jets.error:
            self._show_jets()
        self._changed()

    def _show_jets(self) -> None:
        """Show the fields of as many jets as were typed, new ones at typical values."""
        with self._turn.silently():
            self._count = self.jets.value
            for name, field in self.fields.items():
                if self._slots[name] and self._is_there(name) and field.value == self._padding:
                    _fill(field, self.typical.get(name, self._padding))
            if _COUNT in self.fields:
                self.fields[_COUNT].value = self._count
        self._show_groups()

    def _look_at_jets(self, most: int) -> None:
        self.jets.note = f"the model looks at {most} of them at most"
        self.jets.within(0, most)

    def _set_jets(self, count: int) -> None:
        self._count = min(count, int(self.jets.max or 0))
        self.jets.value = self._count

    def _show_groups(self) -> None:
        for (group, _), box in zip(_groups(self._slots), self._groups.children, strict=True):
            there = not isinstance(group, int) or group < self._count
            box.layout.display = None if there else "none"


def _slots(
    names: Sequence[str], feature_set: Mapping[str, Any] | None
) -> tuple[dict[str, tuple[int, ...]], float]:
    """The jets that each feature is of, and the value of absent ones."""
    if feature_set:
        known = FeatureSet.from_dict(feature_set)
        if known.names == tuple(names):
            return {name: known.slots(name) for name in names}, known.padding
    found = {name: _SLOT.fullmatch(name) for name in names}
    # One name alone with a number at its end is no jet's.
    stems = {match[1] for match in found.values() if match and int(match[2]) == 0}
    return {
        name: (int(match[2]),) if match and match[1] in stems else ()
        for name, match in found.items()
    }, 0.0


def _group(slots: tuple[int, ...]) -> int | str:
    """A feature's group: its jet's number, or one for several jets, or the event's."""
    return slots[0] if len(slots) == 1 else "several" if slots else "event"


def _groups(slots: Mapping[str, tuple[int, ...]]) -> list[tuple[int | str, str]]:
    """Groups with their titles, in the order they are shown."""
    found = {_group(one) for one in slots.values()}
    jets = sorted(one for one in found if isinstance(one, int))
    return [
        *([("event", "Event")] if "event" in found else []),
        *((jet, f"Jet {jet}") for jet in jets),
        *([("several", "Several jets together")] if "several" in found else []),
    ]


def _box(
    heading: ipywidgets.HTML, rows: Sequence[ipywidgets.HBox], is_wide: bool
) -> ipywidgets.VBox:
    """A group: of a jet a column, of the event what fits into the width."""
    if is_wide:
        inner = [ipywidgets.Box(rows, layout=WRAPPED)]
        return ipywidgets.VBox([heading, *inner], layout={"width": "100%"})
    return ipywidgets.VBox([heading, *rows], layout={"margin": "0 1em 0.5em 0"})


def _row(feature: Mapping[str, Any], turn: Turn) -> ipywidgets.HBox:
    """A labelled field with the range of its values in the training."""
    unit = f" [{feature['unit']}]" if feature.get("unit") else ""
    possible = possible_values(feature)
    field = NumberField(
        0.0,
        turn=turn,
        whole=possible.whole,
        unit=str(feature.get("unit") or ""),
        min=possible.low,
        max=possible.high,
        description=feature["name"] + unit,
        step=max(_step(feature), 1.0) if possible.whole else _step(feature),
        style={"description_width": "12.5em"},
        layout=_FIELD,
    )
    hint = ipywidgets.HTML(layout=_HINT)

    def tell(_: object = None) -> None:
        hint.value = _hint(feature, field.value)

    field.observe(tell, "value")
    tell()
    return ipywidgets.HBox([field, hint])


def _fill(field: NumberField, value: float) -> None:
    """Show a value that an event or the training has, which is right whatever it is."""
    shown = _shown(value)
    field.also = (shown,)
    field.value = shown
    field.judge()


def _hint(feature: Mapping[str, Any], value: float | None) -> str:
    if "low" not in feature:
        return ""
    low, high = float(feature["low"]), float(feature["high"])
    text = f"{_short(low)} to {_short(high)}"
    is_padding = value == 0 and feature.get("present", 1.0) < 1
    if value is None or low <= value <= high or is_padding:
        return f'<small title="1 % to 99 % of the training events">{text}</small>'
    # Two lines fit beside the field.
    return f'<small style="display:block;line-height:1.2"><b>unusual:</b> {text}</small>'


def _short(value: float) -> str:
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def _step(feature: Mapping[str, Any]) -> float:
    """Step of an arrow key: about a hundredth of the range, a round number."""
    width = float(feature.get("high", 1.0)) - float(feature.get("low", 0.0))
    return float(10.0 ** np.floor(np.log10(width / 20))) if width > 0 else 1.0


def _shown(value: float) -> float:
    """A float32 with the digits that tell it from its neighbours."""
    return float(str(np.float32(value)))
