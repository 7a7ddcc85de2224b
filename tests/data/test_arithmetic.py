from __future__ import annotations

import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ntuples import nano, write_ntuple, write_tree
from tfaas_nb.data.counting import count
from tfaas_nb.data.dataset import concatenate
from tfaas_nb.data.event_file import EventFile
from tfaas_nb.data.expression import Expression
from tfaas_nb.data.origins import Objects
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet

COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": lambda a, b: a < b or a > b,
}
EDGES = [0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
TYPES: dict[str, Any] = {"i": np.int64, "u": np.uint64, "s": np.int16, "w": np.uint32, "b": bool}

# Against Python's own numbers, which have no limits, event by event.


def _edges(kind: Any) -> st.SearchStrategy[int]:
    if kind is bool:
        return st.integers(0, 1)
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    inside = [edge for edge in EDGES if low <= edge <= high]
    return st.sampled_from(inside) | st.integers(int(low), int(high))


COLUMNS = st.fixed_dictionaries(
    {
        **{name: st.lists(_edges(kind), min_size=4, max_size=4) for name, kind in TYPES.items()},
        "f": st.lists(
            st.sampled_from([0.5, -1.5, 3.0, 2.0**53, 2.0**63, 2.0**64, 1e18, math.nan, math.inf])
            | st.floats(),
            min_size=4,
            max_size=4,
        ),
    }
)
WHOLE = st.sampled_from([*TYPES, "2", "1e6", "9007199254740993", str(2**64 - 1), str(10**25)])
TERMS = st.recursive(
    WHOLE,
    lambda inner: (
        st.tuples(st.sampled_from(["+", "-", "*", "//", "%", "min", "max"]), inner, inner)
        | st.tuples(st.sampled_from(["abs", "sign", "negative", "floor"]), inner)
        | st.tuples(st.just("?"), inner, st.sampled_from(sorted(COMPARED)), inner, inner, inner)
    ),
    max_leaves=6,
)


def written(term: Any) -> str:
    if isinstance(term, str):
        return term
    name, *parts = term
    if name == "?":
        left, compared, right, one, other = parts
        return f"({written(left)} {compared} {written(right)} ? {written(one)} : {written(other)})"
    if name == "negative":
        return f"(-{written(parts[0])})"
    if name.isalpha():
        return f"{name}({', '.join(map(written, parts))})"
    return f"({written(parts[0])} {name} {written(parts[1])})"


class _Undefined(Exception):
    """Divided by zero, for which whole numbers have no answer."""


def computed(term: Any, event: dict[str, Any]) -> Any:
    if isinstance(term, str):
        return event[term] if term in event else int(float(term)) if "e" in term else int(term)
    name, *parts = term
    if name == "?":
        left, compared, right, one, other = parts
        passed = COMPARED[compared](computed(left, event), computed(right, event))
        return computed(one if passed else other, event)
    values = [computed(part, event) for part in parts]
    if name in ("//", "%") and not values[1]:
        raise _Undefined
    calls: dict[str, Callable[..., Any]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "//": operator.floordiv,
        "%": operator.mod,
        "min": min,
        "max": max,
        "abs": abs,
        "floor": int,
        "negative": operator.neg,
        "sign": lambda x: (x > 0) - (x < 0),
    }
    return calls[name](*values)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(COLUMNS, TERMS, st.sampled_from(sorted(COMPARED)), TERMS | st.just("f"))
def test_whole_numbers_are_exact_whatever_their_types(
    columns: dict[str, list[Any]], left: Any, compared: str, right: Any
) -> None:
    arrays = {name: np.array(columns[name], kind) for name, kind in TYPES.items()}
    arrays["f"] = np.array(columns["f"])
    events = [{name: columns[name][i] for name in columns} for i in range(4)]
    try:
        expected = [
            COMPARED[compared](computed(left, event), computed(right, event)) for event in events
        ]
    except _Undefined:
        return
    expression = Expression.parse(f"{written(left)} {compared} {written(right)}")
    assert expression.mask(arrays.__getitem__, 4).tolist() == expected


EVENT = [2**53, 2**53 + 1, 2**53 + 2, 2**62 + 1, 5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event == 9007199254740993", [0, 1, 0, 0, 0]),
        ("event == 9007199254740993 || event == 5", [0, 1, 0, 0, 1]),
        ("event != 9007199254740993 && event != 5", [1, 0, 1, 1, 0]),
        ("9007199254740992 < event <= 9007199254740994", [0, 1, 1, 0, 0]),
        ("event == 9007199254740992.0", [1, 0, 0, 0, 0]),
        ("event == double", [1, 0, 1, 0, 1]),
        ("event > double", [0, 1, 0, 1, 0]),
        ("event - 1 == 9007199254740992", [0, 1, 0, 0, 0]),
        ("event - 1e0 == 9007199254740992", [0, 1, 0, 0, 0]),
        ("event % 2 == 1", [0, 1, 0, 1, 1]),
        ("event % 1e3 == 993", [0, 1, 0, 0, 0]),
        ("event // 2 == 4503599627370496", [1, 1, 0, 0, 0]),
        ("event * 4 == 36028797018963972", [0, 1, 0, 0, 0]),
        ("event ** 2 == 9007199254740993 ** 2", [0, 1, 0, 0, 0]),
        ("event == 2 ** 53 + 1", [0, 1, 0, 0, 0]),
        ("-event == -9007199254740993", [0, 1, 0, 0, 0]),
        ("abs(-event) == 9007199254740993", [0, 1, 0, 0, 0]),
        ("min(event, 9007199254740993) == 9007199254740993", [0, 1, 1, 1, 0]),
        ("max(event, 9007199254740993) == 9007199254740993", [1, 1, 0, 0, 1]),
        ("max(event, double) == event", [1, 1, 1, 1, 1]),
        ("where(event > 6, event, 0.5) == 9007199254740993", [0, 1, 0, 0, 0]),
        ("sign(event - 9007199254740993) == 0", [0, 1, 0, 0, 0]),
        ("floor(event) == 9007199254740993 & ceil(event) == 9007199254740993", [0, 1, 0, 0, 0]),
        ("(0 - event) % 2 == -1", [0, 1, 0, 1, 1]),
        ("event % zero == 0", [0, 0, 0, 0, 0]),
        ("event // zero > 1e300", [1, 1, 1, 1, 1]),
        ("zero // zero == 0", [0, 0, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_event_numbers_compare_as_whole_numbers(text: str, expected: list[int], kind: Any) -> None:
    values = {
        "event": np.array(EVENT, kind),
        "double": np.array(EVENT, kind).astype(float),
        "zero": np.zeros(5, np.int32),
    }
    mask = Expression.parse(text).mask(values.__getitem__, 5)
    assert mask.tolist() == [bool(one) for one in expected]


def test_an_unsigned_number_beyond_63_bits_is_not_a_negative_one() -> None:
    columns = {"u": np.array([2**63, 2**64 - 1, 3], np.uint64), "i": np.array([-(2**63), -1, 3])}
    for text, expected in {
        "u > i": [True, True, False],
        "u == i": [False, False, True],
        "u - i == 18446744073709551616": [True, True, False],
        "u > 18446744073709551614": [False, True, False],
        "u > -1": [True, True, True],
        "min(u, i) < 0": [True, True, False],
        "u * 2 == 18446744073709551616": [True, False, False],
    }.items():
        assert Expression.parse(text).mask(columns.__getitem__, 3).tolist() == expected, text


def test_a_power_too_large_for_a_double_is_infinite() -> None:
    values = Expression.parse("((9 ** 64) ** 64) ** 64", "weight").values(dict.__getitem__, 2)
    assert values.tolist() == [math.inf, math.inf]


# In files.


@pytest.fixture(scope="module", params=[write_tree, write_ntuple], ids=["TTree", "RNTuple"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = nano(80)
    values["event"] = np.arange(2**53, 2**53 + 80, dtype=np.uint64)
    values["large"] = np.arange(2**63 - 40, 2**63 + 40, dtype=np.uint64)
    values["signed"] = np.arange(-40, 40) * 2**57 + 1
    values["partner"] = values["event"].astype(np.int64) + np.tile([0, 1], 40)
    made: Path = request.param(tmp_path_factory.mktemp("whole") / "a.root", values, "Events")
    return made


SELECTIONS: dict[str, Callable[..., bool]] = {
    "event == 9007199254740993": lambda event, **_: event == 2**53 + 1,
    "event == 9007199254740993.0 + 1": lambda event, **_: event == 2**53 + 1,
    "event == partner && event > 9007199254740995": lambda event, partner, **_: (
        event == partner > 2**53 + 3
    ),
    "large > 9223372036854775806": lambda large, **_: large > 2**63 - 2,
    "large > signed & large - signed == 9367487224930631680": (
        lambda large, signed, **_: large - signed == 9367487224930631680
    ),
    "large % 7 == 3": lambda large, **_: large % 7 == 3,
    "abs(signed) == 1": lambda signed, **_: abs(signed) == 1,
    "max(large, signed) == 9223372036854775809": (
        lambda large, signed, **_: max(large, signed) == 2**63 + 1
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("cut", SELECTIONS)
def test_a_cut_selects_what_a_loop_with_pythons_numbers_selects(path: Path, cut: str) -> None:
    with uproot.open(path) as file:
        names = ("event", "large", "signed", "partner")
        columns = {name: file["Events"][name].array().tolist() for name in names}
    events = [{name: columns[name][i] for name in names} for i in range(80)]
    expected = [event["event"] for event in events if SELECTIONS[cut](**event)]
    data = read(path, cut=cut, keep=["event", "large"])
    assert data.extra["event"].tolist() == expected
    assert data.extra["event"].dtype == np.uint64
    *_, counted = count({"signal": path}, Reading(cut=cut))
    assert counted["signal"].passed == len(expected)
    stream = read(path, cut=cut, keep=["event"], stream=True, memory=2)
    assert sorted(stream.sample.extra["event"].tolist()) == expected
    assert [n for chunk in stream.chunks() for n in chunk.extra["event"].tolist()] == expected


@pytest.mark.slow
def test_event_numbers_of_files_with_different_types_stay_what_they_are(tmp_path: Path) -> None:
    kinds = {"a": np.uint64, "b": np.int64, "c": np.uint32}
    start = {"a": 2**63 + 1, "b": 2**53 + 1, "c": 7}
    paths = [
        write_tree(
            tmp_path / f"{name}.root",
            nano(3) | {"event": np.arange(start[name], start[name] + 3, dtype=kind)},
            "Events",
        )
        for name, kind in kinds.items()
    ]
    expected = [start[name] + i for name in kinds for i in range(3)]
    for order in (paths, paths[::-1]):
        assert sorted(read(order, keep=["event"]).extra["event"].tolist()) == sorted(expected)
    stream = read(paths, keep=["event"], stream=True)
    assert sorted(stream.sample.extra["event"].tolist()) == sorted(expected)


@pytest.mark.slow
def test_event_numbers_that_no_type_holds_together_are_refused(tmp_path: Path) -> None:
    columns = {
        "unsigned": np.array([2**63 + 1, 2], np.uint64),
        "negative": np.array([-1, 2]),
        "fraction": np.array([0.5, 2]),
    }
    paths = {
        name: write_tree(tmp_path / f"{name}.root", nano(2) | {"event": column}, "Events")
        for name, column in columns.items()
    }
    for other in ("negative", "fraction"):
        with pytest.raises(DataError, match=r"'event' is uint64 and (int64|float64) in files"):
            read([paths["unsigned"], paths[other]], keep=["event"])
        one, two = (read(paths[name], keep=["event"]) for name in ("unsigned", other))
        with pytest.raises(DataError, match=r"'event' is uint64 and (int64|float64) in files"):
            concatenate([one, two])
    both = read([paths["negative"], paths["fraction"]], keep=["event"])
    assert both.extra["event"].tolist() == [-1, 2, 0.5, 2]


def test_weights_of_whole_numbers_are_doubles(path: Path) -> None:
    with EventFile(str(path), Reading(weight="(event - 9007199254740992) / 2")) as file:
        assert file.events().weight.tolist() == [i / 2 for i in range(80)]


def test_whole_numbers_of_jets_are_those_of_the_file(tmp_path: Path) -> None:
    values = nano(60)
    counts = ak.num(values["FatJet_pt"])
    index = np.arange(2**53, 2**53 + ak.sum(counts))
    values["FatJet_index"] = ak.unflatten(index, counts)
    path = write_tree(tmp_path / "a.root", values, "Events")
    objects = Objects(jet_pt_min=0.0, jet_eta_max=10.0)
    leading = [
        max(zip(pt, number, strict=True), default=(0.0, -1))[1]
        for pt, number in zip(
            ak.to_list(values["FatJet_pt"]), ak.to_list(values["FatJet_index"]), strict=True
        )
    ]
    wanted = next(number for number in leading if number % 2)
    for cut, expected in {
        f"FatJet_index_0 == {wanted}": [number == wanted for number in leading],
        "FatJet_index[0] % 2 == 1": [number >= 0 and number % 2 == 1 for number in leading],
        f"FatJet_index_0 - {2**53} > 100": [number > 2**53 + 100 for number in leading],
        "FatJet_index_0 < 0 || FatJet_index_0 >= 0": [number >= 0 for number in leading],
    }.items():
        data = read(path, cut=cut, objects=objects, keep=["event"])
        assert data.extra["event"].tolist() == values["event"][expected].tolist(), cut


def test_event_numbers_of_optional_fields_stay_whole(tmp_path: Path) -> None:
    events = [2**53 + i for i in range(4)]
    paths = []
    for name, last in {"all": events[3], "one": None}.items():
        paths.append(tmp_path / f"{name}.root")
        with uproot.recreate(paths[-1]) as file:
            optional = ak.mask(ak.Array([*events[:3], last or 0]), [True, True, True, bool(last)])
            file.mkrntuple("Events", ak.Array({"event": optional, "x": [1.0, 2, 3, 4]}))
    features = FeatureSet("x", "x")
    kept = read(paths[0], features, cut=f"event != {events[1]}", keep=["event"]).extra["event"]
    assert kept.dtype == np.int64
    assert kept.tolist() == [events[0], events[2], events[3]]
    with pytest.raises(DataError, match="'event' .* lacks 1 numbers, and holds others too large"):
        read(paths[1], features, keep=["event"])
