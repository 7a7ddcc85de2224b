"""Models whose scores tell which version of which model answered."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.graphs import serialized
from tfaas_nb.bundle import Bundle

KEYS = ["a", "b", "c"]
#: Their weighted sum is `SUM`.
VALUES = [1.0, 10.0, 100.0]
SUM = 321.0


def sum_of(name: str = "sum", factor: float = 1.0) -> Bundle:
    """`factor` times the weighted sum of a, b and c."""

    def build(tf: Any) -> None:
        x = tf.compat.v1.placeholder("float32", (None, 3), name="x")
        tf.matmul(x, factor * np.array([[1.0], [2.0], [3.0]], np.float32), name="y")

    params = {"name": name, "features": KEYS}
    return Bundle.from_parts(json.dumps(params).encode(), serialized(build), b"total\n")
