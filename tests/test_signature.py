from __future__ import annotations

import numpy as np
import pytest

from tfaas_nb.errors import FeatureError, GraphError
from tfaas_nb.signature import Signature, Tensor, rows

MATRIX = Signature((Tensor("x", "float32", (3,)),), (Tensor("y", "float32", (1,)),))
SEVERAL = Signature(
    (Tensor("jets", "float32", (2, 3)), Tensor("n", "int64", (1,))),
    (
        Tensor("cell", "int64", ()),
        Tensor("map", "float32", (2, 2)),
        Tensor("mass", "float64", ()),
    ),
)


@pytest.mark.parametrize("dtype", ["str", "object", "complex64", "bfloat16", "resource"])
def test_a_tensor_is_of_numbers(dtype: str) -> None:
    with pytest.raises(GraphError, match=f"'x' is {dtype}: only numbers are served"):
        Tensor("x", dtype, ())


def test_a_plain_model_is_a_matrix() -> None:
    assert MATRIX.is_matrix
    assert (MATRIX.width, MATRIX.height, MATRIX.names) == (3, 1, None)
    assert not SEVERAL.is_matrix
    assert not Signature((Tensor("x", "float64", (3,)),), MATRIX.outputs).is_matrix
    assert not Signature(MATRIX.inputs, (Tensor("y", "float32", (2, 2)),)).is_matrix


def test_the_flat_view_lays_tensors_side_by_side() -> None:
    assert (SEVERAL.width, SEVERAL.height) == (7, 5)
    assert SEVERAL.names == ("jets_0", "jets_1", "jets_2", "jets_3", "jets_4", "jets_5", "n")
    X = np.arange(14, dtype=np.float32).reshape(2, 7)
    inputs = SEVERAL.split(X)
    np.testing.assert_array_equal(inputs["jets"][1], [[7, 8, 9], [10, 11, 12]])
    assert inputs["n"].dtype == np.int64
    np.testing.assert_array_equal(inputs["n"], [[6], [13]])


def test_decisions_are_left_out_where_there_are_probabilities() -> None:
    maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    outputs = {"cell": np.array([1, 2]), "map": maps, "mass": np.array([0.5, 1.5])}
    scores = SEVERAL.joined(outputs)
    np.testing.assert_array_equal(scores, [[0, 1, 2, 3, 0.5], [4, 5, 6, 7, 1.5]])
    again = SEVERAL.separated(scores)
    assert list(again) == ["map", "mass"]
    np.testing.assert_array_equal(again["map"], maps)
    np.testing.assert_array_equal(again["mass"], [0.5, 1.5])
    only = Signature(MATRIX.inputs, SEVERAL.outputs[:1])
    np.testing.assert_array_equal(only.joined(outputs), [[1], [2]])
    np.testing.assert_array_equal(only.separated(only.joined(outputs))["cell"], [1, 2])


def test_unknown_lengths_leave_the_flat_view_open() -> None:
    varying = Signature((Tensor("x", "float64", (None,)),), (Tensor("y", "float32", (None,)),))
    assert (varying.width, varying.height) == (None, None)
    np.testing.assert_array_equal(varying.split(np.ones((1, 5), np.float32))["x"], np.ones((1, 5)))
    scores = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(varying.separated(scores)["y"], scores)


def test_the_wrong_number_of_columns_is_told() -> None:
    with pytest.raises(FeatureError, match=r"takes 7 values, \(6,\) were sent"):
        SEVERAL.split(np.ones((2, 6), np.float32))


def test_a_number_may_stand_for_a_list_of_one() -> None:
    sent = {"jets": np.ones((2, 2, 3)), "n": [3, 4]}
    assert SEVERAL.conformed(sent)["n"].tolist() == [[3], [4]]


def test_names_that_would_be_the_same_are_none() -> None:
    twice = Signature((Tensor("a", "float32", (2,)), Tensor("a_1", "float32", ())), ())
    assert twice.names is None
    long = Signature((Tensor("a", "float32", (4096,)), Tensor("b", "float32", ())), ())
    assert long.names is None


@pytest.mark.parametrize("shape", [(0, 3), (0,), (0, 2, 2), (2,), (2, 2, 2)])
def test_rows_have_one_event_each(shape: tuple[int, ...]) -> None:
    assert rows(np.zeros(shape)).shape == (shape[0], int(np.prod(shape[1:])))
