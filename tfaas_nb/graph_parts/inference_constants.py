"""Inference constants: values, when a model is asked, of placeholders that steer its training.

Graphs of TensorFlow 1 are fed ``keras_learning_phase``, ``is_training`` or ``keep_prob`` beside
the events.  A server has no use for these: each is folded to its value in inference, and what only
the training needs goes with it.  Booleans are known by their names; a keep probability or dropout
rate also by what it does, as it must make random numbers irrelevant.  Others are asked for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfaas_nb.errors import BundleError, GraphError
from tfaas_nb.graph_parts.folding import DTYPES, Folding, scalar
from tfaas_nb.graph_parts.pruning import all_nodes, edge_node, reached
from tfaas_nb.nearest import did_you_mean

#: Placeholder → its value in inference; as people give them also text, ``keep_prob=1,phase=false``.
Constants = Mapping[str, bool | int | float]

#: How a placeholder that is no input gets its value.
HOW_TO_GIVE = (
    "if one only steers the training, give its value in inference when the model is uploaded: "
    "?constants=NAME=VALUE in the address, the form's field 'constants', "
    "client.upload(model, constants={NAME: VALUE}), or the object 'constants' of its params.json"
)

_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
_WITH_DEFAULT = "PlaceholderWithDefault"
_BOOLEAN = "bool"
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: Names that TensorFlow gives where nobody does.
_UNNAMED = re.compile(r"(Placeholder|PlaceholderWithDefault|input)(_\d+)?")
#: Words of a boolean's name that is true in training, in inference, or either.
_TRAINING = frozenset({"training", "train", "istrain", "istraining", "learning", "phase"})
_INFERENCE = frozenset({"inference", "infer", "test", "testing", "eval", "evaluation"})
_INFERENCE |= {"deterministic", "predict", "prediction"}
_TURNED = frozenset({"not", "no", "non", "without", "or"})
#: Words of names of keep probabilities and dropout rates.
_MASKING = frozenset({"keep", "keepprob", "drop", "dropout", "rate"})
_RANDOM = re.compile("Random|Multinomial|TruncatedNormal")
#: Versions of graphs in which an empty shape means that none is known.
_LAST_UNKNOWN = 21
#: Placeholders of which the effect is tried.
_MOST_TRIED = 16
_MOST_CONSTANTS = 1000


def constants_in(given: Any) -> dict[str, bool | int | float]:
    """Inference constants as people give them: a mapping, JSON, or text ``a=1,b=false``.

    Raises
    ------
    BundleError
        If it is nothing of the kind, or a value is no boolean and no finite number.
    """
    values = _of_text(given) if isinstance(given, str) else given
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise BundleError(
            f"inference constants are an object such as {{'keep_prob': 1.0}}, not {values!r:.100}"
        )
    if len(values) > _MOST_CONSTANTS:
        raise BundleError(f"{len(values)} inference constants are given: at most {_MOST_CONSTANTS}")
    for name, value in values.items():
        if not isinstance(name, str) or not name:
            raise BundleError(f"an inference constant's name is a placeholder's, not {name!r:.100}")
        if not isinstance(value, (bool, int, float, np.bool_, np.number)) or not _is_finite(value):
            raise BundleError(
                f"the inference constant {name!r} must be true, false or a finite number, not "
                f"{value!r:.100}"
            )
    return {name: getattr(value, "item", lambda v=value: v)() for name, value in values.items()}


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _of_text(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f"the inference constants are not an object in JSON: {error}"
            ) from error
    found: dict[str, Any] = {}
    for part in filter(None, map(str.strip, text.replace("\n", ",").split(","))):
        name, sign, value = (word.strip() for word in part.rpartition("="))
        if not sign or name in found:
            raise BundleError(
                "inference constants are written keep_prob=1,phase=false, each once, not "
                f"{part!r:.100}"
            )
        found[name] = _value_of(value)
    return found


def _value_of(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def inferred(
    graph_def: Any,
    constants: Constants | None = None,
    inputs: Collection[str] = (),
    ends: Iterable[str] = (),
) -> tuple[Any, dict[str, bool | int | float]]:
    """A graph as it is in inference, and the values that were folded into it.

    The graph is handled as data: nothing of it is built or run.

    Parameters
    ----------
    graph_def : GraphDef
        The graph, not yet vetted.
    constants : mapping of str to bool, int or float, optional
        Placeholder → its value; others are found as far as their meaning is certain.
    inputs : collection of str
        Nodes that are inputs, whatever they are called.
    ends : iterable of str
        Nodes to keep besides those that nothing consumes.

    Returns
    -------
    graph_def : GraphDef
        The same message if there is nothing to fold.
    values : dict of str to bool, int or float
        Placeholder → value.

    Raises
    ------
    GraphError
        If a constant names no placeholder, or is not of its type.
    """
    nodes = {node.name: node for node in graph_def.node}
    values = {}
    for name, value in (constants or {}).items():
        node = _placeholder(nodes, name)
        values[node.name] = _typed(node, value)
    if len(nodes) < len(graph_def.node):
        return graph_def, {}  # two nodes of a name: TensorFlow refuses it
    steering = [
        node
        for node in graph_def.node
        if node.name not in values and node.name not in inputs and _may_steer(graph_def, node)
    ]
    for node in steering:
        value = _by_name(node)
        value = _default(nodes, node) if value is None else value
        if value is not None:
            values[node.name] = value
    has_draws = any(_RANDOM.search(node.op) for node in all_nodes(graph_def))
    if has_draws:
        values |= _by_effect(graph_def, steering, values)
    if not values and not has_draws:
        return graph_def, {}
    folding = Folding(graph_def, values)
    if not values and not folding.irrelevant_draws:
        return graph_def, {}
    return folding.folded(ends), {name: value.item() for name, value in values.items()}


# --- constants that were given -----------------------------------------------------------


def _placeholder(nodes: Mapping[str, Any], name: str) -> Any:
    node = nodes.get(name.removesuffix(":0"))
    if node is not None and node.op in _PLACEHOLDERS:
        return node
    known = [node.name for node in nodes.values() if node.op in _PLACEHOLDERS]
    raise GraphError(
        f"the graph has no placeholder {name!r} to take an inference constant"
        f"{did_you_mean(name, known)}; its placeholders are {', '.join(known[:20]) or 'none'}"
    )


def _typed(node: Any, value: bool | int | float) -> Any:
    """A value in a placeholder's type."""
    dtype = DTYPES.get(node.attr["dtype"].type)
    shape = node.attr["shape"].shape
    if dtype is None or any(dim.size for dim in shape.dim):
        raise GraphError(
            f"placeholder {node.name!r} takes no single number: it cannot be an inference constant"
        )
    with np.errstate(all="ignore"):
        try:
            typed = np.array(value).astype(dtype)[()]
        except OverflowError:
            typed = None
    is_same = typed is not None and (
        np.isfinite(typed) if dtype.startswith("float") else typed == value
    )
    if not is_same:
        raise GraphError(f"placeholder {node.name!r} is {dtype}, which cannot be {value!r}")
    return typed


# --- constants that are found ------------------------------------------------------------


def _may_steer(graph_def: Any, node: Any) -> bool:
    """Return True if a node is a placeholder of one number for all events, as far as is known."""
    if node.op not in _PLACEHOLDERS or node.attr["dtype"].type not in DTYPES:
        return False
    shape = node.attr["shape"].shape
    return not shape.dim and (
        not is_unknown(graph_def, node) or _type(node) == _BOOLEAN or bool(_words(node) & _NAMED)
    )


_NAMED = _MASKING | {"learning"}


def is_unknown(graph_def: Any, node: Any) -> bool:
    """Return True if a graph does not tell the number of a placeholder's axes."""
    shape = node.attr["shape"].shape if "shape" in node.attr else None
    is_old = graph_def.versions.producer <= _LAST_UNKNOWN and node.op == "Placeholder"
    return shape is None or shape.unknown_rank or (is_old and not shape.dim)


def _type(node: Any) -> str:
    return DTYPES.get(node.attr["dtype"].type, "")


def _words(node: Any) -> frozenset[str]:
    """Words of a placeholder's own name, or of the scope's if it has none, in small letters."""
    parts = [part for part in node.name.split("/") if not _UNNAMED.fullmatch(part)]
    return frozenset(word.lower() for word in _WORDS.findall(parts[-1] if parts else ""))


def _by_name(node: Any) -> Any:
    """The value in inference of a boolean whose name tells it, or of Keras's learning phase."""
    words, dtype = _words(node), _type(node)
    if dtype.startswith("float") or words & _TURNED:
        return None
    if dtype != _BOOLEAN and not words >= {"learning", "phase"}:
        return None
    trains, infers = bool(words & _TRAINING), bool(words & _INFERENCE)
    return None if trains == infers else np.dtype(dtype).type(infers)


def _default(nodes: Mapping[str, Any], node: Any) -> Any:
    """The number that a placeholder has where nothing is fed."""
    if node.op != _WITH_DEFAULT or not node.input:
        return None
    source = nodes.get(edge_node(node.input[0]))
    return scalar(source.attr["value"].tensor) if source and source.op == "Const" else None


def _by_effect(
    graph_def: Any, steering: Iterable[Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Values that make random numbers irrelevant: keep probabilities, rates, unnamed booleans."""
    found: dict[str, Any] = {}
    unknown = [n for n in steering if n.name not in values or n.op == _WITH_DEFAULT]
    for node in unknown[:_MOST_TRIED]:
        known, dtype = {**values, **found}, np.dtype(_type(node)).type
        value = None
        if dtype is np.bool_ and node.name not in values:
            value = _fewer_draws(graph_def, node, known)
        elif issubclass(dtype, np.floating):
            value = _masking(graph_def, node, known)
        if value is not None:
            found[node.name] = value
    return found


def _masking(graph_def: Any, node: Any, values: Mapping[str, Any]) -> Any:
    """The value of a keep probability or of a dropout rate that keeps everything."""
    dtype = np.dtype(_type(node)).type
    for value in (dtype(1), dtype(0)):
        if Folding(graph_def, {**values, node.name: value}).steers(node.name):
            return value
    return None


def _fewer_draws(graph_def: Any, node: Any, values: Mapping[str, Any]) -> Any:
    """The value of a boolean with which fewer random numbers are drawn, if one has that."""
    counts = [
        sum(
            bool(_RANDOM.search(one.op))
            for one in all_nodes(Folding(graph_def, {**values, node.name: value}).folded())
        )
        for value in (np.False_, np.True_)
    ]
    return None if counts[0] == counts[1] else np.bool_(counts[1] < counts[0])


def needed_placeholders(
    graph_def: Any, results: Iterable[str], sources: Collection[str]
) -> Iterator[str]:
    """Yield the placeholders without a default that results need and that are no inputs."""
    nodes = {node.name: node for node in graph_def.node}
    needed = reached(nodes, results)
    for node in graph_def.node:
        if node.name in needed and node.name not in sources and node.op == "Placeholder":
            yield node.name
