"""JSON bodies, and those that only Python takes for JSON."""

from __future__ import annotations

import math

import pytest

from tfaas_nb.errors import RequestError
from tfaas_nb.wire import oip
from tfaas_nb.wire.json_body import json_object


def test_what_is_no_number_in_json_is_read_to_be_named() -> None:
    assert math.isnan(json_object(b'{"a": NaN}')["a"])


@pytest.mark.parametrize("text", [r"\ud800", r"a\udc80", r"\ud83d\ud83d"])
def test_half_a_character_is_refused(text: str) -> None:
    """An answer could not repeat it: it was a 500."""
    with pytest.raises(RequestError, match="not JSON"):
        json_object(f'{{"id": "{text}"}}'.encode())
    tensor = '{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}'
    with pytest.raises(RequestError, match="not JSON"):
        oip.decode_infer(f'{{"id": "{text}", "inputs": [{tensor}]}}'.encode())
