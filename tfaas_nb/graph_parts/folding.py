"""Folding of graphs whose steering values are known: branches never taken go, as data.

TensorFlow 1 keeps training and inference in one graph: `Switch` and `Merge` (later `If`) choose by
a boolean, and dropout draws random numbers that a keep probability of 1 makes irrelevant.  With the
booleans and scalars known, the other branches are dead and masks are all ones.  Nothing is built or
run here: only scalars are computed, by NumPy.

Source: TensorFlow's ``control_flow_ops`` and executor (dead tensors), and ``nn.dropout`` of
TensorFlow 1 (``floor(keep_prob + uniform)``) and 2 (``uniform >= rate``).
"""

from __future__ import annotations

import collections
import contextlib
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tfaas_nb.graph_parts.pruning import edge_node, pruned

#: Numbers of ``types.proto`` → NumPy's names, of types that a steering scalar may have.
DTYPES: dict[int, str] = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    10: "bool",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}

_SWITCHES = frozenset({"Switch", "RefSwitch"})
_MERGES = frozenset({"Merge", "RefMerge"})
_COPIES = frozenset({"Identity", "StopGradient", "Snapshot", "PreventGradient"})
_CALLS = {"If": "StatefulPartitionedCall", "StatelessIf": "PartitionedCall"}
_CALLS |= {"Case": "StatefulPartitionedCall", "StatelessCase": "PartitionedCall"}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "AddV2": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "RealDiv": operator.truediv,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Equal": operator.eq,
    "NotEqual": operator.ne,
    "Greater": operator.gt,
    "Less": operator.lt,
    "GreaterEqual": operator.ge,
    "LessEqual": operator.le,
    "LogicalAnd": np.logical_and,
    "LogicalOr": np.logical_or,
}
#: Operations that look at no more than a tensor's shape.
_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
#: Operations that leave a scalar as it is.
_OF_SCALARS = frozenset({"Squeeze", "EnsureShape"})
_UNIFORM = "RandomUniform"
_BACK = frozenset({"NextIteration", "RefNextIteration"})
_MIRRORED = {"GreaterEqual": "LessEqual", "LessEqual": "GreaterEqual"}
_MIRRORED |= {"Greater": "Less", "Less": "Greater"}
#: Ends of the names of nodes that are added.
_INDEX, _FILL = "/_taken", "/_unused"


@dataclass(frozen=True)
class _Interval:
    """Range of the elements of a tensor that was computed from uniform random numbers."""

    low: float
    high: float
    is_open: bool
    draws: frozenset[str]


@dataclass
class Folding:
    """Graph whose steering values are known.

    Attributes
    ----------
    graph_def : GraphDef
        The graph; it is left as it is.
    values : mapping of str to NumPy scalar
        Placeholder → its value.
    """

    graph_def: Any
    values: Mapping[str, Any]
    _known: dict[str, Any] = field(default_factory=dict)
    _dead: set[str] = field(default_factory=set)
    _dead_edges: set[str] = field(default_factory=set)
    _taken: dict[str, int] = field(default_factory=dict)
    _intervals: dict[str, _Interval] = field(default_factory=dict)
    _seen_draws: set[str] = field(default_factory=set)
    _uses: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._nodes = {node.name: node for node in self.graph_def.node}
        self._rules: Mapping[str, Callable[[Any], None]] = {
            **dict.fromkeys(_SWITCHES, self._switch),
            **dict.fromkeys(_MERGES, self._merge),
            **dict.fromkeys(_CALLS, self._choice),
        }
        order = _ordered(self._nodes)
        for name in order:
            node = self._nodes[name]
            if node.op not in _MERGES and any(map(self._is_dead, node.input)):
                self._dead.add(name)
                continue
            self._rules.get(node.op, self._other)(node)
        for name in self._nodes.keys() - order:  # in a circle, which TensorFlow refuses
            self._tell_draws(self._nodes[name])

    @cached_property
    def irrelevant_draws(self) -> frozenset[str]:
        """Random numbers that change nothing, as every mask made of them is all ones."""
        consumed = {edge_node(edge) for n in self.graph_def.node for edge in n.input}
        ends = (one.draws for name, one in self._intervals.items() if name not in consumed)
        return frozenset(self._uses).difference(self._seen_draws, *ends)

    def deciders(self) -> set[str]:
        """Nodes whose known values make random numbers irrelevant."""
        return set().union(*(self._uses[draw] for draw in self.irrelevant_draws))

    def steers(self, placeholder: str) -> bool:
        """Return True if a placeholder's value makes random numbers irrelevant."""
        return self._reaches(placeholder, self.deciders())

    def folded(self, ends: Iterable[str] = ()) -> Any:
        """The graph with constants for the values, and without what then is never computed.

        Parameters
        ----------
        ends : iterable of str
            Nodes to keep besides those that nothing ever consumed.
        """
        folded = type(self.graph_def)()
        folded.CopyFrom(self.graph_def)
        consumed = {edge_node(edge) for node in self.graph_def.node for edge in node.input}
        kept = [node for node in self.graph_def.node if node.name not in self._dead]
        del folded.node[:]
        for node in kept:
            self._write(node, folded)
        _redirect(folded, self._taken)
        # A condition leaves copies of its boolean, which nothing consumes.
        wanted = {n.name for n in kept if n.name not in consumed and n.name not in self._known}
        return pruned(folded, {*wanted, *ends})

    # --- what each node tells ---------------------------------------------------------

    def _is_dead(self, edge: str) -> bool:
        return edge_node(edge) in self._dead or _whole(edge) in self._dead_edges

    def _value(self, edge: str) -> Any:
        name = edge_node(edge)
        if not edge_index(edge) or self._taken_by(name, _SWITCHES) is not None:
            return self._known.get(name)
        taken = self._taken_by(name, _MERGES)
        return None if taken is None else np.int32(taken)

    def _taken_by(self, name: str, kinds: frozenset[str]) -> int | None:
        """Number of the branch that a node of some kinds takes, if it is known."""
        return self._taken[name] if name in self._taken and self._nodes[name].op in kinds else None

    def _switch(self, node: Any) -> None:
        sources = _data(node)
        chosen = self._value(sources[1]) if len(sources) == 2 else None
        if chosen is None:
            self._tell_draws(node)
            return
        taken = int(bool(chosen))
        self._taken[node.name] = taken
        self._dead_edges.add(f"{node.name}:{1 - taken}")
        self._copy(node, sources[0])

    def _merge(self, node: Any) -> None:
        sources = _data(node)
        live = [i for i, edge in enumerate(sources) if not self._is_dead(edge)]
        loops = [
            edge for edge in sources
            if getattr(self._nodes.get(edge_node(edge)), "op", "") in _BACK
        ]  # fmt: skip
        if loops:
            if not [i for i in live if sources[i] not in loops]:
                self._dead.add(node.name)
            self._tell_draws(node)
        elif not live:
            self._dead.add(node.name)
        elif len(live) == 1 and len(sources) > 1:
            self._taken[node.name] = live[0]
            self._copy(node, sources[live[0]])
        else:
            self._tell_draws(node)

    def _choice(self, node: Any) -> None:
        sources = _data(node)
        chosen = self._value(sources[0]) if sources else None
        if chosen is not None:
            last = len(node.attr["branches"].list.func) - 1
            is_case = node.op.endswith("Case")
            index = int(chosen) if 0 <= int(chosen) <= last else last
            self._taken[node.name] = index if is_case else int(bool(chosen))
        self._tell_draws(node)

    def _other(self, node: Any) -> None:
        sources = _data(node)
        if node.name in self.values:
            self._known[node.name] = self.values[node.name]
        elif node.op == "Const":
            self._known[node.name] = scalar(node.attr["value"].tensor)
        elif node.op == _UNIFORM and node.attr["dtype"].type in DTYPES:
            self._tell_draws(node)
            self._uses[node.name] = set()
            self._intervals[node.name] = _Interval(0.0, 1.0, True, frozenset([node.name]))
        elif node.op in _COPIES and len(sources) == 1:
            self._copy(node, sources[0])
        elif any(edge_node(edge) in self._intervals for edge in sources):
            self._of_draws(node, sources)
        else:
            self._compute(node, sources)

    def _copy(self, node: Any, source: str) -> None:
        origin = edge_node(source)
        if (value := self._value(source)) is not None:
            self._known[node.name] = value
        if origin in self._intervals:
            self._intervals[node.name] = self._intervals[origin]

    def _compute(self, node: Any, sources: list[str]) -> None:
        values = [self._value(edge) for edge in sources]
        if not values or any(value is None for value in values):
            return
        with np.errstate(all="ignore"), contextlib.suppress(TypeError):
            if node.op in _ARITHMETIC and len(values) == 2 and values[0].dtype == values[1].dtype:
                self._known[node.name] = np.asarray(_ARITHMETIC[node.op](*values))[()]
            elif node.op in _OF_SCALARS and len(values) == 1:
                self._known[node.name] = values[0]
            elif node.op == "LogicalNot":
                self._known[node.name] = np.logical_not(values[0])
            elif node.op == "Cast" and (dtype := DTYPES.get(node.attr["DstT"].type)):
                self._known[node.name] = values[0].astype(dtype)

    # --- random numbers -----------------------------------------------------------------

    def _tell_draws(self, node: Any) -> None:
        """Note that something depends on the random numbers that a node takes."""
        for edge in _data(node):
            if one := self._intervals.get(edge_node(edge)):
                self._seen_draws |= one.draws

    def _of_draws(self, node: Any, sources: list[str]) -> None:
        if node.op in _SHAPES:
            return
        one, other, is_first = self._operands(sources)
        if node.op == "Floor" and len(sources) == 1 and one:
            if one.low >= 1 and (one.high < 2 or (one.high == 2 and one.is_open)):
                return
        elif one and other is not None:
            for draw in one.draws:
                self._uses[draw].add(node.name)
            if _is_true(node.op if is_first else _MIRRORED.get(node.op, ""), one, float(other)):
                return
            if (moved := _moved(node.op, one, float(other), is_first)) is not None:
                self._intervals[node.name] = moved
                return
        self._tell_draws(node)

    def _operands(self, sources: list[str]) -> tuple[_Interval | None, Any, bool]:
        """Interval and known value that a node combines, and whether the interval is first."""
        found = [self._intervals.get(edge_node(edge)) for edge in sources]
        if len(sources) == 1:
            return found[0], None, True
        if len(sources) != 2 or (found[0] is None) == (found[1] is None):
            return None, None, True
        is_first = found[0] is not None
        return found[not is_first], self._value(sources[is_first]), is_first

    def _reaches(self, start: str, goals: set[str]) -> bool:
        consumers = collections.defaultdict(list)
        for node in self.graph_def.node:
            for edge in _data(node):
                consumers[edge_node(edge)].append(node.name)
        pending, seen = [start], {start}
        while pending:
            for name in consumers[pending.pop()]:
                if name in goals:
                    return True
                if name in self._known and name not in seen:
                    seen.add(name)
                    pending.append(name)
        return False

    # --- the graph without what is never computed ---------------------------------------

    def _write(self, node: Any, folded: Any) -> None:
        """Append a node as it is in the folded graph."""
        made = folded.node.add()
        made.CopyFrom(node)
        taken = self._taken.get(node.name)
        if node.name in self.values:
            _be_constant(made, self.values[node.name])
        elif node.op in _CALLS and taken is not None:
            _be_call(made, taken)
        elif taken is not None:
            live = _data(node)[0 if node.op in _SWITCHES else taken]
            controls = [e for e in node.input if e.startswith("^") and not self._is_dead(e)]
            _be_copy(made, live, controls)
            if node.op in _MERGES:
                self._write_index(node, taken, folded)
        elif node.op in _MERGES:
            kept = [edge for edge in node.input if not self._is_dead(edge)]
            if len(kept) == len(node.input):
                return
            del made.input[:]
            made.input.extend(kept)
            made.attr["N"].i = len([edge for edge in kept if not edge.startswith("^")])
        elif node.name in self.irrelevant_draws:
            _be_filled(made, folded)

    def _write_index(self, merge: Any, taken: int, folded: Any) -> None:
        index = folded.node.add(name=f"{merge.name}{_INDEX}", op="Const")
        set_value(index, np.int32(taken))


def _is_true(operation: str, one: _Interval, other: float) -> bool:
    """Return True if a comparison of all numbers of an interval with a known one holds."""
    if operation == "GreaterEqual":
        return one.low >= other
    if operation == "Greater":
        return one.low > other
    if operation == "LessEqual":
        return one.high <= other
    return operation == "Less" and (one.high < other or (one.is_open and one.high == other))


def _moved(operation: str, one: _Interval, other: float, is_first: bool) -> _Interval | None:
    """Interval after arithmetic with a known number; None if it is not followed."""
    if not np.isfinite(other):
        return None
    # Uniform numbers are multiples of the last bit of numbers below 1: 1 + u is exact, below 2.
    if operation in ("Add", "AddV2"):
        exact = one.is_open and other in (0.0, 1.0) and one.high == 1
        return _Interval(one.low + other, one.high + other, exact, one.draws)
    if operation == "Sub" and is_first:
        exact = one.is_open and other == 0
        return _Interval(one.low - other, one.high - other, exact, one.draws)
    if operation == "Mul" and other > 0:
        exact = one.is_open and other == 1
        return _Interval(one.low * other, one.high * other, exact, one.draws)
    return None


# --- edges ------------------------------------------------------------------------------


def edge_index(edge: str) -> int:
    """Number of the output that an edge comes from; 0 for a control edge."""
    last = edge.partition(":")[2]
    return int(last) if last.isdecimal() and len(last) < 10 else 0


def _whole(edge: str) -> str:
    return edge if edge.startswith("^") else f"{edge_node(edge)}:{edge_index(edge)}"


def _data(node: Any) -> list[str]:
    return [edge for edge in node.input if not edge.startswith("^")]


def _ordered(nodes: Mapping[str, Any]) -> list[str]:
    """Names so that each node stands after its sources; loops begin at their `Merge`."""
    waits, consumers = {}, collections.defaultdict(list)
    for name, node in nodes.items():
        sources = {edge_node(edge) for edge in node.input}
        if node.op in _MERGES:
            sources = {s for s in sources if s in nodes and nodes[s].op not in _BACK}
        sources &= nodes.keys()
        waits[name] = len(sources)
        for source in sources:
            consumers[source].append(name)
    free, found = collections.deque(n for n, count in waits.items() if not count), []
    while free:
        name = free.popleft()
        found.append(name)
        for consumer in consumers[name]:
            waits[consumer] -= 1
            if not waits[consumer]:
                free.append(consumer)
    return found


# --- nodes that take the place of others ------------------------------------------------


def scalar(tensor: Any) -> Any:
    """The NumPy scalar that a ``TensorProto`` holds; None if it is no scalar of numbers."""
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None or tensor.tensor_shape.dim:
        return None
    if tensor.tensor_content:
        content = bytes(tensor.tensor_content)
        size = np.dtype(dtype).itemsize
        return np.frombuffer(content, dtype)[0] if len(content) == size else None
    if dtype == "float16":
        halves = list(tensor.half_val)
        return np.array(halves[:1], np.uint16).view(np.float16)[0] if halves else np.float16(0)
    kinds = ("float", "double", "int", "int64", "bool", "uint32", "uint64")
    found = [value for kind in kinds for value in getattr(tensor, f"{kind}_val")[:1]]
    try:
        return np.array(found[0] if found else 0).astype(dtype)[()]
    except OverflowError:
        return None


def set_value(node: Any, value: Any) -> None:
    """Give a ``Const`` node a value, a NumPy scalar or array."""
    dtype = next(number for number, name in DTYPES.items() if name == value.dtype.name)
    node.attr.clear()
    node.attr["dtype"].type = dtype
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype
    tensor.tensor_shape.SetInParent()
    for size in value.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = value.tobytes()


def _be_constant(node: Any, value: Any) -> None:
    node.op = "Const"
    del node.input[:]
    set_value(node, value)


def _be_copy(node: Any, source: str, controls: list[str]) -> None:
    dtype = node.attr["T"].type
    node.op = "Identity"
    del node.input[:]
    node.input.extend([source, *controls])
    node.attr.clear()
    node.attr["T"].type = dtype


def _be_call(node: Any, taken: int) -> None:
    branches = node.attr["branches"].list.func
    name = "then_branch" if taken else "else_branch"
    function = type(node.attr[name].func)()
    function.CopyFrom(branches[taken] if branches else node.attr[name].func)
    types = {key: list(node.attr[key].list.type) for key in ("Tin", "Tout")}
    node.op = _CALLS[node.op]
    del node.input[0]
    node.attr.clear()
    node.attr["f"].func.CopyFrom(function)
    for key, numbers in types.items():
        node.attr[key].list.SetInParent()
        node.attr[key].list.type.extend(numbers)


def _be_filled(node: Any, folded: Any) -> None:
    """Zeros in the place of random numbers that change nothing."""
    dtype, index = node.attr["dtype"].type, node.attr["T"].type
    name = f"{node.name}{_FILL}"
    node.op = "Fill"
    node.attr.clear()
    node.attr["T"].type, node.attr["index_type"].type = dtype, index
    controls = [edge for edge in node.input if edge.startswith("^")]
    shape = _data(node)
    del node.input[:]
    node.input.extend([*shape[:1], name, *controls])
    set_value(folded.node.add(name=name, op="Const"), np.zeros((), DTYPES[dtype])[()])


def _redirect(folded: Any, taken: Mapping[str, int]) -> None:
    """Let edges end at the one output of what was a `Switch`, and at a `Merge`'s known index."""
    copies = {n.name for n in folded.node if n.name in taken and n.op == "Identity"}
    indices = {n.name for n in folded.node if n.op == "Const" and n.name.endswith(_INDEX)}
    for node in folded.node:
        for i, edge in enumerate(node.input):
            name, index = edge_node(edge), edge_index(edge)
            if name in copies and index and not edge.startswith("^"):
                named = f"{name}{_INDEX}"
                node.input[i] = named if named in indices else name
