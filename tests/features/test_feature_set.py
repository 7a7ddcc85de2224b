from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaas_nb.errors import FeatureError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet, Variable, order_keys

NAMES = TTBAR_ALL_HADRONIC.names
TINY = FeatureSet(
    "tiny", (Variable("nJets"),), (Variable("jetPt", "GeV"), Variable("jetEta")), jets=2
)


def test_the_order_is_that_of_the_published_demo() -> None:
    assert len(NAMES) == len(TTBAR_ALL_HADRONIC) == 42
    assert NAMES[:4] == ("nJets", "nLeptons", "jetEta_0", "jetEta_1")
    assert NAMES[7] == "jetMass_0"
    assert NAMES[-1] == "jetTau3_4"


def test_each_jet_variable_fills_its_slots_before_the_next_starts() -> None:
    assert TINY.names == ("nJets", "jetPt_0", "jetPt_1", "jetEta_0", "jetEta_1")
    assert TINY.branches == ("nJets", "jetPt", "jetEta")
    assert TINY.names[TINY.jet_columns("jetEta")] == ("jetEta_0", "jetEta_1")


def test_a_feature_leads_back_to_its_variable_and_column() -> None:
    stems = [name.split("_")[0] for name in NAMES]
    assert [TTBAR_ALL_HADRONIC.variable(name).name for name in NAMES] == stems
    assert [TTBAR_ALL_HADRONIC.column(name) for name in NAMES] == list(range(42))


def test_more_than_ten_jets_keep_their_slots_apart() -> None:
    many = FeatureSet("many", (), (Variable("jetPt"), Variable("jetEta")), jets=12)
    assert many.variable("jetPt_11").name == "jetPt"
    assert many.variable("jetEta_10").name == "jetEta"


@pytest.mark.parametrize("ask", [TTBAR_ALL_HADRONIC.variable, TTBAR_ALL_HADRONIC.column])
def test_an_unknown_feature_is_named_with_the_nearest(ask: Any) -> None:
    with pytest.raises(FeatureError, match=r"unknown key 'jetPt0' \(did you mean 'jetPt_0'\?\)"):
        ask("jetPt0")


@pytest.mark.parametrize(
    ("variable", "axis"),
    [
        (Variable("jetPt", "GeV", "$p_T$"), "$p_T$ [GeV]"),
        (Variable("nJets", "", "Number of jets"), "Number of jets"),
        (Variable("jetPt", "GeV"), "jetPt [GeV]"),
    ],
)
def test_axis_titles_have_units(variable: Variable, axis: str) -> None:
    assert variable.axis == axis


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"event": (Variable("a"), Variable("a"))}, "names a more than once"),
        ({"event": (Variable("jetPt_0"),)}, "names jetPt_0 more than once"),
        ({"order_by": "jetEnergy"}, "orders jets by 'jetEnergy'"),
        ({"jets": 0}, "keeps 0 jets"),
        ({"padding": float("nan")}, "pads with nan"),
    ],
)
def test_a_set_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    parts: dict[str, Any] = {"name": "odd", "event": (), "jet": (Variable("jetPt"),)}
    with pytest.raises(FeatureError, match=message):
        FeatureSet(**{**parts, **changes})


def test_a_set_without_jets_needs_no_order() -> None:
    assert FeatureSet("flat", (Variable("met"),), ()).names == ("met",)


def test_a_set_survives_json() -> None:
    text = json.dumps(TTBAR_ALL_HADRONIC.to_dict())
    assert FeatureSet.from_dict(json.loads(text)) == TTBAR_ALL_HADRONIC


@pytest.mark.parametrize("lost", ["name", "event", "jet", "jets", "order_by", "padding"])
def test_a_description_without_a_part_is_refused(lost: str) -> None:
    values = TINY.to_dict()
    del values[lost]
    with pytest.raises(FeatureError, match=f"not a description of a feature set: '{lost}'"):
        FeatureSet.from_dict(values)


@pytest.mark.parametrize(("key", "value"), [("jets", "many"), ("event", [{"nom": "a"}])])
def test_a_description_with_a_wrong_part_is_refused(key: str, value: Any) -> None:
    with pytest.raises(FeatureError, match="not a description"):
        FeatureSet.from_dict(TINY.to_dict() | {key: value})


@given(st.permutations(NAMES))
def test_order_keys_undoes_any_permutation(given_keys: list[str]) -> None:
    assert [given_keys[i] for i in order_keys(NAMES, given_keys)] == list(NAMES)


@given(st.permutations(NAMES), st.sets(st.sampled_from(NAMES), min_size=1, max_size=8))
def test_every_missing_key_is_named(keys: list[str], lost: set[str]) -> None:
    with pytest.raises(FeatureError) as caught:
        order_keys(NAMES, [key for key in keys if key not in lost])
    named = str(caught.value).split("missing: ")[1].split(", ")
    assert named == [name for name in NAMES if name in lost]


@given(st.permutations(NAMES), st.sampled_from(NAMES))
def test_a_repeated_key_is_named(keys: list[str], twice: str) -> None:
    with pytest.raises(FeatureError, match=f"sent more than once: {twice}$"):
        order_keys(NAMES, [*keys, twice])


def test_an_unknown_key_is_named_with_the_nearest_that_is_missing() -> None:
    keys = ["jetPT_3" if name == "jetPt_3" else name for name in NAMES]
    with pytest.raises(FeatureError) as caught:
        order_keys(NAMES, keys)
    assert str(caught.value) == (
        "the keys do not fit the model: unknown key 'jetPT_3' (did you mean 'jetPt_3'?); "
        "missing: jetPt_3"
    )


def test_the_hint_is_a_key_that_is_missing_though_another_is_nearer() -> None:
    keys = ["jetPt_40" if name == "jetPt_3" else name for name in NAMES]
    meant = r"'jetPt_40' \(did you mean 'jetPt_3', of another number\?\)"
    with pytest.raises(FeatureError, match=meant):
        order_keys(NAMES, keys)


def test_an_unknown_key_like_nothing_has_no_hint() -> None:
    with pytest.raises(FeatureError, match=r"unknown key 'xyz'$"):
        order_keys(NAMES, [*NAMES, "xyz"])


def test_a_long_list_of_missing_keys_is_cut() -> None:
    with pytest.raises(FeatureError, match=r"missing: nJets, .* and 34 more$"):
        order_keys(NAMES, [])


@given(st.permutations(range(5)))
def test_an_event_by_name_may_have_any_order(order: list[int]) -> None:
    values = [3.0, 400.0, 300.0, -1.5, 0.5]
    X, single = TINY.matrix({TINY.names[i]: values[i] for i in order})
    assert single
    assert X.tolist() == [values]


def test_a_matrix_says_whether_it_was_one_event() -> None:
    assert TINY.matrix(np.zeros(5))[1] is True
    X, single = TINY.matrix(np.zeros((1, 5)))
    assert (X.shape, X.dtype, single) == ((1, 5), np.float32, False)


@pytest.mark.parametrize("shape", [(4,), (2, 6), (2, 5, 1), ()])
def test_a_matrix_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureError, match=re.escape("'tiny' needs (events, 5)")):
        TINY.matrix(np.zeros(shape))


@pytest.mark.parametrize("events", [[[1, 2], [3]], ["a"] * 5, [None] * 4 + [{}]])
def test_values_that_are_no_numbers_are_refused(events: Any) -> None:
    with pytest.raises(FeatureError, match="not numbers"):
        TINY.matrix(events)


def test_columns_by_name_are_not_mistaken_for_an_event() -> None:
    five_events = {name: np.arange(5.0) + i for i, name in enumerate(TINY.names)}
    X, single = TINY.matrix(dict(reversed(five_events.items())))
    assert not single
    np.testing.assert_array_equal(X, np.arange(5.0)[:, None] + np.arange(5.0))


DERIVED = FeatureSet("more", ("nJets",), ("jetPt", "jetEta"), jets=2, derived=("deltaEta_01", "ht"))


def test_variables_may_be_given_by_name() -> None:
    assert DERIVED.jet[0] == Variable("jetPt", "GeV", "AK8 jet $p_T$")
    assert FeatureSet("one", "met").event[0].unit == "GeV"
    assert TTBAR_ALL_HADRONIC.variable("nLeptons").title == "Number of leptons"


def test_derived_features_come_last() -> None:
    assert DERIVED.names[-3:] == ("jetEta_1", "deltaEta_01", "ht")
    assert DERIVED.names[DERIVED.derived_columns] == ("deltaEta_01", "ht")
    assert DERIVED.branches == ("nJets", "jetPt", "jetEta")
    assert DERIVED.variable("ht") == Variable("ht", "GeV", "$H_T$")
    assert DERIVED.variable("jetEta_1").name == "jetEta"
    assert TTBAR_ALL_HADRONIC.derived_columns == slice(42, 42)


def test_each_feature_tells_the_jets_it_needs() -> None:
    needed = [DERIVED.slots(name) for name in DERIVED.names]
    assert needed == [(), (0,), (1,), (0,), (1,), (0, 1), ()]


def test_derived_features_survive_json() -> None:
    text = json.dumps(DERIVED.to_dict())
    assert FeatureSet.from_dict(json.loads(text)) == DERIVED
    before = TTBAR_ALL_HADRONIC.to_dict()
    del before["derived"]  # as written by earlier versions
    assert FeatureSet.from_dict(before) == TTBAR_ALL_HADRONIC


@pytest.mark.parametrize(
    ("derived", "message"),
    [
        ("tau21", r"derives 'tau21', which is not known \(did you mean 'tau21_[01]'\?\)"),
        ("tau21_2", "derives 'tau21_2', but keeps 2 jets: their numbers are 0 to 1"),
        ("deltaR_12", "derives 'deltaR_12', but keeps 2 jets"),
        (("ht", "ht"), "names ht more than once"),
    ],
)
def test_what_cannot_be_derived_is_refused(derived: Any, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        FeatureSet("odd", (), ("jetPt",), jets=2, derived=derived)


def test_repr_is_short() -> None:
    assert repr(TTBAR_ALL_HADRONIC) == "FeatureSet('ttbar-all-hadronic', 42 features, 5 jets)"
