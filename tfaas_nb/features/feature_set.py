"""Feature set of a classifier: ordered names, units, number of jets and padding value.

A `FeatureSet` is the contract between the ROOT file, the training and every later
request: the same names in the same order, raw physics values, absent jets padded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from numbers import Integral, Real
from typing import Any

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import FeatureError
from tfaas_nb.features.names import names_in
from tfaas_nb.nearest import did_you_mean, unknown_keys
from tfaas_nb.options import check_text
from tfaas_nb.variables import JET_VARIABLES, Derived, derived_names, known
from tfaas_nb.variables import Variable as Variable
from tfaas_nb.variables import derived as derived_by_name

#: More than any event has: names are made of these numbers, which may come from strangers.
_MOST_JETS, _MOST_FEATURES = 256, 10_000
#: Orders the jets of a model that tells only names.
_ORDER, _MOST_DIGITS = "jetPt", 3


def _is_finite(number: Real) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number larger than any float
        return False


@checked_calls(FeatureError)
@dataclass(frozen=True, init=False)
class FeatureSet:
    """Ordered features of an event: per-event variables, then per-jet variables slot by slot.

    The order is that of TFaaS's published demo: each jet variable fills its slots
    ``name_0 … name_{jets-1}`` before the next one starts; slot 0 is the leading jet.  Derived
    quantities come last.

    Attributes
    ----------
    name : str
        Name of the set.
    event : tuple of Variable
        Per-event variables.  Given as text, one that `tfaas_nb.variables.KNOWN` has gets its
        unit and title from there.
    jet : tuple of Variable
        Per-jet variables, likewise.
    jets : int
        Jets kept per event; further ones are dropped, absent ones padded.
    order_by : str
        Jet variable by which jets are ordered, largest first.
    padding : float
        Value of absent jets.
    derived : tuple of str
        Quantities computed from the jets when a file is read, such as ``tau21_0``, ``m_jj``
        or ``deltaR_01``; `tfaas_nb.variables` lists them.  The variables they are computed
        from need not be features.
    """

    name: str
    event: tuple[Variable, ...]
    jet: tuple[Variable, ...]
    jets: int
    order_by: str
    padding: float
    derived: tuple[str, ...]

    def __init__(
        self,
        name: str,
        event: Sequence[Variable | str] = (),
        jet: Sequence[Variable | str] = (),
        jets: int = 5,
        order_by: str = "jetPt",
        padding: float = 0.0,
        derived: Sequence[str] = (),
    ) -> None:
        for attribute, value in (
            ("name", name),
            ("event", _variables("event", event)),
            ("jet", _variables("jet", jet)),
            ("jets", jets),
            ("order_by", order_by),
            ("padding", padding),
            ("derived", names_in(derived, "derived= of a feature set")),
        ):
            object.__setattr__(self, attribute, value)
        self._check()

    def _check(self) -> None:
        if not isinstance(self.name, str):
            raise FeatureError(
                f"the first argument of a FeatureSet is its name, not {self.name!r:.100}: "
                "FeatureSet('two jets', event=['nJets'], jet=['jetPt'], jets=2)"
            )
        if not isinstance(self.order_by, str):
            raise FeatureError(f"order_by must be a jet variable's name, not {self.order_by!r}")
        self._check_numbers()
        if self.jets > _MOST_JETS or len(self.jet) * self.jets > _MOST_FEATURES:
            raise FeatureError(
                f"feature set {self.name!r} keeps {len(self.jet)} variables of {self.jets} jets: "
                f"keep at most {_MOST_JETS} jets, and {_MOST_FEATURES} features"
            )
        if self.jets < (1 if self.jet or self.derived else 0):
            raise FeatureError(
                f"feature set {self.name!r} keeps {self.jets} jets: keep one or more"
            )
        if len(set(self.names)) != len(self.names):
            twice = _listed(sorted(set(_repeated(self.names))))
            raise FeatureError(f"feature set {self.name!r} names {twice} more than once")
        if self.jet and self.order_by not in {v.name for v in self.jet}:
            raise FeatureError(
                f"feature set {self.name!r} orders jets by {self.order_by!r}, "
                f"which is none of its jet variables {[v.name for v in self.jet]}"
            )
        for wanted in self.derived:
            self._derived(wanted)

    def _check_numbers(self) -> None:
        jets, padding = self.jets, self.padding
        if isinstance(jets, bool) or not isinstance(jets, Integral):
            raise FeatureError(
                f"feature set {self.name!r} keeps {jets!r} jets, which is no whole number"
            )
        if isinstance(padding, bool) or not isinstance(padding, Real) or not _is_finite(padding):
            raise FeatureError(f"feature set {self.name!r} pads with {padding!r}, not a number")
        object.__setattr__(self, "jets", int(jets))  # of NumPy's numbers: JSON does not take them
        object.__setattr__(self, "padding", float(padding))

    def _derived(self, name: str) -> Derived:
        found = derived_by_name(name)
        if found is None:
            names = derived_names(self.jets)
            likely = [one for one in names if one.startswith(f"{name}_")] or names
            raise FeatureError(
                f"feature set {self.name!r} derives {name!r}, which is not known"
                f"{did_you_mean(name, likely)}"
            )
        if any(slot >= self.jets for slot in found.slots):
            raise FeatureError(
                f"feature set {self.name!r} derives {name!r}, but keeps {self.jets} jets: "
                f"their numbers are 0 to {self.jets - 1}"
            )
        return found

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order of the columns."""
        slots = [f"{v.name}_{i}" for v in self.jet for i in range(self.jets)]
        return (*(v.name for v in self.event), *slots, *self.derived)

    @cached_property
    def branches(self) -> tuple[str, ...]:
        """The variables that are read: the event's, then the jets'."""
        return tuple(v.name for v in (*self.event, *self.jet))

    def __len__(self) -> int:
        return len(self.names)

    def column(self, feature: str) -> int:
        """The column of a feature.

        Raises
        ------
        FeatureError
            If there is no such feature.
        """
        check_text("a feature's name", feature, FeatureError)
        if feature not in self.names:
            raise FeatureError(_unknown(feature, self.names))
        return self.names.index(feature)

    def variable(self, feature: str) -> Variable:
        """The variable that a feature such as ``jetPt_0`` is a slot of.

        Raises
        ------
        FeatureError
            If there is no such feature.
        """
        column = self.column(feature)
        if column < len(self.event):
            return self.event[column]
        if column >= self.derived_columns.start:
            return self.derivation(feature).variable
        return self.jet[(column - len(self.event)) // self.jets]

    def derivation(self, feature: str) -> Derived:
        """Return the definition of a derived feature.

        Raises
        ------
        FeatureError
            If there is no such derived quantity, or its jets are not kept.
        """
        check_text("a feature's name", feature, FeatureError)
        return self._derived(feature)

    def slots(self, feature: str) -> tuple[int, ...]:
        """The jets that an event must have for a feature to be more than padding.

        Raises
        ------
        FeatureError
            If there is no such feature.
        """
        column = self.column(feature) - len(self.event)
        if column < 0:
            return ()
        if feature in self.derived:
            return self._derived(feature).slots
        return (column % self.jets,)

    @property
    def derived_columns(self) -> slice:
        """The columns that hold the derived quantities; they are the last."""
        return slice(len(self) - len(self.derived), len(self))

    def jet_columns(self, variable: str) -> slice:
        """The columns that hold a jet variable, leading jet first.

        Raises
        ------
        FeatureError
            If there is no such variable of the jets.
        """
        names = [one.name for one in self.jet]
        if variable not in names:
            raise FeatureError(f"{variable!r:.100} is no variable of the jets; they are {names}")
        start = self.names.index(f"{variable}_0")
        return slice(start, start + self.jets)

    def matrix(self, events: Any) -> tuple[Any, bool]:
        """Events as a float32 array of shape (events, features), and whether it was one event.

        Parameters
        ----------
        events : array of shape (events, features) or (features,), table, or mapping
            Values in the order of the features; or, matched by the names of its columns in
            whatever order, a DataFrame of pandas or polars, an Arrow table, a structured array,
            an awkward array of records, ``{feature: array}``, a list of ``{feature: value}``;
            or one event as ``{feature: value}``, a pandas Series or a record.

        Raises
        ------
        FeatureError
            If names or number of features differ, or a value is missing or no number.
        """
        from tfaas_nb.features.columns import array_of, columns_of  # NumPy is not loaded before

        table = columns_of(events)
        if table is not None:
            X = table.matrix(order_keys(self.names, table.names))
        else:
            X = array_of(events)
        is_single = X.ndim == 1
        if X.ndim == 0 or X.ndim > 2 or X.shape[-1] != len(self):
            shape = (1, *X.shape) if is_single else X.shape or (1, 1)
            raise FeatureError(
                f"events have shape {shape}; {self.name!r} needs (events, {len(self)})"
            )
        return X.reshape(-1, len(self)) if is_single else X, is_single

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file; `from_dict` reads them back."""
        return {
            "name": self.name,
            "event": [vars(v).copy() for v in self.event],
            "jet": [vars(v).copy() for v in self.jet],
            "jets": self.jets,
            "order_by": self.order_by,
            "padding": self.padding,
            "derived": list(self.derived),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSet:
        """The feature set that `to_dict` described.

        Raises
        ------
        FeatureError
            If a part is missing or of the wrong kind.
        """
        _check_description(values, ("event", "jet"))
        try:
            return cls(
                name=str(values["name"]),
                event=tuple(Variable(**v) for v in values["event"]),
                jet=tuple(Variable(**v) for v in values["jet"]),
                jets=_whole(values["jets"]),
                order_by=str(values["order_by"]),
                padding=float(values["padding"]),
                derived=tuple(map(str, values.get("derived", ()))),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FeatureError(f"not a description of a feature set: {error}") from error

    def __repr__(self) -> str:
        return f"FeatureSet({self.name!r}, {len(self)} features, {self.jets} jets)"


def order_keys(expected: Sequence[str], given: Sequence[str]) -> tuple[int, ...]:
    """Return the position of each expected feature among the given keys.

    Parameters
    ----------
    expected : sequence of str
        Feature names in the model's order.
    given : sequence of str
        Keys in the order in which a client sent its values.

    Returns
    -------
    tuple of int
        ``values[i]`` for ``i`` in it are the values in the model's order.

    Raises
    ------
    FeatureError
        Naming every key that is missing, unknown or sent twice.
    """
    position = {key: i for i, key in enumerate(given)}
    faults = []
    if len(position) != len(given):
        faults.append("sent more than once: " + _listed(_repeated(given)))
    names = set(expected)
    unknown = [key for key in given if key not in names]
    missing = [name for name in expected if name not in position]
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        faults.append("; ".join(_unknown(key, missing or expected) for key in unknown[:3]) + more)
    if missing:
        faults.append("missing: " + _listed(missing))
    if faults:
        raise FeatureError("the keys do not fit the model: " + "; ".join(faults))
    return tuple(position[name] for name in expected)


def _repeated(keys: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]


def _listed(names: Iterable[str], limit: int = 8) -> str:
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _unknown(key: object, known: Sequence[str]) -> str:
    return f"unknown key {key!r}{did_you_mean(str(key), known)}"


def _check_description(values: Any, variables: Sequence[str]) -> None:
    """Refuse a description of a feature set with keys that nothing reads."""
    parts = [("", values, [field.name for field in fields(FeatureSet)])]
    for kind in variables if isinstance(values, Mapping) else ():
        own = values.get(kind)
        several = own if isinstance(own, (list, tuple)) else ()
        parts += [(f" of {kind}", one, [f.name for f in fields(Variable)]) for one in several]
    for where, part, keys in parts:
        if not isinstance(part, Mapping):
            raise FeatureError(f"not a description of a feature set: {part!r:.100} is no mapping")
        if wrong := unknown_keys(part, keys):
            raise FeatureError(f"not a description of a feature set: {wrong}{where}")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def _variables(place: str, given: Sequence[Variable | str]) -> tuple[Variable, ...]:
    listed = _several(place, (given,) if isinstance(given, Variable) else given)
    variables = tuple(known(one) if isinstance(one, str) else one for one in listed)
    for one in variables:
        if not isinstance(one, Variable) or not all(isinstance(v, str) for v in vars(one).values()):
            raise FeatureError(
                f"{place}= of a feature set names variables, as text such as 'jetPt' or as "
                f"tn.Variable(name, unit, title), all text; not {one!r:.100}"
            )
    return variables


def _several(place: str, given: Any) -> Iterable[Any]:
    """One text or several things; a sequence of numbers is refused one by one."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, (bytes, Mapping)) or not isinstance(given, Iterable):
        raise FeatureError(
            f"{place}= of a feature set is a list of names such as ['jetPt'], not {given!r:.100}"
        )
    return given


#: The 42 features of TFaaS's published tt̄ → all-hadronic demo, in its order.
TTBAR_ALL_HADRONIC = FeatureSet(
    name="ttbar-all-hadronic",
    event=("nJets", "nLeptons"),
    jet=(
        "jetEta",
        "jetMass",
        "jetMassSoftDrop",
        "jetPhi",
        "jetPt",
        "jetTau1",
        "jetTau2",
        "jetTau3",
    ),
)


def feature_set_of(name: str, features: Sequence[str]) -> FeatureSet:
    """Make a feature set for a model that has only the names of its features.

    Names such as ``jetPt_0``, ``jetPt_1`` … are a variable of the leading jets, which are ordered
    by ``jetPt``; ``m_jj`` and other quantities of single jets are derived.  Every other name is a
    variable of the event, which a file has under that name.

    The order may be another one than the model's: columns then have to be put into that.
    `TTBAR_ALL_HADRONIC` it is if the names are its own in whatever order.
    """
    if set(features) == set(TTBAR_ALL_HADRONIC.names):
        return TTBAR_ALL_HADRONIC
    found = _with_jets(name, features)
    if found is not None and set(found.names) == set(features):
        return found
    return FeatureSet(name, tuple(map(known, features)), jet=())


def _with_jets(name: str, features: Sequence[str]) -> FeatureSet | None:
    """The feature set of names among which those of all variables of some jets are."""
    slots: dict[str, set[int]] = {}
    event, derived = [], []
    for feature in features:
        stem, _, number = feature.rpartition("_")
        if stem in JET_VARIABLES and number.isdecimal() and len(number) <= _MOST_DIGITS:
            slots.setdefault(stem, set()).add(int(number))
        elif (quantity := derived_by_name(feature)) and quantity.slots:  # a sum may be of others
            derived.append(feature)
        else:
            event.append(feature)
    jets = max((max(numbers) + 1 for numbers in slots.values()), default=0)
    if _ORDER not in slots or jets > _MOST_JETS:
        return None
    try:
        return FeatureSet(name, event, tuple(slots), jets, _ORDER, derived=derived)
    except FeatureError:  # a derived quantity is of a jet that is none of the features
        return None
