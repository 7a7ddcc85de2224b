"""JSON in ASCII alone, against the standard library's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tfaas_nb.bundle import CARD, PARAMS, Bundle
from tfaas_nb.wire.ascii_json import in_ascii

TEXTS = st.text() | st.sampled_from(["τ21", "pT > 400 GeV, |η| < 2.4", "𝑚(jj)", '"\\u03c4"', "\\ö"])


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_it_means_the_same_and_is_as_the_standard_library_writes_it(value: Any) -> None:
    written = in_ascii(orjson.dumps(value))
    assert written.isascii()
    assert json.loads(written) == value
    if b"\x7f" not in written:  # which may stand as it is
        assert written.decode() == json.dumps(value, separators=(",", ":"))


def test_a_bundle_s_json_files_are_ascii(bundle: Bundle) -> None:
    told = replace(
        bundle,
        params=replace(bundle.params, description="tt̄ against QCD, τ₃₂ and 𝑚", op="größer"),
        card={**bundle.card, "notes": "√s = 13 TeV"},
    )
    files = told.files()
    written = [name for name in files if name.endswith(".json")]
    assert {PARAMS, CARD} <= set(written)
    for name in written:
        assert files[name].isascii(), name
    assert json.loads(files[PARAMS])["description"] == told.params.description
    again = Bundle.from_archive(told.archive())
    assert again.params == told.params
    assert again.card["notes"] == told.card["notes"]
