from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaas_nb.data.expression import Expression
from tfaas_nb.errors import DataError

VALUES: dict[str, Any] = {
    "nJets": np.array([1, 2, 3, 4], np.float32),
    "pt": np.array([100.5, math.nan, 450.0, 400.0], np.float32),
    "run": np.array([1, 2, 3, 4], np.uint32),
    "event": np.array([2**62, 2**62 + 1, 2**62 + 2, 5], np.uint64),
    "flag": np.array([True, False, True, False]),
    "jet.pt": np.array([1.0, 2.0, 3.0, 4.0]),
    "eta_0": np.array([-2.0, -1.0, 0.0, 1.0]),
}


def mask(text: str) -> list[bool]:
    return Expression.parse(text).mask(VALUES.__getitem__, 4).tolist()


def values(text: str) -> list[float]:
    return Expression.parse(text, "weight").values(VALUES.__getitem__, 4).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nJets >= 2 & pt > 400", [0, 0, 1, 0]),
        ("nJets >= 2 && pt > 400", [0, 0, 1, 0]),
        ("nJets >= 2 and pt > 400", [0, 0, 1, 0]),
        ("(nJets >= 2) & (pt > 400)", [0, 0, 1, 0]),
        ("pt > 440 | nJets == 1", [1, 0, 1, 0]),
        ("pt > 440 || nJets == 1", [1, 0, 1, 0]),
        ("nJets == 1 | nJets == 2 & flag", [1, 0, 0, 0]),
        ("!flag", [0, 1, 0, 1]),
        ("~flag & nJets > 2", [0, 0, 0, 1]),
        ("!flag && nJets > 2", [0, 0, 0, 1]),
        ("not flag and nJets > 2", [0, 0, 0, 1]),
        ("!(nJets > 2)", [1, 1, 0, 0]),
        ("nJets!=2", [1, 0, 1, 1]),
        ("1 < nJets <= 3", [0, 1, 1, 0]),
        ("flag", [1, 0, 1, 0]),
        ("nJets - 1", [0, 1, 1, 1]),
        ("pt", [1, 0, 1, 1]),
        ("1", [1, 1, 1, 1]),
        ("False", [0, 0, 0, 0]),
        ("jet.pt > 2", [0, 0, 1, 1]),
        ("abs(eta[0]) < 1.5", [0, 1, 1, 1]),
        ("  \n nJets\n > 2 ", [0, 0, 1, 1]),
        ("event % 2 == 0", [1, 0, 1, 0]),
        ("event == 4611686018427387905", [0, 1, 0, 0]),
        ("run - 3 < 0", [1, 1, 0, 0]),
        ("flag + flag == 2", [1, 0, 1, 0]),
        ("-flag < 0", [1, 0, 1, 0]),
        ("max(nJets, 3) == 3", [1, 1, 1, 0]),
        ("min(nJets, jet.pt, 2) == 2", [0, 1, 1, 1]),
        ("cos(pi) < 0", [1, 1, 1, 1]),
        ("10000000000000000000000000 > event", [1, 1, 1, 1]),
        ("pt >= 450.0", [0, 0, 1, 0]),
    ],
)
def test_it_means_what_a_physicist_means(text: str, expected: list[int]) -> None:
    assert mask(text) == [bool(one) for one in expected]


@pytest.mark.parametrize("compared", ["<", "<=", ">", ">=", "==", "!="])
def test_no_comparison_with_what_is_not_there_is_true(compared: str) -> None:
    assert mask(f"pt {compared} 400")[1] is False
    assert mask(f"400 {compared} pt")[1] is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nJets * 2.5", [2.5, 5.0, 7.5, 10.0]),
        ("2", [2.0] * 4),
        ("jet.pt ** -1", [1.0, 1 / 2, 1 / 3, 1 / 4]),
        ("pow(jet.pt, 2) // 2", [0.0, 2.0, 4.0, 8.0]),
        ("flag", [1.0, 0.0, 1.0, 0.0]),
        ("0.1 + 0.2", [0.1 + 0.2] * 4),
        ("hypot(3, 4) + atan2(0, 1)", [5.0] * 4),
        ("sign(eta_0) * jet.pt", [-1.0, -2.0, 0.0, 4.0]),
        ("(eta_0 > 0) - (eta_0 < 0)", [-1.0, -1.0, 0.0, 1.0]),
        ("where(flag, jet.pt, -jet.pt)", [1.0, -2.0, 3.0, -4.0]),
        ("where(nJets > 2 && flag, 1, nJets)", [1.0, 2.0, 1.0, 4.0]),
        ("nJets > 2 ? jet.pt : 0.5", [0.5, 0.5, 3.0, 4.0]),
        ("nJets>2&&flag?10:20", [20.0, 20.0, 10.0, 20.0]),
        ("nJets == 1 ? 10 : nJets == 2 ? 20 : 30", [10.0, 20.0, 30.0, 30.0]),
        ("flag ? nJets > 1 ? 1 : 2 : nJets > 2 ? 3 : 4", [2.0, 4.0, 1.0, 3.0]),
        ("2 * (flag ? 1 : 3) + 1", [3.0, 7.0, 3.0, 7.0]),
        ("2 * flag ? 1 : 3 + 1", [1.0, 4.0, 1.0, 4.0]),
        ("max(flag ? 1 : 3, nJets < 2 ? 5 : eta[0] > 0 ? 7 : 2)", [5.0, 3.0, 2.0, 7.0]),
        ("pt > 0 ? pt : 7", [100.5, 7.0, 450.0, 400.0]),
        ("nJets == 2 ? 1 / (nJets - 2) : 1 / nJets", [1.0, math.inf, 1 / 3, 0.25]),
    ],
)
def test_weights_are_computed_in_double_precision(text: str, expected: list[float]) -> None:
    assert values(text) == expected


def test_a_number_of_an_event_too_large_for_a_signed_integer_is_still_a_number() -> None:
    huge = {"event": np.array([2**63 + 2**20, 1], np.uint64)}
    assert Expression.parse("event > 5").mask(huge.__getitem__, 2).tolist() == [True, False]


def test_names_are_told_from_left_to_right_each_once() -> None:
    text = "b > 1 & a.b.c < 2 | abs(pt[1]) > sqrt(b) & pi"
    assert Expression.parse(text).names == ("b", "a.b.c", "pt_1")


def test_a_name_that_is_wrong_is_shown_in_its_place() -> None:
    expression = Expression.parse("nJets >= 2 && jetPT_0 > 400")
    assert str(expression.unknown("jetPT_0", "no such thing")) == (
        "in the selection nJets >= 2 && »jetPT_0« > 400, at character 15: no such thing"
    )


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("g", 1.0),
        ("(g)", 1.0),
        ("+g", 1.0),
        ("-g", -1.0),
        ("2*g", 2.0),
        ("g * 2", 2.0),
        ("g/1000", 0.001),
        ("g*0.5*3", 1.5),
        ("2*(3*g)/4", 1.5),
        ("-2 * -(g / 4)", 0.5),
        ("g / (1 / 2)", 2.0),
        ("pi * g", math.pi),
        ("sqrt(16) * g * pow(10, -2)", 0.04),
        ("(1 > 2 ? 3 : 5) * g", 5.0),
        ("0 * g", 0.0),
        ("1e3 * g", 1000.0),
        ("other", None),
        ("2", None),
        ("2 * 3", None),
        ("g * g", None),
        ("g * other", None),
        ("g + 1", None),
        ("g - g", None),
        ("1 / g", None),
        ("g / g", None),
        ("g / abs(g)", None),
        ("sign(g)", None),
        ("abs(g)", None),
        ("(g > 0) - (g < 0)", None),
        ("g ** 1", None),
        ("g // 1", None),
        ("other ? g : g", None),
        ("!g", None),
        ("g_0", None),
    ],
)
def test_a_multiple_of_a_name_is_told_in_any_spelling(text: str, factor: float | None) -> None:
    assert Expression.parse(text, "weight").multiple_of("g") == factor


def test_a_constant_is_told() -> None:
    assert Expression.parse("2 * (3 + 1) ** 2").constant == 32.0
    assert Expression.parse("true").constant is None
    assert Expression.parse("True ? 2 : 1").constant == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an expression"),
        ("nJets >=", r"nJets >=»«, at character 9: not an expression \(it breaks off\)"),
        ("nJets >= 2 &&", r"&&»«, at character 14: not an expression \(it breaks off\)"),
        ("nJets >= 2 & (pt", r"»\(«pt, at character 14: not an expression"),
        ("nJets = 2", "not an expression"),
        ("a && b; c", r"»;« c, at character 7"),
        ("foo(pt) > 1", r"»foo\(pt\)« > 1, .* no function 'foo'; there are abs, "),
        ("__import__('os').system('x')", "not allowed"),
        ("pt.__class__.__mro__()", "not allowed"),
        ("(lambda: 1)()", "not allowed"),
        ("[x for x in y]", "not allowed"),
        ("pt if flag else 1", "not allowed"),
        ("'text' == pt", "»'text'« == pt, .* not allowed"),
        ("f'{pt}'", "not allowed"),
        ("1j", "not allowed"),
        ("pt ^ 2", "powers are written"),
        ("pt >> 2", "larger is written >"),
        ("pt @ pt", "not allowed"),
        ("pt in flag", "not allowed"),
        ("pt is flag", "not allowed"),
        ("pt[nJets]", "not allowed"),
        ("pt[0:1]", "not allowed"),
        ("(x := 3)", "not allowed"),
        ("flag ? pt", r"flag »\?« pt, .* not an expression"),
        ("flag ? pt : ", r"flag »\?« pt : , .* not an expression"),
        ("flag ? : pt", r"flag »\?« : pt, .* not an expression"),
        ("flag : pt", r"flag »:« pt, .* not an expression"),
        ("(flag ? pt) : 2", "not an expression"),
        ("? 1 : 2", "not an expression"),
        ("flag ? 1 : foo(2)", r"flag \? 1 : »foo\(2\)«, .* no function 'foo'"),
        ("1 + (flag ? 'a' : 2)", r"1 \+ \(flag \? »'a'« : 2\), .* not allowed"),
        ("flag ? (1 : 2)", "not an expression"),
        ("a?b:" * 900 + "1", "cannot be read|not an expression"),
        ("where(flag, 1)", "where takes 3 values, not 2"),
        ("sign(1, 2)", "sign takes 1 values, not 2"),
        ("abs(pt, 2)", "abs takes 1 values, not 2"),
        ("max(pt)", "max takes 2 or more values, not 1"),
        ("atan2(1)", "atan2 takes 2 values, not 1"),
        ("abs(x=pt)", "not allowed"),
        ("abs(*pt)", "not allowed"),
        ("µ > 2", "»µ« > 2, at character 1: a letter that names cannot have"),
        ("(" * 500 + "1" + ")" * 500, "not an expression|cannot be read"),
        ("-" * 3900 + "1", "cannot be read"),
        ("1" * 4001, "longer than 4000 characters"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Expression.parse(text)


def test_what_cannot_be_computed_is_said_so() -> None:
    with pytest.raises(DataError, match=r"the selection 'event \+ 1{400}' cannot be computed"):
        mask("event + " + "1" * 400)


@pytest.mark.parametrize("text", ["nJets # > 2", "nJets#>2", "nJets > 2 # as in the note"])
def test_nothing_of_a_selection_is_left_out_as_a_comment(text: str) -> None:
    with pytest.raises(DataError, match="»#«.*not allowed in an expression"):
        Expression.parse(text)


@pytest.mark.parametrize("deep", ["nJets" + "+1" * 900, "-" * 300 + "nJets", "(" * 150 + "nJets"])
def test_too_deep_an_expression_is_said_to_be_so(deep: str) -> None:
    with pytest.raises(DataError, match="more than 200 operations|not an expression") as caught:
        Expression.parse(deep).mask(lambda name: VALUES[name], 4)
    assert "recursion" not in str(caught.value)


def test_a_thread_that_parses_meanwhile_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's parser then fails with a SystemError (CPython before 3.13)."""
    failures, parse = iter([True, True, False]), ast.parse

    def disturbed(*arguments: Any, **options: Any) -> Any:
        if next(failures):
            raise SystemError("AST constructor recursion depth mismatch (before=18, after=14)")
        return parse(*arguments, **options)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert mask("nJets >= 3") == [False, False, True, True]


def test_a_long_expression_is_computed() -> None:
    text = "nJets" + "+1" * 150 + " > 150"
    assert mask(text) == [n > 0 for n in VALUES["nJets"]]


def test_a_multiple_that_is_infinite_says_nothing_of_numpy() -> None:
    assert Expression.parse("genWeight / 0").multiple_of("genWeight") == math.inf


def test_a_number_beyond_64_bits_is_a_fraction() -> None:
    assert all(mask("event < " + "1" * 30))
    assert all(mask("event + " + "1" * 30 + " > 1e29"))


# Against a reference: the same tree of operations, written out and computed event by event.

NUMBERS = st.sampled_from(["nJets", "pt", "run", "jet.pt", "eta_0", "2", "0.5", "400"])
LEAVES = st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=8,
)
SPELLINGS = {"and": (" & ", "&&", " and "), "or": ("|", " || ", " or "), "not": ("!", "~", "not ")}


def written(tree: Any, spelling: int, loose: bool = False) -> str:
    """The text of a tree, with no more brackets than physicists write."""
    if tree[0] == "not":
        return f"{SPELLINGS['not'][spelling]}({written(tree[1], spelling)})"
    if tree[0] in ("and", "or"):
        sides = [written(side, spelling, tree[0] == "and") for side in tree[1:]]
        text = SPELLINGS[tree[0]][spelling].join(sides)
        return f"({text})" if loose and tree[0] == "or" else text
    return " ".join(tree)


def computed(tree: Any, event: int) -> bool:
    if tree[0] == "not":
        return not computed(tree[1], event)
    if tree[0] in ("and", "or"):
        sides = [computed(side, event) for side in tree[1:]]
        return all(sides) if tree[0] == "and" else any(sides)
    a, b = (float(VALUES[n][event]) if n in VALUES else float(n) for n in (tree[0], tree[2]))
    if math.isnan(a) or math.isnan(b):
        return False
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}[tree[1]]


@pytest.mark.slow
@given(TREES, st.sampled_from([0, 1, 2]))
def test_any_selection_is_that_of_a_loop_over_events(tree: Any, spelling: int) -> None:
    assert mask(written(tree, spelling)) == [computed(tree, event) for event in range(4)]


@pytest.mark.slow
@given(st.text(alphabet="abn1.0()<>=!&|~+-*/ ,[]_'@:?\n", max_size=30))
def test_any_text_is_an_expression_or_a_data_error(text: str) -> None:
    try:
        expression = Expression.parse(text)
        expression.mask(lambda name: VALUES["pt"], 4)
    except DataError:
        pass
