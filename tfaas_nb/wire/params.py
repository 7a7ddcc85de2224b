"""``params.json``: what TFaaS's model directory says of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from tfaas_nb.errors import BundleError, FeatureError
from tfaas_nb.features import FeatureSet
from tfaas_nb.features.names import names_in
from tfaas_nb.graph_parts.inference_constants import Constants, constants_in
from tfaas_nb.missing import NAN, NONE
from tfaas_nb.nearest import misspelt, unknown_keys
from tfaas_nb.wire.ascii_json import in_ascii

#: Names of a model's features in its order: a list, text with commas between, or a feature set.
FeatureNames = Sequence[str] | FeatureSet

#: How a model that comes from elsewhere gets the names of its features.
HOW_TO_NAME = (
    "give the names of its features in their order when it is uploaded: ?features=a,b,c in the "
    "address, the form's field 'features', client.upload(model, features=[...]), or the list "
    "'features' of its params.json"
)

_NAMES = "text between commas, a,b,c, or a list of names"

#: Value of `Params.input_order`.
UNKNOWN = "unknown"

_RANGE = {"low", "median", "high", "present"}
_OLDER = ("inputNode", "outputNode")
_FEATURE = ("name", "unit", "title", *sorted(_RANGE))
_POINT = ("eps_s", "eps_b", "threshold")
_POINT_NUMBERS = {
    *(f"eps_{kind}_{what}" for kind in "sb" for what in ("error", "low", "high")),
    *(f"{kind}_{what}" for kind in ("signal", "background") for what in ("passed", "events")),
}
_POINT_KEYS = (*_POINT, *sorted(_POINT_NUMBERS), "chosen", "text")


@dataclass(frozen=True)
class Params:
    """Contents of a model's ``params.json``.

    The first twelve attributes are TFaaS's.  `features` (one mapping per input: ``name``,
    ``unit``, ``low``, ``median``, ``high``, ``present``), `feature_set` (how events are read
    from ROOT files), `working_points` (``eps_s``, ``eps_b`` and ``threshold`` of cuts on the
    score, on events that the training had not seen, with counts of events, errors or limits at
    95 % CL where they are known, and all as ``text``), `sha256` (of the model file), `constants`
    (placeholder that is no input → its value in inference; used up when the model is read),
    `provenance` (training files whose values were left out, padded or absent, and how),
    `input_order` (``unknown`` if the model has several inputs whose order its file did not tell)
    and `missing` (``nan`` if the model takes NaN for a missing value, ``none`` if it does not) are
    ours; the Go server ignores them.
    """

    name: str
    model: str = "model.pb"
    labels: str = "labels.txt"
    options: tuple[str, ...] = ()
    input_node: str = ""
    output_node: str = ""
    input_name: str = ""
    output_name: str = ""
    img_channels: int = 0
    description: str = ""
    timestamp: str = ""
    op: str = ""
    features: tuple[Mapping[str, Any], ...] = field(default=())
    feature_set: FeatureSet | None = None
    working_points: tuple[Mapping[str, Any], ...] = field(default=())
    sha256: str = ""
    provenance: tuple[Mapping[str, Any], ...] = field(default=())
    input_order: str = ""
    constants: Constants = field(default_factory=dict)
    missing: str = ""

    @classmethod
    def from_json(cls, data: bytes, name: str | None = None) -> Params:
        """Read ``params.json``, in either spelling of the node names.

        Parameters
        ----------
        data : bytes
            The file's content.
        name : str, optional
            Replaces the file's ``name``.

        Raises
        ------
        BundleError
            If it is no JSON object, or a value has the wrong type.
        """
        try:
            found = orjson.loads(data)
        except ValueError as error:
            raise BundleError(f"params.json is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise BundleError("params.json must be a JSON object")
        return cls.from_values({**found, "name": name or found.get("name", "")})

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Params:
        """The parameters in a decoded JSON object; see `from_json`."""
        values = dict(values)
        _check_keys(values, (*vars(cls(name="")), *_OLDER), "")
        for old, new in (("inputNode", "input_node"), ("outputNode", "output_node")):
            values.setdefault(new, values.get(old))
        defaults = cls(name="")
        texts = {
            key: _text(values, key)
            for key in vars(defaults)
            if isinstance(getattr(defaults, key), str) and values.get(key) is not None
        }
        check_missing(texts.get("missing", ""))
        if not texts.get("name"):
            raise BundleError("params.json has no name: give it one, or send the field 'name'")
        return replace(
            defaults,
            **texts,
            options=_options(values.get("options") or ()),
            img_channels=_count(values, "img_channels"),
            features=_feature_list(values.get("features") or ()),
            feature_set=_feature_set(values.get("feature_set")),
            working_points=working_points_in(values.get("working_points") or ()),
            provenance=_provenance(values.get("provenance") or ()),
            constants=_constants(values.get("constants")),
        )

    @property
    def on_nan(self) -> str:
        """Treatment, "skip" or "pad", of the training's events with values that are not finite.

        It is "error" if no event had such values, or those of several files differ in it.
        """
        treated = [file.get("not_finite") for file in self.provenance]
        found = {one.get("on_nan") for one in treated if isinstance(one, Mapping)}
        return next((how for how in ("skip", "pad") if found == {how}), "error")

    def to_values(self) -> dict[str, Any]:
        """A JSON object with both spellings of the node names."""
        values = dict(vars(self))
        values["options"] = list(self.options)
        values["features"] = [dict(feature) for feature in self.features]
        if self.feature_set is not None:
            values["feature_set"] = self.feature_set.to_dict()
        else:
            del values["feature_set"]
        if self.working_points:
            values["working_points"] = [dict(point) for point in self.working_points]
        else:
            del values["working_points"]
        if self.provenance:
            values["provenance"] = [dict(file) for file in self.provenance]
        else:
            del values["provenance"]
        if self.constants:
            values["constants"] = dict(self.constants)
        else:
            del values["constants"]
        for key in ("input_order", "missing"):
            if not values[key]:
                del values[key]
        return values | {"inputNode": self.input_node, "outputNode": self.output_node}

    def to_json(self) -> bytes:
        """The content of a ``params.json`` file, in ASCII alone."""
        return in_ascii(orjson.dumps(self.to_values(), option=orjson.OPT_INDENT_2))


def check_missing(missing: str) -> None:
    """Check what stands for a missing value.

    Raises
    ------
    BundleError
        If it is none of ``nan`` and ``none``, or empty, which leaves it to the model's file.
    """
    if missing not in ("", NAN, NONE):
        raise BundleError(
            f"missing={missing!r} says what stands for a missing value: it must be {NAN!r} for a "
            f"model that was trained with NaN there, or {NONE!r}"
        )


def feature_names(features: Any) -> tuple[str, ...]:
    """Names of features as people give them: a list, text with commas between, or a feature set.

    Raises
    ------
    BundleError
        If one of them is no name, or is repeated.
    """
    if isinstance(features, FeatureSet):
        return features.names
    if features is None:
        return ()
    given = _split(features) if isinstance(features, str) else features
    names = names_in(given, "names of features", BundleError, _NAMES)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BundleError(f"two features are called {twice!r}: give each value a name of its own")
    return names


def told_names(features: Any) -> tuple[str, ...]:
    """Names of features that another server's ``params.json`` tells; none if it tells no names.

    Other people's may be written otherwise, which is no reason to take no array of events.
    """
    try:
        names = tuple(str(feature["name"]) for feature in _feature_list(features or ()))
    except BundleError:
        return ()
    return names if len(set(names)) == len(names) else ()


def _split(text: str) -> list[Any]:
    """Names out of a text: between commas or lines, or a list in JSON."""
    if text.lstrip().startswith("["):
        try:
            return list(orjson.loads(text))
        except ValueError as error:
            raise BundleError(f"the names of features are not a list in JSON: {error}") from error
    return [name.strip() for name in text.replace("\n", ",").split(",")] if text.strip() else []


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values[key]
    if not isinstance(value, str):
        raise BundleError(f"params.json: {key!r} must be a string, not {value!r}")
    return value


def _constants(values: Any) -> Constants:
    try:
        return constants_in(values)
    except BundleError as error:
        raise BundleError(f"params.json: 'constants': {error}") from error


def _count(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key) or 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise BundleError(f"params.json: {key!r} must be a whole number, not {value!r}")
    return value


def _options(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)):
        raise BundleError(f"params.json: 'options' must be a list, not {values!r}")
    return tuple(map(str, values))


def _feature_list(values: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(values, (list, tuple)):
        raise BundleError("params.json: 'features' must be a list")
    features = [{"name": f} if isinstance(f, str) else f for f in values]
    for feature in features:
        if not isinstance(feature, Mapping) or not isinstance(feature.get("name"), str):
            raise BundleError(f"params.json: feature {feature!r} has no name")
        _check_keys(feature, _FEATURE, f" of feature {feature['name']!r}")
        _check_range(feature)
    return tuple(features)


def described(features: Any) -> tuple[Mapping[str, Any], ...]:
    """Check the descriptions of a model's inputs, and return them; unknown keys are refused.

    Raises
    ------
    BundleError
        If a feature has no name, an unknown key, or a typical range that is none.
    """
    found = _feature_list(features)
    for feature in found:
        if wrong := unknown_keys(feature, _FEATURE):
            raise BundleError(f"the feature {feature['name']!r} has {wrong}")
    return found


def _check_keys(values: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse a key that is much like one that is read; the others are for other programs."""
    if wrong := misspelt(values, known):
        raise BundleError(f"params.json has an {wrong}{where}")


def _feature_set(values: Any) -> FeatureSet | None:
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise BundleError(f"params.json: 'feature_set' must be an object, not {values!r}")
    try:
        return FeatureSet.from_dict(values)
    except FeatureError as error:
        raise BundleError(f"params.json: 'feature_set' is {error}") from error


def _provenance(values: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, Mapping) for v in values):
        raise BundleError("params.json: 'provenance' must be a list of objects")
    return tuple(values)


def working_points_in(values: Any) -> tuple[Mapping[str, Any], ...]:
    """The value of ``working_points``; pages and widgets decide by them, so they are checked.

    Raises
    ------
    BundleError
        If it is no list, one of them lacks a number, or what else it may tell is of another type.
    """
    if not isinstance(values, (list, tuple)):
        raise BundleError("params.json: 'working_points' must be a list")
    for point in values:
        if not isinstance(point, Mapping) or not all(_is_number(point.get(k)) for k in _POINT):
            raise BundleError(
                f"params.json: the working point {point!r} must have numbers as {', '.join(_POINT)}"
            )
        if wrong := unknown_keys(point, _POINT_KEYS):
            raise BundleError(f"params.json: the working point {point!r} has {wrong}")
    return tuple(_working_point(point) for point in values)


def _working_point(point: Mapping[str, Any]) -> Mapping[str, Any]:
    """The numbers that a cut needs, and of what else may be known what this version knows."""
    found: dict[str, Any] = {key: float(point[key]) for key in _POINT}
    for key in sorted(_POINT_NUMBERS & point.keys()):
        if not _is_number(point[key]):
            raise BundleError(
                f"params.json: {key!r} of a working point must be a number, not {point[key]!r}"
            )
        found[key] = point[key]
    if "chosen" in point:
        found["chosen"] = str(point["chosen"])
    text = point.get("text", {})
    if not isinstance(text, Mapping):
        raise BundleError(f"params.json: 'text' of a working point must be an object, not {text!r}")
    if text:
        found["text"] = {str(key): str(value) for key, value in text.items()}
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _check_range(feature: Mapping[str, Any]) -> None:
    """Pages and widgets show a feature's typical values, so they must be numbers."""
    for key in _RANGE & feature.keys():
        if isinstance(feature[key], bool) or not isinstance(feature[key], (int, float)):
            raise BundleError(
                f"params.json: {key!r} of feature {feature['name']!r} must be a number, "
                f"not {feature[key]!r}"
            )
    if ("low" in feature) != ("high" in feature):
        raise BundleError(f"params.json: feature {feature['name']!r} has half a typical range")
