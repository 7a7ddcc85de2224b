"""Names of features, keys and columns, however people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tfaas_nb.errors import BundleError, FeatureError
from tfaas_nb.features.names import check_names, names_in
from tfaas_nb.wire.params import feature_names, told_names

NAMES = ["b", "a", "c"]


@pytest.mark.parametrize(
    "given",
    [
        *(NAMES, tuple(NAMES), (name for name in NAMES), np.array(NAMES)),
        *(dict.fromkeys(NAMES).keys(), pd.Index(NAMES), pd.Series(NAMES), pl.Series(NAMES)),
        *(pa.array(NAMES), pd.DataFrame(columns=NAMES), pd.DataFrame(columns=NAMES).columns),
    ],
    ids=lambda given: type(given).__name__,
)
def test_names_are_plain_text_in_their_order(given: Any) -> None:
    found = names_in(given, "keys")
    assert (found, set(map(type, found))) == (("b", "a", "c"), {str})


def test_a_text_is_one_name() -> None:
    assert names_in("met", "keys") == ("met",)


WRONG = [
    ({"a", "b"}, r"not \{'.', '.'\}: a set has no order"),
    (frozenset("ab"), "not .*: a frozenset has no order"),
    (dict.fromkeys(NAMES), "not {'b': None, .*"),
    (3, "not 3"),
    (True, "not True"),
    (["a", 3], "not 3"),
    (["a", ""], "not ''"),
    ([["a", "b"]], r"not \['a', 'b'\]"),
    (b"ab", "not b'ab'"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_are_no_names_is_told(given: Any, message: str) -> None:
    with pytest.raises(FeatureError, match=f"^keys must be a list of names, {message}$"):
        names_in(given, "keys")


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_are_no_names_of_features_is_told(given: Any, message: str) -> None:
    with pytest.raises(BundleError, match=f"^names of features must be text .*, {message}$"):
        feature_names(given)


@pytest.mark.parametrize("given", [pd.Index(NAMES), np.array(NAMES), pl.Series(NAMES)])
def test_features_may_come_as_an_index_or_array(given: Any) -> None:
    assert feature_names(given) == tuple(NAMES)
    assert feature_names(None) == feature_names("") == feature_names(given[:0]) == ()


def test_repeated_names_and_broken_text_are_refused() -> None:
    check_names(("a", "b"))
    with pytest.raises(FeatureError, match="sent more than once: a, b$"):
        check_names(("b", "a", "b", "a"))
    with pytest.raises(FeatureError, match=r"a key holds '\\ud800', which is no character"):
        check_names(("a\ud800", "b"))


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (["a", "b"], ("a", "b")),
        ([{"name": "a"}, "b"], ("a", "b")),
        *((odd, ()) for odd in (None, [], "a,b", {"a": 1}, [1, 2], [["a"]], [{"nme": "a"}], 3)),
        (["a", "a"], ()),
    ],
)
def test_what_another_server_tells_is_names_or_nothing(told: Any, names: tuple[str, ...]) -> None:
    assert told_names(told) == names
