"""A valid frozen graph of 200 MB, as people with large embeddings have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.graphs import placeholder, serialized

#: Columns of the constant; three rows of float32 make 204 MB.
_COLUMNS = 17_000_000


def large_model() -> bytes:
    """x[0] * a + x[1] * b + x[2] * c of one column of a constant, the others are ballast."""

    def build(tf: Any) -> None:
        constant = tf.constant(weights(), name="weights")
        column = tf.gather(constant, [5], axis=1)
        tf.matmul(placeholder(tf), column, name="y")

    return serialized(build)


def weights() -> Any:
    """The constant, float32 of shape (3, 17 million)."""
    whole = np.arange(3 * _COLUMNS, dtype=np.uint32) % np.uint32(9973)
    return (whole.astype(np.float32) / np.float32(9973)).reshape(3, _COLUMNS)
