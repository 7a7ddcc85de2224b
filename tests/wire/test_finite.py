from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfaas_nb.errors import GraphError
from tfaas_nb.wire import image, oip, tfaas, tfserving
from tfaas_nb.wire.finite import all_finite, json_numbers


def test_a_sum_of_squares_that_is_too_large_is_no_infinity() -> None:
    assert all_finite(np.full(4, 3e38, np.float32))
    assert not all_finite(np.array([1.0, np.inf], np.float32))


def test_numbers_pass_as_they_are() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert json_numbers(values[:, :2]).flags.c_contiguous
    assert json_numbers(values, single=True).tolist() == [0, 1, 2]
    assert json_numbers(np.array([True, False])).tolist() == [True, False]


def oip_answer(scores: Any) -> bytes:
    asked = oip.decode_infer(
        json.dumps(
            {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}]}
        ).encode()
    )
    return oip.encode_outputs(asked, "m", "1", {"y": scores})[0]


@pytest.mark.parametrize(
    "encode",
    [
        lambda scores: tfaas.encode_scores_json(scores, False),
        lambda scores: tfaas.encode_each_json(scores)[0],
        lambda scores: tfserving.encode_outputs({"y": scores}, True),
        lambda scores: tfserving.encode_classification(scores, ["a"]),
        tfserving.encode_regression,
        lambda scores: image.encode_labels("f", ["a"], scores[1]),
        oip_answer,
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_dialect_writes_null_for_what_is_no_number(
    encode: Callable[[Any], bytes], value: float
) -> None:
    scores = np.array([[0.5], [value]], np.float32)
    with pytest.raises(GraphError, match=rf"event \d with {value}.*JSON cannot hold"):
        encode(scores)


def test_binary_answers_hold_it() -> None:
    scores = np.array([[np.nan]], np.float32)
    assert np.isnan(tfaas.decode_scores_npy(tfaas.encode_scores_npy(scores))).all()
